//! Several syncs feed one target: everybody of all of them counts, and nobody counts twice.

use super::{Old, SYNC, account, classes, migration};
use crate::support::world::Run;
use serde_json::{Value, json};

/// The part of the directory that a sync takes.
fn part(department: &str) -> String {
    format!("[sync.scope]\nusers = 'department eq \"{department}\"'\n{SYNC}")
}

/// A second sync of the same source (or of `source`) and target.
fn second(name: &str, source: &str, more: &str) -> String {
    format!("[[sync]]\nname = \"{name}\"\nsource = \"{source}\"\ntarget = \"app\"\n{more}")
}

fn migrations(run: &Run) -> Vec<Value> {
    run.json()["migrations"].as_array().unwrap().clone()
}

/// Accounts of class `convert` in a document.
fn converted(document: &Value) -> Vec<String> {
    let rows = document["accounts"].as_array().unwrap().iter().filter(|a| a["class"] == "convert");
    rows.map(|a| a["old"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_account_per_person_where_two_syncs_share_a_directory() {
    let mut old = Old::start(&(part("Sales") + &second("t", "dir", &part("Legal"))), &[]);
    let mut ids = Vec::new();
    for (i, department) in ["Sales", "Legal", "Sales", "Legal", "Ops"].into_iter().enumerate() {
        old.person(&format!("k{i}"), &format!("user{i}"), &format!("first.last{i}@corp.example"));
        old.world.set(&format!("k{i}"), "department", department);
        ids.push(old.maker.account(&format!("CORP\\user{i}"), json!({})));
    }
    ids.push(old.maker.account("nobody", json!({})));
    let looked = migrations(&old.migrate(&["--dry-run"]).expect(0));
    assert_eq!(
        (converted(&looked[0]), converted(&looked[1])),
        (vec!["CORP\\user0".to_owned(), "CORP\\user2".to_owned()], vec!["CORP\\user1".to_owned(), "CORP\\user3".to_owned()])
    );
    let all: usize = looked.iter().map(|m| m["accounts"].as_array().unwrap().len()).sum();
    assert_eq!(all, 6, "each account in one report: {looked:?}");
    let ops = looked.iter().find(|m| classes(m).contains_key(&ids[4])).unwrap();
    assert!(account(ops, &ids[4])["why"].as_str().unwrap().contains("outside the scope"), "{ops}");
    // One sync by itself says of the other's people whose they are, and leaves them.
    let alone = migration(&old.world.run(&["--migrate-userids", "s", "--yes", "--json"]).expect(0));
    assert_eq!((&alone["counts"]["renamed"], &alone["counts"]["convert"]), (&json!(2), &json!(2)), "{alone}");
    assert!(account(&alone, &ids[1])["why"].as_str().unwrap().contains("--migrate-userids t"), "{alone}");
    // Whoever waits for the other sync gets no second account from it meanwhile.
    let waiting = old.world.run(&["sync", "t", "--json"]).expect(7).cycle();
    assert_eq!((&waiting["requests"]["write"], waiting["parked"].as_array().unwrap().len()), (&json!(0), 2), "{waiting}");
    let done = migrations(&old.migrate(&["--yes"]).expect(0));
    let renamed: u64 = done.iter().map(|m| m["counts"]["renamed"].as_u64().unwrap()).sum();
    assert_eq!(renamed, 2, "{done:?}");
    let names = old.names();
    for (i, id) in ids.iter().take(4).enumerate() {
        assert_eq!(names[id], format!("first.last{i}@corp.example"));
    }
    assert_eq!((names[&ids[4]].as_str(), names[&ids[5]].as_str()), ("CORP\\user4", "nobody"));
    old.sandbox.reset_counters();
    for cycle in old.world.sync().expect(0).json()["cycles"].as_array().unwrap() {
        assert_eq!(cycle["requests"]["write"], 0, "{cycle}");
    }
    assert_eq!((old.sandbox.writes(), old.names().len()), (0, 6));
}

/// Whoever is named may be anybody's, and so many are so many of all.
#[test]
fn a_pilot_is_a_part_of_the_whole_run() {
    let mut old = Old::start(&(part("Sales") + &second("t", "dir", &part("Legal"))), &[]);
    for (i, department) in ["Sales", "Legal", "Sales", "Legal"].into_iter().enumerate() {
        old.person(&format!("k{i}"), &format!("user{i}"), &format!("first.last{i}@corp.example"));
        old.world.set(&format!("k{i}"), "department", department);
        old.maker.account(&format!("user{i}"), json!({}));
    }
    let renamed = |run: &Run| -> Vec<u64> { migrations(run).iter().map(|m| m["counts"]["renamed"].as_u64().unwrap()).collect() };
    old.migrate(&["--yes", "--pilot", "user1,nobody"]).expect(2);
    old.migrate(&["--yes", "--pilot", "nobody"]).expect(2);
    assert!(old.names().values().all(|name| name.starts_with("user")), "nothing was done");
    assert_eq!(renamed(&old.migrate(&["--yes", "--pilot", "user1"]).expect(0)), [0, 1]);
    assert_eq!(renamed(&old.migrate(&["--yes", "--pilot", "1"]).expect(0)), [1, 0]);
    assert_eq!(renamed(&old.migrate(&["--yes", "--pilot", "2"]).expect(0)), [1, 1]);
}

#[test]
fn no_guess_where_another_directory_has_the_same_name() {
    for enabled in [true, false] {
        // The other forest's sync may be paused: its people are there all the same.
        let other = second("t", "lab", &format!("enabled = {enabled}\n{SYNC}"));
        let mut old = Old::start(&(SYNC.to_owned() + &other + "[source.lab]\ntype = \"file\"\npath = \"lab.json\"\n"), &[]);
        let lab = json!({"users": [
            {"id": "k0", "sAMAccountName": "jdoe", "mail": "john@lab.example", "sn": "Other"},
            {"id": "l1", "sAMAccountName": "lena", "mail": "lena@lab.example", "sn": "Lab"},
        ], "groups": []});
        std::fs::write(old.world.path("lab.json"), lab.to_string()).unwrap();
        old.person("k0", "jdoe", "jane@corp.example");
        old.person("k1", "bob", "bob.b@corp.example");
        let ids: Vec<String> = ["jdoe", "bob", "lena"].map(|name| old.maker.account(name, json!({}))).into();
        old.world.save();
        let found = migration(&old.world.run(&["--migrate-userids", "s", "--json", "--yes"]).expect(0));
        assert_eq!(account(&found, &ids[0])["class"], "ambiguous", "{found}");
        assert_eq!((&account(&found, &ids[1])["result"], &found["counts"]["renamed"]), (&json!("renamed"), &json!(1)));
        assert!(account(&found, &ids[2])["why"].as_str().unwrap().contains("of the sync t"), "{found}");
        assert_eq!(old.names()[&ids[0]], "jdoe");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_noticed_before_anything_is_renamed() {
    let mut old = Old::start(SYNC, &[]);
    old.person("k0", "user0", "first.last@corp.example");
    old.maker.account("user0", json!({}));
    old.sandbox.reset_counters();
    for path in ["no/such/folder/report.csv", ".", "report.txt"] {
        let run = old.migrate(&["--yes", "--report", path]).expect(2);
        assert_eq!((&run.json()["version"], old.sandbox.writes()), (&json!(1), 0), "{path}: {}", run.stdout);
    }
    std::fs::create_dir(old.world.path("folder.csv")).unwrap();
    old.migrate(&["--yes", "--report", "folder.csv"]).expect(2);
    assert_eq!(old.sandbox.writes(), 0);
    old.migrate(&["--yes", "--report", "report.csv"]).expect(0);
    let beside: Vec<_> = std::fs::read_dir(old.world.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(beside.iter().all(|n| !n.to_string_lossy().starts_with(".tmp")), "{beside:?}");
}
