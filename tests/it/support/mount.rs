//! A small file system of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A tmpfs; unmounted when dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// `None` where nothing can be mounted (no root); says so.
    #[allow(clippy::print_stderr)]
    pub fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        if mount.is_ok_and(|s| s.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }

    /// Mounts it again with other options (`size=..`, `ro`, `rw`).
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }

    /// Octets in use, as the size of its files in whole pages.
    pub fn used(&self) -> u64 {
        let files = std::fs::read_dir(&self.0).unwrap();
        files.map(|f| f.unwrap().metadata().unwrap().len().div_ceil(4096) * 4096).sum()
    }

    /// Leaves so many octets free.
    pub fn leave_free(&self, octets: u64) {
        self.remount(&format!("size={}", self.used() + octets));
    }

    /// Takes what is free, by a file that is in the way; how much that was.
    pub fn fill(&self) -> u64 {
        use std::io::Write as _;
        let mut file = std::fs::File::options().create(true).append(true).open(self.0.join("in-the-way")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        file.metadata().unwrap().len()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
