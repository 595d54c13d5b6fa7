//! The service on a clock that a test turns.

use crate::support::measure::cpu_of;
use crate::support::service::results;
use crate::support::world::{SandboxProcess, World};
use jiff::Timestamp;
use scim_sync::config::{self, Config};
use scim_sync::daemon::clock::FakeClock;
use scim_sync::daemon::{Daemon, Order};
use scim_sync::observe::{Outcome, Verdict, Watch};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Remembers what it is told; after `most` cycles it stops the service.
struct Watcher {
    outcomes: Mutex<Vec<Outcome>>,
    next: Mutex<Vec<Option<i64>>>,
    most: usize,
    orders: mpsc::Sender<Order>,
    each: Box<dyn Fn(usize) + Send + Sync>,
}

impl Watch for Watcher {
    fn cycle(&self, outcome: &Outcome) {
        let mut all = self.outcomes.lock().unwrap();
        all.push(outcome.clone());
        (self.each)(all.len());
        if all.len() == self.most {
            self.orders.try_send(Order::Stop).unwrap();
        }
    }

    fn next_run(&self, _sync: &str, at: Option<i64>) {
        self.next.lock().unwrap().push(at);
    }
}

fn load(w: &World) -> Config {
    config::load(&w.path("config.toml")).unwrap().config
}

/// Serves from `now` on until so many cycles are over.
fn serve(w: &World, clock: &FakeClock, most: usize, each: impl Fn(usize) + Send + Sync + 'static) -> Arc<Watcher> {
    scim_sync::http::tls::install_provider();
    let (orders, mut receiver) = mpsc::channel(4);
    let watcher = Arc::new(Watcher { outcomes: Mutex::default(), next: Mutex::default(), most, orders, each: Box::new(each) });
    let daemon = Daemon::new(load(w), Box::new(|| Err("no reload here".to_owned())), Arc::new(clock.clone())).unwrap();
    let daemon = daemon.watched_by(watcher.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(900), daemon.serve(&mut receiver)).await })
        .unwrap()
        .unwrap();
    watcher
}

fn at(text: &str) -> FakeClock {
    FakeClock::new(text.parse::<Timestamp>().unwrap())
}

fn minutes(outcomes: &[Outcome]) -> Vec<i64> {
    outcomes.windows(2).map(|w| (w[1].at - w[0].at + 30) / 60).collect()
}

#[test]
fn a_sync_keeps_its_pace_through_a_change_of_clocks() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w =
        World::new(&sandbox.base_url, &sandbox.token, "schedule = \"*/30 * * * *\"\ntimezone = \"Europe/Copenhagen\"", "");
    w.populate(3);
    w.save();
    let clock = at("2026-10-24T23:10:00Z");
    let watcher = serve(&w, &clock, 6, |_| {});
    let outcomes = watcher.outcomes.lock().unwrap();
    assert_eq!(outcomes.iter().map(|o| o.verdict).collect::<Vec<_>>(), [Verdict::Ok; 6]);
    assert_eq!((outcomes[0].done["create"], outcomes[0].linked_users), (3, 3));
    assert!(outcomes[1..].iter().all(|o| o.done.is_empty()));
    // The fake clock runs on while a cycle works; never by half an hour.
    assert!(minutes(&outcomes).iter().all(|m| (20..40).contains(m)), "{:?}", minutes(&outcomes));
    assert_eq!(results(&w, "s").len(), 6);
    let next = watcher.next.lock().unwrap();
    assert_eq!(next[0], Some("2026-10-24T23:30:00Z".parse::<Timestamp>().unwrap().as_second()));
}

/// The first cycle reads the whole target: from then on it is looked at by its own schedule.
#[test]
fn a_service_that_made_the_first_cycle_verifies_as_configured() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"*/30 * * * *\"\nverify = \"0 * * * *\"", "");
    w.populate(3);
    w.save();
    let looked = Arc::new(Mutex::new(Vec::new()));
    let state = w.path("state.db");
    let watcher = serve(&w, &at("2026-06-06T10:10:00Z"), 7, {
        let looked = looked.clone();
        move |_| {
            let c = rusqlite::Connection::open(&state).unwrap();
            c.busy_timeout(Duration::from_secs(30)).unwrap();
            let last: i64 = c.query_row("SELECT verified_at FROM service", [], |r| r.get(0)).unwrap();
            c.execute("UPDATE service SET verified_at = 1", []).unwrap();
            looked.lock().unwrap().push(last > 1);
        }
    });
    assert!(watcher.outcomes.lock().unwrap().iter().all(|o| o.verdict == Verdict::Ok));
    let looked = looked.lock().unwrap();
    assert!(looked[0], "the first cycle reads the target");
    let later = looked[1..].iter().filter(|l| **l).count();
    assert!((2..=4).contains(&later), "six cycles in three hours: {looked:?}");
}

