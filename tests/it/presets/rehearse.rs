//! `rehearse`: what would be refused, without touching anything.

use super::{Known, account, parked, says};
use crate::support::admin::Admin;
use crate::support::switch::{Asked, Switch};
use crate::support::world::{SandboxProcess, World, changes};
use serde_json::json;

#[test]
fn a_rehearsal_says_what_would_be_refused_and_touches_nothing() {
    let known = Known::start("mews", &[], "");
    let admin = Admin::of(&known.sandbox);
    admin.create(&account(&known.mail(0), "Anna", "Andersen"));
    admin.create_group(&known.directory.groups[0].cn, &[]);
    known.modify(2, "givenName", None);
    known.sandbox.reset_counters();

    let run = known.world.run(&["rehearse", "s", "--json"]).expect(7);
    let r = &run.json()["rehearsals"][0];
    assert_eq!((&r["sync"], &r["application"]), (&json!("s"), &json!("Mews")));
    assert_eq!(r["copied"], json!({"users": 1, "groups": 1, "left_out": []}));
    assert_eq!((changes(r)["create"], changes(r)["adopt"], changes(r)["group_adopt"]), (198, 1, 1));
    let refused = json!({"parked": r["refused"]});
    says(&parked(&refused, &known.mail(2))["reason"], &["Mews makes no account without name.givenName"]);
    assert_eq!(known.sandbox.writes(), 0, "nothing is written at the target");
    assert!(!known.world.path("state.db").exists(), "nor stored");
    let text = known.world.run(&["rehearse"]).expect(7);
    assert!(text.stdout.contains("rehearsed against a copy of Mews with 1 accounts and 1 groups"), "{}", text.stdout);

    // With accounts that are linked: only what changed since.
    known.sync().expect(7);
    known.modify(5, "mail", Some("other.name@example.org"));
    known.modify(6, "sn", Some("Changed"));
    known.sandbox.reset_counters();
    let before = std::fs::read(known.world.path("state.db")).unwrap();
    let run = known.world.run(&["rehearse", "--json"]).expect(7);
    let r = &run.json()["rehearsals"][0];
    assert_eq!(changes(r), [("update".to_owned(), 1)].into(), "{r}");
    let refused = json!({"parked": r["refused"]});
    says(&parked(&refused, "other.name@example.org")["reason"], &["Mews cannot change an email: "]);
    assert_eq!(known.sandbox.writes(), 0);
    assert_eq!(std::fs::read(known.world.path("state.db")).unwrap(), before);
}

#[test]
fn sources_and_targets_that_fail_are_told() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, "wrong", "", "");
    w.populate(3);
    w.save();
    let r = w.run(&["rehearse", "--json"]).expect(5).json();
    says(&r["rehearsals"][0]["error"]["message"], &["401"]);
    w.write_secret("token", &sandbox.token);
    std::fs::remove_file(w.path("people.json")).unwrap();
    w.run(&["rehearse", "--json"]).expect(4);
    w.save();
    let run = w.run(&["rehearse"]).expect(0);
    assert!(run.stdout.contains("nothing would be refused"), "{}", run.stdout);
    assert_eq!(sandbox.writes(), 0);
}

/// What the target announces and the sandbox does not have is no refusal of the target's.
#[test]
fn extensions_that_the_target_announces_are_not_refused_in_its_name() {
    const HR: &str = "urn:acme:params:scim:schemas:extension:hr:1.0:User";
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, &format!("[sync.map.user]\n\"{HR}:site\" = \"[department]\""), "");
    w.populate(3);
    w.save();
    let user = json!({"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": [
        {"name": "userName", "type": "string"}, {"name": "displayName", "type": "string"}, {"name": "active", "type": "boolean"},
    ]});
    let schemas = json!({"Resources": [user, {"id": HR, "attributes": [{"name": "site", "type": "string"}]}]}).to_string();
    let there = json!({"totalResults": 1, "Resources": [{
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", HR], "id": "7", "userName": "p00001@corp.example", HR: {"site": "x"},
    }]});
    let there = there.to_string();
    switch.rule(move |asked: &Asked| match asked.path.as_str() {
        path if path.ends_with("/Schemas") => Some((200, schemas.clone())),
        path if path.contains("/Users?") => Some((200, there.clone())),
        _ => None,
    });
    let run = w.run(&["rehearse", "--json"]).expect(0);
    let r = &run.json()["rehearsals"][0];
    assert_eq!((&r["refused"], &r["copied"]), (&json!([]), &json!({"users": 1, "groups": 0, "left_out": []})), "{r}");
    assert_eq!((changes(r)["create"], changes(r)["adopt"]), (2, 1), "{r}");
    says(&r["warnings"][0], &["not rehearsed", HR]);
}
