//! The ways in which a migration is run: all, a pilot, a reviewed report; and what follows.

use super::{Old, SYNC, account, migration};
use crate::support::world::{SandboxProcess, World};
use serde_json::{Value, json};

fn ten(sync: &str) -> Old {
    let mut old = Old::start(sync, &[]);
    for i in 0..10 {
        old.person(&format!("k{i}"), &format!("user{i}"), &format!("first.last{i}@corp.example"));
        old.maker.account(&format!("user{i}"), json!({}));
    }
    old
}

#[test]
fn all_are_renamed_and_the_next_cycle_is_quiet() {
    let mut old = ten(SYNC);
    old.person("ka", "already", "already@corp.example");
    old.maker.account("already@corp.example", json!({}));
    let ids: Vec<String> = old.names().into_keys().collect();
    let run = old.migrate(&["--yes"]).expect(0);
    let found = migration(&run);
    assert_eq!(
        (&found["counts"]["convert"], &found["counts"]["renamed"], &found["counts"]["failed"]),
        (&json!(10), &json!(10), &json!(0))
    );
    assert!(found["cycle"].as_i64().is_some());
    let names = old.names();
    assert_eq!(names.keys().cloned().collect::<Vec<_>>(), ids, "the same accounts");
    assert!(names.values().all(|n| n.ends_with("@corp.example")), "{names:?}");
    assert!(old.reader.users().iter().all(|u| u["externalId"].is_string()), "externalId is written where there was none");
    old.sandbox.reset_counters();
    let cycle = old.world.sync().expect(0).cycle();
    assert_eq!(cycle["requests"]["write"], 0, "{cycle}");
    assert_eq!(old.sandbox.writes(), 0);
    let log = old.world.run(&["log", "--json", "--cycle", &found["cycle"].to_string()]).expect(0).json();
    let renames = log["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "rename" && e["status"] == "done").count();
    assert_eq!(renames, 10);
}

#[test]
fn a_pilot_renames_so_many_and_stops_and_nobody_else_gets_a_second_account() {
    let old = ten(SYNC);
    old.sandbox.reset_counters();
    let found = migration(&old.migrate(&["--yes", "--pilot", "3"]).expect(0));
    assert_eq!(found["counts"]["renamed"], 3);
    assert_eq!(old.sandbox.writes(), 3);
    // A cycle in between does not create anybody anew.
    let cycle = old.world.sync().expect(7).cycle();
    assert_eq!((&cycle["requests"]["write"], cycle["parked"].as_array().unwrap().len()), (&json!(0), 7), "{cycle}");
    // By name, the same person twice.
    let found = migration(&old.migrate(&["--yes", "--pilot", "user7,first.last8@corp.example"]).expect(0));
    assert_eq!(found["counts"]["renamed"], 2, "{found}");
    old.migrate(&["--yes", "--pilot", "nobody"]).expect(2);
    old.migrate(&["--pilot", "nobody"]).expect(2);
    let found = migration(&old.migrate(&["--yes"]).expect(0));
    assert_eq!(found["counts"]["renamed"], 5);
    assert_eq!(old.world.sync().expect(0).cycle()["requests"]["write"], 0);
    assert_eq!(old.names().len(), 10);
}

#[test]
fn a_reviewed_report_is_applied_as_far_as_it_is_unchanged() {
    for ending in ["json", "csv"] {
        let old = ten(SYNC);
        let file = old.world.path(&format!("report.{ending}"));
        old.migrate(&["--dry-run", "--report", file.to_str().unwrap()]).expect(0);
        let text = std::fs::read_to_string(&file).unwrap();
        // Two rows are taken out, one account changes meanwhile.
        let edited = if ending == "csv" {
            text.lines().filter(|l| !l.contains("user3,") && !l.contains("user4,")).collect::<Vec<_>>().join("\n")
        } else {
            let mut document: Value = serde_json::from_str(&text).unwrap();
            document["migrations"][0]["accounts"].as_array_mut().unwrap().retain(|a| a["old"] != "user3" && a["old"] != "user4");
            document.to_string()
        };
        std::fs::write(&file, edited).unwrap();
        let id = old.names().iter().find(|(_, n)| *n == "user5").unwrap().0.clone();
        old.maker.rename(&id, "USER5x");
        let run = old.migrate(&["--apply", file.to_str().unwrap()]).expect(11);
        let found = migration(&run);
        assert_eq!(found["counts"]["renamed"], 7, "{ending} {found}");
        assert!(account(&found, &id)["why"].as_str().unwrap().contains("refused"), "{found}");
        let names: Vec<String> = old.names().into_values().collect();
        for left in ["user3", "user4", "USER5x"] {
            assert!(names.iter().any(|n| n == left), "{names:?}");
        }
    }
}

/// The order that the guide tells: report, pilot, the report as it was reviewed.
#[test]
fn what_a_pilot_did_of_a_reviewed_report_is_done() {
    for ending in ["json", "csv"] {
        let old = ten(SYNC);
        let file = old.world.path(&format!("report.{ending}"));
        old.migrate(&["--dry-run", "--report", file.to_str().unwrap()]).expect(0);
        old.migrate(&["--yes", "--pilot", "2"]).expect(0);
        let found = migration(&old.migrate(&["--apply", file.to_str().unwrap()]).expect(0));
        assert_eq!((&found["counts"]["renamed"], &found["changed_since_report"]), (&json!(8), &json!(0)), "{found}");
        let found = migration(&old.migrate(&["--apply", file.to_str().unwrap()]).expect(0));
        assert_eq!((&found["counts"]["already"], &found["changed_since_report"]), (&json!(10), &json!(0)), "{found}");
        // One that was given another name since is none of it.
        let id = old.names().iter().find(|(_, n)| n.starts_with("first.last3")).unwrap().0.clone();
        old.maker.rename(&id, "user3x");
        old.migrate(&["--apply", file.to_str().unwrap()]).expect(11);
    }
}

/// Rows outside the filter did not change: they are merely not looked at now.
#[test]
fn of_a_reviewed_report_a_filter_takes_a_part() {
    let old = ten(SYNC);
    let file = old.world.path("report.csv");
    old.migrate(&["--dry-run", "--report", file.to_str().unwrap()]).expect(0);
    let apply = ["--apply", file.to_str().unwrap(), "--only", "userName sw \"user2\""];
    let found = migration(&old.migrate(&apply).expect(0));
    assert_eq!((&found["counts"]["renamed"], &found["changed_since_report"]), (&json!(1), &json!(0)), "{found}");
    assert_eq!(found["accounts"].as_array().unwrap().len(), 1);
}

#[test]
fn names_are_exchanged_and_moved_on() {
    let mut old = Old::start(SYNC, &[]);
    let ring = [("s1", "a"), ("s2", "b"), ("c1", "x"), ("c2", "y"), ("c3", "z"), ("r1", "p"), ("r2", "q"), ("r3", "r")];
    let goal = [("s1", "b"), ("s2", "a"), ("c1", "y"), ("c2", "z"), ("c3", "w"), ("r1", "q"), ("r2", "r"), ("r3", "p")];
    for ((key, have), (_, want)) in ring.iter().zip(goal) {
        old.person(key, &format!("sam-{key}"), &format!("{want}@corp.example"));
        old.maker.account(&format!("{have}@corp.example"), json!({"externalId": key}));
    }
    let found = migration(&old.migrate(&["--yes"]).expect(0));
    assert_eq!(found["counts"]["renamed"], 8, "{found}");
    for user in old.reader.users() {
        let want = goal.iter().find(|(k, _)| user["externalId"] == *k).unwrap().1;
        assert_eq!(user["userName"], format!("{want}@corp.example"));
    }
    assert_eq!(old.world.sync().expect(0).cycle()["requests"]["write"], 0);
}

#[test]
fn a_filter_narrows_what_is_looked_at() {
    let mut old = ten(SYNC);
    old.world.set("k1", "department", "Legal");
    let found = migration(&old.migrate(&["--dry-run", "--only", "userName sw \"user2\""]).expect(0));
    assert_eq!(found["accounts"].as_array().unwrap().len(), 1);
    let found = migration(&old.migrate(&["--yes", "--only", "sAMAccountName eq \"user1\""]).expect(0));
    assert_eq!((&found["counts"]["renamed"], &found["accounts"][0]["old"]), (&json!(1), &json!("user1")));
    old.migrate(&["--only", "userName is odd"]).expect(2);
}

#[test]
fn an_application_that_cannot_rename_is_not_asked_to() {
    let sandbox = SandboxProcess::start(&["--preset", "mews"]);
    let mut world = World::new(&sandbox.base_url, &sandbox.token, SYNC, "preset = \"mews\"");
    let maker = super::Maker::new(&sandbox.base_url, &sandbox.token);
    for i in 0..3 {
        world.join(&format!("k{i}"));
        world.set(&format!("k{i}"), "sAMAccountName", format!("user{i}"));
        maker.account(
            &format!("user{i}"),
            json!({"name": {"givenName": format!("Given k{i}"), "familyName": format!("Family k{i}")}}),
        );
    }
    world.save();
    sandbox.reset_counters();
    for args in [&["--migrate-userids", "--json"][..], &["--migrate-userids", "--json", "--yes"]] {
        let found = migration(&world.run(args).expect(0));
        assert_eq!(
            (&found["counts"]["refused"], &found["counts"]["convert"], &found["cycle"]),
            (&json!(3), &json!(0), &Value::Null)
        );
        let why = found["accounts"][0]["why"].as_str().unwrap();
        assert!(why.contains("cannot change a userName") && why.contains("new account"), "{why}");
    }
    assert_eq!(sandbox.writes(), 0);
}
