//! A migration from its beginning to its end: analyse, select, rename in order, read back, put on record.

use super::adopt::{adoptable, not_reached};
use super::analysis::{Analysis, Syncs, analyse};
use super::aside::{is_aside, standing};
use super::change::sides;
use super::fresh::Seen;
use super::order::{self, Names, Next};
use super::report::{Line, Listing, Outcome};
use super::resume::{note, restore, resumed};
use super::selection::{self, Options};
use super::turn::Turn;
use super::verify::read_back;
use crate::apply::temporary;
use crate::apply::{self, Stop};
use crate::exit::Exit;
use crate::mapping::folded_address;
use crate::model::{Fault, ObjectKind};
use crate::observe::Progress;
use crate::plan::Change;
use crate::plan::userids::{Class, IMMUTABLE, Standing};
use crate::state::lock::CycleLock;
use crate::state::{StateError, Store};
use crate::sync::{CycleError, userids};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Accounts that are tried before anything went through; where the application takes no new name from any of them, it takes
/// none from anybody.
const FEW: usize = 3;
/// Accounts in the next batch, for each request in flight; later ones are as large as the target is fast.
const FIRST: usize = 8;
/// Accounts in any batch.
const MOST: usize = 2_000;

/// Pauses after a fault of the whole target that may pass.
const PAUSES: [u64; 5] = [2, 4, 8, 16, 30];

/// A migration that was confirmed, and what it needs for that.
pub struct Confirmed<'a> {
    /// State store.
    pub state: &'a Path,
    /// The cycle lock.
    pub lock: CycleLock,
    /// For how long it is kept in one go while accounts are renamed: [`HOLD`](super::HOLD).
    pub hold: Duration,
    /// How old what is known of an account may be when it is written to: [`FRESH`](super::FRESH).
    pub fresh: Duration,
}

/// Looks, and says what would be done. On a private copy of the state store; nothing is written at the target.
///
/// # Errors
/// Source, target or state store failed.
pub async fn looked_at(syncs: &Syncs, state: &Path, options: &Options) -> Result<Listing, CycleError> {
    let (store, analysis) = analyse(syncs, Store::scratch(state)?, options).await;
    let mut analysis = analysis?;
    let mut lines = std::mem::take(&mut analysis.lines);
    adoptable(&syncs.main, &store, &analysis, options, &mut lines)?;
    drop(store);
    let (chosen, moved) = selection::select(options, &analysis, &mut lines);
    let unknown = selection::unknown(options, &analysis, &lines);
    let left = chosen.len() as u64;
    let sync = syncs.main.config().name.clone();
    Ok(Listing { sync, cycle: None, lines, moved, left, unknown, error: None })
}

/// Those of a named pilot of whom this sync has no account, by their names now or before an interrupted run. On a private copy
/// of the state store.
///
/// # Errors
/// Source, target or state store failed.
pub async fn unknown(syncs: &Syncs, state: &Path, options: &Options) -> Result<Vec<String>, CycleError> {
    let (store, analysis) = analyse(syncs, Store::scratch(state)?, options).await;
    let mut analysis = analysis?;
    let mut lines = std::mem::take(&mut analysis.lines);
    restore(&mut lines, &resumed(&store, &analysis, options)?.done);
    Ok(selection::unknown(options, &analysis, &lines))
}

