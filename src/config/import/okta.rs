//! Okta's profile mapping (Management API, `/api/v1/mappings/{id}`): properties of the application's profile, each with an
//! expression over the user's.

use super::draft::{Draft, slug};
use super::{ImportError, Imported, expression};
use crate::mapping::Row;
use crate::model::ObjectKind;
use serde::Deserialize;
use serde_json::{Map, Value};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Property of the profile of Okta's SCIM applications, and the SCIM attribute that Okta writes it to.
const PROPERTIES: &[(&str, &str)] = &[
    ("userName", "userName"),
    ("login", "userName"),
    ("givenName", "name.givenName"),
    ("firstName", "name.givenName"),
    ("familyName", "name.familyName"),
    ("lastName", "name.familyName"),
    ("middleName", "name.middleName"),
    ("honorificPrefix", "name.honorificPrefix"),
    ("honorificSuffix", "name.honorificSuffix"),
    ("displayName", "displayName"),
    ("nickName", "nickName"),
    ("profileUrl", "profileUrl"),
    ("title", "title"),
    ("userType", "userType"),
    ("preferredLanguage", "preferredLanguage"),
    ("locale", "locale"),
    ("timezone", "timezone"),
    ("email", "emails[type eq \"work\"].value"),
    ("secondEmail", "emails[type eq \"home\"].value"),
    ("primaryPhone", "phoneNumbers[type eq \"work\"].value"),
    ("mobilePhone", "phoneNumbers[type eq \"mobile\"].value"),
    ("streetAddress", "addresses[type eq \"work\"].streetAddress"),
    ("city", "addresses[type eq \"work\"].locality"),
    ("locality", "addresses[type eq \"work\"].locality"),
    ("state", "addresses[type eq \"work\"].region"),
    ("region", "addresses[type eq \"work\"].region"),
    ("zipCode", "addresses[type eq \"work\"].postalCode"),
    ("postalCode", "addresses[type eq \"work\"].postalCode"),
    ("countryCode", "addresses[type eq \"work\"].country"),
    ("country", "addresses[type eq \"work\"].country"),
    ("postalAddress", "addresses[type eq \"work\"].formatted"),
];

const ENTERPRISE_PROPERTIES: &[&str] = &["employeeNumber", "costCenter", "organization", "division", "department"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProfileMapping {
    source: End,
    target: End,
    properties: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct End {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The profile mappings of a document: one, or a list.
pub(super) fn find(json: &Value) -> Vec<ProfileMapping> {
    let one = |value: &Value| {
        let is = ["source", "target", "properties"].iter().all(|name| value.get(name).is_some_and(Value::is_object));
        if is { ProfileMapping::deserialize(value).ok() } else { None }
    };
    match json {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

pub(super) fn import(found: &[ProfileMapping]) -> Result<Imported, ImportError> {
    let (out, others): (Vec<_>, Vec<_>) = found.iter().partition(|m| m.source.kind == "user" && m.target.kind == "appuser");
    let Some((mapping, more)) = out.split_first() else {
        let message = "this maps an application's profile to Okta's: export the mapping in the other direction (source of type \
                       user, target of type appuser)";
        return Err(ImportError::Direction(message.to_owned()));
    };
    let mut draft = Draft {
        origin: format!("the Okta profile mapping for {:?}", mapping.target.name),
        name: slug(&mapping.target.name),
        source: "okta",
        ..Draft::default()
    };
    for other in others.iter().chain(more) {
        let what = format!("mapping of {} to {}", other.source.name, other.target.name);
        draft.leave_out(what, "a sync has one mapping, from Okta's users to one application");
    }
    draft.users.mapped = true;
    draft.users.actions = vec!["create", "update", "deactivate"];
    draft.groups.actions = vec!["create", "update", "delete", "members"];
    draft.remarks.push(
        "A profile mapping is of people only. Groups are pushed as the group push of an application does: all that the source \
         reads, under their names; sync.scope.groups chooses."
            .to_owned(),
    );
    for (property, value) in &mapping.properties {
        carry(&mut draft, property, value);
    }
    Ok(draft.finish())
}

fn carry(draft: &mut Draft, property: &str, value: &Value) {
    let what = format!("user mapping of {property}");
    let Some(path) = path_of(property) else {
        let reason =
            "which SCIM attribute it is written to does not stand in the export (Profile Editor, external name and namespace)";
        return draft.leave_out(what, reason);
    };
    let Some(written) = value.get("expression").and_then(Value::as_str).map(str::trim).filter(|e| !e.is_empty()) else { return };
    let expr = match expression::translate(written) {
        Ok(expr) => expr,
        Err(why) => return draft.leave_out(what, format!("{why}; it was `{written}`")),
    };
    let create_only = value.get("pushStatus").and_then(Value::as_str) == Some("DONT_PUSH");
    draft.row(ObjectKind::User, Row { path, expr, create_only, ..Row::default() });
}

fn path_of(property: &str) -> Option<String> {
    if ENTERPRISE_PROPERTIES.contains(&property) {
        return Some(format!("{ENTERPRISE}:{property}"));
    }
    PROPERTIES.iter().find(|(name, _)| *name == property).map(|(_, path)| (*path).to_owned())
}
