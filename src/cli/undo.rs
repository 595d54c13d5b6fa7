//! `undo`: reverses a cycle.

use super::show::{self, Bars};
use super::{CliError, Ctx, plan, sync};
use crate::config::parse_duration;
use crate::exit::Exit;
use crate::plan::render;
use crate::state::Store;
use crate::sync::{Cycle, Hand, Report};
use serde_json::{Value, json};
use std::time::Duration;

/// Arguments of `undo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of the cycle, as `scim-sync log` and `scim-sync status` show it
    pub cycle: i64,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Why; recorded in the log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How long to wait for a cycle that is running (30s, 5m)
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    pub wait: Duration,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; there is no such cycle, or its sync is not configured; another cycle runs.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let missing = || CliError::usage(format!("there is no cycle {}; `scim-sync log` shows their numbers", args.cycle));
    let store = Store::open_existing(&config.state.path)?.ok_or_else(missing)?;
    let (_, name) = store.cycle_of(args.cycle)?.ok_or_else(missing)?;
    drop(store);
    let sync = show::one(&config, &name)?;
    let stop = sync::stop_on_signal();
    if args.dry_run {
        return dry_run(ctx, &config, sync, &args, stop).await;
    }
    let _lock = show::lock(&config, args.wait).await?;
    let store = Store::open(&config.state.path)?;
    let by = show::user();
    let hand = Hand { by: &by, reason: args.reason.as_deref() };
    let report = match Cycle::new(&config, sync, Bars::new(ctx), stop) {
        Ok(cycle) => cycle.undo(store, args.cycle, hand).await.1,
        Err(e) => Report::not_begun(&sync.name, &e),
    };
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "cycles": [document(&report, args.cycle)]}));
    } else {
        ctx.out.heading(format!("undo of cycle {}", args.cycle));
        show::report(&ctx.out, &report);
        if !report.counts.is_quiet() {
            ctx.out.line(format!(
                "  the next cycle holds what was taken back; to do it again after all: `scim-sync approve {}`",
                sync.name
            ));
        }
    }
    if let Some(e) = &report.error {
        ctx.out.complain(&format!("{}: {}", report.sync, e.message));
    }
    Ok(report.exit)
}

/// `cycles` as of `sync`, and which cycle it undoes.
fn document(report: &Report, undoes: i64) -> Value {
    let mut doc = json!(report);
    doc["undoes"] = json!(undoes);
    doc
}

async fn dry_run(
    ctx: &Ctx,
    config: &crate::config::Config,
    sync: &crate::config::SyncConfig,
    args: &Args,
    stop: crate::apply::Stop,
) -> Result<Exit, CliError> {
    let cycle = Cycle::new(config, sync, Bars::new(ctx), stop)?;
    let (planned, report) = cycle.undo_plan(&config.state.path, args.cycle).await?;
    if ctx.json {
        ctx.out.stream(|w| {
            let io = |e: std::io::Error| CliError::bug(format!("cannot write the plan: {e}"));
            write!(w, "{{\"version\": 1, \"dry_run\": true, \"cycles\": [{}], \"plans\": [", document(&report, args.cycle))
                .map_err(io)?;
            plan::one(w, &planned)?;
            writeln!(w, "]}}").map_err(io)
        })?;
    } else {
        ctx.out.heading(format!("undo of cycle {}: {}; nothing is written", args.cycle, render::summary(&planned.counts()?)));
        show::plan(&ctx.out, &planned, ctx.verbosity > 0)?;
    }
    Ok(report.exit)
}
