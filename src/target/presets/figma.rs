//! Figma. developers.figma.com, SCIM API: userName is the email, and changing it changes the login; externalId is kept and
//! not used; whoever is deactivated leaves the organisation.

use super::Preset;
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { user_name_email: true, ..Dialect::default() },
        user_name: "email",
        ..Preset::base("figma", "Figma", "developers.figma.com: SCIM API, supported schemas", "2026-11-21")
    }
}
