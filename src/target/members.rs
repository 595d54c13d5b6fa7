//! Memberships: added in one operation, removed one by one, never by a form that can empty a group.

use super::dialect::RemoveMembers;
use super::error::TargetError;
use super::patch::{self, Form};
use super::remote::Remote;
use super::update::LAST;
use super::write::TargetWriter;
use crate::model::{Fault, ObjectKind, TargetId};
use serde_json::Value;
use std::collections::HashSet;

/// Names under which the forms of membership changes are remembered.
const ADD: &str = "members+";
const REMOVE: &str = "members-";
/// And under which is remembered that a form took somebody, though not everybody: who is left out then is a matter of the record.
const ADD_SOME: &str = "members~";

/// Members of a group that is looked at for one form of one request.
const LOOKED_AT: u64 = 10_000;

/// What can be seen of members that were added.
enum Arrived {
    All,
    Some,
    /// Nobody, at a target that shows who is in a group.
    Nobody,
    /// This target never showed anybody in any group: whether they are there, it does not say.
    Unseen,
}

/// What is known of a group whose members change.
#[derive(Debug, Clone, Copy)]
pub struct Roster {
    /// Members that we know of.
    pub size: u64,
    /// We made the group: nobody is in it whom we did not put there, as far as we know.
    pub ours: bool,
}

/// Who goes along where a group is written as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seats<'a> {
    /// Accounts that we put there.
    pub known: &'a [TargetId],
    /// We made the group: nobody else is in it, as far as we know.
    pub ours: bool,
}

impl TargetWriter {
    /// Adds members to a group of ours in one request. Not repeated once it was sent: some servers keep a second copy. Where
    /// the group has to be written as a whole, nobody is in it but whom it shows.
    ///
    /// # Errors
    /// `ambiguous`: they may have been added; read the group before adding again.
    pub async fn add_members(&self, group: &TargetId, members: &[TargetId]) -> Result<(), TargetError> {
        self.add_members_to(group, members, Roster { size: 0, ours: true }, Some(&[])).await
    }

    /// The same for any group. `known`: the accounts that we put there; they are asked for only where they are needed.
    ///
    /// # Errors
    /// As [`Self::add_members`]; what was accepted and not done has status 200 where it is about these members alone.
    /// `wants_members`: nothing was sent for want of `known`.
    pub async fn add_members_to(
        &self,
        group: &TargetId,
        members: &[TargetId],
        roster: Roster,
        known: Option<&[TargetId]>,
    ) -> Result<(), TargetError> {
        let members = distinct(members);
        if members.is_empty() {
            return Ok(());
        }
        let learned = &self.core().learned;
        let usual = || learned.form(ObjectKind::Group, ADD, Form::Path);
        // One look is enough for all groups that are filled at the same time.
        let open = self.dialect().members_shown && !learned.is_verified(ObjectKind::Group, ADD, usual());
        let _first = if open { learned.first_to_add().await } else { None };
        let mut form = usual();
        let mut refused: Option<TargetError> = None;
        loop {
            if form == Form::Put || !self.reader.may_patch(ObjectKind::Group) {
                return self.put_members(group, &members, &[], self.seats(group, roster, known)?).await;
            }
            let verified = learned.is_verified(ObjectKind::Group, ADD, form);
            let (answer, found) = match self.patch(ObjectKind::Group, group, &[patch::add_members(&members, form)], None).await {
                Ok(answer) => answer,
                Err(e) if e.is_unsupported() && !learned.patch_works(ObjectKind::Group) => {
                    self.give_up_patch(ObjectKind::Group, &e);
                    continue;
                }
                Err(e) if !verified && form == Form::Path && e.is_about_form() => {
                    refused = Some(e);
                    form = Form::Whole;
                    continue;
                }
                // Where no form is taken, the refusal of the usual one says why.
                Err(e) => return Err(refused.filter(|_| e.fault == Fault::Invalid).unwrap_or(e)),
            };
            if verified || !self.dialect().members_shown {
                return Ok(());
            }
            form = match self.arrived(group, &members, answer.as_ref()).await? {
                Arrived::All => {
                    learned.verified(ObjectKind::Group, ADD, form);
                    learned.note_patch_works(ObjectKind::Group);
                    self.note_spelling(found);
                    return Ok(());
                }
                // Fewer at a time tell who it is.
                Arrived::Some => {
                    learned.verified(ObjectKind::Group, ADD_SOME, form);
                    return Err(TargetError { status: Some(200), ..self.members_not_applied(group, "add") });
                }
                Arrived::Nobody if learned.is_verified(ObjectKind::Group, ADD_SOME, form) => {
                    return Err(TargetError { status: Some(200), ..self.members_not_applied(group, "add") });
                }
                // A PUT carries on those that are there: it is nothing for a target that does not show them.
                Arrived::Unseen if form != Form::Path => return Err(self.members_unseen(group)),
                Arrived::Nobody | Arrived::Unseen => match form.next() {
                    Some(next) => next,
                    None => return Err(self.members_not_applied(group, "add")),
                },
            };
        }
    }

