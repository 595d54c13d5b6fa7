//! Joiners, leavers, renames and moves: exactly the writes that they need, and no more.

use super::{Live, Server, directory};
use crate::support::directory::{BASE, Directory, Group, GroupKind, Member, escape};
use crate::support::scim_servers::ScimServer;
use crate::support::truth::{Snapshot, one};
use crate::support::world::{changes, expected};
use base64::Engine as _;
use std::fmt::Write as _;

const PEOPLE: usize = 400;

/// `name:: base64`, so that any value fits.
fn value(name: &str, text: &str) -> String {
    format!("{name}:: {}\n", base64::engine::general_purpose::STANDARD.encode(text))
}

fn modify(dn: &str, what: &str) -> String {
    format!("{}changetype: modify\n{what}\n", value("dn", dn))
}

/// The group attribute that holds a person, and their value in it.
fn reference(directory: &Directory, group: &Group, person: usize) -> (&'static str, String) {
    let person = &directory.people[person];
    match group.kind {
        GroupKind::Names => ("member", person.dn.clone()),
        GroupKind::UniqueNames => ("uniqueMember", person.dn.clone()),
        GroupKind::Posix => ("memberUid", person.uid.clone()),
    }
}

/// Takes a value out of every group that has it, and puts another one in, as refint would.
fn replace_references(snapshot: &Snapshot, old: &str, new: Option<&str>) -> String {
    let mut out = String::new();
    for (group, attribute) in snapshot.groups_with(old) {
        let mut what = format!("delete: {attribute}\n{}-\n", value(&attribute, old));
        if let Some(new) = new {
            write!(what, "add: {attribute}\n{}-\n", value(&attribute, new)).unwrap();
        }
        out += &modify(&group, &what);
    }
    out
}

struct Planned {
    ldif: String,
    joiners: u64,
    leavers: u64,
    renamed: u64,
}

/// 10 join, 10 leave, 10 get another address, 10 another DN; 5 groups gain, lose and swap members; one gets another name.
fn change_set(directory: &Directory, before: &Snapshot) -> Planned {
    let mut ldif = String::new();
    let mut active = (0..PEOPLE).filter(|i| !directory.people[*i].locked);
    for i in 0..10 {
        let (cn, uid) = (format!("Ünïque, {i} \"新人\" O'Neil"), format!("new{i}"));
        ldif += &value("dn", &format!("cn={},ou=people,{BASE}", escape(&cn)));
        ldif += "changetype: add\nobjectClass: inetOrgPerson\nsn: O'Neil\n";
        ldif += &(value("cn", &cn) + &value("givenName", "新人") + &value("uid", &uid));
        write!(ldif, "mail: New.{i}@Example.org\n\n").unwrap();
    }
    for i in active.by_ref().take(10) {
        let person = &directory.people[i];
        ldif += &replace_references(before, &person.dn, None);
        ldif += &replace_references(before, &person.uid, None);
        write!(ldif, "{}changetype: delete\n\n", value("dn", &person.dn)).unwrap();
    }
    for i in active.by_ref().take(10) {
        let person = &directory.people[i];
        ldif += &modify(&person.dn, &format!("replace: mail\nmail: married.{}@example.org\n", person.uid));
    }
    for (n, i) in active.by_ref().take(10).enumerate() {
        let person = &directory.people[i];
        let rdn = format!("cn=Renamed\\, {n} Ž+uid={}", person.uid);
        let parent = if n % 2 == 0 { format!("ou=people,{BASE}") } else { format!("ou=groups,{BASE}") };
        ldif += &(value("dn", &person.dn) + "changetype: modrdn\n" + &value("newrdn", &rdn));
        write!(ldif, "deleteoldrdn: 0\nnewsuperior: {parent}\n\n").unwrap();
        ldif += &replace_references(before, &person.dn, Some(&format!("{rdn},{parent}")));
    }
    let others: Vec<usize> = active.collect();
    for (n, group) in directory.groups.iter().enumerate().take(9).skip(4) {
        let inside = |i: &usize| group.members.contains(&Member::Person(*i));
        let mut what = String::new();
        for i in others.iter().copied().filter(inside).skip(n).take(if n == 4 { 0 } else { 3 }) {
            let (attribute, text) = reference(directory, group, i);
            write!(what, "delete: {attribute}\n{}-\n", value(attribute, &text)).unwrap();
        }
        for i in others.iter().copied().filter(|i| !inside(i)).skip(n).take(if n == 5 { 0 } else { 4 }) {
            let (attribute, text) = reference(directory, group, i);
            write!(what, "add: {attribute}\n{}-\n", value(attribute, &text)).unwrap();
        }
        ldif += &modify(&group.dn, &what);
    }
    let renamed = &directory.groups[12];
    ldif += &(value("dn", &renamed.dn) + "changetype: modrdn\n" + &value("newrdn", "cn=Přejmenovaná\\, skupina"));
    ldif += "deleteoldrdn: 1\n\n";
    ldif += &replace_references(before, &renamed.dn, Some(&format!("cn=Přejmenovaná\\, skupina,ou=groups,{BASE}")));
    Planned { ldif, joiners: 10, leavers: 10, renamed: 10 }
}

