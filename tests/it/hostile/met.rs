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
