//! The SCIM client against answers that servers really give: refusals, faults, lies, in every shape.

mod faults;
mod lists;
mod patchless;
mod spelling;
mod versions;
mod writes;

use crate::support::scim_servers::target_config;
use scim_sync::config::{Secret, TargetAuth, TargetConfig};
use scim_sync::mapping::Type;
use scim_sync::model::{Fault, Flat, ObjectKind, TargetId};
use scim_sync::target::{Dialect, Remote, Target, TargetError, TargetReader, TargetWriter};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use wiremock::matchers::{body_string_contains, header, method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use ObjectKind::{Group, User};
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const WORK: &str = "emails[type eq \"work\"].value";

fn flat(pairs: &[(&str, Value)]) -> Flat {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

fn jdoe() -> Flat {
    flat(&[("userName", json!("jdoe@x.example"))])
}

fn id(text: &str) -> TargetId {
    TargetId(text.to_owned())
}

fn config(server: &MockServer) -> TargetConfig {
    target_config(&format!("{}/scim/v2/", server.uri()), "secret-token-1")
}

fn connect(config: &TargetConfig) -> (Target, TargetReader, TargetWriter) {
    let target = Target::new("app", config).unwrap();
    let dialect = Dialect::default();
    (target.clone(), target.reader(&dialect), target.writer(&dialect))
}

async fn count(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

async fn list(reader: &TargetReader) -> Result<Vec<Remote>, TargetError> {
    let (sink, mut rows) = mpsc::channel(100);
    reader.list(User, &sink).await?;
    drop(sink);
    let mut all = Vec::new();
    while let Some(batch) = rows.recv().await {
        all.extend(batch);
    }
    Ok(all)
}

fn json_body(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/scim+json")
}

/// Answers in order, the last one for ever.
struct Script(Vec<ResponseTemplate>, AtomicUsize);

impl Script {
    fn new(answers: Vec<ResponseTemplate>) -> Self {
        Self(answers, AtomicUsize::new(0))
    }
}

impl Respond for Script {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        self.0[self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1)].clone()
    }
}

/// A responder out of a closure.
struct By<F>(F);

impl<F: Fn(&Request) -> ResponseTemplate + Send + Sync> Respond for By<F> {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        (self.0)(request)
    }
}

fn query(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned())
}

fn people(from: u64, to: u64) -> Vec<Value> {
    (from..=to)
        .map(|n| json!({"id": format!("id-{n}"), "userName": format!("u{n}@x.example"), "externalId": format!("k{n}")}))
        .collect()
}

fn page(total: Option<u64>, rows: Vec<Value>) -> ResponseTemplate {
    let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "Resources": rows});
    if let Some(total) = total {
        body["totalResults"] = json!(total);
    }
    json_body(200, &body)
}
