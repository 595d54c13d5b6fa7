//! `link`: looks at links and mends them.

use super::show::{self, Bars};
use super::{CliError, Ctx};
use crate::apply::Stop;
use crate::config::{Config, SyncConfig, parse_duration};
use crate::exit::Exit;
use crate::model::ObjectKind;
use crate::state::Store;
use crate::state::link_list::LinkRow;
use crate::state::lock::CycleLock;
use crate::state::whole::Draft;
use crate::sync::{Cycle, Hand, HandError, Linked};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `link`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show links: who, and which account
    List {
        /// Name of the sync; all where it is left out
        sync: Option<String>,
        /// Only this person or group: user ID, name, source key or target id
        #[arg(long, value_name = "WHO")]
        who: Option<String>,
    },
    /// Write every link to FILE (.csv or .json)
    Export {
        /// File to write
        file: PathBuf,
        /// Only this sync
        #[arg(long, value_name = "SYNC")]
        sync: Option<String>,
    },
    /// Link somebody to an account that exists; the next cycle writes what differs
    Set {
        /// Name of the sync
        sync: String,
        /// User ID, name or source key
        who: String,
        /// The account's id at the target
        target_id: String,
        #[command(flatten)]
        hand: HandArgs,
    },
    /// Give everything of a sync to the new name that it has in the configuration
    Rename {
        /// Its name until now
        old: String,
        /// Its name in the configuration
        sync: String,
        /// How long to wait for a cycle that is running (30s, 5m)
        #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
        wait: Duration,
    },
    /// Forget somebody's link; nothing is written at the target, and the next cycle matches the person anew
    Drop {
        /// Name of the sync
        sync: String,
        /// User ID, name, source key or target id
        who: String,
        #[command(flatten)]
        hand: HandArgs,
    },
}

/// What setting and dropping have in common.
#[derive(Debug, clap::Args)]
struct HandArgs {
    /// Why; recorded in the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long to wait for a cycle that is running (30s, 5m)
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    wait: Duration,
}

impl From<HandError> for CliError {
    fn from(e: HandError) -> Self {
        match e {
            HandError::Refused(message) => Self::usage(message),
            HandError::Failed(e) => e.into(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; nobody or several of that name; no such account; a cycle runs; target or state store failed.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    match args.what {
        What::List { sync, who } => list(ctx, &config, sync.as_deref(), who.as_deref())?,
        What::Export { file, sync } => {
            let n = export(&config, &file, sync.as_deref())?;
            if ctx.json {
                ctx.out.json(&json!({"version": 1, "file": file.display().to_string(), "links": n}));
            } else {
                ctx.out.line(format!("{}: {n} links", file.display()));
            }
        }
        What::Set { sync, who, target_id, hand } => {
            let sync = show::one(&config, &sync)?;
            let (cycle, store, _lock) = alone(ctx, &config, sync, hand.wait).await?;
            let by = show::user();
            let done = cycle.link_set(store, &who, &target_id, Hand { by: &by, reason: hand.reason.as_deref() }).await?;
            tell(ctx, sync, &done, "linked to");
        }
        What::Rename { old, sync, wait } => rename(ctx, &config, &old, &sync, wait).await?,
        What::Drop { sync, who, hand } => {
            let sync = show::one(&config, &sync)?;
            let (cycle, store, _lock) = alone(ctx, &config, sync, hand.wait).await?;
            let by = show::user();
            let done = cycle.link_drop(store, &who, Hand { by: &by, reason: hand.reason.as_deref() })?;
            tell(ctx, sync, &done, "no longer linked to");
        }
    }
    Ok(Exit::Done)
}

async fn rename(ctx: &Ctx, config: &Config, old: &str, sync: &str, wait: Duration) -> Result<(), CliError> {
    show::one(config, sync)?;
    if config.sync(old).is_some() {
        return Err(CliError::usage(format!("{old} is still in the configuration; rename it there first")));
    }
    let _lock = show::lock(config, wait).await?;
    let moved = match Store::open_existing(&config.state.path)? {
        Some(mut store) => store.rename_sync(old, sync)?,
        None => None,
    };
    let Some(links) = moved else {
        return Err(CliError::usage(format!("the state store has nothing of {old}, or {sync} has links of its own already")));
    };
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "sync": sync, "renamed_from": old, "links": links}));
    } else {
        ctx.out.line(format!("{old} is {sync} now: {links} links"));
    }
    Ok(())
}

/// The store while no cycle runs.
async fn alone(ctx: &Ctx, config: &Config, sync: &SyncConfig, wait: Duration) -> Result<(Cycle, Store, CycleLock), CliError> {
    let cycle = Cycle::new(config, sync, Bars::new(ctx), Stop::new())?;
    let lock = show::lock(config, wait).await?;
    Ok((cycle, Store::open(&config.state.path)?, lock))
}

