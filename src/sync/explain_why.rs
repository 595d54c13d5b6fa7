//! Why nothing, or not everything, is sent: what the cycle would do if it were allowed to, and what keeps it from it.

use super::evaluate::Work;
use super::explain::Desk;
use super::{Cycle, CycleError};
use crate::config::{Drift, GroupPush, SyncConfig};
use crate::mapping::trace::HIDDEN;
use crate::model::ObjectKind;
use crate::plan::Kind;
use crate::state::standing::Dirty;
use crate::state::{StateError, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Cycle {
    /// The reasons, for people to read; `sent`: kinds of change that there are. Uses the plan in the store.
    pub(super) fn why_not_sent(
        &self,
        store: &mut Store,
        desk: &Desk,
        d: &Dirty,
        kind: ObjectKind,
        asked: bool,
        sent: &[Kind],
    ) -> Result<Vec<String>, CycleError> {
        let mut out = Vec::new();
        let free = Work { observed: asked, compares: asked, ..self.work_like(&desk.work) };
        let free = Work { sync: Arc::new(without_rules(&self.sync)), ..free };
        store.plan_clear()?;
        store.in_transaction(|store| free.decide_one(store, kind, d.clone()))?;
        let mut possible = BTreeSet::new();
        store.plan_each(|row| {
            possible.insert(row.change.kind);
            Ok::<(), StateError>(())
        })?;
        store.plan_clear()?;
        for kept in possible.into_iter().filter(|kind| !sent.contains(kind)) {
            if let Some(why) = self.keeps(kept, desk, d) {
                out.push(format!("{}: {why}", kept.as_str().replace('_', " ")));
            }
        }
        out.extend(self.left_out(desk, d, kind));
        if out.is_empty() && sent.is_empty() {
            out.push(nothing(d).to_owned());
        }
        Ok(out)
    }

    /// What keeps a change of this kind from being made.
    fn keeps(&self, kind: Kind, desk: &Desk, d: &Dirty) -> Option<String> {
        let (a, g) = (&self.sync.actions, &self.sync.groups);
        let lacks = |may: bool, object: &str, action: &str| {
            (!may).then(|| format!("\"{action}\" is not among the actions of [sync.actions] {object}"))
        };
        let only = (g.push != GroupPush::Full).then(|| "[sync.groups] push keeps groups as they are".to_owned());
        let drift =
            (self.sync.drift == Drift::Report).then(|| "drift = \"report\" leaves differences at the target alone".to_owned());
        match kind {
            Kind::Create => lacks(a.user_create, "user", "create"),
            Kind::Adopt => None,
            Kind::Update | Kind::Rename => lacks(a.user_update, "user", "update").or(drift),
            Kind::Reactivate => lacks(a.user_deactivate, "user", "deactivate").or(drift),
            Kind::Deactivate if !d.gone && !d.in_scope && !self.sync.scope.out_of_scope_deactivates => {
                Some("scope.out_of_scope = \"keep\" leaves the account as it is".to_owned())
            }
            Kind::Deactivate => lacks(a.user_deactivate, "user", "deactivate").or_else(|| {
                let after = i64::try_from(a.deactivate_after.as_secs()).ok().filter(|s| *s > 0)?;
                let when = d.leaving_since.unwrap_or(desk.work.now).saturating_add(after);
                let when = jiff::Timestamp::from_second(when).map_or_else(|_| when.to_string(), |at| at.to_string());
                Some(format!("deactivate_after is a grace period until {when}"))
            }),
            Kind::Delete => lacks(a.user_delete, "user", "delete"),
            Kind::GroupCreate => lacks(a.group_create, "group", "create").or(only),
            Kind::GroupAdopt => only,
            Kind::GroupUpdate => lacks(a.group_update, "group", "update").or(only).or(drift),
            Kind::GroupDelete => lacks(a.group_delete, "group", "delete").or(only),
            Kind::MembersAdd | Kind::MembersRemove => lacks(a.group_members, "group", "members").or(only),
        }
    }

    /// Values of the mapping that are not sent, and why.
    fn left_out(&self, desk: &Desk, d: &Dirty, kind: ObjectKind) -> Vec<String> {
        let Some(entry) = d.entry.as_ref().filter(|_| !d.gone && d.in_scope) else { return Vec::new() };
        let whole = match kind {
            ObjectKind::User => self.mapper.user(entry, desk.work.is_disabled(entry, d.inactive)).attrs,
            ObjectKind::Group => self.mapper.group(entry),
        };
        let whole = whole.unwrap_or_else(|unmapped| *unmapped.rest);
        let sent = match kind {
            ObjectKind::User => desk.work.user_as_sent(Ok(whole.clone())),
            ObjectKind::Group => desk.work.group_as_sent(entry),
        };
        let sent = sent.unwrap_or_else(|unmapped| *unmapped.rest);
        let mut out = Vec::new();
        let unknown: Vec<&str> = whole.attrs.keys().filter(|p| !sent.attrs.contains_key(*p)).map(String::as_str).collect();
        if !unknown.is_empty() {
            out.push(format!("{}: not among the attributes that the application takes ({kind}_attributes)", unknown.join(", ")));
        }
        let hidden = self.mapper.hidden(kind);
        let link = d.link.as_ref().filter(|l| !l.gone);
        for path in &sent.create_only {
            let (Some(link), Some(now)) = (link, sent.attrs.get(path)) else { continue };
            // Whoever has a value that nobody else has keeps it.
            if sent.candidates.contains_key(path) {
                continue;
            }
            let then = link.pushed.get(path);
            if then == Some(now) {
                continue;
            }
            let now = if hidden.path(path) { HIDDEN.into() } else { now.clone() };
            out.push(format!("{path} would be {now}: it is written at creation only"));
        }
        out
    }
}

/// Why nothing is to be done about somebody where no rule keeps anything back.
fn nothing(d: &Dirty) -> &'static str {
    match d.link.as_ref().filter(|l| !l.gone) {
        Some(l) if !l.active => "the account is inactive already",
        Some(_) => "the target has what it should have",
        None if d.gone => "not in the directory any more, and without an account",
        None if !d.in_scope => "out of scope, and without an account",
        None if d.inactive => "disabled at the source: no account is made for whoever is inactive from the start",
        None => "there is nothing to be done",
    }
}

/// The same sync with everything allowed at once, but for deleting accounts.
fn without_rules(sync: &SyncConfig) -> SyncConfig {
    let mut free = sync.clone();
    let a = &mut free.actions;
    (a.user_create, a.user_update, a.user_deactivate) = (true, true, true);
    (a.group_create, a.group_update, a.group_delete, a.group_members) = (true, true, true, true);
    a.deactivate_after = std::time::Duration::ZERO;
    free.scope.out_of_scope_deactivates = true;
    free.groups.push = GroupPush::Full;
    free.drift = Drift::Repair;
    free
}
