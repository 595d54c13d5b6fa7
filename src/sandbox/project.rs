//! `attributes` and `excludedAttributes` (RFC 7644 section 3.9).

use super::render;
use super::schema;
use super::store::{Record, Store};
use super::validate::invalid_value;
use crate::scim::error::ScimError;
use crate::scim::path::AttrPath;
use bytes::Bytes;
use serde_json::{Map, Value};

/// Which attributes an answer has. `schemas` and `id` always stay.
#[derive(Debug, Default)]
pub(super) enum Projection {
    /// Those returned by default.
    #[default]
    Default,
    /// Only these.
    Only(Vec<AttrPath>),
    /// All but these.
    Without(Vec<AttrPath>),
}

impl Projection {
    /// From the two parameters, each a comma-separated text (URL) or an array (`/.search`).
    pub(super) fn read(attributes: Option<&Value>, excluded: Option<&Value>) -> Result<Self, ScimError> {
        match (paths("attributes", attributes)?, paths("excludedAttributes", excluded)?) {
            (None, None) => Ok(Self::Default),
            (Some(only), None) => Ok(Self::Only(only)),
            (None, Some(without)) => Ok(Self::Without(without)),
            (Some(_), Some(_)) => Err(invalid_value("`attributes` and `excludedAttributes` exclude each other".into())),
        }
    }

    /// Leaves an attribute out, whatever was asked for.
    pub(super) fn hide(&mut self, name: &str) {
        let Ok(path) = name.parse::<AttrPath>() else { return };
        match self {
            Self::Default => *self = Self::Without(vec![path]),
            Self::Without(paths) => paths.push(path),
            Self::Only(paths) => paths.retain(|p| !p.name.eq_ignore_ascii_case(name)),
        }
    }

    /// The record as text, reduced.
    pub(super) fn body(&self, store: &Store, record: &Record) -> Bytes {
        let computed = match self {
            Self::Default => return store.body(record, true),
            Self::Only(paths) => paths.iter().any(|path| is("groups", path) || is("members", path)),
            Self::Without(paths) => !paths.iter().any(|path| path.sub.is_none() && (is("groups", path) || is("members", path))),
        };
        let text = store.body(record, computed);
        let mut object: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
        match self {
            Self::Default => {}
            Self::Without(paths) => {
                for path in paths.iter().filter(|path| !is("id", path) && !is("schemas", path)) {
                    remove(&mut object, record, path);
                }
            }
            Self::Only(paths) => {
                let mut reduced = Map::new();
                for name in ["schemas", "id"] {
                    if let Some(value) = object.get(name) {
                        reduced.insert(name.into(), value.clone());
                    }
                }
                for path in paths {
                    copy(&object, &mut reduced, record, path);
                }
                object = reduced;
            }
        }
        render::object(&object).into()
    }
}

fn is(name: &str, path: &AttrPath) -> bool {
    path.name.eq_ignore_ascii_case(name)
}

fn paths(name: &str, value: Option<&Value>) -> Result<Option<Vec<AttrPath>>, ScimError> {
    let texts: Vec<&str> = match value {
        None => return Ok(None),
        Some(Value::String(text)) => text.split(',').collect(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err(invalid_value(format!("`{name}` is a list of attributes"))),
    };
    let paths: Result<Vec<AttrPath>, ScimError> = texts
        .into_iter()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|error| invalid_value(format!("`{name}`: {error}"))))
        .collect();
    Ok(Some(paths?).filter(|paths| !paths.is_empty()))
}

/// The name under which a path's attribute, or its extension, stands in the resource; and the way inside it.
fn steps<'p>(record: &Record, path: &'p AttrPath) -> Vec<&'p str> {
    let core = |urn: &str| urn.eq_ignore_ascii_case(schema::core(record.kind).id);
    let urn = path.urn.as_deref().filter(|urn| !core(urn));
    urn.into_iter().chain(Some(path.name.as_str()).filter(|name| !name.is_empty())).chain(path.sub.as_deref()).collect()
}

fn key_of(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

fn remove(object: &mut Map<String, Value>, record: &Record, path: &AttrPath) {
    fn inside(value: &mut Value, steps: &[&str]) {
        match value {
            Value::Array(all) => all.iter_mut().for_each(|value| inside(value, steps)),
            Value::Object(object) => {
                if let Some((first, rest)) = steps.split_first()
                    && let Some(key) = key_of(object, first)
                {
                    if rest.is_empty() {
                        object.shift_remove(&key);
                    } else if let Some(value) = object.get_mut(&key) {
                        inside(value, rest);
                    }
                }
            }
            _ => {}
        }
    }
    let mut whole = Value::Object(std::mem::take(object));
    inside(&mut whole, &steps(record, path));
    if let Value::Object(reduced) = whole {
        *object = reduced;
    }
}

fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, record: &Record, path: &AttrPath) {
    let steps = steps(record, path);
    let Some((first, rest)) = steps.split_first() else {
        return from.iter().for_each(|(name, value)| {
            to.insert(name.clone(), value.clone());
        });
    };
    let Some(key) = key_of(from, first) else { return };
    let Some(value) = from.get(&key).and_then(|value| pick(value, rest)) else { return };
    match to.get_mut(&key) {
        Some(existing) => merge(existing, value),
        None => {
            to.insert(key, value);
        }
    }
}

/// A value reduced to the way `steps` inside it.
fn pick(value: &Value, steps: &[&str]) -> Option<Value> {
    let Some((first, rest)) = steps.split_first() else { return Some(value.clone()) };
    match value {
        // One result per element, so that a second sub-attribute meets the same element.
        Value::Array(all) => Some(all.iter().map(|value| pick(value, steps).unwrap_or_else(|| Map::new().into())).collect()),
        Value::Object(object) => {
            let key = key_of(object, first)?;
            let value = pick(object.get(&key)?, rest)?;
            Some(Value::Object(Map::from_iter([(key, value)])))
        }
        _ => None,
    }
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                match into.get_mut(&key) {
                    Some(existing) => merge(existing, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(into), Value::Array(more)) => into.iter_mut().zip(more).for_each(|(into, more)| merge(into, more)),
        _ => {}
    }
}
