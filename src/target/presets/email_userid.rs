//! The platform whose user IDs are converted to email ("Convert All UsersIDs To Use Email") before SCIM is switched on. Its
//! guide: account address + `/scim`; the key belongs to an administrator or User Manager, there is one at a time, and
//! making a new one voids it.

use super::{ACTIVE, Defaults, Preset};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { user_name_email: true, ..Dialect::default() },
        map_user: &[
            ("userName", "[userId]"),
            ("externalId", "[sourceKey]"),
            ACTIVE,
            ("displayName", "[displayName]"),
            ("name.givenName", "[givenName]"),
            ("name.familyName", "[surname]"),
            ("emails[type eq \"work\"].value", "[mail]"),
        ],
        defaults: Defaults { legacy_external_id: Some(&["mailNickname", "objectId"]), ..Defaults::default() },
        user_name: "email",
        converts_user_ids: true,
        ..Preset::base(
            "email-userid",
            "the application",
            "The platform's guide to SSO and SCIM with email user IDs",
            "2026-11-21",
        )
    }
}
