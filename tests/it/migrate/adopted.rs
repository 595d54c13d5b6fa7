//! Accounts that bear their user ID already: adopted is only what an ordinary cycle would adopt, and it is said.

use super::{Old, SYNC, account, migration};
use crate::support::odd::{Odd, OddServer};
use crate::support::switch::Switch;
use crate::support::world::World;
use serde_json::{Value, json};

fn why(found: &Value, id: &str) -> String {
    account(found, id)["why"].as_str().unwrap().to_owned()
}

#[test]
fn own_only_an_account_that_the_rules_do_not_give_is_not_adopted() {
    let mut old = Old::start(&format!("{SYNC}[sync.match]\nusers = [\"externalId\"]\n"), &[]);
    old.person("k1", "e", "e@corp.example");
    old.person("k2", "f", "f@corp.example");
    let e = old.maker.account("e@corp.example", json!({"active": false, "name": {"familyName": "Somebody Else"}}));
    let f = old.maker.account("f@corp.example", json!({}));
    let before = old.reader.users();
    for args in [&["--dry-run"][..], &["--yes"]] {
        let found = migration(&old.migrate(args).expect(0));
        assert!(why(&found, &e).contains("not adopted: the account's family name is Somebody Else"), "{found}");
        assert!(why(&found, &f).contains("not adopted: no rule of match.users"), "{found}");
        assert_eq!((&found["cycle"], &account(&found, &f)["class"]), (&Value::Null, &json!("already")), "{found}");
    }
    assert_eq!(old.reader.users(), before);
}

#[test]
fn what_is_adopted_is_said_before_and_what_speaks_against_it_too() {
    let mut old = Old::start(SYNC, &[]);
    for (key, name) in [("k1", "plain"), ("k2", "other"), ("k3", "inactive")] {
        old.person(key, name, &format!("{name}@corp.example"));
    }
    let plain = old.maker.account("plain@corp.example", json!({}));
    let other = old.maker.account("other@corp.example", json!({"emails": [{"value": "else@corp.example", "type": "work"}]}));
    let inactive = old.maker.account("inactive@corp.example", json!({"active": false}));
    let found = migration(&old.migrate(&["--dry-run"]).expect(0));
    assert!(why(&found, &plain).contains("--yes does and writes ") && why(&found, &plain).contains("externalId"), "{found}");
    let found = migration(&old.migrate(&["--yes"]).expect(0));
    assert!(why(&found, &plain).contains("adopted; written: "), "{found}");
    assert!(why(&found, &other).contains("not adopted: the account's email is else@corp.example"), "{found}");
    assert!(why(&found, &other).contains("a cycle adopts it by match.users all the same"), "{found}");
    assert!(why(&found, &inactive).contains("not adopted: it is inactive"), "{found}");
    let external = |id: &str| old.reader.users().iter().find(|u| u["id"] == *id).unwrap()["externalId"].clone();
    assert_eq!((external(&plain), external(&other), external(&inactive)), (json!("k1"), Value::Null, Value::Null));
    // What is taken back stays so.
    old.world.run(&["undo", &found["cycle"].to_string(), "--json"]).expect(0);
    assert_eq!(external(&plain), Value::Null);
    let found = migration(&old.migrate(&["--yes"]).expect(0));
    assert!(why(&found, &plain).contains("not adopted: undo (cycle "), "{found}");
    assert_eq!((external(&plain), &found["cycle"]), (Value::Null, &Value::Null));
    let found = migration(&old.migrate(&["--yes", "--include-inactive"]).expect(0));
    assert!(why(&found, &inactive).contains("adopted; written: "), "{found}");
    assert_eq!(external(&inactive), "k3");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_the_application_refuses_is_a_failure() {
    let server = OddServer::start(Odd::DoesNothing).await;
    server.seed(json!({"userName": "e@corp.example", "active": true}));
    let mut world = World::new(&server.url(), "t", SYNC, "");
    world.join("k1");
    world.set("k1", "mail", "e@corp.example");
    world.save();
    let found = migration(&world.run(&["--migrate-userids", "--json", "--yes"]).expect(7));
    assert_eq!((&account(&found, "seeded-1")["result"], &found["counts"]["failed"]), (&json!("failed"), &json!(1)), "{found}");
    let status = world.run(&["status", "--json"]).expect(0).json()["syncs"][0].clone();
    assert_eq!(status["migration_incomplete"], true, "{status}");
    assert!(why(&found, "seeded-1").contains("did not apply"), "{found}");
}

/// What a cycle would give to nobody, because two match it, a migration gives to nobody either.
#[test]
fn no_guess_an_account_that_matches_somebody_else_too_is_not_adopted() {
    let mut old = Old::start(SYNC, &[]);
    old.person("k1", "a", "a@corp.example");
    old.person("k2", "b", "b@corp.example");
    old.person("k3", "c", "c@corp.example");
    let emails = json!([{"value": "a@corp.example", "type": "work"}, {"value": "b@corp.example", "type": "other"}]);
    let both = old.maker.account("a@corp.example", json!({ "emails": emails }));
    let one = old.maker.account("c@corp.example", json!({}));
    for args in [&["--dry-run"][..], &["--yes"]] {
        let found = migration(&old.migrate(args).expect(0));
        assert!(why(&found, &both).contains("not adopted: it matches b@corp.example too"), "{found}");
        assert!(!why(&found, &one).contains("not adopted: "), "{found}");
    }
    let cycle = old.world.sync().expect(7).cycle();
    assert_eq!((&cycle["counts"]["adopt"], cycle["parked"].as_array().unwrap().len()), (&json!(0), 2), "{cycle}");
}

#[test]
fn a_run_that_ends_before_says_so_of_whom_it_did_not_adopt() {
    let mut old = Old::start(SYNC, &[]);
    let switch = Switch::before(&old.sandbox.base_url);
    old.world = World::new(&switch.url, &old.sandbox.token, SYNC, "");
    old.person("k1", "jdoe", "jane@corp.example");
    old.person("k2", "plain", "plain@corp.example");
    old.maker.account("jdoe", json!({}));
    let plain = old.maker.account("plain@corp.example", json!({}));
    switch.rule(|asked| asked.writes().then(|| (401, String::new())));
    let found = migration(&old.migrate(&["--yes"]).expect(5));
    assert!(why(&found, &plain).contains("not adopted: the run ended before; the same command goes on"), "{found}");
    switch.pass();
    let found = migration(&old.migrate(&["--yes"]).expect(0));
    assert!(why(&found, &plain).contains("adopted; written: "), "{found}");
}