    /// Looks whether members are there. An answer that shows them may run ahead of what is read a moment later, and may be
    /// nothing but an echo.
    async fn arrived(&self, group: &TargetId, members: &[TargetId], answer: Option<&Remote>) -> Result<Arrived, TargetError> {
        let all = |seen: &Remote| present(seen, members).len() == members.len();
        let told = answer.is_none_or(all);
        let mut there = present(&self.look_until(ObjectKind::Group, group, told, all).await?, members).len();
        if told && there == 0 {
            // Added once more in another form, some would be there twice.
            tokio::time::sleep(LAST).await;
            there = present(&self.group(group).await?, members).len();
        }
        if there == members.len() {
            return Ok(Arrived::All);
        }
        if there > 0 {
            return Ok(Arrived::Some);
        }
        if self.core().learned.shows_members() {
            return Ok(Arrived::Nobody);
        }
        let Some(first) = members.first() else { return Ok(Arrived::All) };
        let says_so = match self.reader.get(ObjectKind::User, first).await {
            Ok(Some(user)) => user.groups().contains(&group.as_str()),
            Ok(None) | Err(_) => false,
        };
        Ok(if says_so { Arrived::All } else { Arrived::Unseen })
    }

    /// How many members go into one request: as many as are wanted, or fewer where larger requests were refused (413).
    #[must_use]
    pub fn members_at_once(&self, wanted: usize) -> usize {
        self.core().learned.most_members().map_or(wanted, |most| wanted.min(most)).max(1)
    }

    /// A request with so many members was refused as too large: half of them from here on, at this target.
    pub fn note_too_large(&self, members: usize) {
        self.core().learned.note_too_large(members);
    }

    /// Removes members, one operation each, in one request. Members that are not there count as removed.
    ///
    /// # Errors
    /// The target refuses, or accepts and keeps them.
    pub async fn remove_members(&self, group: &TargetId, members: &[TargetId]) -> Result<(), TargetError> {
        self.remove_members_of(group, members, Roster { size: 0, ours: true }, Some(&[])).await
    }

