//! A sandbox that behaves as the application of a preset does: limits, refusals and texts from the preset's file.

use super::Behaviour;
use super::trouble::Words;
use super::validate::{Doc, invalid_value};
use crate::model::{Fault, ObjectKind};
use crate::scim::error::{ScimError, ScimType};
use crate::target::presets::Preset;
use serde_json::Value;

impl From<&Preset> for Behaviour {
    fn from(preset: &Preset) -> Self {
        // The generic preset says what a client may expect of any server, not what one application does.
        if preset.name == "generic" {
            return Self::default();
        }
        let dialect = &preset.dialect;
        let words = Words::default();
        let said = |usual: String, fits: &dyn Fn(Fault, bool) -> bool| {
            let known = preset.refusals.iter().find(|r| fits(r.fault, r.everyone.is_some()));
            known.filter(|k| !usual.to_lowercase().contains(k.text)).map_or(usual, |k| sentence(k.text))
        };
        Self {
            application: preset.application.to_owned(),
            required: dialect.required.clone(),
            // Accounts from before may have other names where names never change, or are still to be converted.
            email_names: dialect.user_name_email && !dialect.user_name_immutable && !preset.converts_user_ids,
            // Mews takes what it does not know and forgets it; a group with anything else is refused.
            drops_unknown: !dialect.user_attributes.is_empty(),
            group_attributes: dialect.group_attributes.clone(),
            group_create: dialect.group_create,
            group_update: dialect.group_update,
            group_delete: dialect.group_delete,
            group_names_unique: true,
            delete_removes: dialect.delete_removes,
            rfc_patch: !dialect.op_capital,
            changeable: preset.changeable.iter().map(|name| name.to_ascii_lowercase()).collect(),
            limits: preset.limits,
            remove_with_value: dialect.remove_members == crate::target::dialect::RemoveMembers::List,
            text_booleans: dialect.booleans != crate::target::dialect::Booleans::Json,
            words: Words {
                not_permitted: said(words.not_permitted, &|_, everyone| everyone),
                exists: said(words.exists, &|fault, _| fault == Fault::Conflict),
            },
            ..Self::from(dialect)
        }
    }
}

/// A text of the preset as an application writes it.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

impl Behaviour {
    /// Forgets what this application does not know, where it takes everything.
    pub(super) fn forget_unknown(&self, kind: ObjectKind, doc: &mut Doc) {
        if kind != ObjectKind::User || !self.drops_unknown {
            return;
        }
        for (name, value) in doc.iter_mut() {
            let separator = if super::validate::is_urn(name) { ':' } else { '.' };
            if let Value::Object(object) = value {
                object.retain(|sub, _| self.knows(&format!("{name}{separator}{sub}")));
            }
        }
        doc.retain(|name, value| self.knows(name) && value.as_object().is_none_or(|o| !o.is_empty()));
    }

    /// What this application wants of every user and group.
    pub(super) fn complete(&self, kind: ObjectKind, doc: &Doc) -> Result<(), ScimError> {
        if kind == ObjectKind::Group {
            let known = |name: &str| {
                self.group_attributes.is_empty()
                    || name.eq_ignore_ascii_case("members")
                    || self.group_attributes.iter().any(|a| a.eq_ignore_ascii_case(name))
            };
            return match doc.keys().find(|name| !known(name)) {
                Some(name) => {
                    Err(ScimError::bad_request(ScimType::InvalidSyntax, format!("groups have no attribute `{name}` here")))
                }
                None => Ok(()),
            };
        }
        for path in &self.required {
            let found = path.split('.').try_fold(None, |at: Option<&Value>, name| {
                let next = match at {
                    None => doc.get(name),
                    Some(value) => value.get(name),
                };
                next.map(Some)
            });
            if found.flatten().is_none() {
                return Err(invalid_value(format!("`{path}` is required")));
            }
        }
        match doc.get("userName").and_then(Value::as_str) {
            Some(name) if self.email_names && !is_email(name) => {
                Err(invalid_value(format!("`userName` must be an email address, not {name:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses another value of what a user is given once.
    pub(super) fn stays(&self, kind: ObjectKind, old: &Doc, new: &Doc) -> Result<(), ScimError> {
        if kind != ObjectKind::User || self.changeable.is_empty() {
            return Ok(());
        }
        let is_given_once = |name: &str| {
            let given_later = name.eq_ignore_ascii_case("externalId") && !old.contains_key(name);
            !given_later && !name.eq_ignore_ascii_case("schemas") && !self.changeable.iter().any(|c| c.eq_ignore_ascii_case(name))
        };
        match old.keys().chain(new.keys()).find(|name| is_given_once(name) && old.get(*name) != new.get(*name)) {
            Some(name) => Err(ScimError::bad_request(ScimType::Mutability, format!("`{name}` cannot be changed here"))),
            None => Ok(()),
        }
    }

    /// Whether a PATCH is written as this application wants it.
    pub(super) fn spelling(&self, body: &Value) -> Result<(), ScimError> {
        let operations = body.get("Operations").and_then(Value::as_array).into_iter().flatten();
        let mut ops = operations.filter_map(|o| o.get("op").and_then(Value::as_str));
        match ops.find(|op| op.chars().any(char::is_uppercase)) {
            Some(op) if self.rfc_patch => Err(ScimError::bad_request(
                ScimType::InvalidSyntax,
                format!("`op` {op:?} is not known: it is written in lower case (RFC 7644 section 3.5.2)"),
            )),
            _ => Ok(()),
        }
    }

    /// Booleans that are written as texts, as they are meant.
    pub(super) fn meant(&self, value: Value) -> Value {
        match value {
            Value::String(s) if self.text_booleans && s.eq_ignore_ascii_case("true") => Value::Bool(true),
            Value::String(s) if self.text_booleans && s.eq_ignore_ascii_case("false") => Value::Bool(false),
            other => other,
        }
    }
}

fn is_email(name: &str) -> bool {
    let domain = name.split_once('@').filter(|(local, _)| !local.is_empty()).map(|(_, domain)| domain);
    domain.is_some_and(|d| d.contains('.') && !d.contains('@') && !d.starts_with('.') && !d.ends_with('.'))
}
