//! `log`: the provisioning log, from the journal.

use super::time;
use super::{CliError, Ctx};
use crate::exit::Exit;

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
/// This build does not have the command.
pub async fn run(_ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    Err(CliError::not_available("log"))
}
