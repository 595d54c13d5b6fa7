//! Faults of the target as a whole: the sync stops at once, nobody is marked as bad, and the next cycle goes on.

use crate::support::admin::{Admin, id};
use crate::support::switch::Switch;
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn nobody_is_parked(w: &World, cycle: &Value) {
    assert_eq!(cycle["result"], "failed");
    assert_eq!(cycle["error"]["kind"], "target");
    assert_eq!(cycle["parked"], json!([]), "{cycle}");
    let status = w.run(&["status", "--json"]).json();
    assert_eq!(status["syncs"][0]["parked"], 0);
    assert_eq!(status["syncs"][0]["last_result"], "failed");
}

/// Writes until this many were answered, then `status` for everything.
fn fails_after(switch: &Switch, writes: usize, status: u16, body: &str) {
    let (body, seen) = (body.to_owned(), AtomicUsize::new(0));
    switch.rule(move |asked| {
        let n = if asked.writes() { seen.fetch_add(1, Ordering::SeqCst) } else { seen.load(Ordering::SeqCst) };
        (n >= writes).then(|| (status, body.clone()))
    });
}

#[test]
fn one_bad_record_a_401_before_the_cycle_is_nobodys_fault() {
    let mut sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(10);
    w.sync().expect(0);
    sandbox.set_token("another");
    w.join("new");
    w.leave("p00001");
    let run = w.sync().expect(5);
    nobody_is_parked(&w, &run.cycle());
    assert!(run.cycle()["error"]["message"].as_str().unwrap().contains("401"));
    w.write_secret("token", "another\n");
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("create", 1), ("deactivate", 1)]));
}

#[test]
fn one_bad_record_a_401_in_the_middle_is_nobodys_fault() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "concurrency = 4");
    w.populate(1200);
    fails_after(&switch, 60, 401, "{\"status\": \"401\", \"detail\": \"expired\"}");
    let run = w.sync().expect(5);
    nobody_is_parked(&w, &run.cycle());
    let done = changes(&run.cycle())["create"];
    assert!((40..=60).contains(&done), "what was done counts: {done}");
    let sent = run.cycle()["requests"]["write"].as_u64().unwrap();
    assert!(sent <= 60 + 2 * 4, "it stops at once, whatever was handed out: {sent}");
    switch.pass();
    let run = w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.users_by_name().len(), 1200);
    assert!(changes(&run.cycle())["create"] <= 1200 - done);
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0, "converges");
}

#[test]
fn a_token_that_is_replaced_meanwhile_is_read_again_after_a_401() {
    let mut sandbox = SandboxProcess::start(&["--latency", "40"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "concurrency = 2");
    w.populate(100);
    w.save();
    let child =
        w.command(&["sync", "--json"]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while sandbox.writes() < 10 {
        assert!(start.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    w.write_secret("token", "rotated");
    sandbox.set_token("rotated");
    let run: crate::support::world::Run = child.wait_with_output().unwrap().into();
    assert_eq!(changes(&run.expect(0).cycle()), expected(&[("create", 100)]));
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.users_by_name().len(), 100);
}

#[test]
fn one_bad_record_a_storm_of_5xx_is_nobodys_fault() {
    let sandbox = SandboxProcess::start(&["--fault-5xx", "1.0"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(5);
    let run = w.sync().expect(5);
    nobody_is_parked(&w, &run.cycle());
    assert_eq!(sandbox.stats()["users"], 0);
}

#[test]
fn one_bad_record_a_storm_in_the_middle_is_soon_over() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "");
    w.populate(400);
    fails_after(&switch, 60, 500, "{\"status\": \"500\", \"detail\": \"out of order\"}");
    let run = w.sync().expect(5);
    nobody_is_parked(&w, &run.cycle());
    let sent = run.cycle()["requests"]["write"].as_u64().unwrap() + run.cycle()["requests"]["retried"].as_u64().unwrap();
    // Eight records, and those beside them, each with its own attempts.
    assert!(sent < 60 + 16 * 10, "{sent}");
    switch.pass();
    sandbox.reset_counters();
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.users_by_name().len(), 400);
    let looks = sandbox.requests() - sandbox.writes();
    assert!(looks < 100, "only who was really sent is looked up: {looks}");
}

#[test]
fn one_bad_record_a_target_that_is_switched_off_is_nobodys_fault() {
    for (status, body) in [
        (403, "{\"detail\": \"SCIM is switched off\"}"),
        (404, "{\"detail\": \"no such tenant\"}"),
        (404, "<html><h1>Not Found</h1></html>"),
        (503, "<html><h1>Maintenance</h1></html>"),
        (200, "<html><h1>Please sign in</h1></html>"),
        (302, ""),
        (501, ""),
    ] {
        let what = format!("{status} {body}");
        let sandbox = SandboxProcess::start(&["--workers", "1"]);
        let switch = Switch::before(&sandbox.base_url);
        let mut w = World::new(&switch.url, &sandbox.token, "", "");
        w.populate(12);
        w.group("g", &["p00001", "p00002"]);
        w.sync().expect(0);
        switch.always(status, body);
        w.join("new");
        w.leave("p00001");
        w.set("p00003", "displayName", "Changed");
        w.set("p00004", "mail", "renamed@corp.example");
        let run = w.sync();
        assert_eq!(run.code, 5, "{what}: {}", run.stdout);
        nobody_is_parked(&w, &run.cycle());
        assert!(changes(&run.cycle()).is_empty(), "{what}: nothing was done: {}", run.stdout);
        switch.pass();
        let run = w.sync();
        assert_eq!(run.code, 0, "{what}: {}", run.stdout);
        let want = [("create", 1), ("deactivate", 1), ("rename", 1), ("update", 1), ("members_remove", 1)];
        assert_eq!(changes(&run.cycle()), expected(&want), "{what}");
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        assert_eq!(target.user("p00001@corp.example").unwrap()["active"], false, "{what}");
    }
}

#[test]
fn gone_is_checked_against_a_target_that_knows_nothing_any_more() {
    // Everything is 404 from the deletion on: what was to be deleted is not gone for that.
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let actions = "[sync.actions]\nuser = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndelete_after = \"1s\"";
    let mut w = World::new(&switch.url, &sandbox.token, actions, "");
    w.populate(20);
    w.sync().expect(0);
    w.leave("p00001");
    w.sync().expect(0);
    std::thread::sleep(Duration::from_millis(2100));
    switch.always(404, "{\"detail\": \"no such tenant\"}");
    let run = w.sync().expect(5);
    nobody_is_parked(&w, &run.cycle());
    switch.pass();
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("delete", 1)]));
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).users().len(), 19);
}

