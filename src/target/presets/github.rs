//! GitHub Enterprise (managed users, and Enterprise Server). docs.github.com, provisioning with the REST API: the user name
//! is made from the local part of userName, at most 39 characters of it; at most 1,000 users an hour; a single writer; DELETE cannot be undone.

use super::{Limits, Preset};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { required: vec!["userName".into(), "externalId".into()], ..Dialect::default() },
        limits: Limits { user_name_local: Some(39), ..Limits::default() },
        ..Preset::base("github-enterprise", "GitHub", "docs.github.com: provisioning users with the SCIM REST API", "2026-11-21")
    }
}
