//! What was told to whom outlives the process: written beside the work, because the store may be busy for a while.

use crate::observe::{Observer, Outcome, Watch};
use crate::state::{StateError, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long a write may wait for another one when the service stops.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How long the last write may take in all.
const LAST_WRITE: Duration = Duration::from_millis(1500);

/// What the last process told.
///
/// # Errors
/// The state store cannot be read.
pub fn recall(state: &Path) -> Result<Option<String>, StateError> {
    Store::open_existing(state)?.map_or(Ok(None), |store| store.told())
}

/// Keeps what an observer has told, after every cycle.
pub struct Keeper {
    observer: Arc<Observer>,
    latest: watch::Sender<String>,
    task: tokio::task::JoinHandle<()>,
    state: PathBuf,
}

impl Keeper {
    /// Begins to keep, from within a tokio runtime.
    #[must_use]
    pub fn new(observer: Arc<Observer>, state: &Path) -> Self {
        let (latest, mut changed) = watch::channel(observer.memory());
        let path = state.to_owned();
        let task = tokio::spawn(async move {
            while changed.changed().await.is_ok() {
                let (text, path) = (changed.borrow_and_update().clone(), path.clone());
                let _ = write(path, text, None).await;
            }
        });
        Self { observer, latest, task, state: state.to_owned() }
    }

    /// Keeps what there is now, and ends; where the store is busy, without.
    pub async fn close(&self) {
        self.task.abort();
        let last = write(self.state.clone(), self.observer.memory(), Some(LAST_WAIT));
        if tokio::time::timeout(LAST_WRITE, last).await.is_err() {
            tracing::debug!("what was told could not be kept: the state store is busy");
        }
    }
}

impl Watch for Keeper {
    fn cycle(&self, _outcome: &Outcome) {
        let memory = self.observer.memory();
        self.latest.send_if_modified(|latest| {
            let new = *latest != memory;
            *latest = memory;
            new
        });
    }
}

/// Writes on a thread of its own, which nobody waits for when the process ends: the store may be busy for minutes. What is not
/// written is told twice at worst.
fn write(state: PathBuf, text: String, patience: Option<Duration>) -> oneshot::Receiver<()> {
    let (done, ended) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("memory".to_owned()).spawn(move || {
        if let Err(e) = keep(&state, &text, patience) {
            tracing::debug!("what was told could not be kept: {e}");
        }
        let _ = done.send(());
    });
    if let Err(e) = spawned {
        tracing::debug!("no thread to keep what was told: {e}");
    }
    ended
}

fn keep(state: &Path, text: &str, patience: Option<Duration>) -> Result<(), StateError> {
    // Never makes one: it is away for a moment while a damaged one is replaced.
    let Some(store) = Store::open_existing(state)? else { return Ok(()) };
    if let Some(patience) = patience {
        store.wait_at_most(patience)?;
    }
    store.set_told(text)
}
