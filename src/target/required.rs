//! Attributes without which a user is refused, as `/ResourceTypes` and `/Schemas` say it (RFC 7643 sections 6 and 7).

use super::discovery::resources;
use super::path::{boolean, field};
use crate::scim;
use serde_json::{Map, Value};

/// Paths as the schemas spell them. Of extensions those count that a user has to have.
pub(super) fn required(types: Option<&Value>, schemas: Option<&Value>) -> Vec<String> {
    let extensions = extensions(types);
    let mut out = Vec::new();
    for row in schemas.map(resources).unwrap_or_default() {
        let Some(urn) = field(row, "id").and_then(Value::as_str) else { continue };
        let Some(Value::Array(attributes)) = field(row, "attributes") else { continue };
        let prefix = if urn.eq_ignore_ascii_case(scim::USER) {
            String::new()
        } else if extensions.iter().any(|known| known.eq_ignore_ascii_case(urn)) {
            format!("{urn}:")
        } else {
            continue;
        };
        for attribute in attributes.iter().filter_map(Value::as_object) {
            plain(attribute, &prefix, &mut out);
        }
    }
    out
}

/// The extensions that every user has.
fn extensions(types: Option<&Value>) -> Vec<&str> {
    let text = |row: &&Map<String, Value>, name: &str, is: &str| {
        field(row, name).and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case(is))
    };
    let users = types.map(resources).unwrap_or_default().into_iter().filter(|row| text(row, "schema", scim::USER));
    let all = users.filter_map(|row| field(row, "schemaExtensions")?.as_array()).flatten().filter_map(Value::as_object);
    all.filter(|e| is(e, "required")).filter_map(|e| field(e, "schema")?.as_str()).collect()
}

/// A required attribute of one value, or its required parts.
fn plain(attribute: &Map<String, Value>, prefix: &str, out: &mut Vec<String>) {
    let read_only = |a: &Map<String, Value>| {
        field(a, "mutability").and_then(Value::as_str).is_some_and(|m| m.eq_ignore_ascii_case("readOnly"))
    };
    if !is(attribute, "required") || is(attribute, "multiValued") || read_only(attribute) {
        return;
    }
    let Some(name) = field(attribute, "name").and_then(Value::as_str) else { return };
    match field(attribute, "subAttributes") {
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(Value::as_object).for_each(|part| plain(part, &format!("{prefix}{name}."), out));
        }
        _ => out.push(format!("{prefix}{name}")),
    }
}

fn is(object: &Map<String, Value>, name: &str) -> bool {
    field(object, name).and_then(|v| boolean(v).as_bool()) == Some(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_a_user_has_to_have_counts() {
        let hr = "urn:acme:hr:1.0:User";
        let schemas = json!({"Resources": [
            {"id": scim::USER, "attributes": [
                {"name": "userName", "required": true}, {"name": "title"}, {"name": "id", "required": true, "mutability": "readOnly"},
                {"name": "name", "required": "True", "subAttributes": [{"name": "familyName", "required": true}, {"name": "givenName"}]},
                {"name": "emails", "required": true, "multiValued": true, "subAttributes": [{"name": "value", "required": true}]},
            ]},
            {"id": hr, "attributes": [{"name": "badge", "required": true}, {"name": "site"}]},
            {"id": "urn:acme:device:1.0:Device", "attributes": [{"name": "serial", "required": true}]},
        ]});
        let types = |required: bool| json!([{"schema": scim::USER, "schemaExtensions": [{"schema": hr, "required": required}]}]);
        assert_eq!(required(Some(&types(true)), Some(&schemas)), ["userName", "name.familyName", "urn:acme:hr:1.0:User:badge"]);
        assert_eq!(required(Some(&types(false)), Some(&schemas)), ["userName", "name.familyName"]);
        assert!(required(Some(&json!(7)), Some(&json!([{"id": 1}, "x"]))).is_empty() && required(None, None).is_empty());
    }
}
