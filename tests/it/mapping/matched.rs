//! Accounts matched by whatever the mapping writes.

use super::rows::{user, world};
use crate::support::admin::Admin;
use crate::support::switch::{Answer, Asked, Switch};
use crate::support::world::{SandboxProcess, World, changes, expected};
use serde_json::json;

const EMPLOYEE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber";

#[test]
fn any_mapped_text_finds_the_account() {
    let rows = format!(
        "[sync.map.user]\n\"{EMPLOYEE}\" = \"[employeeNumber]\"\n'phoneNumbers[type eq \"mobile\"].value' = '[mobile]'\n"
    );
    let by_row = rows.replace("\"[employeeNumber]\"", "{ expr = \"[employeeNumber]\", match = 1 }");
    for sync in [
        by_row,
        format!("[sync.match]\nusers = ['{EMPLOYEE}']\n{rows}"),
        format!("[sync.match]\nusers = ['userName', 'phoneNumbers[type eq \"mobile\"].value']\n{rows}"),
    ] {
        let sandbox = SandboxProcess::start(&[]);
        let (mut w, target) = world(&sandbox, &sync, 3);
        w.set("p00001", "employeeNumber", "E7");
        w.set("p00001", "mobile", "+45 12");
        w.save();
        let account = Admin::of(&sandbox).create(&json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "userName": "jd", "phoneNumbers": [{"type": "mobile", "value": "+45 12"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": "e7"}
        }));
        let explained = w.run(&["explain", "p00001", "--json"]).expect(0).json();
        assert_eq!(explained["found"][0]["match"]["target_ids"], json!([account]), "{explained}");
        assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("adopt", 1), ("create", 2)]), "{sync}");
        assert_eq!(user(&target, &w, "p00001")["id"], account);
    }
}

#[test]
fn what_nothing_is_mapped_to_matches_nobody_and_the_row_is_named() {
    let w = World::new(
        "https://app.example/scim/v2",
        "x",
        "[sync.match]\nusers = ['nickName', 'emails[type eq \"work\"].value']\n",
        "",
    );
    let errors = w.run(&["check", "--json"]).expect(3).json()["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 1, "{errors}");
    assert_eq!(errors[0]["key"], "sync[0].match.users");
    let hint = errors[0]["hint"].as_str().unwrap();
    assert!(hint.contains("displayName") && hint.matches("externalId").count() == 1, "{errors}");
    let w = World::new("https://app.example/scim/v2", "x", "[sync.map.user]\nactive = { expr = \"[a]\", match = 1 }\n", "");
    let errors = w.run(&["check", "--json"]).expect(3).json()["errors"].clone();
    assert_eq!(errors[0]["key"], "sync[0].map.user.active", "{errors}");
}

#[test]
fn what_a_preset_would_map_is_no_mistake_where_the_target_itself_is_wrong() {
    let sync = "[sync.match]\nusers = ['externalId', 'addresses[type eq \"work\"].formatted']\n\
                [sync.map.user]\ntitle = 'Upper([title]'\n";
    let keys = |target: &str| -> Vec<String> {
        let w = World::new("https://app.example/scim/v2", "x", sync, target);
        let errors = w.run(&["check", "--json"]).expect(3).json()["errors"].clone();
        errors.as_array().unwrap().iter().map(|e| e["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("preset = \"andmoney-advisors\""), ["sync[0].map.user.title"]);
    assert_eq!(
        keys("preset = \"andmoney-advisors\"\nconcurrency = \"many\""),
        ["target.app.concurrency", "sync[0].map.user.title"]
    );
    assert_eq!(keys("preset = \"generic\""), ["sync[0].match.users", "sync[0].map.user.title"]);
}

/// What a target says of itself and of its people whose employee numbers are numbers, and who have several nicknames.
fn typed(asked: &Asked) -> Answer {
    let account = json!({
        "id": "a-417", "userName": "jd", "nickName": ["Jane", "JJ"], "active": true,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": 417}
    });
    let names = ["userName", "externalId", "displayName", "active", "name", "emails"].map(|name| json!({"name": name}));
    let mut attributes = names.to_vec();
    attributes.push(json!({"name": "nickName", "type": "string", "multiValued": true}));
    let schemas = json!({"Resources": [
        {"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": attributes},
        {"id": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
         "attributes": [{"name": "employeeNumber", "type": "integer"}]},
    ]});
    let answer = match asked.path.as_str() {
        path if path.contains("/Schemas") => schemas,
        // A strict server: a number in quotes is another type, which nothing equals.
        path if path.contains("/Users?") && path.contains("filter=") => {
            let meant = path.contains("employeeNumber%20eq%20417") || path.contains("nickName%20eq%20%22jj%22");
            let rows = if meant { vec![account] } else { Vec::new() };
            json!({"totalResults": rows.len(), "Resources": rows})
        }
        path if path.contains("/Users") && asked.method == "GET" => json!({"totalResults": 1, "Resources": [account]}),
        _ => return None,
    };
    Some((200, answer.to_string()))
}

#[test]
fn one_account_per_person_who_is_matched_by_what_the_target_keeps_as_number_or_list() {
    for (path, attribute, value) in [(EMPLOYEE, "employeeNumber", "417"), ("nickName", "nick", "jj")] {
        let sandbox = SandboxProcess::start(&[]);
        let switch = Switch::before(&sandbox.base_url);
        switch.rule(typed);
        let rows = format!("[sync.match]\nusers = ['externalId', '{path}']\n[sync.map.user]\n\"{path}\" = \"[{attribute}]\"\n");
        let mut w = World::new(&switch.url, &sandbox.token, &rows, "");
        w.populate(2);
        w.set("p00001", attribute, value);
        w.save();
        let plan = w.plan().expect(0).plan();
        assert_eq!(changes(&plan), expected(&[("adopt", 1), ("create", 1)]), "{path}: {plan}");
        let explained = w.run(&["explain", "p00001", "--json"]).expect(0).json();
        assert_eq!(explained["found"][0]["match"]["target_ids"], json!(["a-417"]), "{path}: {explained}");
    }
}
