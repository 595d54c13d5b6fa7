//! `undo`: reverses a cycle from the before-images in the journal, as a plan with guard and journal like any other. The target
//! is read first: what changed there since is left alone, and said.

use super::decide::protected;
use super::matched::resource;
use super::singly::{Seen, Singly};
use super::{Cycle, CycleError, Hand, Planned, Report, blocking};
use crate::config::SyncConfig;
use crate::mapping::Changed;
use crate::model::{ObjectKind, SourceKey, TargetId};
use crate::plan::undo::{self, Facts, MemberNow, Net, Undo};
use crate::plan::{Kind, Member, Parked, user};
use crate::state::links::Link;
use crate::state::syncs::SyncRow;
use crate::state::undo::Unit;
use crate::state::{StateError, Store};
use crate::target::{Remote, TargetReader};
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Accounts that are asked for one by one; where there are more, the list is read.
const ONE_BY_ONE: usize = 500;

impl Cycle {
    /// What undoing a cycle would do, on a private copy of the state store.
    ///
    /// # Errors
    /// Target or state store failed.
    pub async fn undo_plan(&self, state: &Path, undoes: i64) -> Result<(Planned, Report), CycleError> {
        let began = Instant::now();
        let mut store = Store::scratch(state)?;
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let (store, planned) = self.plan_undo(store, &row, undoes, 0).await;
        planned?;
        let mut report = Report::new(&self.sync.name);
        report.foresee(&store, row.id)?;
        report.requests = self.target.requests();
        let planned = Planned {
            store,
            sync: self.sync.name.clone(),
            sync_id: row.id,
            full: false,
            verify: true,
            at: self.mapper.depends_on_time().then_some(self.now),
            changed: Changed::default(),
            redacted: self.mapper.redacted(),
        };
        Ok((planned, report.finished(began)))
    }

    /// Undoes a cycle of this sync. The caller holds the cycle lock.
    pub async fn undo(&self, store: Store, undoes: i64, hand: Hand<'_>) -> (Store, Report) {
        let began = Instant::now();
        let mut report = Report::aside(&self.sync.name, "undo");
        let mut store = store;
        let row = match self.begin(&mut store, &mut report) {
            Ok(row) => row,
            Err(e) => return (store, report.failed(&e.into(), began)),
        };
        let (mut store, done) = self.undo_steps(store, &row, undoes, hand, &mut report).await;
        let report = self.end(&mut store, report, done, began);
        (store, report)
    }

    async fn undo_steps(
        &self,
        store: Store,
        row: &SyncRow,
        undoes: i64,
        hand: Hand<'_>,
        report: &mut Report,
    ) -> (Store, Result<(), CycleError>) {
        let (store, recovered) = self.recover(store, row, report.cycle).await;
        if let Err(e) = recovered {
            return (store, Err(e));
        }
        let (mut store, planned) = self.plan_undo(store, row, undoes, report.cycle).await;
        let prepared = planned.and_then(|()| {
            // An undo that is undone itself holds nothing any more.
            let approved = store.in_transaction(|store| {
                store.undone_forget(undoes)?;
                store.plan_approve_by(row.id, hand.by, hand.reason, self.clock())
            });
            approved.map_err(CycleError::State)
        });
        if let Err(e) = prepared {
            return (store, Err(e));
        }
        let (mut store, applied) =
            self.apply(store, row, report.cycle, super::Way { undoing: true, ..super::Way::default() }).await;
        let outcome = applied.and_then(|applied| {
            let now = self.clock();
            store.undo_settle(row.id)?;
            store.log_open(row.id, report.cycle, now)?;
            if let Some(error) = applied.stopped_by {
                return Err(error.into());
            }
            if applied.interrupted {
                return Err(CycleError::Interrupted { open: store.plan_open()? });
            }
            store.undone_drop_open(report.cycle)?;
            store.ask_for_cycle(row.id)?;
            Ok(())
        });
        if let Err(e) = report.take(&store, row.id) {
            return (store, outcome.and(Err(e.into())));
        }
        (store, outcome)
    }

