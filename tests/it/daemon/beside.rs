//! Other commands beside the service, and syncs beside each other.

use super::{behind, until_people};
use crate::support::admin::Admin;
use crate::support::service::{SELDOM, Service, ask, eventually, long_ago, results};
use crate::support::world::{SandboxProcess, ScimReader, World, changes};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_second_service_on_one_store_is_refused() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.save();
    let mut service = Service::start(&w);
    let second = w.run(&["run"]).expect(8);
    assert!(second.stderr.contains("another `scim-sync run` serves"), "{}", second.stderr);
    assert!(service.running());
    assert_eq!(service.stop("TERM").1, Some(0));
    // Freed with its holder.
    let mut third = Service::start(&w);
    assert_eq!(third.stop("TERM").1, Some(0));
}

#[test]
fn commands_work_beside_a_cycle_and_a_sync_by_hand_waits() {
    let sandbox = SandboxProcess::start(&["--latency", "40"]);
    let w = behind(&sandbox, 200, SELDOM, "concurrency = 1");
    let mut service = Service::start(&w);
    until_people(&service, &sandbox, 10);
    let refused = w.run(&["sync"]).expect(8);
    assert!(refused.stderr.contains("--wait"), "{}", refused.stderr);
    let status = w.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["syncs"][0]["sync"], "s");
    w.run(&["log", "--json"]).expect(0);
    w.run(&["check"]).expect(0);
    w.run(&["approve", "s"]).expect(0);
    w.run(&["plan", "--json"]).expect(0);
    assert!(sandbox.stats()["users"].as_u64().unwrap() < 200, "the cycle was over before the commands were");
    let waited = w.run(&["sync", "--wait", "60s", "--json"]).expect(0);
    assert!(changes(&waited.cycle()).is_empty(), "the service's cycle did everything: {}", waited.cycle());
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).users().len(), 200);
    assert_eq!(service.stop("TERM").1, Some(0));
}

#[test]
fn the_service_waits_for_a_sync_by_hand() {
    let sandbox = SandboxProcess::start(&["--latency", "40"]);
    let mut w = behind(&sandbox, 100, SELDOM, "concurrency = 1");
    let mut hand = w.command(&["sync"]).stdout(Stdio::null()).spawn().unwrap();
    eventually("its writes", || sandbox.stats()["users"].as_u64().unwrap() > 5);
    long_ago(&w);
    w.join("late");
    w.save();
    let mut service = Service::start(&w);
    service.logs("a scim-sync by hand is at work on the state store: waiting for it");
    assert!(hand.wait().unwrap().success());
    until_people(&service, &sandbox, 101);
    service.logs("1 create");
    assert!(!service.log().contains("ERROR"), "waiting is no failure: {}", service.log());
    assert!(results(&w, "s").iter().all(|r| r == "ok"));
    assert_eq!(service.stop("TERM").1, Some(0));
}

#[test]
fn an_approval_is_taken_up_at_once() {
    let sandbox = SandboxProcess::start(&[]);
    let sync = format!("{SELDOM}\n[sync.guard]\ndeactivate = 0\nminimum = 0");
    let mut w = World::new(&sandbox.base_url, &sandbox.token, &sync, "");
    w.populate(20);
    w.sync().expect(0);
    w.leave("p00003");
    w.save();
    long_ago(&w);
    let mut service = Service::start(&w);
    service.logs("1 held");
    assert!(service.log().contains("p00003@corp.example held: "), "{}", service.log());
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("p00003@corp.example").unwrap()["active"], true);
    assert_eq!(results(&w, "s"), ["ok", "held"]);
    w.run(&["approve", "s", "--reason", "left"]).expect(0);
    let approved = Instant::now();
    eventually("the deactivation", || target.user("p00003@corp.example").unwrap()["active"] == false);
    assert!(approved.elapsed() < Duration::from_secs(10), "{:?}", approved.elapsed());
    service.logs("1 deactivate");
    // Once: it does not go on asking.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(results(&w, "s"), ["ok", "held", "ok"]);
    assert_eq!(service.stop("TERM").1, Some(0));
}

