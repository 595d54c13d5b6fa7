//! `accounts` and `link`: who is whose at the target, looked at and mended by hand.
#![cfg(unix)]

use crate::support::admin::{Admin, id};
use crate::support::settled::assert_quiet;
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use scim_sync::state::lock::CycleLock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

struct Scene {
    sandbox: SandboxProcess,
    admin: Admin,
    target: ScimReader,
    w: World,
}

fn scene(n: usize, sync: &str) -> Scene {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(n);
    let (admin, target) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    Scene { sandbox, admin, target, w }
}

/// userName -> (class, why) of `accounts --json`.
fn classes(w: &World) -> BTreeMap<String, (String, String)> {
    w.save();
    let run = w.run(&["accounts", "s", "--json"]).expect(0).json();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    run["accounts"].as_array().unwrap().iter().map(|a| (text(&a["user_name"]), (text(&a["class"]), text(&a["why"])))).collect()
}

fn links(w: &World) -> Vec<Value> {
    w.run(&["link", "list", "--json"]).expect(0).json()["links"].as_array().unwrap().clone()
}

#[test]
fn every_account_is_in_a_class() {
    let mut s = scene(
        40,
        "[sync.scope]\nusers = 'not (department eq \"Out\")'\n[sync.guard]\nprotected = [\"admin@corp.example\", \"p00005@corp.example\"]",
    );
    s.w.set("p00006", "department", "Out");
    s.admin.create(&json!({"userName": "p00001@corp.example"}));
    s.w.sync().expect(0);
    // Behind its back, and at the source.
    s.admin.create(&json!({"userName": "admin@corp.example"}));
    s.admin.create(&json!({"userName": "orphan@corp.example", "externalId": "left-long-ago", "active": false}));
    s.admin.create(&json!({"userName": "p00006@corp.example"}));
    s.admin.create(&json!({"userName": "new@corp.example"}));
    s.admin.create(&json!({"userName": "taken@corp.example", "externalId": "somebody-else"}));
    for n in ["a", "b"] {
        s.admin.create(&json!({"userName": n, "emails": [{"value": "twice@corp.example"}]}));
    }
    s.w.join("new");
    s.w.join("taken");
    s.w.join("twice");
    s.w.set("p00002", "active", false);
    s.w.leave("p00003");
    s.w.set("p00004", "department", "Out");
    s.sandbox.reset_counters();
    let before = std::fs::read(s.w.path("state.db")).unwrap();
    let lock = CycleLock::take(&s.w.path("state.db"), Duration::ZERO).unwrap();
    let got = classes(&s.w);
    drop(lock);
    for (name, class, why) in [
        ("p00000@corp.example", "linked", "scim-sync made it"),
        ("p00001@corp.example", "linked", "adopted"),
        ("p00002@corp.example", "disabled", "disabled at the source"),
        ("p00003@corp.example", "disabled", "gone from the directory"),
        ("p00004@corp.example", "disabled", "out of scope"),
        ("p00005@corp.example", "protected", "p00005@corp.example"),
        ("admin@corp.example", "protected", "admin@corp.example"),
        ("orphan@corp.example", "orphan", "left-long-ago"),
        ("p00006@corp.example", "matched", "out of scope"),
        ("new@corp.example", "matched", "adopts it"),
        ("taken@corp.example", "foreign", "somebody-else"),
        ("a", "foreign", "2 accounts match"),
        ("b", "foreign", "2 accounts match"),
    ] {
        let (is, said) = &got[name];
        assert!(is == class && said.contains(why), "{name}: {is}, {said}");
    }
    assert_eq!(got.len(), s.target.users().len());
    assert_eq!(s.sandbox.writes(), 0);
    assert!(std::fs::read(s.w.path("state.db")).unwrap() == before, "nothing is stored");

    let run = s.w.run(&["accounts", "--class", "orphan", "--json"]).expect(0).json();
    assert_eq!(run["accounts"].as_array().unwrap().len(), 1);
    let a = &run["accounts"][0];
    assert_eq!((&a["sync"], &a["active"], &a["who"], &a["source_key"]), (&json!("s"), &json!(false), &Value::Null, &Value::Null));
    assert_eq!(run["counts"], json!({"linked": 35, "disabled": 3, "matched": 2, "orphan": 1, "foreign": 3, "protected": 2}));
    let text = s.w.run(&["accounts", "--class", "foreign"]).expect(0).stdout;
    assert!(text.contains("taken@corp.example") && !text.contains("p00000") && text.contains("1 orphan"), "{text}");
    s.w.run(&["accounts", "--class", "odd"]).expect(2);
    s.w.run(&["accounts", "nobody"]).expect(2);
}

