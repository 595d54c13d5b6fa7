//! One conversation with Graph: sign-in, requests one after another, waits that the service asks for, error answers.

use super::answer::Answer;
use super::fault::{Call, GraphError, Refusal, sign_in_advice};
use crate::config::{GraphAuth, GraphConfig, SecretCell};
use crate::http::assertion::{AssertionError, SigningKey, Thumbprint};
use crate::http::auth::{Assert, Auth, AuthError, Proof};
use crate::http::client::{self, Transport};
use crate::http::meter::{Meter, Retry};
use crate::http::retry::{Backoff, retry_after};
use crate::http::{assertion, body};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, HeaderValue, Method};
use jsonwebtoken::{Algorithm, Header};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use url::Url;

/// Attempts of one request where there is no connection or the service breaks down; being asked to wait is another thing.
const BROKEN: u32 = 5;

/// From this share of the quota on requests are spread (Microsoft, "throttling": `x-ms-throttle-limit-percentage` is sent from
/// 0.8 on and goes up to 1.8).
const QUOTA_NEAR: f64 = 0.8;

/// A client of one tenant.
pub struct Client {
    http: reqwest::Client,
    auth: Auth,
    /// Key of the configuration that signs in.
    secret: &'static str,
    /// `https://graph.microsoft.com/v1.0`, in parts.
    base: Url,
    meter: Meter,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// No request leaves before this.
    not_before: Option<Instant>,
    /// Seconds by which the service's clock is ahead of ours.
    skew: Option<i64>,
}

/// The certificate by which the application proves that it is itself.
struct Certificate {
    client_id: String,
    path: PathBuf,
    key: SecretCell,
}

impl Assert for Certificate {
    /// PS256 with the SHA-256 thumbprint, as Microsoft's pages ask for now; else RS256 with the SHA-1 one, as before
    /// (Microsoft, "Microsoft identity platform application authentication certificate credentials").
    fn assertions(&self, token_url: &str) -> Result<Vec<SecretString>, AssertionError> {
        let origin = format!("{:?}", self.key);
        let key_error = |message: String| AssertionError::Key { origin: origin.clone(), message };
        let pem = self.key.get().map_err(|e| key_error(e.to_string()))?;
        let key = SigningKey::from_pem(&pem, &origin)?;
        let thumbprint = Thumbprint::of_file(&self.path)?;
        if !key.is_rsa() {
            return Err(key_error("Entra ID accepts RSA keys only".to_owned()));
        }
        if !thumbprint.is_of(&key)? {
            return Err(key_error(format!("it does not belong to the certificate {}", self.path.display())));
        }
        let now = jiff::Timestamp::now().as_second();
        if thumbprint.not_after < now {
            let message = "it has expired: make a new one and upload it to the app registration".to_owned();
            return Err(AssertionError::Certificate { path: self.path.display().to_string(), message });
        }
        let modern = Header { x5t_s256: Some(thumbprint.sha256), ..Header::new(Algorithm::PS256) };
        let former = Header { x5t: Some(thumbprint.sha1), ..Header::new(Algorithm::RS256) };
        [modern, former].into_iter().map(|header| key.client_assertion(header, &self.client_id, token_url, now)).collect()
    }
}

impl Client {
    /// Builds it; nothing is sent.
    ///
    /// # Errors
    /// CA file, proxy or addresses cannot be used.
    pub fn new(name: &str, config: &GraphConfig) -> Result<Self, GraphError> {
        let bad = |e: String| GraphError::Malformed(e);
        let http = client::build(&config.net, 2).map_err(|e| bad(e.to_string()))?;
        let mut token_url = config.login_url.clone();
        let mut base = config.graph_url.clone();
        for (url, path) in
            [(&mut token_url, [config.tenant.as_str(), "oauth2", "v2.0", "token"].as_slice()), (&mut base, ["v1.0"].as_slice())]
        {
            match url.path_segments_mut() {
                Ok(mut parts) => drop(parts.clear().extend(path)),
                Err(()) => return Err(bad("login_url and graph_url must be https:// addresses".to_owned())),
            }
        }
        let proof = match &config.auth {
            GraphAuth::Secret(secret) => Proof::SecretInBody(SecretCell::new(secret.clone())),
            GraphAuth::Certificate { certificate, private_key } => Proof::Assertion(Box::new(Certificate {
                client_id: config.client_id.clone(),
                path: certificate.clone(),
                key: SecretCell::new(private_key.clone()),
            })),
        };
        let scope = format!("{}/.default", config.graph_url.origin().ascii_serialization());
        let secret = if matches!(config.auth, GraphAuth::Secret(_)) { "client_secret" } else { "private_key" };
        let auth = Auth::client(&token_url, &config.client_id, proof, Some(&scope), &http).map_err(|e| bad(e.to_string()))?;
        Ok(Self { http, auth, secret, base, meter: Meter::new(name), now: Mutex::default() })
    }

