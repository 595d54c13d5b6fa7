//! Entries: what the source said, staged while a read runs, merged in one transaction with the cursor when it is
//! complete.

use super::hash::{self, Hash};
use super::{Sql, StateError, Store, kind_no};
use crate::model::{Entry, ObjectKind, Seal, Seals, SourceKey};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Empties what is staged.
const EMPTY: &str = "DELETE FROM temp.stage; DELETE FROM temp.stage_gone; DELETE FROM temp.stage_seal";

/// What the store knows before a read: 48 octets per entry, in order, so that a read without changes touches the database
/// only once.
#[derive(Debug, Default)]
pub struct Known {
    rows: Arc<Rows>,
    seen: Vec<bool>,
    /// The read spoke of this entry as known, and it is not: the read cannot be used.
    pub misfit: Option<SourceKey>,
}

/// Hashes of key, of content, and of the octets that the content came in; all zeros where none was kept.
#[derive(Debug, Default)]
struct Rows(Vec<(Hash, Hash, Seal)>);

impl Rows {
    fn place(&self, key: &Hash) -> Option<usize> {
        self.0.binary_search_by(|(k, ..)| k.cmp(key)).ok()
    }
}

impl Seals for Rows {
    fn find(&self, kind: ObjectKind, key: &str, seal: &Seal) -> Option<usize> {
        self.place(&hash::key(kind, key)).filter(|i| self.0[*i].2 == *seal)
    }

    fn knows(&self, kind: ObjectKind, key: &str) -> bool {
        self.place(&hash::key(kind, key)).is_some()
    }
}

/// How an entry stands to what is known.
enum Met {
    /// New or different.
    Changed,
    /// The same, and said in the same way, or nobody can tell.
    Same,
    /// The same, said in another way.
    Sealed(Seal),
}

impl Known {
    /// For a source that can tell entries by their octets.
    #[must_use]
    pub fn seals(&self) -> Arc<dyn Seals> {
        self.rows.clone()
    }

    /// Notes that the entry at this place of [`Known::seals`] was named, unchanged.
    pub fn meet_unchanged(&mut self, place: usize) {
        if let Some(seen) = self.seen.get_mut(place) {
            *seen = true;
        }
    }

    /// Notes that the entry was named.
    fn meet(&mut self, key: &Hash, content: &Hash, seal: Option<Seal>) -> Met {
        let Some(i) = self.rows.place(key) else { return Met::Changed };
        self.seen[i] = true;
        let (_, known, sealed) = &self.rows.0[i];
        match seal {
            _ if known != content => Met::Changed,
            Some(seal) if seal != *sealed => Met::Sealed(seal),
            _ => Met::Same,
        }
    }
}

/// Numbers of a finished staging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Staged {
    /// Entries named by the read.
    pub read: u64,
    /// Of them new or different.
    pub changed: u64,
}

