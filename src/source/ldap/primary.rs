//! Active Directory's primary groups: the person names the group (`primaryGroupID`), and the group's `member` leaves the
//! person out.

use super::extended;
use super::flavor::PRIMARY_GROUP_ID;
use super::sent::SentEntry;
use crate::model::{MemberRef, SourceKey};
use std::collections::HashMap;
use uuid::Uuid;

/// Who has which group as primary group: 16 octets each, so that a million of them take little.
#[derive(Debug, Default)]
pub struct PrimaryGroups {
    by_rid: HashMap<u32, Vec<[u8; 16]>>,
    is_sorted: bool,
}

impl PrimaryGroups {
    /// Notes a person. Who has no such attribute, or no GUID as id, has no primary group.
    pub fn note(&mut self, person: &SentEntry) {
        let rid = person.first(PRIMARY_GROUP_ID).and_then(|v| std::str::from_utf8(v).ok()?.trim().parse().ok());
        let guid = person.first("objectGUID").and_then(|v| <[u8; 16]>::try_from(v).ok());
        if let (Some(rid), Some(guid)) = (rid, guid) {
            self.by_rid.entry(rid).or_default().push(guid);
            self.is_sorted = false;
        }
    }

    /// Forgets who has this one, to read it again.
    pub fn forget(&mut self, rid: u32) {
        self.by_rid.remove(&rid);
    }

    /// Orders them, so that the same people give the same digest in whatever order they came.
    pub fn sort(&mut self) {
        if !std::mem::replace(&mut self.is_sorted, true) {
            self.by_rid.values_mut().for_each(|people| people.sort_unstable());
        }
    }

    fn of(&self, sid: Option<&[u8]>) -> &[[u8; 16]] {
        sid.and_then(domain_rid).and_then(|rid| self.by_rid.get(&rid)).map_or(&[], Vec::as_slice)
    }

    /// What they add to the seal of the group with this SID: nothing, or a hash.
    #[must_use]
    pub fn digest(&self, sid: Option<&[u8]>) -> Option<[u8; 32]> {
        let people = self.of(sid);
        (!people.is_empty()).then(|| blake3::hash(people.as_flattened()).into())
    }

    /// Adds them to the members of the group with this SID.
    pub fn add_to(&self, sid: Option<&[u8]>, members: &mut Vec<MemberRef>) {
        let people = self.of(sid);
        members.reserve_exact(people.len());
        members.extend(people.iter().map(|guid| MemberRef::Key(SourceKey(Uuid::from_bytes_le(*guid).to_string()))));
    }
}

/// The RID of a group of a domain: `S-1-5-21-..`; built-in groups (`S-1-5-32-..`) have RIDs of their own.
#[must_use]
pub fn domain_rid(sid: &[u8]) -> Option<u32> {
    extended::sid_parts(sid).filter(|(domain, _)| domain.starts_with("S-1-5-21-")).map(|(_, rid)| rid)
}

/// The SID in octets of a group in the same domain as `sid`.
#[must_use]
pub fn sid_with_rid(sid: &[u8], rid: u32) -> Option<Vec<u8>> {
    domain_rid(sid)?;
    let (domain, _) = sid.split_last_chunk::<4>()?;
    Some([domain, &rid.to_le_bytes()].concat())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::super::entry::tests::message;
    use super::*;

    fn sid(domain: u32, rid: u32) -> Vec<u8> {
        let numbers = [21, 1, 2, domain, rid].map(u32::to_le_bytes).concat();
        [&[1, 5, 0, 0, 0, 0, 0, 5][..], &numbers].concat()
    }

    fn person(guid: u8, rid: &str) -> SentEntry {
        SentEntry(message(b"cn=x", &[("primarygroupid", &[rid.as_bytes()]), ("objectGUID", &[&[guid; 16]])]).into())
    }

    fn noted(people: &[(u8, &str)]) -> PrimaryGroups {
        let mut groups = PrimaryGroups::default();
        people.iter().for_each(|(guid, rid)| groups.note(&person(*guid, rid)));
        groups.sort();
        groups
    }

    #[test]
    fn people_join_their_primary_group_and_no_other() {
        let groups = noted(&[(1, "513"), (2, "513"), (3, "1105"), (4, "x")]);
        let mut members = Vec::new();
        groups.add_to(Some(&sid(3, 513)), &mut members);
        assert_eq!(members.len(), 2);
        assert_eq!(members[0], MemberRef::Key(SourceKey("01010101-0101-0101-0101-010101010101".to_owned())));
        let builtin = [&[1, 2, 0, 0, 0, 0, 0, 5][..], &[32u32, 513].map(u32::to_le_bytes).concat()].concat();
        for other in [Some(&sid(3, 512)[..]), Some(&builtin), Some(&[]), None] {
            assert_eq!(groups.digest(other), None);
        }
    }

    #[test]
    fn the_digest_follows_the_people_and_not_their_order() {
        let of = |people: &[(u8, &str)]| noted(people).digest(Some(&sid(3, 513)));
        assert_eq!(of(&[(1, "513"), (2, "513")]), of(&[(2, "513"), (1, "513")]));
        assert_ne!(of(&[(1, "513"), (2, "513")]), of(&[(1, "513"), (2, "514")]));
    }

    #[test]
    fn a_group_of_the_domain_is_found_by_its_number() {
        assert_eq!(sid_with_rid(&sid(3, 1000), 513).unwrap(), sid(3, 513));
        assert_eq!(sid_with_rid(&[1, 2], 513), None);
    }
}
