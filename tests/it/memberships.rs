//! Random walks through directories: what the store resolves of memberships is what the directory says.

use proptest::prelude::*;
use scim_sync::model::{Attrs, Entry, MemberRef, ObjectKind, SourceKey};
use scim_sync::state::Store;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A directory of a few people and groups whose names (DNs) move about. References are by name; they may dangle.
#[derive(Debug, Clone, Default)]
struct Directory {
    /// Key -> name. People have keys below 100, groups from there.
    names: BTreeMap<u32, u32>,
    /// Group key -> names of its members.
    members: BTreeMap<u32, BTreeSet<u32>>,
}

#[derive(Debug, Clone)]
enum Step {
    /// An entry appears under a name, if nobody has it.
    Add {
        key: u32,
        name: u32,
    },
    Remove {
        key: u32,
    },
    /// An entry is renamed; `follow`: the directory rewrites the references to it (refint).
    Rename {
        key: u32,
        name: u32,
        follow: bool,
    },
    /// Two entries swap their names; references stay as they are.
    Swap {
        a: u32,
        b: u32,
    },
    Join {
        group: u32,
        name: u32,
    },
    Leave {
        group: u32,
        name: u32,
    },
    /// A read of everything.
    Full,
    /// A read of what changed since the last one.
    Incremental,
    /// A read that breaks off in the middle.
    Broken,
}

fn key() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, 100..103_u32]
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..6_u32;
    prop_oneof![
        3 => (key(), name.clone()).prop_map(|(key, name)| Step::Add { key, name }),
        1 => key().prop_map(|key| Step::Remove { key }),
        2 => (key(), name.clone(), any::<bool>()).prop_map(|(key, name, follow)| Step::Rename { key, name, follow }),
        1 => (key(), key()).prop_map(|(a, b)| Step::Swap { a, b }),
        4 => (100..103_u32, name.clone()).prop_map(|(group, name)| Step::Join { group, name }),
        1 => (100..103_u32, name).prop_map(|(group, name)| Step::Leave { group, name }),
        3 => Just(Step::Full),
        2 => Just(Step::Incremental),
        1 => Just(Step::Broken),
    ]
}

impl Directory {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Add { key, name } => {
                if !self.names.contains_key(&key) && !self.names.values().any(|n| *n == name) {
                    self.names.insert(key, name);
                    self.members.entry(key).or_default();
                }
            }
            Step::Remove { key } => {
                self.names.remove(&key);
                self.members.remove(&key);
            }
            Step::Rename { key, name, follow } => {
                let taken = self.names.values().any(|n| *n == name);
                let Some(own) = self.names.get_mut(&key).filter(|_| !taken) else { return };
                let old = std::mem::replace(own, name);
                for members in self.members.values_mut() {
                    if follow && members.remove(&old) {
                        members.insert(name);
                    }
                }
            }
            Step::Swap { a, b } => {
                if let (Some(x), Some(y)) = (self.names.get(&a).copied(), self.names.get(&b).copied()) {
                    self.names.insert(a, y);
                    self.names.insert(b, x);
                }
            }
            Step::Join { group, name } => {
                if self.names.contains_key(&group) {
                    self.members.entry(group).or_default().insert(name);
                }
            }
            Step::Leave { group, name } => {
                self.members.entry(group).or_default().remove(&name);
            }
            Step::Full | Step::Incremental | Step::Broken => {}
        }
    }

    fn entry(&self, key: u32) -> Entry {
        let group = key >= 100;
        Entry {
            kind: if group { ObjectKind::Group } else { ObjectKind::User },
            key: SourceKey(format!("k{key}")),
            dn: None,
            names: vec![format!("dn:cn={}", self.names[&key])],
            attrs: Attrs::new(),
            members: self.members[&key].iter().filter(|_| group).map(|n| MemberRef::Name(format!("dn:cn={n}"))).collect(),
            disabled: false,
            due: None,
        }
    }

    /// People in a group, by hand.
    fn people(&self, group: u32, flatten: bool) -> BTreeSet<u32> {
        let (mut out, mut seen, mut stack) = (BTreeSet::new(), BTreeSet::from([group]), vec![group]);
        while let Some(g) = stack.pop() {
            for name in &self.members[&g] {
                let Some(key) = self.names.iter().find(|(_, n)| *n == name).map(|(k, _)| *k) else { continue };
                if key < 100 {
                    out.insert(key);
                } else if flatten && seen.insert(key) {
                    stack.push(key);
                }
            }
        }
        out
    }
}

struct Walk {
    store: Store,
    sync: i64,
    read: Directory,
    now: i64,
}

impl Walk {
    fn read(&mut self, now: &Directory, full: bool, complete: bool) {
        self.now += 60;
        let mut known = self.store.known(self.sync).unwrap();
        self.store.stage_begin().unwrap();
        let changed =
            |k: &u32| full || self.read.names.get(k) != now.names.get(k) || self.read.members.get(k) != now.members.get(k);
        for (i, key) in now.names.keys().filter(|k| changed(k)).enumerate() {
            if !complete && i > 2 {
                break;
            }
            self.store.stage(&mut known, &now.entry(*key), None).unwrap();
        }
        if !complete {
            self.store.stage_discard().unwrap();
            return;
        }
        if full {
            self.store.stage_absent(self.sync, &known, true).unwrap();
        } else {
            for key in self.read.names.keys().filter(|k| !now.names.contains_key(k)) {
                self.store.stage_deleted(&SourceKey(format!("k{key}"))).unwrap();
            }
        }
        self.store.stage_end().unwrap();
        self.store.merge(self.sync, full, Some("cursor"), self.now).unwrap();
        self.read = now.clone();
    }

