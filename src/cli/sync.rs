//! `sync`: one cycle now.

use super::{CliError, Ctx};
use crate::config::parse_duration;
use crate::exit::Exit;
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
/// This build does not have the command.
pub async fn run(_ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    Err(CliError::not_available("sync"))
}
