//! Any SCIM 2.0 server (RFC 7643, RFC 7644); what discovery says is believed.

use super::Preset;
use crate::target::Dialect;

/// The preset.
#[must_use]
pub fn preset() -> Preset {
    Preset {
        name: "generic",
        dialect: Dialect::default(),
        map_user: &[
            ("userName", "[userId]"),
            ("externalId", "[sourceKey]"),
            ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
            ("displayName", "[displayName]"),
            ("name.givenName", "[givenName]"),
            ("name.familyName", "[surname]"),
            ("emails[type eq \"work\"].value", "[mail]"),
        ],
        map_group: &[("displayName", "[displayName]"), ("externalId", "[sourceKey]")],
    }
}
