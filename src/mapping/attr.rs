//! Source attributes as expressions and filters name them: special names, aliases, the source's own names.

use super::alias;
use super::user_id::guest_address;
use super::value::{EvalError, MAX_WORK, Val, truth_text};
use super::world::{NOWHERE, World};
use crate::model::{Entry, Value};
use std::borrow::Cow;
use std::cell::Cell;

/// What an expression is evaluated for.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// `[userId]`.
    pub user_id: Option<&'a str>,
    /// `[IsSoftDeleted]`.
    pub soft_deleted: bool,
    /// What is not of the entry: the time, domains, tables.
    pub world: &'a World,
    /// What stands for chance: the same for one person and one row, for ever.
    seed: Cell<u64>,
    /// Bytes that the expression's functions have handled so far.
    work: Cell<usize>,
}

impl<'a> Context<'a> {
    /// For this entry, without time, domains and tables.
    pub(super) fn new(entry: &'a Entry, user_id: Option<&'a str>, soft_deleted: bool) -> Self {
        Self { entry, user_id, soft_deleted, world: &NOWHERE, seed: Cell::new(0), work: Cell::new(0) }
    }

    /// The same in this world.
    pub(super) fn within(self, world: &'a World) -> Self {
        Self { world, ..self }
    }

    /// Another row is worked out.
    pub(super) fn begin(&self, seed: u64) {
        self.seed.set(seed);
        self.work.set(0);
    }

    /// See [`Self::begin`].
    pub(super) fn seed(&self) -> u64 {
        self.seed.get()
    }

    /// Books work, and refuses what would be too much of it: no expression holds up a cycle.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), EvalError> {
        self.work.set(self.work.get().saturating_add(bytes));
        if self.work.get() > MAX_WORK {
            return Err(EvalError(format!("the expression handles more than {MAX_WORK} bytes")));
        }
        Ok(())
    }
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
    /// Its value may be the name of a guest, which stands for an address of somewhere else.
    principal: bool,
}

impl SourceAttr {
    /// Resolves a name as written. Any name is one; whether the source has it shows when it is read.
    pub(super) fn new(written: &str) -> Self {
        let is = |name: &str| written.eq_ignore_ascii_case(name);
        let (own, special) = match () {
            () if written == "userId" => (false, Some(Special::UserId)),
            // Sources have attributes of this name too (`UserID` of an HR system).
            () if is("userId") => (true, Some(Special::UserId)),
            () if is("sourceKey") => (false, Some(Special::SourceKey)),
            () if is("IsSoftDeleted") => (false, Some(Special::SoftDeleted)),
            // What Entra calls objectId is the immutable id, whatever the source calls it.
            () if is("objectId") => (true, Some(Special::SourceKey)),
            () if is("accountEnabled") => (true, Some(Special::AccountEnabled)),
            () if is("dn") || is("distinguishedName") => (true, Some(Special::Dn)),
            () => (true, None),
        };
        let mut names = Vec::new();
        if is("originalUserPrincipalName") {
            // Entra's word for the user principal name as it is, where the other one gives a guest's own address.
            names.push("userPrincipalName".to_owned());
            names.extend(alias::of("userPrincipalName").iter().map(|&n| n.to_owned()));
        } else if own {
            names.push(written.to_owned());
            names.extend(alias::of(written).iter().map(|&n| n.to_owned()));
        }
        Self { written: written.to_owned(), names, special, principal: is("userPrincipalName") }
    }

    /// The name as written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Attributes to ask the source for, in the order in which they are tried.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether every entry has it, whatever the source is.
    pub(super) fn is_known_everywhere(&self) -> bool {
        self.special.is_some()
    }

    /// Whether this is `[userId]`, written so.
    pub(super) fn is_user_id(&self) -> bool {
        self.special == Some(Special::UserId) && self.names.is_empty()
    }

    /// As a mapping sees it. A guest's user principal name (`jane_partner.example#EXT#@tenant`) is the address that it was
    /// made of, as in Entra's provisioning; `[originalUserPrincipalName]`, scopes and matching see it as it is.
    pub(super) fn mapped<'a>(&self, context: &Context<'a>) -> Val<'a> {
        let value = self.read(context);
        if !self.principal {
            return value;
        }
        value.map(|text| match guest_address(&text) {
            Some(address) => Cow::Owned(address),
            None => text,
        })
    }

    /// Values of the first name that has any. An empty text is no value; octets have no text.
    pub(super) fn read<'a>(&self, context: &Context<'a>) -> Val<'a> {
        let entry = context.entry;
        for (i, name) in self.names.iter().enumerate() {
            let found = texts(entry.attrs.all(name));
            if found != Val::Null && (i == 0 || !is_country_number(name, &found)) {
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

/// Whether what stands in for a country's two letters is the number of one: Okta's `countryCode` has the letters, Active
/// Directory's the number of ISO 3166, and 0 for everybody who has none ([MS-ADA1] countryCode).
fn is_country_number(alias: &str, value: &Val<'_>) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    alias.eq_ignore_ascii_case("countryCode") && value.clone().into_all().iter().all(|text| number(text))
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
