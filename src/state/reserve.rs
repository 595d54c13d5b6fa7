//! Room that is set aside for whoever leaves: a file beside the store that takes some of the disk while there is room, and gives
//! it up when there is none.
//!
//! On a disk that is nearly full a cycle takes out who left and does nothing else. And what newcomers take is bounded: the
//! write-ahead log is written back into the store itself, so there must be room for both.

use super::{StateError, Store, beside, owner};
use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Octets that are set aside, where that is no more than a quarter of the file system.
const RESERVE: u64 = 4 << 20;
/// Octets that are lent so that the store can be opened: the index of its log, and a little to write.
const LENT: u64 = 512 << 10;
/// Octets that stay free beside what is set aside again.
const BESIDE: u64 = 128 << 10;
/// Octets below which it is minded how far the store grows.
const SCARCE: u64 = 64 << 20;
/// Pages of the log after which it is written back, where there is plenty of room.
pub(super) const LOG_PAGES: i64 = 4000;
/// And where there is none.
const LOG_PAGES_AT_LEAST: i64 = 16;
/// SQLite's own bound.
const MOST_PAGES: i64 = 4_294_967_294;
/// For how long the log is waited for that others read.
const PATIENCE: Duration = Duration::from_secs(2);

/// A file system, in octets.
#[derive(Debug, Clone, Copy)]
struct Disk {
    free: u64,
    size: u64,
}

impl Disk {
    #[cfg(unix)]
    fn of(state: &Path) -> Option<Self> {
        let folder = state.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let said = rustix::fs::statvfs(folder).ok()?;
        let octets = |blocks: u64| blocks.saturating_mul(said.f_frsize);
        // Some file systems do not say.
        (said.f_blocks > 0).then(|| Self { free: octets(said.f_bavail), size: octets(said.f_blocks) })
    }

    #[cfg(not(unix))]
    fn of(_state: &Path) -> Option<Self> {
        None
    }

    /// How much is to be set aside here.
    fn wanted(self) -> u64 {
        RESERVE.min(self.size / 4)
    }
}

/// What a connection knows of the room that is set aside. It goes after the connection, and sets aside again what was given up.
#[derive(Debug)]
pub(super) struct Reserve {
    state: PathBuf,
    given_up: Cell<bool>,
    /// Octets that were left when it was given up; fewer now are another's doing, who needs them.
    left: Cell<u64>,
}

impl Reserve {
    /// Of the store at this place.
    pub(super) fn of(state: &Path) -> Self {
        Self { state: state.to_owned(), given_up: Cell::new(false), left: Cell::new(0) }
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if self.given_up.get() {
            regain(&self.state, self.left.get());
        }
    }
}

/// Does what needs a little room; where there is none, once more with some of what is set aside.
pub(super) fn lent<T>(state: &Path, f: impl Fn() -> Result<T, StateError>) -> Result<T, StateError> {
    match f() {
        Err(e) if e.no_room() => {
            let Some(left) = give_up(state, LENT) else { return Err(e) };
            let done = f();
            regain(state, left);
            done
        }
        done => done,
    }
}

/// The store, opened by `f`; where there is no room for that, with some of what is set aside.
pub(super) fn opened(state: &Path, f: impl Fn() -> Result<Store, StateError>) -> Result<Store, StateError> {
    match f() {
        Err(e) if e.no_room() => {
            let Some(left) = give_up(state, LENT) else { return Err(e) };
            let reserve = Reserve { state: state.to_owned(), given_up: Cell::new(true), left: Cell::new(left) };
            Ok(Store { reserve: Some(reserve), ..f()? })
        }
        done => done,
    }
}

fn file_of(state: &Path) -> PathBuf {
    beside(state, ".reserve")
}

/// Octets that are set aside now; `None` where nothing ever was.
fn set_aside(state: &Path) -> Option<u64> {
    std::fs::symlink_metadata(file_of(state)).ok().filter(std::fs::Metadata::is_file).map(|m| taken(&m))
}

