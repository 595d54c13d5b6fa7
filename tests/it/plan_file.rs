//! Plans: their shape, and that what was reviewed is what is applied.

use crate::support::admin::Admin;
use crate::support::world::{Run, SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn keys(v: &Value) -> BTreeSet<&str> {
    v.as_object().unwrap().keys().map(String::as_str).collect()
}

const COUNTS: [&str; 15] = [
    "create",
    "adopt",
    "update",
    "rename",
    "deactivate",
    "reactivate",
    "delete",
    "group_create",
    "group_adopt",
    "group_update",
    "group_delete",
    "members_add",
    "members_remove",
    "unchanged",
    "out_of_scope",
];

/// 12 people and a group, pushed; then one change of most kinds.
fn moved(sandbox: &SandboxProcess) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.scope]\nusers = 'department eq \"Sales\"'", "");
    w.populate(12);
    w.group("g", &["p00000", "p00001"]);
    w.sync().expect(0);
    w.join("new");
    w.leave("p00002");
    w.set("p00003", "mail", "married@corp.example");
    w.set("p00004", "displayName", "Another Name");
    w.set("p00005", "department", "Staff");
    w.people.get_mut("p00006").unwrap().remove("mail");
    w.group("g", &["p00000", "p00007"]);
    w.save();
    w
}

