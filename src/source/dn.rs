//! Distinguished names in a form that compares by equality (RFC 4514, RFC 4518).
//!
//! Servers may spell one DN differently in an entry and in a group's `member`: case, spaces, escapes, the order inside a
//! multi-valued RDN. Names that groups refer to are therefore compared in the form that [`normal_form`] gives.

use unicode_normalization::UnicodeNormalization;

/// Prefix of names that are DNs in [`crate::model::Entry::names`] and [`crate::model::MemberRef::Name`].
pub const DN_PREFIX: &str = "dn:";
/// Prefix of names that are login names there.
pub const UID_PREFIX: &str = "uid:";

/// The name under which groups refer to the entry with this DN.
#[must_use]
pub fn dn_name(dn: &str) -> String {
    let mut name = String::with_capacity(DN_PREFIX.len() + dn.len());
    name.push_str(DN_PREFIX);
    push_normal_form(dn, &mut name);
    name
}

/// The name under which posixGroups refer to the person with this login name. Case is kept: memberUid is caseExactIA5Match
/// (RFC 2307).
#[must_use]
pub fn uid_name(uid: &str) -> String {
    format!("{UID_PREFIX}{uid}")
}

/// A DN with attribute types and values in lower case, escapes undone where they can be, spaces folded (RFC 4518 section
/// 2.6.1) and the parts of multi-valued RDNs sorted. What is no DN is only put in lower case.
#[must_use]
pub fn normal_form(dn: &str) -> String {
    let mut out = String::with_capacity(dn.len());
    push_normal_form(dn, &mut out);
    out
}

/// Whether this is a DN (RFC 4514 section 3), be it the empty one.
#[must_use]
pub fn is_dn(text: &str) -> bool {
    // Most need no memory to tell.
    let is_part = |part: &str| part.split_once('=').is_some_and(|(name, _)| is_attribute_type(name));
    is_plain(text) && text.split(',').all(is_part) || push_parsed(text, &mut String::new()).is_some()
}

fn push_normal_form(dn: &str, out: &mut String) {
    let start = out.len();
    if is_plain(dn) {
        out.push_str(dn);
        out[start..].make_ascii_lowercase();
    } else if push_parsed(dn, out).is_none() {
        out.truncate(start);
        out.extend(dn.chars().flat_map(char::to_lowercase));
    }
}

/// Whether lower-casing is all there is to do: ASCII, nothing escaped, no `+`, no space that might not count.
fn is_plain(dn: &str) -> bool {
    let bytes = dn.as_bytes();
    bytes.iter().enumerate().all(|(i, b)| match b {
        b' ' => {
            let neighbour = |n: Option<&u8>| n.is_some_and(|n| !matches!(n, b' ' | b',' | b'='));
            i > 0 && neighbour(bytes.get(i - 1)) && neighbour(bytes.get(i + 1))
        }
        b'\\' | b'"' | b'+' | b'#' | b'<' | b'>' | b';' | 0x7f => false,
        b => (0x20..0x7f).contains(b),
    })
}

/// Parses RDN after RDN; `None` where `dn` is no DN.
fn push_parsed(dn: &str, out: &mut String) -> Option<()> {
    let mut rest = dn.trim_matches(' ');
    if rest.is_empty() {
        return Some(());
    }
    let mut first = true;
    loop {
        let mut parts = Vec::with_capacity(1);
        let separator = loop {
            let (part, after, separator) = part(rest)?;
            parts.push(part);
            rest = after;
            if separator != Some('+') {
                break separator;
            }
        };
        parts.sort_unstable();
        if !first {
            out.push(',');
        }
        first = false;
        out.push_str(&parts.join("+"));
        if separator.is_none() {
            return Some(());
        }
    }
}

/// One `type=value`, what follows its separator, and the separator.
fn part(text: &str) -> Option<(String, &str, Option<char>)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_matches(' ');
    if !is_attribute_type(name) {
        return None;
    }
    let (value, rest, separator) = value(rest.trim_start_matches(' '))?;
    let mut part = name.to_ascii_lowercase();
    part.push('=');
    match value {
        Parsed::Hex(hex) => part.push_str(&hex.to_ascii_lowercase()),
        Parsed::Text(octets) => push_value(&String::from_utf8(octets).ok()?, &mut part),
    }
    Some((part, rest, separator))
}

/// `descr / numericoid` of RFC 4512 section 1.4.
fn is_attribute_type(name: &str) -> bool {
    let mut bytes = name.bytes();
    match bytes.next() {
        Some(b) if b.is_ascii_alphabetic() => bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
        Some(b) if b.is_ascii_digit() => bytes.all(|b| b.is_ascii_digit() || b == b'.'),
        _ => false,
    }
}

enum Parsed<'a> {
    /// `#` and hexadecimal digits: a BER value that cannot be compared as text.
    Hex(&'a str),
    /// Octets with escapes undone.
    Text(Vec<u8>),
}

/// The value at the start of `text`, what follows its separator, and the separator.
fn value(text: &str) -> Option<(Parsed<'_>, &str, Option<char>)> {
    if text.starts_with('#') {
        let end = text.find([',', '+']).unwrap_or(text.len());
        let hex = text.get(..end)?.trim_end_matches(' ');
        if hex.len() < 3 || hex.len() % 2 == 0 || !hex.bytes().skip(1).all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        return Some((Parsed::Hex(hex), text.get(end + 1..).unwrap_or(""), text[end..].chars().next()));
    }
    let bytes = text.as_bytes();
    let mut octets = Vec::with_capacity(text.len());
    let mut quoted = false;
    let mut i = 0;
    while let Some(&b) = bytes.get(i) {
        match b {
            b'\\' => {
                let (octet, used) = escape(bytes.get(i + 1..)?)?;
                octets.push(octet);
                i += 1 + used;
                continue;
            }
            b'"' if octets.is_empty() || quoted => quoted = !quoted,
            b',' | b'+' if !quoted => return Some((Parsed::Text(octets), text.get(i + 1..)?, Some(b as char))),
            _ => octets.push(b),
        }
        i += 1;
    }
    (!quoted).then_some((Parsed::Text(octets), "", None))
}

