//! Stopped, killed, frozen: state and target are right afterwards.

use super::{behind, until_people};
use crate::support::service::{SELDOM, Service, eventually};
use crate::support::settled::{assert_all_created, assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World};
use std::time::Duration;

const PEOPLE: usize = 300;

/// A service in the middle of its writes.
fn writing(sandbox: &SandboxProcess) -> (World, Service) {
    let w = behind(sandbox, PEOPLE, SELDOM, "concurrency = 4");
    let service = Service::start(&w);
    until_people(&service, sandbox, 60);
    (w, service)
}

/// The next start goes on by itself, and nobody is there twice.
#[track_caller]
fn goes_on(w: &World, sandbox: &SandboxProcess) {
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let before = target.users().len();
    assert!((60..PEOPLE).contains(&before), "{before} people, not in the middle");
    let mut service = Service::start(w);
    until_people(&service, sandbox, PEOPLE as u64);
    service.logs(" create");
    let (_, code) = service.stop("TERM");
    assert_eq!(code, Some(0));
    assert_as_desired(w, &target);
    assert_eq!(assert_all_created(&w.path("state.db")), (PEOPLE as u64, 1));
    assert_quiet(w, sandbox);
}

#[test]
fn converges_after_the_service_was_stopped() {
    for name in ["TERM", "INT"] {
        let sandbox = SandboxProcess::start(&["--latency", "20"]);
        let (w, mut service) = writing(&sandbox);
        let (took, code) = service.stop(name);
        assert!(took < Duration::from_secs(5), "{name}: {took:?}");
        assert_eq!(code, Some(0), "{name}: {}", service.log());
        // Everything that was answered is booked.
        let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
        assert_eq!(c.query_row("SELECT count(*) FROM intent", [], |r| r.get::<_, u64>(0)).unwrap(), 0, "{name}");
        drop(c);
        assert!(service.messages().iter().any(|m| m.contains("STOPPING=1") && m.contains("EXTEND_TIMEOUT_USEC=")), "{name}");
        goes_on(&w, &sandbox);
    }
}

#[test]
fn one_account_per_person_when_the_service_is_killed() {
    let sandbox = SandboxProcess::start(&["--latency", "20"]);
    let (w, mut service) = writing(&sandbox);
    service.stop("KILL");
    goes_on(&w, &sandbox);
}

/// Answers that take longer than anybody waits: the second signal does not wait for them.
#[test]
fn one_account_per_person_when_the_service_is_stopped_twice() {
    let sandbox = SandboxProcess::start(&["--fault-slow", "0.1:20000", "--fault-seed", "2"]);
    let w = behind(&sandbox, 60, SELDOM, "concurrency = 8\ntimeout = \"60s\"");
    let mut service = Service::start(&w);
    until_people(&service, &sandbox, 20);
    eventually("a write that is not answered", || {
        let before = sandbox.requests();
        std::thread::sleep(Duration::from_millis(500));
        sandbox.requests() == before
    });
    service.signal("TERM");
    service.logs("stopping: 1 cycles finish their writes in flight");
    let (took, code) = service.stop("TERM");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(code, Some(0));
    assert!(service.log().contains("stopped at once"), "{}", service.log());
    w.configure(
        "type = \"file\"\npath = \"people.json\"",
        &sandbox.base_url,
        &sandbox.token,
        "",
        "concurrency = 16\ntimeout = \"300ms\"",
    );
    eventually("as desired", || w.sync().code == 0);
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
    assert_all_created(&w.path("state.db"));
}

/// The same with one signal: within ten seconds in any case.
#[test]
fn a_service_whose_target_does_not_answer_stops_within_ten_seconds() {
    let sandbox = SandboxProcess::start(&["--fault-slow", "1:30000", "--fault-seed", "2"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"* * * * *\"\njitter = \"0s\"", "timeout = \"60s\"");
    w.populate(3);
    w.save();
    // Killed in its first cycle: the next start is to go on at once.
    let mut hand = w.command(&["sync"]).spawn().unwrap();
    eventually("its cycle", || w.path("state.db").exists() && cycles(&w) > 0);
    hand.kill().unwrap();
    hand.wait().unwrap();
    let mut service = Service::start(&w);
    eventually("a cycle", || cycles(&w) > 1);
    let (took, code) = service.stop("TERM");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(code, Some(0));
}

/// Somebody works on the store for minutes (an `approve`, a backup): the service does not wait for it, nor for a cycle that does.
#[test]
fn a_service_whose_store_is_busy_stops_within_ten_seconds() {
    let sandbox = SandboxProcess::start(&[]);
    let w = behind(&sandbox, 3, SELDOM, "");
    let mut service = Service::start(&w);
    service.logs(" create");
    let busy = rusqlite::Connection::open(w.path("state.db")).unwrap();
    busy.busy_timeout(Duration::from_secs(30)).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (took, code) = service.stop("TERM");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(code, Some(0), "{}", service.log());

    // With a cycle in it that waits for the store.
    let sandbox = SandboxProcess::start(&["--latency", "20"]);
    let (w, mut service) = writing(&sandbox);
    let busy = rusqlite::Connection::open(w.path("state.db")).unwrap();
    busy.busy_timeout(Duration::from_secs(30)).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (took, code) = service.stop("TERM");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(code, Some(0), "{}", service.log());
}

fn cycles(w: &World) -> u64 {
    let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
    c.query_row("SELECT count(*) FROM cycle", [], |r| r.get(0)).unwrap_or(0)
}

#[test]
fn one_account_per_person_when_the_service_is_frozen_for_a_while() {
    frozen(Duration::from_secs(2));
}

/// Longer than any timeout of the target.
#[test]
fn scale_frozen_for_two_minutes() {
    if crate::support::measure::too_slow() {
        return;
    }
    frozen(Duration::from_secs(120));
}

fn frozen(time: Duration) {
    let sandbox = SandboxProcess::start(&["--latency", "20"]);
    let (w, mut service) = writing(&sandbox);
    service.signal("STOP");
    std::thread::sleep(time);
    service.signal("CONT");
    until_people(&service, &sandbox, PEOPLE as u64);
    service.logs(" create");
    assert_eq!(service.stop("TERM").1, Some(0));
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
    assert_eq!(assert_all_created(&w.path("state.db")), (PEOPLE as u64, 1));
    assert_quiet(&w, &sandbox);
}
