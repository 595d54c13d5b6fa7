//! An entry as the server sent it, looked at without being taken apart: most entries of most reads are as they were.

use super::ber::{self, Reader};
use super::entry::{self, RawEntry};
use super::flavor::Flavor;
use crate::model::{Seal, SourceKey};
use crate::source::SourceError;
use bytes::Bytes;

/// Goes into every seal. To be raised when [`RawEntry`], what makes entries of it, or anything that this reads changes its
/// meaning, so that every entry is taken apart anew.
const RULES: u8 = 2;

/// Contents of a SearchResultEntry (RFC 4511 section 4.5.2).
#[derive(Debug, Clone)]
pub struct SentEntry(pub Bytes);

impl SentEntry {
    /// Takes it apart.
    ///
    /// # Errors
    /// It is not as the RFC says: what came is no complete answer.
    pub fn decode(&self, source: &str) -> Result<RawEntry, SourceError> {
        entry::decode(&self.0).map_err(|why| SourceError::Incomplete {
            source_name: source.to_owned(),
            message: format!("what the server sends is not LDAP: {why}"),
        })
    }

    /// Source key and seal, where there is nothing about the entry that needs a closer look: a name that is no text, values
    /// that came in part, no id, anything odd. `also` is what the entry is made of besides its octets.
    #[must_use]
    pub fn glance(&self, flavor: Flavor, also: &[u8]) -> Option<(SourceKey, Seal)> {
        let mut parts = Reader(&self.0);
        std::str::from_utf8(parts.expect(ber::OCTET_STRING)?).ok()?;
        let list = parts.expect(ber::SEQUENCE)?;
        let ids = flavor.id_attributes();
        // The first value of each attribute that may be the id.
        let mut found: [Option<&[u8]>; Flavor::MOST_IDS] = [None; Flavor::MOST_IDS];
        let mut attributes = Reader(list);
        while let Some((_, attribute)) = attributes.next() {
            let mut attribute = Reader(attribute);
            let description = attribute.expect(ber::OCTET_STRING)?;
            if is_part(description) {
                return None;
            }
            for (name, slot) in ids.iter().zip(&mut found) {
                if slot.is_none() && description.eq_ignore_ascii_case(name.as_bytes()) {
                    *slot = Reader(attribute.expect(ber::SET)?).expect(ber::OCTET_STRING);
                    break;
                }
            }
        }
        let value = |name: &str| ids.iter().zip(found).find(|(id, _)| **id == name).and_then(|(_, value)| value);
        Some((flavor.key(value)?, self.seal(flavor, also)))
    }

    /// The first value of an attribute that came whole.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let mut parts = Reader(&self.0);
        parts.expect(ber::OCTET_STRING)?;
        let mut attributes = Reader(parts.expect(ber::SEQUENCE)?);
        while let Some((_, attribute)) = attributes.next() {
            let mut attribute = Reader(attribute);
            if attribute.expect(ber::OCTET_STRING)?.eq_ignore_ascii_case(name.as_bytes()) {
                return Reader(attribute.expect(ber::SET)?).expect(ber::OCTET_STRING);
            }
        }
        None
    }

    /// The hash under which the entry is known again.
    fn seal(&self, flavor: Flavor, also: &[u8]) -> Seal {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[RULES, flavor as u8]);
        hasher.update(&(also.len() as u64).to_le_bytes());
        hasher.update(also);
        hasher.update(&self.0);
        let mut seal = Seal::default();
        seal.copy_from_slice(&hasher.finalize().as_bytes()[..size_of::<Seal>()]);
        seal
    }
}

/// Whether an attribute description has the range option (MS-ADTS section 3.1.1.3.1.3.3).
fn is_part(description: &[u8]) -> bool {
    let mut options = description.split(|b| *b == b';').skip(1);
    options.any(|option| option.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"range=")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::super::entry::tests::message;
    use super::*;
    use proptest::prelude::*;

    fn sent(dn: &[u8], attributes: &[(&str, &[&[u8]])]) -> SentEntry {
        SentEntry(message(dn, attributes).into())
    }

    #[test]
    fn a_glance_finds_the_key_that_decoding_finds() {
        for (flavor, attributes) in [
            (Flavor::OpenLdap, &[("cn", &[&b"a"[..]][..]), ("ENTRYuuid", &[b"abc"])][..]),
            (Flavor::ActiveDirectory, &[("objectGUID", &[b"0123456789abcdef"]), ("cn", &[b"a"])]),
            (Flavor::FreeIpa, &[("nsUniqueId", &[b"second"]), ("ipaUniqueID", &[b"first"])]),
            (Flavor::FreeIpa, &[("nsUniqueId", &[b"second"]), ("ipaUniqueID", &[b"autogenerate"])]),
            (Flavor::Generic, &[("GUID", &[b"g"]), ("cn", &[b"x", b"y"])]),
        ] {
            let sent = sent(b"cn=a,dc=x", attributes);
            let decoded = sent.decode("corp").unwrap().key(flavor).unwrap();
            assert_eq!(sent.glance(flavor, &[]).unwrap().0, decoded, "{flavor:?}");
        }
    }

    #[test]
    fn what_needs_a_closer_look_gets_one() {
        let id: (&str, &[&[u8]]) = ("entryUUID", &[b"abc"]);
        assert!(sent(b"cn=a", &[id]).glance(Flavor::OpenLdap, &[]).is_some());
        assert!(sent(b"cn=a", &[id, ("cn;lang-de", &[b"x"])]).glance(Flavor::OpenLdap, &[]).is_some(), "an option");
        assert!(sent(b"cn=\xff", &[id]).glance(Flavor::OpenLdap, &[]).is_none(), "a name that is no text");
        assert!(sent(b"cn=a", &[id, ("member;range=0-1", &[b"x"])]).glance(Flavor::OpenLdap, &[]).is_none(), "a part");
        assert!(sent(b"cn=a", &[("cn", &[b"a"])]).glance(Flavor::OpenLdap, &[]).is_none(), "no id");
        assert!(sent(b"cn=a", &[("entryUUID", &[])]).glance(Flavor::OpenLdap, &[]).is_none(), "an empty id");
    }

    #[test]
    fn every_octet_and_the_flavor_count() {
        let one = sent(b"cn=a", &[("entryUUID", &[b"abc"]), ("cn", &[b"a", b"b"])]);
        let seal = |sent: &SentEntry, flavor| sent.glance(flavor, &[]).unwrap().1;
        assert_eq!(seal(&one, Flavor::OpenLdap), seal(&one.clone(), Flavor::OpenLdap));
        assert_ne!(seal(&one, Flavor::OpenLdap), seal(&one, Flavor::Generic));
        assert_ne!(seal(&one, Flavor::OpenLdap), one.glance(Flavor::OpenLdap, b"more").unwrap().1);
        assert_eq!((one.first("CN"), one.first("sn")), (Some(&b"a"[..]), None));
        let other = sent(b"cn=a", &[("entryUUID", &[b"abc"]), ("cn", &[b"b", b"a"])]);
        assert_ne!(seal(&one, Flavor::OpenLdap), seal(&other, Flavor::OpenLdap));
    }

    proptest! {
        #[test]
        fn any_octets_are_glanced_at_safely(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = SentEntry(octets.into()).glance(Flavor::Generic, &[]);
        }
    }
}
