//! The plainest story: people come, change and go.

use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};

#[test]
fn people_come_change_and_go() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(40);
    w.group("g1", &["p00000", "p00001", "p00002"]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);

    let plan = w.plan().expect(0).plan();
    assert_eq!(changes(&plan), expected(&[("create", 40), ("group_create", 1), ("members_add", 3)]));
    assert_eq!(sandbox.writes(), 0, "plan_writes_nothing");
    assert!(!w.path("state.db").exists(), "a plan stores nothing");

    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 40), ("group_create", 1), ("members_add", 3)]));
    assert_eq!(target.users().len(), 40);
    assert_eq!(target.memberships()["Group g1"].len(), 3);

    sandbox.reset_counters();
    let quiet = w.sync().expect(0).cycle();
    assert!(changes(&quiet).is_empty());
    assert_eq!(sandbox.requests(), 0, "a quiet cycle neither reads nor writes the target");

    w.join("new");
    w.leave("p00002");
    w.set("p00003", "mail", "married@corp.example");
    w.set("p00004", "displayName", "Another Name");
    w.group("g1", &["p00000", "p00005"]);
    let cycle = w.sync().expect(0).cycle();
    let want = [("create", 1), ("deactivate", 1), ("rename", 1), ("update", 1), ("members_add", 1), ("members_remove", 2)];
    assert_eq!(changes(&cycle), expected(&want));
    assert_eq!(target.user("p00002@corp.example").unwrap()["active"], false);
    assert_eq!(target.user("married@corp.example").unwrap()["externalId"], "p00003");
    assert_eq!(target.memberships()["Group g1"], ["p00000@corp.example", "p00005@corp.example"]);
    sandbox.reset_counters();
    assert!(changes(&w.sync().expect(0).cycle()).is_empty());
    assert_eq!(sandbox.requests(), 0);
}
