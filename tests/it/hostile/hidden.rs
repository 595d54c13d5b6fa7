//! A group that is shown without anybody is not an empty group: whoever has to leave it leaves it, whatever happens on the way.

use super::{change, is_right, quiet, world};
use crate::support::odd::{Lost, Odd, OddServer};
use crate::support::world::{World, changes, expected};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

const HIDDEN: &str = "members_shown = false";

fn members_of(w: &mut World) -> &mut Vec<String> {
    &mut w.groups.get_mut("g").unwrap().1
}

fn exchange_is_done(server: &OddServer) {
    let members = server.members();
    assert_eq!(members.len(), 20, "{members:?}");
    assert!(!members.contains(&"p00002@corp.example".to_owned()), "who left is still in the group: {members:?}");
    assert!(members.contains(&"p00022@corp.example".to_owned()), "{members:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn converges_after_lost_answers_where_no_members_are_shown() {
    let (server, mut w) = world(Odd::HidesMembers, HIDDEN).await;
    w.sync().expect(0);
    members_of(&mut w).retain(|m| m != "p00002");
    // As often as one request is repeated.
    server.lose(Lost::Answered(5));
    server.take_requests();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_remove", 1)]), "{cycle}");
    let patches = server.take_requests().into_iter().filter(|(method, _)| method == "PATCH").count();
    assert_eq!((server.members().len(), patches), (19, 6), "who left is out of the group");
    quiet(&server, &w);
    // Sent again only so often, and what could not be done is done by a later cycle.
    members_of(&mut w).push("p00022".to_owned());
    server.lose(Lost::Answered(1_000));
    server.take_requests();
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(cycle["counts"]["members_add"], 0, "{cycle}");
    let patches = server.take_requests().into_iter().filter(|(method, _)| method == "PATCH").count();
    assert!((2..10).contains(&patches), "{patches}");
    server.lose(Lost::Nothing);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_add", 1)]), "{cycle}");
    exchange_is_done(&server);
    quiet(&server, &w);
}

/// Starts a cycle, and kills it when it has sent a PATCH of the group.
fn killed_in_the_middle(server: &OddServer, w: &World) {
    server.lose(Lost::Unanswered);
    server.take_requests();
    w.save();
    let mut child = w.command(&["sync", "--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !server.take_requests().iter().any(|(method, path)| method == "PATCH" && path.starts_with("/Groups")) {
        assert!(Instant::now() < until, "no PATCH of a group");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.lose(Lost::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn converges_killed_with_memberships_under_way_where_none_are_shown() {
    let (server, mut w) = world(Odd::HidesMembers, HIDDEN).await;
    w.sync().expect(0);
    members_of(&mut w).retain(|m| m != "p00002");
    killed_in_the_middle(&server, &w);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_remove", 1)]), "{cycle}");
    assert_eq!(server.members().len(), 19);
    quiet(&server, &w);

    members_of(&mut w).push("p00022".to_owned());
    killed_in_the_middle(&server, &w);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_add", 1)]), "{cycle}");
    exchange_is_done(&server);
    quiet(&server, &w);
}

/// Where members are shown, what is known of that from before counts: the last one who left is not removed again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_where_members_are_shown_what_arrived_is_seen() {
    let (server, mut w) = world(Odd::No, "").await;
    w.group("g", &["p00002"]);
    w.sync().expect(0);
    members_of(&mut w).clear();
    killed_in_the_middle(&server, &w);
    server.empty_group();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), [].into(), "{cycle}");
    quiet(&server, &w);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_takes_no_member_for_missing_who_is_not_shown() {
    for (odd, target) in [(Odd::HidesMembers, HIDDEN), (Odd::ListsWithoutMembers, "")] {
        let (server, mut w) = world(odd, target).await;
        w.sync().expect(0);
        server.take_requests();
        let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
        assert_eq!(changes(&cycle), [].into(), "{odd:?}: {cycle}");
        let writes: Vec<_> = server.take_requests().into_iter().filter(|(method, _)| method != "GET").collect();
        assert_eq!(writes, [], "{odd:?}");
        // Who leaves in a verifying cycle is taken out all the same.
        change(&mut w);
        w.save();
        let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
        assert_eq!(
            (&cycle["counts"]["members_add"], &cycle["counts"]["members_remove"]),
            (&1.into(), &2.into()),
            "{odd:?}: {cycle}"
        );
        is_right(&server, &w);
        quiet(&server, &w);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_takes_memberships_back_where_none_are_shown() {
    let (server, mut w) = world(Odd::HidesMembers, HIDDEN).await;
    let first = w.sync().expect(0).cycle()["cycle"].clone();
    let before = server.members();
    members_of(&mut w).retain(|m| m != "p00002");
    members_of(&mut w).push("p00022".to_owned());
    let n = w.sync().expect(0).cycle()["cycle"].clone();
    let cycle = w.run(&["undo", &n.to_string(), "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_add", 1), ("members_remove", 1)]), "{cycle}");
    assert_eq!(server.members(), before);
    // Held, and not done again.
    let cycle = w.sync().expect(6).cycle();
    assert_eq!((changes(&cycle), server.members()), ([].into(), before), "{cycle}");
    assert_eq!(changes(&w.run(&["undo", &n.to_string(), "--json"]).expect(0).cycle()), [].into());

    // Who else is in a group that the cycle made is not known: it stays, and whoever we put into it is taken out.
    let run = w.run(&["undo", &first.to_string(), "--json"]).expect(7);
    let cycle = run.cycle();
    assert_eq!((&cycle["counts"]["group_delete"], &cycle["counts"]["members_remove"]), (&0.into(), &20.into()), "{cycle}");
    let reasons: Vec<&str> = cycle["parked"].as_array().unwrap().iter().map(|p| p["reason"].as_str().unwrap()).collect();
    assert!(reasons.iter().any(|r| r.contains("does not show who else is in it")), "{reasons:?}");
    assert_eq!(server.members(), Vec::<String>::new());
}

/// Lists leave the members out, and a look at one group shows them: what was changed by hand there is seen all the same.
#[tokio::test(flavor = "multi_thread")]
async fn verify_reads_groups_one_by_one_where_lists_leave_members_out() {
    let (server, mut w) = world(Odd::ListsWithoutMembers, "").await;
    w.sync().expect(0);
    server.empty_group();
    let before = server.members();
    assert!(before.is_empty());
    // None of ours shows anybody: what the target shows is not believed.
    w.run(&["sync", "--verify", "--json"]).expect(0);
    w.group("h", &["p00020"]);
    w.sync().expect(0);
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(cycle["counts"]["members_add"], 20, "{cycle}");
    quiet(&server, &w);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_target_does_not_show_is_no_member_until_the_account_is_active_again() {
    let (server, mut w) = world(Odd::HidesInactive, "").await;
    w.sync().expect(0);
    w.set("p00004", "accountEnabled", false);
    w.sync().expect(0);
    // It takes that one out of the group, and somebody else takes out another one, who is put in again.
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let groups: Value = http.get(format!("{}/Groups", server.url())).send().await.unwrap().json().await.unwrap();
    let group = groups["Resources"][0]["id"].as_str().unwrap();
    for name in ["p00004@corp.example", "p00006@corp.example"] {
        let user = server.users().into_iter().find(|u| u["userName"] == name).unwrap();
        let path = format!("members[value eq \"{}\"]", user["id"].as_str().unwrap());
        let body = json!({"Operations": [{"op": "remove", "path": path}]});
        http.patch(format!("{}/Groups/{group}", server.url())).json(&body).send().await.unwrap().error_for_status().unwrap();
    }
    assert_eq!(server.members().len(), 18);
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_add", 1)]), "{cycle}");
    assert!(!server.members().contains(&"p00004@corp.example".to_owned()), "{:?}", server.members());
    quiet(&server, &w);
    w.set("p00004", "accountEnabled", true);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("reactivate", 1), ("members_add", 1)]), "{cycle}");
    assert_eq!(server.members().len(), 20);
    quiet(&server, &w);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_made_active_by_hand_is_shown_again_and_in_the_group() {
    let (server, mut w) = world(Odd::HidesInactive, "").await;
    w.sync().expect(0);
    w.set("p00004", "accountEnabled", false);
    w.sync().expect(0);
    let user = server.users().into_iter().find(|u| u["userName"] == "p00004@corp.example").unwrap();
    let id = user["id"].as_str().unwrap();
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let groups: Value = http.get(format!("{}/Groups", server.url())).send().await.unwrap().json().await.unwrap();
    let group = groups["Resources"][0]["id"].as_str().unwrap();
    for (path, op) in [
        (format!("Groups/{group}"), json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})),
        (format!("Users/{id}"), json!({"op": "replace", "path": "active", "value": true})),
    ] {
        let body = json!({ "Operations": [op] });
        http.patch(format!("{}/{path}", server.url())).json(&body).send().await.unwrap().error_for_status().unwrap();
    }
    assert_eq!(server.members().len(), 19);
    w.set("p00004", "accountEnabled", true);
    w.save();
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_add", 1)]), "{cycle}");
    assert_eq!(server.members().len(), 20);
    quiet(&server, &w);
    w.leave("p00004");
    let cycle = w.sync().expect(0).cycle();
    assert_eq!((&cycle["counts"]["deactivate"], server.members().len()), (&1.into(), 19), "{cycle}");
}

