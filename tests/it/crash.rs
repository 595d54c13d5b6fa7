//! The program is killed at any moment: nothing is lost, nothing is doubled, and the next cycle goes on from there.
#![allow(clippy::print_stderr)]

use crate::support::dice::Dice;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::settled::{assert_all_created, assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
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
    let mut in_time = 0;
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let sandbox = lossy(seed, "3");
        let mut w = World::new(&sandbox.base_url, &sandbox.token, MAP, "concurrency = 16");
        populate(&mut w, PEOPLE, &mut dice);
        for _ in 0..5 {
            in_time += usize::from(kill_after(&w, dice.between(60, 900)));
        }
        finish(&w, 3);
        assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
        assert_eq!(assert_all_created(&w.path("state.db")), (PEOPLE as u64, GROUPS as u64), "seed {seed}");
        assert_quiet(&w, &sandbox);
    }
    eprintln!("50 kills of a first cycle, {in_time} while it ran: {:?}", began.elapsed());
    assert!(in_time >= 40, "only {in_time} of 50 came in time");
}
