//! Accounts that the target shows to nobody while they are inactive are not gone, whoever looks; and what is said of everybody
//! is said of nobody.

use super::{quiet, world};
use crate::support::admin::Admin;
use crate::support::odd::{Odd, OddServer};
use crate::support::switch::{Asked, Switch};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The group changes that were sent since the last look.
fn group_writes(server: &OddServer) -> Vec<(String, String)> {
    let all = server.take_requests();
    all.into_iter().filter(|(method, path)| method != "GET" && path.starts_with("/Groups")).collect()
}

/// One of 20 in a group, who is disabled and not shown any more.
async fn one_is_hidden() -> (OddServer, World) {
    let (server, mut w) = world(Odd::HidesInactive, "").await;
    w.sync().expect(0);
    w.set("p00004", "accountEnabled", false);
    w.sync().expect(0);
    (server, w)
}

fn is_active(server: &OddServer, name: &str) -> bool {
    server.users().iter().find(|u| u["userName"] == name).unwrap()["active"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_is_checked_explain_apply_makes_a_hidden_account_active_again() {
    let (server, mut w) = one_is_hidden().await;
    w.set("p00004", "accountEnabled", true);
    w.save();
    let found = w.run(&["explain", "p00004", "--json"]).expect(0).json()["found"][0].clone();
    assert_eq!((&found["state"], &found["match"]["by"]), (&json!("linked"), &json!("link")), "{found}");
    // As at a target that drops whoever is disabled from the groups.
    server.empty_group();
    let cycle = w.run(&["explain", "p00004", "--apply", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("reactivate", 1)]), "{cycle}");
    assert!(is_active(&server, "p00004@corp.example"));
    server.no_duplicates();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_add", 1)]), "{cycle}");
    assert_eq!(server.members(), ["p00004@corp.example"]);
    quiet(&server, &w);
}

#[test]
fn gone_is_checked_explain_apply_does_not_believe_what_is_said_of_everybody() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "");
    w.populate(3);
    w.group("g", &["p00001"]);
    w.sync().expect(0);
    w.set("p00001", "displayName", "New");
    w.save();
    switch.always(404, "");
    w.run(&["explain", "p00001", "--apply"]).expect(5);
    switch.pass();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("update", 1)]), "{cycle}");
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).memberships()["Group g"], ["p00001@corp.example"]);
}

/// A target that, once this account is inactive, answers 404 to everything but its reactivation.
fn hides_wholly(switch: &Switch, sandbox: &SandboxProcess, id: &str) {
    let (path, url) = (format!("/Users/{id}"), format!("{}/Users/{id}", sandbox.base_url));
    let token = sandbox.token.clone();
    switch.rule(move |asked: &Asked| {
        if !asked.path.contains(&path) {
            return None;
        }
        let http = reqwest::blocking::Client::new();
        let there: Value = http.get(&url).bearer_auth(&token).send().unwrap().json().unwrap();
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let sets = |value: bool| {
            let all = body["Operations"].as_array();
            all.is_some_and(|o| o.iter().any(|o| (o["path"] == "active" && o["value"] == value) || o["value"]["active"] == value))
        };
        if asked.writes() && (there["active"] == true || sets(true)) {
            let sent = http.patch(&url).bearer_auth(&token).header("content-type", "application/scim+json");
            sent.body(asked.body.clone()).send().unwrap().error_for_status().unwrap();
            return Some((204, String::new()));
        }
        (there["active"] == false).then(|| (404, String::new()))
    });
}

