//! One row per sync: cursor, fingerprint, baseline, identity of the target.

use super::{Sql, StateError, Store};
use rusqlite::{OptionalExtension, params};

/// What the store knows of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncRow {
    /// Row id.
    pub id: i64,
    /// Where the next incremental read starts.
    pub cursor: Option<String>,
    /// What the cursor is good for.
    pub cursor_of: Option<String>,
    /// Fingerprint of mapping, scope and policy of the last evaluation.
    pub fingerprint: Option<String>,
    /// Salted hash of the target's URL and credential.
    pub target_identity: Option<Vec<u8>>,
    /// What discovery said last.
    pub dialect: Option<String>,
    /// People in the last accepted complete read.
    pub baseline_users: Option<u64>,
    /// Groups in it.
    pub baseline_groups: Option<u64>,
    /// When a first cycle was completed.
    pub adopted_at: Option<i64>,
    /// When the last complete read was committed, full or incremental.
    pub complete_read_at: Option<i64>,
    /// When the last full one was committed.
    pub full_read_at: Option<i64>,
    /// The target's URL that the links were checked against.
    pub address: Option<String>,
    /// Which directory the entries came from.
    pub source_identity: Option<String>,
    /// When the store was put back from a backup; `None` where the target was verified since.
    pub restored_at: Option<i64>,
}

impl Store {
    /// The row of the sync, made where there is none.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn sync_row(&mut self, name: &str, target: &str) -> Result<SyncRow, StateError> {
        if let Some(row) = self.find_sync(name)? {
            self.run(|c| c.execute("UPDATE sync SET target = ?2 WHERE id = ?1 AND target <> ?2", params![row.id, target]))?;
            return Ok(row);
        }
        self.transaction(|c| c.execute("INSERT INTO sync (name, target) VALUES (?1, ?2)", params![name, target]))?;
        Ok(self.find_sync(name)?.unwrap_or_default())
    }

    /// The row of the sync, if it ever ran.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find_sync(&self, name: &str) -> Result<Option<SyncRow>, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT id, cursor, fingerprint, target_identity, dialect, baseline_users, baseline_groups, adopted_at,
                        complete_read_at, address, source_identity, restored_at, cursor_of, full_read_at FROM sync WHERE name = ?1",
                [name],
                |r| {
                    Ok(SyncRow {
                        id: r.get(0)?,
                        cursor: r.get(1)?,
                        fingerprint: r.get(2)?,
                        target_identity: r.get(3)?,
                        dialect: r.get(4)?,
                        baseline_users: r.get(5)?,
                        baseline_groups: r.get(6)?,
                        adopted_at: r.get(7)?,
                        complete_read_at: r.get(8)?,
                        address: r.get(9)?,
                        source_identity: r.get(10)?,
                        restored_at: r.get(11)?,
                        cursor_of: r.get(12)?,
                        full_read_at: r.get(13)?,
                    })
                },
            )
            .optional()
        })
    }

    /// Remembers what discovery said.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_dialect(&self, sync: i64, dialect: &str) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE sync SET dialect = ?2 WHERE id = ?1", params![sync, dialect])).map(drop)
    }

    /// Remembers with which mapping, scope and policy everyone was worked out.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_fingerprint(&self, sync: i64, fingerprint: &str) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE sync SET fingerprint = ?2 WHERE id = ?1", params![sync, fingerprint])).map(drop)
    }

    /// Remembers which target the links belong to.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_target_identity(&self, sync: i64, identity: &[u8], address: &str) -> Result<(), StateError> {
        self.run(|c| {
            c.execute("UPDATE sync SET target_identity = ?2, address = ?3 WHERE id = ?1", params![sync, identity, address])
        })
        .map(drop)
    }

    /// Remembers which directory the entries come from.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_source_identity(&self, sync: i64, identity: &str) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE sync SET source_identity = ?2 WHERE id = ?1", params![sync, identity])).map(drop)
    }

    /// The first cycle, or the first one after a restore, is complete: from now on the target is not read any more.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_adopted(&self, sync: i64, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "UPDATE sync SET adopted_at = coalesce(adopted_at, ?2), restored_at = NULL WHERE id = ?1",
                params![sync, now],
            )
        })
        .map(drop)
    }

    /// Everyone is worked out and matched anew in the next cycle: the target is read for it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn match_anew(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE sync SET fingerprint = NULL WHERE id = ?1", [sync])).map(drop)
    }

    /// A complete read was accepted: it is what the next ones are compared with.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_baseline(&self, sync: i64, users: u64, groups: u64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "UPDATE sync SET baseline_users = ?2, baseline_groups = ?3 WHERE id = ?1
                 AND (baseline_users IS NOT ?2 OR baseline_groups IS NOT ?3)",
                params![sync, users, groups],
            )
        })
        .map(drop)
    }

    /// The store's own salt (made once), for hashes of credentials.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn salt(&mut self) -> Result<Vec<u8>, StateError> {
        self.transaction(|c| -> Sql<Vec<u8>> {
            let fresh = uuid::Uuid::new_v4().as_bytes().to_vec();
            c.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('salt', ?1)", [fresh])?;
            c.query_row("SELECT value FROM meta WHERE key = 'salt'", [], |r| r.get(0))
        })
    }
}
