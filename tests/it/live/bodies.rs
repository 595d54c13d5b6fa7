//! Every body that is sent is judged by two implementations that are not ours: scim2-models (Python) and scim_v2 (Rust).

use super::{Live, Server, directory};
use crate::support::recorder::Recorded;
use crate::support::truth::Attributes;
use crate::support::world::changes;
use scim_v2::filter::{Filter, PatchPath};
use scim_v2::models::others::PatchOp;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Attributes of every shape: simple, complex, elements by a value filter, an extension; some are cleared when empty.
const MAPPING: &str = r#"
[sync.guard]
deactivate = "unlimited"
rename = "unlimited"
[sync.map.user]
title = { expr = "[title]", when_null = "clear" }
preferredLanguage = '"da"'
"name.formatted" = '[cn]'
"phoneNumbers[type eq \"work\"].value" = { expr = "[telephoneNumber]", when_null = "clear" }
"addresses[type eq \"work\"].locality" = { expr = "[l]", when_null = "clear" }
"addresses[type eq \"work\"].formatted" = { expr = "[street]", when_null = "clear" }
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" = { expr = "[departmentNumber]", when_null = "clear" }
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber" = "[employeeNumber]"
"#;

/// Verdicts of scim2-models, one for each request; `None` where Python is not there.
fn judged_by_scim2_models(requests: &[Recorded]) -> Option<Vec<Value>> {
    let python = std::env::var("SCIM_SYNC_TEST_PYTHON").ok().filter(|p| !p.is_empty())?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools/judge_bodies.py");
    let mut lines = tempfile::NamedTempFile::new().unwrap();
    for r in requests {
        writeln!(lines, "{}", json!({"method": r.method, "collection": r.collection(), "body": r.body})).unwrap();
    }
    let input = Stdio::from(std::fs::File::open(lines.path()).unwrap());
    let out = Command::new(python).arg(script).stdin(input).stderr(Stdio::inherit()).output().unwrap();
    assert!(out.status.success());
    let text = String::from_utf8(out.stdout).unwrap();
    Some(text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["error"].clone()).collect())
}

/// The `filter` of a query.
fn filter_of(r: &Recorded) -> Option<String> {
    let url = url::Url::parse("http://x").unwrap().join(&r.path).unwrap();
    url.query_pairs().find(|(k, _)| k == "filter").map(|(_, v)| v.into_owned())
}

fn judged_by_scim_v2(r: &Recorded) {
    if let Some(filter) = filter_of(r) {
        filter.parse::<Filter>().unwrap_or_else(|e| panic!("filter {filter}: {e}"));
    }
    if r.method == "PATCH" {
        serde_json::from_value::<PatchOp>(r.body.clone()).unwrap_or_else(|e| panic!("{e}: {}", r.body));
        for path in r.body["Operations"].as_array().unwrap().iter().filter_map(|o| o["path"].as_str()) {
            path.parse::<PatchPath>().unwrap_or_else(|e| panic!("path {path}: {e}"));
        }
    }
}

#[track_caller]
fn judge(requests: &[Recorded]) {
    requests.iter().for_each(judged_by_scim_v2);
    let writes: Vec<Recorded> = requests.iter().filter(|r| r.writes()).cloned().collect();
    for (r, error) in writes.iter().zip(judged_by_scim2_models(&writes).unwrap_or_default()) {
        assert!(error.is_null(), "{} {}: {}\n{error}", r.method, r.path, r.body);
    }
}

fn post(server: &Server, body: &Value) {
    let url = format!("{}/Users", server.url());
    let answer = reqwest::blocking::Client::new().post(url).bearer_auth(server.token()).json(body).send().unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().unwrap());
}

fn account(name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "active": true,
        "emails": [{"value": name, "type": "home"}], "phoneNumbers": [{"value": "+1 555", "type": "mobile"}],
    })
}

