//! Source attributes as expressions and filters name them: special names, aliases, the source's own names.

use super::alias;
use super::value::{Val, truth_text};
use crate::model::{Entry, Value};
use std::borrow::Cow;

/// What an expression is evaluated for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// `[userId]`.
    pub user_id: Option<&'a str>,
    /// `[IsSoftDeleted]`.
    pub soft_deleted: bool,
}

/// A fact about the entry that is no attribute of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    UserId,
    SourceKey,
    SoftDeleted,
    AccountEnabled,
    Dn,
}

/// A reference to a source attribute, resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceAttr {
    written: String,
    names: Vec<String>,
    special: Option<Special>,
}

impl SourceAttr {
    /// Resolves a name as written. Any name is one; whether the source has it shows when it is read.
    pub(super) fn new(written: &str) -> Self {
        let is = |name: &str| written.eq_ignore_ascii_case(name);
        let (own, special) = match () {
            () if is("userId") => (false, Some(Special::UserId)),
            () if is("sourceKey") => (false, Some(Special::SourceKey)),
            () if is("IsSoftDeleted") => (false, Some(Special::SoftDeleted)),
            // What Entra calls objectId is the immutable id, whatever the source calls it.
            () if is("objectId") => (true, Some(Special::SourceKey)),
            () if is("accountEnabled") => (true, Some(Special::AccountEnabled)),
            () if is("dn") || is("distinguishedName") => (true, Some(Special::Dn)),
            () => (true, None),
        };
        let mut names = Vec::new();
        if own {
            names.push(written.to_owned());
            names.extend(alias::of(written).iter().map(|&n| n.to_owned()));
        }
        Self { written: written.to_owned(), names, special }
    }

    /// The name as written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Attributes to ask the source for, in the order in which they are tried.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether this is `[userId]`.
    pub(super) fn is_user_id(&self) -> bool {
        self.special == Some(Special::UserId)
    }

    /// Values of the first name that has any. An empty text is no value; octets have no text.
    pub(super) fn read<'a>(&self, context: &Context<'a>) -> Val<'a> {
        let entry = context.entry;
        for name in &self.names {
            let found = texts(entry.attrs.all(name));
            if found != Val::Null {
                return found;
            }
        }
        match self.special {
            None => Val::Null,
            Some(Special::UserId) => context.user_id.map_or(Val::Null, Val::text),
            Some(Special::SourceKey) => Val::text(entry.key.as_str()),
            Some(Special::SoftDeleted) => Val::text(truth_text(context.soft_deleted)),
            Some(Special::AccountEnabled) => Val::text(truth_text(!entry.disabled)),
            Some(Special::Dn) => entry.dn.as_deref().map_or(Val::Null, Val::text),
        }
    }
}

/// The texts among `values`.
fn texts(values: &[Value]) -> Val<'_> {
    match values {
        [] => Val::Null,
        [one] => text(one).map_or(Val::Null, Val::One),
        many => Val::many(many.iter().filter_map(text).collect()),
    }
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    let found = match value {
        Value::Text(s) | Value::Json(serde_json::Value::String(s)) => Cow::Borrowed(s.as_str()),
        other => Cow::Owned(other.to_text()?),
    };
    (!found.is_empty()).then_some(found)
}
