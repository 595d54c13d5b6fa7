//! What a complete read said, merged into what is known, in one transaction with its cursor.

use super::{Sql, StateError, Store};
use crate::model::ObjectKind;
use rusqlite::{Connection, params};
use std::collections::BTreeSet;

/// A complete read that is to be merged.
#[derive(Debug, Clone, Copy)]
pub struct Merge<'a> {
    /// Every entry was named: the read counts as a full one.
    pub full: bool,
    /// Where the next incremental read starts.
    pub cursor: Option<&'a str>,
    /// What the cursor is good for: with another wish it is not used.
    pub cursor_of: &'a str,
    /// Unix second of the read.
    pub now: i64,
}

impl Store {
    /// Merges the staged read and the cursor in one transaction.
    ///
    /// # Errors
    /// The store cannot be written; then nothing of it happened.
    pub fn merge(&mut self, sync: i64, read: Merge<'_>) -> Result<(), StateError> {
        self.transaction(|c| merge_complete(c, sync, read))
    }

    /// Merges what is staged of a read that is not used whole: the time of the last complete read stays, and so does the
    /// cursor, unless it is of another directory.
    ///
    /// # Errors
    /// As [`Store::merge`].
    pub fn merge_part(&mut self, sync: i64, keep_cursor: bool, now: i64) -> Result<(), StateError> {
        self.transaction(|c| {
            merge_staged(c, sync, false, now)?;
            c.execute("UPDATE sync SET cursor = NULL WHERE id = ?1 AND NOT ?2", params![sync, keep_cursor])
        })
        .map(drop)
    }
}

/// What [`Store::merge`] does, inside a transaction.
pub(super) fn merge_complete(c: &Connection, sync: i64, read: Merge<'_>) -> Sql<()> {
    merge_staged(c, sync, read.full, read.now)?;
    c.execute(
        "UPDATE sync SET cursor = ?2, cursor_of = ?3, complete_read_at = ?4,
            full_read_at = CASE WHEN ?5 THEN ?4 ELSE full_read_at END WHERE id = ?1",
        params![sync, read.cursor, read.cursor_of, read.now, read.full],
    )
    .map(drop)
}

/// Merges what is staged, inside a transaction.
fn merge_staged(c: &Connection, sync: i64, full: bool, now: i64) -> Sql<()> {
    merge_entries(c, sync, now)?;
    merge_names_and_members(c, sync, full)?;
    c.execute_batch(super::entries::EMPTY)
}

// CROSS JOIN fixes the order in all of these: from what was staged outwards, so that the work follows the changes and not the
// size of the directory, and rows are written in the order of their numbers.
fn merge_entries(c: &Connection, sync: i64, now: i64) -> Sql<()> {
    // A key that moved from one kind to the other is gone under its old kind.
    c.execute(
        "UPDATE entry SET gone = ?2, dirty = 1, user_id = NULL WHERE gone IS NULL AND id IN
         (SELECT e.id FROM temp.stage_gone g CROSS JOIN entry e ON e.sync_id = ?1 AND e.kind = g.kind AND e.key = g.key
          WHERE NOT EXISTS (SELECT 1 FROM temp.stage s WHERE s.kind = g.kind AND s.key = g.key))",
        params![sync, now],
    )?;
    drop_names_of_gone(c, sync)?;
    c.execute(
        "UPDATE entry SET seal = s.seal FROM temp.stage_seal s WHERE sync_id = ?1 AND entry.kind = s.kind AND entry.key = s.key",
        [sync],
    )?;
    c.execute(
        "INSERT INTO entry (sync_id, kind, key, hash, seal, label, due, dirty)
         SELECT ?1, kind, key, hash, seal, label, due, 1 FROM temp.stage WHERE TRUE
         ON CONFLICT (sync_id, kind, key) DO UPDATE SET
            hash = excluded.hash, seal = excluded.seal, label = excluded.label, due = excluded.due, gone = NULL, dirty = 1",
        params![sync],
    )?;
    // Whatever was refused or undecided is tried at once when the entry changed.
    c.execute(
        "UPDATE parked SET next_try = 0 WHERE sync_id = ?1 AND entry_id IN
         (SELECT e.id FROM temp.stage s CROSS JOIN entry e ON e.sync_id = ?1 AND e.kind = s.kind AND e.key = s.key)",
        params![sync],
    )?;
    c.execute(
        "INSERT INTO entry_data (entry_id, data)
         SELECT e.id, s.data FROM temp.stage s CROSS JOIN entry e ON e.sync_id = ?1 AND e.kind = s.kind AND e.key = s.key
         WHERE TRUE
         ON CONFLICT (entry_id) DO UPDATE SET data = excluded.data",
        params![sync],
    )?;
    Ok(())
}

