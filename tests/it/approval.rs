//! Approval: change by change, for a day, by somebody with a name.

use crate::support::switch::{Asked, Switch};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::Value;
use std::time::Duration;

/// 40 people of whom `leavers` leave; all of those are held.
fn held_leavers(sandbox: &SandboxProcess, leavers: usize) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nsource_shrink = \"unlimited\"", "");
    w.populate(40);
    w.sync().expect(0);
    for i in 0..leavers {
        w.leave(&format!("p{i:05}"));
    }
    w.sync().expect(6);
    w
}

fn active(target: &ScimReader) -> usize {
    target.users().iter().filter(|u| u["active"] == true).count()
}

#[test]
fn approve_releases_exactly_what_is_held() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = held_leavers(&sandbox, 5);
    let status = w.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["syncs"][0]["held"], 5);
    assert_eq!(status["syncs"][0]["last_result"], "held");

    let mut approve = w.command(&["approve", "s", "--reason", "team moved out", "--json"]);
    let run: crate::support::world::Run = approve.env("SUDO_USER", "alice").output().unwrap().into();
    let said = run.expect(0).json();
    assert_eq!(said["version"], 1);
    assert_eq!(said["sync"], "s");
    assert_eq!(said["by"], "alice");
    assert_eq!(said["approved"].as_array().unwrap().len(), 5);
    assert_eq!(said["approved"][0]["kind"], "deactivate");
    assert_eq!(said["approved"][0]["who"], "p00000@corp.example");
    assert_eq!(said["approved"][0]["source_key"], "p00000");
    let until: jiff::Timestamp = said["until"].as_str().unwrap().parse().unwrap();
    let hours = (until.as_second() - jiff::Timestamp::now().as_second()) / 3600;
    assert!((23..=24).contains(&hours), "{until}");

    // Two more leave: within the limit by themselves, and approved ones leave the count.
    w.leave("p00010");
    w.leave("p00011");
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 7)]));
    // Another one is the third unapproved one within a day.
    w.leave("p00012");
    let run = w.sync().expect(6);
    assert_eq!(run.cycle()["held"].as_array().unwrap().len(), 1);
    assert_eq!(run.cycle()["held"][0]["who"], "p00012@corp.example");

    // Who approved, and why, is on record.
    let log = w.run(&["log", "--who", "p00000@corp.example", "--json"]).expect(0).json();
    let done = log["entries"].as_array().unwrap().iter().find(|e| e["kind"] == "deactivate" && e["status"] == "done").unwrap();
    assert_eq!(done["approved_by"], "alice");
    assert_eq!(done["approval_reason"], "team moved out");
    let log = w.run(&["log", "--who", "p00010@corp.example", "--json"]).expect(0).json();
    let done = log["entries"].as_array().unwrap().iter().find(|e| e["kind"] == "deactivate").unwrap();
    assert_eq!(done["approved_by"], Value::Null);
}

#[test]
fn approve_one_releases_one() {
    let sandbox = SandboxProcess::start(&[]);
    let w = held_leavers(&sandbox, 5);
    w.run(&["approve", "s", "--who", "nobody@corp.example"]).expect(2);
    let said = w.run(&["approve", "--who", "P00003@corp.example", "--json"]).expect(0).json();
    assert_eq!(said["approved"].as_array().unwrap().len(), 1);
    let run = w.sync().expect(6);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(run.cycle()["held"].as_array().unwrap().len(), 4);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("p00003@corp.example").unwrap()["active"], false);
    assert_eq!(active(&target), 39);
}

/// One's new name is the other's present one: it is nobody's alone.
#[test]
fn no_guess_a_name_of_two_approves_nobody_and_the_source_key_one() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nrename = 0", "");
    w.populate(3);
    w.sync().expect(0);
    w.set("p00001", "mail", "robert@corp.example");
    w.set("p00002", "mail", "p00001@corp.example");
    w.sync().expect(6);
    let refused = w.run(&["approve", "s", "--who", "p00001@corp.example"]).expect(2);
    assert!(refused.stderr.contains("p00001, p00002") && refused.stderr.contains("nothing was approved"), "{}", refused.stderr);
    let said = w.run(&["approve", "s", "--who", "P00001", "--json"]).expect(0).json();
    let keys: Vec<&Value> = said["approved"].as_array().unwrap().iter().map(|a| &a["source_key"]).collect();
    assert!(!keys.is_empty() && keys.iter().all(|k| *k == "p00001"), "{said}");
}

