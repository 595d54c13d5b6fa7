//! The source is another one than the entries came from: whom it lacks did not leave, until somebody said so.
#![cfg(unix)]

use crate::support::service::{SELDOM, Service, eventually, results};
use crate::support::settled::{assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::json;

const OLD: &str = "type = \"file\"\npath = \"old.json\"";
const NEW: &str = "type = \"file\"\npath = \"people.json\"";

/// `n` people of old.json, in step; people.json has the same people under other keys, but for the first `without` their old
/// key with them. The configuration still names the old one.
fn swap(sandbox: &SandboxProcess, n: usize, without: usize, sync: &str) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(n);
    w.save();
    std::fs::rename(w.path("people.json"), w.path("old.json")).unwrap();
    w.configure(OLD, &sandbox.base_url, &sandbox.token, sync, "");
    assert_eq!(w.run(&["sync"]).code, 0);
    for (i, (key, mut person)) in std::mem::take(&mut w.people).into_iter().enumerate() {
        if i >= without {
            person.insert("oldKey".into(), json!(key));
        }
        w.people.insert(format!("entra-{i:03}"), person);
    }
    w.save();
    w
}

/// Accounts, and how many of them are inactive.
fn users(sandbox: &SandboxProcess) -> (usize, usize) {
    let all = ScimReader::new(&sandbox.base_url, &sandbox.token).users();
    (all.len(), all.iter().filter(|u| u["active"] == json!(false)).count())
}

/// Fewer than `guard.minimum`: no share would hold them.
#[test]
fn no_wrong_leaver_another_directory_takes_nobody_away_until_links_are_moved() {
    let sandbox = SandboxProcess::start(&[]);
    let w = swap(&sandbox, 9, 0, "");
    w.configure(NEW, &sandbox.base_url, &sandbox.token, "", "");
    // Again and again: a held cycle does not make it the right one.
    for _ in 0..2 {
        let run = w.run(&["sync", "--json"]);
        assert!([6, 7].contains(&run.code), "{}: {}", run.code, run.stdout);
        assert_eq!(users(&sandbox), (9, 0));
        let held = run.cycle()["held"].as_array().unwrap().clone();
        assert_eq!(held.len(), 9, "{}", run.stdout);
        for h in held {
            let reason = h["reason"].as_str().unwrap();
            for said in ["old.json", "people.json", "scim-sync relink s --by '[employeeNumber]'", "scim-sync approve s"] {
                assert!(reason.contains(said), "{said}: {reason}");
            }
        }
    }
    // Back to the old one: as if nothing had been.
    w.configure(OLD, &sandbox.base_url, &sandbox.token, "", "");
    assert_eq!(changes(&w.run(&["sync", "--json"]).expect(0).cycle()), expected(&[]));
    w.configure(NEW, &sandbox.base_url, &sandbox.token, "", "");
    w.run(&["relink", "s", "--by", "[oldKey]", "--yes"]).expect(0);
    w.sync().expect(0);
    assert_eq!(users(&sandbox), (9, 0));
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
    assert_quiet(&w, &sandbox);
}

/// Grace puts off what would be held: the other directory is not the right one for that.
#[test]
fn no_wrong_leaver_grace_does_not_make_another_directory_the_right_one() {
    let sandbox = SandboxProcess::start(&[]);
    let sync = "[sync.actions]\ndeactivate_after = \"7d\"";
    let w = swap(&sandbox, 9, 0, sync);
    w.configure(NEW, &sandbox.base_url, &sandbox.token, sync, "");
    w.run(&["sync"]);
    let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
    c.execute("UPDATE entry SET leaving_since = 1, dirty = 1 WHERE leaving_since IS NOT NULL", []).unwrap();
    drop(c);
    let run = w.run(&["sync"]);
    assert!([6, 7].contains(&run.code), "{}: {}", run.code, run.stdout);
    assert_eq!(users(&sandbox), (9, 0));
}

#[test]
fn no_wrong_leaver_relink_beside_a_service_with_the_old_configuration() {
    let sandbox = SandboxProcess::start(&[]);
    let w = swap(&sandbox, 9, 0, SELDOM);
    let mut service = Service::start(&w);
    let before = results(&w, "s").len();
    w.configure(NEW, &sandbox.base_url, &sandbox.token, SELDOM, "");
    let done = w.run(&["relink", "s", "--by", "[oldKey]", "--yes", "--json"]).expect(0).json();
    assert_eq!(done["relink"]["moves"].as_array().unwrap().len(), 9, "{done}");
    // It runs at once, and still with the old directory.
    eventually("a cycle", || results(&w, "s").len() > before);
    assert_eq!(users(&sandbox), (9, 0));
    service.stop("TERM");
    assert_eq!(results(&w, "s").last().map(String::as_str), Some("held"));
    w.configure(OLD, &sandbox.base_url, &sandbox.token, SELDOM, "");
    w.run(&["sync"]).expect(6);
    w.configure(NEW, &sandbox.base_url, &sandbox.token, SELDOM, "");
    w.sync().expect(0);
    assert_eq!(users(&sandbox), (9, 0));
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
}

