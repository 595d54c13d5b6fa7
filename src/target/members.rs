//! Memberships: added in one operation, removed one by one, never by a form that can empty a group.

use super::dialect::RemoveMembers;
use super::error::TargetError;
use super::patch::{self, Form};
use super::remote::Remote;
use super::write::TargetWriter;
use crate::model::{Fault, ObjectKind, TargetId};
use serde_json::Value;
use std::collections::HashSet;

/// Names under which the forms of membership changes are remembered.
const ADD: &str = "members+";
const REMOVE: &str = "members-";

impl TargetWriter {
    /// Adds members in one request. Not repeated once it was sent: some servers keep a second copy.
    ///
    /// # Errors
    /// `ambiguous`: they may have been added; read the group before adding again.
    pub async fn add_members(&self, group: &TargetId, members: &[TargetId]) -> Result<(), TargetError> {
        let members = distinct(members);
        if members.is_empty() {
            return Ok(());
        }
        let learned = &self.core().learned;
        let mut form = learned.form(ObjectKind::Group, ADD, Form::Path);
        loop {
            if form == Form::Put || !self.may_patch() {
                return self.put_members(group, &members, &[]).await;
            }
            let answer = match self.patch(ObjectKind::Group, group, &[patch::add_members(&members, form)]).await {
                Ok(answer) => answer,
                Err(e) if e.is_unsupported() && !learned.patch_works() => {
                    self.give_up_patch(&e);
                    continue;
                }
                Err(e) => return Err(e),
            };
            if learned.is_verified(ObjectKind::Group, ADD, form) {
                return Ok(());
            }
            let has_all = |r: &Remote| r.has_members() && present(r, &members).len() == members.len();
            let seen = match answer {
                Some(r) if has_all(&r) => Some(r),
                _ => self.reader.get(ObjectKind::Group, group).await?,
            };
            let Some(seen) = seen else { return Err(self.vanished(group)) };
            // A target that never shows members cannot be checked.
            if has_all(&seen) || (!seen.has_members() && form != Form::Path) {
                learned.verified(ObjectKind::Group, ADD, form);
                learned.note_patch_works();
                return Ok(());
            }
            match form.next() {
                Some(next) if present(&seen, &members).is_empty() => form = next,
                _ => return Err(self.members_not_applied(group, "add")),
            }
        }
    }

    /// Removes members, one operation each, in one request. Members that are not there count as removed.
    ///
    /// # Errors
    /// The target refuses, or accepts and keeps them.
    pub async fn remove_members(&self, group: &TargetId, members: &[TargetId]) -> Result<(), TargetError> {
        let mut left = distinct(members);
        let learned = &self.core().learned;
        let way = self.dialect().remove_members;
        let first = if way == RemoveMembers::Replace { Form::Whole } else { Form::Path };
        let mut form = learned.form(ObjectKind::Group, REMOVE, first);
        // Per round a form fails or members turn out to be gone; both can happen only so often.
        for _ in 0..4 {
            if left.is_empty() {
                return Ok(());
            }
            if form == Form::Put || !self.may_patch() {
                return self.put_members(group, &[], &left).await;
            }
            let sent = if form == Form::Path {
                let listed = way == RemoveMembers::List;
                let ops = if listed { patch::remove_listed(&left) } else { patch::remove_members(&left) };
                self.patch(ObjectKind::Group, group, &ops).await
            } else {
                let now = self.group(group).await?;
                let stay: Vec<TargetId> = now.members().into_iter().filter(|m| !left.contains(m)).collect();
                self.patch(ObjectKind::Group, group, &[patch::replace_members(&stay)]).await
            };
            let refusal = match sent {
                Ok(_) if learned.is_verified(ObjectKind::Group, REMOVE, form) => return Ok(()),
                Ok(_) => None,
                Err(e) if e.status == Some(405) && !learned.patch_works() => {
                    self.give_up_patch(&e);
                    continue;
                }
                Err(e) if e.is_unsupported() || e.is_about_form() => Some(e),
                Err(e) => return Err(e),
            };
            let still = present(&self.group(group).await?, &left);
            if still.is_empty() {
                if refusal.is_none() {
                    learned.verified(ObjectKind::Group, REMOVE, form);
                    learned.note_patch_works();
                }
                return Ok(());
            }
            // Some were gone already and the rest was refused with them (noTarget): once more without those.
            if refusal.is_none() || still.len() == left.len() {
                match form.next() {
                    Some(next) => form = next,
                    None => return Err(refusal.unwrap_or_else(|| self.members_not_applied(group, "remove"))),
                }
            }
            left = still;
        }
        Err(self.members_not_applied(group, "remove"))
    }

    /// GET, change the members, PUT. Members that are not ours stay.
    async fn put_members(&self, group: &TargetId, add: &[TargetId], remove: &[TargetId]) -> Result<(), TargetError> {
        let now = self.group(group).await?;
        let have = now.members();
        if super::outgoing::want(&have, add, remove) == have {
            return Ok(());
        }
        let Value::Object(raw) = now.raw else { return Err(self.vanished(group)) };
        let raw = self.reader.with_members(raw, &have, add, remove)?;
        let after = self.put_raw(ObjectKind::Group, group, &Value::Object(raw)).await?;
        let undone = after
            .as_ref()
            .is_some_and(|r| r.has_members() && (present(r, add).len() < add.len() || !present(r, remove).is_empty()));
        if undone { Err(self.members_not_applied(group, "replace")) } else { Ok(()) }
    }

    async fn group(&self, group: &TargetId) -> Result<Remote, TargetError> {
        self.reader.get(ObjectKind::Group, group).await?.ok_or_else(|| self.vanished(group))
    }

    fn members_not_applied(&self, group: &TargetId, what: &str) -> TargetError {
        let message =
            format!("group {group}: the target accepted the request to {what} members and did not carry it out in any form");
        self.core().error(Fault::Invalid, message)
    }
}

/// Each id once, in order.
fn distinct(members: &[TargetId]) -> Vec<TargetId> {
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().filter(|m| seen.insert(*m)).cloned().collect()
}

/// Those of `members` that the group has.
fn present(group: &Remote, members: &[TargetId]) -> Vec<TargetId> {
    let have: HashSet<TargetId> = group.members().into_iter().collect();
    members.iter().filter(|m| have.contains(m)).cloned().collect()
}