fn modify(dn: &str, what: &str) -> String {
    use base64::Engine as _;
    format!("dn:: {}\nchangetype: modify\n{what}\n", base64::engine::general_purpose::STANDARD.encode(dn))
}

/// A story with a change of every kind, in four cycles.
fn every_body_is_well_formed(server: Server) {
    let directory = directory(31, 60, 8, 120);
    let live = Live::start(&directory, server, "", MAPPING);
    let people = &directory.people;
    let mail = |i: usize| people[i].mail.clone().unwrap();
    // Accounts that are adopted; one of them under the name in other letters.
    post(&live.server, &account(&mail(2)));
    post(&live.server, &account(&mail(3).to_uppercase()));
    let mut sent = Vec::new();
    let mut cycle = |code: i32| {
        let cycle = live.sync().expect(code).cycle();
        sent.extend(live.recorder.requests());
        changes(&cycle)
    };
    let first = cycle(0);
    assert_eq!((first["adopt"], first["create"]), (2, 57));

    // Changed, cleared and new values; an account made behind our back; somebody locked.
    let bind = "ou=people,dc=example,dc=org";
    post(&live.server, &account("late@example.org"));
    let mut ldif =
        modify(&people[5].dn, "replace: title\ntitle: New \"title\" \\ here\n-\ndelete: l\n-\ndelete: telephoneNumber\n");
    ldif += &modify(&people[6].dn, "delete: title\n-\ndelete: departmentNumber\n-\nadd: street\nstreet: Street 1\n");
    ldif += &modify(&people[7].dn, "replace: mail\nmail: someone.else@example.org\n-\nreplace: sn\nsn: O'New, \"Name\"\n");
    ldif += &modify(&people[8].dn, "replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n");
    ldif += &modify(&people[3].dn, "delete: l\n-\nreplace: telephoneNumber\ntelephoneNumber: +45 1234\n");
    ldif += &format!(
        "dn: uid=late,{bind}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: late\ncn: Late\nsn: Late\nmail: late@example.org\n\n"
    );
    ldif += &modify(&directory.groups[3].dn, &format!("add: member\nmember: uid=late,{bind}\n"));
    live.slapd.modify(&ldif);
    let second = cycle(0);
    assert_eq!((second["adopt"], second["rename"], second["update"], second["deactivate"]), (1, 1, 3, 1), "{second:?}");

    // Back again; a group renamed and one gone.
    let mut ldif = modify(&people[8].dn, "delete: pwdAccountLockedTime\n");
    ldif += &modify(&people[5].dn, "add: l\nl: 東京 \"x\"\n-\nadd: telephoneNumber\ntelephoneNumber: +45 9\n");
    ldif += &modify(&people[6].dn, "delete: street\n-\ndelete: l\n-\nadd: departmentNumber\ndepartmentNumber: R&D\n");
    let gone = &directory.groups[7].dn;
    for (group, attribute) in live.snapshot().groups_with(gone) {
        ldif += &modify(&group, &format!("delete: {attribute}\n{attribute}: {gone}\n"));
    }
    ldif += &format!("dn: {gone}\nchangetype: delete\n\n");
    live.slapd.modify(&ldif);
    let third = cycle(0);
    assert_eq!((third["reactivate"], third["update"], third["group_delete"]), (1, 2, 1), "{third:?}");

    // The target is read and repaired: a member and a value were changed there by hand.
    let user = live.reader.user(&mail(10)).unwrap();
    let url = format!("{}/Users/{}", live.server.url(), user["id"].as_str().unwrap());
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "displayName", "value": "By Hand"}, {"op": "replace", "path": "active", "value": false}]});
    reqwest::blocking::Client::new().patch(url).bearer_auth(live.server.token()).json(&patch).send().unwrap();
    live.recorder.clear();
    let repaired = live.world.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    sent.extend(live.recorder.requests());
    assert_eq!(changes(&repaired), [("reactivate".to_owned(), 1)].into(), "{repaired}");
    live.expect_quiet();

    judge(&sent);
    let kinds: std::collections::BTreeSet<String> = sent.iter().filter(|r| r.writes()).map(Recorded::kind).collect();
    for kind in ["POST Users", "PATCH Users", "POST Groups", "PATCH Groups", "DELETE Groups"] {
        assert!(kinds.contains(kind), "{kind} was not judged: {kinds:?}");
    }
    assert!(sent.iter().any(|r| filter_of(r).is_some()), "no filter was judged");
    expect_values(&live, &people.iter().map(|p| live.snapshot().person(&p.uid).clone()).collect::<Vec<_>>());
}

