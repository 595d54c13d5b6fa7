//! `status`: each sync: last cycle, what is held or parked, the next run.

use super::{CliError, Ctx};
use crate::exit::Exit;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// This build does not have the command.
pub async fn run(_ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    Err(CliError::not_available("status"))
}
