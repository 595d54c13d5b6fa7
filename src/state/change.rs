//! Parts of an entry that an incremental read says, put together with what is known of it.

use super::entries::{Members, decode};
use super::hash::{self, Hash};
use super::known::{Known, Met};
use super::merge::hashes;
use super::{Sql, StateError, Store, kind_no};
use crate::model::{Attrs, Entry, EntryChange, MemberRef};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// What is known of an entry: as it is staged, else as it is stored.
struct Base {
    entry: Entry,
    /// Hashes of its names, the key's among them.
    names: BTreeSet<Hash>,
    members: Members,
    /// The row of the entry, where it is stored.
    id: Option<i64>,
}

impl Base {
    /// Nothing is known of it.
    fn of_new(change: &EntryChange) -> Self {
        let entry = Entry {
            kind: change.kind,
            key: change.key.clone(),
            dn: None,
            names: Vec::new(),
            attrs: Attrs::new(),
            members: Vec::new(),
            disabled: false,
            due: None,
        };
        let names = BTreeSet::from([hash::key_name(&entry.key)]);
        Self { entry, names, members: Members::All(Vec::new()), id: None }
    }
}

impl Store {
    /// Stages what changed of an entry. An entry that is not known and cannot be new makes the whole read a misfit: see
    /// [`Known::stranger`].
    ///
    /// # Errors
    /// The store cannot be read, or the temporary database cannot be written.
    pub fn stage_change(&self, sync: i64, known: &mut Known, change: EntryChange) -> Result<(), StateError> {
        let Some(base) = self.base(sync, &change)? else {
            known.misfit(change.key);
            return Ok(());
        };
        let Base { mut entry, mut names, members, id } = base;
        if let Some((dn, said)) = change.names {
            (entry.dn, entry.names) = (dn, said);
            names = hash::names(&entry).into_iter().collect();
        }
        if change.whole {
            entry.attrs = Attrs::new();
        }
        for (name, values) in change.attrs {
            entry.attrs.set(name, values);
        }
        if let Some((disabled, due)) = change.disabled {
            (entry.disabled, entry.due) = (disabled, due);
        }
        let members = match &change.members {
            Some(all) => Members::All(all.iter().flat_map(hash::member).collect()),
            None => members.with(&change.joined, &change.left),
        };
        let key_name = hash::key_name(&entry.key);
        let content = hash::entry_with(
            &entry,
            names.iter().filter(|n| **n != key_name).copied(),
            self.members_now(id, &members)?.into_iter(),
        );
        let met = known.meet(entry.kind, entry.key.as_str(), &content, None);
        self.unstage(known, entry.kind, &entry.key)?;
        // A reference may be an older name of whoever leaves: whether members changed is only known when all names are.
        let moved = matches!(&members, Members::Known { joined, left } if !joined.is_empty() || !left.is_empty());
        if moved || matches!(met, Met::Changed) {
            known.touch(entry.kind, entry.key.as_str());
            let names: Vec<u8> = names.into_iter().flatten().collect();
            self.stage_row(&entry, &content, None, &names, &members)?;
        }
        Ok(())
    }

    fn base(&self, sync: i64, change: &EntryChange) -> Result<Option<Base>, StateError> {
        let (kind, key) = (kind_no(change.kind), change.key.as_str());
        let staged = self.run(|c| {
            c.prepare_cached("SELECT data, names, members, joined, left_out FROM temp.stage WHERE kind = ?1 AND key = ?2")?
                .query_row(params![kind, key], |r| {
                    let members = match r.get(2)? {
                        Some(all) => Members::All(all),
                        None => Members::Known {
                            joined: r.get::<_, Option<_>>(3)?.unwrap_or_default(),
                            left: r.get::<_, Option<_>>(4)?.unwrap_or_default(),
                        },
                    };
                    Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?, members))
                })
                .optional()
        })?;
        let id: Option<i64> = self.run(|c| {
            c.prepare_cached("SELECT id FROM entry WHERE sync_id = ?1 AND kind = ?2 AND key = ?3")?
                .query_row(params![sync, kind, key], |r| r.get(0))
                .optional()
        })?;
        if let Some((data, names, members)) = staged {
            let entry = decode(&data).map_err(|e| self.damaged(format!("staged entry {key}: {e}")))?;
            return Ok(Some(Base { entry, names: hashes(&names).collect(), members, id }));
        }
        let stored = id.map(|id| self.entry(id).map(|e| e.map(|e| (id, e)))).transpose()?.flatten();
        let Some((id, entry)) = stored else { return Ok(change.or_new.then(|| Base::of_new(change))) };
        let mut names: BTreeSet<Hash> = self.run(|c| {
            let mut st = c.prepare_cached("SELECT name FROM entry_name WHERE entry_id = ?1")?;
            st.query_map([id], |r| r.get(0))?.collect::<Sql<_>>()
        })?;
        // Whoever was gone gave up all names; the key is never another's.
        names.insert(hash::key_name(&entry.key));
        let members = Members::Known { joined: Vec::new(), left: Vec::new() };
        Ok(Some(Base { entry, names, members, id: Some(id) }))
    }

    /// Hashes of the references that the group has with these members.
    fn members_now(&self, id: Option<i64>, members: &Members) -> Result<BTreeSet<Hash>, StateError> {
        let (joined, left) = match members {
            Members::All(all) => return Ok(hashes(all).collect()),
            Members::Known { joined, left } => (joined, left),
        };
        let mut now: BTreeSet<Hash> = self.run(|c| {
            let mut st = c.prepare_cached("SELECT ref FROM member WHERE group_id = ?1")?;
            st.query_map([id], |r| r.get(0))?.collect::<Sql<_>>()
        })?;
        for m in hashes(left) {
            now.remove(&m);
        }
        now.extend(hashes(joined));
        Ok(now)
    }
}

impl Members {
    /// With some more and some fewer. Whoever both came and went is there.
    fn with(self, joined: &[MemberRef], left: &[MemberRef]) -> Self {
        if joined.is_empty() && left.is_empty() {
            return self;
        }
        let came: BTreeSet<Hash> = joined.iter().map(hash::member).collect();
        let went: BTreeSet<Hash> = left.iter().map(hash::member).filter(|m| !came.contains(m)).collect();
        let put = |before: &[u8], out: &BTreeSet<Hash>, more: &BTreeSet<Hash>| -> Vec<u8> {
            let kept = hashes(before).filter(|m| !out.contains(m));
            kept.chain(more.iter().copied()).collect::<BTreeSet<_>>().into_iter().flatten().collect()
        };
        match self {
            Self::All(all) => Self::All(put(&all, &went, &came)),
            Self::Known { joined, left } => Self::Known { joined: put(&joined, &went, &came), left: put(&left, &came, &went) },
        }
    }
}
