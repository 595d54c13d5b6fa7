//! Links: source key <-> target id, with what was last pushed and who made the account.

use super::references::by_user_id;
use super::{Sql, StateError, Store, kind_no};
use crate::model::{Flat, ObjectKind, TargetId};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Who made the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// We did.
    Created,
    /// It was there, and was linked.
    Adopted,
}

/// A link.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The entry.
    pub entry_id: i64,
    /// The account or group at the target.
    pub target_id: TargetId,
    /// Who made it.
    pub origin: Origin,
    /// As last pushed.
    pub pushed: Flat,
    /// Active, as last pushed.
    pub active: bool,
    /// Since when not.
    pub inactive_since: Option<i64>,
    /// Confirmed missing at the target.
    pub gone: bool,
    /// Unix second since which the entry has a link.
    pub since: i64,
    /// Not shown by the target since it is inactive.
    pub hidden: bool,
}

pub(super) const COLUMNS: &str =
    "l.entry_id, l.target_id, l.origin, l.pushed, l.active, l.inactive_since, l.gone, l.created_at, l.hidden = 1";

/// Reads a link whose columns start at `at`; `None` where the outer join found none.
pub(super) fn read(r: &Row<'_>, at: usize) -> rusqlite::Result<Option<Link>> {
    let Some(entry_id) = r.get::<_, Option<i64>>(at)? else { return Ok(None) };
    let pushed = r.get_ref(at + 3)?.as_str()?;
    let pushed = serde_json::from_str(pushed)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(at + 3, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok(Some(Link {
        entry_id,
        target_id: TargetId(r.get(at + 1)?),
        origin: if r.get::<_, i64>(at + 2)? == 0 { Origin::Created } else { Origin::Adopted },
        pushed,
        active: r.get(at + 4)?,
        inactive_since: r.get(at + 5)?,
        gone: r.get(at + 6)?,
        since: r.get(at + 7)?,
        hidden: r.get(at + 8)?,
    }))
}

/// A linked account, for sampling and for groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// User or group.
    pub kind: ObjectKind,
    /// The account.
    pub target_id: TargetId,
    /// Folded name as last pushed.
    pub name: String,
    /// externalId as last pushed.
    pub external_id: Option<String>,
    /// For people to read.
    pub who: String,
}

/// Or fail: one row, checked before it is written. What SQLite would note down to take it back is a good part of its cost.
const PUT_FIRST: &str = "INSERT OR FAIL INTO link
        (entry_id, sync_id, kind, target_id, origin, pushed, name, active, inactive_since, gone, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, CASE WHEN ?8 THEN NULL ELSE ?9 END, 0, ?9)";

/// Counted here, and not by a trigger.
const COUNT_FIRST: &str = "UPDATE OR FAIL tally SET linked = linked + 1, active = active + ?3 WHERE sync_id = ?1 AND kind = ?2";

/// The same for an entry that has a link.
const PUT_AGAIN: &str = "UPDATE link SET target_id = ?4, origin = CASE WHEN target_id = ?4 THEN origin ELSE ?5 END,
        pushed = ?6, name = ?7, active = ?8, inactive_since = CASE WHEN ?8 THEN NULL ELSE ?9 END, gone = 0, hidden = min(hidden, 1) * 2
    WHERE entry_id = ?1";

