//! How requests are authorised: an API token (`SSWS`), or the access token of a service app, which signs in with its private
//! key (`private_key_jwt`, RFC 7523) and proves possession (DPoP) where the organisation demands it.

use super::dpop::ProofKey;
use super::limits::{self, Limits};
use super::{client, refusal};
use crate::config::{OktaAuth, OktaConfig, Secret, SecretCell};
use crate::http::assertion::{ASSERTION_TYPE, AssertionError, SigningKey};
use crate::http::auth::AuthError;
use crate::http::redact::Redactor;
use crate::http::{body, retry};
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// Okta's access tokens live for an hour; a new one is fetched this long before the end.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// Rounds with the token endpoint: plain, with a proof, with the nonce, with the server's time, and one to spare.
const ROUNDS: usize = 5;

/// Seconds by which clocks differ before a refused assertion is tried with the server's time.
const SKEW: i64 = 30;

/// Authorises requests to one organisation.
pub(super) enum Token {
    /// An API token; it has the rights of whoever made it and dies with that account, or after 30 days without use.
    Ssws { secret: SecretCell, redactor: Redactor },
    /// A service app.
    Service(Box<Service>),
}

/// What one request carries.
pub(super) struct Authorised {
    pub authorization: HeaderValue,
    pub proof: Option<HeaderValue>,
}

impl Token {
    pub(super) fn new(config: &OktaConfig, token_url: Url, http: reqwest::Client) -> Self {
        match &config.auth {
            OktaAuth::Token(secret) => Self::Ssws { secret: SecretCell::new(secret.clone()), redactor: Redactor::default() },
            OktaAuth::PrivateKey { client_id, private_key, key_id } => {
                Self::Service(Box::new(Service::new(client_id, private_key, key_id.as_deref(), token_url, http)))
            }
        }
    }

    /// What a GET of `url` carries.
    pub(super) async fn authorise(&self, url: &Url, scopes: &str, limits: &Limits) -> Result<Authorised, AuthError> {
        match self {
            Self::Ssws { secret, redactor } => {
                let token = secret.get()?;
                redactor.add(token.expose_secret().trim());
                Ok(Authorised { authorization: header("SSWS", &token)?, proof: None })
            }
            Self::Service(service) => service.authorise(url, scopes, limits).await,
        }
    }

    /// After a 401 to a request that carried `used`: whether there may be something else to try.
    pub(super) async fn renew(&self, used: &HeaderValue) -> Result<bool, AuthError> {
        match self {
            Self::Ssws { secret, .. } => Ok(header("SSWS", &secret.reload()?)? != *used),
            Self::Service(service) => {
                service.current.lock().await.retain(|c| c.header != *used);
                Ok(true)
            }
        }
    }

    /// Keeps the nonce that an answer of the API hands out; whether it is another one than before.
    pub(super) fn learn(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Ssws { .. } => false,
            Self::Service(service) => service.learn(headers, |p| &mut p.api_nonce),
        }
    }

    /// `text` without any secret that this knows.
    pub(super) fn redact(&self, text: &str) -> String {
        match self {
            Self::Ssws { redactor, .. } => redactor.redact(text),
            Self::Service(service) => service.redactor.redact(text),
        }
    }

    /// Whether this is a service app, and whether it proves possession.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Ssws { .. } => "API token",
            Self::Service(service) if service.with(|p| p.key.is_some()) => "service app with DPoP",
            Self::Service(_) => "service app",
        }
    }
}

/// A service app: it signs in with its key.
pub(super) struct Service {
    client_id: String,
    private_key: SecretCell,
    key_id: Option<String>,
    token_url: Url,
    http: reqwest::Client,
    /// One for each set of scopes. Held while a token is fetched.
    current: tokio::sync::Mutex<Vec<Current>>,
    possession: Mutex<Possession>,
    redactor: Redactor,
}

struct Current {
    header: HeaderValue,
    token: SecretString,
    scopes: String,
    /// `token_type` is DPoP: every request needs a proof.
    bound: bool,
    renew_at: Instant,
}

#[derive(Default)]
struct Possession {
    /// There once the organisation has demanded a proof.
    key: Option<ProofKey>,
    /// Of the token endpoint, and of the API: each has its own (RFC 9449 sections 8 and 9).
    nonce: Option<String>,
    api_nonce: Option<String>,
    /// Seconds by which the server's clock is ahead.
    skew: i64,
}

