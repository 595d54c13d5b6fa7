//! The folder of a private copy of the store. It goes with its command; what a killed one left goes with the next command
//! that makes a copy.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// How the folders are called.
const PREFIX: &str = "scim-sync-plan-";
/// Locked for as long as the folder is in use: the kernel lets go of it when its holder dies.
const LOCK: &str = "lock";

/// A folder of its own, for its owner only; removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    // Removed before the lock is let go of.
    dir: TempDir,
    _lock: Option<File>,
}

impl Scratch {
    /// Makes one in the system's folder for temporary files.
    pub(super) fn new() -> io::Result<Self> {
        Self::within(&std::env::temp_dir(), |file| file.try_lock().map_err(io::Error::from))
    }

    /// Where the folder's file system knows no locks it goes without: then nobody removes what a killed command leaves.
    fn within(folder: &Path, lock: impl FnOnce(&File) -> io::Result<()>) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder)?;
        let lock =
            locked(dir.path(), lock).inspect_err(|e| tracing::debug!("{}: cannot be locked: {e}", dir.path().display())).ok();
        let made = Self { dir, _lock: lock };
        made.tidy(folder);
        Ok(made)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Removes folders of ours whose command is dead. What cannot be removed is no fault of this command.
    fn tidy(&self, folder: &Path) {
        let Ok(all) = fs::read_dir(folder) else { return };
        for other in all.flatten() {
            let path = other.path();
            if other.file_name().to_string_lossy().starts_with(PREFIX) && path != self.path() && self.is_ours(&path) {
                remove_if_dead(&path);
            }
        }
    }

    /// A folder (no link to one) that belongs to the user who runs this.
    #[cfg(unix)]
    fn is_ours(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let (Ok(other), Ok(mine)) = (fs::symlink_metadata(path), fs::symlink_metadata(self.path())) else { return false };
        other.is_dir() && other.uid() == mine.uid()
    }

    #[cfg(not(unix))]
    fn is_ours(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
    }
}

/// The lock of a folder that is being made. It is locked before it has its name: who finds it free finds its holder dead.
fn locked(folder: &Path, lock: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    let draft = folder.join("lock.new");
    let file = File::create_new(&draft)?;
    lock(&file)?;
    fs::rename(&draft, folder.join(LOCK))?;
    Ok(file)
}

/// Without a lock it may be in the making, or nothing that we know of.
fn remove_if_dead(folder: &Path) {
    let Ok(lock) = File::open(folder.join(LOCK)) else { return };
    if lock.try_lock().is_ok()
        && let Err(e) = fs::remove_dir_all(folder)
    {
        tracing::debug!("{}: a killed command left it, and it cannot be removed: {e}", folder.display());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_command_left_goes_and_a_live_one_keeps_its_own() {
        let tmp = tempfile::tempdir().unwrap();
        let folder = |name: &str, locked: bool| {
            let path = tmp.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("state.db"), "a copy").unwrap();
            if locked {
                File::create(path.join(LOCK)).unwrap();
            }
            path
        };
        let lock = |file: &File| file.try_lock().map_err(io::Error::from);
        let live = Scratch::within(tmp.path(), lock).unwrap();
        let unlocked = Scratch::within(tmp.path(), |_| Err(io::ErrorKind::Unsupported.into())).unwrap();
        let (dead, unborn) = (folder("scim-sync-plan-dead", true), folder("scim-sync-plan-unborn", false));
        let (foreign, elsewhere) = (folder("precious", true), folder("elsewhere", true));
        #[cfg(unix)]
        std::os::unix::fs::symlink(&elsewhere, tmp.path().join("scim-sync-plan-link")).unwrap();
        let other = Scratch::within(tmp.path(), lock).unwrap();
        assert!(!dead.exists());
        for stays in [live.path(), unlocked.path(), other.path(), &unborn, &foreign, &elsewhere.join("state.db")] {
            assert!(stays.exists(), "{}", stays.display());
        }
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists() && other.path().exists());
    }
}
