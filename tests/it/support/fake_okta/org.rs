//! What the organisation holds, and what happens to it.

use super::log::Log;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Lifecycle of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Staged,
    Provisioned,
    Active,
    Recovery,
    PasswordExpired,
    LockedOut,
    Suspended,
    Deprovisioned,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Staged => "STAGED",
            Self::Provisioned => "PROVISIONED",
            Self::Active => "ACTIVE",
            Self::Recovery => "RECOVERY",
            Self::PasswordExpired => "PASSWORD_EXPIRED",
            Self::LockedOut => "LOCKED_OUT",
            Self::Suspended => "SUSPENDED",
            Self::Deprovisioned => "DEPROVISIONED",
        }
    }

    /// As the documentation suggests for provisioning.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Staged | Self::Suspended | Self::Deprovisioned)
    }
}

#[derive(Debug, Clone)]
pub struct User {
    pub status: Status,
    pub profile: Map<String, Value>,
    /// Milliseconds since 1970, by the organisation's clock.
    pub updated: i64,
}

#[derive(Debug, Clone)]
pub struct Group {
    pub name: String,
    pub members: BTreeSet<String>,
    pub updated: i64,
    pub membership_updated: i64,
}

#[derive(Debug, Clone, Default)]
pub struct App {
    /// Assigned directly: profile of the assignment.
    pub users: BTreeMap<String, Value>,
    pub groups: BTreeSet<String>,
    /// `expand` is not understood: nothing is embedded.
    pub embeds_nothing: bool,
}

/// The organisation.
#[derive(Debug, Default)]
pub struct Org {
    pub users: BTreeMap<String, User>,
    pub groups: BTreeMap<String, Group>,
    pub apps: BTreeMap<String, App>,
    /// Seconds by which its clock is ahead of ours.
    pub ahead: i64,
    /// No page is longer, whatever is asked for.
    pub page: Option<usize>,
    pub log: Log,
    /// Lists by date do not know yet that these changed.
    pub lagging: BTreeSet<String>,
    /// By id these people show no profile.
    pub faceless: BTreeSet<String>,
    last: i64,
    number: u32,
}

impl Org {
    /// Milliseconds by its own clock; never twice the same.
    pub fn now(&mut self) -> i64 {
        self.last = (self.last + 1).max(self.clock() * 1000);
        self.last
    }

    /// Seconds by its own clock.
    pub fn clock(&self) -> i64 {
        jiff::Timestamp::now().as_second() + self.ahead
    }

    /// The latest moment that anything has heard of.
    pub fn moment(&self) -> i64 {
        self.last.max(self.clock() * 1000)
    }

    /// A date as lists filter by it.
    pub fn shown(&self, id: &str, date: i64) -> i64 {
        if self.lagging.contains(id) { 1 } else { date }
    }

    /// Into the System Log, of a person.
    fn of_user(&mut self, kind: &'static str, id: &str) {
        let at = self.moment();
        self.log.note(kind, at, vec![("AppUser", "0uaWhatever0000000001".to_owned()), ("User", id.to_owned())]);
    }

    /// The same of a group.
    fn of_group(&mut self, kind: &'static str, id: &str) {
        let at = self.moment();
        self.log.note(kind, at, vec![("UserGroup", id.to_owned())]);
    }

    /// And of who is in it.
    fn of_member(&mut self, kind: &'static str, group: &str, user: &str) {
        let at = self.moment();
        self.log.note(kind, at, vec![("User", user.to_owned()), ("UserGroup", group.to_owned())]);
    }

