//! A name that waits keeps nobody's account from being found, active or left: accounts that match are linked and come back under
//! the name that is there.

use crate::support::admin::{Admin, id};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

fn held(cycle: &Value) -> Vec<(&str, &str)> {
    cycle["held"].as_array().unwrap().iter().map(|h| (h["kind"].as_str().unwrap(), h["who"].as_str().unwrap())).collect()
}

fn lose_store(w: &World) {
    for entry in std::fs::read_dir(w.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("state.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn one_account_per_person_where_renames_at_adoption_are_held() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(60);
    w.group("g", &["p00000", "p00001", "p00030"]);
    w.sync().expect(0);
    lose_store(&w);
    for i in 0..5 {
        w.set(&format!("p{i:05}"), "mail", format!("new{i}@corp.example"));
        w.set(&format!("p{i:05}"), "displayName", format!("New {i}"));
    }
    let plan = w.plan().expect(6).plan();
    assert_eq!(changes(&plan)["rename"], 5, "{plan}");
    let cycle = w.sync().expect(6).cycle();
    assert_eq!((changes(&cycle)["adopt"], held(&cycle).len()), (60, 5), "{cycle}");
    assert!(held(&cycle).iter().all(|(kind, _)| *kind == "rename"), "{cycle}");
    let account = target.user("p00000@corp.example").unwrap();
    assert_eq!((&account["externalId"], &account["displayName"]), (&json!("p00000"), &json!("New 0")));
    assert_eq!(account["emails"][0]["value"], "p00000@corp.example", "the address waits with the name");
    assert_eq!(target.memberships()["Group g"].len(), 3);
    for _ in 0..2 {
        sandbox.reset_counters();
        let cycle = w.sync().expect(6).cycle();
        assert_eq!((held(&cycle).len(), sandbox.writes()), (5, 0), "{cycle}");
    }
    // By the name that the account has, too.
    w.run(&["approve", "s", "--who", "P00001@corp.example"]).expect(0);
    assert_eq!(changes(&w.sync().expect(6).cycle()), expected(&[("rename", 1)]));
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("rename", 4)]));
    assert_eq!((target.users().len(), target.user("new4@corp.example").unwrap()["externalId"].clone()), (60, json!("p00004")));
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!(sandbox.writes(), 0, "converges");
}

#[test]
fn one_account_per_person_where_who_matches_is_protected_or_comes_later() {
    let sandbox = SandboxProcess::start(&[]);
    let (target, admin) = (ScimReader::new(&sandbox.base_url, &sandbox.token), Admin::of(&sandbox));
    let sync = "[sync.guard]\nminimum = 5\nprotected = [\"boss@corp.example\"]";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(6);
    let boss = admin.create(&json!({"userName": "boss@corp.example", "externalId": "p00000", "active": true}));
    let cycle = w.sync().expect(6).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 5), ("adopt", 1)]), "{cycle}");
    assert_eq!(held(&cycle)[0].0, "rename");
    // A verifying cycle meets the accounts of newcomers; what was reviewed is what is done.
    for i in 10..14 {
        admin.create(&json!({"userName": format!("old{i}"), "externalId": format!("p{i:05}"), "active": true}));
        w.join(&format!("p{i:05}"));
    }
    w.save();
    w.run(&["plan", "--verify", "--out", "p.json"]).expect(6);
    let cycle = w.run(&["sync", "--verify", "--plan", "p.json", "--json"]).expect(6).cycle();
    assert_eq!((changes(&cycle), held(&cycle).len()), (expected(&[("adopt", 4)]), 5), "{cycle}");
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(6).cycle()), expected(&[("rename", 4)]));
    assert_eq!(target.users().len(), 10);
    assert_eq!(admin.get(&boss)["userName"], "boss@corp.example");
    assert_eq!(target.user("p00013@corp.example").unwrap()["externalId"], "p00013");
}

