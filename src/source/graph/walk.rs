//! Groups and their members one group after another, first pages together in batches: for tenants without change feeds, and
//! for the groups that are assigned to an application.

use super::answer::Object;
use super::batch::{Batches, MOST};
use super::connect::Client;
use super::entry::{self, Type};
use super::fault::{Call, GraphError};
use super::id::Id;
use super::out::Out;
use super::pages::{End, Pages};
use super::read::TOP;
use super::select::Fields;
use crate::model::Entry;
use crate::source::Item;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use url::Url;

/// Members of one group.
#[derive(Debug, Default)]
pub struct Group {
    /// People, direct ones.
    pub people: Vec<Id>,
    /// Groups in it.
    pub nested: Vec<Id>,
    /// It is not there any more.
    pub gone: bool,
}

/// Groups with their direct members.
pub type Groups = HashMap<Id, Group>;

/// How far a walk goes and what it asks of members.
pub struct Way<'a> {
    /// Groups to begin with.
    pub from: Vec<Id>,
    /// Into the groups inside them as well.
    pub nested: bool,
    /// `$select` of members.
    pub select: &'a str,
    /// Members on a first page: small where much is asked of each, as twenty pages come at once.
    pub first: &'a str,
}

/// Members of `from`, and of all groups inside where that is wanted; each group once, so that circles end. `each` sees every
/// person as a member shows them, and may make an item of it.
///
/// # Errors
/// The read failed.
pub async fn members(
    client: &Client,
    way: Way<'_>,
    out: &mut Out<'_>,
    mut each: impl FnMut(&Value) -> Result<Option<Item>, GraphError> + Send,
) -> Result<Groups, GraphError> {
    let batches = Batches::new(client);
    let mut groups: Groups = HashMap::new();
    let mut queue = way.from;
    let mut known: HashSet<Id> = queue.iter().cloned().collect();
    while !queue.is_empty() {
        let some: Vec<Id> = queue.drain(..queue.len().min(MOST)).collect();
        let page_size = if some.len() > 1 { way.first } else { TOP };
        let asks: Vec<(Call, Url)> = some.iter().map(|id| (Call::Groups, address(client, id, way.select, page_size))).collect();
        let outcomes = batches.get(&asks).await?;
        for (id, outcome) in some.into_iter().zip(outcomes) {
            let mut group = Group::default();
            match outcome {
                Err(r) if r.is_gone() => {
                    expect_gone(client, &id).await?;
                    group.gone = true;
                }
                Err(r) => return Err(r.about(&format!("group {}", id.text()))),
                Ok(body) => {
                    let mut pages = Pages::begun(client, Call::Groups, End::NoLink);
                    let first = pages.take(body)?;
                    if page_size != TOP && !pages.is_done() {
                        // A large one: from the beginning, by the largest pages.
                        pages = Pages::new(client, Call::Groups, End::NoLink, address(client, &id, way.select, TOP));
                    } else {
                        take(&mut group, &first, out, &mut each).await?;
                    }
                    while let Some(page) = pages.next().await? {
                        take(&mut group, &page, out, &mut each).await?;
                    }
                }
            }
            if way.nested {
                queue.extend(group.nested.iter().filter(|g| known.insert((*g).clone())).cloned());
            }
            groups.insert(id, group);
        }
        out.flush().await?;
    }
    Ok(groups)
}

/// A group whose members are said to be gone is gone itself. Else its members are hidden for some reason, and whoever is in
/// it would be missing.
async fn expect_gone(client: &Client, group: &Id) -> Result<(), GraphError> {
    let group = group.text();
    match client.get(Call::Groups, &client.url(&["groups", &group], &[("$select", "id")]), &[]).await {
        Err(GraphError::Refused(r)) if r.is_gone() => Ok(()),
        Err(GraphError::Refused(r)) => Err(r.about(&format!("group {group}"))),
        Err(e) => Err(e),
        Ok(_) => Err(GraphError::Incomplete(format!(
            "group {group} is there, and Graph says of its members that there is no such group (404 Request_ResourceNotFound); \
             who is in it is not known before it shows them"
        ))),
    }
}

fn address(client: &Client, group: &Id, select: &str, top: &str) -> Url {
    client.url(&["groups", &group.text(), "members"], &[("$select", select), ("$top", top)])
}

async fn take(
    group: &mut Group,
    page: &[Object],
    out: &mut Out<'_>,
    each: &mut (impl FnMut(&Value) -> Result<Option<Item>, GraphError> + Send),
) -> Result<(), GraphError> {
    for member in page.iter().map(|o| &o.json) {
        let id = Id::of(entry::id(member)?);
        match Type::of(member) {
            Type::User => {
                if let Some(item) = each(member)? {
                    out.push(item).await?;
                }
                group.people.push(id);
            }
            Type::Group => group.nested.push(id),
            Type::Other => {}
        }
    }
    Ok(())
}

/// All groups of a tenant without change feeds.
///
/// # Errors
/// The read failed.
pub async fn all_groups(client: &Client, fields: &Fields, out: &mut Out<'_>) -> Result<(), GraphError> {
    let first = client.url(&["groups"], &[("$select", &fields.select()), ("$top", TOP)]);
    let mut pages = Pages::new(client, Call::Groups, End::NoLink, first);
    while let Some(page) = pages.next().await? {
        let (hidden, shown): (Vec<&Value>, Vec<&Value>) = page.iter().map(|o| &o.json).partition(|o| entry::is_hidden(fields, o));
        for group in hidden {
            out.hidden(group).await?;
        }
        let entries: Vec<Entry> = shown.into_iter().map(|o| entry::entry(fields, o, &[])).collect::<Result<_, _>>()?;
        let from = entries.iter().map(|e| Id::of(e.key.as_str())).collect();
        let way = Way { from, nested: false, select: "id", first: TOP };
        let mut groups = members(client, way, out, |_| Ok(None)).await?;
        for mut entry in entries {
            let group = groups.remove(&Id::of(entry.key.as_str())).unwrap_or_default();
            if !group.gone {
                entry.members = group.people.iter().chain(&group.nested).map(Id::member).collect();
                out.push(Item::Present(entry)).await?;
            }
        }
        out.flush().await?;
    }
    Ok(())
}
