//! scope and map: how each entry that must be looked at stands, before anybody's claims are compared.

use super::apart::{Apart, NamedGroups};
use super::read::Read;
use super::{Cycle, Look, Request};
use crate::config::SyncConfig;
use crate::mapping::{Changed, Mapped, Mapper, Shape};
use crate::model::{Entry, ObjectKind};
use crate::state::standing::{Dirty, Standing};
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::Dialect;
use crate::target::presets::Preset;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Entries looked at in one go.
pub(super) const BATCH: u32 = 512;

/// Everything that working out a plan needs, owned, so that it can run on a blocking thread.
pub(super) struct Work {
    pub sync: Arc<SyncConfig>,
    pub mapper: Arc<Mapper>,
    pub row: SyncRow,
    pub dialect: Dialect,
    pub preset: Arc<Preset>,
    /// Syncs whose applications must not get the same entries.
    pub apart: Arc<Vec<Apart>>,
    pub by_hand: bool,
    /// The target was read in this cycle: whose accounts there are.
    pub observed: bool,
    /// All of its accounts were read in this cycle.
    pub listed: bool,
    /// Linked accounts are compared with what was read.
    pub compares: bool,
    /// Groups were read at the source.
    pub groups: bool,
    /// See [`Cycle::fingerprint`].
    pub fingerprint: String,
    pub flatten: bool,
    /// Why this is not the directory that the entries came from, where it is not.
    pub another_source: Option<String>,
    pub distrust_clock: bool,
    pub now: i64,
    /// What the scope relies on and the directory does not show.
    pub missing: std::cell::RefCell<Vec<String>>,
    /// What the configuration changed since the entries were worked out last.
    pub changed: Changed,
    /// Who came back under a new entry, or may have.
    pub rehired: std::cell::RefCell<std::collections::HashMap<i64, super::rehire::Rehired>>,
    /// Something was taken back by `undo` and is held.
    pub undone: std::cell::Cell<bool>,
    /// Whether the target keeps no externalId of users, of groups, once that was looked at.
    pub no_external_id: [std::cell::OnceCell<bool>; 2],
    /// In a cycle: whether no user, no group was read at the target. Then nobody needs to be looked for.
    pub none_there: std::cell::Cell<[bool; 2]>,
    /// How the target describes the paths that were met.
    pub shapes: std::cell::RefCell<std::collections::HashMap<String, Shape>>,
    /// Groups that scopes of others name, once they were looked for.
    pub named_groups: NamedGroups,
    /// Values that must not be given twice, by path.
    pub taken: std::cell::RefCell<BTreeMap<String, HashSet<String>>>,
}

/// How it is known who is in the groups of `members_of`.
enum InGroups<'a> {
    /// The scope does not go by groups.
    NeedNotBe,
    /// Everybody in them is listed.
    Listed,
    /// Whoever is looked at is asked.
    Asked(&'a [i64]),
}

impl Cycle {
    pub(super) fn decision(&self, row: &SyncRow, request: &Request, dialect: &Dialect, look: Look, read: &Read) -> Work {
        Work {
            sync: Arc::clone(&self.sync),
            mapper: Arc::clone(&self.mapper),
            row: row.clone(),
            dialect: dialect.clone(),
            preset: Arc::clone(&self.preset),
            apart: Arc::clone(&self.apart),
            by_hand: request.by_hand,
            observed: look != Look::Away,
            listed: look != Look::Away,
            compares: look == Look::Everything,
            groups: self.wants_groups(),
            fingerprint: self.fingerprint(dialect),
            flatten: self.flatten,
            another_source: self.another_source(row),
            distrust_clock: read.distrust_clock,
            now: self.now,
            missing: std::cell::RefCell::default(),
            changed: self.changed(row),
            rehired: std::cell::RefCell::default(),
            undone: std::cell::Cell::default(),
            no_external_id: Default::default(),
            none_there: std::cell::Cell::default(),
            shapes: std::cell::RefCell::default(),
            named_groups: Default::default(),
            taken: std::cell::RefCell::default(),
        }
    }

