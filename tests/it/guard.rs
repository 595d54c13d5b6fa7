//! The guard: what a plan may do by itself, and what waits for somebody.

mod gone;
mod last;

use crate::support::world::{Run, SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

fn held_kinds(cycle: &Value) -> Vec<String> {
    let mut kinds: Vec<String> =
        cycle["held"].as_array().unwrap().iter().map(|h| h["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn held_count(run: &Run) -> usize {
    run.cycle()["held"].as_array().unwrap().len()
}

/// A world of `n` people, pushed.
fn pushed(sandbox: &SandboxProcess, n: usize, sync: &str) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(n);
    w.sync().expect(0);
    w
}

#[test]
fn absence_confirmed_an_emptied_source_takes_nothing_away_and_joiners_still_come() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(40);
    w.group("g", &["p00000", "p00001", "p00002"]);
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let before = target.users();
    let everybody = w.people.clone();
    let groups = w.groups.clone();

    w.people.clear();
    w.groups.clear();
    sandbox.reset_counters();
    for _ in 0..3 {
        // A held read is no baseline: the next one is judged against the last accepted one.
        let run = w.sync().expect(6);
        assert_eq!(run.cycle()["result"], "held");
        assert_eq!(held_count(&run), 41, "40 people and the group");
        assert!(changes(&run.cycle()).is_empty());
    }
    assert_eq!(sandbox.writes(), 0);

    w.join("new");
    let run = w.sync().expect(6);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 1)]), "who joins does not wait");
    assert_eq!(held_kinds(&run.cycle()), ["deactivate", "group_delete"]);
    let reason = run.cycle()["held"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("40") && reason.contains('1'), "{reason}");

    w.people.extend(everybody);
    w.groups = groups;
    sandbox.reset_counters();
    let run = w.sync().expect(0);
    assert!(changes(&run.cycle()).is_empty(), "{:?}", run.cycle());
    assert_eq!(sandbox.writes(), 0, "converges");
    let mut after = target.users();
    after.retain(|u| u["externalId"] != "new");
    assert_eq!(before, after, "nobody was touched");
    assert_eq!(target.memberships()["Group g"].len(), 3);
    let status = w.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["syncs"][0]["held"], 0);
}

#[test]
fn absence_confirmed_a_mistyped_scope_filter_takes_nothing_away() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.scope]\nusers = 'department eq \"Sales\"'", "");
    w.populate(40);
    let all: Vec<String> = w.people.keys().cloned().collect();
    // Small groups: a share is not judged there.
    for (i, three) in all.chunks(3).enumerate() {
        w.group(&format!("g{i}"), &three.iter().map(String::as_str).collect::<Vec<_>>());
    }
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let memberships = target.memberships();

    w.configure(
        "type = \"file\"\npath = \"people.json\"",
        &sandbox.base_url,
        &sandbox.token,
        "[sync.scope]\nusers = 'departmnt eq \"Sales\"'",
        "",
    );
    sandbox.reset_counters();
    for _ in 0..2 {
        let run = w.sync().expect(6);
        assert_eq!(run.cycle()["held"].as_array().unwrap().iter().filter(|h| h["kind"] == "deactivate").count(), 40);
        assert!(changes(&run.cycle()).is_empty(), "who keeps the account keeps the groups: {:?}", changes(&run.cycle()));
    }
    assert_eq!(sandbox.writes(), 0);
    assert_eq!(target.memberships(), memberships);

    w.configure(
        "type = \"file\"\npath = \"people.json\"",
        &sandbox.base_url,
        &sandbox.token,
        "[sync.scope]\nusers = 'department eq \"Sales\"'",
        "",
    );
    let run = w.sync().expect(0);
    assert!(changes(&run.cycle()).is_empty());
    assert_eq!(sandbox.writes(), 0);
}

#[test]
fn a_canary_that_is_missing_is_said_also_where_there_is_nothing_to_hold() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\ncanaries = [\"nobody@corp.example\"]", "");
    w.populate(3);
    let run = w.sync().expect(0);
    assert_eq!(run.cycle()["warnings"][0], "canary not found: nobody@corp.example: whatever takes something away is held");
    for command in ["sync", "plan"] {
        let run = w.run(&[command]).expect(0);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(said.matches("whatever takes something away is held").count(), 1, "{command}: {said}");
    }
}

