//! `sync`: one cycle now.

use super::plan_file::{FilePlan, PlanFile};
use super::show::{self, Bars};
use super::{CliError, Ctx, check_attributes};
use crate::apply::Stop;
use crate::config::{SyncConfig, parse_duration};
use crate::exit::Exit;
use crate::state::Store;
use crate::sync::{Cycle, Report, Request, Reviewed};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `sync`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the sync; all where it is left out
    pub sync: Option<String>,
    /// Read everything, even where an incremental read would do
    #[arg(long)]
    pub full: bool,
    /// Read the target too, and put right what differs from what was last pushed
    #[arg(long)]
    pub verify: bool,
    /// Apply exactly this reviewed plan, or nothing
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// How long to wait for a cycle that is running (30s, 5m)
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    pub wait: Duration,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, the state store cannot be used, or another cycle runs. Failures of single syncs are told
/// and end in the exit code.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let loaded = ctx.load()?;
    let config = &loaded.config;
    let reviewed = args.plan.as_deref().map(PlanFile::read).transpose()?;
    let syncs = of_plan(show::chosen(config, args.sync.as_deref())?, reviewed.as_ref())?;
    for doubtful in check_attributes::unknown_to_scope(&loaded, &syncs) {
        tracing::warn!("{doubtful}");
    }
    let _lock = show::lock(config, args.wait).await?;
    let mut store = Store::open(&config.state.path)?;
    let stop = stop_on_signal();
    let mut reports = Vec::new();
    for sync in syncs {
        let request = request(&args, reviewed.as_ref(), sync);
        let at = reviewed.as_ref().and_then(|p| p.of(&sync.name)).and_then(FilePlan::made_at);
        let (back, mut report) = match Cycle::as_of(config, sync, Bars::new(ctx), stop.clone(), at) {
            Ok(cycle) => cycle.run(store, &request).await,
            Err(e) => (store, Report::not_begun(&sync.name, &e)),
        };
        store = back;
        let paused = (!sync.enabled).then(|| "it is paused (enabled = false), and ran because it was named".to_owned());
        for warning in paused.into_iter().chain(config.expiring_of(sync, jiff::Zoned::now().date())) {
            tracing::warn!(target: crate::observe::REPORTED, sync = sync.name, "{warning}");
            report.warnings.push(warning);
        }
        if !ctx.json {
            show::report(&ctx.out, &report);
        }
        if let Some(e) = &report.error {
            ctx.out.complain(&format!("{}: {}", report.sync, e.message));
        }
        reports.push(report);
        if stop.is_cancelled() {
            break;
        }
    }
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "cycles": reports}));
    }
    Ok(Exit::worst(reports.iter().map(|r| r.exit)))
}

fn request(args: &Args, reviewed: Option<&PlanFile>, sync: &SyncConfig) -> Request {
    let base = Request { full: args.full, verify: args.verify, by_hand: true, expect: None, until: None };
    match reviewed.and_then(|p| p.of(&sync.name)) {
        // The world is read again in the plan's own mode.
        Some(plan) => Request {
            full: base.full || plan.read == "full",
            verify: base.verify || plan.target_read,
            expect: Some(Reviewed { digest: plan.digest.clone(), shown: plan.changes.shown.clone() }),
            ..base
        },
        None => base,
    }
}

/// With a plan only the syncs in it are run; one that was named and is not in it is a mistake.
fn of_plan<'a>(syncs: Vec<&'a SyncConfig>, reviewed: Option<&PlanFile>) -> Result<Vec<&'a SyncConfig>, CliError> {
    let Some(plan) = reviewed else { return Ok(syncs) };
    let in_plan: Vec<_> = syncs.into_iter().filter(|s| plan.of(&s.name).is_some()).collect();
    if in_plan.is_empty() {
        let names: Vec<&str> = plan.plans.iter().map(|p| p.sync.as_str()).collect();
        return Err(CliError::usage(format!("the plan is for {}, not for this sync", names.join(", "))));
    }
    Ok(in_plan)
}

/// How long after the first signal the process ends in any case, also out of a read that takes its time.
const STOP_AT_LAST: Duration = Duration::from_secs(8);

/// SIGINT and SIGTERM finish the writes in flight; a second one stops at once (nothing is lost: intents are on disk).
pub(super) fn stop_on_signal() -> Stop {
    let stop = Stop::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        asked.cancel();
        tracing::warn!("asked to stop: writes in flight are finished; once more stops at once");
        tokio::select! {
            () = wait_for_signal() => {}
            () = tokio::time::sleep(STOP_AT_LAST) => {}
        }
        std::process::exit(130);
    });
    stop
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
}
