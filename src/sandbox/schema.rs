//! What a schema says about its attributes (RFC 7643 section 7): the one table behind `/Schemas`, type checks and PATCH.

use crate::model::ObjectKind;
use crate::scim::path::AttrPath;
use serde_json::{Map, Value, json};

use super::schema_tables::{COMMON, ENTERPRISE_USER, GROUP, USER};

/// Data type (RFC 7643 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Boolean,
    DateTime,
    Reference,
    Binary,
    Complex,
}

/// `mutability` (RFC 7643 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutability {
    ReadWrite,
    ReadOnly,
    Immutable,
    WriteOnly,
}

/// An attribute's definition. Uniqueness is `server` where set, else `none`; returned is `default` unless write-only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attr {
    pub(super) name: &'static str,
    description: &'static str,
    pub(super) kind: Type,
    pub(super) multi: bool,
    pub(super) required: bool,
    pub(super) case_exact: bool,
    pub(super) mutability: Mutability,
    always: bool,
    unique: bool,
    canonical: &'static [&'static str],
    references: &'static [&'static str],
    pub(super) subs: &'static [Attr],
}

impl Attr {
    pub(super) const fn new(name: &'static str, kind: Type, description: &'static str) -> Self {
        Self {
            name,
            description,
            kind,
            multi: false,
            required: false,
            case_exact: matches!(kind, Type::Reference | Type::Binary),
            mutability: Mutability::ReadWrite,
            always: false,
            unique: false,
            canonical: &[],
            references: &[],
            subs: &[],
        }
    }

    pub(super) const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Type::String, description)
    }

    pub(super) const fn complex(name: &'static str, subs: &'static [Self], description: &'static str) -> Self {
        let mut attr = Self::new(name, Type::Complex, description);
        attr.subs = subs;
        attr
    }

    pub(super) const fn many(name: &'static str, subs: &'static [Self], description: &'static str) -> Self {
        let mut attr = Self::complex(name, subs, description);
        attr.multi = true;
        attr
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn case_exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    pub(super) const fn always(mut self) -> Self {
        self.always = true;
        self
    }

    pub(super) const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    pub(super) const fn mutability(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    pub(super) const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical = values;
        self
    }

    pub(super) const fn refers(mut self, to: &'static [&'static str]) -> Self {
        self.references = to;
        self
    }

    /// The sub-attribute of this name, without case.
    pub(super) fn sub(&self, name: &str) -> Option<&'static Self> {
        find(self.subs, name)
    }

    pub(super) fn read_only(&self) -> bool {
        self.mutability == Mutability::ReadOnly
    }

    fn to_value(self) -> Value {
        let mut object = Map::new();
        let kind = match self.kind {
            Type::String => "string",
            Type::Boolean => "boolean",
            Type::DateTime => "dateTime",
            Type::Reference => "reference",
            Type::Binary => "binary",
            Type::Complex => "complex",
        };
        object.insert("name".into(), self.name.into());
        object.insert("type".into(), kind.into());
        if !self.subs.is_empty() {
            object.insert("subAttributes".into(), self.subs.iter().map(|sub| sub.to_value()).collect());
        }
        object.insert("multiValued".into(), self.multi.into());
        object.insert("description".into(), self.description.into());
        object.insert("required".into(), self.required.into());
        if !self.canonical.is_empty() {
            object.insert("canonicalValues".into(), json!(self.canonical));
        }
        if self.kind != Type::Complex && self.kind != Type::Boolean {
            object.insert("caseExact".into(), self.case_exact.into());
        }
        let mutability = match self.mutability {
            Mutability::ReadWrite => "readWrite",
            Mutability::ReadOnly => "readOnly",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        };
        object.insert("mutability".into(), mutability.into());
        let returned = match (self.mutability, self.always) {
            (Mutability::WriteOnly, _) => "never",
            (_, true) => "always",
            _ => "default",
        };
        object.insert("returned".into(), returned.into());
        if self.kind != Type::Boolean {
            object.insert("uniqueness".into(), if self.unique { "server" } else { "none" }.into());
        }
        if self.kind == Type::Reference {
            object.insert("referenceTypes".into(), json!(self.references));
        }
        Value::Object(object)
    }
}

/// A schema.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) attrs: &'static [Attr],
}

impl Schema {
    /// The attribute of this name, without case.
    pub(super) fn attr(&self, name: &str) -> Option<&'static Attr> {
        find(self.attrs, name)
    }

    /// The definition as `/Schemas` shows it.
    pub(super) fn to_value(&self, base: &str) -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": self.attrs.iter().map(|attr| attr.to_value()).collect::<Vec<_>>(),
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.id) },
        })
    }
}

/// Every schema served.
pub(super) static ALL: [&Schema; 3] = [&USER, &GROUP, &ENTERPRISE_USER];

/// The core schema of a kind of resource.
pub(super) fn core(kind: ObjectKind) -> &'static Schema {
    match kind {
        ObjectKind::User => &USER,
        ObjectKind::Group => &GROUP,
    }
}

/// The extensions of a kind of resource.
pub(super) fn extensions(kind: ObjectKind) -> &'static [&'static Schema] {
    static OF_USERS: [&Schema; 1] = [&ENTERPRISE_USER];
    match kind {
        ObjectKind::User => &OF_USERS,
        ObjectKind::Group => &[],
    }
}

/// The schema with this URN, without case, that resources of this kind may use.
pub(super) fn by_urn(kind: ObjectKind, urn: &str) -> Option<&'static Schema> {
    std::iter::once(core(kind)).chain(extensions(kind).iter().copied()).find(|schema| schema.id.eq_ignore_ascii_case(urn))
}

/// The attribute that a path names and, where it has one, the sub-attribute; `None` if either does not exist.
/// Common attributes (`id`, `externalId`, `meta`, `schemas`) count.
pub(super) fn resolve(kind: ObjectKind, path: &AttrPath) -> Option<(&'static Attr, Option<&'static Attr>)> {
    let schema = match &path.urn {
        Some(urn) => by_urn(kind, urn)?,
        None => core(kind),
    };
    let common = || if std::ptr::eq(schema, core(kind)) { find(&COMMON, &path.name) } else { None };
    let attr = schema.attr(&path.name).or_else(common)?;
    match &path.sub {
        None => Some((attr, None)),
        Some(sub) => Some((attr, Some(attr.sub(sub)?))),
    }
}

/// Whether text in this attribute compares with case; asked with the full path, also from within brackets.
pub(super) fn case_exact(kind: ObjectKind, path: &AttrPath) -> bool {
    match resolve(kind, path) {
        Some((_, Some(sub))) => sub.case_exact,
        Some((attr, None)) => attr.sub("value").map_or(attr.case_exact, |value| value.case_exact),
        None => false,
    }
}

fn find(attrs: &'static [Attr], name: &str) -> Option<&'static Attr> {
    attrs.iter().find(|attr| attr.name.eq_ignore_ascii_case(name))
}
