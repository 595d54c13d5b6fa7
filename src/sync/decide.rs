//! plan: facts about each entry, gathered from the store, given to the pure planner, spilled to the plan.

use super::evaluate::{BATCH, Work};
use super::rehire::Rehired;
use crate::config::SyncConfig;
use crate::mapping::{Desired, Unmapped};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use crate::plan::matching::{self, Match, Person};
use crate::plan::{Change, Kind, Parked, digest, group, undone, user};
use crate::state::links::Origin;
use crate::state::standing::{Claim, Dirty};
use crate::state::{StateError, Store};
use crate::target::Remote;
use std::borrow::Cow;

/// What to do with a newcomer who may be one of several.
const WHOSE: &str = "decide whose account it is: `scim-sync link set`; or correct the attribute of match.rehire at the source";

impl Work {
    /// Decides about everyone who must be looked at: people first, then the groups.
    pub(super) fn decide(&self, store: &mut Store) -> Result<(), StateError> {
        self.undone.set(store.has_undone(self.row.id)?);
        store.in_transaction(|store| {
            self.rehire(store)?;
            let policy = self.user_policy();
            self.each(store, ObjectKind::User, |store, d| self.user(store, d, &policy))?;
            store.plan_park_double_adoptions(ObjectKind::User)?;
            self.second_pass(store)?;
            if !self.dialect.groups {
                return Ok(());
            }
            store.mark_groups_of_flipped(self.flatten)?;
            if self.flatten {
                store.mark_groups_above(self.row.id)?;
            }
            let policy = self.group_policy();
            self.each(store, ObjectKind::Group, |store, d| self.group(store, d, &policy))?;
            store.plan_park_double_adoptions(ObjectKind::Group)
        })
    }

    /// Decides about one entry, whether anything changed of it or not.
    pub(super) fn decide_one(&self, store: &Store, kind: ObjectKind, d: Dirty) -> Result<(), StateError> {
        self.undone.set(store.has_undone(self.row.id)?);
        match kind {
            ObjectKind::User => self.user(store, d, &self.user_policy()),
            ObjectKind::Group if self.dialect.groups => self.group(store, d, &self.group_policy()),
            ObjectKind::Group => Ok(()),
        }
    }

    pub(super) fn each(
        &self,
        store: &Store,
        kind: ObjectKind,
        mut f: impl FnMut(&Store, Dirty) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut after = 0;
        loop {
            let batch = store.dirty(self.row.id, kind, after, BATCH)?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = last.id;
            for d in batch {
                f(store, d)?;
            }
        }
    }

