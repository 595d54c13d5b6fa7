//! A first cycle brings everything over, and the second has nothing to do.

use super::{Live, Server, directory};
use crate::support::world::{changes, expected};
use std::time::Instant;

/// Creates per second in the first cycle.
fn post_rate(live: &Live) -> f64 {
    let requests = live.recorder.requests();
    let times: Vec<Instant> = requests.iter().filter(|r| r.kind() == "POST Users").map(|r| r.at).collect();
    times.len() as f64 / (times[times.len() - 1] - times[0]).as_secs_f64()
}

/// Creates per second by a plain client that sends as much to a server of the same make, eight at a time.
fn bare_loop(live: &Live) -> f64 {
    let fresh = match live.server.name() {
        "scim2-server" => Server::scim2().unwrap(),
        "SCIMMY" => Server::scimmy().unwrap(),
        _ => Server::sandbox(),
    };
    let recorder = crate::support::recorder::Recorder::start(&fresh.url());
    let bodies: Vec<_> =
        live.recorder.requests().into_iter().filter(|r| r.kind() == "POST Users").map(|r| r.body.to_string()).collect();
    let (url, token) = (format!("{}/Users", recorder.url), fresh.token());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for lane in 0..8 {
            let (bodies, url, token) = (&bodies, &url, &token);
            scope.spawn(move || {
                let client = reqwest::blocking::Client::new();
                for body in bodies.iter().skip(lane).step_by(8) {
                    let request = client.post(url).bearer_auth(token).header("Content-Type", "application/scim+json");
                    assert_eq!(request.body(body.clone()).send().unwrap().status(), 201);
                }
            });
        }
    });
    bodies.len() as f64 / began.elapsed().as_secs_f64()
}

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
    let bare = bare_loop(&live);
    println!("  POST Users: {:.0}/s; a bare loop at the same concurrency {bare:.0}/s", post_rate(&live));
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
