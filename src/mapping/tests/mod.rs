#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conformance;
mod entra_page;
mod functions;
mod guides;
mod language;
mod rows;
mod scope;
mod user_id;

use super::attr::Context;
use super::value::Val;
use super::{Expr, Mapper, Row, Spec};
use crate::model::{Attrs, Entry, ObjectKind, SourceKey, Value};

/// An entry with these attributes; the same name again adds a value.
fn entry(kind: ObjectKind, attrs: &[(&str, &str)]) -> Entry {
    let mut all = Attrs::new();
    for (name, value) in attrs {
        all.add(*name, vec![Value::from(*value)]);
    }
    Entry {
        kind,
        key: SourceKey("key-1".to_owned()),
        dn: None,
        names: Vec::new(),
        attrs: all,
        members: Vec::new(),
        disabled: false,
        due: None,
    }
}

fn user(attrs: &[(&str, &str)]) -> Entry {
    entry(ObjectKind::User, attrs)
}

fn row(path: &str, expr: &str) -> Row {
    Row { path: path.to_owned(), expr: expr.to_owned(), ..Row::default() }
}

const USER: &[(&str, &str)] = &[
    ("userName", "[userId]"),
    ("externalId", "[sourceKey]"),
    ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
    ("displayName", "[displayName]"),
    ("name.givenName", "[givenName]"),
    ("name.familyName", "[surname]"),
    ("emails[type eq \"work\"].value", "[mail]"),
];
const GROUP: &[(&str, &str)] = &[("displayName", "[displayName]"), ("externalId", "[sourceKey]")];

fn spec() -> Spec {
    Spec { disabled_is_inactive: true, ..Spec::default() }
}

fn mapper(spec: &Spec) -> Mapper {
    Mapper::compile(spec, USER, GROUP).unwrap_or_else(|e| panic!("{e:?}"))
}

/// An expression on an entry: `None` null, `Some([..])` texts, `Err` the message.
fn eval(expr: &str, entry: &Entry) -> Result<Option<Vec<String>>, String> {
    let expr: Expr = expr.parse().unwrap_or_else(|e| panic!("{expr}: {e}"));
    let context = Context::new(entry, Some("jane@corp.example"), entry.disabled);
    let found = expr.0.eval(&context).map_err(|e| e.to_string())?;
    Ok(match found {
        Val::Null => None,
        other => Some(other.into_all().into_iter().map(std::borrow::Cow::into_owned).collect()),
    })
}
