//! A new configuration while the service runs.

use super::until_people;
use crate::support::service::{SELDOM, Service, ask, eventually, long_ago, results};
use crate::support::world::{SandboxProcess, ScimReader, World};

fn edit(w: &World, from: &str, to: &str) {
    let path = w.path("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

/// Messages of reloads so far: begun, ready.
fn reloads(service: &Service) -> (usize, usize) {
    let all = service.messages();
    let count = |what: &str| all.iter().filter(|m| m.lines().any(|l| l == what)).count();
    (count("RELOADING=1"), count("READY=1"))
}

#[track_caller]
fn reload(service: &Service, times: usize) {
    service.signal("HUP");
    eventually("the reload", || reloads(service) == (times, times + 1));
}

#[test]
fn a_good_configuration_counts_and_a_bad_one_does_not() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.populate(3);
    w.sync().expect(0);
    let mut service = Service::start(&w);
    w.set("p00001", "title", "Chief");
    w.save();

    // Bad: the old one stays, and it is said why, with the place.
    edit(&w, "schedule", "scheduel");
    reload(&service, 1);
    service.logs("the new configuration cannot be used, the old one stays");
    assert!(service.log().contains("scheduel") && service.log().contains("config.toml"), "{}", service.log());
    ask(&w, "s");
    eventually("a cycle with the old one", || results(&w, "s") == ["ok", "ok"]);

    // Good: the new mapping counts from the next cycle on.
    edit(&w, "scheduel", "schedule");
    let path = w.path("config.toml");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "[sync.map.user]\ntitle = \"[title]\"\n").unwrap();
    reload(&service, 2);
    service.logs("the new configuration counts; changed: s");
    ask(&w, "s");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    eventually("the title", || target.user("p00001@corp.example").unwrap()["title"] == "Chief");
    eventually("its end", || results(&w, "s") == ["ok", "ok", "ok"]);

    // Paused: nothing happens any more, also when asked.
    edit(&w, "schedule = ", "enabled = false\nschedule = ");
    reload(&service, 3);
    service.logs("removed or paused: s");
    let cycles = results(&w, "s").len();
    ask(&w, "s");
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(results(&w, "s").len(), cycles);

    // And on again: what was asked for meanwhile is made up for.
    edit(&w, "enabled = false\n", "");
    reload(&service, 4);
    service.logs("; new: s");
    eventually("the cycle that was asked for", || results(&w, "s").len() == cycles + 1);

    // Another state store is not for a running service.
    edit(&w, "state.db", "other.db");
    reload(&service, 5);
    service.logs("that needs a restart");
    assert!(!w.path("other.db").exists());
    assert_eq!(service.stop("TERM").1, Some(0));

    let begun = service.messages().into_iter().find(|m| m.contains("RELOADING=1")).unwrap();
    let usec = begun.lines().find_map(|l| l.strip_prefix("MONOTONIC_USEC=")).expect("in the same message");
    assert!(usec.parse::<u64>().unwrap() > 0);
}

/// A cycle that runs goes on with what it began with, and a sync that is taken away finishes.
#[test]
fn a_reload_does_not_disturb_a_cycle() {
    let sandbox = SandboxProcess::start(&["--latency", "30"]);
    let w = super::behind(&sandbox, 100, SELDOM, "concurrency = 1");
    let mut service = Service::start(&w);
    until_people(&service, &sandbox, 10);
    edit(&w, "schedule = ", "enabled = false\nschedule = ");
    reload(&service, 1);
    assert!(sandbox.stats()["users"].as_u64().unwrap() < 100, "the reload did not wait for the cycle");
    until_people(&service, &sandbox, 100);
    eventually("its end", || results(&w, "s") == ["ok", "ok"]);
    assert_eq!(service.stop("TERM").1, Some(0));
}

/// Whatever was wrong may be mended: a reload does not wait for the retry's turn.
#[test]
fn a_reload_tries_what_fails_at_once() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.populate(3);
    w.sync().expect(0);
    w.join("late");
    w.save();
    long_ago(&w);
    let good = sandbox.base_url.clone();
    edit(&w, &good, "http://127.0.0.1:1/scim/v2");
    let mut service = Service::start(&w);
    service.logs("tried again ever more rarely");
    edit(&w, "http://127.0.0.1:1/scim/v2", &good);
    reload(&service, 1);
    until_people(&service, &sandbox, 4);
    service.logs("well again");
    assert_eq!(service.stop("TERM").1, Some(0));
}