#[test]
fn plan_has_its_shape() {
    let sandbox = SandboxProcess::start(&[]);
    let w = moved(&sandbox);
    let run = w.run(&["plan", "--json"]).expect(7);
    assert_eq!(run.json()["version"], 1);
    let plan = run.plan();
    for key in ["sync", "digest", "read", "counts", "held", "changes", "parked"] {
        assert!(keys(&plan).contains(key), "{key}");
    }
    assert_eq!(plan["sync"], "s");
    assert_eq!(plan["read"], "full");
    let digest = plan["digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert_eq!(keys(&plan["counts"]), COUNTS.into_iter().collect());
    let want = [("create", 1), ("deactivate", 2), ("rename", 1), ("update", 1), ("members_add", 1), ("members_remove", 1)];
    assert_eq!(changes(&plan), expected(&want));
    // 12 people were there, one joined and one left; five changed and one is parked; so did the group.
    assert_eq!((&plan["counts"]["unchanged"], &plan["counts"]["out_of_scope"]), (&json!(7), &json!(1)), "{plan}");
    assert_eq!(plan["held"], json!({}));
    for change in plan["changes"].as_array().unwrap() {
        for key in ["kind", "held", "object", "who", "source_key", "target_id", "reason", "from", "to"] {
            assert!(keys(change).contains(key), "{key} in {change}");
        }
        assert!(!change["reason"].as_str().unwrap().is_empty());
        assert!(change["from"].is_object() && change["to"].is_object() && change["held"].is_boolean());
    }
    let of = |kind: &str| plan["changes"].as_array().unwrap().iter().find(|c| c["kind"] == kind).unwrap().clone();
    let rename = of("rename");
    assert_eq!(rename["from"]["userName"], "p00003@corp.example");
    assert_eq!(rename["to"]["userName"], "married@corp.example");
    assert_eq!(rename["object"], "user");
    assert!(rename["target_id"].is_string());
    assert_eq!(of("create")["target_id"], Value::Null);
    assert_eq!(of("deactivate")["to"], json!({"active": false}));
    assert_eq!(of("members_add")["object"], "group");
    let parked = &plan["parked"][0];
    for key in ["who", "source_key", "reason", "advice"] {
        assert!(parked[key].as_str().is_some_and(|t| !t.is_empty()), "{key} in {parked}");
    }
    assert_eq!(parked["source_key"], "p00006");
    // For people: the same, in words.
    let text = w.run(&["plan"]).expect(7).stdout;
    for word in ["new@corp.example", "married@corp.example", "no longer in scope", "not in the directory", digest] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn plan_writes_nothing_and_stores_nothing() {
    let sandbox = SandboxProcess::start(&[]);
    let w = moved(&sandbox);
    let state = || std::fs::read(w.path("state.db")).unwrap();
    let (before, files) = (state(), w.files().len());
    sandbox.reset_counters();
    let first = w.run(&["plan", "--json"]).expect(7).plan();
    let second = w.run(&["plan", "--json"]).expect(7).plan();
    assert_eq!(first, second, "a plan is the same as long as the world is");
    assert_eq!(sandbox.requests(), 0, "nor does it read the target");
    assert!(w.run(&["plan", "--verify", "--json"]).expect(7).plan()["counts"] == first["counts"]);
    assert_eq!(sandbox.writes(), 0);
    assert_eq!(state(), before);
    assert_eq!(w.files().len(), files, "no file is left behind");
    assert_eq!(w.run(&["status", "--json"]).json()["syncs"][0]["held"], 0);
    let cycle = w.run(&["status", "--json"]).json()["syncs"][0]["last_cycle"].clone();
    assert_eq!(cycle, 1);
}

#[test]
fn reviewed_is_applied() {
    let sandbox = SandboxProcess::start(&[]);
    let w = moved(&sandbox);
    let plan = w.run(&["plan", "--out", "p.json", "--json"]).expect(7).plan();
    let file: Value = serde_json::from_slice(&std::fs::read(w.path("p.json")).unwrap()).unwrap();
    assert_eq!(file["plans"][0], plan, "the file is the document");
    let cycle = w.run(&["sync", "--plan", "p.json", "--json"]).expect(7).cycle();
    assert_eq!(changes(&cycle), changes(&plan));
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert!(target.user("married@corp.example").is_some());
    // Once applied, it is not the plan any more.
    sandbox.reset_counters();
    w.run(&["sync", "--plan", "p.json"]).expect(11);
    assert_eq!(sandbox.writes(), 0);
    assert!(changes(&w.sync().expect(7).cycle()).is_empty());
}

#[test]
fn reviewed_is_applied_or_nothing_when_the_world_moved() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = moved(&sandbox);
    w.run(&["plan", "--out", "p.json"]).expect(7);
    w.set("p00008", "displayName", "Moved");
    w.save();
    sandbox.reset_counters();
    let run = w.run(&["sync", "--plan", "p.json", "--json"]).expect(11);
    let cycle = run.cycle();
    assert_eq!(cycle["result"], "failed");
    assert_eq!(cycle["error"]["kind"], "moved");
    assert!(changes(&cycle).is_empty(), "{cycle}");
    assert_eq!(sandbox.writes(), 0);
    // A plain sync does all of it.
    let want = [("create", 1), ("deactivate", 2), ("rename", 1), ("update", 2), ("members_add", 1), ("members_remove", 1)];
    assert_eq!(changes(&w.sync().expect(7).cycle()), expected(&want));
    sandbox.reset_counters();
    assert!(changes(&w.sync().expect(7).cycle()).is_empty());
    assert_eq!(sandbox.writes(), 0, "converges");
}

#[test]
fn reviewed_is_applied_or_nothing_when_the_file_was_edited() {
    let sandbox = SandboxProcess::start(&[]);
    let w = moved(&sandbox);
    w.run(&["plan", "--out", "p.json"]).expect(7);
    let good: Value = serde_json::from_slice(&std::fs::read(w.path("p.json")).unwrap()).unwrap();
    let at = |kind: &str| good["plans"][0]["changes"].as_array().unwrap().iter().position(|c| c["kind"] == kind).unwrap();
    let edited = |edit: &dyn Fn(&mut Vec<Value>)| {
        let mut file = good.clone();
        edit(file["plans"][0]["changes"].as_array_mut().unwrap());
        file
    };
    let struck_out = edited(&|changes| drop(changes.remove(at("create"))));
    let another_value = edited(&|changes| changes[at("update")]["to"]["displayName"] = json!("Reviewed otherwise"));
    let another_account = edited(&|changes| changes[at("deactivate")]["target_id"] = json!("another"));
    let fewer_members = edited(&|changes| changes[at("members_add")]["to"]["members"] = json!([]));
    let twice = edited(&|changes| changes.push(changes[0].clone()));
    sandbox.reset_counters();
    for file in [struck_out, another_value, another_account, fewer_members, twice] {
        std::fs::write(w.path("p.json"), file.to_string()).unwrap();
        let cycle = w.run(&["sync", "--plan", "p.json", "--json"]).expect(11).cycle();
        assert_eq!(cycle["error"]["kind"], "moved");
        assert!(cycle["error"]["message"].as_str().unwrap().contains("changed by hand"), "{cycle}");
        assert_eq!(sandbox.writes(), 0);
    }
    // Written anew by another tool it is still the same plan.
    std::fs::write(w.path("p.json"), serde_json::to_string_pretty(&good).unwrap()).unwrap();
    w.run(&["sync", "--plan", "p.json"]).expect(7);
}

#[test]
fn reviewed_is_applied_also_where_values_are_not_shown() {
    let sandbox = SandboxProcess::start(&[]);
    let map = "[sync.map.user]\ntitle = 'Redact([title])'";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, map, "");
    w.populate(2);
    w.set("p00000", "title", "Hidden");
    w.save();
    w.run(&["plan", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(w.path("p.json")).unwrap();
    assert!(text.contains("[Redact]") && !text.contains("Hidden"), "{text}");
    std::fs::write(w.path("bad.json"), text.replacen("[Redact]", "Janitor", 1)).unwrap();
    w.run(&["sync", "--plan", "bad.json"]).expect(11);
    assert_eq!(sandbox.writes(), 0);
    w.run(&["sync", "--plan", "p.json"]).expect(0);
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).user("p00000@corp.example").unwrap()["title"], "Hidden");
}

