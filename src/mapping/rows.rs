//! Rows of a mapping: the preset's first, the file's replace or add by canonical path, an empty expression removes.

use super::attr::Context;
use super::expr::Expr;
use super::functions::{ADDING, ASSERTING, REDACT, UNIQUE};
use super::schema::{self, Canonical, Kind};
use super::spec::{MappingError, Row, toml_key};
use super::user_id::is_tombstone;
use super::value::{EvalError, MAX_RESULT, Val};
use super::world::{self, World};
use crate::model::ObjectKind;
use crate::scim::ParseError;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;

/// A row ready for use.
#[derive(Debug)]
pub(super) struct CompiledRow {
    pub path: String,
    pub kind: Kind,
    pub expr: Expr,
    pub clear_when_null: bool,
    pub create_only: bool,
    pub default: Option<Value>,
    pub ignore_case: bool,
    pub exact_case: bool,
    /// The value is for nobody's eyes.
    pub redacted: bool,
    /// The first of several candidates that nobody has.
    pub unique: bool,
    /// Stands for chance.
    seed: u64,
}

/// All rows of one kind of object.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub rows: Vec<CompiledRow>,
    pub members_removed: bool,
}

impl CompiledRow {
    /// The row's value for one entry; `None`: null, which is also what the empty text is.
    pub(super) fn value(&self, context: &Context<'_>) -> Result<Option<Value>, EvalError> {
        self.value_and_list(context).map(|(value, _)| value)
    }

    /// The same, and all values where the expression gives several for an attribute as a whole.
    pub(super) fn value_and_list(&self, context: &Context<'_>) -> Result<(Option<Value>, Vec<String>), EvalError> {
        // A leaver is inactive whatever the expression says: neither `"True"` nor a faulty rule keeps an account open.
        if context.soft_deleted && self.kind == Kind::Boolean && self.path == "active" {
            return Ok((Some(Value::Bool(false)), Vec::new()));
        }
        context.begin(self.seed);
        let value = self.expr.0.eval(context)?;
        let list = match &value {
            Val::Many(texts) if self.kind == Kind::Text && !self.path.contains('[') => {
                let usable = texts.iter().filter(|text| !text.is_empty() && self.check(text).is_ok());
                usable.map(|text| text.clone().into_owned()).collect()
            }
            _ => Vec::new(),
        };
        let Some(text) = value.into_first().filter(|t| !t.is_empty()) else { return Ok((None, list)) };
        self.check(&text)?;
        Ok((typed(self.kind, &text).map(Some)?, list))
    }

    /// All values: roles, or the candidates of a unique value.
    pub(super) fn values(&self, context: &Context<'_>) -> Result<Vec<String>, EvalError> {
        context.begin(self.seed);
        let texts = self.expr.0.eval(context)?.into_all();
        texts.iter().try_for_each(|text| self.check(text))?;
        Ok(texts.into_iter().map(Cow::into_owned).collect())
    }

    /// The value for people to read: one, or several roles; of candidates the first.
    pub(super) fn shown(&self, context: &Context<'_>) -> Result<Value, EvalError> {
        match self.kind {
            Kind::Roles(_) => {
                let read = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
                let all: Vec<Value> = self.values(context)?.into_iter().map(read).collect();
                Ok(if all.is_empty() { Value::Null } else { Value::Array(all) })
            }
            _ => Ok(self.value(context)?.unwrap_or(Value::Null)),
        }
    }

    fn check(&self, text: &str) -> Result<(), EvalError> {
        let shown = if self.redacted { REDACTED } else { text };
        if text.len() > MAX_RESULT {
            return Err(EvalError(format!("the value is longer than {MAX_RESULT} bytes")));
        }
        if is_tombstone(text) {
            return Err(EvalError(format!("`{shown}` is the mangled name of a deleted entry")));
        }
        Ok(())
    }

    /// One line that changes whenever this row's result could.
    pub(super) fn print(&self) -> String {
        let default = self.default.as_ref().map(Value::to_string).unwrap_or_default();
        let exact = match (self.ignore_case, self.exact_case) {
            (true, _) => " ignore_case",
            (_, true) => " exact_case",
            _ => "",
        };
        let flags = format!("clear={} create={}{exact}", self.clear_when_null, self.create_only);
        format!("{} = {} {flags} default={default}", self.path, self.expr)
    }
}

/// What is shown of a value that nobody is to see.
pub(super) const REDACTED: &str = "[Redact]";

fn typed(kind: Kind, text: &str) -> Result<Value, EvalError> {
    match kind {
        Kind::Boolean => match schema::boolean(text.trim()) {
            Some(truth) => Ok(Value::Bool(truth)),
            None => Err(EvalError(format!("`{text}` is neither True nor False"))),
        },
        Kind::Text | Kind::Reference | Kind::Roles(_) | Kind::Members => Ok(Value::String(text.to_owned())),
    }
}