/// Who is gone gives up its names: references to them dangle until another entry bears them. The groups around it are
/// looked at, whatever the directory does about its references.
fn drop_names_of_gone(c: &Connection, sync: i64) -> Sql<()> {
    let gone = "SELECT e.id FROM temp.stage_gone g JOIN entry e ON e.sync_id = ?1 AND e.kind = g.kind AND e.key = g.key
                WHERE e.gone IS NOT NULL";
    for sql in [
        "UPDATE entry SET dirty = 1 WHERE id IN (SELECT group_id FROM member WHERE member_id IN ({gone}))",
        "UPDATE member SET member_id = NULL WHERE member_id IN ({gone})",
        "DELETE FROM entry_name WHERE entry_id IN ({gone})",
    ] {
        c.execute(&sql.replace("{gone}", gone), [sync])?;
    }
    Ok(())
}

fn merge_names_and_members(c: &Connection, sync: i64, full: bool) -> Sql<()> {
    let id_of = "SELECT id FROM entry WHERE sync_id = ?1 AND kind = ?2 AND key = ?3";
    let mut staged = c.prepare("SELECT kind, key, names FROM temp.stage")?;
    let mut find = c.prepare(id_of)?;
    let mut old_names = c.prepare("SELECT name FROM entry_name WHERE entry_id = ?1")?;
    let mut drop_names = c.prepare("DELETE FROM entry_name WHERE entry_id = ?1")?;
    let mut add_name = c.prepare("INSERT OR IGNORE INTO entry_name (sync_id, name, entry_id) VALUES (?1, ?2, ?3)")?;
    let mut moved = false;
    let mut q = staged.query([])?;
    while let Some(r) = q.next()? {
        let (kind, key): (i64, &str) = (r.get(0)?, r.get_ref(1)?.as_str()?);
        let id: i64 = find.query_row(params![sync, kind, key], |r| r.get(0))?;
        let names: BTreeSet<&[u8]> = r.get_ref(2)?.as_blob()?.chunks_exact(16).collect();
        let before = old_names.query_map([id], |r| r.get(0))?.collect::<Sql<BTreeSet<Vec<u8>>>>()?;
        if before.iter().map(Vec::as_slice).eq(names.iter().copied()) {
            continue;
        }
        moved |= drop_names.execute([id])? > 0;
        for name in names {
            add_name.execute(params![sync, name, id])?;
        }
    }
    // Names first, for all: a group may name somebody who comes behind it.
    let mut drop_members = c.prepare("DELETE FROM member WHERE group_id = ?1")?;
    let mut add_member = c.prepare(
        "INSERT OR IGNORE INTO member (group_id, ref, member_id)
         VALUES (?1, ?2, (SELECT entry_id FROM entry_name WHERE sync_id = ?3 AND name = ?2 LIMIT 1))",
    )?;
    let mut groups = c.prepare("SELECT key, members, joined, left_out FROM temp.stage WHERE kind = 1")?;
    let mut leave = c.prepare("DELETE FROM member WHERE group_id = ?1 AND ref = ?2")?;
    // Renamed since the group was read: the reference is an older name of whoever leaves.
    let mut leave_by_name = c.prepare(
        "DELETE FROM member WHERE group_id = ?1 AND member_id = (SELECT entry_id FROM entry_name WHERE sync_id = ?3 AND name = ?2 LIMIT 1)",
    )?;
    let mut q = groups.query([])?;
    while let Some(r) = q.next()? {
        let id: i64 = find.query_row(params![sync, super::kind_no(ObjectKind::Group), r.get_ref(0)?.as_str()?], |r| r.get(0))?;
        let joined = match r.get_ref(1)?.as_blob_or_null()? {
            Some(all) => {
                drop_members.execute([id])?;
                all
            }
            None => {
                for m in r.get_ref(3)?.as_blob_or_null()?.unwrap_or_default().chunks_exact(16) {
                    if leave.execute(params![id, m])? == 0 {
                        leave_by_name.execute(params![id, m, sync])?;
                    }
                }
                r.get_ref(2)?.as_blob_or_null()?.unwrap_or_default()
            }
        };
        for m in joined.chunks_exact(16) {
            add_member.execute(params![id, m, sync])?;
        }
    }
    // References that dangled and have found their entry now: the group is owed a look. (The plus keeps the index of
    // the sync out of it: from the few dangling references outwards.)
    let late = c.execute(
        "UPDATE entry SET dirty = 1 WHERE +sync_id = ?1 AND id IN (SELECT m.group_id FROM member m INDEXED BY member_dangling
            WHERE m.member_id IS NULL AND EXISTS (SELECT 1 FROM entry_name n WHERE n.sync_id = ?1 AND n.name = m.ref))",
        [sync],
    )?;
    if late > 0 {
        c.execute(
            "UPDATE member SET member_id = (SELECT entry_id FROM entry_name WHERE sync_id = ?1 AND name = member.ref LIMIT 1)
             WHERE member_id IS NULL AND (SELECT g.sync_id FROM entry g WHERE g.id = member.group_id) = ?1",
            [sync],
        )?;
    }
    if full {
        let before = c.execute("DELETE FROM meta WHERE key = ?1", [names_moved(sync)])? > 0;
        if moved || before {
            resolve_again(c, sync, before)?;
        }
    } else if moved {
        // Servers do not resend a group because a member was renamed: the reference keeps its entry until a full read.
        c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, x'01')", [names_moved(sync)])?;
    }
    Ok(())
}

