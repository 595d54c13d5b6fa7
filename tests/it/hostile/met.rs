//! Targets that answer a create with what was there already: it is not of our making, whatever they call it.

use crate::support::odd::{Odd, OddServer};
use crate::support::world::{World, changes, expected};
use serde_json::{Value, json};

const UNLIMITED: &str = "[sync.guard]\ndeactivate = \"unlimited\"\ndelete = \"unlimited\"\n\
    [sync.actions]\nuser = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndelete_after = \"0s\"";

fn named(server: &OddServer, name: &str) -> Value {
    let users = server.users();
    users.iter().find(|u| u["userName"] == name).unwrap_or_else(|| panic!("{name} is gone: {users:?}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn own_only_an_account_that_was_there_is_not_ours_because_a_create_was_answered_with_it() {
    for status in [200, 201] {
        let server = OddServer::start(Odd::AnswersWithWhatIsThere(status)).await;
        let mut w = World::new(&server.url(), "t", UNLIMITED, "");
        w.populate(6);
        assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 6)]));
        // Made by others, after the first cycle.
        let (theirs, nobodys) = ("p00100@corp.example", "p00101@corp.example");
        server.seed(json!({"userName": theirs, "active": true, "externalId": "somebody-else"}));
        server.seed(json!({"userName": nobodys, "active": true}));
        w.join("p00100");
        w.join("p00101");
        let cycle = w.sync().expect(7).cycle();
        assert_eq!(changes(&cycle), expected(&[("adopt", 1)]), "{status}: {cycle}");
        let reason = cycle["parked"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("somebody-else"), "{reason}");
        assert_eq!(named(&server, nobodys)["externalId"], "p00101");
        w.run(&["sync", "--verify", "--json"]).expect(7);
        assert_eq!(named(&server, theirs)["externalId"], "somebody-else");
        // They leave: what we adopted is deactivated, and nothing is deleted.
        w.leave("p00100");
        w.leave("p00101");
        w.sync().expect(0);
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        w.sync().expect(0);
        assert_eq!(
            (named(&server, theirs)["active"].clone(), named(&server, nobodys)["active"].clone()),
            (json!(true), json!(false))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_leaves_where_ids_are_kept_in_another_form() {
    let server = OddServer::start(Odd::PutsIdsInBraces).await;
    let mut w = World::new(&server.url(), "t", UNLIMITED, "");
    w.populate(6);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 6)]));
    w.join("p00100");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 1)]));
    w.leave("p00100");
    w.leave("p00001");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 2)]));
    assert_eq!(named(&server, "p00100@corp.example")["active"], false);
}

/// A target that writes to whoever is there and calls that created: what it answers is ours, and is years old.
#[tokio::test(flavor = "multi_thread")]
async fn own_only_an_account_that_a_create_wrote_to_is_not_of_our_making() {
    let server = OddServer::start(Odd::Upserts).await;
    let mut w = World::new(&server.url(), "t", UNLIMITED, "");
    w.populate(6);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 6)]));
    let (old, new) = ("p00100@corp.example", "p00101@corp.example");
    server.seed(json!({"userName": old, "active": true, "meta": {"created": "2019-05-01T08:00:00Z"}}));
    w.join("p00100");
    w.join("p00101");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("adopt", 1), ("create", 1)]), "{cycle}");
    w.leave("p00100");
    w.leave("p00101");
    w.sync().expect(0);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    w.sync().expect(0);
    assert_eq!(named(&server, old)["active"], false);
    assert!(!server.users().iter().any(|u| u["userName"] == new), "what we made may be deleted");
}

/// Nothing in an answer tells who is new. Whoever was not there when the target was read, or was looked for, is ours: else
/// nobody would deactivate them some day.
#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_leaves_where_no_answer_tells_who_is_new() {
    let server = OddServer::start(Odd::SaysNothing).await;
    let sync = format!("{UNLIMITED}\n[sync.match]\nusers = [\"externalId\"]");
    let mut w = World::new(&server.url(), "t", &sync, "");
    w.populate(6);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 6)]));
    let theirs = "p00101@corp.example";
    server.seed(json!({"userName": theirs, "active": true, "displayName": "By hand"}));
    w.join("p00100");
    w.join("p00101");
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 1)]), "{cycle}");
    let reason = cycle["parked"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("by match.users it is nobody's here"), "{reason}");
    w.leave("p00100");
    w.leave("p00101");
    w.leave("p00001");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 2)]));
    assert_eq!((&named(&server, theirs)["active"], &named(&server, theirs)["displayName"]), (&json!(true), &json!("By hand")));
    assert_eq!(named(&server, "p00100@corp.example")["active"], false);
}

/// Which rule an application goes by is its own affair: nothing is taken over by what the configuration leaves out.
#[tokio::test(flavor = "multi_thread")]
async fn no_guess_an_account_that_no_rule_leads_to_is_nobodys_though_a_create_was_answered_with_it() {
    let server = OddServer::start(Odd::AnswersByAddress).await;
    let sync = format!("{UNLIMITED}\n[sync.match]\nusers = [\"externalId\", \"userName\"]");
    let mut w = World::new(&server.url(), "t", &sync, "");
    w.populate(6);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 6)]));
    let theirs = json!({"userName": "shared", "active": true, "emails": [{"value": "p00100@corp.example"}]});
    server.seed(theirs);
    w.join("p00100");
    for _ in 0..2 {
        let cycle = w.sync().expect(7).cycle();
        assert_eq!(changes(&cycle), [].into(), "{cycle}");
        let reason = cycle["parked"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("shared") && reason.contains("by match.users it is nobody's here"), "{reason}");
    }
    assert_eq!((&named(&server, "shared")["displayName"], &named(&server, "shared")["externalId"]), (&json!(null), &json!(null)));
}

/// A create that meets somebody's account under another name takes it over as it is called: the name is a rename of the next
/// cycle, which the guard judges.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_meets_an_account_of_another_name_renames_nobody_past_the_guard() {
    let server = OddServer::start(Odd::AnswersByAddress).await;
    let sync = "[sync.guard]\nprotected = [\"shared\"]";
    let mut w = World::new(&server.url(), "t", sync, "");
    w.populate(6);
    w.sync().expect(0);
    for (name, key) in [("shared", "p00100"), ("Other", "p00101")] {
        server.seed(json!({"userName": name, "active": true, "emails": [{"value": format!("{key}@corp.example")}]}));
        w.join(key);
    }
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("adopt", 2)]), "{cycle}");
    assert_eq!(named(&server, "shared")["externalId"], "p00100");
    assert_eq!(named(&server, "Other")["externalId"], "p00101");
    let cycle = w.sync().expect(6).cycle();
    assert_eq!(changes(&cycle), expected(&[("rename", 1)]), "{cycle}");
    assert!(cycle["held"][0]["reason"].as_str().unwrap().starts_with("protected: shared"), "{cycle}");
    assert_eq!(
        (named(&server, "shared")["externalId"].as_str(), named(&server, "p00101@corp.example")["externalId"].as_str()),
        (Some("p00100"), Some("p00101"))
    );
}
