//! What the service asks of the store: where each sync stood when it was last seen, and whether somebody wants a cycle now.

use super::{StateError, Store};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a sync stands. Times are Unix seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// When its last cycle began; `None` where there was none yet.
    pub began: Option<i64>,
    /// That cycle failed, was killed, or is still running.
    pub unfinished: bool,
    /// When the last complete read was committed, full or incremental.
    pub complete_read_at: Option<i64>,
    /// When the last full one was committed.
    pub full_read_at: Option<i64>,
    /// When the target was last verified as a whole.
    pub verified_at: Option<i64>,
    /// Linked people.
    pub linked_users: u64,
    /// Linked groups.
    pub linked_groups: u64,
    /// Changes that the guard holds, by kind.
    pub held: BTreeMap<String, u64>,
    /// Records that are parked.
    pub parked: u64,
    /// People who have left and whose account is not inactive yet.
    pub leavers_waiting: u64,
    /// When the first of them left.
    pub leavers_since: Option<i64>,
    /// Its last cycle that came to an end.
    pub last: Option<Ran>,
}

/// A cycle that came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Number of the cycle.
    pub cycle: i64,
    /// When it ended (Unix second).
    pub ended: i64,
    /// `ok`, `parked`, `held` or `failed`.
    pub result: String,
    /// Milliseconds that it took.
    pub duration_ms: u64,
}

/// Something of a cycle that concerns one person or group and is not simply done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Kind of change.
    pub kind: String,
    /// For people to read.
    pub who: String,
    /// `failed`, `parked` or `held`.
    pub status: String,
    /// The account.
    pub target_id: Option<String>,
    /// What the target answered.
    pub http_status: Option<u16>,
    /// Why.
    pub error: String,
}

