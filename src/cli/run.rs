//! `run`: the service.

use super::logging::LogFormat;
use super::{CliError, Ctx, check};
use crate::config::Config;
use crate::daemon::clock::SystemClock;
use crate::daemon::memory::{self, Keeper};
use crate::daemon::{Daemon, signals};
use crate::exit::Exit;
use crate::observe::health::Listener;
use crate::observe::{Observer, metrics};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long notifications of the last cycle may take when the service stops; what did not go out goes out after the next start.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
/// The configuration is wrong, its address cannot be listened on, the state store cannot be used, or another service holds it.
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
    // Counted from the first cycle on.
    let counted = metrics::install().map_err(|e| CliError::bug(e.to_string()))?;
    let state = config.state.path.clone();
    let daemon = Daemon::new(config.clone(), load, Arc::new(SystemClock))?;
    let listener = listen(&config).await?;
    let told = memory::recall(&state)?;
    let observer = Observer::new(&config, told.as_deref(), |sync| daemon.complete_read_at(sync));
    let observer = Arc::new(observer.map_err(|e| CliError::new(e.exit(), e.to_string()))?);
    let keeper = Arc::new(Keeper::new(Arc::clone(&observer), &state));
    let stop = CancellationToken::new();
    let answers = listener.map(|l| tokio::spawn(l.serve(observer.board(), counted, stop.clone())));
    let served = daemon.watched_by(observer.clone()).watched_by(keeper.clone()).serve(orders).await;
    stop.cancel();
    observer.flush(LAST_WORDS).await;
    keeper.close();
    if let Some(answers) = answers {
        // It was told to stop; nothing depends on how it does.
        let _ = answers.await;
    }
    served?;
    Ok(Exit::Done)
}

/// Listens for health and metrics. An address that nobody asked for may be somebody else's: then the service does without.
async fn listen(config: &Config) -> Result<Option<Listener>, CliError> {
    if !config.http.enabled {
        return Ok(None);
    }
    match Listener::bind(&config.http).await {
        Ok(listener) => {
            let address = listener.address().map_or_else(|_| config.http.listen.clone(), |a| a.to_string());
            tracing::info!("health and metrics: http://{address}/");
            Ok(Some(listener))
        }
        Err(e) if config.http.asked_for => Err(CliError::new(e.exit(), e.to_string())),
        Err(e) => {
            tracing::warn!("no health and metrics: {e}");
            Ok(None)
        }
    }
}
