//! read: entries into staging, hash and compare on another core, merged with the cursor when the read is complete.

use super::{Cycle, CycleError, Request};
use crate::model::{ObjectKind, Seal, Seals};
use crate::source::{Completeness, Cursor, Item, ReadDone, ReadRequest, SourceError};
use crate::state::known::Known;
use crate::state::merge::Merge;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store, hash};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// Batches between the socket and the store: enough to keep both busy, few enough to keep memory flat.
const BATCHES: usize = 4;

pub(super) use crate::source::MAX_SKEW;

/// Warnings of the source in a report; all of them are in the log.
const MOST_WARNINGS: usize = 20;

/// A read that is complete and merged.
#[derive(Debug)]
pub(super) struct Read {
    pub full: bool,
    /// Everybody was named, if only by key: who is missing is absent.
    pub names_everybody: bool,
    /// There was no room for newcomers: only what is known was merged, so that leavers do not wait. The cycle fails with it
    /// in the end.
    pub no_room: Option<StateError>,
    /// Clocks disagree by more than five minutes.
    pub distrust_clock: bool,
    /// What the source wants known, as far as a report has room.
    pub warnings: Vec<String>,
}

impl Cycle {
    pub(super) async fn read(&self, store: Store, row: &SyncRow, request: &Request) -> (Store, Result<Read, CycleError>) {
        // A cursor is of the directory that gave it, and knows nothing of attributes that nobody asked for before.
        // Without a measure for what a read lacks there has been no full read that was accepted.
        let fits = !request.full
            && row.baseline_users.is_some()
            && self.is_same_source(row)
            && row.cursor_of.as_ref() == Some(&self.wish());
        let since = row.cursor.clone().filter(|_| fits).map(Cursor);
        let incremental = since.is_some();
        let (store, out) = self.read_once(store, row, since, &[]).await;
        match out {
            Err(CycleError::Source(SourceError::CursorExpired { message, .. })) if incremental => {
                tracing::info!(sync = self.sync.name, "the cursor cannot be used any more ({message}); reading in full");
                self.read_once(store, row, None, &[]).await
            }
            other => (store, other),
        }
    }

    /// One read; `further` names attributes besides those that the mapping reads.
    pub(super) async fn read_once(
        &self,
        store: Store,
        row: &SyncRow,
        since: Option<Cursor>,
        further: &[&str],
    ) -> (Store, Result<Read, CycleError>) {
        let seals = Arc::new(LateSeals::default());
        let mut attributes = self.attributes();
        for name in further {
            // Names compare without case: of two spellings one is asked for.
            if !attributes.iter().any(|a| a.eq_ignore_ascii_case(name)) {
                attributes.insert((*name).to_owned());
            }
        }
        let incremental = since.is_some();
        let request = ReadRequest { since, attributes, groups: self.wants_groups(), seals: Some(seals.clone()) };
        let sync = row.id;
        match self
            .stage_read(store, sync, &request, move |store| {
                let late = SetOnDrop(&seals);
                let known = if incremental { store.known_when_asked(sync) } else { store.known(sync) };
                let known = seals.set(known);
                drop(late);
                known
            })
            .await
        {
            (store, Ok((known, done))) => self.merge(store, row, known, done).await,
            (store, Err(e)) => (store, Err(e)),
        }
    }

    /// Reads into staging; `known` says what is not staged because it is the same as before. Nothing is merged.
    pub(super) async fn stage_read(
        &self,
        store: Store,
        sync: i64,
        request: &ReadRequest,
        known: impl FnOnce(&Store) -> Result<Known, StateError> + Send + 'static,
    ) -> (Store, Result<(Known, ReadDone), CycleError>) {
        let (sink, batches) = mpsc::channel(BATCHES);
        self.progress.begin("reading the directory", None);
        let progress = Arc::clone(&self.progress);
        let full = request.since.is_none();
        let consumer = tokio::task::spawn_blocking(move || {
            let staged = known(&store).and_then(|known| stage(&store, sync, full, known, batches, &*progress));
            (store, staged)
        });
        let read = self.source.read(request, &sink).await;
        drop(sink);
        let (store, staged) = match consumer.await {
            Ok(out) => out,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        };
        self.progress.end();
        // A full store stops the source too: its error is the one to tell.
        let out = match (staged, read) {
            (Err(e), _) => Err(CycleError::State(e)),
            (Ok(_), Err(e)) => Err(CycleError::Source(e)),
            (Ok(known), Ok(done)) => match known.stranger() {
                None => Ok((known, done)),
                Some(key) => Err(CycleError::Source(SourceError::CursorExpired {
                    source_name: self.sync.source.clone(),
                    message: format!("it speaks of {key}, which is not known here"),
                })),
            },
        };
        match out {
            Err(e) => {
                let discarded = store.stage_discard();
                (store, Err(discarded.err().map_or(e, CycleError::State)))
            }
            Ok(read) => (store, Ok(read)),
        }
    }

