//! What is told: while work goes on, and when it is over.

mod outcome;
mod watch;

pub use outcome::{Outcome, Verdict};
pub use watch::Watch;

/// Receives the progress of long reads and applies. Called from any thread; must be quick.
pub trait Progress: Send + Sync {
    /// A stretch of work begins; `total` where it is known.
    fn begin(&self, label: &str, total: Option<u64>);
    /// So many more are done.
    fn step(&self, n: u64);
    /// The stretch is over.
    fn end(&self);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _label: &str, _total: Option<u64>) {}
    fn step(&self, _n: u64) {}
    fn end(&self) {}
}
