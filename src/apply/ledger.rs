//! Owns the store while changes are applied: hands out tasks by phases, writes the intent of a batch before it is handed
//! out, books results. Results of the last tasks and the intent of the next share one durable transaction.

use super::book;
use super::doubt::Doubts;
use super::halt::Halt;
use super::intents::{Intents, intent};
use super::outcome::Outcome;
use super::rename;
use super::{Applied, Message, Stop, Task};
use crate::model::Flat;
use crate::observe::Progress;
use crate::plan::{Change, Kind, PHASES};
use crate::state::intents::IntentItem;
use crate::state::links::Origin;
use crate::state::plan_rows::PlanRow;
use crate::state::{StateError, Store};
use crate::target::{Roster, TargetError};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub(super) struct Ledger {
    pub sync: i64,
    /// Name of the sync, for metrics.
    pub name: String,
    pub cycle: i64,
    /// Name of the target, for messages.
    pub target: String,
    /// See [`super::Job::undoing`].
    pub undoing: bool,
    /// See [`super::Job::groups_made`].
    pub groups_made: bool,
    /// Requests in flight.
    pub concurrency: usize,
    pub progress: Arc<dyn Progress>,
    pub stop: Stop,
    /// See [`super::Job::until`].
    pub until: Option<Instant>,
    /// Keeps what is handed out from being sent.
    pub halt: Arc<Halt>,
    /// With which status the target took what is being booked.
    pub status: Cell<Option<u16>>,
}

/// Results booked in one transaction, at most.
const BOOK: usize = 512;

/// Tasks that may be out: at first, and as many as a fast target may get to. What is out when the process dies is looked up
/// one by one in the next cycle, so a slow target gets few.
const WINDOW: usize = 64;
const WIDEST: usize = 2048;

/// A batch that is answered sooner than this costs more to write down than to send: the next one is larger.
const SOON: Duration = Duration::from_millis(100);
/// And one that takes longer than this is large enough.
const LATE: Duration = Duration::from_millis(500);

/// Members in tasks that are out, about: what keeps memory flat where groups are large.
const MEMBERS: usize = 8192;

/// Of a change that is about no group's members.
const NO_GROUP: Roster = Roster { size: 0, ours: false };

/// A task that is out, or answered and not yet booked.
pub(super) struct Out {
    pub row: PlanRow,
    pub step: Step,
    pub batch: i64,
}

/// What of a change is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// All of it.
    Whole,
    /// A temporary name, so that somebody else can have the old one.
    Aside { old: String, temporary: String },
    /// Everything but the name, which stays taken; `back`: the temporary name that goes back to the old one.
    Rest { back: Option<(String, String)> },
}

/// Where the work stands.
pub(super) struct Desk {
    /// Tasks that may be out.
    window: usize,
    /// When it was last judged how many that may be, and answers since then.
    paced: Instant,
    answers: usize,
    out: HashMap<i64, Out>,
    /// Members in `out`.
    members: usize,
    answered: Vec<(Out, Outcome, Option<u16>)>,
    intents: Intents,
    pub fatal: Option<TargetError>,
    after: (String, i64),
    exhausted: bool,
    /// Renames whose new name was taken: tried again when others have moved.
    pub again: Vec<PlanRow>,
    /// A rename went through since `again` was last tried.
    pub moved: bool,
    /// Who stepped aside (row): the temporary name and the old one.
    pub aside: HashMap<i64, (String, String)>,
    /// Records refused one after another with a fault that may be the whole target's, and nothing done in between.
    pub streak: usize,
    /// What it means that so many were refused in a way that may be everybody's, while nothing went through.
    pub denied: Option<(&'static str, usize)>,
    /// Something went through.
    pub any_done: bool,
    /// Something was left because others wait: see [`super::Job::until`].
    gave_way: bool,
    /// Nobody can step aside here.
    pub no_aside: bool,
    doubts: Doubts,
    /// Entries that an earlier cycle could not give an account.
    refused: HashSet<i64>,
    /// Something was taken back once and is held: what is written all the same is held no longer.
    pub undone: bool,
    /// The other syncs whose links name accounts of this target.
    pub others: Vec<i64>,
}

impl Ledger {
    pub(super) fn run(
        self,
        mut store: Store,
        tasks: &mpsc::UnboundedSender<Task>,
        mut inbox: mpsc::UnboundedReceiver<Message>,
    ) -> (Store, Result<Applied, StateError>) {
        let out = self.work(&mut store, tasks, &mut inbox);
        (store, out)
    }

