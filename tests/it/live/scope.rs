//! Who takes part: filters, `members_of`, groups of every kind, and what happens to those who leave the scope.

use super::{Live, Server, directory};
use crate::support::directory::{Directory, GroupKind, Member, escape};
use crate::support::truth::{Attributes, Truth, one};
use crate::support::world::{changes, expected};
use base64::Engine as _;
use std::collections::{BTreeMap, BTreeSet};

const GUARD: &str =
    "[sync.guard]\ndeactivate = \"unlimited\"\nmembers_remove_per_group = \"unlimited\"\ngroup_delete = \"unlimited\"";

fn modify(dn: &str, what: &str) -> String {
    format!("dn:: {}\nchangetype: modify\n{what}\n", base64::engine::general_purpose::STANDARD.encode(dn))
}

fn is_sales(p: &Attributes) -> bool {
    one(p, "departmentnumber").as_deref() == Some("Sales")
}

/// uids of people for whom this holds, in order.
fn uids(live: &Live, holds: impl Fn(&Attributes) -> bool) -> Vec<String> {
    let mut out: Vec<String> = live
        .slapd
        .search("(&(objectClass=inetOrgPerson)(mail=*)(!(pwdAccountLockedTime=*)))")
        .iter()
        .filter(|p| holds(p))
        .map(|p| p["uid"][0].clone())
        .collect();
    out.sort();
    out
}

fn set_department(live: &Live, who: &[String], department: &str) {
    let snapshot = live.snapshot();
    let change = |uid: &String| {
        modify(&one(snapshot.person(uid), "dn").unwrap(), &format!("replace: departmentNumber\ndepartmentNumber: {department}\n"))
    };
    live.slapd.modify(&who.iter().map(change).collect::<String>());
}

fn leaving_the_scope(server: Server) {
    let scope = format!("[sync.scope]\nusers = 'departmentNumber eq \"sales\" and not (title eq \"none\")'\n{GUARD}");
    let live = Live::start(&directory(41, 150, 12, 400), server, "", &scope);
    let truth = || live.snapshot().expected_of(true, &is_sales);
    live.sync().expect(0);
    let before = truth();
    before.expect(&live.held());
    assert!((5..100).contains(&before.accounts.len()), "the filter lets some in");
    live.expect_quiet();

    let leavers: Vec<String> = uids(&live, is_sales).into_iter().take(3).collect();
    let joiners: Vec<String> = uids(&live, |p| !is_sales(p)).into_iter().take(2).collect();
    set_department(&live, &leavers, "IT");
    set_department(&live, &joiners, "SALES");
    set_department(&live, &joiners, "Sales");
    let cycle = live.sync().expect(0).cycle();
    let now = truth();
    now.clone().with_leavers_of(&before).expect(&live.held());
    let removed: usize = before.teams.values().map(|t| t.members.difference(&now.teams[&t.external_id].members).count()).sum();
    let added: usize = now.teams.values().map(|t| t.members.difference(&before.teams[&t.external_id].members).count()).sum();
    assert!(removed > 0 && added > 0, "the directory gives something to see");
    let counts = [("create", 2), ("deactivate", 3), ("members_add", added as u64), ("members_remove", removed as u64)];
    assert_eq!(changes(&cycle), expected(&counts));
    live.expect_quiet();

    // Back again: the same accounts.
    set_department(&live, &leavers, "Sales");
    let cycle = live.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("reactivate", 3), ("members_add", removed as u64)]));
    truth().expect(&live.held());
    live.expect_quiet();

    // Out of scope may be left alone, memberships too.
    let keep = scope.replace("[sync.scope]", "[sync.scope]\nout_of_scope = \"keep\"");
    live.configure(&live.slapd.ldaps_url, "", &keep);
    live.sync().expect(0);
    let held = live.held();
    set_department(&live, &leavers, "IT");
    live.expect_quiet();
    held.expect(&live.held());
}

#[test]
fn who_leaves_the_scope_is_deactivated_and_leaves_the_groups() {
    for server in [Server::scim2(), Server::scimmy(), Some(Server::sandbox())].into_iter().flatten() {
        leaving_the_scope(server);
    }
}