    /// Reads what the cycle wrote to, and plans the way back. `cycle`: the undo; 0 where it is only looked at.
    async fn plan_undo(&self, store: Store, row: &SyncRow, undoes: i64, cycle: i64) -> (Store, Result<(), CycleError>) {
        let (store, recognised) = self.check_identity(store, row).await;
        if let Err(e) = recognised {
            return (store, Err(e));
        }
        let (store, dialect) = self.dialect(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        self.recall(&store);
        let reader = self.target.reader(&dialect);
        let (store, read) = self.read_written(store, row, undoes, &reader).await;
        let unread = match read {
            Ok(unread) => unread,
            Err(e) => return (store, Err(e)),
        };
        let way = Way { sync: Arc::clone(&self.sync), reader, row: row.clone(), undoes, cycle, now: self.clock(), unread };
        blocking(store, move |store| way.plan(store)).await
    }

    /// Reads the accounts and groups that the cycle wrote to, as they are now. Returns those that cannot be read.
    async fn read_written(
        &self,
        store: Store,
        row: &SyncRow,
        undoes: i64,
        reader: &TargetReader,
    ) -> (Store, Result<Unread, CycleError>) {
        let begun = store.undo_targets(row.id, undoes).and_then(|targets| store.remote_clear().map(|()| targets));
        let mut targets = match begun {
            Ok(targets) => targets,
            Err(e) => return (store, Err(e.into())),
        };
        let mut store = store;
        if targets.iter().filter(|(kind, _)| *kind == ObjectKind::User).count() > ONE_BY_ONE {
            let (back, listed) = self.list(store, reader, ObjectKind::User).await;
            store = back;
            let mut missing = Vec::new();
            let sorted = listed.and_then(|()| {
                for (kind, id) in targets {
                    // Who is not in the list is asked for: a list may leave somebody out.
                    if kind == ObjectKind::Group || store.remote_json(kind, &id)?.is_none() {
                        missing.push((kind, id));
                    }
                }
                Ok(())
            });
            if let Err(e) = sorted {
                let ended = store.remote_end();
                return (store, Err(ended.err().map_or(e, CycleError::State)));
            }
            targets = missing;
        }
        self.progress.begin("reading what the cycle wrote to", Some(targets.len() as u64));
        let asked = targets.into_iter().map(|(kind, id)| {
            let reader = reader.clone();
            async move {
                let answer = reader.get(kind, &id).await;
                (kind, id, answer)
            }
        });
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(self.target.concurrency());
        let (mut out, mut missing) = (Ok(()), BTreeSet::new());
        let (mut singly, mut unread) = (Singly::new(reader), Unread::new());
        while let Some((kind, id, answer)) = answers.next().await {
            self.progress.step(1);
            let kept = match singly.judge(kind, &id, answer).await {
                Ok(Seen::There(there)) => super::remote::keep(&store, kind, &there).map_err(CycleError::from),
                Ok(Seen::Nowhere) => {
                    missing.insert(kind);
                    Ok(())
                }
                Ok(Seen::Unknown(e)) => {
                    unread.insert(id, e.message);
                    Ok(())
                }
                Err(e) => Err(e),
            };
            if kept.is_err() {
                out = kept;
                break;
            }
        }
        drop(answers);
        for kind in missing {
            // Else nobody is there, and every account would be taken for removed.
            out = match out {
                Ok(()) => self.serves(reader, kind).await,
                e => e,
            };
        }
        self.progress.end();
        let ended = store.remote_end();
        (store, out.and_then(|()| ended.map_err(CycleError::from)).map(|()| unread))
    }
}

/// Accounts and groups that cannot be read now, and why.
type Unread = BTreeMap<TargetId, String>;

/// Everything that planning the way back needs, owned.
struct Way {
    sync: Arc<SyncConfig>,
    reader: TargetReader,
    row: SyncRow,
    undoes: i64,
    cycle: i64,
    now: i64,
    unread: Unread,
}

/// One account or group on its way back.
struct Stop {
    unit: Unit,
    net: Net,
    /// The entry; 0 or less where there is none.
    id: i64,
    key: SourceKey,
    who: String,
    there: Option<Remote>,
}

impl Way {
    fn plan(&self, store: &mut Store) -> Result<(), StateError> {
        store.plan_clear()?;
        store.undo_clear()?;
        store.in_transaction(|store| store.undo_each(self.row.id, self.undoes, |unit| self.unit(store, unit)))
    }

