//! `state backup` and `state restore`: the whole store, as one file.

use super::{CliError, Ctx};
use crate::config::parse_duration;
use crate::exit::Exit;
use crate::state::backup::{self, Holds};
use crate::state::lock::CycleLock;
use jiff::Timestamp;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `state`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a consistent copy of the store to FILE, also while a cycle runs; what was written is checked
    Backup {
        /// File to write; only its owner may read it
        file: PathBuf,
        /// Replace the file where it is there already
        #[arg(long)]
        force: bool,
    },
    /// Put a backup in the place of the store, which is kept beside it; the next cycle reads everything and verifies
    Restore {
        /// File that `state backup` wrote
        file: PathBuf,
        /// How long to wait for a cycle that is running (30s, 5m)
        #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
        wait: Duration,
    },
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; the file is there already or is not there; a cycle runs (restore); the store or the backup
/// cannot be used.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let state = config.state.path;
    match args.what {
        What::Backup { file, force } => {
            if file.exists() && !force {
                return Err(CliError::usage(format!("{} is there already; name another file, or say --force", file.display())));
            }
            let target = file.clone();
            let holds = away(move || Ok(backup::backup(&state, &target, force)?)).await?;
            if ctx.json {
                ctx.out.json(&json!({"version": 1, "backup": document(&file, &holds)}));
            } else {
                ctx.out.line(format!("{}: {}", file.display(), words(&holds)));
            }
        }
        What::Restore { file, wait } => {
            if !file.exists() {
                return Err(CliError::usage(format!("{}: there is no such file", file.display())));
            }
            let from = file.clone();
            let done = away(move || {
                let _lock = CycleLock::take(&state, wait)?;
                Ok(backup::restore(&state, &from, Timestamp::now())?)
            })
            .await?;
            if ctx.json {
                let restored = document(&file, &done.holds);
                let replaced = done.replaced.as_ref().map(|p| p.display().to_string());
                ctx.out
                    .json(&json!({"version": 1, "restored": restored, "replaced": replaced, "cycles_above": done.cycles_above}));
                return Ok(Exit::Done);
            }
            ctx.out.line(format!("put back {}: {}", file.display(), words(&done.holds)));
            if let Some(kept) = &done.replaced {
                ctx.out.line(format!("  the store that was there is kept as {}", kept.display()));
            }
            ctx.out.line(format!("  cycles go on above {}", done.cycles_above));
            ctx.out.line("  the next cycle reads the directory and the target in full; `scim-sync plan` shows what it would do");
        }
    }
    Ok(Exit::Done)
}

/// Copying and checking take their time: not on the thread that listens for signals.
async fn away<T: Send + 'static>(f: impl FnOnce() -> Result<T, CliError> + Send + 'static) -> Result<T, CliError> {
    tokio::task::spawn_blocking(f).await.map_err(|e| CliError::bug(e.to_string()))?
}

fn at(holds: &Holds) -> Option<String> {
    holds.last_cycle_at.and_then(|s| Timestamp::from_second(s).ok()).map(|t| t.to_string())
}

fn document(file: &Path, holds: &Holds) -> serde_json::Value {
    json!({
        "file": file.display().to_string(), "bytes": holds.bytes, "cycle": holds.cycle, "last_cycle_at": at(holds), "links": holds.links
    })
}

fn words(holds: &Holds) -> String {
    let last = at(holds).map_or_else(|| "no cycle yet".to_owned(), |at| format!("last cycle {} of {at}", holds.cycle));
    format!("{} links, {last}, {} KiB", holds.links, holds.bytes.div_ceil(1024))
}
