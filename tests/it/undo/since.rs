//! What changed since is left alone and reported; nothing is written where nothing may be.

use super::{OPEN, Scene, statuses};
use crate::support::admin::{Admin, id};
use crate::support::world::{changes, expected};
use scim_sync::plan::Kind;
use scim_sync::state::Store;
use scim_sync::state::journal::JournalRow;
use scim_sync::state::lock::CycleLock;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn what_changed_since_is_left_alone_and_named() {
    let mut s = Scene::new(OPEN, &[]);
    s.w.populate(6);
    s.cycle();
    for i in 0..6 {
        s.w.set(&format!("p0000{i}"), "mail", format!("new{i}@corp.example"));
        s.w.set(&format!("p0000{i}"), "displayName", format!("New {i}"));
    }
    let n = s.cycle();
    let admin = Admin::of(&s.sandbox);
    let of = |name: &str| id(&s.target.user(name).unwrap());
    let (renamed, gone) = (of("new1@corp.example"), of("new3@corp.example"));
    admin.set(&renamed, &json!({"userName": "by.hand@corp.example"}));
    admin.set(&of("new2@corp.example"), &json!({"displayName": "By hand"}));
    admin.delete(&gone);
    let cycle = s.undo(n, 7).cycle();
    assert_eq!(cycle["result"], "parked");
    assert_eq!(changes(&cycle), expected(&[("rename", 4)]), "{cycle}");
    let mut parked: Vec<(String, String)> = cycle["parked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["source_key"].as_str().unwrap().to_owned(), p["reason"].as_str().unwrap().to_owned()))
        .collect();
    parked.sort();
    let keys: Vec<&str> = parked.iter().map(|(k, _)| k.as_str()).collect();
    assert_eq!(keys, ["p00001", "p00002", "p00003"]);
    assert!(parked[0].1.contains("by.hand@corp.example") && parked[1].1.contains("displayName") && parked[2].1.contains("gone"));
    assert_eq!(admin.get(&renamed)["displayName"], "New 1", "the account is left whole");
    let second = s.target.user("p00002@corp.example").expect("its name goes back");
    assert_eq!(second["displayName"], "By hand");
    // Who is left is still `done` in the log of that cycle; the rest is `undone`.
    assert_eq!(statuses(&s.w, n), [("done".to_owned(), 3), ("undone".to_owned(), 3)].into());
    s.sandbox.reset_counters();
    let again = s.undo(n, 7).cycle();
    assert_eq!((changes(&again), s.sandbox.writes()), (expected(&[]), 0));
    assert_eq!(again["parked"].as_array().unwrap().len(), 3, "said again");
}

#[test]
fn plan_writes_nothing_a_dry_run_of_undo_neither_and_waits_for_nobody() {
    let mut s = Scene::new(OPEN, &[]);
    s.w.populate(3);
    s.cycle();
    s.w.set("p00000", "displayName", "Other");
    s.w.leave("p00002");
    let n = s.cycle();
    let before = s.picture();
    s.sandbox.reset_counters();
    let lock = CycleLock::take(&s.w.path("state.db"), Duration::ZERO).unwrap();
    let doc = s.w.run(&["undo", &n.to_string(), "--dry-run", "--json"]).expect(0).json();
    assert_eq!(doc["cycles"][0]["counts"]["reactivate"], 1, "{doc}");
    assert_eq!(doc["cycles"][0]["undoes"], n);
    let plan = &doc["plans"][0];
    assert!(plan["digest"].as_str().unwrap().starts_with("sha256:"));
    let update = plan["changes"].as_array().unwrap().iter().find(|c| c["kind"] == "update").unwrap();
    assert_eq!((&update["from"]["displayName"], &update["to"]["displayName"]), (&json!("Other"), &json!("Given p00000 Family")));
    let text = s.w.run(&["undo", &n.to_string(), "--dry-run"]).expect(0).stdout;
    assert!(text.contains("nothing is written") && text.contains("reactivate"), "{text}");
    // It is a plan; the undo itself takes its turn.
    s.undo(n, 8);
    drop(lock);
    assert_eq!((s.sandbox.writes(), s.picture()), (0, before));
    assert_eq!(statuses(&s.w, n).get("undone"), None);
    s.w.sync().expect(0);
}

#[test]
fn cycles_that_are_not_there_are_said() {
    let mut s = Scene::new("", &[]);
    for wrong in ["1", "0", "-3"] {
        s.w.run(&["undo", "--", wrong]).expect(2);
    }
    s.w.populate(1);
    let n = s.cycle();
    let run = s.w.run(&["undo", &(n + 1).to_string()]).expect(2);
    assert!(run.stderr.contains(&format!("no cycle {}", n + 1)), "{}", run.stderr);
    // A cycle that did nothing is undone by nothing.
    let quiet = s.cycle();
    s.sandbox.reset_counters();
    assert!(changes(&s.undo(quiet, 0).cycle()).is_empty());
    assert_eq!(s.sandbox.writes(), 0);
}

#[test]
fn who_is_protected_is_held_and_nobody_else_whatever_the_limits_say() {
    let guard = "[sync.guard]\nprotected = [\"p00000\"]\nrename = 0\ncreate = 0\ndeactivate = 0\nminimum = 1\n";
    let mut s = Scene::new("", &[]);
    s.w.populate(4);
    let n = s.cycle();
    s.w.configure("type = \"file\"\npath = \"people.json\"", &s.sandbox.base_url, &s.sandbox.token, guard, "");
    let cycle = s.undo(n, 6).cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 3)]), "{cycle}");
    assert!(cycle["held"][0]["reason"].as_str().unwrap().starts_with("protected:"), "{cycle}");
    let active: Vec<Value> = s.target.users().into_iter().filter(|u| u["active"] == true).collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0]["externalId"], "p00000");
    // What was not taken back is not held afterwards.
    let held = s.held();
    assert_eq!(held.iter().filter(|(_, who)| who == "p00000@corp.example").count(), 0, "{held:?}");
}

