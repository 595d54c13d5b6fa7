//! A Graph object, from JSON to [`Entry`] or to what changed of one.

use super::fault::{Call, GraphError};
use super::select::{Fields, MANAGER, ROLES};
use crate::model::{Attrs, Entry, EntryChange, ObjectKind, SourceKey, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// What kind of object a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Type {
    /// A person, or a type that was not said.
    User,
    /// A group.
    Group,
    /// A device, a contact, an application: no business of ours.
    Other,
}

impl Type {
    /// By `@odata.type`.
    #[must_use]
    pub fn of(object: &Json) -> Self {
        object["@odata.type"].as_str().map_or(Self::User, Self::of_name)
    }

    fn of_name(name: &str) -> Self {
        match name.rsplit('.').next() {
            Some("user") => Self::User,
            Some("group") => Self::Group,
            _ => Self::Other,
        }
    }
}

impl From<String> for Type {
    fn from(name: String) -> Self {
        Self::of_name(&name)
    }
}

/// The id of an object.
///
/// # Errors
/// It has none.
pub fn id(object: &Json) -> Result<&str, GraphError> {
    let found = object["id"].as_str().filter(|id| !id.is_empty());
    found.ok_or_else(no_id)
}

/// The error for an object without id.
#[must_use]
pub fn no_id() -> GraphError {
    GraphError::Malformed("an object of Graph has no id".to_owned())
}

/// Whether the object was removed, for now (`changed`: restorable for 30 days) or for good (`deleted`). Both mean that it is
/// not there, and so does any other reason.
#[must_use]
pub fn is_removed(object: &Json) -> bool {
    object.get("@removed").is_some_and(|r| !r.is_null())
}

/// Whether the members of a group are hidden from us: the list is empty then, and means nothing (Microsoft, "List group
/// members": "hidden membership").
#[must_use]
pub fn is_hidden(fields: &Fields, object: &Json) -> bool {
    fields.hidden && object["visibility"] == "HiddenMembership"
}

/// What there is to say about such a group.
#[must_use]
pub fn hidden(object: &Json) -> String {
    let name = object["displayName"].as_str().or_else(|| object["id"].as_str()).unwrap_or_default();
    format!("group {name} hides its members, and the application lacks the permission Member.Read.Hidden to see them")
}

/// Whether an object shows nothing but its id: the application may not read its kind, and the nulls are no values
/// (Microsoft, "List group members": "limited information returned for inaccessible member objects").
#[must_use]
pub fn is_blind(fields: &Fields, object: &Json) -> bool {
    fields
        .properties
        .iter()
        .filter(|p| *p != "id" && *p != "visibility")
        .all(|p| object.get(p.as_str()).is_none_or(Json::is_null))
}

/// The error for objects that show nothing.
#[must_use]
pub fn blind(call: Call, who: &str) -> GraphError {
    GraphError::Auth(format!(
        "{who} comes without any property: the application lacks the permission {}; add it (kind: application) to the app \
         registration and grant admin consent. Nothing of this read is used",
        call.permission()
    ))
}

/// An object that is there, whole.
///
/// # Errors
/// It has no id, or shows nothing else.
pub fn entry(fields: &Fields, object: &Json, roles: &[String]) -> Result<Entry, GraphError> {
    let key = id(object)?;
    if is_blind(fields, object) {
        let call = if fields.kind == ObjectKind::User { Call::Users } else { Call::Groups };
        return Err(blind(call, &format!("{} {key}", fields.kind)));
    }
    let mut attrs = Attrs::new();
    for (name, values) in values(fields, object) {
        attrs.add(name, values);
    }
    if fields.roles {
        attrs.add(ROLES, roles.iter().map(|r| Value::Text(r.clone())).collect());
    }
    Ok(Entry {
        kind: fields.kind,
        key: SourceKey(key.to_owned()),
        dn: None,
        names: Vec::new(),
        attrs,
        members: Vec::new(),
        disabled: is_disabled(object).unwrap_or(false),
        due: None,
    })
}

/// What a change feed says of an object: a property that is absent was never set or did not change; null was cleared.
///
/// # Errors
/// It has no id, or everything is null.
pub fn change(fields: &Fields, object: &Json) -> Result<EntryChange, GraphError> {
    let key = id(object)?;
    // A person always has a user principal name.
    if fields.kind == ObjectKind::User && object.get("userPrincipalName").is_some_and(Json::is_null) && is_blind(fields, object) {
        return Err(blind(Call::Users, &format!("user {key}")));
    }
    let mut change = EntryChange::of(fields.kind, SourceKey(key.to_owned()));
    change.or_new = true;
    change.attrs = values(fields, object);
    if fields.kind == ObjectKind::User {
        change.disabled = is_disabled(object).map(|disabled| (disabled, None));
    }
    Ok(change)
}

/// `accountEnabled`, where it is said.
fn is_disabled(object: &Json) -> Option<bool> {
    object["accountEnabled"].as_bool().map(|enabled| !enabled)
}