/// Octets that the file takes of the disk: a copy that leaves out zeros (`cp --sparse`, `rsync -S`, `tar -S`) is as long and
/// takes none.
#[cfg(unix)]
fn taken(file: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // st_blocks counts by 512 octets, whatever the file system's own blocks are (stat(2)).
    file.len().min(file.blocks().saturating_mul(512))
}

#[cfg(not(unix))]
fn taken(file: &std::fs::Metadata) -> u64 {
    file.len()
}

/// Frees so many octets of it, or all, and returns how many are left; `None` where there were none.
fn give_up(state: &Path, octets: u64) -> Option<u64> {
    let file = owner::open_beside(File::options().write(true), &file_of(state)).ok()?;
    let len = file.metadata().ok().map(|m| m.len()).filter(|len| *len > 0)?;
    let left = len.saturating_sub(octets);
    file.set_len(left).ok().map(|()| left)
}

/// Sets aside what there is, up to what is wanted. Not where less is set aside than was `left`: a cycle that found no room
/// meanwhile has given up the rest, and is using it for whoever leaves.
fn regain(state: &Path, left: u64) {
    let (Some(disk), Some(has)) = (Disk::of(state), set_aside(state)) else { return };
    if has < left {
        return;
    }
    grow(state, disk.wanted().min(has + disk.free.saturating_sub(BESIDE)));
}

/// Makes the file this long. Only a help: where that cannot be, the store works without.
fn grow(state: &Path, octets: u64) {
    let path = file_of(state);
    if let Err(e) = allocate(&path, octets) {
        tracing::debug!(path = %path.display(), "no room is set aside: {e}");
    }
}

#[cfg(unix)]
fn allocate(path: &Path, octets: u64) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let is_new = std::fs::symlink_metadata(path).is_err();
    let file = owner::open_beside(File::options().create(true).truncate(false).write(true).mode(0o600), path)?;
    let metadata = file.metadata()?;
    if taken(&metadata) >= octets {
        return Ok(());
    }
    let before = metadata.len();
    owner::give_file(&file, path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, octets).map_err(|e| {
        // What was gained half-way, and a file that could never be filled, say nothing.
        let _ = if is_new { std::fs::remove_file(path) } else { file.set_len(before) };
        e.into()
    })
}

#[cfg(not(unix))]
fn allocate(_path: &Path, _octets: u64) -> std::io::Result<()> {
    Ok(())
}

impl Store {
    /// Looks how much room there is, before a cycle writes: sets some aside where there is plenty, and gives it up where there
    /// is hardly any. Nothing but a look at the file system where all is well.
    pub fn mind_room(&self) {
        let (Some(reserve), Some(disk)) = (&self.reserve, Disk::of(&self.path)) else { return };
        let (wanted, has) = (disk.wanted(), set_aside(&self.path));
        let missing = wanted.saturating_sub(has.unwrap_or(wanted));
        if disk.free < wanted / 4 + missing {
            self.give_up_reserve();
            return;
        }
        let take = if has.is_none() { wanted } else { missing };
        if take > 0 && disk.free >= take + wanted / 4 {
            grow(&self.path, wanted);
        }
        reserve.given_up.set(false);
        self.bound(Disk::of(&self.path).map_or(0, |d| d.free));
    }

    /// Whether there is so little room that only whoever leaves is taken out.
    #[must_use]
    pub fn has_no_room(&self) -> bool {
        self.reserve.as_ref().is_some_and(|r| r.given_up.get())
    }

    /// The error that says so.
    #[must_use]
    pub fn no_room(&self) -> StateError {
        StateError::NoRoom { path: self.path.clone() }
    }

    /// A write found no room: gives up what is set aside. `false` where that was given up before, or this is a private copy.
    pub fn make_room(&self) -> bool {
        if self.reserve.is_none() || self.has_no_room() {
            return false;
        }
        self.give_up_reserve();
        true
    }

    /// At the end of a cycle: what was given up is set aside again, as far as there is room.
    pub fn settle_room(&self) {
        if self.has_no_room() {
            self.shorten_log();
            regain(&self.path, 0);
        }
    }

