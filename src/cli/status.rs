//! `status`: each sync at a glance.

use super::{CliError, Ctx, show};
use crate::config::{Config, SyncConfig};
use crate::daemon::timetable::{Timetable, retry_after};
use crate::exit::Exit;
use crate::plan::{Kind, render};
use crate::state::Store;
use crate::sync::{HeldItem, ParkedItem};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Held and parked ones that are listed of each sync.
const SHOWN: usize = 20;

/// Characters of a name that others are aligned with.
const WIDEST: usize = 40;

#[derive(Debug, Serialize)]
struct Line {
    sync: String,
    /// Whether it runs by its schedule; else it is paused.
    enabled: bool,
    last_cycle: Option<i64>,
    last_result: Option<String>,
    last_error: Option<serde_json::Value>,
    last_complete_read_age_s: Option<i64>,
    linked_users: u64,
    linked_groups: u64,
    held: usize,
    parked: usize,
    next_run: Option<String>,
    held_changes: Vec<HeldItem>,
    parked_changes: Vec<ParkedItem>,
    /// The last cycle renamed accounts, and not all of them.
    #[serde(rename = "migration_incomplete")]
    migration_left: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong or the state store cannot be read.
pub async fn run(ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let lines = lines(&config, Timestamp::now())?;
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "syncs": lines}));
        return Ok(Exit::Done);
    }
    let rows = lines.iter().map(|l| {
        vec![
            l.sync.clone(),
            l.last_cycle.map_or_else(|| "never".to_owned(), |c| c.to_string()),
            result(l),
            l.last_complete_read_age_s.map_or_else(|| "never".to_owned(), age),
            l.linked_users.to_string(),
            l.linked_groups.to_string(),
            l.held.to_string(),
            l.parked.to_string(),
            l.next_run.clone().unwrap_or_else(|| if l.enabled { "-" } else { "paused" }.to_owned()),
        ]
    });
    let headers = ["SYNC", "#CYCLE", "RESULT", "READ", "#USERS", "#GROUPS", "#HELD", "#PARKED", "NEXT RUN"];
    ctx.out.table(&headers, rows);
    for line in &lines {
        if let Some(message) = line.last_error.as_ref().and_then(|e| e["message"].as_str()) {
            ctx.out.line(format!("{}: the last cycle failed: {message}", line.sync));
        }
        if let Some(cycle) = line.last_cycle.filter(|_| line.migration_left) {
            ctx.out.line(format!(
                "{}: cycle {cycle} was a migration of user IDs, and not every account got its name: scim-sync log --cycle {cycle}",
                line.sync
            ));
        }
        waiting(ctx, line);
    }
    Ok(Exit::Done)
}

/// A migration parks nobody: what it did not rename is not waiting for another try.
fn result(l: &Line) -> String {
    if l.migration_left {
        return "incomplete".to_owned();
    }
    l.last_result.clone().unwrap_or_else(|| "-".to_owned())
}

/// Who is held and who is parked, why, and what to do about it.
fn waiting(ctx: &Ctx, l: &Line) {
    let out = &ctx.out;
    let words = |kind: &str| Kind::parse(kind).map_or_else(|| kind.replace('_', " "), |k| render::words(k).to_owned());
    if !l.held_changes.is_empty() {
        out.line("");
        out.heading(format!("{}: {} held by the guard", l.sync, l.held));
        let rows = l.held_changes.iter().map(|h| (words(&h.kind), h.who.as_str(), h.reason.as_str(), ""));
        listed(ctx, &rows.collect::<Vec<_>>());
        show::advice(out, &l.sync, l.held_changes.iter().map(|h| h.reason.as_str()));
    }
    if !l.parked_changes.is_empty() {
        out.line("");
        out.heading(format!("{}: {} parked", l.sync, l.parked));
        let rows = l.parked_changes.iter().map(|p| (words(&p.kind), p.who.as_str(), p.reason.as_str(), p.advice.as_str()));
        listed(ctx, &rows.collect::<Vec<_>>());
    }
}

/// The first of them: what, who, why, and below it what to do.
fn listed(ctx: &Ctx, rows: &[(String, &str, &str, &str)]) {
    let (all, shown) = (rows.len(), if ctx.verbosity > 0 { rows.len() } else { SHOWN });
    let rows = rows.get(..shown.min(all)).unwrap_or_default();
    let width = |text: &str| text.chars().count();
    let whats = rows.iter().map(|r| width(&r.0)).max().unwrap_or(0);
    let whos = rows.iter().map(|r| width(r.1)).max().unwrap_or(0).min(WIDEST);
    for (what, who, why, advice) in rows {
        ctx.out.line(format!("  {what:<whats$}  {who:<whos$}  {why}"));
        if !advice.is_empty() {
            ctx.out.line(format!("  {:<whats$}  {advice}", ""));
        }
    }
    if all > shown {
        ctx.out.line(format!("  and {} others (-v shows all)", all - shown));
    }
}

fn lines(config: &Config, now: Timestamp) -> Result<Vec<Line>, CliError> {
    let store = Store::open_existing(&config.state.path)?;
    config.syncs.iter().map(|s| line(store.as_ref(), s, now)).collect()
}

fn line(store: Option<&Store>, sync: &SyncConfig, now: Timestamp) -> Result<Line, CliError> {
    let mut line = Line {
        sync: sync.name.clone(),
        enabled: sync.enabled,
        last_cycle: None,
        last_result: None,
        last_error: None,
        last_complete_read_age_s: None,
        linked_users: 0,
        linked_groups: 0,
        held: 0,
        parked: 0,
        next_run: next_run(sync, None, now),
        held_changes: Vec::new(),
        parked_changes: Vec::new(),
        migration_left: false,
    };
    let Some(store) = store else { return Ok(line) };
    let Some(row) = store.find_sync(&sync.name)? else { return Ok(line) };
    if let Some(last) = store.last_cycle(row.id)? {
        line.last_cycle = Some(last.id);
        line.migration_left = last.migration && last.result.as_deref() == Some("parked");
        line.last_result = last.result;
        line.last_error = last.error.map(|(kind, message)| json!({"kind": kind, "message": message}));
    }
    line.last_complete_read_age_s = row.complete_read_at.map(|at| (now.as_second() - at).max(0));
    (line.linked_users, line.linked_groups) = store.count_links(row.id)?;
    line.held_changes = store.held(row.id)?.into_iter().map(Into::into).collect();
    line.parked_changes = store.parked(row.id)?.into_iter().map(Into::into).collect();
    (line.held, line.parked) = (line.held_changes.len(), line.parked_changes.len());
    line.next_run = next_run(sync, store.failures_in_a_row(row.id)?, now);
    Ok(line)
}

/// By the schedule; where the sync failed so and so often, the last time then, when it is tried again.
fn next_run(sync: &SyncConfig, failed: Option<(u32, i64)>, now: Timestamp) -> Option<String> {
    let table = Timetable::of(sync)?;
    let again = failed.and_then(|(times, last)| {
        let last = Timestamp::from_second(last).ok()?;
        last.checked_add(SignedDuration::try_from(retry_after(table.interval(last), times)).ok()?).ok()
    });
    let next = again.filter(|at| *at > now).or_else(|| table.next_after(now))?;
    Some(next.in_tz(&sync.timezone).ok()?.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// `3 min ago`.
fn age(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..5400 => format!("{} min ago", seconds / 60),
        5400..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}
