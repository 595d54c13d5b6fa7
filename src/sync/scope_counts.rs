//! Who takes part, counted without a plan.

use super::{Cycle, CycleError, Look, Request, blocking};
use crate::mapping::{Named, named_attributes};
use crate::model::{Entry, ObjectKind};
use crate::state::Store;

/// Who takes part, of the people and groups that a source shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeCounts {
    /// In scope, people and groups.
    pub inside: u64,
    /// Groups in scope.
    pub groups_inside: u64,
    /// Out of scope.
    pub outside: u64,
    /// Active people in scope without a user ID.
    pub without_user_id: u64,
    /// What the scope relies on and the directory does not have: groups of `members_of`.
    pub missing: Vec<String>,
    /// Attributes that the sync names and nobody has, where that is not provided for.
    pub unfilled: Vec<Named>,
}

impl Cycle {
    /// Reads the directory and counts who takes part: people and groups in scope, entries outside it. On a private copy
    /// of the state store; the target is not asked.
    ///
    /// # Errors
    /// Source or state store failed.
    pub async fn count_scope(&self, state: &std::path::Path) -> Result<ScopeCounts, CycleError> {
        let mut store = Store::scratch(state)?;
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let request = Request { full: true, ..Request::default() };
        let (store, read) = self.read(store, &row, &request).await;
        let mut read = read?;
        if let Some(e) = read.no_room.take() {
            return Err(e.into());
        }
        let mut unfilled = named_attributes(&self.sync.mapping_spec());
        unfilled.retain(|n| !n.tried.is_empty() && n.borne_by.is_none());
        let work = self.decision(&row, &request, &self.undiscovered, Look::Away, &read);
        let (_, counted) = blocking(store, move |store| {
            work.evaluate(store)?;
            let (inside, outside) = store.count_scope(work.row.id)?;
            let without_user_id = store.count_without_user_id(work.row.id)?;
            let groups_inside = store.count_groups_in_scope(work.row.id)?;
            // Whoever did not change since the last cycle has attributes too.
            store.mark_all(work.row.id)?;
            for kind in [ObjectKind::User, ObjectKind::Group] {
                let mut any = false;
                work.each(store, kind, |_, d| {
                    if let Some(entry) = d.entry.filter(|_| !d.gone) {
                        any = true;
                        unfilled.retain(|n| n.object != kind || !has(&entry, n));
                    }
                    Ok(())
                })?;
                // Of whom nobody was read, nothing is known.
                unfilled.retain(|n| any || n.object != kind);
            }
            Ok(ScopeCounts { inside, groups_inside, outside, without_user_id, missing: work.missing.take(), unfilled })
        })
        .await;
        counted
    }
}

/// Whether an entry has a value for it. Who is in a group is kept apart.
fn has(entry: &Entry, named: &Named) -> bool {
    let members = |name: &str| ["member", "memberuid", "members", "uniquemember"].contains(&name.to_lowercase().as_str());
    named.tried.iter().any(|name| entry.attrs.has(name) || (entry.kind == ObjectKind::Group && members(name)))
}
