//! The target or the source is another one: noticed before the first write, and links moved one to one.
#![cfg(unix)]

use crate::support::admin::{Admin, id};
use crate::support::settled::{assert_as_desired, assert_quiet};
use crate::support::switch::Switch;
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use base64::Engine as _;
use scim_sync::state::lock::CycleLock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PEOPLE: &str = "type = \"file\"\npath = \"people.json\"";

fn world(sandbox: &SandboxProcess, n: usize) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(n);
    w.sync().expect(0);
    w
}

/// Exit 5 by every command that would look or write, words that say what to do, not one write.
#[track_caller]
fn assert_refused(w: &World, there: &SandboxProcess, words: &str) {
    there.reset_counters();
    for command in [vec!["plan"], vec!["sync"], vec!["sync", "--full", "--verify"], vec!["accounts"]] {
        let run = w.run(&command);
        assert_eq!(run.code, 5, "{command:?}: {}\n{}", run.stdout, run.stderr);
        for needed in [words, "do not read back as recorded", "Nothing was written", "scim-sync link"] {
            assert!(run.stderr.contains(needed), "{command:?}: {needed:?} is not said: {}", run.stderr);
        }
    }
    assert_eq!(there.writes(), 0);
}

// ---- the target ---------------------------------------------------------------------------------------------------------

#[test]
fn own_only_an_address_that_leads_to_another_server_is_noticed_at_once() {
    let sandbox = SandboxProcess::start(&[]);
    let (empty, others) = (SandboxProcess::start(&[]), SandboxProcess::start(&[]));
    for i in 0..30 {
        Admin::of(&others).create(&json!({"userName": format!("p{i:05}@corp.example"), "externalId": format!("p{i:05}")}));
    }
    let mut w = world(&sandbox, 20);
    for there in [&empty, &others] {
        w.configure(PEOPLE, &there.base_url, &there.token, "", "");
        // Nobody changed at the source, and still it is said.
        assert_refused(&w, there, "its address changed from http://");
        w.join(&format!("new-{}", there.base_url.len() + usize::from(there.base_url == empty.base_url)));
        w.leave(w.people.keys().next().unwrap().clone().as_str());
        w.save();
        assert_refused(&w, there, "its address changed from http://");
        // The right one again: it goes on as if nothing had been.
        w.configure(PEOPLE, &sandbox.base_url, &sandbox.token, "", "");
        w.sync().expect(0);
        assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
        assert_quiet(&w, &sandbox);
    }
    assert_eq!((empty.stats()["users"].as_u64(), others.stats()["users"].as_u64()), (Some(0), Some(30)));
}

/// One address for many tenants: who one is, the token says.
#[test]
fn own_only_the_token_of_another_tenant_is_noticed() {
    let (ours, theirs) = (SandboxProcess::start(&[]), SandboxProcess::start(&[]));
    for i in 0..30 {
        Admin::of(&theirs).create(&json!({"userName": format!("p{i:05}@corp.example")}));
    }
    let front = Switch::before(&ours.base_url);
    let (base, token) = (theirs.base_url.clone(), theirs.token.clone());
    let http = reqwest::blocking::Client::new();
    front.rule(move |asked| {
        if asked.authorization != "Bearer tenant-two" {
            return None;
        }
        let path = asked.path.trim_start_matches("/scim/v2").to_owned();
        let method = reqwest::Method::from_bytes(asked.method.as_bytes()).unwrap();
        let sent = http.request(method, format!("{base}{path}")).bearer_auth(&token).body(asked.body.clone()).send().unwrap();
        Some((sent.status().as_u16(), sent.text().unwrap()))
    });
    let mut w = World::new(&front.url, &ours.token, "", "");
    w.populate(20);
    w.sync().expect(0);
    w.write_secret("token", "tenant-two");
    assert_refused(&w, &theirs, "its credential changed");
    w.leave("p00001");
    w.save();
    assert_refused(&w, &theirs, "its credential changed");
    assert_eq!(theirs.stats()["users"].as_u64(), Some(30));
    w.write_secret("token", &ours.token);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
}