/// Whoever is not moved would lose the account: no cycle is asked for before somebody has looked.
#[test]
fn relink_asks_for_no_cycle_while_somebody_is_left_out() {
    let asked = |w: &World| -> i64 {
        let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
        c.query_row("SELECT coalesce((SELECT asked FROM service), 0)", [], |r| r.get(0)).unwrap()
    };
    for (without, more) in [(2, 0), (0, 1)] {
        let sandbox = SandboxProcess::start(&[]);
        let w = swap(&sandbox, 6, without, "");
        w.configure(NEW, &sandbox.base_url, &sandbox.token, "", "");
        let before = asked(&w);
        w.run(&["relink", "s", "--by", "[oldKey]", "--yes"]).expect(0);
        assert_eq!(asked(&w), before + more, "{without} left out");
    }
}

/// The same directory under another address: nothing is held, nothing said, and the next leaver is an ordinary one.
#[test]
fn an_address_that_merely_changed_is_accepted_and_a_leaver_of_that_day_is_an_ordinary_one() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(9);
    w.sync().expect(0);
    let move_to = |w: &World, name: &str| {
        std::fs::copy(w.path("people.json"), w.path(name)).unwrap();
        w.configure(&format!("type = \"file\"\npath = \"{name}\""), &sandbox.base_url, &sandbox.token, "", "");
    };
    move_to(&w, "b.json");
    let run = w.run(&["sync"]).expect(0);
    assert!(!run.stderr.contains("is held"), "{}", run.stderr);
    w.leave("p00001");
    w.save();
    move_to(&w, "b.json");
    assert_eq!(changes(&w.run(&["sync", "--json"]).expect(0).cycle()), expected(&[("deactivate", 1)]));
    w.leave("p00002");
    w.save();
    move_to(&w, "c.json");
    assert_eq!(changes(&w.run(&["sync", "--json"]).expect(0).cycle()), expected(&[("deactivate", 1)]));
    w.leave("p00003");
    w.save();
    move_to(&w, "c.json");
    assert_eq!(changes(&w.run(&["sync", "--json"]).expect(0).cycle()), expected(&[("deactivate", 1)]));
}

/// Before `relink` nobody and nothing of the other directory is new: the same group, the same people by other addresses.
#[test]
fn one_account_per_person_another_directory_makes_nothing_until_links_are_moved() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(9);
    w.group("g", &["p00000", "p00001"]);
    w.save();
    std::fs::rename(w.path("people.json"), w.path("old.json")).unwrap();
    w.configure(OLD, &sandbox.base_url, &sandbox.token, "", "");
    w.run(&["sync"]).expect(0);
    for (key, mut person) in std::mem::take(&mut w.people) {
        person.insert("oldKey".into(), json!(key));
        w.people.insert(format!("entra-{key}"), person);
    }
    w.set("entra-p00005", "mail", "quite.other@corp.example");
    let (name, members) = w.groups.remove("g").unwrap();
    w.groups.insert("entra-g".into(), (name, members.iter().map(|m| format!("entra-{m}")).collect()));
    w.save();
    w.configure(NEW, &sandbox.base_url, &sandbox.token, "", "");
    let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
    for _ in 0..2 {
        let run = w.run(&["sync", "--json"]);
        assert!([6, 7].contains(&run.code), "{}: {}", run.code, run.stdout);
        let held = run.cycle()["held"].as_array().unwrap().clone();
        for kind in ["create", "group_create"] {
            let one = held.iter().find(|h| h["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {}", run.stdout));
            assert!(one["reason"].as_str().unwrap().contains("scim-sync relink s"), "{one}");
        }
        assert_eq!((users(&sandbox), reader.groups().len()), ((9, 0), 1), "{}", run.stdout);
    }
    w.run(&["relink", "s", "--by", "[oldKey]", "--yes"]).expect(0);
    w.sync().expect(0);
    assert_eq!((users(&sandbox), reader.groups().len()), ((9, 0), 1));
    assert!(reader.user("quite.other@corp.example").is_some());
    assert_quiet(&w, &sandbox);
}
