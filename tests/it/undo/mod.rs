//! `undo`: every kind of cycle goes back, what changed since is left alone, what was taken back waits for approval.
#![cfg(unix)]

mod interrupted;
mod kinds;
mod migrated;
mod since;

use crate::support::world::{Run, SandboxProcess, ScimReader, World};
use serde_json::Value;
use std::collections::BTreeMap;

pub const OPEN: &str = "[sync.guard]\nrename = \"unlimited\"\ndeactivate = \"unlimited\"\nmembers_remove_per_group = \"unlimited\"\n\
    source_shrink = \"unlimited\"\ngroup_delete = \"unlimited\"\ndelete = \"unlimited\"\nminimum = 1000\n";

/// A world, its target, and a plain reader of it.
pub struct Scene {
    pub sandbox: SandboxProcess,
    pub target: ScimReader,
    pub w: World,
}

impl Scene {
    pub fn new(sync: &str, extra: &[&str]) -> Self {
        let sandbox = SandboxProcess::start(extra);
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
        Self { sandbox, target, w }
    }

    /// Runs a cycle that has to end well; its number.
    #[track_caller]
    pub fn cycle(&self) -> i64 {
        self.w.sync().expect(0).cycle()["cycle"].as_i64().unwrap()
    }

    #[track_caller]
    pub fn undo(&self, cycle: i64, code: i32) -> Run {
        self.w.run(&["undo", &cycle.to_string(), "--json"]).expect(code)
    }

    /// What the target holds, as far as it may be compared: per userName and per displayName.
    pub fn picture(&self) -> (BTreeMap<String, Value>, BTreeMap<String, Vec<String>>) {
        let slim = |mut u: Value| {
            let o = u.as_object_mut().unwrap();
            o.remove("meta");
            o.remove("groups");
            u
        };
        let users = self.target.users_by_name().into_iter().map(|(n, u)| (n, slim(u))).collect();
        (users, self.target.memberships())
    }

    /// The next cycle does nothing, and says what it holds.
    #[track_caller]
    pub fn held(&self) -> Vec<(String, String)> {
        self.sandbox.reset_counters();
        let run = self.w.sync().expect(6);
        assert_eq!(self.sandbox.writes(), 0, "{}", run.stdout);
        let cycle = run.cycle();
        let held = cycle["held"].as_array().unwrap();
        assert!(held.iter().all(|h| h["reason"].as_str().unwrap().starts_with("undone: cycle ")), "{held:?}");
        let text = |h: &Value, key: &str| h[key].as_str().unwrap().to_owned();
        let mut out: Vec<_> = held.iter().map(|h| (text(h, "kind"), text(h, "who"))).collect();
        out.sort();
        out
    }
}

/// Statuses in the log of a cycle, counted.
pub fn statuses(w: &World, cycle: i64) -> BTreeMap<String, usize> {
    let log = w.run(&["log", "--cycle", &cycle.to_string(), "--json"]).expect(0).json();
    let mut out = BTreeMap::new();
    for e in log["entries"].as_array().unwrap() {
        *out.entry(e["status"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    out
}
