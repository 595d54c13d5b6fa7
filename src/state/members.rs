//! Memberships: what the directory says, resolved to entries, against what was pushed.

use super::{StateError, Store, kind_of};
use crate::model::{ObjectKind, SourceKey, TargetId};
use crate::plan::Member;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use std::collections::{HashMap, HashSet};

/// The difference of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Should be there and are not.
    pub joining: Vec<Member>,
    /// Were pushed, or were seen there under an account of ours, and should not be there.
    pub leaving: Vec<Member>,
    /// Members of the directory's group that take no part (out of scope, dangling, without an account).
    pub left_out: u64,
}

impl Store {
    /// People in the group at the source: direct ones, or those of nested groups too (each group visited once, so a
    /// cycle ends). Returns entry ids of everyone named, and how many references dangle.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn source_members(&self, group: i64, flatten: bool) -> Result<(HashSet<i64>, u64), StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT m.member_id, e.kind FROM member m LEFT JOIN entry e ON e.id = m.member_id AND e.gone IS NULL
                 WHERE m.group_id = ?1",
            )?;
            let (mut people, mut visited, mut stack) = (HashSet::new(), HashSet::from([group]), vec![group]);
            let mut dangling = 0;
            while let Some(g) = stack.pop() {
                let mut q = st.query([g])?;
                while let Some(r) = q.next()? {
                    match (r.get::<_, Option<i64>>(0)?, r.get::<_, Option<i64>>(1)?) {
                        (Some(id), Some(0)) => {
                            people.insert(id);
                        }
                        (Some(id), Some(_)) if flatten => {
                            if visited.insert(id) {
                                stack.push(id);
                            }
                        }
                        (Some(_), Some(_)) => {}
                        _ => dangling += 1,
                    }
                }
            }
            Ok((people, dangling))
        })
    }

    /// What has to join and leave so that the target's group is what the directory says. `wanted` is false for a group
    /// that is gone or out of scope: everyone we pushed leaves. `remote` (the group's id) compares with what was read at the
    /// target: the directory decides about everyone who has an account of ours, whoever put them into the group; members
    /// without a link stay.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn member_delta(&self, group: i64, wanted: bool, flatten: bool, remote: Option<&str>) -> Result<Delta, StateError> {
        self.run(|c| {
            let mut pushed = HashSet::new();
            let mut st = c.prepare_cached("SELECT member_id FROM pushed_member WHERE group_id = ?1")?;
            let mut q = st.query([group])?;
            while let Some(r) = q.next()? {
                pushed.insert(r.get::<_, i64>(0)?);
            }
            // Read at the target: there, and somebody of ours (linked, or about to be adopted).
            let mut there = None;
            if let Some(id) = remote {
                let mut st = c.prepare_cached(
                    "SELECT l.entry_id FROM temp.remote_member r JOIN link l ON l.target_id = r.member_id AND l.kind = 0 AND l.gone = 0
                     AND l.sync_id = (SELECT sync_id FROM entry WHERE id = ?2) WHERE r.group_id = ?1
                     UNION SELECT p.entry_id FROM temp.remote_member r JOIN temp.plan_change p ON p.target_id = r.member_id
                     WHERE r.group_id = ?1 AND p.kind = 'adopt'",
                )?;
                let rows = st.query_map(params![id, group], |r| r.get::<_, i64>(0))?;
                there = Some(rows.collect::<rusqlite::Result<HashSet<i64>>>()?);
            }
            let mut look = Look::new(c)?;
            let (source, dangling) = if wanted { people(c, &mut look, group, flatten)? } else { (HashMap::new(), 0) };
            let mut absorb = c.prepare_cached("INSERT OR IGNORE INTO temp.absorb (group_id, member_id) VALUES (?1, ?2)")?;
            let present = there.as_ref().unwrap_or(&pushed);
            let mut out = Delta { left_out: dangling, ..Delta::default() };
            let stays: HashSet<i64> = source.keys().copied().collect();
            for (id, seen) in source {
                let is_there = present.contains(&id) && !(seen.returns && there.is_none());
                match (seen.eligible, is_there) {
                    (true, false) if seen.hidden => out.left_out += 1,
                    (true, false) => out.joining.push(seen.who),
                    (true, true) if !pushed.contains(&id) => {
                        absorb.execute([group, id])?;
                    }
                    (true, true) => {}
                    (false, _) => {
                        out.left_out += 1;
                        if is_there && seen.linked {
                            if !pushed.contains(&id) {
                                absorb.execute([group, id])?;
                            }
                            out.leaving.push(seen.who);
                        }
                    }
                }
            }
            for id in pushed.difference(&stays) {
                // Without a link there is no target id to take out.
                if let Some(seen) = look.at(*id)?
                    && seen.linked
                    && !(wanted && seen.in_grace())
                    && present.contains(id)
                {
                    out.leaving.push(seen.who);
                }
            }
            for id in there.iter().flatten().filter(|id| wanted && !pushed.contains(id) && !stays.contains(id)) {
                // Who left the scope and is kept there keeps the memberships too.
                if let Some(seen) = look.at(*id)?
                    && !seen.kept
                    && !seen.in_grace()
                {
                    absorb.execute([group, *id])?;
                    out.leaving.push(seen.who);
                }
            }
            out.joining.sort();
            out.leaving.sort();
            Ok(out)
        })
    }

    /// Members whose right to be members flipped: their groups, and all groups around those, must be looked at.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn mark_groups_of_flipped(&self, flatten: bool) -> Result<(), StateError> {
        self.run(|c| {
            // CROSS JOIN fixes the order: from the few who flipped outwards, not over all memberships.
            let up = if flatten { "UNION SELECT m.group_id FROM up CROSS JOIN member m ON m.member_id = up.id" } else { "" };
            c.execute(
                &format!(
                    "UPDATE entry SET dirty = 1 WHERE kind = 1 AND dirty = 0 AND id IN (WITH RECURSIVE up (id) AS (
                        SELECT m.group_id FROM temp.flipped f CROSS JOIN member m ON m.member_id = f.entry_id
                        UNION SELECT p.group_id FROM temp.flipped f CROSS JOIN pushed_member p ON p.member_id = f.entry_id
                        {up}) SELECT id FROM up)"
                ),
                [],
            )?;
            c.execute("DELETE FROM temp.flipped", [])
        })
        .map(drop)
    }

    /// Groups around dirty groups: nested members reach upwards.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn mark_groups_above(&self, sync: i64) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "UPDATE entry SET dirty = 1 WHERE kind = 1 AND dirty = 0 AND id IN (WITH RECURSIVE up (id) AS (
                    SELECT m.group_id FROM entry e INDEXED BY entry_dirty CROSS JOIN member m ON m.member_id = e.id
                        WHERE e.sync_id = ?1 AND e.kind = 1 AND e.dirty = 1
                    UNION SELECT m.group_id FROM up CROSS JOIN member m ON m.member_id = up.id) SELECT id FROM up)",
                [sync],
            )
        })
        .map(drop)
    }

    /// Notes members as pushed (`there`) or taken out.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_pushed_members(&self, group: i64, members: &[i64], there: bool) -> Result<(), StateError> {
        let sql = if there {
            "INSERT OR IGNORE INTO pushed_member (group_id, member_id) VALUES (?1, ?2)"
        } else {
            "DELETE FROM pushed_member WHERE group_id = ?1 AND member_id = ?2"
        };
        self.run(|c| {
            let mut st = c.prepare_cached(sql)?;
            let mut absorbed = c.prepare_cached("DELETE FROM temp.absorb WHERE group_id = ?1 AND member_id = ?2")?;
            for m in members {
                st.execute([group, *m])?;
                if !there {
                    absorbed.execute([group, *m])?;
                }
            }
            Ok(())
        })
    }

    /// Of these members, those that are (`there`) or are not noted as pushed, with their names.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn members_noted(&self, group: i64, members: &[i64], there: bool) -> Result<Vec<Member>, StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached(
                "SELECT e.key, e.label FROM entry e WHERE e.id = ?2
                 AND EXISTS (SELECT 1 FROM pushed_member WHERE group_id = ?1 AND member_id = ?2) = ?3",
            )?;
            let mut out = Vec::new();
            for id in members {
                let mut q = st.query(params![group, id, there])?;
                while let Some(r) = q.next()? {
                    out.push(member(r, *id)?);
                }
            }
            Ok(out)
        })
    }

    /// Takes over members that the target's groups have already (see `temp.absorb`).
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn absorb_members(&self) -> Result<(), StateError> {
        self.run(|c| {
            c.execute(
                "INSERT OR IGNORE INTO pushed_member (group_id, member_id) SELECT a.group_id, a.member_id FROM temp.absorb a
                 JOIN link g ON g.entry_id = a.group_id JOIN link m ON m.entry_id = a.member_id",
                [],
            )?;
            c.execute("DELETE FROM temp.absorb", [])
        })
        .map(drop)
    }

    /// Accounts of the members that we pushed to a group, as far as they are there and shown.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pushed_accounts(&self, group: i64) -> Result<Vec<TargetId>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT l.target_id FROM pushed_member p JOIN link l ON l.entry_id = p.member_id
                 WHERE p.group_id = ?1 AND l.gone = 0 AND l.hidden <> 1 ORDER BY p.member_id",
            )?
            .query_map([group], |r| Ok(TargetId(r.get(0)?)))?
            .collect()
        })
    }

    /// Number of members that we pushed to a group, or take over with this plan.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count_pushed_members(&self, group: i64) -> Result<u64, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT (SELECT count(*) FROM pushed_member WHERE group_id = ?1) + (SELECT count(*) FROM temp.absorb WHERE group_id = ?1)",
            )?
            .query_row([group], |r| r.get(0))
        })
    }

    /// Present groups that a text names: by a name groups refer to (normal form) or source key, else by label (any letter
    /// case).
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find_groups(&self, sync: i64, names: &[String], text: &str) -> Result<Vec<i64>, StateError> {
        self.run(|c| {
            let mut out = Vec::new();
            for n in names {
                let mut st = c.prepare_cached(
                    "SELECT e.id FROM entry_name n JOIN entry e ON e.id = n.entry_id WHERE n.sync_id = ?1 AND n.name = ?2
                     AND e.kind = 1 AND e.gone IS NULL",
                )?;
                let rows = st.query_map(params![sync, super::hash::name(n)], |r| r.get::<_, i64>(0))?;
                out.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            let mut st =
                c.prepare_cached("SELECT id FROM entry WHERE sync_id = ?1 AND kind = 1 AND key = ?2 AND gone IS NULL")?;
            let rows = st.query_map(params![sync, text], |r| r.get::<_, i64>(0))?;
            out.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            if out.is_empty() {
                let mut st = c.prepare_cached(
                    "SELECT id FROM entry WHERE sync_id = ?1 AND kind = 1 AND gone IS NULL AND fold(label) = ?2",
                )?;
                let rows = st.query_map(params![sync, text.to_lowercase()], |r| r.get::<_, i64>(0))?;
                out.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            out.sort_unstable();
            out.dedup();
            Ok(out)
        })
    }
}

/// What counts of a member.
struct Seen {
    who: Member,
    kind: ObjectKind,
    /// The source has it.
    present: bool,
    eligible: bool,
    linked: bool,
    /// Out of scope, and kept at the target.
    kept: bool,
    /// Inactive, and not shown by the target: under such an id nobody can be added.
    hidden: bool,
    /// The same, and about to be active again: whether memberships outlasted it is not known.
    returns: bool,
}

impl Seen {
    /// Gone from the directory, and the account stays as it is for a time (`deactivate_after`): the groups too, which lose
    /// whoever is gone at once in most directories.
    fn in_grace(&self) -> bool {
        !self.present && self.eligible
    }
}

/// Looks at members one by one; each look is one row of `entry` and one of `link`, which is what a first plan mostly costs.
struct Look<'c>(CachedStatement<'c>);

