//! Accounts matched by whatever the mapping writes.

use super::rows::{user, world};
use crate::support::admin::Admin;
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
