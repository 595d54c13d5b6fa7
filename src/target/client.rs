//! One request to the target: built, authorised, paced, sent, retried where that is safe, and its answer judged.

use super::Dialect;
use super::Requests;
use super::error::{About, Said, TargetError, advice, meaning};
use super::learned::Learned;
use super::presets::Refusal;
use super::remote::Remote;
use crate::config::TargetConfig;
use crate::http::auth::{Auth, AuthError};
use crate::http::body::BodyError;
use crate::http::client::Transport;
use crate::http::meter::{Meter, Retry};
use crate::http::pace::{Pace, Slot};
use crate::http::retry::{Backoff, LONGEST_WAIT, retry_after};
use crate::http::{body, client};
use crate::model::{Fault, TargetId};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, IF_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use url::Url;

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// RFC 7644 section 3.1: `application/scim+json`; some servers know only the second.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/scim+json, application/json");

/// Attempts of a request that is answered 500: unlike 502 to 504 it is more often a bug over there than an outage.
const ATTEMPTS_500: u32 = 3;

/// What the reader and the writer of one target share.
pub(super) struct Core {
    pub name: String,
    http: reqwest::Client,
    auth: Auth,
    pace: Pace,
    /// Scheme, host and path of the base URL without a trailing slash.
    prefix: String,
    /// The base URL without path and query; its path without a trailing slash; its query string, sent with every request.
    base: Url,
    path: String,
    query: Option<String>,
    identity_url: String,
    /// What is sent calls itself `application/json` from the start.
    plain_json: bool,
    read: AtomicU64,
    write: AtomicU64,
    retried: AtomicU64,
    /// Writes whose answer left open whether they were carried out, by what was sent: sent once more they are no new writes.
    in_doubt: Mutex<HashMap<u64, Retry>>,
    meter: Meter,
    /// Server's clock minus ours, seconds; `i64::MIN`: not known.
    skew: AtomicI64,
    /// What was learned about this target by speaking to it.
    pub learned: Learned,
    /// Answers that mean something particular at this application.
    refusals: &'static [Refusal],
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    Discovery,
    Read,
    Write,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub method: Method,
    /// Path behind the base URL, encoded, with leading slash.
    pub path: String,
    /// Query, encoded, without `?`.
    pub query: String,
    pub body: Option<Bytes>,
    pub counts: Counts,
    pub about: About,
    /// Sending it twice is the same as sending it once.
    pub repeatable: bool,
    /// The version that it starts from (RFC 7644 section 3.14): the server refuses (412) where it has another by now.
    pub if_match: Option<String>,
}

impl Call {
    /// A GET.
    pub fn get(path: impl Into<String>, about: About) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: String::new(),
            body: None,
            counts: Counts::Read,
            about,
            repeatable: true,
            if_match: None,
        }
    }

    /// A write to one record.
    pub fn write(method: Method, path: impl Into<String>, body: Option<Vec<u8>>, repeatable: bool) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            body: body.map(Bytes::from),
            counts: Counts::Write,
            about: About::Record,
            repeatable,
            if_match: None,
        }
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.method, &self.path, &self.body).hash(&mut hasher);
        hasher.finish()
    }
}

/// A 2xx answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub body: Bytes,
    /// `Location` header.
    pub location: Option<String>,
    /// `ETag` header.
    pub etag: Option<String>,
}

impl Core {
    pub fn new(name: &str, config: &TargetConfig, dialect: &Dialect, refusals: &'static [Refusal]) -> Result<Self, TargetError> {
        let fail = |m: String| TargetError::new(name, Fault::Permanent, m);
        let http = client::build(&config.net, config.concurrency).map_err(|e| fail(e.to_string()))?;
        let auth = Auth::new(config.auth.as_ref(), &http).map_err(|e| fail(e.to_string()))?;
        let mut url = config.url.clone();
        url.set_fragment(None);
        let identity_url = url.to_string();
        let query = url.query().filter(|q| !q.is_empty()).map(str::to_owned);
        url.set_query(None);
        if url.cannot_be_a_base() || !matches!(url.scheme(), "http" | "https") {
            return Err(fail(format!("url: {url} is no http(s) address")));
        }
        let prefix = url.as_str().trim_end_matches('/').to_owned();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path("");
        Ok(Self {
            name: name.to_owned(),
            http,
            auth,
            pace: Pace::new(config.concurrency, dialect.rate),
            prefix,
            base: url,
            path,
            query,
            identity_url,
            plain_json: dialect.plain_json,
            read: AtomicU64::new(0),
            write: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            in_doubt: Mutex::default(),
            meter: Meter::new(name),
            skew: AtomicI64::new(i64::MIN),
            learned: Learned::default(),
            refusals,
        })
    }

