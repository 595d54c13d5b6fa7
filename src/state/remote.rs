//! What the target holds, read by pages into the temporary database: for adoption and verification.

use super::{StateError, Store, kind_no};
use crate::model::{ObjectKind, TargetId};
use crate::plan::matching::Candidate;
use rusqlite::{OptionalExtension, params};

/// A resource read at the target, as far as it is looked up.
#[derive(Debug, Clone)]
pub struct RemoteRow<'a> {
    /// User or group.
    pub kind: ObjectKind,
    /// SCIM id.
    pub id: &'a TargetId,
    /// userName or displayName.
    pub name: &'a str,
    /// externalId.
    pub external_id: Option<&'a str>,
    /// All addresses.
    pub emails: &'a [String],
    /// Members (groups).
    pub members: &'a [TargetId],
    /// The JSON as it came; of a group without its members.
    pub json: &'a str,
}

/// What a resource (its id and JSON) is found by.
pub type ValuesOf<'a> = &'a dyn Fn(&TargetId, &str) -> Result<Vec<String>, StateError>;

/// A group that was listed with nobody in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memberless {
    /// Its id.
    pub id: TargetId,
    /// It has a link.
    pub linked: bool,
    /// Somebody was put into it.
    pub pushed: bool,
}

impl Store {
    /// Takes one record out of what was read at the target.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn remote_forget(&self, kind: ObjectKind, id: &TargetId) -> Result<(), StateError> {
        let row = "DELETE FROM temp.remote WHERE kind = ?1 AND id = ?2";
        self.run(|c| c.execute(row, params![kind_no(kind), id.as_str()])).map(drop)
    }

    /// Forgets what was read at the target.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn remote_clear(&self) -> Result<(), StateError> {
        self.run(|c| {
            c.execute_batch(
                "DELETE FROM temp.remote; DELETE FROM temp.remote_email; DELETE FROM temp.remote_member;
                 DELETE FROM temp.remote_value; DELETE FROM temp.remote_listed; BEGIN",
            )
        })
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn remote_add(&self, r: &RemoteRow<'_>) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO temp.remote (kind, id, name, external_id, json) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![kind_no(r.kind), r.id.as_str(), r.name.to_lowercase(), r.external_id, r.json])?;
            for e in r.emails {
                c.prepare_cached("INSERT OR IGNORE INTO temp.remote_email (value, id) VALUES (?1, ?2)")?
                    .execute(params![e.to_lowercase(), r.id.as_str()])?;
            }
            // What was listed by value does not have this one.
            c.prepare_cached("DELETE FROM temp.remote_listed")?.execute([])?;
            for m in r.members {
                c.prepare_cached("INSERT OR IGNORE INTO temp.remote_member (group_id, member_id) VALUES (?1, ?2)")?
                    .execute(params![r.id.as_str(), m.as_str()])?;
            }
            Ok(())
        })
    }

    /// Ends reading the target.
    ///
    /// # Errors
    /// The temporary database cannot be written.
    pub fn remote_end(&self) -> Result<(), StateError> {
        self.run(|c| if c.is_autocommit() { Ok(()) } else { c.execute_batch("COMMIT") })
    }

    /// Lists everything that was read by its values of an attribute, for [`Self::remote_find`]; once, until the target is
    /// read anew. Not needed for what each resource is kept by anyway.
    ///
    /// # Errors
    /// The temporary database cannot be used.
    pub fn remote_list_by(&self, kind: ObjectKind, criterion: &str, values: ValuesOf<'_>) -> Result<(), StateError> {
        let criterion = criterion.to_ascii_lowercase();
        let is_kept = ["externalid", "id", "emails.value", "emails"].contains(&criterion.as_str())
            || criterion.eq_ignore_ascii_case(kind.name_attribute());
        let kind = kind_no(kind);
        if is_kept
            || self.run(|c| {
                c.prepare_cached("SELECT EXISTS (SELECT 1 FROM temp.remote_listed WHERE kind = ?1 AND criterion = ?2)")?
                    .query_row(params![kind, criterion], |r| r.get(0))
            })?
        {
            return Ok(());
        }
        self.run(|c| {
            c.prepare_cached("DELETE FROM temp.remote_value WHERE kind = ?1 AND criterion = ?2")?
                .execute(params![kind, criterion])
        })?;
        let mut after = String::new();
        loop {
            let rows: Vec<(String, String)> = self.run(|c| {
                let mut st =
                    c.prepare_cached("SELECT id, json FROM temp.remote WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT 1000")?;
                let rows = st.query_map(params![kind, after], |r| Ok((r.get(0)?, r.get(1)?)))?;
                rows.collect()
            })?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            for (id, json) in rows {
                let id = TargetId(id);
                for value in values(&id, &json)? {
                    self.run(|c| {
                        c.prepare_cached(
                            "INSERT OR IGNORE INTO temp.remote_value (kind, criterion, value, id) VALUES (?1, ?2, ?3, ?4)",
                        )?
                        .execute(params![kind, criterion, value.trim().to_lowercase(), id.as_str()])
                    })?;
                }
            }
        }
        self.run(|c| {
            c.prepare_cached("INSERT INTO temp.remote_listed (kind, criterion) VALUES (?1, ?2)")?
                .execute(params![kind, criterion])?;
            Ok(())
        })
    }

    /// Whether any resource of a kind was read at the target.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn remote_has_any(&self, kind: ObjectKind) -> Result<bool, StateError> {
        self.run(|c| c.prepare_cached("SELECT 1 FROM temp.remote WHERE kind = ?1 LIMIT 1")?.exists([kind_no(kind)]))
    }

    /// Accounts whose attribute has this value: `externalId` and `id` exactly; `userName`, `displayName` (of groups),
    /// `emails.value` and what was listed by [`Self::remote_list_by`] in any letter case. At most 20.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remote_find(
        &self,
        sync: i64,
        kind: ObjectKind,
        criterion: &str,
        value: &str,
        except: i64,
    ) -> Result<Vec<Candidate>, StateError> {
        let (sql, folded) = match criterion.to_ascii_lowercase().as_str() {
            "externalid" => ("SELECT id, name, external_id, json FROM temp.remote WHERE kind = ?1 AND external_id = ?2 LIMIT 20", false),
            "emails.value" | "emails" => (
                "SELECT r.id, r.name, r.external_id, r.json FROM temp.remote_email m JOIN temp.remote r ON r.kind = ?1 AND r.id = m.id
                 WHERE m.value = ?2 LIMIT 20",
                true,
            ),
            "id" => ("SELECT id, name, external_id, json FROM temp.remote WHERE kind = ?1 AND id = ?2 LIMIT 20", false),
            name if name.eq_ignore_ascii_case(kind.name_attribute()) => {
                ("SELECT id, name, external_id, json FROM temp.remote WHERE kind = ?1 AND name = ?2 LIMIT 20", true)
            }
            _ => (
                "SELECT r.id, r.name, r.external_id, r.json FROM temp.remote_value v JOIN temp.remote r ON r.kind = ?1 AND r.id = v.id
                 WHERE v.kind = ?1 AND v.criterion = ?3 AND v.value = ?2 LIMIT 20",
                true,
            ),
        };
        let value = if folded { value.trim().to_lowercase() } else { value.to_owned() };
        let criterion = criterion.to_ascii_lowercase();
        let rows: Vec<(String, Option<String>, String)> = self.run(|c| {
            let mut st = c.prepare_cached(sql)?;
            let mut bound: Vec<&dyn rusqlite::ToSql> = Vec::with_capacity(3);
            let kind = kind_no(kind);
            bound.push(&kind);
            bound.push(&value);
            if st.parameter_count() > 2 {
                bound.push(&criterion);
            }
            let rows = st.query_map(bound.as_slice(), |r| Ok((r.get(0)?, r.get(2)?, r.get(1)?)))?;
            rows.collect()
        })?;
        rows.into_iter()
            .map(|(id, external_id, name)| {
                let id = TargetId(id);
                let linked_to = self.linked_to(sync, kind, &id, except)?;
                Ok(Candidate { linked_to, id, name, external_id })
            })
            .collect()
    }

    /// The JSON of a resource read at the target.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remote_json(&self, kind: ObjectKind, id: &TargetId) -> Result<Option<String>, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT json FROM temp.remote WHERE kind = ?1 AND id = ?2")?
                .query_row(params![kind_no(kind), id.as_str()], |r| r.get(0))
                .optional()
        })
    }

    /// Whether accounts of the sync were read, several of them, and none that there is shows an externalId: the target does not
    /// keep it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remote_keeps_no_external_id(&self, sync: i64, kind: ObjectKind) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT NOT EXISTS (SELECT 1 FROM temp.remote WHERE kind = ?2 AND external_id <> '')
                    AND 3 <= (SELECT count(*) FROM (SELECT 1 FROM link l JOIN temp.remote r ON r.kind = l.kind AND r.id = l.target_id
                        WHERE l.sync_id = ?1 AND l.kind = ?2 LIMIT 3))",
            )?
            .query_row(params![sync, kind_no(kind)], |r| r.get(0))
        })
    }

    /// Groups that were read, those first to which members were pushed; none where any was read with somebody in it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remote_groups_without_members(&self, sync: i64) -> Result<Vec<Memberless>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT r.id, l.gone = 0, EXISTS (SELECT 1 FROM pushed_member p WHERE p.group_id = l.entry_id) AS pushed
                 FROM temp.remote r LEFT JOIN link l ON l.sync_id = ?1 AND l.kind = 1 AND l.target_id = r.id
                 WHERE r.kind = 1 AND NOT EXISTS (SELECT 1 FROM temp.remote_member) ORDER BY pushed DESC, r.id",
            )?;
            let rows = st.query_map([sync], |r| {
                Ok(Memberless { id: TargetId(r.get(0)?), linked: r.get::<_, Option<bool>>(1)? == Some(true), pushed: r.get(2)? })
            })?;
            rows.collect()
        })
    }

    /// Whether any group was read with somebody in it.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn remote_shows_members(&self) -> Result<bool, StateError> {
        self.run(|c| c.prepare_cached("SELECT EXISTS (SELECT 1 FROM temp.remote_member)")?.query_row([], |r| r.get(0)))
    }

    /// Whether `is_it` holds of the JSON of any account that is taken to be hidden, and was among what was read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn hidden_in_remote(&self, sync: i64, is_it: &dyn Fn(TargetId, &str) -> bool) -> Result<bool, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT r.id, r.json FROM link l JOIN temp.remote r ON r.kind = l.kind AND r.id = l.target_id
                 WHERE l.sync_id = ?1 AND l.gone = 0 AND l.hidden = 1",
            )?;
            let mut rows = st.query([sync])?;
            while let Some(r) = rows.next()? {
                if is_it(TargetId(r.get(0)?), r.get_ref(1)?.as_str()?) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Live links whose account was not among what was read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn links_not_in_remote(&self, sync: i64) -> Result<Vec<(i64, ObjectKind, TargetId)>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT l.entry_id, l.kind, l.target_id FROM link l WHERE l.sync_id = ?1 AND l.gone = 0 AND l.hidden <> 1
                 AND NOT EXISTS (SELECT 1 FROM temp.remote r WHERE r.kind = l.kind AND r.id = l.target_id)",
            )?;
            let rows = st.query_map([sync], |r| Ok((r.get(0)?, super::kind_of(r.get(1)?), TargetId(r.get(2)?))))?;
            rows.collect()
        })
    }
}
