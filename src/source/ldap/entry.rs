//! A search result entry, from BER to [`Entry`]. Nothing here panics, and no value is lost: `ldap3`'s own decoder does both.

use super::ber::{self, Reader};
use super::flavor::Flavor;
use super::{extended, groups};
use crate::model::{Attrs, Entry, ObjectKind, SourceKey, Value};
use crate::source::{account, dn};

/// Attributes whose values are octets even where they happen to be UTF-8.
const BINARY: &[&str] = &[
    "objectGUID",
    "objectSid",
    "sIDHistory",
    "mS-DS-ConsistencyGuid",
    "msExchMailboxGuid",
    "GUID",
    "jpegPhoto",
    "thumbnailPhoto",
    "photo",
    "audio",
    "userCertificate",
    "userSMIMECertificate",
    "userPKCS12",
];

/// An attribute as it came.
#[derive(Debug, PartialEq)]
pub struct RawAttribute {
    /// Name without options.
    pub name: String,
    /// Whether there were options other than a range.
    pub has_options: bool,
    /// Whether this is a part of the values only: `;range=0-1499` (MS-ADTS section 3.1.1.3.1.3.3).
    pub range: Option<Range>,
    is_binary: bool,
    /// Values.
    pub values: Vec<Value>,
}

/// A part of the values of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Number of the first value.
    pub from: u64,
    /// Number of the last; `None` (`*`): these are the last.
    pub to: Option<u64>,
}

/// An entry as it came.
#[derive(Debug, PartialEq)]
pub struct RawEntry {
    /// Distinguished name.
    pub dn: Vec<u8>,
    /// Attributes in order.
    pub attributes: Vec<RawAttribute>,
}

/// Takes a SearchResultEntry apart (RFC 4511 section 4.5.2).
///
/// # Errors
/// What is not as the RFC says.
pub fn decode(contents: &[u8]) -> Result<RawEntry, &'static str> {
    let mut parts = Reader(contents);
    let dn = parts.expect(ber::OCTET_STRING).ok_or("an entry without a name")?;
    let dn = extended::split(dn).1.to_vec();
    let mut list = Reader(parts.expect(ber::SEQUENCE).ok_or("an entry without an attribute list")?);
    let mut attributes = Vec::with_capacity(16);
    while let Some((tag, attribute)) = list.next() {
        if tag != ber::SEQUENCE {
            return Err("an attribute that is no sequence");
        }
        let mut parts = Reader(attribute);
        let description = parts.expect(ber::OCTET_STRING).ok_or("an attribute without a name")?;
        let description = std::str::from_utf8(description).map_err(|_| "an attribute name that is not UTF-8")?;
        let mut attribute = RawAttribute::new(description)?;
        let mut set = Reader(parts.expect(ber::SET).ok_or("an attribute without values")?);
        while let Some((tag, value)) = set.next() {
            if tag != ber::OCTET_STRING {
                return Err("a value that is no octet string");
            }
            attribute.push(value.to_vec());
        }
        if !set.0.is_empty() || !parts.0.is_empty() {
            return Err("an attribute that is cut off");
        }
        attributes.push(attribute);
    }
    if !list.0.is_empty() || !parts.0.is_empty() {
        return Err("an entry that is cut off");
    }
    Ok(RawEntry { dn, attributes })
}

impl RawAttribute {
    /// Without values yet, from an attribute description: a name, perhaps with options (RFC 4512 section 2.5).
    ///
    /// # Errors
    /// A range that cannot be read.
    pub fn new(description: &str) -> Result<Self, &'static str> {
        let mut attribute =
            Self { name: String::new(), has_options: false, range: None, is_binary: false, values: Vec::with_capacity(1) };
        let mut parts = description.split(';');
        let name = parts.next().unwrap_or_default();
        for option in parts {
            match option.get(..6) {
                Some(start) if start.eq_ignore_ascii_case("range=") => {
                    attribute.range = Some(Range::parse(&option[6..]).ok_or("a value range that cannot be read")?);
                }
                _ => attribute.has_options = true,
            }
        }
        attribute.is_binary = BINARY.iter().any(|b| b.eq_ignore_ascii_case(name));
        name.clone_into(&mut attribute.name);
        Ok(attribute)
    }

    /// An attribute with this name, so far without values.
    #[must_use]
    pub fn without_values(name: &str) -> Self {
        let is_binary = BINARY.iter().any(|b| b.eq_ignore_ascii_case(name));
        Self { name: name.to_owned(), has_options: false, range: None, is_binary, values: Vec::new() }
    }

    /// Adds a value: text where it is UTF-8 and the attribute is not known to hold octets.
    pub fn push(&mut self, octets: Vec<u8>) {
        self.values.push(if self.is_binary {
            Value::Bytes(octets)
        } else {
            String::from_utf8(octets).map_or_else(|e| Value::Bytes(e.into_bytes()), Value::Text)
        });
    }
}

