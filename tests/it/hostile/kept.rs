//! What a target accepts and does not keep: parked as long as it is so, and not sent to everybody again and again.

use super::{quiet, world};
use crate::support::odd::{Odd, OddServer};
use crate::support::world::changes;
use serde_json::json;

/// Writes of users since the last call.
fn writes(server: &OddServer) -> usize {
    server.take_requests().iter().filter(|(method, path)| method != "GET" && path.starts_with("/Users")).count()
}

/// The adoption changes nothing but the letter case of a name, which proves nothing about renames.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_never_changed_is_parked_until_it_is() {
    let (server, mut w) = world(Odd::KeepsNames, "").await;
    server.seed(json!({"userName": "P00004@corp.example", "active": true}));
    w.sync().expect(0);
    w.set("p00000", "mail", "renamed@corp.example");
    w.save();
    for args in [&["sync", "--json"][..], &["sync", "--verify", "--json"], &["sync", "--json"]] {
        let cycle = w.run(args).expect(7).cycle();
        assert_eq!(cycle["parked"].as_array().unwrap().len(), 1, "{args:?}: {cycle}");
        let status = w.run(&["status", "--json"]).expect(0).json();
        assert_eq!(status["syncs"][0]["parked"], 1, "{args:?}: {status}");
    }
    w.set("p00000", "mail", "p00000@corp.example");
    w.sync().expect(0);
}

/// A drift that cannot be put right is not forgotten because the next cycle does not look.
#[tokio::test(flavor = "multi_thread")]
async fn a_drift_that_stays_stays_parked() {
    let (server, w) = world(Odd::KeepsNames, "").await;
    w.sync().expect(0);
    server.set("p00007@corp.example", "userName", json!("byhand@corp.example"));
    for args in [&["sync", "--verify", "--json"][..], &["sync", "--json"], &["sync", "--json"]] {
        let cycle = w.run(args).expect(7).cycle();
        assert_eq!(cycle["parked"].as_array().unwrap().len(), 1, "{args:?}: {cycle}");
    }
    server.set("byhand@corp.example", "userName", json!("p00007@corp.example"));
    w.run(&["sync", "--verify", "--json"]).expect(0);
    quiet(&server, &w);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_that_nobody_keeps_is_not_written_in_every_verify() {
    let (server, w) = world(Odd::KeepsNoExternalId, "").await;
    w.sync().expect(0);
    server.take_requests();
    for _ in 0..2 {
        let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
        assert_eq!((changes(&cycle), writes(&server)), ([].into(), 0), "{cycle}");
    }
    quiet(&server, &w);
}

/// A migration writes externalId where the account had none; that it is not kept parks nobody, and is not tried again.
#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_that_nobody_keeps_parks_nobody_who_was_renamed() {
    let (server, mut w) = world(Odd::KeepsNoExternalId, "").await;
    for i in 0..3 {
        server.seed(json!({"userName": format!("legacy{i}"), "active": true}));
        w.set(&format!("p0000{i}"), "sAMAccountName", format!("legacy{i}"));
    }
    w.save();
    w.run(&["--migrate-userids", "--yes", "--json"]).expect(0);
    let cycle = w.run(&["sync", "--json"]).expect(0).cycle();
    assert_eq!(cycle["parked"], json!([]), "{cycle}");
    quiet(&server, &w);
}

/// Where it is all that is to be written, as of an account that was linked by hand.
#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_that_nobody_keeps_parks_nobody_who_was_linked() {
    let (server, w) = world(Odd::KeepsNoExternalId, "").await;
    w.sync().expect(0);
    let id = server.users()[0]["id"].as_str().unwrap().to_owned();
    let who = server.users()[0]["userName"].as_str().unwrap().to_owned();
    w.run(&["link", "drop", "s", &who]).expect(0);
    w.run(&["link", "set", "s", &who, &id]).expect(0);
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(cycle["parked"], json!([]), "{cycle}");
    quiet(&server, &w);
}
