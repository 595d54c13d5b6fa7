//! People stay the same people: rehired under a new entry, taken over from other provisioning, moved to another source.
#![cfg(unix)]

use crate::support::admin::{Admin, id};
use crate::support::settled::{assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const REHIRE: &str = "[sync.match]\nrehire = \"employeeNumber\"\n[sync.guard]\nminimum = 1000\nrename = \"unlimited\"\n\
    [sync.map.user]\nnickName = \"[employeeNumber]\"\n";

fn world(sandbox: &SandboxProcess, sync: &str, people: usize) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(people);
    for i in 0..people {
        w.set(&format!("p{i:05}"), "employeeNumber", format!("E{i}"));
    }
    w.group("g", &["p00000", "p00001", "p00002"]);
    w
}

/// Under another id, with another address if asked for.
fn comes_back(w: &mut World, new: &str, number: &str, mail: Option<&str>) {
    w.join(new);
    w.set(new, "employeeNumber", number);
    if let Some(mail) = mail {
        w.set(new, "mail", mail);
    }
}

#[test]
fn one_account_per_person_who_is_rehired_gets_the_old_account() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = world(&sandbox, REHIRE, 6);
    w.sync().expect(0);
    let of = |name: &str| target.user(name).unwrap();
    let (first, second) = (id(&of("p00000@corp.example")), id(&of("p00001@corp.example")));
    // One left some time ago; one is replaced by a new entry within one read, and keeps the groups.
    w.leave("p00000");
    w.sync().expect(0);
    assert_eq!(of("p00000@corp.example")["active"], false);
    comes_back(&mut w, "again-0", "e0 ", Some("p.zero@corp.example"));
    w.leave("p00001");
    comes_back(&mut w, "again-1", "E1", Some("p00001@corp.example"));
    w.group("g", &["again-0", "again-1", "p00002"]);
    let plan = w.plan().expect(0).plan();
    let reactivated = plan["changes"].as_array().unwrap().iter().find(|c| c["kind"] == "reactivate").unwrap();
    assert!(reactivated["reason"].as_str().unwrap().contains("p00000@corp.example had it who left"), "{plan}");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("reactivate", 1), ("update", 1), ("members_add", 1)]), "{cycle}");
    let (zero, one) = (of("p.zero@corp.example"), of("p00001@corp.example"));
    assert_eq!((id(&zero), id(&one)), (first, second), "the same accounts");
    assert_eq!((&zero["active"], &zero["externalId"], &one["externalId"]), (&json!(true), &json!("again-0"), &json!("again-1")));
    assert_eq!(target.users().len(), 6);
    assert_as_desired(&w, &target);
    assert_quiet(&w, &sandbox);
    let log = w.run(&["log", "--who", "again-0", "--json"]).expect(0).stdout;
    assert!(log.contains("match.rehire") && log.contains("relink"), "{log}");
}

#[test]
fn no_guess_who_may_be_one_of_several_is_parked_and_the_address_alone_is_no_proof() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = world(&sandbox, REHIRE, 6);
    w.set("p00004", "employeeNumber", "E3");
    w.sync().expect(0);
    for gone in ["p00003", "p00004", "p00005"] {
        w.leave(gone);
    }
    w.sync().expect(0);
    // Two left with one number; two come with one number; and one comes with an address that somebody had.
    comes_back(&mut w, "twice-left", "E3", None);
    comes_back(&mut w, "same-1", "E5", None);
    comes_back(&mut w, "same-2", "E5", None);
    comes_back(&mut w, "address", "E77", Some("p00003@corp.example"));
    let cycle = w.sync().expect(7).cycle();
    assert!(changes(&cycle).is_empty(), "{cycle}");
    let mut parked: Vec<(&str, &str)> = cycle["parked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["source_key"].as_str().unwrap(), p["advice"].as_str().unwrap()))
        .collect();
    parked.sort_unstable();
    let keys: Vec<&str> = parked.iter().map(|(k, _)| *k).collect();
    assert_eq!(keys, ["address", "same-1", "same-2", "twice-left"]);
    assert!(parked.iter().all(|(_, advice)| advice.contains("link")), "{parked:?}");
    assert_eq!(target.users().len(), 6);
    // By hand it goes on.
    let account = id(&target.user("p00003@corp.example").unwrap());
    w.run(&["link", "drop", "s", "p00003"]).expect(0);
    w.run(&["link", "set", "s", "address", &account]).expect(0);
    w.sync().expect(7);
    assert_eq!(target.user("p00003@corp.example").unwrap()["externalId"], "address");
}