#[test]
fn a_target_that_is_down_is_nobodys_fault() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(5);
    w.sync().expect(0);
    drop(sandbox);
    w.sync().expect(0);
    w.join("new");
    let run = w.sync().expect(5);
    nobody_is_parked(&w, &run.cycle());
    w.run(&["plan"]).expect(0);
    w.run(&["plan", "--verify"]).expect(5);
}

#[test]
fn one_bad_record_a_failing_sync_does_not_stop_another() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(5);
    w.save();
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    for dead in ["[target.dead]\nurl = \"http://127.0.0.1:1/scim\"\n", "[source.none]\ntype = \"file\"\npath = \"none.json\"\n"] {
        let (source, target) = if dead.contains("source.none") { ("none", "app") } else { ("dir", "dead") };
        let first = format!("{dead}[[sync]]\nname = \"a\"\nsource = \"{source}\"\ntarget = \"{target}\"\n");
        std::fs::write(w.path("config.toml"), config.replace("[[sync]]", &format!("{first}[[sync]]"))).unwrap();
        let run = w.run(&["sync", "--json"]);
        assert_eq!(run.code, if source == "none" { 4 } else { 5 }, "{}", run.stdout);
        let cycles = run.json()["cycles"].clone();
        assert_eq!((&cycles[0]["sync"], &cycles[0]["result"]), (&json!("a"), &json!("failed")));
        assert_eq!((&cycles[1]["sync"], &cycles[1]["result"]), (&json!("s"), &json!("ok")));
        assert_ne!(cycles[0]["cycle"], cycles[1]["cycle"]);
    }
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).users().len(), 5);
}

#[test]
fn complete_or_nothing_a_broken_source_changes_nothing() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(30);
    w.sync().expect(0);
    let whole = std::fs::read_to_string(w.path("people.json")).unwrap();
    sandbox.reset_counters();
    for broken in ["", "{", &whole[..whole.len() / 2], "{\"users\": 7}", "[]", "null"] {
        std::fs::write(w.path("people.json"), broken).unwrap();
        let run = w.run(&["sync", "--json"]);
        assert_eq!(run.code, 4, "{broken:?}: {}", run.stdout);
        assert_eq!(run.cycle()["error"]["kind"], "source");
    }
    std::fs::remove_file(w.path("people.json")).unwrap();
    w.run(&["sync"]).expect(4);
    assert_eq!(sandbox.requests(), 0);
    w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0, "converges");
}

#[test]
fn own_only_another_target_is_noticed_before_the_first_write() {
    let sandbox = SandboxProcess::start(&[]);
    let other = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(10);
    w.sync().expect(0);
    let admin = Admin::of(&other);
    for i in 0..10 {
        admin.create(&json!({"userName": format!("p{i:05}@corp.example")}));
    }
    w.leave("p00001");
    w.join("new");
    w.configure("type = \"file\"\npath = \"people.json\"", &other.base_url, &other.token, "", "");
    other.reset_counters();
    let run = w.sync().expect(5);
    nobody_is_parked(&w, &run.cycle());
    w.run(&["sync", "--verify"]).expect(5);
    assert_eq!(other.writes(), 0);
    w.configure("type = \"file\"\npath = \"people.json\"", &sandbox.base_url, &sandbox.token, "", "");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 1), ("deactivate", 1)]));
}

#[test]
fn own_only_another_credential_for_the_same_target_is_fine() {
    let mut sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(10);
    w.sync().expect(0);
    sandbox.set_token("second");
    w.write_secret("token", "second");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    // One was renamed by hand meanwhile: that alone is not another target.
    Admin::of(&sandbox).set(&id(&target.user("p00003@corp.example").unwrap()), &json!({"userName": "by-hand@corp.example"}));
    w.leave("p00001");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
}

#[test]
fn what_a_lost_account_was_called_is_known_after_its_successor_was_refused() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "[sync.guard]\nrecreate = \"unlimited\"", "");
    w.populate(4);
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    Admin::of(&sandbox).delete(&id(&target.user("p00001@corp.example").unwrap()));
    w.save();
    let known = || -> (String, String) {
        let state = rusqlite::Connection::open(w.path("state.db")).unwrap();
        let sql = "SELECT l.name, l.pushed FROM link l JOIN entry e ON e.id = l.entry_id WHERE e.key = 'p00001'";
        state.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap()
    };
    let before = known();
    switch.rule(|asked| (asked.method == "POST").then(|| (400, json!({"detail": "not this one"}).to_string())));
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(7).cycle();
    assert_eq!(cycle["parked"][0]["kind"], "create", "{cycle}");
    assert_eq!(known(), before);
}
