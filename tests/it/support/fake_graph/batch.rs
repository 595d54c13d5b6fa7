//! `$batch`.

use super::answers::{self, Answer};
use super::http::{Fault, PAGE, Shared};
use super::tenant::Tenant;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub fn answer(shared: &Shared, tenant: &mut Tenant, body: &str) -> Answer {
    let bad = |text: &str| Answer::error(400, "BadRequest", text);
    if !tenant.has_batch {
        return Answer::error(404, "Request_ResourceNotFound", "There are no batches.");
    }
    let asked: Value = serde_json::from_str(body).unwrap_or_default();
    let Some(requests) = asked["requests"].as_array() else { return bad("no requests") };
    let ids: BTreeSet<String> = requests.iter().filter_map(|r| r["id"].as_str()).map(str::to_lowercase).collect();
    if requests.is_empty() || requests.len() > 20 || ids.len() != requests.len() {
        shared.offend(format!("batch of {} requests with {} ids", requests.len(), ids.len()));
        return bad("too many requests, or an id twice");
    }
    let refuse = *shared.one_in.lock().unwrap();
    let mut responses = Vec::new();
    for request in requests {
        let url = request["url"].as_str().unwrap_or_default();
        let parsed = url::Url::parse(&format!("http://x/{}", url.trim_start_matches('/'))).unwrap();
        let query: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        let refused = refuse > 0 && shared.dice.lock().unwrap().one_in(refuse);
        let inner = if refused {
            Answer { retry_after: Some(1), ..Answer::error(429, "TooManyRequests", "made up") }
        } else {
            match shared.ordered(&format!("/{}", url.trim_start_matches('/'))) {
                Some(Fault::Status(status, code)) => Answer::error(status, code, "made up"),
                Some(Fault::Page(status)) => Answer { status, ..Answer::ok(json!(PAGE)) },
                _ => answers::get(shared, tenant, parsed.path(), &query, false),
            }
        };
        if inner.status == 200 && *shared.keep.lock().unwrap() {
            shared.bodies.lock().unwrap().push((format!("/{}", url.trim_start_matches('/')), inner.body.clone()));
        }
        let mut headers = json!({"Content-Type": "application/json"});
        if let Some(seconds) = inner.retry_after {
            headers["Retry-After"] = json!(seconds.to_string());
        }
        responses.push(json!({"id": request["id"], "status": inner.status, "headers": headers, "body": inner.body}));
    }
    // In any order.
    responses.reverse();
    Answer::ok(json!({ "responses": responses }))
}
