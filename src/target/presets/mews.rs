//! Mews (hospitality). Its guide to user provisioning and help.mews.com on user groups and on switching SCIM off.

use super::{ACTIVE, Defaults, Preset, Refusal, list};
use crate::model::Fault;
use crate::target::Dialect;

const REFUSALS: &[Refusal] = &[
    Refusal {
        text: "operation not permitted",
        fault: Fault::Permanent,
        reason: "Mews does not let this account be managed: it is outside the portfolio that the token is for",
        advice: "either invite the person to a property of this portfolio in Mews and let the account be taken over, or take the person out of the scope of this sync",
        everyone: Some(
            "SCIM is switched off in Mews: every write is refused. Switch it on again (Settings, SCIM), and put the new token, if it was regenerated, where `token` points to",
        ),
    },
    Refusal {
        text: "already exists",
        fault: Fault::Conflict,
        reason: "Mews has an account with this email that is managed elsewhere: by another portfolio, another subscription, or as a central user",
        advice: "either have whoever manages the account in Mews give it up (one subscription per user; central users cannot be provisioned), or take the person out of the scope of this sync",
        everyone: None,
    },
];

pub(super) fn preset() -> Preset {
    let dialect = Dialect {
        user_name_immutable: true,
        user_name_email: true,
        user_attributes: list(&["userName", "externalId", "active", "name.givenName", "name.familyName"]),
        required: vec!["userName".into(), "active".into(), "name.givenName".into(), "name.familyName".into()],
        group_attributes: list(&["displayName"]),
        ..Dialect::default()
    };
    Preset {
        dialect,
        map_user: &[
            ("userName", "[userId]"),
            // What earlier provisioning wrote there; a directory without it gives its own key.
            ("externalId", "Coalesce([mailNickname], [sourceKey])"),
            ACTIVE,
            ("name.givenName", "[givenName]"),
            ("name.familyName", "[surname]"),
        ],
        map_group: &[("displayName", "[displayName]")],
        defaults: Defaults {
            match_users: Some(&["userName"]),
            match_groups: Some(&["displayName"]),
            legacy_external_id: Some(&["mailNickname", "objectId"]),
            ..Defaults::default()
        },
        refusals: REFUSALS,
        user_name: "email",
        without_group: Some("Mews sends its sign-up mail only to whoever is in a group that has a property"),
        // A token of Mews never expires: it is replaced by hand.
        token_days: Some(365),
        ..Preset::base("mews", "Mews", "Mews user provisioning guide; help.mews.com, user groups, disable SCIM", "2026-11-21")
    }
}