/// uuids of the people in a group, nested ones too, by the generator's own structs.
fn inside(directory: &Directory, group: usize, seen: &mut BTreeSet<usize>) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    if seen.insert(group) {
        for member in &directory.groups[group].members {
            match member {
                Member::Person(i) => drop(out.insert(directory.people[*i].uuid.clone())),
                Member::Group(i) => out.extend(inside(directory, *i, seen)),
            }
        }
    }
    out
}

#[test]
fn only_members_of_a_group_nested_ones_included() {
    let directory = directory(43, 120, 12, 240);
    // Group 2 holds group 1, and groups 0 and 1 hold each other.
    let (named, nested) = (&directory.groups[2], &directory.groups[1]);
    let team = inside(&directory, 2, &mut BTreeSet::new());
    let in_scope = |p: &Attributes| team.contains(&p["entryuuid"][0]);
    // The same DN as an administrator may write it: other letters, other blanks.
    let dn = format!("CN={}, OU=Groups, DC=Example, DC=Org", escape(&named.cn));
    // A name in other letters, beyond ASCII too.
    let shouted = named.cn.to_uppercase();
    assert!(!shouted.is_ascii());
    for name in [dn.as_str(), &shouted, &named.uuid] {
        let live =
            Live::start(&directory, Server::sandbox(), "", &format!("[sync.scope]\nmembers_of = [{}]\n{GUARD}", toml_text(name)));
        live.sync().expect(0);
        let wanted = live.snapshot().expected_of(true, &in_scope);
        assert!(wanted.accounts.len() < 100 && wanted.accounts.len() > 20, "{}", wanted.accounts.len());
        wanted.expect(&live.held());
        live.expect_quiet();
        if name != dn {
            continue;
        }
        let log = live.world.run(&["log", "--who", &shouted, "--json"]).expect(0).json();
        assert!(log["entries"].as_array().unwrap().iter().any(|e| e["kind"] == "group_create"), "{log}");
        // One leaves the nested group, and with it the scope; one joins it.
        let elsewhere = |m: &Member| [0, 2].iter().any(|g| directory.groups[*g].members.contains(m));
        let only_nested = nested.members.iter().find_map(|m| match m {
            Member::Person(i) if !elsewhere(m) && !directory.people[*i].locked => Some(*i),
            _ => None,
        });
        let leaver = &directory.people[only_nested.unwrap()];
        let joiner = directory.people.iter().find(|p| !team.contains(&p.uuid) && !p.locked).unwrap();
        let coded = |dn: &str| base64::engine::general_purpose::STANDARD.encode(dn);
        let what = format!("delete: member\nmember:: {}\n-\nadd: member\nmember:: {}\n", coded(&leaver.dn), coded(&joiner.dn));
        live.slapd.modify(&modify(&nested.dn, &what));
        let cycle = live.sync().expect(0).cycle();
        let now = |p: &Attributes| (in_scope(p) && p["entryuuid"][0] != leaver.uuid) || p["entryuuid"][0] == joiner.uuid;
        let now = live.snapshot().expected_of(true, &now).with_leavers_of(&wanted);
        now.expect(&live.held());
        let counts = changes(&cycle);
        assert_eq!((counts["create"], counts["deactivate"]), (1, 1), "{counts:?}");
        live.expect_quiet();
    }
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[test]
fn groups_of_every_kind_and_a_scope_of_groups() {
    let directory = directory(47, 200, 24, 600);
    let filter = format!("[sync.scope]\ngroups = 'cn sw \"app-\"'\n{GUARD}");
    let live = Live::start(&directory, Server::sandbox(), "", &filter);
    live.sync().expect(0);
    let all = live.snapshot().expected(true);
    let kept = |t: &Truth, keep: &dyn Fn(&str) -> bool| {
        let teams: BTreeMap<_, _> =
            t.teams.iter().filter(|(_, t)| keep(&t.display_name)).map(|(k, t)| (k.clone(), t.clone())).collect();
        Truth { accounts: t.accounts.clone(), teams }
    };
    let app = kept(&all, &|name| name.starts_with("app-"));
    // Members that come through groups which are out of scope are members all the same.
    app.expect(&live.held());
    live.expect_quiet();

    // The scope grows to all groups, then shrinks to other ones.
    live.configure(&live.slapd.ldaps_url, "", GUARD);
    live.sync().expect(0);
    all.expect(&live.held());
    for kind in [GroupKind::Names, GroupKind::UniqueNames, GroupKind::Posix] {
        let group = directory.groups.iter().find(|g| g.kind == kind).unwrap();
        assert!(!all.teams[&group.uuid].members.is_empty(), "{kind:?}");
    }
    live.configure(&live.slapd.ldaps_url, "", &filter.replace("cn sw \"app-\"", "cn sw \"team\""));
    let cycle = live.sync().expect(0).cycle();
    let teams = kept(&all, &|name| name.starts_with("Team"));
    teams.expect(&live.held());
    assert_eq!(changes(&cycle), expected(&[("group_delete", (all.teams.len() - teams.teams.len()) as u64)]));
    live.expect_quiet();
}

#[test]
fn a_group_nobody_in_scope_belongs_to_is_there_and_empty() {
    let mut directory = directory(53, 40, 4, 0);
    for (i, group) in directory.groups.iter_mut().enumerate() {
        group.members = (i * 10..i * 10 + 10).map(Member::Person).collect();
    }
    for (i, person) in directory.people.iter_mut().enumerate() {
        person.department = if i < 10 { "Out".to_owned() } else { "In".to_owned() };
    }
    for server in [Server::scim2(), Server::scimmy(), Some(Server::sandbox())].into_iter().flatten() {
        let live = Live::start(&directory, server, "", &format!("[sync.scope]\nusers = 'departmentNumber eq \"In\"'\n{GUARD}"));
        live.sync().expect(0);
        let wanted = live.snapshot().expected_of(true, &|p| one(p, "departmentnumber").as_deref() == Some("In"));
        assert!(wanted.teams[&directory.groups[0].uuid].members.is_empty());
        wanted.expect(&live.held());
        live.expect_quiet();
        // The whole of a group leaves the scope; the group stays, without members.
        let ten: Vec<String> = directory.people[20..30].iter().map(|p| p.uid.clone()).collect();
        set_department(&live, &ten, "Out");
        let cycle = live.sync().expect(0).cycle();
        assert_eq!(changes(&cycle), expected(&[("deactivate", 10), ("members_remove", 10)]));
        let now = live.snapshot().expected_of(true, &|p| one(p, "departmentnumber").as_deref() == Some("In"));
        now.with_leavers_of(&wanted).expect(&live.held());
        live.expect_quiet();
    }
}

#[test]
fn people_without_an_address_are_parked_and_locked_ones_never_made() {
    // The generator's own: every twentieth has no address, every fiftieth is locked.
    let directory = Directory::generate(59, 100, 6, 150);
    let live = Live::start(&directory, Server::sandbox(), "", "");
    let run = live.sync().expect(7);
    let cycle = run.cycle();
    assert_eq!(cycle["result"], "parked");
    let mut parked: Vec<&str> = cycle["parked"].as_array().unwrap().iter().map(|p| p["source_key"].as_str().unwrap()).collect();
    let mut without: Vec<&str> =
        directory.people.iter().filter(|p| p.mail.is_none() && !p.locked).map(|p| p.uuid.as_str()).collect();
    parked.sort_unstable();
    without.sort_unstable();
    assert_eq!(parked, without);
    for p in cycle["parked"].as_array().unwrap() {
        let text = format!("{} {}", p["reason"].as_str().unwrap(), p["advice"].as_str().unwrap());
        assert!(text.contains("mail"), "{text}");
    }
    live.snapshot().expected(true).expect(&live.held());
    // Nothing more is sent while they wait; an address lets one in.
    live.sync().expect(7);
    live.recorder.expect_silence();
    let person = directory.people.iter().find(|p| p.mail.is_none() && !p.locked).unwrap();
    live.slapd.modify(&modify(&person.dn, "add: mail\nmail: at.last@example.org\n"));
    let cycle = live.sync().expect(7).cycle();
    assert_eq!(changes(&cycle)["create"], 1);
    assert_eq!(cycle["parked"].as_array().unwrap().len(), without.len() - 1);
    live.snapshot().expected(true).expect(&live.held());
}
