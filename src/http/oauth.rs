//! OAuth 2.0 client credentials (RFC 6749 section 4.4) by the `oauth2` crate; the only file that knows that crate.

use super::assertion::{ASSERTION_TYPE, AssertionError};
use super::auth::{AuthError, bearer};
use super::body;
use super::client::{self, Transport};
use super::redact::Redactor;
use super::retry::{Backoff, retry_after};
use crate::config::SecretCell;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, Scope, TokenResponse as _,
    TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;

/// A token is renewed this long before it ends (or a tenth of its life, where that is shorter).
const EARLY: Duration = Duration::from_secs(300);

/// What a token without `expires_in` is believed to live.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);

/// How a client proves to the token endpoint that it is itself.
pub enum Proof {
    /// A secret by HTTP Basic, which every server must understand (RFC 6749 section 2.3.1), else in the body.
    Secret(SecretCell),
    /// A secret in the body.
    SecretInBody(SecretCell),
    /// A signed assertion instead of a secret (RFC 7523 section 2.2).
    Assertion(Box<dyn Assert>),
}

/// Makes the assertions of a client.
pub trait Assert: Send + Sync {
    /// Assertions for this token endpoint, in the forms to be tried one after another while the server refuses.
    ///
    /// # Errors
    /// Key or certificate cannot be used.
    fn assertions(&self, token_url: &str) -> Result<Vec<SecretString>, AssertionError>;
}

/// Client credentials for one server.
pub struct OAuth {
    token_url: TokenUrl,
    host: String,
    client_id: ClientId,
    proof: Proof,
    scope: Option<Scope>,
    bridge: Bridge,
    /// Held while a token is fetched, so that many requests fetch one.
    current: Mutex<Option<Current>>,
    /// What must not be quoted: client secrets and tokens.
    redactor: Redactor,
}

struct Current {
    header: HeaderValue,
    renew_at: Instant,
}

impl OAuth {
    pub(super) fn new(
        token_url: &Url,
        client_id: &str,
        proof: Proof,
        scope: Option<&str>,
        http: reqwest::Client,
    ) -> Result<Self, AuthError> {
        Ok(Self {
            host: format!("{}{}", token_url.host_str().unwrap_or_default(), token_url.path()),
            token_url: TokenUrl::new(token_url.to_string()).map_err(|e| AuthError::Secret(format!("oauth.token_url: {e}")))?,
            client_id: ClientId::new(client_id.to_owned()),
            proof,
            scope: scope.map(|s| Scope::new(s.to_owned())),
            bridge: Bridge(http),
            current: Mutex::new(None),
            redactor: Redactor::default(),
        })
    }

    pub(super) async fn header(&self) -> Result<HeaderValue, AuthError> {
        let mut current = self.current.lock().await;
        match &*current {
            Some(c) if Instant::now() < c.renew_at => Ok(c.header.clone()),
            _ => {
                let fresh = self.fetch().await?;
                let header = fresh.header.clone();
                *current = Some(fresh);
                Ok(header)
            }
        }
    }

    /// A new token, unless somebody else has got one since `used` was current.
    pub(super) async fn renew(&self, used: Option<&HeaderValue>) -> Result<HeaderValue, AuthError> {
        let mut current = self.current.lock().await;
        if let Some(c) = &*current
            && used != Some(&c.header)
        {
            return Ok(c.header.clone());
        }
        let fresh = self.fetch().await?;
        let header = fresh.header.clone();
        *current = Some(fresh);
        Ok(header)
    }

    pub(super) fn redact(&self, text: &str) -> String {
        self.redactor.redact(text)
    }

    pub(super) fn identity(&self) -> Result<Vec<u8>, AuthError> {
        Ok(match &self.proof {
            Proof::Secret(cell) | Proof::SecretInBody(cell) => {
                [self.client_id.as_bytes(), &[0], cell.get()?.expose_secret().as_bytes()].concat()
            }
            Proof::Assertion(_) => self.client_id.as_bytes().to_vec(),
        })
    }

    async fn fetch(&self) -> Result<Current, AuthError> {
        let mut forms: Vec<Box<dyn Fn(Request) -> Request + Send + Sync>> = Vec::new();
        match &self.proof {
            Proof::Secret(cell) | Proof::SecretInBody(cell) => {
                let secret = cell.get()?;
                self.redactor.add_client(&self.client_id, secret.expose_secret());
                let secret = ClientSecret::new(secret.expose_secret().to_owned());
                if matches!(self.proof, Proof::Secret(_)) {
                    let secret = secret.clone();
                    forms.push(Box::new(move |r| r.with_secret(secret.clone(), AuthType::BasicAuth)));
                }
                forms.push(Box::new(move |r| r.with_secret(secret.clone(), AuthType::RequestBody)));
            }
            Proof::Assertion(assert) => {
                for assertion in assert.assertions(self.token_url.as_str())? {
                    self.redactor.add(assertion.expose_secret());
                    forms.push(Box::new(move |r| r.with_assertion(assertion.clone())));
                }
            }
        }
        let mut refused = None;
        for form in forms {
            match self.fetch_as(form(Request::default())).await {
                Err(AuthError::Refused(text)) => refused = refused.or(Some(text)),
                other => return other,
            }
        }
        Err(AuthError::Refused(refused.unwrap_or_else(|| "there is nothing to sign in with".to_owned())))
    }

