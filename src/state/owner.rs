//! Who owns the store's files. It holds personal data: only its owner reads it. Whoever looks as root leaves no files behind
//! that the service's own user cannot use.

use super::StateError;
use std::fs::{File, OpenOptions};
use std::path::Path;

const ADVICE: &str = "check that the folder exists and that this user may write there";

/// Makes the file if it is not there; nobody else can read it.
#[cfg(unix)]
pub(super) fn restrict(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let io = |e: std::io::Error| StateError::Io { path: path.to_owned(), message: explain(path, &e.to_string()) };
    match std::fs::symlink_metadata(path) {
        Ok(m) if !m.is_file() => Err(StateError::Io { path: path.to_owned(), message: not_plain() }),
        Ok(m) if m.permissions().mode() & 0o077 == 0 => Ok(()),
        // Not ours to change: reading and writing decide whether it can be used.
        Ok(_) => pinned(path, |at| std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o600))).or(Ok(())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            // A new file, or none: whatever got this name meanwhile is not followed.
            match std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
                Ok(file) => give_file(&file, path).map_err(io),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => restrict_existing(path),
                Err(e) => Err(io(e)),
            }
        }
        Err(e) => Err(io(e)),
    }
}

/// Somebody else made it at the same moment, as a file.
#[cfg(unix)]
fn restrict_existing(path: &Path) -> Result<(), StateError> {
    let plain = std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
    if plain { Ok(()) } else { Err(StateError::Io { path: path.to_owned(), message: not_plain() }) }
}

#[cfg(not(unix))]
pub(super) fn restrict(_path: &Path) -> Result<(), StateError> {
    Ok(())
}

fn not_plain() -> String {
    "this is a symbolic link or no file at all: it is not followed, as whoever owns the folder could lead root elsewhere; name the \
     file itself in the configuration, or move this away"
        .to_owned()
}

/// What root makes in somebody's folder belongs to whom the folder belongs to. Others cannot give files away, and need not.
#[cfg(unix)]
pub(super) fn give_to_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::symlink_metadata(path)?;
    match heir(path)?.filter(|_| file.uid() == 0) {
        Some((uid, gid)) => pinned(path, |at| std::os::unix::fs::chown(at, Some(uid), Some(gid))).or(Ok(())),
        None => Ok(()),
    }
}

/// The same for a file that is open, whatever has its name by now.
#[cfg(unix)]
pub(super) fn give_file(file: &File, path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    match heir(path)?.filter(|_| file.metadata().is_ok_and(|m| m.uid() == 0)) {
        Some((uid, gid)) => std::os::unix::fs::fchown(file, Some(uid), Some(gid)).or(Ok(())),
        None => Ok(()),
    }
}

/// Owner of the folder, where that is not root.
#[cfg(unix)]
fn heir(path: &Path) -> std::io::Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt;
    let folder = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::metadata(folder)?;
    Ok((folder.uid() != 0).then(|| (folder.uid(), folder.gid())))
}

/// Runs `f` with a name that leads to this very file and to no other: a regular file of one name, not followed.
///
/// Held by `O_PATH`: closing any other descriptor of the store would drop the locks that SQLite holds on it in this process
/// (fcntl(2), advisory record locking).
#[cfg(target_os = "linux")]
fn pinned(path: &Path, f: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    let held = File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)?;
    single(&held.metadata()?)?;
    f(Path::new(&format!("/proc/self/fd/{}", held.as_raw_fd())))
}

/// Without `O_PATH` the name is looked at just before.
#[cfg(all(unix, not(target_os = "linux")))]
fn pinned(path: &Path, f: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    single(&std::fs::symlink_metadata(path)?)?;
    f(path)
}

#[cfg(unix)]
fn single(m: &std::fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if m.is_file() && m.nlink() == 1 { Ok(()) } else { Err(std::io::Error::other(not_plain())) }
}