/// Says that names moved in incremental reads since the last full one.
fn names_moved(sync: i64) -> String {
    format!("names_moved:{sync}")
}

/// In a full read what the directory says now is the truth: a reference that no longer names its entry dangles, or names
/// another one. Only entries in this read can have moved, unless incremental reads came before (`everyone`).
fn resolve_again(c: &Connection, sync: i64, everyone: bool) -> Sql<()> {
    let moved = "AND m.member_id IN (SELECT e.id FROM temp.stage s
                 JOIN entry e ON e.sync_id = ?1 AND e.kind = s.kind AND e.key = s.key)";
    let stale = format!(
        "SELECT m.group_id, m.ref FROM member m JOIN entry g ON g.id = m.group_id AND g.sync_id = ?1
         WHERE m.member_id IS NOT NULL {} AND NOT EXISTS
            (SELECT 1 FROM entry_name n WHERE n.sync_id = ?1 AND n.name = m.ref AND n.entry_id = m.member_id)",
        if everyone { "" } else { moved }
    );
    c.execute(&format!("UPDATE entry SET dirty = 1 WHERE id IN (SELECT group_id FROM ({stale}))"), [sync])?;
    c.execute(
        &format!(
            "UPDATE member SET member_id = (SELECT entry_id FROM entry_name WHERE sync_id = ?1 AND name = member.ref LIMIT 1)
             WHERE (group_id, ref) IN ({stale})"
        ),
        [sync],
    )?;
    Ok(())
}
