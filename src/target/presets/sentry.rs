//! Sentry. docs.sentry.io, SCIM: userName must be an email; only userName, active and the role in the organisation can be
//! set; a deactivation ends the membership; the role of an owner is refused.

use super::{ACTIVE, Defaults, Preset, list};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect {
            user_name_email: true,
            user_attributes: list(&["userName", "active", "sentryOrgRole"]),
            group_attributes: list(&["displayName"]),
            ..Dialect::default()
        },
        map_user: &[("userName", "[userId]"), ACTIVE],
        map_group: &[("displayName", "[displayName]")],
        defaults: Defaults { match_users: Some(&["userName"]), match_groups: Some(&["displayName"]), ..Defaults::default() },
        user_name: "email",
        ..Preset::base("sentry", "Sentry", "docs.sentry.io: SCIM with Okta; help on the owner role", "2026-11-21")
    }
}
