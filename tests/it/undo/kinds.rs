//! Each kind of change goes back.

use super::{OPEN, Scene, statuses};
use crate::support::admin::{Admin, id};
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::settled::{assert_as_desired, assert_quiet};
use crate::support::world::{ScimReader, World, changes, expected};
use serde_json::json;

#[test]
fn what_a_cycle_made_is_deactivated_and_its_groups_go() {
    let mut s = Scene::new("", &[]);
    s.w.populate(3);
    s.cycle();
    let before = s.target.memberships();
    s.w.join("new-1");
    s.w.join("new-2");
    s.w.group("g", &["p00001", "new-1"]);
    let n = s.cycle();
    let run = s.undo(n, 0);
    let cycle = run.cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 2), ("group_delete", 1)]));
    assert_eq!((&cycle["result"], &cycle["undoes"], cycle["cycle"].as_i64().unwrap() > n), (&json!("ok"), &json!(n), true));
    assert_eq!(s.target.memberships(), before);
    for name in ["new-1", "new-2"] {
        assert_eq!(s.target.user(&format!("{name}@corp.example")).unwrap()["active"], false);
    }
    assert_eq!(statuses(&s.w, n).get("done"), None, "{:?}", statuses(&s.w, n));
    // Not done again, and said; then somebody approves.
    let held = s.held();
    assert_eq!(held.iter().filter(|(k, _)| k == "reactivate").count(), 2, "{held:?}");
    assert!(held.iter().any(|(k, w)| k == "group_create" && w == "Group g"), "{held:?}");
    assert_eq!(s.held(), held, "also the next time");
    s.w.run(&["approve", "s"]).expect(0);
    s.w.sync().expect(0);
    s.w.sync();
    assert_as_desired(&s.w, &s.target);
    assert_quiet(&s.w, &s.sandbox);
    // Undone already: nothing is left of it.
    assert!(changes(&s.undo(n, 0).cycle()).is_empty());
}

#[test]
fn with_delete_allowed_what_a_cycle_made_is_removed() {
    let actions = "[sync.actions]\nuser = [\"create\", \"update\", \"deactivate\", \"delete\"]\n";
    let mut s = Scene::new(actions, &[]);
    s.w.populate(2);
    s.cycle();
    s.w.join("new-1");
    s.w.join("new-2");
    let n = s.cycle();
    let edited = id(&s.target.user("new-2@corp.example").unwrap());
    Admin::of(&s.sandbox).set(&edited, &json!({"displayName": "by hand"}));
    assert_eq!(changes(&s.undo(n, 0).cycle()), expected(&[("deactivate", 1), ("delete", 1)]));
    assert!(s.target.user("new-1@corp.example").is_none());
    assert_eq!(s.target.user("new-2@corp.example").unwrap()["active"], false, "what somebody works on is not removed");
    assert!(s.held().contains(&("create".into(), "new-1@corp.example".into())));
    s.w.run(&["approve", "s"]).expect(0);
    s.w.sync().expect(0);
    assert_eq!(s.target.user("new-1@corp.example").unwrap()["active"], true);
    // The undo is a cycle, and can be undone.
    let m = s.w.run(&["undo", &n.to_string(), "--json"]).expect(0).cycle()["cycle"].as_i64().unwrap();
    s.undo(m, 0);
}