/// A cycle that renamed accounts which nobody of the directory has, as a migration writes it.
#[test]
fn accounts_without_an_entry_get_their_names_back_also_in_a_circle() {
    let mut s = Scene::new("", &[]);
    s.w.populate(1);
    s.cycle();
    let admin = Admin::of(&s.sandbox);
    // (old name, name now): a swap, a chain of three, one plain, one renamed by hand since.
    let names = [
        ("a", "b"),
        ("b", "a"),
        ("c1", "c2"),
        ("c2", "c3"),
        ("c3", "c4"),
        ("CORP\\jdoe", "jdoe@corp.example"),
        ("kim", "kim@corp.example"),
    ];
    let ids: Vec<String> = names.iter().map(|(_, now)| admin.create(&json!({"userName": now, "active": true}))).collect();
    let store = Store::open(&s.w.path("state.db")).unwrap();
    let (sync, _) = store.cycle_of(1).unwrap().unwrap();
    let now = jiff::Timestamp::now().as_second();
    let n = store.cycle_begin(sync, now).unwrap();
    for ((old, new), id) in names.iter().zip(&ids) {
        let (before, after) = (json!({"userName": old}).to_string(), json!({"userName": new}).to_string());
        let row = JournalRow {
            kind: Kind::Rename,
            entry_id: 0,
            who: old,
            target_id: Some(id),
            status: "done",
            amount: 1,
            approved: true,
            recreate: false,
            http_status: None,
            error: None,
            before: Some(&before),
            after: Some(&after),
        };
        store.journal(sync, n, &row, now).unwrap();
    }
    store.cycle_end(n, "ok", "{}", now).unwrap();
    drop(store);
    admin.set(&ids[6], &json!({"userName": "kim.lee@corp.example"}));
    let run = s.undo(n, 7);
    let cycle = run.cycle();
    assert_eq!(cycle["counts"]["rename"], 6, "{cycle}");
    assert_eq!(cycle["parked"][0]["who"], "kim", "{cycle}");
    for ((old, _), id) in names.iter().zip(&ids).take(6) {
        assert_eq!(admin.get(id)["userName"], *old);
    }
    assert_eq!(admin.get(&ids[6])["userName"], "kim.lee@corp.example");
    // The ordinary cycle knows nothing of these accounts.
    let after = s.w.sync().expect(0);
    assert!(changes(&after.cycle()).is_empty(), "{}", after.stdout);
}