#[test]
fn an_altered_change_is_held_anew() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nrename = 0", "");
    w.populate(20);
    w.sync().expect(0);
    w.set("p00001", "mail", "one@corp.example");
    w.set("p00002", "mail", "two@corp.example");
    w.sync().expect(6);
    w.run(&["approve", "s"]).expect(0);
    w.set("p00002", "mail", "second@corp.example");
    let run = w.sync().expect(6);
    assert_eq!(changes(&run.cycle()), expected(&[("rename", 1)]));
    assert_eq!(run.cycle()["held"][0]["source_key"], "p00002");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert!(target.user("one@corp.example").is_some());
    assert!(target.user("p00002@corp.example").is_some());
}

#[test]
fn a_reorganisation_is_approved_beforehand() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(50);
    let all: Vec<String> = w.people.keys().cloned().collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    w.group("old", &names);
    w.sync().expect(0);
    for i in 0..20 {
        w.leave(&format!("p{i:05}"));
    }
    for i in 20..40 {
        w.set(&format!("p{i:05}"), "mail", format!("n{i:05}@corp.example"));
    }
    w.groups.get_mut("old").unwrap().1.retain(|m| m.as_str() > "p00045");
    w.save();
    let plan = w.run(&["plan", "--out", "reorg.json", "--json"]).expect(6);
    assert!(plan.plan()["held"]["deactivate"] == 20, "{}", plan.stdout);
    w.run(&["approve", "s", "--plan", "reorg.json", "--until", "3d", "--reason", "reorganisation"]).expect(0);
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 20), ("rename", 20), ("members_remove", 46)]));
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(active(&target), 30);
    // What was approved has left the count: one more leaver is nothing unusual.
    w.leave("p00049");
    w.sync().expect(0);
}

#[test]
fn a_row_that_was_edited_is_not_approved_and_one_that_was_taken_out_is_not_missed() {
    let sandbox = SandboxProcess::start(&[]);
    let w = held_leavers(&sandbox, 5);
    w.run(&["plan", "--out", "p.json"]).expect(6);
    let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(w.path("p.json")).unwrap()).unwrap();
    let edits: [fn(&mut serde_json::Value); 4] = [
        |row| row["source_key"] = "p00030".into(),
        |row| row["who"] = "p00030@corp.example".into(),
        |row| row["to"]["title"] = "Director".into(),
        |row| row["id"] = "0".repeat(64).into(),
    ];
    for edit in edits {
        let mut edited = plan.clone();
        edit(&mut edited["plans"][0]["changes"][0]);
        std::fs::write(w.path("edited.json"), edited.to_string()).unwrap();
        let run = w.run(&["approve", "s", "--plan", "edited.json"]).expect(11);
        assert!(run.stderr.contains("changed by hand"), "{}", run.stderr);
    }
    assert_eq!(w.sync().expect(6).cycle()["held"].as_array().unwrap().len(), 5);
    let mut fewer = plan;
    fewer["plans"][0]["changes"].as_array_mut().unwrap().truncate(2);
    std::fs::write(w.path("fewer.json"), fewer.to_string()).unwrap();
    let approved = w.run(&["approve", "s", "--plan", "fewer.json", "--json"]).expect(0).json();
    assert_eq!(approved["approved"].as_array().unwrap().len(), 2);
    assert_eq!(changes(&w.sync().expect(6).cycle()), expected(&[("deactivate", 2)]));
}

