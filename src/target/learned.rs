//! What speaking to a target teaches about it, kept for the life of the [`Target`](super::Target): which PATCH forms it
//! carries out, which filters it understands, what it refuses altogether.

use super::patch::Form;
use crate::model::ObjectKind;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// What was learned.
#[derive(Default)]
pub(super) struct Learned {
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