#[test]
fn what_the_read_lacks_is_said_once_on_paper() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\ncanaries = [\"nobody@corp.example\"]", "");
    w.populate(3);
    w.save();
    for (args, times) in [(&["sync"][..], 1), (&["sync", "-v"], 2)] {
        let run = w.run(args).expect(0);
        let paper = run.stdout + &run.stderr;
        assert_eq!(paper.matches("canary not found: nobody@corp.example").count(), times, "{args:?}: {paper}");
    }
}

#[test]
fn a_vanished_canary_holds_what_takes_away_and_nothing_else() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = pushed(&sandbox, 100, "[sync.guard]\ncanaries = [\"p00099@corp.example\"]");
    let canary = w.people.remove("p00099").unwrap();
    w.leave("p00001");
    w.join("new");
    w.set("p00002", "displayName", "Other");
    for created in [1, 0] {
        let run = w.sync().expect(6);
        let done = if created == 1 { expected(&[("create", 1), ("update", 1)]) } else { expected(&[]) };
        assert_eq!(changes(&run.cycle()), done);
        assert_eq!(held_count(&run), 2);
        assert!(run.cycle()["held"][0]["reason"].as_str().unwrap().contains("p00099@corp.example"));
    }
    w.people.insert("p00099".into(), canary);
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
}

#[test]
fn a_shrink_of_the_source_counts_from_the_last_accepted_read() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = pushed(&sandbox, 100, "[sync.guard]\ndeactivate = \"unlimited\"");
    for i in 0..10 {
        w.leave(&format!("p{i:05}"));
    }
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 10)]), "10 % is allowed");
    for i in 10..20 {
        w.leave(&format!("p{i:05}"));
    }
    assert_eq!(held_count(&w.sync().expect(6)), 10, "10 of 90 are more than 10 %");
    w.join("p00010");
    // The count is back within the share; what left is believed now.
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 9)]));
}

#[test]
fn four_percent_twice_is_eight_percent_within_a_day() {
    let sandbox = SandboxProcess::start(&["--workers", "2"]);
    let mut w = pushed(&sandbox, 1000, "");
    for i in 0..40 {
        w.leave(&format!("p{i:05}"));
    }
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 40)]));
    for i in 40..80 {
        w.leave(&format!("p{i:05}"));
    }
    sandbox.reset_counters();
    let run = w.sync().expect(6);
    assert_eq!(held_count(&run), 40);
    assert_eq!(sandbox.writes(), 0);
    let reason = run.cycle()["held"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("80") && reason.contains("40 in the last 24 h") && reason.contains("1000"), "{reason}");
    assert_eq!(run.cycle()["counts"]["deactivate"], 0, "counts say what was done");
}

#[test]
fn shares_and_counts_hold_from_their_first_breach_on() {
    // (people, guard, leavers, held): a share is floored, never below two, and not judged below `minimum`.
    for (people, guard, leavers, held) in [
        (60, "", 3, false),
        (59, "", 3, true),
        (10, "", 2, false),
        (10, "", 3, true),
        (9, "", 4, false),
        (9, "minimum = 9", 3, true),
        (20, "deactivate = 0", 1, true),
        (20, "deactivate = 1", 1, false),
        (20, "deactivate = 1", 2, true),
        (20, "deactivate = \"unlimited\"", 15, false),
        (20, "deactivate = \"50%\"", 10, false),
        (20, "deactivate = \"50%\"", 11, true),
    ] {
        let sandbox = SandboxProcess::start(&["--workers", "1"]);
        let mut w = pushed(&sandbox, people, &format!("[sync.guard]\nsource_shrink = \"unlimited\"\n{guard}"));
        for i in 0..leavers {
            w.leave(&format!("p{i:05}"));
        }
        let run = w.sync();
        let what = format!("{leavers} of {people} with {guard:?}: {}", run.stdout);
        assert_eq!(run.code, if held { 6 } else { 0 }, "{what}");
        assert_eq!(held_count(&run), if held { leavers } else { 0 }, "{what}");
    }
}

