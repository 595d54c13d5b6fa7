//! A gone person's account goes to the same person's new entry.

use super::{StateError, Store, entries};
use crate::model::Entry;
use rusqlite::params;

/// Why an account goes to another entry.
#[derive(Debug, Clone, Copy)]
pub struct Rebound<'a> {
    /// The entry that is gone.
    pub old: i64,
    /// The new one.
    pub new: i64,
    /// The attribute that says so, and its value.
    pub reason: &'a str,
}

impl Store {
    /// Calls `f` for everybody who is gone from the source and whose account is linked still.
    ///
    /// # Errors
    /// The store cannot be read, or a row is damaged.
    pub fn gone_with_account(&self, sync: i64, mut f: impl FnMut(i64, &str, &Entry)) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT e.id, e.label, d.data FROM entry e INDEXED BY entry_gone JOIN link l ON l.entry_id = e.id AND l.gone = 0
                 JOIN entry_data d ON d.entry_id = e.id WHERE e.gone IS NOT NULL AND e.sync_id = ?1 AND e.kind = 0 ORDER BY e.id",
            )?;
            let mut rows = st.query([sync])?;
            while let Some(r) = rows.next()? {
                let entry = entries::decode(r.get_ref(2)?.as_blob()?)
                    .map_err(|e| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Blob, Box::new(e)))?;
                f(r.get(0)?, r.get_ref(1)?.as_str()?, &entry);
            }
            Ok(())
        })
    }

    /// Moves the link of a gone person, with what hangs on it, to the new entry. Recorded like a link that was moved by hand.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn rebind(&self, sync: i64, r: Rebound<'_>, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            // Confirmed missing at the target, or the new entry would not be without an account.
            c.execute("DELETE FROM link WHERE entry_id = ?1", [r.new])?;
            for sql in [
                "UPDATE link SET entry_id = ?2 WHERE entry_id = ?1",
                "UPDATE OR REPLACE pushed_member SET member_id = ?2 WHERE member_id = ?1",
                "UPDATE OR REPLACE undone SET entry_id = ?2 WHERE entry_id = ?1",
                "UPDATE reference SET member_id = ?2, owed = 1 WHERE member_id = ?1",
            ] {
                c.execute(sql, [r.old, r.new])?;
            }
            c.execute("UPDATE entry SET eligible = 0, dirty = 1 WHERE id = ?1", [r.old])?;
            c.execute("DELETE FROM main.parked WHERE entry_id IN (?1, ?2)", [r.old, r.new])?;
            c.execute(
                "INSERT INTO journal (sync_id, cycle, at, kind, object, entry_id, who, target_id, status, approved, before, after,
                    approved_by, approval_reason)
                 SELECT ?1, 0, ?4, 'relink', 'user', n.id, n.label, l.target_id, 'done', 1, json_object('source_key', o.key),
                    json_object('source_key', n.key), 'match.rehire', ?5
                 FROM entry o JOIN entry n ON n.id = ?3 JOIN link l ON l.entry_id = n.id WHERE o.id = ?2",
                params![sync, r.old, r.new, now, r.reason],
            )
        })
        .map(drop)
    }
}
