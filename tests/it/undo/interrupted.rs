//! Killed in the middle, an undo is run again to the same end.

use super::{OPEN, Scene};
use crate::support::dice::Dice;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::world::{ScimReader, World, changes};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

type Picture = BTreeMap<String, (Value, Value, Value)>;

/// externalId -> name, active, display name.
fn picture(target: &ScimReader) -> (Picture, BTreeMap<String, Vec<String>>) {
    let users = target.users().into_iter().map(|u| {
        (u["externalId"].as_str().unwrap().to_owned(), (u["userName"].clone(), u["active"].clone(), u["displayName"].clone()))
    });
    (users.collect(), target.memberships())
}

/// A cycle with everything in it; its number, and how the target was before.
fn busy(w: &mut World, target: &ScimReader, people: usize) -> (i64, (Picture, BTreeMap<String, Vec<String>>)) {
    w.populate(people);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    w.group("g", &ids.iter().take(20).map(String::as_str).collect::<Vec<_>>());
    w.sync().expect(0);
    let before = picture(target);
    for (i, id) in ids.iter().enumerate() {
        match i % 4 {
            0 => w.leave(id),
            1 => w.set(id, "mail", format!("new.{id}@corp.example")),
            2 => w.set(id, "displayName", format!("Other {id}")),
            _ => {}
        }
    }
    let run = w.sync().expect(0);
    (run.cycle()["cycle"].as_i64().unwrap(), before)
}

fn killed_after(w: &World, n: i64, after: Duration) -> bool {
    let mut child = w.command(&["undo", &n.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + after;
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

fn killed_often(w: &mut World, target: &ScimReader, people: usize, kills: usize, longest: u64) {
    let (n, before) = busy(w, target, people);
    let mut dice = Dice::new(n.unsigned_abs() + 7);
    let mut killed = 0;
    for _ in 0..kills {
        killed += usize::from(killed_after(w, n, Duration::from_millis(20 + dice.between(0, longest))));
    }
    assert!(killed > 0, "it was always done before");
    w.run(&["undo", &n.to_string()]).expect(0);
    assert_eq!(picture(target), before, "as before, whatever happened on the way");
    // Nothing of it is done again, and nothing else is owed.
    let run = w.sync().expect(6);
    assert!(changes(&run.cycle()).is_empty(), "{}", run.stdout);
    assert!(changes(&w.run(&["undo", &n.to_string(), "--json"]).expect(0).cycle()).is_empty());
    w.run(&["approve", "s"]).expect(0);
    let done = w.sync().expect(0);
    assert!(!changes(&done.cycle()).is_empty());
    assert!(changes(&w.sync().expect(0).cycle()).is_empty());
}

#[test]
fn one_account_per_person_an_undo_killed_at_random_moments_is_resumed() {
    let mut s = Scene::new(OPEN, &["--fault-lost", "0.05", "--fault-slow", "1.0:10"]);
    killed_often(&mut s.w, &s.target, 120, 12, 700);
}

#[test]
fn an_undo_at_scim2_server_killed_thrice_is_resumed() {
    let Some(server) = ScimServer::scim2() else { return };
    let mut w = World::new(server.url.as_str(), TOKEN, OPEN, "");
    killed_often(&mut w, &ScimReader::new(server.url.as_str(), TOKEN), 60, 5, 300);
}
