//! Applications that must never get the same entry: whoever is somebody else's gets no account here.

use super::Cycle;
use super::evaluate::Work;
use crate::config::{Config, SyncConfig};
use crate::mapping::Mapper;
use crate::model::{Entry, ObjectKind, SourceKey};
use crate::plan::Parked;
use crate::source::dn::dn_name;
use crate::state::standing::Dirty;
use crate::state::{StateError, Store};
use crate::target::presets::{self, Preset};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Another sync of the same source, whose application must never get the same entry.
pub(super) struct Apart {
    sync: String,
    application: &'static str,
    mapper: Mapper,
    /// The groups that its scope goes by. They are looked for among the entries of the sync that asks, which reads the same
    /// directory: the other one may never have run.
    members_of: Vec<String>,
    disabled_is_inactive: bool,
}

/// Groups that texts name, once they were looked for: a label is found among all groups only.
pub(super) type NamedGroups = RefCell<HashMap<String, Arc<[i64]>>>;

impl Apart {
    /// The syncs that `sync` has to keep apart from.
    pub(super) fn of(config: &Config, sync: &SyncConfig, preset: &Preset) -> Vec<Self> {
        let Some(other) = preset.apart_from else { return Vec::new() };
        let apart = config.syncs.iter().filter(|s| s.name != sync.name && s.source == sync.source);
        apart
            .filter_map(|s| {
                let preset =
                    config.targets.get(&s.target).filter(|t| t.preset == other).and_then(|t| presets::find(&t.preset))?;
                Some(Self {
                    sync: s.name.clone(),
                    application: preset.application,
                    // A sync that cannot be compiled says so itself, and writes nothing.
                    mapper: Mapper::compile(&s.mapping_spec(), preset.map_user, preset.map_group).ok()?,
                    members_of: s.scope.members_of.clone(),
                    disabled_is_inactive: s.scope.disabled_is_inactive,
                })
            })
            .collect()
    }

    /// Its scope depends on groups.
    pub(super) fn goes_by_groups(&self) -> bool {
        !self.members_of.is_empty()
    }

    /// What it reads of an entry.
    pub(super) fn mapper(&self) -> &Mapper {
        &self.mapper
    }
}

/// Who asks whose somebody is.
struct Asking<'a> {
    sync: &'a str,
    row: i64,
    others: &'a [Apart],
    groups: &'a NamedGroups,
}

impl Asking<'_> {
    /// Why somebody without an account here belongs to a neighbouring application instead, and what to do. Whoever has an
    /// account in one of the two stays there; who is in the scope of both gets none in either.
    fn keeps_away(&self, store: &Store, id: i64, key: &str, entry: &Entry) -> Result<Option<(String, String)>, StateError> {
        for other in self.others {
            let known = store.standing_in(&other.sync, key)?;
            let linked = known.is_some_and(|(_, linked)| linked);
            if !linked && !self.is_in_scope_of(other, store, id, entry)? {
                continue;
            }
            let (application, sync) = (other.application, &other.sync);
            let reason = if linked {
                format!("has an account at {application} (sync {sync}): the same entry never goes to both")
            } else {
                format!(
                    "is in the scope of {application} (sync {sync}) too: the same entry never goes to both, and none is picked"
                )
            };
            let advice = format!("narrow scope.users of one of the two syncs, {} or {sync}", self.sync);
            return Ok(Some((reason, advice)));
        }
        Ok(None)
    }

    /// Whether somebody without an account at the neighbouring application is to have one there.
    fn is_in_scope_of(&self, other: &Apart, store: &Store, id: i64, entry: &Entry) -> Result<bool, StateError> {
        if !other.mapper.in_scope(entry) || (entry.disabled && other.disabled_is_inactive) {
            return Ok(false);
        }
        for text in &other.members_of {
            if store.is_in_one_of(id, &self.named_groups(store, text)?)? {
                return Ok(true);
            }
        }
        Ok(!other.goes_by_groups())
    }

    fn named_groups(&self, store: &Store, text: &str) -> Result<Arc<[i64]>, StateError> {
        if let Some(known) = self.groups.borrow().get(text) {
            return Ok(Arc::clone(known));
        }
        let found: Arc<[i64]> = store.find_groups(self.row, &[dn_name(text)], text)?.into();
        self.groups.borrow_mut().insert(text.to_owned(), Arc::clone(&found));
        Ok(found)
    }
}

impl Work {
    /// Whether somebody without an account here belongs to the neighbouring application instead.
    pub(super) fn apart(&self, store: &Store, d: &Dirty, entry: &Entry) -> Result<Option<Parked>, StateError> {
        let asking = Asking { sync: &self.sync.name, row: self.row.id, others: &self.apart, groups: &self.named_groups };
        let why = asking.keeps_away(store, d.id, &d.key, entry)?;
        Ok(why.map(|(reason, advice)| Parked {
            id: d.id,
            object: ObjectKind::User,
            kind: "create",
            who: d.label.clone(),
            source_key: SourceKey(d.key.clone()),
            reason,
            advice,
        }))
    }
}

impl Cycle {
    /// Why a person without an account here is given none by a cycle, whatever matches, and what to do: the person belongs to a
    /// neighbouring application, or may. After [`Cycle::read_people`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn kept_apart(
        &self,
        store: &Store,
        (sync, entry): (i64, i64),
        key: &str,
    ) -> Result<Option<(String, String)>, StateError> {
        if self.apart.is_empty() {
            return Ok(None);
        }
        let Some(there) = store.entry(entry)? else { return Ok(None) };
        let groups = NamedGroups::default();
        let asking = Asking { sync: &self.sync.name, row: sync, others: &self.apart, groups: &groups };
        asking.keeps_away(store, entry, key, &there)
    }
}