#[test]
fn reviewed_is_applied_also_when_it_was_approved_after_the_review() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(40);
    w.group("g", &["p00000", "p00001", "p00002", "p00003", "p00004"]);
    w.sync().expect(0);
    for i in 0..5 {
        w.leave(&format!("p{i:05}"));
    }
    w.save();
    w.run(&["plan", "--out", "p.json"]).expect(6);
    w.run(&["approve", "s", "--plan", "p.json"]).expect(0);
    let run = w.run(&["sync", "--plan", "p.json", "--json"]).expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 5), ("members_remove", 5)]));
}

#[test]
fn an_approval_ends() {
    let sandbox = SandboxProcess::start(&[]);
    let w = held_leavers(&sandbox, 5);
    w.run(&["plan", "--out", "p.json"]).expect(6);
    w.run(&["approve", "s", "--plan", "p.json", "--until", "1s"]).expect(0);
    std::thread::sleep(Duration::from_millis(2100));
    let run = w.sync().expect(6);
    assert_eq!(run.cycle()["held"].as_array().unwrap().len(), 5);
    // A time that is over already is a mistake, not an approval.
    w.run(&["approve", "s", "--plan", "p.json", "--until", "2020-01-01"]).expect(2);
}

#[test]
fn the_last_groups_go_when_somebody_says_so() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let free = "[sync.guard]\ngroup_delete = \"unlimited\"\nsource_shrink = \"unlimited\"\n";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, free, "");
    w.populate(5);
    w.group("a", &["p00000", "p00001"]);
    w.group("b", &["p00002"]);
    w.sync().expect(0);
    w.groups.clear();
    w.leave("p00003");
    for _ in 0..2 {
        let cycle = w.sync().expect(6).cycle();
        assert_eq!(cycle["held"].as_array().unwrap().len(), 2, "{cycle}");
        let why = cycle["held"][0]["reason"].as_str().unwrap();
        assert!(cycle["held"][0]["kind"] == "group_delete" && why.contains("no group") && why.contains("had 2"), "{why}");
        assert!(cycle["warnings"].to_string().contains("shows no group"), "{cycle}");
    }
    assert_eq!((target.groups().len(), active(&target)), (2, 4), "people are another matter");
    w.run(&["approve", "s"]).expect(0);
    w.sync().expect(0);
    assert!(target.groups().is_empty());
    let quiet = w.sync().expect(0).cycle();
    assert_eq!(quiet["warnings"], serde_json::json!([]), "that there is none has been accepted");
    // A single one is nothing out of the ordinary.
    w.group("c", &["p00002"]);
    w.sync().expect(0);
    w.groups.clear();
    w.sync().expect(0);
    assert!(target.groups().is_empty());
}

#[test]
fn nobody_misses_groups_where_none_are_wanted_or_in_scope() {
    for sync in ["[sync.actions]\ngroup = []\n", "[sync.scope]\ngroups = 'displayName sw \"app-\"'\n"] {
        let sandbox = SandboxProcess::start(&[]);
        let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
        w.populate(5);
        w.group("a", &["p00000", "p00001"]);
        w.sync().expect(0);
        w.groups.clear();
        let cycle = w.sync().expect(0).cycle();
        assert_eq!(cycle["warnings"], serde_json::json!([]), "{cycle}");
    }
}

#[test]
fn approve_without_anything_held_says_so() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    let run = w.run(&["approve", "s"]).expect(0);
    assert!(run.stdout.contains("nothing is held"), "{}", run.stdout);
    w.run(&["approve", "other"]).expect(2);
    w.run(&["approve", "s", "--plan", "missing.json"]).expect(2);
    std::fs::write(w.path("bad.json"), "{\"version\": 1, \"plans\": [{\"sync\": \"s\"}]}").unwrap();
    w.run(&["approve", "s", "--plan", "bad.json"]).expect(2);
}

