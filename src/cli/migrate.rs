//! `--migrate-userids`: accounts named after the directory of old get email-based user IDs.

use super::show::{self, Bars};
use super::{CliError, Ctx};
use crate::apply::Stop;
use crate::config::{Config, SyncConfig, parse_duration};
use crate::exit::Exit;
use crate::migrate::{
    Accepted, Confirmed, FRESH, HOLD, Line, Listing, Options, Outcome, Pilot, Syncs, confirmed, looked_at, unknown, write_csv,
    write_document,
};
use crate::plan::userids::Class;
use crate::scim::filter::Filter;
use crate::state::whole::Draft;
use crate::sync::{Cycle, CycleError};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Heading of these options in the help.
const HEADING: &str = "Migration of user IDs";

/// Arguments of `--migrate-userids`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Give accounts that are named after the directory (jdoe, CORP\jdoe, jdoe@corp.local) their email-based user IDs: of
    /// this sync, or of all
    #[arg(long, value_name = "SYNC", num_args = 0..=1, default_missing_value = "", help_heading = HEADING)]
    pub migrate_userids: Option<String>,
    /// Only report; nothing is written at the target, or stored
    #[arg(long, requires = "migrate_userids", help_heading = HEADING)]
    pub dry_run: bool,
    /// Rename without asking
    #[arg(long, requires = "migrate_userids", help_heading = HEADING)]
    pub yes: bool,
    /// Rename exactly the rows of class convert in this reviewed report (.json or .csv), as far as they are as they were
    #[arg(long, value_name = "REPORT", requires = "migrate_userids", help_heading = HEADING)]
    pub apply: Option<PathBuf>,
    /// Only so many, or only these: user names, people, source keys or target ids
    #[arg(long, value_name = "N|WHO,..", requires = "migrate_userids", help_heading = HEADING)]
    pub pilot: Option<Pilot>,
    /// Only accounts for which this filter (RFC 7644) holds: attributes of the account, else of the person's entry
    #[arg(long, value_name = "FILTER", requires = "migrate_userids", value_parser = filter, help_heading = HEADING)]
    pub only: Option<Filter>,
    /// Write the report to this file (.json or .csv)
    #[arg(long, value_name = "FILE", requires = "migrate_userids", help_heading = HEADING)]
    pub report: Option<PathBuf>,
    /// Inactive accounts too, and accounts of people who are disabled at the source
    #[arg(long, requires = "migrate_userids", help_heading = HEADING)]
    pub include_inactive: bool,
    /// Accounts of people outside the scope too
    #[arg(long, requires = "migrate_userids", help_heading = HEADING)]
    pub include_out_of_scope: bool,
    /// A name is not enough: email, family name or employee number must agree, and the entry must not be younger than the
    /// account
    #[arg(long, requires = "migrate_userids", help_heading = HEADING)]
    pub require_proof: bool,
    /// How long to wait for a cycle that is running (30s, 5m)
    #[arg(long = "wait", value_name = "DURATION", requires = "migrate_userids", value_parser = parse_duration, help_heading = HEADING)]
    pub wait: Option<Duration>,
}

/// Lines of each class shown on paper; the report has all.
const SHOWN: usize = 30;

fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|e: crate::scim::ParseError| e.to_string())
}

/// Runs the command.
///
/// # Errors
/// The command line or the configuration is wrong; a report cannot be read or written; a cycle runs. Failures of single
/// syncs are told and end in the exit code.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let named = args.migrate_userids.as_deref().filter(|s| !s.is_empty());
    let chosen = show::chosen(&config, named)?;
    // A report that cannot be written is noticed before anything is renamed.
    let report = args.report.as_deref().map(Report::begin).transpose()?;
    let stop = super::sync::stop_on_signal();
    let (mut listings, mut errors, mut exits) = (Vec::new(), Vec::new(), Vec::new());
    let several = chosen.len() > 1;
    if several && matches!(args.pilot, Some(Pilot::Who(_))) {
        known_somewhere(ctx, &args, &config, &chosen, &stop).await?;
    }
    let mut pilot = args.pilot.clone();
    for (i, sync) in chosen.iter().enumerate() {
        let syncs = match gather(ctx, &config, sync, (&chosen, i), &stop) {
            Ok(syncs) => syncs,
            Err(e) => {
                failed(ctx, sync, &e, &mut errors, &mut exits);
                continue;
            }
        };
        let options = Options { pilot: pilot.clone(), elsewhere: several, ..options(&args, sync)? };
        match one(ctx, &args, &config, &syncs, &options).await {
            Ok((listing, exit)) => {
                if let Some(Pilot::First(n)) = &mut pilot {
                    // So many of all of them together.
                    let used = if listing.cycle.is_some() { listing.results(Outcome::Renamed) } else { listing.left };
                    *n = n.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
                }
                exits.push(exit);
                if let Some((_, message)) = &listing.error {
                    ctx.out.complain(&format!("{}: {message}", listing.sync));
                }
                listings.push(listing);
            }
            Err(Failed::Cycle(e)) => failed(ctx, sync, &e, &mut errors, &mut exits),
            Err(Failed::Command(e)) => return Err(e),
        }
        if stop.is_cancelled() {
            break;
        }
    }
    let written = report.map_or(Ok(()), |report| report.write(ctx, &listings, &errors));
    if ctx.json {
        ctx.out.stream(|w| {
            write_document(w, &listings, &errors).map_err(|e| CliError::bug(format!("cannot write the document: {e}")))
        })?;
    }
    written.map(|()| Exit::worst(exits))
}

