//! What a complete read said, merged into what is known, in one transaction with its cursor.

use super::hash::Hash;
use super::{Sql, StateError, Store};
use crate::model::ObjectKind;
use rusqlite::{Connection, OptionalExtension, Statement, params};
use std::collections::{BTreeSet, HashMap};

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
    /// Groups say who takes part: whoever came into one or left one is looked at again.
    pub by_groups: bool,
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
            // What was put together of a part is not relied on when it is said who is in which group.
            super::scope::forget_roots(c, sync)?;
            merge_staged(c, sync, &Merge { full: false, cursor: None, cursor_of: "", now, by_groups: false })?;
            c.execute("UPDATE sync SET cursor = NULL WHERE id = ?1 AND NOT ?2", params![sync, keep_cursor])
        })
        .map(drop)
    }

    /// [`Store::merge`]; where there is no room for newcomers, [`Store::merge_part`] of whoever is known, so that leavers do not
    /// wait. Returns the error that kept the newcomers out.
    ///
    /// # Errors
    /// There is no room even for that, or the store cannot be written for another reason.
    pub fn merge_as_room_allows(
        &mut self,
        sync: i64,
        read: Merge<'_>,
        keep_cursor: bool,
    ) -> Result<Option<StateError>, StateError> {
        let whole =
            if self.has_no_room() && self.stage_has_newcomers(sync)? { Err(self.no_room()) } else { self.merge(sync, read) };
        let error = match whole {
            Err(e) if e.no_room() => e,
            merged => return merged.map(|()| None),
        };
        self.make_room();
        // Not a complete read: cursor and baseline stay, and the next read names the newcomers again.
        if self.stage_known_only(sync)? > 0 {
            self.merge_part(sync, keep_cursor, read.now)?;
        }
        tracing::error!("{error}; newcomers wait, whoever leaves does not");
        Ok(Some(error))
    }
}

/// What [`Store::merge`] does, inside a transaction.
pub(super) fn merge_complete(c: &Connection, sync: i64, read: Merge<'_>) -> Sql<()> {
    merge_staged(c, sync, &read)?;
    c.execute(
        "UPDATE sync SET cursor = ?2, cursor_of = ?3, complete_read_at = ?4,
            full_read_at = CASE WHEN ?5 THEN ?4 ELSE full_read_at END WHERE id = ?1",
        params![sync, read.cursor, read.cursor_of, read.now, read.full],
    )
    .map(drop)
}

/// Merges what is staged, inside a transaction.
fn merge_staged(c: &Connection, sync: i64, read: &Merge<'_>) -> Sql<()> {
    c.execute_batch(FORGET)?;
    merge_entries(c, sync, read.now)?;
    merge_names_and_members(c, sync, read.full)?;
    if read.full {
        super::tally::count_anew(c, sync)?;
        super::scope::forget_roots(c, sync)?;
    } else if read.by_groups {
        super::scope::mark_moved(c)?;
    }
    c.execute_batch(FORGET)?;
    c.execute_batch(super::entries::EMPTY)
}

