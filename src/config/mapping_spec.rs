//! What the mapping needs of a sync.

use super::types::{MapRow, SyncConfig};
use crate::mapping::{Row, Spec, UserIdPolicy};

impl SyncConfig {
    /// The part of this sync that a [`crate::mapping::Mapper`] is compiled from. Keys in its errors stand below this
    /// `[[sync]]`.
    #[must_use]
    pub fn mapping_spec(&self) -> Spec {
        Spec {
            users: self.map_user.iter().map(row).collect(),
            groups: self.map_group.iter().map(row).collect(),
            scope_users: self.scope.users.clone(),
            scope_groups: self.scope.groups.clone(),
            user_id: UserIdPolicy {
                from: self.user_id.from.clone(),
                domains: self.user_id.domains.clone(),
                lowercase: self.user_id.lowercase,
                transliterate: self.user_id.transliterate.clone(),
            },
            legacy_external_id: self.matching.legacy_external_id.clone(),
            rehire: self.matching.rehire.clone(),
            disabled_is_inactive: self.scope.disabled_is_inactive,
        }
    }
}

fn row(row: &MapRow) -> Row {
    Row {
        path: row.path.clone(),
        expr: row.expr.clone(),
        clear_when_null: row.clear_when_null,
        create_only: row.create_only,
        default: row.default.clone(),
        line: row.line,
    }
}