    pub(super) fn user(&self, store: &Store, d: Dirty, policy: &user::Policy) -> Result<(), StateError> {
        let key = SourceKey(d.key.clone());
        let entry = d.entry.as_ref().filter(|_| !d.gone);
        let standing = match entry {
            None => user::Standing::Gone,
            Some(_) if !d.in_scope => user::Standing::OutOfScope,
            Some(_) if d.inactive => user::Standing::Inactive,
            Some(_) => user::Standing::Active,
        };
        let desired: Option<Result<Desired, Unmapped>> = match entry.filter(|_| d.in_scope) {
            Some(e) => {
                let mapped = self.mapped(store, &d, e)?.attrs;
                Some(self.complete(store, d.id, d.link.as_ref(), self.user_as_sent(mapped))?)
            }
            None => None,
        };
        let good = desired.as_ref().and_then(|d| d.as_ref().ok());
        let link = self.user_link(store, &d, standing, good)?;
        let live = link.as_ref().filter(|l| !l.gone);
        if let (Some(e), None, user::Standing::Active) = (entry, live, standing)
            && let Some(parked) = self.apart(store, &d, e)?
        {
            store.plan_park(&parked)?;
            return store.set_outcome(d.id, d.eligible, false, e.due.filter(|due| *due > self.now));
        }
        let found = match (entry, good) {
            (Some(e), Some(desired)) if self.observed && live.is_none() => {
                let legacy = self.mapper.legacy_external_ids(e);
                Some(self.find(store, ObjectKind::User, d.id, &key, desired, &legacy)?)
            }
            (Some(_), Some(_)) if live.is_none() => self.undecided(store, d.id)?,
            _ => None,
        };
        let found = match found {
            None | Some((Match::None, _)) if live.is_none() && standing == user::Standing::Active => {
                self.claimed(store, d.id)?.or(found)
            }
            found => found,
        };
        let rehired = self.rehired.borrow().get(&d.id).cloned();
        let found = match &rehired {
            Some(Rehired::Unclear(reason)) => Some((Match::Park { reason: reason.clone(), advice: WHOSE.to_owned() }, None)),
            _ => found,
        };
        let facts = user::Facts {
            id: d.id,
            who: &d.label,
            source_key: &key,
            standing,
            leaving_since: d.leaving_since,
            desired: desired.as_ref().map(Result::as_ref),
            rival: self.rival(store, d.id, standing, good, live)?,
            link: link.as_ref(),
            found,
        };
        let mut decision = user::decide(&facts, policy);
        if let Some(Rehired::Yes(why)) = &rehired {
            decision.changes.iter_mut().for_each(|c| c.reason = format!("{why}: {}", c.reason));
        }
        let due = [decision.due, entry.and_then(|e| e.due).filter(|due| *due > self.now || self.distrust_clock)]
            .into_iter()
            .flatten()
            .min();
        // Groups leave out whom the target does not show, and look again when the account is to be active.
        let returns =
            d.link.as_ref().is_some_and(|l| l.hidden && !l.gone) && decision.changes.iter().any(|c| c.kind == Kind::Reactivate);
        let mut eligible = decision.eligible;
        for change in &decision.changes {
            let planned = self.add(store, change)?;
            // Whoever waits for an account is in no group yet.
            eligible &= planned || live.is_some();
        }
        for parked in &decision.parked {
            store.plan_park(parked)?;
        }
        store.set_outcome(d.id, d.eligible && !returns, eligible, due)
    }

    fn group(&self, store: &Store, d: Dirty, policy: &group::Policy) -> Result<(), StateError> {
        let key = SourceKey(d.key.clone());
        let entry = d.entry.as_ref().filter(|_| !d.gone);
        let wanted = entry.is_some() && d.in_scope;
        let desired = entry.filter(|_| d.in_scope).map(|e| self.group_as_sent(e));
        let good = desired.as_ref().and_then(|d| d.as_ref().ok());
        let link = match &d.link {
            None => None,
            Some(l) => {
                let mut link = group::Linked {
                    target_id: l.target_id.clone(),
                    created: l.origin == Origin::Created,
                    observed: self.seen(store, ObjectKind::Group, l, good)?,
                    pushed: l.pushed.clone(),
                    gone: l.gone,
                    settled: self.is_settled(store, &d)?,
                };
                self.note_group_drift(store, &d, good, &mut link)?;
                Some(link)
            }
        };
        let live = link.as_ref().filter(|l| !l.gone);
        if !wanted && live.is_none() {
            store.set_due(d.id, None)?;
            return Ok(());
        }
        let by_config = self.linked_by_config(store, &d)?;
        let found = match good {
            Some(desired) if self.observed && live.is_none() => match by_config {
                Some(to) => Some(self.judged(
                    store,
                    ObjectKind::Group,
                    &key,
                    desired,
                    &[],
                    "sync.groups.link",
                    &self.hits_by_config(store, d.id, to)?,
                )?),
                None => Some(self.find(store, ObjectKind::Group, d.id, &key, desired, &[])?),
            },
            Some(_) if live.is_none() => self.undecided(store, d.id)?,
            _ => None,
        };
        let found = if live.is_none() { self.left_alone(store, d.id, found)? } else { found };
        let remote = live.map(|l| l.target_id.clone()).or_else(|| match &found {
            Some((Match::One(id), _)) => Some(id.clone()),
            _ => None,
        });
        let remote = remote.filter(|_| self.observed && (live.is_none() || (self.compares && self.repairs())));
        let remote = match remote {
            Some(id) if self.tells_members(store, &id)? => Some(id),
            // Who is in it is what was pushed.
            _ => None,
        };
        let delta = if self.sync.actions.group_members && !self.mapper.group_members_removed() {
            store.member_delta(d.id, wanted, self.flatten, remote.as_ref().map(TargetId::as_str))?
        } else {
            crate::state::members::Delta::default()
        };
        if delta.left_out > 0 {
            tracing::debug!(sync = self.sync.name, group = d.label, left_out = delta.left_out, "members that take no part");
        }
        let facts = group::Facts {
            id: d.id,
            who: &d.label,
            source_key: &key,
            wanted,
            present: entry.is_some(),
            keep_out_of_scope: !self.sync.scope.out_of_scope_deactivates,
            desired: desired.as_ref().map(Result::as_ref),
            link: link.as_ref(),
            found,
            joining: delta.joining,
            leaving: delta.leaving,
            linked_by_config: by_config.is_some(),
            members_from: self.members_from(&d),
        };
        store.set_due(d.id, facts.members_from)?;
        let decision = group::decide(facts, policy);
        for change in &decision.changes {
            self.add(store, change)?;
        }
        for parked in &decision.parked {
            store.plan_park(parked)?;
        }
        Ok(())
    }