#[test]
fn another_syncs_accounts_are_foreign() {
    let s = scene(3, "");
    s.w.sync().expect(0);
    std::fs::write(
        s.w.path("other.json"),
        json!({"users": [{"id": "p00000", "mail": "p00000@corp.example"}], "groups": []}).to_string(),
    )
    .unwrap();
    let config = std::fs::read_to_string(s.w.path("config.toml")).unwrap();
    // The same application under another name in the configuration is the same application.
    let more = format!(
        "{config}\n[source.two]\ntype = \"file\"\npath = \"other.json\"\n[target.again]\nurl = \"{}/\"\ntoken = {{ file = \"token\" }}\n\
         [[sync]]\nname = \"t\"\nsource = \"two\"\ntarget = \"again\"\n",
        s.sandbox.base_url
    );
    std::fs::write(s.w.path("config.toml"), more).unwrap();
    s.sandbox.reset_counters();
    let run = s.w.run(&["sync", "t", "--json"]).expect(7);
    assert!(run.cycle()["parked"][0]["reason"].as_str().unwrap().contains("by the sync s"), "own_only: {}", run.stdout);
    assert_eq!(s.sandbox.writes(), 0);
    let run = s.w.run(&["accounts", "t", "--json"]).expect(0).json();
    assert_eq!(run["counts"]["foreign"], 3, "{run}");
    assert!(run["accounts"][0]["why"].as_str().unwrap().contains("the sync s"));
    let one = id(&s.target.user("p00000@corp.example").unwrap());
    let run = s.w.run(&["link", "set", "t", "p00000", &one]).expect(2);
    assert!(run.stderr.contains("by the sync s"), "{}", run.stderr);
    s.w.run(&["accounts"]).expect(2);
}

#[test]
fn accounts_are_listed_before_the_first_cycle() {
    let s = scene(2, "");
    s.admin.create(&json!({"userName": "p00000@corp.example"}));
    s.admin.create(&json!({"userName": "old"}));
    let got = classes(&s.w);
    assert_eq!((got["p00000@corp.example"].0.as_str(), got["old"].0.as_str()), ("matched", "orphan"));
    assert!(!s.w.path("state.db").exists());
    assert_eq!(links(&s.w), Vec::<Value>::new());
}

#[test]
fn links_are_listed_and_exported() {
    let mut s = scene(12, "");
    s.w.group("g", &["p00001"]);
    s.admin.create(&json!({"userName": "p00001@corp.example"}));
    s.w.sync().expect(0);
    s.w.leave("p00002");
    s.w.sync().expect(0);
    let all = links(&s.w);
    assert_eq!(all.len(), 13);
    let of = |key: &str| all.iter().find(|l| l["source_key"] == key).unwrap();
    assert_eq!((&of("p00001")["origin"], &of("p00000")["origin"]), (&json!("adopted"), &json!("created")));
    assert_eq!((&of("p00002")["active"], &of("p00002")["in_directory"]), (&json!(false), &json!(false)));
    assert_eq!((&of("g")["object"], &of("g")["name"]), (&json!("group"), &json!("group g")));
    let one = s.w.run(&["link", "list", "s", "--who", "P00003@Corp.Example", "--json"]).expect(0).json();
    assert_eq!(one["links"].as_array().unwrap().len(), 1);
    s.w.run(&["link", "list", "nobody"]).expect(2);

    s.w.run(&["link", "export", "links.json"]).expect(0);
    let file: Value = serde_json::from_slice(&std::fs::read(s.w.path("links.json")).unwrap()).unwrap();
    assert_eq!(file["links"], json!(all));
    assert_eq!(s.w.run(&["link", "export", "links.csv", "--json"]).expect(0).json()["links"], 13);
    let csv = std::fs::read_to_string(s.w.path("links.csv")).unwrap();
    assert_eq!(csv.lines().count(), 14);
    assert!(csv.starts_with("sync,object,who,source_key,target_id,"), "{csv}");
    s.w.run(&["link", "export", "links.xlsx"]).expect(2);
}

