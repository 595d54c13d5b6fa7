//! Held changes and approvals.

use super::{StateError, Store};
use crate::plan::Kind;
use rusqlite::{Row, params};

/// A held change, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// Kind of change.
    pub kind: String,
    /// `user` or `group`.
    pub object: String,
    /// Source key.
    pub key: String,
    /// Account, if it has one.
    pub target_id: Option<String>,
    /// For people to read.
    pub who: String,
    /// Why it is held.
    pub reason: String,
    /// Identity.
    pub hash: Vec<u8>,
    /// Unix second since which it is held.
    pub since: i64,
}

fn row(r: &Row<'_>) -> rusqlite::Result<HeldRow> {
    Ok(HeldRow {
        kind: r.get(0)?,
        object: r.get(1)?,
        key: r.get(2)?,
        target_id: r.get(3)?,
        who: r.get(4)?,
        reason: r.get(5)?,
        hash: r.get(6)?,
        since: r.get(7)?,
    })
}

/// Who approves what, and why.
#[derive(Debug, Clone)]
pub struct Approval<'a> {
    /// Identity of the change.
    pub hash: &'a [u8],
    /// Kind of change.
    pub kind: &'a str,
    /// For people to read.
    pub who: &'a str,
    /// Until when it holds (unix second).
    pub until: i64,
    /// The approving user.
    pub by: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
}

/// What the plan holds, into the stored list.
pub(super) const HOLD: &str = "INSERT INTO main.held (sync_id, hash, kind, object, key, target_id, who, reason, since)
    SELECT ?1, hash, kind, object, key, target_id, who, held, ?2 FROM temp.plan_change WHERE held IS NOT NULL
    ON CONFLICT (sync_id, hash) DO UPDATE SET reason = excluded.reason, who = excluded.who";

impl Store {
    /// Makes the stored list of held changes what this cycle's plan holds. `since` of those that stay is kept.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn save_held(&mut self, sync: i64, now: i64) -> Result<(), StateError> {
        self.transaction(|c| {
            c.execute(
                "DELETE FROM main.held WHERE sync_id = ?1 AND hash NOT IN
                 (SELECT hash FROM temp.plan_change WHERE held IS NOT NULL)",
                [sync],
            )?;
            c.execute(HOLD, params![sync, now])?;
            c.execute("DELETE FROM approval WHERE until < ?1", [now - 400 * 86_400])
        })
        .map(drop)
    }

    /// What is held of a sync.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn held(&self, sync: i64) -> Result<Vec<HeldRow>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT kind, object, key, target_id, who, reason, hash, since FROM main.held WHERE sync_id = ?1 ORDER BY kind, who, key",
            )?;
            let rows = st.query_map([sync], row)?;
            rows.collect()
        })
    }

    /// Whether a change of this kind was held by the cycle before, and is still.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn holds_kind(&self, sync: i64, kind: Kind) -> Result<bool, StateError> {
        self.run(|c| {
            let held = "SELECT EXISTS (SELECT 1 FROM held WHERE sync_id = ?1 AND kind = ?2)";
            c.query_row(held, params![sync, kind.as_str()], |r| r.get(0))
        })
    }

    /// Holds what an earlier cycle held of the same entry and kind, and nobody approved.
    ///
    /// # Errors
    /// The store cannot be read, the temporary database cannot be written.
    pub fn plan_hold_held(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| {
            let stands = "FROM main.held h WHERE h.sync_id = ?1 AND h.key = plan_change.key AND (h.kind = plan_change.kind OR h.kind = 'rename' AND plan_change.renames)
                 AND h.object = plan_change.object";
            let sql = format!(
                "UPDATE temp.plan_change SET held = (SELECT h.reason {stands} LIMIT 1) WHERE held IS NULL AND approved = 0
                 AND EXISTS (SELECT 1 {stands})"
            );
            c.execute(&sql, [sync])
        })
        .map(drop)
    }

    /// What the plan in hand holds.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_held_rows(&self) -> Result<Vec<HeldRow>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT kind, object, key, target_id, who, held, hash, 0 FROM temp.plan_change WHERE held IS NOT NULL ORDER BY phase, key, kind",
            )?;
            let rows = st.query_map([], row)?;
            rows.collect()
        })
    }

    /// Records approvals in one transaction.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn approve(&mut self, sync: i64, approvals: &[Approval<'_>], now: i64) -> Result<(), StateError> {
        self.transaction(|c| {
            let mut st = c.prepare(
                "INSERT INTO approval (sync_id, hash, until, at, by, reason, who, kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (sync_id, hash) DO UPDATE SET until = max(until, excluded.until), at = excluded.at, by = excluded.by,
                    reason = excluded.reason",
            )?;
            for a in approvals {
                st.execute(params![sync, a.hash, a.until, now, a.by, a.reason, a.who, a.kind])?;
            }
            Ok(())
        })?;
        // A running service takes it up at once.
        if approvals.is_empty() { Ok(()) } else { self.ask_for_cycle(sync) }
    }
}
