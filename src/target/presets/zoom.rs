//! Zoom. developers.zoom.us, SCIM API: OAuth only (`oauth`, no `token`); userName is required and can be filtered by.

use super::Preset;
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { required: vec!["userName".into()], filters: vec!["username".into()], ..Dialect::default() },
        ..Preset::base("zoom", "Zoom", "developers.zoom.us: SCIM API", "2026-11-21")
    }
}
