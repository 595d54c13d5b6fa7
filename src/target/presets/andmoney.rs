//! &Money Booking: advisors and meeting rooms, two endpoints that never get the same entry. Its guide to provisioning by
//! Entra ID: test `https://api.test-env.booking.andmoney.dk/{advisors,rooms}/scim`, production without `test-env.`, each of
//! the four with a token of its own.

use super::{ACTIVE, Defaults, Preset, Row};
use crate::target::Dialect;

const SOURCE: &str = "&Money Booking guide to SCIM provisioning";

const USER_NAME: Row = ("userName", "[userId]");
const DISPLAY_NAME: Row = ("displayName", "[displayName]");
const OFFICE: Row = ("addresses[type eq \"work\"].formatted", "[physicalDeliveryOfficeName]");
const EXTERNAL_ID: Row = ("externalId", "Coalesce([objectId], [sourceKey])");

pub(super) fn advisors() -> Preset {
    Preset {
        map_user: &[
            ACTIVE,
            USER_NAME,
            DISPLAY_NAME,
            ("name.givenName", "[givenName]"),
            ("name.familyName", "[surname]"),
            OFFICE,
            EXTERNAL_ID,
        ],
        apart_from: Some("andmoney-rooms"),
        ..both("andmoney-advisors", "&Money advisors")
    }
}

pub(super) fn rooms() -> Preset {
    let both = both("andmoney-rooms", "&Money rooms");
    Preset {
        map_user: &[ACTIVE, USER_NAME, DISPLAY_NAME, OFFICE, EXTERNAL_ID],
        // A room's account has its sign-in disabled, and is alive.
        defaults: Defaults { ignores_disabled: true, ..both.defaults },
        apart_from: Some("andmoney-advisors"),
        ..both
    }
}

fn both(name: &'static str, application: &'static str) -> Preset {
    Preset {
        // Groups only say at the source who takes part.
        dialect: Dialect { groups: false, ..Dialect::default() },
        defaults: Defaults {
            match_users: Some(&["externalId", "userName"]),
            legacy_external_id: Some(&["objectId"]),
            // Directories other than Entra ID and Active Directory have no userPrincipalName.
            user_id_from: Some(&["userPrincipalName", "mail"]),
            ..Defaults::default()
        },
        user_name: "userPrincipalName",
        ..Preset::base(name, application, SOURCE, "2026-11-21")
    }
}
