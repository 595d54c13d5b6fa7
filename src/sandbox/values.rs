//! Sets values inside a resource, or inside an extension of it.

use super::patch::{no_target, one_primary};
use super::schema::Attr;
use super::validate::{self, Doc, invalid_value};
use crate::scim::error::ScimError;
use crate::scim::filter::Filter;
use crate::scim::patch::PatchKind;
use serde_json::Value;

/// Sets an attribute, or removes it.
pub(super) fn assign(container: &mut Doc, name: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            container.insert(name.to_owned(), value);
        }
        None => {
            container.shift_remove(name);
        }
    }
}

/// `add` or `replace` of a multi-valued attribute as a whole. A single object counts as an array of one.
pub(super) fn put_many(container: &mut Doc, attr: &'static Attr, kind: PatchKind, value: Value) -> Result<(), ScimError> {
    let values = match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values,
        one @ Value::Object(_) => vec![one],
        _ => return Err(invalid_value(format!("`{}` is an array of objects", attr.name))),
    };
    let values = validate::many(attr, values, attr.name)?;
    if kind == PatchKind::Replace {
        assign(container, attr.name, validate::some(values));
        return Ok(());
    }
    let mut all = take_array(container, attr);
    let old = all.len();
    let new: Vec<Value> = values.into_iter().filter(|value| !all.contains(value)).collect();
    all.extend(new);
    one_primary(&mut all, |i| i >= old)?;
    assign(container, attr.name, validate::some(all));
    Ok(())
}

/// `add` or `replace` of a complex attribute: the sub-attributes in `value` are set, or removed by null, the others stay.
pub(super) fn merge(container: &mut Doc, attr: &'static Attr, value: Value) -> Result<(), ScimError> {
    if value.is_null() {
        container.shift_remove(attr.name);
        return Ok(());
    }
    let mut object = take_object(container.get_mut(attr.name));
    merge_into(&mut object, attr, value)?;
    assign(container, attr.name, (!object.is_empty()).then_some(Value::Object(object)));
    Ok(())
}

/// Sets (`Some`) or removes (`None`) a sub-attribute, or the values that a filter selects.
pub(super) fn set(
    container: &mut Doc,
    attr: &'static Attr,
    filter: Option<&Filter>,
    sub: Option<&'static Attr>,
    value: Option<Value>,
) -> Result<(), ScimError> {
    if !attr.multi {
        let Some(sub) = sub else { return Ok(()) };
        let mut object = take_object(container.get_mut(attr.name));
        set_sub(&mut object, sub, value)?;
        assign(container, attr.name, (!object.is_empty()).then_some(Value::Object(object)));
        return Ok(());
    }
    let mut all = take_array(container, attr);
    let exact = |path: &crate::scim::path::AttrPath| attr.sub(&path.name).is_some_and(|sub| sub.case_exact);
    let chosen: Vec<bool> = all.iter().map(|value| filter.is_none_or(|filter| filter.matches(value, &exact))).collect();
    if value.is_some() && !chosen.contains(&true) {
        return Err(no_target(format!("`{}` has no value that the path selects", attr.name)));
    }
    for (element, _) in all.iter_mut().zip(&chosen).filter(|(_, chosen)| **chosen) {
        match (sub, &value) {
            (Some(sub), value) => {
                let mut object = take_object(Some(element));
                set_sub(&mut object, sub, value.clone())?;
                *element = Value::Object(object);
            }
            (None, Some(value)) => *element = validate::single(attr, value.clone(), attr.name)?.unwrap_or_default(),
            (None, None) => *element = Value::Null,
        }
    }
    one_primary(&mut all, |i| chosen.get(i).copied().unwrap_or_default())?;
    all.retain(|value| value.as_object().is_none_or(|object| !object.is_empty()) && !value.is_null());
    assign(container, attr.name, validate::some(all));
    Ok(())
}

fn merge_into(object: &mut Doc, attr: &'static Attr, value: Value) -> Result<(), ScimError> {
    let Value::Object(given) = value else {
        return Err(invalid_value(format!("`{}` is an object", attr.name)));
    };
    for (name, value) in given {
        let Some(sub) = attr.sub(&name) else {
            return Err(validate::invalid_syntax(format!("there is no attribute {name:?} in {}", attr.name)));
        };
        if !sub.read_only() {
            set_sub(object, sub, Some(value))?;
        }
    }
    Ok(())
}

fn set_sub(object: &mut Doc, sub: &'static Attr, value: Option<Value>) -> Result<(), ScimError> {
    let value = match value {
        Some(value) => validate::attribute(sub, value, sub.name)?,
        None => None,
    };
    assign(object, sub.name, value);
    Ok(())
}

/// The object at `place`, or an empty one. The place keeps its position in the resource.
fn take_object(place: Option<&mut Value>) -> Doc {
    match place.map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Doc::new(),
    }
}

fn take_array(container: &mut Doc, attr: &'static Attr) -> Vec<Value> {
    match container.get_mut(attr.name).map(Value::take) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}