    /// An address below the version: path parts and query options as Graph spells them.
    #[must_use]
    pub fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.extend(path);
        }
        let options: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        url.set_query((!options.is_empty()).then(|| options.join("&")).as_deref());
        url
    }

    /// The path of an address as a batch names it: below the version.
    #[must_use]
    pub fn relative(&self, url: &Url) -> String {
        let path = url.path().strip_prefix(self.base.path()).unwrap_or_else(|| url.path());
        url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// A link out of an answer. Only the host that we ask is followed: elsewhere the token would be given away.
    ///
    /// # Errors
    /// It leads somewhere else, or is no address.
    pub fn link(&self, text: &str) -> Result<Url, GraphError> {
        // A relative one is as good (OData JSON Format 4.01 section 4.5.5).
        let relative = text.starts_with('/') && !text.starts_with("//");
        let parsed = if relative { self.base.join(text) } else { Url::parse(text) };
        let url = parsed.map_err(|e| GraphError::Incomplete(format!("the link to the next page is no address: {e}")))?;
        if url.origin() != self.base.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err(GraphError::Incomplete(format!(
                "the link to the next page leads to another host ({}) and is not followed, because the token would go there",
                url.origin().ascii_serialization()
            )));
        }
        Ok(url)
    }

    /// GET.
    ///
    /// # Errors
    /// No token, no connection, an error answer, no JSON.
    pub async fn get(&self, call: Call, url: &Url, headers: &[(&'static str, &'static str)]) -> Result<Answer, GraphError> {
        let make = || headers.iter().fold(self.http.get(url.clone()), |request, (name, value)| request.header(*name, *value));
        self.json(&self.send(call, &Method::GET, make).await?)
    }

    /// POST of JSON that changes nothing (`$batch` of reads).
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(&self, call: Call, url: &Url, json: &Value) -> Result<T, GraphError> {
        self.json(&self.send(call, &Method::POST, || self.http.post(url.clone()).json(json)).await?)
    }

    async fn send(&self, call: Call, method: &Method, make: impl Fn() -> reqwest::RequestBuilder) -> Result<Bytes, GraphError> {
        let mut backoff = Backoff::patient();
        let (mut renewed, mut broken) = (false, 0);
        let mut token = self.header().await?;
        loop {
            self.wait().await;
            let began = std::time::Instant::now();
            let request = match &token {
                Some(value) => make().header(AUTHORIZATION, value.clone()),
                None => make(),
            };
            let sent = request.send().await;
            self.meter.request(method, sent.as_ref().ok().map(|r| r.status().as_u16()), began);
            let (why, asked) = match sent {
                Err(e) => {
                    let what = client::describe(&e);
                    if client::classify(&e) == Transport::Tls {
                        return Err(GraphError::Unreachable(format!("TLS with {}: {what}; set ca_file?", self.host())));
                    }
                    broken += 1;
                    (format!("{} cannot be reached: {what}", self.host()), None)
                }
                Ok(response) => {
                    let (status, headers) = (response.status().as_u16(), response.headers().clone());
                    self.note(&headers);
                    match body::read(response).await {
                        Err(body::BodyError::TooLarge) => {
                            return Err(GraphError::Malformed(body::BodyError::TooLarge.to_string()));
                        }
                        Err(e) => {
                            broken += 1;
                            (format!("an answer of {} broke off: {e}", self.host()), None)
                        }
                        Ok(bytes) if (200..300).contains(&status) => return Ok(bytes),
                        Ok(bytes) => match status {
                            401 if !renewed => {
                                renewed = true;
                                let fresh = self.auth.after_401(token.as_ref()).await.map_err(|e| self.explain(e))?;
                                if fresh.is_none() {
                                    return Err(self.refused(call, status, &bytes));
                                }
                                self.meter.retry(Retry::Unauthorized);
                                token = fresh;
                                continue;
                            }
                            // 509 is Graph's own (Microsoft, "Microsoft Graph error responses").
                            429 | 503 | 504 | 509 => {
                                (self.refused(call, status, &bytes).to_string(), Some(retry_after(&headers)))
                            }
                            500 | 502 => {
                                broken += 1;
                                (self.refused(call, status, &bytes).to_string(), Some(retry_after(&headers)))
                            }
                            _ => return Err(self.refused(call, status, &bytes)),
                        },
                    }
                }
            };
            let waits = if broken < BROKEN { backoff.next(asked.flatten()) } else { None };
            let Some(wait) = waits else { return Err(GraphError::Unreachable(why)) };
            tracing::debug!(wait_s = wait.as_secs_f64(), "{why}; asked again later");
            self.meter.retry(if asked.is_some() { Retry::Throttled } else { Retry::Connection });
            self.hold(wait);
            // Waiting may outlive the token.
            token = self.header().await?;
        }
    }

    /// The header with a token that is good now.
    ///
    /// # Errors
    /// The token endpoint refuses or cannot be reached.
    pub async fn header(&self) -> Result<Option<HeaderValue>, GraphError> {
        self.auth.header().await.map_err(|e| self.explain(e))
    }

    /// The application permissions that the token carries, where it says so.
    ///
    /// # Errors
    /// As [`Client::header`].
    pub async fn permissions(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        let header = self.header().await?;
        Ok(header.and_then(|h| roles(h.to_str().ok()?)))
    }

    fn explain(&self, error: AuthError) -> GraphError {
        match error {
            AuthError::Refused(text) => {
                let advice = sign_in_advice(&text);
                GraphError::Auth(format!("{text}; {advice}"))
            }
            AuthError::Secret(text) => GraphError::Secret(format!("{}: {text}", self.secret)),
            AuthError::Unavailable(text) => GraphError::Unreachable(text),
        }
    }

    fn json<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, GraphError> {
        serde_json::from_slice(bytes).map_err(|e| {
            let said = body::excerpt(bytes, |t| self.auth.redact(t));
            GraphError::Malformed(format!("{} answered something else than expected ({e}): {said}", self.host()))
        })
    }

    /// An error answer.
    #[must_use]
    pub fn refused(&self, call: Call, status: u16, bytes: &[u8]) -> GraphError {
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let said = body["error"]["message"].as_str().map_or(bytes, str::as_bytes);
        GraphError::Refused(Box::new(Refusal::of(call, status, &body, body::excerpt(said, |t| self.auth.redact(t)))))
    }

    fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Nothing leaves for so long.
    pub fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.not_before = now.not_before.max(Some(until));
    }

    async fn wait(&self) {
        loop {
            let until = self.now.lock().unwrap_or_else(PoisonError::into_inner).not_before;
            let Some(until) = until.filter(|u| *u > Instant::now()) else { return };
            let began = std::time::Instant::now();
            tokio::time::sleep_until(until).await;
            self.meter.throttled(began.elapsed());
        }
    }

    /// Clock and quota, as each answer tells them.
    fn note(&self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        if let Some(share) = text("x-ms-throttle-limit-percentage").and_then(|t| t.parse().ok())
            && let Some(ease) = ease(share)
        {
            self.hold(ease);
        }
        if let Some(theirs) = headers.get(DATE).and_then(|v| v.to_str().ok()).and_then(|t| httpdate::parse_http_date(t).ok()) {
            let seconds =
                |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0));
            self.now.lock().unwrap_or_else(PoisonError::into_inner).skew = Some(seconds(theirs) - seconds(SystemTime::now()));
        }
    }

    /// Seconds by which the service's clock is ahead of ours, as it last said.
    #[must_use]
    pub fn clock_skew(&self) -> Option<i64> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).skew
    }

    /// Unix second at which the certificate ends, where one is used and can be read.
    #[must_use]
    pub fn certificate_end(config: &GraphConfig) -> Option<i64> {
        match &config.auth {
            GraphAuth::Secret(_) => None,
            GraphAuth::Certificate { certificate, .. } => assertion::Thumbprint::of_file(certificate).ok().map(|t| t.not_after),
        }
    }
}

