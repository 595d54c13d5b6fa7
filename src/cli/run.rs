//! `run`: the service.

use super::logging::LogFormat;
use super::{CliError, Ctx, check};
use crate::daemon::clock::SystemClock;
use crate::daemon::{Daemon, signals};
use crate::exit::Exit;
use std::sync::Arc;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the log looks like
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: LogFormat,
}

/// Runs the command: serves until SIGTERM or SIGINT.
///
/// # Errors
/// The configuration is wrong, the state store cannot be used, or another service holds it.
pub async fn run(ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    // From here on no signal ends the process unasked.
    let orders = signals::listen().map_err(|e| CliError::bug(format!("no signals: {e}")))?;
    let path = ctx.config_path.clone();
    let load = Box::new(move || {
        let loaded = check::load(&path).map_err(|e| e.to_string())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded.config)
    });
    let daemon = Daemon::new(config, load, Arc::new(SystemClock))?;
    daemon.serve(orders).await?;
    Ok(Exit::Done)
}
