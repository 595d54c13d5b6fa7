//! Change feeds: `/users/delta` and `/groups/delta` (Microsoft, "Use delta query to track changes in Microsoft Graph data").

use super::connect::Client;
use super::cursor::GraphCursor;
use super::entry::{self, Type, is_removed};
use super::fault::{Call, GraphError};
use super::id::Id;
use super::out::Out;
use super::pages::{End, Pages};
use super::select::Fields;
use crate::model::{Attrs, Entry, MemberRef, ObjectKind, SourceKey};
use crate::source::Item;
use serde_json::Value as Json;
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
        for object in &page.items {
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
        for object in &page.items {
            if is_removed(object) {
                out.push(Item::Deleted(SourceKey(entry::id(object)?.to_owned()))).await?;
                continue;
            }
            if entry::is_hidden(fields, object) {
                out.warnings.push(format!("{}; what changed of it is passed over", entry::hidden(object)));
                continue;
            }
            let mut change = entry::change(fields, object)?;
            // Of one member the last word counts.
            let mut members = BTreeMap::new();
            for (id, there) in member_changes(object)? {
                members.insert(id, there);
            }
            let of = |wanted: bool| -> Vec<MemberRef> {
                let some = members.iter().filter(|(_, there)| **there == wanted);
                some.map(|(id, _)| MemberRef::Key(SourceKey((*id).to_owned()))).collect()
            };
            (change.joined, change.left) = (of(true), of(false));
            out.push(Item::Changed(change)).await?;
        }
        out.flush().await?;
    }
    link_of(pages)
}

/// `members@delta`: who is a member now (`true`) or not any more. A slice of the changes, never the whole list; a group without
/// members has none. People and groups only.
fn member_changes(object: &Json) -> Result<Vec<(&str, bool)>, GraphError> {
    let slice = object.get("members@delta").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let some = slice.iter().filter(|m| Type::of(m) != Type::Other);
    some.map(|m| entry::id(m).map(|id| (id, !is_removed(m)))).collect()
}

/// A group of which parts have come.
#[derive(Default)]
struct Part {
    attrs: Attrs,
    members: Vec<Id>,
}

impl Part {
    fn take(&mut self, fields: &Fields, object: &Json) -> Result<(), GraphError> {
        for (name, values) in entry::change(fields, object)?.attrs {
            self.attrs.set(name, values);
        }
        for (id, there) in member_changes(object)? {
            let id = Id::of(id);
            if there {
                self.members.push(id);
            } else {
                // A first round names people who left as well.
                self.members.retain(|m| *m != id);
            }
        }
        Ok(())
    }

    fn into_entry(mut self, id: &Id) -> Result<Entry, GraphError> {
        if self.attrs.iter().next().is_none() {
            return Err(entry::blind(Call::Groups, &format!("group {}", id.text())));
        }
        self.members.sort_unstable();
        self.members.dedup();
        Ok(Entry {
            kind: ObjectKind::Group,
            key: SourceKey(id.text()),
            dn: None,
            names: Vec::new(),
            attrs: self.attrs,
            members: self.members.iter().map(Id::member).collect(),
            disabled: false,
            due: None,
        })
    }
}

/// All groups with all their members, as the first round of the change feed gives them: the parts of a group may be on any
/// pages, and only with the delta link they are all there. Gives the delta link.
///
/// # Errors
/// The read failed.
pub async fn all_groups(client: &Client, fields: &Fields, out: &mut Out<'_>) -> Result<String, GraphError> {
    let first = client.url(&["groups", "delta"], &[("$select", &fields.delta_select())]);
    let mut pages = Pages::new(client, Call::Groups, End::DeltaLink, first);
    let mut parts: HashMap<Id, Part> = HashMap::new();
    let mut hidden = HashSet::new();
    while let Some(page) = pages.next().await? {
        for object in &page.items {
            let id = Id::of(entry::id(object)?);
            if is_removed(object) {
                parts.remove(&id);
            } else if entry::is_hidden(fields, object) {
                if hidden.insert(id) {
                    out.warnings.push(format!("{}; it is left out", entry::hidden(object)));
                }
            } else {
                parts.entry(id).or_default().take(fields, object)?;
            }
        }
        out.flush().await?;
    }
    let link = link_of(pages)?;
    parts.retain(|id, _| !hidden.contains(id));
    for (id, part) in parts {
        let entry = part.into_entry(&id)?;
        out.push(Item::Present(entry)).await?;
    }
    out.flush().await?;
    Ok(link)
}

/// How the change feed of people begins.
pub enum Start<'a> {
    /// From now on: the people themselves come as a list, which takes fewer pages.
    FromNow(String),
    /// With everybody: the service gives no link without.
    Everybody(Box<Pages<'a>>, Vec<Json>),
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
            Ok(Some(page)) => {
                let items = page.items;
                if items.is_empty() && pages.is_done() && from.len() > 1 {
                    return link_of(pages).map(Start::FromNow);
                }
                return Ok(Start::Everybody(Box::new(pages), items));
            }
            Ok(None) => return Ok(Start::None),
            Err(GraphError::Refused(r)) if r.is_unsupported() => {
                tracing::debug!("{}", r.words());
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
pub async fn all_users(mut pages: Pages<'_>, first: Vec<Json>, fields: &Fields, out: &mut Out<'_>) -> Result<String, GraphError> {
    let mut seen = HashSet::new();
    let mut items = first;
    loop {
        for object in &items {
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
            Some(page) => items = page.items,
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
            Ok(Some(page)) => out.extend(page.items.iter().filter_map(|o| o["id"].as_str()).map(str::to_owned)),
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Value;
    use serde_json::json;

    fn texts(entry: &Entry, name: &str) -> Vec<String> {
        entry.attrs.all(name).iter().filter_map(Value::to_text).collect()
    }

    fn fields() -> Fields {
        Fields::new(ObjectKind::Group, &BTreeSet::from(["description".to_owned()]))
    }

    #[test]
    fn pitfall_1_a_slice_of_members_is_not_the_list() {
        let mut part = Part::default();
        let member = |id: &str| json!({"@odata.type": "#microsoft.graph.user", "id": id});
        let gone = |id: &str| json!({"@odata.type": "#microsoft.graph.user", "id": id, "@removed": {"reason": "deleted"}});
        for slice in [
            json!({"id": "g", "displayName": "G", "description": "d", "members@delta": [member("a"), member("b")]}),
            json!({"id": "g", "displayName": "G2", "members@delta": [member("c"), member("b"), gone("a"), gone("never")]}),
            json!({"id": "g", "members@delta": [{"@odata.type": "#microsoft.graph.device", "id": "d"}]}),
            json!({"id": "g"}),
        ] {
            part.take(&fields(), &slice).unwrap();
        }
        let entry = part.into_entry(&Id::of("g")).unwrap();
        assert_eq!(entry.members, [MemberRef::Key(SourceKey("b".into())), MemberRef::Key(SourceKey("c".into()))]);
        assert_eq!((texts(&entry, "displayName"), texts(&entry, "description")), (vec!["G2".to_owned()], vec!["d".to_owned()]));
    }

    #[test]
    fn a_group_that_shows_nothing_is_lack_of_rights() {
        let mut part = Part::default();
        part.take(&fields(), &json!({"id": "g"})).unwrap();
        assert!(part.into_entry(&Id::of("g")).unwrap_err().to_string().contains("GroupMember.Read.All"));
    }
}
