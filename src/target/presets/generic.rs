//! Any SCIM 2.0 server (RFC 7643, RFC 7644); what discovery says is believed.

use super::{ACTIVE, Preset, Row};

pub(super) const USER: &[Row] = &[
    ("userName", "[userId]"),
    ("externalId", "[sourceKey]"),
    ACTIVE,
    ("displayName", "[displayName]"),
    ("name.givenName", "[givenName]"),
    ("name.familyName", "[surname]"),
    ("emails[type eq \"work\"].value", "[mail]"),
];

pub(super) const GROUP: &[Row] = &[("displayName", "[displayName]"), ("externalId", "[sourceKey]")];

pub(super) fn preset() -> Preset {
    Preset::base("generic", "this application", "RFC 7643 and RFC 7644", "2026-11-21")
}
