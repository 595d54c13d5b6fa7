//! report: what a cycle or plan came to, in the shapes of the JSON documents.

use super::CycleError;
use crate::exit::Exit;
use crate::mapping::Changed;
use crate::model::{ObjectKind, TargetId};
use crate::plan::digest::{Digest, Shown};
use crate::plan::{Counts, Kind, render};
use crate::state::held::HeldRow;
use crate::state::parked::ParkedRow;
use crate::state::plan_drift::DriftRow;
use crate::state::{StateError, Store};
use crate::target::Requests;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A held change in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldItem {
    /// Kind of change.
    pub kind: String,
    /// Whom it concerns.
    pub who: String,
    /// Its source key.
    pub source_key: String,
    /// Why it is held.
    pub reason: String,
}

impl From<HeldRow> for HeldItem {
    fn from(r: HeldRow) -> Self {
        Self { kind: r.kind, who: r.who, source_key: r.key, reason: r.reason }
    }
}

/// A parked record in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedItem {
    /// Whom it concerns.
    pub who: String,
    /// Its source key.
    pub source_key: String,
    /// Kind of the change that is parked.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub advice: String,
}

impl From<ParkedRow> for ParkedItem {
    fn from(r: ParkedRow) -> Self {
        Self { who: r.who, source_key: r.key, kind: r.kind, reason: r.reason, advice: r.advice }
    }
}

/// A value that somebody changed at the target and that is left alone (`drift = "report"`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftItem {
    /// Whom it concerns.
    pub who: String,
    /// `user` or `group`.
    pub object: String,
    /// Its source key.
    pub source_key: String,
    /// SCIM path.
    pub path: String,
    /// What is there; of members those whom we did not put in.
    pub from: Value,
    /// What was pushed, and would be put back; of members those who are not there any more.
    pub to: Value,
}

impl From<DriftRow> for DriftItem {
    fn from(r: DriftRow) -> Self {
        let d = r.difference;
        Self { who: r.who, object: r.object, source_key: r.key, path: d.path, from: d.there, to: d.pushed }
    }
}

/// Values that differ at the target and are listed in a report; `plan --verify` lists all.
const DRIFT_LISTED: u32 = 1000;

/// The error of a failed cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorItem {
    /// `source`, `target`, `state`, `configuration`, `locked`, `moved`.
    pub kind: &'static str,
    /// What happened and what to do.
    pub message: String,
}

/// Requests in a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests that read.
    pub read: u64,
    /// Requests that write.
    pub write: u64,
    /// Requests sent again.
    pub retried: u64,
}

/// What a cycle came to: one element of `cycles`.
#[derive(Debug, Clone)]
pub struct Report {
    /// The sync.
    pub sync: String,
    /// Number of the cycle, unique in the state store; 0 where none began.
    pub cycle: i64,
    /// What it was instead of a cycle of the whole sync (`undo`, `explain`): it says nothing of how the sync is.
    pub aside: Option<&'static str>,
    /// The read was a full one, or was to be.
    pub read: bool,
    /// The directory was read, to its end.
    pub has_read: bool,
    /// What was carried out.
    pub counts: Counts,
    /// Requests sent.
    pub requests: Requests,
    /// What waits for approval.
    pub held: Vec<HeldItem>,
    /// What cannot be done now.
    pub parked: Vec<ParkedItem>,
    /// What somebody changed at the target and is left alone: the first of it.
    pub drift: Vec<DriftItem>,
    /// What somebody ought to know, although nothing failed.
    pub warnings: Vec<String>,
    /// Why it failed as a whole.
    pub error: Option<ErrorItem>,
    /// The exit code.
    pub exit: Exit,
    /// Milliseconds.
    pub duration_ms: u128,
}

impl Report {
    pub(super) fn new(sync: &str) -> Self {
        Self {
            sync: sync.to_owned(),
            cycle: 0,
            aside: None,
            read: false,
            has_read: false,
            counts: Counts::default(),
            requests: Requests::default(),
            held: Vec::new(),
            parked: Vec::new(),
            drift: Vec::new(),
            warnings: Vec::new(),
            error: None,
            exit: Exit::Done,
            duration_ms: 0,
        }
    }

    /// Of something that is no cycle of the whole sync.
    pub(super) fn aside(sync: &str, what: &'static str) -> Self {
        Self { aside: Some(what), ..Self::new(sync) }
    }

    /// A cycle that could not even begin.
    #[must_use]
    pub fn not_begun(sync: &str, e: &CycleError) -> Self {
        Self::new(sync).failed(e, Instant::now())
    }

