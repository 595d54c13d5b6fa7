//! Slack. docs.slack.dev, SCIM API: reference and rate limits: 180 writes a minute for users, shared by all SCIM
//! applications of the organisation. DELETE of a user deactivates; of a group it is for good.

use super::{Defaults, Preset, list};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect {
            rate: Some(3.0),
            delete_removes: false,
            filters: list(&["userName", "emails.value"]),
            ..Dialect::default()
        },
        defaults: Defaults { match_users: Some(&["userName", "emails.value"]), ..Defaults::default() },
        ..Preset::base("slack", "Slack", "docs.slack.dev: SCIM API reference, rate limits", "2026-11-21")
    }
}
