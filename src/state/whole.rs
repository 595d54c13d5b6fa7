//! Files that a command is told to write: whole or not at all, and in the place of nothing but a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Symbolic links that are followed, as many as the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To a file, or to nothing yet: a whole new one may get this name, which is no symbolic link.
    File(PathBuf),
    /// To a device or a pipe: what is there stays there, and is written to.
    Other(PathBuf),
}

impl Place {
    /// Looks what is there, through symbolic links.
    ///
    /// # Errors
    /// It is a folder, or may not be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        match std::fs::metadata(path) {
            Ok(m) if m.is_dir() => Err(io::Error::other("is a folder")),
            Ok(m) if m.is_file() => Ok(Self::File(path.canonicalize()?)),
            Ok(_) => Ok(Self::Other(path.to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::File(end_of(path))),
            Err(e) => Err(e),
        }
    }

    /// A name beside which a draft can be made.
    #[must_use]
    pub fn beside(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Other(_) => std::env::temp_dir().join("draft"),
        }
    }
}

/// Where symbolic links to nothing end.
fn end_of(path: &Path) -> PathBuf {
    let mut at = path.to_owned();
    for _ in 0..LINKS {
        let Ok(next) = std::fs::read_link(&at) else { break };
        at = folder(&at).join(next);
    }
    at
}

fn folder(of: &Path) -> &Path {
    of.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file in the making, for its owner only.
#[derive(Debug)]
pub struct Draft(Drafted);

#[derive(Debug)]
enum Drafted {
    /// Beside the place that it gets in the end.
    Beside(BufWriter<NamedTempFile>, PathBuf),
    /// What is there is no file: it is written to.
    Through(BufWriter<File>),
}

impl Draft {
    /// Begins what is to stand at `path` in the end.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self(match Place::of(path)? {
            Place::File(path) => Drafted::Beside(BufWriter::new(NamedTempFile::new_in(folder(&path))?), path),
            Place::Other(path) => Drafted::Through(BufWriter::new(File::options().write(true).open(path)?)),
        }))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// It cannot be written to its end. Then what was there before is there still, but for a device or a pipe.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Drafted::Beside(w, path) => {
                let file = w.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.persist(path).map(drop).map_err(|e| e.error)
            }
            Drafted::Through(mut w) => w.flush(),
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Drafted::Beside(w, _) => w.write(bytes),
            Drafted::Through(w) => w.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Drafted::Beside(w, _) => w.flush(),
            Drafted::Through(w) => w.flush(),
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, symlink};

    fn put(path: &Path, text: &str) -> io::Result<()> {
        let mut draft = Draft::at(path)?;
        draft.write_all(text.as_bytes())?;
        draft.finish()
    }

    #[test]
    fn a_file_is_replaced_whole_and_by_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        put(&at("plan"), "one").unwrap();
        symlink("plan", at("link")).unwrap();
        put(&at("link"), "two").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read_to_string(at("plan")).unwrap(), "two");
        // A link to nothing makes what it leads to.
        symlink("new", at("loose")).unwrap();
        put(&at("loose"), "three").unwrap();
        assert!(at("loose").is_symlink() && !at("new").is_symlink());
        assert_eq!(std::fs::read_to_string(at("new")).unwrap(), "three");
        // What is not finished changes nothing.
        Draft::at(&at("plan")).unwrap().write_all(b"half").unwrap();
        assert_eq!(std::fs::read_to_string(at("plan")).unwrap(), "two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
        assert!(put(dir.path(), "x").is_err());
    }

    #[test]
    fn a_pipe_or_a_device_is_written_to_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reading = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe).unwrap()
        });
        put(&pipe, "through").unwrap();
        assert_eq!(reading.join().unwrap(), "through");
        assert!(std::fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        // A link to a device: written to as well, and what it says is told.
        let full = dir.path().join("full");
        symlink("/dev/full", &full).unwrap();
        assert_eq!(put(&full, "x").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(full.is_symlink() && !std::fs::metadata("/dev/full").unwrap().is_file());
    }
}
