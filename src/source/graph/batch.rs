//! `$batch`: up to twenty reads in one request (Microsoft, "Combine multiple HTTP requests using JSON batching"). Each has an
//! outcome of its own, whatever the status of the whole.

use super::answer::{Answer, OrDefault};
use super::connect::Client;
use super::fault::{Call, GraphError, Refusal};
use crate::http::retry::Backoff;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use url::Url;

/// Most requests in one batch.
pub const MOST: usize = 20;

/// Sends reads together.
pub struct Batches<'a> {
    client: &'a Client,
    /// The service takes no batches: one after another.
    alone: AtomicBool,
}

/// What came of one read.
pub type Outcome = Result<Answer, Box<Refusal>>;

/// What a batch answers.
#[derive(Deserialize)]
struct Responses {
    responses: Vec<Response>,
}

/// The answer to one of its requests.
#[derive(Deserialize)]
struct Response {
    id: String,
    status: u16,
    #[serde(default)]
    headers: OrDefault<Map<String, Value>>,
    #[serde(default)]
    body: OrDefault<Answer>,
}

impl<'a> Batches<'a> {
    /// With this client.
    #[must_use]
    pub fn new(client: &'a Client) -> Self {
        Self { client, alone: AtomicBool::new(false) }
    }

    /// Reads at most [`MOST`] addresses. Outcomes are in the order of the questions; what was refused for now is asked again,
    /// alone with its like, after the time that was asked for.
    ///
    /// # Errors
    /// The batch as a whole failed, or a part of it goes on failing.
    pub async fn get(&self, asks: &[(Call, Url)]) -> Result<Vec<Outcome>, GraphError> {
        let mut outcomes: Vec<Option<Outcome>> = asks.iter().map(|_| None).collect();
        let mut backoff = Backoff::patient();
        loop {
            let open: Vec<usize> = (0..asks.len()).filter(|i| outcomes[*i].is_none()).collect();
            if open.is_empty() {
                return Ok(outcomes.into_iter().flatten().collect());
            }
            if open.len() == 1 || self.alone.load(Ordering::Relaxed) {
                for i in open {
                    outcomes[i] = Some(self.single(&asks[i]).await?);
                }
                continue;
            }
            let requests: Vec<Value> = open
                .iter()
                .map(|i| json!({"id": i.to_string(), "method": "GET", "url": self.client.relative(&asks[*i].1)}))
                .collect();
            let url = self.client.url(&["$batch"], &[]);
            let answer: Responses = match self.client.post(Call::Batch, &url, &json!({ "requests": requests })).await {
                Ok(answer) => answer,
                Err(GraphError::Refused(r)) if r.is_unsupported() => {
                    tracing::debug!("{}", r.words());
                    self.alone.store(true, Ordering::Relaxed);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let mut asked = None;
            for response in answer.responses {
                let index = response.id.parse::<usize>().ok();
                let Some(i) = index.filter(|i| open.contains(i)) else { continue };
                match response.status {
                    200..300 => outcomes[i] = Some(Ok(response.body.0)),
                    // 424: what it depended on failed, and nothing here depends on anything.
                    0 | 424 | 429 | 500..600 => asked = asked.max(retry_after(&response.headers.0)),
                    status => {
                        let said = Value::Object(response.body.0.rest).to_string();
                        if let GraphError::Refused(refusal) = self.client.refused(asks[i].0, status, said.as_bytes()) {
                            outcomes[i] = Some(Err(refusal));
                        }
                    }
                }
            }
            if outcomes.iter().any(Option::is_none) {
                let Some(wait) = backoff.next(asked) else {
                    let why = "parts of a batch go on being refused: the service is overloaded, or our share of it is used up";
                    return Err(GraphError::Unreachable(why.to_owned()));
                };
                self.client.hold(wait);
            }
        }
    }

    async fn single(&self, (call, url): &(Call, Url)) -> Result<Outcome, GraphError> {
        match self.client.get(*call, url, &[]).await {
            Ok(body) => Ok(Ok(body)),
            Err(GraphError::Refused(refusal)) => Ok(Err(refusal)),
            Err(e) => Err(e),
        }
    }
}

/// `Retry-After` of one response in a batch, seconds.
fn retry_after(headers: &Map<String, Value>) -> Option<Duration> {
    let value = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?.1;
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}
