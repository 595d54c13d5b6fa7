//! Those who watch the service from outside: the status board, the metrics, the notifications.

use super::Outcome;
use crate::config::Config;

/// Is told what the service does, from its main loop: must be quick and must not block. Every method may be left out.
pub trait Watch: Send + Sync {
    /// This configuration counts from now on: once at the start, and after every reload.
    fn configured(&self, config: &Config) {
        let _ = config;
    }

    /// A cycle of this sync begins.
    fn begun(&self, sync: &str) {
        let _ = sync;
    }

    /// A cycle is over. Not told of a cycle that was stopped because the service was.
    fn cycle(&self, outcome: &Outcome) {
        let _ = outcome;
    }

    /// Where a sync stands by the state store, with how many records are parked: at the start, and after somebody else's
    /// cycle. It is no news to anybody.
    fn known(&self, outcome: &Outcome, parked: u64) {
        let _ = (outcome, parked);
    }

    /// When this sync runs next (Unix second); `None` where it does not run by itself any more.
    fn next_run(&self, sync: &str, at: Option<i64>) {
        let _ = (sync, at);
    }
}