    pub fn requests(&self) -> Requests {
        Requests {
            read: self.read.load(Ordering::Relaxed),
            write: self.write.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
        }
    }

    pub fn clock_skew_s(&self) -> Option<i64> {
        Some(self.skew.load(Ordering::Relaxed)).filter(|s| *s != i64::MIN)
    }

    pub fn identity(&self) -> Result<Vec<u8>, TargetError> {
        let credential = self.auth.identity().map_err(|e| self.auth_error(&e))?;
        Ok([self.identity_url.as_bytes(), &[0], &credential].concat())
    }

    /// Whether what is sent calls itself `application/json`, by now.
    pub fn speaks_plain_json(&self) -> bool {
        self.plain_json || self.learned.wants_plain_json()
    }

    /// The base address without its query, for comparing absolute addresses with it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// An error of this target.
    pub fn error(&self, fault: Fault, message: impl Into<String>) -> TargetError {
        TargetError::new(&self.name, fault, message)
    }

    /// Path of one record. Ids hold anything (an address, a slash, a blank) and are percent-encoded; `.` and `..` cannot be
    /// (RFC 3986 section 6.2.2.3 removes them as segments) and would address the collection.
    pub fn record_path(&self, endpoint: &str, id: &TargetId) -> Result<String, TargetError> {
        if matches!(id.as_str(), "" | "." | "..") {
            return Err(self.error(Fault::Invalid, format!("the id {:?} cannot be addressed: no URL can carry it", id.as_str())));
        }
        Ok(format!("{endpoint}/{}", encode(id.as_str())))
    }

