//! Reads again what changed in an Active Directory domain, by the same searches as a full read, narrowed to these objects.

use super::changes::{Change, Changes, guid_of};
use crate::config::LdapConfig;
use crate::model::{EntryChange, MemberRef, ObjectKind, SourceKey};
use crate::source::ldap::collect::Collector;
use crate::source::ldap::entry::RawEntry;
use crate::source::ldap::flavor::{Flavor, OBJECT_SID, PRIMARY_GROUP_ID};
use crate::source::ldap::search::{Progress, Search, Session};
use crate::source::ldap::sent::SentEntry;
use crate::source::ldap::{extended, primary, read};
use crate::source::{Item, ReadRequest, SourceError};
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// Objects that one search asks for: a filter of some kilobytes.
const CHUNK: usize = 100;
/// Unknown people or groups after which a full read is the shorter way.
const MOST_UNKNOWN: usize = 10_000;
/// Objects that hold others: where one is renamed, so is everything in it, and nothing says so.
const CONTAINERS: &[&str] = &["organizationalUnit", "container", "domainDNS", "builtinDomain"];

const FLAVOR: Flavor = Flavor::ActiveDirectory;

/// One incremental read.
pub struct Again<'r, 's, 'o> {
    session: &'r mut Session<'s>,
    config: &'r LdapConfig,
    /// The naming context around the base.
    context: &'r str,
    request: &'r ReadRequest,
    out: &'r mut Collector<'o>,
    /// Members that groups get because they are their primary group.
    joins: HashMap<Uuid, Vec<MemberRef>>,
}

impl<'r, 's, 'o> Again<'r, 's, 'o> {
    /// A read into `out`, which notes whom it named.
    pub fn new(
        session: &'r mut Session<'s>,
        config: &'r LdapConfig,
        context: &'r str,
        request: &'r ReadRequest,
        out: &'r mut Collector<'o>,
    ) -> Self {
        Self { session, config, context, request, out, joins: HashMap::new() }
    }

    /// Passes everything on that changed, with `names_everybody` also the keys of whoever did not.
    ///
    /// # Errors
    /// `CursorExpired` where there is doubt; else whatever keeps a search from being complete.
    pub async fn run(mut self, changes: Changes, names_everybody: bool) -> Result<(), SourceError> {
        let (mut links, mut whole) = (Vec::new(), Vec::new());
        for (guid, change) in changes.0 {
            if change.deleted {
                self.out.push(Item::Deleted(key(guid))).await?;
            } else if change.whole || !self.out.knows(ObjectKind::Group, &key(guid)) {
                whole.push((guid, change));
            } else {
                links.push((guid, change));
            }
        }
        self.read_again(&whole).await?;
        if names_everybody {
            self.read_keys().await?;
        }
        if self.request.groups {
            self.pass_links(links).await?;
        }
        Ok(())
    }

    /// Whether this read named the object.
    fn is_named(&self, guid: Uuid) -> bool {
        self.out.named.as_ref().is_some_and(|named| named.contains(&key(guid)))
    }

    /// Reads these objects whole, says of those that are no longer in view that they left it, and tells primary groups of new
    /// members.
    async fn read_again(&mut self, changed: &[(Uuid, Change)]) -> Result<(), SourceError> {
        let guids: Vec<Uuid> = changed.iter().map(|(guid, _)| *guid).collect();
        self.read_objects(&guids).await?;
        let missing: Vec<Uuid> = guids.into_iter().filter(|guid| !self.is_named(*guid)).collect();
        self.missing(&missing, changed).await?;
        let joined = changed.iter().filter(|(guid, c)| c.primary || !self.out.knows(ObjectKind::User, &key(*guid)));
        let joined: Vec<Uuid> = joined.map(|(guid, _)| *guid).filter(|guid| self.is_named(*guid)).collect();
        self.join_primary_groups(&joined).await
    }

