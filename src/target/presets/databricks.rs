//! Databricks, account level. docs.databricks.com, SCIM 2.1: account and workspace connectors must not run together.

use super::Preset;

pub(super) fn preset() -> Preset {
    Preset { user_name: "email", ..Preset::base("databricks", "Databricks", "docs.databricks.com: SCIM 2.1", "2026-11-21") }
}
