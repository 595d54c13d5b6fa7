//! The name of a plan and of a change: SHA-256 over what would be done, not over why or when.

use super::Change;
use crate::model::Flat;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// What is applied is what was reviewed if, and only if, the digests are equal.
#[derive(Debug, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds the next change; the order matters.
    pub fn add(&mut self, c: &Change) {
        let whole = (c.kind.as_str(), c.kind.object(), &c.source_key, &c.target_id, &c.from, &c.to, members(c));
        self.0.update(sha256(&whole));
    }

    /// `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        named(self.0)
    }
}

/// The name of what a plan's document shows of its changes. Values that nobody is to see are not in the document, so its
/// digest cannot be worked out from it; whether it was changed since it was made can.
#[derive(Debug, Default)]
pub struct Shown(Sha256);

impl Shown {
    /// Adds the next change as it stands in the document; the order of changes matters, that of keys does not.
    pub fn add(&mut self, kind: &str, source_key: &str, target_id: Option<&str>, mut from: Value, mut to: Value) {
        from.sort_all_objects();
        to.sort_all_objects();
        self.0.update(sha256(&(kind, source_key, target_id, from, to)));
    }

    /// As [`Digest::finish`].
    #[must_use]
    pub fn finish(self) -> String {
        named(self.0)
    }
}

fn named(hash: Sha256) -> String {
    let hex = hash.finalize().iter().fold(String::new(), |mut s, b| {
        use std::fmt::Write;
        let _ = write!(s, "{b:02x}");
        s
    });
    format!("sha256:{hex}")
}

/// Identity of one change for approvals: kind, source key, target id and `to` (for memberships: who).
#[must_use]
pub fn change(c: &Change) -> [u8; 32] {
    identity(c, &c.to)
}

/// The same for a change some of whose values tell the time (`telling`): a minute later it is still that change.
#[must_use]
pub fn change_at_any_time(c: &Change, telling: &BTreeSet<String>) -> [u8; 32] {
    if !c.to.keys().any(|path| telling.contains(path)) {
        return change(c);
    }
    let mut to = c.to.clone();
    for (path, value) in &mut to {
        if telling.contains(path) && !value.is_null() {
            *value = "(now)".into();
        }
    }
    identity(c, &to)
}

fn identity(c: &Change, to: &Flat) -> [u8; 32] {
    sha256(&(c.kind.as_str(), &c.source_key, &c.target_id, to, members(c)))
}

fn members(c: &Change) -> Vec<&str> {
    c.members.iter().map(|m| m.source_key.as_str()).collect()
}

/// The hash of something as JSON. Texts and maps of JSON values: writing them cannot fail.
fn sha256(what: &impl serde::Serialize) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(what).unwrap_or_default()).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::SourceKey;
    use crate::plan::Kind;

    fn sample() -> Change {
        Change {
            kind: Kind::Create,
            id: 7,
            who: "jane".into(),
            source_key: SourceKey("k1".into()),
            target_id: None,
            reason: "new".into(),
            from: Flat::new(),
            to: Flat::from([("userName".into(), "jane@x.example".into())]),
            pushed: Flat::new(),
            members: vec![],
            recreate: false,
        }
    }

    #[test]
    fn words_do_not_change_it_but_values_do() {
        let a = sample();
        let mut b = sample();
        b.reason = "other words".into();
        b.id = 9;
        assert_eq!(change(&a), change(&b));
        b.to.insert("userName".into(), "joan@x.example".into());
        assert_ne!(change(&a), change(&b));
        let telling = BTreeSet::from(["userName".to_owned()]);
        assert_eq!(change_at_any_time(&a, &telling), change_at_any_time(&b, &telling));
        assert_eq!(change_at_any_time(&a, &BTreeSet::new()), change(&a));
        let digest = |c: &Change| {
            let mut d = Digest::default();
            d.add(c);
            d.finish()
        };
        assert_ne!(digest(&a), digest(&b));
        assert!(digest(&a).starts_with("sha256:") && digest(&a).len() == 71);
    }
}
