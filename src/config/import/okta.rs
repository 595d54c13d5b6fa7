//! Okta's profile mapping (Management API, `/api/v1/mappings/{id}`): properties of the application's profile, each with an
//! expression over the user's.

use super::draft::{Draft, slug};
use super::{ImportError, Imported, expression};
use crate::mapping::Row;
use crate::model::ObjectKind;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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

/// Profile mappings, and what the application's own schema says of its properties.
#[derive(Debug, Default)]
pub(super) struct Export {
    pub mappings: Vec<ProfileMapping>,
    /// Property -> the SCIM attribute that Okta writes it to.
    external: BTreeMap<String, String>,
}

/// The profile mappings of a document: one, or a list; with the application's user schema
/// (`/api/v1/meta/schemas/apps/{id}/default`) in the list, its own properties are known too.
pub(super) fn find(json: &Value) -> Export {
    let mut found = Export::default();
    let several = json.as_array().map_or(std::slice::from_ref(json), Vec::as_slice);
    for value in several {
        let has = |name: &str| value.get(name).is_some_and(Value::is_object);
        if has("source") && has("target") && has("properties") {
            found.mappings.extend(ProfileMapping::deserialize(value).ok());
        }
        for part in ["base", "custom"] {
            let properties = value.pointer(&format!("/definitions/{part}/properties")).and_then(Value::as_object);
            for (property, says) in properties.into_iter().flatten() {
                let says = |name: &str| says.get(name).and_then(Value::as_str).map_or("", str::trim);
                if !says("externalName").is_empty() {
                    found.external.insert(property.clone(), external(says("externalNamespace"), says("externalName")));
                }
            }
        }
    }
    found
}

/// The path of an external name: `roles.^[type=='admin'].value` in the namespace of a schema.
fn external(namespace: &str, name: &str) -> String {
    let chosen = name.split_once(".^[").and_then(|(list, rest)| {
        let (test, sub) = rest.split_once(']')?;
        let (key, value) = test.split_once("==")?;
        let value = serde_json::to_string(value.trim().trim_matches(['\'', '"'])).ok()?;
        Some(format!("{list}[{} eq {value}]{sub}", key.trim()))
    });
    let path = chosen.unwrap_or_else(|| name.to_owned());
    if namespace.is_empty() || namespace.eq_ignore_ascii_case(crate::scim::USER) { path } else { format!("{namespace}:{path}") }
}

pub(super) fn import(found: &Export) -> Result<Imported, ImportError> {
    let (out, others): (Vec<_>, Vec<_>) =
        found.mappings.iter().partition(|m| m.source.kind == "user" && m.target.kind == "appuser");
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
    draft.remarks.push("A profile mapping is of people only: no groups are pushed until sync.actions.group says so.".to_owned());
    for (property, value) in &mapping.properties {
        carry(&mut draft, &found.external, property, value);
    }
    // Okta writes its own id there, whether a mapping says so or not.
    if !draft.pending.iter().any(|(_, row)| row.path.eq_ignore_ascii_case("externalId")) {
        draft.row(ObjectKind::User, Row { path: "externalId".to_owned(), expr: "[sourceKey]".to_owned(), ..Row::default() });
    }
    draft.leave_out(
        "group push",
        "which groups Okta pushes does not stand in a profile mapping; choose them in sync.scope.groups (without it all that the \
         source reads are pushed), then write group = [\"create\", \"update\", \"delete\", \"members\"] into sync.actions",
    );
    Ok(draft.finish())
}

fn carry(draft: &mut Draft, external: &BTreeMap<String, String>, property: &str, value: &Value) {
    let what = format!("user mapping of {property}");
    let Some(path) = external.get(property).cloned().or_else(|| path_of(property)) else {
        let reason = "which SCIM attribute it is written to does not stand in the mapping: put the application's user schema \
                      (/api/v1/meta/schemas/apps/ID/default) into one JSON list with it, or look at external name and namespace in \
                      the Profile Editor";
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
