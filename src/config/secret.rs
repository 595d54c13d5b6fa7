//! Secrets by reference: systemd credential, file, environment variable. Read when needed, and again when the file changed.

use secrecy::SecretString;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Where a secret is. The value is read when it is needed, and again when the file changed.
#[derive(Clone)]
pub enum Secret {
    /// `{ credential = "name" }`: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `{ file = "path" }`: refused when others can read it.
    File(PathBuf),
    /// `{ env = "NAME" }`.
    Env(String),
    /// A literal, only with `allow_plaintext_secrets = true`.
    Plain(SecretString),
}

/// Why a secret cannot be had. Never contains the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

/// Identity of what was read: another stamp means that it must be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamp {
    /// Cannot change while the process runs (environment, literal).
    Constant,
    /// A file, as the file system knew it.
    File {
        /// Device and inode: a file put in the place of the old one is another.
        identity: (u64, u64),
        /// Bytes.
        size: u64,
        /// Last modification.
        modified: Option<SystemTime>,
    },
    /// Nothing is there.
    Missing,
}

/// Largest secret: private keys are a few kilobytes, everything else is far smaller.
const MAX_BYTES: u64 = 64 * 1024;

impl Secret {
    /// Reads the secret as it is now; one trailing newline is dropped.
    ///
    /// # Errors
    /// The credential, file or variable is missing, empty, or readable by others.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        self.read_stamped().map(|(value, _)| value)
    }

    /// Whether the secret seems to be there, without reading it. A credential that systemd hands to the
    /// service cannot be seen by hand: whoever looks by hand is told so, as of a variable of the environment.
    ///
    /// # Errors
    /// The file is missing or readable by others, the variable is not set, or there is no folder of credentials.
    pub fn inspect(&self) -> Result<(), SecretError> {
        let path = match self {
            Self::Plain(_) => return Ok(()),
            Self::Env(name) if std::env::var_os(name).is_none() => return Err(SecretError(format!("{self:?} is not set"))),
            Self::Env(_) => return Ok(()),
            Self::File(path) => path.clone(),
            Self::Credential(_) => match self.path()? {
                Some(path) => path,
                None => return Ok(()),
            },
        };
        let metadata = std::fs::metadata(path).map_err(|e| SecretError(format!("{self:?} cannot be read: {e}")))?;
        self.judge(&metadata)
    }

    /// Why a secret that is there is none whoever runs this: there is nothing in it. What cannot be read is not judged.
    #[must_use]
    pub fn emptiness(&self) -> Option<String> {
        let is_empty = match self {
            Self::Plain(_) => false,
            Self::Env(name) => std::env::var_os(name).is_some_and(|value| value.is_empty()),
            Self::File(_) | Self::Credential(_) => {
                let path = self.path().ok().flatten()?;
                // The rest of it is not looked at: a line end is all that an empty one can hold.
                let metadata = std::fs::metadata(&path).ok().filter(|m| m.is_file() && m.len() <= 2)?;
                metadata.len() == 0 || std::fs::read(&path).is_ok_and(|held| held == b"\n" || held == b"\r\n")
            }
        };
        is_empty.then(|| format!("{self:?} is empty"))
    }

    /// What is to be done where it cannot be had.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Credential(name) => format!("the unit needs LoadCredential={name}:PATH or LoadCredentialEncrypted={name}:PATH"),
            Self::File(_) => "write the secret into this file, and let only the user of the service read it".to_owned(),
            Self::Env(name) => format!("set {name} where the service is started; it is read once, at the start"),
            Self::Plain(_) => String::new(),
        }
    }

    /// Whether what would be read now is something else than what was read at `stamp`.
    #[must_use]
    pub fn changed_since(&self, stamp: &Stamp) -> bool {
        self.stamp() != *stamp
    }

    /// When the file that holds it was last written, where one does.
    #[must_use]
    pub fn written(&self) -> Option<SystemTime> {
        match self {
            Self::File(path) => std::fs::metadata(path).ok()?.modified().ok(),
            // systemd writes credentials anew at every start; the others have no file.
            Self::Credential(_) | Self::Env(_) | Self::Plain(_) => None,
        }
    }

    /// Identity of what would be read now.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        match self.path() {
            Ok(None) => Stamp::Constant,
            Ok(Some(path)) => std::fs::metadata(path).map_or(Stamp::Missing, |m| file_stamp(&m)),
            Err(_) => Stamp::Missing,
        }
    }

    /// The file that holds the secret, if one does.
    ///
    /// # Errors
    /// A credential, and no folder of credentials.
    pub fn path(&self) -> Result<Option<PathBuf>, SecretError> {
        match self {
            Self::File(path) => Ok(Some(path.clone())),
            Self::Env(_) | Self::Plain(_) => Ok(None),
            Self::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(dir) if !dir.is_empty() => Ok(Some(Path::new(&dir).join(name))),
                _ => Err(SecretError(format!(
                    "{self:?}: $CREDENTIALS_DIRECTORY is not set; systemd sets it for units with \
                     LoadCredential={name}:... or LoadCredentialEncrypted=; by hand, use a file or an environment variable"
                ))),
            },
        }
    }

    fn read_stamped(&self) -> Result<(SecretString, Stamp), SecretError> {
        let (text, stamp) = match self {
            Self::Plain(value) => return Ok((value.clone(), Stamp::Constant)),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => (text, Stamp::Constant),
                Err(std::env::VarError::NotPresent) => return Err(SecretError(format!("{self:?} is not set"))),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError(format!("{self:?} is not UTF-8"))),
            },
            Self::File(_) | Self::Credential(_) => {
                let path = self.path()?.ok_or_else(|| SecretError(format!("{self:?} has no file")))?;
                self.read_file(&path)?
            }
        };
        let value = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        if value.is_empty() {
            return Err(SecretError(format!("{self:?} is empty")));
        }
        Ok((SecretString::from(value), stamp))
    }

    fn read_file(&self, path: &Path) -> Result<(String, Stamp), SecretError> {
        let unreadable = |e: std::io::Error| SecretError(format!("{self:?} cannot be read: {e}"));
        // Looked at before it is opened, because opening a pipe would wait for its other end.
        self.judge(&std::fs::metadata(path).map_err(unreadable)?)?;
        let file = File::open(path).map_err(unreadable)?;
        // And after, because what is opened is what counts.
        let metadata = file.metadata().map_err(unreadable)?;
        self.judge(&metadata)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SecretError(format!("{self:?} is larger than {} KiB: that is not a secret", MAX_BYTES / 1024)));
        }
        let text = String::from_utf8(bytes).map_err(|_| SecretError(format!("{self:?} is not UTF-8")))?;
        Ok((text, file_stamp(&metadata)))
    }

    /// Why a secret that is there is not taken whoever runs this: others can read its file.
    pub fn exposed(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let metadata = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        self.judge(&metadata).err().map(|e| e.to_string())
    }

    /// Refuses what is not a file, and a file that group or others can read. A systemd credential is not judged by its
    /// mode: systemd protects the folder, and shows its access list as group bits.
    fn judge(&self, metadata: &Metadata) -> Result<(), SecretError> {
        if !metadata.is_file() {
            return Err(SecretError(format!("{self:?} is not a regular file")));
        }
        #[cfg(unix)]
        if let Self::File(path) = self {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(SecretError(format!(
                    "{self:?} can be read or written by others (mode {mode:04o}): chmod 600 {}",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn file_stamp(metadata: &Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    Stamp::File { identity: (metadata.dev(), metadata.ino()), size: metadata.len(), modified: metadata.modified().ok() }
}

#[cfg(not(unix))]
fn file_stamp(metadata: &Metadata) -> Stamp {
    Stamp::File { identity: (0, 0), size: metadata.len(), modified: metadata.modified().ok() }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Credential(n) => write!(f, "credential {n}"),
            Self::File(p) => write!(f, "file {}", p.display()),
            Self::Env(n) => write!(f, "environment variable {n}"),
            Self::Plain(_) => f.write_str("plain text"),
        }
    }
}

/// A secret kept in memory for as long as its file stays the same. Shared between threads.
pub struct SecretCell {
    secret: Secret,
    cached: Mutex<Option<(SecretString, Stamp)>>,
}

impl SecretCell {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self { secret, cached: Mutex::new(None) }
    }

    /// Where the secret is.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The secret; read again if its file changed since the last time.
    ///
    /// # Errors
    /// As [`Secret::read`].
    pub fn get(&self) -> Result<SecretString, SecretError> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some((value, stamp)) if !self.secret.changed_since(stamp) => Ok(value.clone()),
            _ => self.refill(&mut cached),
        }
    }

    /// The secret, read now in any case: what a 401 asks for.
    ///
    /// # Errors
    /// As [`Secret::read`].
    pub fn reload(&self) -> Result<SecretString, SecretError> {
        self.refill(&mut self.cached.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A value that cannot be read any more is forgotten: whoever took the file away meant it.
    fn refill(&self, cached: &mut Option<(SecretString, Stamp)>) -> Result<SecretString, SecretError> {
        *cached = None;
        let (value, stamp) = self.secret.read_stamped()?;
        *cached = Some((value.clone(), stamp));
        Ok(value)
    }
}

impl std::fmt::Debug for SecretCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.secret.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Secret, SecretCell};
    use secrecy::{ExposeSecret, SecretString};
    use std::path::{Path, PathBuf};

    fn write(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn one_trailing_newline_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        for (text, expected) in
            [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("abc\n\n", "abc\n"), (" abc ", " abc "), ("a\nb\n", "a\nb")]
        {
            let secret = Secret::File(write(dir.path(), "s", text, 0o600));
            assert_eq!(secret.read().unwrap().expose_secret(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_empty_secret_is_told_before_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        for (text, empty) in [("", true), ("\n", true), ("\r\n", true), (" ", false), ("ab", false), ("a\n", false)] {
            let secret = Secret::File(write(dir.path(), "s", text, 0o600));
            assert_eq!(secret.emptiness().is_some(), empty, "{text:?}");
            assert_eq!(secret.read().is_err(), empty, "{text:?}");
        }
        assert!(Secret::File(dir.path().join("absent")).emptiness().is_none());
    }

    #[test]
    fn files_that_others_can_read_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o644, 0o620, 0o610, 0o660] {
            let error = Secret::File(write(dir.path(), "s", "hunter2", mode)).read().unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for mode in [0o600, 0o400, 0o700] {
            assert!(Secret::File(write(dir.path(), &format!("t{mode}"), "x", mode)).read().is_ok());
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "\n", "\r\n"] {
            let error = Secret::File(write(dir.path(), "s", text, 0o600)).read().unwrap_err();
            assert!(error.0.contains("is empty"), "{error}");
        }
        assert!(Secret::File(dir.path().to_owned()).read().unwrap_err().0.contains("not a regular file"));
        assert!(Secret::File(dir.path().join("absent")).read().unwrap_err().0.contains("cannot be read"));
        assert!(Secret::File("/dev/zero".into()).read().unwrap_err().0.contains("not a regular file"));
        let large = write(dir.path(), "large", &"x".repeat(70_000), 0o600);
        assert!(Secret::File(large).read().unwrap_err().0.contains("larger than"));
        let path = write(dir.path(), "bytes", "", 0o600);
        std::fs::write(&path, [0xff, 0xfe, 0x41]).unwrap();
        assert!(Secret::File(path).read().unwrap_err().0.contains("not UTF-8"));
        assert!(Secret::Env("SCIM_SYNC_TEST_NOT_SET".into()).read().unwrap_err().0.contains("is not set"));
    }

    /// Tests are no unit of systemd: there is no folder of credentials.
    #[test]
    fn a_look_by_hand_says_what_it_cannot_see() {
        for secret in [Secret::Credential("app".into()), Secret::Env("SCIM_SYNC_TEST_NOT_SET".into())] {
            assert!(secret.inspect().unwrap_err().0.contains("is not set"), "{secret:?}");
        }
    }

    #[test]
    fn a_cell_follows_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "s", "one", 0o600);
        let cell = SecretCell::new(Secret::File(path.clone()));
        assert_eq!(cell.get().unwrap().expose_secret(), "one");
        // Put in its place, as a careful writer does: same length, another inode.
        let next = write(dir.path(), "s.new", "two", 0o600);
        std::fs::rename(next, &path).unwrap();
        assert_eq!(cell.get().unwrap().expose_secret(), "two");
        write(dir.path(), "s", "three", 0o600);
        assert_eq!(cell.get().unwrap().expose_secret(), "three");
        std::fs::remove_file(&path).unwrap();
        assert!(cell.get().is_err());
        write(dir.path(), "s", "four", 0o600);
        assert_eq!(cell.reload().unwrap().expose_secret(), "four");
        assert_eq!(cell.get().unwrap().expose_secret(), "four");
    }

    #[test]
    fn debug_never_shows_the_value() {
        let secret = Secret::Plain(SecretString::from("hunter2"));
        let cell = SecretCell::new(secret.clone());
        assert_eq!(cell.get().unwrap().expose_secret(), "hunter2");
        assert_eq!(format!("{secret:?} {cell:?}"), "plain text plain text");
    }
}