/// Merges and compiles; every mistake lands in `errors`.
pub(super) fn compile(
    object: ObjectKind,
    preset: &[(&str, &str)],
    file: &[Row],
    world: &World,
    errors: &mut Vec<MappingError>,
) -> Rows {
    let preset: Vec<Row> =
        preset.iter().map(|(path, expr)| Row { path: (*path).to_owned(), expr: (*expr).to_owned(), ..Row::default() }).collect();
    let mut found = Rows::default();
    let mut seen = HashSet::new();
    for (row, from_file) in preset.iter().map(|r| (r, false)).chain(file.iter().map(|r| (r, true))) {
        let error = |message: String, hint: Option<String>| MappingError {
            key: format!("map.{object}.{}", toml_key(&row.path)),
            line: row.line,
            offset: None,
            message,
            hint,
        };
        // A faulty expression is no reason to be silent about the path, and the other way round.
        let expr = row.expr.parse::<Expr>();
        if let Ok(expr) = &expr {
            world::check(expr, world, |message, hint| errors.push(error(message, hint)));
        }
        let roles = expr.as_ref().ok().and_then(|e| e.0.top(&[ADDING, ASSERTING])).map(|call| call.function.name == ASSERTING);
        let Canonical { path, kind } = match schema::canonical(object, &row.path, roles) {
            Ok(canonical) => canonical,
            Err((message, hint)) => {
                errors.push(error(message, hint));
                errors.extend(expr.err().map(|e| unread(e, &error)));
                continue;
            }
        };
        if from_file && !seen.insert(path.to_lowercase()) {
            errors.push(error(format!("{path} is mapped twice"), None));
            continue;
        }
        if kind == Kind::Members {
            found.members_removed = row.expr.trim().is_empty();
            // As Entra shows the row: the members are the members.
            if !found.members_removed && !row.expr.trim().eq_ignore_ascii_case("[members]") {
                let hint = "leave the row out; members = \"\" leaves memberships alone".to_owned();
                errors.push(error("members cannot be mapped: they are whoever is in the group".to_owned(), Some(hint)));
            }
            continue;
        }
        let place = found.rows.iter().position(|r| r.path.eq_ignore_ascii_case(&path));
        if row.expr.trim().is_empty() {
            if path == object.name_attribute() {
                errors.push(error(format!("{path} cannot be removed: every {object} needs it"), None));
            } else if let Some(place) = place {
                found.rows.remove(place);
            }
            continue;
        }
        let expr = match expr {
            Ok(expr) => expr,
            Err(e) => {
                errors.push(unread(e, &error));
                continue;
            }
        };
        match compile_row(row, path, kind, expr) {
            Ok(compiled) => match place.and_then(|i| found.rows.get_mut(i)) {
                Some(old) => *old = compiled,
                None => found.rows.push(compiled),
            },
            Err((message, hint)) => errors.push(error(message, hint)),
        }
    }
    if !found.rows.iter().any(|r| r.path == object.name_attribute()) && errors.is_empty() {
        let key = format!("map.{object}");
        let message = format!("nothing is mapped to {}: every {object} needs it", object.name_attribute());
        errors.push(MappingError { key, line: 0, offset: None, message, hint: None });
    }
    found
}

/// An expression that cannot be read.
fn unread(e: ParseError, error: &dyn Fn(String, Option<String>) -> MappingError) -> MappingError {
    let message = format!("{} (at byte {})", e.message, e.offset + 1);
    MappingError { offset: Some(e.offset), ..error(message, e.hint) }
}

fn compile_row(row: &Row, path: String, kind: Kind, expr: Expr) -> Result<CompiledRow, (String, Option<String>)> {
    if row.clear_when_null && row.default.is_some() {
        let hint =
            "the default is for creation, and the next cycle would clear it; Coalesce([attribute], \"default\") is for always";
        return Err(("when_null = \"clear\" and default contradict each other".to_owned(), Some(hint.to_owned())));
    }
    let default = match &row.default {
        Some(text) if !text.is_empty() => Some(typed(kind, text).map_err(|e| (format!("default: {e}"), None))?),
        _ => None,
    };
    let unique = expr.0.top(&[UNIQUE]).is_some();
    if unique && (row.clear_when_null || default.is_some() || kind != Kind::Text) {
        return Err((format!("{UNIQUE} gives the text of a new account: it goes with neither default nor when_null"), None));
    }
    let mut calls = Vec::new();
    expr.0.calls(&mut calls);
    Ok(CompiledRow {
        redacted: calls.iter().any(|call| call.function.name == REDACT),
        clear_when_null: row.clear_when_null && expr.0.top(&["IgnoreFlowIfNullOrEmpty"]).is_none(),
        create_only: row.create_only || unique,
        ignore_case: row.case_exact == Some(false),
        exact_case: row.case_exact == Some(true),
        seed: seed(&path),
        unique,
        path,
        kind,
        expr,
        default,
    })
}

/// A number for each path.
fn seed(path: &str) -> u64 {
    blake3::hash(path.as_bytes()).as_bytes().iter().take(8).fold(0, |seed, octet| seed << 8 | u64::from(*octet))
}
