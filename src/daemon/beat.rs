//! Signs of life of a cycle: every batch that is read, every page, every write. A cycle without any for longer than its own
//! timeouts allow hangs, whatever it waits for.

use crate::config::{Config, SourceConfig, SyncConfig};
use crate::http::retry;
use crate::observe::Progress;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Work on the store without a sign of life: a million people worked out anew take some minutes.
const STORE: Duration = Duration::from_secs(15 * 60);

/// Answers of the source that may be waited for one after another: connecting to each server of a list, signing in, a page.
const ANSWERS: u32 = 4;

/// Requests to the target that one change may need one after another: the write, and looks at what became of it.
const REQUESTS: u32 = 4;

/// How long a cycle of this sync may be without a sign of life.
#[must_use]
pub fn patience(config: &Config, sync: &SyncConfig) -> Duration {
    let source = match config.sources.get(&sync.source) {
        Some(SourceConfig::Ldap(c)) => c.net.timeout,
        Some(SourceConfig::Graph(c)) => c.net.timeout,
        Some(SourceConfig::Okta(c)) => c.net.timeout,
        Some(SourceConfig::File(_)) | None => Duration::ZERO,
    };
    let target = config.targets.get(&sync.target).map_or(Duration::ZERO, |t| retry::longest(t.net.timeout));
    STORE.saturating_add(source.saturating_mul(ANSWERS)).saturating_add(target.saturating_mul(REQUESTS))
}

/// Takes the progress of one cycle.
#[derive(Debug)]
pub struct Beat(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Instant,
    label: String,
    done: u64,
    total: Option<u64>,
}

impl Default for Beat {
    fn default() -> Self {
        Self(Mutex::new(State { last: Instant::now(), label: String::new(), done: 0, total: None }))
    }
}

impl Beat {
    /// Time since the last sign of life. The time of a suspended machine does not count.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.with(|s| s.last.elapsed())
    }

    /// What it is at: `writing to the target 120 of 4000`.
    #[must_use]
    pub fn what(&self) -> String {
        self.with(|s| match (s.label.as_str(), s.total) {
            ("", _) => "at work".to_owned(),
            (label, Some(total)) => format!("{label} {} of {total}", s.done),
            (label, None) if s.done > 0 => format!("{label} {}", s.done),
            (label, None) => label.to_owned(),
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Beat {
    fn begin(&self, label: &str, total: Option<u64>) {
        self.with(|s| *s = State { last: Instant::now(), label: label.to_owned(), done: 0, total });
    }

    fn step(&self, n: u64) {
        self.with(|s| {
            s.last = Instant::now();
            s.done += n;
        });
    }

    fn end(&self) {
        self.with(|s| *s = State { last: Instant::now(), label: String::new(), done: 0, total: None });
    }
}
