//! What to tell, and when to keep silent. Pure: the clock comes from outside, what was told before comes along.
//!
//! - Trouble is told when it begins, when its kind changes, when it gets worse, and once a day while it lasts.
//! - That all is well again is told once.
//! - Whatever happens, of one kind of trouble at most [`GAPS`]`.len()` messages go out within 24 hours, ever further apart. What is
//!   not told then is told as soon as it may be, unless it is not so any more.

use super::message::{self, Event, Message};
use crate::observe::{Outcome, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// By so much a daily cycle may end earlier than yesterday's.
const EARLY: i64 = HOUR;

/// Seconds that must have passed since the last message about the same kind of trouble, by the number of those in the last 24 hours.
pub const GAPS: [i64; 5] = [0, 0, HOUR / 2, 2 * HOUR, 6 * HOUR];

/// Trouble that lasts for so long, over [`LASTING`] cycles, does not come and go: it is told though the gap is not over.
const SETTLED: i64 = 600;
const LASTING: u64 = 3;

/// Trouble that only grows is told at most so often: seconds.
const GROWTH: i64 = HOUR;

/// Parked people who are remembered one by one; of more only the number is.
const REMEMBERED: usize = 2000;

/// What was told about one sync, and what is the case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The trouble that was told last; none where nothing was, or that all is well.
    told: Option<Told>,
    /// The trouble that there is.
    pub(super) trouble: Option<Trouble>,
    /// When messages went out in the last 24 hours, by kind of trouble.
    sent: BTreeMap<String, Vec<i64>>,
    /// Changes that were not told, since the last message.
    pub(super) unsaid: u32,
}

/// Trouble that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    kind: String,
    /// When a cycle first ended like this.
    pub(super) since: i64,
    /// Cycles that ended like this, one after another.
    pub(super) cycles: u64,
}

/// Trouble that was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub(super) kind: String,
    pub(super) at: i64,
    /// When this trouble began.
    pub(super) since: i64,
    /// Kind of the error.
    error: Option<String>,
    held: BTreeMap<String, u64>,
    /// Hashes of who was parked.
    parked: BTreeSet<u64>,
    parked_count: u64,
    /// Leavers were waiting.
    leavers: bool,
}

/// Why there is something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Trouble, after all was well.
    New,
    /// Another kind of trouble.
    Changed,
    /// The same, and more of it.
    Worse,
    /// It lasts.
    Repeated,
    /// It is over.
    Well,
}

/// What is to be told after a cycle, if anything, and what is known from then on. `now` is in Unix seconds.
#[must_use]
pub fn decide(before: &Standing, outcome: &Outcome, now: i64) -> (Standing, Option<Message>) {
    let mut standing = before.clone();
    if is_nobodys_fault(outcome) {
        return (standing, None);
    }
    standing.forget(now);
    let changed = standing.see(outcome, now);
    let Some(why) = standing.why(outcome, now) else { return (standing, None) };
    let kind = match (&standing.told, why) {
        (Some(told), Why::Well) => told.kind.clone(),
        _ => outcome.verdict.as_str().to_owned(),
    };
    if !standing.may(&kind, why, now) {
        standing.unsaid = standing.unsaid.saturating_add(u32::from(changed));
        return (standing, None);
    }
    let message = message::compose(&standing, standing.told.as_ref(), outcome, event(&standing, outcome, now), why, now);
    standing.sent.entry(kind).or_default().push(now);
    standing.unsaid = 0;
    let since = standing.trouble.as_ref().map_or(now, |t| t.since);
    standing.told = (outcome.verdict != Verdict::Ok).then(|| Told::of(outcome, since, now));
    (standing, Some(message))
}

/// We were stopped, or somebody else was at work: that is no trouble.
fn is_nobodys_fault(outcome: &Outcome) -> bool {
    outcome.error.as_ref().is_some_and(|(kind, _)| matches!(kind.as_str(), "interrupted" | "locked"))
}

fn event(standing: &Standing, outcome: &Outcome, now: i64) -> Event {
    match outcome.verdict {
        Verdict::Ok => Event::Well,
        Verdict::Parked => Event::Parked,
        Verdict::Held => Event::Held,
        Verdict::Failed if standing.trouble.as_ref().is_some_and(|t| now - t.since >= DAY) => Event::Quarantined,
        Verdict::Failed => Event::Failed,
    }
}

