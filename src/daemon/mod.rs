//! The service: every sync on its schedule, until it is told to stop.
//!
//! [`timetable`] decides, purely, what is due. Each cycle runs on a thread of its own ([`work`]), so that no sync is in the way
//! of another; the main loop only starts them, hears of their end, and answers signals and the service manager. Those who
//! watch from outside are told through [`Watch`].

mod beat;
pub mod clock;
mod lane;
pub mod memory;
mod reload;
pub mod signals;
mod systemd;
mod tell;
pub mod timetable;
mod work;

pub use signals::Order;

use crate::apply::Stop;
use crate::config::Config;
use crate::observe::Watch;
use crate::state::lock::{CycleLock, RunLock};
use crate::state::{StateError, Store};
use crate::sync::{CycleError, Report};
use clock::Clock;
use jiff::Timestamp;
use lane::Lane;
use std::sync::{Arc, Weak};
use std::time::Duration;
use systemd::Manager;
use timetable::Due;
use tokio::sync::mpsc;
use work::{Ended, Job};

/// How often somebody may be found to have asked for a cycle (by an approval, say), and a lock to be free again.
const LOOK: Duration = Duration::from_secs(5);

/// The same where nothing waits for anybody.
const QUIET: Duration = Duration::from_secs(15);

/// Of so many looks one asks the store itself, whatever its files look like.
const LOOKS: u32 = 4;

/// How long writes in flight are waited for when the service stops. Nothing is lost by stopping earlier: intents are on disk.
const STOP_AT_LAST: Duration = Duration::from_secs(7);

/// How the service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// As it was told to.
    InOrder,
    /// It was told to stop at once.
    AtOnce,
}

/// Reads and validates the configuration anew; what is wrong with it, for people.
pub type Loader = Box<dyn Fn() -> Result<Config, String> + Send>;

/// The service.
pub struct Daemon {
    config: Arc<Config>,
    load: Loader,
    clock: Arc<dyn Clock>,
    watches: Vec<Arc<dyn Watch>>,
    lanes: Vec<Lane>,
    manager: Manager,
    /// For noticing what other processes write.
    store: Store,
    /// Which file that is: a damaged one may be replaced by another of the same name.
    file: Option<(u64, u64)>,
    seen: Option<i64>,
    /// The log of the last writes as it was when the store was last asked, and looks since then.
    trace: Option<Trace>,
    looks: u32,
    /// One for all cycles that run at a time.
    lock: Weak<CycleLock>,
    /// Said that a `sync` by hand is waited for.
    waits: bool,
    /// The service manager's line is to be written anew.
    news: bool,
    stop: Stop,
    ended: mpsc::UnboundedSender<Ended>,
    ends: mpsc::UnboundedReceiver<Ended>,
    _lock: RunLock,
}

impl Daemon {
    /// Takes the state store for this service; `load` reads the configuration again when told to.
    ///
    /// # Errors
    /// Another service holds the store, or it cannot be used.
    pub fn new(config: Config, load: Loader, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let lock = RunLock::take(&config.state.path)?;
        let store = Store::open(&config.state.path)?;
        let file = file_at(&config.state.path);
        let (ended, ends) = mpsc::unbounded_channel();
        Ok(Self {
            config: Arc::new(config),
            load,
            clock,
            watches: Vec::new(),
            lanes: Vec::new(),
            manager: Manager::new(),
            store,
            file,
            seen: None,
            trace: None,
            looks: 0,
            lock: Weak::new(),
            waits: false,
            news: true,
            stop: Stop::new(),
            ended,
            ends,
            _lock: lock,
        })
    }

    /// When the last complete read of a sync was committed (Unix second).
    #[must_use]
    pub fn complete_read_at(&self, sync: &str) -> Option<i64> {
        self.store.past(sync).ok()?.complete_read_at
    }

    /// Adds somebody who is told what happens.
    #[must_use]
    pub fn watched_by(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watches.push(watch);
        self
    }

