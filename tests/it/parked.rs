//! Parking: one change of one record that cannot be made, and everything else that goes on.

use crate::support::admin::{Admin, id};
use crate::support::switch::{Asked, Switch};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

fn parked(document: &Value) -> Vec<&str> {
    let mut who: Vec<&str> = document["parked"].as_array().unwrap().iter().map(|p| p["source_key"].as_str().unwrap()).collect();
    who.sort_unstable();
    who
}

fn world(sandbox: &SandboxProcess, n: usize) -> (World, ScimReader) {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(n);
    (w, ScimReader::new(&sandbox.base_url, &sandbox.token))
}

#[test]
fn one_bad_record_among_a_thousand() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 1000);
    let mail = w.people.get_mut("p00500").unwrap().remove("mail").unwrap();
    let run = w.sync().expect(7);
    assert_eq!(run.cycle()["result"], "parked");
    assert_eq!(changes(&run.cycle()), expected(&[("create", 999)]));
    let p = run.cycle()["parked"][0].clone();
    assert_eq!(p["source_key"], "p00500");
    assert!(p["reason"].as_str().unwrap().contains("userName"), "{p}");
    assert!(p["advice"].as_str().unwrap().contains("address"), "{p}");
    assert_eq!(w.run(&["status", "--json"]).json()["syncs"][0]["parked"], 1);

    sandbox.reset_counters();
    assert_eq!(parked(&w.sync().expect(7).cycle()), ["p00500"], "it stays on the list");
    assert_eq!(sandbox.writes(), 0);
    let log = w.run(&["log", "--who", "p00500", "--json"]).json();
    assert_eq!(log["entries"].as_array().unwrap().len(), 1, "and is told once: {log}");
    assert_eq!(log["entries"][0]["status"], "parked");

    w.set("p00500", "mail", mail);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 1)]));
    assert_eq!(target.users().len(), 1000);
    assert_eq!(w.run(&["status", "--json"]).json()["syncs"][0]["parked"], 0);
}

#[test]
fn one_bad_record_that_the_target_refuses() {
    let sandbox = SandboxProcess::start(&["--refuse", "Beelzebub"]);
    let (mut w, target) = world(&sandbox, 20);
    w.group("g", &["p00001", "p00002"]);
    w.set("p00001", "displayName", "Beelzebub");
    let run = w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 19), ("group_create", 1), ("members_add", 1)]));
    let p = run.cycle()["parked"][0].clone();
    assert_eq!((&p["source_key"], &p["kind"]), (&json!("p00001"), &json!("create")));
    assert!(p["reason"].as_str().unwrap().contains("400"), "{p}");

    // A linked one: the good attribute goes through, the refused one waits.
    w.set("p00003", "displayName", "Beelzebub");
    w.set("p00003", "sn", "New-Family");
    let run = w.sync().expect(7);
    assert_eq!(parked(&run.cycle()), ["p00001", "p00003"]);
    let p = run.cycle()["parked"][1].clone();
    assert!(p["reason"].as_str().unwrap().contains("displayName"), "which attribute: {p}");
    let user = target.user("p00003@corp.example").unwrap();
    assert_eq!(user["name"]["familyName"], "New-Family");
    assert_eq!(user["displayName"], "Given p00003 Family");

    w.set("p00001", "displayName", "Jane");
    w.set("p00003", "displayName", "Joan");
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 1), ("update", 1), ("members_add", 1)]));
    assert_eq!(target.memberships()["Group g"].len(), 2);
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0, "converges");
}

#[test]
fn no_guess_two_newcomers_with_one_address_are_both_parked() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 10);
    w.sync().expect(0);
    for twin in ["t1", "t2"] {
        w.join(twin);
        w.set(twin, "mail", "Jane@corp.example");
    }
    w.set("t2", "mail", "jane@corp.example");
    w.set("p00001", "displayName", "Goes On");
    let run = w.sync().expect(7);
    assert_eq!(parked(&run.cycle()), ["t1", "t2"]);
    assert_eq!(changes(&run.cycle()), expected(&[("update", 1)]));
    assert!(target.user("jane@corp.example").is_none());
    // One of them turns out to be a leaver: the other one gets it.
    w.leave("t1");
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 1)]));
    assert_eq!(target.user("jane@corp.example").unwrap()["externalId"], "t2");
}

