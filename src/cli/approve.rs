//! `approve`: releases what the guard holds, change by change.

use super::time;
use super::{CliError, Ctx};
use crate::exit::Exit;
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

/// Runs the command.
///
/// # Errors
/// This build does not have the command.
pub async fn run(_ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    Err(CliError::not_available("approve"))
}
