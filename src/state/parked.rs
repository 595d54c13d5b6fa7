//! Parked records: one change of one record that cannot be made now.

use super::{StateError, Store};
use crate::model::{Fault, ObjectKind};
use rusqlite::{OptionalExtension, Row, params};
use std::collections::HashSet;

/// A parked record, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRow {
    /// The entry.
    pub entry_id: i64,
    /// Kind of the change, or `map`, `user_id`.
    pub kind: String,
    /// `user` or `group`.
    pub object: String,
    /// Source key.
    pub key: String,
    /// For people to read.
    pub who: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub advice: String,
    /// How often it was tried.
    pub attempts: u64,
    /// Unix second of the next try.
    pub next_try: Option<i64>,
}

pub(super) fn row(r: &Row<'_>) -> rusqlite::Result<ParkedRow> {
    Ok(ParkedRow {
        entry_id: r.get(0)?,
        kind: r.get(1)?,
        object: r.get(2)?,
        key: r.get(3)?,
        who: r.get(4)?,
        reason: r.get(5)?,
        advice: r.get(6)?,
        attempts: r.get(7)?,
        next_try: r.get(8)?,
    })
}

/// A change that the target refused earlier and that is not tried again yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Why it was refused.
    pub reason: String,
    /// What to do.
    pub advice: String,
}

/// A refusal to be remembered.
#[derive(Debug, Clone)]
pub struct Refusal<'a> {
    /// The entry.
    pub entry_id: i64,
    /// Kind of the change.
    pub kind: &'a str,
    /// User or group.
    pub object: ObjectKind,
    /// Source key.
    pub key: &'a str,
    /// For people to read.
    pub who: &'a str,
    /// Why.
    pub reason: &'a str,
    /// What to do.
    pub advice: &'a str,
    /// Kind of fault: transient ones are tried in the next cycle.
    pub fault: Fault,
    /// The change that was refused.
    pub hash: &'a [u8],
}

/// Whom the plan parks, into the stored list.
pub(super) const PARK: &str = "INSERT INTO main.parked
        (sync_id, entry_id, kind, key, object, who, reason, advice, fault, attempts, next_try, since)
    SELECT ?1, entry_id, kind, key, object, who, reason, advice, 'invalid', 0, ?2, ?2 FROM temp.plan_parked WHERE TRUE
    ON CONFLICT (sync_id, entry_id, kind) DO UPDATE SET who = excluded.who, reason = excluded.reason, advice = excluded.advice";

