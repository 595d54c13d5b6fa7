//! One person or group, for `explain`: found by whatever names it, with its last lines of the journal.

use super::held::HOLD;
use super::journal::{LOG, LogEntry, log_entry};
use super::parked::PARK;
use super::{StateError, Store, entries, kind_of};
use crate::model::{Entry, ObjectKind};
use rusqlite::params;

/// An entry while it is looked for.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Row id.
    pub id: i64,
    /// User or group.
    pub kind: ObjectKind,
    /// Source key.
    pub key: &'a str,
    /// For people to read.
    pub label: &'a str,
    /// As the source said it (JSON).
    pub data: &'a [u8],
}

impl Seen<'_> {
    /// The entry; `None` where the row is damaged.
    #[must_use]
    pub fn entry(&self) -> Option<Entry> {
        entries::decode(self.data).ok()
    }
}

/// A member of a group as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Row id.
    pub id: i64,
    /// Source key.
    pub key: String,
    /// For people to read.
    pub who: String,
    /// Takes part.
    pub in_scope: bool,
    /// Inactive.
    pub inactive: bool,
    /// Has an account, or is about to.
    pub eligible: bool,
    /// Why it is parked, if it is.
    pub parked: Option<String>,
}

impl Store {
    /// Calls `f` for every entry of a sync, also for those that the source lacks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entries_each(&self, sync: i64, mut f: impl FnMut(&Seen<'_>)) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT e.id, e.kind, e.key, e.label, d.data FROM entry e JOIN entry_data d ON d.entry_id = e.id
                 WHERE e.sync_id = ?1 ORDER BY e.gone IS NOT NULL, e.kind, e.id",
            )?;
            let mut rows = st.query([sync])?;
            while let Some(r) = rows.next()? {
                f(&Seen {
                    id: r.get(0)?,
                    kind: kind_of(r.get(1)?),
                    key: r.get_ref(2)?.as_str()?,
                    label: r.get_ref(3)?.as_str()?,
                    data: r.get_ref(4)?.as_blob()?,
                });
            }
            Ok(())
        })
    }

    /// The last lines of the log about an entry, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn log_of_entry(&self, entry: i64, limit: u32) -> Result<Vec<LogEntry>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(&format!("{LOG} WHERE j.entry_id = ?1 ORDER BY j.id DESC LIMIT ?2"))?;
            let rows = st.query_map(params![entry, limit], log_entry)?;
            let mut out: Vec<LogEntry> = rows.collect::<Result<_, _>>()?;
            out.reverse();
            Ok(out)
        })
    }

    /// People as members see them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn members_shown(&self, ids: &[i64]) -> Result<Vec<MemberRow>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT e.id, e.key, e.label, e.in_scope, e.inactive, EXISTS (SELECT 1 FROM link l WHERE l.entry_id = e.id AND l.gone = 0)
                    OR (e.eligible AND NOT EXISTS (SELECT 1 FROM main.parked p WHERE p.entry_id = e.id)),
                    (SELECT p.reason FROM main.parked p WHERE p.entry_id = e.id LIMIT 1) FROM entry e WHERE e.id = ?1",
            )?;
            let mut out = Vec::with_capacity(ids.len());
            for id in ids {
                let rows = st.query_map([id], |r| {
                    Ok(MemberRow {
                        id: r.get(0)?,
                        key: r.get(1)?,
                        who: r.get(2)?,
                        in_scope: r.get(3)?,
                        inactive: r.get(4)?,
                        eligible: r.get(5)?,
                        parked: r.get(6)?,
                    })
                })?;
                for row in rows {
                    out.push(row?);
                }
            }
            out.sort_by(|a, b| (&a.who, &a.key).cmp(&(&b.who, &b.key)));
            Ok(out)
        })
    }

    /// Adds what this plan holds and parks to the stored lists, where the plan is about one record only: the rest of the
    /// lists stays.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn save_open_of(&mut self, sync: i64, now: i64) -> Result<(), StateError> {
        self.transaction(|c| {
            c.execute(HOLD, params![sync, now])?;
            c.execute(
                "DELETE FROM main.held WHERE sync_id = ?1 AND hash IN (SELECT hash FROM temp.plan_change WHERE held IS NULL)",
                [sync],
            )?;
            c.execute(PARK, params![sync, now])
        })
        .map(drop)
    }
}