    /// Whether this read of the target tells who is in the group.
    pub(super) fn tells_members(&self, store: &Store, group: &TargetId) -> Result<bool, StateError> {
        let Some(json) = store.remote_json(ObjectKind::Group, group)? else { return Ok(false) };
        let there = resource(store, group, &json)?;
        Ok(self.dialect.tells_members(&there, store.remote_shows_members()?))
    }

    /// Adds a change; what of it `undo` took back apart from the rest. Returns whether any of it is planned.
    pub(super) fn add(&self, store: &Store, change: &Change) -> Result<bool, StateError> {
        let undone = if self.undone.get() { store.undone(self.row.id, change.id)? } else { Vec::new() };
        let Some(last) = undone.iter().max_by_key(|u| u.cycle) else { return self.add_one(store, change) };
        let by = last.cycle;
        let why = format!("undone: cycle {} did this, and undo (cycle {by}) took it back", last.undoes);
        let holds: Vec<undone::Hold> = undone.into_iter().map(|u| u.hold).collect();
        let parts = undone::split(change, &holds);
        let mut planned = false;
        if let Some(held) = &parts.held
            && self.add_one(store, held)?
        {
            store.plan_undone_last(&why, by)?;
            planned = true;
        }
        if let Some(free) = &parts.free {
            planned |= self.add_one(store, free)?;
        }
        Ok(planned)
    }

    /// Adds a change, unless the target refused this very change and its next try has not come. What takes access away
    /// never waits. Returns whether it is planned.
    pub(super) fn add_one(&self, store: &Store, change: &Change) -> Result<bool, StateError> {
        let may_wait = !self.by_hand && !change.kind.takes_away();
        let hash = self.identity(change);
        if may_wait && let Some(w) = store.waiting(self.row.id, change.id, change.kind.as_str(), &hash, self.now)? {
            store.plan_park(&Parked::of(change, w.reason, w.advice))?;
            return Ok(false);
        }
        store.plan_add_as(change, hash)?;
        if let Some(why) = protected(&self.sync, change) {
            store.plan_hold_last(&why)?;
        }
        Ok(true)
    }

    /// Identity of a change for approvals and refusals.
    pub(super) fn identity(&self, change: &Change) -> [u8; 32] {
        digest::change_at_any_time(change, self.mapper.telling_time())
    }

    fn user_link(
        &self,
        store: &Store,
        d: &Dirty,
        standing: user::Standing,
        desired: Option<&Desired>,
    ) -> Result<Option<user::Linked>, StateError> {
        let Some(l) = &d.link else { return Ok(None) };
        let mut link = user::Linked {
            target_id: l.target_id.clone(),
            created: l.origin == Origin::Created,
            observed: self.seen(store, ObjectKind::User, l, desired)?,
            pushed: l.pushed.clone(),
            active: l.active,
            inactive_since: l.inactive_since,
            gone: l.gone,
        };
        self.note_user_drift(store, d, standing, desired, &mut link)?;
        Ok(Some(link))
    }

