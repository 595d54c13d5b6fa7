//! Notion. Its help pages on SCIM: names and emails change only for a verified domain; guests cannot be managed; the token
//! dies with the account of whoever made it.

use super::Preset;
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { user_name_email: true, ..Dialect::default() },
        user_name: "email",
        ..Preset::base("notion", "Notion", "Notion help: provision users and groups with SCIM (mirror)", "2026-11-21")
    }
}
