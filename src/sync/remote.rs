//! What the target holds: read by pages in a first or verifying cycle, not at all in others.

use super::singly::{Seen, Singly};
use super::{Cycle, CycleError, Look, Request};
use crate::model::{Fault, ObjectKind, TargetId};
use crate::plan::Kind;
use crate::state::remote::RemoteRow;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::{Dialect, Known, Remote, TargetError, TargetReader};
use tokio::sync::mpsc;

/// A dialect as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
struct Learned {
    /// Preset and address that it was learned of.
    of: String,
    dialect: Dialect,
    /// What speaking to it has taught since discovery; looked at anew after the next one.
    #[serde(default)]
    known: Known,
}

impl Cycle {
    /// Whether the target has to be read: in a first or verifying cycle, or the first after a restore; where other people or
    /// groups may take part than before, because the configuration changed; and where somebody's match could not be decided
    /// and it is time to look again. Whoever matches an account must not get a second one.
    pub(super) fn look(&self, store: &Store, row: &SyncRow, request: &Request) -> Result<Look, StateError> {
        if request.verify || row.adopted_at.is_none() || row.restored_at.is_some() {
            return Ok(Look::Everything);
        }
        let known = self.known_dialect(row).unwrap_or_else(|| self.undiscovered.clone());
        let changed = row.fingerprint.as_deref() != Some(self.fingerprint(&known).as_str());
        let due = if request.by_hand { i64::MAX } else { self.now };
        Ok(if changed || store.has_undone_adoption(row.id)? || store.adoptions_due(row.id, due)? {
            Look::Matches
        } else {
            Look::Away
        })
    }

