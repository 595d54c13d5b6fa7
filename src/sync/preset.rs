//! What a preset asks of a cycle beyond mapping: what may be sent at all, who gets no mail; and how groups are named and
//! linked. Which entries belong to a neighbouring application: [`super::apart`].

use super::evaluate::Work;
use super::userids::Unconverted;
use super::{Cycle, CycleError, Report};
use crate::config::{GroupPush, SyncConfig};
use crate::mapping::{Desired, Unmapped};
use crate::model::{Entry, Flat, ObjectKind};
use crate::plan::matching::Match;
use crate::plan::userids::ATTRIBUTES;
use crate::plan::{group, matching};
use crate::source::dn::dn_name;
use crate::state::standing::Dirty;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::Dialect;
use crate::target::presets::Preset;
use std::collections::BTreeSet;

impl Cycle {
    /// Every source attribute that is looked at: the mapping's, those of the scopes that this sync keeps apart from, and
    /// the names by which accounts from before are known.
    pub(super) fn attributes(&self) -> BTreeSet<String> {
        let mut all = self.mapper.attributes();
        let apart = self.apart.iter().flat_map(|a| a.mapper().attributes());
        let before = ATTRIBUTES.iter().filter(|_| self.preset.converts_user_ids).map(|name| (*name).to_owned());
        for name in apart.chain(before) {
            // Names compare without case: of two spellings one is asked for.
            if !all.iter().any(|a| a.eq_ignore_ascii_case(&name)) {
                all.insert(name);
            }
        }
        all
    }

    /// A person as the application takes them, where it speaks so.
    pub(crate) fn user_as_taken(&self, dialect: &Dialect, desired: Desired) -> Desired {
        as_taken(&self.sync, &self.preset, dialect, ObjectKind::User, desired)
    }

    /// Whether no account can be given another user name.
    pub(crate) fn names_stay(&self, dialect: &Dialect) -> bool {
        names_stay(&self.preset, dialect)
    }

    /// Whether nobody is left whose account still bears a name from before.
    pub(super) fn all_converted(&self, left: &[Unconverted]) -> Result<(), CycleError> {
        let Some(first) = left.first() else { return Ok(()) };
        Err(CycleError::Unconverted {
            sync: self.sync.name.clone(),
            application: self.preset.application,
            accounts: left.len(),
            example: format!("{} of {}", first.account, first.user_id),
        })
    }

    /// Whether a group that is not there may be made: by the application, and by us.
    pub(super) fn makes_groups(&self, dialect: &Dialect) -> bool {
        dialect.group_create && self.sync.groups.push != GroupPush::MembersOnly && self.sync.actions.group_create
    }

    /// What somebody ought to know of this application, although nothing failed.
    pub(super) fn warn(&self, store: &Store, row: &SyncRow, report: &mut Report) {
        if let Some(why) = self.preset.without_group.filter(|_| self.pushes_groups()) {
            // What cannot be counted now is counted in the next cycle.
            match store.without_group(row.id, NAMED) {
                Ok((0, _)) | Err(_) => {}
                Ok((n, who)) => {
                    let others = if n > who.len() { format!(" and {} others", n - who.len()) } else { String::new() };
                    let who_has = if n == 1 { "person has an account and is" } else { "people have an account and are" };
                    let who = who.join(", ");
                    report.warnings.push(format!("{n} {who_has} in no group, and {why}: {who}{others}"));
                }
            }
        }
        // The same: what cannot be counted now is counted when it is compared next.
        if let Ok((values, records)) = store.plan_drift_count()
            && values > 0
        {
            report.warnings.push(format!(
                "{values} attributes of {records} accounts and groups were changed at the application; they are listed and left alone (drift = \"report\")"
            ));
        }
        for warning in &report.warnings {
            tracing::warn!(target: crate::observe::REPORTED, sync = self.sync.name, "{warning}");
        }
    }
}

/// People named in a warning.
const NAMED: usize = 10;

/// The paths of a mapping that stand in the configuration: what is asked for by name is sent, whatever a schema says.
fn stated(rows: &[crate::config::MapRow], path: &str) -> bool {
    rows.iter().any(|r| r.path.eq_ignore_ascii_case(path))
}

