//! Full and incremental cycles, seen from outside.

use super::{FREE, Setting};
use crate::support::fake_okta::org::Status;
use crate::support::world::{changes, expected};
use serde_json::json;

#[test]
fn a_first_cycle_brings_people_and_groups() {
    let s = Setting::new();
    let (ada, bob) = s.okta.org(|o| (o.join("ada"), o.join("bob")));
    s.okta.org(|o| {
        o.group("Engineering", &[&ada, &bob]);
        o.page = Some(1);
    });
    let cycle = s.sync(&[]);
    assert_eq!(cycle["read"], "full");
    assert_eq!(changes(&cycle), expected(&[("create", 2), ("group_create", 1), ("members_add", 2)]));
    s.expect_in_step(None);
    assert_eq!(s.accounts()[&ada]["displayName"], "Given ada Family");
}

#[test]
fn the_next_cycle_asks_only_for_what_changed() {
    let s = Setting::new();
    let people: Vec<String> = s.okta.org(|o| (0..50).map(|i| o.join(&format!("p{i}"))).collect());
    let groups: Vec<String> =
        s.okta.org(|o| (0..20).map(|i| o.group(&format!("Group {i}"), &[&people[i], &people[i + 1]])).collect());
    // All this happened long ago.
    s.okta.org(|o| {
        o.users.values_mut().for_each(|u| u.updated -= 86_400_000);
        o.groups
            .values_mut()
            .for_each(|g| (g.updated, g.membership_updated) = (g.updated - 86_400_000, g.membership_updated - 86_400_000));
    });
    // One change each that the overlap will show again.
    s.okta.org(|o| (o.set(&people[49], "department", "Ops"), o.rename_group(&groups[19], "Group nineteen")));
    s.sync(&[]);
    s.okta.take_asked();
    assert_eq!(s.sync(&[])["read"], "incremental");
    s.okta.take_asked();
    s.okta.org(|o| {
        o.set(&people[3], "firstName", "Changed");
        o.status(&people[4], Status::Suspended);
        o.add(&groups[5], &people[30]);
        o.remove(&groups[5], &people[5]);
    });
    s.sandbox.reset_counters();
    let cycle = s.sync(&[]);
    assert_eq!(cycle["read"], "incremental");
    assert_eq!(changes(&cycle), expected(&[("update", 1), ("deactivate", 1), ("members_add", 1), ("members_remove", 1)]));
    let asked: Vec<String> = s.okta.take_asked().iter().map(super::Asked::what).collect();
    assert_eq!(asked, ["users", "groups", "groups/*/users", "groups/*/users"], "the changed group and the one of the overlap");
    s.expect_in_step(None);
    s.sandbox.reset_counters();
    assert_eq!(changes(&s.sync(&[])), expected(&[]));
    assert_eq!(s.sandbox.requests(), 0, "a quiet cycle leaves the target alone");
}

#[test]
fn absence_confirmed_a_deletion_shows_in_the_full_read_only() {
    let s = Setting::new();
    let (ada, bob) = s.okta.org(|o| (o.join("ada"), o.join("bob")));
    let group = s.okta.org(|o| (o.group("Engineering", &[&ada, &bob]), o.group("Other", &[&ada])).0);
    s.sync(&[]);
    s.okta.org(|o| {
        // Nothing of this shows in any list by date.
        o.users.get_mut(&bob).unwrap().status = Status::Deprovisioned;
        o.delete(&bob);
        o.delete_group(&group);
    });
    let cycle = s.sync(&[]);
    assert_eq!((&cycle["read"], changes(&cycle)), (&json!("incremental"), expected(&[])));
    assert!(s.is_active(&bob), "not seen is not gone");
    let cycle = s.sync(&["--full"]);
    assert_eq!(cycle["read"], "full");
    assert_eq!(changes(&cycle)["deactivate"], 1);
    assert_eq!(changes(&cycle)["group_delete"], 1);
    s.expect_in_step(None);
}

#[test]
fn statuses_follow_the_configuration() {
    let s = Setting::with("inactive = [\"SUSPENDED\", \"DEPROVISIONED\"]", FREE);
    let ada = s.okta.org(|o| o.join("ada"));
    s.okta.org(|o| o.status(&ada, Status::Staged));
    s.sync(&[]);
    assert!(s.is_active(&ada), "whoever is not started yet may have an account");
    s.configure("", FREE);
    let cycle = s.sync(&[]);
    assert_eq!(cycle["read"], "full", "with other rules nothing of before holds");
    assert_eq!(changes(&cycle), expected(&[("deactivate", 1)]));
}