/// Renames. What cannot be done for a fault of the whole target is in the listing's `error`; the same command goes on.
///
/// # Errors
/// Source, target or state store failed before anything was begun.
pub async fn confirmed(syncs: &Syncs, options: &Options, how: Confirmed<'_>) -> Result<(Listing, Exit), CycleError> {
    let cycle = &syncs.main;
    let mut store = Store::open(how.state)?;
    let row = store.sync_row(&cycle.config().name, &cycle.config().target)?;
    let (store, settled) = cycle.look_up_interrupted(store, &row).await;
    settled?;
    let (mut store, analysis) = analyse(syncs, store, options).await;
    let mut analysis = analysis?;
    let mut lines = std::mem::take(&mut analysis.lines);
    let interrupted = resumed(&store, &analysis, options)?;
    let open = interrupted.cycle;
    restore(&mut lines, &interrupted.done);
    let (chosen, moved) = selection::select(options, &analysis, &mut lines);
    let unknown = selection::unknown(options, &analysis, &lines);
    let adopted = adoptable(cycle, &store, &analysis, options, &mut lines)?;
    let mut listing = Listing { sync: cycle.config().name.clone(), cycle: open, lines, moved, left: 0, unknown, error: None };
    if !listing.unknown.is_empty() {
        return Ok((listing, Exit::Usage));
    }
    set_claims(&mut store, &analysis)?;
    analysis.all = Vec::new();
    let aside = standing(&store, &analysis, &listing.lines)?;
    if chosen.is_empty() && adopted.is_empty() && aside.is_empty() && open.is_none() {
        interrupted.end_others(&store, &analysis, &listing.lines)?;
        let exit = if moved > 0 { Exit::Moved } else { Exit::Done };
        return Ok((listing, exit));
    }
    let number = match open {
        Some(number) => number,
        None => store.migration_begin(analysis.row.id, &note(options), jiff::Timestamp::now().as_second())?,
    };
    listing.cycle = Some(number);
    not_reached(&mut listing.lines, &adopted);
    let turn = Turn::new(how.state.to_owned(), how.lock, how.hold);
    let whole = Whole::begin(cycle.progress(), (chosen.len() + adopted.len()) as u64);
    let mut run = Run {
        syncs,
        analysis: &analysis,
        number,
        store: Some(store),
        turn,
        whole,
        seen: Seen::new(analysis.listed, how.fresh),
        reviewed: options.accepted.is_some(),
        moved: 0,
        each: None,
        tried: false,
        any: false,
        fixed: 0,
        held: HashSet::new(),
        stop: None,
    };
    let mut outcome = run.rename(&mut listing.lines, &chosen).await;
    if outcome.is_ok() {
        outcome = run.second_look(&mut listing.lines, &chosen).await;
    }
    let back = run.give_back(&mut listing.lines, outcome.as_ref().err()).await;
    outcome = outcome.and(back);
    if outcome.is_ok() {
        outcome = run.adopt(&mut listing.lines, &adopted, options.inactive).await;
    }
    run.whole.finish();
    let moved = moved + run.moved;
    listing.moved = moved;
    let Some(mut store) = run.store.take() else { return Err(outcome.err().unwrap_or_else(|| bug("the state store"))) };
    if outcome.is_ok() {
        let (back, verified) = read_back(cycle, store, &analysis, number, &mut listing.lines).await;
        store = back;
        outcome = verified;
    }
    outcome = outcome.and(interrupted.end_others(&store, &analysis, &listing.lines).map_err(CycleError::from));
    listing.left = chosen.iter().filter(|i| listing.lines[**i].result != Outcome::Renamed).count() as u64;
    let exit = match &outcome {
        Err(e) => {
            let left = listing.left;
            let (kind, why) = match e {
                CycleError::Interrupted { .. } => ("interrupted", "stopped when asked to".to_owned()),
                e => (e.exit().kind(), e.to_string()),
            };
            listing.error = Some((kind, format!("{why}: {left} accounts were not renamed; the same command goes on")));
            e.exit()
        }
        Ok(()) if moved > 0 => Exit::Moved,
        Ok(()) if listing.left > 0 || listing.results(Outcome::Failed) > 0 => Exit::Parked,
        Ok(()) => Exit::Done,
    };
    // One that was stopped stays open: the same command goes on with it.
    if outcome.is_ok() {
        let report = json!({"migration": {"by": options.by}, "counts": listing.counts()}).to_string();
        let result = if exit == Exit::Done { "ok" } else { "parked" };
        store.cycle_end(number, result, &report, jiff::Timestamp::now().as_second())?;
    }
    Ok((listing, exit))
}

fn bug(what: &str) -> CycleError {
    CycleError::Config(format!("{what} was lost in a fault; run the command again"))
}

/// Until it is decided whose an account under an old name is, none of those whose it may be gets another one.
fn set_claims(store: &mut Store, analysis: &Analysis) -> Result<(), StateError> {
    let mut claims = userids::claims(&analysis.all, &analysis.people);
    for sync in &analysis.syncs {
        claims.entry(*sync).or_default();
    }
    store.in_transaction(|store| claims.iter().try_for_each(|(sync, claims)| store.set_claims(*sync, claims)))
}

