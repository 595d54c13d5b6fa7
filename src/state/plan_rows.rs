//! The plan of one cycle, spilled to the temporary database: a plan of a million changes takes no memory.

use super::{StateError, Store};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use crate::plan::{Change, Counts, Kind, Member, Parked, digest};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A change with what the guard and the store say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRow {
    /// Row number in the plan.
    pub seq: i64,
    /// The change.
    pub change: Arc<Change>,
    /// Identity for approvals.
    pub hash: Vec<u8>,
    /// Approved by somebody.
    pub approved: bool,
    /// The identity that was approved, where it was a part that stands for the whole.
    pub approval: Option<Vec<u8>>,
    /// Why it is held, if it is.
    pub held: Option<String>,
}

/// What of a change has no column of its own. Nothing stands in it twice.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    #[serde(default, skip_serializing_if = "nothing")]
    from: Cow<'a, Flat>,
    #[serde(default, skip_serializing_if = "nothing")]
    to: Cow<'a, Flat>,
    #[serde(default, skip_serializing_if = "nothing")]
    pushed: Cow<'a, Flat>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<(i64, SourceKey, String)>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    create_only: Cow<'a, BTreeSet<String>>,
}

fn nothing(flat: &Flat) -> bool {
    flat.is_empty()
}

pub(super) const SELECT: &str =
    "SELECT seq, kind, entry_id, key, who, target_id, reason, body, hash, recreate, approved, held, approval
    FROM temp.plan_change CROSS JOIN temp.plan_body USING (seq)";

pub(super) fn row(r: &Row<'_>) -> rusqlite::Result<PlanRow> {
    let bad = |at: usize, e: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, e)
    };
    let kind = Kind::parse(r.get_ref(1)?.as_str()?).ok_or_else(|| bad(1, "unknown kind of change".into()))?;
    let body: Body<'_> = serde_json::from_str(r.get_ref(7)?.as_str()?).map_err(|e| bad(7, Box::new(e)))?;
    Ok(PlanRow {
        seq: r.get(0)?,
        change: Arc::new(Change {
            kind,
            id: r.get(2)?,
            source_key: SourceKey(r.get(3)?),
            who: r.get(4)?,
            target_id: r.get::<_, Option<String>>(5)?.map(TargetId),
            reason: r.get(6)?,
            from: body.from.into_owned(),
            to: body.to.into_owned(),
            pushed: body.pushed.into_owned(),
            members: body.members.into_iter().map(|(id, source_key, who)| Member { id, source_key, who }).collect(),
            recreate: r.get(9)?,
            create_only: body.create_only.into_owned(),
        }),
        hash: r.get(8)?,
        approved: r.get(10)?,
        held: r.get(11)?,
        approval: r.get(12)?,
    })
}

impl PlanRow {
    /// The approval under which it is carried out, if it is under one.
    #[must_use]
    pub fn approval(&self) -> Option<&[u8]> {
        self.approved.then(|| self.approval.as_deref().unwrap_or(&self.hash))
    }
}

