//! Evaluation of filters, and reading of paths, on SCIM resources in JSON.
//!
//! Rules: attribute names compare without case; of a multi-valued attribute one value that matches is enough (RFC 7644
//! section 3.4.2.2); text compares without case unless the attribute is `caseExact`; text orders by code point, which
//! orders `DateTime` values of one zone; a missing attribute makes every comparison false, `ne` too. `eq null` means
//! "has no value", `ne null` "has a value" (RFC 7643 section 2.5).

use super::filter::{Filter, Op};
use super::path::{AttrPath, Path};
use super::{GROUP, USER};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Something filters can be evaluated on.
pub trait Subject {
    /// Whether one value of `path` compares so.
    fn compare(&self, path: &AttrPath, op: Op, value: &Value) -> bool;
    /// Whether `path` has a value.
    fn present(&self, path: &AttrPath) -> bool;
    /// Whether one value of the complex attribute `path` fulfils `inner`.
    fn complex(&self, path: &AttrPath, inner: &Filter) -> bool;
}

impl Filter {
    /// Whether the filter holds for `subject`.
    #[must_use]
    pub fn eval(&self, subject: &impl Subject) -> bool {
        match self {
            Self::And(a, b) => a.eval(subject) && b.eval(subject),
            Self::Or(a, b) => a.eval(subject) || b.eval(subject),
            Self::Not(inner) => !inner.eval(subject),
            Self::Compare(path, op, value) => subject.compare(path, *op, value),
            Self::Present(path) => subject.present(path),
            Self::Complex(path, inner) => subject.complex(path, inner),
        }
    }

    /// Whether the filter holds for a resource. `case_exact` says which attributes compare with case; inside brackets it
    /// is asked for the full path (`emails.value`).
    #[must_use]
    pub fn matches(&self, resource: &Value, case_exact: &dyn Fn(&AttrPath) -> bool) -> bool {
        self.eval(&Resource { json: resource, parent: None, case_exact })
    }
}

/// The attributes that RFC 7643 itself declares `caseExact` (sections 3.1 and 8.7): `id`, `externalId`, `meta.*`, `$ref`
/// and `value` references to other resources.
#[must_use]
pub fn case_exact_by_rfc(path: &AttrPath) -> bool {
    let sub = path.sub.as_deref().unwrap_or_default();
    let is = |name: &str| path.name.eq_ignore_ascii_case(name);
    is("id")
        || is("externalId")
        || is("meta")
        || sub.eq_ignore_ascii_case("$ref")
        || (["members", "groups", "manager"].into_iter().any(is) && (sub.is_empty() || sub.eq_ignore_ascii_case("value")))
}

/// Reads a path out of a resource. `None` where it has no value (absent, null, empty array or object: RFC 7643
/// section 2.5). With `[...]` the first value that fulfils the filter; a sub-attribute of a multi-valued attribute
/// without `[...]` gives the array of its values; a schema URN alone gives the whole extension object.
#[must_use]
pub fn get(resource: &Value, path: &Path) -> Option<Value> {
    let found = attribute(resource, &path.attr)?;
    let sub = path.sub.as_deref().or(path.attr.sub.as_deref());
    let found = match &path.filter {
        Some(filter) => {
            let never = |_: &AttrPath| false;
            let hit = elements(found)
                .iter()
                .find(|element| filter.eval(&Resource { json: element, parent: Some(&path.attr), case_exact: &never }))?;
            match sub {
                Some(sub) => Cow::Borrowed(part(hit, sub)?),
                None => Cow::Borrowed(hit),
            }
        }
        None => match (sub, found) {
            (None, found) => Cow::Borrowed(found),
            (Some(sub), Value::Array(all)) => {
                Cow::Owned(Value::Array(all.iter().filter_map(|v| part(v, sub)).filter(|v| assigned(v)).cloned().collect()))
            }
            (Some(sub), one) => Cow::Borrowed(part(one, sub)?),
        },
    };
    assigned(&found).then(|| found.into_owned())
}

/// A JSON object's member by name, without case; the exact spelling wins.
#[must_use]
pub fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| object.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

/// A regular expression of `matches`: without case like every other comparison (`(?-i)` turns case on), unanchored.
pub(crate) fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build()
}

/// Compares two texts by `op`. Without `case_exact` both are folded to lower case first.
pub(crate) fn compare_text(actual: &str, op: Op, expected: &str, case_exact: bool) -> bool {
    if op == Op::Matches {
        return regex(expected).is_ok_and(|r| r.is_match(actual));
    }
    let (a, b) = if case_exact { (Cow::Borrowed(actual), Cow::Borrowed(expected)) } else { (fold(actual), fold(expected)) };
    match op {
        Op::Co => a.contains(b.as_ref()),
        Op::Sw => a.starts_with(b.as_ref()),
        Op::Ew => a.ends_with(b.as_ref()),
        op => holds(op, a.cmp(&b)),
    }
}