/// One that was given while the service did not run is taken up when it starts, though no run was missed.
#[test]
fn an_approval_from_before_the_start_is_taken_up() {
    let sandbox = SandboxProcess::start(&[]);
    let sync = format!("{SELDOM}\n[sync.guard]\ndeactivate = 0\nminimum = 0");
    let mut w = World::new(&sandbox.base_url, &sandbox.token, &sync, "");
    w.populate(20);
    w.sync().expect(0);
    w.leave("p00003");
    w.sync().expect(6);
    w.run(&["approve", "s"]).expect(0);
    let service = Service::start(&w);
    service.logs("1 deactivate");
}

/// Adds a second sync with a target of its own to the configuration.
fn second_sync(w: &World, url: &str) {
    let path = w.path("config.toml");
    let first = std::fs::read_to_string(&path).unwrap();
    let more = format!(
        "[target.other]\nurl = \"{url}\"\ntoken = {{ file = \"token\" }}\n[[sync]]\nname = \"other\"\nsource = \"dir\"\ntarget = \"other\"\n{SELDOM}\n"
    );
    std::fs::write(path, first + &more).unwrap();
}

#[test]
fn one_bad_record_is_no_more_than_one_failing_sync() {
    let sandbox = SandboxProcess::start(&[]);
    let other = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    second_sync(&w, &other.base_url);
    w.populate(3);
    w.sync().expect(0);
    w.join("late");
    w.save();
    long_ago(&w);
    // Dead: nothing listens there any more.
    drop(other);
    let mut service = Service::start(&w);
    until_people(&service, &sandbox, 4);
    service.logs("other: target other: ");
    assert_eq!(results(&w, "s"), ["ok", "ok"]);
    // Again and again, and said once.
    for n in 2..4 {
        ask(&w, "other");
        eventually("another failure", || results(&w, "other").iter().filter(|r| *r == "failed").count() >= n);
    }
    assert_eq!(service.log().matches("ERROR").count(), 1, "{}", service.log());
    w.leave("late");
    w.set("p00001", "department", "Legal");
    w.set("p00001", "displayName", "Other Name");
    w.save();
    ask(&w, "s");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    eventually("the change", || target.user("p00001@corp.example").unwrap()["displayName"] == "Other Name");
    let status = service.messages().into_iter().rfind(|m| m.starts_with("STATUS=")).unwrap();
    assert!(status.contains("failing: other"), "{status}");
    assert_eq!(service.stop("TERM").1, Some(0));
}

/// Two at once: each has its own connection to the one store.
#[test]
fn syncs_run_side_by_side() {
    let sandbox = SandboxProcess::start(&["--latency", "40"]);
    let other = SandboxProcess::start(&["--latency", "40"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "concurrency = 1");
    second_sync(&w, &other.base_url);
    w.populate(1);
    w.sync().expect(0);
    w.populate(60);
    w.save();
    long_ago(&w);
    let mut service = Service::start(&w);
    let people = |s: &SandboxProcess| s.stats()["users"].as_u64().unwrap();
    eventually("both at work", || (2..60).contains(&people(&sandbox)) && (2..60).contains(&people(&other)));
    until_people(&service, &sandbox, 60);
    until_people(&service, &other, 60);
    eventually("both done", || results(&w, "s") == ["ok", "ok"] && results(&w, "other") == ["ok", "ok"]);
    assert_eq!(service.stop("TERM").1, Some(0));
}

/// A token that is regenerated needs no restart.
#[test]
fn a_token_file_that_is_replaced_counts_at_once() {
    let mut sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.populate(3);
    w.sync().expect(0);
    let mut service = Service::start(&w);
    sandbox.set_token("second-token");
    w.join("late");
    w.save();
    ask(&w, "s");
    service.logs("ERROR");
    assert!(Admin::of(&sandbox).get(&first_id(&sandbox))["id"].is_string());
    w.write_secret("token", "second-token");
    ask(&w, "s");
    until_people(&service, &sandbox, 4);
    service.logs("well again, after 1 failures");
    assert!(!service.log().contains("second-token"));
    assert_eq!(service.stop("TERM").1, Some(0));
}

fn first_id(sandbox: &SandboxProcess) -> String {
    crate::support::admin::id(&ScimReader::new(&sandbox.base_url, &sandbox.token).users()[0])
}
