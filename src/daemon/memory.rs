//! What was told to whom outlives the process: written beside the work, because the store may be busy for a while.

use crate::observe::{Observer, Outcome, Watch};
use crate::state::{StateError, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

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
                // At worst something is told twice.
                let _ = tokio::task::spawn_blocking(move || write(&path, &text)).await;
            }
        });
        Self { observer, latest, task, state: state.to_owned() }
    }

    /// Keeps what there is now, and ends.
    pub fn close(&self) {
        self.task.abort();
        write(&self.state, &self.observer.memory());
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

fn write(state: &Path, text: &str) {
    if let Err(e) = Store::open(state).and_then(|store| store.set_told(text)) {
        tracing::debug!("what was told could not be kept: {e}");
    }
}
