//! `scim-sync import`: an export of Entra's provisioning schema, or of an Okta profile mapping, as a `[[sync]]`.
//!
//! Pure: text to text. `entra` and `okta` read the two forms, `filter` turns scoping filters into ours, `expression` Okta's
//! expressions into ours, `draft` judges each row with the compiler of mappings and writes the TOML. What cannot be carried over
//! is left out and said; nothing is guessed, and a scope never becomes wider.

mod draft;
mod entra;
mod expression;
mod filter;
mod okta;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

/// A sync, as far as it could be carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// TOML of one `[[sync]]`, with comments.
    pub toml: String,
    /// What could not be carried over.
    pub not_carried: Vec<NotCarried>,
}

/// Something of the export that is not in the sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCarried {
    /// Which mapping, filter or setting.
    pub what: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Why nothing could be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The text is not JSON.
    #[error("the file is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, and neither of the two exports.
    #[error(
        "this is neither an Entra provisioning schema (with `synchronizationRules`) nor an Okta profile mapping (with `source`, \
         `target` and `properties`)"
    )]
    Unknown,
    /// It maps in the other direction.
    #[error("{0}")]
    Direction(String),
}

/// Reads an export.
///
/// # Errors
/// The text is not JSON, is neither export, or goes in the other direction.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    let json: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| ImportError::NotJson(e.to_string()))?;
    if let Some(schema) = entra::find(&json) {
        return entra::import(schema);
    }
    match okta::find(&json) {
        found if found.mappings.is_empty() => Err(ImportError::Unknown),
        found => okta::import(&found),
    }
}