#[test]
fn reviewed_is_applied_also_for_a_first_cycle() {
    let sandbox = SandboxProcess::start(&[]);
    let admin = Admin::of(&sandbox);
    admin.create(&json!({"userName": "p00001@corp.example"}));
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    w.run(&["plan", "--out", "p.json"]).expect(0);
    assert!(!w.path("state.db").exists());
    admin.create(&json!({"userName": "p00002@corp.example"}));
    w.run(&["sync", "--plan", "p.json"]).expect(11);
    w.run(&["plan", "--out", "p.json"]).expect(0);
    let cycle = w.run(&["sync", "--plan", "p.json", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 1), ("adopt", 2)]));
}

#[test]
fn a_plan_that_is_none_is_a_mistake_of_the_caller() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    w.run(&["plan", "--out", "p.json"]).expect(0);
    let good: Value = serde_json::from_slice(&std::fs::read(w.path("p.json")).unwrap()).unwrap();
    let mut other = good.clone();
    other["plans"][0]["sync"] = json!("other");
    let mut newer = good.clone();
    newer["version"] = json!(2);
    let whole = good.to_string();
    for bad in ["", "{}", "[]", "null", "{\"version\": 1}", &whole[..whole.len() / 2], &other.to_string(), &newer.to_string()] {
        std::fs::write(w.path("bad.json"), bad).unwrap();
        w.run(&["sync", "--plan", "bad.json"]).expect(2);
    }
    w.run(&["sync", "--plan", "missing.json"]).expect(2);
    w.run(&["sync", "--plan", "."]).expect(2);
    let mut forged = good;
    forged["plans"][0]["digest"] = json!("sha256:0000");
    std::fs::write(w.path("bad.json"), forged.to_string()).unwrap();
    w.run(&["sync", "--plan", "bad.json"]).expect(11);
    w.run(&["plan", "--out", "no/such/folder/p.json"]).expect(2);
    assert_eq!(sandbox.writes(), 0);
}