/// What ends the command, and what only ends one sync's migration.
enum Failed {
    Cycle(CycleError),
    Command(CliError),
}

impl From<CycleError> for Failed {
    fn from(e: CycleError) -> Self {
        Self::Cycle(e)
    }
}

impl From<CliError> for Failed {
    fn from(e: CliError) -> Self {
        Self::Command(e)
    }
}

fn failed(ctx: &Ctx, sync: &SyncConfig, e: &CycleError, errors: &mut Vec<Value>, exits: &mut Vec<Exit>) {
    exits.push(e.exit());
    errors.push(json!({"sync": sync.name, "kind": e.exit().kind(), "message": e.to_string()}));
    ctx.out.complain(&format!("{}: {e}", sync.name));
}

/// The sync, and the others that feed its target. Paused ones count: whose account a name is does not depend on a schedule.
fn gather(
    ctx: &Ctx,
    config: &Config,
    sync: &SyncConfig,
    (chosen, at): (&[&SyncConfig], usize),
    stop: &Stop,
) -> Result<Syncs, CycleError> {
    let cycle = |s: &SyncConfig| Cycle::new(config, s, Bars::new(ctx), stop.clone());
    let address = |s: &SyncConfig| config.targets.get(&s.target).map(|t| &t.url);
    let feeds = |s: &SyncConfig| s.target == sync.target || address(s) == address(sync);
    let others: Vec<&SyncConfig> = config.syncs.iter().filter(|s| s.name != sync.name && feeds(s)).collect();
    let migrated_too: Vec<String> = chosen.iter().filter(|s| s.name != sync.name && feeds(s)).map(|s| s.name.clone()).collect();
    Ok(Syncs {
        main: cycle(sync)?,
        others: others.into_iter().map(cycle).collect::<Result<_, _>>()?,
        lists_strangers: !chosen.iter().take(at).any(|s| feeds(s)),
        migrated_too,
    })
}

fn options(args: &Args, sync: &SyncConfig) -> Result<Options, CliError> {
    let accepted = match &args.apply {
        None => None,
        Some(path) => {
            let bad = |e: &dyn std::fmt::Display| CliError::usage(format!("{}: {e}", path.display()));
            let file = File::open(path).map_err(|e| bad(&e))?;
            Some(Accepted::read(file, is_csv(path)?, &sync.name).map_err(|e| bad(&e))?)
        }
    };
    Ok(Options {
        inactive: args.include_inactive,
        out_of_scope: args.include_out_of_scope,
        require_proof: args.require_proof || sync.matching.require_proof,
        only: args.only.clone(),
        pilot: args.pilot.clone(),
        accepted,
        elsewhere: false,
        by: show::user(),
    })
}

/// Looks, asks where somebody can be asked, and renames where it was confirmed. A reviewed report is a confirmation.
async fn one(ctx: &Ctx, args: &Args, config: &Config, syncs: &Syncs, options: &Options) -> Result<(Listing, Exit), Failed> {
    let sure = !args.dry_run && (args.yes || args.apply.is_some());
    if !sure {
        let listing = looked_at(syncs, &config.state.path, options).await?;
        known(&listing)?;
        let moved = if listing.moved > 0 { Exit::Moved } else { Exit::Done };
        if !ctx.json {
            table(ctx, &listing);
        }
        if args.dry_run || listing.left == 0 || !asks(ctx, &listing)? {
            return Ok((listing, moved));
        }
    }
    let wait = args.wait.unwrap_or_default();
    let how = Confirmed { state: &config.state.path, lock: show::lock(config, wait).await?, hold: HOLD, fresh: FRESH };
    let (listing, exit) = confirmed(syncs, options, how).await?;
    known(&listing)?;
    if !ctx.json {
        table(ctx, &listing);
    }
    Ok((listing, exit))
}