    async fn fetch_as(&self, proof: Request) -> Result<Current, AuthError> {
        let client =
            BasicClient::new(self.client_id.clone()).set_auth_type(proof.auth_type).set_token_uri(self.token_url.clone());
        let client = match proof.secret {
            Some(secret) => client.set_client_secret(secret),
            None => client,
        };
        let mut backoff = Backoff::default();
        let token = loop {
            let mut request = client.exchange_client_credentials();
            if let Some(scope) = &self.scope {
                request = request.add_scope(scope.clone());
            }
            if let Some(assertion) = &proof.assertion {
                request = request
                    .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                    .add_extra_param("client_assertion", assertion.expose_secret());
            }
            match request.request_async(&self.bridge).await {
                Ok(token) => break token,
                Err(RequestTokenError::Request(SendError { again: Some(asked), message })) => match backoff.next(asked) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(AuthError::Unavailable(format!("the token endpoint {}: {message}", self.host))),
                },
                Err(e) => return Err(self.explain(&e)),
            }
        };
        let access = SecretString::from(token.access_token().secret().clone());
        let header = bearer(&access, &format!("from {}", self.host))?;
        self.redactor.add(access.expose_secret());
        let life = token.expires_in().unwrap_or(DEFAULT_LIFE);
        Ok(Current { header, renew_at: Instant::now() + life.saturating_sub(EARLY.min(life / 10)) })
    }

    fn explain(&self, error: &TokenError) -> AuthError {
        let at = &self.host;
        match error {
            RequestTokenError::ServerResponse(r) => {
                let said = r
                    .error_description()
                    .map_or_else(String::new, |d| format!(": {}", body::excerpt(d.as_bytes(), |t| self.redact(t))));
                let text = format!(
                    "the token endpoint {at} refused: {}{said}; check client_id, client_secret and scope",
                    self.redact(r.error().as_ref())
                );
                match r.error() {
                    BasicErrorResponseType::Extension(e) if e == "temporarily_unavailable" || e == "server_error" => {
                        AuthError::Unavailable(text)
                    }
                    _ => AuthError::Refused(text),
                }
            }
            RequestTokenError::Request(e) => AuthError::Unavailable(format!("the token endpoint {at} cannot be reached: {e}")),
            RequestTokenError::Parse(_, body) => AuthError::Unavailable(format!(
                "the token endpoint {at} answered something else than a token: {}",
                body::excerpt(body, |t| self.redact(t))
            )),
            RequestTokenError::Other(e) => AuthError::Unavailable(format!("the token endpoint {at}: {}", self.redact(e))),
        }
    }
}

/// What a request to the token endpoint proves itself by.
struct Request {
    secret: Option<ClientSecret>,
    auth_type: AuthType,
    assertion: Option<SecretString>,
}

impl Default for Request {
    fn default() -> Self {
        Self { secret: None, auth_type: AuthType::RequestBody, assertion: None }
    }
}

impl Request {
    fn with_secret(self, secret: ClientSecret, auth_type: AuthType) -> Self {
        Self { secret: Some(secret), auth_type, ..self }
    }

    fn with_assertion(self, assertion: SecretString) -> Self {
        Self { assertion: Some(assertion), ..self }
    }
}

/// The bridge between the two libraries: a request of `oauth2` sent by reqwest.
struct Bridge(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Bridge {
    type Error = SendError;
    // Boxed: the compiler cannot prove a closure's future `Send` for every lifetime.
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(|e| SendError::new(client::describe(&e)))?;
            let response = self.0.execute(request).await.map_err(|e| {
                let what = if client::classify(&e) == Transport::Tls { " (certificate: set ca_file)" } else { "" };
                let again = (client::classify(&e) == Transport::Broken).then_some(None);
                SendError { message: format!("{}{what}", client::describe(&e)), again }
            })?;
            let status = response.status();
            if matches!(status.as_u16(), 429 | 500..=599) {
                let again = Some(retry_after(response.headers()));
                return Err(SendError { message: format!("it answers {status}"), again });
            }
            let bytes = body::read(response).await.map_err(|e| SendError { message: e.to_string(), again: Some(None) })?;
            // `oauth2` insists on application/json; not every server that sends JSON says so. Anything else fails to parse.
            let mut out = HttpResponse::new(bytes.to_vec());
            *out.status_mut() = status;
            out.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(out)
        })
    }
}

type TokenError = RequestTokenError<SendError, oauth2::basic::BasicErrorResponse>;

/// Why a request to the token endpoint failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct SendError {
    message: String,
    /// It asked to come back later, and when, where it said so.
    again: Option<Option<Duration>>,
}

impl SendError {
    fn new(message: String) -> Self {
        Self { message, again: None }
    }
}