#[test]
fn renames_updates_and_group_changes_go_back_and_stay_back() {
    let mut s = Scene::new(OPEN, &[]);
    s.w.populate(6);
    s.w.group("g", &["p00000", "p00001", "p00002"]);
    s.cycle();
    let before = s.picture();
    // Two exchange their addresses, one gets a new one, one another name; the group another name and other members.
    s.w.set("p00000", "mail", "p00001@corp.example");
    s.w.set("p00001", "mail", "p00000@corp.example");
    s.w.set("p00002", "mail", "married@corp.example");
    s.w.set("p00003", "displayName", "Somebody Else");
    s.w.groups.insert("g".into(), ("Group h".into(), vec!["p00001".into(), "p00004".into()]));
    let n = s.cycle();
    assert_ne!(s.picture(), before);
    let cycle = s.undo(n, 0).cycle();
    assert_eq!(
        changes(&cycle),
        expected(&[("rename", 3), ("update", 1), ("group_update", 1), ("members_add", 2), ("members_remove", 1)]),
        "{cycle}"
    );
    assert_eq!(s.picture(), before);
    assert_eq!(s.held().len(), 7);
    // What is new at the source passes, beside what is held.
    s.w.set("p00003", "sn", "Newname");
    s.w.set("p00005", "displayName", "Fifth");
    let run = s.w.sync().expect(6);
    assert_eq!(changes(&run.cycle()), expected(&[("update", 2)]), "{}", run.stdout);
    let third = s.target.user("p00003@corp.example").unwrap();
    assert_eq!((&third["name"]["familyName"], &third["displayName"]), (&json!("Newname"), &json!("Given p00003 Family")));
    // Another value is another change.
    s.w.set("p00002", "mail", "remarried@corp.example");
    s.w.sync().expect(6);
    assert!(s.target.user("remarried@corp.example").is_some());
    s.w.run(&["approve", "s"]).expect(0);
    s.w.sync().expect(0);
    assert_as_desired(&s.w, &s.target);
    assert_quiet(&s.w, &s.sandbox);
}

#[test]
fn leavers_come_back_with_their_groups_also_by_scim2_server() {
    let check = |w: &mut World, target: &ScimReader| {
        w.populate(8);
        w.group("g", &["p00000", "p00001", "p00002"]);
        w.sync().expect(0);
        let members = target.memberships();
        w.leave("p00001");
        w.leave("p00007");
        let n = w.sync().expect(0).cycle()["cycle"].as_i64().unwrap();
        assert_eq!(target.user("p00001@corp.example").unwrap()["active"], false);
        let cycle = w.run(&["undo", &n.to_string(), "--json"]).expect(0).cycle();
        assert_eq!(changes(&cycle), expected(&[("reactivate", 2), ("members_add", 1)]), "{cycle}");
        assert_eq!(target.memberships(), members);
        assert!(target.users().iter().all(|u| u["active"] == true));
        // They are still gone from the directory: held, not done again.
        let held = w.sync().expect(6).cycle();
        assert!(changes(&held).is_empty(), "{held}");
        assert_eq!(held["held"].as_array().unwrap().len(), 3, "{held}");
        w.run(&["approve", "s", "--reason", "they did leave"]).expect(0);
        w.sync().expect(0);
        assert_eq!(target.user("p00007@corp.example").unwrap()["active"], false);
        assert_eq!(target.memberships()["Group g"], ["p00000@corp.example", "p00002@corp.example"]);
    };
    let mut s = Scene::new(OPEN, &[]);
    check(&mut s.w, &s.target);
    if let Some(server) = ScimServer::scim2() {
        let mut w = World::new(server.url.as_str(), TOKEN, OPEN, "");
        check(&mut w, &ScimReader::new(server.url.as_str(), TOKEN));
    }
}

#[test]
fn what_was_deleted_is_made_anew_as_it_was() {
    let actions = "[sync.actions]\nuser = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndelete_after = \"0s\"\n";
    let mut s = Scene::new(&format!("{actions}{OPEN}"), &[]);
    s.w.populate(5);
    s.w.group("g", &["p00000", "p00001"]);
    s.w.group("h", &["p00002", "p00003"]);
    s.cycle();
    s.w.leave("p00004");
    s.cycle();
    let old = s.target.user("p00004@corp.example").unwrap();
    s.w.groups.remove("h");
    let n = s.cycle();
    assert!(s.target.user("p00004@corp.example").is_none() && !s.target.memberships().contains_key("Group h"));
    let cycle = s.undo(n, 0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 1), ("group_create", 1), ("members_add", 2)]), "{cycle}");
    let new = s.target.user("p00004@corp.example").unwrap();
    assert_ne!(new["id"], old["id"], "a new account");
    for same in ["externalId", "displayName", "name", "emails"] {
        assert_eq!(new[same], old[same], "{same}");
    }
    assert_eq!(new["active"], false, "as it was before that cycle");
    assert_eq!(s.target.memberships()["Group h"], ["p00002@corp.example", "p00003@corp.example"]);
    let held = s.held();
    assert_eq!(held, [("delete".into(), "p00004@corp.example".into()), ("group_delete".into(), "Group h".into())]);
}