/// The same application under another address: recognised by its accounts, also where some were renamed or removed by hand.
#[test]
fn an_application_that_moved_with_its_accounts_goes_on_and_is_asked_how_it_speaks() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 20);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let admin = Admin::of(&sandbox);
    for i in 0..12 {
        let account = id(&target.user(&format!("p{i:05}@corp.example")).unwrap());
        admin.set(&account, &json!({"userName": format!("by-hand-{i}@corp.example")}));
    }
    // Behind the new address there is no PATCH any more.
    let moved = Switch::before(&sandbox.base_url);
    let methods = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&methods);
    moved.rule(move |asked| {
        seen.lock().unwrap().push(asked.method.clone());
        match (asked.method.as_str(), asked.path.ends_with("/ServiceProviderConfig")) {
            ("GET", true) => {
                Some((200, json!({"patch": {"supported": false}, "filter": {"supported": true, "maxResults": 200}}).to_string()))
            }
            ("PATCH", _) => Some((501, json!({"status": "501", "detail": "no PATCH here"}).to_string())),
            _ => None,
        }
    });
    w.configure(PEOPLE, &moved.url, &sandbox.token, "", "");
    w.sync().expect(0);
    w.set("p00015", "displayName", "After The Move");
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("update", 1)]), "{}", run.stdout);
    let methods = methods.lock().unwrap();
    assert!(
        methods.iter().any(|m| m == "PUT") && methods.iter().all(|m| m != "PATCH"),
        "what was learned of the old address is void"
    );
    assert_eq!(target.user("p00015@corp.example").unwrap()["displayName"], "After The Move");
}

#[test]
fn own_only_half_of_the_accounts_gone_is_the_limit() {
    let mut sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 10);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let all: Vec<String> = target.users().iter().map(id).collect();
    for gone in &all[..5] {
        Admin::of(&sandbox).delete(gone);
    }
    sandbox.set_token("second");
    w.write_secret("token", "second");
    w.run(&["plan"]).expect(0);
    Admin::of(&sandbox).delete(&all[5]);
    let run = w.run(&["plan"]).expect(5);
    assert!(run.stderr.contains("6 of 10 accounts"), "{}", run.stderr);
}

// ---- the source ---------------------------------------------------------------------------------------------------------

/// objectGUID of somebody, as Active Directory shows it, and as Entra keeps it.
fn guid(i: usize) -> (String, String) {
    let octets: [u8; 16] = std::array::from_fn(|n| u8::try_from((i * 31 + n * 7 + 1) % 256).unwrap());
    let text = uuid::Uuid::from_bytes_le(octets).hyphenated().to_string();
    (text, base64::engine::general_purpose::STANDARD.encode(octets))
}

/// 30 people and two groups out of AD, in step; then the configuration names Entra's export, with new keys for all.
fn exchanged(sandbox: &SandboxProcess) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(30);
    for i in 0..30 {
        let person = w.people.remove(&format!("p{i:05}")).unwrap();
        w.people.insert(guid(i).0, person);
        w.set(&guid(i).0, "employeeID", format!("{}", 1000 + i));
    }
    w.group("sales", &[&guid(1).0, &guid(2).0, &guid(3).0]);
    w.group("all", &(0..30).map(|i| guid(i).0).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
    w.sync().expect(0);
    let old = std::mem::take(&mut w.people);
    for i in 0..30 {
        let mut person = old[&guid(i).0].clone();
        person.insert("onPremisesImmutableId".into(), json!(guid(i).1));
        w.people.insert(format!("entra-{i:03}"), person);
    }
    let groups = std::mem::take(&mut w.groups);
    for (key, (name, members)) in groups {
        let ids = |m: &String| format!("entra-{:03}", (0..30).find(|i| guid(*i).0 == *m).unwrap());
        w.groups.insert(format!("entra-{key}"), (name, members.iter().map(ids).collect()));
    }
    w.save();
    w
}

fn accounts(target: &ScimReader) -> BTreeMap<String, String> {
    target.users().iter().map(|u| (u["userName"].as_str().unwrap().to_owned(), id(u))).collect()
}

