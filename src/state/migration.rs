//! What a migration of user IDs keeps: its cycle, what it renamed, and who waits because an account may be theirs.

use super::{StateError, Store};
use crate::model::TargetId;
use rusqlite::{OptionalExtension, ToSql, params};

/// A migration that was begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMigration {
    /// Its cycle.
    pub cycle: i64,
    /// What was noted at its beginning (JSON).
    pub note: String,
}

/// An account that was read at the target, with who is linked to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAccount {
    /// SCIM id.
    pub id: TargetId,
    /// The resource as it came (JSON).
    pub json: String,
    /// The sync and the entry of a live link, of whatever sync of this target.
    pub linked: Option<(i64, i64)>,
}

/// Which of the accounts that were read.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// Those whose name is nobody's user ID, and those that are linked to somebody with another one.
    Strange,
    /// Those of this folded name, and the one of this id.
    Of {
        /// The name.
        name: Option<&'a str>,
        /// The id.
        id: Option<&'a TargetId>,
    },
}

/// An account that may be somebody's, and is not given to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose it may be.
    pub entry_id: i64,
    /// The account.
    pub target_id: TargetId,
    /// Its userName.
    pub name: String,
    /// Why it is not theirs yet.
    pub reason: String,
    /// What to do.
    pub advice: String,
    /// The migration does not rename it: it has said why.
    pub settled: bool,
}

/// What became of a planned change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOutcome {
    /// The account.
    pub target_id: TargetId,
    /// It was carried out, in part at least.
    pub done: bool,
    /// Why it, or a part of it, was not.
    pub refused: Option<String>,
}