    /// The same for any group. Of a very large one, what a target answers that was seen to apply membership PATCHes is
    /// believed: a look at it is megabytes, and `verify` looks too. `known`: the accounts that we put there; they are asked for
    /// only where they are needed.
    ///
    /// # Errors
    /// As [`Self::remove_members`]. `wants_members`: what is left was not sent for want of `known`.
    pub async fn remove_members_of(
        &self,
        group: &TargetId,
        members: &[TargetId],
        roster: Roster,
        known: Option<&[TargetId]>,
    ) -> Result<(), TargetError> {
        let mut left = distinct(members);
        let learned = &self.core().learned;
        let way = self.dialect().remove_members;
        let first = if way == RemoveMembers::Replace { Form::Whole } else { Form::Path };
        let mut form = learned.form(ObjectKind::Group, REMOVE, first);
        let mut stale = 0;
        // Per round a form fails or members turn out to be gone; both can happen only so often.
        for _ in 0..8 {
            if left.is_empty() {
                return Ok(());
            }
            if form == Form::Put || !self.reader.may_patch(ObjectKind::Group) {
                return self.put_members(group, &[], members, self.seats(group, roster, known)?).await;
            }
            let verified = learned.is_verified(ObjectKind::Group, REMOVE, form);
            let sent = if form == Form::Path {
                let listed = way == RemoveMembers::List;
                let ops = if listed { patch::remove_listed(&left) } else { patch::remove_members(&left) };
                self.patch(ObjectKind::Group, group, &ops, None).await
            } else {
                let seats = self.seats(group, roster, known)?;
                let now = self.group(group).await?;
                if self.hides_members(&now) && (!seats.ours || seats.known.is_empty()) {
                    return Err(self.members_unseen(group));
                }
                // Whoever joined a moment ago may not be shown yet.
                let stay = super::outgoing::want(&joined(now.members(), seats.known), &[], members);
                self.patch(ObjectKind::Group, group, &[patch::replace_members(&stay)], self.version(&now)).await
            };
            let (answer, taken) = match sent {
                Ok(_) if verified || !self.dialect().members_shown => return Ok(()),
                Ok(_) if roster.size > LOOKED_AT && learned.is_verified(ObjectKind::Group, ADD, Form::Path) => return Ok(()),
                Ok((answer, found)) => (answer, Ok(found)),
                Err(e) if e.status == Some(405) && !learned.patch_works(ObjectKind::Group) => {
                    self.give_up_patch(ObjectKind::Group, &e);
                    continue;
                }
                // Somebody else changed it meanwhile: from a fresh look.
                Err(e) if e.status == Some(412) && form != Form::Path => match self.is_stale(&e, &mut stale) {
                    true => continue,
                    false => return Err(e),
                },
                Err(e) if e.is_unsupported() || e.is_about_form() => (None, Err(e)),
                Err(e) => return Err(e),
            };
            // An answer may run ahead of what is read a moment later, and may be all that there is of the change.
            let told = match &answer {
                Some(shown) => shown.has_members() && present(shown, &left).is_empty(),
                None => taken.is_ok(),
            };
            let mut seen = self.look_until(ObjectKind::Group, group, told, |seen| present(seen, &left).is_empty()).await?;
            if taken.is_ok() && form == Form::Path && !present(&seen, &left).is_empty() {
                // What comes next is the whole list.
                tokio::time::sleep(LAST).await;
                seen = self.group(group).await?;
            }
            let still = present(&seen, &left);
            if still.is_empty() {
                return match taken {
                    // The last one left: a group without anybody is shown as one that hides them.
                    Ok(_) if self.hides_members(&seen) => Ok(()),
                    Ok(found) => {
                        learned.verified(ObjectKind::Group, REMOVE, form);
                        learned.note_patch_works(ObjectKind::Group);
                        self.note_spelling(found);
                        Ok(())
                    }
                    // Refused because nobody of them is there.
                    Err(_) if !self.hides_members(&seen) => Ok(()),
                    Err(e) if left.len() == 1 && e.says_no_target() => Ok(()),
                    Err(e) => Err(e),
                };
            }
            // Some were gone already and the rest was refused with them (noTarget): once more without those.
            if taken.is_ok() || still.len() == left.len() {
                match form.next() {
                    Some(next) => form = next,
                    None => return Err(taken.err().unwrap_or_else(|| self.members_not_applied(group, "remove"))),
                }
            }
            left = still;
        }
        Err(self.members_not_applied(group, "remove"))
    }

    /// GET, change the members, PUT. Members that are not ours stay.
    async fn put_members(
        &self,
        group: &TargetId,
        add: &[TargetId],
        remove: &[TargetId],
        seats: Seats<'_>,
    ) -> Result<(), TargetError> {
        let learned = &self.core().learned;
        let mut round = 0;
        loop {
            let now = self.group(group).await?;
            let shown = now.members();
            let hidden = !self.dialect().members_shown || self.hides_members(&now);
            // What is not shown cannot be carried on, and in a group that others made there may be somebody.
            if hidden && (!seats.ours || (!remove.is_empty() && seats.known.is_empty())) {
                return Err(self.members_unseen(group));
            }
            if !hidden && super::outgoing::want(&shown, add, remove) == shown {
                return Ok(());
            }
            let have = joined(shown, seats.known);
            let version = self.version(&now).map(str::to_owned);
            let Value::Object(raw) = now.raw else { return Err(self.vanished(group)) };
            let raw = self.reader.with_members(raw, &have, add, remove)?;
            let answer = match self.put_raw(ObjectKind::Group, group, &Value::Object(raw), version.as_deref()).await {
                Err(e) if version.is_some() && self.is_stale(&e, &mut round) => continue,
                other => other?,
            };
            if !self.dialect().members_shown {
                return Ok(());
            }
            let parts = [(ADD, add), (REMOVE, remove)];
            let mut looked_at = parts.iter().filter(|(_, m)| !m.is_empty());
            if looked_at.all(|(name, _)| learned.is_verified(ObjectKind::Group, name, Form::Put)) {
                return Ok(());
            }
            let done = |r: &Remote| present(r, add).len() == add.len() && present(r, remove).is_empty();
            let seen = self.look_until(ObjectKind::Group, group, answer.is_none_or(|r| done(&r)), done).await?;
            if !done(&seen) {
                let hidden = self.hides_members(&seen);
                return Err(if hidden { self.members_unseen(group) } else { self.members_not_applied(group, "replace") });
            }
            for (name, _) in parts.iter().filter(|(_, m)| !m.is_empty()) {
                learned.verified(ObjectKind::Group, name, Form::Put);
            }
            return Ok(());
        }
    }