#[test]
fn one_account_per_person_where_renames_at_adoption_were_approved_beforehand() {
    let sandbox = SandboxProcess::start(&[]);
    let (target, admin) = (ScimReader::new(&sandbox.base_url, &sandbox.token), Admin::of(&sandbox));
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nrename = 0", "");
    w.populate(3);
    admin.create(&json!({"userName": "old", "externalId": "p00000", "active": true}));
    w.save();
    let plan = w.run(&["plan", "--out", "p.json", "--json"]).expect(6).plan();
    assert_eq!(changes(&plan), expected(&[("create", 2), ("adopt", 1), ("rename", 1)]));
    w.run(&["approve", "s", "--plan", "p.json"]).expect(0);
    let cycle = w.run(&["sync", "--plan", "p.json", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 2), ("adopt", 1)]), "{cycle}");
    assert_eq!(target.user("p00000@corp.example").unwrap()["externalId"], "p00000");
}

#[test]
fn an_account_is_linked_though_somebody_else_has_the_new_name() {
    let sandbox = SandboxProcess::start(&[]);
    let admin = Admin::of(&sandbox);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nminimum = 5", "");
    w.populate(2);
    let theirs = admin.create(&json!({"userName": "old", "externalId": "p00000", "active": true}));
    let other = admin.create(&json!({"userName": "p00000@corp.example", "externalId": "another", "active": true}));
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 1), ("adopt", 1)]), "{cycle}");
    let parked = &cycle["parked"][0];
    assert!(parked["reason"].as_str().unwrap().contains("p00000@corp.example is taken"), "{parked}");
    let account = admin.get(&theirs);
    assert_eq!((&account["userName"], &account["displayName"]), (&json!("old"), &json!("Given p00000 Family")));
    assert_eq!(changes(&w.sync().expect(7).cycle()), expected(&[]));
    // Undone, it is as it was; then who left is deactivated.
    w.leave("p00000");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
    assert_eq!((admin.get(&theirs)["active"].clone(), admin.get(&other)["active"].clone()), (json!(false), json!(true)));
}

#[test]
fn who_comes_back_with_another_name_is_active_while_the_name_is_held() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nrename = 0", "");
    w.populate(4);
    w.sync().expect(0);
    let account = id(&target.user("p00003@corp.example").unwrap());
    w.set("p00003", "accountEnabled", false);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
    w.set("p00003", "accountEnabled", true);
    w.set("p00003", "mail", "three@corp.example");
    w.set("p00003", "displayName", "Three");
    let cycle = w.sync().expect(6).cycle();
    assert_eq!(
        (changes(&cycle), held(&cycle)),
        (expected(&[("reactivate", 1)]), vec![("rename", "three@corp.example")]),
        "{cycle}"
    );
    let back = target.user("p00003@corp.example").unwrap();
    assert_eq!((&back["active"], &back["displayName"]), (&json!(true), &json!("Three")));
    w.run(&["approve", "s", "--who", "p00003@corp.example"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("rename", 1)]));
    assert_eq!(id(&target.user("three@corp.example").unwrap()), account);
}

#[test]
fn absence_confirmed_a_scope_in_which_nobody_is_takes_nothing_away_from_a_few() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.scope]\nmembers_of = [\"Group all\"]", "");
    w.populate(9);
    let all: Vec<String> = w.people.keys().cloned().collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    w.group("all", &all);
    w.sync().expect(0);
    let active = || target.users().iter().filter(|u| u["active"] == true).count();
    w.group("all", &[]);
    let cycle = w.sync().expect(6).cycle();
    assert_eq!((changes(&cycle), active()), (expected(&[]), 9), "{cycle}");
    assert!(held(&cycle).iter().any(|(kind, _)| *kind == "deactivate"), "{cycle}");
    assert!(cycle["warnings"][0].as_str().unwrap().contains("[sync.scope]"), "{cycle}");
    w.group("all", &all);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[]));
    let source = "type = \"file\"\npath = \"people.json\"";
    w.configure(source, &sandbox.base_url, &sandbox.token, "[sync.scope]\nusers = 'departmnt eq \"Sales\"'", "");
    let run = w.sync().expect(6);
    assert_eq!(run.stderr.matches("has no attribute [departmnt]").count(), 1, "{}", run.stderr);
    assert_eq!(active(), 9);
    // Who means it approves it.
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle())["deactivate"], 9);
    assert_eq!(active(), 0);
}
