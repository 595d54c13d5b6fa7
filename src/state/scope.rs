//! Who is in the groups that say who takes part (`scope.members_of`). Everybody in them is listed after a full read, or where
//! other groups are meant than before; else whoever came or went is looked at, and asked which groups they are in.

use super::{Sql, StateError, Store};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;

fn roots_key(sync: i64) -> String {
    format!("scope_groups:{sync}")
}

/// From now on it is not known whether everybody's place in the scope was worked out.
pub(super) fn forget_roots(c: &Connection, sync: i64) -> Sql<()> {
    c.execute("DELETE FROM meta WHERE key = ?1", [roots_key(sync)]).map(drop)
}

/// Whoever came into a group or left one in this read (`temp.moved`), themselves or with a group that they are in, is looked
/// at again.
pub(super) fn mark_moved(c: &Connection) -> Sql<()> {
    c.execute(
        "UPDATE entry SET dirty = 1 WHERE dirty = 0 AND id IN (WITH RECURSIVE down (id) AS (
            SELECT entry_id FROM temp.moved
            UNION SELECT m.member_id FROM down CROSS JOIN member m ON m.group_id = down.id WHERE m.member_id IS NOT NULL)
         SELECT id FROM down)",
        [],
    )
    .map(drop)
}

impl Store {
    /// Whether everybody's place in the scope was worked out with these groups, and whoever moved since is marked.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn scope_groups_are(&self, sync: i64, groups: &[i64]) -> Result<bool, StateError> {
        let known: Option<String> = self.run(|c| {
            c.query_row("SELECT CAST(value AS TEXT) FROM meta WHERE key = ?1", [roots_key(sync)], |r| r.get(0)).optional()
        })?;
        Ok(known.is_some_and(|known| known == text(groups)))
    }

    /// Lists who may be in scope by `members_of`, the people in these groups and in groups in them, and marks whoever came
    /// into them or fell out since it was last worked out.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn list_scope_members(&self, sync: i64, groups: &[i64]) -> Result<(), StateError> {
        let mut all = HashSet::new();
        for g in groups {
            all.extend(self.source_members(*g, true)?.0);
        }
        self.run(|c| {
            c.execute("DELETE FROM temp.scope_member", [])?;
            let mut st = c.prepare_cached("INSERT INTO temp.scope_member (entry_id) VALUES (?1)")?;
            for id in all {
                st.execute([id])?;
            }
            c.execute(
                "UPDATE entry SET dirty = 1 WHERE sync_id = ?1 AND kind = 0 AND gone IS NULL AND dirty = 0 AND (
                    (in_scope = 1 AND id NOT IN (SELECT entry_id FROM temp.scope_member))
                    OR (in_scope = 0 AND id IN (SELECT entry_id FROM temp.scope_member)))",
                [sync],
            )?;
            c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![roots_key(sync), text(groups)])
        })
        .map(drop)
    }

    /// Whether the entry is among those listed by [`Store::list_scope_members`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_listed_in_scope(&self, id: i64) -> Result<bool, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT EXISTS (SELECT 1 FROM temp.scope_member WHERE entry_id = ?1)")?.query_row([id], |r| r.get(0))
        })
    }

    /// Whether the entry is in one of these groups, or in a group in them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_in_one_of(&self, id: i64, groups: &[i64]) -> Result<bool, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "WITH RECURSIVE up (id) AS (SELECT ?1
                    UNION SELECT m.group_id FROM up CROSS JOIN member m ON m.member_id = up.id
                        CROSS JOIN entry g ON g.id = m.group_id WHERE g.gone IS NULL)
                 SELECT id FROM up WHERE id <> ?1",
            )?;
            let mut around = st.query([id])?;
            while let Some(r) = around.next()? {
                if groups.contains(&r.get(0)?) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

fn text(groups: &[i64]) -> String {
    let mut groups = groups.to_vec();
    groups.sort_unstable();
    groups.dedup();
    groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
