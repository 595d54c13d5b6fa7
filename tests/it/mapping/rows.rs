//! Rows through the whole program: roles, unique values, tables, letter case, precedence.

use crate::support::switch::{Asked, Switch};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

pub(super) fn world(sandbox: &SandboxProcess, sync: &str, people: usize) -> (World, ScimReader) {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(people);
    (w, ScimReader::new(&sandbox.base_url, &sandbox.token))
}

pub(super) fn user(target: &ScimReader, w: &World, id: &str) -> Value {
    target.user(&w.people[id]["mail"].as_str().unwrap().to_lowercase()).unwrap()
}

fn roles(user: &Value) -> Vec<&str> {
    let mut found: Vec<&str> =
        user["roles"].as_array().into_iter().flatten().map(|role| role["value"].as_str().unwrap()).collect();
    found.sort_unstable();
    found
}

#[test]
fn roles_are_added_or_exactly_these() {
    for (function, after) in [
        ("AppRoleAssignmentsComplex", vec!["admin", "auditor", "reader"]),
        ("AssertiveAppRoleAssignmentsComplex", vec!["auditor", "reader"]),
    ] {
        let sandbox = SandboxProcess::start(&[]);
        let (mut w, target) = world(&sandbox, &format!("[sync.map.user]\nroles = \"{function}([appRoles])\"\n"), 3);
        w.set("p00000", "appRoles", json!(["reader", {"value": "admin", "displayName": "Administrator"}]));
        w.sync().expect(0);
        let jane = user(&target, &w, "p00000");
        assert_eq!(roles(&jane), ["admin", "reader"], "{jane}");
        assert!(jane["roles"].as_array().unwrap().iter().any(|r| r["display"] == "Administrator"), "{jane}");
        assert_eq!(roles(&user(&target, &w, "p00001")), Vec::<&str>::new());

        w.set("p00000", "appRoles", json!(["auditor", "reader"]));
        assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("update", 1)]));
        assert_eq!(roles(&user(&target, &w, "p00000")), after, "{function}");
        assert_eq!(changes(&w.run(&["sync", "--verify", "--json"]).expect(0).cycle()), expected(&[]), "{function}");
    }
}

#[test]
fn a_value_that_nobody_has_is_chosen_once() {
    let sandbox = SandboxProcess::start(&[]);
    let row = "[sync.map.user]\nnickName = 'SelectUniqueValue(ToLower([sn]), Append(ToLower([sn]), \"2\"))'\n";
    let (mut w, target) = world(&sandbox, row, 3);
    for id in ["p00000", "p00001", "p00002"] {
        w.set(id, "sn", "Doe");
    }
    let run = w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 2)]));
    let parked = run.cycle()["parked"][0].clone();
    assert_eq!(parked["source_key"], "p00002");
    assert!(parked["reason"].as_str().unwrap().contains("is taken: doe, doe2"), "{parked}");
    assert_eq!(user(&target, &w, "p00000")["nickName"], "doe");
    assert_eq!(user(&target, &w, "p00001")["nickName"], "doe2");

    // Whoever has one keeps it, also where the name changes.
    w.set("p00000", "sn", "Roe");
    w.set("p00002", "sn", "Poe");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 1), ("update", 1)]));
    assert_eq!(user(&target, &w, "p00000")["nickName"], "doe");
    assert_eq!(user(&target, &w, "p00002")["nickName"], "poe");
}

#[test]
fn a_unique_user_name_where_accounts_are_matched_by_external_id() {
    let sandbox = SandboxProcess::start(&[]);
    let row = "userName = 'SelectUniqueValue(ToLower([sn]), Append(ToLower([sn]), \"2\"))'\n";
    let (mut w, target) = world(&sandbox, &format!("[sync.map.user]\n{row}[sync.match]\nusers = [\"externalId\"]\n"), 2);
    for id in ["p00000", "p00001"] {
        w.set(id, "sn", "Doe");
    }
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 2)]));
    let names: Vec<String> = target.users_by_name().into_keys().collect();
    assert_eq!(names, ["doe", "doe2"]);
    assert_eq!(changes(&w.run(&["sync", "--verify", "--json"]).expect(0).cycle()), expected(&[]));

    // Matched by the name itself, nobody could ever be found again.
    w.configure(
        "type = \"file\"\npath = \"people.json\"",
        &sandbox.base_url,
        &sandbox.token,
        &format!("[sync.map.user]\n{row}"),
        "",
    );
    let errors = w.run(&["check", "--json"]).expect(3).json()["errors"].clone();
    assert!(errors[0]["message"].as_str().unwrap().contains("accounts are matched by userName"), "{errors}");
}

