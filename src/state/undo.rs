//! What `undo` reads and keeps: the writes of a cycle with their before-images, and what was taken back, so that the next
//! cycle does not do it again.

use super::{Sql, StateError, Store, kind_no, kind_of};
use crate::model::{ObjectKind, SourceKey, TargetId};
use crate::plan::Kind;
use crate::plan::undo::Written;
use crate::plan::undone::Hold;
use rusqlite::{OptionalExtension, params};

/// Everything that a cycle wrote to one account or group.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// User or group.
    pub object: ObjectKind,
    /// The entry that the journal names; 0 or less where it was an account without one.
    pub entry_id: i64,
    /// The account or group.
    pub target_id: Option<TargetId>,
    /// The writes, in their order.
    pub writes: Vec<Written>,
}

/// One row of what was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// What must not be done again.
    pub hold: Hold,
    /// The cycle that was undone.
    pub undoes: i64,
    /// The undo.
    pub cycle: i64,
}

impl Store {
    /// Number and name of the sync that a cycle belongs to.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn cycle_of(&self, cycle: i64) -> Result<Option<(i64, String)>, StateError> {
        self.run(|c| {
            c.query_row("SELECT s.id, s.name FROM cycle y JOIN sync s ON s.id = y.sync_id WHERE y.id = ?1", [cycle], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .optional()
        })
    }

