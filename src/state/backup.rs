//! Backup and restore of the whole store.

use super::whole::Place;
use super::{APPLICATION, Sql, StateError, Store, beside, highest, latest, owner};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a store holds, told with its backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds {
    /// Highest number of a cycle.
    pub cycle: i64,
    /// When the last cycle began (Unix second).
    pub last_cycle_at: Option<i64>,
    /// Live links, people and groups.
    pub links: u64,
    /// Size of the file, octets.
    pub bytes: u64,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What was put back.
    pub holds: Holds,
    /// Where the store that was there is kept.
    pub replaced: Option<PathBuf>,
    /// The next cycle's number is above this.
    pub cycles_above: i64,
}

/// Copies a store as it is at one moment; writers are not blocked. `to` is made, or replaced.
fn copy(from: &Path, to: &Path) -> Sql<()> {
    copy_into(&open_to_read(from)?, &mut Connection::open(to)?)
}

/// The same of the store at its place, also where its disk has no room left; `shown` is what the copy is called in errors.
pub(super) fn copy_of_store(state: &Path, to: &Path, shown: &Path) -> Result<(), StateError> {
    let from = super::reserve::lent(state, || open_to_read(state).map_err(|source| super::access(state, source)))?;
    let copied = Connection::open(to).and_then(|mut to| copy_into(&from, &mut to));
    copied.map_err(|source| {
        if super::finds_no_room(&source) {
            StateError::Sqlite { path: shown.to_owned(), source }
        } else {
            super::access(state, source)
        }
    })
}

/// Opens a store, and with it the index of its log, which takes a little room.
fn open_to_read(state: &Path) -> Sql<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let c = Connection::open_with_flags(state, flags)?;
    c.busy_timeout(Duration::from_secs(30))?;
    c.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(c)
}

/// In one step: one consistent moment. A step that finds the store busy has copied nothing.
fn copy_into(from: &Connection, to: &mut Connection) -> Sql<()> {
    rusqlite::backup::Backup::new(from, to)?.run_to_completion(i32::MAX, Duration::from_millis(20), None)
}

/// The version of the store's schema; 0 for an empty file.
///
/// # Errors
/// It is not ours, newer than this program, or cannot be read.
pub(super) fn version(c: &Connection, path: &Path) -> Result<i64, StateError> {
    let ask = || -> Sql<(i64, i64, i64)> {
        Ok((
            c.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?,
            c.pragma_query_value(None, "application_id", |r| r.get(0))?,
            c.pragma_query_value(None, "user_version", |r| r.get(0))?,
        ))
    };
    let (tables, application, version) = ask().map_err(|source| StateError::Sqlite { path: path.to_owned(), source })?;
    match (tables, application) {
        (0, _) => Ok(0),
        (_, APPLICATION) if version > latest() => Err(StateError::Newer { path: path.to_owned() }),
        (_, APPLICATION) => Ok(version),
        _ => Err(StateError::Foreign { path: path.to_owned() }),
    }
}

/// Everything reads back, and what belongs together is there.
fn check(c: &Connection, path: &Path) -> Result<(), StateError> {
    let wrap = |source| StateError::Sqlite { path: path.to_owned(), source };
    let said: String = c.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0)).map_err(wrap)?;
    if said != "ok" {
        return Err(StateError::Damaged { path: path.to_owned(), message: said });
    }
    let orphans = c.prepare("PRAGMA foreign_key_check").and_then(|mut st| st.exists([])).map_err(wrap)?;
    if orphans {
        return Err(StateError::Damaged { path: path.to_owned(), message: "rows that belong to others are alone".to_owned() });
    }
    Ok(())
}

fn holds(c: &Connection, path: &Path) -> Result<Holds, StateError> {
    let wrap = |source| StateError::Sqlite { path: path.to_owned(), source };
    Ok(Holds {
        cycle: highest::known(c).map_err(wrap)?,
        last_cycle_at: c.query_row("SELECT max(started) FROM cycle", [], |r| r.get(0)).map_err(wrap)?,
        links: c.query_row("SELECT count(*) FROM link WHERE gone = 0", [], |r| r.get(0)).map_err(wrap)?,
        bytes: std::fs::metadata(path).map_or(0, |m| m.len()),
    })
}

