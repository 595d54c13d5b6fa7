//! What the commands report: shapes, filters, exit codes.

use crate::support::world::{SandboxProcess, World, binary};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn keys(v: &Value) -> BTreeSet<&str> {
    v.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn has(v: &Value, wanted: &[&str]) {
    for key in wanted {
        assert!(keys(v).contains(key), "{key} in {v}");
    }
}

#[test]
fn sync_status_and_log_have_their_shapes() {
    let sandbox = SandboxProcess::start(&["--refuse", "Beelzebub"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"*/5 * * * *\"", "");
    w.populate(40);
    w.group("g", &["p00001"]);
    w.save();
    let fresh = w.run(&["status", "--json"]).expect(0).json();
    assert_eq!(fresh["version"], 1);
    let wanted = [
        "sync",
        "last_cycle",
        "last_result",
        "last_complete_read_age_s",
        "linked_users",
        "linked_groups",
        "held",
        "parked",
        "next_run",
    ];
    has(&fresh["syncs"][0], &wanted);
    assert_eq!(fresh["syncs"][0]["last_cycle"], Value::Null);
    assert!(fresh["syncs"][0]["next_run"].is_string());
    assert_eq!(w.run(&["log", "--json"]).expect(0).json(), json!({"version": 1, "entries": []}));
    assert!(!w.path("state.db").exists(), "looking makes no state store");

    let before = jiff::Timestamp::now();
    let run = w.sync().expect(0);
    assert_eq!(run.json()["version"], 1);
    let cycle = run.cycle();
    has(&cycle, &["sync", "cycle", "result", "read", "counts", "requests", "held", "parked", "error", "duration_ms"]);
    has(&cycle["requests"], &["read", "write", "retried"]);
    assert_eq!((&cycle["result"], &cycle["read"], &cycle["error"]), (&json!("ok"), &json!("full"), &Value::Null));
    assert_eq!(cycle["requests"]["write"], sandbox.writes());
    assert!(cycle["cycle"].is_u64() && cycle["duration_ms"].is_u64());

    for i in 0..5 {
        w.leave(&format!("p{i:05}"));
    }
    w.set("p00010", "displayName", "Beelzebub");
    w.set("p00011", "displayName", "Fine");
    let run = w.sync().expect(6);
    let cycle = run.cycle();
    assert_eq!(cycle["result"], "held");
    has(&cycle["held"][0], &["kind", "who", "reason"]);
    has(&cycle["parked"][0], &["who", "source_key", "reason", "advice"]);
    let status = w.run(&["status", "--json"]).expect(0).json()["syncs"][0].clone();
    assert_eq!((&status["linked_users"], &status["linked_groups"]), (&json!(40), &json!(1)));
    assert_eq!((&status["held"], &status["parked"]), (&json!(cycle["held"].as_array().unwrap().len()), &json!(1)));
    assert_eq!((&status["last_cycle"], &status["last_result"]), (&cycle["cycle"], &json!("held")));
    assert!(status["last_complete_read_age_s"].as_i64().unwrap() < 60);
    assert_eq!(status["last_error"], Value::Null);

    let log = w.run(&["log", "--json"]).expect(0).json();
    let entries = log["entries"].as_array().unwrap();
    for e in entries {
        has(e, &["at", "cycle", "sync", "kind", "object", "who", "target_id", "status", "http_status", "error"]);
        assert!(["done", "failed", "parked", "held", "undone"].contains(&e["status"].as_str().unwrap()), "{e}");
        if e["status"] == "done" {
            let wanted = if e["kind"].as_str().unwrap().ends_with("create") { 201..=201 } else { 200..=204 };
            assert!(wanted.contains(&e["http_status"].as_u64().unwrap()), "{e}");
        }
        assert!(e["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second() >= before.as_second());
    }
    let of = |args: &[&str]| -> Vec<Value> {
        let all = [&["log", "--json"][..], args].concat();
        w.run(&all).expect(0).json()["entries"].as_array().unwrap().clone()
    };
    let second = cycle["cycle"].to_string();
    assert!(of(&["--cycle", &second]).iter().all(|e| e["cycle"] == cycle["cycle"]));
    assert_eq!(of(&["--cycle", &second, "--who", "p00011@corp.example"]).len(), 1);
    let refused = of(&["--cycle", &second, "--who", "P00010@Corp.Example"]);
    assert_eq!((&refused[0]["status"], &refused[0]["http_status"]), (&json!("parked"), &json!(400)));
    assert!(of(&["--who", "p0000"]).is_empty(), "a part of a name is nobody's");
    let held = of(&["--who", "p00003"]);
    assert_eq!(held.iter().map(|e| e["status"].as_str().unwrap()).collect::<Vec<_>>(), ["done", "held"]);
    assert_eq!(held[0]["target_id"], held[1]["target_id"]);
    assert_eq!(of(&["--who", held[0]["target_id"].as_str().unwrap()]).len(), 2);
    assert_eq!(of(&["--since", "1h"]).len(), entries.len());
    assert!(of(&["--since", "2100-01-01"]).is_empty());
    assert!(of(&["--cycle", "999"]).is_empty());
    w.run(&["log", "--since", "yesterday"]).expect(2);
    w.run(&["log", "--cycle", "x"]).expect(2);
    // The same cycle again adds nothing to the log: it has been said.
    let n = entries.len();
    w.sync().expect(6);
    assert!(of(&[]).len() <= n + 1, "{:?}", of(&["--since", "1h"]).split_off(n));
}

/// A night of failures is not "nothing": the plain log has the cycles that failed, in their place.
#[test]
fn the_log_has_cycles_that_failed() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(2);
    w.run(&["sync"]).expect(4);
    assert!(w.run(&["log"]).expect(0).stdout.contains("failed  cycle"), "before anything else is in it");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    w.sync().expect(0);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    std::fs::remove_file(w.path("people.json")).unwrap();
    w.run(&["sync"]).expect(4);
    let log = |args: &[&str]| -> Vec<String> {
        let entries = w.run(&[&["log", "--json"], args].concat()).expect(0).json()["entries"].clone();
        entries.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(log(&[]), ["cycle", "create", "create", "cycle"]);
    assert_eq!(log(&["--cycle", "3"]), ["cycle"]);
    assert_eq!(log(&["--who", "p00001"]), ["create"], "of a person there is no cycle");
}

/// A failed cycle is told once, and nothing is said of a read that never was.
#[test]
fn what_did_not_happen_is_not_told_and_what_did_is_told_once() {
    let sandbox = SandboxProcess::start(&["--refuse", "Beelzebub"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    let run = w.run(&["sync"]).expect(4);
    assert!(run.stdout.contains("s: failed (cycle 1") && !run.stdout.contains("failed: "), "{}", run.stdout);
    for never in [" read; ", "unchanged"] {
        assert!(!run.stdout.contains(never), "{}", run.stdout);
    }
    assert_eq!(run.stderr.matches("scim-sync: s: ").count(), 1, "{}", run.stderr);
    w.set("p00001", "displayName", "Beelzebub");
    w.save();
    let run = w.run(&["sync"]).expect(7);
    assert!(run.stdout.contains("full read; unchanged") && run.stdout.contains("! parked"), "{}", run.stdout);
    assert!(!run.stderr.contains("parked"), "once is enough: {}", run.stderr);
    let run = w.run(&["sync", "--json"]).expect(7);
    assert!(run.stderr.contains("parked"), "a log beside the document: {}", run.stderr);
    let undone = w.run(&["undo", "2"]).expect(0).stdout;
    assert!(undone.contains("requests: ") && !undone.contains(" read; "), "{undone}");
}

/// Where the administrator is sent to see who waits, and why.
#[test]
fn status_lists_who_is_held_and_who_is_parked() {
    let sandbox = SandboxProcess::start(&[]);
    let guard = "[sync.guard]\ndeactivate = 0\nsource_shrink = \"unlimited\"\nprotected = [\"p00000\"]\n";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, guard, "");
    w.populate(40);
    w.sync().expect(0);
    (0..24).for_each(|i| w.leave(&format!("p{i:05}")));
    w.set("p00030", "mail", "");
    w.join("nomail");
    w.set("nomail", "mail", "");
    w.sync().expect(6);
    let said = w.run(&["status"]).expect(0).stdout;
    for words in [
        "s: 24 held by the guard",
        "deactivate  p00001@corp.example  23 would exceed guard.deactivate = 0",
        "and 4 others",
        "23 held by the guard: review, then `scim-sync approve s`",
        "1 protected: no approval releases them",
        "s: 2 parked",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let status = w.run(&["status", "--json"]).expect(0).json()["syncs"][0].clone();
    assert_eq!((&status["held"], status["held_changes"].as_array().unwrap().len()), (&json!(24), 24));
    assert_eq!(status["parked_changes"].as_array().unwrap().len(), 2);
    has(&status["parked_changes"][0], &["who", "source_key", "kind", "reason", "advice"]);
}

#[test]
fn a_renamed_sync_parks_and_says_whose_the_accounts_are() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.sync().expect(0);
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config.replace("name = \"s\"", "name = \"other\"")).unwrap();
    let run = w.sync().expect(7);
    let reason = run.cycle()["parked"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("the sync s"), "{reason}");
}

#[test]
fn the_state_store_answers_for_itself() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    std::fs::write(w.path("state.db"), "not a database, but long enough to look at it twice").unwrap();
    for args in [&["sync", "--json"][..], &["plan"], &["status"], &["log"], &["approve", "s"]] {
        w.run(args).expect(9);
    }
    assert_eq!(sandbox.requests(), 0);
}

/// What fails is tried ever more rarely, and that is what `status` tells, not the schedule.
#[test]
fn status_says_why_a_sync_fails_and_when_it_is_tried_again() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"* * * * *\"", "");
    w.populate(3);
    w.sync().expect(0);
    std::fs::remove_file(w.path("people.json")).unwrap();
    for _ in 0..4 {
        w.run(&["sync"]).expect(4);
    }
    let now = jiff::Timestamp::now().as_second();
    let status = || w.run(&["status", "--json"]).expect(0).json()["syncs"][0].clone();
    let next = |status: &Value| status["next_run"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second() - now;
    let failing = status();
    assert_eq!((&failing["last_result"], &failing["last_error"]["kind"]), (&json!("failed"), &json!("source")));
    assert!((400..=480).contains(&next(&failing)), "eight minutes after the fourth: {failing}");
    w.save();
    w.run(&["sync"]).expect(0);
    let well = status();
    assert_eq!(well["last_error"], Value::Null);
    assert!(next(&well) <= 65, "{well}");
}

/// An undo, and what is done for one person, say nothing of how the sync is: what waits or fails is still told.
#[test]
fn status_is_about_cycles_of_the_whole_sync() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(40);
    w.sync().expect(0);
    for i in 0..8 {
        w.leave(&format!("p{i:05}"));
    }
    w.join("new");
    let held = w.sync().expect(6).cycle();
    let status = |w: &World| w.run(&["status", "--json"]).expect(0).json()["syncs"][0].clone();
    let before = status(&w);
    assert_eq!((&before["last_cycle"], &before["last_result"]), (&held["cycle"], &json!("held")));
    w.set("p00020", "displayName", "Another Name");
    w.save();
    w.run(&["explain", "p00020@corp.example", "--apply"]).expect(0);
    w.run(&["undo", &held["cycle"].to_string()]).expect(0);
    let after = status(&w);
    assert_eq!((&after["last_cycle"], &after["last_result"]), (&held["cycle"], &json!("held")), "{after}");
    std::fs::remove_file(w.path("people.json")).unwrap();
    let failed = w.run(&["sync", "--json"]).expect(4).cycle();
    w.run(&["undo", "1"]);
    let after = status(&w);
    assert_eq!((&after["last_cycle"], &after["last_result"]), (&failed["cycle"], &json!("failed")), "{after}");
    assert_eq!(after["last_error"]["kind"], "source");
}

/// Nothing was read, and nothing was to be read.
#[cfg(unix)]
#[test]
fn a_cycle_that_never_began_says_nothing_of_a_read() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.sync().expect(0);
    let undone = w.run(&["undo", "1", "--dry-run", "--json"]).json()["cycles"][0].clone();
    assert_eq!((&undone["cycle"], &undone["read"]), (&json!(0), &Value::Null), "{undone}");
    // A secret that others can read: nothing begins.
    std::fs::set_permissions(w.path("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let document = w.run(&["sync", "--json"]).expect(3).cycle();
    assert_eq!((&document["cycle"], &document["read"]), (&json!(0), &Value::Null), "{document}");
}

#[test]
fn the_log_of_a_cycle_that_failed_says_why() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(1);
    w.save();
    std::fs::remove_file(w.path("people.json")).unwrap();
    let failed = w.run(&["sync", "--json"]).expect(4).cycle();
    w.sync().expect(0);
    let log = |cycle: &Value| w.run(&["log", "--cycle", &cycle.to_string(), "--json"]).expect(0).json();
    let said = log(&failed["cycle"]);
    let entry = &said["entries"][0];
    let wanted = ["at", "cycle", "sync", "kind", "object", "who", "target_id", "status", "http_status", "error"];
    has(entry, &wanted);
    assert_eq!((&entry["status"], &entry["kind"], &entry["cycle"]), (&json!("failed"), &json!("cycle"), &failed["cycle"]));
    let why = format!("source: {}", failed["error"]["message"].as_str().unwrap());
    assert_eq!((entry["error"].as_str().unwrap(), said["entries"].as_array().unwrap().len()), (why.as_str(), 1));
    let text = w.run(&["log", "--cycle", &failed["cycle"].to_string()]).expect(0).stdout;
    assert!(text.contains("people.json"), "{text}");
    assert_eq!(log(&json!(2))["entries"].as_array().unwrap().len(), 1, "of one that went well its writes only");
}

#[test]
fn the_log_and_the_links_of_one_are_not_those_of_others_with_longer_names() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nrename = \"unlimited\"", "");
    for (key, name) in [("10", "ada"), ("101", "nada"), ("110", "adam")] {
        w.join(key);
        w.set(key, "mail", format!("{name}@corp.example"));
        w.set(key, "displayName", name);
    }
    w.group("g", &["10", "101"]);
    w.sync().expect(0);
    let log = |who: &str| -> Vec<String> {
        let entries = w.run(&["log", "--who", who, "--json"]).expect(0).json()["entries"].clone();
        entries
            .as_array()
            .unwrap()
            .iter()
            .map(|e| format!("{} {}", e["kind"].as_str().unwrap(), e["who"].as_str().unwrap()))
            .collect()
    };
    let own = ["create ada@corp.example", "members_add Group g"];
    for who in ["10", "ada@corp.example", "ADA@Corp.Example", " ada ", "Ada"] {
        assert_eq!(log(who), own, "{who}");
    }
    assert_eq!(log("da@corp.example"), Vec::<String>::new());
    let links = |who: &str| {
        let links = w.run(&["link", "list", "--who", who, "--json"]).expect(0).json()["links"].clone();
        links.as_array().unwrap().iter().map(|l| l["source_key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for who in ["10", "ada@corp.example", "ADA"] {
        assert_eq!(links(who), ["10"], "{who}");
    }
    assert_eq!((links("da"), links("Group G"), links("1")), (vec![], vec!["g".to_owned()], vec![]));
    // Under the name of before, and out of the group.
    w.set("10", "mail", "ada.new@corp.example");
    w.group("g", &["101"]);
    w.sync().expect(0);
    let log = |who: &str| w.run(&["log", "--who", who, "--json"]).expect(0).json()["entries"].as_array().unwrap().len();
    // The name of before has what was written while it counted, and the rename itself.
    assert_eq!((log("ada@corp.example"), log("ada.new@corp.example"), log("10")), (3, 4, 4));
}

/// What the demonstration tells to look at can be looked at.
#[test]
fn the_demo_ends_with_commands_that_show_something() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let out = std::process::Command::new(binary()).args(args).env("TMPDIR", folder.path()).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let shown = run(&["demo"]);
    let commands: Vec<&str> = shown.lines().filter_map(|l| l.trim().strip_prefix("scim-sync --config ")).collect();
    assert_eq!(commands.len(), 2, "{shown}");
    for command in commands {
        let args: Vec<&str> = std::iter::once("--config").chain(command.split(' ')).collect();
        let out = run(&args);
        assert!(out.contains("jonas@corp.example") || out.contains("demo"), "{command}: {out}");
    }
}
