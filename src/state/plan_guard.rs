//! What the guard says of the plan: approvals, and what is held.

use super::plan_rows::{PlanRow, SELECT, row};
use super::{StateError, Store};
use crate::plan::{Change, KINDS, Kind, guard, held as held_words};
use rusqlite::{OptionalExtension, params};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An approval that holds, of a sync (?1) at a time (?2); the end says of which change. What was approved before it was taken
/// back was not approved again.
const APPROVED: &str = "EXISTS (SELECT 1 FROM main.approval a WHERE a.sync_id = ?1 AND a.until > ?2
    AND a.at >= coalesce((SELECT y.started FROM main.cycle y WHERE y.id = plan_change.undone_by), 0)";

impl Store {
    /// Marks the changes that somebody approved. Returns whether any approval holds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn plan_mark_approved(&self, sync: i64, now: i64) -> Result<bool, StateError> {
        self.run(|c| {
            let any = "SELECT EXISTS (SELECT 1 FROM main.approval WHERE sync_id = ?1 AND until > ?2)";
            if !c.query_row(any, params![sync, now], |r| r.get(0))? {
                return Ok(false);
            }
            let own = format!("UPDATE temp.plan_change SET approved = 1 WHERE {APPROVED} AND a.hash = plan_change.hash)");
            c.execute(&own, params![sync, now]).map(|_| true)
        })
    }

    /// Marks a change as approved where somebody approved this part of it, which stands for the whole.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn plan_mark_approved_as(&self, sync: i64, now: i64, seq: i64, part: &[u8]) -> Result<(), StateError> {
        self.run(|c| {
            let sql =
                format!("UPDATE temp.plan_change SET approved = 1, approval = ?4 WHERE seq = ?3 AND {APPROVED} AND a.hash = ?4)");
            c.prepare_cached(&sql)?.execute(params![sync, now, seq, part])
        })
        .map(drop)
    }

    /// A change was carried out whole: whoever approved it has what was approved. The next one like it is judged anew.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn approval_used(&self, sync: i64, hash: &[u8], now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached("UPDATE main.approval SET until = min(until, ?3) WHERE sync_id = ?1 AND hash = ?2")?
                .execute(params![sync, hash, now])
        })
        .map(drop)
    }

    /// Whoever approved a change approved this part of it, which is left: until the same time, by the same, for the same reason.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn approval_passes_on(&self, sync: i64, whole: &[u8], part: &[u8], now: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO main.approval (sync_id, hash, until, at, by, reason, who, kind)
                 SELECT sync_id, ?3, until, at, by, reason, who, kind FROM main.approval WHERE sync_id = ?1 AND hash = ?2 AND until > ?4
                 ON CONFLICT (sync_id, hash) DO UPDATE SET until = max(until, excluded.until), at = excluded.at, by = excluded.by,
                    reason = excluded.reason",
            )?
            .execute(params![sync, whole, part, now])
        })
        .map(drop)
    }

    /// Unapproved changes per kind, and recreations.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_tally(&self) -> Result<(BTreeMap<Kind, u64>, u64), StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT CASE WHEN renames THEN 'rename' ELSE kind END, count(*) FILTER (WHERE recreate = 0 AND held IS NULL),
                    count(*) FILTER (WHERE recreate = 1)
                 FROM temp.plan_change WHERE approved = 0 GROUP BY 1",
            )?;
            let (mut out, mut again) = (BTreeMap::new(), 0);
            let mut rows = st.query([])?;
            while let Some(r) = rows.next()? {
                again += r.get::<_, u64>(2)?;
                if let (Some(kind), n @ 1..) = (Kind::parse(r.get_ref(0)?.as_str()?), r.get(1)?) {
                    out.insert(kind, n);
                }
            }
            Ok((out, again))
        })
    }

    /// Holds what the verdict says.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_hold(&self, verdict: &guard::Verdict) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "UPDATE temp.plan_change SET held = ?3 WHERE recreate = ?2 AND approved = 0 AND held IS NULL
                 AND (kind = ?1 OR ?1 = 'rename' AND renames)",
            )?;
            for kind in KINDS {
                for recreate in [false, true] {
                    if let Some(why) = verdict.holds(kind, recreate) {
                        st.execute(params![kind.as_str(), recreate, why])?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Holds one change.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_hold_one(&self, seq: i64, why: &str) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE temp.plan_change SET held = ?2 WHERE seq = ?1", params![seq, why])).map(drop)
    }

    /// Holds the change added last.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_hold_last(&self, why: &str) -> Result<(), StateError> {
        self.run(|c| {
            c.execute("UPDATE temp.plan_change SET held = ?1 WHERE seq = (SELECT max(seq) FROM temp.plan_change)", [why])
        })
        .map(drop)
    }

    /// Membership changes that take people out and nobody approved: (row, group, members in the change).
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_member_removals(&self) -> Result<Vec<(i64, i64, u64)>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT seq, entry_id, amount FROM temp.plan_change
                 WHERE phase = ?1 AND kind = 'members_remove' AND approved = 0 AND held IS NULL",
            )?;
            let rows = st.query_map([Kind::MembersRemove.phase()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            rows.collect()
        })
    }

    /// Whoever keeps the account because the guard holds the deactivation keeps the groups too: such members are left in
    /// (see [`Store::plan_keeps_member`]), and a removal of nobody else is held with them. A removal that was approved takes out
    /// whoever is not protected.
    ///
    /// # Errors
    /// The temporary database cannot be read or written.
    pub fn plan_keep_members_of_held(&self) -> Result<(), StateError> {
        let held: HashMap<i64, bool> = self.run(|c| {
            let mut st = c.prepare(
                "SELECT entry_id, is_protected(held) FROM temp.plan_change WHERE kind = 'deactivate' AND held IS NOT NULL",
            )?;
            let rows = st.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
            rows.collect()
        })?;
        if held.is_empty() {
            return Ok(());
        }
        self.run(|c| {
            let mut st = c.prepare(&format!("{SELECT} WHERE kind = 'members_remove' AND held IS NULL"))?;
            let mut part = c.prepare("UPDATE temp.plan_change SET amount = ?2, reason = reason || ?3 WHERE seq = ?1")?;
            let mut whole = c.prepare("UPDATE temp.plan_change SET held = ?2 WHERE seq = ?1")?;
            let rows: Vec<PlanRow> = st.query_map([], row)?.collect::<Result<_, _>>()?;
            for r in rows {
                let members = r.change.members.iter().filter_map(|m| held.get(&m.id));
                let staying: Vec<bool> = members.copied().filter(|protected| *protected || !r.approved).collect();
                let leaving = r.change.members.len() - staying.len();
                match (staying.len(), leaving) {
                    (0, _) => {}
                    (n, 0) => {
                        let why = format!("the deactivation of its {n} leaving members is held");
                        let for_good = staying.iter().all(|protected| *protected);
                        whole.execute(params![r.seq, if for_good { held_words::protected(&why) } else { why }])?;
                    }
                    (n, some) => {
                        let amount = i64::try_from(some).unwrap_or(i64::MAX);
                        part.execute(params![r.seq, amount, format!(" ({n} of them stay while their deactivation is held)")])?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Whoever is not shown until the account is active again joins no group while that is held: such members are left out of
    /// the plan, under the identity that their change had with them. When the reactivation is released they are in it again.
    ///
    /// # Errors
    /// The temporary database cannot be read or written.
    pub fn plan_leave_out_hidden(&self) -> Result<(), StateError> {
        let hidden: HashSet<i64> = self.run(|c| {
            let mut st = c.prepare(
                "SELECT p.entry_id FROM temp.plan_change p JOIN main.link l ON l.entry_id = p.entry_id
                 WHERE p.kind = 'reactivate' AND p.held IS NOT NULL AND l.hidden = 1 AND l.gone = 0",
            )?;
            let rows = st.query_map([], |r| r.get(0))?;
            rows.collect()
        })?;
        if hidden.is_empty() {
            return Ok(());
        }
        let rows: Vec<PlanRow> = self.run(|c| {
            c.prepare(&format!("{SELECT} WHERE kind = 'members_add' AND held IS NULL"))?.query_map([], row)?.collect()
        })?;
        for r in rows {
            let mut change = (*r.change).clone();
            change.members.retain(|m| !hidden.contains(&m.id));
            if change.members.is_empty() {
                self.run(|c| c.execute("DELETE FROM temp.plan_change WHERE seq = ?1", [r.seq]))?;
            } else if change.members.len() < r.change.members.len() {
                self.plan_narrow(r.seq, &change, &r.hash)?;
                let amount = i64::try_from(change.members.len()).unwrap_or(i64::MAX);
                self.run(|c| c.execute("UPDATE temp.plan_change SET amount = ?2 WHERE seq = ?1", params![r.seq, amount]))?;
            }
        }
        Ok(())
    }

    /// Leaves of the plan what is about this entry. Members who stay because their deactivation is held (see
    /// [`Store::plan_keep_members_of_held`]) are in its removals no more: what would say so goes.
    ///
    /// # Errors
    /// The temporary database cannot be read or written.
    pub fn plan_only(&self, entry: i64) -> Result<(), StateError> {
        let of_it = format!("{SELECT} WHERE entry_id = ?1 AND kind = 'members_remove' AND held IS NULL");
        let rows: Vec<PlanRow> = self.run(|c| c.prepare(&of_it)?.query_map([entry], row)?.collect())?;
        for r in rows {
            let mut change = (*r.change).clone();
            let mut held = change
                .members
                .iter()
                .map(|m| self.plan_keeps_member(m.id, r.approved))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter();
            change.members.retain(|_| !held.next().unwrap_or(false));
            if change.members.len() < r.change.members.len() {
                self.plan_narrow(r.seq, &change, &r.hash)?;
            }
        }
        self.run(|c| {
            c.execute("DELETE FROM temp.plan_change WHERE entry_id <> ?1", [entry])?;
            c.execute("DELETE FROM temp.plan_parked WHERE entry_id <> ?1", [entry])
        })
        .map(drop)
    }

    /// The next change of this kind behind `after` (source key, row) that gives another user ID and is held (but not because it
    /// was undone), or that nobody approved.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_next_rename(&self, kind: Kind, after: &(String, i64), held: bool) -> Result<Option<PlanRow>, StateError> {
        self.run(|c| {
            c.prepare_cached(&format!(
                "{SELECT} WHERE phase = ?1 AND kind = ?5 AND (renames OR kind = 'rename') AND (key, seq) > (?2, ?3)
                 AND CASE WHEN ?4 THEN held IS NOT NULL AND undone IS NULL ELSE approved = 0 END ORDER BY key, seq LIMIT 1"
            ))?
            .query_row(params![kind.phase(), after.0, after.1, held, kind.as_str()], row)
            .optional()
        })
    }

    /// Makes less of a change, perhaps of another kind, under this identity for approvals.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_narrow(&self, seq: i64, change: &Change, hash: &[u8]) -> Result<(), StateError> {
        let body = self.plan_body(change)?;
        self.run(|c| {
            c.prepare_cached("UPDATE temp.plan_body SET body = ?2 WHERE seq = ?1")?.execute(params![seq, body])?;
            c.prepare_cached("UPDATE temp.plan_change SET hash = ?2, kind = ?3, phase = ?4, reason = ?5 WHERE seq = ?1")?
                .execute(params![seq, hash, change.kind.as_str(), change.kind.phase(), change.reason])
        })
        .map(drop)
    }
}
