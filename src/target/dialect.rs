//! How a target really speaks SCIM: plain flags, from preset, discovery and configuration (in this order).

use crate::config::TargetConfig;
use crate::mapping::Type;
use crate::model::ObjectKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Plain flags and limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dialect {
    /// PATCH is supported; otherwise GET, merge, PUT.
    pub patch: bool,
    /// Members per group PATCH (and per group create).
    pub members_per_patch: usize,
    /// Resources asked for per page.
    pub page_size: u32,
    /// Filters are supported at all.
    pub filter: bool,
    /// Pages by cursor (RFC 9865) instead of `startIndex`.
    pub cursor: bool,
    /// `userName` cannot be changed after creation.
    pub user_name_immutable: bool,
    /// Groups exist at this target.
    pub groups: bool,
    /// Core and extension attributes that may be sent for users, lower-case canonical paths without value filters;
    /// empty: all.
    pub user_attributes: Vec<String>,
    /// Attributes of users that are no text, as the target's schema says: path as in `user_attributes` -> type.
    #[serde(default)]
    pub types: BTreeMap<String, Type>,
    /// Where users are, relative to the base URL.
    pub users_endpoint: String,
    /// Where groups are, relative to the base URL.
    pub groups_endpoint: String,
    /// Requests per second; `None`: not paced.
    pub rate: Option<f64>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            patch: true,
            members_per_patch: 100,
            page_size: 100,
            filter: true,
            cursor: false,
            user_name_immutable: false,
            groups: true,
            user_attributes: Vec::new(),
            types: BTreeMap::new(),
            users_endpoint: "/Users".to_owned(),
            groups_endpoint: "/Groups".to_owned(),
            rate: None,
        }
    }
}

/// A dialect with the configuration's say on top.
#[must_use]
pub fn configured(mut dialect: Dialect, config: &TargetConfig) -> Dialect {
    if let Some(patch) = config.patch {
        dialect.patch = patch;
    }
    if let Some(members) = config.members_per_patch {
        dialect.members_per_patch = members.max(1);
    }
    if config.rate.is_some() {
        dialect.rate = config.rate;
    }
    dialect
}

impl Dialect {
    /// Path of the collection, relative to the base URL, with a leading slash.
    #[must_use]
    pub fn endpoint(&self, kind: ObjectKind) -> &str {
        match kind {
            ObjectKind::User => &self.users_endpoint,
            ObjectKind::Group => &self.groups_endpoint,
        }
    }

    /// The type of a flat path of users, where the target's schema says that it is no text.
    #[must_use]
    pub fn type_of(&self, path: &str) -> Option<Type> {
        let p = super::path::FlatPath::parse(path).ok()?;
        let attribute = p.attribute().to_ascii_lowercase();
        let name = p.sub.map_or_else(|| attribute.clone(), |sub| format!("{attribute}.{}", sub.to_ascii_lowercase()));
        self.types.get(&name).copied()
    }

    /// Whether a flat path may be sent for users: everything where the target's schema is not known.
    #[must_use]
    pub fn allows(&self, path: &str) -> bool {
        if self.user_attributes.is_empty() {
            return true;
        }
        let Ok(p) = super::path::FlatPath::parse(path) else { return false };
        let attribute = p.attribute().to_ascii_lowercase();
        let knows = |name: &str| self.user_attributes.iter().any(|a| a == name);
        knows(&attribute) && p.sub.is_none_or(|s| knows(&format!("{attribute}.{}", s.to_ascii_lowercase())))
    }
}