    /// Sends a request until it is answered for good. Repeatable requests are sent again after any passing fault, others
    /// only where the server cannot have carried them out.
    pub async fn send(&self, call: &Call) -> Result<Reply, TargetError> {
        match self.was_in_doubt(call) {
            Some(reason) => self.again(reason),
            None => self.count(call.counts),
        }
        let sent = self.send_on(call).await;
        if let Err(e) = &sent
            && e.ambiguous
            && !call.repeatable
        {
            let reason = if e.status.is_some() { Retry::ServerError } else { Retry::Connection };
            self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner).insert(call.fingerprint(), reason);
        }
        sent
    }

    /// Why this very write is sent again, where an earlier answer to it left everything open.
    fn was_in_doubt(&self, call: &Call) -> Option<Retry> {
        let mut all = self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner);
        if call.repeatable || all.is_empty() { None } else { all.remove(&call.fingerprint()) }
    }

    /// As it is, until it is answered for good.
    pub(super) async fn exchange(&self, call: &Call) -> Result<Reply, TargetError> {
        let url = self.url(call);
        let mut authorization = self.auth.header().await.map_err(|e| self.auth_error(&e))?;
        let mut backoff = Backoff::default();
        let mut attempts = 0_u32;
        let mut renewed = false;
        loop {
            attempts += 1;
            let plain = self.speaks_plain_json();
            let error = match self.attempt(call, &url, authorization.as_ref(), plain).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match error.status {
                Some(401) if !renewed => {
                    renewed = true;
                    if let Ok(Some(fresh)) = self.auth.after_401(authorization.as_ref()).await {
                        authorization = Some(fresh);
                        self.again(Retry::Unauthorized);
                        continue;
                    }
                }
                // Of many requests under way at once each has to be sent again, not only the one that finds it out.
                Some(415) if call.body.is_some() && !plain => {
                    self.learned.note_plain_json();
                    self.again(Retry::ContentType);
                    continue;
                }
                _ => {}
            }
            let passing = error.fault.is_retryable() && (call.repeatable || !error.ambiguous);
            if !passing || (error.status == Some(500) && attempts >= ATTEMPTS_500) {
                return Err(error);
            }
            let Some(wait) = backoff.next(error.retry_after) else { return Err(error) };
            tracing::debug!(target_name = %self.name, method = %call.method, path = %call.path, status = error.status, wait_ms = wait.as_millis() as u64, "again");
            let reason = match error.status {
                _ if error.retry_after.is_some() || error.fault == Fault::Throttled => Retry::Throttled,
                Some(500..) => Retry::ServerError,
                _ => Retry::Connection,
            };
            tokio::time::sleep(wait).await;
            if reason == Retry::Throttled {
                self.meter.throttled(wait);
            }
            self.again(reason);
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        url: &Url,
        authorization: Option<&HeaderValue>,
        plain: bool,
    ) -> Result<Reply, TargetError> {
        let mut request = reqwest::Request::new(call.method.clone(), url.clone());
        let headers = request.headers_mut();
        headers.reserve(4);
        headers.insert(ACCEPT, ACCEPTED);
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if let Some(version) = call.if_match.as_deref().and_then(|v| HeaderValue::from_str(v).ok()) {
            headers.insert(IF_MATCH, version);
        }
        if let Some(body) = &call.body {
            request.headers_mut().insert(CONTENT_TYPE, if plain { JSON } else { SCIM_JSON });
            *request.body_mut() = Some(body.clone().into());
        }
        let slot = self.pace.slot().await;
        self.meter.throttled(slot.held);
        let began = Instant::now();
        let result = self.answer(call, request, &slot).await;
        let status = result.as_ref().map_or_else(|e| e.status, |r| Some(r.status));
        self.meter.request(&call.method, status, began);
        result
    }

    async fn answer(&self, call: &Call, request: reqwest::Request, slot: &Slot<'_>) -> Result<Reply, TargetError> {
        let response = self.http.execute(request).await.map_err(|e| self.transport(call, &e))?;
        self.note_clock(response.headers());
        let status = response.status();
        if status.is_success() {
            let location = header(response.headers(), &LOCATION);
            let etag = header(response.headers(), &ETAG);
            let body = body::read(response).await.map_err(|e| self.body_error(call, status, &e))?;
            self.pace.succeeded();
            if call.method != Method::GET {
                super::answered::note(status.as_u16());
            }
            return Ok(Reply { status: status.as_u16(), body, location, etag });
        }
        let wait = retry_after(response.headers());
        if status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::SERVICE_UNAVAILABLE && wait.is_some()) {
            // Whoever is to wait for longer than a request may is told, and decides.
            self.pace.throttled(slot, wait.filter(|wait| *wait <= LONGEST_WAIT));
        }
        let location = header(response.headers(), &LOCATION);
        // The refusal counts even where its text cannot be read.
        let text = body::read(response).await.unwrap_or_default();
        Err(self.refusal(call, status.as_u16(), &text, wait, location.as_deref()))
    }

    /// An answer that is no success, as an error.
    pub fn refusal(&self, call: &Call, status: u16, text: &[u8], wait: Option<Duration>, location: Option<&str>) -> TargetError {
        let said = Said::parse(text, |t| self.auth.redact(t));
        let (fault, ambiguous) = meaning(status, &said, call.about, call.counts == Counts::Write, wait.is_some());
        let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
        let mut message = format!("{} {}: {status} {reason}", call.method, call.path);
        if let Some(t) = &said.scim_type {
            message.push_str(&format!(" ({t})"));
        }
        if let Some(detail) = &said.detail {
            message.push_str(&format!(": {detail}"));
        }
        if let Some(to) = location.filter(|_| (300..400).contains(&status)) {
            let to = to.split(['?', '#']).next().unwrap_or_default();
            message.push_str(&format!(": moved to {}", body::excerpt(to.as_bytes(), |t| self.auth.redact(t))));
        }
        if fault != Fault::Full {
            message.push_str(advice(status, call.about));
        }
        let ambiguous = ambiguous && call.counts == Counts::Write;
        let scim_type = said.scim_type.map(Into::into);
        let error = TargetError { status: Some(status), scim_type, ambiguous, retry_after: wait, ..self.error(fault, message) };
        match self.known(call, status, said.detail.as_deref()) {
            Some(known) => known.judged(error, call.about == About::Record),
            None => error,
        }
    }

    /// What this application means by its answer, where that is known. A wrong token and an outage mean what they always do.
    fn known(&self, call: &Call, status: u16, detail: Option<&str>) -> Option<&'static Refusal> {
        let text = detail.filter(|_| (400..600).contains(&status) && !matches!(status, 401 | 407 | 429))?.to_lowercase();
        // The text that means everybody counts under whatever status it comes.
        let plain = status < 500 && !matches!(status, 404 | 410);
        let fits = |r: &&Refusal| text.contains(r.text) && (r.everyone.is_some() || plain && call.counts == Counts::Write);
        self.refusals.iter().find(fits)
    }

    /// A resource out of a 2xx body. An error body under a 2xx status is the error it says it is.
    pub fn resource(&self, call: &Call, reply: &Reply) -> Result<Remote, TargetError> {
        let raw = self.json(call, reply)?;
        let writes = call.counts == Counts::Write;
        if is_error(&raw) {
            let status = Said::parse(&reply.body, str::to_owned).status.filter(|s| *s >= 300).unwrap_or(400);
            return Err(self.refusal(call, status, &reply.body, None, None));
        }
        Remote::new(raw).ok_or_else(|| {
            let e = self.error(
                Fault::Permanent,
                format!("{} {}: the answer ({}) is no SCIM resource: it has no id", call.method, call.path, reply.status),
            );
            TargetError { status: Some(reply.status), ambiguous: writes, ..e }
        })
    }

    /// The JSON of a 2xx body.
    pub fn json(&self, call: &Call, reply: &Reply) -> Result<Value, TargetError> {
        serde_json::from_slice(&reply.body).map_err(|e| {
            // A body cut short may pass; a page of HTML will not.
            let fault = if e.is_eof() { Fault::Transient } else { Fault::Permanent };
            let quoted = body::excerpt(&reply.body, |t| self.auth.redact(t));
            let message = format!(
                "{} {}: the answer ({}) is not JSON ({e}): {quoted}; check that url is the SCIM base address",
                call.method, call.path, reply.status
            );
            TargetError { status: Some(reply.status), ambiguous: call.counts == Counts::Write, ..self.error(fault, message) }
        })
    }

    fn url(&self, call: &Call) -> Url {
        // Scheme and host are taken apart once, not with every request.
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.path, call.path));
        let parts: Vec<&str> = self.query.as_deref().into_iter().chain([&*call.query]).filter(|q| !q.is_empty()).collect();
        url.set_query(Some(parts.join("&").as_str()).filter(|q| !q.is_empty()));
        url
    }

    pub(super) fn again(&self, reason: Retry) {
        self.retried.fetch_add(1, Ordering::Relaxed);
        self.meter.retry(reason);
    }

    pub(super) fn count(&self, counts: Counts) {
        match counts {
            Counts::Discovery => return,
            Counts::Read => &self.read,
            Counts::Write => &self.write,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    fn transport(&self, call: &Call, error: &reqwest::Error) -> TargetError {
        let class = client::classify(error);
        let (fault, sent, what) = match class {
            Transport::NotSent => (Fault::Transient, false, "cannot connect"),
            Transport::Tls => (Fault::Permanent, false, "TLS failed (a certificate that no known CA signed? set ca_file)"),
            Transport::TimedOut => (Fault::Transient, true, "no answer within the timeout"),
            Transport::Broken => (Fault::Transient, true, "the connection broke"),
        };
        let cause = self.auth.redact(&client::describe(error));
        let e = self.error(fault, format!("{} {}: {what}: {cause}", call.method, call.path));
        TargetError { ambiguous: sent && call.counts == Counts::Write, timed_out: matches!(class, Transport::TimedOut), ..e }
    }

    fn body_error(&self, call: &Call, status: StatusCode, error: &BodyError) -> TargetError {
        let fault = match error {
            BodyError::TooLarge => Fault::Permanent,
            BodyError::Transport(_) => Fault::Transient,
        };
        let e = self.error(fault, format!("{} {}: {} and then: {error}", call.method, call.path, status.as_u16()));
        TargetError { status: Some(status.as_u16()), ambiguous: call.counts == Counts::Write, ..e }
    }

    fn auth_error(&self, error: &AuthError) -> TargetError {
        match error {
            AuthError::Secret(why) => {
                let key = if matches!(self.auth, Auth::OAuth(_)) { "oauth.client_secret: " } else { "token: " };
                TargetError { secret: true, ..self.error(Fault::Auth, key.to_owned() + why) }
            }
            AuthError::Refused(why) => self.error(Fault::Auth, why),
            AuthError::Unavailable(why) => self.error(Fault::Transient, why),
        }
    }

    /// Date (RFC 9110 section 6.6.1) against our clock; whole seconds.
    fn note_clock(&self, headers: &HeaderMap) {
        let Some(server) = headers.get(DATE).and_then(|d| d.to_str().ok()).and_then(|d| httpdate::parse_http_date(d).ok()) else {
            return;
        };
        let seconds =
            |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0));
        self.skew.store(seconds(server) - seconds(SystemTime::now()), Ordering::Relaxed);
    }
}

/// Percent-encodes everything that is not unreserved.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Whether a JSON body calls itself an error (RFC 7644 section 3.12).
pub(super) fn is_error(raw: &Value) -> bool {
    let Some(schemas) = raw.as_object().and_then(|o| super::path::field(o, "schemas")).and_then(Value::as_array) else {
        return false;
    };
    schemas.iter().any(|s| s.as_str().is_some_and(|s| s.eq_ignore_ascii_case(crate::scim::ERROR)))
}

fn header(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}
