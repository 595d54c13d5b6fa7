//! Both sides, read and worked out, for whoever plans something of its own on them: a migration of user IDs.

use super::matched::first_hits;
use super::{Cycle, CycleError, Look, Request, blocking};
use crate::apply;
use crate::config::SyncConfig;
use crate::mapping::Mapper;
use crate::model::{Entry, Flat, ObjectKind};
use crate::observe::Progress;
use crate::plan::matching::{self, Match, Person};
use crate::state::standing::Dirty;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::{Dialect, TargetReader};
use std::sync::Arc;

impl Cycle {
    /// Reads the source in full, with these attributes besides the mapping's, and works out how everybody stands. What an
    /// interrupted cycle sent is looked up before.
    ///
    /// # Errors
    /// Source, target or state store failed; there is no room for newcomers.
    pub(crate) async fn read_people(&self, store: Store, row: &SyncRow, further: &[&str]) -> (Store, Result<(), CycleError>) {
        let (store, read) = self.read_once(store, row, None, further).await;
        let mut read = match read {
            Ok(read) => read,
            Err(e) => return (store, Err(e)),
        };
        if let Some(e) = read.no_room.take() {
            return (store, Err(e.into()));
        }
        if !read.full {
            let e = CycleError::Config(format!("sync {}: its source gave no complete read", self.sync.name));
            return (store, Err(e));
        }
        let request = Request { full: true, by_hand: true, ..Request::default() };
        let work = self.decision(row, &request, &self.undiscovered, Look::Everything, &read);
        blocking(store, move |store| work.evaluate(store)).await
    }

    /// Reads the target's accounts into the temporary database, after a look whether it is the right target; returns how
    /// it speaks today.
    ///
    /// # Errors
    /// Target or state store failed; it is not the target that the links belong to.
    pub(crate) async fn read_accounts(&self, store: Store, row: &SyncRow) -> (Store, Result<Dialect, CycleError>) {
        let (store, recognised) = self.check_identity(store, row).await;
        if let Err(e) = recognised {
            return (store, Err(e));
        }
        let (store, dialect) = self.discover(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        let (store, listed) = self.list_accounts(store, &dialect).await;
        (store, listed.map(|()| dialect))
    }

    /// Reads the target's accounts into the temporary database, in place of what is there.
    ///
    /// # Errors
    /// Target or state store failed.
    pub(crate) async fn list_accounts(&self, store: Store, dialect: &Dialect) -> (Store, Result<(), CycleError>) {
        if let Err(e) = store.remote_clear() {
            return (store, Err(e.into()));
        }
        let (store, listed) = self.list(store, &self.target.reader(dialect), ObjectKind::User).await;
        let ended = store.remote_end().map_err(CycleError::from);
        (store, listed.and(ended))
    }

    /// What an interrupted cycle may have sent is looked up at the target.
    ///
    /// # Errors
    /// Target or state store failed.
    pub(crate) async fn look_up_interrupted(&self, store: Store, row: &SyncRow) -> (Store, Result<(), CycleError>) {
        self.recover(store, row, 0).await
    }

    /// The account that the match rules of the sync give a person, among those that were read: a cycle adopts this one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn matched(
        &self,
        store: &Store,
        (sync, entry): (i64, i64),
        who: &Person<'_>,
        desired: &Flat,
    ) -> Result<Match, StateError> {
        let whose = (sync, who.object, entry, who.source_key);
        let found = first_hits(store, whose, &self.sync.matching.users, desired, who.legacy, &|_| Ok(()))?;
        Ok(found.map_or(Match::None, |(criterion, hits)| matching::judge(who, &criterion, &hits)))
    }

    /// What carries out the plan in the store, under the cycle of this number.
    pub(crate) fn job_of(&self, row: &SyncRow, cycle: i64, dialect: &Dialect, progress: Arc<dyn Progress>) -> apply::Job {
        self.job(row.id, cycle, dialect, progress)
    }

    /// Requests in flight.
    pub(crate) fn concurrency(&self) -> usize {
        self.target.concurrency()
    }

    pub(crate) fn config(&self) -> &SyncConfig {
        &self.sync
    }

    /// Which directory it reads.
    pub(crate) fn source_identity(&self) -> &str {
        &self.source_identity
    }

    pub(crate) fn mapper(&self) -> &Arc<Mapper> {
        &self.mapper
    }

    pub(crate) fn reader(&self, dialect: &Dialect) -> TargetReader {
        self.target.reader(dialect)
    }

    pub(crate) fn progress(&self) -> &Arc<dyn Progress> {
        &self.progress
    }

    pub(crate) fn stop(&self) -> &apply::Stop {
        &self.stop
    }

    /// Disabled at the source when the cycle was made.
    pub(crate) fn disables(&self, entry: &Entry) -> bool {
        let flipped = entry.due.is_some_and(|d| d <= self.now);
        self.sync.scope.disabled_is_inactive && (entry.disabled != flipped)
    }
}

/// Calls `f` for every person of a sync whose entry is there, after [`Cycle::read_people`].
///
/// # Errors
/// The store cannot be read.
pub(crate) fn each_person<E: From<crate::state::StateError>>(
    store: &Store,
    sync: i64,
    mut f: impl FnMut(Dirty) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = 0;
    loop {
        let batch = store.dirty(sync, ObjectKind::User, after, super::evaluate::BATCH)?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = last.id;
        for person in batch {
            f(person)?;
        }
    }
}
