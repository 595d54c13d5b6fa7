//! Whole cycles against servers with bad habits: nobody twice, nobody lost, an end, and what cannot be done is said.

mod hidden;
mod kept;
mod killed;
mod late;
mod met;
mod patchless;
mod throttled;
mod unseen;

use crate::support::odd::{Odd, OddServer};
use crate::support::world::{World, changes};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

const PEOPLE: usize = 25;

/// 25 people in a group, one of whom has an account already; and an account of somebody else.
async fn world(odd: Odd, target: &str) -> (OddServer, World) {
    let server = OddServer::start(odd).await;
    server.seed(json!({"userName": "p00003@corp.example", "active": true}));
    server.seed(json!({"userName": "other@corp.example", "active": true}));
    let sync = "[sync.guard]\ndeactivate = \"unlimited\"\nrename = \"unlimited\"\nmembers_remove_per_group = \"unlimited\"\nsource_shrink = \"unlimited\"";
    let mut w = World::new(&server.url(), "t", sync, target);
    w.populate(PEOPLE);
    let ids: Vec<String> = w.people.keys().take(20).cloned().collect();
    w.group("g", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    (server, w)
}

/// Somebody leaves, somebody marries, somebody is called otherwise, one joins the group and one leaves it.
fn change(w: &mut World) {
    w.leave("p00005");
    w.set("p00000", "mail", "renamed@corp.example");
    w.set("p00001", "displayName", "New Name");
    let members = &mut w.groups.get_mut("g").unwrap().1;
    members.retain(|m| m != "p00002");
    members.push("p00022".to_owned());
}

/// The world as it ought to be after `change`.
fn is_right(server: &OddServer, w: &World) {
    server.no_duplicates();
    let users = server.users();
    assert_eq!(users.len(), PEOPLE + 1);
    let by_name = |name: &str| users.iter().find(|u| u["userName"] == name).unwrap_or_else(|| panic!("{name}: {users:?}"));
    assert_eq!(by_name("p00005@corp.example")["active"], false);
    assert_eq!(by_name("other@corp.example")["active"], true);
    assert_eq!(by_name("p00001@corp.example")["displayName"], "New Name");
    assert_eq!(users.iter().filter(|u| u["active"] == false).count(), 1);
    let mut members: Vec<String> = w.groups["g"].1.iter().map(|id| w.people[id]["mail"].as_str().unwrap().to_owned()).collect();
    members.sort();
    assert_eq!(server.members(), members);
}

fn quiet(server: &OddServer, w: &World) {
    server.take_requests();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), [].into(), "{cycle}");
    assert_eq!(server.take_requests(), [], "nothing is asked and nothing written");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_habit_the_end_is_right() {
    for odd in [
        Odd::No,
        Odd::IgnoresFilters,
        Odd::FindsNothing,
        Odd::KeepsCopies,
        Odd::StartsOver,
        Odd::IdIsName,
        Odd::TakesFewMembers,
        Odd::WantsVersions,
        Odd::LiesAboutVersions,
        Odd::RequiresIfMatch,
        Odd::WantsText,
        Odd::WantsCapitals,
        Odd::PatchesUsersOnly,
        Odd::KnowsNoPatch,
        Odd::KeepsNoExternalId,
        Odd::CreatesWith200,
    ] {
        println!("{odd:?}");
        let (server, mut w) = world(odd, "").await;
        w.sync().expect(0);
        server.no_duplicates();
        assert_eq!(server.members().len(), 20, "{odd:?}");
        quiet(&server, &w);
        change(&mut w);
        w.sync().expect(0);
        is_right(&server, &w);
        quiet(&server, &w);
        // A verifying cycle, which lists everything, has nothing to put right.
        let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
        assert_eq!(changes(&cycle), [].into(), "{odd:?}: {cycle}");
        // A state store that is lost comes back without a create.
        std::fs::remove_file(w.path("state.db")).unwrap();
        let cycle = w.sync().expect(0).cycle();
        assert_eq!(cycle["counts"]["create"], 0, "{odd:?}: {cycle}");
        server.no_duplicates();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_whose_id_changed_with_the_name_is_deactivated() {
    let (server, mut w) = world(Odd::IdIsName, "").await;
    w.sync().expect(0);
    w.set("p00000", "mail", "renamed@corp.example");
    w.sync().expect(0);
    assert!(server.members().contains(&"renamed@corp.example".to_owned()), "{:?}", server.members());
    w.leave("p00000");
    w.sync().expect(0);
    let users = server.users();
    let leaver = users.iter().find(|u| u["userName"] == "renamed@corp.example").unwrap();
    assert_eq!(leaver["active"], false);
    assert_eq!(server.members().len(), 19);
}

/// Killed between the note of the new id and the group that still has the old one.
#[tokio::test(flavor = "multi_thread")]
async fn killed_when_an_id_changed_with_the_name_the_membership_comes_back() {
    let (server, mut w) = world(Odd::IdIsName, "").await;
    w.sync().expect(0);
    w.set("p00000", "mail", "renamed@corp.example");
    w.save();
    server.take_requests();
    server.groups_hang(true);
    let mut child = w.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !server.take_requests().iter().any(|(_, path)| path.starts_with("/Groups/")) {
        assert!(began.elapsed() < Duration::from_secs(30) && child.try_wait().unwrap().is_none(), "no group was looked at");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.groups_hang(false);
    let renamed = "renamed@corp.example".to_owned();
    assert!(!server.members().contains(&renamed), "killed too late");
    w.sync().expect(0);
    assert!(server.members().contains(&renamed), "{:?}", server.members());
    quiet(&server, &w);
}

/// Accounts that are gone are not looked for in the whole list one by one, and a leaver's is all the same.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_were_removed_by_hand_do_not_cost_a_read_of_the_list_each() {
    let server = OddServer::start(Odd::IgnoresFilters).await;
    // Of others: the list has four pages.
    for i in 0..300 {
        server.seed(json!({"userName": format!("other{i}@else.example"), "active": true}));
    }
    let sync = "[sync.guard]\nsource_shrink = \"unlimited\"";
    let mut w = World::new(&server.url(), "t", sync, "");
    w.populate(60);
    w.sync().expect(0);
    for i in 0..20 {
        server.remove(&format!("p{i:05}@corp.example"));
    }
    let ids: Vec<String> = w.people.keys().cloned().collect();
    ids.iter().for_each(|id| w.set(id, "displayName", "New Name"));
    server.take_requests();
    w.sync();
    let requests = server.take_requests();
    let pages = requests.iter().filter(|(method, path)| method == "GET" && path == "/Users").count();
    // One row each to see that it is not the whole target that is gone; whoever was on the way when the third was missed.
    assert!(pages <= 20 + 10 * (4 + 2), "{pages} pages");
    let named = |u: &&Value| u["displayName"] == "New Name";
    assert!(server.users().iter().filter(named).count() >= 40);
    server.no_duplicates();
}

/// An account that somebody made in the place of ours is theirs: what `delete` may take it is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_made_anew_by_somebody_else_is_adopted() {
    let (server, mut w) = world(Odd::No, "").await;
    w.sync().expect(0);
    let origins = |w: &World| -> Vec<i64> {
        let state = rusqlite::Connection::open(w.path("state.db")).unwrap();
        let sql =
            "SELECT l.origin FROM link l JOIN entry e ON e.id = l.entry_id WHERE e.key IN ('p00000', 'p00001') ORDER BY e.key";
        state.prepare(sql).unwrap().query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(origins(&w), [0, 0]);
    for (i, created) in [(0, "2099-01-01T00:00:00Z"), (1, "2001-01-01T00:00:00Z")] {
        let mut user = server.remove(&format!("p0000{i}@corp.example"));
        assert!(user["externalId"].is_string(), "{user}");
        user["meta"] = json!({"created": created});
        server.seed(user);
        w.set(&format!("p0000{i}"), "displayName", "New Name");
    }
    w.sync().expect(0);
    assert_eq!(server.users().iter().filter(|u| u["displayName"] == "New Name").count(), 2);
    assert_eq!(origins(&w), [1, 0], "made after ours; ours under another id");
    server.no_duplicates();
}

/// Everything that was asked for and not done is parked, with words that say so; nothing is called done.
fn nothing_is_called_done(cycle: &Value, parked: usize) {
    let reasons: Vec<&str> = cycle["parked"].as_array().unwrap().iter().map(|p| p["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), parked, "{cycle}");
    for reason in reasons {
        assert!(
            reason.contains("accepted the change and did not apply") || reason.contains("shows nobody in the group"),
            "{reason}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_and_not_done_is_parked() {
    for odd in [Odd::DoesNothing, Odd::DoesNothingQuietly, Odd::OnlyEchoes] {
        println!("{odd:?}");
        let (server, mut w) = world(odd, "").await;
        let cycle = w.sync().expect(7).cycle();
        // The account that was there, and the members of the group.
        nothing_is_called_done(&cycle, 2);
        assert_eq!((&cycle["counts"]["create"], &cycle["counts"]["members_add"]), (&json!(PEOPLE - 1), &json!(0)), "{cycle}");
        w.leave("p00005");
        server.take_requests();
        let cycle = w.sync().expect(7).cycle();
        assert_eq!(cycle["counts"]["deactivate"], 0, "{odd:?}: {cycle}");
        nothing_is_called_done(&cycle, 3);
        let requests = server.take_requests().len();
        assert!(requests < 130, "{odd:?}: {requests} requests for three records");
        server.no_duplicates();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_never_shown_are_believed_only_where_that_is_said() {
    let (server, w) = world(Odd::HidesMembers, "").await;
    let cycle = w.sync().expect(7).cycle();
    nothing_is_called_done(&cycle, 1);
    assert!(cycle["parked"][0]["reason"].as_str().unwrap().contains("members_shown = false"), "{cycle}");
    server.no_duplicates();

    let (server, mut w) = world(Odd::HidesMembers, "members_shown = false").await;
    w.sync().expect(0);
    assert_eq!(server.members().len(), 20);
    server.take_requests();
    change(&mut w);
    w.sync().expect(0);
    is_right(&server, &w);
    let groups: Vec<_> = server.take_requests().into_iter().filter(|(_, path)| path.starts_with("/Groups")).collect();
    assert_eq!(groups.len(), 2, "one to add, one to remove, and no look: {groups:?}");
    quiet(&server, &w);

    // Whoever was not removed because the form was refused is not called removed.
    let (server, mut w) = world(Odd::HidesMembersAndRefusesFilters, "members_shown = false").await;
    w.sync().expect(0);
    change(&mut w);
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(cycle["counts"]["members_remove"], 0, "{cycle}");
    assert!(server.members().contains(&"p00002@corp.example".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_is_not_looked_at_again() {
    let (server, mut w) = world(Odd::No, "").await;
    w.sync().expect(0);
    change(&mut w);
    w.sync().expect(0);
    // Another process, the same kinds of changes: one request each.
    w.leave("p00007");
    w.set("p00008", "mail", "renamed8@corp.example");
    w.set("p00001", "displayName", "Newer Name");
    w.groups.get_mut("g").unwrap().1.push("p00023".to_owned());
    server.take_requests();
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(cycle["counts"]["rename"], 1, "{cycle}");
    let requests = server.take_requests();
    assert_eq!(requests.iter().filter(|(method, _)| method == "GET").count(), 0, "{requests:?}");
    // Too large a request is refused once, and not tried again.
    let (server, mut w) = world(Odd::TakesFewMembers, "").await;
    w.sync().expect(0);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    w.groups.get_mut("g").unwrap().1 = ids;
    server.take_requests();
    w.sync().expect(0);
    let patches = server.take_requests().into_iter().filter(|(m, p)| m == "PATCH" && p.starts_with("/Groups")).count();
    assert_eq!(patches, 1, "five more, in one request");
    assert_eq!(server.members().len(), PEOPLE);
}
