//! A migration of user IDs, beside a bare loop that sends the same PATCHes to accounts of a fresh sandbox.

use crate::Size;
use crate::bare::{self, Write};
use crate::push::{Fresh, Push, Server, milliseconds_each, watched};
use crate::support::measure::{Usage, load};
use crate::support::recorder::Recorder;
use crate::support::world::{SandboxProcess, ScimReader, World};
use crate::turns::{Ratio, heads, median, row};
use bytes::Bytes;
use http::Method;
use std::collections::BTreeMap;

const FRESH: Fresh = || Some(Server::Sandbox(SandboxProcess::start(&[])));

pub fn run(size: &Size) {
    let (n, turns) = size.renamed;
    let bodies = bodies(n);
    println!("\nrename: {n} accounts of the sandbox; {turns} turns; {} in flight; load {}", bare::CONCURRENCY, load());
    let (mut ours, mut theirs, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for turn in 0..turns {
        let mut program = || {
            let (push, mib) = program(n);
            peak = peak.max(mib);
            push
        };
        let (a, b) = if turn % 2 == 0 {
            let a = program();
            (a, loop_of(&bodies))
        } else {
            let b = loop_of(&bodies);
            (program(), b)
        };
        ours.push(a);
        theirs.push(b);
    }
    let column = |of: &[Push], f: fn(&Push) -> f64| -> Vec<f64> { of.iter().map(f).collect() };
    let writing = |p: &Push| p.writing.unwrap_or(p.whole);
    heads("renames per second", &["whole", "writing", "CPU ms", "peak MiB"]);
    for (name, of, peak) in [("scim-sync", &ours, format!("{peak:.1}")), ("bare loop", &theirs, "-".to_owned())] {
        let cell = |f: fn(&Push) -> f64| format!("{:.0}", median(&column(of, f)));
        row(name, &[cell(|p| p.whole), cell(writing), format!("{:.2}", median(&column(of, |p| p.cpu))), peak]);
    }
    println!("  scim-sync / bare loop");
    Ratio::new(column(&ours, |p| p.whole), column(&theirs, |p| p.whole)).print("whole migration / whole loop");
    Ratio::new(column(&ours, writing), column(&theirs, writing)).print("first write to last");
    Ratio::new(column(&ours, |p| p.cpu), column(&theirs, |p| p.cpu)).print("CPU per rename");
    println!("  load {}", load());
}

/// People with accounts `CORP\\user0`.. at the target, from before.
fn old(url: &str, token: &str, n: usize) -> World {
    let sync = "[sync.user_id]\nfrom = [\"mail\"]\ndomains = { CORP = \"corp.example\" }";
    let mut world = World::new(url, token, sync, "");
    world.populate(n);
    let ids: Vec<String> = world.people.keys().cloned().collect();
    for (i, id) in ids.iter().enumerate() {
        world.set(id, "sAMAccountName", format!("user{i}"));
    }
    world.save();
    world
}

/// Makes the accounts.
fn populate(url: &str, token: &str, n: usize) {
    let account =
        |i| format!(r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"CORP\\user{i}","active":true}}"#);
    let bodies: Vec<Bytes> = (0..n).map(|i| Bytes::from(account(i))).collect();
    bare::push(&format!("{url}/Users"), token, &bodies);
}

/// The name of each account, by its id.
fn names(url: &str, token: &str) -> BTreeMap<String, String> {
    let text = |u: &serde_json::Value, key: &str| u[key].as_str().unwrap().to_owned();
    ScimReader::new(url, token).users().iter().map(|u| (text(u, "id"), text(u, "userName"))).collect()
}

/// What the program sends for each old name, recorded on its way to a sandbox.
fn bodies(n: usize) -> BTreeMap<String, Bytes> {
    let sandbox = SandboxProcess::start(&[]);
    populate(&sandbox.base_url, &sandbox.token, n);
    let names = names(&sandbox.base_url, &sandbox.token);
    let recorder = Recorder::start(&sandbox.base_url);
    old(&recorder.url, &sandbox.token, n).run(&["--migrate-userids", "--yes", "--json"]).expect(0);
    let patched = recorder.requests().into_iter().filter(|r| r.kind() == "PATCH Users");
    let bodies: BTreeMap<String, Bytes> = patched
        .map(|r| {
            let id = r.path.rsplit('/').next().unwrap().to_owned();
            (names[&id].clone(), Bytes::from(r.body.to_string()))
        })
        .collect();
    assert_eq!(bodies.len(), n);
    bodies
}

/// A whole migration: reading the file, the target and the analysis are in it. Its peak of memory, too.
fn program(n: usize) -> (Push, f64) {
    let server = FRESH().unwrap();
    let (url, token) = server.address();
    populate(&url, token, n);
    let world = old(&url, token, n);
    let mut command = world.command(&["--migrate-userids", "--yes", "--json"]);
    let ((usage, out, err), writing) = watched(&server, n, || Usage::and_output(&mut command));
    assert!(usage.status.success(), "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["migrations"][0]["counts"]["renamed"], n as u64, "{err}");
    let whole = n as f64 / usage.wall.as_secs_f64();
    (Push { whole, writing, cpu: milliseconds_each(usage.cpu, n) }, usage.peak_mib())
}

fn loop_of(bodies: &BTreeMap<String, Bytes>) -> Push {
    let server = FRESH().unwrap();
    let (url, token) = server.address();
    let n = bodies.len();
    populate(&url, token, n);
    let names = names(&url, token);
    let writes: Vec<Write> = names.iter().map(|(id, name)| (format!("{url}/Users/{id}"), bodies[name].clone())).collect();
    let ((wall, cpu), writing) = watched(&server, n, || bare::send(&Method::PATCH, token, &writes));
    Push { whole: n as f64 / wall.as_secs_f64(), writing, cpu: milliseconds_each(cpu, n) }
}
