//! What is to be done for one person.

use super::diff::have;
pub use super::diff::{Taken, after, changed_words, diff, take_over};
use super::matching::Match;
use super::{Change, Kind, Parked};
use crate::mapping::{Desired, Unmapped};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use serde_json::Value;
use std::collections::BTreeSet;

/// What may be done, and how the target is.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct Policy {
    /// Unix second at which the plan is made.
    pub now: i64,
    /// Accounts may be created.
    pub create: bool,
    /// Attributes may be changed.
    pub update: bool,
    /// Accounts may be deactivated and reactivated.
    pub deactivate: bool,
    /// Accounts that we created may be deleted.
    pub delete: bool,
    /// Seconds of grace before a deactivation.
    pub deactivate_after: i64,
    /// Seconds for which an account stays deactivated before it is deleted.
    pub delete_after: i64,
    /// Who leaves the scope is deactivated (`false`: left alone).
    pub out_of_scope_deactivates: bool,
    /// The target cannot change a userName: who says so, in words (`Mews cannot change an email`).
    pub cannot_rename: Option<String>,
    /// Paths without which the target makes no account.
    pub required: Vec<String>,
    /// The target's name, for messages.
    pub application: String,
    /// Removals that depend on the clock are not made (clocks disagree).
    pub distrust_clock: bool,
    /// Paths whose mapping changed since the last cycle.
    pub remapped: BTreeSet<String>,
    /// The scope changed since the last cycle.
    pub rescoped: bool,
}

/// How the person stands at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Takes part, account active.
    Active,
    /// Takes part; disabled at the source or mapped to `active = false`.
    Inactive,
    /// In the directory, outside the scope.
    OutOfScope,
    /// Not in the directory any more.
    Gone,
}

/// The person's link.
#[derive(Debug, Clone, PartialEq)]
pub struct Linked {
    /// Account.
    pub target_id: TargetId,
    /// We made it (else adopted).
    pub created: bool,
    /// As last pushed.
    pub pushed: Flat,
    /// Active, as last pushed.
    pub active: bool,
    /// Since when not.
    pub inactive_since: Option<i64>,
    /// Confirmed missing at the target.
    pub gone: bool,
    /// Not shown by the target since it is inactive.
    pub hidden: bool,
    /// What the target holds now at the paths of interest, where it was read in this cycle.
    pub observed: Option<Flat>,
}

/// Somebody else who has or wants the same user ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// Linked with this name and keeps it.
    Holds(String),
    /// Wants it too; nobody has it.
    Wants(String),
    /// The account of somebody who left or is inactive still has it.
    Left(String),
}

/// Everything that deciding looks at.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Handle in the store.
    pub id: i64,
    /// For people to read.
    pub who: &'a str,
    /// The join key.
    pub source_key: &'a SourceKey,
    /// How the person stands.
    pub standing: Standing,
    /// Since when not active.
    pub leaving_since: Option<i64>,
    /// What the account should be; `None` where the entry is gone.
    pub desired: Option<Result<&'a Desired, &'a Unmapped>>,
    /// The link.
    pub link: Option<&'a Linked>,
    /// Who else claims the user ID.
    pub rival: Option<Rival>,
    /// What matching said, where the target was read and there is no link.
    pub found: Option<(Match, Option<Flat>)>,
}

/// The outcome for one person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Changes, none of which needs another one of the same person.
    pub changes: Vec<Change>,
    /// What cannot be done now.
    pub parked: Vec<Parked>,
    /// When the person must be judged again though nothing changes (unix second).
    pub due: Option<i64>,
    /// May be a member of groups: has an account or is about to.
    pub eligible: bool,
}

/// Attributes that never change together with a deactivation or while inactive: a leaver's name is often mangled at the
/// source, and must not travel.
pub(super) fn is_identifier(path: &str) -> bool {
    path == "userName" || path == "externalId" || path.starts_with("emails")
}

