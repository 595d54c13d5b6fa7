//! Rows of a mapping: the preset's first, the file's replace or add by canonical path, an empty expression removes.

use super::attr::Context;
use super::expr::Expr;
use super::schema::{self, Canonical, Kind};
use super::spec::{MappingError, Row, toml_key};
use super::user_id::is_tombstone;
use super::value::{EvalError, MAX_RESULT};
use crate::model::ObjectKind;
use serde_json::Value;
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
        // A leaver is inactive whatever the expression says: neither `"True"` nor a faulty rule keeps an account open.
        if context.soft_deleted && self.kind == Kind::Boolean && self.path == "active" {
            return Ok(Some(Value::Bool(false)));
        }
        let Some(text) = self.expr.0.eval(context)?.into_first().filter(|t| !t.is_empty()) else { return Ok(None) };
        if text.len() > MAX_RESULT {
            return Err(EvalError(format!("the value is longer than {MAX_RESULT} bytes")));
        }
        if is_tombstone(&text) {
            return Err(EvalError(format!("`{text}` is the mangled name of a deleted entry")));
        }
        typed(self.kind, &text).map(Some)
    }

    /// One line that changes whenever this row's result could.
    pub(super) fn print(&self) -> String {
        let default = self.default.as_ref().map(Value::to_string).unwrap_or_default();
        format!("{} = {} clear={} create={} default={default}", self.path, self.expr, self.clear_when_null, self.create_only)
    }
}

fn typed(kind: Kind, text: &str) -> Result<Value, EvalError> {
    match kind {
        Kind::Boolean => match schema::boolean(text.trim()) {
            Some(truth) => Ok(Value::Bool(truth)),
            None => Err(EvalError(format!("`{text}` is neither True nor False"))),
        },
        Kind::Text | Kind::Members => Ok(Value::String(text.to_owned())),
    }
}

/// Merges and compiles; every mistake lands in `errors`.
pub(super) fn compile(object: ObjectKind, preset: &[(&str, &str)], file: &[Row], errors: &mut Vec<MappingError>) -> Rows {
    let preset: Vec<Row> =
        preset.iter().map(|(path, expr)| Row { path: (*path).to_owned(), expr: (*expr).to_owned(), ..Row::default() }).collect();
    let mut found = Rows::default();
    let mut seen = HashSet::new();
    for (row, from_file) in preset.iter().map(|r| (r, false)).chain(file.iter().map(|r| (r, true))) {
        let error = |message: String, hint: Option<String>| MappingError {
            key: format!("map.{object}.{}", toml_key(&row.path)),
            line: row.line,
            message,
            hint,
        };
        let Canonical { path, kind } = match schema::canonical(object, &row.path) {
            Ok(canonical) => canonical,
            Err((message, hint)) => {
                errors.push(error(message, hint));
                continue;
            }
        };
        if from_file && !seen.insert(path.to_lowercase()) {
            errors.push(error(format!("{path} is mapped twice"), None));
            continue;
        }
        if kind == Kind::Members {
            found.members_removed = row.expr.trim().is_empty();
            continue;
        }
        let place = found.rows.iter().position(|r| r.path.eq_ignore_ascii_case(&path));
        if row.expr.trim().is_empty() {
            if path == required(object) {
                errors.push(error(format!("{path} cannot be removed: every {object} needs it"), None));
            } else if let Some(place) = place {
                found.rows.remove(place);
            }
            continue;
        }
        match compile_row(row, path, kind) {
            Ok(compiled) => match place.and_then(|i| found.rows.get_mut(i)) {
                Some(old) => *old = compiled,
                None => found.rows.push(compiled),
            },
            Err((message, hint)) => errors.push(error(message, hint)),
        }
    }
    if !found.rows.iter().any(|r| r.path == required(object)) && errors.is_empty() {
        let key = format!("map.{object}");
        let message = format!("nothing is mapped to {}: every {object} needs it", required(object));
        errors.push(MappingError { key, line: 0, message, hint: None });
    }
    found
}

/// The attribute without which there is no such object (RFC 7643 sections 4.1.1 and 4.2).
pub(super) fn required(object: ObjectKind) -> &'static str {
    match object {
        ObjectKind::User => "userName",
        ObjectKind::Group => "displayName",
    }
}

fn compile_row(row: &Row, path: String, kind: Kind) -> Result<CompiledRow, (String, Option<String>)> {
    let expr: Expr = row.expr.parse().map_err(|e: crate::scim::ParseError| (e.to_string(), None))?;
    if row.clear_when_null && row.default.is_some() {
        let hint =
            "the default is for creation, and the next cycle would clear it; Coalesce([attribute], \"default\") is for always";
        return Err(("when_null = \"clear\" and default contradict each other".to_owned(), Some(hint.to_owned())));
    }
    let default = match &row.default {
        Some(text) if !text.is_empty() => Some(typed(kind, text).map_err(|e| (format!("default: {e}"), None))?),
        _ => None,
    };
    let (clear_when_null, create_only) = (row.clear_when_null, row.create_only);
    Ok(CompiledRow { path, kind, expr, clear_when_null, create_only, default })
}
