//! References of people to people (a manager): whose account belongs where, and who waits for one.

use super::{StateError, Store, hash, kind_no};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use crate::plan::Member;
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

/// A person to whom somebody refers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referred {
    /// Row id.
    pub id: i64,
    /// The account, where there is one.
    pub target_id: Option<TargetId>,
}

/// Somebody who gets a reference as soon as the account exists, which this plan makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Row id.
    pub id: i64,
    /// Source key.
    pub key: SourceKey,
    /// For people to read.
    pub who: String,
    /// The account, where there is one already.
    pub target_id: Option<TargetId>,
    /// Path of each reference, and who is meant.
    pub paths: Vec<(String, Member)>,
}

/// A reference of an entry to a person.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// SCIM path that takes the other one's account.
    pub path: &'a str,
    /// As the directory says it: a source key, a user ID or a DN.
    pub text: &'a str,
    /// The same as groups name it: a DN in its normal form.
    pub name: &'a str,
    /// Who is meant, or whose account stands there meanwhile.
    pub member: Option<i64>,
    /// Nobody is known under that name yet.
    pub seeks: bool,
}

/// A user ID among the names that are sought.
pub(super) fn by_user_id(id: &str) -> hash::Hash {
    hash::name(&format!("user id:{}", id.trim().to_lowercase()))
}

