//! `assigned_to`: only who and what is assigned to one application.

use super::{FREE, Setting};
use crate::support::fake_okta::org::Status;
use crate::support::world::{changes, expected};
use serde_json::json;

/// People 0..4; 0 and 1 assigned directly, 1 and 2 by a group, 3 by nothing; another group is not assigned.
fn setting(source: &str, sync: &str) -> (Setting, String, Vec<String>, String) {
    let s = Setting::new();
    let people: Vec<String> = s.okta.org(|o| (0..4).map(|i| o.join(&format!("p{i}"))).collect());
    let app = s.okta.org(|o| o.app());
    let group = s.okta.org(|o| {
        let group = o.group("Assigned", &[&people[1], &people[2]]);
        o.group("Not assigned", &[&people[0], &people[3]]);
        let a = o.apps.get_mut(&app).unwrap();
        a.users.insert(people[0].clone(), json!({"role": "editor"}));
        a.users.insert(people[1].clone(), json!({"role": "viewer"}));
        a.groups.insert(group.clone());
        group
    });
    s.configure(&format!("assigned_to = \"{app}\"\n{source}"), sync);
    (s, app, people, group)
}

#[test]
fn only_assigned_people_and_groups_take_part() {
    let (s, app, people, _) = setting("", FREE);
    s.okta.org(|o| o.page = Some(1));
    let cycle = s.sync(&[]);
    assert_eq!(changes(&cycle), expected(&[("create", 3), ("group_create", 1), ("members_add", 2)]));
    s.expect_in_step(Some(&app));
    assert!(!s.accounts().contains_key(&people[3]));
}

#[test]
fn unassigning_deactivates_in_the_next_cycle() {
    let (s, app, people, group) = setting("", FREE);
    // One of each stays: that nobody, or no group, is left at all would be held.
    s.okta.org(|o| {
        let (eve, other) = (o.join("eve"), o.group("Other", &[]));
        let a = o.apps.get_mut(&app).unwrap();
        a.users.insert(eve, json!({}));
        a.groups.insert(other);
    });
    s.sync(&[]);
    // Nothing of this touches any date of a user.
    s.okta.org(|o| drop(o.apps.get_mut(&app).unwrap().users.remove(&people[0])));
    assert_eq!(changes(&s.sync(&[])), expected(&[("deactivate", 1)]));
    s.okta.org(|o| drop(o.apps.get_mut(&app).unwrap().users.remove(&people[1])));
    assert_eq!(changes(&s.sync(&[])), expected(&[]), "still assigned by the group");
    s.okta.org(|o| o.remove(&group, &people[1]));
    s.sync(&[]);
    s.expect_in_step(Some(&app));
    assert!(s.okta.org(|o| o.apps.get_mut(&app).unwrap().groups.remove(&group)));
    let last = changes(&s.sync(&[]));
    assert_eq!((last["deactivate"], last["group_delete"]), (1, 1));
    s.okta.org(|o| drop(o.apps.get_mut(&app).unwrap().users.insert(people[0].clone(), json!({}))));
    assert_eq!(changes(&s.sync(&[])), expected(&[("reactivate", 1)]));
    s.expect_in_step(Some(&app));
}

#[test]
fn whoever_is_suspended_stays_assigned_and_is_inactive() {
    let (s, app, people, _) = setting("", FREE);
    s.sync(&[]);
    s.okta.org(|o| o.status(&people[0], Status::Suspended));
    assert_eq!(changes(&s.sync(&[])), expected(&[("deactivate", 1)]));
    s.expect_in_step(Some(&app));
}

#[test]
fn the_applications_profile_can_be_mapped() {
    let map =
        format!("{FREE}[sync.map.user]\ntitle = \"[appuser.role]\"\nnickName = \"[appuser.userName]\"\nuserType = \"[role]\"\n");
    let (s, _, people, _) = setting("", &map);
    s.sync(&[]);
    let account = &s.accounts()[&people[0]];
    assert_eq!((&account["title"], &account["userType"]), (&json!("editor"), &json!("editor")));
    assert_eq!(account["nickName"], "p0@corp.example");
}

#[test]
fn an_application_that_embeds_nothing_is_read_one_by_one() {
    let (s, app, ..) = setting("", FREE);
    s.okta.org(|o| o.apps.get_mut(&app).unwrap().embeds_nothing = true);
    s.sync(&[]);
    s.expect_in_step(Some(&app));
    s.sync(&[]);
    s.expect_in_step(Some(&app));
}

#[test]
fn an_application_that_is_not_there_removes_nobody() {
    let (s, app, people, _) = setting("", FREE);
    s.sync(&[]);
    s.okta.org(|o| drop(o.apps.remove(&app)));
    let run = s.world.run(&["sync", "--json"]).expect(4);
    assert!(run.stdout.contains("assigned_to"), "{}", run.stdout);
    assert!(s.is_active(&people[0]));
}