fn tell(ctx: &Ctx, sync: &SyncConfig, l: &Linked, verb: &str) {
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "sync": sync.name, "link": {
            "object": l.object, "who": l.who, "source_key": l.key, "target_id": l.target_id, "name": l.name,
            "before": l.before, "foreign_external_id": l.foreign,
        }}));
        return;
    }
    let name = l.name.as_ref().map_or_else(String::new, |n| format!(" ({n})"));
    ctx.out.line(format!("{}: {} is {verb} {}{name}", sync.name, l.who, l.target_id));
    if let Some(before) = &l.before {
        ctx.out.line(format!("  the link to {before} was dropped; that account stays as it is"));
    }
    if let Some(foreign) = &l.foreign {
        ctx.out.line(format!("  its externalId {foreign:?} is not theirs: the next cycle replaces it"));
    }
    ctx.out.line(format!("  nothing was written at the target; `scim-sync plan {}` shows what follows", sync.name));
}

fn known<'a>(config: &Config, sync: Option<&'a str>) -> Result<Option<&'a str>, CliError> {
    sync.map(|name| show::one(config, name).map(|_| name)).transpose()
}

fn list(ctx: &Ctx, config: &Config, sync: Option<&str>, who: Option<&str>) -> Result<(), CliError> {
    let sync = known(config, sync)?;
    let store = Store::open_existing(&config.state.path)?;
    if ctx.json {
        return ctx.out.stream(|w| rows_json(w, store.as_ref(), sync, who).map(drop));
    }
    let mut any = false;
    if let Some(store) = &store {
        store.links_each(sync, who, |l| {
            any = true;
            let active = if l.active { "active" } else { "inactive" };
            let note = match (l.left, l.gone) {
                (_, true) => "  the account is gone at the target",
                (true, false) => "  left the directory",
                (false, false) => "",
            };
            ctx.out.line(format!(
                "{}  {:<5}  {:<40}  {:<38}  {:<8}  {active}{note}",
                l.sync,
                l.object.as_str(),
                shown(&l),
                l.target_id,
                origin(&l)
            ));
            Ok::<(), CliError>(())
        })?;
    }
    if !any {
        ctx.out.line("no links");
    }
    Ok(())
}

fn shown(l: &LinkRow) -> String {
    if l.name.is_empty() || l.name == l.who.to_lowercase() { l.who.clone() } else { format!("{} ({})", l.who, l.name) }
}

fn origin(l: &LinkRow) -> &'static str {
    if l.created { "created" } else { "adopted" }
}

fn at(second: i64) -> String {
    Timestamp::from_second(second).map(|t| t.to_string()).unwrap_or_default()
}

fn document(l: &LinkRow) -> Value {
    json!({
        "sync": l.sync, "object": l.object, "who": l.who, "source_key": l.key, "target_id": l.target_id, "name": l.name,
        "origin": origin(l), "active": l.active, "in_directory": !l.left, "gone_at_target": l.gone, "linked_at": at(l.linked_at),
    })
}

/// Written link by link; returns how many.
fn rows_json(w: &mut dyn Write, store: Option<&Store>, sync: Option<&str>, who: Option<&str>) -> Result<u64, CliError> {
    let io = |e: std::io::Error| CliError::bug(format!("cannot write the links: {e}"));
    write!(w, "{{\"version\": 1, \"links\": [").map_err(io)?;
    let mut n = 0;
    if let Some(store) = store {
        store.links_each(sync, who, |l| {
            let comma = if n == 0 { "" } else { "," };
            n += 1;
            write!(w, "{comma}\n  {}", document(&l)).map_err(io)
        })?;
    }
    writeln!(w, "]}}").map_err(io)?;
    Ok(n)
}

const COLUMNS: [&str; 11] = [
    "sync",
    "object",
    "who",
    "source_key",
    "target_id",
    "name",
    "origin",
    "active",
    "in_directory",
    "gone_at_target",
    "linked_at",
];

/// Whole or not at all, so that nobody sees half of it; only its owner reads it.
fn export(config: &Config, file: &Path, sync: Option<&str>) -> Result<u64, CliError> {
    let sync = known(config, sync)?;
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if ending != "csv" && ending != "json" {
        return Err(CliError::usage(format!("{}: the name must end in .csv or .json", file.display())));
    }
    let failed = |e: &dyn std::fmt::Display| CliError::usage(format!("{}: {e}", file.display()));
    let store = Store::open_existing(&config.state.path)?;
    let mut draft = Draft::at(file).map_err(|e| failed(&e))?;
    let n = if ending == "json" {
        rows_json(&mut draft, store.as_ref(), sync, None)?
    } else {
        let mut n = 0;
        let mut rows = csv::Writer::from_writer(&mut draft);
        rows.write_record(COLUMNS).map_err(|e| failed(&e))?;
        if let Some(store) = &store {
            store.links_each(sync, None, |l| {
                n += 1;
                rows.write_record(record(&l)).map_err(|e| failed(&e))
            })?;
        }
        rows.flush().map_err(|e| failed(&e))?;
        drop(rows);
        n
    };
    draft.finish().map_err(|e| failed(&e))?;
    Ok(n)
}

/// What a spreadsheet would take for a formula is made text.
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn record(l: &LinkRow) -> [String; 11] {
    let object = if l.object == ObjectKind::User { "user" } else { "group" };
    [
        l.sync.clone(),
        object.to_owned(),
        cell(&l.who),
        l.key.clone(),
        l.target_id.clone(),
        cell(&l.name),
        origin(l).to_owned(),
        l.active.to_string(),
        (!l.left).to_string(),
        l.gone.to_string(),
        at(l.linked_at),
    ]
}