    /// Serves until told to stop. Cycles that are stopped have booked what was answered when this returns; what still runs
    /// then ends with the process. Orders that come later are left to the caller.
    ///
    /// # Errors
    /// The state store cannot be read at the start.
    pub async fn serve(mut self, orders: &mut mpsc::Receiver<Order>) -> Result<Stopped, StateError> {
        self.start()?;
        loop {
            let pause = self.turn();
            let clock = Arc::clone(&self.clock);
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Reload) => self.reload(),
                    Some(Order::Stop) | None => break,
                },
                Some(ended) = self.ends.recv() => self.ended(ended),
                () = clock.sleep(pause) => {}
            }
            self.look();
        }
        Ok(self.finish(orders).await)
    }

    fn start(&mut self) -> Result<(), StateError> {
        let now = self.clock.now();
        for sync in &self.config.syncs {
            let past = self.store.past(&sync.name)?;
            self.lanes.extend(Lane::new(&self.config, sync, past, now, some_of(sync.jitter)));
        }
        for watch in &self.watches {
            watch.configured(&self.config);
        }
        self.lanes.iter().for_each(|lane| self.known(lane));
        let names: Vec<&str> = self.lanes.iter().map(|l| l.name.as_str()).collect();
        tracing::info!("scim-sync {} serves {}", env!("CARGO_PKG_VERSION"), reload::list(&names));
        if names.is_empty() {
            tracing::warn!("no enabled [[sync]] has a schedule: nothing runs by itself");
        }
        self.look();
        self.manager.ready();
        Ok(())
    }

    /// Tells where a sync stands by the store.
    fn known(&self, lane: &Lane) {
        let Some(outcome) = tell::known(lane) else { return };
        for watch in &self.watches {
            watch.known(&outcome, lane.past.parked);
        }
    }

    /// Begins what is due, tells what is new; how long may be waited for something to happen.
    fn turn(&mut self) -> Duration {
        let now = self.clock.now();
        let mut waits = false;
        for i in 0..self.lanes.len() {
            let lane = &mut self.lanes[i];
            if lane.running.is_none() && !lane.retired && lane.due(now) == Due::Now {
                waits |= !self.begin(i, now);
            }
        }
        self.news |= self.waits != waits;
        self.waits = waits;
        let waiting = |l: &Lane| l.running.is_some() || l.failing.is_some() || l.held() + l.past.parked > 0;
        let look = if self.waits || self.lanes.iter().any(waiting) { LOOK } else { QUIET };
        let mut pause = look.min(self.manager.patience());
        for lane in &mut self.lanes {
            let next = lane.next(now);
            if lane.running.is_none() && lane.told != Some(next) {
                lane.told = Some(next);
                self.news = true;
                for watch in &self.watches {
                    watch.next_run(&lane.name, next.map(Timestamp::as_second));
                }
            }
            if let Some(left) = next.and_then(|at| Duration::try_from(at.duration_since(now)).ok()).filter(|d| !d.is_zero()) {
                pause = pause.min(left);
            }
        }
        if self.gets_on() {
            self.manager.alive();
        }
        if self.news || self.lanes.iter().any(|l| l.running.is_some()) {
            self.news = false;
            let status = self.status(now);
            self.manager.status(status);
        }
        pause
    }

    /// Begins a cycle; `false` where it has to wait for the lock.
    fn begin(&mut self, i: usize, now: Timestamp) -> bool {
        let lock = match self.lock() {
            Ok(Some(lock)) => lock,
            Ok(None) => return false,
            Err(e) => {
                self.not_begun(i, &e.into());
                return true;
            }
        };
        let lane = &mut self.lanes[i];
        let stop = self.stop.child_token();
        let until = lane.until(now);
        let (run, beat) = lane.begin(&self.config, now);
        for watch in &self.watches {
            watch.begun(&lane.name);
        }
        tracing::debug!(sync = lane.name, full = run.full, verify = run.verify, asked = lane.asked, "a cycle begins");
        let job = Job { config: Arc::clone(&self.config), sync: lane.name.clone(), run, beat, stop, until, lock };
        if let Err(e) = work::spawn(job, self.ended.clone()) {
            let message = format!("no thread for the cycle: {e}");
            self.not_begun(i, &StateError::Io { path: self.config.state.path.clone(), message }.into());
        }
        true
    }

    /// The cycle lock, shared with the cycles that run; `None` while another process has it.
    fn lock(&mut self) -> Result<Option<Arc<CycleLock>>, StateError> {
        if let Some(lock) = self.lock.upgrade() {
            return Ok(Some(lock));
        }
        match CycleLock::take(&self.config.state.path, Duration::ZERO) {
            Ok(lock) => {
                let lock = Arc::new(lock);
                self.lock = Arc::downgrade(&lock);
                Ok(Some(lock))
            }
            Err(StateError::Locked { .. }) => {
                if !self.waits {
                    tracing::info!("a cycle is due, and a scim-sync by hand is at work on the state store: waiting for it");
                }
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn not_begun(&mut self, i: usize, e: &CycleError) {
        let sync = self.lanes[i].name.clone();
        let report = Report::not_begun(&sync, e);
        self.ended(Ended { sync, report: Some(report), past: None, remarks: Vec::new() });
    }

    /// A cycle is over.
    fn ended(&mut self, mut ended: Ended) {
        self.news = true;
        let now = self.clock.now();
        let Some(i) = self.lanes.iter().position(|l| l.name == ended.sync) else { return };
        let lane = &mut self.lanes[i];
        let run = lane.running.take().map(|r| r.run).unwrap_or_default();
        if let Some(past) = ended.past.take() {
            // As of when the cycle began: what came due while it ran is still to be made.
            lane.knows(past, lane.record.since);
        }
        lane.deaf = ended.report.as_ref().is_none_or(|r| r.cycle == 0);
        let interrupted = ended.report.as_ref().and_then(|r| r.error.as_ref()).is_some_and(|e| e.kind == "interrupted");
        if interrupted {
            // Nobody's fault, and nothing to tell: the next start goes on.
            return tracing::info!(sync = lane.name, "{}: stopped; the next start goes on", lane.name);
        }
        match &ended.report {
            Some(report) => tell::log(lane, report, &ended.remarks, now),
            None => tell::failed(lane, 0, "bug", "the cycle ended by a bug in the program", now),
        }
        let well = ended.report.as_ref().filter(|r| r.error.is_none());
        lane.set(match well {
            Some(report) => lane.record.done(&lane.table, run, report.read, now),
            None => lane.record.failed(&lane.table, run, now),
        });
        let next = lane.next(now);
        lane.told = Some(next);
        let outcome = tell::outcome(&ended, lane, next, now);
        for watch in &self.watches {
            watch.cycle(&outcome);
            watch.next_run(&lane.name, outcome.next_run);
        }
        if lane.retired {
            self.lanes.remove(i);
        }
    }

    /// Another file has taken the store's place (a restore over a damaged one): what is asked for is asked there.
    fn follow(&mut self) {
        let file = file_at(&self.config.state.path);
        // None there: somebody is at it, and nothing is to be made in its place.
        if file.is_none() || file == self.file {
            return;
        }
        match Store::open_existing(&self.config.state.path) {
            Ok(Some(store)) => {
                tracing::info!("the state store was replaced: going on with the new one");
                (self.store, self.file, self.seen) = (store, file, None);
            }
            Ok(None) => {}
            Err(e) => tracing::debug!("the state store was replaced, and the new one cannot be used: {e}"),
        }
    }

    /// Notices whether somebody asked for a cycle. Where nobody wrote, a glance at one file says so.
    fn look(&mut self) {
        let trace = trace_at(&self.config.state.path);
        self.looks += 1;
        if trace.is_some() && trace == self.trace && self.looks < LOOKS {
            return;
        }
        (self.trace, self.looks) = (trace, 0);
        self.follow();
        let asked = self.store.data_version().and_then(|version| {
            if self.seen == Some(version) { Ok(None) } else { self.store.asked_for().map(|asked| Some((version, asked))) }
        });
        match asked {
            Ok(None) => {}
            Ok(Some((version, asked))) => {
                self.seen = Some(version);
                for lane in &mut self.lanes {
                    lane.asked = asked.contains(&lane.name);
                }
                self.catch_up();
            }
            // Cycles open the store anew and say what is wrong with it.
            Err(e) => tracing::debug!("whether a cycle is asked for cannot be read: {e}"),
        }
    }

    /// Somebody wrote to the store: a `sync` by hand, say. Syncs that run tell where they stand when they end.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        for i in 0..self.lanes.len() {
            let lane = &mut self.lanes[i];
            if lane.running.is_some() {
                continue;
            }
            match self.store.past(&lane.name) {
                Ok(past) if past != lane.past => {
                    lane.knows(past, now);
                    self.news = true;
                    self.known(&self.lanes[i]);
                }
                Ok(_) => {}
                Err(e) => tracing::debug!(sync = lane.name, "where it stands cannot be read: {e}"),
            }
        }
        let _ = self.store.let_go();
    }

    /// Whether every cycle that runs gave a sign of life within the time that its own timeouts allow.
    fn gets_on(&mut self) -> bool {
        let mut well = true;
        for lane in &mut self.lanes {
            let Some(running) = lane.running.as_mut() else { continue };
            let silent = running.beat.silent_for();
            if silent <= running.patience {
                running.stalled = false;
                continue;
            }
            well = false;
            if !running.stalled {
                running.stalled = true;
                let (sync, minutes) = (&lane.name, silent.as_secs() / 60);
                tracing::error!(sync, "{sync}: no sign of life for {minutes} minutes while {}", running.beat.what());
            }
        }
        well
    }

    /// What goes on, in one line.
    fn status(&mut self, now: Timestamp) -> String {
        let mut parts: Vec<String> = Vec::new();
        for lane in &self.lanes {
            if let Some(running) = &lane.running {
                parts.push(format!("{}: {}", lane.name, running.beat.what()));
            }
        }
        if self.waits {
            parts.push("waiting for a sync by hand".to_owned());
        }
        let next = self.lanes.iter_mut().filter_map(|l| Some((l.next(now)?, l.name.clone()))).min();
        if let Some((at, name)) = next {
            parts.push(format!("next {name} at {}", at.strftime("%Y-%m-%dT%H:%MZ")));
        }
        let failing: Vec<&str> = self.lanes.iter().filter(|l| l.failing.is_some()).map(|l| l.name.as_str()).collect();
        if !failing.is_empty() {
            parts.push(format!("failing: {}", failing.join(", ")));
        }
        let sum = |f: fn(&Lane) -> u64| self.lanes.iter().map(f).sum::<u64>();
        parts.push(format!("{} held, {} parked", sum(Lane::held), sum(|l| l.past.parked)));
        parts.join("; ")
    }

    /// Stops every cycle and waits for their writes in flight, not for ever.
    async fn finish(&mut self, orders: &mut mpsc::Receiver<Order>) -> Stopped {
        let running = self.lanes.iter().filter(|l| l.running.is_some()).count();
        self.manager.stopping(STOP_AT_LAST + Duration::from_secs(3));
        self.stop.cancel();
        if running == 0 {
            tracing::info!("stopped");
            return Stopped::InOrder;
        }
        tracing::info!("stopping: {running} cycles finish their writes in flight; once more stops at once");
        let deadline = tokio::time::sleep(STOP_AT_LAST);
        tokio::pin!(deadline);
        let mut deaf = false;
        while self.lanes.iter().any(|l| l.running.is_some()) {
            tokio::select! {
                order = orders.recv(), if !deaf => match order {
                    Some(Order::Stop) => {
                        tracing::warn!("stopped at once; the next start goes on from the journal");
                        return Stopped::AtOnce;
                    }
                    Some(Order::Reload) => {}
                    None => deaf = true,
                },
                Some(ended) = self.ends.recv() => self.ended(ended),
                () = &mut deadline => {
                    tracing::warn!("stopped before every cycle was; the next start goes on from the journal");
                    return Stopped::InOrder;
                }
            }
        }
        tracing::info!("stopped");
        Stopped::InOrder
    }
}

/// Which file has this name now: its device and number; `None` where there is none.
#[cfg(unix)]
fn file_at(path: &std::path::Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// Where the log of the last writes (SQLite's `-wal` file) ends, and when and in which file that was.
#[cfg(unix)]
type Trace = (u64, u64, u64, i64, i64);

/// The log beside the store at `path`; `None` where there is none.
#[cfg(unix)]
fn trace_at(path: &std::path::Path) -> Option<Trace> {
    use std::os::unix::fs::MetadataExt;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).ok().map(|m| (m.dev(), m.ino(), m.len(), m.mtime(), m.mtime_nsec()))
}

/// The store itself is asked every time.
#[cfg(not(unix))]
type Trace = ();

#[cfg(not(unix))]
fn trace_at(_path: &std::path::Path) -> Option<Trace> {
    None
}

/// Files that are open cannot be replaced here.
#[cfg(not(unix))]
fn file_at(_path: &std::path::Path) -> Option<(u64, u64)> {
    None
}

/// A time between nothing and `most`, by chance: not everybody who was down comes back in the same second.
fn some_of(most: Duration) -> Duration {
    let millis = most.as_millis().saturating_add(1);
    Duration::from_millis(u64::try_from(uuid::Uuid::new_v4().as_u128() % millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