/// Without what the target does not know, unless the configuration asks for it by name.
fn sendable(sync: &SyncConfig, dialect: &Dialect, kind: ObjectKind, mut desired: Desired) -> Desired {
    let (rows, name) = match kind {
        ObjectKind::User => (&sync.map_user, "userName"),
        ObjectKind::Group => (&sync.map_group, "displayName"),
    };
    let sendable = |path: &String| path == name || stated(rows, path) || dialect.allows(kind, path);
    desired.attrs.retain(|path, _| sendable(path));
    desired.clear.retain(&sendable);
    desired.references.retain(|path, _| sendable(path));
    desired
}

/// What the application takes: nothing that it does not know, and later nothing that it takes at creation only.
fn as_taken(sync: &SyncConfig, preset: &Preset, dialect: &Dialect, kind: ObjectKind, desired: Desired) -> Desired {
    let desired = sendable(sync, dialect, kind, desired);
    if kind == ObjectKind::User { given_once(preset.changeable, desired) } else { desired }
}

/// Whether no account can be given another user name.
pub(super) fn names_stay(preset: &Preset, dialect: &Dialect) -> bool {
    let changes = |path: &str| preset.changeable.iter().any(|c| c.eq_ignore_ascii_case(path));
    dialect.user_name_immutable || (!preset.changeable.is_empty() && !changes("userName"))
}

/// What the application takes at creation only, as `apply = "create"` says it.
fn given_once(changeable: &[&str], mut desired: Desired) -> Desired {
    if changeable.is_empty() {
        return desired;
    }
    let changes = |path: &str| changeable.iter().any(|c| c.eq_ignore_ascii_case(path));
    desired.create_only.extend(desired.attrs.keys().filter(|path| !changes(path)).cloned());
    desired.clear.retain(|path| changes(path));
    desired.whole.retain(|path| changes(path));
    desired.references.retain(|path, _| changes(path));
    desired
}

impl Work {
    /// A person as this target may see them.
    pub(super) fn user_as_sent(&self, mapped: Result<Desired, Unmapped>) -> Result<Desired, Unmapped> {
        self.as_sent(ObjectKind::User, mapped)
    }

    /// A group as this target may see it: its name with what goes before and behind it.
    pub(super) fn group_as_sent(&self, entry: &Entry) -> Result<Desired, Unmapped> {
        let groups = &self.sync.groups;
        let named = |mut d: Desired| {
            if let Some(serde_json::Value::String(name)) = d.attrs.get_mut("displayName") {
                *name = format!("{}{name}{}", groups.name_prefix, groups.name_suffix);
            }
            d
        };
        let mapped = self.mapper.group(entry).map(named).map_err(|u| Unmapped { rest: Box::new(named(*u.rest)), ..u });
        self.as_sent(ObjectKind::Group, mapped)
    }

    fn as_sent(&self, kind: ObjectKind, mapped: Result<Desired, Unmapped>) -> Result<Desired, Unmapped> {
        let cut = |d: Desired| as_taken(&self.sync, &self.preset, &self.dialect, kind, d);
        mapped.map(cut).map_err(|u| Unmapped { rest: Box::new(cut(*u.rest)), ..u })
    }

    /// The group of the target that the configuration links this one to. A group that is linked so stays it, with its name
    /// there, also where it is called otherwise in the directory by now: as long as that row stands.
    pub(super) fn linked_by_config(&self, store: &Store, d: &Dirty) -> Result<Option<&str>, StateError> {
        let Some(entry) = d.entry.as_ref() else { return Ok(None) };
        let known = store.group_link_row(d.id)?;
        if known.is_none() && self.sync.groups.link.is_empty() {
            return Ok(None);
        }
        let is =
            |text: &str| text == d.key || text.eq_ignore_ascii_case(&d.label) || entry.names.iter().any(|n| *n == dn_name(text));
        let linked = d.link.as_ref().is_some_and(|l| !l.gone);
        let stands = |row: &str| linked && known.as_ref().is_some_and(|(from, _)| from == row);
        let rows = &self.sync.groups.link;
        let row = rows.iter().find(|(text, _)| is(text)).or_else(|| rows.iter().find(|(text, _)| stands(text)));
        let now = row.map(|(from, to)| (from.as_str(), to.as_str()));
        if known.as_ref().map(|(from, to)| (from.as_str(), to.as_str())) != now {
            store.set_group_link_row(d.id, now)?;
        }
        Ok(now.map(|(_, to)| to))
    }

