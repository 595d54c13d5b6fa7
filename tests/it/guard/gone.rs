//! Accounts and groups that are gone at the application.

use crate::support::admin::{Admin, id};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

/// The group of whom these tests are.
fn group(target: &ScimReader) -> Value {
    target.groups().into_iter().find(|g| g["displayName"] == "Group g").unwrap()
}

#[test]
fn gone_is_checked_and_made_anew_only_when_approved() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(20);
    w.group("g", &["p00001", "p00002"]);
    w.sync().expect(0);
    let (target, admin) = (ScimReader::new(&sandbox.base_url, &sandbox.token), Admin::of(&sandbox));
    let old = id(&target.user("p00001@corp.example").unwrap());
    admin.delete(&old);
    assert!(changes(&w.sync().expect(0).cycle()).is_empty(), "nothing to write, nothing noticed");

    w.set("p00001", "displayName", "Changed");
    let run = w.sync().expect(7);
    let parked = run.cycle()["parked"][0].clone();
    assert_eq!(parked["who"], "p00001@corp.example");
    assert!(parked["reason"].as_str().unwrap().contains("gone"), "{parked}");
    assert!(parked["advice"].as_str().unwrap().contains("recreate"), "{parked}");

    let run = w.sync().expect(6);
    assert_eq!(run.cycle()["held"][0]["kind"], "create");
    assert!(run.cycle()["held"][0]["reason"].as_str().unwrap().contains("recreate"));
    assert_eq!(target.users().len(), 19);
    w.run(&["approve", "s", "--reason", "deleted by mistake"]).expect(0);
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 1), ("members_add", 1)]));
    let new = target.user("p00001@corp.example").unwrap();
    assert_ne!(id(&new), old);
    assert_eq!(new["displayName"], "Changed");
    assert_eq!(target.memberships()["Group g"].len(), 2, "the new account is in the groups of the old one");
    sandbox.reset_counters();
    assert!(changes(&w.sync().expect(0).cycle()).is_empty());
    assert_eq!(sandbox.requests(), 0, "converges");
}

#[test]
fn gone_is_checked_of_a_group_that_somebody_leaves() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(20);
    w.group("g", &["p00001", "p00002", "p00003"]);
    w.group("z", &["p00009"]);
    w.sync().expect(0);
    let (target, admin) = (ScimReader::new(&sandbox.base_url, &sandbox.token), Admin::of(&sandbox));
    admin.delete_group(&id(&group(&target)));
    w.group("g", &["p00001", "p00002"]);
    let parked = w.sync().expect(7).cycle()["parked"][0].clone();
    assert!(parked["reason"].as_str().unwrap().contains("group is gone"), "{parked}");
    assert!(parked["advice"].as_str().unwrap().contains("guard.recreate"), "{parked}");
    let cycle = w.sync().expect(6).cycle();
    assert_eq!((&cycle["held"][0]["kind"], &cycle["parked"]), (&json!("group_create"), &json!([])), "{cycle}");
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("group_create", 1), ("members_add", 2)]));
    assert_eq!(target.memberships()["Group g"].len(), 2);
    // Nobody is to stay in a group that is gone at the source too.
    admin.delete_group(&id(&group(&target)));
    w.groups.remove("g");
    w.sync().expect(0);
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0, "converges");
}

#[test]
fn what_is_to_be_deactivated_and_is_gone_is_done() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(20);
    w.group("g", &["p00001"]);
    w.group("z", &["p00009"]);
    w.sync().expect(0);
    let (target, admin) = (ScimReader::new(&sandbox.base_url, &sandbox.token), Admin::of(&sandbox));
    admin.delete(&id(&target.user("p00001@corp.example").unwrap()));
    admin.delete_group(&id(&group(&target)));
    w.leave("p00001");
    w.groups.remove("g");
    w.sync().expect(0);
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0, "converges");
}
