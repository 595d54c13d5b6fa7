//! `plan`: what would change and why; writes nothing at the target.

use super::show::{self, Bars};
use super::{CliError, Ctx};
use crate::apply::Stop;
use crate::exit::Exit;
use crate::model::TargetId;
use crate::plan::{digest, render};
use crate::state::plan_rows::PlanRow;
use crate::state::whole::Draft;
use crate::sync::{Cycle, DriftItem, ParkedItem, Planned, Request};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the sync; all where it is left out
    pub sync: Option<String>,
    /// Read everything, even where an incremental read would do
    #[arg(long)]
    pub full: bool,
    /// Read the target too, and show what differs from what was last pushed
    #[arg(long)]
    pub verify: bool,
    /// Write the plan to this file, for review and `sync --plan`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 10 if there are changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; the file cannot be written. Failures of single syncs are told and end in the exit code.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let request = Request { full: args.full, verify: args.verify, by_hand: true, expect: None, until: None };
    let mut exits = Vec::new();
    let mut plans = Vec::new();
    let mut errors = Vec::new();
    for sync in show::chosen(&config, args.sync.as_deref())? {
        let made = match Cycle::new(&config, sync, Bars::new(ctx), Stop::new()) {
            Ok(cycle) => cycle.plan(&config.state.path, &request).await,
            Err(e) => Err(e),
        };
        match made {
            Ok(planned) => {
                exits.extend(outcome(&planned, args.exit_code)?);
                if !ctx.json {
                    show::plan(&ctx.out, &planned, ctx.verbosity > 0)?;
                }
                plans.push(planned);
            }
            Err(e) => {
                exits.push(e.exit());
                errors.push(json!({"sync": sync.name, "kind": e.exit().kind(), "message": e.to_string()}));
                ctx.out.complain(&format!("{}: {e}", sync.name));
            }
        }
    }
    if let Some(path) = &args.out {
        if errors.is_empty() {
            save(path, &plans)?;
            if !ctx.json {
                ctx.out.line(format!("  written to {}", path.display()));
            }
        } else {
            ctx.out.complain(&format!("{} is not written: a plan failed", path.display()));
        }
    }
    if ctx.json {
        ctx.out.stream(|w| document(w, &plans, &errors))?;
    }
    Ok(Exit::worst(exits))
}

fn outcome(planned: &Planned, exit_code: bool) -> Result<Vec<Exit>, CliError> {
    let mut exits = Vec::new();
    if !planned.held()?.is_empty() {
        exits.push(Exit::Held);
    }
    if !planned.store.plan_parked()?.is_empty() {
        exits.push(Exit::Parked);
    }
    if exit_code && !planned.counts()?.is_quiet() {
        exits.push(Exit::Changes);
    }
    Ok(exits)
}

/// Whole or not at all, so that a reader never sees half a plan.
fn save(path: &Path, plans: &[Planned]) -> Result<(), CliError> {
    let failed = |e: io::Error| CliError::usage(format!("{}: {e}", path.display()));
    let mut draft = Draft::at(path).map_err(failed)?;
    document(&mut draft, plans, &[])?;
    draft.finish().map_err(failed)
}

/// The JSON document, written change by change: a plan of a million changes takes no memory.
pub(super) fn document(w: &mut dyn Write, plans: &[Planned], errors: &[Value]) -> Result<(), CliError> {
    let io = |e: io::Error| CliError::bug(format!("cannot write the plan: {e}"));
    write!(w, "{{\"version\": 1, \"plans\": [").map_err(io)?;
    for (i, planned) in plans.iter().enumerate() {
        writeln!(w, "{}", if i > 0 { "," } else { "" }).map_err(io)?;
        one(w, planned)?;
    }
    let tail = if errors.is_empty() { String::new() } else { format!(", \"errors\": {}", Value::from(errors.to_vec())) };
    writeln!(w, "]{tail}}}").map_err(io)
}

pub(super) fn one(w: &mut dyn Write, planned: &Planned) -> Result<(), CliError> {
    let io = |e: io::Error| CliError::bug(format!("cannot write the plan: {e}"));
    let held: Map<String, Value> = planned.held()?.into_iter().map(|(k, n)| (k.as_str().to_owned(), n.into())).collect();
    let mut head = json!({
        "sync": planned.sync,
        "digest": planned.digest()?,
        "read": if planned.full { "full" } else { "incremental" },
        "target_read": planned.verify,
        "counts": planned.counts()?,
        "held": held,
        "by_mapping": by_mapping(planned)?,
    });
    if let Some(at) = planned.at.and_then(|at| jiff::Timestamp::from_second(at).ok()) {
        head["at"] = at.to_string().into();
    }
    let head = head.to_string();
    write!(w, "{},\n \"changes\": [", head.strip_suffix('}').unwrap_or(&head)).map_err(io)?;
    let mut first = true;
    planned.store.plan_each(|row| {
        let comma = if std::mem::take(&mut first) { "" } else { "," };
        write!(w, "{comma}\n  {}", change(&row, &planned.redacted)).map_err(io)
    })?;
    let parked: Vec<ParkedItem> = planned.store.plan_parked()?.into_iter().map(Into::into).collect();
    write!(w, "],\n \"parked\": {},\n \"drift\": [", json!(parked)).map_err(io)?;
    let mut first = true;
    planned.store.plan_drift_each(None, |row| {
        let comma = if std::mem::take(&mut first) { "" } else { "," };
        write!(w, "{comma}\n  {}", json!(DriftItem::from(row))).map_err(io)
    })?;
    write!(w, "]}}").map_err(io)
}

/// In how many changes each path takes part, and whether its mapping is another one than in the last cycle.
fn by_mapping(planned: &Planned) -> Result<Vec<Value>, CliError> {
    let rows = planned.store.plan_by_path()?.into_iter().map(|by| {
        let changed = planned.is_remapped(by.object, &by.path);
        json!({"object": by.object, "path": by.path, "changes": by.changes, "mapping_changed": changed})
    });
    Ok(rows.collect())
}

fn change(row: &PlanRow, redacted: &BTreeSet<String>) -> Value {
    let c = render::masked(&row.change, redacted);
    let (from, to) = render::from_to(&c);
    let id = hex(&row.hash);
    let target = c.target_id.as_ref().map(TargetId::as_str);
    let seal = digest::seal(&id, c.kind.as_str(), &c.who, c.source_key.as_str(), target, &from, &to);
    json!({
        "kind": c.kind.as_str(),
        "held": row.held.is_some(),
        "held_reason": row.held,
        "object": c.kind.object(),
        "who": c.who,
        "source_key": c.source_key,
        "target_id": c.target_id,
        "reason": c.reason,
        "from": from,
        "to": to,
        "id": id,
        "seal": seal,
    })
}

/// Identity of a change for approvals.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}
