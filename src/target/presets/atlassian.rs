//! Atlassian Cloud. Microsoft's provisioning tutorial: only verified domains; accounts are matched by email; groups cannot
//! be renamed.

use super::{Defaults, Preset, list};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { group_update: false, group_attributes: list(&["displayName", "externalId"]), ..Dialect::default() },
        defaults: Defaults { match_users: Some(&["externalId", "emails.value", "userName"]), ..Defaults::default() },
        ..Preset::base("atlassian", "Atlassian Cloud", "Microsoft: Atlassian Cloud provisioning tutorial", "2026-11-21")
    }
}
