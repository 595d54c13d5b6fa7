//! A migration is killed at any moment: the same command goes on, nobody is renamed twice, nothing is lost.
#![allow(clippy::print_stderr)]

use super::{Maker, SYNC, migration, names};
use crate::support::dice::Dice;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::world::{SandboxProcess, ScimReader, World};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// People with accounts `user0`.., in pairs that exchange their names where `swaps`.
fn populate(w: &mut World, maker: &Maker, n: usize, swaps: bool) -> BTreeMap<String, String> {
    let mut goal = BTreeMap::new();
    for i in 0..n {
        let key = format!("k{i:04}");
        w.join(&key);
        w.set(&key, "sAMAccountName", format!("user{i}"));
        let (name, more, new) = if swaps && i % 20 < 2 {
            let other = if i % 20 == 0 { i + 1 } else { i - 1 };
            (format!("swap{i}@corp.example"), json!({ "externalId": key }), format!("swap{other}@corp.example"))
        } else {
            (format!("CORP\\user{i}"), json!({}), format!("first.last{i}@corp.example"))
        };
        w.set(&key, "mail", new.as_str());
        goal.insert(maker.account(&name, more), new);
    }
    w.save();
    goal
}

/// Runs the migration and kills it after this time; false if it was done before.
fn kill_after(w: &World, ms: u64) -> bool {
    let mut child =
        w.command(&["--migrate-userids", "--yes", "--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(ms));
    let over = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    !over
}

/// The same command ends what was begun: everybody has the new name, was given it once, and the next cycle is quiet.
#[track_caller]
fn assert_ends(w: &World, reader: &ScimReader, goal: &BTreeMap<String, String>) {
    let found = migration(&w.run(&["--migrate-userids", "--yes", "--json"]).expect(0));
    assert_eq!(names(reader), *goal);
    let renamed = found["counts"]["renamed"].as_u64().unwrap();
    let before = found["counts"]["already"].as_u64().unwrap();
    assert_eq!(renamed + before, goal.len() as u64, "{}", found["counts"]);
    let store = rusqlite::Connection::open(w.path("state.db")).unwrap();
    let twice: i64 = store
        .query_row(
            "SELECT count(*) FROM (SELECT target_id FROM journal WHERE kind = 'rename' AND status = 'done'
             AND json_extract(after, '$.userName') NOT LIKE 'scim-sync-%' GROUP BY target_id HAVING count(*) <> 1)",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(twice, 0, "each is in the journal once");
    let lost: i64 = store
        .query_row(
            "SELECT count(*) FROM journal WHERE kind = 'rename' AND status = 'done' AND before NOT LIKE '%userName%'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(lost, 0, "with what was there before");
    let cycles: i64 =
        store.query_row("SELECT count(DISTINCT cycle) FROM journal WHERE kind = 'rename'", [], |r| r.get(0)).unwrap();
    assert_eq!(cycles, 1, "one migration is one cycle, however often it was killed");
    let cycle = w.run(&["sync", "--json"]).expect(0).cycle();
    assert_eq!(cycle["requests"]["write"], 0, "{cycle}");
}

#[test]
fn one_account_per_person_killed_thirty_times_with_lost_answers() {
    let began = Instant::now();
    let mut in_time = 0;
    for seed in 0..6 {
        let mut dice = Dice::new(seed);
        let faults = ["--fault-seed", &seed.to_string(), "--latency", "15", "--fault-lost", "0.05"];
        let sandbox = SandboxProcess::start(&faults);
        let mut w = World::new(&sandbox.base_url, &sandbox.token, SYNC, "concurrency = 4");
        let maker = Maker::new(&sandbox.base_url, &sandbox.token);
        let goal = populate(&mut w, &maker, 120, true);
        in_time += (0..5).filter(|_| kill_after(&w, dice.between(150, 1_000))).count();
        assert_ends(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token), &goal);
    }
    eprintln!("30 kills of a migration, {in_time} while it ran: {:?}", began.elapsed());
    assert!(in_time >= 15, "only {in_time} of 30 came in time");
}

#[test]
fn one_account_per_person_killed_at_scim2_server() {
    let Some(server) = ScimServer::scim2() else { return };
    let mut dice = Dice::new(3);
    let mut w = World::new(server.url.as_str(), TOKEN, SYNC, "concurrency = 4");
    let goal = populate(&mut w, &Maker::new(server.url.as_str(), TOKEN), 120, true);
    let in_time = (0..3).filter(|_| kill_after(&w, dice.between(300, 1_500))).count();
    assert_ends(&w, &ScimReader::new(server.url.as_str(), TOKEN), &goal);
    eprintln!("3 kills at scim2-server, {in_time} while it ran");
}

/// A way to the sandbox on which the first request that says `needle` arrives and gets no answer: its URL, and word of that.
fn unanswered(upstream: &str, needle: &'static str) -> (String, Receiver<()>) {
    let authority = upstream.split('/').nth(2).unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = upstream.replacen(&authority, &listener.local_addr().unwrap().to_string(), 1);
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let once = Arc::new(AtomicBool::new(false));
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&authority) else { return };
            let held = Arc::new(AtomicBool::new(false));
            let (from_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let (here, there) = (Arc::clone(&held), (Arc::clone(&held), Arc::clone(&once), tell.clone()));
            std::thread::spawn(move || pass(from_server, to_client, |_| here.load(Ordering::SeqCst)));
            std::thread::spawn(move || pass(client, server, |sent| watch(sent, needle, &there)));
        }
    });
    (url, told)
}

