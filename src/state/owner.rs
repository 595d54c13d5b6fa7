//! Who owns the store's files. It holds personal data: only its owner reads it. Whoever looks as root leaves no files behind
//! that the service's own user cannot use.

use super::StateError;
use std::path::Path;

const ADVICE: &str = "check that the folder exists and that this user may write there";

/// Makes the file if it is not there; nobody else can read it.
#[cfg(unix)]
pub(super) fn restrict(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let io = |e: std::io::Error| StateError::Io { path: path.to_owned(), message: explain(path, &e.to_string()) };
    match std::fs::metadata(path) {
        Ok(m) if m.permissions().mode() & 0o077 == 0 => Ok(()),
        // Not ours to change: reading and writing decide whether it can be used.
        Ok(_) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).or(Ok(())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(io)?;
            give_to_folder(path).map_err(io)
        }
        Err(e) => Err(io(e)),
    }
}

#[cfg(not(unix))]
pub(super) fn restrict(_path: &Path) -> Result<(), StateError> {
    Ok(())
}

/// What root makes in somebody's folder belongs to whom the folder belongs to. Others cannot give files away, and need not.
#[cfg(unix)]
pub(super) fn give_to_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let folder = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (file, folder) = (std::fs::metadata(path)?, std::fs::metadata(folder)?);
    if file.uid() == 0 && folder.uid() != 0 {
        std::os::unix::fs::chown(path, Some(folder.uid()), Some(folder.gid())).or(Ok(()))
    } else {
        Ok(())
    }
}

#[cfg(not(unix))]
pub(super) fn give_to_folder(_path: &Path) -> std::io::Result<()> {
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