    fn work(
        &self,
        store: &mut Store,
        tasks: &mpsc::UnboundedSender<Task>,
        inbox: &mut mpsc::UnboundedReceiver<Message>,
    ) -> Result<Applied, StateError> {
        self.progress.begin("writing to the target", Some(store.plan_open()?));
        let mut desk = Desk {
            window: self.narrowest(),
            paced: Instant::now(),
            answers: 0,
            out: HashMap::new(),
            members: 0,
            answered: Vec::new(),
            intents: Intents::default(),
            fatal: None,
            after: (String::new(), i64::MIN),
            exhausted: false,
            again: Vec::new(),
            moved: false,
            gave_way: false,
            aside: HashMap::new(),
            no_aside: false,
            streak: 0,
            denied: None,
            any_done: false,
            doubts: Doubts::open(store, self.sync)?,
            refused: store.refused_an_account(self.sync)?,
            undone: !self.undoing && store.has_undone(self.sync)?,
            others: store.syncs_of_target(self.sync)?.into_iter().filter(|s| *s != self.sync).collect(),
        };
        for phase in 0..PHASES {
            desk.after = (String::new(), i64::MIN);
            desk.exhausted = false;
            self.phase(store, &mut desk, phase, tasks, inbox)?;
        }
        if let (None, Some((everyone, 2..)), false) = (&desk.fatal, desk.denied, desk.any_done) {
            desk.fatal = Some(self.denies_everyone(everyone));
            store.forget_refusals(self.sync, self.cycle)?;
        }
        if let (None, Some(r)) = (&desk.fatal, self.halt.why()) {
            desk.fatal = Some(self.storm(r));
            store.forget_storm(self.sync, self.cycle)?;
        }
        desk.intents.narrow(store, self.sync)?;
        self.progress.end();
        let interrupted = self.stop.is_cancelled() && store.plan_open()? > 0;
        Ok(Applied { stopped_by: desk.fatal, interrupted, gave_way: desk.gave_way, ..Applied::default() })
    }

    /// Tasks that may be out at a slow target.
    fn narrowest(&self) -> usize {
        self.concurrency.saturating_mul(8).clamp(WINDOW, WIDEST)
    }

    /// As many may be out as the target gets to within a moment.
    #[allow(clippy::cast_precision_loss)] // a thousand at most
    fn pace(&self, desk: &mut Desk) {
        let batch = desk.batch();
        if desk.answers < batch {
            return;
        }
        let took = desk.paced.elapsed().mul_f64(batch as f64 / desk.answers as f64);
        (desk.paced, desk.answers) = (Instant::now(), 0);
        if took < SOON {
            desk.window = (desk.window * 2).min(WIDEST);
        } else if took > LATE {
            desk.window = (desk.window / 2).max(self.narrowest());
        }
    }

    /// The target takes no write from anybody.
    pub(super) fn storm(&self, r: &super::outcome::Refused) -> TargetError {
        TargetError {
            status: r.status,
            ..TargetError::new(&self.target, r.fault, format!("no write goes through any more: {}", r.reason))
        }
    }

    /// The target lets us read, and refuses every write in the same words.
    pub(super) fn denies_everyone(&self, everyone: &str) -> TargetError {
        TargetError::new(&self.target, crate::model::Fault::Auth, everyone)
    }

    /// One phase, to its end: nothing of the next one begins before.
    fn phase(
        &self,
        store: &mut Store,
        desk: &mut Desk,
        phase: u8,
        tasks: &mpsc::UnboundedSender<Task>,
        inbox: &mut mpsc::UnboundedReceiver<Message>,
    ) -> Result<(), StateError> {
        loop {
            let gives_way = phase >= Kind::Create.phase() && self.until.is_some_and(|at| Instant::now() >= at);
            let stopping = desk.fatal.is_some() || self.stop.is_cancelled() || gives_way;
            let room =
                !stopping && !desk.exhausted && desk.out.len() + desk.batch() <= desk.window && desk.members <= MEMBERS / 2;
            let full = desk.answered.len() >= BOOK || (desk.out.is_empty() && !desk.answered.is_empty());
            if room || full {
                self.turn(store, desk, phase, room, tasks)?;
            } else if !desk.out.is_empty() {
                self.listen(store, desk, inbox);
            } else if !stopping && desk.moved && !desk.again.is_empty() {
                // Somebody gave up the name that others wait for.
                desk.moved = false;
                desk.exhausted = false;
            } else if stopping || desk.again.is_empty() {
                if gives_way && !desk.gave_way {
                    desk.gave_way = !desk.again.is_empty() || !store.plan_next(phase, &desk.after, 1, 1)?.is_empty();
                }
                // Whoever still waits is not to blame: the next cycle tries again.
                desk.again.clear();
                return Ok(());
            } else {
                self.make_room(store, desk, tasks)?;
            }
        }
    }

