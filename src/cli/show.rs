//! What commands that make plans or run cycles share: which syncs, progress, text of plans and reports.

use super::out::{Out, Progress as Bar};
use super::{CliError, Ctx};
use crate::config::{Config, SyncConfig};
use crate::model::ObjectKind;
use crate::observe::Progress;
use crate::plan::render::{self, summary};
use crate::plan::{Counts, Kind, held};
use crate::state::lock::CycleLock;
use crate::state::{StateError, Store};
use crate::sync::{CycleError, Planned, Report};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

impl From<CycleError> for CliError {
    fn from(e: CycleError) -> Self {
        Self::new(e.exit(), e.to_string())
    }
}

impl From<StateError> for CliError {
    fn from(e: StateError) -> Self {
        CycleError::from(e).into()
    }
}

/// The syncs that a command is about: the one named, else every enabled one.
///
/// # Errors
/// There is no sync of this name, or none at all. Where all of them are paused there is none to choose.
pub(super) fn chosen<'a>(config: &'a Config, name: Option<&str>) -> Result<Vec<&'a SyncConfig>, CliError> {
    let Some(name) = name else {
        let all: Vec<_> = config.syncs.iter().filter(|s| s.enabled).collect();
        return match (config.syncs.is_empty(), all.is_empty()) {
            (true, _) => Err(CliError::usage("the configuration has no [[sync]]")),
            (_, true) => {
                tracing::warn!("every [[sync]] is paused (enabled = false): there is nothing to do");
                Ok(all)
            }
            _ => Ok(all),
        };
    };
    one(config, name).map(|s| vec![s])
}

/// The sync of this name.
///
/// # Errors
/// There is none.
pub(super) fn one<'a>(config: &'a Config, name: &str) -> Result<&'a SyncConfig, CliError> {
    config.sync(name).ok_or_else(|| {
        let known: Vec<&str> = config.syncs.iter().map(|s| s.name.as_str()).collect();
        CliError::usage(format!("there is no sync {name:?}; there are: {}", known.join(", ")))
    })
}

/// The sync of this name; where there is only one, its name may be left out.
///
/// # Errors
/// There is none of this name, or none is named and there are several.
pub(super) fn only<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a SyncConfig, CliError> {
    match (name, config.syncs.as_slice()) {
        (Some(name), _) => one(config, name),
        (None, [only]) => Ok(only),
        (None, all) => {
            let known: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
            Err(CliError::usage(format!("name the sync; there are: {}", known.join(", "))))
        }
    }
}

