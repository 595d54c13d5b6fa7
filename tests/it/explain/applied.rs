//! `explain --apply`: that one now, under guard and journal, and nobody else.

use super::{explain, world};
use crate::support::settled::{assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, changes, expected};
use scim_sync::state::lock::CycleLock;
use serde_json::json;
use std::time::Duration;

#[test]
fn one_is_provisioned_and_nobody_else() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = world(&sandbox, "", 5);
    w.group("g", &["p00001", "p00002"]);
    w.save();
    let doc = w.run(&["explain", "p00001", "--apply", "--json"]).expect(0).json();
    assert_eq!(changes(&doc["cycles"][0]), expected(&[("create", 1)]), "{doc}");
    assert_eq!(target.users().len(), 1);
    let found = explain(&w, "p00001");
    assert_eq!((&found["state"], &found["request"]), (&json!("linked"), &json!(null)));
    assert_eq!(found["journal"][0]["status"], "done");
    // A group, with the one of its members who has an account.
    w.run(&["explain", "Group g", "--apply"]).expect(0);
    assert_eq!(target.memberships()["Group g"], ["p00001@corp.example"]);
    // Changes of one, while others changed too.
    w.sync().expect(0);
    assert_as_desired(&w, &target);
    for id in ["p00000", "p00001", "p00002"] {
        w.set(id, "displayName", format!("Other {id}"));
    }
    w.save();
    w.run(&["explain", "p00002@corp.example", "--apply"]).expect(0);
    let of = |name: &str| target.user(&format!("{name}@corp.example")).unwrap()["displayName"].clone();
    assert_eq!((of("p00001"), of("p00002")), (json!("Given p00001 Family"), json!("Other p00002")));
    // The rest is done by the next cycle, and only the rest.
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("update", 2)]));
    assert_as_desired(&w, &target);
    assert_quiet(&w, &sandbox);
    // Nothing to do is no change and no fault.
    sandbox.reset_counters();
    w.run(&["explain", "p00002", "--apply"]).expect(0);
    assert_eq!(sandbox.writes(), 0);
}

#[test]
fn the_guard_holds_and_a_running_cycle_is_waited_for() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = world(&sandbox, "[sync.guard]\nrename = 0\nprotected = [\"p00003\"]\n", 12);
    w.sync().expect(0);
    w.set("p00001", "mail", "new@corp.example");
    w.leave("p00003");
    w.save();
    let lock = CycleLock::take(&w.path("state.db"), Duration::ZERO).unwrap();
    w.run(&["explain", "p00001", "--apply"]).expect(8);
    drop(lock);
    let doc = w.run(&["explain", "p00001", "--apply", "--json"]).expect(6).json();
    assert_eq!(doc["cycles"][0]["held"][0]["kind"], "rename", "{doc}");
    assert_eq!(explain(&w, "p00001")["state"], "held");
    w.run(&["explain", "p00003", "--apply"]).expect(6);
    assert!(target.users().iter().all(|u| u["active"] == true));
    w.run(&["approve", "s", "--who", "p00001"]).expect(0);
    w.run(&["explain", "p00001", "--apply"]).expect(0);
    assert!(target.user("new@corp.example").is_some());
    // Several of one name: none is picked.
    w.set("p00005", "displayName", "Same");
    w.set("p00006", "displayName", "Same");
    w.save();
    sandbox.reset_counters();
    let run = w.run(&["explain", "Same", "--apply"]).expect(2);
    assert!(run.stderr.contains("names several"), "{}", run.stderr);
    assert_eq!(sandbox.writes(), 0);
}

#[test]
fn what_stands_held_stays_held() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = world(&sandbox, "", 40);
    w.sync().expect(0);
    for n in 0..6 {
        w.set(&format!("p0000{n}"), "disabled", true);
    }
    w.sync().expect(6);
    let doc = w.run(&["explain", "p00001", "--apply", "--json"]).expect(6).json();
    assert_eq!(doc["cycles"][0]["held"][0]["kind"], "deactivate", "{doc}");
    assert!(target.users().iter().all(|u| u["active"] == true));
    assert_eq!(explain(&w, "p00001")["state"], "held");
    w.run(&["approve", "s", "--who", "p00001"]).expect(0);
    w.run(&["explain", "p00001", "--apply"]).expect(0);
    assert_eq!(target.users().iter().filter(|u| u["active"] == false).count(), 1);
}

