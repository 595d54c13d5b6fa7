//! `explain --apply`: the changes of one person or group, as a cycle of its own. The rest of what the read brought is left to
//! the next cycle.

use super::evaluate::Work;
use super::explain::Desk;
use super::{Cycle, CycleError, Look, Report, Request};
use crate::model::ObjectKind;
use crate::plan::Kind;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use std::time::Instant;

impl Cycle {
    /// Makes the changes of one entry, and of nobody else, under guard and journal. The caller holds the cycle lock.
    pub async fn provision(&self, store: Store, object: ObjectKind, key: &str) -> (Store, Report) {
        let began = Instant::now();
        let mut report = Report::aside(&self.sync.name, "explain");
        let mut store = store;
        let row = match self.begin(&mut store, &mut report) {
            Ok(row) => row,
            Err(e) => return (store, report.failed(&e.into(), began)),
        };
        let (mut store, done) = self.provision_steps(store, &row, object, key, &mut report).await;
        let report = self.end(&mut store, report, done, began);
        (store, report)
    }

    async fn provision_steps(
        &self,
        store: Store,
        row: &SyncRow,
        object: ObjectKind,
        key: &str,
        report: &mut Report,
    ) -> (Store, Result<(), CycleError>) {
        let (store, recovered) = self.recover(store, row, report.cycle).await;
        if let Err(e) = recovered {
            return (store, Err(e));
        }
        let (store, read) = self.read(store, row, &Request { by_hand: true, ..Request::default() }).await;
        let read = match read {
            Ok(read) => read,
            Err(e) => return (store, Err(e)),
        };
        (report.read, report.has_read) = (read.full, true);
        if self.preset.converts_user_ids && row.adopted_at.is_none() {
            let (application, sync) = (self.preset.application, &self.sync.name);
            return (
                store,
                Err(CycleError::WrongTarget(format!(
                    "{application} may still have accounts that are not named by email: run `scim-sync sync {sync}` first, which \
                     says so; nothing was written"
                ))),
            );
        }
        let (store, recognised) = self.notice_another_target(store, row).await;
        if let Err(e) = recognised {
            return (store, Err(e));
        }
        let (store, checked) = self.check_identity(store, row).await;
        if let Err(e) = checked {
            return (store, Err(e));
        }
        let (mut store, dialect) = self.dialect(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        let work = self.decision(row, &Request { by_hand: true, ..Request::default() }, &dialect, Look::Away, &read);
        let desk = Desk { work, reader: self.target.reader(&dialect), row: row.clone(), asks: true };
        let returns = match self.plan_one(&mut store, desk, object, key).await {
            Ok(returns) => returns,
            Err(e) => return (store, Err(e)),
        };
        let way = super::Way { groups_listed: true, ..super::Way::default() };
        let (mut store, applied) = self.apply(store, row, report.cycle, way).await;
        let outcome = applied.and_then(|applied| {
            let now = self.clock();
            if let Some(entry) = returns {
                back_to_groups(&mut store, entry)?;
            }
            store.absorb_members()?;
            store.log_open(row.id, report.cycle, now)?;
            store.save_open_of(row.id, now)?;
            if let Some(error) = applied.stopped_by {
                return Err(error.into());
            }
            if applied.interrupted { Err(CycleError::Interrupted { open: store.plan_open()? }) } else { Ok(()) }
        });
        if let Err(e) = report.take(&store, row.id) {
            return (store, outcome.and(Err(e.into())));
        }
        (store, outcome)
    }

    /// Returns who is not shown by the target, and is to be active again.
    async fn plan_one(
        &self,
        store: &mut Store,
        mut desk: Desk,
        object: ObjectKind,
        key: &str,
    ) -> Result<Option<i64>, CycleError> {
        desk.work.distrust_clock |= self.target.clock_skew_s().is_some_and(|skew| skew.abs() > super::read::MAX_SKEW);
        desk.work.evaluate(store)?;
        store.in_transaction(|store| desk.work.rehire(store))?;
        let key = crate::model::SourceKey(key.to_owned());
        let Some(id) = store.entry_of_key(desk.row.id, object, &key)? else { return Ok(None) };
        let Some(d) = store.standing(id)? else { return Ok(None) };
        if object == ObjectKind::Group {
            store.in_transaction(|store| desk.work.leavers(store))?;
        }
        (desk.work.observed, desk.work.compares) = (true, true);
        self.look_at(store, &desk, &d).await?;
        // Nothing of the others is left in a plan that is not judged.
        let Some(d) = store.standing(id)? else { return Ok(store.plan_clear().map(|()| None)?) };
        let hidden = d.link.as_ref().is_some_and(|l| l.hidden && !l.gone);
        store.in_transaction(|store| {
            desk.work.decide_one(store, object, d)?;
            // Its groups are looked at by the next cycle.
            store.mark_groups_of_flipped(self.flatten)?;
            store.mark(id)
        })?;
        let returns = hidden && store.plan_has(id, Kind::Reactivate)?;
        desk.work.judge_one(store, id)?;
        Ok(returns.then_some(id))
    }
}

/// Whether memberships outlasted the time in which the target did not show the account is not known: the next cycle puts it into
/// its groups again, as a cycle does that made it active itself.
fn back_to_groups(store: &mut Store, entry: i64) -> Result<(), StateError> {
    store.in_transaction(|store| {
        if store.link(entry)?.is_none_or(|l| l.hidden || l.gone || !l.active) {
            return Ok(());
        }
        store.groups_with(entry)?.into_iter().try_for_each(|(group, _)| {
            store.set_pushed_members(group, &[entry], false)?;
            store.mark(group)
        })
    })
}

impl Work {
    /// Decides about everybody who is to lose the account, as a cycle does: whoever keeps it, because the guard holds that,
    /// keeps the groups too.
    fn leavers(&self, store: &Store) -> Result<(), StateError> {
        self.undone.set(store.has_undone(self.row.id)?);
        let policy = self.user_policy();
        self.each(store, ObjectKind::User, |store, d| {
            let leaves = (d.gone || !d.in_scope || d.inactive) && d.link.as_ref().is_some_and(|l| !l.gone);
            if leaves { self.user(store, d, &policy) } else { Ok(()) }
        })?;
        store.mark_groups_of_flipped(self.flatten)
    }
}
