//! What a read says, on its way to the store in batches.

use super::fault::GraphError;
use crate::source::{BATCH, Item, Sink};

/// Collects items into batches.
pub struct Out<'a> {
    sink: &'a Sink,
    batch: Vec<Item>,
    /// What an administrator should know.
    pub warnings: Vec<String>,
}

impl<'a> Out<'a> {
    /// Into this channel.
    #[must_use]
    pub fn new(sink: &'a Sink) -> Self {
        Self { sink, batch: Vec::with_capacity(BATCH), warnings: Vec::new() }
    }

    /// One more.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub async fn push(&mut self, item: Item) -> Result<(), GraphError> {
        self.batch.push(item);
        if self.batch.len() < BATCH { Ok(()) } else { self.flush().await }
    }

    /// Hands over what there is, after each page: an empty batch too says that the read goes on.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub async fn flush(&mut self) -> Result<(), GraphError> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sink.send(batch).await.map_err(|_| GraphError::Stopped)
    }
}