    /// The dialect to work with; reads the target where asked.
    pub(super) async fn observe(&self, store: Store, row: &SyncRow, look: Look) -> (Store, Result<Dialect, CycleError>) {
        if look == Look::Away {
            return (store, Ok(self.known_dialect(row).unwrap_or_else(|| self.undiscovered.clone())));
        }
        let (store, checked) = self.check_identity(store, row).await;
        if let Err(e) = checked {
            return (store, Err(e));
        }
        let (store, dialect) = self.discover(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        if row.adopted_at.is_none() {
            for old in store.left_over_syncs(row.id, &self.configured).unwrap_or_default() {
                tracing::warn!(
                    "the state store has links to this target by the sync {old}, which is not configured. If it was renamed: scim-sync link rename {old} {}",
                    self.sync.name
                );
            }
        }
        let reader = self.target.reader(&dialect);
        let mut store = store;
        if let Err(e) = store.remote_clear() {
            return (store, Err(e.into()));
        }
        for kind in [ObjectKind::User, ObjectKind::Group] {
            if kind == ObjectKind::Group && !(dialect.groups && self.pushes_groups()) {
                continue;
            }
            let (back, mut listed) = self.list(store, &reader, kind).await;
            store = back;
            if kind == ObjectKind::Group && dialect.members_shown && listed.is_ok() {
                (store, listed) = self.read_members(store, row.id, &reader, look).await;
            }
            if let Err(e) = listed {
                let ended = store.remote_end();
                return (store, Err(ended.err().map_or(e, CycleError::State)));
            }
        }
        if let Err(e) = store.remote_end() {
            return (store, Err(e.into()));
        }
        if let Err(e) = self.note_shown(&store, row) {
            return (store, Err(e));
        }
        if look == Look::Matches {
            return (store, Ok(dialect));
        }
        let gone = self.confirm_gone(&mut store, row, &reader).await;
        (store, gone.map(|()| dialect))
    }

    /// The dialect as discovery said it last, else as it says now.
    pub(super) async fn dialect(&self, store: Store, row: &SyncRow) -> (Store, Result<Dialect, CycleError>) {
        let stored = match store.find_sync(&self.sync.name) {
            Ok(now) => now.and_then(|r| self.known_dialect(&r)).or_else(|| self.known_dialect(row)),
            Err(e) => return (store, Err(e.into())),
        };
        match stored {
            Some(dialect) => (store, Ok(dialect)),
            None => self.discover(store, row).await,
        }
    }

    /// What is stored, with the configuration's say on top. Another preset or address voids what was stored.
    pub(super) fn known_dialect(&self, row: &SyncRow) -> Option<Dialect> {
        self.stored(row).map(|stored| self.target.with_config(stored.dialect))
    }

    /// Takes up what earlier runs learned about the target.
    pub(super) fn recall(&self, store: &Store) {
        // As it is stored now: a discovery in this cycle has voided what was known.
        let row = store.find_sync(&self.sync.name).ok().flatten();
        if let Some(stored) = row.and_then(|row| self.stored(&row)) {
            self.target.recall(&stored.known);
        }
    }

    /// Keeps what was learned about the target. What cannot be kept is learned once more.
    pub(super) fn remember(&self, store: &Store) {
        let Ok(Some(row)) = store.find_sync(&self.sync.name) else { return };
        let Some(stored) = self.stored(&row) else { return };
        let known = self.target.known();
        if known == stored.known {
            return;
        }
        if let Ok(json) = serde_json::to_string(&Learned { known, ..stored })
            && let Err(e) = store.set_dialect(row.id, &json)
        {
            tracing::debug!(sync = self.sync.name, "what was learned about the target is not kept: {e}");
        }
    }

    fn stored(&self, row: &SyncRow) -> Option<Learned> {
        let stored: Learned = serde_json::from_str(row.dialect.as_deref()?).ok()?;
        (stored.of == self.speaker()).then_some(stored)
    }

    /// Whose dialect it is.
    fn speaker(&self) -> String {
        format!("{} at {}", self.preset.name, self.address)
    }

    pub(super) async fn discover(&self, store: Store, row: &SyncRow) -> (Store, Result<Dialect, CycleError>) {
        let found = match self.target.discover().await {
            Ok(found) => found,
            Err(e) => return (store, Err(e.into())),
        };
        let learned = Learned { of: self.speaker(), dialect: found.dialect.clone(), known: Known::default() };
        let saved = match serde_json::to_string(&learned) {
            Ok(json) => store.set_dialect(row.id, &json),
            Err(e) => Err(store.damaged(e.to_string())),
        };
        (store, saved.map(|()| found.dialect).map_err(CycleError::from))
    }

    pub(super) fn pushes_groups(&self) -> bool {
        let a = &self.sync.actions;
        a.group_create || a.group_update || a.group_delete || a.group_members
    }

    pub(super) async fn list(&self, store: Store, reader: &TargetReader, kind: ObjectKind) -> (Store, Result<(), CycleError>) {
        let (sink, mut pages) = mpsc::channel::<Vec<Remote>>(4);
        let label = if kind == ObjectKind::User { "reading the target's accounts" } else { "reading the target's groups" };
        self.progress.begin(label, None);
        let progress = std::sync::Arc::clone(&self.progress);
        let consumer = tokio::task::spawn_blocking(move || {
            let mut done = Ok(());
            while let Some(page) = pages.blocking_recv() {
                progress.step(page.len() as u64);
                done = page.iter().try_for_each(|r| keep(&store, kind, r));
                if done.is_err() {
                    break;
                }
            }
            (store, done)
        });
        let read = reader.list(kind, &sink).await;
        drop(sink);
        let (store, kept) = match consumer.await {
            Ok(out) => out,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        };
        self.progress.end();
        let out = match (kept, read) {
            (Err(e), _) => Err(CycleError::State(e)),
            (Ok(()), Err(e)) => Err(CycleError::Target(e)),
            (Ok(()), Ok(_)) => Ok(()),
        };
        (store, out)
    }

    /// Whether it means anything that one of these is not there under its id: where SCIM is switched off nobody is.
    pub(super) async fn serves(&self, reader: &TargetReader, kind: ObjectKind) -> Result<(), CycleError> {
        let doubt = TargetError::new(&self.sync.target, Fault::Gone, "not there under its id");
        Ok(reader.serves(kind, &TargetError { status: Some(404), ..doubt }).await?)
    }

    /// Where one who was taken to be hidden is shown inactive, the target hides nobody: a single 404 said so, or it was changed.
    fn note_shown(&self, store: &Store, row: &SyncRow) -> Result<(), CycleError> {
        let is_inactive = |id: TargetId, json: &str| {
            let there = serde_json::from_str(json).map(|json| Remote::of(id, json));
            there.is_ok_and(|there| there.shows("active", &serde_json::Value::Bool(false)))
        };
        if store.hidden_in_remote(row.id, &is_inactive)? {
            tracing::info!(
                sync = self.sync.name,
                "the target shows inactive accounts: none of them is taken to be hidden any more"
            );
            store.set_nobody_hidden(row.id)?;
        }
        Ok(())
    }

    /// Links whose account was not in the list: each is asked for by id before it is believed to be gone. Of one that cannot be
    /// read the link stays as it is.
    async fn confirm_gone(&self, store: &mut Store, row: &SyncRow, reader: &TargetReader) -> Result<(), CycleError> {
        let missing = store.links_not_in_remote(row.id)?;
        let mut singly = Singly::new(reader);
        // One request for each: a sign of life for each, too.
        self.progress.begin("asking for accounts that the list lacks", Some(missing.len() as u64));
        for (entry, kind, id) in missing {
            self.progress.step(1);
            if kind == ObjectKind::Group && !self.pushes_groups() {
                continue;
            }
            match singly.get(kind, &id).await? {
                Seen::Nowhere => store.set_link_unseen(row.id, entry)?,
                Seen::There(there) => keep(store, kind, &there)?,
                Seen::Unknown(_) => {}
            }
        }
        self.progress.end();
        Ok(())
    }
}

pub(crate) fn keep(store: &Store, kind: ObjectKind, r: &Remote) -> Result<(), StateError> {
    let name = match kind {
        ObjectKind::User => r.user_name(),
        ObjectKind::Group => r.display_name(),
    };
    let emails: Vec<String> =
        if kind == ObjectKind::User { r.emails().into_iter().map(str::to_owned).collect() } else { Vec::new() };
    let members = if kind == ObjectKind::Group { r.members() } else { Vec::new() };
    let json = match (&r.raw, members.is_empty()) {
        // Members have a table of their own; a group of 50,000 is not kept twice.
        (serde_json::Value::Object(o), false) => {
            let slim: serde_json::Map<_, _> =
                o.iter().filter(|(k, _)| !k.eq_ignore_ascii_case("members")).map(|(k, v)| (k.clone(), v.clone())).collect();
            serde_json::Value::Object(slim).to_string()
        }
        (raw, _) => raw.to_string(),
    };
    store.remote_add(&RemoteRow {
        kind,
        id: &r.id,
        name: name.unwrap_or_default(),
        external_id: r.external_id(),
        emails: &emails,
        members: &members,
        json: &json,
    })
}

/// Appended to what everyone was worked out with.
const ADOPTIONS_OPEN: &str = "\nnot everybody who matches an account is linked yet";

/// Some are about to be linked to accounts that are there. Until the cycle is committed the store says so: a cycle that follows on
/// an interrupted one looks at the target again, and makes nobody a second account.
pub(super) fn adoptions_begin(store: &Store, row: &SyncRow) -> Result<(), StateError> {
    match &row.fingerprint {
        Some(known) if store.plan_count(Kind::Adopt)? + store.plan_count(Kind::GroupAdopt)? > 0 => {
            store.set_fingerprint(row.id, &format!("{}{ADOPTIONS_OPEN}", known.trim_end_matches(ADOPTIONS_OPEN)))
        }
        _ => Ok(()),
    }
}

impl Cycle {
    /// `check --online`: what discovery says, without storing it.
    ///
    /// # Errors
    /// The target cannot be reached or refuses us.
    pub async fn look_at_target(&self) -> Result<Vec<(String, String)>, CycleError> {
        Ok(self.target.discover().await?.facts)
    }
}
