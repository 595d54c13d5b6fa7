//! What takes octets from a server, gathered for the fuzz targets (`fuzz/`) and the tests: whatever comes, it is taken or
//! refused, without a panic, and without more memory than the octets themselves justify.

use super::entry::{self, RawAttribute};
use super::flavor::Flavor;
use super::sent::SentEntry;
use super::sync::control;
use super::{ber, groups, wire};
use crate::model::{Attrs, ObjectKind, SourceKey, Value};
use crate::source::dn;
use bytes::Bytes;

/// Messages, one after the other, as from the wire; entries are made of those that carry one.
pub fn messages(octets: &[u8]) {
    let mut rest = octets;
    while let Ok(Some(length)) = wire::length(rest, 1 << 20) {
        let Some((message, behind)) = rest.split_at_checked(length) else { break };
        rest = behind;
        let Ok(message) = wire::open(message) else { continue };
        let _ = message.check_result();
        let _ = control::entry_state(message.controls);
        let _ = control::info(message.contents);
        one_entry(message.contents);
    }
    one_entry(octets);
}

fn one_entry(contents: &[u8]) {
    let sent = SentEntry(Bytes::copy_from_slice(contents));
    let glanced: Vec<_> = [Flavor::OpenLdap, Flavor::ActiveDirectory, Flavor::Generic].map(|f| sent.glance(f, b"")).into();
    let Ok(raw) = entry::decode(contents) else { return };
    for kind in [ObjectKind::User, ObjectKind::Group] {
        let Ok(raw) = entry::decode(contents) else { return };
        let key = raw.key(Flavor::Generic).unwrap_or_else(|| SourceKey(format!("{} {}", raw.label(), glanced.len())));
        let _ = raw.into_entry(kind, key).label();
    }
    let _ = raw.ranged();
}

/// Values of controls.
pub fn controls(octets: &[u8]) {
    let _ = control::entry_state(octets);
    let _ = control::done(octets);
    let _ = control::info(octets);
    let _ = ber::paged_cookie(octets);
    let _ = ber::ldap_result(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        let _ = RawAttribute::new(text);
    }
}

/// Names of entries, and references of groups to them.
pub fn names(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let once = dn::normal_form(&text);
    let _ = (dn::dn_name(&text), dn::uid_name(&text), dn::normal_form(&once));
    let mut attrs = Attrs::new();
    for name in ["member", "uniqueMember", "memberUid"] {
        attrs.add(name, vec![Value::Text(text.to_string()), Value::Bytes(octets.to_vec())]);
    }
    let _ = groups::take_members(&mut attrs);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
        [&[tag, 0x84][..], &length, contents].concat()
    }

    #[test]
    fn a_hundred_thousand_values_are_taken() {
        let value = element(4, b"cn=somebody,dc=example");
        let set = element(0x31, &value.repeat(100_000));
        let list = element(0x30, &element(0x30, &[element(4, b"member"), set].concat()));
        let contents = [element(4, b"cn=g,dc=example"), list].concat();
        let raw = entry::decode(&contents).unwrap();
        assert_eq!(raw.attributes[0].values.len(), 100_000);
        let group = raw.into_entry(ObjectKind::Group, SourceKey("g".to_owned()));
        assert_eq!(group.members.len(), 1, "one and the same member");
        one_entry(&contents);
    }

    #[test]
    fn names_that_are_no_text_and_nests_without_an_end_are_taken_or_refused() {
        names(b"cn=\xff\xfe,dc=\x00");
        names(&b"\\".repeat(10_000));
        names(&b"cn=a+".repeat(10_000));
        names("cn=\"".repeat(5_000).as_bytes());
        let mut deep = Vec::new();
        for _ in 0..2_000 {
            deep = element(0x30, &deep);
        }
        messages(&deep);
        controls(&deep);
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            messages(&octets);
            controls(&octets);
            names(&octets);
        }

        #[test]
        fn no_damage_panics(at in 0usize..200, octet in any::<u8>(), cut in 0usize..200) {
            let state = [element(10, &[1]), element(4, &[7; 16])].concat();
            let control = [element(4, control::SYNC_STATE.as_bytes()), element(4, &element(0x30, &state))].concat();
            let attribute = element(0x30, &[element(4, b"entryUUID"), element(0x31, &element(4, b"abc"))].concat());
            let entry = element(0x64, &[element(4, b"cn=a"), element(0x30, &attribute)].concat());
            let controls_of = element(0xa0, &element(0x30, &control));
            let mut message = element(0x30, &[element(2, &[1]), entry, controls_of].concat());
            let place = at % message.len();
            message[place] = octet;
            message.truncate(message.len() - cut % message.len());
            messages(&message);
            controls(&message);
        }

        #[test]
        fn any_name_is_normalised_once_and_for_all(name in "\\PC{0,40}") {
            names(name.as_bytes());
        }
    }
}