    /// Reads these people and groups whole, as far as the filters and the base let them through.
    async fn read_objects(&mut self, guids: &[Uuid]) -> Result<(), SourceError> {
        for kind in read::kinds(self.request) {
            let attributes = FLAVOR.attributes(*kind, &self.request.attributes);
            let search = read::search(self.config, FLAVOR, *kind, attributes);
            self.out.begin(*kind);
            let rest: Vec<Uuid> = guids.iter().copied().filter(|guid| !self.is_named(*guid)).collect();
            for some in rest.chunks(CHUNK) {
                let filter = these(search.filter, some);
                let search = Search { filter: &filter, ..search.clone() };
                if *kind == ObjectKind::Group {
                    self.note_primary_members(&search).await?;
                }
                read::read_kind(self.session, &search, self.out).await?;
            }
            self.out.end(self.config)?;
        }
        Ok(())
    }

    /// Notes who has one of these groups as primary group, so that the group comes with them.
    async fn note_primary_members(&mut self, groups: &Search<'_>) -> Result<(), SourceError> {
        let search = Search { attributes: vec![OBJECT_SID.to_owned()], controls: Vec::new(), ..groups.clone() };
        let mut rids = Vec::new();
        self.each(&search, async |sent| {
            rids.extend(sent.first(OBJECT_SID).and_then(primary::domain_rid));
            Ok(())
        })
        .await?;
        for rid in rids {
            let people = read::filter(self.config, FLAVOR, ObjectKind::User);
            let filter = format!("(&({PRIMARY_GROUP_ID}={rid}){})", super::bracketed(people));
            let attributes = vec!["objectGUID".to_owned(), PRIMARY_GROUP_ID.to_owned()];
            let search = read::search(self.config, FLAVOR, ObjectKind::User, attributes);
            let search = Search { what: "members of a primary group", filter: &filter, ..search };
            let mut members = std::mem::take(&mut self.out.primary);
            members.forget(rid);
            let done = self.each(&search, async |sent| {
                members.note(&sent);
                Ok(())
            });
            done.await?;
            self.out.primary = members;
        }
        self.out.primary.sort();
        Ok(())
    }

    /// Objects that changed and that the filters do not let through: they left the view where they are still there; there is
    /// doubt where they are known and not even that.
    async fn missing(&mut self, missing: &[Uuid], changed: &[(Uuid, Change)]) -> Result<(), SourceError> {
        let (mut there, mut containers) = (HashSet::new(), HashSet::new());
        for some in missing.chunks(CHUNK) {
            let filter = these("", some);
            let attributes = vec!["objectGUID".to_owned(), "objectClass".to_owned()];
            let people = read::search(self.config, FLAVOR, ObjectKind::User, attributes);
            let search = Search { what: "objects that changed", base: self.context, filter: &filter, ..people };
            let source = self.session.source;
            self.each(&search, async |sent| {
                let entry = sent.decode(source)?;
                there.extend(guid_of(&entry));
                if is_container(&entry) {
                    containers.extend(guid_of(&entry));
                }
                Ok(())
            })
            .await?;
        }
        if changed.iter().any(|(guid, c)| c.moved && !c.new && containers.contains(guid)) {
            return Err(self.expired("a container was renamed or moved, and everything in it with it"));
        }
        for guid in missing {
            let key = key(*guid);
            let known = [ObjectKind::User, ObjectKind::Group].into_iter().any(|kind| self.out.knows(kind, &key));
            match (known, there.contains(guid)) {
                (true, true) => self.out.push(Item::Deleted(key)).await?,
                (true, false) => return Err(self.expired("somebody who changed cannot be seen any more")),
                (false, _) => {}
            }
        }
        Ok(())
    }