#[test]
fn a_breach_holds_its_own_kind_and_the_rest_goes_on() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\ncreate = 2\ngroup_delete = 0", "");
    w.populate(2);
    w.group("g", &["p00000"]);
    w.sync().expect(0);
    for new in ["a", "b"] {
        w.join(new);
    }
    w.leave("p00001");
    w.groups.remove("g");
    let run = w.sync().expect(6);
    assert_eq!(held_kinds(&run.cycle()), ["create", "group_delete"]);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(run.cycle()["counts"]["create"], 0);
}

#[test]
fn members_leaving_one_group_in_numbers_hold_that_group_only() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(40);
    let all: Vec<String> = w.people.keys().cloned().collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    w.group("big", &names[..20]);
    w.group("other", &names[20..]);
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);

    w.group("big", &names[..13]);
    w.group("other", &names[21..]);
    let run = w.sync().expect(6);
    assert_eq!(changes(&run.cycle()), expected(&[("members_remove", 1)]));
    assert_eq!(run.cycle()["held"].as_array().unwrap().len(), 1);
    assert_eq!(run.cycle()["held"][0]["who"], "Group big");
    assert_eq!(target.memberships()["Group big"].len(), 20);
    assert_eq!(target.memberships()["Group other"].len(), 19);

    w.group("big", &names[..14]);
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("members_remove", 6)]), "30 % of 20 are 6");
    w.group("big", &names[..13]);
    w.sync().expect(6);
    assert_eq!(target.memberships()["Group big"].len(), 14, "the window counts the six");
}

#[test]
fn three_groups_are_not_deleted_unasked() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    for g in ["a", "b", "c", "d", "e"] {
        w.group(g, &["p00000"]);
    }
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    for g in ["a", "b"] {
        w.groups.remove(g);
    }
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("group_delete", 2)]));
    w.groups.remove("c");
    let run = w.sync().expect(6);
    assert_eq!(held_kinds(&run.cycle()), ["group_delete"]);
    assert_eq!(target.groups().len(), 3, "three within a day are too many");
}

#[test]
fn rename_is_rename_and_many_at_once_are_held() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = pushed(&sandbox, 150, "");
    for i in 0..4 {
        w.set(&format!("p{i:05}"), "mail", format!("p{i:05}@new.example"));
    }
    w.set("p00010", "displayName", "Not a rename");
    let run = w.sync().expect(6);
    assert_eq!(held_kinds(&run.cycle()), ["rename"]);
    assert_eq!(held_count(&run), 4, "2 % of 150 are 3");
    assert_eq!(changes(&run.cycle()), expected(&[("update", 1)]));
    w.set("p00003", "mail", "p00003@corp.example");
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("rename", 3)]));
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).users().len(), 150);
}

#[test]
fn protected_is_never_released() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = pushed(&sandbox, 30, "[sync.guard]\nprotected = [\"P00001@Corp.Example\"]");
    w.leave("p00001");
    w.leave("p00002");
    let run = w.sync().expect(6);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(run.cycle()["held"][0]["who"], "p00001@corp.example");
    let approved = w.run(&["approve", "s", "--json"]).expect(0).json();
    assert_eq!(approved["approved"], json!([]));
    w.run(&["approve", "s", "--who", "p00001@corp.example"]).expect(2);
    w.save();
    w.run(&["plan", "--out", "p.json"]).expect(6);
    let beforehand = w.run(&["approve", "s", "--plan", "p.json", "--json"]).expect(0).json();
    assert_eq!((&beforehand["approved"], &beforehand["protected"][0]["who"]), (&json!([]), &json!("p00001@corp.example")));
    w.sync().expect(6);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("p00001@corp.example").unwrap()["active"], true);
    // Nobody is sent to `approve` for it.
    let (approve, out_of) = ("scim-sync approve", "out of guard.protected");
    for command in [&["plan"][..], &["sync"], &["explain", "p00001@corp.example"], &["approve", "s"]] {
        let said = w.run(command).stdout;
        assert!(said.contains(out_of) && !said.contains(approve) && !said.contains("approved by"), "{command:?}: {said}");
    }
}

