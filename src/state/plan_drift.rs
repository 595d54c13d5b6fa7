//! What differs at the target and is only reported: spilled like the plan, so that any number of it takes no memory.

use super::{StateError, Store};
use crate::model::{ObjectKind, TargetId};
use crate::plan::drift::Difference;
use rusqlite::{Row, params};
use serde_json::Value;

/// An attribute, or the members, that somebody changed at the target.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftRow {
    /// `user` or `group`.
    pub object: String,
    /// Source key.
    pub key: String,
    /// For people to read.
    pub who: String,
    /// What is there, and what was pushed.
    pub difference: Difference,
}

/// Names of members: (there, though we did not put them in; pushed, and not there any more).
pub type MembersMoved = (Vec<String>, Vec<String>);

/// Members that are named of one group.
const MEMBERS: u32 = 200;

fn row(r: &Row<'_>) -> rusqlite::Result<DriftRow> {
    let value = |at: usize| -> rusqlite::Result<Value> {
        let bad = |e| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e));
        serde_json::from_str(r.get_ref(at)?.as_str()?).map_err(bad)
    };
    let difference = Difference { path: r.get(3)?, there: value(4)?, pushed: value(5)? };
    Ok(DriftRow { object: r.get(0)?, key: r.get(1)?, who: r.get(2)?, difference })
}

impl Store {
    /// Notes a difference.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_drift_add(&self, id: i64, object: ObjectKind, key: &str, who: &str, d: &Difference) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO temp.plan_drift (entry_id, path, object, key, who, there, pushed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![id, d.path, object.as_str(), key, who, d.there.to_string(), d.pushed.to_string()])
        })
        .map(drop)
    }

    /// Calls `f` for every difference, by name.
    ///
    /// # Errors
    /// The temporary database cannot be read; what `f` says.
    pub fn plan_drift_each<E: From<StateError>>(
        &self,
        limit: Option<u32>,
        mut f: impl FnMut(DriftRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let wrap = |source| E::from(StateError::Sqlite { path: self.path().to_owned(), source });
        let sql = "SELECT object, key, who, path, there, pushed FROM temp.plan_drift ORDER BY who, key, path LIMIT ?1";
        let mut st = self.conn.prepare(sql).map_err(wrap)?;
        let mut q = st.query([limit.map_or(-1, i64::from)]).map_err(wrap)?;
        while let Some(r) = q.next().map_err(wrap)? {
            f(row(r).map_err(wrap)?)?;
        }
        Ok(())
    }

    /// How many values differ, and of how many accounts and groups.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_drift_count(&self) -> Result<(u64, u64), StateError> {
        self.run(|c| {
            let sql = "SELECT count(*), count(DISTINCT entry_id) FROM temp.plan_drift";
            c.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?)))
        })
    }

    /// Members of a group that was read in this cycle, compared with those that were pushed. Who has no link is nobody's
    /// business, and who is kept outside the scope keeps the memberships.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn members_moved(&self, group: i64, remote: &TargetId) -> Result<MembersMoved, StateError> {
        self.run(|c| {
            let mut came = c.prepare_cached(
                "SELECT e.label FROM temp.remote_member r
                 JOIN link l ON l.sync_id = (SELECT sync_id FROM entry WHERE id = ?1) AND l.kind = 0 AND l.target_id = r.member_id
                    AND l.gone = 0
                 JOIN entry e ON e.id = l.entry_id WHERE r.group_id = ?2 AND NOT (e.eligible = 1 AND e.in_scope = 0)
                    AND NOT EXISTS (SELECT 1 FROM pushed_member p WHERE p.group_id = ?1 AND p.member_id = l.entry_id)
                 ORDER BY e.label LIMIT ?3",
            )?;
            let mut went = c.prepare_cached(
                "SELECT e.label FROM pushed_member p JOIN link l ON l.entry_id = p.member_id AND l.gone = 0
                 JOIN entry e ON e.id = p.member_id WHERE p.group_id = ?1
                    AND NOT EXISTS (SELECT 1 FROM temp.remote_member r WHERE r.group_id = ?2 AND r.member_id = l.target_id)
                 ORDER BY e.label LIMIT ?3",
            )?;
            let of = params![group, remote.as_str(), MEMBERS];
            let came = came.query_map(of, |r| r.get(0))?.collect::<Result<_, _>>()?;
            let went = went.query_map(of, |r| r.get(0))?.collect::<Result<_, _>>()?;
            Ok((came, went))
        })
    }
}
