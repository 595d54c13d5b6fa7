//! The cycle: lock -> recover -> read -> scope and map -> plan -> guard -> apply -> commit -> report.

mod accounts;
mod apart;
mod both_sides;
mod by_hand;
mod clock;
mod decide;
mod drift;
mod error;
mod evaluate;
mod explain;
mod explain_find;
mod explain_why;
mod identity;
mod judge;
mod matched;
mod preset;
mod provision;
mod read;
mod recover;
mod references;
mod rehire;
mod relink;
mod remote;
mod remote_members;
mod report;
mod room;
mod scope_counts;
mod singly;
mod source_identity;
mod timing;
mod undo;
pub(crate) mod userids;

pub use accounts::{Account, Class, Listed};
pub(crate) use both_sides::each_person;
pub use by_hand::{Hand, HandError, Linked};
pub use error::CycleError;
pub use explain::{Explanation, Found, Members, Step};
pub use relink::{Apply, Relinked};
pub(crate) use remote::keep;
pub use report::{DriftItem, HeldItem, ParkedItem, Planned, Report, Reviewed};
pub use scope_counts::ScopeCounts;

use crate::apply;
use crate::config::{Config, GroupPush, SyncConfig};
use crate::mapping::{Mapper, Spec};
use crate::observe::Progress;
use crate::source::{self, Source};
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::presets::Preset;
use crate::target::{self, Dialect, Requests, Target};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use timing::Way;

/// How a cycle or plan is to be made.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Read everything, even where an incremental read would do.
    pub full: bool,
    /// Read the target too.
    pub verify: bool,
    /// Somebody asked for it now: parked records are tried at once.
    pub by_hand: bool,
    /// Apply exactly this plan, or nothing.
    pub expect: Option<Reviewed>,
    /// When the next cycle would begin: joiners, updates and groups that are not written by then are left to it, so that
    /// whoever leaves meanwhile waits for none of them.
    pub until: Option<Instant>,
}

/// Everything a cycle works with.
pub struct Cycle {
    /// The sync.
    pub sync: Arc<SyncConfig>,
    mapper: Arc<Mapper>,
    source: Box<dyn Source>,
    target: Target,
    preset: Arc<Preset>,
    /// Dialect before discovery: preset and configuration.
    undiscovered: Dialect,
    apart: Arc<Vec<apart::Apart>>,
    /// The target's URL, as it is stored with the links.
    address: String,
    /// Which directory is read, as it is stored with the entries.
    source_identity: String,
    /// The target was seen to be the one that the links belong to.
    recognised: AtomicBool,
    /// For how long journal, cycles and gone entries are kept, seconds.
    keep: i64,
    /// Every sync of the configuration.
    configured: Vec<String>,
    flatten: bool,
    progress: Arc<dyn Progress>,
    now: i64,
    /// Asked to stop: writes in flight are finished, no new one is begun.
    stop: apply::Stop,
}

impl Cycle {
    /// Compiles the mapping and builds source and target. No I/O but for files the configuration names.
    ///
    /// # Errors
    /// Mistakes in mapping or scope; secrets or files that cannot be read.
    pub fn new(config: &Config, sync: &SyncConfig, progress: Arc<dyn Progress>, stop: apply::Stop) -> Result<Self, CycleError> {
        Self::as_of(config, sync, progress, stop, None)
    }