impl Store {
    /// What the plan parked, ordered by name.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_parked(&self) -> Result<Vec<ParkedRow>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT p.entry_id, p.kind, p.object, p.key, p.who, p.reason, p.advice, coalesce(m.attempts, 0), m.next_try
                 FROM temp.plan_parked p LEFT JOIN main.parked m ON m.entry_id = p.entry_id AND m.kind = p.kind
                 ORDER BY p.who, p.key",
            )?;
            let rows = st.query_map([], row)?;
            rows.collect()
        })
    }

    /// Whether this very change was refused and waits: the same `hash`, its next try not yet come.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn waiting(&self, sync: i64, entry: i64, kind: &str, hash: &[u8], now: i64) -> Result<Option<Waiting>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT reason, advice FROM main.parked WHERE sync_id = ?1 AND entry_id = ?2 AND kind = ?3 AND hash = ?4 AND next_try > ?5",
            )?
            .query_row(params![sync, entry, kind, hash, now], |r| Ok(Waiting { reason: r.get(0)?, advice: r.get(1)? }))
            .optional()
        })
    }

    /// Entries of the sync that could not be given an account when it was tried.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn refused_an_account(&self, sync: i64) -> Result<HashSet<i64>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT entry_id FROM main.parked WHERE sync_id = ?1 AND (kind IN ('adopt', 'group_adopt')
                    OR kind IN ('create', 'group_create') AND attempts > 0)",
            )?;
            let rows = st.query_map([sync], |r| r.get(0))?;
            rows.collect()
        })
    }

    /// Remembers a refusal: transient faults are tried in the next cycle, others after 1 h, doubling to 24 h.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn refuse(&self, sync: i64, r: &Refusal<'_>, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO main.parked (sync_id, entry_id, kind, key, object, who, reason, advice, fault, hash, attempts, next_try, since)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, CASE WHEN ?12 THEN ?11 ELSE ?11 + 3600 END, ?11)
                 ON CONFLICT (sync_id, entry_id, kind) DO UPDATE SET who = excluded.who, reason = excluded.reason,
                    advice = excluded.advice, fault = excluded.fault,
                    attempts = CASE WHEN hash = excluded.hash THEN attempts + 1 ELSE 1 END,
                    next_try = CASE WHEN ?12 THEN ?11 WHEN hash IS NOT excluded.hash THEN ?11 + 3600
                        ELSE ?11 + min(86400, 3600 * (1 << min(attempts, 5))) END,
                    hash = excluded.hash",
            )?
            .execute(params![
                sync,
                r.entry_id,
                r.kind,
                r.key,
                r.object.as_str(),
                r.who,
                r.reason,
                r.advice,
                r.fault.as_str(),
                r.hash,
                now,
                r.fault.passes_by_the_next_cycle()
            ])?;
            c.prepare_cached(
                "INSERT OR REPLACE INTO temp.plan_parked (entry_id, kind, object, key, who, reason, advice)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![r.entry_id, r.kind, r.object.as_str(), r.key, r.who, r.reason, r.advice])
        })
        .map(drop)
    }

    /// Why an entry that may match an account was not given it. Until the target is read again it gets no other one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn undecided(&self, sync: i64, entry: i64) -> Result<Option<Waiting>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT reason, advice FROM main.parked WHERE sync_id = ?1 AND entry_id = ?2 AND +kind IN ('adopt', 'group_adopt')",
            )?
            .query_row(params![sync, entry], |r| Ok(Waiting { reason: r.get(0)?, advice: r.get(1)? }))
            .optional()
        })
    }

    /// Whether it is time to look again at somebody who may match an account. While an adoption is held it always is: who is not
    /// linked and not looked for would get a second account.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn adoptions_due(&self, sync: i64, now: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM main.parked WHERE sync_id = ?1 AND kind IN ('adopt', 'group_adopt') AND next_try <= ?2)
                 OR EXISTS (SELECT 1 FROM main.held WHERE sync_id = ?1 AND kind IN ('adopt', 'group_adopt'))",
                params![sync, now],
                |r| r.get(0),
            )
        })
    }

    /// The target was read and some matches are still undecided: the next look is in 1 h, doubling to 24 h.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn defer_adoptions(&self, sync: i64, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "UPDATE main.parked SET attempts = attempts + 1, next_try = ?2 + min(86400, 3600 * (1 << min(attempts, 5)))
                 WHERE sync_id = ?1 AND kind IN ('adopt', 'group_adopt') AND hash IS NULL",
                params![sync, now],
            )
        })
        .map(drop)
    }
    /// Whether anything of this entry is parked.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_parked(&self, sync: i64, entry: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT EXISTS (SELECT 1 FROM main.parked WHERE sync_id = ?1 AND entry_id = ?2)")?
                .query_row(params![sync, entry], |r| r.get(0))
        })
    }

    /// Takes back what was parked in this cycle: the target refused everybody, so nobody is to blame.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn forget_refusals(&self, sync: i64, cycle: i64) -> Result<(), StateError> {
        self.run(|c| {
            let of_now = "SELECT entry_id, kind FROM journal WHERE sync_id = ?1 AND cycle = ?2 AND status = 'parked'";
            c.execute(&format!("DELETE FROM temp.plan_parked WHERE (entry_id, kind) IN ({of_now})"), [sync, cycle])?;
            c.execute(&format!("DELETE FROM main.parked WHERE sync_id = ?1 AND (entry_id, kind) IN ({of_now})"), [sync, cycle])?;
            c.execute("DELETE FROM journal WHERE sync_id = ?1 AND cycle = ?2 AND status = 'parked'", [sync, cycle])
        })
        .map(drop)
    }

    /// The whole target was at fault: what this cycle parked for faults that pass is parked no longer, and its lines leave
    /// the log.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn forget_storm(&self, sync: i64, cycle: i64) -> Result<(), StateError> {
        self.run(|c| {
            let passing = "SELECT entry_id, kind FROM main.parked WHERE sync_id = ?1 AND fault IN ('transient', 'throttled')";
            c.execute(&format!("DELETE FROM temp.plan_parked WHERE (entry_id, kind) IN ({passing})"), [sync])?;
            c.execute("DELETE FROM main.parked WHERE sync_id = ?1 AND fault IN ('transient', 'throttled')", [sync])?;
            c.execute(
                "DELETE FROM journal WHERE sync_id = ?1 AND cycle = ?2 AND status = 'parked' AND http_status >= 500",
                [sync, cycle],
            )
        })
        .map(drop)
    }

    /// Makes the stored list of parked records what this cycle found: new ones are added, those that are no longer
    /// parked are forgotten.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn save_parked(&mut self, sync: i64, now: i64) -> Result<(), StateError> {
        self.transaction(|c| {
            c.execute(
                "DELETE FROM main.parked WHERE sync_id = ?1 AND NOT EXISTS
                 (SELECT 1 FROM temp.plan_parked p WHERE p.entry_id = parked.entry_id AND p.kind = parked.kind)",
                [sync],
            )?;
            c.execute(PARK, params![sync, now])
        })
        .map(drop)
    }

    /// Everything parked of a sync, as stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn parked(&self, sync: i64) -> Result<Vec<ParkedRow>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT entry_id, kind, object, key, who, reason, advice, attempts, next_try FROM main.parked
                 WHERE sync_id = ?1 ORDER BY who, key",
            )?;
            let rows = st.query_map([sync], row)?;
            rows.collect()
        })
    }
}
