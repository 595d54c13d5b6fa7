//! The tenant: what is there, and everything that happened to it.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Object id of the enterprise application.
pub const APPLICATION: &str = "0a0a0a0a-0000-4000-8000-00000000000a";

/// Something that happened to an object, as change feeds tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Made, restored, or these properties changed.
    User(String, Vec<String>),
    UserRemoved(String, &'static str),
    Group(String, Vec<String>),
    GroupRemoved(String, &'static str),
    Member(String, String, bool),
}

#[derive(Debug, Clone, Default)]
pub struct User {
    /// Properties that were ever set; null where they were cleared.
    pub props: Map<String, Value>,
    pub manager: Option<String>,
    pub deleted: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Group {
    pub props: Map<String, Value>,
    /// People and groups; those in the recycle bin keep their places.
    pub members: BTreeSet<String>,
}

/// A tenant.
pub struct Tenant {
    pub users: BTreeMap<String, User>,
    pub groups: BTreeMap<String, Group>,
    /// Devices, by id: they can be members.
    pub devices: BTreeSet<String>,
    /// Principal id, its type, role id.
    pub assignments: Vec<(String, &'static str, String)>,
    /// Role id, its value.
    pub roles: Vec<(String, String)>,
    pub events: Vec<Event>,
    /// Permissions of the application.
    pub permissions: BTreeSet<String>,
    /// Client secrets that are good.
    pub secrets: BTreeSet<String>,
    /// Public key of the application's certificate, and the algorithm that is accepted.
    pub key: Option<(jsonwebtoken::DecodingKey, jsonwebtoken::Algorithm)>,
    /// Tokens that are good.
    pub tokens: BTreeSet<String>,
    pub token_life: u64,
    /// Tokens say nothing of themselves.
    pub opaque: bool,
    pub token_requests: u64,
    /// Objects on a page of a change feed, at most.
    pub delta_page: usize,
    /// Change feeds in random slices, with repeats, empty pages and objects in any order.
    pub unruly: bool,
    /// Links made before this many events are expired, with this status and code.
    pub expired: Option<(usize, u16, &'static str)>,
    /// `$deltatoken=latest`, change feeds and batches exist.
    pub has_latest: bool,
    pub has_delta: bool,
    pub has_batch: bool,
    pub has_deleted_items: bool,
    /// Asked for the first, the second one answers.
    pub impostor: Option<(String, String)>,
    /// Rounds on the way: token of a page to the rest of the round.
    pub rounds: HashMap<String, super::rounds::Round>,
    pub next: u64,
    /// The properties of somebody whom the application may not see.
    pub nothing: Map<String, Value>,
}

impl Default for Tenant {
    fn default() -> Self {
        let all = ["User.Read.All", "GroupMember.Read.All", "Application.Read.All"];
        Self {
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            devices: BTreeSet::new(),
            assignments: Vec::new(),
            roles: Vec::new(),
            events: Vec::new(),
            permissions: all.iter().map(|p| (*p).to_owned()).collect(),
            secrets: BTreeSet::from(["s3cret-of-client-1".to_owned()]),
            key: None,
            tokens: BTreeSet::new(),
            token_life: 3599,
            opaque: false,
            token_requests: 0,
            delta_page: 50,
            unruly: false,
            expired: None,
            has_latest: true,
            has_delta: true,
            has_batch: true,
            has_deleted_items: true,
            impostor: None,
            rounds: HashMap::new(),
            next: 0,
            nothing: Map::new(),
        }
    }
}

/// The id of person `n`.
pub fn user_id(n: usize) -> String {
    format!("{n:08x}-1111-4111-8111-111111111111")
}

/// The id of group `n`.
pub fn group_id(n: usize) -> String {
    format!("{n:08x}-2222-4222-8222-222222222222")
}

impl Tenant {
    /// `people` and `groups`, everybody in group `n % groups` (none where there are none).
    pub fn populated(people: usize, groups: usize) -> Self {
        let mut tenant = Self::default();
        for n in 0..people {
            tenant.add_user(n);
        }
        for n in 0..groups {
            tenant.add_group(n);
        }
        for n in (0..people).filter(|_| groups > 0) {
            tenant.join(&group_id(n % groups), &user_id(n));
        }
        tenant
    }

    pub fn add_user(&mut self, n: usize) -> String {
        let id = user_id(n);
        let props = json!({
            "accountEnabled": true,
            "userPrincipalName": format!("p{n}@contoso.example"),
            "mail": format!("p{n}@contoso.example"),
            "mailNickname": format!("p{n}"),
            "displayName": format!("Person {n}"),
            "givenName": format!("Given{n}"),
            "surname": format!("Family{n}"),
            "userType": "Member",
        });
        let Value::Object(props) = props else { unreachable!() };
        let names = props.keys().cloned().collect();
        self.users.insert(id.clone(), User { props, manager: None, deleted: false });
        self.events.push(Event::User(id.clone(), names));
        id
    }

    pub fn add_group(&mut self, n: usize) -> String {
        let id = group_id(n);
        let props = json!({"displayName": format!("Group {n}"), "mailEnabled": false, "securityEnabled": true, "groupTypes": []});
        let Value::Object(props) = props else { unreachable!() };
        let names = props.keys().cloned().collect();
        self.groups.insert(id.clone(), Group { props, members: BTreeSet::new() });
        self.events.push(Event::Group(id.clone(), names));
        id
    }

    /// Sets or, by null, clears a property.
    pub fn set(&mut self, id: &str, name: &str, value: impl Into<Value>) {
        self.users.get_mut(id).unwrap().props.insert(name.to_owned(), value.into());
        self.events.push(Event::User(id.to_owned(), vec![name.to_owned()]));
    }

    pub fn set_manager(&mut self, id: &str, manager: Option<&str>) {
        self.users.get_mut(id).unwrap().manager = manager.map(str::to_owned);
        self.events.push(Event::User(id.to_owned(), vec!["manager".to_owned()]));
    }

    pub fn rename_group(&mut self, id: &str, name: &str) {
        self.groups.get_mut(id).unwrap().props.insert("displayName".to_owned(), json!(name));
        self.events.push(Event::Group(id.to_owned(), vec!["displayName".to_owned()]));
    }

    /// Into the recycle bin. No group says a word.
    pub fn soft_delete(&mut self, id: &str) {
        self.users.get_mut(id).unwrap().deleted = true;
        self.events.push(Event::UserRemoved(id.to_owned(), "changed"));
    }

    /// Out of it again. No group says a word.
    pub fn restore(&mut self, id: &str) {
        let user = self.users.get_mut(id).unwrap();
        user.deleted = false;
        let names = user.props.keys().cloned().collect();
        self.events.push(Event::User(id.to_owned(), names));
    }

    /// For good.
    pub fn purge(&mut self, id: &str) {
        self.users.remove(id).unwrap();
        for group in self.groups.values_mut() {
            group.members.remove(id);
        }
        self.events.push(Event::UserRemoved(id.to_owned(), "deleted"));
    }

    pub fn delete_group(&mut self, id: &str) {
        self.groups.remove(id).unwrap();
        for group in self.groups.values_mut() {
            group.members.remove(id);
        }
        self.events.push(Event::GroupRemoved(id.to_owned(), "deleted"));
    }

    pub fn join(&mut self, group: &str, member: &str) {
        if self.groups.get_mut(group).unwrap().members.insert(member.to_owned()) {
            self.events.push(Event::Member(group.to_owned(), member.to_owned(), true));
        }
    }

    pub fn leave(&mut self, group: &str, member: &str) {
        if self.groups.get_mut(group).unwrap().members.remove(member) {
            self.events.push(Event::Member(group.to_owned(), member.to_owned(), false));
        }
    }

    /// Assigns somebody to the application; the empty role is default access.
    pub fn assign(&mut self, principal: &str, role: &str) {
        let kind = if self.users.contains_key(principal) { "User" } else { "Group" };
        let role = if role.is_empty() { "00000000-0000-0000-0000-000000000000" } else { role };
        self.assignments.push((principal.to_owned(), kind, role.to_owned()));
    }

    pub fn unassign(&mut self, principal: &str) {
        self.assignments.retain(|(p, ..)| p != principal);
    }

    /// Every link that was given out is refused from now on.
    pub fn expire_links(&mut self, status: u16, code: &'static str) {
        self.events.push(Event::Group(String::new(), Vec::new()));
        self.expired = Some((self.events.len(), status, code));
    }

    pub fn is_live(&self, id: &str) -> bool {
        self.users.get(id).is_some_and(|u| !u.deleted)
    }

    /// userName -> whether active, as the target should have it in the end (who is disabled from the start has no account).
    pub fn active_names(&self) -> BTreeSet<String> {
        let live = self.users.values().filter(|u| !u.deleted && u.props["accountEnabled"] != json!(false));
        live.filter_map(|u| u.props["mail"].as_str()).map(str::to_lowercase).collect()
    }

    /// displayName of each group -> sorted userNames of its direct members who are active.
    pub fn memberships(&self) -> BTreeMap<String, Vec<String>> {
        let name = |id: &String| {
            let user = self.users.get(id).filter(|u| !u.deleted && u.props["accountEnabled"] != json!(false))?;
            user.props["mail"].as_str().map(str::to_lowercase)
        };
        let of = |g: &Group| {
            let mut who: Vec<String> = g.members.iter().filter_map(name).collect();
            who.sort();
            (g.props["displayName"].as_str().unwrap().to_owned(), who)
        };
        self.groups.values().map(of).collect()
    }
}
