//! The attributes of RFC 7643 sections 4.1 to 4.3 as far as a mapping can write them, and the canonical form of paths.

use super::spec::nearest;
use crate::model::ObjectKind;
use crate::scim::filter::{Filter, Op};
use crate::scim::path::{AttrPath, Path};
use crate::scim::{ENTERPRISE, GROUP, USER};
use serde_json::Value;

/// What kind of attribute it is.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// One value.
    Simple,
    /// One value with these sub-attributes.
    Complex(&'static [&'static str]),
    /// Several values with these sub-attributes.
    Multi(&'static [&'static str]),
    /// Not for a mapping, for this reason.
    Refused(&'static str),
}

/// What JSON type a path takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A boolean.
    Boolean,
    /// The account of another person: the value names that person at the source.
    Reference,
    /// Several values, one for each role. `true`: others than these are taken out.
    Roles(bool),
    /// Memberships: not in the hands of the mapping.
    Members,
}

use Shape::{Complex, Multi, Refused, Simple};

const PLURAL: Shape = Multi(&["value", "display", "type", "primary"]);
const SERVER: Shape = Refused("the server sets it");

const USER_ATTRIBUTES: &[(&str, Shape)] = &[
    ("userName", Simple),
    ("externalId", Simple),
    ("displayName", Simple),
    ("nickName", Simple),
    ("profileUrl", Simple),
    ("title", Simple),
    ("userType", Simple),
    ("preferredLanguage", Simple),
    ("locale", Simple),
    ("timezone", Simple),
    ("active", Simple),
    ("name", Complex(&["formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"])),
    ("emails", PLURAL),
    ("phoneNumbers", PLURAL),
    ("ims", PLURAL),
    ("photos", PLURAL),
    ("entitlements", PLURAL),
    ("roles", PLURAL),
    ("x509Certificates", PLURAL),
    ("addresses", Multi(&["formatted", "streetAddress", "locality", "region", "postalCode", "country", "type", "primary"])),
    ("id", SERVER),
    ("meta", SERVER),
    ("schemas", Refused("it follows from the other attributes")),
    ("groups", Refused("memberships are written at the group")),
    ("password", Refused("passwords are not provisioned")),
];

const ENTERPRISE_ATTRIBUTES: &[(&str, Shape)] = &[
    ("employeeNumber", Simple),
    ("costCenter", Simple),
    ("organization", Simple),
    ("division", Simple),
    ("department", Simple),
    ("manager", Complex(&["value", "$ref", "displayName"])),
];

const GROUP_ATTRIBUTES: &[(&str, Shape)] = &[
    ("displayName", Simple),
    ("externalId", Simple),
    ("id", SERVER),
    ("meta", SERVER),
    ("schemas", Refused("it follows from the other attributes")),
];

/// A path that a mapping can write, in the spelling of the RFC.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Canonical {
    pub path: String,
    pub kind: Kind,
}

/// Why a path cannot be mapped, and what to write instead.
type Refusal = (String, Option<String>);