    /// What the configuration changed since the last cycle.
    pub(super) fn changed(&self, row: &SyncRow) -> Changed {
        row.fingerprint.as_deref().map(|before| self.mapper.changed_since(before)).unwrap_or_default()
    }

    /// Whatever, when changed, makes every entry worth another look.
    pub(super) fn fingerprint(&self, dialect: &Dialect) -> String {
        let s = &self.sync;
        format!(
            "{}\n{:?}\n{:?}\n{:?}\n{}\n{}\n{:?}",
            self.mapper.fingerprint(),
            s.scope,
            s.actions,
            s.matching,
            self.flatten,
            s.target,
            (&dialect.user_attributes, (&dialect.types, &dialect.lists), dialect.user_name_immutable, dialect.groups,),
        ) + &format!(
            "\n{:?}\n{:?}",
            s.groups,
            (
                &dialect.group_attributes,
                &dialect.required,
                [dialect.group_create, dialect.group_update, dialect.group_delete, dialect.delete_removes],
            )
        )
    }
}

impl Work {
    /// Works out scope, activity and claimed user ID of every entry that changed, fell due, or depends on what did.
    pub(super) fn evaluate(&self, store: &mut Store) -> Result<(), StateError> {
        let everyone =
            self.compares || self.mapper.depends_on_time() || self.row.fingerprint.as_deref() != Some(self.fingerprint.as_str());
        store.plan_clear()?;
        let groups = self.scope_groups(store)?;
        store.in_transaction(|store| {
            if everyone {
                store.mark_all(self.row.id)?;
            }
            store.mark_due(self.row.id, self.now)?;
            if self.mapper.has_references() {
                store.mark_referring(self.row.id)?;
            }
            let groups = match &groups {
                None => InGroups::NeedNotBe,
                Some(groups) if !everyone && store.scope_groups_are(self.row.id, groups)? => InGroups::Asked(groups),
                Some(groups) => {
                    store.list_scope_members(self.row.id, groups)?;
                    InGroups::Listed
                }
            };
            if self.mapper.constructs_user_ids() {
                // Everybody's own addresses first: what is made up from names counts only where nobody has it.
                for kind in [ObjectKind::User, ObjectKind::Group] {
                    self.each(store, kind, |store, d| {
                        let entry = d.entry.as_ref().filter(|_| !d.gone);
                        let addresses = entry.map(|e| self.mapper.own_addresses(e)).unwrap_or_default();
                        store.set_addresses(self.row.id, d.id, &addresses)
                    })?;
                }
            }
            for kind in [ObjectKind::User, ObjectKind::Group] {
                self.each(store, kind, |store, d| self.stand(store, kind, &d, &groups))?;
            }
            Ok(())
        })
    }

    fn stand(&self, store: &Store, kind: ObjectKind, d: &Dirty, groups: &InGroups<'_>) -> Result<(), StateError> {
        let new = match d.entry.as_ref().filter(|_| !d.gone) {
            None => Standing { in_scope: false, inactive: false, leaving_since: None, user_id: None },
            Some(entry) => {
                let mut in_scope = self.mapper.in_scope(entry);
                if in_scope && kind == ObjectKind::User {
                    in_scope = match groups {
                        InGroups::NeedNotBe => true,
                        InGroups::Listed => store.is_listed_in_scope(d.id)?,
                        InGroups::Asked(groups) => store.is_in_one_of(d.id, groups)?,
                    };
                }
                let (inactive, user_id) = match kind {
                    ObjectKind::Group => (false, None),
                    ObjectKind::User => self.activity(store, d, entry, in_scope)?,
                };
                Standing { in_scope, inactive, leaving_since: None, user_id }
            }
        };
        let leaving = !new.in_scope || new.inactive;
        let new = Standing { leaving_since: leaving.then(|| d.leaving_since.unwrap_or(self.now)), ..new };
        // Written always: the claimed user ID may differ even where the rest does not.
        store.set_standing(d.id, &new)?;
        if kind == ObjectKind::User && self.mapper.has_references() {
            let pushed = d.link.as_ref().and_then(|l| l.pushed.get("userName")).and_then(serde_json::Value::as_str);
            let ids: Vec<&str> = new.user_id.as_deref().into_iter().chain(pushed).collect();
            store.mark_seeking(self.row.id, d.id, &ids)?;
        }
        Ok(())
    }

