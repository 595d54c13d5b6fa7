//! One cycle, on a thread of its own with a runtime of its own: whatever it waits for, and however it ends, the service and
//! the other syncs go on.

use super::beat::Beat;
use super::timetable::Run;
use crate::apply::Stop;
use crate::config::Config;
use crate::state::lock::CycleLock;
use crate::state::service::{Past, Remark};
use crate::state::{StateError, Store};
use crate::sync::{Cycle, CycleError, Report, Request};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// People that one cycle says something about in the log; the rest is in `scim-sync log`.
pub(super) const REMARKS: u32 = 200;

/// What a cycle is given.
pub(super) struct Job {
    /// As it was when the cycle began.
    pub config: Arc<Config>,
    /// Name of the sync.
    pub sync: String,
    pub run: Run,
    pub beat: Arc<Beat>,
    pub stop: Stop,
    /// When the next cycle of the sync would begin.
    pub until: Option<Instant>,
    /// Held until the cycle is over.
    pub lock: Arc<CycleLock>,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Ended {
    /// Name of the sync.
    pub sync: String,
    /// The report; `None` where the program itself failed (and has said so).
    pub report: Option<Report>,
    /// Where the sync stands now; `None` where the store does not say.
    pub past: Option<Past>,
    /// New in this cycle: what failed, was parked, is held.
    pub remarks: Vec<Remark>,
}

/// Runs the cycle; its end is sent to `ended`.
///
/// # Errors
/// The system gives no thread.
pub(super) fn spawn(job: Job, ended: UnboundedSender<Ended>) -> std::io::Result<()> {
    let name = format!("cycle {}", job.sync);
    std::thread::Builder::new().name(name).spawn(move || {
        let sync = job.sync.clone();
        let lock = Arc::clone(&job.lock);
        let end = catch_unwind(AssertUnwindSafe(|| cycle(job)));
        // Before anybody is told, so that a `sync` by hand that waits for the end finds the lock free.
        drop(lock);
        let end = end.unwrap_or_else(|_| Ended { sync, report: None, past: None, remarks: Vec::new() });
        // Nobody listens any more where the service is gone.
        let _ = ended.send(end);
    })?;
    Ok(())
}

fn cycle(job: Job) -> Ended {
    let failed = |e: CycleError| Ended {
        report: Some(Report::not_begun(&job.sync, &e)),
        sync: job.sync.clone(),
        past: None,
        remarks: Vec::new(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            let message = format!("no runtime for the cycle: {e}");
            return failed(StateError::Io { path: job.config.state.path.clone(), message }.into());
        }
    };
    let end = match runtime.block_on(run(&job)) {
        Ok(end) => end,
        Err(e) => failed(e),
    };
    // A thread of it that still waits (a name look-up, say) must not keep the sync.
    runtime.shutdown_background();
    end
}

async fn run(job: &Job) -> Result<Ended, CycleError> {
    let config = &job.config;
    let sync = config.sync(&job.sync).ok_or_else(|| CycleError::Config(format!("there is no sync {}", job.sync)))?;
    let request = Request { full: job.run.full, verify: job.run.verify, by_hand: false, expect: None, until: job.until };
    let beat: Arc<Beat> = Arc::clone(&job.beat);
    let store = Store::open(&config.state.path)?;
    let (store, report) = Cycle::new(config, sync, beat, job.stop.clone())?.run(store, &request).await;
    // What cannot be read now is missing in what is told; the cycle itself is over.
    let past = store.past(&job.sync).inspect_err(|e| tracing::debug!(sync = job.sync, "{e}")).ok();
    let remarks = if report.cycle == 0 { Vec::new() } else { store.remarks(report.cycle, REMARKS + 1).unwrap_or_default() };
    Ok(Ended { sync: job.sync.clone(), report: Some(report), past, remarks })
}
