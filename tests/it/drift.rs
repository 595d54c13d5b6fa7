//! `drift = "report"`: what somebody changed at the application is told and left alone.

use crate::support::admin::{Admin, id};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

/// (who, object, path, from, to) of each line.
fn drift(document: &Value) -> Vec<(String, String, String, Value, Value)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let lines = document["drift"].as_array().unwrap().iter();
    lines.map(|d| (text(&d["who"]), text(&d["object"]), text(&d["path"]), d["from"].clone(), d["to"].clone())).collect()
}

#[test]
fn what_was_changed_by_hand_is_listed_and_left_alone() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "drift = \"report\"", "");
    w.populate(12);
    w.group("g", &["p00001", "p00002"]);
    w.sync().expect(0);
    assert_eq!(drift(&w.run(&["sync", "--verify", "--json"]).expect(0).cycle()), []);
    let (admin, reader) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    let account = |n: usize| id(&reader.user(&format!("p{n:05}@corp.example")).unwrap());
    admin.set(&account(1), &json!({"displayName": "By Hand"}));
    admin.set(&account(6), &json!({"active": false}));
    admin.set_group(&id(&reader.groups()[0]), &json!({"members": [{"value": account(2)}, {"value": account(3)}]}));
    // What the directory changes is written, and is no drift.
    w.set("p00007", "displayName", "From Directory");
    w.save();

    let of = |n: usize| format!("p{n:05}@corp.example");
    let (user, group) = ("user".to_owned(), "group".to_owned());
    let told = vec![
        ("Group g".to_owned(), group, "members".to_owned(), json!([of(3)]), json!([of(1)])),
        (of(1), user.clone(), "displayName".to_owned(), json!("By Hand"), json!("Given p00001 Family")),
        (of(6), user, "active".to_owned(), json!(false), json!(true)),
    ];
    let plan = w.run(&["plan", "--verify", "--json"]).expect(0).plan();
    assert_eq!(drift(&plan), told);
    assert_eq!(changes(&plan), expected(&[("update", 1)]));
    let text = w.run(&["plan", "--verify"]).expect(0).stdout;
    assert!(text.contains("displayName: \"By Hand\" instead of \"Given p00001 Family\""), "{text}");
    assert!(text.contains("Group g  members: 1 put in and 1 taken out"), "{text}");
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(drift(&cycle), told);
    assert_eq!(changes(&cycle), expected(&[("update", 1)]));
    assert!(cycle["warnings"][0].as_str().unwrap().starts_with("3 attributes of 3 accounts and groups"), "{cycle}");
    assert!(w.run(&["sync", "--verify"]).expect(0).stdout.contains("By Hand"));
    assert_eq!(reader.user(&of(1)).unwrap()["displayName"], "By Hand");
    assert_eq!(reader.memberships()["Group g"].len(), 2);
    // Without a look at the target nothing is known of it.
    assert_eq!(drift(&w.sync().expect(0).cycle()), []);
}

#[test]
fn leavers_who_are_active_again_are_deactivated_again() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "drift = \"report\"\n[sync.guard]\ndeactivate = \"unlimited\"", "");
    w.populate(12);
    w.sync().expect(0);
    w.set("p00001", "active", false);
    w.leave("p00002");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 2)]));
    let (admin, reader) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    for name in ["p00001@corp.example", "p00002@corp.example"] {
        admin.set(&id(&reader.user(name).unwrap()), &json!({"active": true, "displayName": "By Hand"}));
    }
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 2)]));
    // Who is gone from the directory has no attributes to compare with.
    let told: Vec<(String, String)> = drift(&cycle).into_iter().map(|d| (d.0, d.2)).collect();
    assert_eq!(told, [("p00001@corp.example".to_owned(), "displayName".to_owned())]);
    assert_eq!(reader.user("p00001@corp.example").unwrap()["displayName"], "By Hand");
}
