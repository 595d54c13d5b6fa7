//! Application roles: Entra's `appRoleAssignments`, or any attribute that names roles.
//!
//! A value is the role's name, or an object with `value`, `displayName` and `id`, of which the first that is there names it.

use super::{Args, Function, function};
use crate::mapping::value::{EvalError, Val};
use serde_json::Value;
use std::borrow::Cow;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

/// Roles that are there already stay.
pub(crate) const ADDING: &str = "AppRoleAssignmentsComplex";
/// Roles that are not assigned any more are taken out.
pub(crate) const ASSERTING: &str = "AssertiveAppRoleAssignmentsComplex";

/// What both make of the sample's roles.
const SAMPLE: &str = "{\"value\":\"admin\",\"display\":\"Administrator\"} | {\"value\":\"reader\"}";

pub(super) const FUNCTIONS: &[Function] = &[
    function("SingleAppRoleAssignment", "SingleAppRoleAssignment([appRoleAssignments])", 1, 1, single).about(
        "The name of one role, for `roles[primary eq \"True\"].value`. Of several it is the first in alphabetical order, so that it \
         is always the same one; Entra promises nothing there.",
        &[("SingleAppRoleAssignment([appRoleAssignments])", "admin"), ("SingleAppRoleAssignment([nobody])", "null")],
    ),
    Function {
        top_level: true,
        ..function(ADDING, "AppRoleAssignmentsComplex([appRoleAssignments])", 1, 1, complex).about(
            "All roles, for the path `roles`. Roles that the account has are never taken out.",
            &[("AppRoleAssignmentsComplex([appRoleAssignments])", SAMPLE)],
        )
    },
    Function {
        top_level: true,
        ..function(ASSERTING, "AssertiveAppRoleAssignmentsComplex([appRoleAssignments])", 1, 1, complex).about(
            "All roles, for the path `roles`. A role that is not assigned any more is taken out again.",
            &[("AssertiveAppRoleAssignmentsComplex([appRoleAssignments])", SAMPLE)],
        )
    },
];

/// Name and display name of a role.
fn role(text: &str) -> Option<(String, Option<String>)> {
    let plain = || (!text.trim().is_empty()).then(|| (text.trim().to_owned(), None));
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return plain() };
    let part = |name: &str| object.get(name).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
    let display = part("displayName").or_else(|| part("display"));
    let value = part("value").or_else(|| display.clone()).or_else(|| part("id"))?;
    Some((value.clone(), display.filter(|display| *display != value)))
}

/// All roles, each once, in order.
fn roles(args: &Args<'_, '_>) -> std::result::Result<Vec<(String, Option<String>)>, EvalError> {
    let mut found: Vec<_> = args.value(0)?.into_all().iter().filter_map(|text| role(text)).collect();
    found.sort();
    found.dedup_by(|a, b| a.0 == b.0);
    Ok(found)
}

fn single<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(roles(args)?.into_iter().next().map_or(Val::Null, |(value, _)| Val::text(value)))
}

fn complex<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let texts = roles(args)?.into_iter().map(|(value, display)| {
        let mut object = serde_json::Map::from_iter([("value".to_owned(), Value::String(value))]);
        object.extend(display.map(|display| ("display".to_owned(), Value::String(display))));
        Cow::Owned(Value::Object(object).to_string())
    });
    Ok(Val::many(texts.collect()))
}
