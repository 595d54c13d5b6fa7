//! Cycles and the journal: every write has an intent before (see [`super::intents`]) and a result after, with the before-image.

use super::link_list::NAMED;
use super::{StateError, Store};
use crate::plan::Kind;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// The result of a write.
#[derive(Debug, Clone)]
pub struct JournalRow<'a> {
    /// Kind of change.
    pub kind: Kind,
    /// The entry.
    pub entry_id: i64,
    /// For people to read.
    pub who: &'a str,
    /// The account.
    pub target_id: Option<&'a str>,
    /// `done`, `failed`, `parked`, `held`, `undone`.
    pub status: &'a str,
    /// Members, for membership changes.
    pub amount: u64,
    /// Carried out under an approval: not counted by the guard.
    pub approved: bool,
    /// A recreation: counted by its own limit.
    pub recreate: bool,
    /// HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// Before-image (JSON).
    pub before: Option<&'a str>,
    /// What was written (JSON).
    pub after: Option<&'a str>,
}

/// A line of the provisioning log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Unix second.
    pub at: i64,
    /// Cycle.
    pub cycle: i64,
    /// Sync.
    pub sync: String,
    /// Kind of change.
    pub kind: String,
    /// `user` or `group`.
    pub object: String,
    /// For people to read.
    pub who: String,
    /// The account.
    pub target_id: Option<String>,
    /// `done`, `failed`, `parked`, `held`, `undone`.
    pub status: String,
    /// HTTP status.
    pub http_status: Option<u16>,
    /// What went wrong, or why it is held or parked.
    pub error: Option<String>,
    /// Who approved it, where it was carried out under an approval.
    pub approved_by: Option<String>,
    /// The reason given with the approval.
    pub approval_reason: Option<String>,
}

/// What to show of the log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Only lines about whom this names (whole name, user ID, source key or target id, in any letter case), memberships of
    /// theirs included.
    pub who: Option<String>,
    /// Only this cycle.
    pub cycle: Option<i64>,
    /// Only from this unix second on.
    pub since: Option<i64>,
    /// Only this sync.
    pub sync: Option<String>,
}

/// The last cycle of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCycle {
    /// Its number.
    pub id: i64,
    /// How it ended; `None` while it runs or after it was interrupted.
    pub result: Option<String>,
    /// When it ended.
    pub ended: Option<i64>,
    /// Kind and words of the error that it ended by.
    pub error: Option<(String, String)>,
    /// It was a migration of user IDs.
    pub migration: bool,
}

