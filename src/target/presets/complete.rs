//! A preset's defaults for its syncs. They yield to what the configuration says.

use super::{Preset, find};
use crate::config::{Config, SyncConfig};

/// Fills in what the presets say and the file does not.
pub fn complete(config: &mut Config) {
    for sync in &mut config.syncs {
        if let Some(preset) = config.targets.get(&sync.target).and_then(|t| find(&t.preset)) {
            fill(sync, &preset);
        }
    }
}

fn fill(sync: &mut SyncConfig, preset: &Preset) {
    let SyncConfig { matching, user_id, scope, stated, .. } = sync;
    let defaults = preset.defaults;
    let lists = [
        ("match.users", &mut matching.users, defaults.match_users),
        ("match.groups", &mut matching.groups, defaults.match_groups),
        ("match.legacy_external_id", &mut matching.legacy_external_id, defaults.legacy_external_id),
        ("user_id.from", &mut user_id.from, defaults.user_id_from),
    ];
    for (key, list, default) in lists {
        if let Some(default) = default.filter(|_| !stated.contains(key)) {
            *list = default.iter().map(|s| (*s).to_owned()).collect();
        }
    }
    if defaults.ignores_disabled && !stated.contains("scope.disabled") {
        scope.disabled_is_inactive = false;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::complete;
    use crate::config;
    use std::path::Path;

    fn sync(preset: &str, more: &str) -> config::SyncConfig {
        let text = format!(
            "version = 1\n[source.d]\ntype = \"file\"\npath = \"p.json\"\n[target.a]\npreset = \"{preset}\"\nurl = \"https://a.example\"\n\
             [[sync]]\nname = \"s\"\nsource = \"d\"\ntarget = \"a\"\n{more}"
        );
        let mut config = config::parse(Path::new("c.toml"), text).unwrap().config;
        complete(&mut config);
        config.syncs.remove(0)
    }

    #[test]
    fn defaults_yield_to_what_the_file_says() {
        let mews = sync("mews", "");
        assert_eq!(mews.matching.users, ["userName"]);
        assert_eq!(mews.matching.legacy_external_id, ["mailNickname", "objectId"]);
        let said = sync("mews", "[sync.match]\nusers = [\"externalId\", \"userName\"]\n[sync.user_id]\nfrom = [\"uid\"]");
        assert_eq!(said.matching.users, ["externalId", "userName"]);
        assert_eq!(said.matching.groups, ["displayName"], "what is not said stays the preset's");
        assert_eq!(said.user_id.from, ["uid"]);
        assert!(!sync("andmoney-rooms", "").scope.disabled_is_inactive);
        assert!(sync("andmoney-rooms", "[sync.scope]\ndisabled = \"inactive\"").scope.disabled_is_inactive);
        assert!(sync("andmoney-advisors", "").scope.disabled_is_inactive);
    }
}