/// What is noted while a read is merged.
const FORGET: &str = "DELETE FROM temp.moved; DELETE FROM temp.renamed; DELETE FROM temp.stale";

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
    // The pluses keep the indexes of the sync out of it: from the few that are staged outwards.
    c.execute(
        "UPDATE entry SET seal = s.seal FROM
            (SELECT e.id, t.seal FROM temp.stage_seal t CROSS JOIN entry e ON e.sync_id = ?1 AND e.kind = t.kind AND e.key = t.key) s
         WHERE entry.id = s.id",
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

/// Who is gone gives up its names. References keep whom they meant: the same entry may come back. Somebody else who takes such
/// a name gets nothing by them, because directories take references away without a word (OpenLDAP's refint and memberof):
/// only the group's own values, read again, say whether they still stand there. The groups around it are looked at.
fn drop_names_of_gone(c: &Connection, sync: i64) -> Sql<()> {
    for sql in [
        "INSERT OR IGNORE INTO temp.moved {gone}",
        "UPDATE entry SET dirty = 1 WHERE id IN (SELECT m.group_id FROM ({gone}) g CROSS JOIN member m ON m.member_id = g.id)",
        "DELETE FROM entry_name WHERE entry_id IN ({gone})",
        "UPDATE reference SET owed = 1 WHERE member_id IN ({gone})",
    ] {
        c.execute(&sql.replace("{gone}", GONE), [sync])?;
    }
    Ok(())
}

/// Whoever this read says is gone.
const GONE: &str = "SELECT e.id FROM temp.stage_gone g CROSS JOIN entry e ON e.sync_id = ?1 AND e.kind = g.kind AND e.key = g.key
                    WHERE e.gone IS NOT NULL";

/// Hashes as they are staged, one after another.
pub(super) fn hashes(bytes: &[u8]) -> impl Iterator<Item = Hash> {
    bytes.chunks_exact(16).filter_map(|h| h.try_into().ok())
}

fn merge_names_and_members(c: &Connection, sync: i64, full: bool) -> Sql<()> {
    let id_of = "SELECT id FROM entry WHERE sync_id = ?1 AND kind = ?2 AND key = ?3";
    let mut staged = c.prepare("SELECT kind, key, names FROM temp.stage")?;
    let mut find = c.prepare(id_of)?;
    let mut old_names = c.prepare("SELECT name FROM entry_name WHERE entry_id = ?1")?;
    let mut drop_names = c.prepare("DELETE FROM entry_name WHERE entry_id = ?1")?;
    let mut add_name = c.prepare("INSERT OR IGNORE INTO entry_name (sync_id, name, entry_id) VALUES (?1, ?2, ?3)")?;
    let some_dangle: bool = c.query_row(
        "SELECT EXISTS (SELECT 1 FROM member m INDEXED BY member_dangling CROSS JOIN entry g ON g.id = m.group_id
         WHERE m.member_id IS NULL AND g.sync_id = ?1)",
        [sync],
        |r| r.get(0),
    )?;
    // Whom groups refer to and who is gone: in earlier reads, and in this one.
    let before = NamesMoved::load(c, sync)?;
    let referred = format!(
        "INSERT OR IGNORE INTO temp.renamed SELECT g.id FROM ({GONE}) g WHERE EXISTS (SELECT 1 FROM member m WHERE m.member_id = g.id)"
    );
    let mut moved = c.execute(&referred, [sync])? > 0;
    let mut renamed = c.prepare("INSERT OR IGNORE INTO temp.renamed (entry_id) VALUES (?1)")?;
    let mut returned = c.prepare("UPDATE entry SET dirty = 1 WHERE id IN (SELECT group_id FROM member WHERE member_id = ?1)")?;
    let mut joined = c.prepare("INSERT OR IGNORE INTO temp.moved (entry_id) VALUES (?1)")?;
    let mut added: Vec<Hash> = Vec::new();
    let mut q = staged.query([])?;
    while let Some(r) = q.next()? {
        let (kind, key): (i64, &str) = (r.get(0)?, r.get_ref(1)?.as_str()?);
        let id: i64 = find.query_row(params![sync, kind, key], |r| r.get(0))?;
        let names: BTreeSet<Hash> = hashes(r.get_ref(2)?.as_blob()?).collect();
        let old = old_names.query_map([id], |r| r.get(0))?.collect::<Sql<BTreeSet<Hash>>>()?;
        if old == names {
            continue;
        }
        // Everybody has a name: this one is new, or was gone, and then groups may refer to it still.
        if (before != NamesMoved::Nobody || moved) && old.is_empty() && returned.execute([id])? > 0 {
            joined.execute([id])?;
            renamed.execute([id])?;
        }
        // Looked at first: SQLite gathers the rows of such a deletion, none of them too.
        if !old.is_empty() && drop_names.execute([id])? > 0 {
            moved = true;
            renamed.execute([id])?;
        }
        for name in &names {
            add_name.execute(params![sync, name, id])?;
        }
        if some_dangle {
            added.extend(names.difference(&old));
        }
    }
    // Names first, for all: a group may name somebody who comes behind it.
    Memberships::of(c, sync)?.merge_staged()?;
    // References that dangled and have found their entry now: the group is owed a look.
    let found = "SELECT m.group_id, m.ref FROM member m INDEXED BY member_dangling CROSS JOIN entry g ON g.id = m.group_id
                 WHERE m.ref = ?2 AND m.member_id IS NULL AND g.sync_id = ?1";
    let mut owed = c.prepare(&format!("UPDATE entry SET dirty = 1 WHERE id IN (SELECT group_id FROM ({found}))"))?;
    let mut resolve = c.prepare(&format!(
        "UPDATE member SET member_id = (SELECT entry_id FROM entry_name WHERE sync_id = ?1 AND name = ?2 LIMIT 1)
         WHERE (group_id, ref) IN ({found}) RETURNING member_id"
    ))?;
    for name in added {
        owed.execute(params![sync, name])?;
        for id in resolve.query_map(params![sync, name], |r| r.get::<_, i64>(0))?.collect::<Sql<Vec<_>>>()? {
            joined.execute([id])?;
        }
    }
    if full {
        c.execute("DELETE FROM meta WHERE key = ?1", [NamesMoved::key(sync)])?;
        if moved || before != NamesMoved::Nobody {
            // Whoever was meant by a reference that means nobody any more (`prune`): it may name somebody by now.
            renamed.execute([super::prune::NOBODY])?;
            resolve_again(c, sync, before == NamesMoved::Anybody)?;
            // What groups that could not be read refer to is resolved when they are.
            if c.query_row("SELECT EXISTS (SELECT 1 FROM temp.stage_unread)", [], |r| r.get(0))? {
                before.save_with_renamed(c, sync)?;
            }
        }
    } else if moved {
        // Servers do not resend a group because a member was renamed or is gone: the reference keeps its entry until a full read.
        before.save_with_renamed(c, sync)?;
    }
    Ok(())
}

