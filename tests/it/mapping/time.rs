//! `Now` in a mapping: it is another second whenever somebody looks, and what was reviewed or approved stays what it was.

use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::json;
use std::time::Duration;

const STAMP: &str = "[sync.map.user]\nnickName = { expr = \"Now()\", apply = \"create\" }\n";

fn world(sandbox: &SandboxProcess, sync: &str) -> (World, ScimReader) {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(3);
    w.save();
    (w, ScimReader::new(&sandbox.base_url, &sandbox.token))
}

fn another_second() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn reviewed_is_applied_with_the_time_of_the_review() {
    let sandbox = SandboxProcess::start(&[]);
    let (w, target) = world(&sandbox, STAMP);
    let plan = w.run(&["plan", "--json", "--out", "p.json"]).expect(0).plan();
    let stamp = plan["changes"][0]["to"]["nickName"].clone();
    assert!(stamp.as_str().unwrap().ends_with('M') && plan["at"].is_string(), "{plan}");
    another_second();
    w.run(&["sync", "--plan", "p.json"]).expect(0);
    assert_eq!(target.user("p00000@corp.example").unwrap()["nickName"], stamp);
    sandbox.reset_counters();
    another_second();
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[]));
    assert_eq!(sandbox.writes(), 0);
}

#[test]
fn reviewed_is_applied_or_the_world_has_moved() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, STAMP);
    w.run(&["plan", "--out", "p.json"]).expect(0);
    w.set("p00001", "displayName", "Somebody Else");
    w.save();
    w.run(&["sync", "--plan", "p.json"]).expect(11);
    assert_eq!(target.users(), Vec::<serde_json::Value>::new());
}

#[test]
fn an_approval_does_not_end_with_the_second_in_which_it_was_given() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) = world(&sandbox, &format!("{STAMP}[sync.guard]\ncreate = 0\nminimum = 0\n"));
    w.sync().expect(6);
    another_second();
    w.run(&["approve", "s", "--who", "p00001"]).expect(0);
    another_second();
    assert_eq!(changes(&w.sync().expect(6).cycle()), expected(&[("create", 1)]));
    assert!(target.user("p00001@corp.example").is_some());
    // Another value of another attribute is another change.
    w.run(&["approve", "s", "--who", "p00002"]).expect(0);
    w.set("p00002", "displayName", "Somebody Else");
    assert_eq!(changes(&w.sync().expect(6).cycle()), expected(&[]));
}

#[test]
fn a_row_that_never_comes_to_rest_is_worth_a_warning() {
    let sandbox = SandboxProcess::start(&[]);
    let rows = "[sync.map.user]\nnickName = \"Now()\"\ntitle = { expr = \"Now()\", apply = \"create\" }\n";
    let (w, _) = world(&sandbox, rows);
    let doc = w.run(&["check", "--json"]).expect(0).json();
    let warnings: Vec<_> =
        doc["warnings"].as_array().unwrap().iter().filter(|p| p["key"].as_str().unwrap().contains(".map.")).collect();
    assert_eq!(warnings.len(), 1, "{doc}");
    assert_eq!(warnings[0]["key"], json!("sync[0].map.user.nickName"), "{doc}");
    assert!(warnings[0]["line"].as_u64().unwrap() > 1, "{doc}");
}
