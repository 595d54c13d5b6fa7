//! Books one result: journal, link, members, parked. Runs inside the ledger's transaction.

use super::gone::gone;
use super::halt::STORM;
use super::ledger::{Desk, Ledger, Step};
use super::outcome::{Outcome, Refused};
use super::rename;
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use crate::names;
use crate::plan::matching;
use crate::plan::user::after;
use crate::plan::{Change, Kind, Parked, digest, render};
use crate::state::journal::JournalRow;
use crate::state::links::Origin;
use crate::state::parked::Refusal;
use crate::state::plan_rows::PlanRow;
use crate::state::{StateError, Store};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Books a result. `false`: what happened is not known for certain, its intent must stay open.
pub(super) fn result(
    ledger: &Ledger,
    store: &Store,
    desk: &mut Desk,
    row: PlanRow,
    step: Step,
    outcome: Outcome,
    now: i64,
) -> Result<bool, StateError> {
    let outcome = match outcome {
        // The answer was lost, and where inactive accounts are not shown this is what one that was deactivated looks like. If it
        // is gone all the same, its reactivation says so.
        Outcome::Gone if row.change.kind == Kind::Deactivate && store.hides_inactive(ledger.sync)? => Outcome::Hidden,
        outcome => outcome,
    };
    let outcome = match outcome {
        // Done, as far as anybody can see.
        Outcome::Hidden => {
            store.set_link_hidden(row.change.id)?;
            let written = matches!(step, Step::Rest { .. }).then(|| rename::narrowed(&row.change, &step).to);
            Outcome::Done { link: None, written, refused: None, instead: None }
        }
        outcome => outcome,
    };
    let outcome = match (step, outcome) {
        (_, Outcome::Fatal(e)) => {
            tracing::debug!(who = row.change.who, "{e}");
            desk.fatal.get_or_insert(e);
            return Ok(false);
        }
        (Step::Aside { old, temporary }, outcome) => {
            stepped_aside(ledger, store, desk, row, old, temporary, outcome, now)?;
            return Ok(true);
        }
        (Step::Rest { .. }, outcome @ (Outcome::Done { .. } | Outcome::Refused(_))) => {
            without_name(ledger, store, &row, outcome, now)?;
            return Ok(true);
        }
        (_, outcome) => outcome,
    };
    match &outcome {
        Outcome::Refused(r) if r.is_stormy() => desk.streak += 1,
        Outcome::NotSent | Outcome::Abandoned | Outcome::Full(_) => {}
        _ => desk.streak = 0,
    }
    if let Outcome::Refused(r) = &outcome
        && desk.streak >= STORM
    {
        // It serves reads and takes no write: that is nobody's own fault.
        desk.fatal.get_or_insert_with(|| ledger.storm(r));
        store.forget_storm(ledger.sync, ledger.cycle)?;
        return Ok(false);
    }
    match &outcome {
        Outcome::Refused(Refused { everyone: Some(everyone), .. }) => {
            let (_, before) = desk.denied.unwrap_or((everyone, 0));
            desk.denied = Some((everyone, before + 1));
            if before + 1 >= STORM && !desk.any_done {
                desk.fatal.get_or_insert_with(|| ledger.denies_everyone(everyone));
                store.forget_refusals(ledger.sync, ledger.cycle)?;
                return Ok(false);
            }
        }
        Outcome::Done { .. } => desk.any_done = true,
        Outcome::Members { done, .. } => desk.any_done |= !done.is_empty(),
        _ => {}
    }
    match outcome {
        // The second is carried out, and booked so.
        Outcome::Fatal(_) | Outcome::Hidden => {}
        Outcome::Refused(r) if rename::is_rename(&row.change) && r.fault == Fault::Conflict => desk.again.push(row),
        Outcome::NotSent => {}
        // No further account is to be had: whoever is next waits with whoever was refused.
        Outcome::Full(r) => store.plan_park(&Parked::of(&row.change, r.reason, r.advice))?,
        Outcome::Abandoned => return Ok(false),
        Outcome::Refused(r) => {
            not_as_believed(store, &row.change, &Flat::new(), now)?;
            refuse(ledger, store, &row, &r, now)?;
            return Ok(!r.ambiguous);
        }
        Outcome::Gone => gone(ledger, store, &row, now)?,
        Outcome::LeftAlone(there) => store.leave_group_alone(row.change.id, &there)?,
        Outcome::Members { done, refused } => {
            if desk.undone && !done.is_empty() {
                released_members(ledger, store, &row, &done)?;
            }
            members(ledger, store, &row, &done, refused.as_ref(), now)?;
            return Ok(!refused.is_some_and(|r| r.ambiguous));
        }
        Outcome::Done { link, written, refused, instead } => {
            let mut row = row;
            if let Some(instead) = instead {
                // The journal has what was really there and what was really sent.
                let (from, to) = *instead;
                let pushed = row.change.known().clone();
                row.change = Arc::new(Change { from, to, pushed, ..(*row.change).clone() });
            }
            if let Some(link) = &link
                && let Some(other) = claim(ledger, store, desk, &row, link, written.as_ref(), now)?
            {
                refuse(ledger, store, &row, &other, now)?;
                return Ok(true);
            }
            let name = refused
                .as_ref()
                .filter(|r| r.fault == Fault::Conflict)
                .and_then(|_| without_its_name(&mut row, written.as_ref()));
            desk.moved |= rename::is_rename(&row.change);
            if desk.undone {
                released(ledger, store, &row, written.as_ref())?;
            }
            carried_out(ledger, store, &row, link, written.as_ref(), now)?;
            match refused {
                None => whole(ledger, store, &row, now)?,
                Some(r) => {
                    store.plan_partly_done(row.seq, 1)?;
                    not_as_believed(store, &row.change, written.as_ref().unwrap_or(&row.change.to), now)?;
                    match name {
                        Some(name) => name_taken(ledger, store, &name, now)?,
                        None => refuse(ledger, store, &row, &r, now)?,
                    }
                }
            }
        }
    }
    Ok(true)
}

