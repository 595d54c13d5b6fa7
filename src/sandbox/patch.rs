//! Carries out PATCH operations on a resource (RFC 7644 section 3.5.2).

use super::Behaviour;
use super::edit::MemberEdit;
use super::schema::{self, Attr, Mutability, Schema, Type};
use super::validate::{self, Doc, invalid_value, is_primary};
use super::values;
use crate::model::ObjectKind;
use crate::scim::error::{ScimError, ScimType};
use crate::scim::filter::{Filter, Op};
use crate::scim::patch::{PatchKind, PatchOperation};
use crate::scim::path::Path;
use serde_json::Value;

/// A resource under change. After an error its state is undefined: the caller drops it and rolls the members back.
pub(super) struct Patch<'a, 'm> {
    pub(super) kind: ObjectKind,
    pub(super) id: &'a str,
    pub(super) doc: &'a mut Doc,
    /// Of groups.
    pub(super) members: Option<&'a mut MemberEdit<'m>>,
    pub(super) behaviour: &'a Behaviour,
}

/// What one operation is aimed at.
struct Target<'f> {
    schema: &'static Schema,
    attr: &'static Attr,
    filter: Option<&'f Filter>,
    sub: Option<&'static Attr>,
}

impl Patch<'_, '_> {
    /// Carries out the operations in their order.
    pub(super) fn apply(&mut self, operations: Vec<PatchOperation>) -> Result<(), ScimError> {
        for (i, operation) in operations.into_iter().enumerate() {
            self.one(operation).map_err(|mut error| {
                error.detail = format!("operation {}: {}", i + 1, error.detail);
                error
            })?;
        }
        Ok(())
    }

    fn one(&mut self, operation: PatchOperation) -> Result<(), ScimError> {
        let PatchOperation { kind, path, value } = operation;
        let Some(path) = path else {
            if kind == PatchKind::Remove {
                return Err(no_target("`remove` needs a `path`".into()));
            }
            return self.whole(kind, value.unwrap_or_default());
        };
        let text = path.trim();
        if let Some(schema) = schema::by_urn(self.kind, text) {
            return self.whole_schema(kind, schema, value);
        }
        let path: Path = text.parse().map_err(|error| invalid_path(format!("`path` {text:?}: {error}")))?;
        if path.attr.urn.is_none() && path.attr.name.eq_ignore_ascii_case("externalId") && path.filter.is_none() {
            return self.external_id(value);
        }
        let mut whole = path.attr.clone();
        whole.sub = path.sub.clone().or(whole.sub);
        let Some((attr, sub)) = schema::resolve(self.kind, &whole) else {
            return Err(invalid_path(format!("`path` {text:?}: there is no such attribute")));
        };
        let schema = path.attr.urn.as_deref().and_then(|urn| schema::by_urn(self.kind, urn)).unwrap_or(schema::core(self.kind));
        if let Some(filter) = &path.filter {
            if !attr.multi {
                return Err(invalid_path(format!("`path` {text:?}: `{}` has a single value", attr.name)));
            }
            check_inner(attr, filter)?;
        }
        self.change(kind, &Target { schema, attr, filter: path.filter.as_ref(), sub }, value)
    }

    /// An operation without path: the value is a part of the resource.
    fn whole(&mut self, kind: PatchKind, value: Value) -> Result<(), ScimError> {
        let Value::Object(object) = value else {
            return Err(invalid_value("without `path`, `value` is an object of attributes".into()));
        };
        for (name, value) in object {
            if name.eq_ignore_ascii_case("schemas") || name.eq_ignore_ascii_case("meta") {
            } else if name.eq_ignore_ascii_case("id") {
                // Okta repeats the id next to what it changes.
                if value.as_str() != Some(self.id) {
                    return Err(mutability("`id` cannot be changed".into()));
                }
            } else if name.eq_ignore_ascii_case("externalId") {
                self.external_id(Some(value))?;
            } else if validate::is_urn(&name) {
                let extension = validate::extension(self.kind, &name)?;
                self.whole_schema(kind, extension, Some(value))?;
            } else {
                self.named(kind, schema::core(self.kind), &name, value)?;
            }
        }
        Ok(())
    }

