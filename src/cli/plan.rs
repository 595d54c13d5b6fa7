//! `plan`: what would change and why; writes nothing at the target.

use super::{CliError, Ctx};
use crate::exit::Exit;
use std::path::PathBuf;

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
/// This build does not have the command.
pub async fn run(_ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    Err(CliError::not_available("plan"))
}
