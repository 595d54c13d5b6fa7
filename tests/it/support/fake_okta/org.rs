//! What the organisation holds, and what happens to it.

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
        id
    }

    pub fn set(&mut self, id: &str, attribute: &str, value: impl Into<Value>) {
        let updated = self.now();
        let user = self.users.get_mut(id).unwrap();
        user.profile.insert(attribute.to_owned(), value.into());
        user.updated = updated;
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
    }

    /// Deletes; only who is deprovisioned can be. Nothing tells.
    pub fn delete(&mut self, id: &str) {
        let user = self.users.remove(id).unwrap();
        assert_eq!(user.status, Status::Deprovisioned);
        for group in self.groups.values_mut() {
            group.members.remove(id);
        }
    }

    pub fn group(&mut self, name: &str, members: &[&String]) -> String {
        let (id, now) = (self.id("00g"), self.now());
        let members = members.iter().map(|&m| m.clone()).collect();
        self.groups.insert(id.clone(), Group { name: name.to_owned(), members, updated: now, membership_updated: now });
        id
    }

    pub fn rename_group(&mut self, id: &str, name: &str) {
        let now = self.now();
        let group = self.groups.get_mut(id).unwrap();
        (group.name, group.updated) = (name.to_owned(), now);
    }

    pub fn add(&mut self, group: &str, user: &str) {
        let now = self.now();
        let group = self.groups.get_mut(group).unwrap();
        group.members.insert(user.to_owned());
        group.membership_updated = now;
    }

    pub fn remove(&mut self, group: &str, user: &str) {
        let now = self.now();
        let group = self.groups.get_mut(group).unwrap();
        group.members.remove(user);
        group.membership_updated = now;
    }

    pub fn delete_group(&mut self, id: &str) {
        self.groups.remove(id);
        for app in self.apps.values_mut() {
            app.groups.remove(id);
        }
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
