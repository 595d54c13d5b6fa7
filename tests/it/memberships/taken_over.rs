//! Names of whoever is gone, taken by others: a reference that nobody has said again since gives nobody a membership.

use super::{Directory, Step, Walk, Way};
use scim_sync::model::ObjectKind;
use scim_sync::state::merge::Merge;
use std::collections::BTreeSet;

/// The group k100 of two, one of whom leaves; the directory takes them out of it without a word (refint, memberof). Then
/// somebody takes the name, by coming or by being renamed, in the same read or the next.
fn taken_over(by: u32, together: bool, way: Way) -> (Walk, Directory) {
    let (mut walk, mut directory) = (Walk::new(), Directory::default());
    for step in [
        Step::Add { key: 100, name: 2 },
        Step::Add { key: 0, name: 0 },
        Step::Add { key: 1, name: 1 },
        Step::Add { key: 2, name: 3 },
        Step::Join { group: 100, name: 0 },
        Step::Join { group: 100, name: 1 },
    ] {
        directory.take(&step);
    }
    walk.read(&directory, Way::Full);
    directory.take(&Step::Remove { key: 0 });
    if !together {
        walk.read(&directory, way);
    }
    directory.take(&if by == 2 { Step::Rename { key: 2, name: 0, follow: false } } else { Step::Add { key: by, name: 0 } });
    walk.read(&directory, way);
    (walk, directory)
}

fn in_group(walk: &Walk) -> BTreeSet<u32> {
    let ids = walk.ids();
    walk.people(ids["k100"], false, &ids)
}

#[test]
fn no_guess_about_who_takes_over_the_name_of_somebody_who_left() {
    for way in [Way::Incremental, Way::Parts] {
        for (by, together) in [(3, true), (3, false), (2, true), (2, false)] {
            let (mut walk, mut directory) = taken_over(by, together, way);
            assert_eq!(in_group(&walk), BTreeSet::from([1]), "{way:?} {by} {together}");
            // Read again, its values decide: they are as they were, and then without the name.
            let mut after = |directory: &Directory| {
                let mut known = walk.store.known(walk.sync).unwrap();
                walk.store.stage_begin().unwrap();
                walk.store.stage(&mut known, &directory.entry(100), None).unwrap();
                walk.store.stage_end().unwrap();
                let merge = Merge { full: false, cursor: None, cursor_of: "", now: 9_000, by_groups: false };
                walk.store.merge(walk.sync, merge).unwrap();
                in_group(&walk)
            };
            directory.take(&Step::Join { group: 100, name: 5 });
            assert_eq!(after(&directory), BTreeSet::from([1, by]), "{way:?} {by} {together}");
            directory.take(&Step::Leave { group: 100, name: 0 });
            assert_eq!(after(&directory), BTreeSet::from([1]), "{way:?} {by} {together}");
        }
    }
}

/// The next full read goes through their references, and not through all that there are.
#[test]
fn whose_names_moved_is_noted_one_by_one() {
    let (mut walk, mut directory) = taken_over(3, false, Way::Incremental);
    let noted = |walk: &Walk| walk.numbers("SELECT length(value) / 8 FROM meta WHERE key LIKE 'names_moved:%'");
    assert_eq!(noted(&walk), [1]);
    directory.take(&Step::Rename { key: 1, name: 6, follow: false });
    walk.read(&directory, Way::Parts);
    assert_eq!(noted(&walk), [2]);
    walk.read(&directory, Way::Full);
    assert!(noted(&walk).is_empty());
    assert_eq!(in_group(&walk), directory.people(100, false));
}

/// The same person comes back, under the old name or another: nothing was said of the groups.
#[test]
fn whoever_comes_back_has_the_memberships_of_before() {
    for (way, name) in [(Way::Incremental, 0), (Way::Parts, 0), (Way::Incremental, 4), (Way::Full, 0)] {
        let (mut walk, mut directory) = taken_over(3, false, Way::Incremental);
        directory.take(&Step::Remove { key: 3 });
        walk.read(&directory, Way::Incremental);
        walk.settle();
        directory.take(&Step::Add { key: 0, name });
        walk.read(&directory, way);
        assert_eq!(in_group(&walk), BTreeSet::from([0, 1]), "{way:?} {name}");
        assert!(walk.dirty().contains("k100"), "{way:?} {name}");
    }
}

/// Rows of whoever is gone for long are removed, and their numbers used again.
#[test]
fn nobody_inherits_a_membership_with_the_number_of_a_row() {
    for many in [true, false] {
        let (mut walk, mut directory) = taken_over(3, false, Way::Incremental);
        walk.many = many;
        if !many {
            // Nothing is left of what was noted before.
            walk.read(&directory, Way::Full);
        }
        for key in [2, 3] {
            directory.take(&Step::Remove { key });
        }
        walk.read(&directory, Way::Incremental);
        let year = 365 * 86_400;
        walk.store.prune(30 * 86_400, walk.now + year, std::time::Duration::from_secs(5)).unwrap();
        assert!(walk.numbers("SELECT id FROM entry WHERE key = 'k0'").is_empty());
        for key in [2, 3] {
            directory.take(&Step::Add { key, name: key - 2 + 3 * (key - 2) });
        }
        walk.read(&directory, Way::Incremental);
        assert_eq!(in_group(&walk), BTreeSet::from([1]), "{many}");
        // A full read says what the directory holds.
        walk.read(&directory, Way::Full);
        assert_eq!(in_group(&walk), directory.people(100, false), "{many}");
        assert!(walk.numbers("SELECT member_id FROM member WHERE member_id < 0").is_empty(), "{many}");
    }
}

/// A full read in which the group could not be read says nothing of whom it means.
#[test]
fn no_guess_by_a_full_read_about_a_group_that_could_not_be_read() {
    for together in [true, false] {
        let (mut walk, mut directory) = taken_over(3, together, Way::Incremental);
        let mut read = |directory: &Directory, unread: bool| {
            let mut known = walk.store.known(walk.sync).unwrap();
            walk.store.stage_begin().unwrap();
            for key in directory.names.keys() {
                if unread && *key == 100 {
                    let group = directory.entry(100).key;
                    walk.store.stage_unread(&group).unwrap();
                    known.meet_kept(ObjectKind::Group, group);
                } else {
                    walk.store.stage(&mut known, &directory.entry(*key), None).unwrap();
                }
            }
            walk.store.stage_absent(walk.sync, &known, true).unwrap();
            walk.store.stage_end().unwrap();
            let merge = Merge { full: true, cursor: None, cursor_of: "", now: 9_000, by_groups: false };
            walk.store.merge(walk.sync, merge).unwrap();
            in_group(&walk)
        };
        assert_eq!(read(&directory, true), BTreeSet::from([1]), "{together}");
        assert_eq!(read(&directory, true), BTreeSet::from([1]), "{together}");
        directory.take(&Step::Rename { key: 2, name: 5, follow: false });
        assert_eq!(read(&directory, false), BTreeSet::from([1, 3]), "the directory says so: {together}");
    }
}
