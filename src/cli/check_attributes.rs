//! What is doubtful in a mapping: attributes that its source does not have, rows that never come to rest.

use crate::config::{Loaded, Problem, SourceConfig};
use crate::mapping::{named_attributes, nearest_attribute, restless_rows};
use crate::model::ObjectKind;
use crate::source::{self, Names, Others};

/// Mistakes, and what may be one. A name is a mistake where the source can have no such attribute and another one is near
/// enough to be meant; else it is worth a look.
pub(super) fn unknown(loaded: &Loaded) -> (Vec<Problem>, Vec<Problem>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for (i, sync) in loaded.config.syncs.iter().enumerate() {
        let Some(config) = loaded.config.sources.get(&sync.source) else { continue };
        let Some(known) = source::known_attributes(config).filter(|known| !known.names.is_empty()) else { continue };
        let is_file = matches!(config, SourceConfig::File(_));
        for named in named_attributes(&sync.mapping_spec()) {
            if named.tried.is_empty() || named.tried.iter().any(|name| has(&known, name)) {
                continue;
            }
            let near = nearest_attribute(&named.attribute, known.names.values().map(String::as_str));
            // In a file, extensionAttribute1 is not misspelt because somebody filled extensionAttribute2.
            let near = near.filter(|near| !is_file || without_digits(near) != without_digits(&named.attribute));
            let whose = if named.object == ObjectKind::Group { "groups" } else { "people" };
            let (message, hint) = match near {
                Some(near) => {
                    (format!("source {} has no attribute [{}]", sync.source, named.attribute), format!("is [{near}] meant?"))
                }
                None if known.others != Others::Some => (
                    format!("source {} has no attribute [{}]", sync.source, named.attribute),
                    format!("it gives no value for {whose}; Coalesce([{}], ..) gives another", named.attribute),
                ),
                None => continue,
            };
            let problem = loaded.problem(&format!("sync[{i}].{}", named.key), message, hint);
            if known.others == Others::None && near.is_some() { errors.push(problem) } else { warnings.push(problem) }
        }
    }
    (errors, warnings)
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

/// Whether the source has an attribute of this name. Extensions of Graph have names that carry their application.
fn has(known: &Names, name: &str) -> bool {
    let name = name.to_lowercase();
    known.names.contains_key(&name) || (name.starts_with("ext") && name.contains('_')) || name.contains('.')
}
