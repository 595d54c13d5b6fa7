//! Renames that wait for each other's names. A chain resolves itself when its head moves; a circle (two people exchange
//! their addresses, two groups their names) needs one of them to step aside under a temporary name; and where a name stays
//! taken, the rest of the change passes without it.

use super::ledger::Step;
use crate::model::Flat;
use crate::plan::{Change, Kind};
use crate::state::links::folded_name;
use crate::state::plan_rows::PlanRow;
use crate::state::{StateError, Store};
use serde_json::Value;
use std::collections::HashMap;

/// Whether the change gives another name, which somebody else may have: of a person as a rename, of a group among its
/// attributes.
pub(super) fn is_rename(change: &Change) -> bool {
    change.kind == Kind::Rename || (change.kind == Kind::GroupUpdate && change.to.contains_key(attribute(change)))
}

/// The attribute that is the name.
pub(super) fn attribute(change: &Change) -> &'static str {
    change.kind.object().name_attribute()
}

/// The name that an account has now: as last pushed; of an account without a link as the change says.
pub(super) fn name_now(store: &Store, change: &Change) -> Result<String, StateError> {
    let link = store.link(change.id)?;
    let flat = link.as_ref().map_or(&change.from, |l| &l.pushed);
    Ok(flat.get(attribute(change)).and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Index of a rename whose name is, over any number of others, held by those who wait for it.
pub(super) fn circle(store: &Store, waiting: &[PlanRow]) -> Result<Option<usize>, StateError> {
    let mut holders = HashMap::with_capacity(waiting.len());
    for (i, row) in waiting.iter().enumerate() {
        holders.insert(name_now(store, &row.change)?.to_lowercase(), i);
    }
    let holder =
        |i: usize| waiting.get(i).and_then(|row| holders.get(&folded_name(row.change.kind.object(), &row.change.to))).copied();
    Ok((0..waiting.len()).find(|start| {
        let mut at = *start;
        for steps in 0..waiting.len() {
            match holder(at) {
                // Whoever waits for nobody but itself is no circle: another account has the name.
                Some(next) if next == *start => return steps > 0,
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }))
}

/// Whether a path waits with a name that is taken: addresses say who somebody is as well.
pub(super) fn waits_with(name: &str, path: &str) -> bool {
    name == "userName" && path.starts_with("emails")
}

/// The request that a step sends in place of the whole change.
pub(super) fn narrowed(change: &Change, step: &Step) -> Change {
    let attribute = attribute(change);
    let name = |value: &str| Flat::from([(attribute.to_owned(), Value::from(value))]);
    let mut out = change.clone();
    match step {
        Step::Whole => {}
        Step::Aside { temporary, .. } => {
            out.from.retain(|path, _| path == attribute);
            out.to = name(temporary);
        }
        Step::Rest { back } => {
            for flat in [&mut out.from, &mut out.to] {
                flat.retain(|path, _| path != attribute && !waits_with(attribute, path));
            }
            if let Some((temporary, old)) = back {
                out.from.extend(name(temporary));
                out.to.extend(name(old));
            }
        }
    }
    out
}

/// What a temporary name begins with.
pub(crate) const ASIDE: &str = "scim-sync-";

/// A name that nobody has, in the same domain, for the moment of an exchange.
pub(crate) fn temporary(old: &str) -> String {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let local = format!("{ASIDE}{}", unique.get(..12).unwrap_or(&unique));
    old.rsplit_once('@').map_or_else(|| local.clone(), |(_, domain)| format!("{local}@{domain}"))
}
