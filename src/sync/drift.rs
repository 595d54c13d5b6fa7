//! What a read of the target says of known accounts and groups: put right, or only reported (`drift = "report"`).

use super::evaluate::Work;
use super::matched::flatten;
use crate::config::Drift;
use crate::mapping::Desired;
use crate::model::{Flat, ObjectKind, TargetId};
use crate::plan::drift::{self, Difference};
use crate::plan::{group, user};
use crate::state::links::Link;
use crate::state::standing::Dirty;
use crate::state::{StateError, Store};
use serde_json::{Value, json};

impl Work {
    /// What the target holds at the paths of interest, where it was read in this cycle.
    pub(super) fn seen(
        &self,
        store: &Store,
        kind: ObjectKind,
        link: &Link,
        desired: Option<&Desired>,
    ) -> Result<Option<Flat>, StateError> {
        if !self.compares || link.gone {
            return Ok(None);
        }
        let Some(json) = store.remote_json(kind, &link.target_id)? else { return Ok(None) };
        let paths = link.pushed.keys().chain(desired.iter().flat_map(|d| d.attrs.keys()));
        let mut seen = flatten(store, &link.target_id, &json, paths)?;
        if let Some(pushed) = link.pushed.get("externalId").filter(|_| !seen.contains_key("externalId"))
            && self.keeps_no_external_id(store, kind)?
        {
            // To write it to everybody in each verify changes nothing.
            seen.insert("externalId".to_owned(), pushed.clone());
        }
        if let Some(desired) = desired {
            self.note_right(store, kind, link, desired, &seen)?;
        }
        Ok(Some(seen))
    }

    /// What is right at the target by now, though it is on record as something else (a change that was refused): the next cycle
    /// must not write it again.
    fn note_right(&self, store: &Store, kind: ObjectKind, link: &Link, desired: &Desired, seen: &Flat) -> Result<(), StateError> {
        let right = |(path, value): &(&String, &serde_json::Value)| {
            *path != "active" && seen.get(*path) == Some(value) && link.pushed.get(*path) != Some(value)
        };
        let mut pushed = link.pushed.clone();
        pushed.extend(desired.attrs.iter().filter(right).map(|(path, value)| (path.clone(), value.clone())));
        if pushed == link.pushed { Ok(()) } else { store.set_seen(kind, link.entry_id, &pushed, self.now) }
    }

    /// Whether an account is active is known as it was seen just now, before anything is made of it: what then waits (for the
    /// guard, for the end of a grace period, for an action that is allowed later) would else be forgotten by the next cycle,
    /// which does not look. Where drift is only reported, one that takes part and was deactivated there stays on record as it was.
    pub(super) fn note_active(
        &self,
        store: &Store,
        standing: user::Standing,
        known: &Link,
        link: &mut user::Linked,
    ) -> Result<(), StateError> {
        let Some(is_active) = link.observed.as_ref().and_then(|seen| seen.get("active")).and_then(Value::as_bool) else {
            return Ok(());
        };
        let leaves = match standing {
            user::Standing::Active => false,
            user::Standing::OutOfScope => self.sync.scope.out_of_scope_deactivates,
            user::Standing::Inactive | user::Standing::Gone => true,
        };
        if is_active == known.active || !(is_active || leaves || self.repairs()) {
            return Ok(());
        }
        let active = ("active".to_owned(), Value::Bool(is_active));
        if let Some(mut now) = store.link(known.entry_id)? {
            now.pushed.extend([active.clone()]);
            store.set_seen(ObjectKind::User, known.entry_id, &now.pushed, self.now)?;
        }
        if !self.repairs() {
            // Nothing of what was seen is left to decide by.
            link.active = is_active;
            link.pushed.extend([active]);
        }
        Ok(())
    }

    /// Whether this read of the target shows no externalId of anybody.
    fn keeps_no_external_id(&self, store: &Store, kind: ObjectKind) -> Result<bool, StateError> {
        let [users, groups] = &self.no_external_id;
        let known = if kind == ObjectKind::User { users } else { groups };
        if let Some(known) = known.get() {
            return Ok(*known);
        }
        let none = store.remote_keeps_no_external_id(self.row.id, kind)?;
        if none {
            tracing::info!(
                sync = self.sync.name,
                "the target shows no externalId of any {kind}: it is taken to keep none, and none is written again"
            );
        }
        Ok(*known.get_or_init(|| none))
    }

    /// Differences are put right; `drift = "report"` leaves them alone, but for leavers who are active again.
    pub(super) fn repairs(&self) -> bool {
        self.sync.drift == Drift::Repair
    }

    /// Of a person's account only what is put right counts as seen; the rest is noted.
    pub(super) fn note_user_drift(
        &self,
        store: &Store,
        d: &Dirty,
        standing: user::Standing,
        desired: Option<&Desired>,
        link: &mut user::Linked,
    ) -> Result<(), StateError> {
        if self.repairs() || link.observed.is_none() {
            return Ok(());
        }
        if let Some(desired) = desired {
            self.note(store, d, ObjectKind::User, drift::of_user(link, standing, desired))?;
        }
        link.observed = drift::not_left_alone(link, standing);
        Ok(())
    }

    /// Of a group nothing counts as seen; what differs is noted, members too.
    pub(super) fn note_group_drift(
        &self,
        store: &Store,
        d: &Dirty,
        desired: Option<&Desired>,
        link: &mut group::Linked,
    ) -> Result<(), StateError> {
        if self.repairs() {
            return Ok(());
        }
        let (Some(seen), Some(desired)) = (link.observed.take(), desired) else { return Ok(()) };
        let by_config = self.linked_by_config(store, d)?.is_some();
        let leave_out = |path: &str| by_config && path == "displayName";
        self.note(store, d, ObjectKind::Group, drift::of(&link.pushed, &seen, desired, &leave_out))?;
        self.note(store, d, ObjectKind::Group, self.members_moved(store, d.id, &link.target_id)?)
    }

    fn members_moved(&self, store: &Store, group: i64, remote: &TargetId) -> Result<Vec<Difference>, StateError> {
        let writes_members = self.sync.actions.group_members && !self.mapper.group_members_removed();
        if !writes_members || !self.tells_members(store, remote)? {
            return Ok(Vec::new());
        }
        let (came, went) = store.members_moved(group, remote)?;
        let moved = !(came.is_empty() && went.is_empty());
        Ok(moved
            .then(|| Difference { path: "members".to_owned(), there: json!(came), pushed: json!(went) })
            .into_iter()
            .collect())
    }

    fn note(&self, store: &Store, d: &Dirty, object: ObjectKind, found: Vec<Difference>) -> Result<(), StateError> {
        for mut difference in found {
            if self.mapper.redacted().contains(&difference.path) {
                for value in [&mut difference.there, &mut difference.pushed].into_iter().filter(|v| !v.is_null()) {
                    *value = Value::from("[Redact]");
                }
            }
            store.plan_drift_add(d.id, object, &d.key, &d.label, &difference)?;
        }
        Ok(())
    }
}
