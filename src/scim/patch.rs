//! PATCH bodies (RFC 7644 section 3.5.2).

use super::PATCH_OP;
use super::error::{ScimError, ScimType};
use serde_json::{Map, Value, json};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatchKind {
    /// Adds values, or sets a single-valued attribute (section 3.5.2.1).
    Add,
    /// Removes values (section 3.5.2.2).
    Remove,
    /// Replaces values (section 3.5.2.3).
    Replace,
}

impl PatchKind {
    /// The word on the wire, lower case: the only spelling that every server understands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
        }
    }

    /// The operation of this name; clients write it in any case (Entra ID: `Add`).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Add, Self::Remove, Self::Replace].into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

/// One operation of a PATCH.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchOperation {
    /// What it does.
    pub kind: PatchKind,
    /// The target, as text: [`super::path::Path`] reads it, except for a schema URN that stands alone.
    pub path: Option<String>,
    /// The value; `None` where the body has no such member, `Some(Null)` for `null`.
    pub value: Option<Value>,
}

impl PatchOperation {
    /// `add` at `path`.
    #[must_use]
    pub fn add(path: impl Into<String>, value: Value) -> Self {
        Self { kind: PatchKind::Add, path: Some(path.into()), value: Some(value) }
    }

    /// `replace` at `path`.
    #[must_use]
    pub fn replace(path: impl Into<String>, value: Value) -> Self {
        Self { kind: PatchKind::Replace, path: Some(path.into()), value: Some(value) }
    }

    /// `remove` at `path`.
    #[must_use]
    pub fn remove(path: impl Into<String>) -> Self {
        Self { kind: PatchKind::Remove, path: Some(path.into()), value: None }
    }

    /// The operation as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("op".into(), self.kind.as_str().into());
        if let Some(path) = &self.path {
            object.insert("path".into(), path.as_str().into());
        }
        if let Some(value) = &self.value {
            object.insert("value".into(), value.clone());
        }
        Value::Object(object)
    }
}

/// The body of a PATCH.
#[must_use]
pub fn to_body(operations: &[PatchOperation]) -> Value {
    json!({ "schemas": [PATCH_OP], "Operations": operations.iter().map(PatchOperation::to_value).collect::<Vec<_>>() })
}

/// Reads the body of a PATCH, strictly but for the case of names and of `op`.
///
/// # Errors
/// 400 `invalidSyntax`, `invalidPath` or `invalidValue`, saying which operation is wrong and how.
pub fn from_body(body: Value) -> Result<Vec<PatchOperation>, ScimError> {
    let syntax = |detail: String| ScimError::bad_request(ScimType::InvalidSyntax, detail);
    let Value::Object(mut body) = body else {
        return Err(syntax("a PATCH body is a JSON object".into()));
    };
    let schemas = take(&mut body, "schemas");
    let listed = schemas
        .as_ref()
        .and_then(Value::as_array)
        .is_some_and(|all| all.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_OP))));
    if !listed {
        return Err(syntax(format!("`schemas` of a PATCH body must list {PATCH_OP}")));
    }
    let Some(Value::Array(operations)) = take(&mut body, "Operations") else {
        return Err(syntax("a PATCH body has an array `Operations`".into()));
    };
    if operations.is_empty() {
        return Err(syntax("`Operations` is empty".into()));
    }
    operations.into_iter().enumerate().map(|(i, operation)| read(i + 1, operation)).collect()
}

fn read(number: usize, operation: Value) -> Result<PatchOperation, ScimError> {
    let wrong = |scim_type, what: String| Err(ScimError::bad_request(scim_type, format!("operation {number}: {what}")));
    let Value::Object(mut operation) = operation else {
        return wrong(ScimType::InvalidSyntax, "is not a JSON object".into());
    };
    let kind = match take(&mut operation, "op") {
        Some(Value::String(word)) => match PatchKind::parse(&word) {
            Some(kind) => kind,
            None => return wrong(ScimType::InvalidSyntax, format!("`op` is {word:?}, not add, remove or replace")),
        },
        _ => return wrong(ScimType::InvalidSyntax, "`op` is missing or not a string".into()),
    };
    let path = match take(&mut operation, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) if !path.trim().is_empty() => Some(path),
        Some(_) => return wrong(ScimType::InvalidPath, "`path` is empty or not a string".into()),
    };
    let value = take(&mut operation, "value");
    if value.is_none() && kind != PatchKind::Remove {
        return wrong(ScimType::InvalidValue, format!("`{}` needs a `value`", kind.as_str()));
    }
    if let Some(unknown) = operation.keys().next() {
        return wrong(ScimType::InvalidSyntax, format!("`{unknown}` is not part of a PATCH operation"));
    }
    Ok(PatchOperation { kind, path, value })
}

/// Takes a member by name, without case.
fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    if let Some(value) = object.remove(name) {
        return Some(value);
    }
    let key = object.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    object.remove(&key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_back() {
        let operations = vec![
            PatchOperation::replace("active", Value::Bool(false)),
            PatchOperation::add("members", json!([{"value": "1"}])),
            PatchOperation::remove("members[value eq \"2\"]"),
            PatchOperation { kind: PatchKind::Add, path: None, value: Some(json!({"title": null})) },
        ];
        assert_eq!(from_body(to_body(&operations)).unwrap(), operations);
    }

    #[test]
    fn malformed_bodies_are_refused_with_the_right_keyword() {
        let refused =
            |operations: Value| from_body(json!({"schemas": [PATCH_OP], "Operations": operations})).unwrap_err().scim_type;
        assert_eq!(refused(json!([])), Some(ScimType::InvalidSyntax));
        assert_eq!(refused(json!({})), Some(ScimType::InvalidSyntax));
        assert_eq!(refused(json!([{"op": "zap", "path": "a", "value": 1}])), Some(ScimType::InvalidSyntax));
        assert_eq!(refused(json!([{"op": "add", "path": 7, "value": 1}])), Some(ScimType::InvalidPath));
        assert_eq!(refused(json!([{"op": "replace", "path": "a"}])), Some(ScimType::InvalidValue));
        assert_eq!(refused(json!([{"op": "add", "value": {}, "extra": 1}])), Some(ScimType::InvalidSyntax));
        assert!(from_body(json!({"Operations": [{"op": "remove", "path": "a"}]})).is_err());
    }

    #[test]
    fn names_and_operations_compare_without_case() {
        let body = json!({"Schemas": [PATCH_OP], "operations": [{"OP": "Replace", "Path": "active", "VALUE": true}]});
        assert_eq!(from_body(body).unwrap(), vec![PatchOperation::replace("active", Value::Bool(true))]);
    }
}
