//! How groups are named, linked and written.

use crate::support::admin::Admin;
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::json;

fn world(sync: &str) -> (SandboxProcess, World, ScimReader) {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(20);
    w.group("a", &["p00001", "p00002"]);
    w.group("b", &["p00003"]);
    let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
    (sandbox, w, reader)
}

#[test]
fn names_have_what_goes_before_and_behind() {
    let (_sandbox, w, target) = world("[sync.groups]\nname_prefix = \"AD - \"\nname_suffix = \" (corp)\"");
    w.sync().expect(0);
    let names: Vec<String> = target.memberships().into_keys().collect();
    assert_eq!(names, ["AD - Group a (corp)", "AD - Group b (corp)"]);
    assert!(changes(&w.sync().expect(0).cycle()).is_empty());
}

#[test]
fn a_group_is_linked_to_the_one_that_the_configuration_names() {
    let (sandbox, mut w, target) = world("[sync.groups]\nlink = { \"Group a\" = \"Sales team\", b = \"Nobody has this\" }");
    let there = Admin::of(&sandbox).create_group("Sales team", &[]);
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 20), ("group_adopt", 1), ("members_add", 2)]));
    let reason = cycle["parked"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("sync.groups.link"), "{reason}");
    assert_eq!(
        target.memberships(),
        [("Sales team".to_owned(), vec!["p00001@corp.example".into(), "p00002@corp.example".into()])].into()
    );
    // It keeps its name, also where the directory's changes, and may be named by its id.
    w.groups.get_mut("a").unwrap().0 = "Renamed".to_owned();
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config.replace("\"Group a\" = \"Sales team\"", &format!("a = \"{there}\""))).unwrap();
    w.sync().expect(7);
    assert!(target.memberships().contains_key("Sales team"));
    assert_eq!(target.groups().len(), 1);
}

#[test]
fn made_once_and_then_left_alone() {
    let (sandbox, mut w, target) = world("[sync.groups]\npush = \"create-only\"");
    let own = Admin::of(&sandbox).create_group("Group b", &[]);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 20), ("group_create", 1), ("members_add", 2)]));
    w.groups.insert("a".into(), ("Other name".into(), vec!["p00009".into()]));
    assert!(changes(&w.sync().expect(0).cycle()).is_empty(), "neither name nor members");
    w.groups.clear();
    assert!(changes(&w.sync().expect(0).cycle()).is_empty(), "nor is it deleted");
    assert_eq!(target.memberships()["Group a"].len(), 2);
    assert!(target.groups().iter().any(|g| g["id"] == json!(own) && g.get("members").is_none()), "what was there stays as it is");
}

#[test]
fn only_members_of_what_is_there() {
    let (sandbox, mut w, target) = world("[sync.groups]\npush = \"members-only\"");
    let admin = Admin::of(&sandbox);
    admin.create_group("Group a", &[]);
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 20), ("group_adopt", 1), ("members_add", 2)]));
    let reason = cycle["parked"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("\"Group b\"") && reason.contains("members-only"), "{reason}");
    assert!(target.groups().iter().all(|g| g.get("externalId").is_none()), "nothing but members is written");
    // Made by hand at the application: found in the next cycle.
    admin.create_group("Group b", &[]);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("group_adopt", 1), ("members_add", 1)]));
    w.groups.get_mut("a").unwrap().1.push("p00007".into());
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("members_add", 1)]));
}

#[test]
fn members_wait_until_the_group_is_set_up() {
    let (_sandbox, w, target) = world("[sync.groups]\nmembers_after = \"2s\"");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 20), ("group_create", 2)]));
    std::thread::sleep(std::time::Duration::from_millis(3100));
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("members_add", 3)]));
    assert_eq!(target.memberships()["Group a"].len(), 2);
    assert!(changes(&w.sync().expect(0).cycle()).is_empty());
}

#[test]
fn a_group_that_is_gone_may_be_kept() {
    for (when_gone, left) in [("keep", 2), ("delete", 1)] {
        let (_sandbox, mut w, target) = world(&format!("[sync.groups]\nwhen_gone = \"{when_gone}\""));
        w.sync().expect(0);
        w.groups.remove("a");
        w.sync().expect(0);
        assert_eq!(target.groups().len(), left, "{when_gone}");
        if when_gone == "keep" {
            assert_eq!(target.memberships()["Group a"].len(), 2, "with its members");
        }
    }
}
