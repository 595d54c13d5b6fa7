//! Entries: what the source said, staged while a read runs, merged in one transaction with the cursor when it is
//! complete.

use super::hash::{self, Hash};
use super::known::{Known, Met};
use super::{StateError, Store, kind_no};
use crate::model::{Entry, ObjectKind, Seal, SourceKey};
use rusqlite::params;

/// Empties what is staged.
pub(super) const EMPTY: &str =
    "DELETE FROM temp.stage; DELETE FROM temp.stage_gone; DELETE FROM temp.stage_seal; DELETE FROM temp.stage_unread";

/// Members as they are staged: hashes of references, one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Members {
    /// All of them.
    All(Vec<u8>),
    /// Those that are known, with these changes.
    Known { joined: Vec<u8>, left: Vec<u8> },
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
        let met = known.meet(entry.kind, entry.key.as_str(), &content, seal);
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
        known.touch(entry.kind, entry.key.as_str());
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

    /// Stages that a group is there and could not be read: a full read says nothing of who its references mean.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn stage_unread(&self, group: &SourceKey) -> Result<(), StateError> {
        self.run(|c| c.prepare_cached("INSERT OR IGNORE INTO temp.stage_unread (key) VALUES (?1)")?.execute([group.as_str()]))
            .map(drop)
    }

    /// Takes back what this read said of a known entry before.
    pub(super) fn unstage(&self, known: &mut Known, kind: ObjectKind, key: &SourceKey) -> Result<(), StateError> {
        if !known.untouch(kind, key.as_str()) {
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
        known.touch(kind, key.as_str());
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
        if known.all_named() {
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
                if !known.is_named(super::kind_of(kind), key) {
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

    /// Whether the staged read names anybody who is not known yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn stage_has_newcomers(&self, sync: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM temp.stage WHERE NOT EXISTS
                 (SELECT 1 FROM entry e WHERE e.sync_id = ?1 AND e.kind = stage.kind AND e.key = stage.key))",
                [sync],
                |r| r.get(0),
            )
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
