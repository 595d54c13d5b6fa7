//! Incremental reads: one file per mechanism.

mod active_directory;
mod again;
mod changes;
mod dirsync;
mod usn;

use super::flavor::Flavor;
use super::search::Session;
use crate::config::LdapConfig;
use crate::source::{Facts, ReadDone, ReadRequest, Sink, SourceError};

/// Where an incremental read is to start that covers everything after a full read that begins now; `None` where the server
/// or the filters do not allow one.
///
/// # Errors
/// The connection broke.
pub async fn begin(
    session: &mut Session<'_>,
    config: &LdapConfig,
    request: &ReadRequest,
    now: i64,
) -> Result<Option<String>, SourceError> {
    match Flavor::choose(config.flavor, &session.root) {
        Flavor::ActiveDirectory => active_directory::begin(session, config, request, now).await,
        _ => Ok(None),
    }
}

/// Reads what changed since the cursor.
///
/// # Errors
/// [`SourceError::CursorExpired`] wherever there is doubt; else whatever keeps the read from being complete.
pub async fn since(
    session: &mut Session<'_>,
    config: &LdapConfig,
    request: &ReadRequest,
    cursor: &str,
    sink: &Sink,
    now: i64,
) -> Result<ReadDone, SourceError> {
    match Flavor::choose(config.flavor, &session.root) {
        Flavor::ActiveDirectory => active_directory::since(session, config, request, cursor, sink, now).await,
        flavor => Err(SourceError::CursorExpired {
            source_name: session.source.to_owned(),
            message: format!("{} has no incremental reads here", flavor.as_str()),
        }),
    }
}

/// What `check --online` says of incremental reads.
///
/// # Errors
/// The connection broke.
pub async fn facts(session: &mut Session<'_>, config: &LdapConfig) -> Result<Facts, SourceError> {
    match Flavor::choose(config.flavor, &session.root) {
        Flavor::ActiveDirectory => active_directory::facts(session, config).await,
        _ => Ok(Facts::new()),
    }
}