    fn id(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}{:017}", self.number)
    }

    /// A new active person; `name` becomes the address.
    pub fn join(&mut self, name: &str) -> String {
        let (id, updated) = (self.id("00u"), self.now());
        let Value::Object(profile) = json!({"login": format!("{name}@corp.example"), "email": format!("{name}@corp.example"),
            "firstName": format!("Given {name}"), "lastName": format!("Family {name}"), "displayName": format!("Given {name} Family"),
            "department": "Sales"})
        else {
            unreachable!()
        };
        self.users.insert(id.clone(), User { status: Status::Active, profile, updated });
        self.of_user("user.lifecycle.create", &id);
        self.of_user("user.lifecycle.activate", &id);
        id
    }

    pub fn set(&mut self, id: &str, attribute: &str, value: impl Into<Value>) {
        let updated = self.now();
        let user = self.users.get_mut(id).unwrap();
        user.profile.insert(attribute.to_owned(), value.into());
        user.updated = updated;
        self.of_user("user.account.update_profile", id);
    }

    /// Another address.
    pub fn rename(&mut self, id: &str, name: &str) {
        self.set(id, "login", format!("{name}@corp.example"));
        self.set(id, "email", format!("{name}@corp.example"));
    }

    /// Who is deprovisioned loses the applications.
    pub fn status(&mut self, id: &str, status: Status) {
        let updated = self.now();
        let user = self.users.get_mut(id).unwrap();
        (user.status, user.updated) = (status, updated);
        if status == Status::Deprovisioned {
            self.apps.values_mut().for_each(|app| drop(app.users.remove(id)));
        }
        self.of_user(
            match status {
                Status::Active => "user.lifecycle.unsuspend",
                Status::Suspended => "user.lifecycle.suspend",
                Status::Deprovisioned => "user.lifecycle.deactivate",
                Status::LockedOut => "user.account.lock",
                _ => "user.lifecycle.reactivate",
            },
            id,
        );
    }

    /// Deletes; only who is deprovisioned can be. Nothing tells but the System Log.
    pub fn delete(&mut self, id: &str) {
        let user = self.users.remove(id).unwrap();
        assert_eq!(user.status, Status::Deprovisioned);
        for group in self.groups.values_mut() {
            group.members.remove(id);
        }
        self.of_user("user.lifecycle.delete.initiated", id);
        self.of_user("user.lifecycle.delete.completed", id);
    }

    pub fn group(&mut self, name: &str, members: &[&String]) -> String {
        let (id, now) = (self.id("00g"), self.now());
        let members: BTreeSet<String> = members.iter().map(|&m| m.clone()).collect();
        self.of_group("group.lifecycle.create", &id);
        members.iter().for_each(|m| self.of_member("group.user_membership.add", &id, m));
        self.groups.insert(id.clone(), Group { name: name.to_owned(), members, updated: now, membership_updated: now });
        id
    }

    pub fn rename_group(&mut self, id: &str, name: &str) {
        let now = self.now();
        let group = self.groups.get_mut(id).unwrap();
        (group.name, group.updated) = (name.to_owned(), now);
        self.of_group("group.profile.update", id);
    }

    pub fn add(&mut self, group: &str, user: &str) {
        let now = self.now();
        let changed = self.groups.get_mut(group).unwrap();
        changed.members.insert(user.to_owned());
        changed.membership_updated = now;
        self.of_member("group.user_membership.add", group, user);
    }

    pub fn remove(&mut self, group: &str, user: &str) {
        let now = self.now();
        let changed = self.groups.get_mut(group).unwrap();
        changed.members.remove(user);
        changed.membership_updated = now;
        self.of_member("group.user_membership.remove", group, user);
    }

    pub fn delete_group(&mut self, id: &str) {
        self.groups.remove(id);
        for app in self.apps.values_mut() {
            app.groups.remove(id);
        }
        self.of_group("group.lifecycle.delete", id);
    }

    /// The directory or application that it was imported from has it no more.
    pub fn delete_imported_group(&mut self, id: &str) {
        self.groups.remove(id);
        let at = self.moment();
        let targets = vec![("AppInstance", "0oaDirectory0000001".to_owned()), ("AppGroup", id.to_owned())];
        self.log.note("system.import.group.delete", at, targets);
    }

    pub fn app(&mut self) -> String {
        let id = self.id("0oa");
        self.apps.insert(id.clone(), App::default());
        id
    }

    /// Ids of everybody assigned to it: directly, or by a group.
    pub fn assigned(&self, app: &str) -> BTreeSet<String> {
        let app = &self.apps[app];
        let by_group = app.groups.iter().filter_map(|g| self.groups.get(g)).flat_map(|g| g.members.iter());
        let all = app.users.keys().chain(by_group).cloned();
        all.filter(|id| self.users.get(id).is_some_and(|u| u.status != Status::Deprovisioned)).collect()
    }
}

/// As Okta writes instants.
pub fn instant(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

pub fn user_json(id: &str, user: &User) -> Value {
    let updated = instant(user.updated);
    json!({"id": id, "status": user.status.word(), "created": "2020-01-01T00:00:00.000Z", "activated": null,
        "statusChanged": updated, "lastLogin": null, "lastUpdated": updated, "passwordChanged": null,
        "type": {"id": "otyfnjfba4ye7pgjB0g4"}, "profile": user.profile,
        "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}}})
}

pub fn group_json(id: &str, group: &Group) -> Value {
    json!({"id": id, "created": "2020-01-01T00:00:00.000Z", "lastUpdated": instant(group.updated),
        "lastMembershipUpdated": instant(group.membership_updated), "objectClass": ["okta:user_group"], "type": "OKTA_GROUP",
        "profile": {"name": group.name, "description": format!("{} of this organisation", group.name)}})
}
