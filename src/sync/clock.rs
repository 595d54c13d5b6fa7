//! Whether what the clock alone would take away may go: only where the servers' clocks agree with ours.

use super::read::{MAX_SKEW, Read};
use super::{Cycle, CycleError};
use crate::state::Store;
use crate::state::syncs::SyncRow;
use crate::target::Dialect;

/// What a report says; the log has by how much.
pub(super) const WARNING: &str =
    "clocks disagree by more than five minutes: nothing was removed by the clock; set the clock of this machine or of the server";

impl Cycle {
    /// Whether nothing may be removed by the clock. The source's clock was seen by the read, if it has one; the target's is
    /// asked for only where something is due and no answer of it was seen in this cycle.
    pub(super) async fn distrusts_clock(
        &self,
        store: Store,
        row: &SyncRow,
        dialect: &Dialect,
        read: &Read,
    ) -> (Store, Result<bool, CycleError>) {
        if read.distrust_clock {
            return (store, Ok(true));
        }
        if self.target.clock_skew_s().is_none() {
            match store.anything_due(row.id, self.now) {
                Ok(true) => {}
                Ok(false) => return (store, Ok(false)),
                Err(e) => return (store, Err(e.into())),
            }
            if let Err(e) = self.target.reader(dialect).ask_the_time().await {
                return (store, Err(e.into()));
            }
        }
        let Some(skew_s) = self.target.clock_skew_s().filter(|skew| skew.abs() > MAX_SKEW) else { return (store, Ok(false)) };
        tracing::warn!(sync = self.sync.name, skew_s, "our clock and the target's disagree: nothing is removed by the clock");
        (store, Ok(true))
    }
}
