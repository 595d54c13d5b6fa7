//! What an earlier cycle sent and never learned the end of, and what this one must have on disk before it is in doubt itself.

use super::Task;
use super::outcome::Outcome;
use super::worker::Worker;
use crate::plan::{Change, Kind};
use crate::state::intents::SentTo;
use crate::state::{StateError, Store};
use std::collections::{HashMap, HashSet};

/// Writes of earlier cycles that may or may not have been carried out: by entry, when the earliest such cycle began (Unix second).
#[derive(Debug, Default)]
pub(super) struct Doubts {
    sent: HashMap<i64, i64>,
    /// Those of them that may have made an account.
    made: HashMap<i64, i64>,
    /// Entries for which an account that was there was about to be written.
    met: HashSet<i64>,
}

impl Doubts {
    /// What is open.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn open(store: &Store, sync: i64) -> Result<Self, StateError> {
        let mut out = Self::default();
        let earliest = |map: &mut HashMap<i64, i64>, entry, began: i64| {
            let known = map.entry(entry).or_insert(began);
            *known = began.min(*known);
        };
        for batch in store.open_intents(sync)? {
            for item in &batch.items {
                earliest(&mut out.sent, item.entry_id, batch.began);
                if item.adopts.is_some() {
                    out.met.insert(item.entry_id);
                } else if matches!(item.kind, Kind::Create | Kind::GroupCreate) {
                    earliest(&mut out.made, item.entry_id, batch.began);
                }
            }
        }
        Ok(out)
    }

    /// Since when something may be there that this change is about. An account that is made or taken over may be of our own
    /// making only where a create was sent, and none that was there bears our externalId since.
    pub(super) fn since(&self, change: &Change) -> Option<i64> {
        match change.kind {
            Kind::Create | Kind::GroupCreate | Kind::Adopt | Kind::GroupAdopt => {
                self.made.get(&change.id).filter(|_| !self.met(change.id)).copied()
            }
            _ => self.sent.get(&change.id).copied(),
        }
    }

    /// An account that was there may bear what we wrote to it: before another one is made, it is looked for.
    pub(super) fn met(&self, entry: i64) -> bool {
        self.met.contains(&entry)
    }
}

impl Worker {
    /// Has on disk that an account that was there is taken over, and what is written to it: what a killed cycle wrote must not
    /// pass for its own making. `Err` where that is not on disk; then nothing is written.
    pub(super) async fn note_met(&self, task: &Task, sent: SentTo) -> Result<(), Outcome> {
        let (batch, entry) = (task.batch, task.change.id);
        match self.ask(move |store| store.intent_adopts(batch, entry, &sent)).await {
            Some(Ok(())) => Ok(()),
            // The ledger is gone or its store broke; it reports that itself.
            Some(Err(_)) | None => Err(Outcome::Abandoned),
        }
    }
}