/// Takes the id off names in other attributes than those of members (`managedBy`): there they are only names.
fn without_ids(attrs: &mut Attrs) {
    let has_id = |v: &Value| v.as_text().is_some_and(|t| extended::split_text(t).1.len() < t.len());
    let found: Vec<String> = attrs.iter().filter(|(_, v)| v.iter().any(has_id)).map(|(n, _)| n.to_owned()).collect();
    for name in found {
        let values = attrs.remove(&name).into_iter().map(|value| match value {
            Value::Text(text) => extended::split_text(&text).1.into(),
            other => other,
        });
        let values = values.collect();
        attrs.add(name, values);
    }
}

/// The octets of a value, as they came.
fn octets(value: &Value) -> &[u8] {
    match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(octets) => octets,
        Value::Json(_) => &[],
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let to = if to == "*" { None } else { Some(to.parse().ok()?) };
        Some(Self { from: from.parse().ok()?, to })
    }
}

impl RawEntry {
    /// The DN for people to read.
    #[must_use]
    pub fn label(&self) -> String {
        String::from_utf8_lossy(&self.dn).into_owned()
    }

    /// Names of attributes of which only a part of the values came.
    #[must_use]
    pub fn ranged(&self) -> Vec<String> {
        let is_part = |a: &&RawAttribute| a.range.is_some_and(|r| r.to.is_some() || r.from > 0);
        self.attributes.iter().filter(is_part).map(|a| a.name.clone()).collect()
    }