#[test]
fn a_link_is_set_by_hand_and_the_next_cycle_writes_what_differs() {
    let s = scene(3, "");
    let odd = s.admin.create(&json!({"userName": "jane-at-work", "externalId": "legacy-7", "displayName": "Jane"}));
    s.w.save();
    s.w.sync().expect(0);
    // p00000 got an account of its own; the right one is the odd one.
    let own = id(&s.target.user("p00000@corp.example").unwrap());
    s.sandbox.reset_counters();
    let run = s.w.run(&["link", "set", "s", "p00000@corp.example", &odd, "--reason", "same person", "--json"]).expect(0).json();
    assert_eq!(run["link"]["before"], json!(own));
    assert_eq!(run["link"]["foreign_external_id"], "legacy-7");
    assert_eq!(s.sandbox.writes(), 0, "the next cycle writes");
    s.admin.delete(&own);
    let cycle = s.w.sync().expect(0).cycle();
    assert_eq!(cycle["counts"]["create"], 0, "{cycle}");
    let now = s.admin.get(&odd);
    assert_eq!((&now["userName"], &now["externalId"]), (&json!("p00000@corp.example"), &json!("p00000")));
    assert_quiet(&s.w, &s.sandbox);
    let log = s.w.run(&["log", "--who", "p00000", "--json"]).expect(0).json();
    let line = log["entries"].as_array().unwrap().iter().find(|e| e["kind"] == "link").unwrap().clone();
    assert_eq!((&line["cycle"], &line["approval_reason"], &line["status"]), (&json!(0), &json!("same person"), &json!("done")));
    assert!(line["approved_by"].as_str().is_some_and(|b| !b.is_empty()));
    let linked = links(&s.w);
    assert_eq!(linked.iter().find(|l| l["source_key"] == "p00000").unwrap()["origin"], "adopted", "never deleted by us");
}

#[test]
fn own_only_a_link_cannot_be_set_to_what_is_not_there_or_somebody_elses() {
    let mut s = scene(4, "");
    s.w.groups.insert("namesake".to_owned(), ("p00003@corp.example".to_owned(), Vec::new()));
    s.w.sync().expect(0);
    let theirs = id(&s.target.user("p00001@corp.example").unwrap());
    let free = s.admin.create(&json!({"userName": "free"}));
    let before = links(&s.w);
    for (who, account, words) in [
        ("p00000", "no-such-id", "there is no account"),
        ("p00000", theirs.as_str(), "linked to p00001 already"),
        ("nobody", free.as_str(), "nobody in the directory"),
        ("p00003@corp.example", free.as_str(), "names several"),
        ("p00000", "..", ""),
    ] {
        let run = s.w.run(&["link", "set", "s", who, account]);
        assert!([2, 5].contains(&run.code) && run.stderr.contains(words), "{who} {account}: {} {}", run.code, run.stderr);
    }
    let lock = CycleLock::take(&s.w.path("state.db"), Duration::ZERO).unwrap();
    s.w.run(&["link", "set", "s", "p00000", &free]).expect(8);
    s.w.run(&["link", "drop", "s", "p00000"]).expect(8);
    drop(lock);
    assert_eq!(links(&s.w), before);
    // Another application altogether: not one link is set there.
    let other = SandboxProcess::start(&[]);
    let there = Admin::of(&other).create(&json!({"userName": "p00000@corp.example"}));
    s.w.configure("type = \"file\"\npath = \"people.json\"", &other.base_url, &other.token, "", "");
    s.w.run(&["link", "set", "s", "p00000", &there]).expect(5);
    assert_eq!(links(&s.w), before);
}

/// Rehired under a new source key: the account that is linked to the old one is moved by hand.
#[test]
fn one_account_per_person_a_dropped_link_is_matched_anew() {
    let mut s = scene(8, "");
    s.w.group("g", &["p00000", "p00001"]);
    s.w.sync().expect(0);
    let account = id(&s.target.user("p00000@corp.example").unwrap());
    s.sandbox.reset_counters();
    s.w.run(&["link", "drop", "s", "p00000", "--reason", "try"]).expect(0);
    assert_eq!(s.sandbox.requests(), 0);
    assert_eq!(links(&s.w).len(), 8);
    s.w.run(&["link", "drop", "s", "p00000"]).expect(2);
    // Memberships are known by the link; said again, they do no harm.
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("adopt", 1), ("members_add", 1)]));
    assert_quiet(&s.w, &s.sandbox);
    assert_eq!(s.target.memberships()["Group g"].len(), 2);

    s.w.leave("p00000");
    s.w.sync().expect(0);
    s.w.join("rehired");
    s.w.set("rehired", "mail", "p00000@corp.example");
    let run = s.w.sync().expect(7);
    assert_eq!(run.cycle()["counts"]["create"], 0, "{}", run.stdout);
    let refused = s.w.run(&["link", "set", "s", "rehired", &account]).expect(2);
    assert!(refused.stderr.contains("left the directory") && refused.stderr.contains("link drop"), "{}", refused.stderr);
    s.w.run(&["link", "drop", "s", "p00000"]).expect(0);
    s.w.run(&["link", "set", "s", "rehired", &account]).expect(0);
    let cycle = s.w.sync().expect(0).cycle();
    assert_eq!((&cycle["counts"]["create"], &cycle["counts"]["reactivate"]), (&json!(0), &json!(1)), "{cycle}");
    let now = s.admin.get(&account);
    assert_eq!((&now["active"], &now["externalId"]), (&json!(true), &json!("rehired")));
    assert_eq!(s.target.users().len(), 8);
    assert_quiet(&s.w, &s.sandbox);
}

