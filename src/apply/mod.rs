//! Writing. Phases with barriers, bounded concurrency, an intent on disk before each batch and a result after.
//!
//! Two sides: the ledger ([`ledger`]) owns the store on a thread of its own, hands out tasks and books results; the worker
//! ([`worker`]) talks to the target and has no store.

mod book;
mod create;
mod doubt;
mod gone;
mod halt;
mod intents;
mod ledger;
mod made;
mod members;
mod moved;
mod outcome;
mod rename;
mod rest;
mod worker;

pub(crate) use create::not_before;
pub(crate) use rename::{ASIDE, temporary};
pub(crate) use rest::approve as approve_rest;

use crate::model::{Entry, TargetId};
use crate::observe::Progress;
use crate::plan::Change;
use crate::state::{StateError, Store};
use crate::target::{Roster, TargetError, TargetReader, TargetWriter, with_status};
use futures_util::StreamExt;
use outcome::Outcome;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Asks an apply to stop: writes in flight are finished, no new one is begun.
pub type Stop = CancellationToken;

/// The values of a person that earlier provisioning may have written to externalId.
pub type Legacy = Arc<dyn Fn(&Entry) -> Vec<String> + Send + Sync>;

/// What to apply, to whom, how fast.
pub struct Job {
    /// Row of the sync.
    pub sync: i64,
    /// Its name, for metrics.
    pub name: String,
    /// Number of the cycle.
    pub cycle: i64,
    /// Name of the target, for messages.
    pub target: String,
    /// Reads at the target: look-ups after conflicts and lost answers.
    pub reader: TargetReader,
    /// Writes at the target.
    pub writer: TargetWriter,
    /// Target attributes to find people by.
    pub match_users: Vec<String>,
    /// Target attributes to find groups by.
    pub match_groups: Vec<String>,
    /// See [`Legacy`].
    pub legacy: Legacy,
    /// Requests in flight.
    pub concurrency: usize,
    /// Members per request.
    pub members_per_request: usize,
    /// A `userName` is never changed there, also where an account is taken over.
    pub user_name_immutable: bool,
    /// Attributes of accounts that are there already may be written.
    pub users_updated: bool,
    /// Attributes of groups that are there already may be written.
    pub groups_updated: bool,
    /// The groups of the target were read in this cycle; else each is looked for before it is made.
    pub groups_listed: bool,
    /// The accounts of the target were read in this cycle, and the store has the list.
    pub users_listed: bool,
    /// Groups that are not there may be made; else one that is gone can only be found again.
    pub groups_made: bool,
    /// A group that is there already is left alone.
    pub groups_made_once: bool,
    /// Names of groups that differ in letter case are two names.
    pub group_name_exact: bool,
    /// What is written takes something back that is held from now on; else what is written is held no longer.
    pub undoing: bool,
    /// Told what is done.
    pub progress: Arc<dyn Progress>,
    /// Asks to stop.
    pub stop: Stop,
    /// From then on no account is made, no attribute and no group written: whoever left meanwhile would wait behind all of
    /// them. What is left stays planned.
    pub until: Option<Instant>,
}

/// How it ended.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// A fault of the whole target: everything not yet done stays planned, and no record is marked as bad.
    pub stopped_by: Option<TargetError>,
    /// Asked to stop before everything was done.
    pub interrupted: bool,
    /// Something is left to the next cycle: see [`Job::until`].
    pub gave_way: bool,
    /// Entries that the next cycle has to look at although nothing is planned for them.
    pub look_again: Vec<i64>,
    /// Renames that were refused because the application does not change a name, or were accepted without effect.
    pub names_fixed: usize,
}

/// Why nothing more could be booked.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The state store cannot be written: without an intent nothing is sent.
    #[error(transparent)]
    State(#[from] StateError),
    /// The target failed before anything was sent.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// One change with what its request needs.
#[derive(Debug, Clone)]
struct Task {
    seq: i64,
    /// The batch that has its intent.
    batch: i64,
    change: Arc<Change>,
    /// Members with their accounts.
    members: Vec<(i64, TargetId)>,
    /// What is known of the group whose members they are.
    roster: Roster,
    /// Before it is made, the target is asked whether it is there.
    look_first: bool,
    /// A write to this record was sent by an earlier cycle, which began then (Unix second), and may or may not have been
    /// carried out; it may even still be under way. Of a create or an adoption: a create.
    doubt: Option<i64>,
}

/// A question that the ledger answers on its own thread.
type Question = Box<dyn FnOnce(&Store) + Send>;

/// From the worker to the ledger.
enum Message {
    /// Row, outcome, and the status with which the target took the last write of it.
    Result(i64, Outcome, Option<u16>),
    Ask(Question),
}

/// Applies the plan that is in the store.
pub async fn run(store: Store, job: Job) -> (Store, Result<Applied, ApplyError>) {
    let (tasks_in, tasks) = mpsc::unbounded_channel::<Task>();
    let (messages, inbox) = mpsc::unbounded_channel::<Message>();
    let halt = Arc::new(halt::Halt::default());
    let ledger = ledger::Ledger {
        sync: job.sync,
        name: job.name.clone(),
        cycle: job.cycle,
        target: job.target.clone(),
        undoing: job.undoing,
        groups_made: job.groups_made,
        concurrency: job.concurrency.max(1),
        progress: Arc::clone(&job.progress),
        stop: job.stop.clone(),
        until: job.until,
        halt: Arc::clone(&halt),
        status: std::cell::Cell::default(),
    };
    let booking = tokio::task::spawn_blocking(move || {
        let halt = Arc::clone(&ledger.halt);
        let (store, applied) = ledger.run(store, &tasks_in, inbox);
        if applied.is_err() {
            // Nothing can be booked any more: what was handed out and not sent stays unsent.
            halt.stop();
        }
        (store, applied)
    });
    let concurrency = job.concurrency.max(1);
    let worker = worker::Worker {
        job,
        messages: messages.clone(),
        halt,
        began: jiff::Timestamp::now().as_second(),
        full: std::sync::OnceLock::new(),
        without_seat: std::sync::atomic::AtomicU32::new(0),
        everyone: tokio::sync::OnceCell::new(),
        absent: std::sync::atomic::AtomicU32::new(0),
        look_again: std::sync::Mutex::default(),
        long_waits: std::sync::atomic::AtomicU32::new(0),
        names_fixed: std::sync::atomic::AtomicUsize::new(0),
    };
    let worker = &worker;
    let stream = futures_util::stream::unfold(tasks, |mut rx| async move { rx.recv().await.map(|t| (t, rx)) });
    stream
        .for_each_concurrent(concurrency, |task| {
            let messages = messages.clone();
            async move {
                // Boxed: what is handed on is moved several times, and this is large.
                let work = Box::pin(worker.perform_unless_stopped(&task));
                let (outcome, status) = with_status(work).await;
                // A closed inbox means that the ledger failed; its error is reported below.
                let _ = messages.send(Message::Result(task.seq, outcome, status));
            }
        })
        .await;
    drop(messages);
    match booking.await {
        Ok((store, out)) => {
            let again = worker.look_again.lock().map(|again| again.clone()).unwrap_or_default();
            let names_fixed = worker.names_fixed.load(std::sync::atomic::Ordering::Relaxed);
            (store, out.map(|applied| Applied { look_again: again, names_fixed, ..applied }).map_err(ApplyError::from))
        }
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}
