//! Groups of one name: those that others made while nobody looked, those that exchange their names, those that are only made.

use crate::support::admin::Admin;
use crate::support::odd::{Odd, OddServer};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::json;

const UNLIMITED: &str = "[sync.guard]\nmembers_remove_per_group = \"unlimited\"\ngroup_delete = \"unlimited\"\n";

async fn world(odd: Odd, sync: &str) -> (OddServer, World) {
    let server = OddServer::start(odd).await;
    let mut w = World::new(&server.url(), "t", &format!("{UNLIMITED}{sync}"), "");
    w.populate(4);
    w.group("a", &["p00000", "p00001"]);
    (server, w)
}

fn names(server: &OddServer) -> Vec<String> {
    let mut names: Vec<String> = server.groups().into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_per_person_a_group_that_others_made_meanwhile_is_not_doubled() {
    let (server, mut w) = world(Odd::TakesOneNameTwice, "").await;
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 4), ("group_create", 1), ("members_add", 2)]));
    server.seed_group(json!({"displayName": "Group free", "members": []}));
    server.seed_group(json!({"displayName": "Group theirs", "externalId": "okta-1", "members": []}));
    for id in ["free", "theirs", "new"] {
        w.group(id, &["p00002"]);
    }
    let plan = w.plan().expect(0).plan();
    assert_eq!(changes(&plan), expected(&[("group_create", 3), ("members_add", 3)]), "a plan does not look");
    server.take_requests();
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("group_adopt", 1), ("group_create", 1), ("members_add", 2)]), "{cycle}");
    let reason = cycle["parked"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("okta-1"), "{reason}");
    assert_eq!(names(&server), ["Group a", "Group free", "Group new", "Group theirs"]);
    assert!(server.take_requests().iter().all(|(m, path)| m != "GET" || !path.starts_with("/Users")), "people are not looked up");
    // own_only: the adopted one is not deleted, what was put into it is taken out again.
    w.groups.remove("free");
    w.groups.remove("theirs");
    w.groups.remove("new");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("group_delete", 1), ("members_remove", 1)]), "{cycle}");
    assert_eq!(names(&server), ["Group a", "Group free", "Group theirs"]);
}

/// Two groups of the directory with one name are two groups, where the target lets them.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_group_of_the_directory_with_one_name_is_made() {
    let (server, mut w) = world(Odd::TakesOneNameTwice, "").await;
    w.sync().expect(0);
    w.groups.insert("z".to_owned(), ("Group a".to_owned(), vec!["p00003".to_owned()]));
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("group_create", 1), ("members_add", 1)]));
    assert_eq!(names(&server), ["Group a", "Group a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_groups_are_only_made_one_that_was_there_is_left_alone_for_good() {
    let (server, mut w) = world(Odd::TakesOneNameTwice, "[sync.groups]\npush = \"create-only\"").await;
    server.seed_group(json!({"displayName": "Group a"}));
    w.group("b", &["p00002"]);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 4), ("group_create", 1), ("members_add", 1)]));
    let quiet = |w: &World, what: &str| {
        let cycle = w.sync().expect(0).cycle();
        assert_eq!(changes(&cycle), expected(&[]), "{what}: {cycle}");
    };
    w.groups.get_mut("a").unwrap().1.push("p00003".to_owned());
    assert_eq!(changes(&w.plan().expect(0).plan()), expected(&[]));
    quiet(&w, "a membership");
    w.groups.get_mut("a").unwrap().0 = "Group a9".to_owned();
    quiet(&w, "another name");
    w.run(&["sync", "--verify", "--json"]).expect(0);
    quiet(&w, "after a look");
    // One that comes later, and is there by then.
    server.seed_group(json!({"displayName": "Group c"}));
    w.group("c", &["p00000"]);
    quiet(&w, "a new one that is there");
    w.groups.get_mut("c").unwrap().1.push("p00001".to_owned());
    server.take_requests();
    quiet(&w, "its membership");
    assert_eq!(server.take_requests(), [], "it is remembered");
    let all = server.groups();
    assert!(all.iter().all(|(name, members)| members.is_empty() || name == "Group b"), "{all:?}");
    assert_eq!(names(&server), ["Group a", "Group b", "Group c"]);
}