/// All of a change was carried out, and the approval that it may have had with it. Of memberships that changed in part it
/// passes on to the rest ([`super::rest`]).
pub(super) fn whole(ledger: &Ledger, store: &Store, row: &PlanRow, now: i64) -> Result<(), StateError> {
    store.plan_done(row.seq)?;
    row.approval().map_or(Ok(()), |hash| store.approval_used(ledger.sync, hash, now))
}

/// One of a circle has, or has not, given up its name for the moment.
#[allow(clippy::too_many_arguments)]
fn stepped_aside(
    ledger: &Ledger,
    store: &Store,
    desk: &mut Desk,
    row: PlanRow,
    old: String,
    temporary: String,
    outcome: Outcome,
    now: i64,
) -> Result<(), StateError> {
    let Outcome::Done { refused: None, .. } = outcome else {
        desk.no_aside = true;
        desk.again.push(row);
        return Ok(());
    };
    let name = rename::attribute(&row.change);
    let to = Flat::from([(name.to_owned(), serde_json::Value::from(temporary.as_str()))]);
    if let Some(link) = store.link(row.change.id)? {
        store.set_pushed(row.change.kind.object(), row.change.id, &after(&link.pushed, &to), now)?;
    }
    let before = serde_json::json!({ name: old }).to_string();
    let after = serde_json::json!(to).to_string();
    let line = JournalRow {
        kind: row.change.kind,
        entry_id: row.change.id,
        who: &row.change.who,
        target_id: row.change.target_id.as_ref().map(TargetId::as_str),
        status: "done",
        amount: 1,
        // The rename itself is counted when it is done.
        approved: true,
        recreate: false,
        http_status: ledger.status.get(),
        error: Some("for a moment, so that others can have the name"),
        before: Some(&before),
        after: Some(&after),
    };
    store.journal(ledger.sync, ledger.cycle, &line, now)?;
    desk.aside.insert(row.seq, (temporary, old));
    desk.moved = true;
    desk.again.push(row);
    Ok(())
}

