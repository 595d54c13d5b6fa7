//! What accounts are matched by, as far as the mapping has a say: only what it writes can be looked for.

use super::rows::Rows;
use super::schema::Kind;
use super::spec::{MappingError, Row, criterion, nearest, toml_key};
use crate::model::ObjectKind;
use std::collections::BTreeSet;

/// By these anybody is matched, also where they are not mapped.
const ALWAYS: [&str; 2] = ["externalId", "id"];

fn same(a: &str, b: &str) -> bool {
    criterion(a).eq_ignore_ascii_case(&criterion(b))
}

/// Whether it names an attribute by which anything is matched without a row of its own: a preset's list may name what the
/// sync does not map.
fn is_always(object: ObjectKind, by: &str) -> bool {
    let addresses = object == ObjectKind::User && ["emails.value", "emails"].iter().any(|a| a.eq_ignore_ascii_case(by));
    addresses || by.eq_ignore_ascii_case(object.name_attribute()) || ALWAYS.iter().any(|a| a.eq_ignore_ascii_case(by))
}

/// A value that is chosen so that nobody has it cannot be what an account is found by.
pub(super) fn unique(rows: &Rows, file: &[Row], matched_by: &[String], errors: &mut Vec<MappingError>) {
    for row in rows.rows.iter().filter(|row| row.unique) {
        let Some(by) = matched_by.iter().find(|by| same(by, &row.path)) else { continue };
        let written = file.iter().find(|r| r.path.eq_ignore_ascii_case(&row.path));
        errors.push(MappingError {
            key: format!("map.user.{}", toml_key(written.map_or(row.path.as_str(), |r| &r.path))),
            line: written.map_or(0, |r| r.line),
            offset: None,
            message: format!("SelectUniqueValue cannot fill {}: accounts are matched by {by}", row.path),
            hint: Some(format!("take {by} out of match.users, or write another expression")),
        });
    }
}

/// What nothing is mapped to, nobody has a value to be matched by.
pub(super) fn mapped(object: ObjectKind, rows: &Rows, file: &[Row], matched_by: &[String], errors: &mut Vec<MappingError>) {
    for by in matched_by.iter().filter(|by| !is_always(object, by)) {
        let (message, hint) = match rows.rows.iter().find(|row| same(&row.path, by)) {
            Some(row) if row.kind == Kind::Text => continue,
            Some(_) => (format!("{by} holds no text that {object}s could be matched by"), None),
            // The row is wrong, which is told.
            None if file.iter().any(|row| same(&row.path, by) && !row.expr.trim().is_empty()) => continue,
            None => {
                let known = rows.rows.iter().filter(|row| row.kind == Kind::Text).map(|row| criterion(&row.path));
                let mut known: Vec<String> = known.collect();
                known.extend(ALWAYS.map(str::to_owned));
                let mut seen = BTreeSet::new();
                known.retain(|name| seen.insert(name.to_lowercase()));
                let meant = nearest(by, known.iter().map(String::as_str)).map(|near| format!("is {near} meant?"));
                let hint = meant.unwrap_or_else(|| format!("map it in map.{object}, or use {}", known.join(", ")));
                (format!("{by:?} is mapped to nothing that {object}s could be matched by"), Some(hint))
            }
        };
        let row = file.iter().find(|row| row.matched && same(&row.path, by));
        errors.push(MappingError {
            key: row.map_or_else(|| format!("match.{object}s"), |row| format!("map.{object}.{}", toml_key(&row.path))),
            line: row.map_or(0, |row| row.line),
            offset: None,
            message,
            hint,
        });
    }
}
