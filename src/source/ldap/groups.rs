//! Members of groups: DNs (`member`, `uniqueMember`) and login names (`memberUid`).

use super::extended;
use crate::model::{Attrs, MemberRef, Value};
use crate::source::dn;
use std::collections::HashSet;

/// Attributes with the members of a group.
pub const MEMBERS: &[&str] = &["member", "uniqueMember", "memberUid"];

/// Takes the member attributes out of `attrs` and gives what they name, without duplicates, in order.
#[must_use]
pub fn take_members(attrs: &mut Attrs) -> Vec<MemberRef> {
    let by_dn = attrs.remove("member");
    let by_unique_name = attrs.remove("uniqueMember");
    let by_uid = attrs.remove("memberUid");
    let names = by_dn
        .iter()
        .filter_map(Value::as_text)
        .chain(by_unique_name.iter().filter_map(Value::as_text).map(without_uid_bits))
        .filter(|text| !text.trim().is_empty())
        .map(member_ref)
        .chain(
            by_uid
                .iter()
                .filter_map(Value::as_text)
                .filter(|text| !text.is_empty())
                .map(|uid| MemberRef::Name(dn::uid_name(uid))),
        );
    let mut seen: HashSet<MemberRef> = HashSet::with_capacity(by_dn.len() + by_unique_name.len() + by_uid.len());
    let mut members = Vec::with_capacity(seen.capacity().min(by_dn.len() + by_unique_name.len() + by_uid.len()));
    for member in names {
        if seen.insert(member.clone()) {
            members.push(member);
        }
    }
    members
}

/// The member that a DN names: by SID where it stands for somebody of another forest, by id where that stands in front.
#[must_use]
pub fn member_ref(value: &str) -> MemberRef {
    let (key, dn) = extended::split_text(value);
    match (extended::foreign_sid(dn), key) {
        (Some(sid), _) => MemberRef::Name(extended::sid_name(sid)),
        (None, Some(key)) => MemberRef::Key(key),
        (None, None) => MemberRef::Name(dn::dn_name(dn)),
    }
}

/// Whether an entry with these attributes is a group, where no filter told: by its object classes, or by having members.
#[must_use]
pub fn looks_like_group(attrs: &Attrs) -> bool {
    const CLASSES: &[&str] = &["groupOfNames", "groupOfUniqueNames", "posixGroup", "group", "groupOfMembers", "ipaUserGroup"];
    let classes = || attrs.all("objectClass").iter().filter_map(Value::as_text);
    let one_of = |classes_of: &[&str]| classes().any(|c| classes_of.iter().any(|k| k.eq_ignore_ascii_case(c)));
    one_of(CLASSES) || MEMBERS.iter().any(|m| attrs.has(m))
}

/// A name without its optional unique identifier `#'0101'B` (RFC 4517 section 3.3.21).
fn without_uid_bits(value: &str) -> &str {
    match value.strip_suffix("'B").and_then(|v| v.rsplit_once("#'")) {
        Some((name, bits)) if bits.bytes().all(|b| matches!(b, b'0' | b'1')) => name,
        _ => value,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_of_naming_members_count_once() {
        let mut attrs = Attrs::new();
        attrs.add("cn", vec!["g".into()]);
        attrs.add("Member", vec!["CN=A,DC=x".into(), "cn=a, dc=x".into(), "".into(), Value::Bytes(vec![0xff])]);
        attrs.add("uniqueMember", vec!["cn=a,dc=x#'0101'B".into(), "cn=b#'x'B".into(), "#'".into()]);
        attrs.add("memberUid", vec!["Jo".into(), "jo".into(), "Jo".into()]);
        let members = take_members(&mut attrs);
        let expected = ["dn:cn=a,dc=x", "dn:cn=b#'x'b", "dn:#'", "uid:Jo", "uid:jo"];
        assert_eq!(members, expected.map(|n| MemberRef::Name(n.to_owned())));
        assert_eq!(attrs.iter().map(|(n, _)| n).collect::<Vec<_>>(), ["cn"]);
    }

    #[test]
    fn members_are_named_by_id_where_it_is_said() {
        let guid = "01e3bba7-9e4c-45c4-b601-94a3ffd87314";
        assert_eq!(member_ref(&format!("<GUID={guid}>;CN=Jo,DC=x")), MemberRef::Key(crate::model::SourceKey(guid.to_owned())));
        let foreign = format!("<GUID={guid}>;<SID=S-1-5-21-1-2-3-500>;CN=S-1-5-21-1-2-3-500,CN=ForeignSecurityPrincipals,DC=x");
        assert_eq!(member_ref(&foreign), MemberRef::Name("sid:S-1-5-21-1-2-3-500".to_owned()));
    }

    #[test]
    fn bit_strings_are_cut_safely() {
        assert_eq!(without_uid_bits("cn=a#''B"), "cn=a");
        assert_eq!(without_uid_bits("#'B"), "#'B");
        assert_eq!(without_uid_bits("cn=a"), "cn=a");
    }
}
