//! Look-ups by value, so that a filter with `eq` on a key does not walk over everything.

use super::validate::Doc;
use serde_json::Value;
use std::collections::HashMap;

/// Value -> slots.
#[derive(Debug, Default)]
pub(super) struct Index {
    slots: HashMap<Box<str>, Vec<usize>>,
}

impl Index {
    pub(super) fn get(&self, key: &str) -> &[usize] {
        self.slots.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    fn add(&mut self, key: &str, slot: usize) {
        match self.slots.get_mut(key) {
            Some(slots) => slots.push(slot),
            None => {
                self.slots.insert(key.into(), vec![slot]);
            }
        }
    }

    fn remove(&mut self, key: &str, slot: usize) {
        if let Some(slots) = self.slots.get_mut(key) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                self.slots.remove(key);
            }
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