/// 10 of 400 get another address: more than the guard's 2 %.
const GUARD: &str = "[sync.guard]\nrename = \"5%\"";

fn exactly_the_writes_that_are_needed(server: Server) {
    let directory = directory(23, PEOPLE, 20, 1200);
    let live = Live::start(&directory, server, "", GUARD);
    live.sync().expect(0);
    let snapshot = live.snapshot();
    let before = snapshot.expected(true);
    before.expect(&live.held());

    let planned = change_set(&directory, &snapshot);
    live.slapd.modify(&planned.ldif);
    let snapshot = live.snapshot();
    assert_eq!(snapshot.people(), PEOPLE);
    let now = snapshot.expected(true);
    let moved = snapshot.person(&directory.people[20].uid);
    assert!(one(moved, "dn").unwrap().contains("Renamed"), "{moved:?}");

    let cycle = live.sync().expect(0).cycle();
    let (mut added, mut removed) = (0, 0);
    for (id, team) in &now.teams {
        added += team.members.difference(&before.teams[id].members).count() as u64;
        removed += before.teams[id].members.difference(&team.members).count() as u64;
    }
    let counts = [
        ("create", planned.joiners),
        ("deactivate", planned.leavers),
        ("rename", planned.renamed),
        ("group_update", 1),
        ("members_add", added),
        ("members_remove", removed),
    ];
    assert_eq!(changes(&cycle), expected(&counts));
    let written = live.recorder.written();
    let patches = now.member_patches(&before) + 1;
    let want = [("PATCH Groups", patches), ("PATCH Users", 20), ("POST Users", 10)].map(|(k, n)| (k.to_owned(), n));
    assert_eq!(written, want.into(), "no write more, and none for who only moved");
    assert!(live.recorder.requests().iter().all(|r| r.status < 300));
    now.clone().with_leavers_of(&before).expect(&live.held());

    // Leavers do not wait behind joiners.
    let writes = live.recorder.writes();
    let last_leaver = writes.iter().rposition(|r| r.body.to_string().contains("\"active\"") && r.method == "PATCH").unwrap();
    let first_joiner = writes.iter().position(|r| r.method == "POST").unwrap();
    assert!(last_leaver < first_joiner);

    live.expect_quiet();
}

#[test]
fn exactly_the_writes_that_are_needed_at_scim2_server() {
    if let Some(server) = Server::scim2() {
        exactly_the_writes_that_are_needed(server);
    }
}

#[test]
fn exactly_the_writes_that_are_needed_at_scimmy() {
    if let Some(server) = Server::scimmy() {
        exactly_the_writes_that_are_needed(server);
    }
}

#[test]
fn exactly_the_writes_that_are_needed_at_the_sandbox() {
    exactly_the_writes_that_are_needed(Server::sandbox());
}

/// scim2-server with features switched off, or on: what is announced is enforced (501).
fn in_this_dialect(provider: serde_json::Value) {
    let mut all = serde_json::json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"], "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0}, "filter": {"supported": true, "maxResults": 200},
        "changePassword": {"supported": false}, "sort": {"supported": false}, "etag": {"supported": false},
        "authenticationSchemes": []
    });
    all.as_object_mut().unwrap().extend(provider.as_object().unwrap().clone());
    let Some(server) = ScimServer::scim2_with(Some(all)) else { return };
    let directory = directory(23, PEOPLE, 14, 500);
    let live = Live::start(&directory, Server::Real(server), "", GUARD);
    live.sync().expect(0);
    let snapshot = live.snapshot();
    let before = snapshot.expected(true);
    before.expect(&live.held());
    live.slapd.modify(&change_set(&directory, &snapshot).ldif);
    live.sync().expect(0);
    let refused: Vec<_> = live.recorder.requests().into_iter().filter(|r| r.status >= 400).collect();
    assert!(refused.is_empty(), "what is announced is believed: {refused:?}");
    live.snapshot().expected(true).with_leavers_of(&before).expect(&live.held());
    live.expect_quiet();
    // The whole target is read, and nothing is to be repaired.
    live.recorder.clear();
    live.world.run(&["sync", "--verify", "--json"]).expect(0);
    assert!(live.recorder.writes().is_empty(), "{provider}");
}

#[test]
fn a_target_without_patch() {
    in_this_dialect(serde_json::json!({"patch": {"supported": false}}));
}

#[test]
fn a_target_without_filters() {
    in_this_dialect(serde_json::json!({"filter": {"supported": false, "maxResults": 50}}));
}

#[test]
fn a_target_with_cursors() {
    let cursor = serde_json::json!({"cursor": true, "index": true, "defaultPaginationMethod": "cursor", "defaultPageSize": 50, "maxPageSize": 70});
    in_this_dialect(serde_json::json!({"pagination": cursor}));
}
