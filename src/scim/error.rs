//! Errors as RFC 7644 section 3.12 writes them.

use super::ERROR;
use serde_json::{Map, Value, json};
use std::fmt;

/// The detail keyword of a 400 or 409 (RFC 7644 section 3.12, table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScimType {
    /// The filter is malformed, or names an attribute that does not exist.
    InvalidFilter,
    /// The filter yields more results than the server is willing to return.
    TooMany,
    /// A value that must be unique is taken.
    Uniqueness,
    /// The change is not compatible with the attribute's mutability.
    Mutability,
    /// The body is not JSON, or does not conform to the schema.
    InvalidSyntax,
    /// The PATCH path is malformed, or names an attribute that does not exist.
    InvalidPath,
    /// The PATCH path yields nothing that could be changed.
    NoTarget,
    /// A required value is missing, or a value does not fit the attribute's type.
    InvalidValue,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request would carry sensitive data in the URL.
    Sensitive,
}

impl ScimType {
    const ALL: [Self; 10] = [
        Self::InvalidFilter,
        Self::TooMany,
        Self::Uniqueness,
        Self::Mutability,
        Self::InvalidSyntax,
        Self::InvalidPath,
        Self::NoTarget,
        Self::InvalidValue,
        Self::InvalidVers,
        Self::Sensitive,
    ];

    /// The keyword on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
        }
    }

    /// The keyword's meaning; servers do not agree on its case.
    #[must_use]
    pub fn parse(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(keyword))
    }
}

impl fmt::Display for ScimType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error answer: HTTP status, keyword, and text for a human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimError {
    /// HTTP status.
    pub status: u16,
    /// Keyword, where the status has one.
    pub scim_type: Option<ScimType>,
    /// Text for a human; may be empty.
    pub detail: String,
}

impl std::error::Error for ScimError {}

impl fmt::Display for ScimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(scim_type) = self.scim_type {
            write!(f, " {scim_type}")?;
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl ScimError {
    /// An error without keyword.
    #[must_use]
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into() }
    }

    /// A 400 with its keyword.
    #[must_use]
    pub fn bad_request(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { status: 400, scim_type: Some(scim_type), detail: detail.into() }
    }

    /// A 409 `uniqueness`.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self { status: 409, scim_type: Some(ScimType::Uniqueness), detail: detail.into() }
    }

    /// The body: `status` is a string (RFC 7644 section 3.12).
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut body = Map::new();
        body.insert("schemas".into(), json!([ERROR]));
        body.insert("status".into(), Value::String(self.status.to_string()));
        if let Some(scim_type) = self.scim_type {
            body.insert("scimType".into(), scim_type.as_str().into());
        }
        if !self.detail.is_empty() {
            body.insert("detail".into(), self.detail.as_str().into());
        }
        Value::Object(body)
    }

    /// Reads an error answer as servers really write it: `detail` as text, array or object, bodies that are plain text,
    /// HTML or empty. The status is the one on the status line; what the body says about it is not believed.
    #[must_use]
    pub fn from_response(status: u16, body: &[u8]) -> Self {
        let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(body) else {
            let text = String::from_utf8_lossy(body);
            let text = text.trim();
            let detail = if text.starts_with('<') { String::new() } else { text.to_owned() };
            return Self { status, scim_type: None, detail };
        };
        let get = |name: &str| object.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let scim_type = get("scimType").and_then(Value::as_str).and_then(ScimType::parse);
        let detail = get("detail").or_else(|| get("message")).or_else(|| get("error")).map(text_of).unwrap_or_default();
        Self { status, scim_type, detail }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Array(all) => all.iter().map(text_of).collect::<Vec<_>>().join("; "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_a_string_status_and_reads_back() {
        let error = ScimError::conflict("userName is taken");
        let body = error.to_value();
        assert_eq!(body["status"], "409");
        assert_eq!(body["scimType"], "uniqueness");
        assert_eq!(ScimError::from_response(409, body.to_string().as_bytes()), error);
    }

    #[test]
    fn what_servers_really_send_is_read() {
        let read = |body: &str| ScimError::from_response(400, body.as_bytes());
        assert_eq!(read(r#"{"status":400,"scimType":"InvalidValue","detail":["a","b"]}"#).detail, "a; b");
        assert_eq!(read(r#"{"scimType":"INVALIDVALUE"}"#).scim_type, Some(ScimType::InvalidValue));
        assert_eq!(read("<html>oops</html>"), ScimError::new(400, ""));
        assert_eq!(read(" token expired\n"), ScimError::new(400, "token expired"));
        assert_eq!(read(""), ScimError::new(400, ""));
        assert_eq!(read("[]").scim_type, None);
    }
}
