//! `explain`: one person's or group's way; what it shows is what is sent, and nothing is written without `--apply`.
#![cfg(unix)]

mod applied;

use crate::support::admin::Admin;
use crate::support::recorder::Recorder;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::world::{SandboxProcess, ScimReader, World};
use scim_sync::state::lock::CycleLock;
use serde_json::{Value, json};
use std::time::Duration;

const PEOPLE: &str = "type = \"file\"\npath = \"people.json\"";

/// One that is found.
#[track_caller]
fn explain(w: &World, who: &str) -> Value {
    w.save();
    let doc = w.run(&["explain", who, "--json"]).expect(0).json();
    let found = doc["found"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{who}: {doc}");
    found[0].clone()
}

fn world(sandbox: &SandboxProcess, sync: &str, people: usize) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(people);
    w
}

#[test]
fn plan_writes_nothing_explain_neither_and_it_shows_every_step() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, "", 3);
    // Before the first cycle: nobody knows anything yet, and it is all there.
    let new = explain(&w, "p00001@corp.example");
    assert_eq!((&new["state"], &new["object"], &new["source_key"]), (&json!("new"), &json!("user"), &json!("p00001")));
    assert_eq!(new["match"], json!({"by": null, "target_ids": []}));
    assert_eq!((&new["request"]["method"], &new["request"]["path"]), (&json!("POST"), &json!("/Users")));
    assert_eq!(new["request"]["body"]["userName"], "p00001@corp.example");
    assert_eq!((&new["scope"]["in"], &new["scope"]["clauses"], &new["journal"]), (&json!(true), &json!([]), &json!([])));
    assert_eq!(new["entry"]["department"], "Sales");
    let row = |found: &Value, path: &str| {
        found["mapping"].as_array().unwrap().iter().find(|m| m["path"] == path).cloned().unwrap_or_else(|| panic!("{found}"))
    };
    let name = row(&new, "name.familyName");
    assert_eq!((&name["value"], name["expr"].as_str().unwrap().is_empty()), (&json!("Family p00001"), false));
    assert_eq!(row(&new, "userName")["inputs"]["userId"], "p00001@corp.example");
    assert_eq!((sandbox.writes(), w.path("state.db").exists()), (0, false));

    w.sync().expect(0);
    let linked = explain(&w, "P00001");
    assert_eq!((&linked["state"], &linked["request"], &linked["match"]["by"]), (&json!("linked"), &Value::Null, &json!("link")));
    assert_eq!(linked["journal"][0]["kind"], "create");
    sandbox.reset_counters();
    // Also while a cycle runs, and by every name.
    let lock = CycleLock::take(&w.path("state.db"), Duration::ZERO).unwrap();
    w.set("p00001", "sAMAccountName", "jdoe");
    w.set("p00001", "userPrincipalName", "jdoe@corp.local");
    w.set("p00001", "proxyAddresses", json!(["SMTP:p00001@corp.example", "smtp:alias@corp.example"]));
    let id = linked["match"]["target_ids"][0].as_str().unwrap().to_owned();
    for who in ["p00001", "JDOE", "CORP\\jdoe", "jdoe@corp.local", "alias@corp.example", "given p00001 family", id.as_str()] {
        assert_eq!(explain(&w, who)["source_key"], "p00001", "{who}");
    }
    assert_eq!(sandbox.writes(), 0);
    drop(lock);
    let text = w.run(&["explain", "jdoe"]).expect(0).stdout;
    for needed in ["linked", "mapping", "scope: takes part", "by link", "create"] {
        assert!(text.contains(needed), "{needed}: {text}");
    }
    // The name at the target, which nobody of the directory has.
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert!(target.user("p00001@corp.example").is_some());
    Admin::of(&sandbox).set(&id, &json!({"userName": "by.hand@corp.example"}));
    let drifted = explain(&w, "by.hand@corp.example");
    assert_eq!(drifted["source_key"], "p00001");
    assert_eq!(drifted["request"]["method"], "PATCH", "as a look at the target shows: {drifted}");
}

