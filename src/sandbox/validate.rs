//! Brings a resource into the form of its schemas: names in their spelling, types checked, what cannot be written left out.

use super::schema::{self, Attr, Mutability, Schema, Type};
use crate::model::ObjectKind;
use crate::scim::error::{ScimError, ScimType};
use base64::Engine as _;
use serde_json::{Map, Value};

/// A resource's own attributes: without `schemas`, `id`, `meta` and what the server computes.
pub(super) type Doc = Map<String, Value>;

pub(super) fn invalid_value(detail: String) -> ScimError {
    ScimError::bad_request(ScimType::InvalidValue, detail)
}

pub(super) fn invalid_syntax(detail: String) -> ScimError {
    ScimError::bad_request(ScimType::InvalidSyntax, detail)
}

/// Reads the body of a POST or PUT. What is readOnly is ignored (RFC 7644 sections 3.3 and 3.5.1).
pub(super) fn resource(kind: ObjectKind, body: Value) -> Result<Doc, ScimError> {
    let Value::Object(body) = body else {
        return Err(invalid_syntax("the body is not a JSON object".into()));
    };
    let mut doc = Doc::with_capacity(body.len());
    let mut listed: Option<Vec<&'static Schema>> = None;
    for (name, value) in body {
        if name.eq_ignore_ascii_case("schemas") {
            listed = Some(schemas(kind, &value)?);
        } else if name.eq_ignore_ascii_case("id") || name.eq_ignore_ascii_case("meta") {
        } else if name.eq_ignore_ascii_case("externalId") {
            put(&mut doc, "externalId", name, external_id(value)?)?;
        } else if is_urn(&name) {
            let extension = extension(kind, &name)?;
            let object = complex(extension.attrs, value, extension.id)?.map(Value::Object);
            put(&mut doc, extension.id, name, object)?;
        } else {
            let core = schema::core(kind);
            let attr = core.attr(&name).ok_or_else(|| unknown(&name, core.id))?;
            if !attr.read_only() {
                put(&mut doc, attr.name, name, attribute(attr, value, attr.name)?)?;
            }
        }
    }
    let Some(listed) = listed else {
        return Err(invalid_syntax("`schemas` is missing (RFC 7643 section 3)".into()));
    };
    let used = std::iter::once(schema::core(kind))
        .chain(schema::extensions(kind).iter().copied().filter(|extension| doc.contains_key(extension.id)));
    for schema in used {
        if !listed.iter().any(|one| one.id == schema.id) {
            return Err(invalid_syntax(format!("`schemas` does not list {}, whose attributes are used", schema.id)));
        }
    }
    Ok(doc)
}

/// Checks what must hold of a whole resource after it was read or patched.
pub(super) fn complete(kind: ObjectKind, doc: &Doc) -> Result<(), ScimError> {
    for attr in schema::core(kind).attrs.iter().filter(|attr| attr.required) {
        let present = doc.get(attr.name).is_some_and(|value| value.as_str().is_none_or(|text| !text.trim().is_empty()));
        if !present {
            return Err(invalid_value(format!("`{}` is required", attr.name)));
        }
    }
    Ok(())
}

/// Refuses a value that contains one of `refused` anywhere in a string.
pub(super) fn allowed(value: &Value, refused: &[String]) -> Result<(), ScimError> {
    let fine = match value {
        Value::String(text) => !refused.iter().any(|bad| text.contains(bad.as_str())),
        Value::Array(all) => return all.iter().try_for_each(|value| allowed(value, refused)),
        Value::Object(object) => return object.values().try_for_each(|value| allowed(value, refused)),
        _ => true,
    };
    if fine { Ok(()) } else { Err(invalid_value("value not allowed".into())) }
}

/// A value of `externalId`.
pub(super) fn external_id(value: Value) -> Result<Option<Value>, ScimError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if !text.is_empty() => Ok(Some(Value::String(text))),
        _ => Err(invalid_value("`externalId` is a non-empty string".into())),
    }
}

/// A value of an attribute; `None` where it is unassigned: null, empty array, empty object (RFC 7643 section 2.5).
pub(super) fn attribute(attr: &'static Attr, value: Value, path: &str) -> Result<Option<Value>, ScimError> {
    if !attr.multi {
        return single(attr, value, path);
    }
    match value {
        Value::Null => Ok(None),
        Value::Array(values) => Ok(some(many(attr, values, path)?)),
        other => Err(wrong_type(path, "an array", &other)),
    }
}

