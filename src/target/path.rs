//! The paths that stand in a flat resource, taken apart for building bodies and for reading answers.
//!
//! Only what can be both sent and found again is understood: `attr`, `attr.sub`, `URN:attr`, `URN:attr.sub`, and
//! `attr[sub eq literal and ...]` with or without `.sub` behind it (RFC 7644 section 3.5.2).

use crate::scim;
use serde_json::{Map, Value};

/// A flat path in parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FlatPath<'a> {
    /// Extension schema URN; `None` for core attributes, also where the path spelled the core URN.
    pub urn: Option<&'a str>,
    /// Attribute.
    pub attr: &'a str,
    /// What an element of a multi-valued attribute must have, e.g. `type` = `"work"`.
    pub element: Vec<(&'a str, Value)>,
    /// Sub-attribute.
    pub sub: Option<&'a str>,
}

/// A path that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: not a path that can be sent; expected attribute, attribute.sub, URN:attribute or attribute[type eq \"x\"].sub")]
pub(super) struct BadPath {
    /// As written.
    pub path: String,
}

impl<'a> FlatPath<'a> {
    /// Takes a path apart.
    pub fn parse(path: &'a str) -> Result<Self, BadPath> {
        Self::parts(path.trim()).ok_or_else(|| BadPath { path: path.to_owned() })
    }

    fn parts(path: &'a str) -> Option<Self> {
        let (head, element, tail) = match path.split_once('[') {
            None => (path, Vec::new(), ""),
            Some((head, rest)) => {
                let close = closing(rest)?;
                (head, conjunction(&rest[..close])?, &rest[close + 1..])
            }
        };
        let (urn, name) = if head.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("urn:")) {
            let (urn, name) = head.rsplit_once(':')?;
            let core = urn.eq_ignore_ascii_case(scim::USER) || urn.eq_ignore_ascii_case(scim::GROUP);
            ((!core).then_some(urn), name)
        } else {
            (None, head)
        };
        let (attr, sub) = if !element.is_empty() || path.contains('[') {
            let sub = match tail {
                "" => None,
                t => Some(t.strip_prefix('.')?),
            };
            (name, sub)
        } else {
            name.split_once('.').map_or((name, None), |(a, s)| (a, Some(s)))
        };
        let ok = is_name(attr) && sub.is_none_or(is_name) && urn.is_none_or(|u| u.len() > 4);
        ok.then_some(Self { urn, attr, element, sub })
    }

    /// Whether this is the boolean `active`, or the boolean `primary` of an element.
    pub fn is_boolean(&self) -> bool {
        match self.sub {
            None => self.urn.is_none() && self.attr.eq_ignore_ascii_case("active"),
            Some(sub) => sub.eq_ignore_ascii_case("primary"),
        }
    }

    /// The manager of the enterprise extension: complex at the target, a plain id in a mapping.
    pub fn is_manager(&self) -> bool {
        self.urn.is_some_and(|u| u.eq_ignore_ascii_case(scim::ENTERPRISE))
            && self.attr.eq_ignore_ascii_case("manager")
            && self.sub.is_none_or(|s| s.eq_ignore_ascii_case("value"))
    }

    /// Whether both address the same element of the same attribute.
    pub fn same_element(&self, other: &FlatPath<'_>) -> bool {
        self.same_attribute(other)
            && self.element.len() == other.element.len()
            && self.element.iter().all(|(k, v)| other.element.iter().any(|(ok, ov)| k.eq_ignore_ascii_case(ok) && same(v, ov)))
    }

    /// Whether both address the same attribute.
    pub fn same_attribute(&self, other: &FlatPath<'_>) -> bool {
        self.attr.eq_ignore_ascii_case(other.attr)
            && match (self.urn, other.urn) {
                (None, None) => true,
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                _ => false,
            }
    }

    /// What follows this attribute in a name, which may be written in any letter case; `None`: it is another one.
    pub fn rest_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let cut = |text: &'n str, prefix: &str| {
            text.get(..prefix.len()).filter(|t| t.eq_ignore_ascii_case(prefix)).map(|_| &text[prefix.len()..])
        };
        let name = match self.urn {
            Some(urn) => cut(name, urn)?.strip_prefix(':')?,
            None => name,
        };
        cut(name, self.attr)
    }

    /// The attribute as PATCH names it: `emails`, `urn:...:User:department`.
    pub fn attribute(&self) -> String {
        self.urn.map_or_else(|| self.attr.to_owned(), |u| format!("{u}:{}", self.attr))
    }

    /// Whether a JSON element is the one this path selects.
    pub fn selects(&self, element: &Value) -> bool {
        self.element.iter().all(|(k, v)| element.as_object().and_then(|o| field(o, k)).is_some_and(|have| same(have, v)))
    }
}