/// Whether an order fulfils a comparison operator; substring operators never do.
pub(crate) fn holds(op: Op, order: Ordering) -> bool {
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Co | Op::Sw | Op::Ew | Op::Matches => false,
    }
}

fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// A resource, or one value of its complex attribute `parent`.
struct Resource<'a> {
    json: &'a Value,
    parent: Option<&'a AttrPath>,
    case_exact: &'a dyn Fn(&AttrPath) -> bool,
}

impl<'a> Resource<'a> {
    /// The values `path` selects: arrays opened, complex values reduced to the sub-attribute, by default `value`.
    fn values(&self, path: &AttrPath) -> Vec<&'a Value> {
        let found = if self.parent.is_some() && !self.json.is_object() {
            path.name.eq_ignore_ascii_case("value").then_some(self.json)
        } else {
            attribute(self.json, path)
        };
        let Some(found) = found else { return Vec::new() };
        let sub = path.sub.as_deref();
        elements(found)
            .iter()
            .filter_map(|v| match (v, sub) {
                (v, Some(sub)) => part(v, sub),
                (Value::Object(o), None) => field(o, "value"),
                (v, None) => Some(v),
            })
            .flat_map(elements)
            .collect()
    }

    fn is_case_exact(&self, path: &AttrPath) -> bool {
        match self.parent {
            None => (self.case_exact)(path),
            Some(parent) => {
                let sub = Some(path.name.clone());
                (self.case_exact)(&AttrPath { urn: parent.urn.clone(), name: parent.name.clone(), sub })
            }
        }
    }
}

impl Subject for Resource<'_> {
    fn compare(&self, path: &AttrPath, op: Op, value: &Value) -> bool {
        if value.is_null() {
            return match op {
                Op::Eq => !self.present(path),
                Op::Ne => self.present(path),
                _ => false,
            };
        }
        let values = self.values(path);
        let case_exact = self.is_case_exact(path);
        values.into_iter().any(|actual| compare_json(actual, op, value, case_exact))
    }

    fn present(&self, path: &AttrPath) -> bool {
        if path.sub.is_some() {
            return self.values(path).into_iter().any(present);
        }
        attribute(self.json, path).is_some_and(present)
    }

    fn complex(&self, path: &AttrPath, inner: &Filter) -> bool {
        attribute(self.json, path).is_some_and(|found| {
            elements(found)
                .iter()
                .any(|element| inner.eval(&Resource { json: element, parent: Some(path), case_exact: self.case_exact }))
        })
    }
}

fn compare_json(actual: &Value, op: Op, expected: &Value, case_exact: bool) -> bool {
    match (actual, expected) {
        (Value::String(a), Value::String(b)) => compare_text(a, op, b, case_exact),
        (Value::Number(a), Value::Number(b)) if !matches!(op, Op::Co | Op::Sw | Op::Ew) => {
            let order = match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
            };
            order.is_some_and(|order| holds(op, order))
        }
        // Booleans have no order (RFC 7644 section 3.4.2.2).
        (Value::Bool(a), Value::Bool(b)) => match op {
            Op::Eq => a == b,
            Op::Ne => a != b,
            _ => false,
        },
        (Value::Null | Value::Object(_) | Value::Array(_), _) => false,
        // Different types: many applications keep booleans and numbers as text, so compare what is written.
        (a, b) => compare_text(&written(a), op, &written(b), false),
    }
}

fn written(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(s) => Cow::Borrowed(s),
        v => Cow::Owned(v.to_string()),
    }
}

/// The attribute of `path`, its sub-attribute not yet taken. The URN of a core schema may be left out or written.
fn attribute<'a>(json: &'a Value, path: &AttrPath) -> Option<&'a Value> {
    let object = json.as_object()?;
    let Some(urn) = &path.urn else { return field(object, &path.name) };
    if [USER, GROUP].into_iter().any(|core| core.eq_ignore_ascii_case(urn)) {
        return if path.name.is_empty() { Some(json) } else { field(object, &path.name) };
    }
    let extension = field(object, urn)?;
    if path.name.is_empty() { Some(extension) } else { field(extension.as_object()?, &path.name) }
}

/// The values of an attribute: those of an array, or the one value.
fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(all) => all,
        one => std::slice::from_ref(one),
    }
}

/// The sub-attribute `sub` of one value; a simple value is its own `value`.
fn part<'a>(value: &'a Value, sub: &str) -> Option<&'a Value> {
    match value {
        Value::Object(o) => field(o, sub),
        Value::Array(_) | Value::Null => None,
        simple => sub.eq_ignore_ascii_case("value").then_some(simple),
    }
}

/// Whether a value is assigned at all (RFC 7643 section 2.5).
fn assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(o) => !o.is_empty(),
        _ => true,
    }
}

/// `pr`: assigned and not empty (RFC 7644 section 3.4.2.2, table 3).
fn present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(s) => !s.is_empty(),
        Value::Array(all) => all.iter().any(present),
        Value::Object(o) => o.values().any(present),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
