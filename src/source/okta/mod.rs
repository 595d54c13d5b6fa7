//! Okta source: users and groups of an organisation, or those assigned to one application, by the management API.
//!
//! `token` (API token, or a service app's access token) and `dpop` (proofs of possession) authorise, `limits` keeps the rate
//! limits, `client` sends and pages (`link`), `refusal` puts refusals into words, `entry` turns objects into entries, `read` and
//! `cursor` are the full and the incremental read, `log` is the System Log as a hint.

mod check;
mod client;
mod cursor;
mod dpop;
mod entry;
mod limits;
mod link;
mod log;
mod read;
mod refusal;
mod token;

use super::{Facts, ReadDone, ReadRequest, Sink, Source, SourceError};
use crate::config::OktaConfig;
use async_trait::async_trait;
use client::Client;

/// An Okta organisation.
pub struct OktaSource {
    config: OktaConfig,
    client: Client,
}

impl OktaSource {
    /// Builds the source; sends nothing yet.
    ///
    /// # Errors
    /// The CA file cannot be read, the proxy cannot be used.
    pub fn new(name: &str, config: &OktaConfig) -> Result<Self, SourceError> {
        Ok(Self { config: config.clone(), client: Client::new(name, config)? })
    }
}

#[async_trait]
impl Source for OktaSource {
    async fn check(&self, wanted: &ReadRequest) -> Result<Facts, SourceError> {
        check::facts(&self.client, &self.config, wanted).await
    }

    async fn read(&self, request: &ReadRequest, sink: &Sink) -> Result<ReadDone, SourceError> {
        read::read(&self.client, &self.config, request, sink).await
    }
}
