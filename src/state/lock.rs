//! Locks beside the state store: one runner of cycles, and one service. Advisory locks on files, freed by the kernel when
//! their holder dies.

use super::{StateError, owner};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Held while cycles run; freed when dropped. Cycles of one process that run side by side share one.
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
        match take(state.with_extension("db.lock"), wait)? {
            Some(file) => Ok(Self { _file: file }),
            None => Err(StateError::Locked { path: state.to_owned() }),
        }
    }
}

/// Held by the service for as long as it runs; a second one on the same store finds it taken.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`StateError::Served`] if another process holds it; I/O errors of the lock file.
    pub fn take(state: &Path) -> Result<Self, StateError> {
        match take(state.with_extension("db.run.lock"), Duration::ZERO)? {
            Some(file) => Ok(Self { _file: file }),
            None => Err(StateError::Served { path: state.to_owned() }),
        }
    }
}

/// The locked file, or `None` where another holder keeps it for longer than `wait`.
fn take(path: PathBuf, wait: Duration) -> Result<Option<File>, StateError> {
    let io = |e: std::io::Error| StateError::Io {
        path: path.clone(),
        message: format!("{e}; check that the folder exists and that this user may write there"),
    };
    let file = owner::open_beside(File::options().create(true).truncate(false).write(true), &path).map_err(io)?;
    let deadline = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{CycleLock, RunLock};
    use crate::state::StateError;
    use std::time::{Duration, Instant};

    #[test]
    fn each_lock_has_one_holder_and_they_do_not_know_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state.db");
        let run = RunLock::take(&state).unwrap();
        let cycle = CycleLock::take(&state, Duration::ZERO).unwrap();
        assert!(matches!(RunLock::take(&state), Err(StateError::Served { .. })));
        assert!(matches!(CycleLock::take(&state, Duration::ZERO), Err(StateError::Locked { .. })));
        drop((run, cycle));
        assert!(RunLock::take(&state).is_ok());
        assert!(CycleLock::take(&state, Duration::ZERO).is_ok());
    }

    #[test]
    fn a_freed_lock_is_taken_within_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state.db");
        let held = CycleLock::take(&state, Duration::ZERO).unwrap();
        let freeing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(held);
        });
        let began = Instant::now();
        assert!(CycleLock::take(&state, Duration::from_secs(20)).is_ok());
        assert!(began.elapsed() >= Duration::from_millis(100));
        freeing.join().unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = RunLock::take(&dir.path().join("absent/state.db")).unwrap_err().to_string();
        assert!(error.contains("state.db.run.lock") && error.contains("check that the folder exists"), "{error}");
    }
}
