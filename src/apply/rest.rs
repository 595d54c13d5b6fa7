//! What is left of memberships that changed in part: whoever approved all of it approved the rest.

use crate::model::{Flat, SourceKey, TargetId};
use crate::plan::{Change, Kind, Member, digest};
use crate::state::plan_rows::PlanRow;
use crate::state::{StateError, Store};
use std::collections::{BTreeSet, HashSet};

/// Of the members of a change only `done` came or went: noted, and the rest stays approved. Where that is not certain
/// (`unsure`), a look decides what the rest is.
pub(super) fn made_in_part(
    store: &Store,
    sync: i64,
    row: &PlanRow,
    done: &[i64],
    unsure: bool,
    now: i64,
) -> Result<(), StateError> {
    store.plan_partly_done(row.seq, done.len() as u64)?;
    let Some(whole) = row.approval().filter(|_| !done.is_empty() && !unsure) else { return Ok(()) };
    let Some(link) = store.link(row.change.id)? else { return Ok(()) };
    let done: HashSet<i64> = done.iter().copied().collect();
    let rest = row.change.members.iter().filter(|m| !done.contains(&m.id)).cloned().collect();
    approve(store, sync, whole, (row.change.kind, &row.change.source_key, &link.target_id), rest, now)
}

/// The approval of a whole passes on to what is left of it: the members of this group who are still to come or to go, in the
/// order of the plan. They are fewer of the same, until the same time; anybody else is judged anew.
pub(crate) fn approve(
    store: &Store,
    sync: i64,
    whole: &[u8],
    (kind, group, target): (Kind, &SourceKey, &TargetId),
    rest: Vec<Member>,
    now: i64,
) -> Result<(), StateError> {
    let rest = Change {
        kind,
        id: 0,
        who: String::new(),
        source_key: group.clone(),
        target_id: Some(target.clone()),
        reason: String::new(),
        from: Flat::new(),
        to: Flat::new(),
        pushed: Flat::new(),
        members: rest,
        create_only: BTreeSet::new(),
        recreate: false,
    };
    if !rest.members.is_empty() {
        store.approval_passes_on(sync, whole, &digest::change(&rest), now)?;
    }
    store.approval_used(sync, whole, now)
}
