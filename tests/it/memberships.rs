//! Random walks through directories: what the store resolves of memberships is what the directory says.

mod taken_over;

use proptest::prelude::*;
use scim_sync::model::{Attrs, Entry, EntryChange, MemberRef, ObjectKind, SourceKey};
use scim_sync::state::Store;
use scim_sync::state::known::Known;
use scim_sync::state::merge::Merge;
use scim_sync::state::standing::Standing;
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
    /// The same, which names only the parts that changed.
    Parts,
    /// The same, and it names whatever is there and did not change: nothing else is there.
    Enumeration,
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
        2 => Just(Step::Parts),
        1 => Just(Step::Enumeration),
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
            Step::Full | Step::Incremental | Step::Parts | Step::Enumeration | Step::Broken => {}
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
    /// Now and then more names have moved than are noted one by one.
    many: bool,
}

/// How a read tells.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Full,
    Incremental,
    Parts,
    Enumeration,
    Broken,
}

impl Walk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // An empty private copy: it does not wait for the disk.
        let mut store = Store::scratch(&dir.path().join("none.db")).unwrap();
        let sync = store.sync_row("s", "t").unwrap().id;
        Self { store, sync, read: Directory::default(), now: 1_000, many: true }
    }

    fn read(&mut self, now: &Directory, way: Way) {
        self.now += 60;
        // The same whether all are in hand or each is looked up.
        let in_hand = self.now / 60 % 2 == 0;
        let mut known = if in_hand { self.store.known(self.sync) } else { self.store.known_when_asked(self.sync) }.unwrap();
        self.store.stage_begin().unwrap();
        let complete = way != Way::Broken;
        let full = matches!(way, Way::Full | Way::Enumeration);
        if self.many && self.now / 60 % 3 == 0 {
            // As if it were so.
            self.store.run(|c| c.execute("UPDATE meta SET value = x'01' WHERE key LIKE 'names_moved:%'", [])).unwrap();
        }
        for (i, key) in now.names.keys().enumerate() {
            if !complete && i > 2 {
                break;
            }
            self.tell(&mut known, now, *key, way);
        }
        known.answered().unwrap();
        if !complete {
            self.store.stage_discard().unwrap();
            return;
        }
        assert_eq!(known.stranger(), None);
        if full {
            self.store.stage_absent(self.sync, &known, true).unwrap();
        } else {
            for key in self.read.names.keys().filter(|k| !now.names.contains_key(k)) {
                self.store.stage_deleted(&mut known, &SourceKey(format!("k{key}"))).unwrap();
            }
        }
        self.store.stage_end().unwrap();
        self.store
            .merge(self.sync, Merge { full, cursor: Some("cursor"), cursor_of: "", now: self.now, by_groups: true })
            .unwrap();
        self.read = now.clone();
        self.work_out_scope();
        let count = |what: &str| self.numbers(&format!("SELECT count(*) FROM entry WHERE gone IS NULL AND {what}"))[0] as u64;
        assert_eq!(
            self.store.count_present(self.sync).unwrap(),
            (count("kind = 0"), count("kind = 1")),
            "the tally is what is there"
        );
        assert_eq!(self.store.count_scope(self.sync).unwrap(), (count("in_scope = 1"), count("in_scope = 0")));
    }

    /// Who is in the group k100, worked out as a cycle does: for those who are to be looked at. It must hold for everybody.
    fn work_out_scope(&self) {
        let roots = self.store.find_groups(self.sync, &[], "k100").unwrap();
        let asked = self.store.scope_groups_are(self.sync, &roots).unwrap();
        if !asked {
            self.store.list_scope_members(self.sync, &roots).unwrap();
        }
        for d in self.store.dirty(self.sync, ObjectKind::User, 0, 10_000).unwrap() {
            let is_in = if asked { self.store.is_in_one_of(d.id, &roots) } else { self.store.is_listed_in_scope(d.id) };
            let in_scope = !d.gone && is_in.unwrap();
            let standing = Standing { in_scope, inactive: false, leaving_since: None, user_id: None };
            self.store.set_standing(d.id, &standing).unwrap();
        }
        self.store.run(|c| c.execute("UPDATE entry SET dirty = 0 WHERE kind = 0", [])).unwrap();
        let wanted: BTreeSet<i64> = roots.iter().flat_map(|root| self.store.source_members(*root, true).unwrap().0).collect();
        let held: BTreeSet<i64> =
            self.numbers("SELECT id FROM entry WHERE kind = 0 AND gone IS NULL AND in_scope = 1").into_iter().collect();
        assert_eq!(held, wanted, "asked: {asked}");
    }

    fn numbers(&self, sql: &str) -> Vec<i64> {
        self.store.run(|c| c.prepare(sql)?.query_map([], |r| r.get(0))?.collect()).unwrap()
    }

    fn tell(&self, known: &mut Known, now: &Directory, key: u32, way: Way) {
        let (name_moved, before) = (self.read.names.get(&key) != now.names.get(&key), self.read.members.get(&key));
        let changed = name_moved || before != now.members.get(&key);
        match (way, self.read.names.contains_key(&key)) {
            (Way::Enumeration, true) if !changed => {
                known.meet_kept(now.entry(key).kind, SourceKey(format!("k{key}")));
            }
            (Way::Parts | Way::Enumeration, true) if changed => {
                let entry = now.entry(key);
                let mut change = EntryChange::of(entry.kind, entry.key);
                change.names = name_moved.then_some((None, entry.names));
                let refs = |a: &BTreeSet<u32>, b: &BTreeSet<u32>| -> Vec<MemberRef> {
                    let refs = a.difference(b).filter(|_| entry.kind == ObjectKind::Group);
                    refs.map(|n| MemberRef::Name(format!("dn:cn={n}"))).collect()
                };
                let (before, after) = (before.unwrap(), &now.members[&key]);
                (change.joined, change.left) = (refs(after, before), refs(before, after));
                self.store.stage_change(self.sync, known, change).unwrap();
            }
            (Way::Parts | Way::Incremental, _) if !changed => {}
            _ => drop(self.store.stage(known, &now.entry(key), None).unwrap()),
        }
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
    let mut walk = Walk::new();
    let mut directory = Directory::default();
    for step in steps.iter().chain([&Step::Full]) {
        directory.take(step);
        match step {
            Step::Full => {
                let before = walk.groups();
                walk.settle();
                walk.read(&directory, Way::Full);
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
            Step::Incremental | Step::Parts | Step::Enumeration => {
                walk.read(
                    &directory,
                    match step {
                        Step::Incremental => Way::Incremental,
                        Step::Parts => Way::Parts,
                        _ => Way::Enumeration,
                    },
                );
                // absence_confirmed: what it named as deleted is gone, what it did not name stays.
                let want: BTreeSet<String> = directory.names.keys().map(|k| format!("k{k}")).collect();
                prop_assert_eq!(walk.present(), want);
            }
            Step::Broken => {
                let before = (walk.present(), walk.groups());
                walk.read(&directory, Way::Broken);
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

/// Whoever was renamed leaves under the new name, in the same read, before or behind its own entry.
#[test]
fn who_was_renamed_leaves_by_the_new_name() {
    for (person, group) in [(0, 100), (3, 100)] {
        let mut walk = Walk::new();
        let mut directory = Directory::default();
        for step in [Step::Add { key: group, name: 2 }, Step::Add { key: person, name: 1 }, Step::Join { group, name: 1 }] {
            directory.take(&step);
        }
        walk.read(&directory, Way::Full);
        let renamed = |name: u32| (None, vec![format!("dn:cn={name}")]);
        let key = |key: u32| SourceKey(format!("k{key}"));
        let change = EntryChange { names: Some(renamed(5)), ..EntryChange::of(ObjectKind::User, key(person)) };
        let leave =
            EntryChange { left: vec![MemberRef::Name("dn:cn=5".to_owned())], ..EntryChange::of(ObjectKind::Group, key(group)) };
        let mut known = walk.store.known(walk.sync).unwrap();
        walk.store.stage_begin().unwrap();
        for change in if person == 0 { [change, leave] } else { [leave, change] } {
            walk.store.stage_change(walk.sync, &mut known, change).unwrap();
        }
        walk.store.stage_end().unwrap();
        walk.store.merge(walk.sync, Merge { full: false, cursor: None, cursor_of: "", now: 2_000, by_groups: false }).unwrap();
        let ids = walk.ids();
        assert_eq!(walk.people(ids["k100"], false, &ids), BTreeSet::new());
    }
}

/// The last word about an entry counts, whatever this read said of it before.
#[test]
fn the_last_word_of_a_read_counts() {
    let mail = |entry: &mut Entry, mail: &str| entry.attrs.set("mail", vec![mail.into()]);
    let mut walk = Walk::new();
    let mut directory = Directory::default();
    directory.take(&Step::Add { key: 0, name: 0 });
    walk.read(&directory, Way::Full);
    let (as_was, mut other) = (directory.entry(0), directory.entry(0));
    mail(&mut other, "b@example.org");
    let key = as_was.key.clone();
    let part = || {
        let attrs = vec![("mail".to_owned(), vec!["c@example.org".into()])];
        EntryChange { attrs, ..EntryChange::of(ObjectKind::User, key.clone()) }
    };
    let mut tell = |say: &dyn Fn(&Store, i64, &mut Known)| {
        let mut known = walk.store.known(walk.sync).unwrap();
        walk.store.stage_begin().unwrap();
        say(&walk.store, walk.sync, &mut known);
        walk.store.stage_end().unwrap();
        walk.store.merge(walk.sync, Merge { full: false, cursor: None, cursor_of: "", now: 2_000, by_groups: false }).unwrap();
        let id = walk.ids().get("k0").copied();
        id.map(|id| walk.store.entry(id).unwrap().unwrap().attrs.text("mail").unwrap_or_default().to_owned())
    };
    // Changed and back.
    let said = tell(&|store, _, known| {
        store.stage(known, &other, None).unwrap();
        store.stage(known, &as_was, None).unwrap();
    });
    assert_eq!(said.as_deref(), Some(""));
    // Deleted and restored as it was.
    let said = tell(&|store, _, known| {
        store.stage_deleted(known, &key).unwrap();
        store.stage(known, &as_was, None).unwrap();
    });
    assert_eq!(said.as_deref(), Some(""));
    // A part on top of the whole.
    let said = tell(&|store, sync, known| {
        store.stage(known, &other, None).unwrap();
        store.stage_change(sync, known, part()).unwrap();
    });
    assert_eq!(said.as_deref(), Some("c@example.org"));
    // Deleted after all, and later a part of it again.
    let said = tell(&|store, sync, known| {
        store.stage_change(sync, known, part()).unwrap();
        store.stage_deleted(known, &key).unwrap();
    });
    assert_eq!(said, None);
    let said = tell(&|store, sync, known| store.stage_change(sync, known, part()).unwrap());
    assert_eq!(said.as_deref(), Some("c@example.org"));
}

/// Speaking of somebody who is not known does not fit: everything has to be read.
#[test]
fn a_part_of_nobody_is_a_misfit() {
    let walk = Walk::new();
    let key = || SourceKey("k7".to_owned());
    let mut known = walk.store.known(walk.sync).unwrap();
    walk.store.stage_begin().unwrap();
    walk.store.stage_change(walk.sync, &mut known, EntryChange::of(ObjectKind::User, key())).unwrap();
    assert_eq!(known.stranger(), Some(&key()));
    let mut known = walk.store.known(walk.sync).unwrap();
    known.meet_kept(ObjectKind::User, key());
    assert_eq!(known.stranger(), Some(&key()));
    walk.store.stage_discard().unwrap();
}