/// Never holds a request back; from the needle on, no answer passes.
fn watch(sent: &[u8], needle: &str, (held, once, tell): &(Arc<AtomicBool>, Arc<AtomicBool>, Sender<()>)) -> bool {
    if String::from_utf8_lossy(sent).contains(needle) && !once.swap(true, Ordering::SeqCst) {
        held.store(true, Ordering::SeqCst);
        let _ = tell.send(());
    }
    false
}

/// What comes goes on; `drops` sees all of it so far.
fn pass(mut from: TcpStream, mut to: TcpStream, drops: impl Fn(&[u8]) -> bool) {
    let (mut all, mut chunk) = (Vec::new(), [0; 1 << 14]);
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        all.extend_from_slice(&chunk[..n]);
        if !drops(&all) && to.write_all(&chunk[..n]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Of a circle one gets two names in one migration: the journal has the first one, and the second one arrived.
#[test]
fn rename_is_rename_the_last_of_two_names_of_one_migration_is_booked_after_a_kill() {
    let sandbox = SandboxProcess::start(&[]);
    let (url, held) = unanswered(&sandbox.base_url, "\"c@corp.example\"");
    let mut w = World::new(&url, &sandbox.token, SYNC, "concurrency = 1");
    let (maker, reader) = (Maker::new(&sandbox.base_url, &sandbox.token), ScimReader::new(&sandbox.base_url, &sandbox.token));
    let mut goal = BTreeMap::new();
    for (key, now, to_be) in [("k1", "a", "c"), ("k2", "b", "a"), ("k3", "c", "b")] {
        w.join(key);
        w.set(key, "mail", format!("{to_be}@corp.example"));
        let id = maker.account(&format!("{now}@corp.example"), json!({ "externalId": key }));
        goal.insert(id, format!("{to_be}@corp.example"));
    }
    w.save();
    let before = names(&reader);
    let args = ["--migrate-userids", "--yes", "--json"];
    let mut child = w.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    held.recv_timeout(Duration::from_secs(60)).unwrap();
    crate::support::service::eventually("the last rename", || names(&reader) == goal);
    child.kill().unwrap();
    child.wait().unwrap();
    let found = migration(&w.run(&args).expect(0));
    assert_eq!((&found["counts"]["renamed"], names(&reader) == goal), (&json!(3), true), "{found}");
    w.run(&["undo", &found["cycle"].to_string(), "--json"]).expect(0);
    assert_eq!(names(&reader), before);
}
