//! Snowflake. docs.snowflake.com, SCIM: 500 requests at once per endpoint, then 429; a token is valid for six months; an
//! underscore in the account's address does not work, nor does the private link.

use super::Preset;

pub(super) fn preset() -> Preset {
    Preset {
        token_days: Some(150),
        ..Preset::base("snowflake", "Snowflake", "docs.snowflake.com: SCIM introduction, custom integration", "2026-11-21")
    }
}