/// In many an application some groups are empty: that the first ones are says nothing of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_cycle_finds_the_members_behind_empty_groups() {
    let server = OddServer::start(Odd::ListsWithoutMembers).await;
    server.seed(json!({"userName": "p00000@corp.example", "active": true}));
    for i in 0..7 {
        server.seed_group(json!({"displayName": format!("Empty {i}")}));
    }
    server.seed_group(json!({"displayName": "Group g", "members": [{"value": "seeded-1"}]}));
    let mut w = World::new(&server.url(), "t", "", "");
    w.populate(3);
    w.group("g", &["p00001"]);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!((&cycle["counts"]["group_adopt"], &cycle["counts"]["members_remove"]), (&json!(1), &json!(1)), "{cycle}");
    let groups = server.groups();
    assert!(groups.contains(&("Group g".to_owned(), vec!["p00001@corp.example".to_owned()])), "{groups:?}");
}

/// Where linked groups are not compared, only the others are read by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn linked_groups_are_not_read_one_by_one_to_match_others() {
    let (server, mut w) = world(Odd::ListsWithoutMembers, "").await;
    for i in 0..20 {
        w.group(&format!("more-{i}"), &["p00001"]);
    }
    w.sync().expect(0);
    let again = |w: &World, what: &str| {
        let sync = format!("[sync.map.user]\ntitle = \"[{what}]\"\n");
        w.configure("type = \"file\"\npath = \"people.json\"", &server.url(), "t", &sync, "");
        server.take_requests();
        w.sync().expect(0);
        server.take_requests().into_iter().filter(|(method, path)| method == "GET" && path.starts_with("/Groups/")).count()
    };
    assert_eq!(again(&w, "department"), 0, "every group is linked");
    server.seed_group(json!({"displayName": "Other", "members": [{"value": "seeded-1"}]}));
    assert_eq!(again(&w, "nickname"), 6, "the first five, and the one without a link");
}

/// Whoever is hidden was there: nobody is looked for under another id, which may cost a read of the whole target.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_leaver_is_not_looked_for() {
    let (server, mut w) = world(Odd::HidesInactive, "").await;
    w.sync().expect(0);
    w.group("g", &[]);
    w.sync().expect(0);
    w.set("p00004", "accountEnabled", false);
    server.take_requests();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 1)]), "{cycle}");
    let lists = server.take_requests().into_iter().filter(|(method, path)| method == "GET" && path == "/Users").count();
    assert!(lists <= 1, "{lists} lists, where one shows that the target serves any");
}
