//! File source.

use super::{Facts, ReadDone, ReadRequest, Sink, Source, SourceError};
use crate::config::FileConfig;
use async_trait::async_trait;

/// An export in a file.
pub struct FileSource {
    name: String,
}

impl FileSource {
    /// Builds the source.
    #[must_use]
    pub fn new(name: &str, _config: &FileConfig) -> Self {
        Self { name: name.to_owned() }
    }
}

#[async_trait]
impl Source for FileSource {
    async fn check(&self) -> Result<Facts, SourceError> {
        Err(SourceError::Unsupported { source_name: self.name.clone() })
    }

    async fn read(&self, _request: &ReadRequest, _sink: &Sink) -> Result<ReadDone, SourceError> {
        Err(SourceError::Unsupported { source_name: self.name.clone() })
    }
}
