//! What is told: while work goes on, and when it is over.
//!
//! After every cycle its [`Outcome`] goes to the [`board::Board`] (what is the case: health, status page, gauges) and to the
//! [`notify::Notifier`] (who must know). What happens meanwhile is counted with the `metrics` macros wherever it happens, under
//! the names in `crate::names`.

pub mod board;
mod expiry;
mod exposition;
pub mod health;
pub mod metrics;
pub mod notify;
mod observer;
mod outcome;
mod page;
mod process;
mod said;
mod watch;

pub use expiry::Expiry;
pub use observer::Observer;
pub use outcome::{Outcome, Verdict};
pub use watch::Watch;

/// Target of log records whose words stand in the report of the cycle too: whoever shows the report need not say them twice.
pub const REPORTED: &str = "scim_sync::reported";

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
