//! Links as people look at them and mend them.

use super::{StateError, Store, kind_no, kind_of};
use crate::model::{ObjectKind, TargetId};
use rusqlite::{OptionalExtension, params};

/// Whether ?4 (folded) names the entry `e` with its link `l`, as a whole: a part of one name is another's.
pub(super) const NAMED: &str =
    "(fold(e.key) = ?4 OR fold(e.label) = ?4 OR e.user_id = ?4 OR l.name = ?4 OR fold(l.target_id) = ?4
    OR (json_valid(l.pushed) AND fold(CAST(json_extract(l.pushed, '$.displayName') AS TEXT)) = ?4))";

/// A link, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// The sync.
    pub sync: String,
    /// User or group.
    pub object: ObjectKind,
    /// For people to read.
    pub who: String,
    /// Source key.
    pub key: String,
    /// SCIM id.
    pub target_id: String,
    /// userName or displayName as last pushed (lower case).
    pub name: String,
    /// We made the account.
    pub created: bool,
    /// Active, as last pushed.
    pub active: bool,
    /// The source lacks the entry.
    pub left: bool,
    /// Confirmed missing at the target.
    pub gone: bool,
    /// Unix second.
    pub linked_at: i64,
}

/// An entry that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Row id.
    pub id: i64,
    /// User or group.
    pub object: ObjectKind,
    /// Source key.
    pub key: String,
    /// For people to read.
    pub who: String,
    /// The account that it is linked to, also one that is confirmed missing.
    pub target_id: Option<String>,
}

/// A line of the log for what was done by hand, outside a cycle.
#[derive(Debug, Clone)]
pub struct HandRow<'a> {
    /// `link`, `unlink` or `relink`.
    pub kind: &'a str,
    /// The entry.
    pub entry: &'a Named,
    /// The account.
    pub target_id: Option<&'a str>,
    /// What was there before (JSON).
    pub before: Option<&'a str>,
    /// What is there now (JSON).
    pub after: Option<&'a str>,
    /// Who did it.
    pub by: &'a str,
    /// The reason given.
    pub reason: Option<&'a str>,
}

