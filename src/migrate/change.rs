//! A line of the report as a change of a plan.

use super::report::Line;
use crate::mapping::Desired;
use crate::model::{Flat, ObjectKind, SourceKey};
use crate::plan::user::{after, diff};
use crate::plan::{Change, Kind};
use crate::state::{StateError, Store};
use crate::sync::Cycle;
use crate::target::{Dialect, Remote};
use serde_json::Value;

/// What an account is, and what it is to be.
pub(super) struct Sides {
    seen: Flat,
    desired: Desired,
    /// The account may be used.
    pub active: bool,
}

/// Reads both sides of a person and an account out of the store; `None` where one of them is not there any more.
pub(super) fn sides(
    cycle: &Cycle,
    dialect: &Dialect,
    store: &Store,
    line: &Line,
    entry_id: i64,
) -> Result<Option<Sides>, StateError> {
    let Some(desired) = desired(cycle, dialect, store, entry_id)? else { return Ok(None) };
    let Some(json) = store.remote_json(ObjectKind::User, &line.row.id)? else { return Ok(None) };
    let raw: Value = serde_json::from_str(&json).map_err(|e| store.damaged(format!("resource {}: {e}", line.row.id)))?;
    let paths = desired.attrs.keys().map(String::as_str).chain(["userName", "externalId", "active"]);
    let there = Remote::of(line.row.id.clone(), raw);
    let mut seen = there.flat(paths);
    seen.insert("userName".to_owned(), Value::from(line.current.as_str()));
    Ok(Some(Sides { seen, desired, active: there.active().unwrap_or(true) }))
}

/// What the mapping gives a person, as the application takes it; `None` where the person is not there any more.
pub(super) fn desired(cycle: &Cycle, dialect: &Dialect, store: &Store, entry_id: i64) -> Result<Option<Desired>, StateError> {
    let Some(entry) = store.entry(entry_id)? else { return Ok(None) };
    let desired = cycle.mapper().user(&entry, false).attrs.unwrap_or_else(|unmapped| *unmapped.rest);
    let desired = cycle.user_as_taken(dialect, desired);
    Ok(Some(desired.typed(&|path| dialect.shape_of(path)).unwrap_or_else(|unmapped| *unmapped.rest)))
}

impl Sides {
    /// The user ID that the person's entry gives now; `None` where it gives none.
    pub(super) fn user_id(&self) -> Option<&str> {
        self.desired.user_id.as_deref()
    }

    /// What the mapping gives the person.
    pub(super) fn desired(&self) -> &Flat {
        &self.desired.attrs
    }

    /// The change: another name (`None`: it keeps the one it has), externalId where the account has none, and whatever else
    /// the mapping wants and the account lacks, so that the next cycle has nothing left to write. Never `active`: nobody is
    /// let in or shut out by a new name. `only_name`: of a person who takes no part nothing else travels.
    pub(super) fn change(
        &self,
        cycle: &Cycle,
        line: &Line,
        place: (i64, &str, &str),
        name: Option<&str>,
        only_name: bool,
    ) -> Change {
        let (id, who, key) = place;
        let (mut from, mut to) = (Flat::new(), Flat::new());
        let update = cycle.config().actions.user_update && !only_name;
        if update {
            let left_out = |path: &str| matches!(path, "userName" | "externalId" | "active");
            (from, to) = diff(&self.seen, &self.desired, false, &left_out);
        }
        if !self.seen.contains_key("externalId")
            && let Some(external) = self.desired.attrs.get("externalId")
        {
            to.insert("externalId".to_owned(), external.clone());
        }
        if let Some(name) = name {
            from.insert("userName".to_owned(), Value::from(line.current.as_str()));
            to.insert("userName".to_owned(), Value::from(name));
        }
        let mut pushed = after(&self.seen, &to);
        pushed.retain(|path, _| self.desired.attrs.contains_key(path) || path == "userName" || path == "active");
        if let (None, Some(mine)) = (name, self.desired.attrs.get("userName")) {
            // It bears its user ID, whatever the letter case: that is no reason to write.
            pushed.insert("userName".to_owned(), mine.clone());
        }
        let (kind, reason) = match name {
            Some(name) => (Kind::Rename, format!("user ID {} -> {name} (migration)", line.current)),
            None => (Kind::Adopt, "it bears its user ID already (migration)".to_owned()),
        };
        Change {
            kind,
            id,
            who: who.to_owned(),
            source_key: SourceKey(key.to_owned()),
            target_id: Some(line.row.id.clone()),
            reason,
            from,
            to,
            pushed,
            members: Vec::new(),
            recreate: false,
            create_only: std::collections::BTreeSet::new(),
        }
    }
}
