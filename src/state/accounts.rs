//! Every account at the target beside what is known of it: read at the target into the temporary database, links, matches.

use super::{StateError, Store};
use crate::model::TargetId;
use rusqlite::params;

/// How an entry without a link stands to an account that matches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next cycle that reads the target adopts it.
    Adoptable,
    /// It matches, and takes no part: out of scope.
    OutOfScope,
    /// It matches, and cannot be decided.
    Undecided,
    /// It matches by an old name only, which was not converted.
    Unconverted,
}

/// The person behind a live link of this sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// For people to read.
    pub who: String,
    /// Source key.
    pub key: String,
    /// We made the account.
    pub created: bool,
    /// Since when the source lacks the entry (Unix second).
    pub gone: Option<i64>,
    /// Disabled at the source.
    pub inactive: bool,
    /// Takes part.
    pub in_scope: bool,
}

/// An entry without a link that matches the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// For people to read.
    pub who: String,
    /// Source key.
    pub key: String,
    /// How it stands.
    pub verdict: Verdict,
    /// Why it cannot be decided.
    pub why: String,
}

/// An account at the target and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// SCIM id.
    pub target_id: TargetId,
    /// The resource as it came (JSON).
    pub json: String,
    /// The link of this sync.
    pub linked: Option<Linked>,
    /// Another sync of the same target that linked it.
    pub other_sync: Option<String>,
    /// Who matches it.
    pub matched: Option<Matched>,
}

impl Store {
    /// Notes that an entry without a link matches an account. Where several do, none of them is it.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn account_matches(&self, account: &TargetId, m: &Matched) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO temp.account_match (target_id, who, key, verdict, why) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (target_id) DO UPDATE SET verdict = 2,
                    why = CASE WHEN why = '' OR excluded.why = '' THEN 'it matches ' || who || ' and ' || excluded.who ELSE why END",
            )?
            .execute(params![account.as_str(), m.who, m.key, verdict_no(m.verdict), m.why])
        })
        .map(drop)
    }

    /// Notes whose the accounts that nobody matches may be by their old names, as far as it is on record: of people who are in
    /// the directory and have no account.
    ///
    /// # Errors
    /// The store cannot be read, the temporary database cannot be written.
    pub fn account_matches_by_claims(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "INSERT OR IGNORE INTO temp.account_match (target_id, who, key, verdict, why)
                 SELECT target_id, label || CASE others WHEN 0 THEN '' WHEN 1 THEN ' and 1 other' ELSE ' and ' || others || ' others' END,
                    key, ?2, reason
                 FROM (SELECT k.target_id, e.label, e.key, k.reason, count(*) OVER (PARTITION BY k.target_id) - 1 AS others,
                       row_number() OVER (PARTITION BY k.target_id ORDER BY e.label, e.key) AS no
                    FROM main.claim k JOIN main.entry e ON e.id = k.entry_id
                    JOIN temp.remote r ON r.kind = 0 AND r.id = k.target_id AND r.name = k.name
                    WHERE k.sync_id = ?1 AND e.gone IS NULL
                    AND NOT EXISTS (SELECT 1 FROM main.link l WHERE l.entry_id = e.id AND l.gone = 0))
                 WHERE no = 1",
                params![sync, verdict_no(Verdict::Unconverted)],
            )
        })
        .map(drop)
    }

    /// Forgets who matches which account.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn account_matches_clear(&self) -> Result<(), StateError> {
        self.run(|c| c.execute("DELETE FROM temp.account_match", [])).map(drop)
    }

    /// Every account that was read at the target, by name; `f` is called for each.
    ///
    /// # Errors
    /// The store cannot be read; what `f` says.
    pub fn accounts_each<E: From<StateError>>(&self, sync: i64, mut f: impl FnMut(AccountRow) -> Result<(), E>) -> Result<(), E> {
        let wrap = |source| E::from(StateError::Sqlite { path: self.path().to_owned(), source });
        let mut st = self
            .conn
            .prepare(
                "SELECT r.id, r.json, e.label, e.key, l.origin, e.gone, e.inactive, e.in_scope,
                    (SELECT s.name FROM link o JOIN sync s ON s.id = o.sync_id JOIN sync me ON me.id = ?1
                     WHERE o.target_id = r.id AND o.kind = 0 AND o.gone = 0 AND o.sync_id <> ?1
                       AND (s.target = me.target OR s.address = me.address) LIMIT 1),
                    m.who, m.key, m.verdict, m.why
                 FROM temp.remote r
                 LEFT JOIN link l ON l.sync_id = ?1 AND l.kind = 0 AND l.target_id = r.id AND l.gone = 0
                 LEFT JOIN entry e ON e.id = l.entry_id
                 LEFT JOIN temp.account_match m ON m.target_id = r.id
                 WHERE r.kind = 0 ORDER BY r.name, r.id",
            )
            .map_err(wrap)?;
        let mut rows = st.query([sync]).map_err(wrap)?;
        while let Some(r) = rows.next().map_err(wrap)? {
            let row = (|| -> rusqlite::Result<AccountRow> {
                let linked = match r.get::<_, Option<String>>(2)? {
                    None => None,
                    Some(who) => Some(Linked {
                        who,
                        key: r.get(3)?,
                        created: r.get::<_, i64>(4)? == 0,
                        gone: r.get(5)?,
                        inactive: r.get(6)?,
                        in_scope: r.get(7)?,
                    }),
                };
                let matched = match r.get::<_, Option<String>>(9)? {
                    None => None,
                    Some(who) => Some(Matched { who, key: r.get(10)?, verdict: verdict_of(r.get(11)?), why: r.get(12)? }),
                };
                Ok(AccountRow { target_id: TargetId(r.get(0)?), json: r.get(1)?, linked, other_sync: r.get(8)?, matched })
            })()
            .map_err(wrap)?;
            f(row)?;
        }
        Ok(())
    }
}

fn verdict_no(v: Verdict) -> i64 {
    match v {
        Verdict::Adoptable => 0,
        Verdict::OutOfScope => 1,
        Verdict::Undecided => 2,
        Verdict::Unconverted => 3,
    }
}

fn verdict_of(no: i64) -> Verdict {
    match no {
        0 => Verdict::Adoptable,
        1 => Verdict::OutOfScope,
        3 => Verdict::Unconverted,
        _ => Verdict::Undecided,
    }
}
