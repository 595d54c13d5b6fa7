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
use std::future::Future;
use std::time::Duration;

/// A read never takes longer.
const DEADLINE: Duration = Duration::from_secs(4 * 3600);

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
        in_time(&self.client.name, DEADLINE, read::read(&self.client, &self.config, request, sink)).await
    }
}

/// What `work` comes to, or that it took too long.
async fn in_time<T>(
    source_name: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    let late = |_| {
        let message = format!("it was not done after {} hours", limit.as_secs() / 3600);
        Err(SourceError::Incomplete { source_name: source_name.to_owned(), message })
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::{DEADLINE, in_time};
    use crate::source::SourceError;
    use std::time::Duration;

    #[tokio::test]
    async fn a_read_that_does_not_end_is_not_complete() {
        let endless = std::future::pending::<Result<(), SourceError>>();
        let late = in_time("dir", Duration::from_millis(5), endless).await;
        assert!(matches!(&late, Err(SourceError::Incomplete { source_name, .. }) if source_name == "dir"), "{late:?}");
        assert!(in_time("dir", DEADLINE, async { Ok(()) }).await.is_ok());
    }
}