impl Standing {
    /// Whether there is anything to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_none() && self.trouble.is_none() && self.sent.is_empty()
    }

    /// What is older than a day does not count. A clock that was set back must not silence us for years.
    fn forget(&mut self, now: i64) {
        for times in self.sent.values_mut() {
            times.retain(|at| now.saturating_sub(*at) < DAY);
            times.iter_mut().for_each(|at| *at = (*at).min(now));
        }
        self.sent.retain(|_, times| !times.is_empty());
        if let Some(told) = &mut self.told {
            told.at = told.at.min(now);
        }
        if let Some(trouble) = &mut self.trouble {
            trouble.since = trouble.since.min(now);
        }
    }

    /// Takes in how a cycle ended. Whether that is another kind of end than before.
    fn see(&mut self, outcome: &Outcome, now: i64) -> bool {
        let kind = outcome.verdict.as_str();
        match &mut self.trouble {
            Some(_) if outcome.verdict == Verdict::Ok => {
                self.trouble = None;
                true
            }
            Some(trouble) if trouble.kind == kind => {
                trouble.cycles += 1;
                false
            }
            None if outcome.verdict == Verdict::Ok => false,
            _ => {
                self.trouble = Some(Trouble { kind: kind.to_owned(), since: now, cycles: 1 });
                true
            }
        }
    }

    fn why(&self, outcome: &Outcome, now: i64) -> Option<Why> {
        match (&self.told, outcome.verdict) {
            (None, Verdict::Ok) => None,
            (None, _) => Some(Why::New),
            (Some(_), Verdict::Ok) => Some(Why::Well),
            (Some(told), verdict) if told.kind != verdict.as_str() => Some(Why::Changed),
            (Some(told), _) if told.was_better_than(outcome) => Some(Why::Worse),
            (Some(told), _) if is_a_day_old(told.at, outcome, now) => Some(Why::Repeated),
            _ => None,
        }
    }

    fn may(&self, kind: &str, why: Why, now: i64) -> bool {
        let times = self.sent.get(kind).map_or(&[][..], Vec::as_slice);
        let Some(last) = times.iter().max() else { return true };
        let Some(gap) = GAPS.get(times.len()) else { return false };
        let lasts = self.trouble.as_ref().is_some_and(|t| t.kind == kind && now - t.since >= SETTLED && t.cycles >= LASTING);
        let gap = match why {
            Why::Worse => GROWTH.max(*gap),
            Why::New | Why::Changed if lasts => SETTLED.min(*gap),
            _ => *gap,
        };
        now - last >= gap
    }
}

/// Whether something was told a day ago; nearly a day counts where the next chance would be much later.
fn is_a_day_old(told: i64, outcome: &Outcome, now: i64) -> bool {
    let last_chance = outcome.next_run.is_some_and(|next| next - told > DAY + EARLY);
    now - told >= if last_chance { DAY - EARLY } else { DAY }
}

impl Told {
    fn of(outcome: &Outcome, since: i64, now: i64) -> Self {
        let few = outcome.parked.len() <= REMEMBERED;
        Self {
            kind: outcome.verdict.as_str().to_owned(),
            at: now,
            since,
            error: outcome.error.as_ref().map(|(kind, _)| kind.clone()),
            held: outcome.held.clone(),
            parked: if few { outcome.parked.iter().map(|(who, ..)| hash(who)).collect() } else { BTreeSet::new() },
            parked_count: outcome.parked.len() as u64,
            leavers: outcome.leavers_waiting > 0,
        }
    }

    /// Whether `outcome`, of the same kind, is worse than what was told.
    fn was_better_than(&self, outcome: &Outcome) -> bool {
        if outcome.leavers_waiting > 0 && !self.leavers {
            return true;
        }
        match outcome.verdict {
            Verdict::Ok => false,
            Verdict::Failed => self.error.as_deref() != outcome.error.as_ref().map(|(kind, _)| kind.as_str()),
            Verdict::Held => outcome
                .held
                .iter()
                .any(|(kind, n)| *n >= 2 * self.held.get(kind).copied().unwrap_or(0).max(1) || !self.held.contains_key(kind)),
            Verdict::Parked if outcome.parked.len() > REMEMBERED || self.parked_count > REMEMBERED as u64 => {
                outcome.parked.len() as u64 > self.parked_count
            }
            Verdict::Parked => outcome.parked.iter().any(|(who, ..)| !self.parked.contains(&hash(who))),
        }
    }
}

/// The same in every process, unlike the standard library's.
fn hash(who: &str) -> u64 {
    let bytes = blake3::hash(who.as_bytes());
    bytes.as_bytes()[..8].iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