/// What stands in the place of the plan is a device, or leads elsewhere: it is written to, and stays.
#[cfg(unix)]
#[test]
fn a_plan_replaces_nothing_but_a_file() {
    use std::os::unix::fs::symlink;
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    symlink("/dev/full", w.path("full")).unwrap();
    let run = w.run(&["plan", "--out", "full"]).expect(2);
    assert!(run.stderr.contains("full: "), "{}", run.stderr);
    symlink("p.json", w.path("link")).unwrap();
    w.run(&["plan", "--out", "link"]).expect(0);
    assert!(w.path("full").is_symlink() && w.path("link").is_symlink() && w.path("p.json").is_file());
    w.run(&["sync", "--plan", "link"]).expect(0);
    // So with the other files that commands write.
    symlink("b.db", w.path("backup")).unwrap();
    std::fs::write(w.path("b.db"), "old").unwrap();
    w.run(&["state", "backup", "backup", "--force"]).expect(0);
    symlink("l.csv", w.path("links.csv")).unwrap();
    w.run(&["link", "export", "links.csv"]).expect(0);
    assert!(w.path("backup").is_symlink() && std::fs::metadata(w.path("b.db")).unwrap().len() > 4096);
    assert!(w.path("links.csv").is_symlink() && w.path("l.csv").is_file());
}

/// What a killed cycle sent is looked up before the plan is made, as it is before the cycle that carries it out.
#[test]
fn reviewed_is_applied_also_after_a_cycle_that_was_killed() {
    let sandbox = SandboxProcess::start(&["--latency", "30"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(300);
    w.save();
    let made = || sandbox.stats()["users"].as_u64().unwrap();
    let mut child = w.command(&["sync", "-qq"]).spawn().unwrap();
    while made() < 40 {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(made() < 300);
    // What the target was still at is done.
    std::thread::sleep(Duration::from_millis(300));
    sandbox.reset_counters();
    w.run(&["plan", "--out", "p.json"]).expect(0);
    assert_eq!(sandbox.writes(), 0);
    w.run(&["sync", "--plan", "p.json"]).expect(0);
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).users().len(), 300);
}

#[test]
fn exit_code_tells_of_changes() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    w.run(&["plan", "--exit-code"]).expect(10);
    w.run(&["plan"]).expect(0);
    w.sync().expect(0);
    w.run(&["plan", "--exit-code"]).expect(0);
    w.run(&["plan", "nobody"]).expect(2);
}

#[test]
fn plan_and_status_do_not_wait_for_a_cycle_and_a_second_cycle_does() {
    let sandbox = SandboxProcess::start(&["--latency", "150"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "concurrency = 1");
    w.populate(20);
    w.save();
    let mut slow = w.command(&["sync", "--json"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while sandbox.writes() == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "the cycle does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let locked = w.run(&["sync", "--json"]);
    assert_eq!(locked.code, 8, "{}{}", locked.stdout, locked.stderr);
    assert_eq!(locked.json()["error"]["kind"], "locked");
    w.run(&["status", "--json"]).expect(0);
    w.run(&["log", "--json"]).expect(0);
    w.run(&["approve", "s"]).expect(0);
    assert!(slow.try_wait().unwrap().is_none(), "the first cycle is still at work");
    let plan = w.run(&["plan", "--json"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let waited: Run = w.run(&["sync", "--wait", "60s", "--json"]).expect(0);
    assert!(slow.try_wait().unwrap().is_some_and(|s| s.success()), "it waited for the first");
    assert!(changes(&waited.cycle()).is_empty());
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).users_by_name().len(), 20);
}

/// The private copy of the state store that a plan works on goes with it; not even a kill leaves it for ever.
#[cfg(unix)]
#[test]
fn plan_writes_nothing_that_a_kill_would_leave_for_ever() {
    let sandbox = SandboxProcess::start(&["--latency", "300"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(2);
    w.sync().expect(0);
    let tmp = tempfile::tempdir().unwrap();
    let copies =
        || std::fs::read_dir(tmp.path()).unwrap().filter(|e| e.as_ref().unwrap().path().join("state.db").exists()).count();
    let plan = || {
        let mut c = w.command(&["plan", "--verify"]);
        c.env("TMPDIR", tmp.path()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        c
    };
    let begun = |wanted: usize| {
        let child = plan().spawn().unwrap();
        while copies() < wanted {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child
    };
    let mut killed = begun(1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(copies(), 1);
    assert!(plan().status().unwrap().success());
    assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
    // One that is at work keeps its copy.
    let mut first = begun(1);
    assert!(begun(2).wait().unwrap().success());
    assert!(first.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
}
