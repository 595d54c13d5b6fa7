//! What the application of a preset refuses beyond what its dialect says: lengths, characters, operators, forms.

use super::Behaviour;
use super::validate::{Doc, invalid_value};
use crate::model::ObjectKind;
use crate::scim::error::{ScimError, ScimType};
use crate::scim::filter::{Filter, Op};
use serde_json::Value;

impl Behaviour {
    /// Refuses a resource that is longer, or other, than this application takes.
    pub(super) fn within_limits(&self, kind: ObjectKind, doc: &Doc) -> Result<(), ScimError> {
        let limits = &self.limits;
        let text = |name: &str| doc.get(name).and_then(Value::as_str).unwrap_or_default();
        if kind == ObjectKind::Group {
            self.members_fit(doc.get("members").and_then(Value::as_array).map_or(0, Vec::len))?;
            return at_most("displayName", text("displayName"), limits.group_name);
        }
        let local = text("userName").split('@').next().unwrap_or_default();
        at_most("userName before its @", local, limits.user_name_local)?;
        for name in ["userName", "displayName"] {
            at_most(name, text(name), limits.name)?;
        }
        let given =
            doc.get("name").and_then(Value::as_object).into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)));
        for (name, value) in [("userName", text("userName")), ("displayName", text("displayName"))].into_iter().chain(given) {
            if let Some(c) = value.chars().find(|c| limits.illegal.contains(*c)) {
                return Err(invalid_value(format!("`{name}` must not contain {c:?}")));
            }
        }
        if let Some(name) = limits.refused.iter().find(|name| doc.keys().any(|k| k.eq_ignore_ascii_case(name))) {
            return Err(ScimError::bad_request(ScimType::InvalidSyntax, format!("this application has no attribute `{name}`")));
        }
        if limits.one_of_each
            && let Some((name, _)) = doc.iter().find(|(_, v)| v.as_array().is_some_and(|a| a.len() > 1))
        {
            return Err(invalid_value(format!("`{name}` holds one value at most here")));
        }
        Ok(())
    }

    /// Refuses operations that this application does not take.
    pub(super) fn patch_within_limits(&self, kind: ObjectKind, body: &Value) -> Result<(), ScimError> {
        let none = Vec::new();
        let operations = body.get("Operations").and_then(Value::as_array).unwrap_or(&none);
        let part = |o: &Value, name: &str| o.get(name).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        if kind == ObjectKind::Group {
            let members = |o: &Value| part(o, "path").starts_with("members") || part(o, "path").is_empty();
            let given = |o: &Value| {
                o.get("value").and_then(|v| v.as_array().or_else(|| v.get("members")?.as_array())).map_or(1, Vec::len)
            };
            self.members_fit(operations.iter().filter(|o| members(o)).map(given).sum())?;
            let all_at_once = |o: &&Value| {
                part(o, "path") == "members"
                    && (part(o, "op") == "replace" || part(o, "op") == "remove" && o.get("value").is_none())
            };
            if self.limits.members_by_parts && operations.iter().any(|o| all_at_once(&o)) {
                return Err(invalid_value("members are not replaced or removed all at once here".to_owned()));
            }
            return Ok(());
        }
        for name in ["username", "active"].iter().filter(|_| self.limits.members_by_parts) {
            let of: Vec<&Value> = operations.iter().filter(|o| part(o, "path") == *name).collect();
            if of.len() > 1 || of.iter().any(|o| part(o, "op") == "remove") {
                return Err(invalid_value(format!("`{name}` is written once in a request here, and never removed")));
            }
        }
        Ok(())
    }

    /// Refuses a filter that this application does not take.
    pub(super) fn takes_filter(&self, filter: &Filter) -> Result<(), ScimError> {
        let refuse = |what: String| Err(ScimError::bad_request(ScimType::InvalidFilter, what));
        let known = |path: String| {
            let path = path.to_ascii_lowercase();
            self.filters.is_empty() || self.filters.iter().any(|f| *f == path || f.split('.').next() == Some(path.as_str()))
        };
        match filter {
            Filter::And(a, b) => self.takes_filter(a).and_then(|()| self.takes_filter(b)),
            Filter::Compare(path, op, _) if self.limits.eq_only && *op != Op::Eq => {
                refuse(format!("`{path}`: filters compare by `eq` only here"))
            }
            Filter::Or(..) | Filter::Not(_) | Filter::Present(_) if self.limits.eq_only => {
                refuse("filters know `eq` and `and` only here".to_owned())
            }
            Filter::Or(a, b) => self.takes_filter(a).and_then(|()| self.takes_filter(b)),
            Filter::Not(inner) => self.takes_filter(inner),
            Filter::Compare(path, ..) | Filter::Present(path) | Filter::Complex(path, _) if !known(path.to_string()) => {
                refuse(format!("`{path}` cannot be filtered by here"))
            }
            Filter::Compare(..) | Filter::Present(_) | Filter::Complex(..) => Ok(()),
        }
    }

    fn members_fit(&self, members: usize) -> Result<(), ScimError> {
        match self.limits.members {
            Some(most) if members > most => Err(ScimError::new(413, format!("at most {most} members in one request"))),
            _ => Ok(()),
        }
    }
}

fn at_most(name: &str, text: &str, most: Option<usize>) -> Result<(), ScimError> {
    match most {
        Some(most) if text.chars().count() > most => Err(invalid_value(format!("{name} has at most {most} characters here"))),
        _ => Ok(()),
    }
}