/// The attributes that the object speaks of; no values: said to be null.
fn values(fields: &Fields, object: &Json) -> Vec<(String, Vec<Value>)> {
    let mut out = Vec::new();
    for property in &fields.whole {
        if let Some(said) = object.get(property.as_str()) {
            out.push((property.clone(), plain(said)));
        }
    }
    for part in &fields.parts {
        match object.get(part.property) {
            Some(Json::Null) => out.push((part.attribute.clone(), Vec::new())),
            Some(Json::Object(inner)) => {
                if let Some(said) = inner.get(&part.name) {
                    out.push((part.attribute.clone(), plain(said)));
                }
            }
            _ => {}
        }
    }
    if fields.manager
        && let Some(manager) = object.as_object().and_then(manager)
    {
        out.push((MANAGER.to_owned(), manager.into_iter().map(Value::Text).collect()));
    }
    out
}

/// The manager's id, as a list expands it or as a change feed says it; `None` where nothing is said.
fn manager(object: &Map<String, Json>) -> Option<Option<String>> {
    let text = |o: &Json| o["id"].as_str().map(str::to_owned);
    if let Some(changes) = object.get("manager@delta").and_then(Json::as_array) {
        return Some(changes.iter().filter(|c| !is_removed(c)).filter_map(text).next_back());
    }
    object.get(MANAGER).map(text)
}

/// JSON as values: text as text, arrays as several values, null as none.
fn plain(said: &Json) -> Vec<Value> {
    match said {
        Json::Null => Vec::new(),
        Json::String(text) => vec![Value::Text(text.clone())],
        Json::Array(several) => several.iter().flat_map(plain).collect(),
        other => vec![Value::Json(other.clone())],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(kind: ObjectKind, names: &[&str]) -> Fields {
        Fields::new(kind, &names.iter().map(|n| (*n).to_owned()).collect())
    }

    fn texts(entry: &Entry, name: &str) -> Vec<String> {
        entry.attrs.all(name).iter().filter_map(Value::to_text).collect()
    }

    #[test]
    fn a_person_is_taken_as_asked_for() {
        let some =
            fields(ObjectKind::User, &["mail", "proxyAddresses", "extensionAttribute1", "manager", "onPremisesSyncEnabled"]);
        let object = json!({
            "id": "u-1", "userPrincipalName": "a@x.example", "displayName": "A", "mail": null, "accountEnabled": false,
            "proxyAddresses": ["SMTP:a@x.example", "smtp:b@x.example"], "jobTitle": "not asked for", "onPremisesSyncEnabled": true,
            "onPremisesExtensionAttributes": {"extensionAttribute1": "one", "extensionAttribute2": "two"},
            "manager": {"@odata.type": "#microsoft.graph.user", "id": "u-2"},
        });
        let entry = entry(&some, &object, &[]).unwrap();
        assert!(entry.disabled && !entry.attrs.has("mail") && !entry.attrs.has("jobTitle") && !entry.attrs.has("id"));
        assert_eq!(texts(&entry, "proxyAddresses").len(), 2);
        assert_eq!(texts(&entry, "extensionAttribute1"), ["one"]);
        assert_eq!(texts(&entry, "onPremisesSyncEnabled"), ["True"]);
        assert_eq!(texts(&entry, "manager"), ["u-2"]);
    }

    #[test]
    fn pitfall_3_absent_is_not_null() {
        let some = fields(ObjectKind::User, &["mail", "department", "extensionAttribute1", "manager"]);
        let object = json!({"id": "u-1", "mail": null, "manager@delta": [{"id": "u-2", "@removed": {"reason": "deleted"}}]});
        let change = change(&some, &object).unwrap();
        assert_eq!(change.attrs, [("mail".to_owned(), Vec::new()), ("manager".to_owned(), Vec::new())]);
        assert_eq!(change.disabled, None);
        assert!(!change.whole && change.or_new);
    }

    #[test]
    fn pitfall_11_nulls_for_lack_of_rights_are_no_values() {
        let some = fields(ObjectKind::User, &["mail"]);
        for object in [
            json!({"@odata.type": "#microsoft.graph.user", "id": "u-1"}),
            json!({"id": "u-1", "userPrincipalName": null, "displayName": null, "mail": null, "accountEnabled": null}),
        ] {
            let error = entry(&some, &object, &[]).unwrap_err().to_string();
            assert!(error.contains("User.Read.All"), "{error}");
        }
        let null = json!({"id": "u-1", "userPrincipalName": null, "mail": null});
        assert!(change(&some, &null).unwrap_err().to_string().contains("User.Read.All"));
    }

    #[test]
    fn pitfall_6_removed_is_removed_whatever_the_reason() {
        for reason in ["changed", "deleted", "unheard-of"] {
            assert!(is_removed(&json!({"id": "u-1", "@removed": {"reason": reason}})));
        }
        assert!(!is_removed(&json!({"id": "u-1"})));
    }

    #[test]
    fn an_object_without_an_id_is_an_error() {
        for object in [json!({}), json!({"id": null}), json!({"id": ""}), json!({"id": 7}), json!("text"), json!(null)] {
            assert!(id(&object).is_err() && entry(&fields(ObjectKind::Group, &[]), &object, &[]).is_err(), "{object}");
        }
    }
}