    /// What was found when the target was last read, if that was not decided.
    fn undecided(&self, store: &Store, id: i64) -> Result<Option<(Match, Option<Flat>)>, StateError> {
        let found = store.undecided(self.row.id, id)?;
        Ok(found.map(|w| (Match::Park { reason: w.reason, advice: w.advice }, None)))
    }

    /// An account under an old name that may be theirs, and was not given to anybody.
    fn claimed(&self, store: &Store, id: i64) -> Result<Option<(Match, Option<Flat>)>, StateError> {
        let found = store.claimed(self.row.id, id, self.observed && self.listed)?;
        Ok(found.map(|w| (Match::Park { reason: w.reason, advice: w.advice }, None)))
    }

    /// Matches by the rules, in their order: the first criterion that hits anything decides.
    fn find(
        &self,
        store: &Store,
        kind: ObjectKind,
        id: i64,
        key: &SourceKey,
        desired: &Desired,
        legacy: &[String],
    ) -> Result<(Match, Option<Flat>), StateError> {
        let criteria = match kind {
            ObjectKind::User => &self.sync.matching.users,
            ObjectKind::Group => &self.sync.matching.groups,
        };
        let rules = criteria.iter().map(|c| (c.clone(), matching::values(c, key.as_str(), &desired.attrs)));
        for (criterion, values) in rules.chain(matching::legacy(criteria, legacy.to_vec())) {
            let mut hits = candidates(store, self.row.id, kind, id, &criterion, values)?;
            if kind == ObjectKind::Group {
                self.exactly(store, &mut hits, desired)?;
            }
            if !hits.is_empty() {
                return self.judged(store, kind, key, desired, legacy, &criterion, &hits);
            }
        }
        Ok((Match::None, None))
    }

    /// Whose the candidates are that a criterion gave, and what the target holds of the one that it is.
    #[allow(clippy::too_many_arguments)]
    fn judged(
        &self,
        store: &Store,
        kind: ObjectKind,
        key: &SourceKey,
        desired: &Desired,
        legacy: &[String],
        criterion: &str,
        hits: &[matching::Candidate],
    ) -> Result<(Match, Option<Flat>), StateError> {
        let person = Person {
            object: kind,
            source_key: key.as_str(),
            external_id: desired.attrs.get("externalId").and_then(|v| v.as_str()),
            legacy,
        };
        let found = matching::judge(&person, criterion, hits);
        let seen = match &found {
            Match::One(id) => match store.remote_json(kind, id)? {
                Some(json) => Some(flatten(store, id, &json, desired.attrs.keys())?),
                None => None,
            },
            _ => None,
        };
        Ok((found, seen))
    }

    /// What was read at the target and matches by one criterion.
    pub(super) fn hits(
        &self,
        store: &Store,
        kind: ObjectKind,
        id: i64,
        key: &SourceKey,
        desired: &Desired,
        criterion: &str,
    ) -> Result<Vec<matching::Candidate>, StateError> {
        candidates(store, self.row.id, kind, id, criterion, matching::values(criterion, key.as_str(), &desired.attrs))
    }

    /// Who else has or wants this person's user ID. Looked up only where the ID is new to the person.
    fn rival(
        &self,
        store: &Store,
        id: i64,
        standing: user::Standing,
        desired: Option<&Desired>,
        link: Option<&user::Linked>,
    ) -> Result<Option<user::Rival>, StateError> {
        let name = desired.and_then(|d| d.attrs.get("userName")).and_then(|v| v.as_str()).map(str::to_lowercase);
        let (user::Standing::Active, Some(name)) = (standing, name) else { return Ok(None) };
        let mine = link.and_then(|l| l.pushed.get("userName")).and_then(|v| v.as_str()).map(str::to_lowercase);
        if mine.as_ref() == Some(&name) {
            return Ok(None);
        }
        let claims = store.claims(self.row.id, &name, id)?;
        let pick = |f: &dyn Fn(&Claim) -> bool| claims.iter().filter(|c| f(c)).map(|c| c.who.clone()).min();
        Ok(pick(&|c| c.holds && c.wants)
            .map(user::Rival::Holds)
            .or_else(|| pick(&|c| c.holds && !c.wants && !c.moves).map(user::Rival::Left))
            .or_else(|| pick(&|c| c.wants).map(user::Rival::Wants)))
    }

