//! Mezmo (log management), Enterprise accounts. Its guide to SCIM provisioning; Entra ID and Okta were tested there.

use super::{ACTIVE, Defaults, Preset, list};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    let dialect = Dialect {
        user_name_email: true,
        required: vec!["userName".into()],
        // Groups are child organisations: they are made, renamed and removed in Mezmo only.
        group_create: false,
        group_update: false,
        group_delete: false,
        group_name_exact: true,
        group_attributes: list(&["displayName"]),
        ..Dialect::default()
    };
    Preset {
        dialect,
        map_user: &[
            ("userName", "[userId]"),
            ACTIVE,
            ("displayName", "[displayName]"),
            ("emails[type eq \"work\"].value", "[mail]"),
            ("name.givenName", "[givenName]"),
            ("name.familyName", "[surname]"),
            ("name.formatted", "Join(\" \", [givenName], [surname])"),
        ],
        map_group: &[("displayName", "[displayName]")],
        defaults: Defaults {
            match_users: Some(&["userName"]),
            match_groups: Some(&["displayName"]),
            user_id_from: Some(&["mail"]),
            ..Defaults::default()
        },
        user_name: "email",
        group: "child organisation",
        ..Preset::base(
            "mezmo",
            "Mezmo",
            "Mezmo SCIM guide: https://api.mezmo.com/v1/enterprise/scim, Enterprise Service Key",
            "2026-11-21",
        )
    }
}