/// `relink`, then a cycle: the same accounts, nobody created, nobody deactivated, memberships untouched.
fn relinked_by(by: &str) {
    let sandbox = SandboxProcess::start(&[]);
    let w = exchanged(&sandbox);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let (before, members) = (accounts(&target), target.memberships());
    sandbox.reset_counters();
    let stored = std::fs::read(w.path("state.db")).unwrap();
    let dry = w.run(&["relink", "s", "--by", by, "--json"]).expect(0).json()["relink"].clone();
    assert_eq!((dry["applied"].as_bool(), dry["moves"].as_array().unwrap().len()), (Some(false), 32), "{dry}");
    assert_eq!((&dry["left_links"], &dry["left_entries"]), (&json!([]), &json!([])));
    assert!(std::fs::read(w.path("state.db")).unwrap() == stored, "looking changes nothing");
    let digest = dry["digest"].as_str().unwrap();
    let wrong = w.run(&["relink", "s", "--by", by, "--yes", "--expect", "sha256:00"]).expect(11);
    assert!(wrong.stderr.contains("the world moved"), "{}", wrong.stderr);
    let done = w.run(&["relink", "s", "--by", by, "--yes", "--expect", digest, "--reason", "AD goes", "--json"]).expect(0).json();
    assert_eq!((&done["relink"]["applied"], &done["relink"]["digest"]), (&json!(true), &json!(digest)));
    assert_eq!(sandbox.requests(), 0, "the target is not asked");
    let run = w.sync().expect(0);
    let counts = run.cycle()["counts"].clone();
    for never in
        ["create", "adopt", "deactivate", "reactivate", "delete", "group_create", "group_delete", "members_add", "members_remove"]
    {
        assert_eq!(counts[never], 0, "{never}: {counts}");
    }
    assert_eq!(accounts(&target), before);
    assert_eq!(target.memberships(), members);
    assert_as_desired(&w, &target);
    assert_quiet(&w, &sandbox);
    // Made by us before, made by us still.
    let links = w.run(&["link", "list", "--json"]).expect(0).json();
    assert!(
        links["links"]
            .as_array()
            .unwrap()
            .iter()
            .all(|l| l["origin"] == "created" && l["source_key"].as_str().unwrap().starts_with("entra-"))
    );
    let log = w.run(&["log", "--json"]).expect(0).json();
    assert_eq!(
        log["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "relink" && e["approval_reason"] == "AD goes").count(),
        32
    );
}

#[test]
fn rename_is_rename_all_links_move_by_immutable_id() {
    relinked_by("[onPremisesImmutableId]");
}

#[test]
fn rename_is_rename_all_links_move_by_an_attribute_that_both_have() {
    relinked_by("[employeeID]");
}

/// Somebody ran a cycle with the new source before thinking of it: the guard held it, and the links still move.
#[test]
fn one_account_per_person_links_move_also_after_a_cycle_with_the_new_source() {
    let sandbox = SandboxProcess::start(&[]);
    let w = exchanged(&sandbox);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let before = accounts(&target);
    let run = w.run(&["sync", "--json"]);
    assert!([6, 7].contains(&run.code), "{}: {}", run.code, run.stdout);
    assert_eq!(accounts(&target), before, "held, and nobody made twice");
    let done = w.run(&["relink", "s", "--by", "[onPremisesImmutableId]", "--yes", "--json"]).expect(0).json();
    assert_eq!(done["relink"]["moves"].as_array().unwrap().iter().filter(|m| m["object"] == "user").count(), 30, "{done}");
    w.sync();
    let run = w.sync();
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert_eq!(accounts(&target), before);
    assert_as_desired(&w, &target);
    assert_quiet(&w, &sandbox);
}

#[test]
fn no_guess_what_is_not_one_to_one_is_left_and_listed() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = exchanged(&sandbox);
    // Left meanwhile; came meanwhile; two who claim to be one; without a value.
    w.leave("entra-000");
    w.join("entra-new");
    let same = guid(2).1;
    w.set("entra-001", "onPremisesImmutableId", same);
    w.set("entra-003", "onPremisesImmutableId", "");
    w.save();
    let done = w.run(&["relink", "s", "--by", "[onPremisesImmutableId]", "--yes", "--json"]).expect(0).json()["relink"].clone();
    let keys = |list: &Value| -> Vec<(String, bool)> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|l| (l["source_key"].as_str().unwrap().to_owned(), l["ambiguous"].as_bool().unwrap()))
            .collect()
    };
    assert_eq!(done["moves"].as_array().unwrap().len(), 32 - 4, "{done}");
    let mut left = keys(&done["left_links"]);
    let mut wanted: Vec<(String, bool)> = [0, 1, 2, 3].map(|i| (guid(i).0, i == 2)).to_vec();
    left.sort();
    wanted.sort();
    assert_eq!(left, wanted);
    let mut new = keys(&done["left_entries"]);
    new.sort();
    let of = |k: &str, several| (k.to_owned(), several);
    assert_eq!(new, [of("entra-001", true), of("entra-002", true), of("entra-003", false), of("entra-new", false)]);
    // What follows is an ordinary cycle under the guard: nobody gets a second account.
    let users = sandbox.stats()["users"].as_u64().unwrap();
    w.sync();
    assert_eq!(sandbox.stats()["users"].as_u64().unwrap(), users + 1, "only the one who came");
}