impl Store {
    /// Who is meant: by source key, by the name that groups use (`name`, a DN in its normal form), or by the user ID. Two
    /// with one user ID are nobody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn referred(&self, sync: i64, text: &str, name: &str) -> Result<Option<Referred>, StateError> {
        // The pluses keep the index of everybody who is present out of it: it would be gone through for each reference.
        const SELECT: &str = "SELECT e.id, l.target_id FROM entry e LEFT JOIN link l ON l.entry_id = e.id AND l.gone = 0
             WHERE +e.sync_id = ?1 AND +e.kind = 0 AND +e.gone IS NULL AND ";
        let read =
            |r: &rusqlite::Row<'_>| Ok(Referred { id: r.get(0)?, target_id: r.get::<_, Option<String>>(1)?.map(TargetId) });
        self.run(|c| {
            let by_key = c
                .prepare_cached(&format!("{SELECT} e.sync_id = ?1 AND e.kind = 0 AND e.key = ?2"))?
                .query_row(params![sync, text], read)
                .optional()?;
            if by_key.is_some() {
                return Ok(by_key);
            }
            let by_name = c
                .prepare_cached(&format!(
                    "{SELECT} e.id IN (SELECT entry_id FROM entry_name WHERE sync_id = ?1 AND name = ?2) LIMIT 1"
                ))?
                .query_row(params![sync, hash::name(name)], read)
                .optional()?;
            if by_name.is_some() {
                return Ok(by_name);
            }
            let mut st = c.prepare_cached(&format!(
                "{SELECT} e.id IN (SELECT id FROM entry WHERE sync_id = ?1 AND user_id = ?2
                 UNION SELECT entry_id FROM link WHERE sync_id = ?1 AND kind = 0 AND name = ?2 AND gone = 0) LIMIT 2"
            ))?;
            let mut found =
                st.query_map(params![sync, text.trim().to_lowercase()], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(if found.len() == 1 { found.pop() } else { None })
        })
    }

    /// Whose account one is that was written as a reference: the entry, while it is linked and not confirmed missing.
    /// `None`: the account is not ours any more.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn bearer(&self, sync: i64, account: &str) -> Result<Option<i64>, StateError> {
        self.entry_of_target(sync, ObjectKind::User, &TargetId(account.to_owned()))
    }

    /// Whether somebody is about to get an account, as far as the entry says: takes part, and never had one, or had the link
    /// taken away by hand.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_awaited(&self, entry: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT gone IS NULL AND in_scope = 1 AND inactive = 0 AND NOT EXISTS (SELECT 1 FROM link WHERE entry_id = ?1)
                 FROM entry WHERE id = ?1",
            )?
            .query_row([entry], |r| r.get(0))
        })
    }

    /// Notes to whom an entry refers.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_references(&self, entry: i64, references: &[Reference<'_>]) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached("DELETE FROM reference WHERE entry_id = ?1")?.execute([entry])?;
            c.prepare_cached("DELETE FROM reference_sought WHERE entry_id = ?1")?.execute([entry])?;
            for r in references {
                c.prepare_cached("INSERT INTO reference (entry_id, path, member_id) VALUES (?1, ?2, ?3)")?
                    .execute(params![entry, r.path, r.member])?;
                if !r.seeks {
                    continue;
                }
                let by_key = hash::key_name(&SourceKey(r.text.to_owned()));
                for name in [by_key, hash::name(r.name), by_user_id(r.text)] {
                    c.prepare_cached("INSERT OR IGNORE INTO reference_sought (name, entry_id) VALUES (?1, ?2)")?
                        .execute(params![name, entry])?;
                }
            }
            Ok(())
        })
    }

    /// The references of an entry are written as they should be.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn references_written(&self, entry: i64) -> Result<(), StateError> {
        self.run(|c| {
            // Who is sought may have come meanwhile.
            c.prepare_cached(
                "UPDATE reference SET owed = 0 WHERE entry_id = ?1 AND owed = 1
                 AND NOT EXISTS (SELECT 1 FROM reference_sought s WHERE s.entry_id = ?1)",
            )?
            .execute([entry])
        })
        .map(drop)
    }

    /// Marks whoever refers to somebody whose account came or changed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn mark_referring(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "UPDATE entry SET dirty = 1 WHERE +sync_id = ?1 AND dirty = 0 AND id IN
                 (SELECT entry_id FROM reference INDEXED BY reference_owed WHERE owed = 1)",
                [sync],
            )
        })
        .map(drop)
    }

    /// Marks whoever refers to a person under a name that nobody had: late arrivals are filled in when they come. `user_ids`
    /// are the person's user IDs, now and as pushed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn mark_seeking(&self, sync: i64, person: i64, user_ids: &[&str]) -> Result<(), StateError> {
        const MARK: &str = "UPDATE entry SET dirty = 1 WHERE +sync_id = ?1 AND dirty = 0 AND id IN (SELECT entry_id FROM reference_sought WHERE name ";
        self.run(|c| {
            c.prepare_cached(&format!("{MARK} IN (SELECT name FROM entry_name WHERE entry_id = ?2))"))?
                .execute([sync, person])?;
            for id in user_ids {
                c.prepare_cached(&format!("{MARK} = ?2)"))?.execute(params![sync, by_user_id(id)])?;
            }
            Ok(())
        })
    }

    /// Who refers to somebody for whom this plan makes or finds an account, has or gets one, and is not updated anyway.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn plan_waiting(&self, sync: i64) -> Result<Vec<i64>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT DISTINCT r.entry_id FROM temp.plan_change m CROSS JOIN reference r ON r.member_id = m.entry_id
                 CROSS JOIN entry e ON e.id = r.entry_id
                 WHERE m.kind IN ('create', 'adopt') AND e.sync_id = ?1 AND e.gone IS NULL AND e.in_scope = 1 AND e.inactive = 0
                 AND NOT EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = r.entry_id AND p.kind IN ('update', 'rename', 'reactivate'))
                 AND (EXISTS (SELECT 1 FROM link l WHERE l.entry_id = r.entry_id AND l.gone = 0)
                    OR EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = r.entry_id AND p.kind IN ('create', 'adopt')))
                 ORDER BY r.entry_id",
            )?;
            let rows = st.query_map([sync], |r| r.get(0))?;
            rows.collect()
        })
    }

    /// One of [`Store::plan_waiting`], with the references whose account this plan makes or finds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn waiting_for(&self, entry: i64) -> Result<Option<Waiting>, StateError> {
        self.run(|c| {
            let found = c
                .prepare_cached(
                    "SELECT e.key, e.label, l.target_id FROM entry e LEFT JOIN link l ON l.entry_id = e.id AND l.gone = 0 WHERE e.id = ?1",
                )?
                .query_row([entry], |r| {
                    Ok(Waiting {
                        id: entry,
                        key: SourceKey(r.get(0)?),
                        who: r.get(1)?,
                        target_id: r.get::<_, Option<String>>(2)?.map(TargetId),
                        paths: Vec::new(),
                    })
                })
                .optional()?;
            let Some(mut found) = found else { return Ok(None) };
            let mut st = c.prepare_cached(
                "SELECT r.path, m.id, m.key, m.label FROM reference r JOIN entry m ON m.id = r.member_id WHERE r.entry_id = ?1
                 AND EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = m.id AND p.kind IN ('create', 'adopt')) ORDER BY r.path",
            )?;
            let rows = st.query_map([entry], |r| {
                Ok((r.get(0)?, Member { id: r.get(1)?, source_key: SourceKey(r.get(2)?), who: r.get(3)? }))
            })?;
            found.paths = rows.collect::<rusqlite::Result<_>>()?;
            Ok(Some(found))
        })
    }

    /// What was pushed to every linked resource of a kind.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn each_pushed(&self, sync: i64, kind: ObjectKind, f: &mut dyn FnMut(&Flat)) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare("SELECT pushed FROM link WHERE sync_id = ?1 AND kind = ?2 AND gone = 0")?;
            let mut q = st.query(params![sync, kind_no(kind)])?;
            while let Some(r) = q.next()? {
                if let Ok(pushed) = serde_json::from_str(r.get_ref(0)?.as_str()?) {
                    f(&pushed);
                }
            }
            Ok(())
        })
    }

    /// Every resource of a kind as it was read at the target in this cycle.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn each_remote(&self, kind: ObjectKind, f: &mut dyn FnMut(TargetId, Value)) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare("SELECT id, json FROM temp.remote WHERE kind = ?1")?;
            let mut q = st.query([kind_no(kind)])?;
            while let Some(r) = q.next()? {
                if let Ok(raw) = serde_json::from_str(r.get_ref(1)?.as_str()?) {
                    f(TargetId(r.get(0)?), raw);
                }
            }
            Ok(())
        })
    }
}