impl<'c> Look<'c> {
    fn new(c: &'c Connection) -> rusqlite::Result<Self> {
        let statement = c.prepare_cached(
            "SELECT e.key, e.label, e.eligible, l.entry_id IS NOT NULL AND l.gone = 0, e.eligible = 1 AND e.in_scope = 0, e.kind,
                e.gone IS NULL, l.hidden = 1 AND l.gone = 0,
                l.hidden = 1 AND l.gone = 0 AND EXISTS (SELECT 1 FROM temp.plan_change p WHERE p.entry_id = e.id AND p.kind = 'reactivate')
             FROM entry e LEFT JOIN link l ON l.entry_id = e.id WHERE e.id = ?1",
        )?;
        Ok(Self(statement))
    }

    fn at(&mut self, id: i64) -> rusqlite::Result<Option<Seen>> {
        let seen = |r: &rusqlite::Row<'_>| {
            let (who, kind) = (member(r, id)?, kind_of(r.get(5)?));
            let flag = |at: usize| r.get::<_, Option<bool>>(at).map(Option::unwrap_or_default);
            let (hidden, returns) = (flag(7)?, flag(8)?);
            let (eligible, linked, kept) = (r.get(2)?, r.get(3)?, r.get(4)?);
            Ok(Seen { who, kind, present: r.get(6)?, eligible, linked, kept, hidden: hidden && !returns, returns })
        };
        self.0.query_row([id], seen).optional()
    }
}