/// Decides. Pure.
#[must_use]
pub fn decide(f: &Facts<'_>, p: &Policy) -> Decision {
    match (f.link.filter(|l| !l.gone), f.standing) {
        (Some(link), Standing::Active) => stays(f, link, p),
        (Some(_), Standing::OutOfScope) if !p.out_of_scope_deactivates => Decision { eligible: true, ..Decision::default() },
        (Some(link), _) => leaves(f, link, p),
        (None, Standing::Active) => joins(f, p),
        (None, Standing::Inactive) => inactive_from_the_start(f, p),
        (None, _) => Decision::default(),
    }
}

impl Facts<'_> {
    fn change(&self, kind: Kind, target: Option<&TargetId>, reason: String, from: Flat, to: Flat, pushed: Flat) -> Change {
        Change {
            kind,
            id: self.id,
            who: self.who.to_owned(),
            source_key: self.source_key.clone(),
            target_id: target.cloned(),
            reason,
            from,
            to,
            pushed,
            members: Vec::new(),
            recreate: false,
            create_only: BTreeSet::new(),
        }
    }

    fn park(&self, kind: &'static str, reason: String, advice: String) -> Parked {
        Parked {
            id: self.id,
            object: ObjectKind::User,
            kind,
            who: self.who.to_owned(),
            source_key: self.source_key.clone(),
            reason,
            advice,
        }
    }

    /// The target would refuse the account, because something that it needs has no value.
    fn incomplete(&self, desired: &Desired, p: &Policy) -> Option<Parked> {
        let missing: Vec<&str> =
            p.required.iter().filter(|path| !desired.attrs.contains_key(*path)).map(String::as_str).collect();
        if missing.is_empty() {
            return None;
        }
        let (application, missing) = (&p.application, missing.join(", "));
        let reason = format!("{application} makes no account without {missing}, which has no value");
        let advice = format!("fill the attribute at the source, or map {missing} from another one");
        Some(self.park("create", reason, advice))
    }

    fn collision(&self, name: &str) -> Option<Parked> {
        let (reason, advice) = match self.rival.as_ref()? {
            Rival::Holds(who) => (
                format!("user ID {name} belongs to {who} already, who keeps it"),
                "give one of the two another address at the source".to_owned(),
            ),
            Rival::Wants(who) => (
                format!("user ID {name} is claimed by {who} too; none of the two gets it"),
                "give one of the two another address at the source".to_owned(),
            ),
            Rival::Left(who) => (
                format!("user ID {name} is still on the account of {who}, who left or is inactive"),
                "if this is the same person, move the link to the new entry; if not, rename or remove the old account".to_owned(),
            ),
        };
        Some(self.park("user_id", reason, advice))
    }
}

fn joins(f: &Facts<'_>, p: &Policy) -> Decision {
    let mut out = Decision::default();
    let desired = match f.desired {
        Some(Ok(d)) => d,
        Some(Err(u)) => {
            out.parked.push(f.park("map", u.reason.clone(), u.advice.clone()));
            return out;
        }
        None => return out,
    };
    let name = text(&desired.attrs, "userName");
    if let Some(parked) = f.collision(&name) {
        out.parked.push(parked);
        return out;
    }
    match &f.found {
        Some((Match::Park { reason, advice }, _)) => {
            out.parked.push(f.park("adopt", reason.clone(), advice.clone()));
        }
        Some((Match::One(id), seen)) => {
            out.changes.push(adopt(f, id, seen.as_ref(), desired, p));
            out.eligible = true;
        }
        Some((Match::None, _)) | None if p.create => {
            if let Some(parked) = f.incomplete(desired, p) {
                out.parked.push(parked);
                return out;
            }
            let recreate = f.link.is_some_and(|l| l.gone);
            let reason = if recreate {
                "the account that we linked is gone at the target".to_owned()
            } else {
                "in scope and without an account".to_owned()
            };
            let mut c = f.change(Kind::Create, None, reason, Flat::new(), desired.attrs.clone(), desired.attrs.clone());
            c.recreate = recreate;
            c.create_only = desired.create_only.clone();
            out.changes.push(c);
            out.eligible = true;
        }
        Some((Match::None, _)) | None => {}
    }
    out
}