#[test]
fn what_is_not_sent_is_explained() {
    type Set = fn(&mut crate::support::world::World);
    let disable: Set = |w| w.set("p00000", "disabled", true);
    let rename: Set = |w| w.set("p00000", "displayName", "New");
    let nothing: Set = |_| {};
    for (sync, change, why) in [
        ("[sync.actions]\nuser = [\"create\"]\n", rename, "\"update\" is not among the actions"),
        ("[sync.actions]\nuser = [\"create\", \"update\"]\n", disable, "\"deactivate\" is not among the actions"),
        ("[sync.actions]\ndeactivate_after = \"30d\"\n", disable, "grace period until"),
        ("[sync.scope]\nout_of_scope = \"keep\"\nusers = 'displayName ne \"New\"'\n", rename, "out_of_scope = \"keep\""),
        ("[sync.map.user]\ndisplayName = { expr = \"[displayName]\", apply = \"create\" }\n", rename, "at creation only"),
        ("", nothing, "the target has what it should have"),
    ] {
        let sandbox = SandboxProcess::start(&[]);
        let mut w = world(&sandbox, sync, 2);
        w.sync().expect(0);
        change(&mut w);
        w.save();
        let found = explain(&w, "p00000");
        assert_eq!(found["request"], json!(null), "{found}");
        let said = found["not_sent"].as_array().unwrap();
        assert!(said.iter().any(|s| s.as_str().unwrap().contains(why)), "{sync}: {said:?}");
        assert!(w.run(&["explain", "p00000"]).expect(0).stdout.contains(why));
    }
}

/// Whoever keeps the account because the guard holds its deactivation keeps the group, also where the group comes alone.
#[test]
fn a_group_alone_keeps_whose_deactivation_is_held() {
    for before_any_cycle in [false, true] {
        let sandbox = SandboxProcess::start(&[]);
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let mut w = world(&sandbox, "[sync.guard]\nsource_shrink = \"unlimited\"\n", 60);
        let all: Vec<String> = w.people.keys().cloned().collect();
        w.group("g", &all[..30].iter().map(String::as_str).collect::<Vec<_>>());
        w.group("h", &all[..1].iter().map(String::as_str).collect::<Vec<_>>());
        w.sync().expect(0);
        // Of nine who leave two are in the group: as many as may leave a day, if they were all.
        for i in [0, 1, 50, 51, 52, 53, 54, 55, 56] {
            w.leave(&format!("p{i:05}"));
        }
        w.groups.get_mut("g").unwrap().1.retain(|m| m != "p00002");
        w.save();
        if !before_any_cycle {
            let run = w.sync().expect(6);
            assert_eq!(run.cycle()["held"].as_array().unwrap().iter().filter(|h| h["kind"] == "deactivate").count(), 9);
            assert_eq!(target.memberships()["Group g"].len(), 29);
        }
        let run = w.run(&["explain", "Group g", "--apply", "--json"]).expect(if before_any_cycle { 0 } else { 6 });
        let removed = u64::from(before_any_cycle);
        let want = if removed == 0 { expected(&[]) } else { expected(&[("members_remove", removed)]) };
        assert_eq!(changes(&run.json()["cycles"][0]), want, "{}", run.stdout);
        assert_eq!(target.memberships()["Group g"].len(), 29, "only who is in it no more");
        w.run(&["explain", "Group h", "--apply"]).expect(6);
        assert_eq!(target.memberships()["Group h"].len(), 1);
        assert!(target.users().iter().all(|u| u["active"] == true));
        // Nobody else's changes were made or forgotten.
        w.sync().expect(6);
        w.run(&["approve", "s"]).expect(0);
        w.sync().expect(0);
        assert_as_desired(&w, &target);
        assert_quiet(&w, &sandbox);
    }
}