    /// Books what was answered and hands out the next batch, in one transaction; nothing is sent before it is on disk.
    fn turn(
        &self,
        store: &mut Store,
        desk: &mut Desk,
        phase: u8,
        room: bool,
        tasks: &mpsc::UnboundedSender<Task>,
    ) -> Result<(), StateError> {
        let now = jiff::Timestamp::now().as_second();
        let answered = std::mem::take(&mut desk.answered);
        let ready = store.in_transaction(|store| {
            for (out, outcome, status) in answered {
                self.status.set(status);
                let (batch, entry) = (out.batch, out.row.change.id);
                if book::result(self, store, desk, out.row, out.step, outcome, now)? {
                    desk.intents.booked(store, batch)?;
                } else {
                    desk.intents.unsure(batch, entry);
                }
            }
            if room { self.hand_out(store, desk, phase) } else { Ok(Vec::new()) }
        })?;
        if desk.fatal.is_some() {
            self.halt.stop();
        }
        send(desk, ready, tasks);
        Ok(())
    }

    /// Nothing moves by itself any more: somebody of a circle steps aside; else the name stays taken, and everything but
    /// the name goes on.
    fn make_room(&self, store: &mut Store, desk: &mut Desk, tasks: &mpsc::UnboundedSender<Task>) -> Result<(), StateError> {
        let circle = if desk.no_aside { None } else { rename::circle(store, &desk.again)? };
        let rows: Vec<(PlanRow, Step)> = match circle {
            Some(i) => {
                let row = desk.again.swap_remove(i);
                let old = rename::name_now(store, &row.change)?;
                let temporary = rename::temporary(&old);
                vec![(row, Step::Aside { old, temporary })]
            }
            None => std::mem::take(&mut desk.again)
                .into_iter()
                .map(|row| {
                    let back = desk.aside.remove(&row.seq);
                    (row, Step::Rest { back })
                })
                .collect(),
        };
        let now = jiff::Timestamp::now().as_second();
        let ready = store.in_transaction(|store| {
            let mut ready = Vec::with_capacity(rows.len());
            for (row, step) in rows {
                let change = Arc::new(rename::narrowed(&row.change, &step));
                if change.to.is_empty() {
                    book::name_taken(self, store, &row, now)?;
                } else {
                    ready.push((
                        Task {
                            seq: row.seq,
                            batch: 0,
                            change,
                            members: Vec::new(),
                            roster: NO_GROUP,
                            look_first: false,
                            doubt: None,
                        },
                        row,
                        step,
                    ));
                }
            }
            self.intend(store, desk, ready)
        })?;
        send(desk, ready, tasks);
        Ok(())
    }

    fn hand_out(&self, store: &Store, desk: &mut Desk, phase: u8) -> Result<Vec<(Task, Out)>, StateError> {
        self.pace(desk);
        let limit = u32::try_from(desk.batch()).unwrap_or(u32::MAX);
        let mut rows = store.plan_next(phase, &desk.after, limit, MEMBERS.saturating_sub(desk.members))?;
        if rows.is_empty() {
            desk.exhausted = true;
            if desk.out.is_empty() {
                rows = std::mem::take(&mut desk.again);
            }
        }
        let mut ready = Vec::with_capacity(rows.len());
        for mut row in rows {
            desk.after = desk.after.clone().max((row.change.source_key.0.clone(), row.seq));
            if row.change.kind == Kind::Update && !row.change.members.is_empty() {
                let Some(known) = referring(store, &row.change)? else { continue };
                row.change = Arc::new(known);
            }
            if let Some(task) = task(store, &row, desk)? {
                ready.push((task, row, Step::Whole));
            }
        }
        self.intend(store, desk, ready)
    }

    /// Writes the intents of a batch.
    fn intend(&self, store: &Store, desk: &mut Desk, ready: Vec<(Task, PlanRow, Step)>) -> Result<Vec<(Task, Out)>, StateError> {
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let items: Vec<IntentItem<'_>> = ready.iter().map(|(task, row, _)| intent(row, task)).collect();
        let batch = store.intent_add(self.sync, self.cycle, &items)?;
        desk.intents.begun(batch, ready.len());
        Ok(ready.into_iter().map(|(task, row, step)| (Task { batch, ..task }, Out { row, step, batch })).collect())
    }

