//! Sources: the directories that are read. One folder each, with the same short files in each:
//! `mod.rs` (build and read), `connect.rs` or `parse.rs` (how bytes are had), `entry.rs` (bytes to [`Entry`]).

pub mod account;
pub mod dn;
pub mod file;
pub mod graph;
pub mod ldap;
mod names;
mod news;
pub mod okta;
pub mod time;

pub use names::{Names, Others, known as known_attributes};

use crate::config::SourceConfig;
use crate::exit::Exit;
use crate::model::{Entry, EntryChange, Fault, ObjectKind, Seal, Seals, SourceKey};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where the next incremental read starts. Opaque to everyone but the source that made it; it names its own version and
/// what it is bound to (server, base, filter, bind identity).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// What a read is asked for.
#[derive(Debug, Clone, Default)]
pub struct ReadRequest {
    /// Read from here if the source can and the cursor still holds; `None` asks for a full read.
    pub since: Option<Cursor>,
    /// Attributes that mapping, scope and user ID need, in the administrator's spelling. The source adds its own
    /// (ids, member attributes, what its active rule needs).
    pub attributes: BTreeSet<String>,
    /// Whether groups are wanted at all.
    pub groups: bool,
    /// What is kept of earlier reads, for sources that can tell an entry by its octets; `None`: everything is wanted whole.
    pub seals: Option<Arc<dyn Seals>>,
}

/// One thing that a read says.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// This entry is there, and looks like this.
    Present(Entry),
    /// The same, with its seal.
    Sealed(Entry, Seal),
    /// The entry at this place of [`ReadRequest::seals`] is there, and was sent exactly as before.
    Unchanged(usize),
    /// The entry is there, and what is known of it stays: a complete enumeration of keys says who is absent. In a full read: not
    /// all of it could be read, and it is one that [`Seals::knows`]. Not known here: the cursor does not fit, and everything is read in full.
    Kept(ObjectKind, SourceKey),
    /// Somebody is there under this name (see [`Entry::names`]) and shows no id. Where the name is that of one who is known, that
    /// one is there and stays as it is; else nobody knows who it is, and whoever is missing may be the one.
    Unidentified(ObjectKind, String),
    /// A part of what is known of this entry changed. In a full read: a part of it could not be read, and it is one that
    /// [`Seals::knows`]. Not known here: as with [`Item::Kept`].
    Changed(EntryChange),
    /// The source itself says that this entry was deleted (incremental reads only). Not known here: nothing to do.
    Deleted(SourceKey),
    /// The source itself says that this entry is none of this kind any more: deleted, or no longer what its filter asks
    /// for (incremental reads only). What is known under this key as another kind stays.
    Left(ObjectKind, SourceKey),
}

/// How much was named: decides whether absence means anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// Every entry in scope of the source's base and filters was named.
    Full,
    /// Every key was named, and what changed since the cursor: who is missing is absent, but what did not change was not looked at.
    Keys,
    /// Only what changed since the cursor was named.
    Incremental,
}

/// Proof that a read finished, as the protocol itself confirms it. There is no way to have one for a partial read.
#[derive(Debug, Clone)]
pub struct ReadDone {
    /// How much was named.
    pub completeness: Completeness,
    /// Where the next incremental read starts; `None` where the source cannot.
    pub cursor: Option<Cursor>,
    /// Search continuation references met and not followed (RFC 4511 section 4.5.3).
    pub references: u64,
    /// Seconds by which the source's clock is ahead of ours, where it told us.
    pub clock_skew_s: Option<i64>,
    /// What an administrator should know: groups skipped, entries without id.
    pub warnings: Vec<String>,
    /// Where the source is put together of several directories: each of them. Else nothing.
    pub parts: Vec<Part>,
}

/// One of several directories that are read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is called in messages; the same in every read.
    pub name: String,
    /// Whether it showed anybody.
    pub has_people: bool,
}

/// What `check --online` reports of a source: fact name -> value, in order.
pub type Facts = Vec<(String, String)>;

/// The fact by which a source says that it cannot show groups, and why. Whether they are needed is for the syncs to say.
pub const NO_GROUPS: &str = "no_groups";

/// Seconds by which clocks may disagree before nothing is removed by the clock.
pub const MAX_SKEW: i64 = 300;

