//! When a sync runs: a pure function of its schedules, of what it did so far, and of the time it is.
//!
//! Nothing here waits. Whoever asks again at least every minute needs to know nothing of suspended machines: a run whose time
//! has passed is due, once, however many were missed. A clock that was set back is noticed by [`Record::corrected`].

use crate::config::{Schedule, SyncConfig};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A sync that fails is tried at least this often.
pub const RAREST_RETRY: Duration = Duration::from_secs(3600);

/// A sync that fails is tried at most this often, however short its schedule.
const SOONEST_RETRY: Duration = Duration::from_secs(60);

/// A cycle that took longer than its interval is followed by the next one after this pause, in which a `sync` by hand finds the
/// lock free.
const BREATH: Duration = Duration::from_secs(1);

/// The schedules of a sync.
#[derive(Debug, Clone)]
pub struct Timetable {
    cycle: Schedule,
    full: Option<Schedule>,
    verify: Option<Schedule>,
}

impl Timetable {
    /// The timetable of a sync that runs by itself: enabled, and with a schedule.
    #[must_use]
    pub fn of(sync: &SyncConfig) -> Option<Self> {
        // Lines that cannot be read were refused with the configuration.
        let read = |line: &Option<String>| Schedule::parse(line.as_deref()?, &sync.timezone).ok();
        let cycle = read(&sync.schedule).filter(|_| sync.enabled)?;
        Some(Self { cycle, full: read(&sync.full_read), verify: read(&sync.verify) })
    }

    /// The first run after `after`, of whatever kind.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let all = [Some(&self.cycle), self.full.as_ref(), self.verify.as_ref()];
        all.into_iter().flatten().filter_map(|s| Some(s.next_after(after)?.timestamp())).min()
    }

    /// From one run of the plain schedule to the next.
    #[must_use]
    pub fn interval(&self, after: Timestamp) -> Duration {
        let next = self.cycle.upcoming(after, 2);
        let gap = next.windows(2).next().map(|w| w[1].timestamp().duration_since(w[0].timestamp()));
        gap.and_then(|g| Duration::try_from(g).ok()).unwrap_or(RAREST_RETRY)
    }
}

/// A run that has to be made whatever the schedule says: one that was missed, or one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// Since when.
    pub from: Timestamp,
    /// How long after that it is made.
    pub delay: Duration,
}

/// What a sync did so far, as far as its next run depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Runs up to here are behind it.
    pub since: Timestamp,
    /// Its last complete read; `None` where the next one is complete anyway.
    pub read_full: Option<Timestamp>,
    /// Its last verification; `None` where the next cycle reads the target anyway.
    pub verified: Option<Timestamp>,
    /// The last verification that failed, where none went well since.
    pub unverified: Option<Timestamp>,
    /// A run out of turn.
    pub owed: Option<Owed>,
    /// Failures one after another.
    pub failures: u32,
}

/// What kind of cycle is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// With a complete read.
    pub full: bool,
    /// With a look at the whole target.
    pub verify: bool,
}

/// Whether to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// Not before then.
    At(Timestamp),
    /// Never again (the calendar ends).
    Never,
}

/// When the sync runs next, judged at `now`.
#[must_use]
pub fn due(table: &Timetable, record: &Record, now: Timestamp) -> Due {
    let at = match record.owed {
        Some(owed) => Some(later(owed.from, owed.delay)),
        None => table.next_after(record.since),
    };
    match at {
        Some(at) if at <= now => Due::Now,
        Some(at) => Due::At(at),
        None => Due::Never,
    }
}

/// What kind of cycle a cycle that begins `now` has to be.
#[must_use]
pub fn kind(table: &Timetable, record: &Record, now: Timestamp) -> Run {
    let passed = |schedule: &Option<Schedule>, last: Option<Timestamp>| match (schedule, last) {
        (Some(schedule), Some(last)) => schedule.next_after(last).is_some_and(|t| t.timestamp() <= now),
        _ => false,
    };
    // One that fails for a reason of its own must not keep the others from running.
    let again = record.unverified.is_none_or(|failed| later(failed, RAREST_RETRY) <= now);
    Run { full: passed(&table.full, record.read_full), verify: again && passed(&table.verify, record.verified) }
}

impl Record {
    /// What the state store knows when the service starts. A run that was missed while it did not run, and one that was not
    /// finished, is owed once, after `jitter`. A sync that never ran waits for its schedule.
    #[must_use]
    pub fn at_start(table: &Timetable, began: Option<Timestamp>, unfinished: bool, now: Timestamp, jitter: Duration) -> Self {
        let since = began.unwrap_or(now).min(now);
        let missed = began.is_some() && (unfinished || table.next_after(since).is_some_and(|next| next <= now));
        let owed = missed.then_some(Owed { from: now, delay: jitter });
        Self { since, read_full: None, verified: None, unverified: None, owed, failures: 0 }
    }

    /// What lies in the future was written by a clock that was wrong: it counts as now. To be asked before every judgement,
    /// and kept.
    #[must_use]
    pub fn corrected(self, now: Timestamp) -> Self {
        let past = |t: Timestamp| t.min(now);
        Self {
            since: past(self.since),
            read_full: self.read_full.map(past),
            verified: self.verified.map(past),
            unverified: self.unverified.map(past),
            owed: self.owed.map(|o| Owed { from: past(o.from), ..o }),
            failures: self.failures,
        }
    }

    /// The target was looked at as a whole, by a first cycle or a `sync` by hand, `at` that time and not after `latest`.
    #[must_use]
    pub fn looked(self, at: Timestamp, latest: Timestamp) -> Self {
        Self { verified: self.verified.max(Some(at.min(latest))), ..self }
    }

    /// A cycle begins.
    #[must_use]
    pub fn begun(self, now: Timestamp) -> Self {
        Self { since: now, owed: None, ..self }
    }

    /// It went well, or as well as the records allowed. What came due meanwhile is made up for.
    #[must_use]
    pub fn done(self, table: &Timetable, run: Run, full: bool, now: Timestamp) -> Self {
        let late = table.next_after(self.since).is_some_and(|next| next <= now);
        Self {
            read_full: if full { Some(self.since) } else { self.read_full },
            verified: if run.verify { Some(self.since) } else { self.verified },
            unverified: self.unverified.filter(|_| !run.verify),
            owed: late.then_some(Owed { from: now, delay: BREATH }),
            failures: 0,
            ..self
        }
    }

    /// It failed as a whole: tried again after the schedule's interval, then after twice that, up to hourly, for ever. What was
    /// to look at the whole target does so again within the hour, and is an ordinary cycle until then.
    #[must_use]
    pub fn failed(self, table: &Timetable, run: Run, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let unverified = if run.verify { Some(self.since) } else { self.unverified };
        Self { owed: Some(Owed { from: now, delay: retry_after(table.interval(now), failures) }), failures, unverified, ..self }
    }

    /// Something changed that may mend a sync that fails: tried at once.
    #[must_use]
    pub fn try_now(self, now: Timestamp) -> Self {
        if self.failures == 0 { self } else { Self { owed: Some(Owed { from: now, delay: Duration::ZERO }), ..self } }
    }
}

/// How long after its `failures`th failure in a row a sync with this interval is tried again.
#[must_use]
pub fn retry_after(interval: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    interval.max(SOONEST_RETRY).saturating_mul(doubled).min(RAREST_RETRY)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