    /// The same with another time for `Now` in the mapping (unix second): that of the plan which is carried out.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn as_of(
        config: &Config,
        sync: &SyncConfig,
        progress: Arc<dyn Progress>,
        stop: apply::Stop,
        time: Option<i64>,
    ) -> Result<Self, CycleError> {
        let missing = |what: &str| CycleError::Config(format!("sync {}: {what}", sync.name));
        config.exposed(sync).map_or(Ok(()), |why| Err(missing(&why)))?;
        let source_config = config.sources.get(&sync.source).ok_or_else(|| missing("its source is not configured"))?;
        let target_config = config.targets.get(&sync.target).ok_or_else(|| missing("its target is not configured"))?;
        let preset = target::presets::find(&target_config.preset).ok_or_else(|| missing("its preset is not known"))?;
        let now = jiff::Timestamp::now().as_second();
        let spec = Spec { now: Some(time.unwrap_or(now)), ..sync.mapping_spec() };
        let mapper = Mapper::compile(&spec, preset.map_user, preset.map_group)
            .map_err(|errors| CycleError::Config(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        Ok(Self {
            mapper: Arc::new(mapper),
            source: source::build(&sync.source, source_config)?,
            target: Target::new(&sync.target, target_config)?,
            undiscovered: target::dialect::configured(preset.dialect.clone(), target_config),
            apart: Arc::new(apart::Apart::of(config, sync, &preset)),
            preset: Arc::new(preset),
            address: identity::address(&target_config.url),
            source_identity: source_identity::of(source_config),
            recognised: AtomicBool::new(false),
            keep: i64::try_from(config.state.keep.as_secs()).unwrap_or(i64::MAX),
            configured: config.syncs.iter().map(|s| s.name.clone()).collect(),
            flatten: source_config.flattens(),
            sync: Arc::new(sync.clone()),
            progress,
            now,
            stop,
        })
    }

    /// Makes the plan on a private copy of the state store. There is no object here that could write at the target, and
    /// nothing is stored.
    ///
    /// # Errors
    /// Source, target or state store failed.
    pub async fn plan(&self, state: &std::path::Path, request: &Request) -> Result<Planned, CycleError> {
        let mut store = Store::scratch(state)?;
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let (store, recovered) = self.recover(store, &row, 0).await;
        match recovered {
            // A plan of what the directory says can be made all the same.
            Err(CycleError::Target(e)) if e.fault.is_retryable() => {
                tracing::warn!(
                    sync = self.sync.name,
                    "what an interrupted cycle sent cannot be looked up, the plan is made without: {e}"
                );
            }
            recovered => recovered?,
        }
        let (store, made) = self.make_plan(store, &row, request).await;
        let made = made?;
        if let Some(e) = made.no_room {
            return Err(e.into());
        }
        Ok(Planned {
            store,
            sync: self.sync.name.clone(),
            sync_id: row.id,
            full: made.full,
            verify: made.look == Look::Everything,
            at: self.mapper.depends_on_time().then_some(self.now),
            changed: self.changed(&row),
            redacted: self.mapper.redacted(),
        })
    }

    /// Runs one cycle. The caller holds the cycle lock.
    pub async fn run(&self, mut store: Store, request: &Request) -> (Store, Report) {
        let began = Instant::now();
        let mut report = Report::new(&self.sync.name);
        store.mind_room();
        let begun = self.begin(&mut store, &mut report);
        let row = match begun.and_then(|row| store.answer_asked(row.id).map(|()| row)) {
            Ok(row) => row,
            Err(e) => return (store, report.failed(&e.into(), began)),
        };
        let (mut store, done) = self.steps_in_room(store, &row, request, &mut report).await;
        let report = self.end(&mut store, report, done, began);
        store.settle_room();
        if report.error.is_none() {
            store = self.tidy(store).await;
        }
        (store, report)
    }

    /// Puts a cycle on record, whatever it is going to do.
    fn begin(&self, store: &mut Store, report: &mut Report) -> Result<SyncRow, StateError> {
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        report.cycle = store.cycle_begin(row.id, self.now)?;
        Ok(row)
    }

    /// Puts on record what it came to.
    fn end(&self, store: &mut Store, mut report: Report, done: Result<(), CycleError>, began: Instant) -> Report {
        report.requests = self.target.requests();
        let report = match done {
            Ok(()) => report.finished(began),
            Err(e) => report.failed(&e, began),
        };
        match report.save(store, self.clock()) {
            Ok(()) => report,
            Err(e) => report.failed(&e.into(), began),
        }
    }

    /// The cycle itself, in the order of its name.
    async fn steps(
        &self,
        store: Store,
        row: &SyncRow,
        request: &Request,
        report: &mut Report,
    ) -> (Store, Result<(), CycleError>) {
        // What was asked for, until it is known how it was read.
        report.read = request.full || row.cursor.is_none();
        let begun = Instant::now();
        let (store, recovered) = self.timed("recover", self.recover(store, row, report.cycle)).await;
        if let Err(e) = recovered {
            return (store, Err(e));
        }
        let (store, made) = self.make_plan(store, row, request).await;
        let made = match made {
            Ok(made) => made,
            Err(e) => return (store, Err(e)),
        };
        (report.read, report.has_read) = (made.full, true);
        if let Err(e) = report::expected(&store, row.id, request.expect.as_ref(), &self.mapper.redacted()) {
            return (store, Err(e));
        }
        if let Err(e) = remote::adoptions_begin(&store, row) {
            return (store, Err(e.into()));
        }
        let until = room::until(&store, request, row, &made, begun);
        let listed = made.look != Look::Away;
        let way = Way { until, groups_listed: listed, users_listed: listed, ..Way::default() };
        let (mut store, applied) = self.timed("apply", self.apply(store, row, report.cycle, way)).await;
        let began = Instant::now();
        let outcome = applied.and_then(|applied| self.commit(&mut store, row, &made, applied, report));
        self.took("commit", began);
        let outcome = outcome.and_then(|()| made.no_room.map_or(Ok(()), |e| Err(e.into())));
        self.warn(&store, row, report);
        // Logged when it was read.
        report.warnings.extend(made.warnings);
        if made.distrust_clock {
            report.warnings.push(clock::WARNING.to_owned());
        }
        // What could be worked out is reported even where the target failed half-way.
        if let Err(e) = report.take(&store, row.id) {
            return (store, outcome.and(Err(e.into())));
        }
        (store, outcome)
    }

    /// read -> scope and map -> plan -> guard. Writes the state store (or its private copy) and nothing else.
    async fn make_plan(&self, store: Store, row: &SyncRow, request: &Request) -> (Store, Result<Made, CycleError>) {
        let (store, read) = self.timed("read", self.read(store, row, request)).await;
        let read = match read {
            Ok(read) => read,
            Err(e) => return (store, Err(e)),
        };
        let (store, recognised) = self.notice_another_target(store, row).await;
        if let Err(e) = recognised {
            return (store, Err(e));
        }
        let look = match self.look(&store, row, request) {
            Ok(look) => look,
            Err(e) => return (store, Err(e.into())),
        };
        let (store, dialect) = self.timed("observe", self.observe(store, row, look)).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        let (store, distrust_clock) = self.distrusts_clock(store, row, &dialect, &read).await;
        let distrust_clock = match distrust_clock {
            Ok(distrust) => distrust,
            Err(e) => return (store, Err(e)),
        };
        let fingerprint = self.fingerprint(&dialect);
        let work = evaluate::Work { distrust_clock, ..self.decision(row, request, &dialect, look, &read) };
        let plan = blocking(store, move |store| {
            work.evaluate(store)?;
            let unconverted = work.unconverted(store)?;
            if unconverted.is_empty() {
                work.decide(store)?;
            }
            let read::Read { full, names_everybody, no_room, mut warnings, .. } = read;
            let distrust = work.judge(store, &mut warnings)?;
            let made = Made { full, names_everybody, look, distrust, distrust_clock, fingerprint, no_room, warnings };
            Ok((made, unconverted))
        });
        let (store, made) = self.timed("plan", plan).await;
        let made = made.and_then(|(made, left)| self.all_converted(&left).map(|()| made));
        (store, made)
    }

    /// Carries the plan out.
    async fn apply(&self, store: Store, row: &SyncRow, cycle: i64, way: Way) -> (Store, Result<apply::Applied, CycleError>) {
        match store.plan_open() {
            Ok(0) => return (store, Ok(apply::Applied::default())),
            Ok(_) => {}
            Err(e) => return (store, Err(e.into())),
        }
        let (store, checked) = self.check_identity(store, row).await;
        if let Err(e) = checked {
            return (store, Err(e));
        }
        let (store, dialect) = self.dialect(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        let Way { undoing, groups_listed, users_listed, until } = way;
        let job = apply::Job {
            undoing,
            groups_listed,
            users_listed,
            until,
            ..self.job(row.id, cycle, &dialect, Arc::clone(&self.progress))
        };
        self.recall(&store);
        let (store, applied) = apply::run(store, job).await;
        self.remember(&store);
        (store, applied.map_err(CycleError::from))
    }

    fn job(&self, sync: i64, cycle: i64, dialect: &Dialect, progress: Arc<dyn Progress>) -> apply::Job {
        apply::Job {
            sync,
            name: self.sync.name.clone(),
            cycle,
            target: self.sync.target.clone(),
            reader: self.target.reader(dialect),
            writer: self.target.writer(dialect),
            legacy: self.legacy(),
            match_users: self.sync.matching.users.clone(),
            match_groups: self.sync.matching.groups.clone(),
            concurrency: self.target.concurrency(),
            members_per_request: dialect.members_per_patch,
            user_name_immutable: dialect.user_name_immutable,
            users_updated: self.sync.actions.user_update,
            groups_updated: dialect.group_update && self.sync.groups.push == GroupPush::Full,
            groups_listed: false,
            users_listed: false,
            groups_made: self.makes_groups(dialect),
            groups_made_once: self.sync.groups.push == GroupPush::CreateOnly,
            group_name_exact: dialect.group_name_exact,
            undoing: false,
            progress,
            stop: self.stop.clone(),
            until: None,
        }
    }

    /// Results are in journal and links already; here the cycle as a whole is put on record.
    fn commit(
        &self,
        store: &mut Store,
        row: &SyncRow,
        made: &Made,
        applied: apply::Applied,
        report: &Report,
    ) -> Result<(), CycleError> {
        let now = self.clock();
        store.absorb_members()?;
        store.log_open(row.id, report.cycle, now)?;
        store.save_held(row.id, now)?;
        store.save_parked(row.id, now)?;
        store.settle(row.id)?;
        applied.look_again.iter().try_for_each(|entry| store.mark(*entry))?;
        if made.look != Look::Away {
            store.defer_adoptions(row.id, now)?;
        }
        // What a grace period delays is not in this plan, and would be held if it were.
        let grace = i64::try_from(self.sync.actions.deactivate_after.as_secs()).unwrap_or(i64::MAX);
        let doubtful = made.distrust.read || made.distrust.groups;
        let keeps_back = doubtful
            && (store.plan_keeps_back(self.another_source(row).as_deref())?
                || store.has_gone_in_grace(row.id, self.now.saturating_sub(grace))?);
        // Whoever approves all that a doubtful read takes away has accepted it, whichever cycle carries that out.
        if (made.names_everybody || doubtful) && made.no_room.is_none() {
            let (users, groups) = store.count_present(row.id)?;
            if !keeps_back {
                store.set_baseline(row.id, users, groups)?;
                store.accept_seen(row.id)?;
                self.accept_source(store, row, now)?;
            } else if made.names_everybody && !made.distrust.read {
                // It is the groups that are doubted: people are counted by it all the same.
                store.set_baseline(row.id, users, row.baseline_groups.unwrap_or(groups))?;
            }
        }
        if let Some(error) = applied.stopped_by {
            return Err(error.into());
        }
        if applied.interrupted {
            return Err(CycleError::Interrupted { open: store.plan_open()? });
        }
        // What was left is worked out and matched as now.
        if made.no_room.is_some() || applied.gave_way {
            return Ok(());
        }
        store.set_fingerprint(row.id, &made.fingerprint)?;
        if made.look == Look::Everything {
            store.set_verified(row.id, now)?;
            if row.adopted_at.is_none() || row.restored_at.is_some() {
                store.set_adopted(row.id, now)?;
            }
        }
        Ok(())
    }

    fn legacy(&self) -> apply::Legacy {
        let mapper = Arc::clone(&self.mapper);
        Arc::new(move |entry| mapper.legacy_external_ids(entry))
    }

    fn clock(&self) -> i64 {
        jiff::Timestamp::now().as_second()
    }

    /// Requests sent to the target so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.target.requests()
    }
}

/// What making a plan came to.
#[derive(Debug)]
struct Made {
    full: bool,
    names_everybody: bool,
    look: Look,
    /// What everyone was worked out with; kept when the plan was carried out.
    fingerprint: String,
    /// What of the read cannot be trusted: what it takes away is held.
    distrust: judge::Distrust,
    /// Nothing is removed by the clock.
    distrust_clock: bool,
    /// There was no room for newcomers.
    no_room: Option<StateError>,
    /// What the source wants known, and why it is not trusted.
    warnings: Vec<String>,
}

/// How far the target is read before anything is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Not at all.
    Away,
    /// To see whose accounts there are; linked ones are taken as last pushed.
    Matches,
    /// Linked ones too: what differs from what was pushed is noticed.
    Everything,
}

/// Runs `f` on a blocking thread that owns the store meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(
    mut store: Store,
    f: impl FnOnce(&mut Store) -> Result<T, StateError> + Send + 'static,
) -> (Store, Result<T, CycleError>) {
    let task = tokio::task::spawn_blocking(move || {
        let out = f(&mut store);
        (store, out)
    });
    match task.await {
        Ok((store, out)) => (store, out.map_err(CycleError::from)),
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}