/// What to say of a source's clock that is this far ahead of ours.
#[must_use]
pub fn clock_warning(skew: i64) -> Option<String> {
    let (seconds, where_to) = (skew.unsigned_abs(), if skew > 0 { "behind" } else { "ahead of" });
    (skew.abs() > MAX_SKEW).then(|| {
        format!("the clock here is {seconds} s {where_to} the source's: nothing is removed by the clock until they agree (NTP)")
    })
}

/// A bounded channel of batches, so that a slow reader of it slows the source and memory stays flat.
pub type Sink = mpsc::Sender<Vec<Item>>;

/// Entries per batch that sources should aim for.
pub const BATCH: usize = 256;

/// A directory that can be read.
#[async_trait]
pub trait Source: Send + Sync {
    /// Connects, authenticates, and says what it sees; writes nothing. `wanted`: what reads are going to be asked for
    /// (attributes, and whether groups); what they do not need is not missed.
    ///
    /// # Errors
    /// Whatever keeps the source from being read.
    async fn check(&self, wanted: &ReadRequest) -> Result<Facts, SourceError>;

    /// The same into `facts`: what was learnt before a fault stays there.
    ///
    /// # Errors
    /// As [`Source::check`].
    async fn look(&self, wanted: &ReadRequest, facts: &mut Facts) -> Result<(), SourceError> {
        facts.extend(self.check(wanted).await?);
        Ok(())
    }

    /// Reads everything or everything since the cursor, into `sink`. Returns only when the protocol itself confirmed
    /// that the answer is complete; anything else is an error, and nothing of the read may be used.
    ///
    /// # Errors
    /// Any fault in connecting, binding, reading, decoding; a closed sink.
    async fn read(&self, request: &ReadRequest, sink: &Sink) -> Result<ReadDone, SourceError>;
}

/// Builds the source that the configuration describes.
///
/// # Errors
/// Secrets or files that cannot be read, addresses that cannot be used.
pub fn build(name: &str, config: &SourceConfig) -> Result<Box<dyn Source>, SourceError> {
    match config {
        SourceConfig::Ldap(c) => Ok(Box::new(ldap::LdapSource::new(name, c)?)),
        SourceConfig::File(c) => Ok(Box::new(file::FileSource::new(name, c))),
        SourceConfig::Graph(c) => Ok(Box::new(graph::GraphSource::new(name, c)?)),
        SourceConfig::Okta(c) => Ok(Box::new(okta::OktaSource::new(name, c)?)),
    }
}

/// Why a read failed. Every variant names the source and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The connection could not be made or broke.
    #[error("source {source_name}: {message}")]
    Connect {
        /// Name in the configuration.
        source_name: String,
        /// What happened, where, and what to do.
        message: String,
    },
    /// The credentials were refused.
    #[error("source {source_name}: {message}")]
    Auth {
        /// Name in the configuration.
        source_name: String,
        /// What happened and what to do.
        message: String,
    },
    /// A secret cannot be had, or is none: a mistake of the configuration. The source was not asked.
    #[error("source {source_name}: {message}")]
    Secret {
        /// Name in the configuration.
        source_name: String,
        /// Which one, and why.
        message: String,
    },
    /// The read began and did not finish as the protocol demands.
    #[error("source {source_name}: the read is incomplete and was thrown away: {message}")]
    Incomplete {
        /// Name in the configuration.
        source_name: String,
        /// What was missing and what to do.
        message: String,
    },
    /// What the source sent cannot be understood.
    #[error("source {source_name}: {message}")]
    Malformed {
        /// Name in the configuration.
        source_name: String,
        /// What, where, and what to do.
        message: String,
    },
    /// The stored cursor cannot be used: read in full instead.
    #[error("source {source_name}: the cursor cannot be used ({message}); a full read is needed")]
    CursorExpired {
        /// Name in the configuration.
        source_name: String,
        /// What the source said.
        message: String,
    },
    /// The consumer went away.
    #[error("source {source_name}: the read was stopped")]
    Stopped {
        /// Name in the configuration.
        source_name: String,
    },
}

impl SourceError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if matches!(self, Self::Secret { .. }) { Exit::Config } else { Exit::Source }
    }

    /// The kind of fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect { .. } | Self::Incomplete { .. } | Self::Stopped { .. } | Self::CursorExpired { .. } => {
                Fault::Transient
            }
            Self::Auth { .. } | Self::Secret { .. } => Fault::Auth,
            Self::Malformed { .. } => Fault::Invalid,
        }
    }
}
