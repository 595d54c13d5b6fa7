//! What was worked out for each entry, and which entries must be worked out again.

use super::links::{self, Link};
use super::{StateError, Store, kind_no, kind_of};
use crate::model::{Entry, ObjectKind};
use rusqlite::{OptionalExtension, Row, params};

/// An entry that must be looked at.
#[derive(Debug, Clone)]
pub struct Dirty {
    /// Row id.
    pub id: i64,
    /// Source key.
    pub key: String,
    /// For people to read.
    pub label: String,
    /// Not at the source any more.
    pub gone: bool,
    /// In scope, as worked out in this cycle.
    pub in_scope: bool,
    /// Inactive, as worked out in this cycle.
    pub inactive: bool,
    /// First seen inactive, out of scope or gone.
    pub leaving_since: Option<i64>,
    /// May be a member, as worked out last.
    pub eligible: bool,
    /// As the source said it (last).
    pub entry: Option<Entry>,
    /// Its link.
    pub link: Option<Link>,
}

/// What was worked out for an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Takes part.
    pub in_scope: bool,
    /// Inactive.
    pub inactive: bool,
    /// First seen inactive, out of scope or gone.
    pub leaving_since: Option<i64>,
    /// Folded user ID that competes.
    pub user_id: Option<String>,
}

/// Another entry with or after the same user ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// For people to read.
    pub who: String,
    /// It is linked with this very name.
    pub holds: bool,
    /// It competes for this name (active and in scope).
    pub wants: bool,
    /// It competes for another name: it is renaming away.
    pub moves: bool,
}

fn select() -> String {
    format!(
        "SELECT e.id, e.key, e.label, e.gone IS NOT NULL, e.in_scope, e.inactive, e.leaving_since, e.eligible, d.data, {}
         FROM entry e LEFT JOIN entry_data d ON d.entry_id = e.id LEFT JOIN link l ON l.entry_id = e.id",
        links::COLUMNS
    )
}

fn row(r: &Row<'_>) -> rusqlite::Result<Dirty> {
    let entry = match r.get_ref(8)?.as_blob_or_null()? {
        None => None,
        Some(b) => Some(
            super::entries::decode(b)
                .map_err(|e| rusqlite::Error::FromSqlConversionFailure(8, rusqlite::types::Type::Blob, Box::new(e)))?,
        ),
    };
    Ok(Dirty {
        id: r.get(0)?,
        key: r.get(1)?,
        label: r.get(2)?,
        gone: r.get(3)?,
        in_scope: r.get(4)?,
        inactive: r.get(5)?,
        leaving_since: r.get(6)?,
        eligible: r.get(7)?,
        entry,
        link: links::read(r, 9)?,
    })
}

impl Store {
    /// Everything must be worked out again (mapping, scope or policy changed, or the target is read).
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn mark_all(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE entry SET dirty = 1 WHERE sync_id = ?1 AND dirty = 0", [sync])).map(drop)
    }

