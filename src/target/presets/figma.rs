//! Figma. developers.figma.com, SCIM API: userName is the email, and changing it changes the login; externalId is kept and
//! not used; names have at most 100 characters, of groups 255; whoever is deactivated leaves the organisation.

use super::{Limits, Preset};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { user_name_email: true, ..Dialect::default() },
        user_name: "email",
        limits: Limits { name: Some(100), group_name: Some(255), ..Limits::default() },
        ..Preset::base("figma", "Figma", "developers.figma.com: SCIM API, supported schemas", "2026-11-21")
    }
}
