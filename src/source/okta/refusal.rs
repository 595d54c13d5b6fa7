//! What Okta refuses, in words that say what to do. Errors are told apart by `errorCode` and status alone; the summary is
//! quoted and never judged.

use crate::http::body;
use crate::source::SourceError;
use http::StatusCode;
use serde::Deserialize;

/// Okta's error object.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Said {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    error_summary: String,
}

/// One refused request.
pub(super) struct Refusal<'a> {
    pub source: &'a str,
    /// Path of the address.
    pub path: &'a str,
    pub status: StatusCode,
    pub body: &'a [u8],
    /// A service app signed in, not an API token.
    pub service: bool,
}

/// The scope that this path needs, and what it reads.
fn scope_of(path: &str) -> (&'static str, &'static str) {
    match path.split('/').nth(3) {
        Some("groups") => ("okta.groups.read", "groups"),
        Some("apps") => ("okta.apps.read", "the application's users and groups"),
        Some("logs") => ("okta.logs.read", "the System Log"),
        _ => ("okta.users.read", "users"),
    }
}

impl Refusal<'_> {
    /// The error to end the read with. `redact` takes secrets out of what is quoted.
    pub(super) fn error(&self, redact: impl Fn(&str) -> String) -> SourceError {
        let said: Said = serde_json::from_slice(self.body).unwrap_or_default();
        let quote = if said.error_code.is_empty() {
            body::excerpt(self.body, &redact)
        } else {
            redact(&format!("{} {}", said.error_code, said.error_summary)).trim().to_owned()
        };
        let http = self.status.as_u16();
        let source_name = self.source.to_owned();
        let (scope, what) = scope_of(self.path);
        match self.status {
            StatusCode::UNAUTHORIZED if self.service => SourceError::Auth {
                source_name,
                message: format!("Okta refuses the access token (HTTP {http}: {quote}): is the service app still active?"),
            },
            StatusCode::UNAUTHORIZED => SourceError::Auth {
                source_name,
                message: format!(
                    "Okta refuses the API token (HTTP {http}: {quote}): it was revoked, was not used for 30 days, or whoever made \
                     it is no longer active; make another one (Security > API > Tokens)"
                ),
            },
            StatusCode::FORBIDDEN if self.service => SourceError::Auth {
                source_name,
                message: format!(
                    "the service app may not read {what} (HTTP {http}: {quote}): grant it the scope {scope} (tab Okta API Scopes) \
                     and an administrator role that shows {what}, such as Read-Only Administrator (tab Admin roles)"
                ),
            },
            StatusCode::FORBIDDEN => SourceError::Auth {
                source_name,
                message: format!(
                    "the API token may not read {what} (HTTP {http}: {quote}): it has the rights of whoever made it; make it as a \
                     Read-Only Administrator"
                ),
            },
            StatusCode::NOT_FOUND if scope == "okta.apps.read" => SourceError::Malformed {
                source_name,
                message: format!(
                    "there is no such application (HTTP {http}: {quote}): assigned_to is the id in the address of the application's \
                     page in the admin console, 0oa…"
                ),
            },
            s if s.is_redirection() || s == StatusCode::NOT_FOUND => SourceError::Malformed {
                source_name,
                message: format!("{} answers HTTP {http}: is `url` the organisation's own address? {quote}", self.path),
            },
            _ => SourceError::Malformed { source_name, message: format!("{} answers HTTP {http}: {quote}", self.path) },
        }
    }
}

/// Whether a 404 is Okta's own word that there is no such object (E0000007), not a proxy's that there is no such page.
pub(super) fn is_gone(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|said| said["errorCode"] == "E0000007")
}

/// A refusal by the token endpoint, with what to do.
pub(super) fn of_token(error: &str, said: &str, scopes: &str) -> String {
    let advice = match error {
        "invalid_client" => {
            "check client_id and that the public half of private_key stands among the app's keys, under the id that key_id names"
        }
        "invalid_scope" | "access_denied" => "grant these scopes to the app (tab Okta API Scopes)",
        "unauthorized_client" => "the app must be an API Services app with public key / private key authentication",
        _ => "check the service app's settings",
    };
    format!("the token endpoint refused: {error} ({said}) for {scopes}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, status: u16, service: bool, body: &str) -> SourceError {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        Refusal { source: "okta", path, status, body: body.as_bytes(), service }.error(|t| t.replace("s3cret", "[secret]"))
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let forbidden = r#"{"errorCode":"E0000006","errorSummary":"You do not have permission to perform the requested action"}"#;
        for (error, words) in [
            (told("/api/v1/users", 401, false, r#"{"errorCode":"E0000011"}"#), &["E0000011", "Tokens"][..]),
            (told("/api/v1/users", 403, true, forbidden), &["okta.users.read", "E0000006", "Admin roles"]),
            (told("/api/v1/groups/00g1/users", 403, true, forbidden), &["okta.groups.read"]),
            (told("/api/v1/logs", 403, true, forbidden), &["okta.logs.read", "the System Log", "Admin roles"]),
            (told("/api/v1/apps/0oa1/users", 403, false, forbidden), &["Read-Only Administrator"]),
            (told("/api/v1/apps/0oa1/users", 404, false, "{}"), &["assigned_to"]),
            (told("/api/v1/users", 302, false, "<html>Sign in</html>"), &["`url`", "Sign in"]),
            (told("/api/v1/users", 400, false, "you sent s3cret"), &["[secret]"]),
        ] {
            let text = error.to_string();
            for word in words {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
        assert!(of_token("invalid_scope", "", "okta.users.read").contains("okta.users.read"));
    }

    #[test]
    fn only_okta_says_who_is_gone() {
        assert!(is_gone(br#"{"errorCode":"E0000007","errorSummary":"Not found: Resource not found: 00u1 (User)"}"#));
        for other in [&b""[..], b"<html>404</html>", b"{}", br#"{"errorCode":"E0000022"}"#, br#"["E0000007"]"#] {
            assert!(!is_gone(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