#[test]
fn no_guess_the_linked_incumbent_keeps_the_address() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 10);
    w.sync().expect(0);
    w.join("new");
    w.set("new", "mail", "p00001@corp.example");
    w.set("p00001", "displayName", "Goes On");
    w.set("p00002", "mail", "P00001@corp.example");
    w.set("p00002", "sn", "Also Goes On");
    let run = w.sync().expect(7);
    assert_eq!(parked(&run.cycle()), ["new", "p00002"]);
    assert_eq!(changes(&run.cycle()), expected(&[("update", 2)]));
    let user = target.user("p00001@corp.example").unwrap();
    assert_eq!((&user["externalId"], &user["displayName"]), (&json!("p00001"), &json!("Goes On")));
    let other = target.user("p00002@corp.example").unwrap();
    assert_eq!(other["name"]["familyName"], "Also Goes On", "unrelated attributes always pass");
    // The incumbent leaves: the address stays on the old account, and nobody takes it over by guess.
    w.leave("p00001");
    let run = w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(parked(&run.cycle()), ["new", "p00002"]);
    assert!(run.cycle()["parked"][0]["reason"].as_str().unwrap().contains("left"), "{}", run.cycle()["parked"]);
    assert_eq!(target.users().len(), 10);
}

#[test]
fn a_leaver_passes_though_another_change_of_the_same_person_is_parked() {
    let sandbox = SandboxProcess::start(&["--refuse", "Beelzebub"]);
    let (mut w, target) = world(&sandbox, 20);
    w.group("g", &["p00001", "p00002", "p00003"]);
    w.sync().expect(0);
    w.set("p00001", "displayName", "Beelzebub");
    w.people.get_mut("p00002").unwrap().remove("mail");
    w.set("p00003", "displayName", "Beelzebub");
    assert_eq!(parked(&w.sync().expect(7).cycle()), ["p00001", "p00002", "p00003"]);
    // One is disabled, one is deleted, one leaves the group: none of that waits.
    w.set("p00001", "active", json!(false));
    w.leave("p00002");
    w.group("g", &["p00001"]);
    let run = w.sync();
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 2), ("members_remove", 2)]), "{}", run.stdout);
    for gone in ["p00001@corp.example", "p00002@corp.example"] {
        assert_eq!(target.user(gone).unwrap()["active"], false);
    }
    assert_eq!(target.memberships()["Group g"], ["p00001@corp.example"]);
}

#[test]
fn unrelated_attributes_pass_where_the_user_id_cannot_be_had() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 10);
    w.sync().expect(0);
    Admin::of(&sandbox).create(&json!({"userName": "taken@corp.example"}));
    w.set("p00001", "mail", "taken@corp.example");
    w.set("p00001", "displayName", "Other Name");
    w.people.get_mut("p00002").unwrap().remove("mail");
    w.set("p00002", "displayName", "Without Mail");
    let run = w.sync().expect(7);
    assert_eq!(parked(&run.cycle()), ["p00001", "p00002"]);
    let user = target.user("p00001@corp.example").unwrap();
    assert_eq!(user["displayName"], "Other Name", "the name is taken at the target, the rest is not");
    let user = target.user("p00002@corp.example").unwrap();
    assert_eq!(user["displayName"], "Without Mail");
    sandbox.reset_counters();
    w.run(&["plan", "--json"]).expect(7);
    assert_eq!(sandbox.writes(), 0);
    let run = w.sync().expect(7);
    assert!(changes(&run.cycle()).is_empty());
    assert_eq!(target.user("taken@corp.example").unwrap()["externalId"], Value::Null, "own_only");
}

#[test]
fn rename_is_rename_also_in_chains_and_circles() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 12);
    let guard = "[sync.guard]\nrename = \"unlimited\"";
    w.configure("type = \"file\"\npath = \"people.json\"", &sandbox.base_url, &sandbox.token, guard, "");
    w.sync().expect(0);
    let ids = |target: &ScimReader| -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> =
            target.users().iter().map(|u| (u["externalId"].as_str().unwrap().to_owned(), id(u))).collect();
        all.sort();
        all
    };
    let before = ids(&target);
    let name = |n: usize| format!("p{n:05}@corp.example");
    let key = |n: usize| format!("p{n:05}");
    // A chain, each taking the next one's name; a swap; a circle of three.
    for (who, takes) in [(0, 1), (1, 2), (2, 99), (4, 5), (5, 4), (7, 8), (8, 9), (9, 7)] {
        w.set(&key(who), "mail", name(takes));
        w.set(&key(who), "displayName", format!("Now {takes}"));
    }
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("rename", 8)]));
    let now = target.users_by_name();
    for (who, takes) in [(0, 1), (1, 2), (2, 99), (4, 5), (5, 4), (7, 8), (8, 9), (9, 7), (3, 3), (6, 6)] {
        let user = &now[&name(takes)];
        assert_eq!(user["externalId"], key(who), "{takes}");
        assert_eq!(user["emails"][0]["value"], name(takes));
    }
    assert_eq!(now[&name(4)]["displayName"], "Now 4");
    assert_eq!(ids(&target), before, "no account was made, none was lost");
    sandbox.reset_counters();
    assert!(changes(&w.sync().expect(0).cycle()).is_empty());
    assert_eq!(sandbox.requests(), 0, "converges");
}