    /// Waits for one message, then takes what else is there.
    fn listen(&self, store: &Store, desk: &mut Desk, inbox: &mut mpsc::UnboundedReceiver<Message>) {
        let Some(first) = inbox.blocking_recv() else {
            // The worker is gone (it panicked): nothing more will be answered. Intents stay open and are recovered.
            desk.out.clear();
            desk.members = 0;
            desk.exhausted = true;
            self.stop.cancel();
            return;
        };
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Ask(question) => question(store),
                Message::Result(seq, outcome, status) => {
                    self.progress.step(1);
                    desk.answers += 1;
                    if let Some(out) = desk.out.remove(&seq) {
                        desk.members = desk.members.saturating_sub(out.row.change.members.len());
                        desk.answered.push((out, outcome, status));
                    }
                }
            }
            next = if desk.answered.len() < BOOK { inbox.try_recv().ok() } else { None };
        }
    }
}

impl Desk {
    /// Tasks handed out in one turn: a part of what may be out, so that the worker has enough to do meanwhile.
    fn batch(&self) -> usize {
        (self.window / 4).max(1)
    }
}

fn send(desk: &mut Desk, ready: Vec<(Task, Out)>, tasks: &mpsc::UnboundedSender<Task>) {
    for (task, out) in ready {
        desk.members += out.row.change.members.len();
        desk.out.insert(task.seq, out);
        // A closed channel means that the worker is gone; then no answer comes either, and the phase ends.
        let _ = tasks.send(task);
    }
}

/// What the request of a change needs; `None` where its group has no account yet (the group itself says why).
fn task(store: &Store, row: &PlanRow, desk: &Desk) -> Result<Option<Task>, StateError> {
    let mut change = Arc::clone(&row.change);
    let (mut members, mut roster) = (Vec::new(), NO_GROUP);
    if matches!(change.kind, Kind::MembersAdd | Kind::MembersRemove) {
        let Some(link) = store.link(change.id)?.filter(|l| !l.gone) else { return Ok(None) };
        roster.ours = link.origin == Origin::Created;
        if change.kind == Kind::MembersRemove {
            roster.size = store.count_pushed_members(change.id)?;
        }
        change = Arc::new(Change { target_id: Some(link.target_id), ..without_members(&row.change) });
        members.reserve_exact(row.change.members.len());
        for m in &row.change.members {
            if change.kind == Kind::MembersRemove && store.plan_keeps_member(m.id, row.approved)? {
                continue;
            }
            // Whoever was not made active again is not shown: nobody is added under such an id.
            if let Some(l) = store.link(m.id)?.filter(|l| !(l.gone || l.hidden && change.kind == Kind::MembersAdd)) {
                members.push((m.id, l.target_id));
            }
        }
    }
    let looks = desk.refused.contains(&change.id) || desk.doubts.met(change.id);
    let look_first = matches!(change.kind, Kind::Create | Kind::GroupCreate) && looks;
    let doubt = desk.doubts.since(&change);
    Ok(Some(Task { seq: row.seq, batch: 0, change, members, roster, look_first, doubt }))
}

/// An update with the accounts of those to whom it refers, as far as they are there by now; `None`: none of them is, or
/// the one who refers has none either. They are looked at again in the next cycle.
fn referring(store: &Store, planned: &Change) -> Result<Option<Change>, StateError> {
    let Some(link) = store.link(planned.id)?.filter(|l| !l.gone) else { return Ok(None) };
    let mut to = Flat::new();
    for (path, member) in planned.to.keys().zip(&planned.members) {
        if let Some(account) = store.link(member.id)?.filter(|l| !l.gone) {
            to.insert(path.clone(), serde_json::Value::String(account.target_id.0));
        }
    }
    let from = link.pushed.iter().filter(|(path, _)| to.contains_key(*path)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let known = Change { target_id: Some(link.target_id), from, to, ..planned.clone() };
    Ok((!known.to.is_empty()).then_some(known))
}

/// A request carries the members' accounts; their names need not be held twice.
fn without_members(c: &Change) -> Change {
    Change {
        kind: c.kind,
        id: c.id,
        who: c.who.clone(),
        source_key: c.source_key.clone(),
        target_id: c.target_id.clone(),
        reason: c.reason.clone(),
        from: c.from.clone(),
        to: c.to.clone(),
        pushed: c.pushed.clone(),
        members: Vec::new(),
        recreate: c.recreate,
        create_only: c.create_only.clone(),
    }
}
