//! What this run wrote lately, resource by resource.
//!
//! A target that reads from a copy shows a change only a moment later. What is built from such a read (a PUT, RFC 7644
//! section 3.5.1) would take the change back.

use crate::model::{Flat, ObjectKind, TargetId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Resources that are remembered: the changes of some seconds. What is older is long shown.
const MOST: usize = 8192;

type Key = (ObjectKind, TargetId);

/// The latest writes.
#[derive(Default)]
pub(super) struct Recent(Mutex<(HashMap<Key, Written>, VecDeque<Key>)>);

#[derive(Default)]
struct Written {
    made: bool,
    values: Flat,
}

impl Recent {
    /// The target took this change; `null` clears.
    pub fn note(&self, kind: ObjectKind, id: &TargetId, to: &Flat) {
        self.with(kind, id, |written| written.values.extend(to.iter().map(|(path, value)| (path.clone(), value.clone()))));
    }

    /// The resource was made.
    pub fn note_made(&self, kind: ObjectKind, id: &TargetId) {
        self.with(kind, id, |written| written.made = true);
    }

    fn with(&self, kind: ObjectKind, id: &TargetId, change: impl FnOnce(&mut Written)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *all;
        let key = (kind, id.clone());
        if let Some(written) = known.get_mut(&key) {
            return change(written);
        }
        let mut written = Written::default();
        change(&mut written);
        known.insert(key.clone(), written);
        order.push_back(key);
        if order.len() > MOST
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }

    /// What was written to this resource.
    pub fn of(&self, kind: ObjectKind, id: &TargetId) -> Flat {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.get(&(kind, id.clone())).map(|written| written.values.clone()).unwrap_or_default()
    }

    /// Whether it was made by this run.
    pub fn is_made(&self, kind: ObjectKind, id: &TargetId) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.get(&(kind, id.clone())).is_some_and(|written| written.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_latest_writes_are_known_and_old_ones_are_forgotten() {
        let recent = Recent::default();
        let id = |n: usize| TargetId(n.to_string());
        let flat = |path: &str, value| Flat::from([(path.to_owned(), value)]);
        recent.note(ObjectKind::User, &id(0), &flat("active", json!(false)));
        recent.note(ObjectKind::User, &id(0), &flat("title", json!("T")));
        assert_eq!(recent.of(ObjectKind::User, &id(0)).len(), 2);
        assert!(recent.of(ObjectKind::Group, &id(0)).is_empty() && !recent.is_made(ObjectKind::User, &id(0)));
        recent.note_made(ObjectKind::User, &id(0));
        assert!(recent.is_made(ObjectKind::User, &id(0)));
        for n in 1..=MOST {
            recent.note(ObjectKind::User, &id(n), &flat("title", json!("T")));
        }
        assert!(recent.of(ObjectKind::User, &id(0)).is_empty());
        assert_eq!(recent.of(ObjectKind::User, &id(MOST)).len(), 1);
    }
}
