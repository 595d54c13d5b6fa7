//! `relink`: moves all links of a sync to another source's entries.

use super::show::{self, Bars};
use super::{CliError, Ctx};
use crate::apply::Stop;
use crate::config::parse_duration;
use crate::exit::Exit;
use crate::mapping::Expr;
use crate::state::Store;
use crate::state::relink::{Left, Move};
use crate::sync::{Apply, Cycle, Hand, Relinked};
use serde_json::{Value, json};
use std::time::Duration;

/// Arguments of `relink`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the sync, with its new source in the configuration
    pub sync: String,
    /// Expression over the new entries that gives the old source key, such as '[onPremisesImmutableId]'; or an attribute
    /// that both have, such as '[employeeID]'
    #[arg(long, value_name = "EXPR", value_parser = expression)]
    pub by: Expr,
    /// Only show what would be moved (the default)
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Move the links
    #[arg(long)]
    pub yes: bool,
    /// With --yes: only if the moves are exactly those that were reviewed under this digest
    #[arg(long, value_name = "DIGEST", requires = "yes")]
    pub expect: Option<String>,
    /// Why; recorded in the log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How long to wait for a cycle that is running (30s, 5m)
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    pub wait: Duration,
}

/// Lines shown of each kind; `--json` has all.
const SHOWN: usize = 200;

fn expression(text: &str) -> Result<Expr, String> {
    text.parse().map_err(|e: crate::scim::ParseError| e.to_string())
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; a cycle runs (with `--yes`); source or state store failed; nobody can be moved.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let sync = show::one(&config, &args.sync)?;
    let cycle = Cycle::new(&config, sync, Bars::new(ctx), Stop::new())?;
    let done = if args.yes {
        let _lock = show::lock(&config, args.wait).await?;
        let by = show::user();
        let hand = Hand { by: &by, reason: args.reason.as_deref() };
        let store = Store::open(&config.state.path)?;
        cycle.relink(store, &args.by, Some(Apply { hand, expect: args.expect.as_deref() })).await?
    } else {
        cycle.relink(Store::scratch(&config.state.path)?, &args.by, None).await?
    };
    if args.yes && !done.applied {
        return Err(CliError::usage(format!(
            "{}: {} leads from no entry of the source to a link; nothing was changed",
            sync.name, args.by
        )));
    }
    if ctx.json {
        ctx.out.json(&document(&sync.name, &done));
    } else {
        text(ctx, &args, &done);
    }
    Ok(Exit::Done)
}

fn document(sync: &str, done: &Relinked) -> Value {
    let moves: Vec<Value> = done
        .moves
        .iter()
        .map(|m| {
            json!({"object": m.object, "who": m.who, "old_key": m.old_key, "new_key": m.new_key, "target_id": m.target_id, "by": m.by})
        })
        .collect();
    let left = |all: &[Left]| -> Vec<Value> {
        all.iter()
            .map(|l| json!({"object": l.object, "who": l.who, "source_key": l.key, "target_id": l.target_id, "ambiguous": l.several}))
            .collect()
    };
    json!({"version": 1, "relink": {
        "sync": sync, "applied": done.applied, "digest": done.digest, "moves": moves,
        "left_links": left(&done.left_links), "left_entries": left(&done.left_entries),
    }})
}

fn text(ctx: &Ctx, args: &Args, done: &Relinked) {
    let out = &ctx.out;
    let verb = if done.applied { "moved" } else { "would move" };
    out.heading(format!(
        "{}: {} links {verb}, {} links and {} entries are left over",
        args.sync,
        done.moves.len(),
        done.left_links.len(),
        done.left_entries.len()
    ));
    for Move { who, old_key, new_key, by, .. } in done.moves.iter().take(SHOWN) {
        out.line(format!("  = {who:<40}  {old_key} -> {new_key}  (by {by})"));
    }
    more(ctx, done.moves.len());
    for l in done.left_links.iter().take(SHOWN) {
        let why = if l.several { "several entries lead here" } else { "no entry of the new source leads here" };
        out.line(format!("  - {:<40}  {}  {why}; counts as gone from the directory", l.who, l.key));
    }
    more(ctx, done.left_links.len());
    for l in done.left_entries.iter().take(SHOWN) {
        let why = if l.several { "leads to several links, or shares one" } else { "no link" };
        out.line(format!("  + {:<40}  {}  {why}; the next cycle matches or creates", l.who, l.key));
    }
    more(ctx, done.left_entries.len());
    out.line(format!("  digest {}", done.digest));
    if done.applied {
        out.line(format!("  nothing was written at the target; `scim-sync plan {}` shows what follows", args.sync));
    } else if !done.moves.is_empty() {
        out.line(format!("  nothing was changed; to do exactly this: add --yes --expect {}", done.digest));
    }
}

fn more(ctx: &Ctx, n: usize) {
    if n > SHOWN {
        ctx.out.line(format!("  ... and {} more (--json holds all)", n - SHOWN));
    }
}