    /// How many values of an attribute came.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.attributes.iter().filter(|a| a.name.eq_ignore_ascii_case(name)).map(|a| a.values.len()).sum()
    }

    /// The attribute with a member that is no text, if there is one: nobody can say who is meant.
    #[must_use]
    pub fn undecodable_members(&self) -> Option<&str> {
        let members = self.attributes.iter().filter(|a| groups::MEMBERS.iter().any(|m| m.eq_ignore_ascii_case(&a.name)));
        members.filter(|a| a.values.iter().any(|v| v.as_text().is_none())).map(|a| a.name.as_str()).next()
    }

    /// Puts the complete values in place of a part.
    pub fn complete(&mut self, whole: RawAttribute) {
        self.attributes.retain(|a| !a.name.eq_ignore_ascii_case(&whole.name));
        self.attributes.push(RawAttribute { range: None, ..whole });
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let attribute = self.attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name) && !a.values.is_empty())?;
        attribute.values.first().map(octets)
    }

    /// The immutable id, by the rules of the flavour.
    #[must_use]
    pub fn key(&self, flavor: Flavor) -> Option<SourceKey> {
        flavor.key(|name| self.first(name))
    }

    /// The entry under this key, with its members apart from its attributes.
    #[must_use]
    pub fn into_entry(self, kind: ObjectKind, key: SourceKey) -> Entry {
        let dn = String::from_utf8(self.dn).ok();
        let mut attrs = Attrs::new();
        // Values without options first: `displayName;lang-ja` must not come before `displayName`.
        let (plain, with_options): (Vec<_>, Vec<_>) = match self.attributes.iter().any(|a| a.has_options) {
            true => self.attributes.into_iter().partition(|a| !a.has_options),
            false => (self.attributes, Vec::new()),
        };
        for attribute in plain.into_iter().chain(with_options) {
            attrs.add(attribute.name, attribute.values);
        }
        let mut names: Vec<String> = dn.iter().map(|dn| dn::dn_name(dn)).collect();
        let mut members = Vec::new();
        let (mut disabled, mut due) = (false, None);
        match kind {
            ObjectKind::User => {
                names.extend(attrs.all("uid").iter().filter_map(Value::as_text).map(dn::uid_name));
                (disabled, due) = account::state(&attrs, dn.as_deref());
            }
            ObjectKind::Group => {
                members = groups::take_members(&mut attrs);
                without_ids(&mut attrs);
            }
        }
        Entry { kind, key, dn, names, attrs, members, disabled, due }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], contents].concat()
    }

    /// An entry as a server would send it.
    pub fn message(dn: &[u8], attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
        let attribute = |(name, values): &(&str, &[&[u8]])| {
            let values: Vec<u8> = values.iter().flat_map(|v| element(ber::OCTET_STRING, v)).collect();
            let name = element(ber::OCTET_STRING, name.as_bytes());
            element(ber::SEQUENCE, &[name, element(ber::SET, &values)].concat())
        };
        let list: Vec<u8> = attributes.iter().flat_map(attribute).collect();
        [element(ber::OCTET_STRING, dn), element(ber::SEQUENCE, &list)].concat()
    }

    #[test]
    fn a_person_is_read_whole() {
        let raw = decode(&message(
            b"uid=JDoe,dc=x",
            &[
                ("displayName;lang-ja", &["ジョー".as_bytes()]),
                ("displayName", &[b"Jo"]),
                ("ENTRYUUID", &[b"abc"]),
                ("uid", &[b"JDoe"]),
                ("jpegPhoto", &[b"text"]),
                ("blob", &[b"\xff\xfe"]),
                ("empty", &[]),
                ("nsAccountLock", &[b"true"]),
            ],
        ))
        .unwrap();
        let key = raw.key(Flavor::OpenLdap).unwrap();
        let entry = raw.into_entry(ObjectKind::User, key);
        assert_eq!(entry.key.as_str(), "abc");
        assert_eq!(entry.dn.as_deref(), Some("uid=JDoe,dc=x"));
        assert_eq!(entry.names, ["dn:uid=jdoe,dc=x", "uid:JDoe"]);
        assert_eq!(entry.attrs.all("displayname"), ["Jo".into(), "ジョー".into()]);
        assert_eq!(entry.attrs.all("jpegPhoto"), [Value::Bytes(b"text".to_vec())]);
        assert_eq!(entry.attrs.all("blob"), [Value::Bytes(vec![0xff, 0xfe])]);
        assert!(!entry.attrs.has("empty"));
        assert!(entry.disabled);
    }

    #[test]
    fn a_name_that_is_no_text_keeps_the_entry() {
        let raw = decode(&message(b"uid=\xff,dc=x", &[("entryUUID", &[b"abc"])])).unwrap();
        let key = raw.key(Flavor::OpenLdap).unwrap();
        let entry = raw.into_entry(ObjectKind::User, key);
        assert_eq!((entry.dn, entry.names.len()), (None, 0));
    }

    #[test]
    fn names_with_ids_are_members_by_id_and_plain_names_elsewhere() {
        let guid = "01e3bba7-9e4c-45c4-b601-94a3ffd87314";
        let named = |dn: &str| format!("<GUID={guid}>;<SID=S-1-5-21-1-2-3-4>;{dn}");
        let (dn, member, manager) = (named("CN=G,DC=x"), named("CN=Jo,DC=x"), named("CN=Boss,DC=x"));
        let attributes: &[(&str, &[&[u8]])] =
            &[("objectGUID", &[b"0123456789abcdef"]), ("member", &[member.as_bytes()]), ("managedBy", &[manager.as_bytes()])];
        let raw = decode(&message(dn.as_bytes(), attributes)).unwrap();
        let key = raw.key(Flavor::ActiveDirectory).unwrap();
        let entry = raw.into_entry(ObjectKind::Group, key);
        assert_eq!((entry.dn.as_deref(), entry.names.as_slice()), (Some("CN=G,DC=x"), &["dn:cn=g,dc=x".to_owned()][..]));
        assert_eq!(entry.members, [crate::model::MemberRef::Key(SourceKey(guid.to_owned()))]);
        assert_eq!(entry.attrs.text("managedBy"), Some("CN=Boss,DC=x"));
    }

    #[test]
    fn no_id_no_entry() {
        let raw = decode(&message(b"uid=a", &[("uid", &[b"a"]), ("entryUUID", &[])])).unwrap();
        assert_eq!(raw.key(Flavor::OpenLdap), None);
    }

    #[test]
    fn parts_of_values_are_noticed() {
        let raw = decode(&message(b"cn=g", &[("member", &[]), ("member;range=0-1499", &[b"cn=a"])])).unwrap();
        assert_eq!(raw.ranged(), ["member"]);
        let mut raw = decode(&message(b"cn=g", &[("member;range=0-*", &[b"cn=a"])])).unwrap();
        assert!(raw.ranged().is_empty(), "from the first to the last is all");
        let mut whole = RawAttribute::new("MEMBER;range=0-*").unwrap();
        whole.push(b"cn=b".to_vec());
        raw.complete(whole);
        assert_eq!(raw.attributes.len(), 1);
        assert_eq!(raw.first("member"), Some(&b"cn=b"[..]));
        assert!(decode(&message(b"cn=g", &[("member;range=x", &[])])).is_err());
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        let good = message(b"cn=a", &[("cn", &[b"a", b"b"]), ("sn", &[b"c"])]);
        assert!(decode(&good).is_ok());
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_err(), "cut off at {end}");
        }
        assert!(decode(&message(b"cn=a", &[])).is_ok());
        assert!(decode(&[]).is_err());
    }

    proptest! {
        #[test]
        fn any_description_is_taken_or_refused(description in "\\PC{0,20}") {
            let _ = RawAttribute::new(&description);
        }

        #[test]
        fn any_octets_are_taken_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&octets);
        }

        #[test]
        fn a_damaged_entry_is_taken_or_refused(at in 0usize..60, octet in any::<u8>()) {
            let mut octets = message(b"cn=a", &[("cn", &[b"a", b"b"]), ("member;range=0-1", &[b"c"])]);
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
            let _ = decode(&octets);
        }
    }
}
