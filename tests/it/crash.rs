//! The program is killed at any moment: nothing is lost, nothing is doubled, and the next cycle goes on from there.
#![allow(clippy::print_stderr)]

use crate::support::dice::Dice;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::settled::{assert_all_created, assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World};
use std::process::Stdio;
use std::time::{Duration, Instant};

const PEOPLE: usize = 1_000;
const GROUPS: usize = 20;
/// Members of each group.
const MEMBERS: usize = 150;

/// Phones are a second multi-valued attribute, which an update adds.
const MAP: &str = "[sync.map.user]\n\"phoneNumbers[type eq \\\"work\\\"].value\" = \"[telephoneNumber]\"\n";

fn populate(w: &mut World, people: usize, dice: &mut Dice) {
    w.populate(people);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    for g in 0..GROUPS {
        let start = dice.below(people);
        let members: Vec<&str> = (0..MEMBERS.min(people)).map(|i| ids[(start + i) % people].as_str()).collect();
        w.group(&format!("g{g:02}"), &members);
    }
}

/// The guard lets everything through, and who left is deleted in the cycle after.
const EVERYTHING: &str = "[sync.actions]\nuser = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndelete_after = \"0s\"\n\
     [sync.guard]\ndeactivate = \"unlimited\"\ndelete = \"unlimited\"\ngroup_delete = \"unlimited\"\nrename = \"unlimited\"\n\
     members_remove_per_group = \"unlimited\"\nsource_shrink = \"unlimited\"\n";

/// A busy day: people come, go, change, marry and take over addresses, groups come, go, change names and members.
fn busy_day(w: &mut World, dice: &mut Dice, day: u64) {
    let ids: Vec<String> = w.people.keys().cloned().collect();
    let n = ids.len();
    let mut freed = Vec::new();
    for (i, id) in ids.iter().enumerate() {
        match i % 10 {
            0 => w.set(id, "displayName", format!("Changed {id} on day {day}")),
            1 | 2 => w.set(id, "telephoneNumber", format!("+45 {day} {i}")),
            3 if i % 20 == 3 => {
                freed.push(w.people[id]["mail"].clone());
                w.set(id, "mail", format!("{id}.day{day}@corp.example"));
            }
            4 if i % 30 == 4 => w.leave(id),
            // Somebody gets the address that another one gives up in the same cycle.
            5 if i % 40 == 5 => {
                if let Some(mail) = freed.pop() {
                    w.set(id, "mail", mail);
                }
            }
            _ => {}
        }
    }
    for j in 0..n / 20 {
        w.join(&format!("day{day}-{j:03}"));
    }
    let now: Vec<String> = w.people.keys().cloned().collect();
    let groups: Vec<String> = w.groups.keys().cloned().collect();
    for (i, id) in groups.iter().enumerate() {
        if i % 9 == 4 {
            w.groups.remove(id);
            continue;
        }
        let (name, members) = w.groups.get_mut(id).unwrap();
        if i % 5 == 1 {
            *name = format!("{name}, day {day}");
        }
        members.retain(|_| !dice.one_in(6));
        members.extend((0..8).map(|_| dice.pick(&now).clone()));
        members.sort();
        members.dedup();
    }
    let members: Vec<&str> = now.iter().step_by(7).map(String::as_str).collect();
    w.group(&format!("day{day}"), &members);
}

