//! Asked to stop: writes in flight are finished, nothing new is begun, and the next cycle goes on.
#![cfg(unix)]

use crate::support::settled::{assert_all_created, assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Starts `sync`, sends the signal when the target holds so many people, and returns how long the end took, with the exit
/// code.
fn stopped(w: &World, sandbox: &SandboxProcess, name: &str, people: u64) -> (Duration, Option<i32>) {
    w.save();
    let mut child = w.command(&["sync", "--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while sandbox.stats()["users"].as_u64().unwrap() < people {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.try_wait().unwrap().is_none(), "done before it was asked to stop");
    signal(&child, name);
    let asked = Instant::now();
    let status = child.wait().unwrap();
    (asked.elapsed(), status.code())
}

fn world(sandbox: &SandboxProcess, people: usize, target: &str) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", target);
    w.populate(people);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    w.group("all", &members);
    w
}

#[test]
fn converges_after_sigterm_and_sigint() {
    for name in ["TERM", "INT"] {
        let sandbox = SandboxProcess::start(&["--latency", "20"]);
        let w = world(&sandbox, 300, "concurrency = 4");
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let (took, code) = stopped(&w, &sandbox, name, 60);
        assert!(took < Duration::from_secs(3), "{name}: {took:?}");
        assert_eq!(code, Some(5), "{name}: not everything was done, and that is said");
        let after = target.users().len();
        assert!((1..300).contains(&after), "{name}: {after} people, not in the middle");
        // Everything that was answered is booked: nothing is left to be looked up.
        let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
        let count = |sql: &str| c.query_row(sql, [], |r| r.get::<_, usize>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM intent"), 0, "{name}");
        assert_eq!(count("SELECT count(*) FROM link"), after, "{name}: every account has its link");
        w.sync().expect(0);
        assert_as_desired(&w, &target);
        assert_eq!(assert_all_created(&w.path("state.db")), (300, 1));
        assert_quiet(&w, &sandbox);
    }
}

/// Answers that take longer than anybody waits: what is in flight is given up, and looked up in the next cycle.
#[test]
fn one_account_per_person_stopped_while_the_target_is_slow() {
    let sandbox = SandboxProcess::start(&["--fault-slow", "0.1:20000", "--fault-seed", "2"]);
    let w = world(&sandbox, 60, "concurrency = 8\ntimeout = \"60s\"");
    let (took, _) = stopped(&w, &sandbox, "TERM", 20);
    assert!(took < Duration::from_secs(10), "{took:?}");
    w.configure(
        "type = \"file\"\npath = \"people.json\"",
        &sandbox.base_url,
        &sandbox.token,
        "",
        "concurrency = 16\ntimeout = \"300ms\"",
    );
    let mut code = -1;
    for _ in 0..20 {
        code = w.sync().code;
        if code == 0 {
            break;
        }
    }
    assert_eq!(code, 0);
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
    assert_all_created(&w.path("state.db"));
}
