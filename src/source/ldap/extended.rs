//! Names with GUID and SID in front, `<GUID=..>;<SID=..>;CN=..` (MS-ADTS section 3.1.1.3.4.1.5), and security identifiers.
//!
//! Active Directory gives them where it is asked to. So a membership is by id, whatever the member is called now.

use crate::model::SourceKey;
use uuid::Uuid;

/// Value of the control: GUID and SID as text.
pub const AS_TEXT: &[u8] = &[0x30, 3, 2, 1, 1];

/// The plain name, and the GUID where one stands in front.
#[must_use]
pub fn split(name: &[u8]) -> (Option<Uuid>, &[u8]) {
    let (mut rest, mut guid) = (name, None);
    while let Some(part) = rest.strip_prefix(b"<") {
        let Some(end) = part.iter().position(|b| *b == b'>') else { break };
        let is_known = ["GUID=", "SID=", "RMD_"].iter().any(|k| part.starts_with(k.as_bytes()));
        let Some(behind) = part.get(end + 1..).and_then(|b| b.strip_prefix(b";")).filter(|_| is_known) else { break };
        guid = guid.or_else(|| part[..end].strip_prefix(b"GUID=").and_then(|text| Uuid::try_parse_ascii(text).ok()));
        rest = behind;
    }
    (guid, rest)
}

/// The plain name and the source key that stands in front of it.
#[must_use]
pub fn split_text(name: &str) -> (Option<SourceKey>, &str) {
    let (guid, plain) = split(name.as_bytes());
    let start = name.len() - plain.len();
    (guid.map(|guid| SourceKey(guid.to_string())), name.get(start..).unwrap_or(name))
}

/// The SID in a foreign security principal's name, `CN=S-1-5-21-..,CN=ForeignSecurityPrincipals,..`: somebody of another
/// forest.
#[must_use]
pub fn foreign_sid(dn: &str) -> Option<&str> {
    let (first, rest) = dn.split_once(',')?;
    let (kind, sid) = first.split_once('=')?;
    let (container, _) = rest.split_once(',')?;
    let is_sid = sid.len() > 4 && sid[..sid.len().min(4)].eq_ignore_ascii_case("S-1-");
    (kind.eq_ignore_ascii_case("CN") && is_sid && container.eq_ignore_ascii_case("CN=ForeignSecurityPrincipals")).then_some(sid)
}

/// A security identifier (MS-DTYP section 2.4.2.2) in parts: the text form without the last number, and that (the RID).
#[must_use]
pub fn sid_parts(octets: &[u8]) -> Option<(String, u32)> {
    let (&[1, count], rest) = octets.split_first_chunk::<2>()? else { return None };
    let (authority, rest) = rest.split_first_chunk::<6>()?;
    let authority = authority.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    if rest.len() != usize::from(count) * 4 {
        return None;
    }
    let mut numbers: Vec<u32> = rest.chunks_exact(4).filter_map(|c| c.try_into().ok()).map(u32::from_le_bytes).collect();
    let last = numbers.pop()?;
    let text = numbers.iter().fold(format!("S-1-{authority}"), |text, n| format!("{text}-{n}"));
    Some((text, last))
}

/// A security identifier as text.
#[must_use]
pub fn sid_text(octets: &[u8]) -> Option<String> {
    sid_parts(octets).map(|(domain, rid)| format!("{domain}-{rid}"))
}

/// The name under which groups of another forest refer to the entry with this SID.
#[must_use]
pub fn sid_name(sid: &str) -> String {
    format!("sid:{}", sid.to_ascii_uppercase())
}

/// Octets as they stand in a filter (RFC 4515 section 3).
#[must_use]
pub fn in_filter(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 3), |mut text, b| {
        use std::fmt::Write as _;
        // Writing into a string cannot fail.
        let _ = write!(text, "\\{b:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GUID: &str = "01e3bba7-9e4c-45c4-b601-94a3ffd87314";
    const SID: &[u8] =
        &[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0x8f, 7, 0xc8, 0x64, 0xc0, 0xf8, 3, 0x66, 0x91, 0x32, 0x62, 0x26, 0x53, 4, 0, 0];

    #[test]
    fn the_id_is_taken_off() {
        let as_text = format!("<GUID={GUID}>;<SID=S-1-5-21-1-2-3-1103>;CN=Jo,DC=x");
        let as_hex = format!("<GUID={}>;CN=Jo,DC=x", GUID.replace('-', "").to_uppercase());
        for name in [as_text, as_hex] {
            let (key, plain) = split_text(&name);
            assert_eq!((key.unwrap().as_str(), plain), (GUID, "CN=Jo,DC=x"));
        }
        for plain in ["CN=Jo,DC=x", "<GUID=", "<GUID=x>", "<b>;CN=x", ""] {
            assert_eq!(split_text(plain), (None, plain));
        }
        assert_eq!(split_text("<SID=S-1-5-11>;CN=x"), (None, "CN=x"));
    }

    #[test]
    fn foreign_principals_are_known_by_their_name() {
        let dn = "CN=S-1-5-21-1-2-3-500,CN=ForeignSecurityPrincipals,DC=x";
        assert_eq!(foreign_sid(dn), Some("S-1-5-21-1-2-3-500"));
        assert_eq!(foreign_sid("CN=S-1-5-21,CN=Users,DC=x"), None);
        assert_eq!(foreign_sid("CN=Jo,CN=ForeignSecurityPrincipals,DC=x"), None);
        assert_eq!(foreign_sid("CN=é-1-,CN=ForeignSecurityPrincipals,DC=x"), None);
        assert_eq!(sid_name("s-1-5-11"), "sid:S-1-5-11");
    }

    #[test]
    fn sids_read_as_active_directory_shows_them() {
        assert_eq!(sid_text(SID).unwrap(), "S-1-5-21-1690830735-1711536320-643969681-1107");
        assert_eq!(sid_parts(SID).unwrap().1, 1107);
        assert_eq!(sid_text(&SID[..27]), None);
        assert_eq!(sid_text(&[1, 0, 0, 0, 0, 0, 0, 5]), None);
        assert_eq!(in_filter(&[0, 0x2a, 0xff]), "\\00\\2a\\ff");
    }

    proptest! {
        #[test]
        fn any_name_is_taken(name in "(<(GUID|SID)=[0-9a-f-]{0,9}>;?){0,3}\\PC{0,9}") {
            let (_, plain) = split_text(&name);
            prop_assert!(name.ends_with(plain));
            let _ = foreign_sid(&name);
        }

        #[test]
        fn any_octets_are_a_sid_or_none(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = sid_text(&octets);
        }
    }
}