    /// `ok`, `parked`, `held` or `failed`.
    #[must_use]
    pub fn result(&self) -> &'static str {
        match (&self.error, self.held.is_empty(), self.parked.is_empty()) {
            (Some(_), _, _) => "failed",
            (None, false, _) => "held",
            (None, true, false) => "parked",
            (None, true, true) => "ok",
        }
    }

    pub(super) fn failed(mut self, e: &CycleError, began: Instant) -> Self {
        self.exit = e.exit();
        let kind = if matches!(e, CycleError::Interrupted { .. }) { "interrupted" } else { e.exit().kind() };
        self.error = Some(ErrorItem { kind, message: e.to_string() });
        self.duration_ms = began.elapsed().as_millis();
        self
    }

    pub(super) fn finished(mut self, began: Instant) -> Self {
        self.exit = match self.result() {
            "held" => Exit::Held,
            "parked" => Exit::Parked,
            _ => Exit::Done,
        };
        self.duration_ms = began.elapsed().as_millis();
        self
    }

    /// Takes counts, held and parked from the plan that was carried out.
    pub(super) fn take(&mut self, store: &Store, sync: i64) -> Result<(), StateError> {
        self.counts = store.plan_counts(sync, true)?;
        self.held = store.plan_held_rows()?.into_iter().map(Into::into).collect();
        self.parked = store.plan_parked()?.into_iter().map(Into::into).collect();
        self.drift.clear();
        store.plan_drift_each(Some(DRIFT_LISTED), |row| {
            self.drift.push(row.into());
            Ok::<(), StateError>(())
        })
    }

    /// Takes what would be carried out, held and parked from a plan that is only looked at.
    pub(super) fn foresee(&mut self, store: &Store, sync: i64) -> Result<(), StateError> {
        self.take(store, sync)?;
        self.counts = store.plan_counts(sync, false)?;
        Ok(())
    }

    pub(super) fn save(&self, store: &mut Store, now: i64) -> Result<(), StateError> {
        if self.cycle == 0 {
            return Ok(());
        }
        // Numbers only: who is held or parked stands in tables of its own.
        let report = serde_json::json!({
            "counts": self.counts, "held": self.held.len(), "parked": self.parked.len(), "error": self.error,
            "duration_ms": u64::try_from(self.duration_ms).unwrap_or(u64::MAX), "aside": self.aside,
        });
        let report = report.to_string();
        store.cycle_end(self.cycle, self.result(), &report, now)
    }
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut m = s.serialize_map(Some(12))?;
        m.serialize_entry("sync", &self.sync)?;
        m.serialize_entry("cycle", &self.cycle)?;
        m.serialize_entry("result", self.result())?;
        // Where nothing began, nothing was to be read either.
        let read = if self.read { "full" } else { "incremental" };
        m.serialize_entry("read", &(self.cycle > 0 || self.has_read).then_some(read))?;
        m.serialize_entry("counts", &self.counts)?;
        let r = self.requests;
        m.serialize_entry("requests", &RequestCounts { read: r.read, write: r.write, retried: r.retried })?;
        m.serialize_entry("held", &self.held)?;
        m.serialize_entry("parked", &self.parked)?;
        m.serialize_entry("drift", &self.drift)?;
        m.serialize_entry("warnings", &self.warnings)?;
        m.serialize_entry("error", &self.error)?;
        m.serialize_entry("duration_ms", &self.duration_ms)?;
        m.end()
    }
}

/// A plan that was made, on its private copy of the state store.
#[derive(Debug)]
pub struct Planned {
    /// The copy that holds the plan.
    pub store: Store,
    /// The sync.
    pub sync: String,
    /// Its row in the copy.
    pub sync_id: i64,
    /// The read was a full one.
    pub full: bool,
    /// The target was read.
    pub verify: bool,
    /// Unix second at which it was made, where a mapping tells or compares the time.
    pub at: Option<i64>,
    /// What the configuration changed since the last cycle.
    pub changed: Changed,
    /// Paths whose values are not shown.
    pub redacted: BTreeSet<String>,
}

impl Planned {
    /// Whether the row of this path is another one than in the last cycle.
    #[must_use]
    pub fn is_remapped(&self, object: ObjectKind, path: &str) -> bool {
        let rows = self.changed.rows(object);
        rows.contains(path) || path.split_once('[').is_some_and(|(name, _)| rows.contains(name))
    }

    /// The plan's name.
    ///
    /// # Errors
    /// The copy cannot be read.
    pub fn digest(&self) -> Result<String, StateError> {
        digest(&self.store)
    }

    /// What is planned.
    ///
    /// # Errors
    /// The copy cannot be read.
    pub fn counts(&self) -> Result<Counts, StateError> {
        self.store.plan_counts(self.sync_id, false)
    }

    /// What the guard would hold, per kind.
    ///
    /// # Errors
    /// The copy cannot be read.
    pub fn held(&self) -> Result<BTreeMap<Kind, u64>, StateError> {
        self.store.plan_held()
    }
}

/// The digest of the plan in the store.
pub(super) fn digest(store: &Store) -> Result<String, StateError> {
    let mut d = Digest::default();
    store.plan_each(|row| {
        d.add(&row.change);
        Ok::<(), StateError>(())
    })?;
    Ok(d.finish())
}

/// The name of what a document of the plan in the store shows, without the values that nobody is to see.
pub(super) fn shown(store: &Store, redacted: &BTreeSet<String>) -> Result<String, StateError> {
    let mut shown = Shown::default();
    store.plan_each(|row| {
        let c = render::masked(&row.change, redacted);
        let (from, to) = render::from_to(&c);
        shown.add(c.kind.as_str(), c.source_key.as_str(), c.target_id.as_ref().map(TargetId::as_str), from, to);
        Ok::<(), StateError>(())
    })?;
    Ok(shown.finish())
}

/// The plan that somebody reviewed.
#[derive(Debug, Clone)]
pub struct Reviewed {
    /// Its digest.
    pub digest: String,
    /// The name of what its document shows (see [`Shown`]).
    pub shown: String,
}

/// What may have changed a plan that was made before.
const SETTLED: &str = "the cycle before this one was interrupted, and what it had sent was looked up and booked; ";

/// `sync --plan`: the plan must be the reviewed one, and the document must show what it showed when it was made.
pub(super) fn expected(
    store: &Store,
    sync: i64,
    reviewed: Option<&Reviewed>,
    redacted: &BTreeSet<String>,
) -> Result<(), CycleError> {
    let Some(reviewed) = reviewed else { return Ok(()) };
    let now = digest(store)?;
    if reviewed.digest != now {
        let meanwhile = if store.follows_an_interruption(sync)? { SETTLED } else { "" };
        return Err(CycleError::Moved { reviewed: reviewed.digest.clone(), now, meanwhile });
    }
    if reviewed.shown == shown(store, redacted)? { Ok(()) } else { Err(CycleError::Altered) }
}
