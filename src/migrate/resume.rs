//! A run that was killed or stopped: the same command finds its cycle, and what was renamed already.

use super::analysis::Analysis;
use super::report::{Line, Outcome};
use super::selection::Options;
use crate::mapping::folded_address;
use crate::plan::userids::Class;
use crate::state::{StateError, Store};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What is kept with the cycle from its beginning on.
pub(super) fn note(options: &Options) -> String {
    json!({"migration": {"by": options.by, "selection": options.print()}}).to_string()
}

/// What a cycle renamed, by account: name before, name after.
pub(super) type Done = HashMap<String, (String, String)>;

/// The cycle of an interrupted run that selected the same, and what it renamed. One that selected something else is over.
pub(super) fn resumed(store: &mut Store, analysis: &Analysis, options: &Options) -> Result<(Option<i64>, Done), StateError> {
    let Some(open) = store.migration_open(analysis.row.id)? else { return Ok((None, Done::new())) };
    let said: Value = serde_json::from_str(&open.note).unwrap_or_default();
    let mine: Value = serde_json::from_str(&note(options)).unwrap_or_default();
    if said.pointer("/migration/selection") != mine.pointer("/migration/selection") {
        store.cycle_end(open.cycle, "failed", &open.note, jiff::Timestamp::now().as_second())?;
        return Ok((None, Done::new()));
    }
    tracing::info!(cycle = open.cycle, "a migration was interrupted: going on with it");
    let mut done = Done::new();
    for (id, before, after) in store.renames_of(open.cycle)? {
        let name = |json: &str| serde_json::from_str::<Value>(json).ok()?.get("userName")?.as_str().map(str::to_owned);
        let (Some(before), Some(after)) = (name(&before), name(&after)) else { continue };
        done.entry(id.0).and_modify(|(_, last)| last.clone_from(&after)).or_insert((before, after));
    }
    Ok((Some(open.cycle), done))
}

/// Lines of what an interrupted run renamed say so.
pub(super) fn restore(lines: &mut [Line], done: &Done) {
    for line in lines {
        let Some((old, last)) = done.get(line.row.id.as_str()) else { continue };
        if folded_address(last) != folded_address(&line.current) {
            continue;
        }
        line.row.old.clone_from(old);
        if line.row.class == Class::Already {
            line.row.class = Class::Convert;
            line.result = Outcome::Renamed;
        }
    }
}
