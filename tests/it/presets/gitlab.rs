//! GitLab.

use crate::support::admin::Admin;
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::json;

/// A change may hold `active` and the externalId only, and the externalId is the NameID of SAML: another one locks out.
#[test]
fn what_is_given_once_is_not_sent_again_and_the_name_id_stays() {
    let sandbox = SandboxProcess::start(&["--preset", "gitlab"]);
    let (target, admin) = (ScimReader::new(&sandbox.base_url, &sandbox.token), Admin::of(&sandbox));
    let legacy = "[sync.match]\nlegacy_external_id = [\"mail\"]";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, legacy, "preset = \"gitlab\"");
    w.populate(12);
    let saml = admin.create(&json!({"userName": "ada", "externalId": "p00000@corp.example", "active": true}));
    let bare = admin.create(&json!({"userName": "p00001@corp.example", "active": true}));
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("adopt", 2), ("create", 10)]), "{cycle}");
    assert_eq!(admin.get(&saml)["externalId"], "p00000@corp.example");
    assert_eq!((&admin.get(&saml)["userName"], &admin.get(&saml)["name"]), (&json!("ada"), &json!(null)));
    assert_eq!(admin.get(&bare)["externalId"], "p00001");

    w.set("p00002", "sn", "Married");
    w.set("p00003", "mail", "other@corp.example");
    sandbox.reset_counters();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!((changes(&cycle), sandbox.writes()), ([].into(), 0), "{cycle}");
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!((changes(&cycle), sandbox.writes()), ([].into(), 0), "{cycle}");
    w.set("p00000", "accountEnabled", false);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(admin.get(&saml)["active"], false);
    w.set("p00000", "accountEnabled", true);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("reactivate", 1)]));
    assert_eq!(target.user("p00003@corp.example").unwrap()["active"], true);
}

/// A name is given once: nobody is asked for another one, and what an adoption writes is what GitLab changes.
#[test]
fn a_migration_asks_for_nothing_that_is_given_once() {
    let sandbox = SandboxProcess::start(&["--preset", "gitlab"]);
    let admin = Admin::of(&sandbox);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "preset = \"gitlab\"");
    w.populate(6);
    for i in 0..4 {
        w.set(&format!("p{i:05}"), "sAMAccountName", format!("old{i}"));
        admin.create(&json!({"userName": format!("old{i}"), "active": true}));
    }
    let name = json!({"givenName": "Other", "familyName": "Family p00004"});
    let bare = admin.create(&json!({"userName": "p00004@corp.example", "active": true, "name": name}));
    w.save();
    sandbox.reset_counters();
    let found = w.run(&["--migrate-userids", "--json", "--yes"]).expect(0).json()["migrations"][0].clone();
    let counts = &found["counts"];
    assert_eq!((&counts["refused"], &counts["convert"], &counts["failed"]), (&json!(4), &json!(0), &json!(0)), "{found}");
    assert_eq!((sandbox.writes(), &admin.get(&bare)["externalId"]), (1, &json!("p00004")), "{found}");
    let line = found["accounts"].as_array().unwrap().iter().find(|a| a["target_id"] == *bare).unwrap();
    assert!(line["why"].as_str().unwrap().ends_with("adopted; written: externalId"), "{line}");
    // And nothing is left to write to it.
    let cycle = w.sync().cycle();
    assert_eq!((&cycle["counts"]["update"], &cycle["counts"]["adopt"]), (&json!(0), &json!(0)), "{cycle}");
}

/// An account that the create met keeps what is given once, as one that the list showed does.
#[test]
fn what_is_given_once_stays_where_a_create_meets_the_account() {
    let sandbox = SandboxProcess::start(&["--preset", "gitlab"]);
    let admin = Admin::of(&sandbox);
    let legacy = "[sync.match]\nlegacy_external_id = [\"mail\"]";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, legacy, "preset = \"gitlab\"");
    w.populate(12);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 12)]));
    // Made by SAML after the first cycle; a later one does not read the target.
    let name_id = "p00100@corp.example";
    let saml = admin.create(&json!({"userName": name_id, "externalId": name_id, "displayName": "Ada", "active": true}));
    w.join("p00100");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("adopt", 1)]), "{cycle}");
    assert_eq!((&admin.get(&saml)["externalId"], &admin.get(&saml)["displayName"]), (&json!(name_id), &json!("Ada")));
    sandbox.reset_counters();
    for args in [&["sync", "--json"][..], &["sync", "--verify", "--json"]] {
        let cycle = w.run(args).expect(0).cycle();
        assert_eq!((changes(&cycle), sandbox.writes()), ([].into(), 0), "{cycle}");
    }
    w.leave("p00100");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(admin.get(&saml)["active"], false);
}
