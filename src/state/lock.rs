//! The cycle lock: one runner per state store. An advisory lock on a file beside it, freed by the kernel when its
//! holder dies.

use super::StateError;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// Held while a cycle runs; freed when dropped.
#[derive(Debug)]
pub struct CycleLock {
    _file: File,
}

impl CycleLock {
    /// Takes the lock, waiting up to `wait` for another holder.
    ///
    /// # Errors
    /// [`StateError::Locked`] if another process still holds it; I/O errors of the lock file.
    pub fn take(state: &Path, wait: Duration) -> Result<Self, StateError> {
        let path = state.with_extension("db.lock");
        let io = |e: std::io::Error| StateError::Io {
            path: path.clone(),
            message: format!("{e}; check that the folder exists and that this user may write there"),
        };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                Err(TryLockError::WouldBlock) => return Err(StateError::Locked { path: state.to_owned() }),
                Err(TryLockError::Error(e)) => return Err(io(e)),
            }
        }
    }
}
