//! What a read says, on its way to the store in batches.

use super::entry;
use super::fault::GraphError;
use crate::model::{ObjectKind, Seals, SourceKey};
use crate::source::{BATCH, Item, Sink};
use serde_json::Value;
use std::sync::Arc;

/// From so many members on a batch is handed over: several of them are on the way at once.
const BATCH_MEMBERS: usize = 4000;

/// Collects items into batches.
pub struct Out<'a> {
    sink: &'a Sink,
    known: Option<Arc<dyn Seals>>,
    batch: Vec<Item>,
    /// Members in it.
    members: usize,
    /// What an administrator should know.
    pub warnings: Vec<String>,
}

impl<'a> Out<'a> {
    /// Into this channel; `known` says who was there before.
    #[must_use]
    pub fn new(sink: &'a Sink, known: Option<Arc<dyn Seals>>) -> Self {
        Self { sink, known, batch: Vec::with_capacity(BATCH), members: 0, warnings: Vec::new() }
    }

    /// One more.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub async fn push(&mut self, item: Item) -> Result<(), GraphError> {
        self.members += match &item {
            Item::Present(entry) => entry.members.len(),
            Item::Changed(change) => change.joined.len() + change.left.len(),
            _ => 0,
        };
        self.batch.push(item);
        if self.batch.len() < BATCH && self.members < BATCH_MEMBERS { Ok(()) } else { self.flush().await }
    }

    /// A group of a full read whose members are hidden from us. What is known of it stays; else it is left out.
    ///
    /// # Errors
    /// Nobody listens any more, or the group has no id.
    pub async fn hidden(&mut self, group: &Value) -> Result<(), GraphError> {
        let key = entry::id(group)?;
        let known = self.known.as_ref().is_some_and(|k| k.knows(ObjectKind::Group, key));
        self.warnings.push(format!("{}; {}", entry::hidden(group), if known { "it stays as it was" } else { "it is left out" }));
        if known { self.push(Item::Kept(ObjectKind::Group, SourceKey(key.to_owned()))).await } else { Ok(()) }
    }

    /// Hands over what there is, after each page: an empty batch too says that the read goes on.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub async fn flush(&mut self) -> Result<(), GraphError> {
        self.members = 0;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sink.send(batch).await.map_err(|_| GraphError::Stopped)
    }
}
