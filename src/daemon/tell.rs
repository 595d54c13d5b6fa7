//! What the service says of a cycle: in the log, and to those who watch.
//!
//! One line for a cycle that did something, none (at the usual level) for a quiet one. What fails is said once, and once more
//! when it is well again. People are named where something of theirs is new: failed, parked, held.

use super::lane::{Failing, Lane};
use super::work::{Ended, REMARKS};
use crate::observe::{Outcome, Verdict};
use crate::plan::{KINDS, render};
use crate::state::service::Remark;
use crate::sync::Report;
use jiff::Timestamp;

/// Puts a cycle into the log.
pub(super) fn log(lane: &mut Lane, report: &Report, remarks: &[Remark], now: Timestamp) {
    for r in remarks.iter().take(REMARKS as usize) {
        tracing::warn!(
            sync = lane.name,
            cycle = report.cycle,
            kind = r.kind,
            who = r.who,
            target_id = r.target_id,
            http_status = r.http_status,
            status = r.status,
            "{} {}: {}",
            r.who,
            r.status,
            r.error
        );
    }
    if remarks.len() > REMARKS as usize {
        tracing::warn!(sync = lane.name, cycle = report.cycle, "and more: `scim-sync log --cycle {}`", report.cycle);
    }
    match &report.error {
        Some(error) => failed(lane, report.cycle, error.kind, &error.message, now),
        None => {
            well(lane, report.cycle, now);
            went(lane, report, remarks);
        }
    }
}

fn went(lane: &Lane, report: &Report, remarks: &[Remark]) {
    let ms = u64::try_from(report.duration_ms).unwrap_or(u64::MAX);
    let (held, parked) = (report.held.len(), report.parked.len());
    let mut line = render::summary(&report.counts);
    if held > 0 {
        line += &format!(
            "; {held} held, look at them with `scim-sync status` and release them with `scim-sync approve {}`",
            lane.name
        );
    }
    if parked > 0 {
        line += &format!("; {parked} parked");
    }
    let (sync, cycle, result) = (&lane.name, report.cycle, report.result());
    if report.counts.is_quiet() && remarks.is_empty() {
        tracing::debug!(sync, cycle, result, duration_ms = ms, held, parked, "{sync}: {line}");
    } else {
        tracing::info!(sync, cycle, result, duration_ms = ms, held, parked, "{sync}: {line}");
    }
}

/// A cycle failed as a whole: said when it begins to, or fails in another way.
pub(super) fn failed(lane: &mut Lane, cycle: i64, kind: &str, message: &str, now: Timestamp) {
    let times = lane.failing.as_ref().map_or(0, |f| f.times) + 1;
    let since = lane.failing.as_ref().map_or(now, |f| f.since);
    let new = lane.failing.as_ref().is_none_or(|f| f.kind != kind);
    let sync = &lane.name;
    if new {
        tracing::error!(sync, cycle, result = "failed", kind, "{sync}: {message}; tried again ever more rarely, up to hourly");
    } else {
        tracing::debug!(sync, cycle, result = "failed", kind, times, "{sync}: {message}");
    }
    lane.failing = Some(Failing { kind: kind.to_owned(), since, times });
}

fn well(lane: &mut Lane, cycle: i64, now: Timestamp) {
    if let Some(f) = lane.failing.take() {
        let minutes = now.duration_since(f.since).as_mins();
        let sync = &lane.name;
        tracing::info!(sync, cycle, times = f.times, "{sync}: well again, after {} failures in {minutes} minutes", f.times);
    }
}

fn verdict(result: &str) -> Verdict {
    match result {
        "ok" => Verdict::Ok,
        "parked" => Verdict::Parked,
        "held" => Verdict::Held,
        _ => Verdict::Failed,
    }
}

/// Where a sync stands by the store alone: what became of its last cycle, of whichever process. `None`: it never ran.
pub(super) fn known(lane: &Lane) -> Option<Outcome> {
    let last = lane.past.last.as_ref()?;
    let standing = standing(lane, lane.told.flatten());
    Some(Outcome {
        cycle: last.cycle,
        at: last.ended,
        verdict: verdict(&last.result),
        held: lane.past.held.clone(),
        duration_ms: last.duration_ms,
        ..standing
    })
}

/// Where a sync stands, and nothing of any cycle.
fn standing(lane: &Lane, next_run: Option<Timestamp>) -> Outcome {
    let past = &lane.past;
    Outcome {
        sync: lane.name.clone(),
        cycle: 0,
        at: 0,
        verdict: Verdict::Failed,
        error: None,
        done: Default::default(),
        held: Default::default(),
        parked: Vec::new(),
        leavers_waiting: past.leavers_waiting,
        leavers_since: past.leavers_since,
        linked_users: past.linked_users,
        linked_groups: past.linked_groups,
        complete_read_at: past.complete_read_at,
        next_run: next_run.map(Timestamp::as_second),
        duration_ms: 0,
    }
}

/// What became of a cycle, for those who watch.
pub(super) fn outcome(ended: &Ended, lane: &Lane, next_run: Option<Timestamp>, now: Timestamp) -> Outcome {
    let bug = ("bug".to_owned(), "the cycle ended by a bug in the program; the log says where".to_owned());
    let mut out = Outcome { at: now.as_second(), error: Some(bug), ..standing(lane, next_run) };
    let Some(report) = &ended.report else { return out };
    out.cycle = report.cycle;
    out.verdict = verdict(report.result());
    out.error = report.error.as_ref().map(|e| (e.kind.to_owned(), e.message.clone()));
    let done = KINDS.into_iter().map(|k| (k.as_str().to_owned(), report.counts.get(k)));
    out.done = done.filter(|(_, n)| *n > 0).collect();
    for h in &report.held {
        *out.held.entry(h.kind.clone()).or_default() += 1;
    }
    out.parked = report.parked.iter().map(|p| (p.who.clone(), p.reason.clone(), p.advice.clone())).collect();
    out.duration_ms = u64::try_from(report.duration_ms).unwrap_or(u64::MAX);
    out
}