#[test]
fn gone_is_checked_a_change_of_a_hidden_account_waits_until_it_is_active_again() {
    for together in [false, true] {
        let sandbox = SandboxProcess::start(&[]);
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let switch = Switch::before(&sandbox.base_url);
        let mut w = World::new(&switch.url, &sandbox.token, "", "");
        w.populate(3);
        w.sync().expect(0);
        let id = target.user("p00001@corp.example").unwrap()["id"].as_str().unwrap().to_owned();
        hides_wholly(&switch, &sandbox, &id);
        w.set("p00001", "accountEnabled", false);
        if together {
            // The deactivation hides it, and the rest of that cycle comes too late.
            w.set("p00001", "displayName", "New");
            let cycle = w.sync().expect(7).cycle();
            let why = cycle["parked"][0]["reason"].as_str().unwrap();
            assert!(why.contains("does not show the account while it is inactive"), "{cycle}");
        } else {
            w.sync().expect(0);
            w.set("p00001", "displayName", "New");
        }
        for _ in 0..2 {
            sandbox.reset_counters();
            let cycle = w.sync().expect(0).cycle();
            assert_eq!((changes(&cycle), sandbox.writes()), ([].into(), 0), "{together}: {cycle}");
        }
        w.set("p00001", "accountEnabled", true);
        let cycle = w.sync().expect(0).cycle();
        assert_eq!(changes(&cycle), expected(&[("reactivate", 1)]), "{together}: {cycle}");
        let user = target.user("p00001@corp.example").unwrap();
        assert_eq!((&user["id"], &user["active"], &user["displayName"]), (&json!(id), &json!(true), &json!("New")));
        assert_eq!(target.users().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_made_active_again_is_added_to_no_group() {
    let (server, mut w) = one_is_hidden().await;
    w.set("p00004", "accountEnabled", true);
    let n = w.sync().expect(0).cycle()["cycle"].clone();
    w.run(&["undo", &n.to_string(), "--json"]).expect(0);
    assert!(!is_active(&server, "p00004@corp.example"));
    // Whoever is to be in another group from now on waits for the account.
    w.group("h", &["p00004", "p00006"]);
    server.take_requests();
    let cycle = w.sync().expect(6).cycle();
    assert_eq!(changes(&cycle), expected(&[("group_create", 1), ("members_add", 1)]), "{cycle}");
    server.take_requests();
    for _ in 0..2 {
        let cycle = w.sync().expect(6).cycle();
        assert_eq!((changes(&cycle), group_writes(&server)), ([].into(), vec![]), "{cycle}");
        let kinds: Vec<&str> = cycle["held"].as_array().unwrap().iter().map(|h| h["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"reactivate"), "{cycle}");
    }
    let plan = w.plan().expect(6).plan();
    let waits = |c: &&Value| c["kind"] == "members_add" && c["who"] == "Group h";
    assert_eq!(plan["changes"].as_array().unwrap().iter().filter(waits).count(), 0, "{plan}");
    w.run(&["approve", "s"]).expect(0);
    w.sync().expect(0);
    assert!(is_active(&server, "p00004@corp.example"));
    let both = ["p00006@corp.example".to_owned(), "p00004@corp.example".to_owned()];
    let groups = server.groups();
    assert!(groups.iter().any(|(name, members)| name == "Group h" && both.iter().all(|m| members.contains(m))), "{groups:?}");
    assert!(groups.iter().any(|(name, members)| name == "Group g" && members.contains(&both[1])), "{groups:?}");
    quiet(&server, &w);
}

#[test]
fn a_reactivation_that_is_refused_keeps_the_groups_waiting() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "");
    w.populate(3);
    w.group("g", &["p00000"]);
    w.sync().expect(0);
    let id = target.user("p00001@corp.example").unwrap()["id"].as_str().unwrap().to_owned();
    hides_wholly(&switch, &sandbox, &id);
    w.set("p00001", "accountEnabled", false);
    w.sync().expect(0);
    w.set("p00001", "accountEnabled", true);
    w.group("g", &["p00000", "p00001"]);
    // Its reactivation is refused, and it stays hidden.
    let path = format!("/Users/{id}");
    let groups = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&groups);
    switch.rule(move |asked: &Asked| {
        if asked.writes() && asked.path.contains("/Groups") {
            *seen.lock().unwrap() += 1;
        }
        let refused = || (403, json!({"detail": "no"}).to_string());
        asked.path.contains(&path).then(|| if asked.writes() { refused() } else { (404, String::new()) })
    });
    let cycle = w.sync().expect(7).cycle();
    assert_eq!((changes(&cycle), *groups.lock().unwrap()), ([].into(), 0), "{cycle}");
    hides_wholly(&switch, &sandbox, &id);
    w.run(&["sync", "--json"]).expect(0);
    assert_eq!(target.memberships()["Group g"], ["p00000@corp.example", "p00001@corp.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_brings_back_whom_the_target_hides() {
    let (server, mut w) = world(Odd::HidesInactive, "").await;
    w.sync().expect(0);
    w.set("p00004", "accountEnabled", false);
    w.set("p00006", "accountEnabled", false);
    let n = w.sync().expect(0).cycle()["cycle"].clone();
    let cycle = w.run(&["undo", &n.to_string(), "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle)["reactivate"], 2, "{cycle}");
    assert!(is_active(&server, "p00004@corp.example") && is_active(&server, "p00006@corp.example"));
    server.no_duplicates();
    let cycle = w.sync().expect(6).cycle();
    assert_eq!(changes(&cycle), [].into(), "{cycle}");
}

#[test]
fn undo_does_not_believe_what_is_said_of_everybody() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "");
    w.populate(3);
    let n = w.sync().expect(0).cycle()["cycle"].clone();
    switch.always(404, "");
    w.run(&["undo", &n.to_string(), "--json"]).expect(5);
    switch.pass();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), [].into(), "{cycle}");
}

/// A target that answers 404 to everything about an inactive account but its reactivation. The answer to the first write that
/// makes the one of this id inactive is lost.
fn hides_all(switch: &Switch, sandbox: &SandboxProcess, lost: &str) {
    let (base, token, lost) = (sandbox.base_url.clone(), sandbox.token.clone(), lost.to_owned());
    let (mut loses, http) = (true, reqwest::blocking::Client::new());
    switch.rule(move |asked: &Asked| {
        let id = asked.path.split('?').next()?.split_once("/Users/")?.1.to_owned();
        let url = format!("{base}/Users/{id}");
        let there: Value = http.get(&url).bearer_auth(&token).send().unwrap().json().unwrap();
        let returns = asked.writes() && asked.body.contains("\"active\"") && asked.body.contains("true");
        if there["active"] == false && !returns {
            return Some((404, String::new()));
        }
        if asked.writes() && id == lost && std::mem::take(&mut loses) {
            let sent = http.patch(&url).bearer_auth(&token).header("content-type", "application/scim+json");
            sent.body(asked.body.clone()).send().unwrap().error_for_status().unwrap();
            return Some((504, String::new()));
        }
        None
    });
}

#[test]
fn gone_is_checked_a_leaver_whose_answer_was_lost_comes_back_where_inactive_accounts_are_hidden() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "");
    w.populate(4);
    w.sync().expect(0);
    let ids = |who: &str| target.user(who).unwrap()["id"].as_str().unwrap().to_owned();
    let id = ids("p00001@corp.example");
    hides_all(&switch, &sandbox, &id);
    for key in ["p00000", "p00001"] {
        w.set(key, "accountEnabled", false);
        let cycle = w.sync().expect(0).cycle();
        assert_eq!(changes(&cycle), expected(&[("deactivate", 1)]), "{cycle}");
    }
    assert_eq!(target.user("p00001@corp.example").unwrap()["active"], false);
    sandbox.reset_counters();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!((changes(&cycle), sandbox.writes()), ([].into(), 0), "{cycle}");
    for key in ["p00000", "p00001"] {
        w.set(key, "accountEnabled", true);
    }
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("reactivate", 2)]), "{cycle}");
    let user = target.user("p00001@corp.example").unwrap();
    assert_eq!((&user["id"], &user["active"]), (&json!(id), &json!(true)));
    assert_eq!(target.users().len(), 4);
}

