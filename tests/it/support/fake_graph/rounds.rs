//! Change feeds: rounds in pages, tokens, and the ways in which real services try their clients.

use super::answers::Answer;
use super::tenant::{Event, Tenant};
use crate::support::dice::Dice;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The rest of a round.
pub struct Round {
    pub pages: Vec<Vec<Value>>,
    /// The last page's link.
    pub delta_token: String,
}

/// `/users/delta` or `/groups/delta`.
pub fn answer(tenant: &mut Tenant, base: &str, kind: &str, query: &[(String, String)]) -> Answer {
    let get = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let address = format!("{base}/v1.0/{kind}/delta");
    let round = if let Some(token) = get("$skiptoken") {
        match tenant.rounds.remove(token) {
            Some(round) => round,
            None => return Answer::error(400, "Directory_ExpiredPageToken", "the page token is not good any more"),
        }
    } else {
        let since = match get("$deltatoken") {
            Some("latest") if tenant.has_latest => {
                let token = delta_token(tenant, get("$select").unwrap_or_default());
                return Answer::ok(json!({"value": [], "@odata.deltaLink": format!("{address}?$deltatoken={token}")}));
            }
            Some("latest") => return Answer::error(400, "Request_BadRequest", "the token is malformed"),
            Some(token) => {
                let Some((at, select)) = token.strip_prefix("d-").and_then(|t| t.split_once('.')) else {
                    return Answer::error(400, "Request_BadRequest", "the token is malformed");
                };
                let at: usize = at.parse().unwrap();
                if let Some((from, status, code)) = tenant.expired
                    && at < from
                {
                    return Answer::error(status, code, "the sync state is not found");
                }
                Some((at, select.to_owned()))
            }
            None => None,
        };
        let select = since.as_ref().map_or_else(|| get("$select").unwrap_or_default().to_owned(), |(_, s)| s.clone());
        begin(tenant, kind, since.map(|(at, _)| at), &select)
    };
    page(tenant, &address, round)
}

fn delta_token(tenant: &mut Tenant, select: &str) -> String {
    format!("d-{}.{select}", tenant.events.len())
}

/// Gives out the first page of what is left.
fn page(tenant: &mut Tenant, address: &str, mut round: Round) -> Answer {
    let items = if round.pages.is_empty() { Vec::new() } else { round.pages.remove(0) };
    if round.pages.is_empty() {
        return Answer::ok(json!({"value": items, "@odata.deltaLink": format!("{address}?$deltatoken={}", round.delta_token)}));
    }
    tenant.next += 1;
    let token = format!("s-{}", tenant.next);
    tenant.rounds.insert(token.clone(), round);
    Answer::ok(json!({"value": items, "@odata.nextLink": format!("{address}?$skiptoken={token}")}))
}

fn begin(tenant: &mut Tenant, kind: &str, since: Option<usize>, select: &str) -> Round {
    let names: BTreeSet<&str> = select.split(',').collect();
    let mut dice = Dice::new(tenant.events.len() as u64 + 77);
    let mut items = match (kind, since) {
        ("users", None) => first_users(tenant, &names),
        ("users", Some(at)) => changed_users(tenant, at, &names, &mut dice),
        (_, None) => first_groups(tenant, &names, &mut dice),
        (_, Some(at)) => changed_groups(tenant, at, &names, &mut dice),
    };
    let mut pages = Vec::new();
    if tenant.unruly {
        // Objects in any order; what belongs to one object keeps its own order.
        let mut lanes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for item in items.drain(..) {
            lanes.entry(item["id"].as_str().unwrap().to_owned()).or_default().push(item);
        }
        let mut lanes: Vec<Vec<Value>> = lanes.into_values().collect();
        let mut page = Vec::new();
        while !lanes.is_empty() {
            let at = dice.below(lanes.len());
            let item = lanes[at].remove(0);
            if lanes[at].is_empty() {
                lanes.swap_remove(at);
            }
            // Replays.
            if dice.one_in(9) {
                page.push(item.clone());
            }
            page.push(item);
            if dice.one_in(tenant.delta_page.clamp(2, 7)) {
                pages.push(std::mem::take(&mut page));
                if dice.one_in(4) {
                    pages.push(Vec::new());
                }
            }
        }
        pages.push(page);
    } else {
        pages = items.chunks(tenant.delta_page).map(<[Value]>::to_vec).collect();
    }
    Round { pages, delta_token: delta_token(tenant, select) }
}

fn removed(id: &str, reason: &str) -> Value {
    json!({"id": id, "@removed": {"reason": reason}})
}

/// The selected properties that were ever set.
fn shown(id: &str, props: &Map<String, Value>, names: &BTreeSet<&str>, nulls: bool) -> Value {
    let mut out = json!({"id": id});
    for (name, value) in props.iter().filter(|(n, v)| names.contains(n.as_str()) && (nulls || !v.is_null())) {
        out[name] = value.clone();
    }
    out
}

