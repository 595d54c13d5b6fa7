//! What must hold when everything has come to rest, whatever happened on the way: judged from outside, by plain reads of
//! the target, against what the world's source says.

use super::world::{SandboxProcess, ScimReader, World, changes};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every person exactly once and as the source says, leavers inactive, every group once with exactly its members.
#[track_caller]
pub fn assert_as_desired(w: &World, target: &ScimReader) {
    let users = target.users();
    assert_no_doubles(&users, "userName");
    assert_no_doubles(&users, "externalId");
    // Where the target has no externalId, the name says who it is.
    let named: BTreeMap<&str, &str> = w.people.iter().map(|(id, p)| (p["mail"].as_str().unwrap(), id.as_str())).collect();
    let key = |u: &'_ Value| -> String {
        let name = || named.get(u["userName"].as_str().unwrap()).copied().unwrap_or_default();
        u["externalId"].as_str().unwrap_or_else(name).to_owned()
    };
    let by_key: BTreeMap<String, &Value> = users.iter().map(|u| (key(u), u)).collect();
    for (id, person) in &w.people {
        let user = by_key.get(id).unwrap_or_else(|| panic!("{id} has no account"));
        assert_eq!(user["userName"], person["mail"], "{id}");
        assert_eq!(user["displayName"], person["displayName"], "{id}");
        assert_eq!(user["name"]["familyName"], person["sn"], "{id}");
        assert_eq!(user["active"], true, "{id}");
        assert_eq!(values(user, "emails"), [&person["mail"]], "{id}: {user}");
        assert_eq!(values(user, "phoneNumbers"), person.get("telephoneNumber").into_iter().collect::<Vec<_>>(), "{id}: {user}");
    }
    for (key, user) in &by_key {
        assert!(w.people.contains_key(key) || user["active"] == false, "{key} left and is still active");
    }

    let groups = target.groups();
    assert_no_doubles(&groups, "displayName");
    let ids: BTreeMap<&str, String> = users.iter().map(|u| (u["id"].as_str().unwrap(), key(u))).collect();
    let mut have: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for g in &groups {
        let members = g["members"].as_array().cloned().unwrap_or_default();
        let mut keys: Vec<String> = members.iter().map(|m| ids[m["value"].as_str().unwrap()].clone()).collect();
        keys.sort();
        let once: BTreeSet<&String> = keys.iter().collect();
        assert_eq!(once.len(), keys.len(), "{}: somebody is a member twice", g["displayName"]);
        have.insert(g["displayName"].as_str().unwrap().to_owned(), keys);
    }
    let want: BTreeMap<String, Vec<String>> = w
        .groups
        .values()
        .map(|(name, members)| {
            let mut m = members.clone();
            m.sort();
            m.dedup();
            (name.clone(), m)
        })
        .collect();
    assert_eq!(have.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "groups");
    for (name, members) in &want {
        assert_eq!(&have[name], members, "members of {name}");
    }
}

/// Values of a multi-valued attribute.
fn values<'a>(user: &'a Value, attribute: &str) -> Vec<&'a Value> {
    user[attribute].as_array().into_iter().flatten().map(|e| &e["value"]).collect()
}

#[track_caller]
fn assert_no_doubles(resources: &[Value], attribute: &str) {
    let mut seen: BTreeMap<String, &Value> = BTreeMap::new();
    for r in resources {
        let Some(value) = r[attribute].as_str() else { continue };
        if let Some(other) = seen.insert(value.to_lowercase(), r) {
            panic!("one_account_per_person: two have the {attribute} {value}:\n{other}\n{r}");
        }
    }
}

/// One more cycle does nothing and asks nothing.
#[track_caller]
pub fn assert_quiet(w: &World, sandbox: &SandboxProcess) {
    sandbox.reset_counters();
    let run = w.sync();
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    let cycle = run.cycle();
    assert!(changes(&cycle).is_empty(), "not quiet: {cycle}");
    assert_eq!(sandbox.requests(), 0, "a quiet cycle asks nothing: {}", sandbox.stats()["last"]);
}

/// Every link says that we made the account; returns their number (people, groups).
#[track_caller]
pub fn assert_all_created(state: &Path) -> (u64, u64) {
    let c = rusqlite::Connection::open(state).unwrap();
    let mut st =
        c.prepare("SELECT e.label FROM link l JOIN entry e ON e.id = l.entry_id WHERE l.origin <> 0 ORDER BY 1").unwrap();
    let adopted: Vec<String> = st.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(adopted.is_empty(), "we made them, and call them adopted: {adopted:?}");
    c.query_row("SELECT count(*) FILTER (WHERE kind = 0), count(*) FILTER (WHERE kind = 1) FROM link", [], |r| {
        Ok((r.get(0)?, r.get(1)?))
    })
    .unwrap()
}
