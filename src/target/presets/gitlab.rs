//! GitLab. doc/development/internal_api: filters know `eq` only; a PATCH changes externalId and active, the latter written as
//! a text; `id` is the externalId; DELETE blocks. The externalId is the NameID of SAML: another one locks the person out, so one
//! that is there stays. Groups come by SAML group links.

use super::{Limits, Preset};
use crate::target::dialect::{Booleans, Dialect};

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect {
            booleans: Booleans::Text,
            op_capital: true,
            groups: false,
            delete_removes: false,
            ..Dialect::default()
        },
        changeable: &["active"],
        limits: Limits { eq_only: true, ..Limits::default() },
        ..Preset::base("gitlab", "GitLab", "GitLab doc/development/internal_api, SCIM", "2026-11-21")
    }
}