/// The name stays taken; what else was to change has gone through, or was refused too.
fn without_name(ledger: &Ledger, store: &Store, row: &PlanRow, outcome: Outcome, now: i64) -> Result<(), StateError> {
    if let Outcome::Done { written: Some(written), .. } = &outcome {
        if let Some(link) = store.link(row.change.id)? {
            store.set_pushed(row.change.kind.object(), row.change.id, &after(&link.pushed, written), now)?;
        }
        let kind = if row.change.kind == Kind::Rename { Kind::Update } else { row.change.kind };
        store.plan_rename_kind(row.seq, kind)?;
        store.plan_partly_done(row.seq, 1)?;
        let part = Change { from: row.change.from.clone(), to: written.clone(), ..(*row.change).clone() };
        let done = PlanRow { change: Arc::new(part), ..row.clone() };
        line(ledger, store, &done, kind, "done", 1, row.change.target_id.as_ref(), None, now)?;
    }
    match outcome {
        // It was not about the name.
        Outcome::Refused(r) if r.fault == Fault::Conflict => refuse(ledger, store, row, &r, now),
        _ => name_taken(ledger, store, row, now),
    }
}

/// Two changes of one cycle may have come upon the same account: the first has it.
fn other_owner(ledger: &Ledger, store: &Store, row: &PlanRow, id: &TargetId) -> Result<Option<Refused>, StateError> {
    let kind = row.change.kind.object();
    let owner = store.linked_to(ledger.sync, kind, id, row.change.id)?;
    Ok(owner.map(|key| Refused {
        fault: Fault::Conflict,
        status: None,
        reason: format!("the {kind} that matches ({id}) is linked to {key} already"),
        advice: matching::whose(kind).to_owned(),
        ambiguous: false,
        everyone: None,
    }))
}

/// Of an adoption under the name that is there, because the new one is taken, the rest was made. What is left is a rename, as the
/// next cycle is going to plan it.
fn without_its_name(row: &mut PlanRow, written: Option<&Flat>) -> Option<PlanRow> {
    let given = written.and_then(|w| w.get("userName"));
    if row.change.kind != Kind::Adopt || given.is_some_and(|given| row.change.to.get("userName") == Some(given)) {
        return None;
    }
    let (name, rest) = crate::plan::rename::part(&row.change, &BTreeSet::new())?;
    let hash = digest::change(&name).to_vec();
    let name = PlanRow { change: Arc::new(name), hash, ..row.clone() };
    row.change = Arc::new(rest);
    Some(name)
}

/// A rename whose new name stayed taken to the end of its phase.
pub(super) fn name_taken(ledger: &Ledger, store: &Store, row: &PlanRow, now: i64) -> Result<(), StateError> {
    let name = row.change.to.get(rename::attribute(&row.change)).and_then(|v| v.as_str()).unwrap_or_default();
    let (what, whose) = match row.change.kind.object() {
        ObjectKind::User => ("user ID", "that account; or correct the address"),
        ObjectKind::Group => ("group name", "that group; or rename it"),
    };
    let r = Refused {
        fault: Fault::Conflict,
        status: Some(409),
        reason: format!("the target says that the {what} {name} is taken"),
        advice: format!("find out who has it at the target, and rename or remove {whose} at the source"),
        ambiguous: false,
        everyone: None,
    };
    refuse(ledger, store, row, &r, now)
}

/// What was taken back before and is written all the same, somebody approved: it is held no longer.
fn released(ledger: &Ledger, store: &Store, row: &PlanRow, written: Option<&Flat>) -> Result<(), StateError> {
    let c = &row.change;
    match c.kind {
        Kind::Update | Kind::Rename | Kind::GroupUpdate | Kind::Deactivate | Kind::Reactivate => {
            let mut paths: Vec<&str> = written.unwrap_or(&c.to).keys().map(String::as_str).collect();
            if c.kind == Kind::Reactivate {
                paths.push(crate::plan::undone::HAS_ACCOUNT);
            }
            store.undone_clear(ledger.sync, c.id, Some(&paths), None)
        }
        _ => store.undone_clear(ledger.sync, c.id, None, None),
    }
}

/// The same for members.
fn released_members(ledger: &Ledger, store: &Store, row: &PlanRow, done: &[i64]) -> Result<(), StateError> {
    use crate::plan::undone::{MEMBER, NO_MEMBER};
    done.iter()
        .try_for_each(|id| store.undone_clear(ledger.sync, row.change.id, Some(&[MEMBER, NO_MEMBER]), Some(&id.to_string())))
}

