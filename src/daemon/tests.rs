#![allow(clippy::unwrap_used)]

use super::beat::{Beat, patience};
use super::clock::{Clock, FakeClock};
use super::lane::{Lane, Running};
use super::timetable::Run;
use super::{Daemon, Ended, some_of};
use crate::config::{Config, parse};
use crate::observe::Progress;
use crate::state::StateError;
use crate::state::service::Past;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

fn config(state: &std::path::Path) -> Config {
    let text = format!(
        "version = 1\n[state]\npath = \"{}\"\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n\
         [target.t]\nurl = \"https://x.example\"\ntimeout = \"30s\"\n\
         [[sync]]\nname = \"n\"\nsource = \"s\"\ntarget = \"t\"\nschedule = \"*/5 * * * *\"\n",
        state.display()
    );
    parse(&state.with_file_name("c.toml"), text).unwrap().config
}

fn daemon(dir: &tempfile::TempDir) -> (Daemon, FakeClock) {
    let clock = FakeClock::new("2026-06-06T10:01:00Z".parse::<Timestamp>().unwrap());
    let config = config(&dir.path().join("state.db"));
    let mut daemon = Daemon::new(config, Box::new(|| Err("none".to_owned())), Arc::new(clock.clone())).unwrap();
    daemon.start().unwrap();
    (daemon, clock)
}

fn running(beat: Beat, patience: Duration) -> Option<Running> {
    Some(Running { run: Run::default(), beat: Arc::new(beat), patience, stalled: false })
}

#[test]
fn a_cycle_without_a_sign_of_life_keeps_the_manager_from_hearing_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut daemon, _) = daemon(&dir);
    assert!(daemon.gets_on(), "nothing runs");
    daemon.lanes[0].running = running(Beat::default(), Duration::from_secs(60));
    assert!(daemon.gets_on());
    let silent = Beat::default();
    std::thread::sleep(Duration::from_millis(20));
    daemon.lanes[0].running = running(silent, Duration::from_millis(10));
    assert!(!daemon.gets_on());
    assert!(daemon.lanes[0].running.as_ref().unwrap().stalled, "and it was said");
    daemon.lanes[0].running.as_ref().unwrap().beat.step(1);
    assert!(daemon.gets_on(), "it lives");
    assert!(!daemon.lanes[0].running.as_ref().unwrap().stalled);
}

#[test]
fn patience_goes_by_the_timeouts() {
    let config = config(std::path::Path::new("/x/state.db"));
    // A quarter of an hour for the store, and four requests of five attempts and two minutes of waits.
    assert_eq!(patience(&config, &config.syncs[0]), Duration::from_secs(15 * 60 + 4 * (5 * 30 + 120)));
}

#[test]
fn a_beat_says_what_it_is_at() {
    let beat = Beat::default();
    assert_eq!(beat.what(), "at work");
    beat.begin("reading the directory", None);
    assert_eq!(beat.what(), "reading the directory");
    beat.step(1000);
    assert_eq!(beat.what(), "reading the directory 1000");
    beat.begin("writing to the target", Some(7));
    beat.step(3);
    assert_eq!(beat.what(), "writing to the target 3 of 7");
    beat.end();
    assert_eq!(beat.what(), "at work");
}

/// A folder that cannot be written, a full disk: the sync fails, is tried ever more rarely, and the service stays.
#[test]
fn a_lock_that_cannot_be_had_is_a_failure_of_the_cycle_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mut daemon, clock) = daemon(&dir);
    // A folder of that name: no file can be opened there.
    std::fs::create_dir(dir.path().join("state.db.lock")).unwrap();
    clock.advance(Duration::from_secs(300));
    daemon.turn();
    let lane = &daemon.lanes[0];
    assert_eq!((lane.record.failures, lane.failing.as_ref().unwrap().kind.as_str()), (1, "state"));
    // Asking does not help where it cannot even begin.
    daemon.lanes[0].asked = true;
    daemon.turn();
    assert_eq!(daemon.lanes[0].record.failures, 1);
    clock.advance(Duration::from_secs(299));
    daemon.turn();
    assert_eq!(daemon.lanes[0].record.failures, 1);
    clock.advance(Duration::from_secs(1));
    daemon.turn();
    assert_eq!(daemon.lanes[0].record.failures, 2);
    assert!(daemon.status(clock.now()).contains("failing: n"));
}

/// A bug in a cycle is a failure of that sync.
#[test]
fn a_cycle_that_panicked_is_tried_again_later() {
    let dir = tempfile::tempdir().unwrap();
    let (mut daemon, _) = daemon(&dir);
    daemon.lanes[0].running = running(Beat::default(), Duration::MAX);
    daemon.ended(Ended { sync: "n".to_owned(), report: None, past: None, remarks: Vec::new() });
    assert!(daemon.lanes[0].running.is_none());
    assert_eq!((daemon.lanes[0].record.failures, daemon.lanes[0].failing.as_ref().unwrap().kind.as_str()), (1, "bug"));
}

/// As `state restore` does it with a store that is damaged.
#[test]
fn a_request_in_a_store_that_took_the_place_of_ours_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    let (mut daemon, _) = daemon(&dir);
    let path = dir.path().join("state.db");
    std::fs::rename(&path, dir.path().join("state.db.replaced")).unwrap();
    daemon.look();
    assert!(!path.exists(), "nothing is made in its place");
    for rest in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(rest));
    }
    let mut store = crate::state::Store::open(&path).unwrap();
    let sync = store.sync_row("n", "t").unwrap().id;
    store.ask_for_cycle(sync).unwrap();
    assert!(!daemon.lanes[0].asked);
    daemon.look();
    assert!(daemon.lanes[0].asked);
    // Asked again there: still heard.
    daemon.lanes[0].asked = false;
    store.ask_for_cycle(sync).unwrap();
    daemon.look();
    assert!(daemon.lanes[0].asked);
    assert_eq!(store.asked_for().unwrap(), ["n"]);
}

#[test]
fn one_service_for_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let (_first, clock) = daemon(&dir);
    let second = Daemon::new(config(&dir.path().join("state.db")), Box::new(|| Err(String::new())), Arc::new(clock));
    assert!(matches!(second.err(), Some(StateError::Served { .. })));
}

#[test]
fn judgements_are_kept_for_a_minute_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir.path().join("state.db"));
    let now: Timestamp = "2026-06-06T10:01:00Z".parse().unwrap();
    let mut lane = Lane::new(&config, &config.syncs[0], Past::default(), now, Duration::ZERO).unwrap();
    let next = lane.next(now).unwrap();
    assert_eq!(next.to_string(), "2026-06-06T10:05:00Z");
    assert_eq!(lane.next(now + Duration::from_secs(50)), Some(next));
    // Set back: judged anew at once, and kept, so that the next full five minutes count.
    let back: Timestamp = "2026-06-06T08:32:00Z".parse().unwrap();
    assert_eq!(lane.next(back).unwrap().to_string(), "2026-06-06T08:35:00Z");
    assert_eq!(lane.next(back + Duration::from_secs(180)).unwrap(), back + Duration::from_secs(180), "due");
}

#[test]
fn jitter_stays_within_its_bounds() {
    assert_eq!(some_of(Duration::ZERO), Duration::ZERO);
    let most = Duration::from_millis(50);
    let all: Vec<Duration> = (0..200).map(|_| some_of(most)).collect();
    assert!(all.iter().all(|d| *d <= most) && all.iter().any(|d| *d != all[0]));
}
