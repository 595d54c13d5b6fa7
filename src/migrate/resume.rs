//! A run that was killed or stopped: the same command finds its cycle, and what was renamed already.

use super::analysis::Analysis;
use super::aside::standing;
use super::report::{Line, Outcome};
use super::selection::Options;
use crate::mapping::folded_address;
use crate::plan::userids::Class;
use crate::state::migration::OpenMigration;
use crate::state::{StateError, Store};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What is kept with the cycle from its beginning on.
pub(super) fn note(options: &Options) -> String {
    json!({"migration": {"by": options.by, "selection": options.print()}}).to_string()
}

/// What a cycle renamed, by account: name before, name after.
pub(super) type Done = HashMap<String, (String, String)>;

/// What interrupted runs left.
pub(super) struct Left {
    /// The cycle of one that selected the same.
    pub cycle: Option<i64>,
    /// What it renamed.
    pub done: Done,
    /// Those that selected something else.
    others: Vec<OpenMigration>,
}

/// Finds out what interrupted runs left, and whether this run goes on with one of them.
pub(super) fn resumed(store: &Store, analysis: &Analysis, options: &Options) -> Result<Left, StateError> {
    let selection = |note: &str| {
        let note: Value = serde_json::from_str(note).unwrap_or_default();
        note.pointer("/migration/selection").cloned()
    };
    let mine = selection(&note(options));
    let mut others = store.migrations_open(analysis.row.id)?;
    let same = others.iter().position(|open| selection(&open.note) == mine);
    let mut left = Left { cycle: None, done: Done::new(), others: Vec::new() };
    if let Some(open) = same.map(|i| others.remove(i)) {
        tracing::info!(cycle = open.cycle, "a migration was interrupted: going on with it");
        for (id, before, after) in store.renames_of(open.cycle)? {
            let name = |json: &str| serde_json::from_str::<Value>(json).ok()?.get("userName")?.as_str().map(str::to_owned);
            let (Some(before), Some(after)) = (name(&before), name(&after)) else { continue };
            left.done.entry(id.0).and_modify(|(_, last)| last.clone_from(&after)).or_insert((before, after));
        }
        left.cycle = Some(open.cycle);
    }
    left.others = others;
    Ok(left)
}

impl Left {
    /// Runs that selected something else are over, once nobody stands aside: until then their own command goes on with them.
    pub(super) fn end_others(&self, store: &Store, analysis: &Analysis, lines: &[Line]) -> Result<(), StateError> {
        if self.others.is_empty() || !standing(store, analysis, lines)?.is_empty() {
            return Ok(());
        }
        let now = jiff::Timestamp::now().as_second();
        self.others.iter().try_for_each(|open| store.cycle_end(open.cycle, "failed", &overtaken(&open.note), now))
    }
}

/// The report of a run that nobody goes on with.
fn overtaken(note: &str) -> String {
    let mut report = match serde_json::from_str(note) {
        Ok(Value::Object(report)) => report,
        _ => serde_json::Map::new(),
    };
    let message = "it was interrupted, and a later migration that selected something else took its place";
    report.insert("error".to_owned(), json!({"kind": "interrupted", "message": message}));
    Value::Object(report).to_string()
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
