//! The cycle lock, given up between batches: whoever leaves in the middle of a long migration is deactivated meanwhile.

use crate::state::StateError;
use crate::state::lock::{CycleLock, RunLock};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// For how long the lock is kept in one go, about: whoever leaves is to be deactivated within a minute of the schedule.
pub const HOLD: Duration = Duration::from_secs(40);
/// A service that waits for the lock looks every five seconds.
const FOR_A_SERVICE: Duration = Duration::from_millis(5_500);
/// A command that waits looks twenty times a second.
const FOR_A_COMMAND: Duration = Duration::from_millis(150);
/// A cycle may be long.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Whose turn it is.
pub(super) struct Turn {
    state: PathBuf,
    lock: Option<CycleLock>,
    hold: Duration,
    since: Instant,
}

impl Turn {
    /// `lock` is held from now on, and for `hold` in one go.
    pub(super) fn new(state: PathBuf, lock: CycleLock, hold: Duration) -> Self {
        Self { state, lock: Some(lock), hold, since: Instant::now() }
    }

    /// How long a batch should take: a part of one turn, so that the last one of a turn ends not long after it.
    pub(super) fn portion(&self) -> Duration {
        self.hold / 4
    }

    /// Lets others have their turn where ours was long. `true`: it was given up, and others may have been at work.
    ///
    /// # Errors
    /// The lock file cannot be used, or somebody has it for a day.
    pub(super) async fn give_way(&mut self) -> Result<bool, StateError> {
        if self.since.elapsed() < self.hold {
            return Ok(false);
        }
        self.lock = None;
        let served = matches!(RunLock::take(&self.state), Err(StateError::Served { .. }));
        tokio::time::sleep(if served { FOR_A_SERVICE } else { FOR_A_COMMAND }).await;
        let state = self.state.clone();
        let taken = tokio::task::spawn_blocking(move || CycleLock::take(&state, PATIENCE)).await;
        self.lock = Some(match taken {
            Ok(lock) => lock?,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        });
        self.since = Instant::now();
        Ok(true)
    }
}
