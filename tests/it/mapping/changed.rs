//! A changed mapping or scope: everybody is worked out anew, and the plan says how many change by what.

use crate::support::world::{SandboxProcess, World, changes, expected};
use serde_json::{Value, json};

fn world(sandbox: &SandboxProcess, sync: &str) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(30);
    w
}

fn reconfigure(w: &World, sandbox: &SandboxProcess, sync: &str) {
    w.configure("type = \"file\"\npath = \"people.json\"", &sandbox.base_url, &sandbox.token, sync, "");
}

fn reason(plan: &Value, who: &str) -> String {
    let change = plan["changes"].as_array().unwrap().iter().find(|c| c["source_key"] == who).unwrap();
    change["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_changed_row_is_counted_and_named() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, "");
    w.sync().expect(0);
    reconfigure(&w, &sandbox, "[sync.map.user]\nnickName = \"[givenName]\"\n");
    w.set("p00003", "displayName", "Changed");
    let plan = w.plan().plan();
    assert_eq!(changes(&plan), expected(&[("update", 30)]));
    assert_eq!(
        plan["by_mapping"],
        json!([
            {"object": "user", "path": "nickName", "changes": 30, "mapping_changed": true},
            {"object": "user", "path": "displayName", "changes": 1, "mapping_changed": false},
        ])
    );
    assert_eq!(reason(&plan, "p00003"), "changed: displayName; mapping changed: nickName");
    assert_eq!(reason(&plan, "p00004"), "mapping changed: nickName");
    let text = w.run(&["plan"]).stdout;
    assert!(text.contains("     30  nickName  (mapping changed)"), "{text}");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("update", 30)]));

    // The same mapping in the next cycle is no changed one.
    w.set("p00003", "givenName", "Other");
    assert_eq!(reason(&w.plan().plan(), "p00003"), "changed: name.givenName, nickName");
}

#[test]
fn a_changed_scope_is_named() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, "");
    w.set("p00003", "department", "HR");
    w.sync().expect(0);
    reconfigure(&w, &sandbox, "[sync.scope]\nusers = 'department eq \"Sales\"'\n");
    let plan = w.plan().plan();
    assert_eq!(changes(&plan), expected(&[("deactivate", 1)]));
    assert_eq!(reason(&plan, "p00003"), "no longer in scope; the scope changed");
    let text = w.run(&["plan"]).stdout;
    assert!(text.contains("the scope changed since the last cycle"), "{text}");
}

#[test]
fn redacted_values_are_in_no_plan() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, "[sync.map.user]\nnickName = \"Redact([secretName])\"\n");
    w.set("p00000", "secretName", "Rumpelstiltskin");
    let plan = w.plan();
    let created = plan.plan()["changes"].as_array().unwrap().iter().find(|c| c["source_key"] == "p00000").unwrap().clone();
    assert_eq!(created["to"]["nickName"], "[Redact]");
    assert!(!plan.stdout.contains("Rumpelstiltskin"));
    w.sync().expect(0);
    w.set("p00000", "secretName", "Rumpelstiltskin II");
    w.save();
    let text = w.run(&["plan"]).expect(0).stdout;
    assert!(text.contains("nickName: \"[Redact]\" -> \"[Redact]\"") && !text.contains("Rumpel"), "{text}");
    w.run(&["plan", "--out", "plan.json"]).expect(0);
    assert!(!std::fs::read_to_string(w.path("plan.json")).unwrap().contains("Rumpel"));
    assert_eq!(changes(&w.run(&["sync", "--plan", "plan.json", "--json"]).expect(0).cycle()), expected(&[("update", 1)]));
}
