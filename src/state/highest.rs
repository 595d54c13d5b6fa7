//! The highest cycle number ever used, in a small file beside the store. The store knows it too; where it knows less, its
//! file was put back from somewhere, or it is a new one in the place of a lost one. No number is used twice, and a store
//! that was put back does not trust its cursors.

use super::{Sql, StateError, Store, beside};
use rusqlite::{Connection, params};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// Notes a number. Only a help: a cycle does not fail where it cannot be written.
pub(super) fn write(state: &Path, cycle: i64) {
    // Cycles may begin side by side: the higher number stays.
    if read(state) >= cycle {
        return;
    }
    let path = beside(state, ".cycle");
    if let Err(e) = put(&path, cycle) {
        tracing::debug!(path = %path.display(), "the number of the cycle is not noted: {e}");
    }
}

/// By a new file that gets the name: what has it now may lead elsewhere.
fn put(path: &Path, cycle: i64) -> std::io::Result<()> {
    let folder = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".scim-sync-").tempfile_in(folder)?;
    writeln!(file, "{cycle}")?;
    super::owner::give_file(file.as_file(), path)?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

/// The noted number; 0 where there is none, or none that can be read.
pub(super) fn read(state: &Path) -> i64 {
    let mut text = String::new();
    // A number is short, whatever was put there.
    let read = super::owner::open_beside(File::options().read(true), &beside(state, ".cycle"))
        .and_then(|file| file.take(32).read_to_string(&mut text));
    if read.is_err() {
        return 0;
    }
    text.trim().parse().unwrap_or(0)
}

/// The highest number that the store itself knows of.
pub(super) fn known(c: &Connection) -> Sql<i64> {
    c.query_row("SELECT coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'cycle'), 0)", [], |r| r.get(0))
}

/// Numbers go on above `cycle`.
pub(super) fn go_on_above(c: &Connection, cycle: i64) -> Sql<()> {
    if c.execute("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'cycle'", [cycle])? == 0 {
        c.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('cycle', ?1)", [cycle])?;
    }
    Ok(())
}

/// Cursors are dropped, and the next cycle of each sync verifies.
pub(super) fn mark_restored(c: &Connection, now: i64) -> Sql<usize> {
    c.execute("UPDATE sync SET cursor = NULL, restored_at = ?1", params![now])
}

impl Store {
    /// Notices that the file at `state` is older than what ran on it (a backup copied back by hand), or new in the place of
    /// a lost one. `noted`: the number beside it, read before this connection sees the store, as the number is written
    /// after the cycle is in the store.
    pub(super) fn notice_put_back(&mut self, state: &Path, noted: i64) -> Result<(), StateError> {
        let known = self.run(known)?;
        if noted <= known {
            return Ok(());
        }
        let now = jiff::Timestamp::now().as_second();
        let syncs = self.transaction(|c| {
            go_on_above(c, noted)?;
            mark_restored(c, now)
        })?;
        if syncs == 0 {
            tracing::warn!(
                path = %state.display(),
                "the state store is new, though cycle {noted} ran here: accounts are matched again by the rules of [sync.match]"
            );
        } else {
            tracing::warn!(
                path = %state.display(),
                "the state store knows cycles up to {known}, and cycle {noted} ran here: it was put back from a backup. The next cycle reads everything and verifies"
            );
        }
        Ok(())
    }
}