    pub(super) fn user_policy(&self) -> user::Policy {
        let a = &self.sync.actions;
        let seconds = |d: std::time::Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        user::Policy {
            now: self.now,
            create: a.user_create,
            update: a.user_update,
            deactivate: a.user_deactivate,
            delete: a.user_delete && self.dialect.delete_removes,
            deactivate_after: seconds(a.deactivate_after),
            delete_after: a.delete_after.map_or(30 * 86_400, seconds),
            out_of_scope_deactivates: self.sync.scope.out_of_scope_deactivates,
            cannot_rename: self.dialect.user_name_immutable.then(|| {
                let article = if self.preset.user_name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
                format!("{} cannot change {article} {}", self.preset.application, self.preset.user_name)
            }),
            required: self.dialect.required.clone(),
            application: self.preset.application.to_owned(),
            distrust_clock: self.distrust_clock,
            remapped: self.changed.users.clone(),
            rescoped: self.changed.scope_users,
        }
    }
}

/// What was read at the target and has one of these values; not what a link gives to anybody but this entry.
pub(super) fn candidates(
    store: &Store,
    sync: i64,
    kind: ObjectKind,
    id: i64,
    criterion: &str,
    values: Vec<String>,
) -> Result<Vec<matching::Candidate>, StateError> {
    let mut hits: Vec<matching::Candidate> = Vec::new();
    if !values.is_empty() {
        let texts = |there: &Remote| there.texts(criterion).into_iter().map(Cow::into_owned).collect();
        store.remote_list_by(kind, criterion, &|id, json| Ok(texts(&resource(store, id, json)?)))?;
    }
    for value in values {
        for hit in store.remote_find(sync, kind, criterion, &value, id)? {
            if hits.iter().all(|h| h.id != hit.id) {
                hits.push(hit);
            }
        }
    }
    Ok(hits)
}

/// Accounts that are never deactivated, renamed or deleted, whoever approves it.
pub(super) fn protected(sync: &SyncConfig, c: &Change) -> Option<String> {
    if !matches!(c.kind, Kind::Deactivate | Kind::Rename | Kind::Delete) && !c.renames() {
        return None;
    }
    let mut names: Vec<String> = vec![c.who.to_lowercase(), c.source_key.0.to_lowercase()];
    names.extend(c.target_id.iter().map(|t| t.0.to_lowercase()));
    for flat in [&c.from, &c.to, &c.pushed] {
        names.extend(flat.iter().filter(|(k, _)| is_name(k)).filter_map(|(_, v)| v.as_str()).map(str::to_lowercase));
    }
    let hit = sync.guard.protected.iter().find(|p| names.contains(&p.trim().to_lowercase()))?;
    Some(format!("protected: {hit} stands in guard.protected"))
}

fn is_name(path: &str) -> bool {
    path == "userName" || path == "externalId" || path.starts_with("emails")
}

/// The values of a resource at these paths.
pub(super) fn flatten<'a>(
    store: &Store,
    id: &TargetId,
    json: &str,
    paths: impl Iterator<Item = &'a String>,
) -> Result<Flat, StateError> {
    Ok(resource(store, id, json)?.flat(paths.map(String::as_str)))
}

/// A resource as it was read in this cycle; of a group that has members without them.
pub(super) fn resource(store: &Store, id: &TargetId, json: &str) -> Result<Remote, StateError> {
    let raw = serde_json::from_str(json).map_err(|e| store.damaged(format!("resource {id}: {e}")))?;
    Ok(Remote::of(id.clone(), raw))
}
