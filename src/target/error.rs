//! Refusals of a target, read leniently: `status` as string, number or object, `detail` as text, array or object,
//! SCIM 1.1 `Errors`, OAuth's `error_description`, plain text, HTML, nothing at all.

use super::path::field;
use super::presets::Refusal;
use crate::exit::Exit;
use crate::http::body;
use crate::model::Fault;
use serde_json::{Map, Value};
use std::time::Duration;

/// A refusal or failure at the target.
#[derive(Debug, Clone, thiserror::Error)]
#[error("target {target}: {message}")]
pub struct TargetError {
    /// Name in the configuration.
    pub target: String,
    /// Kind of fault.
    pub fault: Fault,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// RFC 7644 section 3.12 `scimType`.
    pub scim_type: Option<Box<str>>,
    /// Method, path, what the server said (excerpt of at most 500 bytes, no secrets) and what to do.
    pub message: String,
    /// Whether the server may have carried the request out although no success was seen (connection lost after
    /// sending, timeout, 5xx): a create must be looked up before it is sent again.
    pub ambiguous: bool,
    /// How long the server asked us to wait.
    pub retry_after: Option<Duration>,
    /// No answer came within our own timeout: the request may still be under way.
    pub timed_out: bool,
    /// What this application means by its answer, where that is known.
    pub known: Option<&'static Refusal>,
    /// A secret cannot be had, or is none: a mistake of the configuration. The target was not asked.
    pub secret: bool,
    /// The write was accepted, and what it changed is not shown any more.
    pub accepted: bool,
    /// The change goes by the whole list of members only (PUT, or a replace): who is known to be in the group has to be told.
    pub wants_members: bool,
    /// Paths that were accepted and not applied in any form; the other paths of the same change are there.
    pub unapplied: Box<[String]>,
}

impl Refusal {
    /// The same error, as this application means it. Whoever is not even allowed to read a list is not let in at all.
    pub(super) fn judged(&'static self, error: TargetError, of_one: bool) -> TargetError {
        match (of_one, self.everyone) {
            (false, Some(everyone)) => {
                TargetError { message: format!("{everyone} ({})", error.message), fault: Fault::Auth, ..error }
            }
            _ => TargetError { fault: self.fault, ambiguous: false, known: Some(self), ..error },
        }
    }
}

impl TargetError {
    /// The kind of fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.secret { Exit::Config } else { Exit::Target }
    }

    /// An error that is no answer of the server.
    pub(crate) fn new(target: &str, fault: Fault, message: impl Into<String>) -> Self {
        Self {
            target: target.to_owned(),
            fault,
            status: None,
            scim_type: None,
            message: message.into(),
            ambiguous: false,
            retry_after: None,
            timed_out: false,
            known: None,
            secret: false,
            accepted: false,
            wants_members: false,
            unapplied: Box::default(),
        }
    }

    /// The same, where the request may have been carried out.
    pub(crate) fn ambiguous(mut self) -> Self {
        self.ambiguous = true;
        self
    }

    /// Whether the server says that the request or its form is beyond it: another form may work.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(self.status, Some(405 | 501))
    }

    /// Whether the refusal has this `scimType`.
    pub fn says(&self, scim_type: &str) -> bool {
        self.scim_type.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(scim_type))
    }

    /// Whether a write is refused because there is nothing to change.
    pub(super) fn says_unchanged(&self) -> bool {
        let message = self.message.to_lowercase();
        let words = ["nothing to change", "nothing to update", "nothing changed", "no change", "not changed", "unchanged"];
        self.known.is_none() && words.iter().any(|w| message.contains(w))
    }

    /// Whether a PATCH is refused because nothing is there that its path selects (RFC 7644 section 3.5.2).
    pub(super) fn says_no_target(&self) -> bool {
        self.says("noTarget")
    }

    /// Whether the refusal may be about the form of a PATCH rather than about a value.
    pub(super) fn is_about_form(&self) -> bool {
        self.status == Some(400)
            && self.known.is_none()
            && self.scim_type.as_deref().is_none_or(|t| {
                ["noTarget", "invalidPath", "invalidFilter", "invalidSyntax"].iter().any(|f| t.eq_ignore_ascii_case(f))
            })
    }
}

/// What a request was about; decides what 403 and 404 mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The service: discovery, a collection.
    Service,
    /// One record: create, read, change, delete.
    Record,
}

/// An error body in its parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub scim_type: Option<String>,
    pub detail: Option<String>,
    pub status: Option<u16>,
}