impl Store {
    /// Begins the cycle of a migration; `note` (a JSON object that begins with the key `migration`) is kept with it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn migration_begin(&self, sync: i64, note: &str, now: i64) -> Result<i64, StateError> {
        let cycle = self.cycle_begin(sync, now)?;
        self.run(|c| c.execute("UPDATE cycle SET report = ?2 WHERE id = ?1", params![cycle, note]))?;
        Ok(cycle)
    }

    /// The migrations of a sync that were not ended, the last one first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn migrations_open(&self, sync: i64) -> Result<Vec<OpenMigration>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT id, report FROM cycle WHERE sync_id = ?1 AND result IS NULL AND report LIKE '{\"migration\":%'
                 ORDER BY id DESC",
            )?;
            let rows = st.query_map([sync], |r| Ok(OpenMigration { cycle: r.get(0)?, note: r.get(1)? }))?;
            rows.collect()
        })
    }

    /// Renames that a cycle carried out, oldest first: account, before-image, what was written (JSON).
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn renames_of(&self, cycle: i64) -> Result<Vec<(TargetId, String, String)>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT target_id, coalesce(before, '{}'), coalesce(after, '{}') FROM journal
                 WHERE cycle = ?1 AND kind = 'rename' AND status = 'done' AND target_id IS NOT NULL ORDER BY id",
            )?;
            let rows = st.query_map([cycle], |r| Ok((TargetId(r.get(0)?), r.get(1)?, r.get(2)?)))?;
            rows.collect()
        })
    }

    /// The name that an account had before a cycle of this sync gave it this one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn name_before(&self, sync: i64, id: &TargetId, name: &str) -> Result<Option<String>, StateError> {
        self.run(|c| {
            c.query_row(
                "SELECT json_extract(before, '$.userName') FROM journal
                 WHERE sync_id = ?1 AND kind = 'rename' AND status = 'done' AND target_id = ?2
                 AND lower(json_extract(after, '$.userName')) = lower(?3) ORDER BY id DESC LIMIT 1",
                params![sync, id.as_str(), name],
                |r| r.get(0),
            )
            .optional()
            .map(Option::flatten)
        })
    }

    /// The accounts of this kind that were read at the target, by name and id; `f` is called for each.
    ///
    /// # Errors
    /// The store cannot be read; what `f` says.
    pub fn read_accounts<E: From<StateError>>(
        &self,
        sync: i64,
        which: Which<'_>,
        mut f: impl FnMut(ReadAccount) -> Result<(), E>,
    ) -> Result<(), E> {
        let wrap = |source| E::from(StateError::Sqlite { path: self.path().to_owned(), source });
        let (values, id): (Vec<&dyn ToSql>, Option<&str>);
        let condition = match &which {
            Which::All => {
                values = vec![&sync];
                ""
            }
            Which::Strange => {
                values = vec![&sync];
                "AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.sync_id = ?1 AND e.user_id = r.name
                    AND (l.entry_id IS NULL OR e.id = l.entry_id))"
            }
            Which::Of { name, id: of } => {
                id = of.map(TargetId::as_str);
                values = vec![&sync, name, &id];
                "AND r.id IN (SELECT id FROM temp.remote WHERE kind = 0 AND name = ?2 UNION SELECT ?3)"
            }
        };
        let sql = format!(
            "SELECT r.id, r.json, l.sync_id, l.entry_id FROM temp.remote r
             LEFT JOIN link l ON l.kind = 0 AND l.target_id = r.id AND l.gone = 0 AND l.sync_id IN
                (SELECT s.id FROM sync me JOIN sync s ON s.target = me.target OR s.address = me.address WHERE me.id = ?1)
             WHERE r.kind = 0 {condition} GROUP BY r.id ORDER BY r.name, r.id"
        );
        let mut st = self.conn.prepare_cached(&sql).map_err(wrap)?;
        let mut rows = st.query(values.as_slice()).map_err(wrap)?;
        while let Some(r) = rows.next().map_err(wrap)? {
            let row = (|| -> rusqlite::Result<ReadAccount> {
                let linked = r.get::<_, Option<i64>>(2)?.zip(r.get::<_, Option<i64>>(3)?);
                Ok(ReadAccount { id: TargetId(r.get(0)?), json: r.get(1)?, linked })
            })()
            .map_err(wrap)?;
            f(row)?;
        }
        Ok(())
    }

    /// Everything planned is approved: somebody confirmed it.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn plan_approve_all(&self) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE temp.plan_change SET approved = 1", [])).map(drop)
    }

    /// What became of everything planned.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_outcomes(&self) -> Result<Vec<PlanOutcome>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT p.target_id, p.done > 0, k.reason FROM temp.plan_change p
                 LEFT JOIN temp.plan_parked k ON k.entry_id = p.entry_id WHERE p.target_id IS NOT NULL ORDER BY p.seq",
            )?;
            let rows =
                st.query_map([], |r| Ok(PlanOutcome { target_id: TargetId(r.get(0)?), done: r.get(1)?, refused: r.get(2)? }))?;
            rows.collect()
        })
    }

    /// Replaces the claims of a sync.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_claims(&self, sync: i64, claims: &[Claim]) -> Result<(), StateError> {
        self.run(|c| c.execute("DELETE FROM claim WHERE sync_id = ?1", [sync]))?;
        self.add_claims(sync, claims)
    }

    /// Adds claims of a sync; those that are there already stay as they are.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn add_claims(&self, sync: i64, claims: &[Claim]) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "INSERT OR IGNORE INTO claim (entry_id, target_id, sync_id, name, reason, advice, settled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for k in claims {
                st.execute(params![k.entry_id, k.target_id.as_str(), sync, k.name.to_lowercase(), k.reason, k.advice, k.settled])?;
            }
            Ok(())
        })
    }

    /// Whether an account was read at the target that nobody is linked to, and whose name is nobody's user ID.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_strange_accounts(&self, sync: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT 1 FROM temp.remote r WHERE r.kind = 0
                 AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.sync_id = ?1 AND e.user_id = r.name)
                 AND NOT EXISTS (SELECT 1 FROM link l WHERE l.kind = 0 AND l.target_id = r.id AND l.gone = 0 AND l.sync_id = ?1)",
            )?
            .exists([sync])
        })
    }

    /// Whether a migration has said of this account, which may be the entry's, why it keeps its name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_settled(&self, entry: i64, target: &TargetId) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT 1 FROM claim WHERE entry_id = ?1 AND target_id = ?2 AND settled = 1")?
                .exists(params![entry, target.as_str()])
        })
    }

    /// Why an entry gets no account although none matches: one under an old name may be theirs. Where the target was read
    /// (`observed`), an account that is not there any more, has another name, or was given to somebody, counts no longer.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn claimed(&self, sync: i64, entry: i64, observed: bool) -> Result<Option<super::parked::Waiting>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT k.reason, k.advice FROM claim k WHERE k.entry_id = ?1
                 AND (?3 = 0 OR EXISTS (SELECT 1 FROM temp.remote r WHERE r.kind = 0 AND r.id = k.target_id AND r.name = k.name))
                 AND NOT EXISTS (SELECT 1 FROM link l JOIN sync s ON s.id = l.sync_id JOIN sync me ON me.id = ?2
                    WHERE l.kind = 0 AND l.target_id = k.target_id AND l.gone = 0 AND (s.target = me.target OR s.address = me.address))
                 ORDER BY k.target_id LIMIT 1",
            )?
            .query_row(params![entry, sync, observed], |r| {
                Ok(super::parked::Waiting { reason: r.get(0)?, advice: r.get(1)? })
            })
            .optional()
        })
    }
}
