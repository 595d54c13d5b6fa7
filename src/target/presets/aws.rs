//! AWS IAM Identity Center. docs.aws.amazon.com, singlesignon developerguide: limitations, createuser, patchgroup.
//! PATCH without a User-Agent is refused (we always send one); GET of a group never shows its members; to replace or remove
//! all of them in one request is refused, and they are removed by a list (as awslabs/ssosync does).

use super::{Limits, Preset, list};
use crate::target::dialect::{Dialect, RemoveMembers};

pub(super) fn preset() -> Preset {
    let required = ["userName", "displayName", "name.givenName", "name.familyName"];
    Preset {
        dialect: Dialect {
            members_per_patch: 100,
            members_shown: false,
            remove_members: RemoveMembers::List,
            page_size: 50,
            group_attributes: list(&["displayName", "externalId"]),
            required: required.map(str::to_owned).to_vec(),
            ..Dialect::default()
        },
        limits: Limits {
            illegal: "<>;:%\t\n",
            refused: &["photos", "ims", "entitlements", "password", "x509Certificates"],
            one_of_each: true,
            members_by_parts: true,
            eq_only: true,
            ..Limits::default()
        },
        ..Preset::base("aws-identity-center", "AWS IAM Identity Center", "AWS developer guide, SCIM implementation", "2026-11-21")
    }
}