    /// Marks what fell due by the clock.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn mark_due(&self, sync: i64, now: i64) -> Result<usize, StateError> {
        self.run(|c| c.execute("UPDATE entry SET dirty = 1 WHERE sync_id = ?1 AND due <= ?2 AND dirty = 0", params![sync, now]))
    }

    /// Whether anything fell due by the clock.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn anything_due(&self, sync: i64, now: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row("SELECT EXISTS (SELECT 1 FROM entry WHERE sync_id = ?1 AND due <= ?2)", params![sync, now], |r| r.get(0))
        })
    }

    /// When this entry was first seen inactive, out of scope or gone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn leaving_since(&self, entry: i64) -> Result<Option<i64>, StateError> {
        let found = self.run(|c| {
            c.prepare_cached("SELECT leaving_since FROM entry WHERE id = ?1")?.query_row([entry], |r| r.get(0)).optional()
        })?;
        Ok(found.flatten())
    }

    /// Marks one entry.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn mark(&self, entry: i64) -> Result<(), StateError> {
        self.run(|c| c.prepare_cached("UPDATE entry SET dirty = 1 WHERE id = ?1")?.execute([entry])).map(drop)
    }

    /// Whether the entry is in the directory and in scope, as it was last worked out.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_wanted(&self, entry: i64) -> Result<bool, StateError> {
        self.run(|c| c.prepare_cached("SELECT 1 FROM entry WHERE id = ?1 AND gone IS NULL AND in_scope = 1")?.exists([entry]))
    }

    /// Up to `limit` dirty entries of a kind behind `after` (row id), with data and link.
    ///
    /// # Errors
    /// The store cannot be read, or a row is damaged.
    pub fn dirty(&self, sync: i64, kind: ObjectKind, after: i64, limit: u32) -> Result<Vec<Dirty>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(&format!(
                "{} WHERE e.sync_id = ?1 AND e.kind = ?2 AND e.dirty = 1 AND e.id > ?3 ORDER BY e.id LIMIT ?4",
                select()
            ))?;
            let rows = st.query_map(params![sync, kind_no(kind), after, limit], row)?;
            rows.collect()
        })
    }

    /// One entry, dirty or not, with data and link.
    ///
    /// # Errors
    /// The store cannot be read, or the row is damaged.
    pub fn standing(&self, id: i64) -> Result<Option<Dirty>, StateError> {
        self.run(|c| c.prepare_cached(&format!("{} WHERE e.id = ?1", select()))?.query_row([id], row).optional())
    }

    /// Notes what was worked out.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_standing(&self, id: i64, s: &Standing) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "UPDATE OR FAIL entry SET in_scope = ?2, inactive = ?3, leaving_since = ?4, user_id = ?5 WHERE id = ?1",
            )?
            .execute(params![id, s.in_scope, s.inactive, s.leaving_since, s.user_id])
        })
        .map(drop)
    }

    /// Notes whether the entry may be a member and when it must be looked at again by the clock; a flip of the former
    /// is remembered for the groups.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_outcome(&self, id: i64, was: bool, eligible: bool, due: Option<i64>) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "UPDATE OR FAIL entry SET eligible = ?2, due = ?3 WHERE id = ?1 AND (eligible IS NOT ?2 OR due IS NOT ?3)",
            )?
            .execute(params![id, eligible, due])?;
            if was != eligible {
                c.prepare_cached("INSERT OR IGNORE INTO temp.flipped (entry_id) VALUES (?1)")?.execute([id])?;
            }
            Ok(())
        })
    }

    /// When the entry must be looked at again by the clock.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_due(&self, id: i64, due: Option<i64>) -> Result<(), StateError> {
        self.run(|c| c.prepare_cached("UPDATE entry SET due = ?2 WHERE id = ?1 AND due IS NOT ?2")?.execute(params![id, due]))
            .map(drop)
    }

    /// How a person with this source key stands in another sync: in scope, and with an account. `None`: not known there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn standing_in(&self, sync: &str, key: &str) -> Result<Option<(bool, bool)>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT e.in_scope, EXISTS (SELECT 1 FROM link l WHERE l.entry_id = e.id AND l.gone = 0) FROM entry e
                 WHERE e.sync_id = (SELECT id FROM sync WHERE name = ?1) AND e.kind = 0 AND e.key = ?2",
            )?
            .query_row(params![sync, key], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
        })
    }

    /// People with an active account who are in no group there: how many, and some of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn without_group(&self, sync: i64, some: usize) -> Result<(usize, Vec<String>), StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT e.label FROM link l JOIN entry e ON e.id = l.entry_id
                 WHERE l.sync_id = ?1 AND l.kind = 0 AND l.gone = 0 AND l.active = 1
                 AND NOT EXISTS (SELECT 1 FROM pushed_member p WHERE p.member_id = l.entry_id) ORDER BY e.label",
            )?;
            let mut rows = st.query([sync])?;
            let (mut count, mut who) = (0, Vec::new());
            while let Some(row) = rows.next()? {
                count += 1;
                if who.len() < some {
                    who.push(row.get(0)?);
                }
            }
            Ok((count, who))
        })
    }

    /// Entries with nothing left to do are clean: no change planned, nothing parked.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn settle(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "UPDATE entry INDEXED BY entry_dirty SET dirty = 0 WHERE sync_id = ?1 AND dirty = 1
                 AND NOT EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = entry.id AND p.done <> 1)
                 AND NOT EXISTS (SELECT 1 FROM temp.plan_parked p WHERE p.entry_id = entry.id)",
                [sync],
            )
        })
        .map(drop)
    }

    /// Who else has or wants this user ID: other entries that compete for it, and other links that carry it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn claims(&self, sync: i64, user_id: &str, me: i64) -> Result<Vec<Claim>, StateError> {
        // Most names are nobody else's, which is found out without the rest.
        let others = "SELECT 1 FROM entry WHERE sync_id = ?1 AND user_id = ?2 AND id <> ?3
            UNION ALL SELECT 1 FROM link WHERE sync_id = ?1 AND kind = 0 AND name = ?2 AND gone = 0 AND entry_id <> ?3 LIMIT 1";
        if !self.run(|c| c.prepare_cached(others)?.exists(params![sync, user_id, me]))? {
            return Ok(Vec::new());
        }
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT CASE WHEN lower(e.label) = ?2 THEN e.label || ' (source key ' || e.key || ')' ELSE e.label END, coalesce(l.name = ?2 AND l.gone = 0, 0), e.user_id IS ?2, e.user_id IS NOT NULL AND e.user_id <> ?2
                 FROM entry e LEFT JOIN link l ON l.entry_id = e.id
                 WHERE e.id <> ?3 AND e.id IN (SELECT id FROM entry WHERE sync_id = ?1 AND user_id = ?2
                    UNION SELECT entry_id FROM link WHERE sync_id = ?1 AND kind = 0 AND name = ?2 AND gone = 0)",
            )?;
            let rows = st.query_map(params![sync, user_id, me], |r| {
                Ok(Claim { who: r.get(0)?, holds: r.get(1)?, wants: r.get(2)?, moves: r.get(3)? })
            })?;
            rows.collect()
        })
    }

    /// Whether at least half of the people with an active account are in the source: keys never change, so another
    /// directory has next to none of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_most_people(&self, sync: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT 2 * count(*) FILTER (WHERE e.gone IS NULL) >= count(*) FROM link l JOIN entry e ON e.id = l.entry_id
                 WHERE l.sync_id = ?1 AND l.kind = 0 AND l.gone = 0 AND l.active = 1",
                [sync],
                |r| r.get(0),
            )
        })
    }

    /// Whether somebody with an active account is gone from the source, and that only after `since`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_gone_in_grace(&self, sync: i64, since: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM entry e JOIN link l ON l.entry_id = e.id AND l.gone = 0 AND l.active = 1
                 WHERE e.sync_id = ?1 AND e.kind = 0 AND e.gone IS NOT NULL AND e.leaving_since > ?2)",
                params![sync, since],
                |r| r.get(0),
            )
        })
    }

    /// Counts active people in scope without a user ID.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count_without_user_id(&self, sync: i64) -> Result<u64, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT count(*) FROM entry WHERE sync_id = ?1 AND kind = 0 AND gone IS NULL AND in_scope = 1 AND inactive = 0
                 AND user_id IS NULL",
                [sync],
                |r| r.get(0),
            )
        })
    }

    /// Whether an entry is present that this text names: by user ID, source key, or name for people (any letter case). Who was
    /// found by name is remembered: nobody looks through a directory for them again while they are there under it.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn is_present(&self, sync: i64, text: &str) -> Result<bool, StateError> {
        let folded = text.trim().to_lowercase();
        let remembered = format!("named:{sync}:{folded}");
        self.run(|c| {
            let found: bool = c
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM entry WHERE sync_id = ?1 AND gone IS NULL AND user_id = ?2)
                     OR EXISTS (SELECT 1 FROM entry WHERE sync_id = ?1 AND kind = 0 AND key = ?3 AND gone IS NULL)
                     OR EXISTS (SELECT 1 FROM entry WHERE sync_id = ?1 AND kind = 1 AND key = ?3 AND gone IS NULL)
                     OR EXISTS (SELECT 1 FROM meta m CROSS JOIN entry e ON e.id = m.value
                        WHERE m.key = ?4 AND e.sync_id = ?1 AND e.gone IS NULL AND fold(e.label) = ?2)",
                )?
                .query_row(params![sync, folded, text.trim(), remembered], |r| r.get(0))?;
            if found {
                return Ok(true);
            }
            let by_name: Option<i64> = c
                .query_row(
                    "SELECT id FROM entry WHERE sync_id = ?1 AND gone IS NULL AND fold(label) = ?2 LIMIT 1",
                    params![sync, folded],
                    |r| r.get(0),
                )
                .optional()?;
            match by_name {
                Some(id) => c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![remembered, id])?,
                None => c.execute("DELETE FROM meta WHERE key = ?1", [remembered])?,
            };
            Ok(by_name.is_some())
        })
    }

    /// Kind and label of an entry.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn label(&self, id: i64) -> Result<Option<(ObjectKind, String)>, StateError> {
        self.run(|c| {
            c.query_row("SELECT kind, label FROM entry WHERE id = ?1", [id], |r| Ok((kind_of(r.get(0)?), r.get(1)?))).optional()
        })
    }
}
