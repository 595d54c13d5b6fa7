//! How long each phase of a cycle takes.

use super::Cycle;
use crate::names;
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
