//! Objects as Okta sends them to entries: attributes of the profile under their own names, custom ones too.

use crate::model::{Attrs, Entry, ObjectKind, SourceKey, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeSet, HashSet};

/// Kept whatever the mapping asks for: people and groups are shown by these, and `status` explains `disabled`.
const ALWAYS: [&str; 5] = ["login", "email", "displayName", "name", "status"];

/// Attributes of the application's profile stand under this prefix, as in Okta's own expressions.
const APP: &str = "appuser.";

/// States of an assignment in which the application's account is none to use.
const NOT_ASSIGNED: [&str; 5] = ["DEPROVISIONED", "INACTIVE", "REVOKED", "SUSPENDED", "UNASSIGNED"];

/// A JSON object with what nobody asked for still in it.
pub(super) type Object = Map<String, Json>;

/// A user's assignment to the application (AppUser).
#[derive(Debug, Deserialize)]
pub(super) struct AppUser {
    /// The user's id.
    pub id: String,
    status: Option<String>,
    scope: Option<String>,
    profile: Option<Object>,
    credentials: Option<Object>,
    #[serde(rename = "_embedded")]
    embedded: Option<Object>,
}

/// A group's assignment to the application.
#[derive(Debug, Deserialize)]
pub(super) struct AppGroup {
    /// The group's id.
    pub id: String,
    #[serde(rename = "_embedded")]
    embedded: Option<Object>,
}

/// A row of a list.
pub(super) trait Row {
    /// What tells it from others; empty where it has none.
    fn id(&self) -> &str;
}

impl Row for Object {
    fn id(&self) -> &str {
        self.get("id").and_then(Json::as_str).unwrap_or_default()
    }
}

impl Row for AppUser {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for AppGroup {
    fn id(&self) -> &str {
        &self.id
    }
}

impl AppUser {
    /// The user, where the answer has it (`expand=user`).
    pub(super) fn take_user(&mut self) -> Option<Object> {
        take(&mut self.embedded, "user")
    }

    /// Attributes of the assignment; those of the application's profile go first.
    fn attributes(&self) -> impl Iterator<Item = (&str, &Json)> {
        let profile = self.profile.iter().flatten();
        let credentials = self.credentials.iter().flatten().filter(|(name, _)| *name == "userName");
        profile.chain(credentials).map(|(name, value)| (name.as_str(), value))
    }
}

impl AppGroup {
    /// The group, where the answer has it (`expand=group`).
    pub(super) fn take_group(&mut self) -> Option<Object> {
        take(&mut self.embedded, "group").filter(|g| g.get("profile").is_some_and(Json::is_object))
    }
}

fn take(embedded: &mut Option<Object>, name: &str) -> Option<Object> {
    match embedded.as_mut()?.remove(name)? {
        Json::Object(object) => Some(object),
        _ => None,
    }
}

/// What becomes of an object.
pub(super) struct Rules {
    /// Attributes that are wanted, in lower case; none: every one of the profile.
    wanted: HashSet<String>,
    /// States of people who count as disabled.
    inactive: Vec<String>,
}

impl Rules {
    pub(super) fn new(attributes: &BTreeSet<String>, inactive: &[String]) -> Self {
        Self { wanted: attributes.iter().map(|a| a.to_lowercase()).collect(), inactive: inactive.to_vec() }
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.contains(&name.to_lowercase()) || ALWAYS.contains(&name)
    }

    /// A user, with the assignment where only assigned ones are read.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn user(&self, mut user: Object, assigned: Option<&AppUser>) -> Result<Entry, String> {
        let key = id(&user)?;
        let status = user.get("status").and_then(Json::as_str).ok_or(format!("user {key} has no status"))?.to_owned();
        let is = |list: &[String], status: &str| list.iter().any(|s| s.eq_ignore_ascii_case(status));
        // A state that is not known here takes nothing away from anybody.
        let mut disabled = is(&self.inactive, &status);
        let mut attrs = self.profile(&mut user, &key)?;
        if let Some(assigned) = assigned {
            disabled |= assigned.status.as_deref().is_some_and(|s| NOT_ASSIGNED.contains(&s));
            let scope = assigned.scope.as_ref().map(|s| Json::from(s.as_str()));
            let of_assignment = scope.iter().map(|s| ("assignmentScope", s));
            for (name, value) in assigned.attributes().chain(of_assignment) {
                let long = format!("{APP}{name}");
                if attrs.has(&long) {
                    continue;
                }
                if self.wanted.is_empty() || self.wants(&long) {
                    attrs.add(long, values(value.clone()));
                }
                // Under its bare name where the user has no such attribute.
                if self.wanted.contains(&name.to_lowercase()) && !attrs.has(name) {
                    attrs.add(name, values(value.clone()));
                }
            }
        }
        Ok(Entry { kind: ObjectKind::User, key, dn: None, names: Vec::new(), attrs, members: Vec::new(), disabled, due: None })
    }