impl Said {
    /// Reads any body.
    pub fn parse(bytes: &[u8], redact: impl Fn(&str) -> String) -> Self {
        let quote = |text: &str| Some(body::excerpt(text.as_bytes(), &redact)).filter(|t| !t.is_empty());
        let parsed: Option<Value> = serde_json::from_slice(bytes).ok();
        let object = match &parsed {
            Some(Value::Object(o)) => Some(o),
            Some(Value::Array(a)) => a.first().and_then(Value::as_object),
            _ => None,
        };
        let Some(object) = object else {
            let said = match parsed {
                Some(Value::String(s)) => quote(&s),
                _ => Some(body::excerpt(bytes, &redact)).filter(|t| !t.is_empty()),
            };
            return Self { detail: said, ..Self::default() };
        };
        Self::of(object, &quote)
    }

    fn of(object: &Map<String, Value>, quote: &impl Fn(&str) -> Option<String>) -> Self {
        // SCIM 1.1: {"Errors": [{"description", "code"}]}; others: {"error": {..}}.
        for wrapper in ["Errors", "error"] {
            let inner = match field(object, wrapper) {
                Some(Value::Object(o)) => Some(o),
                Some(Value::Array(a)) => a.first().and_then(Value::as_object),
                _ => None,
            };
            if let Some(inner) = inner {
                return Self::of(inner, quote);
            }
        }
        let names = ["detail", "error_description", "description", "message", "title", "error", "errorMessage", "errorSummary"];
        let detail = names.iter().find_map(|n| field(object, n).map(text).filter(|t| !t.trim().is_empty()));
        let detail = detail.or_else(|| {
            // An object without any known name is quoted as it is; SCIM's own frame says nothing.
            let rest: Map<String, Value> = object
                .iter()
                .filter(|(k, _)| !["schemas", "status", "scimtype", "detail"].contains(&k.to_ascii_lowercase().as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            (!rest.is_empty()).then(|| Value::Object(rest).to_string())
        });
        let status = ["status", "code"].iter().find_map(|n| field(object, n).and_then(number));
        let scim_type =
            field(object, "scimType").and_then(Value::as_str).filter(|s| !s.is_empty() && s.len() <= 64).map(str::to_owned);
        Self { scim_type, detail: detail.and_then(|d| quote(&d)), status }
    }
}

/// `detail` in any shape as text.
fn text(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        Value::Array(a) => a.iter().map(text).filter(|t| !t.is_empty()).collect::<Vec<_>>().join("; "),
        Value::Object(o) => {
            let named = ["detail", "message", "description"].iter().find_map(|n| field(o, n));
            named.map_or_else(|| value.to_string(), text)
        }
        other => other.to_string(),
    }
}

/// `status` as string, number, or an object that holds one.
fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Number(n) => n.as_u64().and_then(|n| u16::try_from(n).ok()),
        Value::String(s) => s.trim().get(..3).unwrap_or(s.trim()).parse().ok(),
        Value::Object(o) => ["code", "value", "status"].iter().find_map(|n| field(o, n).and_then(number)),
        _ => None,
    }
    .filter(|n| (100..600).contains(n))
}

/// What an answer with this status means, and whether the request may have been carried out all the same.
pub(super) fn meaning(status: u16, said: &Said, about: About, writes: bool, waits: bool) -> (Fault, bool) {
    let uniqueness = said.scim_type.as_deref().is_some_and(|t| t.eq_ignore_ascii_case("uniqueness"));
    let server_fault = || if waits { (Fault::Throttled, false) } else { (Fault::Transient, true) };
    match status {
        400 if uniqueness && writes => (Fault::Conflict, false),
        401 | 407 => (Fault::Auth, false),
        400..=499 if writes && about == About::Record && status != 429 && is_about_seats(status, said) => (Fault::Full, false),
        403 if about == About::Service => (Fault::Auth, false),
        404 | 410 if about == About::Service => (Fault::Permanent, false),
        404 | 410 => (Fault::Gone, false),
        408 | 425 => (Fault::Transient, true),
        409 => (Fault::Conflict, false),
        429 => (Fault::Throttled, false),
        405 | 501 | 300..=399 => (Fault::Permanent, false),
        500 if writes && is_duplicate(said) => (Fault::Conflict, false),
        503 => server_fault(),
        500..=599 => (Fault::Transient, true),
        _ => (Fault::Invalid, false),
    }
}

