//! An entry: one object as the source said it.

use super::{ObjectKind, SourceKey};
use serde::{Deserialize, Serialize};

/// One value of an attribute, verbatim.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text (LDAP directory strings, JSON strings, CSV cells).
    Text(String),
    /// Octets that are not UTF-8 (objectSid, photos).
    Bytes(Vec<u8>),
    /// A JSON value that is not a string: boolean, number, object.
    Json(serde_json::Value),
}

impl Value {
    /// The value as text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(s) => Some(s),
            Self::Bytes(_) | Self::Json(_) => None,
        }
    }

    /// The value as text for comparison and mapping: JSON booleans as `True`/`False`, numbers in decimal; octets have none.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Text(s) => Some(s.clone()),
            Self::Bytes(_) => None,
            Self::Json(serde_json::Value::Bool(b)) => Some(if *b { "True" } else { "False" }.to_owned()),
            Self::Json(serde_json::Value::Null) => None,
            Self::Json(serde_json::Value::String(s)) => Some(s.clone()),
            Self::Json(v) => Some(v.to_string()),
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Text(s.to_owned())
    }
}

/// Attributes of an entry. Names compare without case (RFC 4512 section 2.5), are kept as the source spelled them, and
/// never carry LDAP options.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attrs(Vec<(String, Vec<Value>)>);

impl Attrs {
    /// No attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All values of `name`; an absent attribute has none.
    #[must_use]
    pub fn all(&self, name: &str) -> &[Value] {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or(&[], |(_, v)| v.as_slice())
    }

    /// The first value of `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&Value> {
        self.all(name).first()
    }

    /// The first value of `name` as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name).and_then(Value::as_text)
    }

    /// Whether the attribute is there with at least one value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// Adds values to `name` (appends where the name is there already). No values: no attribute.
    pub fn add(&mut self, name: impl Into<String>, values: Vec<Value>) {
        if values.is_empty() {
            return;
        }
        let name = name.into();
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(&name)) {
            Some((_, v)) => v.extend(values),
            None => self.0.push((name, values)),
        }
    }

    /// Replaces all values of `name`.
    pub fn set(&mut self, name: impl Into<String>, values: Vec<Value>) {
        let name = name.into();
        self.remove(&name);
        self.add(name, values);
    }

    /// Takes `name` out and returns its values.
    pub fn remove(&mut self, name: &str) -> Vec<Value> {
        match self.0.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(i) => self.0.remove(i).1,
            None => Vec::new(),
        }
    }

    /// Room for so many names.
    pub(super) fn with_capacity(names: usize) -> Self {
        Self(Vec::with_capacity(names))
    }

    /// Adds a name that is not there yet.
    pub(super) fn push_new(&mut self, name: String, values: Vec<Value>) {
        self.0.push((name, values));
    }

    /// Names and values in the order in which the source gave them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_slice()))
    }
}

/// A member of a group as the source names it. How a reference is compared is the source's business: it hands out a
/// normal form, and the state store joins on that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MemberRef {
    /// A reference by the source key of the member (Graph, Okta, file).
    Key(SourceKey),
    /// A reference by name in normal form: a DN normalised by RFC 4514 (`dn:` prefix) or a login name (`uid:` prefix).
    Name(String),
}

/// One object as the source said it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// User or group.
    pub kind: ObjectKind,
    /// Immutable id.
    pub key: SourceKey,
    /// The distinguished name verbatim (LDAP, LDIF); `None` elsewhere.
    pub dn: Option<String>,
    /// Names under which groups may refer to this entry, in the normal form of [`MemberRef::Name`].
    pub names: Vec<String>,
    /// Attributes, verbatim, without the member attributes of a group.
    pub attrs: Attrs,
    /// Direct members (groups only), duplicates removed.
    pub members: Vec<MemberRef>,
    /// Whether the source says that this account is disabled (its own rule: nsAccountLock, userAccountControl, ...).
    pub disabled: bool,
    /// Unix second at which `disabled` changes by the clock alone (accountExpires); the entry is judged again then.
    pub due: Option<i64>,
}

impl Entry {
    /// A short name for people to read: userPrincipalName, mail, uid, displayName, cn, DN, else the key.
    #[must_use]
    pub fn label(&self) -> String {
        let names: &[&str] = match self.kind {
            ObjectKind::User => &["mail", "userPrincipalName", "uid", "sAMAccountName", "login", "displayName", "cn"],
            ObjectKind::Group => &["displayName", "cn", "name"],
        };
        names
            .iter()
            .find_map(|n| self.attrs.text(n).filter(|t| !t.trim().is_empty()))
            .map_or_else(|| self.dn.clone().unwrap_or_else(|| self.key.0.clone()), str::to_owned)
    }
}

/// What an incremental read says of an entry that is known: parts that it does not name stay as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryChange {
    /// User or group.
    pub kind: ObjectKind,
    /// Immutable id.
    pub key: SourceKey,
    /// Attributes with all the values that they have now; no values: the attribute is gone.
    pub attrs: Vec<(String, Vec<Value>)>,
    /// `true`: `attrs` is the whole entry, what it does not name is gone.
    pub whole: bool,
    /// `true`: the source names new entries in the same way, and then says all of them. Else whoever is not known makes the
    /// read a misfit.
    pub or_new: bool,
    /// The distinguished name and the names for groups, where they were said (see [`Entry::dn`], [`Entry::names`]).
    pub names: Option<(Option<String>, Vec<String>)>,
    /// Whether it is disabled, and when that changes by the clock, where that was said (see [`Entry::disabled`],
    /// [`Entry::due`]).
    pub disabled: Option<(bool, Option<i64>)>,
    /// All members, where they were said: then nobody else came or went.
    pub members: Option<Vec<MemberRef>>,
    /// Members that came.
    pub joined: Vec<MemberRef>,
    /// Members that went. Of one that is in both, the group has it.
    pub left: Vec<MemberRef>,
}

impl EntryChange {
    /// Nothing changed of this entry yet.
    #[must_use]
    pub fn of(kind: ObjectKind, key: SourceKey) -> Self {
        Self {
            kind,
            key,
            attrs: Vec::new(),
            whole: false,
            or_new: false,
            names: None,
            disabled: None,
            members: None,
            joined: Vec::new(),
            left: Vec::new(),
        }
    }
}
