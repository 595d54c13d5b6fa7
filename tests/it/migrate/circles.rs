//! What an application refuses in the middle of it: nobody keeps a temporary name, and nobody is asked in vain.

use super::{SYNC, migration};
use crate::support::odd::{Odd, OddServer};
use crate::support::world::World;
use serde_json::json;

/// People whose accounts bear each other's user IDs: key, name now, name to be.
async fn circle(odd: Odd, people: &[(&str, &str, &str)]) -> (OddServer, World) {
    let server = OddServer::start(odd).await;
    let mut world = World::new(&server.url(), "t", SYNC, "");
    for (key, now, to_be) in people {
        server.seed(json!({"userName": format!("{now}@corp.example"), "externalId": key, "active": true}));
        world.join(key);
        world.set(key, "mail", format!("{to_be}@corp.example"));
    }
    world.save();
    (server, world)
}

fn migrate(world: &World, more: &[&str]) -> crate::support::world::Run {
    world.run(&[&["--migrate-userids", "--json", "--yes"], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_keeps_a_temporary_name_whoever_of_a_circle_is_refused() {
    let swap: &[(&str, &str, &str)] = &[("k1", "a", "b"), ("k2", "b", "a")];
    let three: &[(&str, &str, &str)] = &[("k1", "a", "b"), ("k2", "b", "c"), ("k3", "c", "a")];
    for people in [swap, three] {
        for (who, _, refused) in people {
            let (server, world) = circle(Odd::No, people).await;
            let before = server.names();
            server.refuse(&[(*who, &format!("{refused}@corp.example"))]);
            for _ in 0..2 {
                let found = migration(&migrate(&world, &[]).expect(7));
                assert_eq!(server.names(), before, "{refused} of {people:?}: {found}");
                assert_eq!(found["counts"]["renamed"], 0, "{found}");
                assert!(found["counts"]["failed"].as_u64().unwrap() > 0, "{found}");
            }
            server.refuse(&[]);
            let found = migration(&migrate(&world, &[]).expect(0));
            assert_eq!(found["counts"]["renamed"], people.len(), "{found}");
            for (key, _, to_be) in people {
                assert_eq!(server.names()[*key], format!("{to_be}@corp.example"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_name_that_cannot_be_given_back_is_a_failure_and_the_next_run_gives_it_back() {
    let (server, world) = circle(Odd::No, &[("k1", "a", "b"), ("k2", "b", "a")]).await;
    server.refuse(&[("k1", "a@corp.example"), ("k2", "a@corp.example")]);
    let found = migration(&migrate(&world, &[]).expect(7));
    let aside = server.names()["k1"].clone();
    assert!(aside.starts_with("scim-sync-"), "{aside}");
    let line = super::account(&found, "seeded-1");
    assert_eq!(line["result"], "failed", "{line}");
    let why = line["why"].as_str().unwrap();
    assert!(why.contains(&aside) && why.contains("a@corp.example"), "{why}");
    // Whatever the next run is about, nobody stays so.
    server.refuse(&[("k2", "a@corp.example")]);
    migrate(&world, &["--pilot", "seeded-2"]);
    assert!(!server.names().values().any(|name| name.starts_with("scim-sync-")), "{:?}", server.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stands_aside_is_given_the_name_back_whatever_the_next_run_selects() {
    let (server, world) = circle(Odd::No, &[("k1", "a", "b"), ("k2", "b", "a")]).await;
    let before = server.names();
    server.refuse(&[("k1", "a@corp.example"), ("k2", "a@corp.example")]);
    let first = migration(&migrate(&world, &[]).expect(7))["cycle"].as_i64().unwrap();
    // As if it had been killed there.
    let store = rusqlite::Connection::open(world.path("state.db")).unwrap();
    let note = json!({"migration": {"by": "x", "selection": "[false,false,false,null,\"None\",null]"}}).to_string();
    store.execute("UPDATE cycle SET result = NULL, ended = NULL, report = ?2 WHERE id = ?1", (first, note)).unwrap();
    let result =
        || -> Option<String> { store.query_row("SELECT result FROM cycle WHERE id = ?1", [first], |r| r.get(0)).unwrap() };
    let nobody = ["--only", "userName eq \"nobody\""];
    let found = migration(&migrate(&world, &nobody).expect(7));
    assert_eq!((super::account(&found, "seeded-1")["result"].as_str(), result()), (Some("failed"), None), "{found}");
    server.refuse(&[("k2", "a@corp.example")]);
    let found = migration(&migrate(&world, &nobody).expect(0));
    assert_eq!((server.names(), found["counts"]["renamed"].as_u64()), (before, Some(0)), "{found}");
    assert_eq!(result().as_deref(), Some("failed"), "nobody goes on with it");
    let log = world.run(&["log", "--cycle", &first.to_string(), "--json"]).expect(0).stdout;
    assert!(log.contains("a later migration that selected something else took its place"), "{log}");
    server.refuse(&[]);
    let found = migration(&migrate(&world, &[]).expect(0));
    assert_eq!((&found["counts"]["renamed"], server.names()["k1"].as_str()), (&json!(2), "b@corp.example"), "{found}");
}

/// Killed after the other one of the circle had its name: that one keeps it, and whoever stood aside has a name to go to.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_stands_aside_gets_the_new_name_where_the_old_one_is_given_for_good() {
    let (server, world) = circle(Odd::No, &[("k1", "a", "b"), ("k2", "b", "a"), ("k3", "c", "d")]).await;
    server.refuse(&[("k1", "b@corp.example"), ("k2", "b@corp.example"), ("k3", "d@corp.example")]);
    migrate(&world, &[]).expect(7);
    let names = server.names();
    assert!(names["k1"].starts_with("scim-sync-") && names["k2"] == "a@corp.example", "{names:?}");
    server.refuse(&[]);
    let found = migration(&migrate(&world, &["--pilot", "seeded-2"]).expect(0));
    let names = server.names();
    assert_eq!((names["k1"].as_str(), names["k2"].as_str()), ("b@corp.example", "a@corp.example"), "{found}");
    assert_eq!(names["k3"], "c@corp.example", "nobody else is renamed");
    let line = super::account(&found, "seeded-1");
    assert_eq!(line["result"], "renamed", "{line}");
    assert!(line["why"].as_str().unwrap().contains("stood aside for others, and has its new name"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_named_back_for_others_is_said_to_be_renamed() {
    let (server, world) = circle(Odd::No, &[("k1", "a", "b"), ("k2", "b", "c"), ("k3", "c", "a")]).await;
    server.refuse(&[("k1", "b@corp.example"), ("k2", "b@corp.example")]);
    let found = migration(&migrate(&world, &[]).expect(7));
    let names = server.names();
    assert_eq!((names["k2"].as_str(), names["k3"].as_str()), ("c@corp.example", "a@corp.example"));
    for (id, result) in [("seeded-1", "failed"), ("seeded-2", "renamed"), ("seeded-3", "renamed")] {
        assert_eq!(super::account(&found, id)["result"], result, "{found}");
    }
    let why = super::account(&found, "seeded-1")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("temporary name") && why.contains("c@corp.example"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_changes_no_name_is_asked_for_three() {
    for odd in [Odd::FixesNames, Odd::DoesNothing] {
        let server = OddServer::start(odd).await;
        let mut world = World::new(&server.url(), "t", SYNC, "");
        for i in 0..20 {
            server.seed(json!({"userName": format!("user{i:02}"), "active": true}));
            world.join(&format!("k{i:02}"));
            world.set(&format!("k{i:02}"), "sAMAccountName", format!("user{i:02}"));
        }
        world.save();
        let found = migration(&migrate(&world, &[]).expect(7));
        assert_eq!((&found["counts"]["failed"], &found["counts"]["refused"]), (&json!(3), &json!(17)), "{odd:?} {found}");
        let mut asked: Vec<String> =
            server.take_requests().into_iter().filter(|(method, _)| method != "GET").map(|(_, path)| path).collect();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), 3, "{odd:?} {asked:?}");
        let why = super::account(&found, "seeded-20")["why"].as_str().unwrap().to_owned();
        assert!(why.contains("cannot change a userName"), "{why}");
    }
}
