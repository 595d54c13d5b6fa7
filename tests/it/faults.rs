//! A target with everything wrong at once: cycles converge, nobody gets two accounts, nobody stays parked.
#![allow(clippy::print_stderr)]

use crate::support::dice::Dice;
use crate::support::settled::{assert_all_created, assert_as_desired};
use crate::support::world::{SandboxProcess, ScimReader, World, changes};
use serde_json::Value;
use std::time::{Duration, Instant};

const RULES: &str = "[sync.guard]\ndeactivate = \"unlimited\"\ngroup_delete = \"unlimited\"\nrename = \"unlimited\"\n\
     members_remove_per_group = \"unlimited\"\nsource_shrink = \"unlimited\"\n";

/// Cycles until one has nothing left to do; returns how many it took.
#[track_caller]
fn until_quiet(w: &World, most: usize) -> usize {
    let mut last = Value::Null;
    for n in 1..=most {
        let run = w.sync();
        assert!([0, 5, 7].contains(&run.code), "{}\n{}", run.stdout, run.stderr);
        last = run.cycle();
        if run.code == 0 && changes(&last).is_empty() {
            assert_eq!(last["parked"], serde_json::json!([]), "somebody stayed parked");
            return n;
        }
    }
    panic!("not quiet after {most} cycles: {last}");
}

/// Joins, leaves, renames, returns and group changes at random.
fn shake(w: &mut World, dice: &mut Dice, round: usize) {
    for i in 0..6 {
        w.join(&format!("j{round}-{i}"));
    }
    for _ in 0..4 {
        let ids: Vec<String> = w.people.keys().cloned().collect();
        let id = dice.pick(&ids).clone();
        match dice.below(4) {
            0 => w.leave(&id),
            1 => w.set(&id, "mail", format!("{id}.r{round}@corp.example")),
            2 => w.set(&id, "displayName", format!("Round {round}")),
            _ => {
                w.leave(&id);
                // Back under the same id a moment later: the same person.
                w.join(&id);
            }
        }
    }
    let ids: Vec<String> = w.people.keys().cloned().collect();
    let groups: Vec<String> = w.groups.keys().cloned().collect();
    for g in &groups {
        if dice.one_in(8) {
            w.groups.remove(g);
            continue;
        }
        let (name, members) = w.groups.get_mut(g).unwrap();
        if dice.one_in(4) {
            *name = format!("Group {g}, round {round}");
        }
        members.retain(|_| !dice.one_in(4));
        members.extend((0..5).map(|_| dice.pick(&ids).clone()));
        members.sort();
        members.dedup();
    }
    let members: Vec<&str> = ids.iter().step_by(5).map(String::as_str).collect();
    w.group(&format!("r{round}"), &members);
}

#[test]
fn converges_whatever_goes_wrong_at_the_target() {
    let began = Instant::now();
    // Nearly all of it is waiting, so the seeds wait together.
    std::thread::scope(|scope| {
        for seed in 1..=5 {
            scope.spawn(move || {
                let cycles = everything_goes_wrong(seed);
                eprintln!("seed {seed}: {cycles} cycles to rest, {:?}", began.elapsed());
            });
        }
    });
}

fn everything_goes_wrong(seed: u64) -> usize {
    let mut dice = Dice::new(seed);
    let seed = seed.to_string();
    let mut args = vec!["--fault-seed", &seed, "--fault-429", "0.1", "--fault-5xx", "0.1", "--fault-lost", "0.05"];
    args.extend(["--fault-reset", "0.05", "--fault-truncated", "0.03", "--fault-html", "0.02", "--fault-slow", "0.05:100"]);
    let sandbox = SandboxProcess::start(&args);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, RULES, "concurrency = 16");
    w.populate(30);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    for g in 0..4 {
        let members: Vec<&str> = ids.iter().skip(g).step_by(4).map(String::as_str).collect();
        w.group(&format!("g{g}"), &members);
    }
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut cycles = until_quiet(&w, 15);
    for round in 0..2 {
        shake(&mut w, &mut dice, round);
        // A second change before the first has come to rest.
        w.sync();
        shake(&mut w, &mut dice, round + 10);
        cycles += until_quiet(&w, 15);
        assert_as_desired(&w, &target);
        assert_all_created(&w.path("state.db"));
    }
    cycles
}

/// Every answer 429: the first request alone is told several times to come back in a second.
#[test]
fn retry_after_is_honoured() {
    // An even seed says it in seconds, an odd one also as a date.
    for seed in ["2", "3"] {
        let sandbox = SandboxProcess::start(&["--fault-seed", seed, "--fault-429", "0.6"]);
        let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "concurrency = 4");
        w.populate(3);
        let began = Instant::now();
        w.sync();
        let asked = sandbox.stats()["last"].as_array().unwrap().iter().filter(|r| asks_a_second(r)).count();
        assert!(asked > 0, "the seed asks for no wait at all");
        // Those in flight together wait together: four at most, so at least a quarter one after another. A date has whole
        // seconds and says less than one.
        let least = if seed == "2" { Duration::from_secs(asked.div_ceil(4) as u64) } else { Duration::ZERO };
        assert!(began.elapsed() >= least, "{asked} waits of a second in {:?}", began.elapsed());
        until_quiet(&w, 15);
        assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
    }
}

fn asks_a_second(request: &Value) -> bool {
    request["fault"].as_str().is_some_and(|f| f.contains("Throttled") && f.contains("after: 1"))
}