#[test]
fn the_request_is_exactly_what_goes_out() {
    let check = |url: &str, token: &str, target: &str| {
        let front = Recorder::start(url);
        let mut w = World::new(&front.url, token, "", target);
        w.populate(3);
        let sent = |w: &World, who: &str| {
            let shown = explain(w, who)["request"].clone();
            front.clear();
            w.sync().expect(0);
            let writes = front.writes();
            assert_eq!(writes.len(), 1, "{writes:?}");
            let real = json!({"method": writes[0].method, "path": writes[0].path, "body": writes[0].body});
            assert_eq!(shown, real);
        };
        w.sync().expect(0);
        w.join("new");
        sent(&w, "new@corp.example");
        w.set("p00000", "displayName", "Changed");
        w.set("p00000", "mail", "moved@corp.example");
        sent(&w, "p00000");
        w.leave("p00001");
        sent(&w, "p00001");
        w.group("g", &["p00000"]);
        w.sync().expect(0);
        w.group("g", &["p00000", "p00002"]);
        sent(&w, "Group g");
        w.group("g", &["p00002"]);
        sent(&w, "g");
    };
    for target in ["", "patch = false"] {
        let sandbox = SandboxProcess::start(&[]);
        check(&sandbox.base_url, &sandbox.token, target);
    }
    if let Some(server) = ScimServer::scim2() {
        check(server.url.as_str(), TOKEN, "");
    }
}

#[test]
fn the_scope_is_told_clause_by_clause() {
    let scope = "[sync.scope]\nusers = 'department eq \"Sales\" and displayName pr and not (title sw \"Temp\")'\n\
                 members_of = [\"Group in\"]\n";
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, scope, 3);
    w.set("p00001", "title", "Temporary help");
    w.group("in", &["p00000", "p00001"]);
    w.sync().expect(0);
    let out = explain(&w, "p00001");
    assert_eq!((&out["state"], &out["request"], &out["scope"]["in"]), (&json!("out_of_scope"), &Value::Null, &json!(false)));
    let active = out["mapping"].as_array().unwrap().iter().find(|m| m["path"] == "active").unwrap();
    assert_eq!((&active["inputs"]["IsSoftDeleted"], &active["value"]), (&json!("True"), &json!(false)), "{out}");
    let clauses = out["scope"]["clauses"].as_array().unwrap();
    assert_eq!(clauses.len(), 4, "{out}");
    assert_eq!(clauses[0]["holds"], true);
    assert_eq!((&clauses[2]["value"], &clauses[2]["holds"]), (&json!("Temporary help"), &json!(false)), "with its `not`");
    assert!(clauses[2]["clause"].as_str().unwrap().starts_with("not ("), "{out}");
    assert_eq!((&clauses[3]["value"], &clauses[3]["holds"]), (&json!("member"), &json!(true)));
    let not_member = explain(&w, "p00002");
    assert_eq!((&not_member["state"], &not_member["scope"]["clauses"][3]["holds"]), (&json!("out_of_scope"), &json!(false)));
    // A group with a member outside the scope.
    let group = explain(&w, "Group in");
    assert_eq!(
        (&group["object"], &group["state"], &group["members"]["take_part"]),
        (&json!("group"), &json!("linked"), &json!(1))
    );
    assert_eq!(
        group["members"]["left_out"],
        json!([{"who": "p00001@corp.example", "source_key": "p00001", "why": "out of scope"}])
    );
    let text = w.run(&["explain", "Group in"]).expect(0).stdout;
    assert!(text.contains("takes no part: p00001@corp.example  out of scope"), "{text}");
}

#[test]
fn no_guess_parked_ones_say_why_and_what_to_do() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, "", 4);
    w.sync().expect(0);
    w.join("twin-1");
    w.join("twin-2");
    w.set("twin-2", "mail", "Twin-1@corp.example");
    w.join("nameless");
    w.people.get_mut("nameless").unwrap().remove("mail");
    let admin = Admin::of(&sandbox);
    for name in ["double-1", "double-2"] {
        admin.create(&json!({"userName": name, "emails": [{"type": "work", "value": "double@corp.example"}]}));
    }
    w.join("double");
    w.save();
    w.run(&["sync", "--verify"]).expect(7);
    let say = |who: &str| {
        let found = explain(&w, who);
        assert_eq!((&found["state"], &found["request"]), (&json!("parked"), &Value::Null), "{found}");
        (found["parked"][0]["reason"].as_str().unwrap().to_owned(), found)
    };
    assert!(say("twin-1").0.contains("Twin-1@corp.example (source key twin-2)"), "who the other one is");
    assert!(say("nameless").0.contains("userName"));
    let (why, double) = say("double");
    assert!(why.contains("2 accounts match"), "{why}");
    assert_eq!((&double["match"]["by"], double["match"]["target_ids"].as_array().unwrap().len()), (&json!("emails.value"), 2));
    // Refused by the target itself.
    let sandbox = SandboxProcess::start(&["--refuse", "Unwanted"]);
    let mut w = world(&sandbox, "", 1);
    w.set("p00000", "displayName", "Unwanted");
    w.sync().expect(7);
    let refused = explain(&w, "p00000");
    assert_eq!((&refused["state"], &refused["parked"][0]["kind"]), (&json!("parked"), &json!("create")), "{refused}");
    // In a group they take no part, and no request says that they do.
    w.join("p00001");
    w.group("g", &["p00000", "p00001"]);
    w.sync().expect(7);
    let group = explain(&w, "Group g");
    assert_eq!((&group["members"]["take_part"], &group["request"]), (&json!(1), &Value::Null), "{group}");
    assert!(group["members"]["left_out"][0]["why"].as_str().unwrap().starts_with("parked: "), "{group}");
}