/// What is noted of whether the target hides each account, in the order of the people.
fn hidden(w: &World) -> Vec<i64> {
    let state = rusqlite::Connection::open(w.path("state.db")).unwrap();
    let sql = "SELECT l.hidden FROM link l JOIN entry e ON e.id = l.entry_id WHERE l.kind = 0 ORDER BY e.key";
    state.prepare(sql).unwrap().query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
}

/// From now on the account is not there for so many looks after a write to it.
fn misses(switch: &Switch, id: &str, mut looks: u32) {
    let (path, mut written) = (format!("/Users/{id}"), false);
    switch.rule(move |asked: &Asked| {
        let about_it = asked.path.contains(&path);
        written |= about_it && asked.writes();
        let missed = about_it && written && !asked.writes() && looks > 0;
        looks -= u32::from(missed);
        missed.then(|| (404, String::new()))
    });
}

#[test]
fn gone_is_checked_a_404_at_one_time_hides_nobody() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "[sync.guard]\ndeactivate = \"unlimited\"", "");
    w.populate(4);
    w.sync().expect(0);
    let id = |who: &str| target.user(&format!("{who}@corp.example")).unwrap()["id"].as_str().unwrap().to_owned();
    misses(&switch, &id("p00000"), 1);
    w.set("p00000", "accountEnabled", false);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!((changes(&cycle), hidden(&w)), (expected(&[("deactivate", 1)]), vec![0; 4]), "a second look shows it: {cycle}");

    // However often it is looked for: the target hides it, as far as anybody can see; and whoever leaves after that one.
    w.set("p00000", "accountEnabled", true);
    switch.pass();
    w.sync().expect(0);
    misses(&switch, &id("p00000"), 100);
    w.set("p00000", "accountEnabled", false);
    w.save();
    // Discovered anew, so that writes are looked at again.
    w.run(&["sync", "--verify", "--json"]).expect(0);
    switch.pass();
    w.set("p00001", "accountEnabled", false);
    w.sync().expect(0);
    w.set("p00001", "displayName", "New");
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!((hidden(&w), sandbox.writes()), (vec![1, 1, 0, 0], 0));
    // Until the target is read, and shows them.
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!((changes(&cycle), hidden(&w)), (expected(&[("update", 1)]), vec![0; 4]), "{cycle}");
    Admin::of(&sandbox).delete(&id("p00001"));
    w.run(&["sync", "--verify", "--json"]).expect(0);
    let state = rusqlite::Connection::open(w.path("state.db")).unwrap();
    let gone: i64 = state.query_row("SELECT sum(gone) FROM link", [], |r| r.get(0)).unwrap();
    assert_eq!(gone, 1, "what is not there any more is gone");
}

#[test]
fn whoever_is_shown_inactive_is_not_hidden() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "");
    w.populate(4);
    w.sync().expect(0);
    let id = |who: &str| target.user(&format!("{who}@corp.example")).unwrap()["id"].as_str().unwrap().to_owned();
    misses(&switch, &id("p00000"), 100);
    w.set("p00000", "accountEnabled", false);
    w.sync().expect(0);
    switch.pass();
    w.set("p00000", "accountEnabled", true);
    w.sync().expect(0);
    assert_eq!(hidden(&w), [2, 0, 0, 0], "it was hidden once");
    // Made inactive at the target, by whoever: seen, and not hidden.
    Admin::of(&sandbox).set(&id("p00002"), &json!({"active": false}));
    w.set("p00002", "accountEnabled", false);
    w.save();
    w.run(&["sync", "--verify", "--json"]).expect(0);
    assert_eq!(hidden(&w), [2, 0, 0, 0]);
}
