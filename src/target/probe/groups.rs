//! The throwaway group: creation with members, adding, every form of removing, renaming.

use super::Prober;
use super::forms::is;
use super::tries::{Tried, refusal};
use crate::model::{Flat, ObjectKind, TargetId};
use crate::target::dialect::RemoveMembers;
use crate::target::error::TargetError;
use crate::target::path::field;
use crate::target::{Remote, body};
use serde_json::{Value, json};

const GROUP: ObjectKind = ObjectKind::Group;

impl Prober<'_> {
    /// Makes a group of two and tries every form on it. `None`: there is no group, because none may be made.
    pub async fn groups(&mut self, one: &TargetId, two: &TargetId) -> Result<Option<TargetId>, TargetError> {
        if !self.dialect.group_create || !self.dialect.group_delete {
            let may = if self.dialect.group_create { "deleted" } else { "made" };
            self.found.note("group.create", format!("not tried: groups cannot be {may} there"));
            return Ok(None);
        }
        if let Err(status) = self.listed(GROUP, &[("count", "1".to_owned())]).await? {
            self.found.note("group.create", format!("not tried: the list of groups was refused ({status})"));
            if matches!(status, 404 | 501) {
                self.found.learnt("groups", |d| d.groups = false);
            }
            return Ok(None);
        }
        let both = [one.clone(), two.clone()];
        let Some(id) = self.make_group(&both).await? else { return Ok(None) };
        let Some(there) = self.made(GROUP, &id).await? else {
            self.found.note("group.create", "answered as done, and cannot be read");
            return Ok(None);
        };
        let at_creation = has(&there, &both);
        self.found.note("members.at_creation", if at_creation { "kept" } else { "not there afterwards" });
        self.leftovers(GROUP, Some(&id)).await?;
        self.filters(GROUP, &there).await?;
        let patch = self.found.dialect().patch && self.takes_patch(&id).await?;
        if !patch {
            self.members_by_put(&id, one, two).await?;
        } else if self.adding(&id, &both).await? {
            self.removing(&id, one, two).await?;
        }
        self.rename_group(&id, patch).await?;
        Ok(Some(id))
    }

    async fn make_group(&mut self, members: &[TargetId]) -> Result<Option<TargetId>, TargetError> {
        let mut attrs = Flat::from([("displayName".to_owned(), json!(self.tag))]);
        if self.dialect.allows(GROUP, "externalId") {
            attrs.insert("externalId".to_owned(), json!(format!("{}-group", self.tag)));
        }
        let mut refused = None;
        for members in [members, &[]] {
            match self.create(GROUP, &attrs, members).await {
                Ok(made) => {
                    self.found.note("group.create", if members.is_empty() { "works without members" } else { "works" });
                    self.found.learnt("group_create", |d| d.group_create = true);
                    return Ok(Some(made.id));
                }
                Err(e) => refused = Some((refusal(&e).ok_or_else(|| e.clone())?, e)),
            }
        }
        if let Some((status, e)) = refused {
            self.found.note("group.create", format!("refused: {}", e.message));
            // Other refusals may be about this group.
            if matches!(status, 403 | 404 | 405 | 501) {
                self.found.learnt("group_create", |d| d.group_create = false);
            }
        }
        Ok(None)
    }

    /// Adds both with and without a path; whether both are in the group at the end. One more time: is a member kept twice?
    async fn adding(&mut self, id: &TargetId, both: &[TargetId]) -> Result<bool, TargetError> {
        let op = self.op("add");
        let value = body::references(both);
        let mut in_it = false;
        for (fact, ops) in [
            ("members.add", json!([{"op": op, "path": "members", "value": value}])),
            ("members.add_no_path", json!([{"op": op, "value": {"members": value}}])),
        ] {
            if !self.emptied(id).await? {
                in_it |= self.reader.get(GROUP, id).await?.is_some_and(|g| has(&g, both));
                if in_it {
                    self.found.note(fact, "not known: the group could not be emptied");
                    continue;
                }
            }
            let tried = self.patch(GROUP, id, ops, |g| has(g, both)).await?;
            in_it |= tried.works();
            self.found.note(fact, &tried);
        }
        if !in_it {
            let shown = self.reader.get(GROUP, id).await?.is_some_and(|g| g.has_members());
            let said = if shown {
                "cannot be added"
            } else if self.says_member(id, both).await? {
                self.found.learnt("members_shown", |d| d.members_shown = false);
                "are not shown by the group; the accounts say that they are in it"
            } else {
                "are not shown: what becomes of them is not known; if they are in the group, say members_shown = false"
            };
            self.found.note("members", said);
            return Ok(false);
        }
        let twice = json!([{"op": op, "path": "members", "value": body::references(&both[..1])}]);
        let first = both.first();
        let kept = self.patch(GROUP, id, twice, |g| first.is_some_and(|m| copies(g, m) > 1)).await?;
        self.found.note("members.kept_twice", kept.works());
        Ok(true)
    }

    /// Whether an account says that it is in the group (`groups`, RFC 7643 section 4.1.2).
    async fn says_member(&self, id: &TargetId, both: &[TargetId]) -> Result<bool, TargetError> {
        let Some(first) = both.first() else { return Ok(false) };
        let user = self.reader.get(ObjectKind::User, first).await?;
        Ok(user.is_some_and(|user| user.groups().contains(&id.as_str())))
    }

    /// Takes everybody out of the group.
    async fn emptied(&self, id: &TargetId) -> Result<bool, TargetError> {
        for ops in [
            json!([{"op": self.op("remove"), "path": "members"}]),
            json!([{"op": self.op("replace"), "path": "members", "value": []}]),
        ] {
            if self.patch(GROUP, id, ops, |g| g.members().is_empty()).await?.works() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every form of removal. It works where the one is gone and the other is still there.
    async fn removing(&mut self, id: &TargetId, one: &TargetId, two: &TargetId) -> Result<(), TargetError> {
        let op = self.op("remove");
        let filter = format!("members[value eq {}]", Value::from(one.as_str()));
        let mut first = None;
        for (fact, form, ops) in [
            ("members.remove_one_by_one", RemoveMembers::OneByOne, json!([{"op": op, "path": filter}])),
            (
                "members.remove_list",
                RemoveMembers::List,
                json!([{"op": op, "path": "members", "value": body::references(std::slice::from_ref(one))}]),
            ),
            (
                "members.replace",
                RemoveMembers::Replace,
                json!([{"op": self.op("replace"), "path": "members", "value": body::references(std::slice::from_ref(two))}]),
            ),
        ] {
            if !self.both_in(id, one, two).await? {
                self.found.note(fact, "not known: the members could not be put back");
                continue;
            }
            let done = |g: &Remote| !g.members().contains(one) && g.members().contains(two);
            let tried = self.patch(GROUP, id, ops, done).await?;
            if tried == Tried::NoEffect && self.reader.get(GROUP, id).await?.is_some_and(|g| g.members().is_empty()) {
                self.found.note(fact, "empties the group");
                continue;
            }
            self.found.note(fact, &tried);
            if tried.works() {
                first = first.or(Some(form));
            }
        }
        if let Some(form) = first {
            self.found.learnt("remove_members", |d| d.remove_members = form);
        }
        // For what becomes of the membership of a deleted account.
        self.both_in(id, one, two).await.map(drop)
    }

    /// Puts both into the group where one is missing.
    async fn both_in(&self, id: &TargetId, one: &TargetId, two: &TargetId) -> Result<bool, TargetError> {
        let both = [one.clone(), two.clone()];
        let Some(there) = self.reader.get(GROUP, id).await? else { return Ok(false) };
        let missing: Vec<TargetId> = both.iter().filter(|m| !there.members().contains(m)).cloned().collect();
        if missing.is_empty() {
            return Ok(true);
        }
        let value = body::references(&missing);
        for ops in [
            json!([{"op": self.op("add"), "path": "members", "value": value}]),
            json!([{"op": self.op("add"), "value": {"members": value}}]),
        ] {
            if self.patch(GROUP, id, ops, |g| has(g, &both)).await?.works() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Without PATCH: the whole group with one member less.
    async fn members_by_put(&mut self, id: &TargetId, one: &TargetId, two: &TargetId) -> Result<(), TargetError> {
        let to = Flat::from([("members".to_owned(), body::references(std::slice::from_ref(two)))]);
        let done = |g: &Remote| !g.members().contains(one) && g.members().contains(two);
        let tried = self.put(GROUP, id, &to, done).await?;
        self.found.note("members.put", &tried);
        Ok(())
    }

    /// Whether groups can be patched at all: some applications know it for users only.
    async fn takes_patch(&mut self, id: &TargetId) -> Result<bool, TargetError> {
        let name = json!(self.tag);
        let tried = self.patch(GROUP, id, self.replace("displayName", &name), |_| true).await?;
        let refused = matches!(tried, Tried::Refused(405 | 501) | Tried::Fixed(405 | 501) | Tried::SaidFixed(405 | 501));
        if refused {
            self.found.note("group.patch", &tried);
        }
        Ok(!refused)
    }

    async fn rename_group(&mut self, id: &TargetId, patch: bool) -> Result<(), TargetError> {
        if !self.dialect.group_update {
            self.found.note("group.rename", "not tried: groups cannot be renamed there");
            return Ok(());
        }
        let name = json!(format!("{}-renamed", self.tag));
        let mut tried = Tried::NoEffect;
        if patch {
            tried = self.patch(GROUP, id, self.replace("displayName", &name), is("displayName", &name)).await?;
            self.found.note("group.rename", &tried);
        }
        if tried == Tried::NoEffect || tried.is_refused() {
            let to = Flat::from([("displayName".to_owned(), name.clone())]);
            tried = self.put(GROUP, id, &to, is("displayName", &name)).await?;
            self.found.note(if patch { "group.rename.put" } else { "group.rename" }, &tried);
        }
        if tried != Tried::Lost {
            self.found.learnt("group_update", |d| d.group_update = tried.works());
        }
        Ok(())
    }

    /// `op` in the case that was found to work.
    fn op(&self, name: &'static str) -> &'static str {
        match (self.found.dialect().op_capital, name) {
            (true, "add") => "Add",
            (true, "remove") => "Remove",
            (true, "replace") => "Replace",
            _ => name,
        }
    }
}

fn has(group: &Remote, members: &[TargetId]) -> bool {
    let there = group.members();
    members.iter().all(|m| there.contains(m))
}

/// How often a member stands in the list as it came.
fn copies(group: &Remote, member: &TargetId) -> usize {
    let Some(Value::Array(all)) = group.raw.as_object().and_then(|o| field(o, "members")) else { return 0 };
    let value = |m: &Value| m.as_object().and_then(|o| field(o, "value")).and_then(Value::as_str).map(str::to_owned);
    all.iter().filter(|m| value(m).as_deref() == Some(member.as_str())).count()
}