/// Servers that answer 500 to a duplicate say so in the text.
fn is_duplicate(said: &Said) -> bool {
    let Some(detail) = said.detail.as_deref().map(str::to_lowercase) else { return false };
    ["already exist", "duplicate", "unique constraint", "uniqueness", "already taken", "already in use"]
        .iter()
        .any(|w| detail.contains(w))
}

/// Applications say in many words, and with 400, 402, 403, 409 or 422, that no licence is left for one more account. What
/// is about a value, or about somebody who is there already, is not.
fn is_about_seats(status: u16, said: &Said) -> bool {
    const SEATS: [&str; 6] = ["seat", "seats", "license", "licenses", "licence", "licences"];
    const LIMIT: [&str; 12] = [
        "limit",
        "limits",
        "exceed",
        "exceeds",
        "exceeded",
        "exceeding",
        "insufficient",
        "maximum",
        "reached",
        "quota",
        "exhausted",
        "full",
    ];
    if status == 402 {
        return true;
    }
    let scim_type = said.scim_type.as_deref().unwrap_or_default();
    let of_values = ["uniqueness", "mutability", "invalidValue", "invalidSyntax", "invalidPath", "noTarget"];
    if matches!(status, 404 | 410) || of_values.iter().any(|t| scim_type.eq_ignore_ascii_case(t)) || is_duplicate(said) {
        return false;
    }
    let detail = said.detail.as_deref().unwrap_or_default().to_lowercase();
    // Whole words: carLicense is an attribute like any other, and a seat in an address is none.
    let words: Vec<&str> = detail
        .split_whitespace()
        .filter(|w| !w.contains('@'))
        .flat_map(|w| w.split(|c: char| !c.is_alphanumeric()))
        .filter(|w| !w.is_empty())
        .collect();
    let says = |any: &[&str]| words.iter().any(|w| any.contains(w));
    if says(&["attribute", "attributes", "supported", "length", "characters", "exist", "exists"]) {
        return false;
    }
    let of_seats = words.iter().enumerate().filter(|(_, w)| SEATS.contains(w)).any(|(i, _)| {
        let (before, after) = (&words[i.saturating_sub(4)..i], &words[i + 1..(i + 5).min(words.len())]);
        let near = |w: &&str| before.contains(w) || after.contains(w);
        let none_left = before.iter().any(|w| ["no", "out"].contains(w)) || before.ends_with(&["not", "enough"]);
        let used_up = after.windows(2).any(|w| matches!(w, ["not" | "none", "available" | "left" | "remaining"]));
        LIMIT.iter().any(near) || none_left || used_up
    });
    let of_users = ["user limit", "users limit", "user quota", "number of users", "limit of users", "user count limit"];
    of_seats
        || says(&["licenselimitexceeded"])
        || of_users.iter().any(|w| detail.contains(w)) && says(&["exceed", "exceeded", "exceeds", "reached", "maximum", "limit"])
}