/// Entra's provisioning wrote mailNickname to externalId, and named accounts by UPN.
#[test]
fn accounts_of_other_provisioning_are_taken_over() {
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let admin = Admin::of(&sandbox);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.match]\nlegacy_external_id = [\"mailNickname\"]\n", "");
    w.populate(3);
    for i in 0..3 {
        w.set(&format!("p{i:05}"), "mailNickname", format!("nick{i}"));
    }
    let by_name = admin.create(&json!({"userName": "p00000@corp.example", "externalId": "nick0", "active": true}));
    let by_legacy = admin.create(&json!({"userName": "first.one@corp.local", "externalId": "nick1", "active": true}));
    let foreign = admin.create(&json!({"userName": "p00002@corp.example", "externalId": "another", "active": true}));
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("adopt", 2)]), "{cycle}");
    let first = admin.get(&by_legacy);
    assert_eq!((&first["userName"], &first["externalId"]), (&json!("p00001@corp.example"), &json!("p00001")));
    assert_eq!(admin.get(&by_name)["externalId"], "p00000");
    assert_eq!(admin.get(&foreign)["externalId"], "another", "somebody else's");
    assert_eq!(target.users().len(), 3);
    let found = w.run(&["explain", "p00002", "--json"]).expect(0).json()["found"][0].clone();
    assert_eq!((&found["state"], &found["match"]["target_ids"]), (&json!("parked"), &json!([foreign])));
}

fn guid(i: usize) -> (String, String) {
    let octets = (0x1357_9bdf_0246_8ace_u128 * (i as u128 + 1)).to_le_bytes();
    let text = uuid::Uuid::from_bytes_le(octets).hyphenated().to_string();
    (text, base64::engine::general_purpose::STANDARD.encode(octets))
}

/// The directory is exchanged: 2,000 people under other ids, 20 of them known by their number only, 5 gone.
#[test]
fn one_account_per_person_two_thousand_move_to_another_directory() {
    const PEOPLE: usize = 2_000;
    let sandbox = SandboxProcess::start(&[]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    for i in 0..PEOPLE {
        let key = guid(i).0;
        w.join(&key);
        w.set(&key, "mail", format!("p{i:05}@corp.example"));
        w.set(&key, "employeeNumber", format!("{}", 10_000 + i));
    }
    w.group("sales", &(0..50).map(|i| guid(i).0).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
    w.sync().expect(0);
    let accounts = || -> BTreeMap<String, String> {
        target.users().iter().map(|u| (u["userName"].as_str().unwrap().to_owned(), id(u))).collect()
    };
    let (before, members) = (accounts(), target.memberships());
    let old = std::mem::take(&mut w.people);
    w.groups.clear();
    for i in 0..PEOPLE - 5 {
        let mut person = old[&guid(i).0].clone();
        if i % 100 != 7 {
            person.insert("onPremisesImmutableId".into(), json!(guid(i).1));
        }
        w.people.insert(format!("entra-{i:05}"), person);
    }
    w.group(
        "entra-sales",
        &(0..50).map(|i| format!("entra-{i:05}")).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(),
    );
    w.groups.get_mut("entra-sales").unwrap().0 = "Group sales".into();
    w.save();
    let by = "Coalesce([onPremisesImmutableId], [employeeNumber])";
    let doc = w.run(&["relink", "s", "--by", by, "--yes", "--json"]).expect(0).json()["relink"].clone();
    let count = |list: &Value| list.as_array().unwrap().len();
    assert_eq!((count(&doc["moves"]), count(&doc["left_links"]), count(&doc["left_entries"])), (PEOPLE - 5 + 1, 5, 0));
    let how = |by: &str| doc["moves"].as_array().unwrap().iter().filter(|m| m["by"] == by).count();
    assert_eq!((how("key"), how("value"), how("name")), (PEOPLE - 25, 20, 1));
    let cycle = w.sync().expect(0).cycle();
    let mut done = changes(&cycle);
    done.remove("update");
    done.remove("group_update");
    assert_eq!(done, expected(&[("deactivate", 5)]), "nobody else: {cycle}");
    assert_eq!((accounts(), target.memberships()), (before, members));
    assert_quiet(&w, &sandbox);
}