/// Links the entry to the account, unless that is somebody else's: then it says whose.
fn claim(
    ledger: &Ledger,
    store: &Store,
    desk: &Desk,
    row: &PlanRow,
    (id, origin): &(TargetId, Origin),
    written: Option<&Flat>,
    now: i64,
) -> Result<Option<Refused>, StateError> {
    let c = &row.change;
    let kind = c.kind.object();
    let mut pushed = Cow::Borrowed(written.unwrap_or_else(|| c.known()));
    if c.kind == Kind::Adopt && store.plan_has_done(c.id, Kind::Deactivate)? {
        pushed.to_mut().insert("active".to_owned(), serde_json::Value::Bool(false));
    }
    // Most accounts are new: the index that keeps two links of a sync from one account finds that out by itself.
    if !store.is_linked(&desk.others, kind, id)? && store.put_first_link(ledger.sync, kind, c.id, id, *origin, &pushed, now)? {
        return Ok(None);
    }
    let other = other_owner(ledger, store, row, id)?;
    if other.is_none() {
        store.put_link(ledger.sync, kind, c.id, id, *origin, &pushed, now)?;
    }
    Ok(other)
}

fn carried_out(
    ledger: &Ledger,
    store: &Store,
    row: &PlanRow,
    link: Option<(TargetId, Origin)>,
    written: Option<&Flat>,
    now: i64,
) -> Result<(), StateError> {
    let c = &row.change;
    let kind = c.kind.object();
    let target = link.as_ref().map(|(id, _)| id).or(c.target_id.as_ref());
    if link.is_some() {
        // It stands already.
    } else if matches!(c.kind, Kind::Delete | Kind::GroupDelete) {
        // Who was in it is on record before it is forgotten.
        line(ledger, store, row, c.kind, "done", 1, target, None, now)?;
        return store.drop_link(c.id);
    } else if let Some(link) = store.link(c.id)? {
        store.set_pushed(kind, c.id, &after(&link.pushed, written.unwrap_or(&c.to)), now)?;
        if c.kind == Kind::Update && !c.members.is_empty() {
            store.references_written(c.id)?;
        }
    } else if let (Kind::Rename, Some(id), false) = (c.kind, &c.target_id, ledger.undoing) {
        // Of an account from before: with its user ID it becomes that person's. Not where that is taken back.
        store.put_link(ledger.sync, kind, c.id, id, Origin::Adopted, &as_written(c, written.unwrap_or(&c.to)), now)?;
    }
    // A create that met an account that was there is an adoption, and is called so.
    let kind = match (&link, c.kind) {
        (Some((_, Origin::Adopted)), Kind::Create) => Kind::Adopt,
        (Some((_, Origin::Adopted)), Kind::GroupCreate) => Kind::GroupAdopt,
        (_, kind) => kind,
    };
    if kind != c.kind {
        store.plan_rename_kind(row.seq, kind)?;
    }
    if kind == Kind::Deactivate
        && let Some(since) = store.leaving_since(c.id)?
    {
        left(ledger, since, now);
    }
    line(ledger, store, row, kind, "done", 1, target, None, now)
}

/// The resource as it is known when of a change only `written` went through.
pub(super) fn as_written(c: &Change, written: &Flat) -> Flat {
    let mut out = c.known().clone();
    for path in c.to.keys().filter(|path| !written.contains_key(*path)) {
        match c.from.get(path) {
            Some(old) => out.insert(path.clone(), old.clone()),
            None => out.remove(path),
        };
    }
    out
}

/// Somebody who was first seen to have left at `since` is inactive at the target.
fn left(ledger: &Ledger, since: i64, now: i64) {
    #[allow(clippy::cast_precision_loss)] // seconds between two days of this century
    let seconds = (now - since).max(0) as f64;
    metrics::histogram!(names::LEAVER_SECONDS, "sync" => ledger.name.clone()).record(seconds);
}

fn count(ledger: &Ledger, kind: Kind, outcome: &'static str, amount: u64) {
    metrics::counter!(names::WRITES, "sync" => ledger.name.clone(), "kind" => kind.as_str(), "outcome" => outcome)
        .increment(amount);
}

