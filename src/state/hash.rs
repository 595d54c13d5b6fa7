//! 128-bit hashes that the store joins on. BLAKE3, so that they are the same on every machine and in every version.

use crate::model::{Entry, MemberRef, ObjectKind, SourceKey, Value};

/// A 128-bit hash.
pub type Hash = [u8; 16];

fn cut(h: &blake3::Hash) -> Hash {
    let mut out = [0; 16];
    out.copy_from_slice(&h.as_bytes()[..16]);
    out
}

/// Hash of some octets.
#[must_use]
pub fn of(bytes: &[u8]) -> Hash {
    cut(&blake3::hash(bytes))
}

/// Hash of a source key, with its kind.
#[must_use]
pub fn key(kind: ObjectKind, key: &str) -> Hash {
    let mut h = blake3::Hasher::new();
    h.update(kind.as_str().as_bytes());
    h.update(&[0]);
    h.update(key.as_bytes());
    cut(&h.finalize())
}

/// Hash of a name that groups use, as an entry carries it.
#[must_use]
pub fn name(name: &str) -> Hash {
    of(name.as_bytes())
}

/// Hash of a reference as a group carries it: equal to [`name`] of what it refers to.
#[must_use]
pub fn member(m: &MemberRef) -> Hash {
    match m {
        MemberRef::Key(k) => key_name(k),
        MemberRef::Name(n) => name(n),
    }
}

/// Names under which an entry can be referred to, its key included.
#[must_use]
pub fn names(entry: &Entry) -> Vec<Hash> {
    let mut out: Vec<Hash> = entry.names.iter().map(|n| name(n)).collect();
    out.push(key_name(&entry.key));
    out
}

/// The name that every entry has: its key.
#[must_use]
pub fn key_name(key: &SourceKey) -> Hash {
    of(format!("key:{key}").as_bytes())
}

/// Hash over everything the source said of an entry. The order of values and members does not matter, because
/// directories do not promise one (RFC 4512 section 2.5).
#[must_use]
pub fn entry(e: &Entry) -> Hash {
    entry_with(e, e.names.iter().map(|n| name(n)), e.members.iter().map(member))
}

/// As [`entry`], with names and members that are known by their hashes only.
#[must_use]
pub fn entry_with(e: &Entry, names: impl Iterator<Item = Hash>, members: impl Iterator<Item = Hash>) -> Hash {
    let mut h = blake3::Hasher::new();
    h.update(e.kind.as_str().as_bytes());
    h.update(e.dn.as_deref().unwrap_or("").as_bytes());
    h.update(&[0, u8::from(e.disabled)]);
    h.update(&e.due.unwrap_or(i64::MIN).to_le_bytes());
    // One hash for each pair of name and value, added up: order does not matter, and no value moves to another name unseen.
    let mut sum = 0u128;
    let mut pair = Vec::with_capacity(64);
    for (n, values) in e.attrs.iter() {
        for v in values {
            pair.clear();
            pair.extend(n.bytes().map(|b| b.to_ascii_lowercase()));
            pair.push(0);
            push_value(&mut pair, v);
            sum = sum.wrapping_add(u128::from_le_bytes(of(&pair)));
        }
    }
    h.update(&sum.to_le_bytes());
    h.update(&sum_of(members).to_le_bytes());
    h.update(&sum_of(names).to_le_bytes());
    cut(&h.finalize())
}

fn sum_of(hashes: impl Iterator<Item = Hash>) -> u128 {
    hashes.fold(0, |sum, h| sum.wrapping_add(u128::from_le_bytes(h)))
}

/// A value with a tag in front, so that no text is mistaken for octets or JSON.
fn push_value(out: &mut Vec<u8>, v: &Value) {
    match v {
        Value::Text(s) => {
            out.push(b't');
            out.extend_from_slice(s.as_bytes());
        }
        Value::Bytes(b) => {
            out.push(b'b');
            out.extend_from_slice(b);
        }
        Value::Json(j) => {
            out.push(b'j');
            out.extend_from_slice(j.to_string().as_bytes());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Attrs;

    fn sample(values: &[&str], members: &[&str]) -> Entry {
        let mut attrs = Attrs::new();
        attrs.add("mail", values.iter().map(|v| Value::from(*v)).collect());
        Entry {
            kind: ObjectKind::Group,
            key: SourceKey("k".into()),
            dn: None,
            names: vec![],
            attrs,
            members: members.iter().map(|m| MemberRef::Name((*m).into())).collect(),
            disabled: false,
            due: None,
        }
    }

    #[test]
    fn order_of_values_and_members_does_not_matter() {
        assert_eq!(entry(&sample(&["a", "b"], &["x", "y"])), entry(&sample(&["b", "a"], &["y", "x"])));
        assert_ne!(entry(&sample(&["a", "b"], &["x", "y"])), entry(&sample(&["a", "c"], &["x", "y"])));
        assert_ne!(entry(&sample(&["a"], &["x"])), entry(&sample(&["a"], &["x", "y"])));
    }

    #[test]
    fn a_value_does_not_move_between_attributes_unseen() {
        let mut a = sample(&[], &[]);
        a.attrs.add("x", vec!["1".into()]);
        a.attrs.add("y", vec!["2".into()]);
        let mut b = sample(&[], &[]);
        b.attrs.add("x", vec!["2".into()]);
        b.attrs.add("y", vec!["1".into()]);
        assert_ne!(entry(&a), entry(&b));
    }

    #[test]
    fn a_key_reference_meets_the_key() {
        let e = sample(&[], &[]);
        assert!(names(&e).contains(&member(&MemberRef::Key(SourceKey("k".into())))));
    }
}