#[test]
fn a_changed_table_is_a_changed_mapping() {
    let sandbox = SandboxProcess::start(&[]);
    let sync = "[sync.map.user]\n\"addresses[type eq \\\"work\\\"].country\" = 'Lookup(\"countries\", [c])'\n\
                [lookup.countries]\npath = \"countries.csv\"\nkey_column = \"code\"\nvalue_column = \"name\"\n";
    let (mut w, target) = world(&sandbox, sync, 3);
    let write = |w: &World, text: &str| std::fs::write(w.path("countries.csv"), text).unwrap();
    for (id, code) in [("p00000", "dk"), ("p00001", "SE")] {
        w.set(id, "c", code);
    }
    write(&w, "name,code\nDanmark,DK\n\"Sverige\", SE \n");
    w.sync().expect(0);
    assert_eq!(user(&target, &w, "p00000")["addresses"][0]["country"], "Danmark");
    assert_eq!(user(&target, &w, "p00001")["addresses"][0]["country"], "Sverige");
    write(&w, "name,code\nDenmark,DK\nSverige,SE\n");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("update", 1)]));
    assert_eq!(user(&target, &w, "p00000")["addresses"][0]["country"], "Denmark");

    for (text, words) in [("name,code\nA,DK\nB,dk\n", "twice"), ("name,kode\nA,DK\n", "there is no column \"code\"")] {
        write(&w, text);
        let errors = w.run(&["check", "--json"]).expect(3).json()["errors"].clone();
        assert!(errors[0]["message"].as_str().unwrap().contains(words), "{errors}");
        assert!(errors[0]["line"].as_u64().unwrap() > 1, "{errors}");
        w.run(&["sync"]).expect(3);
    }
}

#[test]
fn letter_case_counts_unless_it_does_not() {
    let sandbox = SandboxProcess::start(&[]);
    let (mut w, target) =
        world(&sandbox, "[sync.map.user]\ntitle = { expr = \"[title]\", case_exact = false }\nnickName = \"[nick]\"\n", 2);
    w.set("p00000", "title", "Boss");
    w.set("p00000", "nick", "Boss");
    w.sync().expect(0);
    w.set("p00000", "title", "BOSS");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[]));
    w.set("p00000", "nick", "BOSS");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("update", 1)]));
    let jane = user(&target, &w, "p00000");
    assert_eq!((&jane["title"], &jane["nickName"]), (&json!("Boss"), &json!("BOSS")));
    w.set("p00000", "title", "Chief");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("update", 1)]));
}

/// A target that calls case exact what it keeps in lower case.
fn folds(sandbox: &SandboxProcess) -> Switch {
    let (switch, upstream) = (Switch::before(&sandbox.base_url), sandbox.base_url.clone());
    let http = reqwest::blocking::Client::new();
    switch.rule(move |asked: &Asked| {
        if asked.path.contains("/Schemas") {
            let names = ["userName", "externalId", "displayName", "active", "name", "emails"];
            let attributes = names.map(|name| json!({"name": name, "type": "string", "caseExact": true}));
            let schema = json!({"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": attributes});
            return Some((200, json!({"Resources": [schema]}).to_string()));
        }
        let (_, rest) = asked.path.split_once("/Users").filter(|_| asked.method == "GET")?;
        let answer = http.get(format!("{upstream}/Users{rest}")).header("authorization", &asked.authorization).send().unwrap();
        let status = answer.status().as_u16();
        let shown = answer.text().unwrap();
        Some((status, ["JANE", "Jane"].iter().fold(shown, |text, name| text.replace(name, "jane"))))
    });
    switch
}

#[test]
fn converges_a_target_that_folds_what_it_calls_case_exact_is_not_written_to_for_ever() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = folds(&sandbox);
    let rows = "[sync.user_id]\nlowercase = false\n[sync.map.user]\n";
    let mut w = World::new(&switch.url, &sandbox.token, rows, "");
    w.populate(1);
    let named = |w: &mut World, name: &str| {
        w.set("p00000", "mail", format!("{name}@corp.example"));
        w.set("p00000", "displayName", name);
        w.save();
    };
    let verified = |w: &World| changes(&w.run(&["sync", "--verify", "--json"]).expect(0).cycle());
    named(&mut w, "Jane");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 1)]));
    assert_eq!(verified(&w), expected(&[]));
    // Another spelling is wanted: that is written, once.
    named(&mut w, "JANE");
    assert_eq!(verified(&w).values().sum::<u64>(), 1);
    let kept = ScimReader::new(&sandbox.base_url, &sandbox.token).user("JANE@corp.example").unwrap();
    assert_eq!(kept["displayName"], "JANE");
    assert_eq!(verified(&w), expected(&[]));
    // Who writes that case counts means it.
    let source = "type = \"file\"\npath = \"people.json\"";
    let insists = format!("{rows}displayName = {{ expr = \"[displayName]\", case_exact = true }}\n");
    w.configure(source, &switch.url, &sandbox.token, &insists, "");
    assert_eq!(verified(&w), expected(&[("update", 1)]));
}

#[test]
fn rows_say_by_what_accounts_are_matched() {
    let sandbox = SandboxProcess::start(&[]);
    let map = "[sync.map.user]\nexternalId = { expr = \"[sourceKey]\", match = 1 }\n";
    let (w, _) =
        world(&sandbox, &format!("{map}\"emails[type eq \\\"work\\\"].value\" = {{ expr = \"[mail]\", match = 2 }}\n"), 2);
    w.run(&["check"]).expect(0);
    w.sync().expect(0);
    let source = "type = \"file\"\npath = \"people.json\"";
    w.configure(source, &sandbox.base_url, &sandbox.token, &format!("{map}[sync.match]\nusers = [\"userName\"]\n"), "");
    let errors = w.run(&["check", "--json"]).expect(3).json()["errors"].clone();
    assert_eq!(errors[0]["key"], "sync[0].match.users", "{errors}");
}
