//! guard: every change of the cycle is judged before any is applied.

use super::evaluate::Work;
use crate::plan::guard::{self, Facts, Limits, Tally};
use crate::plan::{KINDS, Kind, rename};
use crate::state::{StateError, Store};

/// The window over which limits count, seconds.
const WINDOW: i64 = 24 * 3600;

/// What of a read is not trusted: it is no measure for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Distrust {
    /// All of it.
    pub read: bool,
    /// That there are no groups.
    pub groups: bool,
}

impl Work {
    /// Holds what breaches a limit. Returns whether the read, or what it says of groups, cannot be trusted; why is added to
    /// `warnings`.
    pub(super) fn judge(&self, store: &mut Store, warnings: &mut Vec<String>) -> Result<Distrust, StateError> {
        store.in_transaction(|store| self.judged_as(store, false, warnings))
    }

    /// The same of a plan that is about one entry, and knows of others only who leaves; nothing else of them is left in it.
    pub(super) fn judge_one(&self, store: &mut Store, entry: i64) -> Result<(), StateError> {
        store.in_transaction(|store| {
            self.judged_as(store, true, &mut Vec::new())?;
            store.plan_only(entry)
        })
    }

    /// `one`: among all changes of its cycle a change may have breached a limit; alone it would not, and nobody has
    /// released it.
    fn judged_as(&self, store: &Store, one: bool, warnings: &mut Vec<String>) -> Result<Distrust, StateError> {
        if store.plan_mark_approved(self.row.id, self.now)? {
            self.approve_names(store)?;
        }
        store.plan_hold_undone()?;
        let limits = self.limits();
        let since = self.now - WINDOW;
        let facts = self.facts(store, since)?;
        let verdict = guard::judge(&limits, &facts);
        store.plan_hold(&verdict)?;
        if one {
            store.plan_hold_held(self.row.id)?;
        }
        self.part_held_renames(store)?;
        store.plan_keep_members_of_held()?;
        store.plan_leave_out_hidden()?;
        for (seq, group, planned) in store.plan_member_removals()? {
            let tally = Tally { planned, done: store.removed_since(group, since)? };
            // The base is what the group had before the window's removals.
            let base = store.count_pushed_members(group)? + tally.done;
            if let Some(why) = guard::judge_group(&limits, tally, base) {
                store.plan_hold_one(seq, &why)?;
            }
        }
        // An address that merely changed takes nothing away: nothing to say then.
        let silent = self.another_source.is_some() && !store.plan_keeps_back(self.another_source.as_deref())?;
        if let Some(why) = verdict.distrust.as_ref().filter(|_| !silent) {
            let warning = format!("{why}: whatever takes something away is held");
            tracing::warn!(target: crate::observe::REPORTED, sync = self.sync.name, "{warning}");
            warnings.push(warning);
        }
        // Without anything of groups to take away there is nothing to say: a scope may leave them all out.
        if let Some(why) = verdict.no_groups.as_ref().filter(|_| verdict.distrust.is_none())
            && store.plan_holds(why)?
        {
            let warning = format!("{why}: deleted groups and removed members are held");
            tracing::warn!(target: crate::observe::REPORTED, sync = self.sync.name, "{warning}");
            warnings.push(warning);
        }
        Ok(Distrust { read: verdict.distrust.is_some(), groups: verdict.no_groups.is_some() })
    }

    /// Whoever approves a rename that was held means the name: whatever else changed since goes with it.
    fn approve_names(&self, store: &Store) -> Result<(), StateError> {
        for kind in rename::KINDS {
            let mut after = (String::new(), 0);
            while let Some(row) = store.plan_next_rename(kind, &after, false)? {
                after = (row.change.source_key.0.clone(), row.seq);
                if let Some((name, _)) = rename::part(&row.change, &self.changed.users) {
                    store.plan_mark_approved_as(self.row.id, self.now, row.seq, &self.identity(&name))?;
                }
            }
        }
        Ok(())
    }

    /// Of a rename that is held the name waits; whatever else changed of the person goes on. An account that matches is linked
    /// under its old name: held whole, nobody would know of it in the next cycle, and its person got a second one.
    fn part_held_renames(&self, store: &Store) -> Result<(), StateError> {
        let held = store.plan_held()?;
        for kind in rename::KINDS.into_iter().filter(|kind| held.contains_key(kind)) {
            let mut after = (String::new(), 0);
            while let Some(row) = store.plan_next_rename(kind, &after, true)? {
                after = (row.change.source_key.0.clone(), row.seq);
                if let Some((name, rest)) = rename::part(&row.change, &self.changed.users) {
                    store.plan_narrow(row.seq, &name, &self.identity(&name))?;
                    self.add_one(store, &rest)?;
                }
            }
        }
        Ok(())
    }

    fn facts(&self, store: &Store, since: i64) -> Result<Facts, StateError> {
        let (planned, again) = store.plan_tally()?;
        // A cycle that changes nothing has nothing to judge but the read.
        let quiet = planned.is_empty() && again == 0;
        // Of what has no limit nothing is counted: the day may have begun with everybody's account.
        let limits = self.limits();
        let counted: Vec<Kind> = planned.keys().copied().filter(|k| limits.counts(*k)).collect();
        let done = store.done_since(self.row.id, &counted, since)?;
        let done_again = if again == 0 { 0 } else { store.recreated_since(self.row.id, since)? };
        let tally = KINDS
            .into_iter()
            .map(|k| (k, Tally { planned: planned.get(&k).copied().unwrap_or(0), done: done.get(&k).copied().unwrap_or(0) }))
            .collect();
        let (users, groups) = if quiet { (0, 0) } else { store.guard_base(self.row.id, since)? };
        let leaving = planned.get(&Kind::Deactivate).copied().unwrap_or(0);
        let (now_users, now_groups) = store.count_present(self.row.id)?;
        let mut missing_canaries = self.missing.borrow().clone();
        for canary in &self.sync.guard.canaries {
            if !store.is_present(self.row.id, canary)? {
                missing_canaries.push(canary.clone());
            }
        }
        // Most of its people are there: the same directory, whatever its address is now.
        let another_source = match &self.another_source {
            Some(why) if !store.has_most_people(self.row.id)? => Some(why.clone()),
            _ => None,
        };
        let left_by_all = (leaving > 0 && store.count_people_in_scope(self.row.id)? == 0).then_some(leaving);
        Ok(Facts {
            tally,
            recreate: Tally { planned: again, done: done_again },
            base_users: users + store.plan_count(Kind::Adopt)?,
            base_groups: groups + store.plan_count(Kind::GroupAdopt)?,
            users: self.row.baseline_users.map(|b| (b, now_users)),
            groups: self.row.baseline_groups.filter(|_| self.groups).map(|b| (b, now_groups)),
            another_source,
            doubt: store.doubt(self.row.id)?,
            missing_canaries,
            left_by_all,
            held_before: left_by_all.is_some() && store.holds_kind(self.row.id, Kind::Deactivate)?,
        })
    }

    fn limits(&self) -> Limits {
        let g = &self.sync.guard;
        Limits {
            create: g.create,
            deactivate: g.deactivate,
            delete: g.delete,
            group_delete: g.group_delete,
            members_remove_per_group: g.members_remove_per_group,
            rename: g.rename,
            recreate: g.recreate,
            source_shrink: g.source_shrink,
            minimum: g.minimum,
        }
    }
}
