//! A cycle on a disk that is full, or gets full in its middle: whoever leaves does not wait for room. And what is too old to
//! be kept takes none.

use super::read::MAX_SKEW;
use super::{Cycle, CycleError, Made, Report, Request, blocking, timing};
use crate::state::Store;
use crate::state::prune::Pruned;
use crate::state::syncs::SyncRow;
use std::time::{Duration, Instant};

/// How long a cycle may be at tidying up what is too old.
const TIDY: Duration = Duration::from_millis(300);

impl Cycle {
    /// The steps of a cycle; where they find no room, once more with the room that is set aside, and for leavers only. Such a
    /// cycle fails in any case, so that somebody makes room.
    pub(super) async fn steps_in_room(
        &self,
        store: Store,
        row: &SyncRow,
        request: &Request,
        report: &mut Report,
    ) -> (Store, Result<(), CycleError>) {
        let (store, done) = self.steps(store, row, request, report).await;
        let error = match done {
            // Of a reviewed plan nothing is left out.
            Err(CycleError::State(e)) if e.no_room() && request.expect.is_none() && store.make_room() => e,
            done => {
                let told = if store.has_no_room() { Err(store.no_room().into()) } else { Ok(()) };
                return (store, done.and(told));
            }
        };
        tracing::error!(sync = self.sync.name, "{error}; once more for whoever leaves, who does not wait for room");
        let (written, mut again) = (std::mem::take(&mut report.counts), Report::new(&report.sync));
        again.cycle = report.cycle;
        let (store, done) = self.steps(store, row, request, &mut again).await;
        for (kind, n) in written.kinds {
            *again.counts.kinds.entry(kind).or_default() += n;
        }
        *report = again;
        (store, done.and(Err(error.into())))
    }

    /// Removes what is older than `[state] keep`. What cannot be removed now is no fault of the cycle. Not without another
    /// clock to compare ours with: what a clock that runs ahead calls old may be of today.
    pub(super) async fn tidy(&self, store: Store) -> Store {
        if self.target.clock_skew_s().is_none_or(|skew| skew.abs() > MAX_SKEW) {
            return store;
        }
        let (keep, now) = (self.keep, self.now);
        let (store, pruned) = blocking(store, move |store| store.prune(keep, now, TIDY)).await;
        match pruned {
            Ok(p) if p == Pruned::default() => {}
            Ok(p) => tracing::info!(
                sync = self.sync.name,
                journal = p.journal,
                cycles = p.cycles,
                entries = p.entries,
                "removed what is older than [state] keep"
            ),
            Err(e) => tracing::warn!(sync = self.sync.name, "what is older than [state] keep stays for now: {e}"),
        }
        store
    }
}

/// Until when joiners, updates and groups are written: not at all where there is hardly any room.
pub(super) fn until(store: &Store, request: &Request, row: &SyncRow, made: &Made, begun: Instant) -> Option<Instant> {
    store.mind_room();
    if store.has_no_room() { Some(begun) } else { timing::gives_way(request, row, made, begun) }
}
