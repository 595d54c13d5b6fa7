//! Known applications, by name: one file each, with its source.

pub mod generic;

use super::Dialect;

/// A known application's settings, limits and default mapping.
#[derive(Debug, Clone)]
pub struct Preset {
    /// Name in the configuration.
    pub name: &'static str,
    /// How it speaks.
    pub dialect: Dialect,
    /// Default mapping of users: SCIM path -> expression.
    pub map_user: &'static [(&'static str, &'static str)],
    /// Default mapping of groups: SCIM path -> expression.
    pub map_group: &'static [(&'static str, &'static str)],
}

/// Names of all presets.
pub const NAMES: &[&str] = &["generic"];

/// The preset of this name.
#[must_use]
pub fn find(name: &str) -> Option<Preset> {
    match name {
        "generic" => Some(generic::preset()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{NAMES, find};

    #[test]
    fn configuration_and_presets_know_the_same_names() {
        assert_eq!(crate::config::PRESETS, NAMES);
        for name in NAMES {
            assert_eq!(find(name).unwrap().name, *name);
        }
    }
}
