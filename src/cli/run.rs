//! `run`: the service.

use super::logging::LogFormat;
use super::{CliError, Ctx, check};
use crate::config::HttpConfig;
use crate::daemon::clock::SystemClock;
use crate::daemon::memory::{self, Keeper};
use crate::daemon::{Daemon, Order, Stopped, signals};
use crate::exit::Exit;
use crate::observe::board::Board;
use crate::observe::health::Listener;
use crate::observe::{Expiry, Observer, metrics};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long notifications of the last cycle may take when the service stops; what did not go out goes out after the next start.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often an address that is not to be had is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

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
    if let Some(why) = config.all_exposed() {
        return Err(CliError::new(Exit::Config, format!("there is nothing that could be done: {why}")));
    }
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
    let told = memory::recall(&state)?;
    // From here on no signal ends the process unasked. Not earlier: the store may be busy for minutes, and nobody would listen.
    let mut orders = signals::listen().map_err(|e| CliError::bug(format!("no signals: {e}")))?;
    let observer = Observer::new(&config, told.as_deref(), |sync| daemon.complete_read_at(sync));
    let observer = Arc::new(observer.map_err(|e| CliError::new(e.exit(), e.to_string()))?);
    let keeper = Arc::new(Keeper::new(Arc::clone(&observer), &state));
    let stop = CancellationToken::new();
    // Nothing depends on how it ends.
    tokio::spawn(answer(config.http.clone(), observer.board(), counted, stop.clone()));
    let served = daemon
        .watched_by(observer.clone())
        .watched_by(keeper.clone())
        .watched_by(Arc::new(Expiry::default()))
        .serve(&mut orders)
        .await;
    stop.cancel();
    if served? == Stopped::InOrder {
        let last = async {
            observer.flush(LAST_WORDS).await;
            keeper.close().await;
        };
        tokio::select! {
            () = last => {}
            () = stop_again(&mut orders) => tracing::warn!("stopped at once"),
        }
    }
    Ok(Exit::Done)
}

/// Waits for another order to stop.
async fn stop_again(orders: &mut mpsc::Receiver<Order>) {
    while orders.recv().await.is_some_and(|order| order != Order::Stop) {}
}

/// Answers for health and metrics until `stop`. An address that cannot be had (somebody else's, or not up yet) stops no sync:
/// it is said, and tried again.
async fn answer(config: HttpConfig, board: Arc<Board>, counted: metrics::Handle, stop: CancellationToken) {
    let mut said = false;
    loop {
        if config.enabled {
            match Listener::bind(&config).await {
                Ok(listener) => {
                    let address = listener.address().map_or_else(|_| config.listen.clone(), |a| a.to_string());
                    tracing::info!("health and metrics: http://{address}/");
                    return listener.serve(board, counted, stop).await;
                }
                Err(e) if !said => {
                    said = true;
                    tracing::warn!("no health and metrics: {e}. Syncs run; it is tried again every {} s", LISTEN_AGAIN.as_secs());
                }
                Err(_) => {}
            }
        }
        // Counted all the same: it must not pile up.
        counted.upkeep();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LISTEN_AGAIN) => {}
        }
    }
}
