//! The name of a plan and of a change: SHA-256 over what would be done, not over why or when.

use super::{Change, Kind, rename};
use crate::model::Flat;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// What is applied is what was reviewed if, and only if, the digests are equal. A rename counts as its two parts (see
/// [`rename`]), whether the guard holds the one or not: an approval in between makes no other plan of it.
#[derive(Debug, Default)]
pub struct Digest(Sum);

impl Digest {
    /// Adds a change.
    pub fn add(&mut self, c: &Change) {
        match rename::part(c, &BTreeSet::new()) {
            Some((name, rest)) => [name, rest].iter().for_each(|c| self.whole(c)),
            None => self.whole(c),
        }
    }

    fn whole(&mut self, c: &Change) {
        self.0.add(&(c.kind.as_str(), c.kind.object(), &c.source_key, &c.target_id, &c.from, &c.to, members(c)));
    }

    /// `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        self.0.finish()
    }
}

/// The name of what a plan's document shows of its changes. Values that nobody is to see are not in the document, so its
/// digest cannot be worked out from it; whether it was changed since it was made can.
#[derive(Debug, Default)]
pub struct Shown(Sum);

impl Shown {
    /// Adds a change as it stands in the document.
    pub fn add(&mut self, kind: &str, source_key: &str, target_id: Option<&str>, mut from: Value, mut to: Value) {
        from.sort_all_objects();
        to.sort_all_objects();
        if let Some(of) = rename::KINDS.into_iter().find(|k| k.as_str() == kind)
            && let (Value::Object(old), Value::Object(new)) = (&mut from, &mut to)
            && (of == Kind::Rename || is_renamed(old, new))
        {
            let part = |whole: &mut Map<String, Value>| -> (Map<_, _>, Map<_, _>) {
                std::mem::take(whole).into_iter().partition(|(path, _)| rename::waits(of, path))
            };
            let ((old_name, old_rest), (name, rest)) = (part(old), part(new));
            let of_rest = if of == Kind::Rename { Kind::Update } else { of };
            if of != Kind::Rename || !rest.is_empty() {
                self.0.add(&(of_rest.as_str(), source_key, target_id, old_rest, rest));
            }
            self.0.add(&(Kind::Rename.as_str(), source_key, target_id, old_name, name));
            return;
        }
        self.0.add(&(kind, source_key, target_id, from, to));
    }

    /// As [`Digest::finish`].
    #[must_use]
    pub fn finish(self) -> String {
        self.0.finish()
    }
}

/// As [`Change::renames`], of what the document shows.
fn is_renamed(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let name = |of: &Map<String, Value>| of.get("userName").and_then(Value::as_str).map(str::to_lowercase);
    matches!((name(old), name(new)), (Some(a), Some(b)) if a != b)
}

/// What a row of the document is sealed with: all of it that says what is approved. Whatever of it is changed by hand shows.
#[must_use]
pub fn seal(id: &str, kind: &str, who: &str, source_key: &str, target_id: Option<&str>, from: &Value, to: &Value) -> String {
    let (mut from, mut to) = (from.clone(), to.clone());
    from.sort_all_objects();
    to.sort_all_objects();
    hex(&sha256(&(id, kind, who, source_key, target_id, from, to))[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        use std::fmt::Write;
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// The name of a number of things in any order: the sum of their hashes, as one number of 256 bits, and how many they are.
#[derive(Debug, Default)]
struct Sum {
    parts: [u64; 4],
    n: u64,
}

impl Sum {
    fn add(&mut self, what: &impl serde::Serialize) {
        let hash = sha256(what);
        let mut carry = false;
        for (part, octets) in self.parts.iter_mut().zip(hash.as_chunks::<8>().0) {
            let (sum, over) = part.overflowing_add(u64::from_le_bytes(*octets));
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *part = sum;
            carry = over || over_again;
        }
        self.n += 1;
    }

    fn finish(self) -> String {
        format!("sha256:{}", hex(&sha256(&(self.parts, self.n))))
    }
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
            create_only: BTreeSet::new(),
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
        assert_ne!(digest(&a), Digest::default().finish());
        assert!(digest(&a).starts_with("sha256:") && digest(&a).len() == 71);
    }
    #[test]
    fn a_rename_in_two_parts_is_the_same_plan() {
        let to = [("userName", "b@x.example"), ("externalId", "k1"), ("title", "T")];
        for kind in rename::KINDS {
            let whole = Change {
                kind,
                from: Flat::from([("userName".into(), "a@x.example".into())]),
                to: to.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect(),
                ..sample()
            };
            is_the_same_in_two_parts(&whole);
        }
    }

    fn is_the_same_in_two_parts(whole: &Change) {
        let (name, rest) = rename::part(whole, &BTreeSet::new()).unwrap();
        let digest = |all: &[&Change]| {
            let (mut d, mut s) = (Digest::default(), Shown::default());
            for c in all {
                d.add(c);
                let (from, to) = crate::plan::render::from_to(c);
                s.add(c.kind.as_str(), &c.source_key.0, None, from, to);
            }
            (d.finish(), s.finish())
        };
        assert_eq!(digest(&[whole]), digest(&[&name, &rest]));
        assert_eq!(digest(&[&rest, &name]), digest(&[&name, &rest]));
        for other in [vec![&name], vec![&rest], vec![&name, &rest, &rest], vec![]] {
            let (d, s) = digest(&other);
            assert!(d != digest(&[whole]).0 && s != digest(&[whole]).1);
        }
    }
}
