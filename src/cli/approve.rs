//! `approve`: releases what the guard holds, change by change.

use super::plan_file::PlanFile;
use super::time;
use super::{CliError, Ctx, show};
use crate::exit::Exit;
use crate::model::SourceKey;
use crate::plan::{Kind, held};
use crate::state::held::Approval;
use crate::state::{StateError, Store};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Arguments of `approve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the sync; may be left out where there is one
    pub sync: Option<String>,
    /// Only the changes of this person or group
    #[arg(long, value_name = "WHO")]
    pub who: Option<String>,
    /// The changes of this reviewed plan, beforehand
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// How long the approval of a plan holds (default 24 hours): 3d, 2026-05-01, 2026-05-01T08:00
    #[arg(long, value_name = "TIME", requires = "plan", value_parser = time::until)]
    pub until: Option<jiff::Timestamp>,
    /// Why; recorded with the approval
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// How long an approval holds, seconds.
const DAY: i64 = 24 * 3600;

/// A change that is to be released; `stays`: no approval releases it.
struct Released {
    hash: Vec<u8>,
    kind: String,
    who: String,
    key: String,
    stays: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, the sync or the plan is not known, the state store cannot be written.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let sync = show::only(&config, args.sync.as_deref())?;
    let mut store = Store::open(&config.state.path)?;
    let row = store.sync_row(&sync.name, &sync.target)?;
    let mut released = match &args.plan {
        Some(path) => of_plan(&PlanFile::read(path)?, &sync.name)?,
        None => store
            .held(row.id)?
            .into_iter()
            .map(|h| Released { stays: held::is_protected(&h.reason), hash: h.hash, kind: h.kind, who: h.who, key: h.key })
            .collect(),
    };
    if let Some(who) = &args.who {
        let wanted = who.to_lowercase();
        let mut named = Vec::with_capacity(released.len());
        for r in released {
            let by_new = r.who.to_lowercase() == wanted || r.key.to_lowercase() == wanted;
            // Whoever is renamed is known by the name that the account has.
            if by_new || name_now(&store, row.id, &r)?.is_some_and(|name| name == wanted) {
                named.push(r);
            }
        }
        // A key is one entry's; a name that goes from one to the other is of both.
        if named.iter().any(|r| r.key.to_lowercase() == wanted) {
            named.retain(|r| r.key.to_lowercase() == wanted);
        }
        let keys: BTreeSet<&str> = named.iter().map(|r| r.key.as_str()).collect();
        if keys.len() > 1 {
            let keys: Vec<&str> = keys.into_iter().collect();
            return Err(CliError::usage(format!(
                "{}: {who} names several: {}; nothing was approved. Say whose changes by --who and the source key",
                sync.name,
                keys.join(", ")
            )));
        }
        released = named;
        if released.is_empty() {
            return Err(CliError::usage(format!("{}: nothing of {who} is held", sync.name)));
        }
        if released.iter().all(|r| r.stays) {
            return Err(CliError::usage(format!("{}: {who} is protected: {}", sync.name, held::STAYS)));
        }
    }
    let (kept, released): (Vec<_>, Vec<_>) = released.into_iter().partition(|r| r.stays);
    let now = jiff::Timestamp::now().as_second();
    let until = args.until.map_or(now + DAY, jiff::Timestamp::as_second);
    if until <= now {
        return Err(CliError::usage("--until is over already: name a time to come, such as 3d"));
    }
    let by = show::user();
    let approvals: Vec<Approval<'_>> = released
        .iter()
        .map(|r| Approval { hash: &r.hash, kind: &r.kind, who: &r.who, until, by: &by, reason: args.reason.as_deref() })
        .collect();
    store.approve(row.id, &approvals, now)?;
    if ctx.json {
        let list = |of: &[Released]| -> Vec<_> {
            of.iter().map(|r| json!({"kind": r.kind, "who": r.who, "source_key": r.key})).collect()
        };
        let until = jiff::Timestamp::from_second(until).map(|t| t.to_string()).unwrap_or_default();
        ctx.out.json(&json!({"version": 1, "sync": sync.name, "until": until, "by": by, "approved": list(&released),
            "protected": list(&kept)}));
        return Ok(Exit::Done);
    }
    if released.is_empty() {
        let what = if kept.is_empty() { "nothing is held" } else { "nothing was approved" };
        ctx.out.line(format!("{}: {what}", sync.name));
    } else {
        ctx.out.heading(format!("{}: {} changes approved by {by}", sync.name, released.len()));
        for r in &released {
            ctx.out.line(format!("  {}  {}", r.kind, r.who));
        }
        ctx.out.line(format!("  a running service makes them now; without one: `scim-sync sync {}`", sync.name));
    }
    if !kept.is_empty() {
        ctx.out.line(format!("  not approved: {} protected; take them out of guard.protected to let them go", kept.len()));
        for r in &kept {
            ctx.out.line(format!("  {}  {}", r.kind, r.who));
        }
    }
    Ok(Exit::Done)
}

/// What the account that the change is about is called at the target, as far as is known, in lower case.
fn name_now(store: &Store, sync: i64, r: &Released) -> Result<Option<String>, StateError> {
    let Some(object) = Kind::parse(&r.kind).map(Kind::object) else { return Ok(None) };
    let Some(entry) = store.entry_of_key(sync, object, &SourceKey(r.key.clone()))? else { return Ok(None) };
    let link = store.link(entry)?;
    Ok(link.and_then(|l| l.pushed.get(object.name_attribute())?.as_str().map(str::to_lowercase)))
}

fn of_plan(file: &PlanFile, sync: &str) -> Result<Vec<Released>, CliError> {
    let plan = file.of(sync).ok_or_else(|| CliError::usage(format!("the plan has nothing for {sync}")))?;
    plan.changes
        .list
        .iter()
        .map(|c| {
            if !c.whole {
                return Err(CliError::new(
                    Exit::Moved,
                    format!(
                        "the plan's {} of {} was changed by hand after the plan was made: nothing was approved. Make and review a new plan; rows that are not to be approved may be taken out as a whole",
                        c.kind, c.who
                    ),
                ));
            }
            let hash = unhex(&c.id).ok_or_else(|| CliError::usage(format!("the plan's change of {} has no valid id", c.who)))?;
            let stays = c.held_reason.as_deref().is_some_and(held::is_protected);
            Ok(Released { hash, kind: c.kind.clone(), who: c.who.clone(), key: c.source_key.clone(), stays })
        })
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    digits.chunks_exact(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok()).collect()
}
