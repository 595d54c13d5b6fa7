//! Grafana. Its documentation, configure SCIM provisioning: externalId equals the user's id in SAML (objectId at Entra ID);
//! the token's role is Editor at least, else 403; not beside Team Sync.

use super::{ACTIVE, Preset};

pub(super) fn preset() -> Preset {
    Preset {
        map_user: &[
            ("userName", "[userId]"),
            ("externalId", "Coalesce([objectId], [sourceKey])"),
            ACTIVE,
            ("displayName", "[displayName]"),
            ("name.givenName", "[givenName]"),
            ("name.familyName", "[surname]"),
            ("emails[type eq \"work\"].value", "[mail]"),
        ],
        ..Preset::base("grafana", "Grafana", "grafana.com: configure SCIM provisioning, troubleshooting", "2026-11-21")
    }
}