    /// An operation on all attributes of a schema: those in `value`, the others stay (section 3.5.2.3).
    fn whole_schema(&mut self, kind: PatchKind, schema: &'static Schema, value: Option<Value>) -> Result<(), ScimError> {
        let core = schema.id == schema::core(self.kind).id;
        match (kind, value) {
            (PatchKind::Remove, None | Some(Value::Null)) if core => Err(no_target("the core schema cannot be removed".into())),
            (PatchKind::Remove, Some(value)) if !value.is_null() => Err(value_on_remove()),
            (PatchKind::Remove, _) | (PatchKind::Replace, Some(Value::Null)) if !core => {
                self.doc.shift_remove(schema.id);
                Ok(())
            }
            (_, Some(Value::Null)) if !core => Ok(()),
            (_, Some(value)) if core => self.whole(kind, value),
            // An extension's object that stands alone may name its schema, like a resource does.
            (_, Some(Value::Object(object))) => object
                .into_iter()
                .filter(|(name, _)| !name.eq_ignore_ascii_case("schemas"))
                .try_for_each(|(name, value)| self.named(kind, schema, &name, value)),
            _ => Err(invalid_value(format!("the value of {} is an object of attributes", schema.id))),
        }
    }

    fn named(&mut self, kind: PatchKind, schema: &'static Schema, name: &str, value: Value) -> Result<(), ScimError> {
        let Some(attr) = schema.attr(name) else {
            return Err(validate::invalid_syntax(format!("there is no attribute {name:?} in {}", schema.id)));
        };
        self.change(kind, &Target { schema, attr, filter: None, sub: None }, Some(value))
    }

    fn external_id(&mut self, value: Option<Value>) -> Result<(), ScimError> {
        match validate::external_id(value.unwrap_or_default())? {
            Some(value) => self.doc.insert("externalId".into(), value),
            None => self.doc.shift_remove("externalId"),
        };
        Ok(())
    }

    fn change(&mut self, kind: PatchKind, target: &Target<'_>, value: Option<Value>) -> Result<(), ScimError> {
        let attr = target.attr;
        let fixed = target.sub.is_some_and(|sub| matches!(sub.mutability, Mutability::ReadOnly | Mutability::Immutable));
        if attr.read_only() || fixed {
            let name = target.sub.map_or_else(|| attr.name.to_owned(), |sub| format!("{}.{}", attr.name, sub.name));
            return Err(mutability(format!("`{name}` cannot be changed")));
        }
        if self.kind == ObjectKind::Group && attr.name == "members" {
            return self.members(kind, target.filter, value);
        }
        if kind == PatchKind::Remove {
            if value.is_some_and(|value| !value.is_null()) {
                return Err(value_on_remove());
            }
            if attr.required && target.sub.is_none() && target.filter.is_none() {
                return Err(mutability(format!("`{}` is required", attr.name)));
            }
            return self.within(target, |container| match (target.filter, target.sub) {
                (None, None) => {
                    container.shift_remove(attr.name);
                    Ok(())
                }
                _ => values::set(container, attr, target.filter, target.sub, None),
            });
        }
        let value = value.unwrap_or_default();
        self.within(target, |container| match (target.filter, target.sub) {
            (None, None) if attr.multi => values::put_many(container, attr, kind, value),
            (None, None) if attr.kind == Type::Complex => values::merge(container, attr, value),
            (None, None) => {
                let value = validate::single(attr, value, attr.name)?;
                values::assign(container, attr.name, value);
                Ok(())
            }
            _ => values::set(container, attr, target.filter, target.sub, Some(value)),
        })
    }

    /// Runs `change` on the object that holds the attribute: the resource itself, or the extension's object.
    fn within(&mut self, target: &Target<'_>, change: impl FnOnce(&mut Doc) -> Result<(), ScimError>) -> Result<(), ScimError> {
        if target.schema.id == schema::core(self.kind).id {
            return change(self.doc);
        }
        let mut extension = match self.doc.get_mut(target.schema.id).map(Value::take) {
            Some(Value::Object(object)) => object,
            _ => Doc::new(),
        };
        change(&mut extension)?;
        let value = (!extension.is_empty()).then_some(Value::Object(extension));
        values::assign(self.doc, target.schema.id, value);
        Ok(())
    }