#[test]
fn relink_takes_its_turn_and_changes_nothing_without_a_pair() {
    let sandbox = SandboxProcess::start(&[]);
    let w = exchanged(&sandbox);
    let none = w.run(&["relink", "s", "--by", "[telephoneNumber]", "--json"]).expect(0).json();
    // Groups are met by their names; people by nothing.
    assert_eq!(none["relink"]["moves"].as_array().unwrap().len(), 2, "{none}");
    w.run(&["relink", "s", "--by", "Oops("]).expect(2);
    w.run(&["relink", "s"]).expect(2);
    w.run(&["relink", "t", "--by", "[x]"]).expect(2);
    let lock = CycleLock::take(&w.path("state.db"), Duration::ZERO).unwrap();
    w.run(&["relink", "s", "--by", "[employeeID]", "--yes"]).expect(8);
    w.run(&["relink", "s", "--by", "[employeeID]"]).expect(0);
    drop(lock);
    std::fs::write(w.path("people.json"), "{").unwrap();
    w.run(&["relink", "s", "--by", "[employeeID]", "--yes"]).expect(4);
    let text = w.run(&["link", "list"]).expect(0).stdout;
    assert!(!text.contains("entra-"), "{text}");
}

// ---- everybody, after a lost store ----------------------------------------------------------------------------------------

/// So many people in groups of 50, in step; the store is lost; the next cycle links everybody anew. How long that took.
fn relinked_after_a_lost_store(people: usize) -> Duration {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(people);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    for (n, members) in ids.chunks(50).enumerate() {
        w.group(&format!("g{n:04}"), &members.iter().map(String::as_str).collect::<Vec<_>>());
    }
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let (before, members) = (accounts(&target), target.memberships());
    for name in ["state.db", "state.db-wal", "state.db-shm", "state.db.cycle"] {
        let _ = std::fs::remove_file(w.path(name));
    }
    // Some changed meanwhile, one came, and one left: their account matches nobody any more.
    for id in ids.iter().step_by(97) {
        w.set(id, "displayName", "Changed Meanwhile");
    }
    w.leave(&ids[1]);
    w.join("newcomer");
    w.save();
    let began = std::time::Instant::now();
    let run = w.run(&["sync", "--json"]).expect(0);
    let took = began.elapsed();
    let (adopted, groups) = (people as u64 - 1, people.div_ceil(50) as u64);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 1), ("adopt", adopted), ("group_adopt", groups)]));
    let mut after = accounts(&target);
    assert!(after.remove("newcomer@corp.example").is_some());
    assert_eq!(after.len(), before.len());
    assert!(after == before, "the very accounts");
    assert!(target.memberships() == members, "memberships are as they were");
    assert_quiet(&w, &sandbox);
    took
}

#[test]
fn one_account_per_person_everybody_is_relinked_after_a_lost_store() {
    relinked_after_a_lost_store(1500);
}

/// Only in release builds (`cargo test --release --test it scale_`).
#[test]
fn scale_relink_forty_thousand_people_within_ten_minutes() {
    if crate::support::measure::too_slow() {
        return;
    }
    let took = relinked_after_a_lost_store(40_000);
    println!("40,000 people relinked in {:.1} s", took.as_secs_f64());
    assert!(took < Duration::from_secs(600), "{took:?}");
}
