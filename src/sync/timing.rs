//! How long each phase of a cycle takes, and how long a cycle may.

use super::{Cycle, Look, Made, Request};
use crate::names;
use crate::state::syncs::SyncRow;
use std::time::Instant;

impl Cycle {
    /// Runs one phase to its end, and measures it.
    pub(super) async fn timed<T>(&self, phase: &'static str, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let out = work.await;
        self.took(phase, began);
        out
    }

    /// A phase that began then is over.
    pub(super) fn took(&self, phase: &'static str, began: Instant) {
        metrics::histogram!(names::PHASE_DURATION, "sync" => self.sync.name.clone(), "phase" => phase).record(began.elapsed());
    }
}

/// Until when joiners, updates and groups are written: at least for as long as it took to get there, so that a short schedule
/// never leaves a sync with nothing but reading. A verification is carried out whole: what it saw is kept nowhere.
pub(super) fn gives_way(request: &Request, row: &SyncRow, made: &Made, begun: Instant) -> Option<Instant> {
    let whole = made.look != Look::Away && row.adopted_at.is_some();
    request.until.filter(|_| !whole).map(|at| at.max(Instant::now() + begun.elapsed()))
}

/// How a plan is carried out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    /// What it takes back is held afterwards, and not released by being written.
    pub undoing: bool,
    /// See [`crate::apply::Job::groups_listed`].
    pub groups_listed: bool,
    /// See [`crate::apply::Job::users_listed`].
    pub users_listed: bool,
    /// See [`super::Request::until`].
    pub until: Option<Instant>,
}