/// People in the group at the source, as [`Store::source_members`] finds them, with what counts of each.
fn people(c: &Connection, look: &mut Look<'_>, group: i64, flatten: bool) -> rusqlite::Result<(HashMap<i64, Seen>, u64)> {
    let mut st = c.prepare_cached("SELECT member_id FROM member WHERE group_id = ?1")?;
    let (mut people, mut visited, mut stack) = (HashMap::new(), HashSet::from([group]), vec![group]);
    let mut dangling = 0;
    while let Some(g) = stack.pop() {
        let mut q = st.query([g])?;
        while let Some(r) = q.next()? {
            let id: Option<i64> = r.get(0)?;
            if id.is_some_and(|id| people.contains_key(&id) || visited.contains(&id)) {
                continue;
            }
            match id.map(|id| look.at(id)).transpose()?.flatten().filter(|seen| seen.present) {
                None => dangling += 1,
                Some(seen) if seen.kind == ObjectKind::User => {
                    people.insert(seen.who.id, seen);
                }
                Some(seen) if flatten => {
                    visited.insert(seen.who.id);
                    stack.push(seen.who.id);
                }
                Some(_) => {}
            }
        }
    }
    Ok((people, dangling))
}

fn member(r: &rusqlite::Row<'_>, id: i64) -> rusqlite::Result<Member> {
    Ok(Member { source_key: SourceKey(r.get(0)?), who: r.get(1)?, id })
}