/// The groups belong to the account that stays: neither a blanket approval nor one of the group takes it out.
#[test]
fn who_is_protected_keeps_the_groups_whatever_is_approved() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nprotected = [\"p00001\"]\ndeactivate = 0\n", "");
    w.populate(30);
    w.group("mixed", &["p00001", "p00002", "p00003"]);
    w.group("alone", &["p00001", "p00004"]);
    w.sync().expect(0);
    w.leave("p00001");
    w.leave("p00002");
    w.sync().expect(6);
    w.run(&["approve", "s"]).expect(0);
    w.sync().expect(6);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("p00002@corp.example").unwrap()["active"], false);
    assert_eq!(target.user("p00001@corp.example").unwrap()["active"], true);
    let groups = target.memberships();
    let of = |group: &str| groups[group].clone();
    assert!(of("Group mixed").contains(&"p00001@corp.example".to_owned()), "{groups:?}");
    assert_eq!((of("Group mixed").len(), of("Group alone").len()), (2, 2), "{groups:?}");
}

#[test]
fn a_held_read_is_no_baseline_even_when_a_protected_account_stays_held() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = pushed(&sandbox, 40, "[sync.guard]\nprotected = [\"p00001@corp.example\"]");
    for i in 0..20 {
        w.leave(&format!("p{i:05}"));
    }
    assert_eq!(held_count(&w.sync().expect(6)), 20);
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&w.sync().expect(6).cycle()), expected(&[("deactivate", 19)]));
    // The smaller directory is accepted now: a single leaver is nothing unusual.
    w.leave("p00030");
    assert_eq!(changes(&w.sync().expect(6).cycle()), expected(&[("deactivate", 1)]));
}

#[test]
fn of_a_held_rename_whatever_else_changed_is_updated() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = pushed(&sandbox, 20, "[sync.guard]\nrename = 0\nprotected = [\"p00002@corp.example\"]");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    for (id, mail, name) in [("p00001", "one@corp.example", "Uno"), ("p00002", "two@corp.example", "Due")] {
        w.set(id, "mail", mail);
        w.set(id, "displayName", name);
    }
    let run = w.sync().expect(6);
    assert_eq!(changes(&run.cycle()), expected(&[("update", 2)]));
    assert_eq!((held_kinds(&run.cycle()), held_count(&run)), (vec!["rename".to_owned()], 2));
    for (id, name) in [("p00001", "Uno"), ("p00002", "Due")] {
        let account = target.user(&format!("{id}@corp.example")).unwrap();
        assert_eq!(account["displayName"], name);
        assert_eq!(account["emails"][0]["value"], format!("{id}@corp.example"), "the address waits with the name");
    }
    sandbox.reset_counters();
    w.sync().expect(6);
    assert_eq!(sandbox.writes(), 0, "converges");
    // What is approved is the name, whatever else changes meanwhile; and that goes in one request.
    w.run(&["approve", "s"]).expect(0);
    w.set("p00001", "displayName", "Eins");
    sandbox.reset_counters();
    let run = w.sync().expect(6);
    assert_eq!((changes(&run.cycle()), sandbox.writes()), (expected(&[("rename", 1)]), 1));
    assert_eq!(run.cycle()["held"][0]["source_key"], "p00002");
    let account = target.user("one@corp.example").unwrap();
    assert_eq!((&account["displayName"], &account["emails"][0]["value"]), (&json!("Eins"), &json!("one@corp.example")));
}

#[test]
fn who_is_gone_keeps_the_groups_for_the_time_of_grace() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.actions]\ndeactivate_after = \"3s\"", "");
    w.populate(12);
    w.group("g", &["p00000", "p00001", "p00002", "p00003"]);
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    // One is gone and named by the group no more, one is gone and still named, and one who is there was taken out.
    w.leave("p00001");
    w.people.remove("p00002").unwrap();
    w.group("g", &["p00000", "p00002"]);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("members_remove", 1)]));
    assert_eq!(target.memberships()["Group g"].len(), 3);
    std::thread::sleep(std::time::Duration::from_millis(3200));
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 2), ("members_remove", 2)]));
    assert_eq!(target.memberships()["Group g"].len(), 1);
}