    /// A group, without members.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn group(&self, mut group: Object) -> Result<Entry, String> {
        let key = id(&group)?;
        let attrs = self.profile(&mut group, &key)?;
        let (kind, members) = (ObjectKind::Group, Vec::new());
        Ok(Entry { kind, key, dn: None, names: Vec::new(), attrs, members, disabled: false, due: None })
    }

    /// Attributes of the profile; those of the object itself (`status`, `type`, `created`) where they are asked for.
    fn profile(&self, object: &mut Object, key: &SourceKey) -> Result<Attrs, String> {
        let Some(Json::Object(profile)) = object.remove("profile") else { return Err(format!("{key} has no profile")) };
        let mut attrs = Attrs::new();
        for (name, value) in profile {
            if self.wanted.is_empty() || self.wants(&name) {
                attrs.add(name, values(value));
            }
        }
        for (name, value) in object {
            let plain = !name.starts_with('_') && name != "credentials" && self.wants(name);
            if plain && !attrs.has(name) {
                attrs.add(name.as_str(), values(value.take()));
            }
        }
        Ok(attrs)
    }
}

/// The id of an object.
///
/// # Errors
/// It has none.
pub(super) fn id(object: &Object) -> Result<SourceKey, String> {
    match object.get("id").and_then(Json::as_str).filter(|id| !id.is_empty()) {
        Some(id) => Ok(SourceKey(id.to_owned())),
        None => Err("an object has no id".to_owned()),
    }
}

/// Dates of the latest changes of an object, as written.
pub(super) fn dates(object: &Object) -> impl Iterator<Item = &str> {
    ["lastUpdated", "lastMembershipUpdated"].into_iter().filter_map(|name| object.get(name).and_then(Json::as_str))
}

fn values(value: Json) -> Vec<Value> {
    match value {
        Json::Null => Vec::new(),
        Json::Array(list) => list.into_iter().flat_map(values).collect(),
        Json::String(text) => vec![Value::Text(text)],
        other => vec![Value::Json(other)],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Json) -> Object {
        let Json::Object(object) = value else { panic!() };
        object
    }

    fn rules(attributes: &[&str]) -> Rules {
        let inactive = ["STAGED", "SUSPENDED", "DEPROVISIONED"].map(str::to_owned);
        Rules::new(&attributes.iter().map(|&a| a.to_owned()).collect(), &inactive)
    }

    fn user(status: &str) -> Object {
        object(json!({"id": "00u1", "status": status, "lastLogin": "2026-01-01T00:00:00.000Z", "type": {"id": "oty1"},
            "_links": {"self": {}}, "credentials": {"provider": {"type": "OKTA"}},
            "profile": {"login": "ada@corp.example", "email": "ada@corp.example", "firstName": "Ada", "lastName": null,
                "costCentre": 42, "teams": ["a", "b"], "remote": true}}))
    }

    #[test]
    fn okta_pitfall_4_locked_out_is_not_gone() {
        for (status, disabled) in [
            ("ACTIVE", false),
            ("PROVISIONED", false),
            ("RECOVERY", false),
            ("PASSWORD_EXPIRED", false),
            ("LOCKED_OUT", false),
            ("STAGED", true),
            ("SUSPENDED", true),
            ("DEPROVISIONED", true),
            ("SOMETHING_NEW", false),
        ] {
            assert_eq!(rules(&[]).user(user(status), None).unwrap().disabled, disabled, "{status}");
        }
    }

    #[test]
    fn the_profile_comes_under_its_own_names() {
        let e = rules(&["FIRSTNAME", "lastName", "costcentre", "teams", "remote", "created"]).user(user("ACTIVE"), None).unwrap();
        assert_eq!(e.key.as_str(), "00u1");
        assert_eq!(e.attrs.text("firstName"), Some("Ada"));
        assert!(!e.attrs.has("lastName"), "null is no value");
        assert_eq!(e.attrs.first("costCentre").unwrap().to_text().unwrap(), "42");
        assert_eq!(e.attrs.first("remote").unwrap().to_text().unwrap(), "True");
        assert_eq!(e.attrs.all("teams").len(), 2);
        let names: Vec<&str> = e.attrs.iter().map(|(n, _)| n).collect();
        assert!(!names.contains(&"lastLogin") && !names.contains(&"credentials") && !names.contains(&"_links"), "{names:?}");
    }

    #[test]
    fn the_applications_profile_stands_beside_the_users() {
        let mut assigned: AppUser = serde_json::from_value(json!({"id": "00u1", "status": "ACTIVE", "scope": "USER",
            "credentials": {"userName": "ada.l"}, "profile": {"role": "editor", "firstName": "Ada at work"},
            "_embedded": {"user": user("ACTIVE")}}))
        .unwrap();
        let user = assigned.take_user().unwrap();
        let e = rules(&["role", "appuser.role", "firstName", "appuser.userName"]).user(user, Some(&assigned)).unwrap();
        assert_eq!(e.attrs.text("role"), Some("editor"));
        assert_eq!(e.attrs.text("appuser.role"), Some("editor"));
        assert_eq!(e.attrs.all("firstName").len(), 1, "the user's own goes first");
        assert_eq!(e.attrs.text("appuser.userName"), Some("ada.l"));
        assert!(!e.attrs.has("appuser.firstName"), "nobody asked");
    }

    #[test]
    fn what_is_no_object_of_ours_is_an_error() {
        for bad in [json!({}), json!({"id": ""}), json!({"id": "1", "status": "ACTIVE"}), json!({"id": "1", "profile": {}})] {
            assert!(rules(&[]).user(object(bad.clone()), None).is_err(), "{bad}");
        }
        assert!(rules(&[]).group(object(json!({"id": "00g1", "profile": {"name": "All"}}))).is_ok());
    }
}
