//! Any sequence of changes at the source, against a target that fails in every way: in the end everything is as it should be.

use crate::support::world::{SandboxProcess, ScimReader, World, changes};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// SplitMix64: the same story for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn of(&mut self, all: &[String]) -> String {
        all[self.roll(all.len())].clone()
    }
}

const CONFIG: &str = "[sync.scope]\nusers = 'department eq \"Sales\"'\n[sync.guard]\ncreate = \"unlimited\"\n\
    deactivate = \"unlimited\"\ndelete = \"unlimited\"\ngroup_delete = \"unlimited\"\nmembers_remove_per_group = \"unlimited\"\n\
    rename = \"unlimited\"\nrecreate = \"unlimited\"\nsource_shrink = \"unlimited\"";

struct Story {
    w: World,
    dice: Dice,
    next: usize,
}

impl Story {
    fn somebody(&mut self) -> String {
        let all: Vec<String> = self.w.people.keys().cloned().collect();
        self.dice.of(&all)
    }

    /// One thing that happens in a directory.
    fn event(&mut self) {
        let who = self.somebody();
        match self.dice.roll(14) {
            0 | 1 => {
                self.next += 1;
                let id = format!("n{:03}", self.next);
                self.w.join(&id);
            }
            2 if self.w.people.len() > 12 => self.w.leave(&who),
            3 => self.w.set(&who, "active", json!(false)),
            4 => self.w.set(&who, "active", json!(true)),
            5 => {
                self.next += 1;
                let mail = format!("m{:03}@corp.example", self.next);
                self.w.set(&who, "mail", mail);
            }
            6 => {
                // Two exchange their addresses.
                let other = self.somebody();
                let (a, b) = (self.w.people[&who].get("mail").cloned(), self.w.people[&other].get("mail").cloned());
                if let (Some(a), Some(b)) = (a, b) {
                    self.w.set(&who, "mail", b);
                    self.w.set(&other, "mail", a);
                }
            }
            7 => {
                let n = self.dice.roll(1000);
                self.w.set(&who, "displayName", format!("Name {n}"));
            }
            8 => self.w.set(&who, "department", "Staff"),
            9 => self.w.set(&who, "department", "Sales"),
            // A record that cannot be mapped, and one that wants somebody else's address.
            10 => {
                self.w.people.get_mut(&who).unwrap().remove("mail");
            }
            11 => {
                let other = self.somebody();
                if let Some(mail) = self.w.people[&other].get("mail").cloned() {
                    self.w.set(&who, "mail", mail);
                }
            }
            _ => {
                let group = format!("g{}", self.dice.roll(4));
                let members: Vec<String> = (0..self.dice.roll(9)).map(|_| self.somebody()).collect();
                if self.dice.roll(8) == 0 {
                    self.w.groups.remove(&group);
                } else {
                    self.w.group(&group, &members.iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
        }
    }

    /// The directory is put in order: everybody has an address of their own, that nobody ever had.
    fn tidy(&mut self) {
        for id in self.w.people.keys().cloned().collect::<Vec<_>>() {
            self.w.set(&id, "mail", format!("final-{id}@corp.example"));
        }
    }
}

/// Whether the target is what the directory says.
fn check(w: &World, target: &ScimReader, seed: u64) {
    let mut accounts: BTreeMap<String, Value> = BTreeMap::new();
    for user in target.users() {
        let key = user["externalId"].as_str().unwrap().to_owned();
        assert!(accounts.insert(key.clone(), user).is_none(), "seed {seed}: one_account_per_person: {key}");
    }
    for (id, p) in &w.people {
        let wanted = p["department"] == "Sales" && p.get("active") != Some(&json!(false));
        match accounts.remove(id) {
            None => assert!(!wanted, "seed {seed}: {id} has no account"),
            Some(user) => {
                assert_eq!(user["active"], wanted, "seed {seed}: {id}");
                if wanted {
                    assert_eq!(user["userName"], p["mail"], "seed {seed}: {id}");
                    assert_eq!(user["displayName"], p["displayName"], "seed {seed}: {id}");
                }
            }
        }
    }
    for (id, user) in accounts {
        assert_eq!(user["active"], false, "seed {seed}: {id} left");
    }
    let memberships = target.memberships();
    assert_eq!(memberships.len(), w.groups.len(), "seed {seed}: {:?} {:?}", memberships.keys(), w.groups.keys());
    for (name, members) in w.groups.values() {
        // Who is disabled and has an account may be a member or not yet be one; everybody else is clear.
        let mut want: Vec<String> = members
            .iter()
            .filter(|m| w.people[*m]["department"] == "Sales" && w.people[*m].get("active") != Some(&json!(false)))
            .map(|m| w.people[m]["mail"].as_str().unwrap().to_owned())
            .collect();
        want.sort();
        want.dedup();
        let active: Vec<String> =
            target.users().iter().filter(|u| u["active"] == true).map(|u| u["userName"].as_str().unwrap().to_owned()).collect();
        let have: Vec<String> = memberships[name].iter().filter(|m| active.contains(m)).cloned().collect();
        assert_eq!(have, want, "seed {seed}: {name}");
    }
}

fn story(seed: u64, faults: &[&str]) {
    let seed_text = seed.to_string();
    let mut args = vec!["--workers", "1", "--fault-seed", &seed_text];
    args.extend(faults);
    let sandbox = SandboxProcess::start(&args);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, CONFIG, "");
    w.populate(20);
    let mut s = Story { w, dice: Dice(seed), next: 0 };
    for round in 0..10 {
        for _ in 0..s.dice.roll(12) {
            s.event();
        }
        let run = s.w.sync();
        assert!([0, 5, 6, 7].contains(&run.code), "seed {seed}, round {round}: {} {}", run.code, run.stderr);
    }
    s.tidy();
    let mut last = String::new();
    let quiet = (0..12).any(|_| {
        let run = s.w.sync();
        last.clone_from(&run.stdout);
        run.code == 0 && changes(&run.cycle()).is_empty()
    });
    assert!(quiet, "seed {seed}: it never becomes quiet: {last}");
    check(&s.w, &ScimReader::new(&sandbox.base_url, &sandbox.token), seed);
    sandbox.reset_counters();
    s.w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0, "seed {seed}: converges");
    // What was believed to be pushed is what is there.
    let run = s.w.run(&["plan", "--verify", "--json"]).expect(0);
    assert!(changes(&run.plan()).is_empty(), "seed {seed}: {}", run.stdout);
}

#[test]
fn converges_after_any_changes() {
    for seed in 1..=12 {
        story(seed, &[]);
    }
}

#[test]
fn converges_after_any_changes_and_any_faults() {
    for seed in 101..=103 {
        story(
            seed,
            &[
                "--fault-5xx",
                "0.05",
                "--fault-lost",
                "0.05",
                "--fault-reset",
                "0.03",
                "--fault-429",
                "0.05",
                "--fault-truncated",
                "0.03",
                "--fault-html",
                "0.02",
            ],
        );
    }
}