/// Merges who is in which group.
struct Memberships<'c> {
    c: &'c Connection,
    sync: i64,
    known: Statement<'c>,
    bearer: Statement<'c>,
    add: Statement<'c>,
    resolve: Statement<'c>,
    leave: Statement<'c>,
    leave_by_name: Statement<'c>,
    moved: Statement<'c>,
}

impl<'c> Memberships<'c> {
    fn of(c: &'c Connection, sync: i64) -> Sql<Self> {
        const BEARER: &str = "SELECT entry_id FROM entry_name WHERE sync_id = ?1 AND name = ?2 LIMIT 1";
        Ok(Self {
            c,
            sync,
            known: c.prepare("SELECT ref, member_id FROM member WHERE group_id = ?1")?,
            bearer: c.prepare(BEARER)?,
            // A reference to somebody who is gone: it was said again just now, so that it means whoever bears the name now.
            add: c.prepare(
                "INSERT INTO member (group_id, ref, member_id) VALUES (?1, ?2, ?3)
                 ON CONFLICT (group_id, ref) DO UPDATE SET member_id = excluded.member_id
                 WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE e.id = member.member_id AND e.gone IS NULL)",
            )?,
            resolve: c.prepare("UPDATE member SET member_id = ?3 WHERE group_id = ?1 AND ref = ?2")?,
            leave: c.prepare("DELETE FROM member WHERE group_id = ?1 AND ref = ?2 RETURNING member_id")?,
            // Renamed since the group was read: the reference is an older name of whoever leaves.
            leave_by_name: c
                .prepare(&format!("DELETE FROM member WHERE group_id = ?3 AND member_id = ({BEARER}) RETURNING member_id"))?,
            moved: c.prepare("INSERT OR IGNORE INTO temp.moved (entry_id) VALUES (?1)")?,
        })
    }

    fn merge_staged(mut self) -> Sql<()> {
        let mut groups = self.c.prepare(
            "SELECT e.id, s.members, s.joined, s.left_out FROM temp.stage s CROSS JOIN entry e
             ON e.sync_id = ?1 AND e.kind = s.kind AND e.key = s.key WHERE s.kind = ?2",
        )?;
        let mut q = groups.query(params![self.sync, super::kind_no(ObjectKind::Group)])?;
        while let Some(r) = q.next()? {
            let group: i64 = r.get(0)?;
            match r.get_ref(1)?.as_blob_or_null()? {
                Some(all) => self.are(group, hashes(all).collect())?,
                None => {
                    for left in hashes(r.get_ref(3)?.as_blob_or_null()?.unwrap_or_default()) {
                        self.leaves(group, left)?;
                    }
                    for joined in hashes(r.get_ref(2)?.as_blob_or_null()?.unwrap_or_default()) {
                        let bearer = self.bearer(&joined)?;
                        if self.add.execute(params![group, joined, bearer])? > 0 {
                            self.note(bearer)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// These are all members of the group. Only what differs is written: most of a group stays.
    fn are(&mut self, group: i64, now: BTreeSet<Hash>) -> Sql<()> {
        let known =
            self.known.query_map([group], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Sql<HashMap<Hash, Option<i64>>>>()?;
        for gone in known.keys().filter(|member| !now.contains(*member)) {
            self.leaves(group, *gone)?;
        }
        for member in now {
            let bearer = self.bearer(&member)?;
            match known.get(&member) {
                Some(before) if *before == bearer => continue,
                Some(before) => {
                    self.resolve.execute(params![group, member, bearer])?;
                    self.note(*before)?;
                }
                None => drop(self.add.execute(params![group, member, bearer])?),
            }
            self.note(bearer)?;
        }
        Ok(())
    }

    fn leaves(&mut self, group: i64, member: Hash) -> Sql<()> {
        let id = |r: &rusqlite::Row<'_>| r.get::<_, Option<i64>>(0);
        let mut left = self.leave.query_map(params![group, member], id)?.collect::<Sql<Vec<_>>>()?;
        if left.is_empty() {
            left = self.leave_by_name.query_map(params![self.sync, member, group], id)?.collect::<Sql<_>>()?;
        }
        left.into_iter().try_for_each(|id| self.note(id))
    }

    fn bearer(&mut self, name: &Hash) -> Sql<Option<i64>> {
        self.bearer.query_row(params![self.sync, name], |r| r.get(0)).optional()
    }

    /// Somebody came into a group or left it.
    fn note(&mut self, id: Option<i64>) -> Sql<()> {
        id.map_or(Ok(0), |id| self.moved.execute([id])).map(drop)
    }
}

/// Whose names moved or were given up in incremental reads since the last full one. Those of this read stand in `renamed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamesMoved {
    Nobody,
    /// They stand in `renamed` too.
    Noted,
    /// Too many to be noted one by one.
    Anybody,
}

impl NamesMoved {
    /// So many are noted: of more, all references are gone through.
    const MOST: usize = 10_000;

    fn key(sync: i64) -> String {
        format!("names_moved:{sync}")
    }

    fn load(c: &Connection, sync: i64) -> Sql<Self> {
        let noted: Option<Vec<u8>> =
            c.query_row("SELECT value FROM meta WHERE key = ?1", [Self::key(sync)], |r| r.get(0)).optional()?;
        let Some(noted) = noted else { return Ok(Self::Nobody) };
        let (ids, rest) = noted.as_chunks::<8>();
        if !rest.is_empty() {
            return Ok(Self::Anybody);
        }
        let mut add = c.prepare("INSERT OR IGNORE INTO temp.renamed (entry_id) VALUES (?1)")?;
        for id in ids {
            add.execute([i64::from_le_bytes(*id)])?;
        }
        Ok(Self::Noted)
    }

    fn save_with_renamed(self, c: &Connection, sync: i64) -> Sql<()> {
        let mut value = vec![1];
        if self != Self::Anybody {
            let mut st = c.prepare(&format!("SELECT entry_id FROM temp.renamed LIMIT {}", Self::MOST + 1))?;
            let ids = st.query_map([], |r| r.get::<_, i64>(0))?.collect::<Sql<Vec<_>>>()?;
            if ids.len() <= Self::MOST {
                value = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            }
        }
        c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![Self::key(sync), value]).map(drop)
    }
}

/// In a full read what the directory says now is the truth: a reference that no longer names its entry dangles, or names
/// another one. Only whoever is noted can have moved or gone, unless those were too many (`everyone`).
fn resolve_again(c: &Connection, sync: i64, everyone: bool) -> Sql<()> {
    let references = if everyone { "member m" } else { "temp.renamed r CROSS JOIN member m ON m.member_id = r.entry_id" };
    c.execute(
        &format!(
            "INSERT OR IGNORE INTO temp.stale SELECT m.group_id, m.ref FROM {references}
             CROSS JOIN entry g ON g.id = m.group_id AND +g.sync_id = ?1
             WHERE m.member_id IS NOT NULL AND g.key NOT IN (SELECT key FROM temp.stage_unread) AND NOT EXISTS
                (SELECT 1 FROM entry_name n WHERE n.sync_id = ?1 AND n.name = m.ref AND n.entry_id = m.member_id)"
        ),
        [sync],
    )?;
    c.execute("UPDATE entry SET dirty = 1 WHERE id IN (SELECT group_id FROM temp.stale)", [])?;
    let mut stale = c.prepare("SELECT group_id, ref FROM temp.stale")?;
    let mut resolve = c.prepare(
        "UPDATE member SET member_id = (SELECT entry_id FROM entry_name WHERE sync_id = ?1 AND name = ?3 LIMIT 1)
         WHERE group_id = ?2 AND ref = ?3",
    )?;
    let mut q = stale.query([])?;
    while let Some(r) = q.next()? {
        resolve.execute(params![sync, r.get::<_, i64>(0)?, r.get::<_, Hash>(1)?])?;
    }
    Ok(())
}
