//! Moving links from the entries of one source to those of another: what `relink` compares and does.

use super::{Sql, StateError, Store, entries, kind_no, kind_of, merge};
use crate::model::{Entry, ObjectKind};
use rusqlite::{Connection, params};

/// One link that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// User or group.
    pub object: ObjectKind,
    /// For people to read (the old entry).
    pub who: String,
    /// Source key until now.
    pub old_key: String,
    /// Source key from now on.
    pub new_key: String,
    /// The account.
    pub target_id: String,
    /// By what it was found: `key`, `value` (the same value of the expression), or `name` (groups).
    pub by: String,
}

/// Somebody on either side who is not moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// User or group.
    pub object: ObjectKind,
    /// For people to read.
    pub who: String,
    /// Source key.
    pub key: String,
    /// The account (old side).
    pub target_id: Option<String>,
    /// More than one on the other side: which is right cannot be known.
    pub several: bool,
}

impl Store {
    /// Forgets what was compared.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn relink_clear(&self) -> Result<(), StateError> {
        self.run(|c| c.execute_batch("DELETE FROM temp.relink_new; DELETE FROM temp.relink_old; DELETE FROM temp.relink_pair"))
    }

    /// Calls `f` for each staged entry and keeps what it says of it.
    ///
    /// # Errors
    /// The store cannot be read, or a row is damaged.
    pub fn relink_staged(&self, mut f: impl FnMut(&Entry) -> (Option<String>, String)) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare("SELECT data FROM temp.stage")?;
            let mut add = c.prepare("INSERT INTO temp.relink_new (kind, key, value, name) VALUES (?1, ?2, ?3, ?4)")?;
            let mut q = st.query([])?;
            while let Some(r) = q.next()? {
                let entry = decode(r.get_ref(0)?.as_blob()?)?;
                let (value, name) = f(&entry);
                add.execute(params![kind_no(entry.kind), entry.key.as_str(), value, name.to_lowercase()])?;
            }
            Ok(())
        })
    }

    /// Calls `f` for each entry with a live link that the staged read lacks, and keeps the values that lead to it (with how).
    ///
    /// # Errors
    /// The store cannot be read, or a row is damaged.
    pub fn relink_linked(
        &self,
        sync: i64,
        mut f: impl FnMut(&str, Option<&Entry>) -> Vec<(String, &'static str)>,
    ) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT e.id, e.kind, e.key, d.data, l.name FROM link l JOIN entry e ON e.id = l.entry_id LEFT JOIN entry_data d ON d.entry_id = e.id
                 WHERE l.sync_id = ?1 AND l.gone = 0 AND NOT EXISTS (SELECT 1 FROM temp.stage s WHERE s.kind = e.kind AND s.key = e.key)",
            )?;
            let mut add = c.prepare("INSERT OR IGNORE INTO temp.relink_old (entry_id, kind, value, how) VALUES (?1, ?2, ?3, ?4)")?;
            let mut q = st.query([sync])?;
            while let Some(r) = q.next()? {
                let (id, kind): (i64, i64) = (r.get(0)?, r.get(1)?);
                let entry = r.get_ref(3)?.as_blob_or_null()?.map(decode).transpose()?;
                for (value, how) in f(r.get_ref(2)?.as_str()?, entry.as_ref()) {
                    add.execute(params![id, kind, value, how])?;
                }
            }
            Ok(())
        })
    }

    /// Pairs both sides, one to one: by value; then groups that are left by their name. Whoever is linked under the new key
    /// already is left out.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn relink_pair(&self, sync: i64) -> Result<u64, StateError> {
        self.run(|c| {
            let free = "NOT EXISTS (SELECT 1 FROM entry x JOIN link y ON y.entry_id = x.id AND y.gone = 0
                        WHERE x.sync_id = ?1 AND x.kind = n.kind AND x.key = n.key)";
            c.execute(
                &format!(
                    "INSERT OR IGNORE INTO temp.relink_pair (old_id, kind, new_key, how)
                     SELECT o.entry_id, n.kind, n.key, o.how FROM temp.relink_new n JOIN temp.relink_old o ON o.kind = n.kind AND o.value = n.value
                     WHERE {free}"
                ),
                [sync],
            )?;
            c.execute(
                &format!(
                    "INSERT OR IGNORE INTO temp.relink_pair (old_id, kind, new_key, how)
                     SELECT l.entry_id, 1, n.key, 'name' FROM temp.relink_new n JOIN link l ON l.sync_id = ?1 AND l.kind = 1 AND l.gone = 0 AND l.name = n.name
                     JOIN entry e ON e.id = l.entry_id
                     WHERE n.kind = 1 AND n.name <> '' AND {free}
                       AND NOT EXISTS (SELECT 1 FROM temp.relink_new s WHERE s.kind = 1 AND s.key = e.key)
                       AND NOT EXISTS (SELECT 1 FROM temp.relink_pair p WHERE p.old_id = l.entry_id)
                       AND NOT EXISTS (SELECT 1 FROM temp.relink_pair p WHERE p.kind = 1 AND p.new_key = n.key)"
                ),
                [sync],
            )?;
            c.execute_batch(
                "UPDATE temp.relink_pair SET several = 1 WHERE old_id IN (SELECT old_id FROM temp.relink_pair GROUP BY old_id HAVING count(*) > 1)
                   OR (kind, new_key) IN (SELECT kind, new_key FROM temp.relink_pair GROUP BY kind, new_key HAVING count(*) > 1)",
            )?;
            c.query_row("SELECT count(*) FROM temp.relink_pair WHERE several = 0", [], |r| r.get(0))
        })
    }

    /// The links that move, by kind and new key.
    ///
    /// # Errors
    /// The store cannot be read; what `f` says.
    pub fn relink_moves<E: From<StateError>>(&self, mut f: impl FnMut(Move) -> Result<(), E>) -> Result<(), E> {
        let wrap = |source| E::from(StateError::Sqlite { path: self.path().to_owned(), source });
        let mut st = self
            .conn
            .prepare(
                "SELECT p.kind, e.label, e.key, p.new_key, l.target_id, p.how FROM temp.relink_pair p JOIN entry e ON e.id = p.old_id
                 JOIN link l ON l.entry_id = p.old_id WHERE p.several = 0 ORDER BY p.kind, p.new_key",
            )
            .map_err(wrap)?;
        let mut rows = st.query([]).map_err(wrap)?;
        while let Some(r) = rows.next().map_err(wrap)? {
            let row = (|| -> Sql<Move> {
                Ok(Move {
                    object: kind_of(r.get(0)?),
                    who: r.get(1)?,
                    old_key: r.get(2)?,
                    new_key: r.get(3)?,
                    target_id: r.get(4)?,
                    by: r.get(5)?,
                })
            })()
            .map_err(wrap)?;
            f(row)?;
        }
        Ok(())
    }

    /// Linked entries that the new read lacks and that nobody takes over.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn relink_left_links(&self, sync: i64) -> Result<Vec<Left>, StateError> {
        self.left(
            sync,
            "SELECT e.kind, e.label, e.key, l.target_id, EXISTS (SELECT 1 FROM temp.relink_pair p WHERE p.old_id = e.id)
             FROM link l JOIN entry e ON e.id = l.entry_id WHERE l.sync_id = ?1 AND l.gone = 0
               AND NOT EXISTS (SELECT 1 FROM temp.relink_new n WHERE n.kind = e.kind AND n.key = e.key)
               AND NOT EXISTS (SELECT 1 FROM temp.relink_pair p WHERE p.old_id = e.id AND p.several = 0) ORDER BY e.kind, e.label, e.id",
        )
    }

    /// Entries of the new read that have no link and get none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn relink_left_entries(&self, sync: i64) -> Result<Vec<Left>, StateError> {
        self.left(
            sync,
            "SELECT n.kind, s.label, n.key, NULL, EXISTS (SELECT 1 FROM temp.relink_pair p WHERE p.kind = n.kind AND p.new_key = n.key)
             FROM temp.relink_new n JOIN temp.stage s ON s.kind = n.kind AND s.key = n.key
             WHERE NOT EXISTS (SELECT 1 FROM temp.relink_pair p WHERE p.kind = n.kind AND p.new_key = n.key AND p.several = 0)
               AND NOT EXISTS (SELECT 1 FROM entry x JOIN link y ON y.entry_id = x.id AND y.gone = 0
                    WHERE x.sync_id = ?1 AND x.kind = n.kind AND x.key = n.key) ORDER BY n.kind, s.label, n.key",
        )
    }

    fn left(&self, sync: i64, sql: &str) -> Result<Vec<Left>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(sql)?;
            let rows = st.query_map([sync], |r| {
                Ok(Left { object: kind_of(r.get(0)?), who: r.get(1)?, key: r.get(2)?, target_id: r.get(3)?, several: r.get(4)? })
            })?;
            rows.collect()
        })
    }

    /// Takes the staged read over and moves the paired links to its entries, in one transaction: the old world or the new one.
    /// `groups`: groups were read; `source`: which directory it was, from which the entries come from now on.
    ///
    /// # Errors
    /// The store cannot be written; then nothing of it happened.
    pub fn relink_apply(
        &mut self,
        sync: i64,
        groups: bool,
        source: &str,
        (by, reason): (&str, Option<&str>),
        now: i64,
    ) -> Result<(), StateError> {
        self.transaction(|c| {
            // A link and what hangs on it change their number one after the other.
            c.execute_batch("PRAGMA defer_foreign_keys = ON")?;
            c.execute(
                "INSERT OR IGNORE INTO temp.stage_gone (kind, key, explicit) SELECT kind, key, 0 FROM entry e WHERE sync_id = ?1 AND gone IS NULL
                 AND (kind = 0 OR ?2) AND NOT EXISTS (SELECT 1 FROM temp.stage s WHERE s.kind = e.kind AND s.key = e.key)",
                params![sync, groups],
            )?;
            // No cursor: what comes next is a complete read.
            merge::merge_complete(c, sync, merge::Merge { full: true, cursor: None, cursor_of: "", now, by_groups: false })?;
            move_links(c, sync, now)?;
            c.execute(
                "INSERT INTO journal (sync_id, cycle, at, kind, object, entry_id, who, target_id, status, approved, before, after, approved_by, approval_reason)
                 SELECT ?1, 0, ?2, 'relink', CASE e.kind WHEN 0 THEN 'user' ELSE 'group' END, e.id, e.label, l.target_id, 'done', 1,
                    json_object('source_key', o.key), json_object('source_key', e.key), ?3, ?4
                 FROM temp.relink_pair p JOIN entry o ON o.id = p.old_id
                 JOIN entry e ON e.sync_id = ?1 AND e.kind = p.kind AND e.key = p.new_key JOIN link l ON l.entry_id = e.id WHERE p.several = 0",
                params![sync, now, by, reason],
            )?;
            c.execute("UPDATE sync SET fingerprint = NULL, source_identity = ?2 WHERE id = ?1", params![sync, source])
        })
        .map(drop)
    }
}