    /// Before a group that others made is replaced as a whole: its members go along only where they are shown.
    ///
    /// # Errors
    /// The group shows nobody, and no group of this target ever did.
    pub async fn can_carry_on(&self, group: &TargetId) -> Result<(), TargetError> {
        if self.reader.may_patch(ObjectKind::Group) {
            return Ok(());
        }
        let now = self.group(group).await?;
        if self.hides_members(&now) { Err(self.members_unseen(group)) } else { Ok(()) }
    }

    /// Who goes along with a group that is written as a whole.
    fn seats<'a>(&self, group: &TargetId, roster: Roster, known: Option<&'a [TargetId]>) -> Result<Seats<'a>, TargetError> {
        known.map(|known| Seats { known, ours: roster.ours }).ok_or_else(|| self.wants_members(group))
    }

    fn wants_members(&self, group: &TargetId) -> TargetError {
        let message = format!("group {group}: the target takes it as a whole only, and who is in it was not said");
        TargetError { wants_members: true, ..self.core().error(Fault::Transient, message) }
    }

    /// The members that have to be named when the whole group is written: those that are shown and those that are ours, where
    /// the one is not the other. `None`: what is shown goes along as it is.
    pub(super) fn members_along(&self, now: &Remote, seats: Option<Seats<'_>>) -> Result<Option<Vec<TargetId>>, TargetError> {
        let seats = seats.ok_or_else(|| self.wants_members(&now.id))?;
        let hidden = !self.dialect().members_shown || self.hides_members(now);
        if hidden && !seats.ours {
            return Err(self.members_unseen(&now.id));
        }
        let shown = now.members();
        let all = joined(shown.clone(), seats.known);
        Ok((all != shown).then_some(all))
    }

    async fn group(&self, group: &TargetId) -> Result<Remote, TargetError> {
        self.reader.get(ObjectKind::Group, group).await?.ok_or_else(|| self.vanished(group))
    }

    /// Whether nothing can be told from a group that is shown without anybody.
    fn hides_members(&self, seen: &Remote) -> bool {
        !seen.has_members() && !self.core().learned.shows_members()
    }

    fn members_not_applied(&self, group: &TargetId, what: &str) -> TargetError {
        let message =
            format!("group {group}: the target accepted the request to {what} members and did not carry it out in any form");
        self.core().error(Fault::Invalid, message)
    }

    fn members_unseen(&self, group: &TargetId) -> TargetError {
        if !self.dialect().members_shown && !self.reader.may_patch(ObjectKind::Group) {
            let message = format!(
                "group {group}: this application takes groups by PUT only and does not show members, and others made this group: neither it nor its memberships can be changed without taking out whoever is in it; take `members` and \"update\" out of actions.group"
            );
            return self.core().error(Fault::Invalid, message);
        }
        let message = format!(
            "group {group}: the target accepted the members and shows nobody in the group: either it did not take them, or it never shows members. Look there; if they are in it, say members_shown = false for this target"
        );
        self.core().error(Fault::Invalid, message)
    }
}

/// Each id once, in order.
fn distinct(members: &[TargetId]) -> Vec<TargetId> {
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().filter(|m| seen.insert(*m)).cloned().collect()
}

/// Whoever is shown, and after them whoever is known to be there.
fn joined(shown: Vec<TargetId>, known: &[TargetId]) -> Vec<TargetId> {
    super::outgoing::want(&shown, known, &[])
}

/// Those of `members` that the group has.
fn present(group: &Remote, members: &[TargetId]) -> Vec<TargetId> {
    let have: HashSet<TargetId> = group.members().into_iter().collect();
    members.iter().filter(|m| have.contains(m)).cloned().collect()
}