#[test]
fn what_fails_is_tried_ever_more_rarely_and_well_again_is_back_to_schedule() {
    let mut sandbox = SandboxProcess::start(&[]);
    let good = sandbox.token.clone();
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"*/15 * * * *\"", "");
    w.populate(3);
    w.save();
    w.write_secret("token", "wrong");
    sandbox.set_token(&good);
    let path = w.path("token");
    let mended = good.clone();
    let clock = at("2026-06-06T10:10:00Z");
    let watcher = serve(&w, &clock, 9, move |n| {
        if n == 6 {
            std::fs::write(&path, &mended).unwrap();
        }
    });
    let outcomes = watcher.outcomes.lock().unwrap();
    let verdicts: Vec<Verdict> = outcomes.iter().map(|o| o.verdict).collect();
    assert_eq!(verdicts[..6], [Verdict::Failed; 6]);
    assert_eq!(verdicts[6..], [Verdict::Ok; 3]);
    let error = outcomes[0].error.as_ref().unwrap();
    assert_eq!(error.0, "target", "{error:?}");
    // The fake clock runs on while a cycle works: some minutes more each time.
    let found = minutes(&outcomes);
    for (found, wanted) in found.iter().zip([15, 30, 60, 60, 60, 60]) {
        assert!((wanted - 2..wanted + 14).contains(found), "{found} instead of {wanted}: {found:?}");
    }
    assert!(found[6..].iter().all(|m| *m < 29), "back to every quarter of an hour: {found:?}");
}

#[test]
fn a_clock_that_jumps_makes_no_run_too_many_and_loses_none() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"0 * * * *\"", "");
    w.populate(1);
    w.save();
    let clock = at("2026-06-06T10:58:00Z");
    let turned = clock.clone();
    let watcher = serve(&w, &clock, 4, move |n| match n {
        // Suspended over the weekend: one run, not fifty.
        1 => turned.set("2026-06-08T07:20:00Z".parse().unwrap()),
        // Set back by a year: the next full hour, not next year.
        2 => turned.set("2025-06-08T07:30:00Z".parse().unwrap()),
        _ => {}
    });
    let at: Vec<String> = watcher
        .outcomes
        .lock()
        .unwrap()
        .iter()
        .map(|o| Timestamp::from_second(o.at).unwrap().strftime("%Y-%m-%dT%H").to_string())
        .collect();
    assert_eq!(at, ["2026-06-06T11", "2026-06-08T07", "2025-06-08T08", "2025-06-08T09"]);
}

/// Resident memory of this process, KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap()
}

#[test]
fn scale_daemon_memory() {
    if crate::support::measure::too_slow() {
        return;
    }
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"* * * * *\"", "");
    w.populate(10_000);
    w.save();
    let measured = Arc::new(Mutex::new(Vec::new()));
    let into = measured.clone();
    let watcher = serve(&w, &at("2026-06-06T10:00:30Z"), 1_000, move |n| {
        if n % 10 == 0 {
            into.lock().unwrap().push(resident());
        }
    });
    assert!(watcher.outcomes.lock().unwrap().iter().all(|o| o.verdict == Verdict::Ok));
    let measured = measured.lock().unwrap();
    println!("resident after every 10 cycles, KiB: {measured:?}");
    // The allocator needs some cycles to settle, and takes a few MiB more in one step now and then: what leaks grows in every
    // window. Single values go up and down: means.
    let windows: Vec<u64> = measured.chunks(20).map(|of| of.iter().sum::<u64>() / of.len() as u64).collect();
    let (first, last) = (windows[0], windows[windows.len() - 1]);
    assert!(last <= first + first / 7, "{first} KiB in the first 200 cycles, {last} KiB in the last");
    let mut growth: Vec<i64> = windows.windows(2).map(|w| w[1].cast_signed() - w[0].cast_signed()).collect();
    growth.sort_unstable();
    let median = i64::midpoint(growth[1], growth[2]);
    assert!(median <= first.cast_signed() / 200, "every 200 cycles, KiB: {windows:?}");
}

/// A day in which nothing is due, every look at the clock and the store made as the service makes them.
#[test]
fn scale_an_idle_day_costs_less_than_a_second() {
    if crate::support::measure::too_slow() {
        return;
    }
    scim_sync::http::tls::install_provider();
    let w = World::new("http://127.0.0.1:1/scim/v2", "token", "schedule = \"0 0 1 1 *\"\nfull_read = \"0 3 1 1 *\"", "");
    w.save();
    let clock = at("2026-06-06T00:00:00Z");
    let day = Arc::new(clock.clone());
    let (orders, mut receiver) = mpsc::channel(4);
    let daemon = Daemon::new(load(&w), Box::new(|| Err("no reload here".to_owned())), day).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = cpu_of(std::process::id());
    runtime.block_on(async {
        let end: Timestamp = "2026-06-07T00:00:00Z".parse().unwrap();
        let stopping = async {
            while scim_sync::daemon::clock::Clock::now(&clock) < end {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            orders.send(Order::Stop).await.unwrap();
        };
        let (served, ()) = tokio::join!(daemon.serve(&mut receiver), stopping);
        served.unwrap();
    });
    let cpu = cpu_of(std::process::id()).saturating_sub(before);
    println!("an idle day: {cpu:?} of CPU");
    // Without optimisation it is several times that.
    assert!(cpu < Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 }), "{cpu:?}");
}