fn move_links(c: &Connection, sync: i64, now: i64) -> Sql<()> {
    c.execute_batch("CREATE TEMP TABLE IF NOT EXISTS relink_ids (old_id INTEGER PRIMARY KEY, new_id INTEGER NOT NULL UNIQUE); DELETE FROM temp.relink_ids")?;
    c.execute(
        "INSERT INTO temp.relink_ids SELECT p.old_id, e.id FROM temp.relink_pair p
         JOIN entry e ON e.sync_id = ?1 AND e.kind = p.kind AND e.key = p.new_key WHERE p.several = 0",
        [sync],
    )?;
    for sql in [
        // Confirmed missing, or this entry would not have been paired.
        "DELETE FROM link WHERE entry_id IN (SELECT new_id FROM temp.relink_ids)",
        "UPDATE pushed_member SET group_id = (SELECT new_id FROM temp.relink_ids WHERE old_id = group_id)
         WHERE group_id IN (SELECT old_id FROM temp.relink_ids)",
        "UPDATE OR REPLACE pushed_member SET member_id = (SELECT new_id FROM temp.relink_ids WHERE old_id = member_id)
         WHERE member_id IN (SELECT old_id FROM temp.relink_ids)",
        "UPDATE link SET entry_id = (SELECT new_id FROM temp.relink_ids WHERE old_id = entry_id)
         WHERE entry_id IN (SELECT old_id FROM temp.relink_ids)",
        "UPDATE OR REPLACE group_note SET entry_id = (SELECT new_id FROM temp.relink_ids WHERE old_id = entry_id)
         WHERE entry_id IN (SELECT old_id FROM temp.relink_ids)",
        "UPDATE entry SET (in_scope, inactive, eligible, leaving_since) =
            (SELECT o.in_scope, o.inactive, o.eligible, o.leaving_since FROM temp.relink_ids i JOIN entry o ON o.id = i.old_id WHERE i.new_id = entry.id)
         WHERE id IN (SELECT new_id FROM temp.relink_ids)",
        "UPDATE entry SET eligible = 0, user_id = NULL WHERE id IN (SELECT old_id FROM temp.relink_ids)",
        "UPDATE OR REPLACE undone SET entry_id = (SELECT new_id FROM temp.relink_ids WHERE old_id = entry_id)
         WHERE entry_id IN (SELECT old_id FROM temp.relink_ids)",
        "UPDATE OR REPLACE undone SET value = CAST((SELECT new_id FROM temp.relink_ids WHERE old_id = CAST(value AS INTEGER)) AS TEXT)
         WHERE what IN ('+member', '-member') AND CAST(value AS INTEGER) IN (SELECT old_id FROM temp.relink_ids)",
        "DELETE FROM main.parked WHERE entry_id IN (SELECT old_id FROM temp.relink_ids UNION SELECT new_id FROM temp.relink_ids)",
    ] {
        c.execute(sql, [])?;
    }
    c.execute("UPDATE entry SET dirty = 1, gone = coalesce(gone, ?1) WHERE id IN (SELECT old_id FROM temp.relink_ids)", [now])?;
    Ok(())
}

fn decode(bytes: &[u8]) -> Sql<Entry> {
    entries::decode(bytes).map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(e)))
}