    fn unit(&self, store: &Store, unit: Unit) -> Result<(), StateError> {
        let Some(first) = unit.writes.first() else { return Ok(()) };
        let net = Net::of(&unit.writes);
        let linked = match &unit.target_id {
            Some(target) => store.entry_of_target(self.row.id, unit.object, target)?,
            None => None,
        };
        let key = match linked.or(Some(unit.entry_id).filter(|id| *id > 0)) {
            Some(id) => store.entry_key(self.row.id, id)?.map(|key| (id, key)),
            None => None,
        };
        // An account that nobody of the directory has is known by its id, and counts apart from every other.
        let (id, key) =
            key.unwrap_or_else(|| (-first.line, SourceKey(unit.target_id.as_ref().map_or_else(String::new, |t| t.0.clone()))));
        let there = match &unit.target_id {
            None => None,
            Some(target) => match store.remote_json(unit.object, target)? {
                None => None,
                Some(json) => Some(resource(store, target, &json)?),
            },
        };
        let who = first.who.clone();
        let unread = unit.target_id.as_ref().and_then(|target| self.unread.get(target));
        if let Some(why) = unread {
            return self.left_alone(
                store,
                &unit,
                Parked {
                    id,
                    object: unit.object,
                    kind: "undo",
                    who,
                    source_key: key,
                    reason: format!("what is there now cannot be read, so nothing was written to it: {why}"),
                    advice: format!("once it can be read again: scim-sync undo {}", self.undoes),
                },
            );
        }
        let stop = Stop { unit, net, id, key, who, there };
        self.account(store, &stop)?;
        self.members(store, &stop)
    }

    /// Whoever cannot be read stays as the cycle left them.
    fn left_alone(&self, store: &Store, unit: &Unit, why: Parked) -> Result<(), StateError> {
        store.plan_park(&why)?;
        let lines: Vec<i64> = unit.writes.iter().map(|w| w.line).collect();
        store.undo_note(&lines, why.id, false, false, false)
    }

    fn facts<'a>(&self, stop: &'a Stop, there: Option<&'a crate::model::Flat>, linked: bool, others: Option<usize>) -> Facts<'a> {
        let actions = &self.sync.actions;
        Facts {
            id: stop.id,
            object: stop.unit.object,
            who: &stop.who,
            source_key: &stop.key,
            target_id: stop.unit.target_id.as_ref(),
            cycle: self.undoes,
            linked,
            there,
            others,
            may_delete: match stop.unit.object {
                ObjectKind::User => actions.user_delete,
                ObjectKind::Group => actions.group_delete,
            },
        }
    }

    fn account(&self, store: &Store, stop: &Stop) -> Result<(), StateError> {
        let net = &stop.net;
        let lines: Vec<i64> = stop.unit.writes.iter().filter(|w| !is_membership(w.kind)).map(|w| w.line).collect();
        if lines.is_empty() {
            return Ok(());
        }
        let link = store.link(stop.id)?.filter(|l| !l.gone);
        let own = link.as_ref().filter(|l| Some(&l.target_id) == stop.unit.target_id.as_ref());
        // Of an account that is not shown while it is inactive, what was pushed is there.
        let hidden = match own.filter(|_| stop.there.is_none()) {
            Some(link) if store.note_hidden(self.row.id, stop.id)? => Some(link),
            _ => None,
        };
        let pushed = |l: &Link| l.pushed.clone().into_iter().filter(|(path, _)| net.after.contains_key(path)).collect();
        let flat = stop.there.as_ref().map(|r| r.flat(net.after.keys().map(String::as_str))).or_else(|| hidden.map(pushed));
        let others = self.other_members(store, stop)?;
        let mut done = undo::account(&self.facts(stop, flat.as_ref(), link.is_some(), others), net);
        if hidden.is_some() && done.changes.iter().all(|c| c.kind != Kind::Reactivate) {
            // It stays so, whatever else of it goes back.
            done.changes.iter_mut().for_each(|c| drop(c.pushed.insert("active".to_owned(), false.into())));
        }
        if let Some(link) = own.filter(|_| !done.back.is_empty()) {
            store.set_pushed(stop.unit.object, stop.id, &user::after(&link.pushed, &done.back), self.now)?;
        }
        self.keep(store, stop, &lines, false, &done)
    }

    /// Whether it can be told who is in the group.
    fn tells_members(&self, stop: &Stop) -> bool {
        stop.there.as_ref().is_none_or(|group| self.reader.tells_members(group))
    }