    /// Row ids of present entries by key.
    fn ids(&self) -> HashMap<String, i64> {
        self.store
            .run(|c| {
                let mut st = c.prepare("SELECT key, id FROM entry WHERE gone IS NULL")?;
                let rows = st.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
                rows.collect()
            })
            .unwrap()
    }

    fn people(&self, group: i64, flatten: bool, ids: &HashMap<String, i64>) -> BTreeSet<u32> {
        let members: HashSet<i64> = self.store.source_members(group, flatten).unwrap().0;
        let found = ids.iter().filter(|(_, id)| members.contains(id));
        let out: BTreeSet<u32> = found.map(|(k, _)| k[1..].parse().unwrap()).collect();
        assert_eq!(out.len(), members.len(), "somebody who is gone is a member");
        out
    }

    fn groups(&self) -> BTreeMap<(u32, bool), BTreeSet<u32>> {
        let ids = self.ids();
        let groups = self.read.names.keys().filter(|k| **k >= 100);
        groups.flat_map(|g| [false, true].map(|f| ((*g, f), self.people(ids[&format!("k{g}")], f, &ids)))).collect()
    }

    fn present(&self) -> BTreeSet<String> {
        self.ids().into_keys().collect()
    }

    /// Groups that the store would look at again.
    fn settle(&self) {
        self.store.run(|c| c.execute("UPDATE entry SET dirty = 0", [])).unwrap();
    }

    fn dirty(&self) -> BTreeSet<String> {
        self.store
            .run(|c| {
                let mut st = c.prepare("SELECT key FROM entry WHERE dirty = 1")?;
                let rows = st.query_map([], |r| r.get(0))?;
                rows.collect()
            })
            .unwrap()
    }
}

/// Takes the steps, with one more full read at the end, and compares after each read.
fn walk(steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    // An empty private copy: it does not wait for the disk.
    let mut store = Store::scratch(&dir.path().join("none.db")).unwrap();
    let sync = store.sync_row("s", "t").unwrap().id;
    let mut walk = Walk { store, sync, read: Directory::default(), now: 1_000 };
    let mut directory = Directory::default();
    for step in steps.iter().chain([&Step::Full]) {
        directory.take(step);
        match step {
            Step::Full => {
                let before = walk.groups();
                walk.settle();
                walk.read(&directory, true, true);
                let want: BTreeSet<String> = directory.names.keys().map(|k| format!("k{k}")).collect();
                prop_assert_eq!(walk.present(), want);
                let (after, dirty) = (walk.groups(), walk.dirty());
                for ((group, flatten), people) in &after {
                    prop_assert_eq!(people, &directory.people(*group, *flatten), "group {} flatten {}", group, flatten);
                    // Who joined or left must be seen to: the group itself is looked at again.
                    let direct_changed = !flatten && before.get(&(*group, false)).is_some_and(|b| b != people);
                    prop_assert!(!direct_changed || dirty.contains(&format!("k{group}")), "group {} was overlooked", group);
                }
            }
            Step::Incremental => {
                walk.read(&directory, false, true);
                // absence_confirmed: what it named as deleted is gone, what it did not name stays.
                let want: BTreeSet<String> = directory.names.keys().map(|k| format!("k{k}")).collect();
                prop_assert_eq!(walk.present(), want);
            }
            Step::Broken => {
                let before = (walk.present(), walk.groups());
                walk.read(&directory, true, false);
                prop_assert_eq!((walk.present(), walk.groups()), before, "complete_or_nothing");
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_full_read_resolves_what_the_directory_says(steps in prop::collection::vec(step(), 1..40)) {
        walk(&steps)?;
    }
}

/// A name changes hands in an incremental read, which keeps the reference; the next full read puts it right although
/// neither entry differs from what was read before.
#[test]
fn a_full_read_puts_right_what_an_incremental_one_left() {
    walk(&[
        Step::Add { key: 100, name: 2 },
        Step::Join { group: 100, name: 0 },
        Step::Add { key: 101, name: 0 },
        Step::Add { key: 0, name: 1 },
        Step::Full,
        Step::Swap { a: 101, b: 0 },
        Step::Incremental,
    ])
    .unwrap();
}

/// Somebody new under the name of somebody who is gone; the group never changed.
#[test]
fn a_name_that_was_given_up_belongs_to_the_next_one() {
    walk(&[
        Step::Add { key: 100, name: 2 },
        Step::Add { key: 0, name: 1 },
        Step::Join { group: 100, name: 1 },
        Step::Full,
        Step::Remove { key: 0 },
        Step::Add { key: 1, name: 1 },
        Step::Full,
    ])
    .unwrap();
}
