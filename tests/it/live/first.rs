//! A first cycle brings everything over, and the second has nothing to do.

use super::{Live, Server, directory};
use crate::support::world::{changes, expected};
use std::time::Instant;

fn everything(server: Server, nested: &str) {
    let directory = directory(11, 1000, 50, 5000);
    let live = Live::start(&directory, server, &format!("nested_groups = \"{nested}\""), "");
    let snapshot = live.snapshot();
    assert_eq!((snapshot.people(), snapshot.groups()), (1000, 50));
    assert!(snapshot.memberships() >= 5000);
    let wanted = snapshot.expected(nested == "flatten");
    // The two ways of knowing what is there agree.
    let active = directory.people.iter().filter(|p| !p.locked).count();
    assert_eq!(wanted.accounts.len(), active);
    assert!(directory.people.iter().filter(|p| !p.locked).all(|p| wanted.accounts[&p.uuid].display_name == p.display_name));

    let began = Instant::now();
    let cycle = live.sync().expect(0).cycle();
    let took = began.elapsed().as_secs_f64();
    let n = live.recorder.requests().len();
    println!("{} {nested}: {n} requests in {took:.1} s, {:.0}/s", live.server.name(), n as f64 / took);
    let counts = [("create", active as u64), ("group_create", 50), ("members_add", wanted.memberships() as u64)];
    assert_eq!(changes(&cycle), expected(&counts));
    let written = live.recorder.written();
    assert_eq!((written["POST Users"], written["POST Groups"]), (active, 50), "one write per new person and group");
    assert!(live.recorder.requests().iter().all(|r| r.status < 300), "nothing is refused");
    wanted.expect(&live.held());

    live.expect_quiet();
    wanted.expect(&live.held());
}

#[test]
fn a_thousand_people_reach_scim2_server() {
    if let Some(server) = Server::scim2() {
        everything(server, "flatten");
    }
}

#[test]
fn a_thousand_people_reach_scimmy() {
    if let Some(server) = Server::scimmy() {
        everything(server, "flatten");
    }
}

#[test]
fn a_thousand_people_reach_the_sandbox() {
    everything(Server::sandbox(), "flatten");
}

#[test]
fn direct_members_only() {
    everything(Server::sandbox(), "direct");
    if let Some(server) = Server::scim2() {
        everything(server, "direct");
    }
}