pub(super) struct Run<'a> {
    pub(super) syncs: &'a Syncs,
    pub(super) analysis: &'a Analysis,
    number: i64,
    /// Away while it is lent.
    pub(super) store: Option<Store>,
    pub(super) turn: Turn,
    whole: Whole,
    pub(super) seen: Seen,
    /// A reviewed report is applied: what changed since is refused, and is no failure.
    pub(super) reviewed: bool,
    /// Rows of it that changed while others were renamed.
    pub(super) moved: u64,
    /// Seconds that an account takes; `None`: not known yet.
    each: Option<f64>,
    /// Something was sent, and something went through.
    tried: bool,
    any: bool,
    /// Accounts whose name the application does not change.
    fixed: usize,
    /// Lines that cannot be done.
    pub(super) held: HashSet<usize>,
    /// Ends the writing in place of the command's own stop, which has been asked for.
    pub(super) stop: Option<Stop>,
}

impl Run<'_> {
    pub(super) fn store(&mut self) -> Result<Store, CycleError> {
        self.store.take().ok_or_else(|| bug("the state store"))
    }

    /// Renames these lines, in an order in which nobody takes a name that somebody still has.
    async fn rename(&mut self, lines: &mut [Line], chosen: &[usize]) -> Result<(), CycleError> {
        let mut names = Names::of(lines);
        let mut left: Vec<usize> = chosen.to_vec();
        let mut aside: HashSet<usize> = (0..lines.len()).filter(|i| is_aside(&lines[*i].current)).collect();
        loop {
            let (now, to): (Vec<usize>, fn(&Line) -> String) = match order::next(lines, &names, &left, &aside) {
                Next::Done => return Ok(()),
                Next::Rename(now) => (now, |l| l.row.new.clone().unwrap_or_default()),
                Next::Aside(now) => {
                    aside.extend(&now);
                    (now, |l| temporary(&l.current))
                }
                Next::Stuck(all) => {
                    for i in all {
                        let new = lines[i].row.new.clone().unwrap_or_default();
                        let holder = names.holder(&new, i).map_or_else(String::new, |h| format!(" {:?}", lines[h].current));
                        lines[i].note = Some(format!("not renamed: another account{holder} still has the name {new}"));
                    }
                    return Ok(());
                }
            };
            for part in now.chunks(MOST) {
                let mut rest = part;
                while !rest.is_empty() {
                    let (batch, further) = rest.split_at(self.size().min(rest.len()));
                    let wanted: Vec<(usize, String)> = batch.iter().map(|i| (*i, to(&lines[*i]))).collect();
                    let before: Vec<String> = batch.iter().map(|i| lines[*i].current.clone()).collect();
                    let done = self.batch(lines, &wanted).await;
                    for (i, old) in batch.iter().zip(before) {
                        if lines[*i].current != old {
                            names.take(&old, *i);
                            names.give(&lines[*i].current, *i);
                        }
                    }
                    done?;
                    if self.cannot_rename() {
                        self.refuse(lines, chosen);
                        return Ok(());
                    }
                    rest = further;
                }
            }
            left.retain(|i| lines[*i].result == Outcome::NotAttempted && !self.held.contains(i));
        }
    }

    /// Whatever was refused gets one more chance, as in a cycle, and so does whoever waits for its name: the fault may have
    /// passed.
    async fn second_look(&mut self, lines: &mut [Line], chosen: &[usize]) -> Result<(), CycleError> {
        if self.cannot_rename() || chosen.iter().all(|i| lines[*i].result != Outcome::Failed) {
            return Ok(());
        }
        let open = |i: &usize| lines[*i].result != Outcome::Renamed && !self.held.contains(i);
        let again: Vec<usize> = chosen.iter().copied().filter(open).collect();
        for i in &again {
            lines[*i].result = Outcome::NotAttempted;
            lines[*i].note = None;
        }
        self.rename(lines, &again).await
    }

    /// Accounts in the next batch.
    fn size(&self) -> usize {
        if !self.any && (!self.tried || self.fixed > 0) {
            return FEW;
        }
        let portion = self.turn.portion().min(self.seen.portion()).as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 8 and MOST
        let fits = |each: f64| (portion / each.max(1e-4)).min(MOST as f64) as usize;
        self.each.map_or(FIRST * self.syncs.main.concurrency(), fits).clamp(8, MOST)
    }

    /// The application takes a new name from nobody.
    fn cannot_rename(&self) -> bool {
        !self.any && self.fixed >= FEW
    }

    /// Whoever was not tried yet need not be.
    fn refuse(&self, lines: &mut [Line], chosen: &[usize]) {
        for i in chosen {
            let line = &mut lines[*i];
            if line.result == Outcome::NotAttempted && !self.held.contains(i) {
                line.row.class = Class::Refused;
                line.note = Some(format!("not tried: {IMMUTABLE}, as {} others have shown", self.fixed));
            }
        }
    }

    /// Renames one batch, in however many attempts; results are noted on the lines.
    async fn batch(&mut self, lines: &mut [Line], wanted: &[(usize, String)]) -> Result<(), CycleError> {
        let began = Instant::now();
        let takes = Duration::from_secs_f64(self.each.unwrap_or_default() * wanted.len() as f64);
        let mut left: Vec<(usize, String)> = wanted.to_vec();
        for attempt in 0.. {
            self.turn.give_way().await?;
            let mut stopped = self.look_again(lines, &left, takes).await;
            left.retain(|(i, _)| lines[*i].result == Outcome::NotAttempted && !self.held.contains(i));
            if stopped.is_ok() && !left.is_empty() {
                stopped = self.attempt(lines, &left).await;
            }
            left.retain(|(i, to)| {
                lines[*i].current != *to && lines[*i].result == Outcome::NotAttempted && !self.held.contains(i)
            });
            match stopped {
                Ok(()) => break,
                Err(e) if !may_pass(&e) => return Err(e),
                Err(e) => match PAUSES.get(attempt) {
                    None => return Err(e),
                    Some(pause) => {
                        tracing::warn!(sync = self.syncs.main.config().name, pause_s = pause, "{e}; going on after a pause");
                        let stop = self.syncs.main.stop().clone();
                        tokio::select! {
                            () = tokio::time::sleep(Duration::from_secs(*pause)) => {}
                            () = stop.cancelled() => return Err(e),
                        }
                    }
                },
            }
        }
        if self.any && wanted.len() > FEW {
            self.each = Some(began.elapsed().as_secs_f64() / wanted.len() as f64);
        }
        self.tried = true;
        Ok(())
    }

    /// Sends one batch once; what became of it is noted on the lines, also where it was stopped.
    pub(super) async fn attempt(&mut self, lines: &mut [Line], wanted: &[(usize, String)]) -> Result<(), CycleError> {
        let store = self.store()?;
        let planned = self.plan_renames(store, lines, wanted);
        let stopped = self.apply(planned?).await;
        let store = self.store()?;
        let noted = self.note(&store, lines, wanted);
        self.store = Some(store);
        noted?;
        stopped
    }

    /// The plan of a batch, in the store.
    fn plan_renames(&mut self, mut store: Store, lines: &mut [Line], wanted: &[(usize, String)]) -> Result<Store, CycleError> {
        // One after another: a batch may be large.
        store.in_transaction(|store| {
            store.plan_clear()?;
            for (i, to) in wanted {
                match self.change(store, &lines[*i], to)? {
                    Ok(change) => store.plan_add(&change)?,
                    Err(why) => {
                        self.held.insert(*i);
                        lines[*i].note = Some(format!("not renamed: {why}"));
                    }
                }
            }
            store.plan_approve_all()
        })?;
        Ok(store)
    }

    /// The change of a line, or why it is not made any more: others may have been at work since.
    fn change(&self, store: &Store, line: &Line, to: &str) -> Result<Result<Change, String>, StateError> {
        let gone = Ok(Err("the person or the account is not there any more".to_owned()));
        let Some(p) = line.row.person.and_then(|i| self.analysis.people.get(i)) else { return gone };
        let link = store.link(p.entry_id)?.filter(|l| !l.gone);
        if let Some(other) = link.as_ref().filter(|l| l.target_id != line.row.id) {
            return Ok(Err(format!("{} was linked to the account {} meanwhile", p.who, other.target_id)));
        }
        if let Some(other) = store.linked_to(self.analysis.row.id, ObjectKind::User, &line.row.id, p.entry_id)? {
            return Ok(Err(format!("it was linked to {other} meanwhile")));
        }
        let cycle = &self.syncs.main;
        let Some(sides) = sides(cycle, &self.analysis.dialect, store, line, p.entry_id)? else { return gone };
        // Back to the name from before: only that, whatever the person is called by now.
        let back = !is_aside(to) && line.row.new.as_deref() != Some(to);
        if !is_aside(to) && !back && sides.user_id().map(folded_address) != Some(folded_address(to)) {
            let now = sides.user_id().unwrap_or("none");
            return Ok(Err(format!("the user ID of {} is {now} meanwhile; run the command again", p.who)));
        }
        if link.is_none() && !back && p.standing == Standing::Active {
            // With the name the account becomes that person's.
            if let Some((why, _)) = cycle.kept_apart(store, (self.analysis.row.id, p.entry_id), &p.key)? {
                return Ok(Err(format!("{} {why}", p.who)));
            }
        }
        let only_name = p.standing != Standing::Active || is_aside(to);
        let mut change = sides.change(cycle, line, (p.entry_id, &p.who, &p.key), Some(to), only_name || back);
        if back {
            change.to.retain(|path, _| path == "userName");
        }
        Ok(Ok(change))
    }

    /// Carries out what is planned; `Err`: the target as a whole, the store, or somebody stopped it.
    pub(super) async fn apply(&mut self, store: Store) -> Result<(), CycleError> {
        let progress: Arc<dyn Progress> = Arc::new(self.whole.clone());
        let mut job = self.syncs.main.job_of(&self.analysis.row, self.number, &self.analysis.dialect, progress);
        job.stop = self.stop.clone().unwrap_or(job.stop);
        let (store, applied) = apply::run(store, job).await;
        let open = store.plan_open();
        self.store = Some(store);
        let applied = applied?;
        self.fixed += applied.names_fixed;
        match applied.stopped_by {
            Some(e) => Err(e.into()),
            None if applied.interrupted => Err(CycleError::Interrupted { open: open? }),
            None => Ok(()),
        }
    }

    /// Notes on the lines what became of them.
    fn note(&mut self, store: &Store, lines: &mut [Line], wanted: &[(usize, String)]) -> Result<(), CycleError> {
        let outcomes: HashMap<String, (bool, Option<String>)> =
            store.plan_outcomes()?.into_iter().map(|o| (o.target_id.0, (o.done, o.refused))).collect();
        for (i, to) in wanted {
            let line = &mut lines[*i];
            let Some((done, refused)) = outcomes.get(line.row.id.as_str()) else { continue };
            let Some(p) = line.row.person.and_then(|i| self.analysis.people.get(i)) else { continue };
            let named = store.link(p.entry_id)?.and_then(|l| Some(l.pushed.get("userName")?.as_str()?.to_owned()));
            let arrived = *done && named.as_deref() == Some(to.as_str());
            if arrived {
                self.any = true;
                line.current.clone_from(to);
                if line.row.new.as_deref() == Some(to.as_str()) {
                    line.result = Outcome::Renamed;
                    line.note = refused.as_ref().map(|r| format!("renamed, but not all of it went through: {r}"));
                }
            } else if let Some(reason) = refused {
                line.result = Outcome::Failed;
                line.note = Some(format!("not renamed: {reason}"));
            }
        }
        Ok(())
    }
}

/// Puts the plan of a batch in the store, approved.
pub(super) fn put(store: &mut Store, changes: &[Change]) -> Result<(), StateError> {
    store.in_transaction(|store| {
        store.plan_clear()?;
        changes.iter().try_for_each(|c| store.plan_add(c))?;
        store.plan_approve_all()
    })
}

/// Whether going on after a pause may help.
fn may_pass(e: &CycleError) -> bool {
    matches!(e, CycleError::Target(t) if matches!(t.fault, Fault::Transient | Fault::Throttled))
}

/// One bar over all batches.
#[derive(Clone)]
struct Whole(Arc<dyn Progress>);

impl Whole {
    fn begin(progress: &Arc<dyn Progress>, total: u64) -> Self {
        progress.begin("renaming", Some(total));
        Self(Arc::clone(progress))
    }

    fn finish(&self) {
        self.0.end();
    }
}

impl Progress for Whole {
    fn begin(&self, _label: &str, _total: Option<u64>) {}

    fn step(&self, n: u64) {
        self.0.step(n);
    }

    fn end(&self) {}
}