/// The canonical form of a path as written: attribute names spelled as in the RFC, the URN of the core schema left out,
/// the value filter normalised.
/// `roles` asks for an attribute with several values as a whole.
pub(super) fn canonical(object: ObjectKind, written: &str, roles: Option<bool>) -> Result<Canonical, Refusal> {
    let mut path: Path = written.parse().map_err(|e: crate::scim::ParseError| (e.to_string(), None))?;
    let core = if object == ObjectKind::User { USER } else { GROUP };
    if path.attr.is_whole_extension() {
        return Err(("a schema URN alone names no attribute".to_owned(), Some(format!("write {}:department", path.attr))));
    }
    let table = match path.attr.urn.as_deref() {
        None => Some((if object == ObjectKind::User { USER_ATTRIBUTES } else { GROUP_ATTRIBUTES }, None)),
        Some(urn) if urn.eq_ignore_ascii_case(core) => {
            Some((if object == ObjectKind::User { USER_ATTRIBUTES } else { GROUP_ATTRIBUTES }, None))
        }
        Some(urn) if urn.eq_ignore_ascii_case(ENTERPRISE) && object == ObjectKind::User => {
            Some((ENTERPRISE_ATTRIBUTES, Some(ENTERPRISE.to_owned())))
        }
        Some(_) => None,
    };
    let no_roles = || Err((format!("several roles do not go into {written}"), Some("write roles".to_owned())));
    if roles.is_some() && (table.is_none() || object == ObjectKind::Group) {
        return no_roles();
    }
    // A schema of the application's own: nothing is known, so it stays as written.
    let Some((table, urn)) = table else { return Ok(Canonical { path: path.to_string(), kind: Kind::Text }) };
    path.attr.urn = urn;
    if object == ObjectKind::Group && path.attr.name.eq_ignore_ascii_case("members") {
        return Ok(Canonical { path: "members".to_owned(), kind: Kind::Members });
    }
    let Some((name, shape)) = table.iter().find(|(name, _)| name.eq_ignore_ascii_case(&path.attr.name)) else {
        let name = path.attr.name.as_str();
        return match nearest(name, table.iter().map(|(n, _)| *n)) {
            Some(near) => Err((format!("{name} is no attribute of this schema"), Some(format!("is {near} meant?")))),
            None if roles.is_some() => no_roles(),
            None => Ok(Canonical { path: path.to_string(), kind: Kind::Text }),
        };
    };
    path.attr.name = (*name).to_owned();
    if let Some(replaces) = roles {
        return match shape {
            Multi(_) if path.filter.is_none() && path.attr.sub.is_none() && path.sub.is_none() => {
                Ok(Canonical { path: path.to_string(), kind: Kind::Roles(replaces) })
            }
            _ => Err((format!("several roles do not go into {path}"), Some("write roles".to_owned()))),
        };
    }
    // As Entra writes it: the manager as a whole.
    if path.attr.urn.is_some() && *name == "manager" && path.filter.is_none() && path.attr.sub.is_none() {
        path.attr.sub = Some("value".to_owned());
    }
    settle(&mut path, *shape)?;
    if path.attr.urn.is_some() && *name == "manager" && path.attr.sub.as_deref() == Some("value") {
        return Ok(Canonical { path: path.to_string(), kind: Kind::Reference });
    }
    let sub = path.sub.as_deref().or(path.attr.sub.as_deref());
    let boolean = (path.attr.urn.is_none() && *name == "active") || sub == Some("primary");
    Ok(Canonical { path: path.to_string(), kind: if boolean { Kind::Boolean } else { Kind::Text } })
}

/// Brings the sub-attribute and the filter of `path` into the form that `shape` demands.
fn settle(path: &mut Path, shape: Shape) -> Result<(), Refusal> {
    let name = path.attr.name.clone();
    match shape {
        Refused(why) => Err((format!("{name} cannot be mapped: {why}"), None)),
        Simple if path.attr.sub.is_some() || path.filter.is_some() => {
            Err((format!("{name} has no sub-attributes"), Some(format!("write {name}"))))
        }
        Simple => Ok(()),
        Complex(subs) => {
            let hint = Some(format!("write {name}.{}", subs.first().unwrap_or(&"value")));
            match (&path.filter, &mut path.attr.sub) {
                (None, Some(sub)) => spell(&name, sub, subs),
                _ => Err((format!("{name} is mapped by its sub-attributes"), hint)),
            }
        }
        Multi(subs) => {
            let first = subs.first().unwrap_or(&"value");
            let hint = Some(format!("write {name}[type eq \"work\"].{first}"));
            let (Some(filter), Some(sub)) = (&mut path.filter, &mut path.sub) else {
                return Err((format!("{name} has several values: say which one, and which sub-attribute"), hint));
            };
            spell(&name, sub, subs)?;
            normalise(&name, filter, subs).map_err(|why| (why, hint))
        }
    }
}

fn spell(name: &str, sub: &mut String, subs: &[&str]) -> Result<(), Refusal> {
    match subs.iter().find(|s| s.eq_ignore_ascii_case(sub)) {
        Some(right) => {
            (*right).clone_into(sub);
            Ok(())
        }
        None => {
            let hint = nearest(sub, subs.iter().copied())
                .map_or_else(|| format!("one of {}", subs.join(", ")), |n| format!("is {n} meant?"));
            Err((format!("{name} has no sub-attribute {sub}"), Some(hint)))
        }
    }
}

/// A value filter must say by equality what the value looks like, so that the value can be made where it is missing.
fn normalise(name: &str, filter: &mut Filter, subs: &[&str]) -> Result<(), String> {
    match filter {
        Filter::And(a, b) => {
            normalise(name, a, subs)?;
            normalise(name, b, subs)
        }
        Filter::Compare(AttrPath { urn: None, name: sub, sub: None }, Op::Eq, value) => {
            spell(name, sub, subs).map_err(|(why, _)| why)?;
            if sub == "primary"
                && let Value::String(text) = &value
                && let Some(truth) = boolean(text)
            {
                *value = Value::Bool(truth);
            }
            if value.is_null() { Err("a value filter compares with a value".to_owned()) } else { Ok(()) }
        }
        _ => Err("only `eq` joined by `and` can stand in the value filter of a mapping".to_owned()),
    }
}

/// `True` or `False`, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        t if t.eq_ignore_ascii_case("true") => Some(true),
        t if t.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