impl Store {
    /// Begins a cycle; its number never repeats.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn cycle_begin(&self, sync: i64, now: i64) -> Result<i64, StateError> {
        let id = self.run(|c| {
            c.execute("INSERT INTO cycle (sync_id, started) VALUES (?1, ?2)", params![sync, now])?;
            Ok(c.last_insert_rowid())
        })?;
        super::highest::write(self.path(), id);
        Ok(id)
    }

    /// Ends a cycle.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn cycle_end(&self, id: i64, result: &str, report: &str, now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute("UPDATE cycle SET ended = ?2, result = ?3, report = ?4 WHERE id = ?1", params![id, now, result, report])
        })
        .map(drop)
    }

    /// Whether the cycle before the one that runs did not come to its end.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn follows_an_interruption(&self, sync: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row("SELECT ended IS NULL FROM cycle WHERE sync_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET 1", [sync], |r| {
                r.get(0)
            })
            .optional()
        })
        .map(|interrupted| interrupted.unwrap_or(false))
    }

    /// The last cycle of a sync that was about the whole of it: an undo, or the changes of one person, say nothing of how it is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn last_cycle(&self, sync: i64) -> Result<Option<LastCycle>, StateError> {
        self.run(|c| {
            let last = "SELECT id, result, ended, json_extract(r, '$.error.kind'), json_extract(r, '$.error.message'),
                json_extract(r, '$.migration') IS NOT NULL FROM (SELECT *, CASE WHEN json_valid(report) THEN report END AS r FROM cycle)
                WHERE sync_id = ?1 AND json_extract(r, '$.aside') IS NULL ORDER BY id DESC LIMIT 1";
            c.query_row(last, [sync], |r| {
                let error = r.get::<_, Option<String>>(3)?.zip(r.get::<_, Option<String>>(4)?);
                Ok(LastCycle { id: r.get(0)?, result: r.get(1)?, ended: r.get(2)?, error, migration: r.get(5)? })
            })
            .optional()
        })
    }

    /// Adds a line to the journal.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn journal(&self, sync: i64, cycle: i64, row: &JournalRow<'_>, now: i64) -> Result<(), StateError> {
        // A recreation is a create in every respect but the limit that it is counted by.
        let approved = i64::from(row.approved) + 2 * i64::from(row.recreate);
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO journal (sync_id, cycle, at, kind, object, entry_id, who, target_id, status, amount, approved,
                    http_status, error, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                sync,
                cycle,
                now,
                row.kind.as_str(),
                row.kind.object().as_str(),
                row.entry_id,
                row.who,
                row.target_id,
                row.status,
                row.amount,
                approved,
                row.http_status,
                row.error,
                row.before,
                row.after
            ])
        })
        .map(drop)
    }

    /// Notes on the journal's last line who approved the change, and why.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn journal_approval(&self, sync: i64, change: &[u8]) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "UPDATE journal SET (approved_by, approval_reason) =
                    (SELECT by, reason FROM approval WHERE sync_id = ?1 AND hash = ?2) WHERE id = ?3",
            )?
            .execute(params![sync, change, c.last_insert_rowid()])
        })
        .map(drop)
    }

    /// Whether what became of this write of a cycle is known: the journal has its result, or one of a later cycle that
    /// wrote the same resource. Not for memberships, of which a part may have one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_result(&self, cycle: i64, kind: Kind, entry: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM journal WHERE entry_id = ?3 AND status = 'done' AND (cycle = ?1 AND kind = ?2
                    OR cycle > ?1 AND kind NOT IN ('members_add', 'members_remove')))",
            )?
            .query_row(params![cycle, kind.as_str(), entry], |r| r.get(0))
        })
    }

    /// Whether the journal has what became of a rename of a cycle, which may rename one account several times: the last name
    /// that it says is the one that was sent, or a later cycle gave it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_rename(&self, cycle: i64, entry: i64, name: &str) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT cycle > ?1 OR json_extract(after, '$.userName') = ?3 FROM journal
                 WHERE entry_id = ?2 AND cycle >= ?1 AND status = 'done' AND kind NOT IN ('members_add', 'members_remove')
                    AND json_extract(after, '$.userName') IS NOT NULL ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![cycle, entry, name], |r| r.get(0))
            .optional()
        })
        .map(|known| known.unwrap_or(false))
    }

    /// Unapproved changes of these kinds done since `since`; recreations are counted apart.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn done_since(&self, sync: i64, kinds: &[Kind], since: i64) -> Result<BTreeMap<Kind, u64>, StateError> {
        kinds.iter().map(|kind| Ok((*kind, self.count_done(sync, *kind, 0, since)?))).collect()
    }

    /// Unapproved recreations done since `since`: see [`Store::journal`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn recreated_since(&self, sync: i64, since: i64) -> Result<u64, StateError> {
        crate::plan::KINDS.into_iter().map(|kind| self.count_done(sync, kind, 2, since)).sum()
    }

    fn count_done(&self, sync: i64, kind: Kind, approved: i64, since: i64) -> Result<u64, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT count(*) FROM journal INDEXED BY journal_window
                 WHERE sync_id = ?1 AND kind = ?2 AND approved = ?3 AND at >= ?4 AND status = 'done'",
            )?
            .query_row(params![sync, kind.as_str(), approved, since], |r| r.get(0))
        })
    }

    /// Members taken out of a group without approval since `since`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn removed_since(&self, group: i64, since: i64) -> Result<u64, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT coalesce(sum(amount), 0) FROM journal WHERE entry_id = ?1 AND kind = 'members_remove' AND status = 'done'
                 AND approved = 0 AND at >= ?2",
            )?
            .query_row(params![group, since], |r| r.get(0))
        })
    }

    /// Writes the held and parked records of a cycle into the log, once each while their reason stays.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn log_open(&mut self, sync: i64, cycle: i64, now: i64) -> Result<(), StateError> {
        self.transaction(|c| {
            c.execute(
                "INSERT INTO journal (sync_id, cycle, at, kind, object, entry_id, who, target_id, status, error)
                 SELECT ?1, ?2, ?3, kind, object, entry_id, who, target_id, 'held', held FROM temp.plan_change p WHERE held IS NOT NULL
                 AND hash NOT IN (SELECT hash FROM main.held WHERE sync_id = ?1)",
                params![sync, cycle, now],
            )?;
            c.execute(
                "INSERT INTO journal (sync_id, cycle, at, kind, object, entry_id, who, status, error)
                 SELECT ?1, ?2, ?3, kind, object, entry_id, who, 'parked', reason FROM temp.plan_parked p
                 WHERE NOT EXISTS (SELECT 1 FROM main.parked m WHERE m.entry_id = p.entry_id AND m.kind = p.kind
                    AND (m.reason = p.reason OR m.hash IS NOT NULL))",
                params![sync, cycle, now],
            )
        })
        .map(drop)
    }

    /// The log, oldest first; `f` is called for each line.
    ///
    /// # Errors
    /// The store cannot be read; what `f` says.
    pub fn log<E: From<StateError>>(&self, q: &LogQuery, mut f: impl FnMut(LogEntry) -> Result<(), E>) -> Result<(), E> {
        let wrap = |source| E::from(StateError::Sqlite { path: self.path().to_owned(), source });
        let mut st = self
            .conn
            .prepare(&format!(
                "WITH me (id, key) AS MATERIALIZED (SELECT e.id, e.key FROM entry e LEFT JOIN link l ON l.entry_id = e.id WHERE ?4 IS NOT NULL AND {NAMED})
                 {LOG} WHERE (?1 IS NULL OR j.cycle = ?1) AND (?2 IS NULL OR j.at >= ?2) AND (?3 IS NULL OR s.name = ?3)
                   AND (?4 IS NULL OR j.entry_id IN (SELECT id FROM me) OR fold(j.who) = ?4 OR fold(j.target_id) = ?4
                        -- Taken apart only where it may be in there.
                        OR ((instr(fold(coalesce(j.before, '') || coalesce(j.after, '')), ?5) > 0
                                OR EXISTS (SELECT 1 FROM me WHERE instr(coalesce(j.before, '') || coalesce(j.after, ''), json_quote(me.key)) > 0))
                            AND EXISTS (SELECT 1 FROM json_tree(json_array(CASE WHEN json_valid(j.before) THEN json(j.before) END,
                                    CASE WHEN json_valid(j.after) THEN json(j.after) END)) t
                                WHERE (t.path LIKE '$[_].members%' OR t.key IN ('userName', 'source_key'))
                                  AND (fold(CAST(t.atom AS TEXT)) = ?4 OR (t.key = 'source_key' AND t.atom IN (SELECT key FROM me))))))
                 ORDER BY j.id"
            ))
            .map_err(wrap)?;
        let who = q.who.as_ref().map(|w| w.trim().to_lowercase());
        // As it stands within JSON.
        let written = who.as_ref().map(|w| serde_json::Value::from(w.as_str()).to_string());
        let mut rows = st.query(params![q.cycle, q.since, q.sync, who, written]).map_err(wrap)?;
        while let Some(r) = rows.next().map_err(wrap)? {
            f(log_entry(r).map_err(wrap)?)?;
        }
        Ok(())
    }

    /// A line about each cycle that failed as a whole: why, from its report. Of such a cycle nothing else may be in the log.
    /// Oldest first; a name of somebody is of no cycle.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn log_of_failed(&self, q: &LogQuery) -> Result<Vec<LogEntry>, StateError> {
        if q.who.is_some() {
            return Ok(Vec::new());
        }
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT coalesce(c.ended, c.started) AS at, c.id, s.name, 'cycle', 'sync', s.name, NULL, 'failed', NULL,
                    coalesce(json_extract(c.report, '$.error.kind') || ': ', '') || json_extract(c.report, '$.error.message'), NULL, NULL
                 FROM cycle c JOIN sync s ON s.id = c.sync_id
                 WHERE c.result = 'failed' AND json_valid(c.report)
                   AND (?1 IS NULL OR c.id = ?1) AND (?2 IS NULL OR coalesce(c.ended, c.started) >= ?2) AND (?3 IS NULL OR s.name = ?3)
                 ORDER BY at, c.id",
            )?;
            let rows = st.query_map(params![q.cycle, q.since, q.sync], log_entry)?;
            rows.collect()
        })
    }
}

/// Lines of the log, for [`log_entry`].
pub(super) const LOG: &str =
    "SELECT j.at, j.cycle, s.name, j.kind, j.object, j.who, j.target_id, j.status, j.http_status, j.error,
    j.approved_by, j.approval_reason FROM journal j JOIN sync s ON s.id = j.sync_id";

/// One line of the log.
pub(super) fn log_entry(r: &rusqlite::Row<'_>) -> rusqlite::Result<LogEntry> {
    Ok(LogEntry {
        at: r.get(0)?,
        cycle: r.get(1)?,
        sync: r.get(2)?,
        kind: r.get(3)?,
        object: r.get(4)?,
        who: r.get(5)?,
        target_id: r.get(6)?,
        status: r.get(7)?,
        http_status: r.get(8)?,
        error: r.get(9)?,
        approved_by: r.get(10)?,
        approval_reason: r.get(11)?,
    })
}
