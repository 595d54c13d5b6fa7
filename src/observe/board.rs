//! Where every sync stands: what `/readyz`, the status page and half of `/metrics` are written from.

use super::exposition::Exposition;
use super::{Outcome, Verdict};
use crate::config::{Config, Schedule};
use crate::names;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// No read is too old before this, however short the schedule: seconds.
const YOUNGEST_LIMIT: i64 = 15 * 60;

/// Intervals of the schedule after which a read is too old.
const INTERVALS: i64 = 3;

/// One sync to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The sync.
    pub name: String,
    /// Age in seconds from which its last complete read is too old; `None` where it has no schedule, and runs only by hand.
    pub age_limit: Option<i64>,
    /// When its last complete read was committed (Unix seconds), as far as the state store knows.
    pub complete_read_at: Option<i64>,
}

/// Where every sync stands. Shared between the daemon, which tells it, and the listener, which asks it. Times are Unix
/// seconds.
#[derive(Debug)]
pub struct Board(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    started: i64,
    syncs: BTreeMap<String, Line>,
    /// Key of each secret that says when it ends.
    secrets: Vec<(String, i64)>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Line {
    pub(super) age_limit: Option<i64>,
    /// Since when it is watched; `None`: since the start.
    added: Option<i64>,
    pub(super) complete_read_at: Option<i64>,
    pub(super) next_run: Option<i64>,
    pub(super) running: bool,
    /// The last one, of this process or from before; who is parked is not kept, only how many.
    pub(super) last: Option<Outcome>,
    pub(super) parked: u64,
    /// A cycle has ended since it is watched.
    ran: bool,
}

/// Whether the syncs do what they should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// All of them do.
    pub ready: bool,
    /// One line for each sync.
    pub lines: Vec<String>,
}

impl Board {
    /// A board for these syncs; `now` is when the daemon started.
    #[must_use]
    pub fn new(syncs: impl IntoIterator<Item = Watched>, now: i64) -> Arc<Self> {
        let board = Self(Mutex::new(Inner { started: now, syncs: BTreeMap::new(), secrets: Vec::new() }));
        board.watch(syncs);
        Arc::new(board)
    }

    /// From now on these syncs are watched and no others, as after a reload. What is known of those that stay is kept.
    pub fn watch(&self, syncs: impl IntoIterator<Item = Watched>) {
        let mut inner = self.lock();
        let mut before = std::mem::take(&mut inner.syncs);
        // What comes with a reload is not late for the time before.
        let added = (!before.is_empty()).then(|| jiff::Timestamp::now().as_second());
        for watched in syncs {
            // A counter that begins with 1 never rises for Prometheus.
            Verdict::ALL.into_iter().for_each(|verdict| count_cycles(&watched.name, verdict, 0));
            let mut line = before.remove(&watched.name).unwrap_or_else(|| Line { added, ..Line::default() });
            line.age_limit = watched.age_limit;
            line.complete_read_at = line.complete_read_at.max(watched.complete_read_at);
            inner.syncs.insert(watched.name, line);
        }
    }

    /// When secrets stop working: key of the configuration and Unix second.
    pub fn secrets(&self, ends: impl IntoIterator<Item = (String, i64)>) {
        self.lock().secrets = ends.into_iter().collect();
    }

    /// A cycle of this sync begins.
    pub fn running(&self, sync: &str) {
        self.change(sync, |line| line.running = true);
    }

    /// When this sync runs next.
    pub fn next_run(&self, sync: &str, at: Option<i64>) {
        self.change(sync, |line| line.next_run = at);
    }

    /// A cycle ended.
    pub fn cycle(&self, outcome: &Outcome) {
        count_cycles(&outcome.sync, outcome.verdict, 1);
        self.change(&outcome.sync, |line| {
            line.running = false;
            line.next_run = outcome.next_run;
            line.complete_read_at = outcome.complete_read_at.or(line.complete_read_at);
            line.parked = outcome.parked.len() as u64;
            line.last = Some(Outcome { parked: Vec::new(), ..outcome.clone() });
            line.ran = true;
        });
    }

    /// Where a sync stands by the state store: its last cycle was before this process, or somebody else's.
    pub fn known(&self, outcome: &Outcome, parked: u64) {
        self.change(&outcome.sync, |line| {
            line.complete_read_at = line.complete_read_at.max(outcome.complete_read_at);
            line.parked = parked;
            line.last = Some(outcome.clone());
        });
    }

    /// Whether every sync that has a schedule was read as lately as it should have been.
    #[must_use]
    pub fn readiness(&self, now: i64) -> Readiness {
        let inner = self.lock();
        let judged: Vec<(bool, String)> =
            inner.syncs.iter().map(|(name, line)| judge(name, line, line.added.unwrap_or(inner.started), now)).collect();
        Readiness { ready: judged.iter().all(|(ok, _)| *ok), lines: judged.into_iter().map(|(_, l)| l).collect() }
    }

    /// Every sync with where it stands.
    pub(super) fn lines(&self) -> Vec<(String, Line)> {
        self.lock().syncs.iter().map(|(name, line)| (name.clone(), line.clone())).collect()
    }