impl Store {
    /// Loads what is known of the sync's present entries.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn known(&self, sync: i64) -> Result<Known, StateError> {
        let mut rows: Vec<(Hash, Hash, Seal)> = self.run(|c| {
            let mut st =
                c.prepare_cached("SELECT kind, key, hash, seal FROM entry NOT INDEXED WHERE sync_id = ?1 AND gone IS NULL")?;
            let mut out = Vec::new();
            let mut q = st.query([sync])?;
            while let Some(r) = q.next()? {
                let kind = super::kind_of(r.get(0)?);
                let key = r.get_ref(1)?.as_str()?;
                let stored = r.get_ref(2)?.as_blob()?;
                // A stored hash of another length never equals: the entry counts as changed.
                let content: Hash = stored.try_into().unwrap_or([0; 16]);
                let seal = r.get_ref(3)?.as_blob_or_null()?.and_then(|s| s.try_into().ok()).unwrap_or_default();
                out.push((hash::key(kind, key), content, seal));
            }
            Ok(out)
        })?;
        rows.sort_unstable();
        rows.shrink_to_fit();
        let seen = vec![false; rows.len()];
        Ok(Known { rows: Arc::new(Rows(rows)), seen, misfit: None })
    }

    /// Empties the staging tables. Staging runs in one transaction of the temporary database.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage_begin(&self) -> Result<(), StateError> {
        self.run(|c| c.execute_batch(&format!("{EMPTY}; BEGIN")))
    }

    /// Stages one entry if it is new or different. Returns whether it was. The seal is kept in any case.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage(&self, known: &mut Known, entry: &Entry, seal: Option<Seal>) -> Result<bool, StateError> {
        let content = hash::entry(entry);
        match known.meet(&hash::key(entry.kind, entry.key.as_str()), &content, seal) {
            Met::Changed => {}
            Met::Same => return Ok(false),
            Met::Sealed(seal) => {
                return self.run(|c| {
                    c.prepare_cached("INSERT OR REPLACE INTO temp.stage_seal (kind, key, seal) VALUES (?1, ?2, ?3)")?
                        .execute(params![kind_no(entry.kind), entry.key.as_str(), seal])?;
                    Ok(false)
                });
            }
        }
        let data = serde_json::to_vec(&Stored::of(entry)).map_err(|e| self.damaged(e.to_string()))?;
        let names: Vec<u8> = hash::names(entry).concat();
        let members: Vec<u8> = entry.members.iter().flat_map(hash::member).collect();
        self.run(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO temp.stage (kind, key, hash, seal, label, due, disabled, data, names, members)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                kind_no(entry.kind),
                entry.key.as_str(),
                content,
                seal,
                entry.label(),
                entry.due,
                entry.disabled,
                data,
                names,
                members
            ])
        })?;
        Ok(true)
    }

    /// Stages a deletion that the source itself stated.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage_deleted(&self, key: &SourceKey) -> Result<(), StateError> {
        self.run(|c| {
            for kind in [ObjectKind::User, ObjectKind::Group] {
                c.prepare_cached("INSERT OR REPLACE INTO temp.stage_gone (kind, key, explicit) VALUES (?1, ?2, 1)")?
                    .execute(params![kind_no(kind), key.as_str()])?;
                // The last word counts.
                c.prepare_cached("DELETE FROM temp.stage WHERE kind = ?1 AND key = ?2")?
                    .execute(params![kind_no(kind), key.as_str()])?;
            }
            Ok(())
        })
    }

    /// After a complete full read: whatever is known and was not named is absent. Groups only where they were read.
    ///
    /// # Errors
    /// The store cannot be read or the temporary database cannot be written.
    pub fn stage_absent(&self, sync: i64, known: &Known, groups: bool) -> Result<u64, StateError> {
        if known.seen.iter().all(|s| *s) {
            return Ok(0);
        }
        self.run(|c| {
            let mut st = c.prepare("SELECT kind, key FROM entry WHERE sync_id = ?1 AND gone IS NULL")?;
            let mut add = c.prepare("INSERT OR IGNORE INTO temp.stage_gone (kind, key, explicit) VALUES (?1, ?2, 0)")?;
            let mut q = st.query([sync])?;
            let mut n = 0;
            while let Some(r) = q.next()? {
                let kind: i64 = r.get(0)?;
                if kind == kind_no(ObjectKind::Group) && !groups {
                    continue;
                }
                let key = r.get_ref(1)?.as_str()?;
                let h = hash::key(super::kind_of(kind), key);
                let absent = known.rows.place(&h).is_some_and(|i| !known.seen[i]);
                if absent {
                    add.execute(params![kind, key])?;
                    n += 1;
                }
            }
            Ok(n)
        })
    }

    /// Ends staging.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage_end(&self) -> Result<(), StateError> {
        self.run(|c| c.execute_batch("COMMIT"))
    }

    /// Throws the staged read away (a read that failed).
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage_discard(&self) -> Result<(), StateError> {
        self.run(|c| {
            if !c.is_autocommit() {
                c.execute_batch("ROLLBACK")?;
            }
            c.execute_batch(EMPTY)
        })
    }

    /// Merges the staged read and the cursor in one transaction.
    ///
    /// # Errors
    /// The store cannot be written; then nothing of it happened.
    pub fn merge(&mut self, sync: i64, full: bool, cursor: Option<&str>, now: i64) -> Result<(), StateError> {
        self.transaction(|c| merge_staged(c, sync, full, cursor, now))
    }

    /// Drops from the staged read whoever is not known yet, because there is no room for them. Returns how many known ones
    /// and gone ones are left.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn stage_known_only(&self, sync: i64) -> Result<u64, StateError> {
        self.run(|c| {
            c.execute(
                "DELETE FROM temp.stage WHERE NOT EXISTS
                 (SELECT 1 FROM entry e WHERE e.sync_id = ?1 AND e.kind = stage.kind AND e.key = stage.key)",
                [sync],
            )?;
            c.query_row("SELECT (SELECT count(*) FROM temp.stage) + (SELECT count(*) FROM temp.stage_gone)", [], |r| r.get(0))
        })
    }

    /// The entry as the source said it; `None` where it was never read.
    ///
    /// # Errors
    /// The store cannot be read, or the row is damaged.
    pub fn entry(&self, id: i64) -> Result<Option<Entry>, StateError> {
        use rusqlite::OptionalExtension;
        let bytes: Option<Vec<u8>> = self.run(|c| {
            c.prepare_cached("SELECT data FROM entry_data WHERE entry_id = ?1")?.query_row([id], |r| r.get(0)).optional()
        })?;
        bytes.map(|b| decode(&b).map_err(|e| self.damaged(format!("entry {id}: {e}")))).transpose()
    }
}