impl Store {
    /// The link of an entry.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn link(&self, entry: i64) -> Result<Option<Link>, StateError> {
        self.run(|c| {
            c.prepare_cached(&format!("SELECT {COLUMNS} FROM link l WHERE l.entry_id = ?1"))?
                .query_row([entry], |r| read(r, 0))
                .optional()
                .map(Option::flatten)
        })
    }

    /// Links of every sync with this one's target go over to other ids: in a private copy, for a copy of the target.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn relocate_links(&mut self, sync: i64, moved: &[(ObjectKind, TargetId, String)]) -> Result<(), StateError> {
        let syncs = self.syncs_of_target(sync)?;
        self.transaction(|c| {
            let mut st = c.prepare("UPDATE link SET target_id = ?1 WHERE sync_id = ?2 AND kind = ?3 AND target_id = ?4")?;
            for (kind, old, new) in moved {
                for sync in &syncs {
                    st.execute(params![new, sync, kind_no(*kind), old.as_str()])?;
                }
            }
            Ok(())
        })
    }

    /// The account of an entry has another id from now on. The groups that it was noted to be in (as [`Self::groups_with`] names
    /// them) are to be looked at, and it is noted in none of them any more: there it stands under its old id. `None`, and
    /// nothing is changed, where a link of the sync has that id.
    ///
    /// An account that was `made` (Unix second) after the link was is not the one that we made.
    ///
    /// # Errors
    /// The store cannot be written; then nothing is changed.
    pub fn move_link(&self, entry: i64, new: &TargetId, made: Option<i64>) -> Result<Option<Vec<(i64, TargetId)>>, StateError> {
        let wrap = |source| StateError::Sqlite { path: self.path().to_owned(), source };
        let tx = self.conn.unchecked_transaction().map_err(wrap)?;
        let moved = self.run(|c| {
            c.execute(
                "UPDATE OR IGNORE link SET target_id = ?2, gone = 0, origin = CASE WHEN ?3 > created_at THEN 1 ELSE origin END
                 WHERE entry_id = ?1",
                params![entry, new.as_str(), made],
            )
        })?;
        if moved == 0 {
            return Ok(None);
        }
        let groups = self.groups_with(entry)?;
        for (group, _) in &groups {
            self.set_pushed_members(*group, &[entry], false)?;
            self.mark(*group)?;
        }
        tx.commit().map_err(wrap)?;
        Ok(Some(groups))
    }

    /// The groups at the target that a person is noted to be in: entry and id of each.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn groups_with(&self, member: i64) -> Result<Vec<(i64, TargetId)>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT l.entry_id, l.target_id FROM pushed_member p JOIN link l ON l.entry_id = p.group_id
                 WHERE p.member_id = ?1 AND l.gone = 0 ORDER BY l.entry_id",
            )?;
            let rows = st.query_map([member], |r| Ok((r.get(0)?, TargetId(r.get(1)?))))?;
            rows.collect()
        })
    }

    /// Some active accounts that are linked, oldest first; of nobody who is to lose theirs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn some_active_links(&self, sync: i64, n: u32) -> Result<Vec<TargetId>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT target_id FROM link WHERE sync_id = ?1 AND kind = 0 AND gone = 0 AND active = 1 AND NOT EXISTS
                    (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = link.entry_id AND p.kind IN ('deactivate', 'delete'))
                 ORDER BY entry_id LIMIT ?2",
            )?;
            let rows = st.query_map(params![sync, n], |r| Ok(TargetId(r.get(0)?)))?;
            rows.collect()
        })
    }

    /// Writes a link and clears what stood in its way.
    ///
    /// # Errors
    /// The store cannot be written; the target id is linked to another entry of the sync.
    #[allow(clippy::too_many_arguments)]
    pub fn put_link(
        &self,
        sync: i64,
        kind: ObjectKind,
        entry: i64,
        target: &TargetId,
        origin: Origin,
        pushed: &Flat,
        now: i64,
    ) -> Result<(), StateError> {
        self.run(|c| {
            // An account that somebody else had, that was gone, and that is there again.
            let mut had = c.prepare_cached(
                "SELECT entry_id FROM link WHERE sync_id = ?1 AND kind = ?2 AND target_id = ?3 AND gone = 1 AND entry_id <> ?4",
            )?;
            let had = had.query_row(params![sync, kind_no(kind), target.as_str(), entry], |r| r.get::<_, i64>(0)).optional()?;
            had.map_or(Ok(0), |other| c.execute("DELETE FROM link WHERE entry_id = ?1", [other]))
        })?;
        if self.put_first_link(sync, kind, entry, target, origin, pushed, now)? {
            Ok(())
        } else {
            Err(self.damaged(format!("the {kind} {target} is linked to another entry already")))
        }
    }

    /// Writes a link to an account that no link of the sync names. `false`, and nothing is written, where one does.
    ///
    /// # Errors
    /// The store cannot be written.
    #[allow(clippy::too_many_arguments)]
    pub fn put_first_link(
        &self,
        sync: i64,
        kind: ObjectKind,
        entry: i64,
        target: &TargetId,
        origin: Origin,
        pushed: &Flat,
        now: i64,
    ) -> Result<bool, StateError> {
        let (name, active) = (folded_name(kind, pushed), is_active(pushed));
        let json = serde_json::to_string(pushed).map_err(|e| self.damaged(e.to_string()))?;
        self.run(|c| {
            let known = c.prepare_cached("SELECT 1 FROM link WHERE entry_id = ?1")?.exists([entry])?;
            let put = c.prepare_cached(if known { PUT_AGAIN } else { PUT_FIRST })?.execute(params![
                entry,
                sync,
                kind_no(kind),
                target.as_str(),
                i64::from(origin == Origin::Adopted),
                json,
                name,
                active,
                now
            ]);
            match put {
                Ok(_) => {
                    if !known {
                        c.prepare_cached(COUNT_FIRST)?.execute(params![sync, kind_no(kind), active])?;
                    }
                    owe(c, entry, (kind == ObjectKind::User).then_some(&name))?;
                    Ok(true)
                }
                Err(rusqlite::Error::SqliteFailure(e, _)) if e.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE => {
                    Ok(false)
                }
                Err(e) => Err(e),
            }
        })
    }

    /// Notes what was pushed to a linked resource. Where the target was seen to hide who is inactive, whoever becomes so is hidden:
    /// not every write is looked at.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_pushed(&self, kind: ObjectKind, entry: i64, pushed: &Flat, now: i64) -> Result<(), StateError> {
        self.put_known(kind, entry, pushed, true, now)
    }

    /// Notes what a read of the target showed of a linked resource: one that is shown inactive is not hidden.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_seen(&self, kind: ObjectKind, entry: i64, seen: &Flat, now: i64) -> Result<(), StateError> {
        self.put_known(kind, entry, seen, false, now)
    }

    fn put_known(&self, kind: ObjectKind, entry: i64, pushed: &Flat, written: bool, now: i64) -> Result<(), StateError> {
        let (name, active) = (folded_name(kind, pushed), is_active(pushed));
        let json = serde_json::to_string(pushed).map_err(|e| self.damaged(e.to_string()))?;
        self.run(|c| {
            c.prepare_cached(
                "UPDATE OR FAIL link SET pushed = ?2, name = ?3, active = ?4, hidden = CASE WHEN ?4 THEN min(hidden, 1) * 2
                        WHEN ?6 AND active = 1 AND kind = 0 AND EXISTS (SELECT 1 FROM link o WHERE o.sync_id = link.sync_id AND o.hidden > 0) THEN 1
                        ELSE hidden END,
                    inactive_since = CASE WHEN ?4 THEN NULL ELSE coalesce(inactive_since, ?5) END WHERE entry_id = ?1",
            )?
            .execute(params![entry, json, name, active, now, written])
        })
        .map(drop)
    }

    /// Notes that the account is confirmed missing at the target. Its members are forgotten, and so are its memberships;
    /// the groups are looked at again when it may be a member again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_link_gone(&self, entry: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute("UPDATE link SET gone = 1 WHERE entry_id = ?1", [entry])?;
            c.execute("UPDATE entry SET eligible = 0 WHERE id = ?1", [entry])?;
            c.execute("UPDATE reference SET owed = 1 WHERE member_id = ?1", [entry])?;
            c.execute("DELETE FROM pushed_member WHERE group_id = ?1 OR member_id = ?1", [entry])
        })
        .map(drop)
    }

    /// Notes that the target does not show the account while it is inactive: that it is not there says nothing. The
    /// column is 1 from then on, and 2 when the account is active and shown again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_link_hidden(&self, entry: i64) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE link SET hidden = 1 WHERE entry_id = ?1", [entry])).map(drop)
    }

    /// An account is not shown: hidden, where it is inactive and the target was seen to hide such accounts; else gone.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_link_unseen(&self, sync: i64, entry: i64) -> Result<(), StateError> {
        if self.note_hidden(sync, entry)? { Ok(()) } else { self.set_link_gone(entry) }
    }

    /// Whether an account that is not shown is hidden rather than gone; then it is noted as such.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn note_hidden(&self, sync: i64, entry: i64) -> Result<bool, StateError> {
        let hidden = self.run(|c| {
            c.prepare_cached(
                "UPDATE link SET hidden = 1 WHERE entry_id = ?2 AND kind = 0 AND active = 0
                 AND EXISTS (SELECT 1 FROM link WHERE sync_id = ?1 AND hidden > 0)",
            )?
            .execute([sync, entry])
        })?;
        Ok(hidden > 0)
    }

    /// Whether the target was seen to hide who is inactive.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn hides_inactive(&self, sync: i64) -> Result<bool, StateError> {
        self.run(|c| c.prepare_cached("SELECT 1 FROM link WHERE sync_id = ?1 AND hidden > 0 LIMIT 1")?.exists([sync]))
    }

    /// The target shows who is inactive: nobody is hidden there, and whoever was taken for it is looked at like all others.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_nobody_hidden(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE link SET hidden = 0 WHERE sync_id = ?1 AND hidden > 0", [sync])).map(drop)
    }

    /// Forgets a link (its account was deleted by us).
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn drop_link(&self, entry: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute("DELETE FROM pushed_member WHERE group_id = ?1 OR member_id = ?1", [entry])?;
            c.execute("UPDATE reference SET owed = 1 WHERE member_id = ?1", [entry])?;
            c.execute("DELETE FROM link WHERE entry_id = ?1", [entry])
        })
        .map(drop)
    }

    /// Whom a target id is linked to (source key, and the sync where it is another one), in this sync or in another one of
    /// the same target (by its name in the configuration, or by its address); `except` is the entry that asks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn linked_to(&self, sync: i64, kind: ObjectKind, target: &TargetId, except: i64) -> Result<Option<String>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT e.key || CASE WHEN s.id = ?4 THEN '' ELSE ' by the sync ' || s.name END
                 FROM sync me CROSS JOIN sync s ON s.target = me.target OR s.address = me.address
                    CROSS JOIN link l ON l.sync_id = s.id AND l.kind = ?2 AND l.target_id = ?1 JOIN entry e ON e.id = l.entry_id
                 WHERE me.id = ?4 AND l.gone = 0 AND l.entry_id <> ?3 LIMIT 1",
            )?
            .query_row(params![target.as_str(), kind_no(kind), except, sync], |r| r.get(0))
            .optional()
        })
    }

    /// All syncs that write to the same target as this one, itself included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn syncs_of_target(&self, sync: i64) -> Result<Vec<i64>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT s.id FROM sync me JOIN sync s ON s.target = me.target OR s.address = me.address WHERE me.id = ?1",
            )?;
            let rows = st.query_map([sync], |r| r.get(0))?;
            rows.collect()
        })
    }

    /// Whether any link of these syncs names the target id, be it gone or not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_linked(&self, syncs: &[i64], kind: ObjectKind, target: &TargetId) -> Result<bool, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached("SELECT 1 FROM link WHERE sync_id = ?1 AND kind = ?2 AND target_id = ?3")?;
            for sync in syncs {
                if st.exists(params![sync, kind_no(kind), target.as_str()])? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Up to `n` live links of the sync, spread over all of them, always the same ones for the same links.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn sample_links(&self, sync: i64, n: u32) -> Result<Vec<Sample>, StateError> {
        self.run(|c| {
            let total: i64 = c.query_row("SELECT count(*) FROM link WHERE sync_id = ?1 AND gone = 0 AND hidden <> 1", [sync], |r| r.get(0))?;
            let step = (total / i64::from(n.max(1))).max(1);
            let mut st = c.prepare(
                "SELECT kind, target_id, name, label, external FROM (SELECT l.kind, l.target_id, l.name, e.label,
                    l.pushed ->> '$.externalId' AS external, row_number() OVER (ORDER BY l.kind, l.entry_id) AS no FROM link l JOIN entry e ON e.id = l.entry_id
                    WHERE l.sync_id = ?1 AND l.gone = 0 AND l.hidden <> 1) WHERE (no - 1) % ?2 = 0 LIMIT ?3",
            )?;
            let rows = st.query_map(params![sync, step, n], |r| {
                Ok(Sample {
                    kind: super::kind_of(r.get(0)?),
                    target_id: TargetId(r.get(1)?),
                    name: r.get(2)?,
                    who: r.get(3)?,
                    external_id: r.get(4)?,
                })
            })?;
            rows.collect()
        })
    }
}