    /// Writes the gauges.
    pub(super) fn expose(&self, out: &mut Exposition, now: i64) {
        let inner = self.lock();
        let syncs = || inner.syncs.iter().map(|(name, line)| (name.as_str(), line));
        let mut each = |name: &str, value: &dyn Fn(&Line) -> Option<f64>| {
            out.gauges(name, syncs().filter_map(|(sync, line)| Some((vec![sync], value(line)?))));
        };
        each(names::LAST_COMPLETE_READ, &|l| l.complete_read_at.map(float));
        each(names::READ_AGE_LIMIT, &|l| l.age_limit.map(float));
        each(names::NEXT_RUN, &|l| l.next_run.map(float));
        each(names::RUNNING, &|l| Some(f64::from(u8::from(l.running))));
        each(names::LAST_CYCLE, &|l| Some(float(l.last.as_ref()?.at)));
        #[allow(clippy::cast_precision_loss)] // milliseconds of a cycle
        each(names::LAST_CYCLE_DURATION, &|l| Some(l.last.as_ref()?.duration_ms as f64 / 1000.0));
        each(names::PARKED, &|l| l.last.as_ref().map(|_| count(l.parked)));
        each(names::LEAVERS_WAITING, &|l| Some(count(l.last.as_ref()?.leavers_waiting)));
        each(names::LEAVERS_WAITING_SECONDS, &|l| {
            Some(float(l.last.as_ref()?.leavers_since.map_or(0, |since| (now - since).max(0))))
        });
        let known = || syncs().filter_map(|(sync, line)| Some((sync, line.last.as_ref()?)));
        out.gauges(
            names::LAST_CYCLE_RESULT,
            known().flat_map(|(sync, last)| {
                Verdict::ALL.map(|v| (vec![sync, v.as_str()], f64::from(u8::from(v == last.verdict)))).into_iter()
            }),
        );
        out.gauges(
            names::HELD,
            known().flat_map(|(sync, last)| last.held.iter().map(move |(kind, n)| (vec![sync, kind.as_str()], count(*n)))),
        );
        out.gauges(
            names::LINKED,
            known().flat_map(|(sync, last)| {
                [(vec![sync, "user"], count(last.linked_users)), (vec![sync, "group"], count(last.linked_groups))]
            }),
        );
        out.gauges(names::SECRET_EXPIRY, inner.secrets.iter().map(|(key, at)| (vec![key.as_str()], float(*at))));
    }

    fn change(&self, sync: &str, f: impl FnOnce(&mut Line)) {
        // A sync that a reload took away may still have been running.
        if let Some(line) = self.lock().syncs.get_mut(sync) {
            f(line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_cycles(sync: &str, verdict: Verdict, n: u64) {
    metrics::counter!(names::CYCLES, "sync" => sync.to_owned(), "result" => verdict.as_str()).increment(n);
}

/// Whether one sync's last complete read is young enough, and why.
fn judge(name: &str, line: &Line, started: i64, now: i64) -> (bool, String) {
    let Some(limit) = line.age_limit else { return (true, format!("{name}: ok: it has no schedule")) };
    // A daemon that was off for a weekend reads again before it is judged.
    let (first, since) = match (line.ran, line.complete_read_at) {
        (false, at) => (true, at.unwrap_or(started).max(started)),
        (true, Some(at)) => (false, at),
        (true, None) => (false, started),
    };
    if first && line.running {
        return (true, format!("{name}: ok: its first cycle is running"));
    }
    let age = (now - since).max(0);
    let ok = age <= limit;
    let said = match (line.complete_read_at, ok) {
        (Some(at), _) => format!("last complete read {} s ago, limit {limit} s", (now - at).max(0)),
        (None, true) => format!("no complete read yet; it has {} s left", limit - age),
        (None, false) => format!("no complete read in {age} s, limit {limit} s"),
    };
    (ok, format!("{name}: {}: {said}", if ok { "ok" } else { "too old" }))
}

/// The syncs of a configuration that the daemon runs, for [`Board::new`]. `complete_read_at` is asked from the state store.
pub fn watched(config: &Config, now: Timestamp, complete_read_at: impl Fn(&str) -> Option<i64>) -> Vec<Watched> {
    let enabled = config.syncs.iter().filter(|s| s.enabled);
    enabled
        .map(|sync| Watched {
            name: sync.name.clone(),
            age_limit: sync
                .schedule
                .as_deref()
                .and_then(|line| Schedule::parse(line, &sync.timezone).ok())
                .map(|schedule| age_limit(&schedule, now)),
            complete_read_at: complete_read_at(&sync.name),
        })
        .collect()
}

/// Age in seconds from which a read is too old: three intervals of the schedule and at least 15 minutes. An interval is the
/// longest pause that the schedule makes in two weeks: one that rests at night is not late in the morning.
#[must_use]
pub fn age_limit(schedule: &Schedule, now: Timestamp) -> i64 {
    const HOURS: i64 = 14 * 24;
    let pauses = (0..HOURS).filter_map(|hour| {
        let at = now.checked_add(SignedDuration::from_hours(hour)).ok()?;
        let next = schedule.next_after(at)?.timestamp();
        let after = schedule.next_after(next).map_or(next, |z| z.timestamp());
        Some((next.as_second() - at.as_second()).max(after.as_second() - next.as_second()))
    });
    pauses.max().unwrap_or(0).saturating_mul(INTERVALS).max(YOUNGEST_LIMIT)
}

#[allow(clippy::cast_precision_loss)] // Unix seconds and ages
fn float(n: i64) -> f64 {
    n as f64
}

#[allow(clippy::cast_precision_loss)] // nobody has 2^53 people
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;

#[cfg(test)]
pub(super) use tests::outcome;
