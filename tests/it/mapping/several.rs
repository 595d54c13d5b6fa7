//! Attributes with several values: which email is primary, and elements that are filled bit by bit.

use super::rows::{user, world};
use crate::support::admin::Admin;
use crate::support::world::{SandboxProcess, changes, expected};
use serde_json::{Value, json};

fn primaries(user: &Value) -> Vec<&str> {
    let emails = user["emails"].as_array().unwrap().iter();
    emails.filter(|e| e["primary"] == true).map(|e| e["type"].as_str().unwrap()).collect()
}

#[test]
fn a_second_email_does_not_become_primary() {
    for more in ["", "'emails[type eq \"work\"].primary' = '\"True\"'\n"] {
        let sandbox = SandboxProcess::start(&[]);
        let rows = format!("[sync.map.user]\n'emails[type eq \"home\"].value' = '[ext]'\n{more}");
        let (mut w, target) = world(&sandbox, &rows, 1);
        w.sync().expect(0);
        assert_eq!(primaries(&user(&target, &w, "p00000")), ["work"]);
        w.set("p00000", "ext", "x@home.example");
        let shown = w.run(&["explain", "p00000", "--json"]).expect(0).json();
        assert!(!shown["found"][0]["request"].to_string().contains("primary"), "{shown}");
        assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("update", 1)]));
        let jane = user(&target, &w, "p00000");
        assert_eq!(primaries(&jane), ["work"], "{jane}");
        assert_eq!(jane["emails"].as_array().unwrap().len(), 2, "{jane}");
    }
}

#[test]
fn an_adopted_account_keeps_the_primary_email_that_it_has() {
    let sandbox = SandboxProcess::start(&[]);
    let (w, target) = world(&sandbox, "", 1);
    let other = json!([{"type": "other", "value": "o@x.example", "primary": true}]);
    Admin::of(&sandbox).create(&json!({"userName": "p00000@corp.example", "emails": other}));
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("adopt", 1)]));
    let jane = user(&target, &w, "p00000");
    assert_eq!((primaries(&jane), jane["emails"].as_array().unwrap().len()), (vec!["other"], 2), "{jane}");
}

#[test]
fn an_element_that_is_there_is_filled_and_emptied_in_place() {
    let sandbox = SandboxProcess::start(&[]);
    let rows = "[sync.map.user]\n'addresses[type eq \"work\"].locality' = '[l]'\n\
                'addresses[type eq \"work\"].formatted' = { expr = '[office]', when_null = \"clear\" }\n";
    let (mut w, target) = world(&sandbox, rows, 1);
    w.set("p00000", "l", "Aarhus");
    w.sync().expect(0);
    w.set("p00000", "office", "Room 1");
    w.sync().expect(0);
    let addresses = |w: &_| user(&target, w, "p00000")["addresses"].clone();
    assert_eq!(addresses(&w), json!([{"type": "work", "locality": "Aarhus", "formatted": "Room 1"}]));
    w.set("p00000", "office", Value::Null);
    w.sync().expect(0);
    assert_eq!(addresses(&w), json!([{"type": "work", "locality": "Aarhus"}]));
}