#[test]
fn reviewed_is_applied_also_when_a_rename_was_approved_after_the_review() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nrename = 0", "");
    w.populate(20);
    w.sync().expect(0);
    w.set("p00001", "mail", "one@corp.example");
    w.set("p00001", "displayName", "Uno");
    w.save();
    let plan = w.run(&["plan", "--out", "p.json", "--json"]).expect(6).plan();
    assert_eq!(changes(&plan), expected(&[("rename", 1), ("update", 1)]));
    w.run(&["approve", "s", "--plan", "p.json"]).expect(0);
    sandbox.reset_counters();
    let cycle = w.run(&["sync", "--plan", "p.json", "--json"]).expect(0).cycle();
    assert_eq!((changes(&cycle), sandbox.writes()), (expected(&[("rename", 1)]), 1), "one request for one person");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("one@corp.example").unwrap()["displayName"], "Uno");
}

#[test]
fn the_approval_of_a_rename_is_on_record_however_much_else_changed() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nrename = 0", "");
    w.populate(20);
    w.sync().expect(0);
    let approved_by = |w: &World, who: &str| {
        let log = w.run(&["log", "--who", who, "--json"]).expect(0).json();
        let done = log["entries"].as_array().unwrap().iter().rfind(|e| e["kind"] == "rename" && e["status"] == "done").cloned();
        let done = done.unwrap();
        (done["approved_by"].is_string(), done["approval_reason"].clone())
    };
    // Beforehand, as a plan that shows the rename in two parts.
    w.set("p00001", "mail", "one@corp.example");
    w.set("p00001", "displayName", "Uno");
    w.save();
    w.run(&["plan", "--out", "p.json"]).expect(6);
    w.run(&["approve", "s", "--plan", "p.json", "--reason", "because"]).expect(0);
    w.run(&["sync", "--plan", "p.json", "--json"]).expect(0);
    assert_eq!(approved_by(&w, "one@corp.example"), (true, "because".into()));
    // Something else changes between the approval and the cycle.
    w.set("p00002", "mail", "two@corp.example");
    w.sync().expect(6);
    w.run(&["approve", "s", "--reason", "married"]).expect(0);
    w.set("p00002", "displayName", "Due");
    w.sync().expect(0);
    assert_eq!(approved_by(&w, "two@corp.example"), (true, "married".into()));
    // Both are used up: there and back again is asked for.
    for (id, mail) in [("p00001", "one@corp.example"), ("p00002", "two@corp.example")] {
        w.set(id, "mail", format!("{id}@corp.example"));
        w.sync().expect(6);
        w.run(&["approve", "s"]).expect(0);
        w.sync().expect(0);
        w.set(id, "mail", mail);
        w.sync().expect(6);
        w.run(&["approve", "s"]).expect(0);
        w.sync().expect(0);
    }
}

#[test]
fn an_approval_is_used_up_by_what_it_was_for() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nsource_shrink = \"unlimited\"", "");
    w.populate(40);
    w.sync().expect(0);
    let everybody = w.people.clone();
    let leave = |w: &mut World| (0..10).for_each(|i| w.leave(&format!("p{i:05}")));
    leave(&mut w);
    w.sync().expect(6);
    w.run(&["plan", "--out", "p.json"]).expect(6);
    // Twice, and as a plan for days: it is one approval of one change.
    w.run(&["approve", "s"]).expect(0);
    w.run(&["approve", "s"]).expect(0);
    w.run(&["approve", "s", "--plan", "p.json", "--until", "3d"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 10)]));
    w.people = everybody;
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("reactivate", 10)]));
    // Whoever is missing again was not approved to be.
    leave(&mut w);
    let run = w.sync().expect(6);
    assert_eq!(run.cycle()["held"].as_array().unwrap().len(), 10);
    assert_eq!(active(&target), 40);
    // And may be approved again.
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 10)]));
}

#[test]
fn what_was_approved_and_undone_is_held() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = held_leavers(&sandbox, 10);
    w.set("p00020", "displayName", "Other");
    w.save();
    w.run(&["plan", "--out", "p.json"]).expect(6);
    w.run(&["approve", "s", "--plan", "p.json", "--until", "3d"]).expect(0);
    let done = w.sync().expect(0).cycle();
    assert_eq!(changes(&done), expected(&[("deactivate", 10), ("update", 1)]));
    w.run(&["undo", &done["cycle"].to_string()]).expect(0);
    assert_eq!(active(&target), 40);
    let run = w.sync().expect(6);
    assert_eq!((changes(&run.cycle()), run.cycle()["held"].as_array().unwrap().len()), (expected(&[]), 11));
    assert_eq!(active(&target), 40, "what was undone stays held until approved");
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 10), ("update", 1)]));
}