    /// Inactive or not, and the user ID that competes (folded). Inactive and out-of-scope entries do not compete.
    fn activity(&self, store: &Store, d: &Dirty, entry: &Entry, in_scope: bool) -> Result<(bool, Option<String>), StateError> {
        let disabled = self.is_disabled(entry, d.inactive);
        let desired = match self.mapped(store, d, entry)?.attrs {
            Ok(desired) => desired,
            // Another row cannot be mapped: whoever is to be deactivated is so all the same.
            Err(unmapped) => return Ok((disabled || !unmapped.rest.active, None)),
        };
        let inactive = disabled || !desired.active;
        // A name that is chosen so that nobody has it competes with none; whoever has one keeps it.
        let chosen = desired.candidates.contains_key("userName");
        let link = d.link.as_ref().filter(|l| !l.gone);
        let attrs = if chosen { link.map(|l| &l.pushed) } else { Some(&desired.attrs) };
        let name = attrs.and_then(|a| a.get("userName")).and_then(serde_json::Value::as_str).map(str::to_lowercase);
        Ok((inactive, name.filter(|_| in_scope && !inactive)))
    }

    /// A person as mapped. A user ID that was made up counts only where nobody else has the address; whoever bears it
    /// already keeps it.
    pub(super) fn mapped(&self, store: &Store, d: &Dirty, entry: &Entry) -> Result<Mapped, StateError> {
        let mapped = self.mapper.user(entry, self.is_disabled(entry, d.inactive));
        let Some(id) = mapped.constructed() else { return Ok(mapped) };
        let bears = d.link.as_ref().filter(|l| !l.gone).and_then(|l| l.pushed.get("userName")).and_then(|v| v.as_str());
        let folded = crate::mapping::folded_address(&id.address);
        if bears.is_some_and(|b| crate::mapping::folded_address(b) == folded) {
            return Ok(mapped);
        }
        let other = store.address_holder(self.row.id, &folded, d.id)?;
        Ok(match other {
            Some(other) => mapped.address_of_another(&other),
            None => mapped,
        })
    }

    /// Disabled at the source now: what was read, turned over where its time has come. While clocks disagree nobody is
    /// disabled by the clock anew, and nobody who was (`inactive`) comes back by it.
    pub(super) fn is_disabled(&self, entry: &Entry, inactive: bool) -> bool {
        let trusted = !self.distrust_clock || (inactive && !entry.disabled);
        let flipped = trusted && entry.due.is_some_and(|d| d <= self.now);
        self.sync.scope.disabled_is_inactive && (entry.disabled != flipped)
    }

    /// The groups of `members_of`; `None` where the scope does not depend on groups. A name that no group has brings
    /// nobody into scope, and is said.
    fn scope_groups(&self, store: &Store) -> Result<Option<Vec<i64>>, StateError> {
        let named = &self.sync.scope.members_of;
        if named.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::new();
        for text in named {
            let names = [crate::source::dn::dn_name(text)];
            let found = store.find_groups(self.row.id, &names, text)?;
            if found.is_empty() {
                // Everybody would be out of scope: what takes away is held until the name is right again, which the guard
                // says. Whoever only looks hears of it another way, and of an unread directory it says nothing.
                tracing::info!(sync = self.sync.name, "scope.members_of: no group {text:?} in the directory");
                self.missing.borrow_mut().push(format!("group {text} of scope.members_of"));
            }
            out.extend(found);
        }
        Ok(Some(out))
    }
}
