//! What is doubtful in a mapping: attributes that its source does not have, rows that never come to rest.

use crate::config::{Loaded, Problem, SourceConfig, SyncConfig};
use crate::mapping::{Named, named_attributes, nearest_attribute, restless_rows, toml_key};
use crate::model::ObjectKind;
use crate::source::{self, Others};
use crate::target::Dialect;
use std::collections::BTreeMap;

/// Mistakes, and what may be one. A name is a mistake where the source can have no such attribute and another one is near
/// enough to be meant; else it is worth a look.
pub(super) fn unknown(loaded: &Loaded) -> (Vec<Problem>, Vec<Problem>) {
    unknown_in(loaded, &|_, _| true)
}

/// The same of the scopes of these syncs: by a name that nobody has, nobody takes part.
pub(super) fn unknown_to_scope(loaded: &Loaded, syncs: &[&SyncConfig]) -> Vec<Problem> {
    let asked = |sync: &SyncConfig, key: &str| key.starts_with("scope.") && syncs.iter().any(|s| s.name == sync.name);
    let (errors, warnings) = unknown_in(loaded, &asked);
    errors.into_iter().chain(warnings).collect()
}

fn unknown_in(loaded: &Loaded, asked: &dyn Fn(&SyncConfig, &str) -> bool) -> (Vec<Problem>, Vec<Problem>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for (i, sync) in loaded.config.syncs.iter().enumerate() {
        let Some(config) = loaded.config.sources.get(&sync.source) else { continue };
        let named: Vec<Named> = named_attributes(&sync.mapping_spec()).into_iter().filter(|n| asked(sync, &n.key)).collect();
        // To see what a file has it is read.
        if named.is_empty() {
            continue;
        }
        let Some(known) = source::known_attributes(config).filter(|known| !known.names.is_empty()) else { continue };
        let is_file = matches!(config, SourceConfig::File(_));
        // What their applications and schemas add has names of this form; nobody else's attributes do, but for OIDs in LDAP.
        let of_extensions = |name: &str| match config {
            SourceConfig::Graph(_) | SourceConfig::Okta(_) => {
                name.contains('.') || name.to_lowercase().starts_with("ext") && name.contains('_')
            }
            SourceConfig::Ldap(_) => name.starts_with(|c: char| c.is_ascii_digit()),
            SourceConfig::File(_) => false,
        };
        for named in named {
            if named.tried.is_empty()
                || named.tried.iter().any(|name| known.names.contains_key(&name.to_lowercase()) || of_extensions(name))
            {
                continue;
            }
            let near = nearest_attribute(&named.attribute, known.names.values().map(String::as_str));
            // In a file, extensionAttribute1 is not misspelt because somebody filled extensionAttribute2.
            let near = near.filter(|near| !is_file || without_digits(near) != without_digits(&named.attribute));
            let (message, hint) = match near {
                Some(near) => {
                    (format!("source {} has no attribute [{}]", sync.source, named.attribute), format!("is [{near}] meant?"))
                }
                // Nobody has it in the file today, and that is provided for.
                None if known.others == Others::Unseen && named.borne_by.is_some() => continue,
                None if known.others != Others::Some => {
                    (format!("source {} has no attribute [{}]", sync.source, named.attribute), without(&named))
                }
                None => continue,
            };
            let problem = loaded.problem(&format!("sync[{i}].{}", named.key), message, hint);
            if known.others == Others::None && near.is_some() { errors.push(problem) } else { warnings.push(problem) }
        }
    }
    (errors, warnings)
}

/// What it means that nobody has a value for it.
fn without(named: &Named) -> String {
    let whose = if named.object == ObjectKind::Group { "groups" } else { "people" };
    match (named.key.split_once('.'), named.borne_by) {
        (Some(("scope", _)), _) => "a comparison with it holds for nobody, and `not (..)` around one for everybody".to_owned(),
        (Some(("map", _)), Some(function)) => format!("{function} goes on without it: it may be left out here"),
        (Some(("map", _)), None) => format!("it gives no value for {whose}; Coalesce([{}], ..) gives another", named.attribute),
        _ => format!("it gives no value for {whose}: nobody is found by it"),
    }
}

/// What a sync names and nobody in its directory has, as `check --online` saw it: by the place of the sync.
pub(super) fn unfilled(loaded: &Loaded, found: Vec<(usize, Named)>, told: &[Problem]) -> Vec<Problem> {
    let mut out = Vec::new();
    for (i, named) in found {
        let key = format!("sync[{i}].{}", named.key);
        let attribute = format!("[{}]", named.attribute);
        if told.iter().any(|p| p.key == key && p.message.contains(&attribute)) {
            continue;
        }
        let whose = if named.object == ObjectKind::Group { "no group" } else { "nobody" };
        let hint = "is it written as the directory writes it, and may the account read it?";
        out.push(loaded.problem(&key, format!("{whose} that was read has a value for {attribute}"), hint));
    }
    out
}

/// Rows of a mapping that are not sent, because the application has no such attribute, as `check --online` saw it: by the
/// names of the targets.
pub(super) fn not_taken(loaded: &Loaded, dialects: &BTreeMap<String, Dialect>) -> Vec<Problem> {
    let mut out = Vec::new();
    for (i, sync) in loaded.config.syncs.iter().enumerate() {
        let Some(dialect) = dialects.get(&sync.target) else { continue };
        let spec = sync.mapping_spec();
        let rows = spec.users.iter().map(|r| (ObjectKind::User, r)).chain(spec.groups.iter().map(|r| (ObjectKind::Group, r)));
        for (object, row) in rows.filter(|(object, row)| !row.expr.is_empty() && !dialect.allows(*object, &row.path)) {
            let list = if object == ObjectKind::Group { "group_attributes" } else { "user_attributes" };
            let key = format!("sync[{i}].map.{object}.{}", toml_key(&row.path));
            let message = format!("the application does not know {}: it is not sent", row.path);
            let hint = format!(
                "is it spelt as its schema spells it? If it takes more than it says, name all that is sent: {list} in [target.{}]",
                sync.target
            );
            out.push(loaded.problem(&key, message, hint));
        }
    }
    out
}

/// Rows that make a change of everybody in every cycle, because their value tells the time.
pub(super) fn restless(loaded: &Loaded) -> Vec<Problem> {
    let mut out = Vec::new();
    for (i, sync) in loaded.config.syncs.iter().enumerate() {
        for key in restless_rows(&sync.mapping_spec()) {
            let message = "Now() gives another value in every cycle: everybody is written to each time";
            let hint = "{ expr = '..', apply = \"create\" } writes it once; or compare with it, in DateDiff or IIF";
            out.push(loaded.problem(&format!("sync[{i}].{key}"), message, hint));
        }
    }
    out
}

fn without_digits(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_digit()).flat_map(char::to_lowercase).collect()
}
