//! Datadog. docs.datadoghq.com, SCIM: a service account's application key; SAML just-in-time provisioning switched off; the
//! link in the invitation is valid for two days.

use super::Preset;

pub(super) fn preset() -> Preset {
    Preset { user_name: "email", ..Preset::base("datadog", "Datadog", "docs.datadoghq.com: SCIM", "2026-11-21") }
}
