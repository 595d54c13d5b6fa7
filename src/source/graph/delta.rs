//! Change feeds: `/users/delta` and `/groups/delta` (Microsoft, "Use delta query to track changes in Microsoft Graph data").

use super::answer::Object;
use super::connect::Client;
use super::cursor::GraphCursor;
use super::entry::{self, Type, is_removed};
use super::fault::{Call, GraphError};
use super::id::Id;
use super::out::Out;
use super::pages::{End, Pages};
use super::read::Restarts;
use super::select::Fields;
use crate::model::{Attrs, Entry, EntryChange, ObjectKind, SourceKey};
use crate::source::Item;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Reads what changed since the cursor; gives the new one.
///
/// # Errors
/// The cursor is not good any more, or the read failed.
pub async fn since(
    client: &Client,
    cursor: &GraphCursor,
    users: &Fields,
    groups: &Fields,
    out: &mut Out<'_>,
) -> Result<GraphCursor, GraphError> {
    let mut next = cursor.clone();
    next.users = users_since(client, users, cursor, out).await.map_err(expired)?;
    if let Some(link) = &cursor.groups {
        next.groups = Some(groups_since(client, groups, link, out).await.map_err(expired)?);
    }
    Ok(next)
}

/// A link that is refused in whatever way is not good any more: to try the same one again would never end.
fn expired(error: GraphError) -> GraphError {
    match &error {
        GraphError::Refused(r) if r.is_expired() || r.is_lost_page() || matches!(r.status, 400 | 404) => {
            GraphError::Expired(error.to_string())
        }
        _ => error,
    }
}

/// The link of a round that has come to its end.
fn link_of(pages: Pages<'_>) -> Result<String, GraphError> {
    pages.into_delta_link().ok_or_else(|| GraphError::Incomplete("the changes ended without a delta link".to_owned()))
}

async fn users_since(client: &Client, fields: &Fields, cursor: &GraphCursor, out: &mut Out<'_>) -> Result<String, GraphError> {
    let mut pages = Pages::new(client, Call::Users, End::DeltaLink, client.link(&cursor.users)?);
    while let Some(page) = pages.next().await? {
        for object in page.iter().map(|o| &o.json) {
            let id = entry::id(object)?;
            if is_removed(object) {
                out.push(Item::Deleted(SourceKey(id.to_owned()))).await?;
                continue;
            }
            if cursor.groups.is_some() && cursor.deleted.contains(id) {
                return Err(GraphError::Expired(format!(
                    "user {id} came back from the recycle bin, and the memberships that came back with it are not in the changes"
                )));
            }
            out.push(Item::Changed(entry::change(fields, object)?)).await?;
        }
        out.flush().await?;
    }
    link_of(pages)
}

async fn groups_since(client: &Client, fields: &Fields, link: &str, out: &mut Out<'_>) -> Result<String, GraphError> {
    let mut pages = Pages::new(client, Call::Groups, End::DeltaLink, client.link(link)?);
    while let Some(page) = pages.next().await? {
        for object in page {
            if is_removed(&object.json) {
                out.push(Item::Deleted(SourceKey(entry::id(&object.json)?.to_owned()))).await?;
            } else if entry::is_hidden(fields, &object.json) {
                out.warnings.push(format!("{}; what changed of it is passed over", entry::hidden(&object.json)));
            } else {
                out.push(Item::Changed(group_change(fields, &object)?)).await?;
            }
        }
        out.flush().await?;
    }
    link_of(pages)
}

/// A slice of a group: what is said of its properties, and of members who are in it now or not any more. People and groups
/// only; of one member the last word counts.
fn group_change(fields: &Fields, object: &Object) -> Result<EntryChange, GraphError> {
    let mut change = entry::change(fields, &object.json)?;
    let mut members = BTreeMap::new();
    for member in object.members().iter().filter(|m| m.kind() != Type::Other) {
        let id = member.id.as_ref().filter(|id| !id.octets().is_empty());
        members.insert(id.ok_or_else(entry::no_id)?, !member.is_removed());
    }
    let of = |wanted: bool| members.iter().filter(|(_, there)| **there == wanted).map(|(id, _)| id.member()).collect();
    (change.joined, change.left) = (of(true), of(false));
    Ok(change)
}

/// Groups of a first round on their way to the store, slice by slice: a million memberships are nothing to keep in memory.
#[derive(Default)]
struct FirstRound {
    /// Groups that came, and whether any property of theirs did.
    shown: HashMap<Id, bool>,
    /// Groups that came before the round had to be begun again.
    before: HashSet<Id>,
}

