//! The target: the application's SCIM endpoint. Reading and writing are two objects; a dry run is not given the second.
//!
//! [`Target`] is the connection. [`Target::discover`] says how the target speaks ([`Dialect`]); with that,
//! [`Target::reader`] and [`Target::writer`] make the two. What a server does to a request is never taken on trust: filters
//! are checked row by row, pages by their ids, a PATCH by its effect (once for each attribute).

mod answered;
mod body;
mod client;
pub mod dialect;
mod discovery;
mod error;
mod find;
mod forms;
mod learned;
mod members;
mod outgoing;
mod pages;
mod patch;
mod path;
pub mod presets;
pub mod probe;
mod read;
mod recent;
mod remote;
mod required;
mod spelling;
mod update;
mod versions;
mod write;

use crate::config::TargetConfig;
use crate::model::Fault;
use client::Core;
use std::sync::Arc;

pub use answered::with_status;
pub use dialect::Dialect;
pub use discovery::Discovery;
pub use error::TargetError;
pub use learned::Known;
pub use members::Roster;
pub use outgoing::Outgoing;
pub use read::TargetReader;
pub use remote::Remote;
pub use write::{Alike, Made, TargetWriter};

/// One target. Cheap to clone; clones share connections, pace, token, counters and what was learned.
#[derive(Clone)]
pub struct Target {
    core: Arc<Core>,
    config: Arc<TargetConfig>,
}

impl Target {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// An unknown preset, an unreadable CA file, an address that cannot be used.
    pub fn new(name: &str, config: &TargetConfig) -> Result<Self, TargetError> {
        let Some(preset) = presets::find(&config.preset) else {
            let known = presets::NAMES.join(", ");
            return Err(TargetError::new(
                name,
                Fault::Permanent,
                format!("preset {:?} is not known; there are: {known}", config.preset),
            ));
        };
        let dialect = dialect::configured(preset.dialect, config);
        let refusals = preset.refusals;
        Ok(Self { core: Arc::new(Core::new(name, config, &dialect, refusals)?), config: Arc::new(config.clone()) })
    }

    /// Name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Asks the target how it speaks: ServiceProviderConfig, ResourceTypes, Schemas (RFC 7644 section 4). What cannot be
    /// read counts as unknown, and the preset stands.
    ///
    /// # Errors
    /// No connection, 401 or 403, throttling, an outage.
    pub async fn discover(&self) -> Result<Discovery, TargetError> {
        discovery::discover(&self.core, &self.config).await
    }

    /// Asks for one user, to see that the credentials may read at all (many targets answer discovery to anyone). Facts for
    /// `check --online`.
    ///
    /// # Errors
    /// As [`TargetReader::list`].
    pub async fn check_access(&self, dialect: &Dialect) -> Result<Vec<(String, String)>, TargetError> {
        discovery::check_access(&self.core, dialect).await
    }

    /// A stored dialect with the configuration's say on top.
    #[must_use]
    pub fn with_config(&self, stored: Dialect) -> Dialect {
        dialect::configured(stored, &self.config)
    }

    /// What speaking to this target taught, as far as it is worth keeping.
    #[must_use]
    pub fn known(&self) -> Known {
        self.core.learned.known()
    }

    /// Takes up what an earlier run learned about this target.
    pub fn recall(&self, known: &Known) {
        self.core.learned.recall(known);
    }

    /// Requests in flight that the configuration allows.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.config.concurrency.max(1)
    }

    /// The reader.
    #[must_use]
    pub fn reader(&self, dialect: &Dialect) -> TargetReader {
        TargetReader { core: Arc::clone(&self.core), dialect: Arc::new(dialect.clone()) }
    }

    /// The writer.
    #[must_use]
    pub fn writer(&self, dialect: &Dialect) -> TargetWriter {
        TargetWriter { reader: self.reader(dialect) }
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.core.requests()
    }

    /// The target's clock minus ours, seconds, as its last answer said; `None` before the first.
    #[must_use]
    pub fn clock_skew_s(&self) -> Option<i64> {
        self.core.clock_skew_s()
    }

    /// Bytes that change when the base URL or the credential changes. They contain the credential: hash them with a salt,
    /// never log or store them.
    ///
    /// # Errors
    /// The secret cannot be read.
    pub fn identity(&self) -> Result<Vec<u8>, TargetError> {
        self.core.identity()
    }
}

/// Counters of the conversation with a target. A request sent again counts once as read or write, and in `retried`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Requests that only read (discovery not counted).
    pub read: u64,
    /// Requests that write.
    pub write: u64,
    /// Requests sent again.
    pub retried: u64,
}
