//! A migration of user IDs goes back.

use super::{OPEN, Scene};
use crate::support::admin::{Admin, id};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn rename_is_rename_every_name_of_a_migration_comes_back_but_those_changed_since() {
    let sync = format!(
        "[sync.user_id]\nfrom = [\"mail\"]\ndomains = {{ CORP = \"corp.example\", \"corp.local\" = \"corp.example\" }}\n{OPEN}"
    );
    let mut s = Scene::new(&sync, &[]);
    let admin = Admin::of(&s.sandbox);
    for i in 0..12 {
        let who = format!("k{i}");
        s.w.join(&who);
        s.w.set(&who, "sAMAccountName", format!("jdoe{i}"));
        s.w.set(&who, "mail", format!("jane.doe{i}@corp.example"));
        let name = [format!("jdoe{i}"), format!("CORP\\jdoe{i}"), format!("jdoe{i}@corp.local")][i % 3].clone();
        admin.create(&json!({"userName": name, "active": true, "nickName": format!("N{i}")}));
    }
    admin.create(&json!({"userName": "service", "active": true}));
    s.w.save();
    let compared = |u: &Value| {
        let external = u["externalId"].as_str().unwrap_or_default().to_owned();
        (u["userName"].as_str().unwrap().to_owned(), external, u["nickName"].clone(), u["active"].clone())
    };
    let picture = || -> BTreeMap<String, _> { s.target.users().iter().map(|u| (id(u), compared(u))).collect() };
    let before = picture();
    let doc = s.w.run(&["--migrate-userids", "--yes", "--json"]).expect(0).json()["migrations"][0].clone();
    assert_eq!(doc["counts"]["renamed"], 12, "{doc}");
    let n = doc["cycle"].as_i64().unwrap();
    assert!(s.target.user("jane.doe0@corp.example").is_some());
    // Somebody was renamed by hand since.
    let by_hand = id(&s.target.user("jane.doe5@corp.example").unwrap());
    admin.set(&by_hand, &json!({"userName": "jane.married@corp.example"}));
    let cycle = s.undo(n, 7).cycle();
    assert_eq!(cycle["counts"]["rename"], 11, "{cycle}");
    assert_eq!(cycle["parked"].as_array().unwrap().len(), 1, "{cycle}");
    assert!(cycle["parked"][0]["reason"].as_str().unwrap().contains("jane.married@corp.example"));
    let after = picture();
    for (id, was) in before.iter().filter(|(id, _)| **id != by_hand) {
        assert_eq!(&after[id], was, "{id}");
    }
    assert_eq!(after[&by_hand].0, "jane.married@corp.example");
    // The next cycle does not convert them again, and makes no second accounts. It is the first one, which reads the target:
    // a linked account whose name is not what it should be, and which no undo holds, is put right.
    s.sandbox.reset_counters();
    let run = s.w.sync();
    assert!([6, 7].contains(&run.code), "{}: {}", run.code, run.stdout);
    assert_eq!((s.sandbox.writes(), s.target.users().len()), (1, 13), "{}", run.stdout);
    assert_eq!(picture()[&by_hand].0, "jane.doe5@corp.example");
}