impl FirstRound {
    /// What a slice says. The first one of a group is the group, the others are changes of it.
    fn item(&mut self, fields: &Fields, object: &Object) -> Result<Item, GraphError> {
        let change = group_change(fields, object)?;
        let id = Id::of(change.key.as_str());
        let speaks = !change.attrs.is_empty();
        if let Some(shown) = self.shown.get_mut(&id) {
            *shown |= speaks;
            return Ok(Item::Changed(change));
        }
        self.shown.insert(id, speaks);
        let mut attrs = Attrs::new();
        for (name, values) in change.attrs {
            attrs.set(name, values);
        }
        Ok(Item::Present(Entry {
            kind: ObjectKind::Group,
            key: change.key,
            dn: None,
            names: Vec::new(),
            attrs,
            // A first round names people who left as well, of whom nobody knows.
            members: change.joined,
            disabled: false,
            due: None,
        }))
    }

    /// The group is not there any more.
    fn removed(&mut self, key: &str) -> Option<Item> {
        self.shown.remove(&Id::of(key)).map(|_| Item::Deleted(SourceKey(key.to_owned())))
    }

    /// From the beginning: everything comes again.
    fn begin_again(&mut self) {
        self.before.extend(self.shown.drain().map(|(id, _)| id));
    }

    /// Groups that came before and do not come any more: they were deleted between, and no change will say so.
    fn vanished(&self) -> Vec<Item> {
        let some = self.before.iter().filter(|id| !self.shown.contains_key(id));
        some.map(|id| Item::Deleted(SourceKey(id.text()))).collect()
    }

    /// Every group showed something of itself.
    fn end(&self) -> Result<(), GraphError> {
        match self.shown.iter().find(|(_, shown)| !**shown) {
            Some((id, _)) => Err(entry::blind(Call::Groups, &format!("group {}", id.text()))),
            None => Ok(()),
        }
    }
}

/// All groups with all their members, as the first round of the change feed gives them: the parts of a group may be on any
/// pages, and only with the delta link they are all there. Gives the delta link.
///
/// # Errors
/// The read failed.
pub async fn all_groups(client: &Client, fields: &Fields, out: &mut Out<'_>) -> Result<String, GraphError> {
    let mut round = FirstRound::default();
    let mut restarts = Restarts::default();
    loop {
        match first_round(client, fields, &mut round, out).await {
            Err(e) => restarts.bear(e)?,
            done => return done,
        }
        round.begin_again();
    }
}

async fn first_round(client: &Client, fields: &Fields, round: &mut FirstRound, out: &mut Out<'_>) -> Result<String, GraphError> {
    let first = client.url(&["groups", "delta"], &[("$select", &fields.delta_select())]);
    let mut pages = Pages::new(client, Call::Groups, End::DeltaLink, first);
    let mut hidden = HashSet::new();
    while let Some(page) = pages.next().await? {
        for object in page {
            let key = entry::id(&object.json)?;
            if is_removed(&object.json) {
                if let Some(item) = round.removed(key) {
                    out.push(item).await?;
                }
            } else if entry::is_hidden(fields, &object.json) {
                if hidden.insert(Id::of(key)) {
                    out.hidden(&object.json).await?;
                }
            } else {
                out.push(round.item(fields, &object)?).await?;
            }
        }
        out.flush().await?;
    }
    round.end()?;
    for item in round.vanished() {
        out.push(item).await?;
    }
    out.flush().await?;
    link_of(pages)
}

/// How the change feed of people begins.
pub enum Start<'a> {
    /// From now on: the people themselves come as a list, which takes fewer pages.
    FromNow(String),
    /// With everybody: the service gives no link without.
    Everybody(Box<Pages<'a>>, Vec<Object>),
    /// There is none (customer tenants have none).
    None,
}

/// Asks for the change feed of people from now on.
///
/// # Errors
/// Anything but that the service has no such feed.
pub async fn users_from_now<'a>(client: &'a Client, fields: &Fields) -> Result<Start<'a>, GraphError> {
    let select = fields.delta_select();
    for from in [&[("$select", select.as_str()), ("$deltatoken", "latest")][..], &[("$select", select.as_str())]] {
        let mut pages = Pages::new(client, Call::Users, End::DeltaLink, client.url(&["users", "delta"], from));
        match pages.next().await {
            Ok(Some(items)) => {
                if items.is_empty() && pages.is_done() && from.len() > 1 {
                    return link_of(pages).map(Start::FromNow);
                }
                return Ok(Start::Everybody(Box::new(pages), items));
            }
            Ok(None) => return Ok(Start::None),
            Err(GraphError::Refused(r)) if r.is_unsupported() => {
                tracing::debug!("{}", r.words());
            }
            // The documented short cut is not worth a failed read: there is the long way.
            Err(GraphError::Unreachable(why)) if from.len() > 1 => {
                tracing::debug!("{why}");
            }
            Err(e) => return Err(e),
        }
    }
    Ok(Start::None)
}

