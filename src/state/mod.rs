//! The state store: one SQLite file, one writer. No SQL stands outside this folder.
//!
//! A [`Store`] is one connection and blocks; async code runs it on a blocking thread. Durability: WAL with
//! `synchronous = FULL`, so a committed intent survives a power cut.

pub mod accounts;
mod addresses;
pub mod backup;
mod change;
mod doubt;
pub mod entries;
mod groups;
pub mod hash;
pub mod held;
mod highest;
pub mod intents;
pub mod journal;
pub mod known;
pub mod link_list;
pub mod links;
pub mod lock;
pub mod members;
pub mod merge;
pub mod migration;
mod owner;
pub mod parked;
pub mod plan_drift;
mod plan_guard;
pub mod plan_rows;
pub mod plan_summary;
pub mod prune;
pub mod references;
pub mod rehire;
pub mod relink;
pub mod remote;
mod reserve;
pub mod scope;
mod scratch;
pub mod service;
pub mod standing;
pub mod syncs;
mod tally;
pub mod undo;
pub mod who;
pub mod whole;

use crate::model::ObjectKind;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite_migration::{M, Migrations};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What tells a state store from any other SQLite database (`PRAGMA application_id`).
const APPLICATION: i64 = 0x5343_494d;

const MIGRATIONS: &[M<'static>] = &[M::up(include_str!("sql/0001_init.sql"))];

/// Why the state store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// SQLite said no.
    #[error("state store {path}: {source}{}", hint(.source))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The store was written by a newer version.
    #[error(
        "state store {path}: it was written by a newer version of scim-sync; install that version, or restore the backup beside it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// A file of something else.
    #[error("state store {path}: this file is no state store of scim-sync; check its name")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be used.
    #[error("state store {path}: {message}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// A row cannot be understood.
    #[error("state store {path}: {message}; the file is damaged: restore a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        message: String,
    },
    /// There is hardly any room: nothing but what takes somebody out is written.
    #[error(
        "state store {path}: the disk is full, or nearly so (make room; nothing was lost): whoever left is taken out, and everything else waits"
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
    },
    /// Another service holds the store.
    #[error("another `scim-sync run` serves {path}: stop that one first, or give this one a state store of its own")]
    Served {
        /// The state store.
        path: PathBuf,
    },
    /// Another process holds the cycle lock.
    #[error("another scim-sync is at work on {path}; wait for it, or use --wait")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

fn hint(e: &rusqlite::Error) -> &'static str {
    match e.sqlite_error_code() {
        _ if is_damage(e) => " (the file is damaged: restore a backup)",
        _ if finds_no_room(e) => " (the disk is full: make room; nothing was lost)",
        Some(rusqlite::ErrorCode::SystemIoFailure) => " (the disk or its driver refuses: look at the system's log)",
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::PermissionDenied) => {
            " (check that the folder exists and that this user may write there)"
        }
        _ => "",
    }
}

/// Whether the file is not what we wrote.
fn is_damage(e: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    // We wrote it as what we read it as.
    matches!(e, E::FromSqlConversionFailure(..) | E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..) | E::Utf8Error(..))
        || matches!(e.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt))
}

/// The index of the write-ahead log is the first that finds no room.
fn finds_no_room(e: &rusqlite::Error) -> bool {
    let index = e.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    index || e.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

impl StateError {
    /// Whether the disk is full.
    #[must_use]
    pub fn no_room(&self) -> bool {
        matches!(self, Self::NoRoom { .. }) || matches!(self, Self::Sqlite { source, .. } if finds_no_room(source))
    }

    /// The kind of fault.
    #[must_use]
    pub fn fault(&self) -> crate::model::Fault {
        match self {
            Self::Locked { .. } | Self::Served { .. } => crate::model::Fault::Transient,
            _ => crate::model::Fault::Permanent,
        }
    }
}

/// Result of a state operation inside this folder; [`Store::run`] adds the path.
pub type Sql<T> = rusqlite::Result<T>;

/// One connection to the state store.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    path: PathBuf,
    /// The store that this is a private copy of.
    original: Option<PathBuf>,
    /// Keeps a scratch copy's folder alive.
    _scratch: Option<scratch::Scratch>,
    /// Room set aside beside it; a private copy has none. Behind the connection, which frees room when it goes.
    reserve: Option<reserve::Reserve>,
}