impl Store {
    /// Every link, or those of one sync, or of those whom a text names (see [`NAMED`]); by sync and name.
    ///
    /// # Errors
    /// The store cannot be read; what `f` says.
    pub fn links_each<E: From<StateError>>(
        &self,
        sync: Option<&str>,
        who: Option<&str>,
        mut f: impl FnMut(LinkRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let wrap = |source| E::from(StateError::Sqlite { path: self.path().to_owned(), source });
        let mut st = self
            .conn
            .prepare(&format!(
                "SELECT s.name, l.kind, e.label, e.key, l.target_id, l.name, l.origin = 0, l.active, e.gone IS NOT NULL, l.gone, l.created_at
                 FROM link l JOIN entry e ON e.id = l.entry_id JOIN sync s ON s.id = l.sync_id
                 WHERE (?1 IS NULL OR s.name = ?1) AND (?4 IS NULL OR {NAMED})
                 ORDER BY s.name, l.kind, l.name, l.entry_id"
            ))
            .map_err(wrap)?;
        let mut rows = st.query(params![sync, None::<i64>, None::<i64>, who.map(|w| w.trim().to_lowercase())]).map_err(wrap)?;
        while let Some(r) = rows.next().map_err(wrap)? {
            let row = (|| -> rusqlite::Result<LinkRow> {
                Ok(LinkRow {
                    sync: r.get(0)?,
                    object: kind_of(r.get(1)?),
                    who: r.get(2)?,
                    key: r.get(3)?,
                    target_id: r.get(4)?,
                    name: r.get(5)?,
                    created: r.get(6)?,
                    active: r.get(7)?,
                    left: r.get(8)?,
                    gone: r.get(9)?,
                    linked_at: r.get(10)?,
                })
            })()
            .map_err(wrap)?;
            f(row)?;
        }
        Ok(())
    }

    /// The entries that a text names exactly: by source key, name for people, user ID, pushed name, or target id (any letter
    /// case but for the key). At most 20.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn named(&self, sync: i64, text: &str) -> Result<Vec<Named>, StateError> {
        let folded = text.trim().to_lowercase();
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT e.id, e.kind, e.key, e.label, l.target_id FROM entry e LEFT JOIN link l ON l.entry_id = e.id
                 WHERE e.sync_id = ?1 AND (e.key = ?2 OR fold(e.label) = ?3 OR e.user_id = ?3 OR l.name = ?3 OR fold(l.target_id) = ?3)
                 ORDER BY e.gone IS NOT NULL, e.kind, e.label, e.id LIMIT 20",
            )?;
            let rows = st.query_map(params![sync, text.trim(), folded], |r| {
                Ok(Named { id: r.get(0)?, object: kind_of(r.get(1)?), key: r.get(2)?, who: r.get(3)?, target_id: r.get(4)? })
            })?;
            rows.collect()
        })
    }

    /// Writes a line into the log that belongs to no cycle (number 0).
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn journal_by_hand(&self, sync: i64, row: &HandRow<'_>, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO journal (sync_id, cycle, at, kind, object, entry_id, who, target_id, status, approved, before, after,
                    approved_by, approval_reason) VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, 'done', 1, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                sync,
                now,
                row.kind,
                row.entry.object.as_str(),
                row.entry.id,
                row.entry.who,
                row.target_id,
                row.before,
                row.after,
                row.by,
                row.reason
            ])
        })
        .map(drop)
    }

    /// Whatever was parked because of the entry's account is looked at again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn unpark_account(&self, entry: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "DELETE FROM main.parked WHERE entry_id = ?1 AND kind IN ('create', 'adopt', 'group_create', 'group_adopt')",
                [entry],
            )
        })
        .map(drop)
    }

    /// Gives everything of the sync `old` to the name `new`. What the store has under the new name already goes, unless it has
    /// links. Returns the number of links.
    ///
    /// # Errors
    /// The store cannot be written. `Ok(None)`: there is no `old`, or `new` has links.
    pub fn rename_sync(&mut self, old: &str, new: &str) -> Result<Option<u64>, StateError> {
        self.transaction(|c| {
            let find = |name: &str| c.query_row("SELECT id FROM sync WHERE name = ?1", [name], |r| r.get::<_, i64>(0)).optional();
            let links = |id: i64| c.query_row("SELECT count(*) FROM link WHERE sync_id = ?1", [id], |r| r.get::<_, u64>(0));
            let Some(from) = find(old)? else { return Ok(None) };
            if let Some(to) = find(new)? {
                if links(to)? > 0 {
                    return Ok(None);
                }
                for sql in [
                    // Numbers of rows may be used again: the log must not point to somebody else.
                    "UPDATE journal SET entry_id = 0, sync_id = ?2 WHERE sync_id = ?1",
                    "UPDATE cycle SET sync_id = ?2 WHERE sync_id = ?1",
                ] {
                    c.execute(sql, [to, from])?;
                }
                for table in ["held", "parked", "approval", "intent", "undone"] {
                    c.execute(&format!("DELETE FROM main.{table} WHERE sync_id = ?1"), [to])?;
                }
                c.execute("DELETE FROM sync WHERE id = ?1", [to])?;
            }
            c.execute("UPDATE sync SET name = ?2 WHERE id = ?1", params![from, new])?;
            links(from).map(Some)
        })
    }

    /// Syncs with links to the target of `sync` that are not among `configured`: removed from the configuration, or renamed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn left_over_syncs(&self, sync: i64, configured: &[String]) -> Result<Vec<String>, StateError> {
        let names: Vec<String> = self.run(|c| {
            let mut st = c.prepare(
                "SELECT s.name FROM sync s JOIN sync me ON me.id = ?1 WHERE s.id <> me.id AND (s.target = me.target OR s.address = me.address)
                 AND EXISTS (SELECT 1 FROM link l WHERE l.sync_id = s.id AND l.gone = 0) ORDER BY s.name",
            )?;
            let rows = st.query_map([sync], |r| r.get(0))?;
            rows.collect()
        })?;
        Ok(names.into_iter().filter(|n| !configured.contains(n)).collect())
    }

    /// Whether an account of the sync is linked to an entry that the source lacks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn holder_left(&self, sync: i64, kind: ObjectKind, target: &TargetId) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM link l JOIN entry e ON e.id = l.entry_id WHERE l.sync_id = ?1 AND l.kind = ?2
                 AND l.target_id = ?3 AND l.gone = 0 AND e.gone IS NOT NULL)",
                params![sync, kind_no(kind), target.as_str()],
                |r| r.get(0),
            )
        })
    }
}