/// Everybody, as the first round of the change feed gives them. Gives the delta link.
///
/// # Errors
/// The read failed.
pub async fn all_users(
    mut pages: Pages<'_>,
    first: Vec<Object>,
    fields: &Fields,
    out: &mut Out<'_>,
) -> Result<String, GraphError> {
    let mut seen = HashSet::new();
    let mut items = first;
    loop {
        for object in items.iter().map(|o| &o.json) {
            let id = entry::id(object)?;
            let again = !seen.insert(Id::of(id));
            let item = match (is_removed(object), again) {
                (true, true) => Item::Deleted(SourceKey(id.to_owned())),
                // Somebody whom nobody knows was removed.
                (true, false) => continue,
                (false, true) => Item::Changed(entry::change(fields, object)?),
                (false, false) => Item::Present(entry::entry(fields, object, &[])?),
            };
            out.push(item).await?;
        }
        out.flush().await?;
        match pages.next().await? {
            Some(page) => items = page,
            None => return link_of(pages),
        }
    }
}

/// Ids of the people in the recycle bin; none where they cannot be had, which costs a delay of the memberships of whoever comes
/// back, until the next full read.
///
/// # Errors
/// The service cannot be reached.
pub async fn deleted_users(client: &Client) -> Result<BTreeSet<String>, GraphError> {
    let path = ["directory", "deletedItems", "microsoft.graph.user"];
    let mut pages =
        Pages::new(client, Call::Users, End::NoLink, client.url(&path, &[("$select", "id"), ("$top", super::read::TOP)]));
    let mut out = BTreeSet::new();
    loop {
        match pages.next().await {
            Ok(Some(page)) => out.extend(page.iter().filter_map(|o| o.json["id"].as_str()).map(str::to_owned)),
            Ok(None) => return Ok(out),
            Err(GraphError::Refused(r)) => {
                tracing::debug!("{}", r.words());
                return Ok(BTreeSet::new());
            }
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::model::{MemberRef, Value};
    use serde_json::{Value as Json, json};

    fn texts(entry: &Entry, name: &str) -> Vec<String> {
        entry.attrs.all(name).iter().filter_map(Value::to_text).collect()
    }

    fn fields() -> Fields {
        Fields::new(ObjectKind::Group, &BTreeSet::from(["description".to_owned()]))
    }

    fn object(said: Json) -> Object {
        serde_json::from_value(said).unwrap()
    }

    fn keys(members: &[MemberRef]) -> Vec<&str> {
        members.iter().map(|m| if let MemberRef::Key(k) = m { k.as_str() } else { "" }).collect()
    }

    #[test]
    fn pitfall_1_a_slice_of_members_is_not_the_list() {
        let mut round = FirstRound::default();
        let member = |id: &str| json!({"@odata.type": "#microsoft.graph.user", "id": id});
        let gone = |id: &str| json!({"@odata.type": "#microsoft.graph.user", "id": id, "@removed": {"reason": "deleted"}});
        let first =
            json!({"id": "g", "displayName": "G", "description": "d", "members@delta": [member("a"), member("b"), gone("x")]});
        let Item::Present(entry) = round.item(&fields(), &object(first)).unwrap() else { panic!("the first is the group") };
        assert_eq!(keys(&entry.members), ["a", "b"]);
        assert_eq!((texts(&entry, "displayName"), texts(&entry, "description")), (vec!["G".to_owned()], vec!["d".to_owned()]));
        let next = json!({"id": "g", "displayName": "G2", "members@delta": [
            member("c"), gone("b"), member("b"), gone("a"), {"@odata.type": "#microsoft.graph.device", "id": "d"},
        ]});
        let Item::Changed(change) = round.item(&fields(), &object(next)).unwrap() else { panic!("the others are changes") };
        assert_eq!((keys(&change.joined), keys(&change.left)), (vec!["b", "c"], vec!["a"]));
        assert!(change.or_new && !change.whole);
        assert!(matches!(round.removed("g"), Some(Item::Deleted(_))) && round.removed("unheard-of").is_none());
        round.end().unwrap();
    }

    #[test]
    fn what_a_round_does_not_show_again_that_was_begun_again_is_gone() {
        let mut round = FirstRound::default();
        let group = |id: &str| object(json!({"id": id, "displayName": "G"}));
        for id in ["a", "b"] {
            round.item(&fields(), &group(id)).unwrap();
        }
        round.begin_again();
        let again = round.item(&fields(), &group("b")).unwrap();
        assert!(matches!(again, Item::Present(_)), "from the beginning");
        assert_eq!(round.vanished(), [Item::Deleted(SourceKey("a".into()))]);
    }

    #[test]
    fn a_group_that_shows_nothing_in_any_slice_is_lack_of_rights() {
        let mut round = FirstRound::default();
        round.item(&fields(), &object(json!({"id": "g"}))).unwrap();
        assert!(round.end().unwrap_err().to_string().contains("GroupMember.Read.All"));
        round.item(&fields(), &object(json!({"id": "g", "displayName": "G"}))).unwrap();
        round.end().unwrap();
    }
}
