//! What the service says: to its manager, and in its log.

use crate::support::service::{SELDOM, Service, ask, eventually, long_ago, results};
use crate::support::world::{SandboxProcess, World};
use serde_json::Value;

#[test]
fn the_manager_is_told() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.save();
    let mut service = Service::start_with(&w, &["run"], &[("WATCHDOG_USEC", "900000")]);
    eventually("signs of life", || service.messages().iter().filter(|m| *m == "WATCHDOG=1\n").count() > 5);
    let status = service.messages().into_iter().find(|m| m.starts_with("STATUS=")).unwrap();
    assert!(status.contains("next s at ") && status.contains("0 held, 0 parked") && status.lines().count() == 1, "{status}");
    assert_eq!(service.stop("TERM").1, Some(0));
    let all = service.messages();
    assert!(all.iter().position(|m| m == "READY=1\n") < all.iter().position(|m| m.starts_with("WATCHDOG=1")));
    eventually("STOPPING=1", || service.messages().iter().any(|m| m.contains("STOPPING=1")));
}

/// Without a manager, and with a watchdog meant for another process, nothing is different.
#[test]
fn no_manager_is_needed() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.save();
    let mut service = Service::start_with(&w, &["run"], &[("WATCHDOG_USEC", "300000"), ("WATCHDOG_PID", "1")]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!service.messages().iter().any(|m| m.contains("WATCHDOG")));
    assert_eq!(service.stop("TERM").1, Some(0));
    let mut child =
        w.command(&["run"]).env("NOTIFY_SOCKET", "/nowhere/at/all").stderr(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(alive);
}

#[test]
fn what_keeps_a_service_from_starting_is_said() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"every day\"", "");
    w.run(&["run"]).expect(3);
    let w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    std::fs::write(w.path("state.db"), "this is no database, and long enough to be seen as none ".repeat(20)).unwrap();
    let refused = w.run(&["run"]).expect(9);
    assert!(refused.stderr.contains("state.db"), "{}", refused.stderr);
}

/// One line for a cycle that did something, none for a quiet one; in JSON every field has its name.
#[test]
fn the_log_is_quiet_where_nothing_happens() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.populate(2);
    w.sync().expect(0);
    w.join("late");
    // Nobody has an address like this: parked, and said who.
    w.join("odd");
    w.set("odd", "mail", "not an address");
    w.save();
    long_ago(&w);
    let mut service = Service::start_with(&w, &["run", "--log-format", "json"], &[]);
    eventually("the cycle", || results(&w, "s").len() == 2);
    for n in 3..6 {
        ask(&w, "s");
        eventually("a quiet one", || results(&w, "s").len() == n);
    }
    assert_eq!(service.stop("TERM").1, Some(0));
    let log = service.log();
    let lines: Vec<Value> = log.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
    let cycles: Vec<&Value> = lines.iter().filter(|l| l["result"].is_string()).collect();
    assert_eq!(cycles.len(), 1, "{log}");
    assert_eq!((&cycles[0]["sync"], &cycles[0]["result"], &cycles[0]["cycle"]), (&"s".into(), &"parked".into(), &2.into()));
    let people: Vec<&Value> = lines.iter().filter(|l| l["who"].is_string()).collect();
    assert_eq!(people.len(), 1, "said once: {log}");
    assert_eq!((&people[0]["status"], &people[0]["level"]), (&"parked".into(), &"WARN".into()));
    assert_eq!(people[0]["who"], "not an address", "{log}");
}
