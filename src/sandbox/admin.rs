//! Outside the SCIM base, for the person at the same machine: counters, the token, the page.

use super::page;
use super::reply::Reply;
use super::server::Shared;
use super::trouble;
use crate::model::ObjectKind;
use crate::scim::error::ScimError;
use http::{Method, StatusCode};
use serde_json::Value;
use std::net::SocketAddr;

/// Answers a request outside the SCIM base. No token is asked for, so nobody but this machine gets an answer.
pub(super) fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8], peer: SocketAddr) -> Reply {
    let nothing = || Reply::error(&ScimError::new(404, format!("the SCIM base is {}", shared.base)));
    if !peer.ip().to_canonical().is_loopback() {
        return nothing();
    }
    match (method.as_str(), path) {
        ("GET", "/") => Reply::html(StatusCode::OK, page::render(shared)),
        ("GET", "/_sandbox") => {
            let store = shared.read();
            let (users, groups) = (store.table(ObjectKind::User).len(), store.table(ObjectKind::Group).len());
            Reply::json(&shared.counters.to_value(users, groups))
        }
        ("POST", "/_sandbox/reset-counters") => {
            shared.counters.reset();
            Reply::empty(StatusCode::NO_CONTENT)
        }
        ("PUT", "/_sandbox/token") => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            match body.get("token").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => {
                    shared.set_token(token);
                    Reply::empty(StatusCode::NO_CONTENT)
                }
                _ => Reply::error(&ScimError::new(400, "the body is {\"token\": \"...\"}")),
            }
        }
        ("PUT", "/_sandbox/trouble") => trouble::set(shared, body),
        (_, "/_sandbox/trouble") => Reply::not_allowed("PUT"),
        (_, "/" | "/_sandbox") => Reply::not_allowed("GET"),
        (_, "/_sandbox/reset-counters") => Reply::not_allowed("POST"),
        (_, "/_sandbox/token") => Reply::not_allowed("PUT"),
        _ => nothing(),
    }
}
