//! `assigned_to`: only who is assigned to an enterprise application. Assignments are in no change feed, so all of them are read
//! each time, and of people and groups only the assigned ones: the cost follows the application, not the tenant.

use super::batch::{Batches, MOST, Outcome};
use super::connect::Client;
use super::entry;
use super::fault::{Call, GraphError};
use super::id::Id;
use super::out::Out;
use super::pages::{End, Pages};
use super::read::TOP;
use super::select::Fields;
use super::walk::{self, Groups, Way};
use crate::source::Item;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use url::Url;

/// The role that everybody has who is assigned without one.
const DEFAULT_ACCESS: &str = "00000000-0000-0000-0000-000000000000";

/// What is asked of the application.
const ROLES: &str = "id,appRoles";

/// Members on the first page of a group, when twenty groups come at once with all that is asked of people.
const FIRST: &str = "100";

/// Who is assigned, each once however many roles there are, with the ids of these roles.
#[derive(Debug, Default)]
struct Assignments {
    people: HashMap<Id, BTreeSet<Id>>,
    groups: HashMap<Id, BTreeSet<Id>>,
}

/// What is read for whom.
pub struct Wish<'a> {
    /// Object id of the service principal.
    pub application: &'a str,
    /// What is asked of people.
    pub users: &'a Fields,
    /// What is asked of groups, where they are wanted themselves.
    pub groups: Option<&'a Fields>,
    /// Members of groups inside an assigned group count as well. Entra's own provisioning takes direct members only.
    pub flatten: bool,
}

/// Reads everybody who is assigned, directly or as a member of an assigned group, and the assigned groups.
///
/// # Errors
/// The read failed.
pub async fn read(client: &Client, wish: &Wish<'_>, out: &mut Out<'_>) -> Result<(), GraphError> {
    let assigned = assignments(client, wish.application).await?;
    let names = if wish.users.roles { role_names(client, wish.application).await? } else { HashMap::new() };
    let batches = Batches::new(client);
    let from = || assigned.groups.keys().cloned().collect::<Vec<_>>();
    let select = wish.users.select();
    let mut sent = HashSet::new();
    // Roles are known when all groups are; a manager is not shown by a list of members. Both take a first look at the ids.
    let whole_at_once = !wish.users.roles && wish.users.is_whole_as_member();
    let groups = if whole_at_once {
        let way = Way { from: from(), nested: wish.flatten, select: &select, first: FIRST };
        walk::members(client, way, out, |member| {
            let id = Id::of(entry::id(member)?);
            if entry::is_blind(wish.users, member) || !sent.insert(id) {
                return Ok(None);
            }
            entry::entry(wish.users, member, &[]).map(|e| Some(Item::Present(e)))
        })
        .await?
    } else {
        let way = Way { from: from(), nested: wish.flatten, select: "id", first: TOP };
        walk::members(client, way, out, |_| Ok(None)).await?
    };
    let roles = Roles::new(&assigned, &groups, names, wish.users.roles);
    if wish.users.roles && wish.users.is_whole_as_member() {
        let way = Way { from: groups.keys().cloned().collect(), nested: false, select: &select, first: FIRST };
        walk::members(client, way, out, |member| {
            let id = Id::of(entry::id(member)?);
            if entry::is_blind(wish.users, member) || !sent.insert(id.clone()) {
                return Ok(None);
            }
            entry::entry(wish.users, member, &roles.of(&id)).map(|e| Some(Item::Present(e)))
        })
        .await?;
    }
    // Who is assigned directly, or showed nothing as a member: one by one, where a missing right says its name.
    let mut rest: BTreeSet<&Id> = assigned.people.keys().collect();
    rest.extend(groups.values().flat_map(|g| &g.people));
    rest.retain(|id| !sent.contains(*id));
    let rest: Vec<&Id> = rest.into_iter().collect();
    let mut query = vec![("$select", select.as_str())];
    query.extend(wish.users.expand().map(|e| ("$expand", e)));
    for some in rest.chunks(MOST) {
        let asks: Vec<(Call, Url)> = some.iter().map(|id| (Call::Users, client.url(&["users", &id.text()], &query))).collect();
        let outcomes = batches.get(&asks).await?;
        for (id, outcome) in some.iter().zip(outcomes) {
            if let Some(object) = there(outcome, id)? {
                out.push(Item::Present(entry::entry(wish.users, &object, &roles.of(id))?)).await?;
            }
        }
        out.flush().await?;
    }
    if let Some(fields) = wish.groups {
        assigned_groups(client, &batches, fields, &assigned, &groups, wish.flatten, out).await?;
    }
    out.flush().await
}

/// An object that is there. Of what is in the recycle bin the assignment stays for a while. One with another id is an answer to
/// something else, and whoever was asked for would be missing.
fn there(outcome: Outcome, id: &Id) -> Result<Option<Value>, GraphError> {
    match outcome {
        Ok(answer) => {
            let object = Value::Object(answer.rest);
            if is_of(&object, &id.text()) {
                return Ok(Some(object));
            }
            let why = format!("{} was asked for, and the answer is about another object, or about none", id.text());
            Err(GraphError::Incomplete(why))
        }
        Err(r) if r.is_gone() => Ok(None),
        Err(r) => Err(r.about(&id.text())),
    }
}

