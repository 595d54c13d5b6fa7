//! The throwaway users: what they are made of, which id they get, what becomes of duplicates and of the deleted.

use super::tries::refusal;
use super::{Made, Prober};
use crate::mapping::Type;
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use crate::target::error::TargetError;
use crate::target::{Remote, patch};
use serde_json::{Value, json};

/// Address of a user for work: where the first cycle looks for accounts, too.
pub(super) const EMAIL: &str = "emails[type eq \"work\"].value";

impl Prober<'_> {
    /// Makes two users, with everything that the target takes: first all that may be sent, else what has to be.
    pub async fn people(&mut self) -> Result<(Remote, Remote), TargetError> {
        let mut last = None;
        for whole in [true, false] {
            for domain in self.domains.clone() {
                let attrs = self.attributes("a", &domain, whole);
                match self.create(ObjectKind::User, &attrs, &[]).await {
                    Ok(made) => {
                        self.domains = vec![domain.clone()];
                        let one = self.made_user(made).await?;
                        self.kept(&one, &attrs);
                        let second = self.attributes("b", &domain, whole);
                        let two = self.create(ObjectKind::User, &second, &[]).await?;
                        return Ok((one, self.made_user(two).await?));
                    }
                    Err(e) if refusal(&e).is_some() => last = Some(e),
                    Err(e) => return Err(e),
                }
            }
        }
        let said = last.map_or_else(String::new, |e| e.message);
        let message = format!(
            "no throwaway user can be made: {said}; if it is about the address, name a domain that the target takes with --domain"
        );
        Err(self.core.error(Fault::Permanent, message))
    }

    /// A user as the target shows it.
    async fn made_user(&mut self, made: Remote) -> Result<Remote, TargetError> {
        let there = self.made(ObjectKind::User, &made.id).await?;
        let lost = || self.core.error(Fault::Permanent, format!("the user {:?} was made and cannot be read", made.id.as_str()));
        there.ok_or_else(lost)
    }

    /// A user's name.
    pub fn user_name(&self, who: &str) -> String {
        let domain = self.domains.first().map_or(super::DOMAIN, String::as_str);
        format!("{}-{who}@{domain}", self.tag)
    }

    /// What a user is made of: what the sync writes and the target demands; without `whole`, as little as can be.
    pub fn attributes(&self, who: &str, domain: &str, whole: bool) -> Flat {
        let name = format!("{}-{who}@{domain}", self.tag);
        let all: [(&str, Value, bool); 8] = [
            ("userName", json!(name), true),
            ("active", json!(true), true),
            ("name.givenName", json!("Probe"), true),
            ("name.familyName", json!("Throwaway"), true),
            ("externalId", json!(format!("{}-{who}", self.tag)), false),
            ("displayName", json!("Probe Throwaway"), false),
            (EMAIL, json!(name), false),
            ("title", json!("Throwaway"), false),
        ];
        let dialect = &self.dialect;
        let required = |path: &str| self.required.iter().any(|r| r.eq_ignore_ascii_case(path));
        let mapped =
            |path: &str| self.mapped.is_none_or(|m| path == "userName" || m.iter().any(|p| p.eq_ignore_ascii_case(path)));
        let allowed = |path: &str| mapped(path) && dialect.allows(ObjectKind::User, path);
        let sent = |path: &str, basic: bool| required(path) || ((whole || basic) && allowed(path));
        let mut flat: Flat = all
            .iter()
            .filter(|(path, _, basic)| sent(path, *basic))
            .map(|(path, v, _)| ((*path).to_owned(), v.clone()))
            .collect();
        for path in &self.required {
            if !flat.keys().any(|p| p.eq_ignore_ascii_case(path)) {
                flat.insert(path.clone(), placeholder(dialect.shape_of(path).kind));
            }
        }
        flat
    }

    /// What the target kept of what it was sent, and what its ids are.
    fn kept(&mut self, one: &Remote, attrs: &Flat) {
        let dropped = patch::unapplied(one, &Flat::new(), attrs);
        self.found.note("user.dropped_attributes", dropped);
        let id = one.id.as_str();
        let is = |name: Option<&str>| name.is_some_and(|n| n.eq_ignore_ascii_case(id));
        let form = if uuid::Uuid::try_parse(id).is_ok() {
            "uuid"
        } else if is(one.user_name()) {
            "userName"
        } else if is(one.external_id()) {
            "externalId"
        } else if id.bytes().all(|b| b.is_ascii_digit()) {
            "number"
        } else if one.emails().iter().any(|e| is(Some(e))) {
            "email"
        } else {
            "text"
        };
        self.found.note("user.id", form);
    }

    /// A second account of one name: refused, or kept?
    pub async fn duplicates(&mut self) -> Result<(), TargetError> {
        let domain = self.domains.first().cloned().unwrap_or_default();
        for (fact, upper) in [("user.duplicate", false), ("user.duplicate_in_other_case", true)] {
            let mut attrs = self.attributes("a", &domain, true);
            attrs.remove("externalId");
            if upper {
                let name = attrs.get("userName").and_then(Value::as_str).unwrap_or_default();
                // The beginning stays as it is: by it, leftovers are found.
                let (tag, rest) = name.split_at(self.tag.len().min(name.len()));
                let name = format!("{tag}{}", rest.to_ascii_uppercase());
                attrs.insert("userName".to_owned(), json!(name));
            }
            let said = match self.create(ObjectKind::User, &attrs, &[]).await {
                Ok(second) if self.made.iter().filter(|m| m.id == second.id).count() > 1 => {
                    "answered with the account that is there".to_owned()
                }
                Ok(second) => {
                    self.forget_and_remove(ObjectKind::User, &second.id).await;
                    "made: the target keeps two accounts of one name".to_owned()
                }
                Err(e) => match refusal(&e) {
                    Some(status) if e.fault == Fault::Conflict => format!("refused as it should be ({status})"),
                    Some(status) => format!("refused ({status})"),
                    None => return Err(e),
                },
            };
            self.found.note(fact, said);
        }
        Ok(())
    }

    /// What DELETE of an account means, and whether it leaves its groups. Then the group goes.
    pub async fn deletion(&mut self, two: &Remote, group: Option<&TargetId>) -> Result<(), TargetError> {
        let call = self.reader.delete_call(ObjectKind::User, &two.id)?;
        let answer = match self.core.send(&call).await {
            Ok(reply) => reply.status,
            Err(e) => refusal(&e).ok_or(e)?,
        };
        self.settle().await;
        let there = self.reader.get(ObjectKind::User, &two.id).await?;
        let (means, removes) = match &there {
            None => ("removes the account".to_owned(), true),
            Some(r) if r.active() == Some(false) => ("only deactivates the account".to_owned(), false),
            Some(_) => (format!("leaves the account as it is ({answer})"), false),
        };
        self.found.note("delete.user", means);
        self.found.learnt("delete_removes", |d| d.delete_removes = removes);
        if removes {
            self.made.retain(|m| m.id != two.id || m.kind != ObjectKind::User);
            let again = match self.core.send(&call).await {
                Ok(reply) => reply.status,
                Err(e) => refusal(&e).ok_or(e)?,
            };
            self.found.note("delete.again", again);
        }
        let Some(group) = group else { return Ok(()) };
        if removes && let Some(there) = self.reader.get(ObjectKind::Group, group).await?.filter(Remote::has_members) {
            let stays = there.members().contains(&two.id);
            self.found.note("delete.leaves_groups", !stays);
        }
        let gone = self.forget_and_remove(ObjectKind::Group, group).await;
        self.found.note("delete.group", if gone { "removes the group" } else { "does not remove the group" });
        self.found.learnt("group_delete", |d| d.group_delete = gone);
        Ok(())
    }

    /// Removes something at once. Whether it is gone.
    async fn forget_and_remove(&mut self, kind: ObjectKind, id: &TargetId) -> bool {
        let known = self.made.iter().position(|m| m.kind == kind && m.id == *id);
        let Some(made) = known.and_then(|at| self.made.get(at).cloned()) else { return false };
        let gone = self.remove(&made).await.is_ok();
        if gone {
            self.made.retain(|m: &Made| !(m.kind == kind && m.id == *id));
        }
        gone
    }
}

/// A value of this type that says what it is.
fn placeholder(kind: Option<Type>) -> Value {
    match kind {
        Some(Type::Boolean) => json!(false),
        Some(Type::Integer | Type::Decimal) => json!(0),
        _ => json!("scim-sync probe"),
    }
}