fn adopt(f: &Facts<'_>, id: &TargetId, seen: Option<&Flat>, desired: &Desired, p: &Policy) -> Change {
    let empty = Flat::new();
    let immutable = |path: &str| p.cannot_rename.is_some() && path == "userName";
    let Taken { from, to, pushed } = take_over(seen.unwrap_or(&empty), desired, p.update, &immutable);
    f.change(Kind::Adopt, Some(id), "an account that matches exists at the target".to_owned(), from, to, pushed)
}

fn inactive_from_the_start(f: &Facts<'_>, p: &Policy) -> Decision {
    let mut out = Decision::default();
    let Some((Match::One(id), seen)) = &f.found else { return out };
    let Some(Ok(desired)) = f.desired else { return out };
    let was_active = seen.as_ref().is_none_or(|s| s.get("active") != Some(&Value::Bool(false)));
    let mut only_link = desired.clone();
    // The same attributes that pass for anybody inactive, so that the next look at the person finds nothing more to do.
    only_link.attrs.retain(|k, _| k == "externalId" || !(is_identifier(k) || k == "active"));
    only_link.clear.retain(|k| !is_identifier(k));
    let mut adopted = adopt(f, id, seen.as_ref(), &only_link, p);
    adopted.reason = "an account that matches exists at the target; the person is disabled at the source".to_owned();
    adopted.pushed.insert("active".to_owned(), Value::Bool(was_active));
    if let Some(name) = seen.as_ref().and_then(|s| s.get("userName")) {
        adopted.pushed.insert("userName".to_owned(), name.clone());
    }
    if was_active && p.deactivate {
        let (from, to) = (active(true), active(false));
        let pushed = after(&adopted.pushed, &to);
        out.changes.push(f.change(Kind::Deactivate, Some(id), "disabled at the source".to_owned(), from, to, pushed));
    }
    out.changes.push(adopted);
    out.eligible = true;
    out
}

fn active(is: bool) -> Flat {
    Flat::from([("active".to_owned(), Value::Bool(is))])
}

fn stays(f: &Facts<'_>, link: &Linked, p: &Policy) -> Decision {
    let mut out = Decision { eligible: true, ..Decision::default() };
    let desired = match f.desired {
        Some(Ok(d)) => d,
        Some(Err(u)) => {
            out.parked.push(f.park("map", u.reason.clone(), u.advice.clone()));
            // What can be mapped goes on.
            &u.rest
        }
        None => return out,
    };
    let have = have(&link.pushed, link.observed.as_ref(), &desired.case_exact);
    // Where the rule for it fails, nobody is made active again.
    let unknown = f.desired.is_some_and(|d| d.is_err()) && !desired.attrs.contains_key("active");
    let is_active = unknown || have.get("active").map_or(link.active, |v| *v != Value::Bool(false));
    let (old_name, name) = (text(&have, "userName"), text(&desired.attrs, "userName"));
    let (mut keeps_name, mut keeps_addresses) = (false, false);
    let same_name =
        name == old_name || (desired.ignore_case.contains("userName") && name.to_lowercase() == old_name.to_lowercase());
    if !same_name && !name.is_empty() {
        if let Some(words) = &p.cannot_rename {
            keeps_name = true;
            out.parked.push(
                f.park(
                    "rename",
                    format!("{words}: the user ID changed from {old_name} to {name}, and the account keeps the old one"),
                    "change the address back at the source; or remove the account at the application, let \
                     `scim-sync sync SYNC --verify` find that out and propose a new one, and release that with \
                     `scim-sync approve SYNC` (guard.recreate)"
                        .to_owned(),
                ),
            );
        } else if name.to_lowercase() != old_name.to_lowercase()
            && let Some(parked) = f.collision(&name)
        {
            // The address of somebody else, as likely as not: mail and password resets go by it.
            (keeps_name, keeps_addresses) = (true, true);
            out.parked.push(parked);
        }
    }
    let waits = |path: &str| (keeps_name && path == "userName") || (keeps_addresses && path.starts_with("emails"));
    let (from, to) = diff(&have, desired, false, &|path| waits(path) || path == "active");
    let id = Some(&link.target_id);
    if !is_active && p.deactivate {
        let (mut from, mut to) = if p.update { (from, to) } else { (Flat::new(), Flat::new()) };
        from.extend(active(false));
        to.extend(active(true));
        let pushed = after(&have, &to);
        let reason = if link.active { "inactive at the target, active at the source" } else { "active again at the source" };
        out.changes.push(f.change(Kind::Reactivate, id, reason.to_owned(), from, to, pushed));
    } else if !to.is_empty() && p.update {
        let pushed = after(&have, &to);
        if let Some(new) = to.get("userName") {
            let why = if p.remapped.contains("userName") { "; mapping changed" } else { "" };
            let reason = format!("user ID {old_name} -> {}{why}", new.as_str().unwrap_or_default());
            out.changes.push(f.change(Kind::Rename, id, reason, from, to, pushed));
        } else {
            let words = changed_words(&to, &p.remapped);
            out.changes.push(f.change(Kind::Update, id, words, from, to, pushed));
        }
    }
    out
}