    async fn merge(&self, store: Store, row: &SyncRow, known: Known, done: ReadDone) -> (Store, Result<Read, CycleError>) {
        let (reported, more) = done.warnings.split_at(done.warnings.len().min(MOST_WARNINGS));
        for warning in reported {
            tracing::warn!(target: crate::observe::REPORTED, sync = self.sync.name, "{warning}");
        }
        for warning in more {
            tracing::warn!(sync = self.sync.name, "{warning}");
        }
        if done.references > 0 {
            tracing::info!(sync = self.sync.name, references = done.references, "search references were counted, not followed");
        }
        let full = done.completeness == Completeness::Full;
        let names_everybody = done.completeness != Completeness::Incremental;
        let skew = done.clock_skew_s.or_else(|| self.target.clock_skew_s()).unwrap_or(0);
        let distrust_clock = skew.abs() > MAX_SKEW;
        if distrust_clock {
            tracing::warn!(
                sync = self.sync.name,
                skew_s = skew,
                "our clock and the server's disagree: nothing is removed by the clock"
            );
        }
        let (now, groups, sync) = (self.now, self.wants_groups(), row.id);
        let by_groups = !self.sync.scope.members_of.is_empty();
        let first = row.source_identity.is_none().then(|| self.source_identity.clone());
        // Of a directory that is not accepted nothing is kept to go on from, nor is there when the right one is back.
        let same = self.is_same_source(row);
        let cursor = done.cursor.filter(|_| same).map(|c| c.0);
        let cursor_of = self.wish();
        let parts: Vec<(String, bool)> = done.parts.into_iter().map(|p| (p.name, p.has_people)).collect();
        let warnings = bounded(done.warnings);
        super::blocking(store, move |store| {
            let absent = if names_everybody { Some(store.stage_absent(sync, &known, groups)?) } else { None };
            store.stage_end()?;
            // Not within the transaction of what is staged: what only read so far cannot begin to write beside another sync.
            if let Some(absent) = absent {
                store.note_doubt(sync, &known, &parts, absent)?;
            }
            drop(known);
            let read = Merge { full, cursor: cursor.as_deref(), cursor_of: &cursor_of, now, by_groups };
            let no_room = store.merge_as_room_allows(sync, read, same)?;
            if let Some(identity) = first {
                store.set_source_identity(sync, &identity)?;
            }
            Ok(Read { full, names_everybody, no_room, distrust_clock, warnings })
        })
        .await
    }

    /// What full reads ask of the source.
    #[must_use]
    pub fn asks_for(&self) -> ReadRequest {
        ReadRequest { since: None, attributes: self.attributes(), groups: self.wants_groups(), seals: None }
    }

    /// What a read is asked for, in one word: a cursor of another wish does not know everything that this one needs.
    fn wish(&self) -> String {
        let attributes: Vec<String> = self.attributes().iter().map(|a| a.to_lowercase()).collect();
        let wish = format!("{} {}", self.wants_groups(), attributes.join("\u{0}"));
        hash::of(wish.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// As [`crate::config::SyncConfig::wants_groups`].
    pub(super) fn wants_groups(&self) -> bool {
        self.sync.wants_groups() || self.apart.iter().any(super::apart::Apart::goes_by_groups)
    }
}

/// As many as a report has room for.
fn bounded(mut warnings: Vec<String>) -> Vec<String> {
    if warnings.len() > MOST_WARNINGS {
        let more = warnings.len() - MOST_WARNINGS;
        warnings.truncate(MOST_WARNINGS);
        warnings.push(format!("and {more} more of the source, in the log"));
    }
    warnings
}

/// What the store knows, on its way to the source: it is loaded while the source connects.
#[derive(Debug, Default)]
struct LateSeals(OnceLock<Option<Arc<dyn Seals>>>);

impl LateSeals {
    fn set(&self, known: Result<Known, StateError>) -> Result<Known, StateError> {
        // Nobody set it before.
        let _ = self.0.set(known.as_ref().ok().map(Known::seals));
        known
    }
}

/// Whatever happens while they are loaded, nobody waits for them for ever.
struct SetOnDrop<'a>(&'a LateSeals);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        // Set already, but for a panic.
        let _ = self.0.0.set(None);
    }
}

impl Seals for LateSeals {
    fn find(&self, kind: ObjectKind, key: &str, seal: &Seal) -> Option<usize> {
        self.0.wait().as_ref()?.find(kind, key, seal)
    }

    fn knows(&self, kind: ObjectKind, key: &str) -> bool {
        self.0.wait().as_ref().is_some_and(|known| known.knows(kind, key))
    }
}

fn stage(
    store: &Store,
    sync: i64,
    full: bool,
    mut known: Known,
    mut batches: mpsc::Receiver<Vec<Item>>,
    progress: &dyn crate::observe::Progress,
) -> Result<Known, StateError> {
    store.stage_begin()?;
    while let Some(batch) = batches.blocking_recv() {
        progress.step(batch.len() as u64);
        for item in batch {
            match item {
                Item::Present(entry) => {
                    store.stage(&mut known, &entry, None)?;
                }
                Item::Sealed(entry, seal) => {
                    store.stage(&mut known, &entry, Some(seal))?;
                }
                Item::Unchanged(place) => known.meet_unchanged(place),
                Item::Kept(kind, key) => {
                    if full && kind == ObjectKind::Group {
                        store.stage_unread(&key)?;
                    }
                    known.meet_kept(kind, key);
                }
                Item::Unidentified(kind, name) => store.stage_unidentified(sync, &mut known, kind, &name)?,
                Item::Changed(change) => store.stage_change(sync, &mut known, change)?,
                Item::Deleted(key) => store.stage_deleted(&mut known, &key)?,
                Item::Left(kind, key) => store.stage_left(&mut known, kind, &key)?,
            }
        }
    }
    known.answered()?;
    Ok(known)
}