impl Store {
    /// For how long this connection waits for another one that writes.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn wait_at_most(&self, patience: Duration) -> Result<(), StateError> {
        self.run(|c| c.busy_timeout(patience))
    }

    /// What was told to whom, as it was last kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn told(&self) -> Result<Option<String>, StateError> {
        self.run(|c| c.query_row("SELECT CAST(value AS TEXT) FROM meta WHERE key = 'told'", [], |r| r.get(0)).optional())
    }

    /// Keeps what was told to whom.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_told(&self, text: &str) -> Result<(), StateError> {
        self.run(|c| c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('told', ?1)", [text.as_bytes()])).map(drop)
    }

    /// Asks the service for a cycle of this sync as soon as may be. The next one that begins answers it, whoever runs it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn ask_for_cycle(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "INSERT INTO service (sync_id, asked) VALUES (?1, 1) ON CONFLICT (sync_id) DO UPDATE SET asked = asked + 1",
                [sync],
            )
        })
        .map(drop)
    }

    /// A cycle of this sync begins: whatever was asked for so far is answered by it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn answer_asked(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE service SET answered = asked WHERE sync_id = ?1 AND answered <> asked", [sync])).map(drop)
    }

    /// Names of the syncs for which a cycle was asked and none has begun since.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn asked_for(&self) -> Result<Vec<String>, StateError> {
        self.run(|c| {
            let mut st =
                c.prepare_cached("SELECT s.name FROM service v JOIN sync s ON s.id = v.sync_id WHERE v.asked > v.answered")?;
            let names = st.query_map([], |r| r.get(0))?;
            names.collect()
        })
    }

    /// A number that is another one after any other connection wrote to the store. Costs next to nothing to ask.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn data_version(&self) -> Result<i64, StateError> {
        self.run(|c| c.prepare_cached("PRAGMA data_version")?.query_row([], |r| r.get(0)))
    }

    /// Gives back what was kept of the file in memory: for a connection that is asked seldom and stays open.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn let_go(&self) -> Result<(), StateError> {
        self.run(|c| c.execute_batch("PRAGMA shrink_memory"))
    }

    /// The target was read as a whole and everything compared.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_verified(&self, sync: i64, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "INSERT INTO service (sync_id, verified_at) VALUES (?1, ?2) ON CONFLICT (sync_id) DO UPDATE SET verified_at = ?2",
                params![sync, now],
            )
        })
        .map(drop)
    }

    /// Where a sync stands; all empty where it never ran.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn past(&self, name: &str) -> Result<Past, StateError> {
        let Some(row) = self.find_sync(name)? else { return Ok(Past::default()) };
        let last = self.run(|c| {
            c.prepare_cached(
                "SELECT started, result IS NULL OR result = 'failed' FROM cycle
                 WHERE sync_id = ?1 AND CASE WHEN json_valid(report) THEN json_extract(report, '$.aside') END IS NULL
                 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([row.id], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
        })?;
        let (began, unfinished) = last.map_or((None, false), |(began, unfinished)| (Some(began), unfinished));
        let (parked, verified_at): (u64, Option<i64>) = self.run(|c| {
            c.prepare_cached(
                "SELECT (SELECT count(*) FROM main.parked WHERE sync_id = ?1), (SELECT verified_at FROM service WHERE sync_id = ?1)",
            )?
            .query_row([row.id], |r| Ok((r.get(0)?, r.get(1)?)))
        })?;
        let held = self.run(|c| {
            let mut st = c.prepare_cached("SELECT kind, count(*) FROM main.held WHERE sync_id = ?1 GROUP BY kind")?;
            let rows = st.query_map([row.id], |r| Ok((r.get(0)?, r.get(1)?)))?;
            rows.collect()
        })?;
        let (linked_users, linked_groups) = self.count_links(row.id)?;
        let (leavers_waiting, leavers_since) = self.leavers_waiting(row.id)?;
        Ok(Past {
            began,
            unfinished,
            complete_read_at: row.complete_read_at,
            full_read_at: row.full_read_at,
            verified_at: verified_at.or(row.adopted_at),
            linked_users,
            linked_groups,
            held,
            parked,
            leavers_waiting,
            leavers_since,
            last: self.last_that_ended(row.id)?,
        })
    }

    /// How often in a row a sync failed as a whole, and when it did so last (Unix second); `None` where its last cycle went
    /// well. A cycle that was told to stop did not fail; an undo, or the changes of one person, count for neither.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn failures_in_a_row(&self, sync: i64) -> Result<Option<(u32, i64)>, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT count(*), max(ended) FROM cycle WHERE sync_id = ?1 AND result = 'failed'
                 AND CASE WHEN json_valid(report) THEN coalesce(json_extract(report, '$.error.kind'), '') <> 'interrupted'
                    AND json_extract(report, '$.aside') IS NULL END
                 AND id > coalesce((SELECT max(id) FROM cycle WHERE sync_id = ?1 AND result IN ('ok', 'parked', 'held')
                    AND CASE WHEN json_valid(report) THEN json_extract(report, '$.aside') END IS NULL), 0)",
                [sync],
                |r| Ok(r.get::<_, Option<i64>>(1)?.zip(Some(r.get(0)?)).map(|(last, times)| (times, last))),
            )
        })
    }

    fn last_that_ended(&self, sync: i64) -> Result<Option<Ran>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT id, ended, result, CASE WHEN json_valid(report) THEN json_extract(report, '$.duration_ms') END FROM cycle
                 WHERE sync_id = ?1 AND ended IS NOT NULL AND result IS NOT NULL
                    AND CASE WHEN json_valid(report) THEN json_extract(report, '$.aside') END IS NULL ORDER BY id DESC LIMIT 1",
            )?
            .query_row([sync], |r| {
                let duration_ms: Option<f64> = r.get(3)?;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
                let duration_ms = duration_ms.unwrap_or(0.0) as u64;
                Ok(Ran { cycle: r.get(0)?, ended: r.get(1)?, result: r.get(2)?, duration_ms })
            })
            .optional()
        })
    }

    /// People who have left (disabled, out of scope or gone) and whose account is not inactive yet: held, parked, in their
    /// grace period, or not reached by an interrupted cycle; and when the first of them left.
    ///
    /// Whoever waits is still to be worked out again, now or by the clock; so the cost goes by the number of those.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn leavers_waiting(&self, sync: i64) -> Result<(u64, Option<i64>), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT count(*), min(e.leaving_since) FROM entry e JOIN link l ON l.entry_id = e.id
                 WHERE e.id IN (SELECT id FROM entry INDEXED BY entry_dirty WHERE sync_id = ?1 AND kind = 0 AND dirty = 1
                    UNION SELECT id FROM entry INDEXED BY entry_waiting
                        WHERE sync_id = ?1 AND due IS NOT NULL AND leaving_since IS NOT NULL)
                 AND e.kind = 0 AND e.leaving_since IS NOT NULL AND l.active = 1 AND l.gone = 0",
            )?
            .query_row([sync], |r| Ok((r.get(0)?, r.get(1)?)))
        })
    }

    /// What of a cycle was not simply done, in order, at most `limit`; held and parked records only where they are new.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remarks(&self, cycle: i64, limit: u32) -> Result<Vec<Remark>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT kind, who, status, target_id, http_status, coalesce(error, '') FROM journal
                 WHERE cycle = ?1 AND status IN ('failed', 'parked', 'held') ORDER BY id LIMIT ?2",
            )?;
            let rows = st.query_map(params![cycle, limit], |r| {
                Ok(Remark {
                    kind: r.get(0)?,
                    who: r.get(1)?,
                    status: r.get(2)?,
                    target_id: r.get(3)?,
                    http_status: r.get(4)?,
                    error: r.get(5)?,
                })
            })?;
            rows.collect()
        })
    }
}
