//! What must not be shown: secrets, and values that the mapping marks with `Redact`.

use super::attr::SourceAttr;
use super::expr::Node;
use super::mapper::Mapper;
use crate::model::ObjectKind;
pub use crate::model::is_secret;
use std::collections::BTreeSet;

/// What stands in place of a hidden value.
pub const HIDDEN: &str = "(hidden)";

/// Paths and source attributes whose values are hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redacted {
    /// SCIM paths.
    pub paths: BTreeSet<String>,
    /// Source attributes, lower case.
    pub attributes: BTreeSet<String>,
}

impl Redacted {
    /// Whether a source attribute is hidden.
    #[must_use]
    pub fn attribute(&self, name: &str) -> bool {
        is_secret(name) || self.attributes.contains(&name.to_lowercase())
    }

    /// Whether what a reference to a source attribute reads is hidden: it may find its value under another name.
    #[must_use]
    pub fn reference(&self, written: &str) -> bool {
        self.attribute(written) || SourceAttr::new(written).names().iter().any(|name| self.attribute(name))
    }

    /// Whether what stands at a SCIM path is hidden.
    #[must_use]
    pub fn path(&self, path: &str) -> bool {
        is_secret(path) || self.paths.contains(path)
    }
}

impl Mapper {
    /// What the mapping of people or groups hides.
    #[must_use]
    pub fn hidden(&self, kind: ObjectKind) -> Redacted {
        let mut out = Redacted::default();
        for row in &self.rows_of(kind).rows {
            let mut calls = Vec::new();
            redacting(&row.expr.0, &mut calls);
            let mut attrs = Vec::new();
            calls.iter().for_each(|node| node.attributes(&mut attrs));
            let mut read = Vec::new();
            row.expr.0.attributes(&mut read);
            let secret = read.iter().any(|a| is_secret(a.written()));
            if !calls.is_empty() || secret {
                out.paths.insert(row.path.clone());
            }
            for attr in attrs {
                out.attributes.insert(attr.written().to_lowercase());
                out.attributes.extend(attr.names().iter().map(|n| n.to_lowercase()));
            }
        }
        out
    }
}

/// Takes values that must not be shown out of a body.
pub(crate) fn mask(value: &mut serde_json::Value, secrets: &[&serde_json::Value]) {
    if secrets.contains(&&*value) {
        *value = HIDDEN.into();
        return;
    }
    match value {
        serde_json::Value::Array(list) => list.iter_mut().for_each(|v| mask(v, secrets)),
        serde_json::Value::Object(map) => {
            for (name, v) in map.iter_mut() {
                if is_secret(name) {
                    *v = HIDDEN.into();
                } else {
                    mask(v, secrets);
                }
            }
        }
        _ => {}
    }
}

/// The calls of `Redact` in an expression.
fn redacting<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    match node {
        Node::Call(call) if call.function.name.eq_ignore_ascii_case("redact") => found.push(node),
        Node::Call(call) => call.args.iter().for_each(|arg| redacting(arg, found)),
        Node::Compare(left, _, right) => {
            redacting(left, found);
            redacting(right, found);
        }
        Node::Attr(_) | Node::Text(_) | Node::Number(_) | Node::Empty => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Redacted, is_secret};

    #[test]
    fn no_secret_leaks_by_another_name_of_a_hidden_attribute() {
        let hidden = Redacted { attributes: ["samaccountname".to_owned()].into(), ..Redacted::default() };
        assert!(hidden.reference("mailNickname") && hidden.reference("sAMAccountName"));
        assert!(!hidden.reference("title"));
        assert!(!hidden.attribute("mailNickname"), "an attribute of the entry is itself alone");
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for secret in ["password", "userPassword", "unicodePwd", "sambaNTPassword", "krbPrincipalKey", "ntPwdHistory"] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in ["userName", "pwdLastSet", "mail", "title"] {
            assert!(!is_secret(plain), "{plain}");
        }
    }
}