/// Whoever is named is somebody, of one sync or another. Where one cannot be read, it may be one of its people; that it
/// cannot be read is said when its turn comes.
async fn known_somewhere(ctx: &Ctx, args: &Args, config: &Config, chosen: &[&SyncConfig], stop: &Stop) -> Result<(), CliError> {
    let mut nobody: Option<Vec<String>> = None;
    for (i, sync) in chosen.iter().enumerate() {
        let Ok(syncs) = gather(ctx, config, sync, (chosen, i), stop) else { return Ok(()) };
        let Ok(unknown) = unknown(&syncs, &config.state.path, &options(args, sync)?).await else { return Ok(()) };
        nobody = Some(match nobody {
            Some(before) => before.into_iter().filter(|who| unknown.contains(who)).collect(),
            None => unknown,
        });
    }
    match nobody.unwrap_or_default().as_slice() {
        [] => Ok(()),
        nobody => Err(CliError::usage(format!("--pilot: no sync has an account of {}", nobody.join(", ")))),
    }
}

/// Whoever is named is somebody.
fn known(listing: &Listing) -> Result<(), CliError> {
    match listing.unknown.as_slice() {
        [] => Ok(()),
        unknown => Err(CliError::usage(format!("--pilot: {} has no account of {}", listing.sync, unknown.join(", ")))),
    }
}

/// Asks on a terminal; elsewhere nobody said yes.
fn asks(ctx: &Ctx, listing: &Listing) -> Result<bool, CliError> {
    if ctx.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let failed = |e: std::io::Error| CliError::usage(format!("cannot ask: {e}"));
    let mut stderr = std::io::stderr();
    write!(stderr, "Rename {} accounts of {} now? Type yes: ", listing.left, listing.sync).map_err(failed)?;
    stderr.flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

fn is_csv(path: &Path) -> Result<bool, CliError> {
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        _ => Err(CliError::usage(format!("{}: a report's name ends in .json or .csv", path.display()))),
    }
}

/// A report on its way to its file: written beside it and renamed, so that a reader never sees half a report.
struct Report<'a> {
    path: &'a Path,
    is_csv: bool,
    file: Draft,
}

impl<'a> Report<'a> {
    fn begin(path: &'a Path) -> Result<Self, CliError> {
        let is_csv = is_csv(path)?;
        let file = Draft::at(path);
        let file = file.map_err(|e| CliError::usage(format!("--report {}: cannot write there: {e}", path.display())))?;
        Ok(Self { path, is_csv, file })
    }

    fn write(mut self, ctx: &Ctx, listings: &[Listing], errors: &[Value]) -> Result<(), CliError> {
        let path = self.path;
        let failed = |e: std::io::Error| CliError::usage(format!("--report {}: {e}", path.display()));
        let w = &mut self.file;
        let written = if self.is_csv { write_csv(w, listings) } else { write_document(w, listings, errors) };
        written.map_err(failed)?;
        self.file.finish().map_err(failed)?;
        if !ctx.json {
            ctx.out.line(format!("  written to {}", path.display()));
        }
        Ok(())
    }
}

fn table(ctx: &Ctx, l: &Listing) {
    let out = &ctx.out;
    let counts: Vec<String> = Class::ALL.iter().filter(|c| l.count(**c) > 0).map(|c| format!("{} {c}", l.count(*c))).collect();
    let done = match l.cycle {
        Some(cycle) => {
            format!("; {} renamed, {} failed (cycle {cycle})", l.results(Outcome::Renamed), l.results(Outcome::Failed))
        }
        None => String::new(),
    };
    out.heading(format!("{}: {} accounts: {}{done}", l.sync, l.lines.len(), counts.join(", ")));
    for class in Class::ALL {
        let lines: Vec<&Line> = l.lines.iter().filter(|line| line.row.class == class).collect();
        let shown = if ctx.verbosity > 0 { lines.len() } else { SHOWN };
        for line in lines.iter().take(shown) {
            out.line(text(line));
        }
        if lines.len() > shown {
            out.line(format!("  ... and {} more {class} (-v shows all, --report holds all)", lines.len() - shown));
        }
    }
    if l.moved > 0 {
        out.line(format!("  {} rows of the report were refused: something changed since", l.moved));
    }
    match l.cycle {
        Some(cycle) => out.line(format!("  cycle {cycle} is this migration")),
        None if l.left > 0 => out.line(format!("  nothing was changed; {} would be renamed with --yes", l.left)),
        None => out.line("  nothing was changed"),
    }
}

fn text(line: &Line) -> String {
    let new = line.row.new.as_deref().unwrap_or("-");
    let result = match line.result {
        Outcome::Renamed => " [renamed]",
        Outcome::Failed => " [failed]",
        Outcome::NotAttempted => "",
    };
    format!("  {:<9}  {:<32}  {new:<40}{result}  {}", line.row.class, line.row.old, line.why())
}