/// Runs `sync` and kills it after this time; false if it was done before.
fn kill_after(w: &World, ms: u64) -> bool {
    w.save();
    let mut child = w.command(&["sync", "--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(ms));
    let over = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    !over
}

fn lossy(seed: u64, latency: &str) -> SandboxProcess {
    SandboxProcess::start(&["--fault-seed", &seed.to_string(), "--latency", latency, "--fault-lost", "0.05"])
}

/// Runs cycles until one is done without anything left, at most `n`.
#[track_caller]
fn finish(w: &World, n: usize) {
    let mut last = None;
    for _ in 0..n {
        let run = w.sync();
        if run.code == 0 {
            return;
        }
        last = Some(run);
    }
    let last = last.unwrap();
    panic!("not done after {n} cycles: {}\n{}", last.stdout, last.stderr);
}

#[test]
fn one_account_per_person_killed_fifty_times_in_a_first_cycle() {
    let began = Instant::now();
    let in_time: usize = two_at_a_time(0..10, |seed| {
        let mut dice = Dice::new(seed);
        let sandbox = lossy(seed, "3");
        let mut w = World::new(&sandbox.base_url, &sandbox.token, MAP, "concurrency = 16");
        populate(&mut w, PEOPLE, &mut dice);
        let in_time = (0..5).filter(|_| kill_after(&w, dice.between(60, 1_000))).count();
        finish(&w, 3);
        assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
        assert_eq!(assert_all_created(&w.path("state.db")), (PEOPLE as u64, GROUPS as u64), "seed {seed}");
        assert_quiet(&w, &sandbox);
        in_time
    });
    eprintln!("50 kills of a first cycle, {in_time} while it ran: {:?}", began.elapsed());
    assert!(in_time >= 40, "only {in_time} of 50 came in time");
}

/// Runs `f` for each seed on two threads: much of it is waiting for the disk.
fn two_at_a_time(seeds: std::ops::Range<u64>, f: impl Fn(u64) -> usize + Sync) -> usize {
    let next = std::sync::Mutex::new(seeds);
    std::thread::scope(|scope| {
        let work = || std::iter::from_fn(|| next.lock().unwrap().next()).map(&f).sum::<usize>();
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    })
}

#[test]
fn converges_killed_in_the_middle_of_a_busy_day() {
    let began = Instant::now();
    let mut in_time = 0;
    for seed in 100..103 {
        let mut dice = Dice::new(seed);
        let sandbox = lossy(seed, "4");
        let rules = format!("{EVERYTHING}{MAP}");
        let mut w = World::new(&sandbox.base_url, &sandbox.token, &rules, "concurrency = 16");
        populate(&mut w, 400, &mut dice);
        finish(&w, 3);
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        for day in 1..=2 {
            busy_day(&mut w, &mut dice, day);
            for _ in 0..4 {
                in_time += usize::from(kill_after(&w, dice.between(40, 500)));
            }
            finish(&w, 3);
            // Who left was deactivated then, and is deleted now.
            finish(&w, 1);
            assert_as_desired(&w, &target);
            assert_eq!(target.users().len(), w.people.len(), "who left is deleted");
            assert_all_created(&w.path("state.db"));
            assert_quiet(&w, &sandbox);
        }
    }
    eprintln!("24 kills of a busy day, {in_time} while it ran: {:?}", began.elapsed());
    assert!(in_time >= 15, "only {in_time} of 24 came in time");
}

/// Fewer people than in the sandbox: this server answers in tens of milliseconds, and slower the more it holds.
#[test]
fn one_account_per_person_killed_at_scim2_server() {
    let Some(server) = ScimServer::scim2() else { return };
    let began = Instant::now();
    let mut dice = Dice::new(7);
    let mut w = World::new(server.url.as_str(), TOKEN, MAP, "concurrency = 8");
    populate(&mut w, 300, &mut dice);
    let mut in_time = 0;
    for _ in 0..3 {
        in_time += usize::from(kill_after(&w, dice.between(400, 1200)));
    }
    eprintln!("killed after {:?}", began.elapsed());
    finish(&w, 3);
    assert_as_desired(&w, &ScimReader::new(server.url.as_str(), TOKEN));
    assert_eq!(assert_all_created(&w.path("state.db")), (300, GROUPS as u64));
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(cycle["requests"]["read"].as_u64().unwrap() + cycle["requests"]["write"].as_u64().unwrap(), 0, "{cycle}");
    eprintln!("3 kills against scim2-server, {in_time} while it ran: {:?}", began.elapsed());
    assert!(in_time >= 2);
}