    fn give_up_reserve(&self) {
        let Some(reserve) = &self.reserve else { return };
        reserve.given_up.set(true);
        reserve.left.set(0);
        give_up(&self.path, u64::MAX);
        self.limit(MOST_PAGES, LOG_PAGES_AT_LEAST);
        self.shorten_log();
    }

    /// The store may take half of what is free: the other half is for its log.
    fn bound(&self, free: u64) {
        if free >= SCARCE {
            return self.limit(MOST_PAGES, LOG_PAGES);
        }
        let pages = |pragma: &str| self.run(|c| c.pragma_query_value(None, pragma, |r| r.get::<_, i64>(0)));
        let (Ok(size), Ok(count)) = (pages("page_size"), pages("page_count")) else { return };
        let free = i64::try_from(free).unwrap_or(i64::MAX) / size.max(1);
        self.limit(count.saturating_add(free / 2), (free / 8).clamp(LOG_PAGES_AT_LEAST, LOG_PAGES));
    }

    /// Pages that the store may have, and after how many its log is written back.
    fn limit(&self, store: i64, log: i64) {
        let set = self.run(|c| {
            c.pragma_update(None, "max_page_count", store)?;
            c.pragma_update(None, "wal_autocheckpoint", log)
        });
        if let Err(e) = set {
            tracing::debug!("{e}");
        }
    }

    /// Writes the log back and frees its room, as far as nobody reads it.
    fn shorten_log(&self) {
        let done = self.run(|c| {
            if !c.is_autocommit() {
                c.execute_batch("ROLLBACK")?;
            }
            c.busy_timeout(PATIENCE)?;
            let done = c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            c.busy_timeout(super::BUSY).and(done)
        });
        if let Err(e) = done {
            tracing::debug!("{e}");
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn room_is_set_aside_before_a_cycle_and_not_by_a_look() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state.db");
        let disk = Disk::of(&state).unwrap();
        if disk.free < SCARCE {
            return;
        }
        let store = Store::open(&state).unwrap();
        assert!(set_aside(&state).is_none() && !store.has_no_room());
        store.mind_room();
        let m = std::fs::metadata(file_of(&state)).unwrap();
        assert_eq!((m.len(), m.permissions().mode() & 0o777), (disk.wanted(), 0o600));
        assert!(m.blocks() * 512 >= disk.wanted(), "it does take room");
        // Given up once, and set aside again when the connection is gone.
        assert!(store.make_room() && !store.make_room() && store.has_no_room());
        assert_eq!(set_aside(&state), Some(0));
        drop(store);
        assert_eq!(set_aside(&state), Some(disk.wanted()));
        // A copy of it that takes no room is none: it is filled.
        File::create(file_of(&state)).unwrap().set_len(disk.wanted()).unwrap();
        assert_eq!(set_aside(&state), Some(0));
        let store = Store::open(&state).unwrap();
        store.mind_room();
        assert_eq!((store.has_no_room(), set_aside(&state)), (false, Some(disk.wanted())));
        // A private copy has none.
        let copy = Store::scratch(&state).unwrap();
        copy.mind_room();
        assert!(set_aside(copy.path()).is_none() && !copy.make_room());
    }
    /// `status` borrows some; the cycle that gives up the rest meanwhile keeps all of it until its end.
    #[test]
    fn what_was_lent_is_not_taken_back_from_a_cycle() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state.db");
        if Disk::of(&state).unwrap().free < SCARCE {
            return;
        }
        let cycle = Store::open(&state).unwrap();
        cycle.mind_room();
        let full = Cell::new(true);
        let found = || if full.replace(false) { Err(cycle.no_room()) } else { Store::open(&state) };
        let wanted = set_aside(&state).unwrap();
        drop(opened(&state, found).unwrap());
        assert_eq!(set_aside(&state), Some(wanted), "given back");
        full.set(true);
        let status = opened(&state, found).unwrap();
        assert_eq!(set_aside(&state), Some(wanted - LENT));
        assert!(cycle.make_room());
        drop(status);
        assert_eq!(set_aside(&state), Some(0));
        cycle.settle_room();
        assert_eq!(set_aside(&state), Some(wanted));
    }
}