fn first_users(tenant: &Tenant, names: &BTreeSet<&str>) -> Vec<Value> {
    let one = |(id, user): (&String, &super::tenant::User)| {
        if user.deleted {
            return removed(id, "changed");
        }
        let mut item = shown(id, &user.props, names, false);
        if let Some(manager) = user.manager.as_ref().filter(|_| names.contains("manager")) {
            item["manager@delta"] = json!([{"@odata.type": "#microsoft.graph.user", "id": manager}]);
        }
        item
    };
    tenant.users.iter().map(one).collect()
}

fn changed_users(tenant: &Tenant, at: usize, names: &BTreeSet<&str>, dice: &mut Dice) -> Vec<Value> {
    let mut changed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut out = Vec::new();
    for event in &tenant.events[at..] {
        match event {
            Event::User(id, what) => {
                let what: Vec<&str> = what.iter().map(String::as_str).filter(|n| names.contains(n)).collect();
                if !what.is_empty() {
                    changed.entry(id).or_default().extend(what);
                }
            }
            Event::UserRemoved(id, reason) => {
                changed.remove(id.as_str());
                if !tenant.is_live(id) {
                    out.push(removed(id, reason));
                }
            }
            _ => {}
        }
    }
    for (id, what) in changed {
        let Some(user) = tenant.users.get(id).filter(|u| !u.deleted) else { continue };
        // Whole, or what changed: both are documented. A new object is whole.
        let whole = dice.one_in(2) || what.contains("userPrincipalName");
        let mut item = shown(id, &user.props, if whole { names } else { &what }, true);
        if names.contains("manager") && (whole || what.contains("manager")) {
            let was: Vec<Value> = match &user.manager {
                Some(m) => vec![json!({"@odata.type": "#microsoft.graph.user", "id": m})],
                None => vec![json!({"@odata.type": "#microsoft.graph.user", "id": "00000000-9999-4999-8999-999999999999",
                                    "@removed": {"reason": "deleted"}})],
            };
            item["manager@delta"] = Value::Array(was);
        }
        out.push(item);
    }
    out
}

fn member(tenant: &Tenant, id: &str) -> Value {
    let kind = if tenant.groups.contains_key(id) {
        "group"
    } else if tenant.devices.contains(id) {
        "device"
    } else {
        "user"
    };
    json!({"@odata.type": format!("#microsoft.graph.{kind}"), "id": id})
}

fn first_groups(tenant: &Tenant, names: &BTreeSet<&str>, dice: &mut Dice) -> Vec<Value> {
    let mut out = Vec::new();
    for (id, group) in &tenant.groups {
        let item = shown(id, &group.props, names, false);
        let visible = |m: &&String| tenant.users.get(m.as_str()).is_none_or(|u| !u.deleted);
        let mut members: Vec<Value> = group.members.iter().filter(visible).map(|m| member(tenant, m)).collect();
        if tenant.unruly && dice.one_in(3) {
            // First rounds name people who left as well.
            let mut gone = member(tenant, "99999999-1111-4111-8111-111111111111");
            gone["@removed"] = json!({"reason": "deleted"});
            members.push(gone);
        }
        push_slices(&mut out, item, members, names, tenant.unruly.then_some(dice));
    }
    out
}

fn changed_groups(tenant: &Tenant, at: usize, names: &BTreeSet<&str>, dice: &mut Dice) -> Vec<Value> {
    let mut changed: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    let mut out = Vec::new();
    for event in &tenant.events[at..] {
        match event {
            Event::Group(id, what) if !id.is_empty() => {
                changed.entry(id).or_default().0.extend(what.iter().map(String::as_str));
            }
            Event::Member(group, who, _) => {
                changed.entry(group).or_default().1.insert(who);
            }
            Event::GroupRemoved(id, reason) => {
                changed.remove(id.as_str());
                if !tenant.groups.contains_key(id) {
                    out.push(removed(id, reason));
                }
            }
            _ => {}
        }
    }
    for (id, (what, who)) in changed {
        let Some(group) = tenant.groups.get(id) else { continue };
        if what.iter().all(|n| !names.contains(n)) && who.is_empty() {
            continue;
        }
        let members = who
            .iter()
            .map(|m| {
                let mut item = member(tenant, m);
                if !group.members.contains(*m) {
                    item["@removed"] = json!({"reason": "deleted"});
                }
                item
            })
            .collect();
        push_slices(&mut out, shown(id, &group.props, names, true), members, names, tenant.unruly.then_some(&mut *dice));
    }
    out
}

/// A group with its members, in one piece or in several that repeat its properties.
fn push_slices(out: &mut Vec<Value>, item: Value, members: Vec<Value>, names: &BTreeSet<&str>, dice: Option<&mut Dice>) {
    if members.is_empty() || !names.contains("members") {
        out.push(item);
        return;
    }
    let size = dice.map_or(usize::MAX, |d| 1 + d.below(5));
    for slice in members.chunks(size) {
        let mut part = item.clone();
        part["members@delta"] = Value::Array(slice.to_vec());
        out.push(part);
    }
}