impl Store {
    /// Forgets the plan of an earlier cycle.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_clear(&self) -> Result<(), StateError> {
        self.run(|c| {
            c.execute_batch(
                "DELETE FROM temp.plan_change; DELETE FROM temp.plan_body; DELETE FROM temp.plan_parked; DELETE FROM temp.flipped;
                 DELETE FROM temp.absorb; DELETE FROM temp.plan_drift",
            )
        })
    }

    /// Adds a change.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_add(&self, change: &Change) -> Result<(), StateError> {
        self.plan_add_as(change, digest::change(change))
    }

    /// Adds a change under this identity for approvals.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_add_as(&self, change: &Change, hash: [u8; 32]) -> Result<(), StateError> {
        let body = self.plan_body(change)?;
        let amount = change.members.len().max(1);
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO temp.plan_change (phase, kind, object, entry_id, key, who, target_id, reason, amount, hash, recreate, renames)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                change.kind.phase(),
                change.kind.as_str(),
                change.kind.object().as_str(),
                change.id,
                change.source_key.as_str(),
                change.who,
                change.target_id.as_ref().map(TargetId::as_str),
                change.reason,
                i64::try_from(amount).unwrap_or(i64::MAX),
                hash,
                change.recreate,
                change.renames()
            ])?;
            // Or replace: a change that was taken out of the plan leaves its body, and perhaps its number, behind.
            c.prepare_cached("INSERT OR REPLACE INTO temp.plan_body (seq, body) VALUES (last_insert_rowid(), ?1)")?.execute([body])
        })
        .map(drop)
    }

    pub(super) fn plan_body(&self, change: &Change) -> Result<String, StateError> {
        let body = Body {
            from: Cow::Borrowed(&change.from),
            to: Cow::Borrowed(&change.to),
            pushed: if change.pushed == change.to { Cow::default() } else { Cow::Borrowed(&change.pushed) },
            members: change.members.iter().map(|m| (m.id, m.source_key.clone(), m.who.clone())).collect(),
            create_only: Cow::Borrowed(&change.create_only),
        };
        serde_json::to_string(&body).map_err(|e| self.damaged(e.to_string()))
    }

    /// Adds a parked record.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_park(&self, p: &Parked) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO temp.plan_parked (entry_id, kind, object, key, who, reason, advice)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![p.id, p.kind, p.object.as_str(), p.source_key.as_str(), p.who, p.reason, p.advice])
        })
        .map(drop)
    }

    /// Number of planned adoptions of a kind (part of the guard's base).
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_count(&self, kind: Kind) -> Result<u64, StateError> {
        self.run(|c| {
            let of_kind = "SELECT count(*) FROM temp.plan_change WHERE phase = ?1 AND kind = ?2";
            c.query_row(of_kind, params![kind.phase(), kind.as_str()], |r| r.get(0))
        })
    }

    /// Two entries that would adopt one account: neither does, whichever came first. Inactive entries do not compete: they
    /// leave it to an active one.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_park_double_adoptions(&self, object: ObjectKind) -> Result<(), StateError> {
        let kind = if object == ObjectKind::User { Kind::Adopt } else { Kind::GroupAdopt };
        if self.plan_count(kind)? == 0 {
            return Ok(());
        }
        self.run(|c| {
            let yields = "SELECT p.entry_id FROM temp.plan_change p JOIN main.entry e ON e.id = p.entry_id
                WHERE p.kind = ?1 AND e.inactive = 1 AND EXISTS (SELECT 1 FROM temp.plan_change q JOIN main.entry f ON f.id = q.entry_id
                    WHERE q.kind = ?1 AND q.target_id = p.target_id AND f.inactive = 0)";
            c.execute(&format!("UPDATE entry SET eligible = 0 WHERE id IN ({yields})"), [kind.as_str()])?;
            c.execute(&format!("DELETE FROM temp.plan_change WHERE entry_id IN ({yields})"), [kind.as_str()])?;
            let doubles = "SELECT entry_id FROM temp.plan_change WHERE kind = ?1 AND target_id IN
                (SELECT target_id FROM temp.plan_change WHERE kind = ?1 GROUP BY target_id HAVING count(*) > 1)";
            c.execute(
                &format!(
                    "INSERT OR REPLACE INTO temp.plan_parked (entry_id, kind, object, key, who, reason, advice)
                     SELECT entry_id, kind, object, key, who,
                        'the same account (' || target_id || ') matches somebody else too; it is given to none of them',
                        'make the match unambiguous: set externalId at the target, or correct the address at the source'
                     FROM temp.plan_change WHERE kind = ?1 AND entry_id IN ({doubles})"
                ),
                [kind.as_str()],
            )?;
            c.execute(&format!("UPDATE entry SET eligible = 0 WHERE id IN ({doubles})"), [kind.as_str()])?;
            c.execute(
                "DELETE FROM temp.plan_change WHERE entry_id IN (SELECT entry_id FROM temp.plan_parked WHERE kind = ?1)",
                [kind.as_str()],
            )
        })
        .map(drop)
    }

    /// Calls `f` for every change in order: phase, source key, kind.
    ///
    /// # Errors
    /// The temporary database cannot be read; what `f` says.
    pub fn plan_each<E: From<StateError>>(&self, mut f: impl FnMut(PlanRow) -> Result<(), E>) -> Result<(), E> {
        let wrap = |source| E::from(StateError::Sqlite { path: self.path().to_owned(), source });
        let mut st = self.conn.prepare(&format!("{SELECT} ORDER BY phase, key, kind, seq")).map_err(wrap)?;
        let mut q = st.query([]).map_err(wrap)?;
        while let Some(r) = q.next().map_err(wrap)? {
            f(row(r).map_err(wrap)?)?;
        }
        Ok(())
    }

    /// Whether a change of this kind is planned for the entry.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_has(&self, entry: i64, kind: Kind) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT EXISTS (SELECT 1 FROM temp.plan_change WHERE entry_id = ?1 AND kind = ?2)")?
                .query_row(params![entry, kind.as_str()], |r| r.get(0))
        })
    }

    /// Whether a member stays in its group because the guard holds the deactivation: also where the removal was approved, if
    /// the account is protected.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_keeps_member(&self, entry: i64, approved: bool) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM temp.plan_change WHERE entry_id = ?1 AND kind = 'deactivate' AND held IS NOT NULL
                 AND (?2 = 0 OR is_protected(held)))",
            )?
            .query_row(params![entry, approved], |r| r.get(0))
        })
    }

    /// Whether anything is held for this reason.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_holds(&self, why: &str) -> Result<bool, StateError> {
        self.run(|c| c.query_row("SELECT EXISTS (SELECT 1 FROM temp.plan_change WHERE held = ?1)", [why], |r| r.get(0)))
    }

    /// Whether the guard keeps back anything that takes something away. Protected accounts do not count: they are held
    /// for good, whatever the directory says.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_keeps_back(&self, another_source: Option<&str>) -> Result<bool, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM temp.plan_change WHERE held IS NOT NULL AND NOT is_protected(held)
                 AND (kind IN ('deactivate', 'delete', 'group_delete', 'members_remove')
                    OR kind IN ('create', 'group_create') AND held = ?1))",
                [another_source],
                |r| r.get(0),
            )
        })
    }

    /// The next changes of a phase that may be carried out, behind `after` (source key, row): at most `limit`, and no more
    /// than it takes to have `members` members in them, so that large groups do not come all at once.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_next(&self, phase: u8, after: &(String, i64), limit: u32, members: usize) -> Result<Vec<PlanRow>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(&format!(
                "{SELECT} WHERE phase = ?1 AND (key, seq) > (?2, ?3) AND held IS NULL AND done = 0 ORDER BY key, seq LIMIT ?4"
            ))?;
            let mut rows = st.query_map(params![phase, after.0, after.1, limit], row)?;
            let (mut out, mut room) = (Vec::new(), members);
            while room > 0
                && let Some(row) = rows.next().transpose()?
            {
                room = room.saturating_sub(row.change.members.len());
                out.push(row);
            }
            Ok(out)
        })
    }

    /// Notes that a change was carried out.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_done(&self, seq: i64) -> Result<(), StateError> {
        self.run(|c| c.prepare_cached("UPDATE temp.plan_change SET done = 1 WHERE seq = ?1")?.execute([seq])).map(drop)
    }

    /// Notes that a part of a change was carried out: it counts, and the entry is looked at again in the next cycle.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_partly_done(&self, seq: i64, amount: u64) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached("UPDATE temp.plan_change SET done = 2, amount = ?2 WHERE seq = ?1")?.execute(params![seq, amount])
        })
        .map(drop)
    }

    /// What was planned as one kind turned out to be another (a create that met an account that may be adopted).
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_rename_kind(&self, seq: i64, kind: Kind) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE temp.plan_change SET kind = ?2 WHERE seq = ?1", params![seq, kind.as_str()])).map(drop)
    }

    /// Whether a change of this kind was carried out for the entry in this cycle.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_has_done(&self, entry: i64, kind: Kind) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT EXISTS (SELECT 1 FROM temp.plan_change WHERE entry_id = ?1 AND kind = ?2 AND done = 1)")?
                .query_row(params![entry, kind.as_str()], |r| r.get(0))
        })
    }

    /// Changes that may be carried out and are not yet.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_open(&self) -> Result<u64, StateError> {
        self.run(|c| c.query_row("SELECT count(*) FROM temp.plan_change WHERE held IS NULL AND done = 0", [], |r| r.get(0)))
    }

    /// Whether anything is held because the read cannot be trusted, or for another reason, among what takes away.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_held(&self) -> Result<BTreeMap<Kind, u64>, StateError> {
        self.run(|c| {
            let mut st = c.prepare("SELECT kind, count(*) FROM temp.plan_change WHERE held IS NOT NULL GROUP BY kind")?;
            let rows = st.query_map([], |r| Ok((Kind::parse(r.get_ref(0)?.as_str()?), r.get::<_, u64>(1)?)))?;
            let mut out = BTreeMap::new();
            for r in rows {
                if let (Some(k), n) = r? {
                    out.insert(k, n);
                }
            }
            Ok(out)
        })
    }

    /// The counts of the plan (`done_only`: of what was carried out).
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn plan_counts(&self, sync: i64, done_only: bool) -> Result<Counts, StateError> {
        let (in_scope, out_of_scope) = self.count_scope(sync)?;
        self.run(|c| {
            let mut counts = Counts { out_of_scope, ..Counts::default() };
            let mut st = c.prepare("SELECT kind, sum(amount) FROM temp.plan_change WHERE ?1 = 0 OR done > 0 GROUP BY kind")?;
            let mut q = st.query([done_only])?;
            while let Some(r) = q.next()? {
                if let Some(k) = Kind::parse(r.get_ref(0)?.as_str()?) {
                    counts.kinds.insert(k, r.get(1)?);
                }
            }
            let touched: u64 = c.query_row(
                "SELECT count(*) FROM entry WHERE +sync_id = ?1 AND +gone IS NULL AND +in_scope = 1 AND id IN
                 (SELECT entry_id FROM temp.plan_change UNION SELECT entry_id FROM temp.plan_parked)",
                [sync],
                |r| r.get(0),
            )?;
            counts.unchanged = in_scope.saturating_sub(touched);
            Ok(counts)
        })
    }
}
