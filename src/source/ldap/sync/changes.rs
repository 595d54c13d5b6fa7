//! What changed in an Active Directory domain: which objects, and how much of them has to be read again.

use super::dirsync;
use crate::model::{MemberRef, Value};
use crate::source::ldap::entry::{RawAttribute, RawEntry};
use crate::source::ldap::flavor::PRIMARY_GROUP_ID;
use std::collections::HashMap;
use uuid::Uuid;

/// Changed objects after which a full read is the shorter way, and the memory that they take is bounded.
pub const MOST_CHANGES: usize = 100_000;

/// What is said of every object, whatever changed.
const ALWAYS: &[&str] = &["objectGUID", "instanceType", "parentGUID"];

/// What changed of one object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// It was deleted (and not restored since).
    pub deleted: bool,
    /// It has to be read again.
    pub whole: bool,
    /// It is new, or everything of it is said anew.
    pub new: bool,
    /// It has another name or place.
    pub moved: bool,
    /// A person's primary group is said.
    pub primary: bool,
    /// Members that came (`true`) and went; the last word counts.
    pub links: HashMap<MemberRef, bool>,
}

/// Changes by object.
#[derive(Debug, Default)]
pub struct Changes(pub HashMap<Uuid, Change>);

impl Changes {
    /// Objects.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes that an object changed, whatever of it.
    pub fn note_whole(&mut self, entry: &RawEntry) {
        if let Some(guid) = guid_of(entry) {
            let change = self.0.entry(guid).or_default();
            (change.whole, change.primary) = (true, true);
        }
    }

    /// Notes what DirSync says of an object. The same object may come more than once: the last word counts.
    pub fn note(&mut self, entry: &RawEntry) {
        let Some(guid) = guid_of(entry) else { return };
        let change = self.0.entry(guid).or_default();
        let mut nothing = true;
        for attribute in &entry.attributes {
            let is = |name: &str| attribute.name.eq_ignore_ascii_case(name);
            if ALWAYS.iter().any(|name| is(name)) {
                continue;
            }
            nothing = false;
            if change.links(attribute) {
                continue;
            }
            change.whole = true;
            if is("isDeleted") {
                change.deleted = first(attribute).is_some_and(|v| v.eq_ignore_ascii_case("TRUE"));
            }
            change.new |= is("objectClass");
            change.moved |= is("name");
            change.primary |= is(PRIMARY_GROUP_ID);
        }
        // Something changed that we did not ask for, or may see now.
        change.whole |= nothing;
    }
}

impl Change {
    /// Takes members that came or went; `false`: the attribute says something else.
    fn links(&mut self, attribute: &RawAttribute) -> bool {
        let Some(range) = attribute.range.filter(|_| attribute.name.eq_ignore_ascii_case("member")) else { return false };
        let links: Option<Vec<_>> = attribute.values.iter().map(|v| dirsync::link(range, v.as_text()?)).collect();
        match links {
            Some(links) => {
                self.links.extend(links.into_iter().map(|(came, member)| (member, came)));
                true
            }
            None => false,
        }
    }

    /// Members that came, and those that went.
    pub fn joined_and_left(&self) -> (Vec<MemberRef>, Vec<MemberRef>) {
        let of = |came: bool| self.links.iter().filter(move |(_, c)| **c == came).map(|(m, _)| m.clone()).collect();
        (of(true), of(false))
    }
}

/// The object's id.
pub fn guid_of(entry: &RawEntry) -> Option<Uuid> {
    Uuid::from_slice_le(entry.first("objectGUID")?).ok()
}

fn first(attribute: &RawAttribute) -> Option<&str> {
    attribute.values.first().and_then(Value::as_text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::source::ldap::entry::{decode, tests::message};

    /// Name and values.
    type Attribute<'a> = (&'a str, &'a [&'a [u8]]);

    const ID: Attribute<'_> = ("objectGUID", &[b"0123456789abcdef"]);

    fn noted(says: &[&[Attribute<'_>]]) -> Change {
        let mut changes = Changes::default();
        for attributes in says {
            changes.note(&decode(&message(b"CN=x", &[&[ID], *attributes].concat())).unwrap());
        }
        assert_eq!(changes.len(), 1);
        changes.0.into_values().next().unwrap()
    }

    #[test]
    fn members_alone_need_no_reading() {
        let change = noted(&[
            &[("member;range=1-1", &[b"CN=a", b"CN=b"]), ("member;range=0-0", &[b"CN=c"])],
            &[("member;range=0-0", &[b"CN=a"])],
        ]);
        assert!(!change.whole);
        let (joined, mut left) = change.joined_and_left();
        left.sort_by_key(|m| format!("{m:?}"));
        assert_eq!(joined, [MemberRef::Name("dn:cn=b".to_owned())]);
        assert_eq!(left, ["dn:cn=a", "dn:cn=c"].map(|n| MemberRef::Name(n.to_owned())), "the last word counts");
    }

    #[test]
    fn anything_else_does() {
        assert!(noted(&[&[("mail", &[])]]).whole, "an emptied attribute");
        assert!(noted(&[&[]]).whole, "nothing that we know");
        assert!(noted(&[&[("member", &[b"CN=a"])]]).whole, "all members");
        assert!(noted(&[&[("member;range=0-1499", &[b"CN=a"])]]).whole, "a part of all members");
        let renamed = noted(&[&[("name", &[b"x"]), ("parentGUID", &[b"y"])]]);
        assert!(renamed.whole && renamed.moved && !renamed.new);
    }

    #[test]
    fn who_was_deleted_and_restored_is_there() {
        assert!(noted(&[&[("isDeleted", &[b"TRUE"])]]).deleted);
        assert!(!noted(&[&[("isDeleted", &[b"TRUE"])], &[("isDeleted", &[])]]).deleted);
    }
}
