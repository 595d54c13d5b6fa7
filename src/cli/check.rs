//! `check`: every mistake in the configuration.

use super::{CliError, Ctx};
use crate::exit::Exit;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also connect, sign in, discover the target and count the scope; writes nothing
    #[arg(long)]
    pub online: bool,
}

/// Runs the command.
///
/// # Errors
/// Mistakes in the configuration.
pub async fn run(ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    ctx.load_config()?;
    Ok(Exit::Done)
}
