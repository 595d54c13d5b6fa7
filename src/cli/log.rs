//! `log`: the provisioning log, from the journal.

use super::time;
use super::{CliError, Ctx};
use crate::exit::Exit;
use crate::state::Store;
use crate::state::journal::{LogEntry, LogQuery};
use jiff::Timestamp;
use serde_json::json;

/// Arguments of `log`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this person or group: user ID, name, source key or target id
    #[arg(long, value_name = "WHO")]
    pub who: Option<String>,
    /// Only this cycle
    #[arg(long, value_name = "N")]
    pub cycle: Option<i64>,
    /// Only since then: 2h, 7d, 2026-05-01, 2026-05-01T08:00
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    pub since: Option<jiff::Timestamp>,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong or the state store cannot be read.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let query = LogQuery { who: args.who, cycle: args.cycle, since: args.since.map(Timestamp::as_second), sync: None };
    let store = Store::open_existing(&config.state.path)?;
    if ctx.json {
        // Written line by line: a log of years is not collected.
        ctx.out.stream(|w| {
            let io = |e: std::io::Error| CliError::bug(format!("cannot write the log: {e}"));
            write!(w, "{{\"version\": 1, \"entries\": [").map_err(io)?;
            let mut first = true;
            if let Some(store) = &store {
                each(store, &query, |e| {
                    let comma = if std::mem::take(&mut first) { "" } else { "," };
                    write!(w, "{comma}\n  {}", document(e)).map_err(io)
                })?;
            }
            writeln!(w, "]}}").map_err(io)
        })?;
        return Ok(Exit::Done);
    }
    let Some(store) = store else {
        ctx.out.line("no cycle has run yet");
        return Ok(Exit::Done);
    };
    let mut any = false;
    each(&store, &query, |e| {
        any = true;
        ctx.out.line(line(e));
        Ok(())
    })?;
    if !any {
        ctx.out.line("nothing in the log");
    }
    Ok(Exit::Done)
}

/// What was asked for, in the order in which it came to pass: what was done about somebody, and cycles that failed as a whole.
fn each(store: &Store, query: &LogQuery, mut f: impl FnMut(&LogEntry) -> Result<(), CliError>) -> Result<(), CliError> {
    let mut failed = store.log_of_failed(query)?.into_iter().peekable();
    store.log(query, |e| {
        // A cycle's end comes behind what it did.
        while let Some(cycle) = failed.next_if(|c| (c.at, c.cycle) < (e.at, e.cycle)) {
            f(&cycle)?;
        }
        f(&e)
    })?;
    failed.try_for_each(|cycle| f(&cycle))
}

fn at(second: i64) -> String {
    Timestamp::from_second(second).map(|t| t.to_string()).unwrap_or_default()
}

pub(super) fn document(e: &LogEntry) -> serde_json::Value {
    json!({
        "at": at(e.at),
        "cycle": e.cycle,
        "sync": e.sync,
        "kind": e.kind,
        "object": e.object,
        "who": e.who,
        "target_id": e.target_id,
        "status": e.status,
        "http_status": e.http_status,
        "error": e.error,
        "approved_by": e.approved_by,
        "approval_reason": e.approval_reason,
    })
}

pub(super) fn line(e: &LogEntry) -> String {
    let mut out = format!("{}  {:>5}  {:<6}  {:<14}  {}", at(e.at), e.cycle, e.status, e.kind, e.who);
    if let Some(error) = &e.error {
        out.push_str("  ");
        out.push_str(error);
    }
    if let Some(by) = &e.approved_by {
        let why = e.approval_reason.as_deref().map_or_else(String::new, |r| format!(": {r}"));
        out.push_str(&format!("  approved by {by}{why}"));
    }
    out
}