#[test]
fn tombstone_names_are_never_pushed() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 10);
    w.sync().expect(0);
    let mangled = "0123456789abcdef0123456789abcdef";
    // Disabled and mangled in one go, as Entra does with a soft-deleted user; and a mangled name on an active entry.
    w.set("p00001", "active", json!(false));
    w.set("p00001", "mail", format!("{mangled}p00001@corp.example"));
    w.set("p00001", "userPrincipalName", format!("{mangled}p00001@corp.example"));
    w.set("p00002", "mail", format!("{mangled}p00002@corp.example"));
    w.join("new");
    w.set("new", "mail", format!("{mangled}new@corp.example"));
    let run = w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(parked(&run.cycle()), ["new", "p00002"]);
    for user in target.users() {
        assert!(!user.to_string().contains(mangled), "{user}");
    }
}

#[test]
fn a_member_that_is_gone_does_not_keep_the_others_out() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 10);
    w.group("g", &["p00000"]);
    w.sync().expect(0);
    Admin::of(&sandbox).delete(&id(&target.user("p00003@corp.example").unwrap()));
    w.group("g", &["p00000", "p00001", "p00002", "p00003", "p00004", "p00005"]);
    let run = w.sync();
    let members = &target.memberships()["Group g"];
    for there in ["p00000", "p00001", "p00002", "p00004", "p00005"] {
        assert!(members.contains(&format!("{there}@corp.example")), "{members:?} {}", run.stdout);
    }
}

#[test]
fn the_address_of_somebody_else_waits_with_the_name() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 3);
    w.sync().expect(0);
    w.set("p00002", "mail", "p00001@corp.example");
    w.set("p00002", "displayName", "Still Passes");
    w.sync().expect(7);
    let user = target.user("p00002@corp.example").unwrap();
    assert_eq!(user["emails"][0]["value"], "p00002@corp.example", "{user}");
    assert_eq!(user["displayName"], "Still Passes");
    // The same where only the target knows that the name is taken.
    Admin::of(&sandbox).create(&json!({"userName": "boss@corp.example", "externalId": "somebody"}));
    w.set("p00002", "mail", "boss@corp.example");
    w.set("p00002", "displayName", "Passes Too");
    w.sync().expect(7);
    let user = target.user("p00002@corp.example").unwrap();
    assert_eq!(user["emails"][0]["value"], "p00002@corp.example", "{user}");
    assert_eq!(user["displayName"], "Passes Too");
}

/// Whoever comes back with an address that somebody else has meanwhile gets the account back, and not that address.
#[test]
fn the_addresses_of_a_name_that_is_taken_wait_where_somebody_is_reactivated() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, 12);
    w.sync().expect(0);
    w.set("p00003", "accountEnabled", false);
    w.sync().expect(0);
    Admin::of(&sandbox).create(&json!({"userName": "taken@corp.example", "active": true}));
    w.set("p00003", "accountEnabled", true);
    w.set("p00003", "mail", "taken@corp.example");
    w.set("p00003", "displayName", "New Name");
    let cycle = w.sync().expect(7).cycle();
    let user = target.user("p00003@corp.example").unwrap();
    assert_eq!((&user["active"], &user["displayName"]), (&json!(true), &json!("New Name")), "{cycle}");
    assert_eq!(user["emails"][0]["value"], "p00003@corp.example", "it is somebody else's address");
    // Free again: name and address go together.
    Admin::of(&sandbox).delete(&id(&target.user("taken@corp.example").unwrap()));
    w.sync().expect(0);
    let user = target.user("taken@corp.example").unwrap();
    assert_eq!((&user["externalId"], &user["emails"][0]["value"]), (&json!("p00003"), &json!("taken@corp.example")));
}

/// All of a change in one request is refused for its bad value; that its name is free in a moment is not forgotten.
#[test]
fn one_bad_record_a_taken_name_is_not_forgotten_over_a_bad_value() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "concurrency = 1");
    w.populate(4);
    w.sync().expect(0);
    switch.rule(|asked: &Asked| {
        asked.body.contains("Beelzebub").then(|| (400, json!({"scimType": "invalidValue", "detail": "no such name"}).to_string()))
    });
    Admin::of(&sandbox).create(&json!({"userName": "theirs@corp.example"}));
    for (key, mail) in [("p00000", "p00001@corp.example"), ("p00001", "moved@corp.example"), ("p00002", "theirs@corp.example")] {
        w.set(key, "mail", mail);
    }
    w.set("p00000", "displayName", "Beelzebub");
    w.set("p00002", "displayName", "Beelzebub");
    let cycle = w.sync().expect(7).cycle();
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let name = |key: &str| target.users().iter().find(|u| u["externalId"] == key).unwrap()["userName"].clone();
    assert_eq!((name("p00000"), name("p00001")), (json!("p00001@corp.example"), json!("moved@corp.example")), "{cycle}");
    let why = cycle["parked"].as_array().unwrap().iter().find(|p| p["source_key"] == "p00002").unwrap()["reason"].clone();
    assert!(why.as_str().unwrap().contains("theirs@corp.example is taken"), "{cycle}");
}