/// What the mapping says is what the target holds.
fn expect_values(live: &Live, people: &[Attributes]) {
    let users = live.reader.users_by_name();
    let first = |p: &Attributes, name: &str| p.get(name).map_or(Value::Null, |v| json!(v[0]));
    let work = |u: &Value, attribute: &str, sub: &str| {
        let elements = u[attribute].as_array().cloned().unwrap_or_default();
        elements.iter().find(|e| e["type"] == "work").map_or(Value::Null, |e| e[sub].clone())
    };
    for p in people.iter().filter(|p| !p.contains_key("pwdaccountlockedtime")) {
        let u = &users[&p["mail"][0].to_lowercase()];
        let extension = &u["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"];
        assert_eq!(u["title"], first(p, "title"), "{u}");
        assert_eq!(u["name"]["formatted"], first(p, "cn"));
        assert_eq!(u["name"]["familyName"], first(p, "sn"));
        assert_eq!(work(u, "phoneNumbers", "value"), first(p, "telephonenumber"), "{u}");
        assert_eq!(work(u, "addresses", "locality"), first(p, "l"), "{u}");
        assert_eq!(work(u, "addresses", "formatted"), first(p, "street"), "{u}");
        assert_eq!(extension["department"], first(p, "departmentnumber"), "{u}");
        assert_eq!(extension["employeeNumber"], first(p, "employeenumber"));
        assert_eq!(u["active"], true);
    }
    // What an adopted account had besides is still there.
    let adopted = live.reader.user(&people[2]["mail"][0]).unwrap();
    assert!(
        adopted["phoneNumbers"].to_string().contains("+1 555") && adopted["emails"].to_string().contains("home"),
        "{adopted}"
    );
}

#[test]
fn every_body_is_well_formed_for_scim2_server() {
    if let Some(server) = Server::scim2() {
        every_body_is_well_formed(server);
    }
}

#[test]
fn every_body_is_well_formed_for_scimmy() {
    if let Some(server) = Server::scimmy() {
        every_body_is_well_formed(server);
    }
}

#[test]
fn every_body_is_well_formed_for_the_sandbox() {
    every_body_is_well_formed(Server::sandbox());
}

#[test]
fn the_judges_do_judge() {
    let patch = |operation: Value| Recorded {
        method: "PATCH".to_owned(),
        path: "/Users/1".to_owned(),
        body: json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}),
        status: 200,
        at: std::time::Instant::now(),
    };
    let bad = [
        json!({"op": "replace", "path": "emails[type eq work].value", "value": "x"}),
        json!({"op": "replace", "path": "name.givenNames", "value": "x"}),
        json!({"op": "Replace", "path": "displayName", "value": "x"}),
        json!({"op": "replace", "path": "active", "value": "True"}),
        json!({"op": "remove"}),
    ];
    let requests: Vec<Recorded> = bad.into_iter().map(patch).collect();
    if let Some(verdicts) = judged_by_scim2_models(&requests) {
        assert!(verdicts.len() == 5 && verdicts.iter().all(Value::is_string), "{verdicts:?}");
    }
    assert!("emails[type eq work].value".parse::<PatchPath>().is_err() && "userName eq x y".parse::<Filter>().is_err());
}