#[test]
fn what_was_adopted_is_as_it_was_and_not_ours() {
    let mut s = Scene::new("", &[]);
    let admin = Admin::of(&s.sandbox);
    let jane =
        admin.create(&json!({"userName": "p00000@corp.example", "displayName": "Jane by hand", "nickName": "J", "active": true}));
    admin.create(
        &json!({"userName": "p00001@corp.example", "externalId": "p00001", "displayName": "Given p00001 Family", "active": true}),
    );
    let group = admin.create_group("Group g", &[]);
    let before = s.picture();
    s.w.populate(2);
    s.w.group("g", &["p00000", "p00001"]);
    let n = s.cycle();
    assert_eq!(admin.get(&jane)["externalId"], "p00000");
    let cycle = s.undo(n, 0).cycle();
    assert_eq!(cycle["parked"], json!([]), "{cycle}");
    let (users, members) = s.picture();
    assert_eq!(members, before.1);
    for (name, was) in &before.0 {
        for path in ["id", "displayName", "nickName", "externalId", "userName", "active"] {
            assert_eq!(users[name].get(path).filter(|v| !v.is_null()), was.get(path).filter(|v| !v.is_null()), "{name} {path}");
        }
    }
    let links = s.w.run(&["link", "list", "--json"]).expect(0).json();
    assert_eq!(links["links"], json!([]), "{links}");
    let held = s.held();
    let kinds: Vec<&str> = held.iter().map(|(k, _)| k.as_str()).collect();
    assert_eq!(kinds, ["adopt", "adopt", "group_adopt", "members_add"], "{held:?}");
    s.w.run(&["approve", "s"]).expect(0);
    s.w.sync();
    s.w.sync();
    assert_as_desired(&s.w, &s.target);
    assert_eq!(id(&s.target.groups()[0]), group);
    assert_quiet(&s.w, &s.sandbox);
}

/// A create that met an account nobody had seen is an adoption, and its before-image is what was there.
#[test]
fn what_a_create_met_goes_back_to_what_it_was() {
    let mut s = Scene::new("", &[]);
    s.w.populate(1);
    s.cycle();
    let admin = Admin::of(&s.sandbox);
    let joan = admin.create(&json!({"userName": "joan@corp.example", "displayName": "Joan by hand", "active": true}));
    s.w.join("joan");
    let n = s.cycle();
    assert_eq!(admin.get(&joan)["externalId"], "joan");
    s.undo(n, 0);
    let now = admin.get(&joan);
    assert_eq!((&now["displayName"], now["active"].as_bool()), (&json!("Joan by hand"), Some(true)));
    assert!(now["externalId"].as_str().unwrap_or_default().is_empty(), "{now}");
}

#[test]
fn of_two_undos_each_is_named_where_it_holds() {
    let mut s = Scene::new(OPEN, &[]);
    s.w.populate(2);
    s.cycle();
    s.w.set("p00000", "displayName", "Other");
    let first = s.cycle();
    s.undo(first, 0);
    s.w.set("p00000", "givenName", "Jo");
    let run = s.w.sync().expect(6).cycle();
    assert_eq!(changes(&run), expected(&[("update", 1)]), "the new name passes: {run}");
    s.undo(run["cycle"].as_i64().unwrap(), 0);
    s.w.set("p00000", "givenName", "Joe");
    let cycle = s.w.sync().expect(6).cycle();
    assert_eq!(changes(&cycle), expected(&[("update", 1)]), "{cycle}");
    let held = cycle["held"].as_array().unwrap();
    assert_eq!(held.len(), 1, "{cycle}");
    assert!(held[0]["reason"].as_str().unwrap().starts_with(&format!("undone: cycle {first} did this")), "{cycle}");
}
