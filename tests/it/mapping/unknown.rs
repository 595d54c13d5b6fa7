//! Attributes that the source does not have are found by `check`, with their place and the nearest name.

use crate::support::world::World;
use serde_json::Value;

const CSV: &str = "type = \"file\"\npath = \"people.csv\"";

fn world(source: &str, sync: &str) -> World {
    let w = World::new("https://app.example/scim/v2", "x", "", "");
    std::fs::write(w.path("people.csv"), "id,mail,givenName,sn,department\n1,a@corp.example,A,B,Sales\n").unwrap();
    w.configure(source, "https://app.example/scim/v2", "x", sync, "");
    w
}

fn found(w: &World, code: i32, what: &str) -> Vec<Value> {
    w.run(&["check", "--json"]).expect(code).json()[what].as_array().unwrap().clone()
}

#[test]
fn a_slip_is_a_mistake_with_its_place() {
    let w = world(CSV, "[sync.map.user]\ntitle = \"Append([departmnt], \\\"x\\\")\"\n[sync.scope]\nusers = 'Deparment pr'\n");
    let errors = found(&w, 3, "errors");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0]["key"], "sync[0].map.user.title");
    assert!(errors[0]["message"].as_str().unwrap().contains("has no attribute [departmnt]"), "{errors:?}");
    assert_eq!(errors[0]["hint"], "is [department] meant?");
    let line = errors[0]["line"].as_u64().unwrap() as usize;
    let text = std::fs::read_to_string(w.path("config.toml")).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().starts_with("title ="), "{errors:?}");
    assert_eq!(errors[1]["key"], "sync[0].scope.users");
    let plain = w.run(&["check"]).expect(3);
    assert!(plain.stderr.contains("is [department] meant?"), "{}", plain.stderr);
}

#[test]
fn what_is_only_not_there_is_worth_a_look() {
    let w = world(CSV, "[sync.map.user]\ntitle = \"[favouriteColour]\"\n");
    let warnings = found(&w, 0, "warnings");
    assert!(warnings.iter().any(|p| p["message"].as_str().unwrap().contains("no attribute [favouriteColour]")), "{warnings:?}");
    // Another directory's name for what is there, special names, and the preset's own rows are fine.
    let w = world(CSV, "[sync.map.user]\ntitle = \"Join([surname], [email], [userId], [objectId], [IsSoftDeleted], [dn])\"\n");
    let warnings = found(&w, 0, "warnings");
    assert!(!warnings.iter().any(|p| p["message"].as_str().unwrap().contains("no attribute")), "{warnings:?}");
}

#[test]
fn directories_may_have_attributes_of_their_own() {
    let ldap = "type = \"ldap\"\nurl = \"ldap://127.0.0.1:1\"\nbase = \"dc=x\"";
    let w = world(ldap, "[sync.map.user]\ntitle = \"[acmeBadge]\"\nnickName = \"[givenNmae]\"\n");
    let warnings = found(&w, 0, "warnings");
    let said: Vec<&str> = warnings.iter().filter_map(|p| p["hint"].as_str()).collect();
    assert!(said.contains(&"is [givenName] meant?"), "{warnings:?}");
    assert!(!warnings.iter().any(|p| p["message"].as_str().unwrap().contains("acmeBadge")), "{warnings:?}");
}

#[test]
fn mistakes_of_every_kind_are_told_at_once() {
    let rows = "[sync.map.user]\ntitle = 'Swich([title], , \"a\", \"b\")'\nnickName = { expr = \"[a]\", aply = \"create\" }\n\
                [sync.scope]\nusers = 'department lk 3'\nuser = 'x pr'\n";
    let errors = found(&world(CSV, rows), 3, "errors");
    let keys: Vec<&str> = errors.iter().map(|e| e["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["sync[0].map.user.title", "sync[0].map.user.nickName.aply", "sync[0].scope.users", "sync[0].scope.user"],
        "in the order of the file: {errors:?}"
    );
}