/// Opens a file beside the store (never the store itself): not through a symbolic link, and without waiting at a pipe.
pub(super) fn open_beside(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path).map_err(|e| match std::fs::symlink_metadata(path) {
        Ok(m) if !m.is_file() => std::io::Error::new(e.kind(), not_plain()),
        _ => e,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other(not_plain())) }
}

#[cfg(not(unix))]
pub(super) fn give_to_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn give_file(_file: &File, _path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// An error of access, with whom the file belongs to where that is somebody else.
#[cfg(unix)]
pub(super) fn explain(path: &Path, error: &str) -> String {
    use std::os::unix::fs::MetadataExt;
    let me = std::fs::metadata("/proc/self").map(|m| m.uid());
    let folder = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let other = |at: &Path| std::fs::metadata(at).ok().map(|m| m.uid()).filter(|uid| me.as_ref().is_ok_and(|me| me != uid));
    match (me.as_ref(), other(path).map(|uid| (uid, "the file")).or_else(|| other(folder).map(|uid| (uid, "its folder")))) {
        (Ok(me), Some((uid, what))) => format!(
            "{error}; {what} belongs to user {uid}, and this process runs as user {me}: run it as that user (sudo -u '#{uid}'), \
             or give it to this one (chown); {ADVICE}"
        ),
        _ => format!("{error}; {ADVICE}"),
    }
}

#[cfg(not(unix))]
pub(super) fn explain(_path: &Path, error: &str) -> String {
    format!("{error}; {ADVICE}")
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::state::lock::CycleLock;
    use crate::state::{Store, highest};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::time::Duration;

    /// A folder of somebody else (where we are root), and a file outside it that nothing may touch.
    fn trap() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        std::fs::create_dir(&folder).unwrap();
        // Fails for others than root, and the links are not followed all the same.
        let _ = std::os::unix::fs::chown(&folder, Some(12345), Some(12345));
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o644)).unwrap();
        (dir, folder, victim)
    }

    #[track_caller]
    fn assert_untouched(victim: &Path, before: u32) {
        let m = std::fs::metadata(victim).unwrap();
        assert_eq!((m.uid(), m.permissions().mode() & 0o777), (before, 0o644));
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "untouched");
    }

    #[test]
    fn links_in_the_folder_lead_nobody_elsewhere() {
        let (_dir, folder, victim) = trap();
        let uid = std::fs::metadata(&victim).unwrap().uid();
        let state = folder.join("state.db");
        for suffix in ["", ".cycle", ".lock"] {
            let name = folder.join(format!("state.db{suffix}"));
            symlink(&victim, &name).unwrap();
            match suffix {
                "" => assert!(Store::open(&state).unwrap_err().to_string().contains("symbolic link")),
                ".cycle" => highest::write(&state, 7),
                _ => assert!(CycleLock::take(&state, Duration::ZERO).unwrap_err().to_string().contains("symbolic link")),
            }
            let _ = give_to_folder(&name);
            assert_untouched(&victim, uid);
            std::fs::remove_file(&name).unwrap();
        }
        // A link to nowhere makes no file there.
        symlink(folder.join("nowhere"), &state).unwrap();
        assert!(restrict(&state).is_err() && !folder.join("nowhere").exists());
        std::fs::remove_file(&state).unwrap();
        // A second name of the file: its owner and mode are not ours to change.
        std::fs::hard_link(&victim, &state).unwrap();
        let _ = (restrict(&state), give_to_folder(&state));
        assert_untouched(&victim, uid);
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_folder() {
        let (_dir, folder, _victim) = trap();
        let owner = std::fs::metadata(&folder).unwrap().uid();
        let state = folder.join("state.db");
        drop(Store::open(&state).unwrap());
        highest::write(&state, 7);
        assert_eq!(highest::read(&state), 7);
        for name in ["state.db", "state.db.cycle"] {
            let m = std::fs::metadata(folder.join(name)).unwrap();
            assert_eq!((m.uid(), m.permissions().mode() & 0o777), (owner, 0o600), "{name}");
        }
    }
}