/// How long to rest where so much of the quota is used: others share it, and what is refused counts as well.
fn ease(share: f64) -> Option<Duration> {
    (share.is_finite() && share >= QUOTA_NEAR).then(|| Duration::from_secs_f64((share - QUOTA_NEAR + 0.05).min(1.0) * 4.0))
}

/// `roles` of a token that is a JWT. Only to be shown, and to tell what is missing: Graph's tokens are not ours to judge.
fn roles(header: &str) -> Option<BTreeSet<String>> {
    let payload = header.strip_prefix("Bearer ")?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
    Some(claims["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_out_of_a_token_and_out_of_nothing_else() {
        let payload = URL_SAFE_NO_PAD.encode(serde_json::json!({"roles": ["User.Read.All", 7], "aud": "x"}).to_string());
        assert_eq!(roles(&format!("Bearer e30.{payload}.sig")), Some(BTreeSet::from(["User.Read.All".to_owned()])));
        for odd in ["Bearer opaque", "Bearer a.b.c", "Basic x.y.z", "", "Bearer ..", "Bearer a.ä.c"] {
            assert_eq!(roles(odd), None, "{odd}");
        }
    }

    #[test]
    fn requests_are_spread_when_the_quota_nears() {
        assert_eq!(ease(0.5), None);
        assert_eq!(ease(f64::NAN), None);
        let (near, over) = (ease(0.8).unwrap(), ease(1.8).unwrap());
        assert!(near < Duration::from_millis(300) && over == Duration::from_secs(4), "{near:?} {over:?}");
    }
}