    fn members(&mut self, kind: PatchKind, filter: Option<&Filter>, value: Option<Value>) -> Result<(), ScimError> {
        let Some(edit) = self.members.as_deref_mut() else {
            return Err(ScimError::new(500, "a group has no members to change"));
        };
        let value = value.filter(|value| !value.is_null());
        match (kind, filter) {
            (PatchKind::Add, None) => edit.add(value.unwrap_or_default()),
            (PatchKind::Replace, None) => edit.replace(value.unwrap_or_default()),
            (PatchKind::Remove, None) => match value {
                None => {
                    edit.clear();
                    Ok(())
                }
                Some(value) if self.behaviour.remove_with_value => edit.remove_listed(value),
                Some(_) => Err(value_on_remove()),
            },
            (PatchKind::Remove, Some(_)) if value.is_some() => Err(value_on_remove()),
            (PatchKind::Remove, Some(filter)) => match edit.remove_where(filter)? {
                0 if self.behaviour.remove_must_match => Err(no_target("no member fulfils the filter".into())),
                _ => Ok(()),
            },
            (_, Some(_)) => {
                Err(mutability("a member cannot be changed: remove it and add another (RFC 7643 section 4.2)".into()))
            }
        }
    }
}

/// Checks a filter in brackets: only sub-attributes that exist, only operators of the RFC.
pub(super) fn check_inner(attr: &'static Attr, filter: &Filter) -> Result<(), ScimError> {
    check_operators(filter)?;
    match filter.paths().into_iter().find(|path| path.urn.is_some() || path.sub.is_some() || attr.sub(&path.name).is_none()) {
        None => Ok(()),
        Some(path) => Err(invalid_filter(format!("`{}` has no sub-attribute `{path}`", attr.name))),
    }
}

/// Refuses our own operator, which no SCIM server knows.
pub(super) fn check_operators(filter: &Filter) -> Result<(), ScimError> {
    match filter {
        Filter::And(a, b) | Filter::Or(a, b) => check_operators(a).and_then(|()| check_operators(b)),
        Filter::Not(inner) | Filter::Complex(_, inner) => check_operators(inner),
        Filter::Compare(_, Op::Matches, _) => Err(invalid_filter("there is no operator `matches` in SCIM".into())),
        Filter::Compare(..) | Filter::Present(_) => Ok(()),
    }
}

/// Makes the values at `touched` keep their `primary`, and no other (RFC 7644 section 3.5.2).
pub(super) fn one_primary(values: &mut [Value], touched: impl Fn(usize) -> bool) -> Result<(), ScimError> {
    match (0..values.len()).filter(|i| touched(*i) && values.get(*i).is_some_and(is_primary)).count() {
        0 => Ok(()),
        1 => {
            for (i, value) in values.iter_mut().enumerate() {
                if !touched(i)
                    && is_primary(value)
                    && let Some(object) = value.as_object_mut()
                {
                    object.insert("primary".into(), Value::Bool(false));
                }
            }
            Ok(())
        }
        _ => Err(invalid_value("more than one value would be primary (RFC 7643 section 2.4)".into())),
    }
}

pub(super) fn no_target(detail: String) -> ScimError {
    ScimError::bad_request(ScimType::NoTarget, detail)
}

pub(super) fn invalid_filter(detail: String) -> ScimError {
    ScimError::bad_request(ScimType::InvalidFilter, detail)
}

fn invalid_path(detail: String) -> ScimError {
    ScimError::bad_request(ScimType::InvalidPath, detail)
}

fn mutability(detail: String) -> ScimError {
    ScimError::bad_request(ScimType::Mutability, detail)
}

fn value_on_remove() -> ScimError {
    invalid_value("`remove` has no `value`: name what is removed in `path` (RFC 7644 section 3.5.2.2)".into())
}
