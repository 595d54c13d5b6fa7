//! One entry through all rows: the resource as it should be, or why there is none.

use super::attr::Context;
use super::rows::{CompiledRow, Rows};
use super::schema::Kind;
use super::value::EvalError;
use crate::model::{Flat, ObjectKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A resource as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// Canonical path -> typed value; never null.
    pub attrs: Flat,
    /// The mapped `active`; without such a row, whether the entry is active. Always false for an inactive entry.
    pub active: bool,
    /// Paths whose value is null and that are to be cleared then.
    pub clear: Vec<String>,
    /// Paths of `attrs` that are written at creation only (`apply = "create"`, and values of `default`).
    pub create_only: BTreeSet<String>,
    /// What `userName` is (people only).
    pub user_id: Option<String>,
    /// Paths whose values are the same where only letter case differs.
    pub ignore_case: BTreeSet<String>,
    /// Paths whose values differ where only letter case does, whoever keeps them: the configuration says so.
    pub case_exact: BTreeSet<String>,
    /// Path -> all values, where the expression gives several; the first stands in `attrs`. For applications that keep them
    /// all ([`Desired::typed`]).
    pub lists: BTreeMap<String, Vec<String>>,
    /// Path -> how the source names the person whose account belongs there (a manager). Not in `attrs` yet.
    pub references: BTreeMap<String, String>,
    /// Path -> candidates in order, where the value must be one that nobody has. The first stands in `attrs`.
    pub candidates: BTreeMap<String, Vec<String>>,
    /// Attributes with several values of which those that are not in `attrs` go (`roles`).
    pub whole: BTreeSet<String>,
}

/// Why an entry has no resource. Who it is, the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    /// Which path, which rule, which value.
    pub reason: String,
    /// What to do.
    pub advice: String,
    /// What could be mapped all the same: a linked account still gets it.
    pub rest: Box<Desired>,
}

/// Works out all rows for one entry.
pub(super) fn desired(
    kind: ObjectKind,
    rows: &Rows,
    context: &Context<'_>,
    no_user_id: Option<&str>,
) -> Result<Desired, Unmapped> {
    let mut found = Desired { active: !context.soft_deleted, ..Desired::default() };
    // Of several mistakes the first is told; the next one comes up when it is corrected.
    let mut mistake: Option<(String, String)> = None;
    for row in &rows.rows {
        let value = match work_out(row, context, &mut found) {
            Ok(value) => value,
            Err(e) => {
                mistake.get_or_insert_with(|| {
                    let advice = format!("correct the value at the source, or the rule {} = {}", row.path, row.expr);
                    let why =
                        if row.redacted { "the expression fails; its values are not shown".to_owned() } else { e.to_string() };
                    (format!("{}: {why}", row.path), advice)
                });
                continue;
            }
        };
        let (value, create_only) = match value {
            Worked::Done => continue,
            Worked::Value(value) => (value, row.create_only),
            Worked::Null => match &row.default {
                Some(default) => (default.clone(), true),
                None if row.path == kind.name_attribute() || row.path == "externalId" => {
                    mistake.get_or_insert_with(|| missing(row, no_user_id));
                    continue;
                }
                None => {
                    if row.clear_when_null {
                        found.clear.push(row.path.clone());
                    }
                    continue;
                }
            },
        };
        match (row.path.as_str(), &value) {
            ("active", Value::Bool(active)) => found.active = *active,
            ("userName", Value::String(name)) => found.user_id = Some(name.clone()),
            _ => {}
        }
        if create_only {
            found.create_only.insert(row.path.clone());
        }
        if row.ignore_case {
            found.ignore_case.insert(row.path.clone());
        }
        if row.exact_case {
            found.case_exact.insert(row.path.clone());
        }
        found.attrs.insert(row.path.clone(), value);
    }
    match mistake {
        None => Ok(found),
        Some((reason, advice)) => Err(Unmapped { reason, advice, rest: Box::new(found) }),
    }
}

/// What a row came to.
enum Worked {
    /// Nothing.
    Null,
    /// A value for its path.
    Value(Value),
    /// It is in place already.
    Done,
}

fn work_out(row: &CompiledRow, context: &Context<'_>, found: &mut Desired) -> Result<Worked, EvalError> {
    match row.kind {
        Kind::Roles(whole) => {
            for text in row.values(context)? {
                let Ok(Value::Object(role)) = serde_json::from_str(&text) else { continue };
                let Some(name) = role.get("value").cloned() else { continue };
                for (sub, value) in role {
                    let path = format!("{}[value eq {name}].{sub}", row.path);
                    if row.create_only {
                        found.create_only.insert(path.clone());
                    }
                    found.attrs.insert(path, value);
                }
            }
            if whole && !row.create_only {
                found.whole.insert(row.path.clone());
            }
            Ok(Worked::Done)
        }
        Kind::Reference => match row.value(context)? {
            Some(Value::String(name)) => {
                if row.create_only {
                    found.create_only.insert(row.path.clone());
                }
                found.references.insert(row.path.clone(), named(name));
                Ok(Worked::Done)
            }
            _ => Ok(Worked::Null),
        },
        _ if row.unique => {
            let candidates = row.values(context)?;
            let Some(first) = candidates.first().cloned() else { return Ok(Worked::Null) };
            found.candidates.insert(row.path.clone(), candidates);
            Ok(Worked::Value(Value::String(first)))
        }
        _ => {
            let (value, list) = row.value_and_list(context)?;
            if !list.is_empty() {
                found.lists.insert(row.path.clone(), list);
            }
            Ok(value.map_or(Worked::Null, Worked::Value))
        }
    }
}

/// How a person is named: by the text itself, or by the id of an object, as Graph gives a manager.
fn named(text: String) -> String {
    let object = if text.starts_with('{') { serde_json::from_str::<Value>(&text).ok() } else { None };
    let id = object.as_ref().and_then(|o| o.get("id").or_else(|| o.get("value"))).and_then(Value::as_str).map(str::to_owned);
    id.unwrap_or(text)
}

/// A path that must have a value has none: why, and what to do.
fn missing(row: &CompiledRow, no_user_id: Option<&str>) -> (String, String) {
    let mut inputs = Vec::new();
    row.expr.0.attributes(&mut inputs);
    match no_user_id {
        Some(tried) if inputs.iter().any(|attr| attr.is_user_id()) => (
            format!("no value for {}: {tried}", row.path),
            "give the person a routable address at the source, or name another attribute in user_id.from".to_owned(),
        ),
        _ => (
            format!("no value for {}: {} gives nothing", row.path, row.expr),
            format!("fill the attribute at the source, or change the rule of {}", row.path),
        ),
    }
}