    /// Members of a group that the cycle made who did not come by that cycle; `None` where the target does not tell.
    fn other_members(&self, store: &Store, stop: &Stop) -> Result<Option<usize>, StateError> {
        let (Some(target), true) = (&stop.unit.target_id, stop.unit.object == ObjectKind::Group && stop.net.made) else {
            return Ok(Some(0));
        };
        if !self.tells_members(stop) {
            return Ok(None);
        }
        let mut others = store.remote_members(target)?;
        for m in self.now(store, stop, &stop.net.joined)? {
            if let Some(link) = store.link(m.member.id)? {
                others.remove(&link.target_id);
            }
        }
        Ok(Some(others.len()))
    }

    fn members(&self, store: &Store, stop: &Stop) -> Result<(), StateError> {
        let lines: Vec<i64> = stop.unit.writes.iter().filter(|w| is_membership(w.kind)).map(|w| w.line).collect();
        // With its group everybody goes.
        let goes = store.plan_has(stop.id, Kind::GroupDelete)?;
        let comes = store.plan_has(stop.id, Kind::GroupCreate)?;
        let again = match &stop.net.deleted {
            Some((_, members)) if comes => self.now(store, stop, members)?,
            _ => Vec::new(),
        };
        if goes || (stop.there.is_none() && !comes) {
            return store.undo_note(&lines, stop.id, true, goes || stop.net.made, false);
        }
        let (joined, left) = (self.now(store, stop, &stop.net.joined)?, self.now(store, stop, &stop.net.left)?);
        let done = undo::members(&self.facts(stop, None, false, Some(0)), joined, left, again);
        // Back already, with an undo that was interrupted or by hand.
        let there = store.link(stop.id)?.is_some_and(|l| !l.gone);
        if there {
            for h in done.holds.iter().filter(|_| done.changes.is_empty()) {
                if let Ok(member) = h.value.parse() {
                    store.set_pushed_members(stop.id, &[member], h.what == crate::plan::undone::NO_MEMBER)?;
                }
            }
        }
        self.keep(store, stop, &lines, true, &done)
    }

    /// The members that the journal names, as they are now: as read, or where the target does not tell, as last pushed.
    fn now(&self, store: &Store, stop: &Stop, named: &[(SourceKey, String)]) -> Result<Vec<MemberNow>, StateError> {
        let (mut read, mut pushed): (HashSet<TargetId>, HashSet<i64>) = Default::default();
        match &stop.unit.target_id {
            Some(_) if !self.tells_members(stop) => pushed.extend(store.pushed_members(stop.id)?.iter().map(|m| m.id)),
            Some(group) if stop.there.is_some() => read = store.remote_members(group)?,
            _ => {}
        }
        let (mut out, mut seen) = (Vec::with_capacity(named.len()), HashSet::new());
        for (key, who) in named {
            // Relinked since: the new entry has the account.
            let Some(id) = store.entry_of_key(self.row.id, ObjectKind::User, key)? else { continue };
            if !seen.insert(id) {
                continue;
            }
            let link = store.link(id)?.filter(|l| !l.gone);
            let reachable = link.is_some() || store.plan_has(id, Kind::Create)?;
            let hidden = link.as_ref().is_some_and(|l| l.hidden) && !store.plan_has(id, Kind::Reactivate)?;
            let inside = link.is_some_and(|l| read.contains(&l.target_id) || pushed.contains(&id));
            let member = Member { source_key: key.clone(), who: who.clone(), id };
            out.push(MemberNow { member, reachable, hidden, inside });
        }
        Ok(out)
    }

    fn keep(&self, store: &Store, stop: &Stop, lines: &[i64], members: bool, done: &Undo) -> Result<(), StateError> {
        for change in &done.changes {
            store.plan_add(change)?;
            if let Some(why) = protected(&self.sync, change) {
                store.plan_hold_last(&why)?;
            }
        }
        for parked in &done.left {
            store.plan_park(parked)?;
        }
        if stop.id > 0 {
            store.undone_add(self.row.id, stop.id, &done.holds, self.undoes, self.cycle)?;
        }
        store.undo_note(lines, stop.id, members, done.left.is_empty(), done.unlink)
    }
}

fn is_membership(kind: Kind) -> bool {
    matches!(kind, Kind::MembersAdd | Kind::MembersRemove)
}