#[test]
fn custom_attributes_of_the_profile_can_be_mapped_and_filtered() {
    let map = format!(
        "{FREE}[sync.scope]\nusers = 'costCentre eq 42 and badges eq \"blue\"'\n[sync.map.user]\nnickName = \"[petName]\"\n\
         title = 'IIF([remote] = \"True\", \"Remote\", \"Here\")'\n"
    );
    let s = Setting::with("", &map);
    let (ada, bob) = s.okta.org(|o| (o.join("ada"), o.join("bob")));
    s.okta.org(|o| {
        o.set(&ada, "costCentre", 42);
        o.set(&ada, "badges", json!(["red", "blue"]));
        o.set(&ada, "petName", "Addie");
        o.set(&ada, "remote", true);
        o.set(&bob, "costCentre", 42);
    });
    s.sync(&[]);
    let accounts = s.accounts();
    assert_eq!(accounts.len(), 1);
    assert_eq!((&accounts[&ada]["nickName"], &accounts[&ada]["title"]), (&json!("Addie"), &json!("Remote")));
    // An attribute that nobody asked for is nobody's business.
    s.okta.org(|o| o.set(&ada, "shoeSize", 38));
    assert_eq!(changes(&s.sync(&[])), expected(&[]));
}

#[test]
fn check_online_says_what_it_sees() {
    let s = Setting::new();
    s.okta.org(|o| (o.join("ada"), o.group("All", &[])));
    let run = s.world.run(&["check", "--online", "--json"]).expect(0);
    let document = run.json();
    let source = document["online"].as_array().unwrap().iter().find(|p| p["kind"] == "source").unwrap().clone();
    assert_eq!(source["ok"], true);
    let facts = &source["facts"];
    assert_eq!((&facts["people"], &facts["groups"], &facts["signs in by"]), (&json!("1"), &json!("1"), &json!("API token")));
    assert!(!run.stdout.contains(super::TOKEN) && !run.stderr.contains(super::TOKEN));
}

#[test]
fn check_online_asks_for_groups_where_a_sync_wants_them() {
    let s = Setting::new();
    s.okta.org(|o| (o.join("ada"), o.group("All", &[])));
    s.okta.state().trouble.forbidden = Some("groups");
    let source = |code: i32| {
        let document = s.world.run(&["check", "--online", "--json"]).expect(code).json();
        document["online"].as_array().unwrap().iter().find(|p| p["kind"] == "source").unwrap().clone()
    };
    let found = source(4);
    assert!(found["ok"] == false && found["error"].as_str().unwrap().contains("may not read groups"), "{found}");
    assert_eq!(found["facts"]["people"], "1", "{found}");
    s.okta.take_asked();
    s.configure("", &format!("{FREE}[sync.actions]\ngroup = []\n"));
    let found = source(0);
    assert!(found["ok"] == true && found["facts"].get("groups").is_none(), "{found}");
    assert!(s.okta.take_asked().iter().all(|a| a.what() != "groups"), "nobody wants them");
}

#[test]
fn an_organisation_that_shows_no_group_is_warned_of_and_takes_no_group_away() {
    let s = Setting::new();
    s.okta.org(|o| {
        let (ada, bob) = (o.join("ada"), o.join("bob"));
        o.group("A", &[&ada, &bob]);
        o.group("B", &[&ada]);
    });
    s.sync(&[]);
    let groups = s.reader().memberships();
    let all = s.okta.org(|o| std::mem::take(&mut o.groups));
    let cycle = s.world.run(&["sync", "--full", "--json"]).expect(6).cycle();
    assert_eq!(changes(&cycle), expected(&[]));
    assert!(cycle["warnings"].to_string().contains("shows no group"), "{cycle}");
    assert_eq!(s.reader().memberships(), groups);
    let document = s.world.run(&["check", "--online", "--json"]).expect(0).json();
    let source = document["online"].as_array().unwrap().iter().find(|p| p["kind"] == "source").unwrap().clone();
    assert!(source["facts"]["warning"].as_str().unwrap().contains("no group is shown"), "{source}");
    s.okta.org(|o| o.groups = all);
    assert_eq!(changes(&s.sync(&["--full"])), expected(&[]));
}

#[test]
fn explained_by_plan_and_written_by_nobody() {
    let s = Setting::new();
    s.okta.org(|o| o.join("ada"));
    let plan = s.world.run(&["plan", "--json"]).expect(0).plan();
    assert_eq!(plan["changes"][0]["kind"], "create");
    assert_eq!(plan["changes"][0]["to"]["userName"], "ada@corp.example");
    assert_eq!(s.sandbox.writes(), 0);
    assert!(s.okta.take_asked().iter().all(|a| a.method == "GET"), "nothing is ever written to Okta");
}