/// The folder that a file is, or will be, in.
fn folder(of: &Path) -> &Path {
    of.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file beside `file`, for its owner only.
fn draft(file: &Path) -> Result<tempfile::NamedTempFile, StateError> {
    tempfile::Builder::new().prefix(".scim-sync-").tempfile_in(folder(file)).map_err(|e| StateError::Io {
        path: file.to_owned(),
        message: owner::explain(file, &format!("a file cannot be made in {}: {e}", folder(file).display())),
    })
}

/// Puts a finished draft in its place, durably.
fn publish(draft: tempfile::NamedTempFile, file: &Path, replace: bool) -> Result<(), StateError> {
    let io = |e: std::io::Error| StateError::Io { path: file.to_owned(), message: e.to_string() };
    draft.as_file().sync_all().map_err(io)?;
    owner::give_file(draft.as_file(), file).map_err(io)?;
    let placed = if replace { draft.persist(file) } else { draft.persist_noclobber(file) };
    placed.map_err(|e| io(e.error))?;
    // The name, too, has to be on disk; not every file system can say so of a folder.
    if let Ok(dir) = std::fs::File::open(folder(file)) {
        let _ = dir.sync_all();
    }
    Ok(())
}

/// Writes a consistent copy of the store to `file` (one file, mode 0600), also while a cycle runs. What was written is
/// checked before it gets its name.
///
/// # Errors
/// There is no store, it is damaged, the file is there already (without `replace`) or cannot be written.
pub fn backup(state: &Path, file: &Path, replace: bool) -> Result<Holds, StateError> {
    if !state.exists() {
        return Err(StateError::Io { path: state.to_owned(), message: "there is none yet: no cycle has run".to_owned() });
    }
    if same_file(state, file) {
        return Err(StateError::Io { path: file.to_owned(), message: "this is the store itself; name another file".to_owned() });
    }
    let place = Place::of(file).map_err(|e| StateError::Io { path: file.to_owned(), message: e.to_string() })?;
    let draft = draft(&place.beside())?;
    let at = draft.path().to_owned();
    // What was copied is the store's: where it is damaged, the store is.
    let wrap = |source| super::said_of(file, Some(state), source);
    copy_of_store(state, &at, file)?;
    let c = Connection::open(&at).map_err(wrap)?;
    // One file, without a write-ahead log that could be left behind.
    c.pragma_update(None, "journal_mode", "DELETE").map_err(wrap)?;
    version(&c, state)?;
    check(&c, state)?;
    let mut holds = holds(&c, state)?;
    holds.bytes = std::fs::metadata(&at).map_or(0, |m| m.len());
    drop(c);
    match place {
        Place::File(file) => publish(draft, &file, replace)?,
        Place::Other(there) => {
            let io = |e: std::io::Error| StateError::Io { path: there.clone(), message: e.to_string() };
            let mut from = std::fs::File::open(&at).map_err(io)?;
            std::io::copy(&mut from, &mut std::fs::File::options().write(true).open(&there).map_err(io)?).map_err(io)?;
        }
    }
    Ok(holds)
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Puts a backup in the place of the store; the caller holds the cycle lock. The store that was there is kept beside it.
/// Cursors are dropped, the next cycle of each sync verifies, and cycle numbers go on above the highest that either used.
///
/// # Errors
/// The file is no state store, newer than this program, or damaged; there is no room. Then nothing has changed.
pub fn restore(state: &Path, file: &Path, now: jiff::Timestamp) -> Result<Restored, StateError> {
    if same_file(state, file) {
        return Err(StateError::Io { path: file.to_owned(), message: "this is the store itself; name a backup".to_owned() });
    }
    let draft = draft(state)?;
    let at = draft.path().to_owned();
    let from = open_backup(file)?;
    let wrap = |source| StateError::Sqlite { path: file.to_owned(), source };
    copy_into(&from, &mut Connection::open(&at).map_err(wrap)?).map_err(|e| not_a_store(file, e))?;
    drop(from);
    let mut made =
        Store { conn: Connection::open(&at).map_err(wrap)?, path: at.clone(), original: None, _scratch: None, reserve: None };
    made.conn.pragma_update(None, "journal_mode", "DELETE").map_err(wrap)?;
    check(&made.conn, file)?;
    made.conn.pragma_update(None, "foreign_keys", true).map_err(wrap)?;
    made.migrate(false)?;
    let mut holds = holds(&made.conn, &at)?;
    let above = cycles_above(state, &holds, now);
    made.transaction(|c| {
        highest::go_on_above(c, above)?;
        highest::mark_restored(c, now.as_second())
    })?;
    drop(made);
    holds.bytes = std::fs::metadata(&at).map_or(0, |m| m.len());
    let replaced = replace(state, draft, now)?;
    highest::write(state, above);
    Ok(Restored { holds, replaced, cycles_above: above })
}

/// Opens a backup for reading; the file and its folder need not be writable.
fn open_backup(file: &Path) -> Result<Connection, StateError> {
    let io = |e: std::io::Error| StateError::Io { path: file.to_owned(), message: e.to_string() };
    let whole = file.canonicalize().map_err(io)?;
    std::fs::File::open(&whole).map_err(io)?;
    let name: String = whole.to_string_lossy().chars().fold(String::new(), |mut all, c| {
        match c {
            '%' => all.push_str("%25"),
            '?' => all.push_str("%3f"),
            '#' => all.push_str("%23"),
            c => all.push(c),
        }
        all
    });
    // A write-ahead log beside it belongs to it; without one it is read as it stands.
    let fixed = if beside(&whole, "-wal").exists() { "" } else { "&immutable=1" };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let c = Connection::open_with_flags(format!("file:{name}?mode=ro{fixed}"), flags).map_err(|e| not_a_store(file, e))?;
    match version(&c, file) {
        Ok(0) => Err(StateError::Foreign { path: file.to_owned() }),
        Ok(_) => Ok(c),
        Err(StateError::Sqlite { source, .. }) => Err(not_a_store(file, source)),
        Err(e) => Err(e),
    }
}

fn not_a_store(file: &Path, source: rusqlite::Error) -> StateError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StateError::Foreign { path: file.to_owned() },
        _ => StateError::Sqlite { path: file.to_owned(), source },
    }
}

