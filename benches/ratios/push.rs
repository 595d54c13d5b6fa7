//! An initial push of people from a file, beside a bare loop that sends the same bodies to a fresh server of the same make.

use crate::Size;
use crate::bare;
use crate::support::measure::{Usage, load};
use crate::support::recorder::Recorder;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::world::{SandboxProcess, World};
use crate::turns::{Ratio, heads, median, row};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many requests the sandbox has answered is asked so often.
const LOOK: Duration = Duration::from_millis(10);

pub enum Server {
    Real(ScimServer),
    Sandbox(SandboxProcess),
}

impl Server {
    pub fn address(&self) -> (String, &str) {
        match self {
            Self::Real(s) => (s.url.as_str().trim_end_matches('/').to_owned(), TOKEN),
            Self::Sandbox(s) => (s.base_url.clone(), &s.token),
        }
    }
}

/// Starts a fresh server; `None` where its kind is not installed.
pub type Fresh = fn() -> Option<Server>;

/// One side of one turn.
#[derive(Clone, Copy)]
pub struct Push {
    /// Writes per second over the whole run.
    pub whole: f64,
    /// The same from the first write that the server saw to the last; only the sandbox tells.
    pub writing: Option<f64>,
    /// CPU milliseconds per write.
    pub cpu: f64,
}

pub fn run(size: &Size) {
    let bodies = bodies(size.pushed.0);
    let (few, turns) = (size.pushed.1, size.pushes);
    at("sandbox, unthrottled", || Some(Server::Sandbox(SandboxProcess::start(&[]))), &bodies, turns.0);
    at("scim2-server", || ScimServer::scim2().map(Server::Real), &bodies[..few], turns.1);
    at("SCIMMY", || ScimServer::scimmy().map(Server::Real), &bodies[..few], turns.1);
}

fn at(name: &str, fresh: Fresh, bodies: &[Bytes], turns: usize) {
    let n = bodies.len();
    if fresh().is_none() {
        return;
    }
    println!("\npush: {n} people to {name}; {turns} turns; {} in flight; load {}", bare::CONCURRENCY, load());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..turns {
        let (a, b) = if turn % 2 == 0 {
            let a = program(&fresh().unwrap(), n);
            (a, loop_of(&fresh().unwrap(), bodies))
        } else {
            let b = loop_of(&fresh().unwrap(), bodies);
            (program(&fresh().unwrap(), n), b)
        };
        ours.push(a);
        theirs.push(b);
    }
    let writing = |of: &[Push]| -> Vec<f64> { of.iter().filter_map(|p| p.writing).collect() };
    let column = |of: &[Push], f: fn(&Push) -> f64| -> Vec<f64> { of.iter().map(f).collect() };
    heads("creates per second", &["whole", "writing", "CPU ms"]);
    for (name, of) in [("scim-sync", &ours), ("bare loop", &theirs)] {
        let rate = |of: &[f64]| if of.is_empty() { "-".to_owned() } else { format!("{:.0}", median(of)) };
        let cpu = median(&column(of, |p| p.cpu));
        row(name, &[rate(&column(of, |p| p.whole)), rate(&writing(of)), format!("{cpu:.2}")]);
    }
    println!("  scim-sync / bare loop");
    Ratio::new(column(&ours, |p| p.whole), column(&theirs, |p| p.whole)).print("whole cycle / whole loop");
    if !writing(&ours).is_empty() {
        Ratio::new(writing(&ours), writing(&theirs)).print("first write to last");
    }
    Ratio::new(column(&ours, |p| p.cpu), column(&theirs, |p| p.cpu)).print("CPU per create");
    println!("  load {}", load());
}

/// A world of `n` people that are new to the target.
fn world(url: &str, token: &str, n: usize) -> World {
    let mut world = World::new(url, token, "", "");
    world.populate(n);
    world.save();
    world
}

/// The bodies that the program sends, recorded on their way to a sandbox.
fn bodies(n: usize) -> Vec<Bytes> {
    let sandbox = SandboxProcess::start(&[]);
    let recorder = Recorder::start(&sandbox.base_url);
    world(&recorder.url, &sandbox.token, n).run(&["sync", "--json"]).expect(0);
    let posted = recorder.requests().into_iter().filter(|r| r.kind() == "POST Users");
    let bodies: Vec<Bytes> = posted.map(|r| Bytes::from(r.body.to_string())).collect();
    assert_eq!(bodies.len(), n);
    bodies
}

/// A first cycle. Its time is what its report says: reading the file, looking at the target and planning are in it, the
/// start of the process is not.
fn program(server: &Server, n: usize) -> Push {
    let (url, token) = server.address();
    let world = world(&url, token, n);
    let ((usage, out, err), writing) = watched(server, n, || Usage::and_output(&mut world.command(&["sync", "--json"])));
    assert!(usage.status.success(), "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["cycles"][0]["counts"]["create"], n as u64, "{out}");
    let took = report["cycles"][0]["duration_ms"].as_f64().unwrap() / 1000.0;
    Push { whole: n as f64 / took, writing, cpu: milliseconds_each(usage.cpu, n) }
}

fn loop_of(server: &Server, bodies: &[Bytes]) -> Push {
    let (url, token) = server.address();
    let n = bodies.len();
    let ((wall, cpu), writing) = watched(server, n, || bare::push(&format!("{url}/Users"), token, bodies));
    Push { whole: n as f64 / wall.as_secs_f64(), writing, cpu: milliseconds_each(cpu, n) }
}

pub fn milliseconds_each(cpu: Duration, n: usize) -> f64 {
    cpu.as_secs_f64() * 1000.0 / n as f64
}

/// Runs `f` and looks meanwhile how the writes at the sandbox grow by `n`: their rate from the first to the last.
pub fn watched<T>(server: &Server, n: usize, f: impl FnOnce() -> T) -> (T, Option<f64>) {
    let Server::Sandbox(sandbox) = server else { return (f(), None) };
    let done = AtomicBool::new(false);
    let before = sandbox.writes();
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut first = None;
            loop {
                let (written, now) = (sandbox.writes() - before, Instant::now());
                match first {
                    None if written > 0 => first = Some((written, now)),
                    Some((seen, since)) if written >= n as u64 => {
                        return Some((written - seen) as f64 / (now - since).as_secs_f64());
                    }
                    _ => {}
                }
                if done.load(Ordering::SeqCst) && written < n as u64 {
                    return None;
                }
                std::thread::sleep(LOOK);
            }
        });
        let out = f();
        done.store(true, Ordering::SeqCst);
        (out, watch.join().unwrap())
    })
}