/// What an administrator can do about it.
pub(super) fn advice(status: u16, about: About) -> &'static str {
    match (status, about) {
        (401, _) => "; the target did not accept the token: check token or oauth of this target, and whether it expired",
        (403, About::Service) => "; the token is valid but may not do this: give it the right to read and write users and groups",
        (403, About::Record) => {
            "; the target forbids this for this record (an administrator or a protected account?): exclude it from the scope or change it there"
        }
        (404 | 410, About::Service) => "; nothing is there: check that url is the SCIM base address, as in https://host/scim/v2",
        (407, _) => "; the proxy wants credentials: put them into proxy",
        (413, _) => "; the request is too large: lower members_per_patch",
        (300..=399, _) => "; redirects are not followed, because the token would go along: put the final address into url",
        (405 | 501, _) => "; the target does not support this",
        _ => "",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn said(body: &str) -> Said {
        Said::parse(body.as_bytes(), str::to_owned)
    }

    #[test]
    fn every_shape_that_was_seen_is_read() {
        let full = said(
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"taken"}"#,
        );
        assert_eq!(full, Said { scim_type: Some("uniqueness".into()), detail: Some("taken".into()), status: Some(409) });
        assert_eq!(
            said(r#"{"status":409,"detail":["a","b"]}"#),
            Said { detail: Some("a; b".into()), status: Some(409), scim_type: None }
        );
        assert_eq!(said(r#"{"status":{"code":400,"phrase":"Bad"},"detail":{"message":"m"}}"#).status, Some(400));
        assert_eq!(
            said(r#"{"Errors":[{"description":"old style","code":"404"}]}"#),
            Said { detail: Some("old style".into()), status: Some(404), scim_type: None }
        );
        assert_eq!(said(r#"[{"detail":"in an array"}]"#).detail.as_deref(), Some("in an array"));
        assert_eq!(said(r#"{"error":"invalid_token","error_description":"expired"}"#).detail.as_deref(), Some("expired"));
        assert_eq!(said(r#"{"error":{"message":"nested"}}"#).detail.as_deref(), Some("nested"));
        assert_eq!(said("Unauthorized").detail.as_deref(), Some("Unauthorized"));
        assert_eq!(said("\"quoted\"").detail.as_deref(), Some("quoted"));
        assert_eq!(
            said("<html><body><h1>Internal Server Error</h1></body></html>").detail.as_deref(),
            Some("Internal Server Error")
        );
        assert_eq!(said(r#"{"reason":"odd"}"#).detail.as_deref(), Some(r#"{"reason":"odd"}"#));
        for empty in ["", "   ", "{}", r#"{"schemas":[],"status":null,"detail":null}"#, "[]"] {
            assert!(said(empty).status.is_none() && said(empty).scim_type.is_none(), "{empty}");
        }
        assert_eq!(said("{\"detail\":\"trunc").detail.as_deref(), Some("{\"detail\":\"trunc"));
    }

    #[test]
    fn statuses_mean_what_they_should() {
        let none = Said::default();
        let unique = Said { scim_type: Some("Uniqueness".into()), ..Said::default() };
        let twice = Said { detail: Some("Duplicate entry 'x'".into()), ..Said::default() };
        let record = |s, said: &Said| meaning(s, said, About::Record, true, false);
        assert_eq!(record(409, &none), (Fault::Conflict, false));
        assert_eq!(record(400, &unique), (Fault::Conflict, false));
        assert_eq!(record(500, &twice), (Fault::Conflict, false));
        assert_eq!(record(500, &none), (Fault::Transient, true));
        assert_eq!(record(400, &none), (Fault::Invalid, false));
        assert_eq!(record(413, &none), (Fault::Invalid, false));
        assert_eq!(record(403, &none), (Fault::Invalid, false));
        assert_eq!(record(404, &none), (Fault::Gone, false));
        assert_eq!(record(501, &none), (Fault::Permanent, false));
        assert_eq!(record(302, &none), (Fault::Permanent, false));
        assert_eq!(record(503, &none), (Fault::Transient, true));
        assert_eq!(meaning(503, &none, About::Record, true, true), (Fault::Throttled, false));
        assert_eq!(meaning(403, &none, About::Service, false, false), (Fault::Auth, false));
        assert_eq!(meaning(404, &none, About::Service, false, false), (Fault::Permanent, false));
        assert_eq!(meaning(500, &twice, About::Service, false, false), (Fault::Transient, true), "a read is never a conflict");
    }

    #[test]
    fn an_application_without_a_free_seat_is_full() {
        let record = |status, detail: &str| {
            let said = Said { detail: Some(detail.into()), ..Said::default() };
            meaning(status, &said, About::Record, true, false).0
        };
        for (status, detail) in [
            (403, "License limit reached"),
            (400, "You have no seats available."),
            (422, "maximum number of users reached"),
            (409, "LicenseLimitExceeded"),
            (403, "Not enough licences: 0 remaining"),
            (402, "Payment Required"),
            (403, "There are no more available seats in your plan"),
            (400, "Out of licenses"),
            (403, "Licenses are not available"),
        ] {
            assert_eq!(record(status, detail), Fault::Full, "{status} {detail}");
        }
        for (status, detail) in [
            (400, "carLicense exceeds the maximum length"),
            (400, "Attribute licenses is not supported"),
            (409, "User already exists and is not licensed in this workspace"),
            (400, "jose@seat.es is not valid"),
            (400, "department SEAT not allowed"),
            (403, "SCIM is not available on your license"),
            (400, "userName exceeds the limit of 100 characters"),
            (403, "not allowed"),
            (409, "a user with this userName exists"),
        ] {
            assert_ne!(record(status, detail), Fault::Full, "{status} {detail}");
        }
    }

    #[test]
    fn secrets_in_answers_are_not_quoted() {
        let s = Said::parse(br#"{"detail":"bad token tok-1234"}"#, |t| t.replace("tok-1234", "[secret]"));
        assert_eq!(s.detail.as_deref(), Some("bad token [secret]"));
    }
}