#[test]
fn an_approval_from_before_an_undo_releases_nothing_of_it() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = held_leavers(&sandbox, 10);
    w.run(&["approve", "s"]).expect(0);
    let done = w.sync().expect(0).cycle();
    std::thread::sleep(Duration::from_millis(1100));
    w.run(&["undo", &done["cycle"].to_string()]).expect(0);
    // As one that was never used up, for whatever reason.
    let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
    c.execute("UPDATE approval SET until = until + 86400", []).unwrap();
    drop(c);
    w.join("new");
    let run = w.sync().expect(6);
    assert_eq!((changes(&run.cycle()), run.cycle()["held"].as_array().unwrap().len()), (expected(&[("create", 1)]), 10));
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 10)]));
}

#[test]
fn a_killed_cycle_goes_on_with_what_was_approved() {
    let sandbox = SandboxProcess::start(&["--latency", "100"]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let w = held_leavers(&sandbox, 30);
    w.run(&["approve", "s", "--reason", "closed"]).expect(0);
    let mut child = w.command(&["sync"]).stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
    while active(&target) > 38 {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    w.sync().expect(0);
    assert_eq!(active(&target), 10);
    let log = w.run(&["log", "--json"]).expect(0).json();
    let done = log["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "deactivate" && e["status"] == "done");
    assert!(done.clone().count() >= 30 && done.clone().all(|e| e["approval_reason"] == "closed"), "{log}");
}

/// Another list of members is another change, and still part of what was approved.
#[test]
fn what_is_left_of_memberships_that_were_approved_goes_on_after_an_interruption() {
    let sandbox = SandboxProcess::start(&["--latency", "100"]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "members_per_patch = 1");
    w.populate(20);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    w.group("all", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    w.sync().expect(0);
    w.groups.get_mut("all").unwrap().1.truncate(4);
    w.sync().expect(6);
    w.run(&["approve", "s", "--reason", "reorganised"]).expect(0);
    let members = || target.memberships()["Group all"].len();
    let mut child = w.command(&["sync"]).stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
    while members() > 17 {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(members() > 4, "in the middle");
    w.sync().expect(0);
    assert_eq!(members(), 4);
    let log = w.run(&["log", "--json"]).expect(0).json();
    let done = log["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "members_remove" && e["status"] == "done");
    assert!(done.clone().count() >= 2 && done.clone().all(|e| e["approval_reason"] == "reorganised"), "{log}");
    // Used up by then: the same again is judged anew.
    w.group("all", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    w.sync().expect(0);
    w.groups.get_mut("all").unwrap().1.truncate(4);
    w.sync().expect(6);
}

/// The look afterwards finds nothing that was not booked already; and one who stays for good is part of what was approved.
#[test]
fn what_is_left_of_memberships_that_were_approved_goes_on_where_nothing_more_arrived() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w =
        World::new(&switch.url, &sandbox.token, "[sync.guard]\nprotected = [\"p00019@corp.example\"]", "members_per_patch = 4");
    w.populate(20);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    w.group("all", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    w.sync().expect(0);
    w.set("p00019", "accountEnabled", false);
    w.groups.get_mut("all").unwrap().1.truncate(4);
    w.sync().expect(6);
    w.run(&["approve", "s", "--reason", "reorganised"]).expect(0);
    let mut sent = 0;
    switch.rule(move |asked: &Asked| {
        sent += usize::from(asked.writes() && asked.path.contains("/Groups/"));
        (asked.writes() && sent > 1).then(|| (504, String::new()))
    });
    w.sync();
    let members = || target.memberships()["Group all"].len();
    assert_eq!(members(), 16, "the first request was carried out");
    switch.pass();
    w.sync().expect(6);
    assert_eq!(members(), 5);
}