/// The highest number that the backup, the store in its place, or the note beside it knows of. Where the last two are
/// missing nobody knows what ran since: there was less than one cycle a second.
fn cycles_above(state: &Path, backup: &Holds, now: jiff::Timestamp) -> i64 {
    let noted = highest::read(state);
    let there = readable(state).and_then(|c| highest::known(&c).ok()).unwrap_or(0);
    if noted > 0 || there > 0 {
        return backup.cycle.max(noted).max(there);
    }
    let since = backup.last_cycle_at.map_or(0, |at| now.as_second().saturating_sub(at).max(0));
    backup.cycle.saturating_add(since)
}

/// The store that is there, if SQLite can work with it.
fn readable(state: &Path) -> Option<Connection> {
    if !state.exists() {
        return None;
    }
    let c = Connection::open(state).ok()?;
    c.busy_timeout(Duration::from_secs(30)).ok()?;
    let said: String = c.query_row("PRAGMA quick_check(1)", [], |r| r.get(0)).ok()?;
    (said == "ok").then_some(c)
}

/// Puts the draft in the place of the store and keeps what was there.
fn replace(state: &Path, draft: tempfile::NamedTempFile, now: jiff::Timestamp) -> Result<Option<PathBuf>, StateError> {
    let kept = dated(state, now);
    let io = |e: std::io::Error| StateError::Io { path: kept.clone(), message: e.to_string() };
    if !state.exists() {
        // The log of a store that was lost: SQLite would play it onto what comes in its place.
        put_log_aside(state, &kept).map_err(io)?;
        publish(draft, state, false)?;
        return Ok(None);
    }
    let Some(mut there) = readable(state) else {
        // Damaged: whatever is there is kept as it is, with its log.
        std::fs::rename(state, &kept).map_err(io)?;
        put_log_aside(state, &kept).map_err(io)?;
        publish(draft, state, false)?;
        return Ok(Some(kept));
    };
    owner::restrict(&kept)?;
    copy(state, &kept).map_err(|source| StateError::Sqlite { path: kept.clone(), source })?;
    // Into the file that is there, in one transaction: whoever has it open (the daemon between two cycles) sees the new one.
    let wrap = |source| StateError::Sqlite { path: state.to_owned(), source };
    let from = Connection::open(draft.path()).map_err(wrap)?;
    copy_into(&from, &mut there).map_err(wrap)?;
    Ok(Some(kept))
}

/// The log goes with the store that it belongs to; its index is made anew where it is needed.
fn put_log_aside(state: &Path, kept: &Path) -> std::io::Result<()> {
    let absent = |e: std::io::Error| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) };
    std::fs::rename(beside(state, "-wal"), beside(kept, "-wal")).or_else(absent)?;
    std::fs::remove_file(beside(state, "-shm")).or_else(absent)
}

/// `state.db.replaced-20260521T101500Z`; a number behind it where that is taken.
fn dated(state: &Path, now: jiff::Timestamp) -> PathBuf {
    let name = format!(".replaced-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let first = beside(state, &name);
    let taken = |p: &Path| p.exists() || beside(p, "-wal").exists();
    (2..).map(|n| beside(state, &format!("{name}-{n}"))).find(|p| !taken(p)).filter(|_| taken(&first)).unwrap_or(first)
}
