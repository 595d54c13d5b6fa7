//! A resource in flat form: SCIM attribute path -> value.

use std::collections::BTreeMap;

/// A resource as a map from canonical SCIM path to JSON value, sorted by path.
///
/// Paths are written as RFC 7644 section 3.5.2 writes them: `userName`, `name.givenName`,
/// `emails[type eq "work"].value`, `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
/// `members` never stands in a flat resource: memberships are changed by their own changes.
/// A `null` value means "clear this attribute".
pub type Flat = BTreeMap<String, serde_json::Value>;