async fn assigned_groups(
    client: &Client,
    batches: &Batches<'_>,
    fields: &Fields,
    assigned: &Assignments,
    groups: &Groups,
    flatten: bool,
    out: &mut Out<'_>,
) -> Result<(), GraphError> {
    let select = fields.select();
    let mut ids: Vec<&Id> = assigned.groups.keys().collect();
    ids.sort_unstable();
    for some in ids.chunks(MOST) {
        let query = [("$select", select.as_str())];
        let asks: Vec<(Call, Url)> = some.iter().map(|id| (Call::Groups, client.url(&["groups", &id.text()], &query))).collect();
        let outcomes = batches.get(&asks).await?;
        for (id, outcome) in some.iter().zip(outcomes) {
            let Some(object) = there(outcome, id)? else { continue };
            if entry::is_hidden(fields, &object) {
                return Err(GraphError::Auth(format!(
                    "{}; grant it, or take the group out of the application",
                    entry::hidden(&object)
                )));
            }
            let mut entry = entry::entry(fields, &object, &[])?;
            let people: BTreeSet<&Id> = inside(groups, id, flatten).into_iter().flat_map(|g| &g.people).collect();
            entry.members = people.into_iter().map(Id::member).collect();
            out.push(Item::Present(entry)).await?;
        }
    }
    Ok(())
}

/// The group itself, and those inside it where that is wanted; each once.
fn inside<'a>(groups: &'a Groups, id: &'a Id, flatten: bool) -> Vec<&'a walk::Group> {
    let (mut visited, mut stack, mut out) = (HashSet::from([id]), vec![id], Vec::new());
    while let Some(group) = stack.pop().and_then(|id| groups.get(id)) {
        out.push(group);
        if flatten {
            stack.extend(group.nested.iter().filter(|n| groups.contains_key(*n) && visited.insert(*n)));
        }
    }
    out
}

/// `appRoleAssignedTo`, whole: one row for each role that somebody has.
async fn assignments(client: &Client, application: &str) -> Result<Assignments, GraphError> {
    let url = client.url(&["servicePrincipals", application, "appRoleAssignedTo"], &[("$top", TOP)]);
    let mut pages = Pages::new(client, Call::Assignments, End::NoLink, url);
    let mut out = Assignments::default();
    while let Some(page) = pages.next().await? {
        for row in page.iter().map(|o| &o.json) {
            let whose = match row["principalType"].as_str() {
                Some("User") => &mut out.people,
                Some("Group") => &mut out.groups,
                _ => continue,
            };
            let principal = row["principalId"].as_str().filter(|id| !id.is_empty());
            let principal = principal.ok_or_else(|| GraphError::Malformed("an assignment has no principalId".to_owned()))?;
            let roles = whose.entry(Id::of(principal)).or_default();
            roles.extend(row["appRoleId"].as_str().filter(|r| *r != DEFAULT_ACCESS).map(Id::of));
        }
    }
    Ok(out)
}

/// Names of the application's roles: `value`, which tokens carry, else `displayName`.
async fn role_names(client: &Client, application: &str) -> Result<HashMap<Id, String>, GraphError> {
    let object = application_object(client, application).await?;
    let roles = object.get("appRoles").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let name =
        |r: &Value| ["value", "displayName"].iter().find_map(|n| r[*n].as_str().filter(|t| !t.is_empty())).map(str::to_owned);
    Ok(roles.iter().filter_map(|r| Some((Id::of(r["id"].as_str()?), name(r)?))).collect())
}

/// The service principal with its roles: out of the list, which the permission for assignments opens as well; where that
/// shows nothing, by its address.
async fn application_object(client: &Client, application: &str) -> Result<Value, GraphError> {
    let filter = format!("id eq '{}'", application.replace('\'', "''"));
    let url = client.url(&["servicePrincipals"], &[("$filter", &filter), ("$select", ROLES)]);
    let mut pages = Pages::new(client, Call::Roles, End::NoLink, url);
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                if let Some(found) = page.into_iter().map(|o| o.json).find(|o| is_of(o, application)) {
                    return Ok(found);
                }
            }
            Ok(None) => break,
            Err(GraphError::Refused(r)) if r.is_unsupported() => {
                tracing::debug!("{}", r.words());
                break;
            }
            Err(e) => return Err(e),
        }
    }
    let url = client.url(&["servicePrincipals", application], &[("$select", ROLES)]);
    Ok(Value::Object(client.get(Call::Roles, &url, &[]).await?.rest))
}

/// Whether an object has this id.
fn is_of(object: &Value, id: &str) -> bool {
    object["id"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(id))
}

/// Roles of everybody, also those that come by a group.
struct Roles<'a> {
    direct: &'a Assignments,
    by_group: HashMap<&'a Id, BTreeSet<&'a Id>>,
    names: HashMap<Id, String>,
}

impl<'a> Roles<'a> {
    fn new(direct: &'a Assignments, groups: &'a Groups, names: HashMap<Id, String>, wanted: bool) -> Self {
        let mut by_group: HashMap<&Id, BTreeSet<&Id>> = HashMap::new();
        if wanted {
            // What was walked is all that counts: direct members, or those of groups inside as well.
            for (id, roles) in direct.groups.iter().filter(|(_, roles)| !roles.is_empty()) {
                for person in inside(groups, id, true).into_iter().flat_map(|g| &g.people) {
                    by_group.entry(person).or_default().extend(roles);
                }
            }
        }
        Self { direct, by_group, names }
    }

    fn of(&self, id: &Id) -> Vec<String> {
        let direct = self.direct.people.get(id).into_iter().flatten();
        let all: BTreeSet<&Id> = direct.chain(self.by_group.get(id).into_iter().flatten().copied()).collect();
        all.into_iter().map(|role| self.names.get(role).cloned().unwrap_or_else(|| role.text())).collect()
    }
}