#[test]
fn converges_where_groups_exchange_their_names() {
    // No two groups of one name there.
    let sandbox = SandboxProcess::start(&["--preset", "grafana"]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, UNLIMITED, "");
    w.populate(4);
    for (i, id) in ["a", "b", "c"].into_iter().enumerate() {
        w.group(id, &[&format!("p0000{i}")]);
    }
    w.sync().expect(0);
    let rename = |w: &mut World, id: &str, name: &str| w.groups.get_mut(id).unwrap().0 = name.to_owned();
    rename(&mut w, "a", "Group b");
    rename(&mut w, "b", "Group a");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("group_update", 2)]), "{cycle}");
    let of = |name: &str| target.memberships()[name].clone();
    assert_eq!((of("Group a"), of("Group b")), (vec!["p00001@corp.example".to_owned()], vec!["p00000@corp.example".to_owned()]));
    // A chain: each takes the name that the next one gives up.
    rename(&mut w, "a", "Group c");
    rename(&mut w, "c", "Group d");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("group_update", 2)]));
    assert_eq!(target.memberships().into_keys().collect::<Vec<_>>(), ["Group a", "Group c", "Group d"]);
    // Somebody else's: the name stays taken, and nobody is left under a temporary one.
    Admin::of(&sandbox).create_group("Group taken", &[]);
    rename(&mut w, "a", "Group taken");
    let cycle = w.sync().expect(7).cycle();
    let reason = cycle["parked"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("group name Group taken is taken"), "{reason}");
    assert_eq!(target.memberships().into_keys().collect::<Vec<_>>(), ["Group a", "Group c", "Group d", "Group taken"]);
    rename(&mut w, "a", "Group c");
    w.sync().expect(0);
    sandbox.reset_counters();
    assert!(changes(&w.sync().expect(0).cycle()).is_empty());
    assert_eq!(sandbox.writes(), 0);
}

/// What `sync.groups.link` names keeps its name at the target, whatever the group is called in the directory by now.
#[test]
fn a_group_that_was_linked_by_its_name_keeps_the_other_ones_name() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.groups]\nlink = { \"Group a\" = \"Admins\" }", "");
    w.populate(4);
    w.group("a", &["p00000"]);
    Admin::of(&sandbox).create_group("Admins", &[]);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 4), ("group_adopt", 1), ("members_add", 1)]));
    for name in ["A9", "A10"] {
        w.groups.insert("a".to_owned(), (name.to_owned(), vec!["p00000".to_owned(), "p00001".to_owned()]));
        let cycle = w.sync().expect(0).cycle();
        assert_eq!(cycle["counts"]["group_update"], 0, "{cycle}");
        w.run(&["sync", "--verify", "--json"]).expect(0);
        assert_eq!(target.memberships()["Admins"].len(), 2, "the members go on");
    }
    // Another group of that name in the directory has no part in it.
    w.group("b", &["p00003"]);
    w.groups.get_mut("b").unwrap().0 = "Group a".to_owned();
    w.sync().expect(7);
    assert_eq!(target.memberships()["Admins"].len(), 2);
    w.groups.remove("b");
    // The row is taken out: the directory's name counts from now on.
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config.replace("\"Group a\" = \"Admins\"", "")).unwrap();
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("group_update", 1)]));
    assert_eq!(target.memberships().into_keys().collect::<Vec<_>>(), ["A10"]);
}

/// An account that is shown to nobody while it is inactive is there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn gone_is_checked_a_leaver_who_is_not_shown_is_not_gone() {
    let (server, mut w) = world(Odd::HidesInactive, "deactivate = \"unlimited\"").await;
    w.sync().expect(0);
    w.set("p00001", "accountEnabled", false);
    w.leave("p00000");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(cycle["counts"]["deactivate"], 2, "{cycle}");
    assert!(server.groups()[0].1.is_empty() || server.groups()[0].1 == ["p00001@corp.example"], "{:?}", server.groups());
    assert!(!server.groups()[0].1.contains(&"p00000@corp.example".to_owned()));
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[]), "{cycle}");
    w.set("p00001", "accountEnabled", true);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(cycle["counts"]["reactivate"], 1, "{cycle}");
    assert_eq!(server.users().iter().filter(|u| u["active"] == true).count(), 3);
    server.no_duplicates();
    // By now it is known how somebody is deactivated there, and it is not looked at any more.
    w.set("p00002", "accountEnabled", false);
    assert_eq!(w.sync().expect(0).cycle()["counts"]["deactivate"], 1);
    assert_eq!(changes(&w.run(&["sync", "--verify", "--json"]).expect(0).cycle()), expected(&[]));
    w.set("p00002", "accountEnabled", true);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(cycle["counts"]["reactivate"], 1, "{cycle}");
    server.no_duplicates();
    server.take_requests();
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[]));
}