/// Who runs this, for the records: the user who called sudo, else the one whose process it is.
pub(super) fn user() -> String {
    ["SUDO_USER", "LOGNAME", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        .or_else(|| {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata("/proc/self").ok().map(|m| format!("uid {}", m.uid()))
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Takes the cycle lock, waiting for a cycle that runs.
///
/// # Errors
/// Another process still holds it.
pub(super) async fn lock(config: &Config, wait: Duration) -> Result<CycleLock, CliError> {
    let path = config.state.path.clone();
    let lock = tokio::task::spawn_blocking(move || CycleLock::take(&path, wait)).await;
    Ok(lock.map_err(|e| CliError::bug(e.to_string()))??)
}

/// Progress bars on a terminal.
pub(super) struct Bars {
    shown: bool,
    plain: bool,
    bar: Mutex<Option<Bar>>,
}

impl Bars {
    pub(super) fn new(ctx: &Ctx) -> Arc<Self> {
        Arc::new(Self { shown: ctx.out.shows_progress(), plain: ctx.out.is_plain(), bar: Mutex::new(None) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Bar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn begin(&self, label: &str, total: Option<u64>) {
        *self.lock() = Some(Bar::new(self.shown, self.plain, label, total));
    }

    fn step(&self, n: u64) {
        if let Some(bar) = &*self.lock() {
            bar.inc(n);
        }
    }

    fn end(&self) {
        *self.lock() = None;
    }
}

/// Changes shown in full; more than this is summed up, so that a first plan of 100,000 people can be looked at.
const SHOWN: usize = 200;

/// A plan, for people.
///
/// # Errors
/// The plan cannot be read.
pub(super) fn plan(out: &Out, planned: &Planned, verbose: bool) -> Result<(), CliError> {
    let counts = planned.counts()?;
    let digest = planned.digest()?;
    out.heading(format!("{}: {}", planned.sync, summary(&counts)));
    let width = width(&planned.store)?;
    let mut shown = 0;
    planned.store.plan_each(|row| {
        shown += 1;
        if verbose || shown <= SHOWN {
            out.line(render::line(&row.change, row.held.as_deref(), width));
            for detail in render::details(&render::masked(&row.change, &planned.redacted)) {
                out.line(detail);
            }
        }
        Ok::<(), CliError>(())
    })?;
    if !verbose && shown > SHOWN {
        out.line(format!("  ... and {} more (-v shows all, --json and --out hold all)", shown - SHOWN));
    }
    let parked = planned.store.plan_parked()?;
    for p in &parked {
        out.line(format!("  ! parked          {}  {}", p.who, p.reason));
        out.line(format!("      {}", p.advice));
    }
    let mut drifted = 0;
    planned.store.plan_drift_each(None, |row| {
        drifted += 1;
        if verbose || drifted <= SHOWN {
            let d = &row.difference;
            out.line(render::drift(&row.who, &d.path, &d.there, &d.pushed));
        }
        Ok::<(), CliError>(())
    })?;
    more_drift(out, drifted, if verbose { usize::MAX } else { SHOWN });
    let held: u64 = planned.held()?.values().sum();
    if held > 0 {
        let mut reasons = Vec::new();
        planned.store.plan_each(|row| {
            reasons.extend(row.held);
            Ok::<(), CliError>(())
        })?;
        advice(out, &planned.sync, reasons.iter().map(String::as_str));
    }
    by_mapping(out, planned)?;
    out.line(format!("  unchanged {}, out of scope {}, {} read", counts.unchanged, counts.out_of_scope, read(planned.full)));
    out.line(format!("  digest {digest}"));
    Ok(())
}

/// Paths that are named one by one.
const PATHS: usize = 12;

/// How many change by which mapping, where that says more than the changes themselves.
fn by_mapping(out: &Out, planned: &Planned) -> Result<(), CliError> {
    let rows = planned.store.plan_by_path()?;
    if planned.changed.scope_users || planned.changed.scope_groups {
        out.line("  the scope changed since the last cycle: everybody was worked out anew");
    }
    if rows.iter().map(|by| by.changes).max().unwrap_or(0) < 2 && !rows.iter().any(|by| planned.is_remapped(by.object, &by.path))
    {
        return Ok(());
    }
    out.line("  changes by mapping:");
    for by in rows.iter().take(PATHS) {
        let object = if by.object == ObjectKind::Group { "group " } else { "" };
        let why = if planned.is_remapped(by.object, &by.path) { "  (mapping changed)" } else { "" };
        out.line(format!("    {:>7}  {object}{}{why}", by.changes, by.path));
    }
    if rows.len() > PATHS {
        out.line(format!("    and {} more paths", rows.len() - PATHS));
    }
    Ok(())
}

/// Width of the longest name among those that are shown.
fn width(store: &Store) -> Result<usize, CliError> {
    let (mut width, mut n) = (0, 0);
    store.plan_each(|row| {
        n += 1;
        if n <= SHOWN {
            width = width.max(row.change.who.chars().count().min(48));
        }
        Ok::<(), CliError>(())
    })?;
    Ok(width)
}

/// What a cycle came to, for people. Why it failed as a whole is for whoever runs it to say, on stderr.
pub(super) fn report(out: &Out, r: &Report) {
    out.heading(format!("{}: {} (cycle {}, {:.1} s)", r.sync, headline(r), r.cycle, seconds(r.duration_ms)));
    out.line(format!("  {}", done(r)));
    for h in r.held.iter().take(SHOWN) {
        let kind = Kind::parse(&h.kind).map_or("change", render::words);
        out.line(format!("  # held            {kind} {}  {}", h.who, h.reason));
    }
    if r.held.len() > SHOWN {
        out.line(format!("  ... and {} more held", r.held.len() - SHOWN));
    }
    advice(out, &r.sync, r.held.iter().map(|h| h.reason.as_str()));
    for p in r.parked.iter().take(SHOWN) {
        out.line(format!("  ! parked          {}  {}", p.who, p.reason));
        out.line(format!("      {}", p.advice));
    }
    if r.parked.len() > SHOWN {
        out.line(format!("  ... and {} more parked", r.parked.len() - SHOWN));
    }
    for d in r.drift.iter().take(SHOWN) {
        out.line(render::drift(&d.who, &d.path, &d.from, &d.to));
    }
    more_drift(out, r.drift.len(), SHOWN);
    for warning in &r.warnings {
        out.line(format!("  warning: {warning}"));
    }
}

/// What was read and sent. Nothing is said of a read that did not come to its end, nor of whom nobody looked at.
fn done(r: &Report) -> String {
    let requests = r.requests;
    let sent = format!("requests: {} written, {} read, {} sent again", requests.write, requests.read, requests.retried);
    let looked = match (r.has_read, r.error.is_some() && r.counts == Counts::default()) {
        (false, _) => String::new(),
        (true, true) => format!("{} read; ", read(r.read)),
        (true, false) => {
            format!("{} read; unchanged {}, out of scope {}; ", read(r.read), r.counts.unchanged, r.counts.out_of_scope)
        }
    };
    format!("{looked}{sent}")
}

/// What to do about held changes.
pub(super) fn advice<'a>(out: &Out, sync: &str, reasons: impl IntoIterator<Item = &'a str>) {
    for line in held::advice(sync, reasons) {
        out.line(format!("  {line}"));
    }
}

fn more_drift(out: &Out, n: usize, shown: usize) {
    if n > shown {
        out.line(format!("  ... and {} more that differ at the application (`plan --verify --json` lists all)", n - shown));
    }
}

fn headline(r: &Report) -> String {
    let done = summary(&r.counts);
    match r.result() {
        "failed" if r.counts.is_quiet() => "failed".to_owned(),
        "failed" => format!("failed after {done}"),
        "held" => format!("{done}; {} held", r.held.len()),
        "parked" => format!("{done}; {} parked", r.parked.len()),
        _ => done,
    }
}

fn read(full: bool) -> &'static str {
    if full { "full" } else { "incremental" }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(ms: u128) -> f64 {
    ms as f64 / 1000.0
}
