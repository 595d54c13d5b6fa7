//! Entries: what the source said, staged while a read runs, merged in one transaction with the cursor when it is
//! complete.

use super::hash::{self, Hash};
use super::{StateError, Store, kind_no};
use crate::model::{Entry, ObjectKind, Seal, Seals, SourceKey};
use rusqlite::params;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most newcomers that a read may announce before it brings them.
const MOST_OWED: usize = 100_000;

/// Empties what is staged.
pub(super) const EMPTY: &str = "DELETE FROM temp.stage; DELETE FROM temp.stage_gone; DELETE FROM temp.stage_seal";

/// Members as they are staged: hashes of references, one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Members {
    /// All of them.
    All(Vec<u8>),
    /// Those that are known, with these changes.
    Known { joined: Vec<u8>, left: Vec<u8> },
}

/// What the store knows before a read: 48 octets per entry, in order, so that a read without changes touches the database
/// only once.
#[derive(Debug, Default)]
pub struct Known {
    rows: Arc<Rows>,
    seen: Vec<bool>,
    /// Known entries of which something is staged already: the last word counts.
    touched: HashSet<Hash>,
    /// The read spoke of this entry as known, and it is not: the read cannot be used.
    misfit: Option<SourceKey>,
    /// Entries that were said to be there and are not known: the read has to bring them yet (RFC 4533 section 3.3.1 names who
    /// is present before it sends who is new).
    owed: HashMap<Hash, SourceKey>,
    /// Of some entries it was only said that they are there.
    pub kept: bool,
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
}

/// How an entry stands to what is known.
#[derive(Clone, Copy)]
pub(super) enum Met {
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

    /// Notes that the entry was named as one that is there and has not changed.
    pub fn meet_kept(&mut self, kind: ObjectKind, key: SourceKey) {
        self.kept = true;
        match self.rows.place(&hash::key(kind, key.as_str())) {
            Some(i) => self.seen[i] = true,
            None if self.owed.len() < MOST_OWED => drop(self.owed.insert(hash::key(kind, key.as_str()), key)),
            None => self.misfit(key),
        }
    }

    /// Notes that the read speaks of an entry as known that is not.
    pub(super) fn misfit(&mut self, key: SourceKey) {
        self.misfit.get_or_insert(key);
    }

    /// Who is spoken of as known and is not: the read cannot be used. To be asked when it has ended.
    #[must_use]
    pub fn stranger(&self) -> Option<&SourceKey> {
        self.misfit.as_ref().or_else(|| self.owed.values().next())
    }

    /// Something is staged of this entry. Only known ones are noted: of others the last word replaces the one before.
    pub(super) fn touch(&mut self, key: Hash) {
        if self.rows.place(&key).is_some() {
            self.touched.insert(key);
        }
    }

    /// Notes that the entry was named.
    pub(super) fn meet(&mut self, key: &Hash, content: &Hash, seal: Option<Seal>) -> Met {
        let Some(i) = self.rows.place(key) else {
            self.owed.remove(key);
            return Met::Changed;
        };
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
        Ok(Known { rows: Arc::new(Rows(rows)), seen, ..Known::default() })
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
        let key = hash::key(entry.kind, entry.key.as_str());
        let met = known.meet(&key, &content, seal);
        if !matches!(met, Met::Changed) {
            self.unstage(known, entry.kind, &entry.key)?;
        }
        match met {
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
        known.touch(key);
        let names = hash::names(entry).concat();
        let members: Vec<u8> = entry.members.iter().flat_map(hash::member).collect();
        self.stage_row(entry, &content, seal, &names, &Members::All(members))?;
        Ok(true)
    }

    /// Writes one staged row.
    pub(super) fn stage_row(
        &self,
        entry: &Entry,
        content: &Hash,
        seal: Option<Seal>,
        names: &[u8],
        members: &Members,
    ) -> Result<(), StateError> {
        let data = serde_json::to_vec(&Stored::of(entry)).map_err(|e| self.damaged(e.to_string()))?;
        let (all, joined, left) = match members {
            Members::All(all) => (Some(all), None, None),
            Members::Known { joined, left } => (None, Some(joined), Some(left)),
        };
        self.run(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO temp.stage (kind, key, hash, seal, label, due, disabled, data, names, members, joined, left_out)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
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
                all,
                joined,
                left
            ])
        })
        .map(drop)
    }

    /// Takes back what this read said of a known entry before.
    pub(super) fn unstage(&self, known: &mut Known, kind: ObjectKind, key: &SourceKey) -> Result<(), StateError> {
        if !known.touched.remove(&hash::key(kind, key.as_str())) {
            return Ok(());
        }
        self.run(|c| {
            for table in ["stage", "stage_gone"] {
                c.prepare_cached(&format!("DELETE FROM temp.{table} WHERE kind = ?1 AND key = ?2"))?
                    .execute(params![kind_no(kind), key.as_str()])?;
            }
            Ok(())
        })
    }

    /// Stages a deletion that the source itself stated.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage_deleted(&self, known: &mut Known, key: &SourceKey) -> Result<(), StateError> {
        self.stage_left(known, ObjectKind::User, key)?;
        self.stage_left(known, ObjectKind::Group, key)
    }

    /// Stages that an entry of one kind is gone, as the source itself stated.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage_left(&self, known: &mut Known, kind: ObjectKind, key: &SourceKey) -> Result<(), StateError> {
        // The last word counts.
        known.touch(hash::key(kind, key.as_str()));
        self.run(|c| {
            c.prepare_cached("INSERT OR REPLACE INTO temp.stage_gone (kind, key, explicit) VALUES (?1, ?2, 1)")?
                .execute(params![kind_no(kind), key.as_str()])?;
            c.prepare_cached("DELETE FROM temp.stage WHERE kind = ?1 AND key = ?2")?.execute(params![kind_no(kind), key.as_str()])
        })
        .map(drop)
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
pub(super) struct Stored {
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
