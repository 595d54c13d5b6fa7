//! The target: the application's SCIM endpoint. Reading and writing are two objects; a dry run is not given the second.

pub mod dialect;
pub mod presets;

use crate::model::{Fault, Flat, ObjectKind, TargetId};
use std::time::Duration;

pub use dialect::Dialect;

/// A resource as the target returned it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// SCIM `id`.
    pub id: TargetId,
    /// The JSON as it came.
    pub raw: serde_json::Value,
}

/// A refusal or failure at the target.
#[derive(Debug, Clone, thiserror::Error)]
#[error("target {target}: {message}")]
pub struct TargetError {
    /// Name in the configuration.
    pub target: String,
    /// Kind of fault.
    pub fault: Fault,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// RFC 7644 section 3.12 `scimType`.
    pub scim_type: Option<String>,
    /// Method, path, what the server said (excerpt of at most 500 bytes, no secrets) and what to do.
    pub message: String,
    /// Whether the server may have carried the request out although no success was seen (connection lost after
    /// sending, timeout, 5xx): a create must be looked up before it is sent again.
    pub ambiguous: bool,
    /// How long the server asked us to wait.
    pub retry_after: Option<Duration>,
}

impl TargetError {
    /// The kind of fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

/// Counters of one cycle's conversation with the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Requests that only read (discovery not counted).
    pub read: u64,
    /// Requests that write.
    pub write: u64,
    /// Requests sent again.
    pub retried: u64,
}

/// Placeholder signatures of what apply needs; see `read.rs` and `write.rs`.
#[allow(dead_code)]
type Doc = (Flat, ObjectKind);