/// `text` as a JSON boolean where it is one in any spelling (`"True"`), else unchanged.
pub(super) fn boolean(value: &Value) -> Value {
    match value.as_str() {
        Some(s) if s.eq_ignore_ascii_case("true") => Value::Bool(true),
        Some(s) if s.eq_ignore_ascii_case("false") => Value::Bool(false),
        _ => value.clone(),
    }
}

/// A member of an object; names compare without case (RFC 7643 section 2.1).
pub(super) fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).or_else(|| object.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

/// The key under which an object has `name`, in the object's own spelling.
pub(super) fn key_of<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v String> {
    object.get_key_value(name).map(|(k, _)| k).or_else(|| object.keys().find(|k| k.eq_ignore_ascii_case(name)))
}

/// Equal as a filter or a normalising server sees it: strings without case and outer blanks, booleans and numbers in
/// any spelling.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => same_text(a, b),
        (Value::String(s), Value::Bool(x)) | (Value::Bool(x), Value::String(s)) => {
            s.eq_ignore_ascii_case(if *x { "true" } else { "false" })
        }
        (Value::String(s), Value::Number(n)) | (Value::Number(n), Value::String(s)) => s.trim() == n.to_string(),
        _ => a == b,
    }
}

/// Equal without case and outer blanks.
pub(super) fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    a == b || a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

/// Where the bracket closes, not counting brackets inside strings.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(i),
            _ => {}
        }
    }
    None
}

/// `a eq "x" and b eq true`; at least one term.
fn conjunction(text: &str) -> Option<Vec<(&str, Value)>> {
    let mut terms = Vec::new();
    let mut rest = text.trim();
    loop {
        let (name, r) = rest.split_once(char::is_whitespace)?;
        let (op, r) = r.trim_start().split_once(char::is_whitespace)?;
        if !op.eq_ignore_ascii_case("eq") || !is_name(name) {
            return None;
        }
        let r = r.trim_start();
        let mut values = serde_json::Deserializer::from_str(r).into_iter::<Value>();
        let value = values.next()?.ok()?;
        if value.is_array() || value.is_object() {
            return None;
        }
        terms.push((name, value));
        rest = r[values.byte_offset()..].trim_start();
        if rest.is_empty() {
            return Some(terms);
        }
        let (and, r) = rest.split_once(char::is_whitespace)?;
        if !and.eq_ignore_ascii_case("and") {
            return None;
        }
        rest = r.trim_start();
    }
}

/// RFC 7643 section 2.1: a letter (or `$`), then letters, digits, `-`, `_`.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '$' || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_come_apart() {
        let p = FlatPath::parse("userName").unwrap();
        assert_eq!((p.urn, p.attr, p.sub), (None, "userName", None));
        let p = FlatPath::parse("name.givenName").unwrap();
        assert_eq!((p.attr, p.sub), ("name", Some("givenName")));
        let p = FlatPath::parse(r#"emails[type eq "work"].value"#).unwrap();
        assert_eq!((p.attr, p.sub), ("emails", Some("value")));
        assert_eq!(p.element, vec![("type", json!("work"))]);
        let p = FlatPath::parse("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value").unwrap();
        assert_eq!((p.urn, p.attr, p.sub), (Some(scim::ENTERPRISE), "manager", Some("value")));
        assert!(p.is_manager());
        let p = FlatPath::parse("urn:ietf:params:scim:schemas:core:2.0:User:userName").unwrap();
        assert_eq!((p.urn, p.attr), (None, "userName"), "the core URN is dropped: not every server takes it");
        let p = FlatPath::parse(r#"roles[type EQ "a ] \" b" and primary eq true]"#).unwrap();
        assert_eq!(p.element, vec![("type", json!("a ] \" b")), ("primary", json!(true))]);
        assert_eq!(p.sub, None);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for bad in [
            "",
            " ",
            ".",
            "a.",
            ".b",
            "a b",
            "a[",
            "a[]",
            "a[type]",
            "a[type eq]",
            "a[type eq \"x\"",
            "a[type ne \"x\"]",
            "a[type eq \"x\"]value",
            "a[type eq \"x\" or type eq \"y\"]",
            "a[type eq [1]]",
            "urn:",
            "urn:x",
            "9a",
            "a[type eq \"x\"].",
            "ä",
            "a[é eq \"x\"]",
        ] {
            assert!(FlatPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn elements_are_selected_without_case() {
        let p = FlatPath::parse(r#"emails[type eq "work"].value"#).unwrap();
        assert!(p.selects(&json!({"Type": "WORK", "value": "x"})));
        assert!(!p.selects(&json!({"type": "home"})) && !p.selects(&json!("work")) && !p.selects(&json!({})));
    }

    #[test]
    fn values_compare_as_servers_normalise_them() {
        assert!(same(&json!("True"), &json!(true)) && same(&json!("7"), &json!(7)) && same(&json!(" Ä "), &json!("ä")));
        assert!(!same(&json!("7"), &json!(8)) && !same(&json!(null), &json!("")) && !same(&json!("a"), &json!("b")));
    }
}
