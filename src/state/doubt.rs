//! Doubt about a read that the protocol calls complete: somebody who is missing may be there and not be recognised, or a whole
//! directory of several shows nobody. What was seen becomes the measure for later reads once a read is accepted.

use super::hash::{self, Hash};
use super::known::Known;
use super::{Sql, StateError, Store, kind_no};
use crate::model::{ObjectKind, SourceKey};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Entries without an id that are remembered: of more, nobody can say whether they are the same as before.
const MOST: usize = 10_000;

/// What a read that names everybody showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// Directories that showed somebody.
    parts: BTreeSet<String>,
    /// Names (hashed) of entries without an id that belong to nobody who is known.
    nameless: BTreeSet<Hash>,
}

impl Store {
    /// Somebody is there under this name and shows no id. Whoever is known by it is there, and stays as known.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn stage_unidentified(&self, sync: i64, known: &mut Known, kind: ObjectKind, name: &str) -> Result<(), StateError> {
        let name = hash::name(name);
        let bearers: Vec<String> = self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT e.key FROM entry_name n CROSS JOIN entry e ON e.id = n.entry_id
                 WHERE n.sync_id = ?1 AND n.name = ?2 AND e.kind = ?3 AND e.gone IS NULL",
            )?;
            st.query_map(params![sync, name, kind_no(kind)], |r| r.get(0))?.collect()
        })?;
        match &bearers[..] {
            [one] if known.meet_if_known(kind, one) => {
                if kind == ObjectKind::Group {
                    self.stage_unread(&SourceKey(one.clone()))?;
                }
            }
            _ => known.note_nameless(name),
        }
        Ok(())
    }

    /// Judges a read that named everybody, of whom `absent` are newly missing; `parts` are the directories that the source is
    /// put together of, and whether each showed anybody. Whatever takes something away is to be held as long as there is
    /// doubt (see [`Store::doubt`]).
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn note_doubt(&self, sync: i64, known: &Known, parts: &[(String, bool)], absent: u64) -> Result<(), StateError> {
        self.run(|c| {
            let accepted: Seen = load(c, &accepted_key(sync))?.unwrap_or_default();
            let empty: Vec<&str> = parts
                .iter()
                .filter(|(name, some)| !some && accepted.parts.contains(name))
                .map(|(name, _)| name.as_str())
                .collect();
            let unknown = known.nameless().iter().filter(|n| !accepted.nameless.contains(*n)).count();
            let seen = Seen {
                parts: parts.iter().filter(|(_, some)| *some).map(|(name, _)| name.clone()).collect(),
                nameless: known.nameless().iter().take(MOST).copied().collect(),
            };
            store(c, &seen_key(sync), &serde_json::to_vec(&seen).unwrap_or_default())?;
            let doubt = if !empty.is_empty() {
                Some(format!("{} shows nobody, where the last accepted read had people", empty.join(" and ")))
            } else if unknown > 0 && (absent > 0 || doubt(c, sync)?.is_some()) {
                Some(format!("{unknown} new entries show no stable id: whoever is missing may be one of them"))
            } else {
                None
            };
            match doubt {
                Some(why) => store(c, &doubt_key(sync), why.as_bytes()),
                None if self::doubt(c, sync)?.is_none() => Ok(()),
                None => c.execute("DELETE FROM meta WHERE key = ?1", [doubt_key(sync)]).map(drop),
            }
        })
    }

    /// Why the last read that named everybody leaves doubt about who is missing, if it does.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn doubt(&self, sync: i64) -> Result<Option<String>, StateError> {
        self.run(|c| doubt(c, sync))
    }

    /// The last read is accepted: what it showed is the measure for the next ones.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn accept_seen(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "INSERT OR REPLACE INTO meta (key, value) SELECT ?2, value FROM meta
                 WHERE key = ?1 AND value IS NOT (SELECT value FROM meta WHERE key = ?2)",
                [seen_key(sync), accepted_key(sync)],
            )?;
            c.execute("DELETE FROM meta WHERE key = ?1", [doubt_key(sync)])
        })
        .map(drop)
    }
}

fn doubt(c: &Connection, sync: i64) -> Sql<Option<String>> {
    c.query_row("SELECT CAST(value AS TEXT) FROM meta WHERE key = ?1", [doubt_key(sync)], |r| r.get(0)).optional()
}

/// What cannot be read was never accepted.
fn load(c: &Connection, key: &str) -> Sql<Option<Seen>> {
    let found: Option<Vec<u8>> = c.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get(0)).optional()?;
    Ok(found.and_then(|octets| serde_json::from_slice(&octets).ok()))
}

/// Only what is new is written: most reads are as the one before.
fn store(c: &Connection, key: &str, value: &[u8]) -> Sql<()> {
    let same = "SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?1 AND value = ?2)";
    if c.query_row(same, params![key, value], |r| r.get(0))? {
        return Ok(());
    }
    c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value]).map(drop)
}

fn seen_key(sync: i64) -> String {
    format!("read_seen:{sync}")
}

fn accepted_key(sync: i64) -> String {
    format!("read_accepted:{sync}")
}

fn doubt_key(sync: i64) -> String {
    format!("read_doubt:{sync}")
}
