//! A plan for people to read: who, what, why.

use super::{Change, Counts, KINDS, Kind};
use crate::model::Flat;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The sign in front of a change.
#[must_use]
pub fn sign(kind: Kind) -> &'static str {
    match kind {
        Kind::Create | Kind::GroupCreate => "+",
        Kind::Adopt | Kind::GroupAdopt => "=",
        Kind::Update | Kind::Rename | Kind::GroupUpdate => "~",
        Kind::Deactivate | Kind::MembersRemove => "-",
        Kind::Reactivate | Kind::MembersAdd => "+",
        Kind::Delete | Kind::GroupDelete => "x",
    }
}

/// Kind in words.
#[must_use]
pub fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::GroupCreate => "create group",
        Kind::GroupAdopt => "adopt group",
        Kind::GroupUpdate => "update group",
        Kind::GroupDelete => "delete group",
        Kind::MembersAdd => "add members",
        Kind::MembersRemove => "remove members",
        other => other.as_str(),
    }
}

/// `12 create, 3 update`, or `nothing to do`.
#[must_use]
pub fn summary(counts: &Counts) -> String {
    let parts: Vec<String> =
        KINDS.into_iter().filter(|k| counts.get(*k) > 0).map(|k| format!("{} {}", counts.get(k), words(k))).collect();
    if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
}

/// One line: sign, kind, who, reason; the guard's reason where the change is held.
#[must_use]
pub fn line(c: &Change, held: Option<&str>, who_width: usize) -> String {
    let pad = who_width.saturating_sub(c.who.chars().count());
    let mut out = format!("  {} {:<14}  {}{}  {}", sign(c.kind), words(c.kind), c.who, " ".repeat(pad), c.reason);
    if let Some(why) = held {
        out.push_str("  [held: ");
        out.push_str(why);
        out.push(']');
    }
    out
}

/// The lines under a change: attribute, old, new; members by name.
#[must_use]
pub fn details(c: &Change) -> Vec<String> {
    let mut out = Vec::new();
    if matches!(c.kind, Kind::Update | Kind::Rename | Kind::Reactivate | Kind::Adopt | Kind::GroupUpdate | Kind::GroupAdopt) {
        for (path, new) in &c.to {
            out.push(format!("      {path}: {} -> {}", show(c.from.get(path)), show(Some(new))));
        }
    }
    if matches!(c.kind, Kind::MembersAdd | Kind::MembersRemove) {
        const SHOWN: usize = 8;
        let names: Vec<&str> = c.members.iter().take(SHOWN).map(|m| m.who.as_str()).collect();
        let more = c.members.len().saturating_sub(SHOWN);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        out.push(format!(
            "      {} {}: {}{tail}",
            c.members.len(),
            if c.members.len() == 1 { "member" } else { "members" },
            names.join(", ")
        ));
    }
    out
}

/// One line: what somebody changed at the target and is left alone.
#[must_use]
pub fn drift(who: &str, path: &str, there: &Value, pushed: &Value) -> String {
    if path == "members" {
        let names = |list: &Value| list.as_array().map_or(0, Vec::len);
        return format!("  ? drift           {who}  members: {} put in and {} taken out by others", names(there), names(pushed));
    }
    format!("  ? drift           {who}  {path}: {} instead of {}", show(Some(there).filter(|v| !v.is_null())), show(Some(pushed)))
}

/// The change without the values that nobody is to see.
#[must_use]
pub fn masked<'a>(c: &'a Change, redacted: &BTreeSet<String>) -> Cow<'a, Change> {
    if !c.to.keys().chain(c.from.keys()).any(|path| redacted.contains(path)) {
        return Cow::Borrowed(c);
    }
    let mut masked = c.clone();
    for flat in [&mut masked.from, &mut masked.to] {
        for (path, value) in flat.iter_mut().filter(|(_, value)| !value.is_null()) {
            if redacted.contains(path) {
                *value = Value::from("[Redact]");
            }
        }
    }
    Cow::Owned(masked)
}

/// A text in quotes as it is, so that it can be copied and found again; only what would break the line is escaped.
#[must_use]
pub fn quoted(text: &str) -> String {
    if text.contains(char::is_control) { format!("{text:?}") } else { format!("\"{text}\"") }
}

fn show(v: Option<&Value>) -> String {
    match v {
        None => "(none)".to_owned(),
        Some(Value::Null) => "(cleared)".to_owned(),
        Some(Value::String(s)) => quoted(s),
        Some(other) => other.to_string(),
    }
}

/// `from` and `to` of the JSON document: memberships stand under `members`.
#[must_use]
pub fn from_to(c: &Change) -> (Value, Value) {
    let list = || serde_json::json!(c.members);
    match c.kind {
        Kind::MembersAdd => (serde_json::json!({}), serde_json::json!({ "members": list() })),
        Kind::MembersRemove => (serde_json::json!({ "members": list() }), serde_json::json!({ "members": [] })),
        _ => (flat(&c.from), flat(&c.to)),
    }
}

/// Both as text, as the journal keeps them.
#[must_use]
pub fn images(c: &Change) -> (String, String) {
    match c.kind {
        Kind::MembersAdd | Kind::MembersRemove => {
            let (from, to) = from_to(c);
            (from.to_string(), to.to_string())
        }
        // Flat resources are plain maps of JSON values: writing them cannot fail.
        _ => (serde_json::to_string(&c.from).unwrap_or_default(), serde_json::to_string(&c.to).unwrap_or_default()),
    }
}

fn flat(f: &Flat) -> Value {
    Value::Object(f.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_is_shown_so_that_it_can_be_copied() {
        assert_eq!(quoted("CORP\\bo1"), "\"CORP\\bo1\"");
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
    }
}