    /// Notes these people as members of their primary groups.
    async fn join_primary_groups(&mut self, people: &[Uuid]) -> Result<(), SourceError> {
        let mut by_sid: HashMap<Vec<u8>, Vec<MemberRef>> = HashMap::new();
        let attributes = ["objectGUID", OBJECT_SID, PRIMARY_GROUP_ID].map(str::to_owned).to_vec();
        let search = read::search(self.config, FLAVOR, ObjectKind::User, attributes);
        for some in people.chunks(CHUNK).take_while(|_| self.request.groups) {
            let filter = these(search.filter, some);
            let search = Search { filter: &filter, ..search.clone() };
            let source = self.session.source;
            self.each(&search, async |sent| {
                let entry = sent.decode(source)?;
                let rid = entry.first(PRIMARY_GROUP_ID).and_then(|v| std::str::from_utf8(v).ok()?.trim().parse().ok());
                let sid = entry.first(OBJECT_SID).zip(rid).and_then(|(sid, rid)| primary::sid_with_rid(sid, rid));
                if let (Some(sid), Some(guid)) = (sid, guid_of(&entry)) {
                    by_sid.entry(sid).or_default().push(MemberRef::Key(key(guid)));
                }
                Ok(())
            })
            .await?;
        }
        for (sid, members) in by_sid {
            let search = read::search(self.config, FLAVOR, ObjectKind::Group, vec!["objectGUID".to_owned()]);
            let filter = format!("(&({OBJECT_SID}={}){})", extended::in_filter(&sid), super::bracketed(search.filter));
            let search = Search { filter: &filter, ..search };
            let mut found = None;
            let source = self.session.source;
            self.each(&search, async |sent| {
                found = guid_of(&sent.decode(source)?);
                Ok(())
            })
            .await?;
            if let Some(group) = found {
                self.joins.entry(group).or_default().extend(members);
            }
        }
        Ok(())
    }

    /// Names everybody who is there by key alone. Whoever is not known came into view without a change (a right, a
    /// membership in the filter) and is read.
    async fn read_keys(&mut self) -> Result<(), SourceError> {
        let mut unknown = Vec::new();
        for kind in read::kinds(self.request) {
            let attributes = FLAVOR.id_attributes().iter().map(|a| (*a).to_owned()).collect();
            let mut search = read::search(self.config, FLAVOR, *kind, attributes);
            search.controls.clear();
            let source = self.session.source;
            let out = &mut *self.out;
            let mut progress = Progress::default();
            let mut each = async |sent: SentEntry| {
                let entry = sent.decode(source)?;
                let (Some(key), Some(guid)) = (entry.key(FLAVOR), guid_of(&entry)) else { return out.keep(*kind, &entry).await };
                if out.named.as_ref().is_some_and(|named| named.contains(&key)) {
                    return Ok(());
                }
                if out.knows(*kind, &key) {
                    return out.push(Item::Kept(*kind, key)).await;
                }
                unknown.push((guid, Change { whole: true, new: true, primary: true, ..Change::default() }));
                Ok(())
            };
            while self.session.page(&search, &mut progress, &mut each).await? {}
        }
        if unknown.len() > MOST_UNKNOWN {
            return Err(self.expired(&format!("{} people and groups came into view without a change", unknown.len())));
        }
        self.read_again(&unknown).await
    }

    /// Passes on members that came and went.
    async fn pass_links(&mut self, links: Vec<(Uuid, Change)>) -> Result<(), SourceError> {
        let mut links: HashMap<Uuid, Change> = links.into_iter().collect();
        for (group, members) in std::mem::take(&mut self.joins) {
            // A group that was read whole came with them.
            if !self.is_named(group) && self.out.knows(ObjectKind::Group, &key(group)) {
                // Active Directory takes whoever has a group as primary group out of its `member`: they stay all the same.
                links.entry(group).or_default().links.extend(members.into_iter().map(|member| (member, true)));
            }
        }
        for (group, change) in links {
            let (joined, left) = change.joined_and_left();
            let change = EntryChange { joined, left, ..EntryChange::of(ObjectKind::Group, key(group)) };
            self.out.push(Item::Changed(change)).await?;
        }
        Ok(())
    }