/// RFC 6749 section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

/// What became of one request to the token endpoint.
enum Outcome {
    Granted(Current),
    Refused(Refused),
    /// Try again after this, or sooner where nothing was said.
    Later(String, Option<Duration>),
}

impl Service {
    fn new(client_id: &str, private_key: &Secret, key_id: Option<&str>, token_url: Url, http: reqwest::Client) -> Self {
        Self {
            client_id: client_id.to_owned(),
            private_key: SecretCell::new(private_key.clone()),
            key_id: key_id.map(str::to_owned),
            token_url,
            http,
            current: tokio::sync::Mutex::default(),
            possession: Mutex::default(),
            redactor: Redactor::default(),
        }
    }

    async fn authorise(&self, url: &Url, scopes: &str, limits: &Limits) -> Result<Authorised, AuthError> {
        let mut current = self.current.lock().await;
        current.retain(|c| Instant::now() < c.renew_at);
        let fresh = match current.iter().position(|c| c.scopes == scopes) {
            Some(at) => current.swap_remove(at),
            None => self.fetch(scopes, limits).await?,
        };
        let proof = if fresh.bound { Some(self.proof("GET", url, Some(fresh.token.expose_secret()))?) } else { None };
        let authorization = fresh.header.clone();
        current.push(fresh);
        Ok(Authorised { authorization, proof })
    }

    async fn fetch(&self, scopes: &str, limits: &Limits) -> Result<Current, AuthError> {
        let mut waits = client::waits();
        let mut rounds = 0;
        let mut corrected = false;
        loop {
            limits.wait().await;
            let before = self.with(|p| p.skew);
            match self.ask(scopes, limits).await? {
                Outcome::Granted(current) => return Ok(current),
                Outcome::Later(why, wait) => {
                    let at = &self.token_url;
                    let Some(own) = waits.next() else {
                        return Err(AuthError::Unavailable(format!("the token endpoint {at} gives no token: {why}")));
                    };
                    tokio::time::sleep(wait.unwrap_or_default().max(own)).await;
                }
                Outcome::Refused(refused) => {
                    rounds += 1;
                    // Each goes out with a new assertion: its jti is good for once.
                    let proof = refused.error.contains("dpop") && rounds < ROUNDS;
                    if proof && self.with(|p| p.key.is_none()) {
                        let key = ProofKey::new().map_err(|e| AuthError::Unavailable(e.to_string()))?;
                        self.with(|p| p.key = Some(key));
                        continue;
                    }
                    if proof && refused.error == "use_dpop_nonce" && self.with(|p| p.nonce.is_some()) {
                        continue;
                    }
                    let skew = self.with(|p| p.skew);
                    if !corrected && (skew - before).abs() > SKEW && refused.error == "invalid_client" {
                        corrected = true;
                        continue;
                    }
                    let said = refused.error_description.as_deref().unwrap_or_default();
                    return Err(AuthError::Refused(refusal::of_token(&refused.error, &self.redactor.redact(said), scopes)));
                }
            }
        }
    }

