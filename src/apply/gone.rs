//! What is confirmed missing at the target, and what only is not shown.

use super::book::{line, refuse, whole};
use super::ledger::Ledger;
use super::outcome::Refused;
use crate::model::{Fault, ObjectKind};
use crate::plan::{Kind, Parked};
use crate::state::plan_rows::PlanRow;
use crate::state::{StateError, Store};

/// The account is confirmed missing. Whoever was to lose it has lost it; whoever was to keep it waits for the next cycle,
/// which judges whether it is made anew. So does a group from which somebody was to be taken out: others are to stay in it.
/// An inactive account to which something was to be written may merely not be shown; only who is to be active again has to be
/// there.
pub(super) fn gone(ledger: &Ledger, store: &Store, row: &PlanRow, now: i64) -> Result<(), StateError> {
    let c = &row.change;
    let stays = c.kind == Kind::MembersRemove && store.is_wanted(c.id)?;
    if c.kind.takes_away() && !stays {
        whole(ledger, store, row, now)?;
        line(ledger, store, row, c.kind, "done", 1, c.target_id.as_ref(), None, now)?;
        return store.set_link_gone(c.id);
    }
    if matches!(c.kind, Kind::Update | Kind::Rename) {
        store.set_link_unseen(ledger.sync, c.id)?;
        if store.link(c.id)?.is_some_and(|l| l.hidden && !l.gone) {
            let reason = "the application does not show the account while it is inactive, and takes no change of it";
            return refuse(ledger, store, row, &not_there(reason, "it is written when the account is active again"), now);
        }
    } else {
        store.set_link_gone(c.id)?;
    }
    let remade = c.kind.object() == ObjectKind::User || ledger.groups_made;
    let advice = if remade {
        "the next cycle proposes to make it anew, under guard.recreate"
    } else {
        "the next cycle looks for another one of this name; if there is none, make it at the application"
    };
    let r = not_there(&format!("the {} is gone at the target (confirmed by a read)", c.kind.object()), advice);
    if remade {
        return refuse(ledger, store, row, &r, now);
    }
    // As a match that is undecided: so the next cycle reads the target.
    tracing::warn!(target: crate::observe::REPORTED, who = c.who, kind = c.kind.as_str(), "parked: {}", r.reason);
    store.plan_park(&Parked { kind: "group_adopt", ..Parked::of(c, r.reason.clone(), r.advice.clone()) })?;
    line(ledger, store, row, c.kind, "parked", 1, c.target_id.as_ref(), Some(&r), now)
}

fn not_there(reason: &str, advice: &str) -> Refused {
    Refused {
        fault: Fault::Transient,
        status: Some(404),
        reason: reason.to_owned(),
        advice: advice.to_owned(),
        ambiguous: false,
        everyone: None,
    }
}
