//! LDAP source.

use super::{Facts, ReadDone, ReadRequest, Sink, Source, SourceError};
use crate::config::LdapConfig;
use async_trait::async_trait;

/// A directory behind LDAP.
pub struct LdapSource {
    name: String,
}

impl LdapSource {
    /// Builds the source.
    ///
    /// # Errors
    /// The CA file cannot be read.
    pub fn new(name: &str, _config: &LdapConfig) -> Result<Self, SourceError> {
        Ok(Self { name: name.to_owned() })
    }
}

#[async_trait]
impl Source for LdapSource {
    async fn check(&self) -> Result<Facts, SourceError> {
        Err(SourceError::Unsupported { source_name: self.name.clone() })
    }

    async fn read(&self, _request: &ReadRequest, _sink: &Sink) -> Result<ReadDone, SourceError> {
        Err(SourceError::Unsupported { source_name: self.name.clone() })
    }
}