#[test]
fn leavers_and_held_ones_are_found_too() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, "", 40);
    w.sync().expect(0);
    w.leave("p00000");
    w.set("p00001", "disabled", true);
    w.sync().expect(0);
    let gone = explain(&w, "p00000@corp.example");
    assert_eq!((&gone["state"], &gone["scope"]["in"], &gone["request"]), (&json!("deleted"), &json!(false), &Value::Null));
    assert_eq!(gone["entry"]["department"], "Sales", "as it was last");
    for id in 10..20 {
        w.leave(&format!("p{id:05}"));
    }
    w.sync().expect(6);
    let held = explain(&w, "p00012");
    assert_eq!(held["state"], "held");
    assert!(held["held"][0]["reason"].as_str().unwrap().contains("guard.source_shrink"), "{held}");
    assert_eq!(held["request"]["method"], "PATCH", "what waits: {held}");
}

#[test]
fn no_secret_leaks_hidden_values_are_not_shown() {
    let map = "[sync.map.user]\nnickName = \"[initialPassword]\"\n";
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, map, 1);
    w.set("p00000", "initialPassword", "hunter2-secret");
    w.set("p00000", "userPassword", "{SSHA}also-secret");
    w.save();
    for args in [vec!["explain", "p00000", "--json"], vec!["explain", "p00000", "-v"]] {
        let run = w.run(&args).expect(0);
        for secret in ["hunter2-secret", "also-secret", sandbox.token.as_str()] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{secret}: {}", run.stdout);
        }
        assert!(run.stdout.contains("(hidden)"), "{}", run.stdout);
    }
}

#[test]
fn who_is_not_there_is_said_with_the_nearest() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, "", 3);
    let run = {
        w.save();
        w.run(&["explain", "p0000x@corp.example", "--json"]).expect(2)
    };
    assert_eq!(run.json()["found"], json!([]));
    assert!(run.json()["nearest"].as_array().unwrap().contains(&json!("p00001@corp.example")), "{}", run.stdout);
    assert!(run.stderr.contains("did you mean"), "{}", run.stderr);
    w.run(&["explain", "p00001", "--sync", "nosuch"]).expect(2);
    // Two of one name are both shown.
    w.set("p00001", "displayName", "The Same");
    w.set("p00002", "displayName", "the same");
    w.save();
    let both = w.run(&["explain", "The Same", "--json"]).expect(0).json();
    assert_eq!(both["found"].as_array().unwrap().len(), 2);
    // A directory that does not answer: what is kept is shown, and it is said.
    w.sync().expect(0);
    std::fs::remove_file(w.path("people.json")).unwrap();
    let run = w.run(&["explain", "p00001", "--json"]).expect(4);
    assert_eq!(run.json()["found"][0]["state"], "linked", "{}", run.stdout);
    w.configure(PEOPLE, "http://127.0.0.1:9/scim", &sandbox.token, "", "");
    w.save();
    let run = w.run(&["explain", "p00001", "--json"]).expect(5);
    assert_eq!(run.json()["found"][0]["source_key"], "p00001", "{}", run.stdout);
}

/// A scope may ask for it by another name than `Redact` does.
#[test]
fn no_secret_leaks_a_hidden_attribute_is_hidden_by_its_aliases_too() {
    let sandbox = SandboxProcess::start(&[]);
    let map = "[sync.scope]\nusers = 'mailNickname pr'\n[sync.map.user]\ntitle = 'Redact([sAMAccountName])'\nnickName = '[mailNickname]'";
    let mut w = world(&sandbox, map, 1);
    w.set("p00000", "sAMAccountName", "hush-hush");
    let found = explain(&w, "p00000");
    assert_eq!(found["scope"]["clauses"][0]["value"], "(hidden)", "{found}");
    let nick = found["mapping"].as_array().unwrap().iter().find(|m| m["path"] == "nickName").unwrap();
    assert_eq!(nick["inputs"]["mailNickname"], "(hidden)", "{nick}");
    assert_eq!(found["entry"]["sAMAccountName"], "(hidden)");
}