/// Reads a stored entry.
pub(super) fn decode(bytes: &[u8]) -> serde_json::Result<Entry> {
    serde_json::from_slice::<Stored>(bytes).map(Stored::into_entry)
}

/// An entry as it is kept: everything but names and members, which have tables of their own.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    k: ObjectKind,
    i: SourceKey,
    d: Option<String>,
    a: crate::model::Attrs,
    x: bool,
    u: Option<i64>,
}

impl Stored {
    fn of(e: &Entry) -> Self {
        Self { k: e.kind, i: e.key.clone(), d: e.dn.clone(), a: e.attrs.clone(), x: e.disabled, u: e.due }
    }

    fn into_entry(self) -> Entry {
        Entry {
            kind: self.k,
            key: self.i,
            dn: self.d,
            names: Vec::new(),
            attrs: self.a,
            members: Vec::new(),
            disabled: self.x,
            due: self.u,
        }
    }
}

/// What [`Store::merge`] does, inside a transaction.
pub(super) fn merge_staged(c: &Connection, sync: i64, full: bool, cursor: Option<&str>, now: i64) -> Sql<()> {
    merge_entries(c, sync, now)?;
    merge_names_and_members(c, sync, full)?;
    c.execute(
        "UPDATE sync SET cursor = ?2, complete_read_at = CASE WHEN ?3 THEN ?4 ELSE complete_read_at END WHERE id = ?1",
        params![sync, cursor, full, now],
    )?;
    c.execute_batch(EMPTY)
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
    let mut staged = c.prepare("SELECT kind, key, names, members FROM temp.stage")?;
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
    let mut groups = c.prepare("SELECT kind, key, members FROM temp.stage WHERE kind = 1")?;
    let mut q = groups.query([])?;
    while let Some(r) = q.next()? {
        let (kind, key): (i64, &str) = (r.get(0)?, r.get_ref(1)?.as_str()?);
        let id: i64 = find.query_row(params![sync, kind, key], |r| r.get(0))?;
        drop_members.execute([id])?;
        for m in r.get_ref(2)?.as_blob()?.chunks_exact(16) {
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