    async fn ask(&self, scopes: &str, limits: &Limits) -> Result<Outcome, AuthError> {
        let assertion = self.assertion()?;
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", scopes)
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion.expose_secret())
            .finish();
        let mut request = self
            .http
            .post(self.token_url.clone())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(http::header::ACCEPT, "application/json")
            .body(form);
        let bound = self.with(|p| p.key.is_some());
        if bound {
            request = request.header("DPoP", self.proof("POST", &self.token_url, None)?);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) => return client::transport(&e).map(|why| Outcome::Later(why, None)).map_err(AuthError::Unavailable),
        };
        self.learn(response.headers(), |p| &mut p.nonce);
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = match body::read(response).await {
            Ok(bytes) => bytes,
            Err(e) => return Ok(Outcome::Later(e.to_string(), None)),
        };
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = limits.refused(&headers, retry::retry_after(&headers));
            let why = "it asks us to slow down".to_owned();
            return wait.map(|w| Outcome::Later(why.clone(), Some(w))).ok_or(AuthError::Unavailable(why));
        }
        if status.is_server_error() {
            let (why, wait) = (format!("HTTP {}", status.as_u16()), retry::retry_after(&headers));
            if wait.is_some_and(|wait| wait > limits::LONGEST) {
                let why = format!("{why}, and it asks for a longer wait than a read takes (Retry-After)");
                return Err(AuthError::Unavailable(format!("the token endpoint {} gives no token: {why}", self.token_url)));
            }
            return Ok(Outcome::Later(why, wait));
        }
        if status.is_success() {
            return self.granted(&bytes, scopes, bound).map(Outcome::Granted);
        }
        serde_json::from_slice(&bytes).map(Outcome::Refused).map_err(|_| {
            let quote = body::excerpt(&bytes, |t| self.redactor.redact(t));
            let at = &self.token_url;
            AuthError::Refused(format!(
                "{at} answers HTTP {} and no OAuth error: {quote}; is `url` the organisation's own address?",
                status.as_u16()
            ))
        })
    }

    fn granted(&self, bytes: &[u8], scopes: &str, proved: bool) -> Result<Current, AuthError> {
        let granted: Granted = serde_json::from_slice(bytes)
            .map_err(|_| AuthError::Unavailable(format!("{} answered something else than a token", self.token_url)))?;
        let token = SecretString::from(granted.access_token);
        self.redactor.add(token.expose_secret());
        let bound = proved && granted.token_type.eq_ignore_ascii_case("DPoP");
        let life = Duration::from_secs(granted.expires_in.unwrap_or(3600));
        Ok(Current {
            header: header(if bound { "DPoP" } else { "Bearer" }, &token)?,
            token,
            scopes: scopes.to_owned(),
            bound,
            renew_at: Instant::now() + life.saturating_sub(EARLY.min(life / 10)),
        })
    }

    /// A new assertion; it can be used once.
    fn assertion(&self) -> Result<SecretString, AuthError> {
        let secret = |e: AssertionError| AuthError::Secret(e.to_string());
        let key = SigningKey::from_pem(&self.private_key.get()?, &format!("{:?}", self.private_key)).map_err(secret)?;
        let mut header = key.header();
        header.kid = self.key_id.clone();
        let assertion = key.client_assertion(header, &self.client_id, self.token_url.as_str(), self.now()).map_err(secret)?;
        self.redactor.add(assertion.expose_secret());
        Ok(assertion)
    }

    fn proof(&self, method: &str, url: &Url, token: Option<&str>) -> Result<HeaderValue, AuthError> {
        let now = self.now();
        let prove = |p: &mut Possession| {
            // The API takes the token endpoint's as long as it has handed out none.
            let nonce = if token.is_some() { p.api_nonce.as_ref().or(p.nonce.as_ref()) } else { p.nonce.as_ref() };
            p.key.as_ref()?.proof(method, url, now, token, nonce.map(String::as_str)).ok()
        };
        self.with(prove)
            .and_then(|proof| HeaderValue::try_from(proof).ok())
            .ok_or_else(|| AuthError::Unavailable("a proof of possession (DPoP) cannot be signed".to_owned()))
    }

    /// Unix seconds, by the server's clock as far as it is known.
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second() + self.with(|p| p.skew)
    }

    /// Keeps clock and nonce; whether it is another nonce than before.
    fn learn(&self, headers: &HeaderMap, whose: impl FnOnce(&mut Possession) -> &mut Option<String>) -> bool {
        let nonce = headers.get("dpop-nonce").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let skew = limits::date(headers).map(|date| date - jiff::Timestamp::now().as_second());
        self.with(|p| {
            // The date has whole seconds, and answers take time: only what matters.
            p.skew = skew.filter(|s| s.abs() > SKEW).unwrap_or(0);
            let kept = whose(p);
            let is_new = nonce.is_some() && *kept != nonce;
            *kept = nonce.or_else(|| kept.take());
            is_new
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Possession) -> T) -> T {
        f(&mut self.possession.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `SCHEME TOKEN`, marked so that it is never printed.
fn header(scheme: &str, token: &SecretString) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::try_from(format!("{scheme} {}", token.expose_secret().trim()))
        .map_err(|_| AuthError::Secret("the token holds a character that no HTTP header may hold (a line break?)".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