#[test]
fn a_groups_link_is_mended_too() {
    let mut s = scene(3, "");
    s.w.group("g", &["p00000"]);
    let other = s.admin.create_group("The Real One", &[]);
    s.w.sync().expect(0);
    s.w.run(&["link", "set", "s", "Group g", &other]).expect(0);
    s.w.sync().expect(0);
    let real = s.target.groups().into_iter().find(|g| g["id"] == json!(other)).unwrap();
    assert_eq!(real["displayName"], "Group g");
    assert_eq!(real["members"].as_array().unwrap().len(), 1);
    s.w.sync().expect(0);
    assert_quiet(&s.w, &s.sandbox);
}

/// The sync gets another name in the configuration: told, and everything goes with it.
#[test]
fn one_account_per_person_a_sync_that_is_renamed_keeps_its_links() {
    let mut s = scene(15, "");
    s.w.group("g", &["p00001"]);
    s.w.sync().expect(0);
    let before = links(&s.w).len();
    let config = std::fs::read_to_string(s.w.path("config.toml")).unwrap();
    s.w.run(&["link", "rename", "s", "better"]).expect(2);
    s.w.run(&["link", "rename", "s", "s"]).expect(2);
    std::fs::write(s.w.path("config.toml"), config.replace("name = \"s\"", "name = \"better\"")).unwrap();
    let run = s.w.sync().expect(7);
    assert!(run.stderr.contains("scim-sync link rename s better"), "{}", run.stderr);
    assert_eq!(run.cycle()["parked"].as_array().unwrap().len(), 16, "own_only");
    s.w.run(&["link", "rename", "nobody", "better"]).expect(2);
    let done = s.w.run(&["link", "rename", "s", "better", "--json"]).expect(0).json();
    assert_eq!(done["links"], json!(before));
    assert_quiet(&s.w, &s.sandbox);
    assert_eq!(links(&s.w).len(), before);
    let log = s.w.run(&["log", "--json"]).expect(0).json();
    let log = log["entries"].as_array().unwrap();
    assert!(
        log.iter().all(|e| e["sync"] == "better")
            && log.iter().any(|e| e["kind"] == "create")
            && log.iter().any(|e| e["status"] == "parked")
    );
    // A new one under the old name would take nothing over.
    s.w.run(&["link", "rename", "s", "better"]).expect(2);
}

/// What a migration has put on record of accounts under old names ends with the person's account, and with the person.
#[test]
fn an_account_under_an_old_name_is_of_those_who_may_still_get_it() {
    let mut s = scene(6, "");
    let account = s.admin.create(&json!({"userName": "jdoe"}));
    for id in ["xa", "xb", "xc", "xgone"] {
        s.w.join(id);
        s.w.set(id, "mail", format!("{id} has none"));
    }
    s.w.sync().expect(7);
    s.w.leave("xgone");
    s.w.sync().expect(7);
    let claims = |of: &[&str]| {
        let c = rusqlite::Connection::open(s.w.path("state.db")).unwrap();
        c.execute("DELETE FROM claim", []).unwrap();
        for key in of {
            let sql = "INSERT INTO claim (entry_id, target_id, sync_id, name, reason, advice, settled)
                       SELECT id, ?1, sync_id, 'jdoe', 'may be theirs', '', 1 FROM entry WHERE key = ?2";
            assert_eq!(c.execute(sql, [&account, *key]).unwrap(), 1, "{key}");
        }
        drop(c);
        classes(&s.w)["jdoe"].clone()
    };
    for (of, class, why) in [
        (&["p00001", "xgone"][..], "orphan", "nobody in the directory matches"),
        (&["p00001", "xb", "xgone"], "matched", "no link; xb has none: may be theirs"),
        (&["xa", "xb"], "matched", "xa has none and 1 other: may"),
        (&["xa", "xb", "xc"], "matched", "xa has none and 2 others: may"),
    ] {
        let (is, says) = claims(of);
        assert!(is == class && says.contains(why), "{of:?}: {is}, {says}");
    }
}