fn leaves(f: &Facts<'_>, link: &Linked, p: &Policy) -> Decision {
    let mut out = Decision { eligible: f.standing == Standing::Inactive, ..Decision::default() };
    let none = BTreeSet::new();
    let have = have(&link.pushed, link.observed.as_ref(), f.desired.and_then(Result::ok).map_or(&none, |d| &d.case_exact));
    let is_active = have.get("active").map_or(link.active, |v| *v != Value::Bool(false));
    let id = Some(&link.target_id);
    let why = match f.standing {
        Standing::Gone => "not in the directory any more",
        Standing::OutOfScope if p.rescoped => "no longer in scope; the scope changed",
        Standing::OutOfScope => "no longer in scope",
        Standing::Inactive | Standing::Active => "disabled at the source",
    };
    if is_active {
        let when = f.leaving_since.unwrap_or(p.now).saturating_add(p.deactivate_after);
        let waits = p.deactivate_after > 0 && (p.now < when || p.distrust_clock);
        if waits {
            out.due = Some(when.max(p.now));
            // Nothing is taken away within the grace period: the groups neither.
            out.eligible = true;
        } else if p.deactivate {
            let (from, to) = (active(true), active(false));
            let pushed = after(&have, &to);
            out.changes.push(f.change(Kind::Deactivate, id, why.to_owned(), from, to, pushed));
            // Nothing else would bring the person up again when the account is due to be deleted.
            out.due = (p.delete && link.created).then(|| p.now.saturating_add(p.delete_after));
        }
    } else if p.delete && link.created {
        let when = link.inactive_since.unwrap_or(p.now).saturating_add(p.delete_after);
        if p.now >= when && !p.distrust_clock {
            let days = (p.now - link.inactive_since.unwrap_or(p.now)) / 86_400;
            out.changes.push(f.change(
                Kind::Delete,
                id,
                format!("{why}, inactive for {days} days"),
                have.clone(),
                Flat::new(),
                Flat::new(),
            ));
            out.eligible = false;
            return out;
        }
        out.due = Some(when.max(p.now));
    }
    // What else changed on a disabled person's entry still passes, but never a name or an address; and nothing to an account
    // that is not shown, which gets all of it with its reactivation.
    if f.standing == Standing::Inactive
        && p.update
        && !link.hidden
        && let Some(Ok(desired)) = f.desired
    {
        let (from, to) = diff(&have, desired, false, &|path| is_identifier(path) || path == "active");
        if !to.is_empty() {
            let mut pushed = after(&have, &to);
            if let Some(d) = out.changes.first() {
                pushed.extend(d.to.clone());
            }
            let words = changed_words(&to, &p.remapped);
            out.changes.push(f.change(Kind::Update, id, words, from, to, pushed));
        }
    }
    out
}

/// The text at a path, or "".
fn text(flat: &Flat, path: &str) -> String {
    flat.get(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}