    /// Where groups are only made: one that was there is left alone, whatever it is called in the directory by now.
    pub(super) fn left_alone(
        &self,
        store: &Store,
        id: i64,
        found: Option<(Match, Option<Flat>)>,
    ) -> Result<Option<(Match, Option<Flat>)>, StateError> {
        if self.sync.groups.push != GroupPush::CreateOnly {
            return Ok(found);
        }
        if let Some((Match::One(there), _)) = &found {
            store.leave_group_alone(id, there)?;
            return Ok(found);
        }
        let Some(there) = store.group_left_alone(id)? else { return Ok(found) };
        match found {
            Some((Match::None, _)) if store.remote_json(ObjectKind::Group, &there)?.is_none() => {
                store.forget_group_left_alone(id)?;
                Ok(found)
            }
            None | Some((Match::None, _)) => Ok(Some((Match::One(there), None))),
            undecided => Ok(undecided),
        }
    }

    /// The groups at the target that `sync.groups.link` names for a group, by name or by id.
    pub(super) fn hits_by_config(&self, store: &Store, id: i64, to: &str) -> Result<Vec<matching::Candidate>, StateError> {
        let by_name = store.remote_find(self.row.id, ObjectKind::Group, "displayName", to, id)?;
        if by_name.is_empty() { store.remote_find(self.row.id, ObjectKind::Group, "id", to, id) } else { Ok(by_name) }
    }

    /// Leaves out what matches by a name in another letter case, where the application tells them apart.
    pub(super) fn exactly(
        &self,
        store: &Store,
        hits: &mut Vec<matching::Candidate>,
        desired: &Desired,
    ) -> Result<(), StateError> {
        let Some(name) = desired.attrs.get("displayName").and_then(|n| n.as_str()) else { return Ok(()) };
        if !self.dialect.group_name_exact {
            return Ok(());
        }
        let mut exact = Vec::new();
        for hit in hits.drain(..) {
            let there = store.remote_json(ObjectKind::Group, &hit.id)?.unwrap_or_default();
            let there: Flat = serde_json::from_str(&there).unwrap_or_default();
            let same = there.iter().any(|(k, v)| k.eq_ignore_ascii_case("displayName") && v.as_str() == Some(name));
            if same {
                exact.push(hit);
            }
        }
        *hits = exact;
        Ok(())
    }

    pub(super) fn group_policy(&self) -> group::Policy {
        let (a, g, d) = (&self.sync.actions, &self.sync.groups, &self.dialect);
        let attributes = g.push != GroupPush::MembersOnly;
        group::Policy {
            create: a.group_create && attributes,
            update: a.group_update && attributes,
            delete: a.group_delete && attributes,
            members: a.group_members,
            remapped: self.changed.groups.clone(),
            rescoped: self.changed.scope_groups,
            touches: attributes,
            keeps_gone: g.keeps_gone,
            once: g.push == GroupPush::CreateOnly,
            target: group::Target {
                application: self.preset.application.to_owned(),
                noun: self.preset.group.to_owned(),
                creates: d.group_create,
                updates: d.group_update,
                deletes: d.group_delete,
            },
        }
    }

    /// When the members of a group may first be written, where that is later than now.
    pub(super) fn members_from(&self, d: &Dirty) -> Option<i64> {
        let after = i64::try_from(self.sync.groups.members_after.as_secs()).unwrap_or(i64::MAX);
        if after == 0 {
            return None;
        }
        let since = d.link.as_ref().filter(|l| !l.gone).map_or(self.now, |l| l.since);
        Some(since.saturating_add(after)).filter(|from| *from > self.now)
    }

    /// Whether a group that is made once has been made, with its members.
    pub(super) fn is_settled(&self, store: &Store, d: &Dirty) -> Result<bool, StateError> {
        if self.sync.groups.push != GroupPush::CreateOnly || d.link.as_ref().is_none_or(|l| l.gone) {
            return Ok(false);
        }
        Ok(store.count_pushed_members(d.id)? > 0 && !store.is_parked(self.row.id, d.id)?)
    }
}