/// Whoever refers to this one (as a manager), or to somebody of this user ID, is owed a look.
fn owe(c: &Connection, entry: i64, user_id: Option<&String>) -> Sql<()> {
    // Looked at first: an update that finds nobody costs more.
    if c.prepare_cached("SELECT 1 FROM reference WHERE member_id = ?1 LIMIT 1")?.exists([entry])? {
        c.prepare_cached("UPDATE reference SET owed = 1 WHERE member_id = ?1")?.execute([entry])?;
    }
    let Some(name) = user_id.map(|id| by_user_id(id)) else { return Ok(()) };
    if c.prepare_cached("SELECT 1 FROM reference_sought WHERE name = ?1 LIMIT 1")?.exists([name])? {
        c.prepare_cached(
            "UPDATE reference SET owed = 1 WHERE entry_id IN (SELECT entry_id FROM reference_sought WHERE name = ?1)",
        )?
        .execute([name])?;
    }
    Ok(())
}

/// userName or displayName of a flat resource, folded for comparison.
#[must_use]
pub fn folded_name(kind: ObjectKind, flat: &Flat) -> String {
    flat.get(kind.name_attribute()).and_then(serde_json::Value::as_str).unwrap_or_default().to_lowercase()
}

fn is_active(flat: &Flat) -> bool {
    flat.get("active") != Some(&serde_json::Value::Bool(false))
}
