//! The intents of this apply: which are settled, and which writes may or may not have been carried out.

use crate::state::{StateError, Store};
use std::collections::HashMap;

/// By batch (row of the store).
#[derive(Debug, Default)]
pub(super) struct Intents {
    /// Tasks without a result that is known for certain.
    left: HashMap<i64, usize>,
    /// Those of them that were answered, and it is not known what the answer means: their entries.
    unsure: HashMap<i64, Vec<i64>>,
}

impl Intents {
    /// The intents of so many tasks are on disk.
    pub(super) fn begun(&mut self, batch: i64, tasks: usize) {
        self.left.insert(batch, tasks);
    }

    /// What became of a task is booked; with the last one of a batch its intents go.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(super) fn booked(&mut self, store: &Store, batch: i64) -> Result<(), StateError> {
        if let Some(left) = self.left.get_mut(&batch) {
            *left -= 1;
            if *left == 0 {
                self.left.remove(&batch);
                store.intent_close(batch)?;
            }
        }
        Ok(())
    }

    /// Whether a write to this entry was carried out is not known: its intent stays.
    pub(super) fn unsure(&mut self, batch: i64, entry: i64) {
        self.unsure.entry(batch).or_default().push(entry);
    }

    /// At the end: of batches that were answered whole only what is not known stays, so that the next cycle looks up nobody
    /// else. Where an answer is missing everything stays.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub(super) fn narrow(&self, store: &Store, sync: i64) -> Result<(), StateError> {
        if self.unsure.is_empty() {
            return Ok(());
        }
        for open in store.open_intents(sync)? {
            let Some(unsure) = self.unsure.get(&open.id).filter(|u| self.left.get(&open.id) == Some(&u.len())) else { continue };
            let kept: Vec<_> = open.items.into_iter().filter(|item| unsure.contains(&item.entry_id)).collect();
            store.intent_keep(open.id, &kept)?;
        }
        Ok(())
    }
}