fn members(
    ledger: &Ledger,
    store: &Store,
    row: &PlanRow,
    done: &[i64],
    refused: Option<&Refused>,
    now: i64,
) -> Result<(), StateError> {
    let c = &row.change;
    let amount = done.len() as u64;
    if amount > 0 {
        store.set_pushed_members(c.id, done, c.kind == Kind::MembersAdd)?;
        let part: HashSet<i64> = if done.len() < c.members.len() { done.iter().copied().collect() } else { HashSet::new() };
        let mut booked = row.clone();
        if !part.is_empty() {
            // Who did not join or leave is in no image.
            Arc::make_mut(&mut booked.change).members.retain(|m| part.contains(&m.id));
        }
        // A group that was made in this cycle has its id since then.
        let made = if c.target_id.is_none() { store.link(c.id)?.map(|l| l.target_id) } else { None };
        line(ledger, store, &booked, c.kind, "done", amount, c.target_id.as_ref().or(made.as_ref()), None, now)?;
    }
    if done.len() == c.members.len() {
        whole(ledger, store, row, now)?;
    } else {
        super::rest::made_in_part(store, ledger.sync, row, done, refused.is_some_and(|r| r.ambiguous), now)?;
    }
    refused.map_or(Ok(()), |r| refuse(ledger, store, row, r, now))
}

/// A read of the target showed that something is not as it was pushed, and it could not be put right: from here on that is what
/// is known of it. Believed to be right, it would be forgotten until the next read of the target.
fn not_as_believed(store: &Store, c: &Change, written: &Flat, now: i64) -> Result<(), StateError> {
    // What is made anew has nothing there: what its lost account had is what it may still be found by.
    let Some(link) = store.link(c.id)?.filter(|l| !l.gone) else { return Ok(()) };
    let mut pushed = link.pushed.clone();
    let open = c.to.iter().filter(|(path, _)| !written.contains_key(*path));
    for (path, _) in open.filter(|(path, want)| link.pushed.get(*path) == Some(want) && c.from.get(*path) != Some(want)) {
        match c.from.get(path) {
            Some(there) => pushed.insert(path.clone(), there.clone()),
            None => pushed.remove(path),
        };
    }
    if pushed == link.pushed { Ok(()) } else { store.set_seen(c.kind.object(), c.id, &pushed, now) }
}

pub(super) fn refuse(ledger: &Ledger, store: &Store, row: &PlanRow, r: &Refused, now: i64) -> Result<(), StateError> {
    let c = &row.change;
    tracing::warn!(target: crate::observe::REPORTED, who = c.who, kind = c.kind.as_str(), "parked: {}", r.reason);
    let refusal = Refusal {
        entry_id: c.id,
        kind: c.kind.as_str(),
        object: c.kind.object(),
        key: c.source_key.as_str(),
        who: &c.who,
        reason: &r.reason,
        advice: &r.advice,
        fault: r.fault,
        hash: &row.hash,
    };
    store.refuse(ledger.sync, &refusal, now)?;
    line(ledger, store, row, c.kind, "parked", 1, c.target_id.as_ref(), Some(r), now)
}

/// The before-image of a group with the members that we pushed: to make it anew takes both.
fn with_members(store: &Store, row: &PlanRow, before: String) -> Result<String, StateError> {
    let members = store.pushed_members(row.change.id)?;
    Ok(match serde_json::from_str::<serde_json::Value>(&before) {
        Ok(serde_json::Value::Object(mut image)) if !members.is_empty() => {
            image.insert("members".to_owned(), serde_json::json!(members));
            serde_json::Value::Object(image).to_string()
        }
        _ => before,
    })
}

#[allow(clippy::too_many_arguments)]
pub(super) fn line(
    ledger: &Ledger,
    store: &Store,
    row: &PlanRow,
    kind: Kind,
    status: &'static str,
    amount: u64,
    target: Option<&TargetId>,
    refused: Option<&Refused>,
    now: i64,
) -> Result<(), StateError> {
    let (mut before, after) = render::images(&row.change);
    if kind == Kind::GroupDelete && status == "done" {
        before = with_members(store, row, before)?;
    }
    let line = JournalRow {
        kind,
        entry_id: row.change.id,
        who: &row.change.who,
        target_id: target.map(TargetId::as_str),
        status,
        amount,
        approved: row.approved,
        recreate: row.change.recreate,
        http_status: refused.map_or(ledger.status.get(), |r| r.status),
        error: refused.map(|r| r.reason.as_str()),
        before: Some(&before),
        after: Some(&after),
    };
    store.journal(ledger.sync, ledger.cycle, &line, now)?;
    count(ledger, kind, status, amount);
    row.approval().map_or(Ok(()), |hash| store.journal_approval(ledger.sync, hash))
}