    /// The accounts and groups that a cycle wrote to and that are not undone yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn undo_targets(&self, sync: i64, cycle: i64) -> Result<Vec<(ObjectKind, TargetId)>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT DISTINCT object = 'group', target_id FROM journal
                 WHERE cycle = ?2 AND sync_id = ?1 AND status = 'done' AND target_id IS NOT NULL ORDER BY 1, 2",
            )?;
            let rows = st.query_map([sync, cycle], |r| Ok((kind_of(r.get(0)?), TargetId(r.get(1)?))))?;
            rows.collect()
        })
    }

    /// Calls `f` for everything that a cycle wrote and that is not undone yet: people first, then groups.
    ///
    /// # Errors
    /// The store cannot be read, or a row is damaged; what `f` says.
    pub fn undo_each(&self, sync: i64, cycle: i64, mut f: impl FnMut(Unit) -> Result<(), StateError>) -> Result<(), StateError> {
        let wrap = |source| StateError::Sqlite { path: self.path().to_owned(), source };
        let mut st = self
            .conn
            .prepare(
                "SELECT id, kind, object = 'group', entry_id, who, target_id, before, after FROM journal
                 WHERE cycle = ?2 AND sync_id = ?1 AND status = 'done' ORDER BY object = 'group', entry_id, target_id, id",
            )
            .map_err(wrap)?;
        let mut rows = st.query([sync, cycle]).map_err(wrap)?;
        let mut unit: Option<Unit> = None;
        while let Some(r) = rows.next().map_err(wrap)? {
            let row = (|| -> Sql<_> {
                let word: String = r.get(1)?;
                let texts: (Option<String>, Option<String>) = (r.get(6)?, r.get(7)?);
                let target: Option<String> = r.get(5)?;
                Ok((r.get::<_, i64>(0)?, word, kind_of(r.get(2)?), r.get::<_, i64>(3)?, r.get(4)?, target.map(TargetId), texts))
            })();
            let (id, word, object, entry_id, who, target_id, (before, after)) = row.map_err(wrap)?;
            // What was done by hand (link, unlink) is mended by hand.
            let Some(kind) = Kind::parse(&word) else { continue };
            let write = Written::of(id, kind, who, before.as_deref(), after.as_deref())
                .map_err(|e| self.damaged(format!("journal line {id}: {e}")))?;
            match &mut unit {
                Some(u) if u.object == object && u.entry_id == entry_id && u.target_id == target_id => u.writes.push(write),
                open => {
                    let next = Unit { object, entry_id, target_id, writes: vec![write] };
                    if let Some(done) = open.replace(next) {
                        f(done)?;
                    }
                }
            }
        }
        unit.map_or(Ok(()), f)
    }

    /// The entry whose live link names this account.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entry_of_target(&self, sync: i64, kind: ObjectKind, target: &TargetId) -> Result<Option<i64>, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT entry_id FROM link WHERE sync_id = ?1 AND kind = ?2 AND target_id = ?3 AND gone = 0")?
                .query_row(params![sync, kind_no(kind), target.as_str()], |r| r.get(0))
                .optional()
        })
    }

    /// Source key of an entry of the sync.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entry_key(&self, sync: i64, entry: i64) -> Result<Option<SourceKey>, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT key FROM entry WHERE id = ?2 AND sync_id = ?1")?
                .query_row([sync, entry], |r| r.get(0).map(SourceKey))
                .optional()
        })
    }

    /// The entry of this source key.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entry_of_key(&self, sync: i64, kind: ObjectKind, key: &SourceKey) -> Result<Option<i64>, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT id FROM entry WHERE sync_id = ?1 AND kind = ?2 AND key = ?3")?
                .query_row(params![sync, kind_no(kind), key.as_str()], |r| r.get(0))
                .optional()
        })
    }

    /// Members of a group as it was read at the target.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn remote_members(&self, group: &TargetId) -> Result<std::collections::HashSet<TargetId>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached("SELECT member_id FROM temp.remote_member WHERE group_id = ?1")?;
            let rows = st.query_map([group.as_str()], |r| r.get(0).map(TargetId))?;
            rows.collect()
        })
    }

    /// Members that we pushed to a group, with their names.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pushed_members(&self, group: i64) -> Result<Vec<crate::plan::Member>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT e.key, e.label, e.id FROM pushed_member p JOIN entry e ON e.id = p.member_id WHERE p.group_id = ?1 ORDER BY e.key",
            )?;
            let member = |r: &rusqlite::Row<'_>| {
                Ok(crate::plan::Member { source_key: SourceKey(r.get(0)?), who: r.get(1)?, id: r.get(2)? })
            };
            let rows = st.query_map([group], member)?;
            rows.collect()
        })
    }

    /// Forgets what an earlier undo noted in this process.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn undo_clear(&self) -> Result<(), StateError> {
        self.run(|c| c.execute("DELETE FROM temp.undo_row", [])).map(drop)
    }

    /// Notes which lines of the journal are about to be undone. `complete`: nothing of them is left as it is; `unlink`: the
    /// account had no link before.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn undo_note(&self, lines: &[i64], entry: i64, members: bool, complete: bool, unlink: bool) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "INSERT OR REPLACE INTO temp.undo_row (journal_id, entry_id, members, complete, unlink) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for line in lines {
                st.execute(params![line, entry, members, complete, unlink])?;
            }
            Ok(())
        })
    }

    /// What the changes of the plan that are carried out came to: lines of the journal are `undone`, accounts that had no link
    /// before have none, and everybody concerned is looked at again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn undo_settle(&mut self, sync: i64) -> Result<(), StateError> {
        let open = "EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = u.entry_id AND p.done <> 1
                    AND (p.kind IN ('members_add', 'members_remove')) = u.members)";
        self.transaction(|c| {
            c.execute(
                &format!(
                    "UPDATE journal SET status = 'undone' WHERE id IN (SELECT u.journal_id FROM temp.undo_row u WHERE u.complete = 1 AND NOT {open})"
                ),
                [],
            )?;
            // A link to another account than that of the write that is undone was made since, and stays.
            let unlinked = format!(
                "SELECT u.entry_id FROM temp.undo_row u JOIN journal j ON j.id = u.journal_id
                 JOIN link l ON l.entry_id = u.entry_id AND l.target_id = j.target_id WHERE u.unlink = 1 AND NOT {open}"
            );
            let some = c.query_row(&format!("SELECT EXISTS ({unlinked})"), [], |r| r.get::<_, bool>(0))?;
            if some {
                c.execute(&format!("DELETE FROM pushed_member WHERE group_id IN ({unlinked}) OR member_id IN ({unlinked})"), [])?;
                c.execute(&format!("UPDATE entry SET eligible = 0 WHERE id IN ({unlinked})"), [])?;
                c.execute(&format!("UPDATE reference SET owed = 1 WHERE member_id IN ({unlinked})"), [])?;
                c.execute(&format!("DELETE FROM link WHERE sync_id = ?1 AND entry_id IN ({unlinked})"), [sync])?;
                // Who has no account is matched by a look at the target.
                c.execute("UPDATE sync SET fingerprint = NULL WHERE id = ?1", [sync])?;
            }
            c.execute("UPDATE entry SET dirty = 1 WHERE id IN (SELECT entry_id FROM temp.undo_row)", [])
        })
        .map(drop)
    }

    /// Keeps what is about to be taken back from being done again. Recorded before anything is sent.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn undone_add(&self, sync: i64, entry: i64, holds: &[Hold], undoes: i64, cycle: i64) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "INSERT OR REPLACE INTO undone (sync_id, entry_id, what, value, undoes, cycle) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for h in holds {
                st.execute(params![sync, entry, h.what, h.value, undoes, cycle])?;
            }
            Ok(())
        })
    }

    /// Whether anything of the sync was taken back and not approved since.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_undone(&self, sync: i64) -> Result<bool, StateError> {
        self.run(|c| c.query_row("SELECT EXISTS (SELECT 1 FROM undone WHERE sync_id = ?1)", [sync], |r| r.get(0)))
    }

    /// Whether somebody's adoption was taken back: whoever matches an account there must not get a second one, so the target is
    /// looked at until that is approved.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_undone_adoption(&self, sync: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM undone u JOIN entry e ON e.id = u.entry_id WHERE u.sync_id = ?1 AND u.what = '+account'
                 AND u.value = ?2 AND e.gone IS NULL AND NOT EXISTS (SELECT 1 FROM link l WHERE l.entry_id = e.id))",
                params![sync, crate::plan::undone::ADOPTED],
                |r| r.get(0),
            )
        })
    }

    /// What of an entry was taken back.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn undone(&self, sync: i64, entry: i64) -> Result<Vec<Undone>, StateError> {
        self.run(|c| {
            let mut st =
                c.prepare_cached("SELECT what, value, undoes, cycle FROM undone WHERE sync_id = ?1 AND entry_id = ?2")?;
            let rows = st.query_map([sync, entry], |r| {
                Ok(Undone { hold: Hold { what: r.get(0)?, value: r.get(1)? }, undoes: r.get(2)?, cycle: r.get(3)? })
            })?;
            rows.collect()
        })
    }

    /// A change was carried out: what it wrote is not held any more. `what`: paths, `+member`, `-member`; `None`: all but the
    /// members.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn undone_clear(&self, sync: i64, entry: i64, what: Option<&[&str]>, value: Option<&str>) -> Result<(), StateError> {
        self.run(|c| {
            let Some(what) = what else {
                let all = "DELETE FROM undone WHERE sync_id = ?1 AND entry_id = ?2 AND what NOT IN ('+member', '-member')";
                return c.prepare_cached(all)?.execute([sync, entry]).map(drop);
            };
            let one = "DELETE FROM undone WHERE sync_id = ?1 AND entry_id = ?2 AND what = ?3 AND (?4 IS NULL OR value = ?4)";
            let mut st = c.prepare_cached(one)?;
            for w in what {
                st.execute(params![sync, entry, w, value])?;
            }
            Ok(())
        })
    }

    /// What an undo took back may be done again: that undo is undone itself.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn undone_forget(&self, cycle: i64) -> Result<(), StateError> {
        self.run(|c| c.execute("DELETE FROM undone WHERE cycle = ?1", [cycle])).map(drop)
    }

    /// What this undo did not carry out after all (refused, or protected) is not held.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn undone_drop_open(&self, cycle: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "DELETE FROM undone WHERE cycle = ?1 AND EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = undone.entry_id
                    AND (p.kind IN ('members_add', 'members_remove')) = (undone.what IN ('+member', '-member')))
                 AND NOT EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = undone.entry_id AND p.done > 0
                    AND (p.kind IN ('members_add', 'members_remove')) = (undone.what IN ('+member', '-member')))",
                [cycle],
            )
        })
        .map(drop)
    }

    /// Everything in the plan is approved by who undoes, but for what is held already. Recorded with an end that is over: it
    /// releases nothing else.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn plan_approve_by(&self, sync: i64, by: &str, reason: Option<&str>, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "INSERT INTO main.approval (sync_id, hash, until, at, by, reason, who, kind)
                 SELECT ?1, hash, ?2, ?2, ?3, ?4, who, kind FROM temp.plan_change WHERE held IS NULL
                 ON CONFLICT (sync_id, hash) DO UPDATE SET at = excluded.at, by = excluded.by, reason = excluded.reason",
                params![sync, now, by, reason],
            )?;
            c.execute("UPDATE temp.plan_change SET approved = 1 WHERE held IS NULL", [])
        })
        .map(drop)
    }

    /// The change added last was taken back before by the undo `cycle`: held unless somebody approved it since.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_undone_last(&self, why: &str, cycle: i64) -> Result<(), StateError> {
        self.run(|c| {
            let last =
                "UPDATE temp.plan_change SET undone = ?1, undone_by = ?2 WHERE seq = (SELECT max(seq) FROM temp.plan_change)";
            c.execute(last, params![why, cycle])
        })
        .map(drop)
    }

    /// Holds what was taken back before and nobody approved.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_hold_undone(&self) -> Result<(), StateError> {
        self.run(|c| {
            c.execute("UPDATE temp.plan_change SET held = undone WHERE undone IS NOT NULL AND approved = 0 AND held IS NULL", [])
        })
        .map(drop)
    }
}