    /// All pages of a search.
    async fn each(
        &mut self,
        search: &Search<'_>,
        mut each: impl AsyncFnMut(SentEntry) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let mut progress = Progress::default();
        while self.session.page(search, &mut progress, &mut each).await? {}
        Ok(())
    }

    fn expired(&self, message: &str) -> SourceError {
        SourceError::CursorExpired { source_name: self.session.source.to_owned(), message: message.to_owned() }
    }
}

fn key(guid: Uuid) -> SourceKey {
    SourceKey(guid.to_string())
}

/// A filter narrowed to these objects.
fn these(filter: &str, guids: &[Uuid]) -> String {
    let ids: String = guids.iter().map(|guid| format!("(objectGUID={})", extended::in_filter(&guid.to_bytes_le()))).collect();
    format!("(&{}(|{ids}))", if filter.is_empty() { String::new() } else { super::bracketed(filter) })
}

fn is_container(entry: &RawEntry) -> bool {
    let classes = entry.attributes.iter().filter(|a| a.name.eq_ignore_ascii_case("objectClass")).flat_map(|a| &a.values);
    classes.filter_map(|v| v.as_text()).any(|class| CONTAINERS.iter().any(|c| c.eq_ignore_ascii_case(class)))
}

/// Attributes whose change makes an object one to look at: those that are read, those that the filters name, and those that
/// say what became of it. Nothing: all.
#[must_use]
pub fn watched(config: &LdapConfig, request: &ReadRequest) -> Vec<String> {
    let kinds = [ObjectKind::User, ObjectKind::Group];
    let read = kinds.iter().flat_map(|kind| FLAVOR.attributes(*kind, &request.attributes));
    let filtered = kinds.iter().flat_map(|kind| filter_attributes(read::filter(config, FLAVOR, *kind)));
    let own = ["objectClass", "isDeleted", "name", "parentGUID", "member"].map(str::to_owned);
    let all: BTreeSet<String> = read.chain(filtered).chain(own).map(|name| name.to_lowercase()).collect();
    if all.contains("*") { Vec::new() } else { all.into_iter().collect() }
}

/// The attributes that a filter names (RFC 4515 section 3).
#[must_use]
pub fn filter_attributes(filter: &str) -> Vec<String> {
    let starts = filter.match_indices('(').filter_map(|(i, _)| filter.get(i + 1..));
    let name = |text: &str| {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.')))?;
        let (name, rest) = text.split_at(end);
        (!name.is_empty() && rest.starts_with(['=', '>', '<', '~', ':', ';'])).then(|| name.to_owned())
    };
    starts.filter_map(name).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn filters_name_attributes() {
        let filter =
            "(&(objectCategory=person)(!(userAccountControl:1.2.840.113556.1.4.803:=2))(|(mail=*)(extensionAttribute1>=a\\28b)))";
        assert_eq!(filter_attributes(filter), ["objectCategory", "userAccountControl", "mail", "extensionAttribute1"]);
        assert_eq!(filter_attributes("(memberOf:1.2.840.113556.1.4.1941:=CN=a)"), ["memberOf"]);
        assert_eq!(filter_attributes("("), [""; 0]);
    }

    #[test]
    fn objects_are_asked_for_by_their_octets() {
        let guid: Uuid = "953923f2-f7fc-41ff-9dfb-744f51609ec4".parse().unwrap();
        let filter = these("(objectClass=user)", &[guid]);
        assert_eq!(filter, r"(&(objectClass=user)(|(objectGUID=\f2\23\39\95\fc\f7\ff\41\9d\fb\74\4f\51\60\9e\c4)))");
        assert!(ldap3::parse_filter(&filter).is_ok());
        assert!(ldap3::parse_filter(these("", &[guid, guid])).is_ok());
    }
}