/// The values of a multi-valued attribute, equal ones once.
pub(super) fn many(attr: &'static Attr, values: Vec<Value>, path: &str) -> Result<Vec<Value>, ScimError> {
    let large = values.len() > 64;
    let mut read: Vec<Value> = Vec::with_capacity(values.len());
    for value in values {
        if let Some(value) = single(attr, value, path)? {
            // Members are made unique by their id instead; comparing each with each would be quadratic.
            if large || !read.contains(&value) {
                read.push(value);
            }
        }
    }
    if read.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(invalid_value(format!("more than one value of `{path}` is primary (RFC 7643 section 2.4)")));
    }
    Ok(read)
}

/// Whether a value of a multi-valued attribute is the primary one.
pub(super) fn is_primary(value: &Value) -> bool {
    value.get("primary").and_then(Value::as_bool) == Some(true)
}

/// One value.
pub(super) fn single(attr: &'static Attr, value: Value, path: &str) -> Result<Option<Value>, ScimError> {
    match (attr.kind, value) {
        (_, Value::Null) => Ok(None),
        (Type::Complex, value) => Ok(complex(attr.subs, value, path)?.map(Value::Object)),
        (Type::Boolean, value @ Value::Bool(_)) | (Type::String | Type::Reference, value @ Value::String(_)) => Ok(Some(value)),
        (Type::DateTime, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(Some(Value::String(text))),
            Err(_) => Err(invalid_value(format!("`{path}` is not a DateTime (RFC 7643 section 2.3.5)"))),
        },
        (Type::Binary, Value::String(text)) => match base64::engine::general_purpose::STANDARD.decode(&text) {
            Ok(_) => Ok(Some(Value::String(text))),
            Err(_) => Err(invalid_value(format!("`{path}` is not base64"))),
        },
        (Type::Boolean, other) => Err(wrong_type(path, "a boolean", &other)),
        (_, other) => Err(wrong_type(path, "a string", &other)),
    }
}

/// A complex value, or an extension's object. Read-only sub-attributes are ignored.
pub(super) fn complex(attrs: &'static [Attr], value: Value, path: &str) -> Result<Option<Doc>, ScimError> {
    let object = match value {
        Value::Null => return Ok(None),
        Value::Object(object) => object,
        other => return Err(wrong_type(path, "an object", &other)),
    };
    let mut read = Doc::with_capacity(object.len());
    for (name, value) in object {
        let Some(attr) = attrs.iter().find(|attr| attr.name.eq_ignore_ascii_case(&name)) else {
            return Err(unknown(&name, path));
        };
        if attr.mutability != Mutability::ReadOnly {
            let value = attribute(attr, value, attr.name).map_err(|error| within(path, error))?;
            put(&mut read, attr.name, name, value)?;
        }
    }
    Ok((!read.is_empty()).then_some(read))
}

/// The extension with this URN.
pub(super) fn extension(kind: ObjectKind, urn: &str) -> Result<&'static Schema, ScimError> {
    schema::extensions(kind)
        .iter()
        .find(|extension| extension.id.eq_ignore_ascii_case(urn))
        .copied()
        .ok_or_else(|| invalid_syntax(format!("no schema extension {urn:?} exists here")))
}

/// Whether a member name of a resource is a schema URN.
pub(super) fn is_urn(name: &str) -> bool {
    name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
}

/// `value` as an array, or nothing.
pub(super) fn some(values: Vec<Value>) -> Option<Value> {
    (!values.is_empty()).then_some(Value::Array(values))
}

/// Sets an attribute that was sent under the name `sent`, whose text is used again where it is spelled right.
fn put(doc: &mut Doc, name: &'static str, sent: String, value: Option<Value>) -> Result<(), ScimError> {
    let Some(value) = value else { return Ok(()) };
    match doc.insert(if sent == name { sent } else { name.to_owned() }, value) {
        None => Ok(()),
        Some(_) => Err(invalid_syntax(format!("`{name}` stands there twice"))),
    }
}

fn schemas(kind: ObjectKind, value: &Value) -> Result<Vec<&'static Schema>, ScimError> {
    let Value::Array(urns) = value else { return Err(wrong_type("schemas", "an array", value)) };
    urns.iter()
        .map(|urn| {
            urn.as_str().and_then(|urn| schema::by_urn(kind, urn)).ok_or_else(|| {
                invalid_syntax(format!("`schemas` lists {urn}, which is no schema of a {}", schema::core(kind).name))
            })
        })
        .collect()
}

fn within(path: &str, mut error: ScimError) -> ScimError {
    error.detail = format!("in `{path}`: {}", error.detail);
    error
}

fn unknown(name: &str, place: &str) -> ScimError {
    invalid_syntax(format!("there is no attribute {name:?} in {place}"))
}

fn wrong_type(path: &str, expected: &str, value: &Value) -> ScimError {
    let given = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("the string {:?}", text.chars().take(40).collect::<String>()),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    invalid_value(format!("`{path}` is {expected}, not {given}"))
}
