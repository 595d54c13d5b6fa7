//! Look-ups by value, so that a filter with `eq` on a key does not walk over everything.

use super::validate::Doc;
use serde_json::Value;
use std::collections::HashMap;

/// Value -> slots.
#[derive(Debug, Default)]
pub(super) struct Index {
    slots: HashMap<Box<str>, Slots>,
}

/// Nearly every value belongs to one resource: that one costs no allocation.
#[derive(Debug)]
enum Slots {
    One(usize),
    Many(Vec<usize>),
}

impl Slots {
    fn as_slice(&self) -> &[usize] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }
}

impl Index {
    pub(super) fn get(&self, key: &str) -> &[usize] {
        self.slots.get(key).map(Slots::as_slice).unwrap_or_default()
    }

    fn add(&mut self, key: &str, slot: usize) {
        match self.slots.get_mut(key) {
            Some(Slots::Many(slots)) => slots.push(slot),
            Some(slots @ Slots::One(_)) => *slots = Slots::Many(slots.as_slice().iter().copied().chain([slot]).collect()),
            None => {
                self.slots.insert(key.into(), Slots::One(slot));
            }
        }
    }

    fn remove(&mut self, key: &str, slot: usize) {
        let empty = match self.slots.get_mut(key) {
            Some(Slots::Many(slots)) => {
                slots.retain(|other| *other != slot);
                slots.is_empty()
            }
            Some(Slots::One(only)) => *only == slot,
            None => false,
        };
        if empty {
            self.slots.remove(key);
        }
    }
}

/// The indexes of one kind of resource.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// `userName` or, of groups, `displayName`, in lower case.
    pub(super) name: Index,
    /// `externalId`, verbatim.
    pub(super) external_id: Index,
    /// `emails.value`, in lower case.
    pub(super) email: Index,
}

/// What the indexes know about one resource.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) name: Option<String>,
    external_id: Option<String>,
    emails: Vec<String>,
}

impl Keys {
    pub(super) fn of(doc: &Doc, name: &str) -> Self {
        let text = |name: &str| doc.get(name).and_then(Value::as_str);
        let emails = doc.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut emails: Vec<String> =
            emails.iter().filter_map(|email| email.get("value")?.as_str()).map(str::to_lowercase).collect();
        emails.sort_unstable();
        emails.dedup();
        Self { name: text(name).map(str::to_lowercase), external_id: text("externalId").map(str::to_owned), emails }
    }
}

impl Indexes {
    pub(super) fn add(&mut self, keys: &Keys, slot: usize) {
        if let Some(name) = &keys.name {
            self.name.add(name, slot);
        }
        if let Some(external_id) = &keys.external_id {
            self.external_id.add(external_id, slot);
        }
        for email in &keys.emails {
            self.email.add(email, slot);
        }
    }

    pub(super) fn remove(&mut self, keys: &Keys, slot: usize) {
        if let Some(name) = &keys.name {
            self.name.remove(name, slot);
        }
        if let Some(external_id) = &keys.external_id {
            self.external_id.remove(external_id, slot);
        }
        for email in &keys.emails {
            self.email.remove(email, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_forgotten_with_its_last_slot() {
        let mut index = Index::default();
        for slot in [3, 1, 2] {
            index.add("a", slot);
        }
        index.add("b", 4);
        index.remove("a", 9);
        index.remove("b", 9);
        assert_eq!((index.get("a"), index.get("b"), index.get("c")), (&[3, 1, 2][..], &[4][..], &[][..]));
        for slot in [1, 3, 2, 2] {
            index.remove("a", slot);
        }
        index.remove("b", 4);
        assert!(index.slots.is_empty());
        index.add("a", 5);
        assert_eq!(index.get("a"), [5]);
    }
}
