//! AWS IAM Identity Center. docs.aws.amazon.com, singlesignon developerguide: limitations, createuser, patchgroup.
//! PATCH without a User-Agent is refused (we always send one); GET of a group never shows its members.

use super::{Preset, list};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    let required = ["userName", "displayName", "name.givenName", "name.familyName"];
    Preset {
        dialect: Dialect {
            members_per_patch: 100,
            page_size: 50,
            group_attributes: list(&["displayName", "externalId"]),
            required: required.map(str::to_owned).to_vec(),
            ..Dialect::default()
        },
        ..Preset::base("aws-identity-center", "AWS IAM Identity Center", "AWS developer guide, SCIM implementation", "2026-11-21")
    }
}
