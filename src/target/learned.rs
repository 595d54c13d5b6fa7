//! What speaking to a target teaches about it, kept for the life of the [`Target`](super::Target): which PATCH forms it
//! carries out, which filters it understands, what it refuses altogether.

use super::patch::Form;
use crate::model::ObjectKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How far a filter on one attribute can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Found a known value; whether case matters is not known.
    Works,
    /// Found a known value in other case: zero rows mean that nothing is there.
    IgnoresCase,
    /// Found a known value only in its stored case.
    MindsCase,
    /// Refused, ignored, or did not find a known value.
    Broken,
}

/// What of all that is worth keeping from one run to the next: with it, a write need not be looked at again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// By path of users, the form whose effect was seen.
    users: BTreeMap<String, Form>,
    /// The same for groups.
    groups: BTreeMap<String, Form>,
    /// Some group was seen with members.
    members_shown: bool,
    /// More members than this in one request were refused as too large (413).
    most_members: Option<usize>,
    /// `application/scim+json` was refused as a content type (415).
    plain_json: bool,
    /// Changes without If-Match were refused, and taken with it.
    wants_versions: bool,
}

/// What was learned.
#[derive(Default)]
pub(super) struct Learned {
    members_shown: AtomicBool,
    /// 0: no limit was met.
    most_members: AtomicUsize,
    plain_json: AtomicBool,
    wants_versions: AtomicBool,
    versions_off: AtomicBool,
    patch_off: AtomicBool,
    count_off: AtomicBool,
    patch_on: AtomicBool,
    /// By path, the form whose effect was seen.
    forms: Mutex<HashMap<ObjectKind, HashMap<String, Form>>>,
    filters: Mutex<HashMap<(ObjectKind, String), Trust>>,
}

impl Learned {
    /// PATCH was refused as such.
    pub fn patch_is_off(&self) -> bool {
        self.patch_off.load(Ordering::Relaxed)
    }

    pub fn turn_patch_off(&self) {
        self.patch_off.store(true, Ordering::Relaxed);
    }

    /// What is worth keeping.
    pub fn known(&self) -> Known {
        let forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |kind| forms.get(&kind).into_iter().flatten().map(|(p, f)| (p.clone(), *f)).collect();
        Known {
            users: of(ObjectKind::User),
            groups: of(ObjectKind::Group),
            members_shown: self.shows_members(),
            most_members: self.most_members(),
            plain_json: self.wants_plain_json(),
            wants_versions: self.wants_versions(),
        }
    }

    /// Takes up what an earlier run learned. What this one saw itself stands.
    pub fn recall(&self, known: &Known) {
        {
            let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
            for (kind, old) in [(ObjectKind::User, &known.users), (ObjectKind::Group, &known.groups)] {
                let now = forms.entry(kind).or_default();
                for (path, form) in old {
                    now.entry(path.clone()).or_insert(*form);
                }
            }
        }
        if known.members_shown {
            self.note_members_shown();
        }
        if known.plain_json {
            self.note_plain_json();
        }
        if known.wants_versions {
            self.note_wants_versions();
        }
        if let Some(most) = known.most_members {
            self.limit_members(most);
        }
    }

    /// Whether some group of this target was seen with members: then one without them has none.
    pub fn shows_members(&self) -> bool {
        self.members_shown.load(Ordering::Relaxed)
    }

    pub fn note_members_shown(&self) {
        self.members_shown.store(true, Ordering::Relaxed);
    }

    /// Whether `application/scim+json` was refused as a content type.
    pub fn wants_plain_json(&self) -> bool {
        self.plain_json.load(Ordering::Relaxed)
    }

    pub fn note_plain_json(&self) {
        self.plain_json.store(true, Ordering::Relaxed);
    }

    /// Most members in one request, where a larger one was refused.
    pub fn most_members(&self) -> Option<usize> {
        Some(self.most_members.load(Ordering::Relaxed)).filter(|m| *m > 0)
    }

    /// A request with so many members was too large (413): half of them from here on.
    pub fn note_too_large(&self, members: usize) {
        self.limit_members((members / 2).max(1));
    }

    fn limit_members(&self, most: usize) {
        // `Err` means that the limit known already is the lower one.
        let _ = self.most_members.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |m| (m == 0 || most < m).then_some(most));
    }

    /// Whether a change has to name the version that it starts from.
    pub fn wants_versions(&self) -> bool {
        self.wants_versions.load(Ordering::Relaxed)
    }

    pub fn note_wants_versions(&self) {
        self.wants_versions.store(true, Ordering::Relaxed);
    }

    /// Versions were refused as stale that had just been read: they are not real.
    pub fn versions_are_off(&self) -> bool {
        self.versions_off.load(Ordering::Relaxed)
    }

    pub fn turn_versions_off(&self) {
        self.versions_off.store(true, Ordering::Relaxed);
    }

    /// `count` was refused.
    pub fn count_is_off(&self) -> bool {
        self.count_off.load(Ordering::Relaxed)
    }

    pub fn turn_count_off(&self) {
        self.count_off.store(true, Ordering::Relaxed);
    }

    /// Some PATCH took effect.
    pub fn patch_works(&self) -> bool {
        self.patch_on.load(Ordering::Relaxed)
    }

    pub fn note_patch_works(&self) {
        self.patch_on.store(true, Ordering::Relaxed);
    }

    /// The form to use for a path: the one whose effect was seen, else `first`.
    pub fn form(&self, kind: ObjectKind, path: &str, first: Form) -> Form {
        self.get(kind, path).unwrap_or(first)
    }

    /// Whether the effect of that form was seen at this target.
    pub fn is_verified(&self, kind: ObjectKind, path: &str, form: Form) -> bool {
        self.get(kind, path) == Some(form)
    }

    /// The effect of this form was seen: it is the form for this path from here on.
    pub fn verified(&self, kind: ObjectKind, path: &str, form: Form) {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = forms.entry(kind).or_default();
        match of_kind.get_mut(path) {
            Some(known) => *known = form,
            None => {
                of_kind.insert(path.to_owned(), form);
            }
        }
    }

    /// Trust in filters on an attribute; `None`: not known.
    pub fn trust(&self, kind: ObjectKind, attribute: &str) -> Option<Trust> {
        let filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        filters.get(&(kind, attribute.to_ascii_lowercase())).copied()
    }

    pub fn set_trust(&self, kind: ObjectKind, attribute: &str, trust: Trust) {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, attribute.to_ascii_lowercase()), trust);
    }

    fn get(&self, kind: ObjectKind, path: &str) -> Option<Form> {
        self.forms.lock().unwrap_or_else(PoisonError::into_inner).get(&kind)?.get(path).copied()
    }
}