/// What stands after a backslash: two hexadecimal digits, or one character (RFC 4514 section 3).
fn escape(after: &[u8]) -> Option<(u8, usize)> {
    let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    match (hex(after.first()), hex(after.get(1))) {
        (Some(high), Some(low)) => Some((high << 4 | low, 2)),
        _ => after.first().filter(|b| b.is_ascii()).map(|b| (*b, 1)),
    }
}

/// Appends a value as it compares: NFKC, lower case, runs of white space as one space, special characters escaped again.
fn push_value(value: &str, out: &mut String) {
    if value.is_ascii() {
        push_folded(value.chars().map(|c| c.to_ascii_lowercase()), out);
    } else {
        push_folded(value.nfkc().flat_map(char::to_lowercase).nfkc(), out);
    }
}

fn push_folded(chars: impl Iterator<Item = char>, out: &mut String) {
    let start = out.len();
    let mut space = false;
    for c in chars {
        if c.is_whitespace() {
            space = out.len() > start;
            continue;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') || (c == '#' && out.len() == start) {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_dn_are_equal() {
        let same: &[&[&str]] = &[
            &["uid=jdoe,ou=People,dc=example,dc=org", "UID=JDoe, OU=people , dc = EXAMPLE,DC=org"],
            &["cn=Doe\\, John,dc=x", "CN=doe\\2C John,DC=X", "cn=Doe\\2c\\20John,dc=x", "cn=\"Doe, John\",dc=x"],
            &["cn=Lučić,dc=x", "cn=Lu\\C4\\8Di\\C4\\87,dc=x", "CN=LUČIĆ,DC=X", "cn=Luc\u{30c}ic\u{301},dc=x"],
            &["cn=Иван,dc=x", "CN=ИВАН,dc=x"],
            &["ou=Sales+cn=Jo,dc=x", "CN=Jo + OU=Sales,dc=x"],
            &["cn=a  b,dc=x", "cn=A b,dc=x", "cn= a b ,dc=x"],
            &["cn=\\#1,dc=x", "cn=\\231,dc=x"],
            &["1.3.6.1.4.1.1466.0=#04024869,dc=x", "1.3.6.1.4.1.1466.0=#04024869 , DC=x"],
        ];
        for group in same {
            for spelling in *group {
                assert_eq!(normal_form(spelling), normal_form(group[0]), "{spelling}");
            }
        }
    }

    #[test]
    fn different_dns_stay_different() {
        let different = [
            ("cn=a\\,dc=x,dc=y", "cn=a,dc=x,dc=y"),
            ("cn=#04024869,dc=x", "cn=\\#04024869,dc=x"),
            ("cn=a\\+ou=b,dc=x", "cn=a+ou=b,dc=x"),
            ("cn=ab,dc=x", "cn=a b,dc=x"),
            ("cn=a，dc=b,dc=x", "cn=a,dc=b,dc=x"),
        ];
        for (a, b) in different {
            assert_ne!(normal_form(a), normal_form(b), "{a} / {b}");
        }
    }

    #[test]
    fn what_is_no_dn_is_kept_in_lower_case() {
        for text in ["Not A DN", "cn=\\", "cn=\\ZZ,x", "=x", "cn=\"open", "cn=\\C4,dc=x", "cn=#0,dc=x", ",,", "É"] {
            assert_eq!(normal_form(text), text.to_lowercase(), "{text}");
        }
        assert_eq!(normal_form(""), "");
    }

    #[test]
    fn tombstones_of_active_directory_parse() {
        let dn = "CN=Jo\\0ADEL:953923f2-f7fc-41ff-9dfb-744f51609ec4,CN=Deleted Objects,DC=x";
        assert_eq!(normal_form(dn), "cn=jo del:953923f2-f7fc-41ff-9dfb-744f51609ec4,cn=deleted objects,dc=x");
    }

    #[test]
    fn names_say_what_they_are() {
        assert_eq!(dn_name("CN=A,DC=X"), "dn:cn=a,dc=x");
        assert_eq!(uid_name("JDoe"), "uid:JDoe");
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_normal_form(dn in "\\PC{0,60}") {
            let once = normal_form(&dn);
            prop_assert_eq!(normal_form(&once), once);
        }

        #[test]
        fn the_short_way_gives_what_the_long_way_gives(dn in "[A-Za-z]{1,3}=[A-Za-z0-9 ._'@-]{1,12}(,[A-Za-z]{2}=[A-Za-z0-9 .=-]{1,9}){0,4}") {
            let mut long = String::new();
            if push_parsed(&dn, &mut long).is_some() {
                prop_assert_eq!(normal_form(&dn), long);
            }
        }

        #[test]
        fn any_value_survives_escaping(value in "\\PC{1,20}", other in "\\PC{1,20}") {
            let written = |v: &str| {
                let hex: String = v.bytes().map(|b| format!("\\{b:02x}")).collect();
                normal_form(&format!("cn={hex},dc=x"))
            };
            let fold = |v: &str| {
                let lower: String = v.nfkc().flat_map(char::to_lowercase).nfkc().collect();
                lower.split_whitespace().collect::<Vec<_>>().join(" ")
            };
            prop_assert_eq!(written(&value) == written(&other), fold(&value) == fold(&other));
        }
    }
}