/// For how long another writer is waited for. A cycle's longest transaction works out everybody anew; `approve` beside it
/// waits that long.
const BUSY: Duration = Duration::from_secs(300);

/// Number of a kind in the tables.
#[must_use]
pub(crate) fn kind_no(kind: ObjectKind) -> i64 {
    match kind {
        ObjectKind::User => 0,
        ObjectKind::Group => 1,
    }
}

/// Kind of a number in the tables.
#[must_use]
pub(crate) fn kind_of(no: i64) -> ObjectKind {
    if no == 1 { ObjectKind::Group } else { ObjectKind::User }
}

impl Store {
    /// Opens or makes the store and brings its schema up to date, with a backup beside it before each migration.
    ///
    /// # Errors
    /// The file cannot be opened, is damaged, or is newer than this program.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.exists()) {
            return Err(StateError::Io {
                path: path.to_owned(),
                message: format!("the folder {} does not exist; create it for this user with mode 0700", dir.display()),
            });
        }
        reserve::opened(path, || Self::open_here(path))
    }

    fn open_here(path: &Path) -> Result<Self, StateError> {
        owner::restrict(path)?;
        let wrap = |source| access(path, source);
        let conn = Connection::open(path).map_err(wrap)?;
        let reserve = Some(reserve::Reserve::of(path));
        let mut store = Self { conn, path: path.to_owned(), original: None, _scratch: None, reserve };
        // Before anything is set: what is not ours stays as it is, to the octet.
        backup::version(&store.conn, path).map_err(|e| match e {
            StateError::Sqlite { source, .. } => wrap(source),
            other => other,
        })?;
        store.prepare(true).map_err(wrap)?;
        store.migrate(true)?;
        store.notice_put_back(path, highest::read(path))?;
        store.temp_tables().map_err(wrap)?;
        // Root has looked: the service's own user still has to be able to take the lock.
        let _ = owner::give_to_folder(&path.with_extension("db.lock"));
        Ok(store)
    }

    /// Opens an existing store for looking; `None` where there is none yet.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Self>, StateError> {
        if path.exists() { Self::open(path).map(Some) } else { Ok(None) }
    }

    /// A private copy of the store in a temporary folder (or an empty one where there is none yet): what `plan` works
    /// on, so that it cannot store anything. The copy is one consistent moment and does not block writers.
    ///
    /// # Errors
    /// The store cannot be read or the copy cannot be written.
    pub fn scratch(path: &Path) -> Result<Self, StateError> {
        let io = |e: std::io::Error| StateError::Io { path: path.to_owned(), message: format!("no temporary folder: {e}") };
        let wrap = |source| access(path, source);
        let dir = scratch::Scratch::new().map_err(io)?;
        let copy = dir.path().join("state.db");
        // Before the copy: what ran on after it is no sign that the store was put back.
        let noted = highest::read(path);
        if path.exists() {
            backup::copy_of_store(path, &copy, &copy)?;
        }
        let conn = Connection::open(&copy).map_err(wrap)?;
        let mut store = Self { conn, path: copy, original: Some(path.to_owned()), _scratch: Some(dir), reserve: None };
        store.prepare(false).map_err(wrap)?;
        store.migrate(false)?;
        store.notice_put_back(path, noted)?;
        store.temp_tables().map_err(wrap)?;
        Ok(store)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `f` in one immediate transaction.
    ///
    /// # Errors
    /// What `f` or the commit says.
    pub fn transaction<T>(&mut self, f: impl FnOnce(&Connection) -> Sql<T>) -> Result<T, StateError> {
        let (path, original) = (self.path.clone(), self.original.clone());
        let wrap = |source| said_of(&path, original.as_deref(), source);
        let tx = self.conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(wrap)?;
        let out = f(&tx).map_err(wrap)?;
        tx.commit().map_err(wrap)?;
        Ok(out)
    }

    /// Runs `f`, which calls other methods of the store, in one immediate transaction.
    ///
    /// # Errors
    /// What `f` or the commit says; then nothing of it happened.
    pub fn in_transaction<T, E: From<StateError>>(&mut self, f: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        self.run(|c| c.execute_batch("BEGIN IMMEDIATE"))?;
        match f(self) {
            Ok(out) => {
                self.run(|c| c.execute_batch("COMMIT"))?;
                Ok(out)
            }
            Err(e) => {
                // The first error is the one to tell; a failing rollback ends with the connection anyway.
                let _ = self.run(|c| c.execute_batch("ROLLBACK"));
                Err(e)
            }
        }
    }

    /// Runs `f` outside a transaction of its own (reads, temporary tables).
    ///
    /// # Errors
    /// What `f` says.
    pub fn run<T>(&self, f: impl FnOnce(&Connection) -> Sql<T>) -> Result<T, StateError> {
        f(&self.conn).map_err(|source| said_of(&self.path, self.original.as_deref(), source))
    }

    /// An error about a row that cannot be understood.
    #[must_use]
    pub fn damaged(&self, message: impl Into<String>) -> StateError {
        StateError::Damaged { path: self.original.as_ref().unwrap_or(&self.path).clone(), message: message.into() }
    }

    fn prepare(&self, durable: bool) -> Sql<()> {
        // SQLite's own `lower` knows the letters of ASCII only: "Отдел" would never be found in another letter case.
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        self.conn.create_scalar_function("fold", 1, flags, |c| Ok(c.get::<Option<String>>(0)?.map(|t| t.to_lowercase())))?;
        // What a reason says is said in one place.
        let protects = |c: &Context<'_>| Ok(c.get::<Option<String>>(0)?.is_some_and(|why| crate::plan::held::is_protected(&why)));
        self.conn.create_scalar_function("is_protected", 1, flags, protects)?;
        self.conn.busy_timeout(BUSY)?;
        // Has to come before the first page is written; an existing store keeps what it was made with.
        self.conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        self.conn.pragma_update(None, "journal_mode", if durable { "WAL" } else { "OFF" })?;
        self.conn.pragma_update(None, "synchronous", if durable { "FULL" } else { "OFF" })?;
        self.conn.pragma_update(None, "foreign_keys", true)?;
        // Damage is noticed when a page is read, and not when a cell of it happens to be.
        self.conn.pragma_update(None, "cell_size_check", true)?;
        // Negative: KiB. Small on purpose: memory must not grow with the directory.
        self.conn.pragma_update(None, "cache_size", -8000)?;
        self.conn.pragma_update(None, "temp_store", 1)?;
        // Pages that change again and again (indexes of random ids) go to the file less often.
        self.conn.pragma_update(None, "wal_autocheckpoint", reserve::LOG_PAGES)?;
        self.conn.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
        self.conn.set_prepared_statement_cache_capacity(96);
        Ok(())
    }

    fn migrate(&mut self, keep_copy: bool) -> Result<(), StateError> {
        backup::version(&self.conn, self.original.as_ref().unwrap_or(&self.path))?;
        self.migrate_by(MIGRATIONS, keep_copy)
    }

    /// Each migration is a transaction; before the first one a copy is made.
    fn migrate_by(&mut self, migrations: &[M<'_>], keep_copy: bool) -> Result<(), StateError> {
        let path = self.path.clone();
        let wrap = |source| StateError::Sqlite { path: path.clone(), source };
        let version: i64 = self.conn.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(wrap)?;
        let latest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
        if version == latest {
            return Ok(());
        }
        if version > 0 && keep_copy {
            let backup = beside(&path, &format!(".before-v{latest}"));
            // Made before it is written, so that nobody else can read it at any moment.
            owner::restrict(&backup)?;
            self.conn.backup("main", &backup, None).map_err(wrap)?;
        }
        Migrations::from_slice(migrations).to_latest(&mut self.conn).map_err(|e| match e {
            rusqlite_migration::Error::RusqliteError { err, .. } => StateError::Sqlite { path: path.clone(), source: err },
            other => StateError::Io { path: path.clone(), message: format!("migration failed: {other}") },
        })
    }

    fn temp_tables(&self) -> Sql<()> {
        self.conn.execute_batch(include_str!("sql/temp.sql"))?;
        self.conn.pragma_update(Some("temp"), "cache_size", -4000)
    }
}

/// Number of the newest schema.
fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// A file beside the store: its name with something behind it.
fn beside(state: &Path, suffix: &str) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What SQLite said: of a copy it is the original that is damaged.
fn said_of(path: &Path, original: Option<&Path>, source: rusqlite::Error) -> StateError {
    let path = original.filter(|_| is_damage(&source)).unwrap_or(path).to_owned();
    StateError::Sqlite { path, source }
}

/// What SQLite said when the file was opened; whose file it is, where that may be the reason.
fn access(path: &Path, source: rusqlite::Error) -> StateError {
    use rusqlite::ErrorCode as Code;
    match source.sqlite_error_code() {
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
            StateError::Io { path: path.to_owned(), message: owner::explain(path, &source.to_string()) }
        }
        _ => StateError::Sqlite { path: path.to_owned(), source },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MORE: &[M<'static>] =
        &[M::up(include_str!("sql/0001_init.sql")), M::up("ALTER TABLE sync ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")];

    fn count(c: &Connection, sql: &str) -> i64 {
        c.query_row(sql, [], |r| r.get(0)).unwrap()
    }

    fn made() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        Store::open(&path).unwrap().sync_row("s", "t").unwrap();
        (dir, path)
    }

    #[test]
    fn a_copy_is_kept_before_a_migration_and_only_then() {
        let (_dir, path) = made();
        let copy = beside(&path, ".before-v2");
        assert!(!copy.exists() && !beside(&path, ".before-v1").exists(), "a new store has nothing to keep");
        let mut store = Store::open(&path).unwrap();
        store.migrate_by(MORE, true).unwrap();
        assert_eq!(count(&store.conn, "PRAGMA user_version"), 2);
        assert_eq!(count(&store.conn, "SELECT count(*) FROM sync WHERE colour = 'blue'"), 1);
        let old = Connection::open(&copy).unwrap();
        assert_eq!(count(&old, "PRAGMA user_version"), 1);
        assert_eq!(count(&old, "SELECT count(*) FROM sync"), 1, "with its rows");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(store);
        // This program knows one migration: what the newer one made, it leaves alone.
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(StateError::Newer { .. })));
        assert!(matches!(Store::scratch(&path), Err(StateError::Newer { .. })));
        assert!(std::fs::read(&path).unwrap() == before);
        // The copy is a store that the older program goes on with.
        assert!(Store::open(&copy).unwrap().find_sync("s").unwrap().is_some());
    }

    #[test]
    fn a_migration_that_fails_leaves_the_store_as_it_was() {
        let (_dir, path) = made();
        let broken = [M::up(include_str!("sql/0001_init.sql")), M::up("CREATE TABLE half (x); ALTER TABLE nowhere ADD COLUMN x")];
        let mut store = Store::open(&path).unwrap();
        assert!(store.migrate_by(&broken, true).is_err());
        assert_eq!(count(&store.conn, "PRAGMA user_version"), 1);
        assert_eq!(count(&store.conn, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
        drop(store);
        assert!(Store::open(&path).unwrap().find_sync("s").unwrap().is_some());
    }
}
