//! Authorisation of requests: a bearer token by reference, or OAuth 2.0 client credentials.
//!
//! The finished header value is kept; making a request costs one clone of a reference-counted buffer.

pub use super::oauth::{Assert, Proof};

use super::assertion::AssertionError;
use super::oauth::OAuth;
use super::redact::Redactor;
use crate::config::{Secret, SecretCell, SecretError, TargetAuth};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A file that holds a token is looked at again after this long (and at once after a 401).
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a request cannot be authorised. Never contains the secret.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The secret cannot be read, or cannot stand in a header.
    #[error("{0}")]
    Secret(String),
    /// The token endpoint refused the client.
    #[error("{0}")]
    Refused(String),
    /// The token endpoint could not be reached, or failed.
    #[error("{0}")]
    Unavailable(String),
}

/// How requests to one server are authorised.
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: Bearer TOKEN`.
    Token(Token),
    /// OAuth 2.0 client credentials.
    OAuth(Box<OAuth>),
}

impl Auth {
    /// Builds it; reads nothing yet. `http` is used for the token endpoint.
    ///
    /// # Errors
    /// The token endpoint's address cannot be used.
    pub fn new(config: Option<&TargetAuth>, http: &reqwest::Client) -> Result<Self, AuthError> {
        Ok(match config {
            None => Self::None,
            Some(TargetAuth::Token(secret)) => Self::Token(Token::new(secret.clone())),
            Some(TargetAuth::OAuth { token_url, client_id, client_secret, scope }) => {
                let proof = Proof::Secret(SecretCell::new(client_secret.clone()));
                Self::client(token_url, client_id, proof, scope.as_deref(), http)?
            }
        })
    }

    /// OAuth 2.0 client credentials with any proof; reads nothing yet.
    ///
    /// # Errors
    /// The token endpoint's address cannot be used.
    pub fn client(
        token_url: &url::Url,
        client_id: &str,
        proof: Proof,
        scope: Option<&str>,
        http: &reqwest::Client,
    ) -> Result<Self, AuthError> {
        Ok(Self::OAuth(Box::new(OAuth::new(token_url, client_id, proof, scope, http.clone())?)))
    }

    /// The value of the `Authorization` header.
    ///
    /// # Errors
    /// The secret cannot be read, or no token can be had.
    pub async fn header(&self) -> Result<Option<HeaderValue>, AuthError> {
        match self {
            Self::None => Ok(None),
            Self::Token(t) => t.header().map(Some),
            Self::OAuth(o) => o.header().await.map(Some),
        }
    }

    /// After a 401 to a request that carried `used`: a different value to try once, if there is one.
    ///
    /// # Errors
    /// The secret cannot be read, or no token can be had.
    pub async fn after_401(&self, used: Option<&HeaderValue>) -> Result<Option<HeaderValue>, AuthError> {
        let fresh = match self {
            Self::None => return Ok(None),
            Self::Token(t) => t.reload()?,
            Self::OAuth(o) => o.renew(used).await?,
        };
        Ok((used != Some(&fresh)).then_some(fresh))
    }

    /// `text` without any secret that this authorisation knows.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Token(t) => t.redact(text),
            Self::OAuth(o) => o.redact(text),
        }
    }

    /// Bytes that change when the credential changes. Secret: only to be hashed.
    ///
    /// # Errors
    /// The secret cannot be read.
    pub fn identity(&self) -> Result<Vec<u8>, AuthError> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Token(t) => Ok(t.cell.get()?.expose_secret().as_bytes().to_vec()),
            Self::OAuth(o) => o.identity(),
        }
    }
}

/// A bearer token, read again when its file changes.
pub struct Token {
    cell: SecretCell,
    cached: Mutex<Option<(HeaderValue, Instant)>>,
    redactor: Redactor,
}

impl Token {
    fn new(secret: Secret) -> Self {
        Self { cell: SecretCell::new(secret), cached: Mutex::new(None), redactor: Redactor::default() }
    }

    fn header(&self) -> Result<HeaderValue, AuthError> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match cached {
            Some((value, at)) if at.elapsed() < LOOK_AGAIN => Ok(value),
            _ => self.keep(&self.cell.get()?),
        }
    }

    fn reload(&self) -> Result<HeaderValue, AuthError> {
        self.keep(&self.cell.reload()?)
    }

    fn keep(&self, token: &SecretString) -> Result<HeaderValue, AuthError> {
        let value = bearer(token, &format!("{:?}", self.cell))?;
        self.redactor.add(token.expose_secret().trim());
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some((value.clone(), Instant::now()));
        Ok(value)
    }

    fn redact(&self, text: &str) -> String {
        self.redactor.redact(text)
    }
}

impl From<AssertionError> for AuthError {
    fn from(e: AssertionError) -> Self {
        Self::Secret(e.to_string())
    }
}

impl From<SecretError> for AuthError {
    fn from(e: SecretError) -> Self {
        Self::Secret(e.to_string())
    }
}

/// `Bearer TOKEN` (RFC 6750 section 2.1), marked so that it is never printed.
pub(super) fn bearer(token: &SecretString, origin: &str) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret().trim())).map_err(|_| {
        AuthError::Secret(format!("the token ({origin}) holds a character that no HTTP header may hold (a line break?)"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn token(text: &str) -> Auth {
        Auth::Token(Token::new(Secret::Plain(text.into())))
    }

    #[tokio::test]
    async fn a_token_becomes_a_header_that_is_not_printed() {
        let auth = token("  abc-123 ");
        let value = auth.header().await.unwrap().unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer abc-123");
        assert!(!format!("{value:?}").contains("abc-123"));
        assert_eq!(auth.redact("you sent abc-123!"), "you sent [secret]!");
    }

    #[tokio::test]
    async fn a_401_with_the_same_token_gives_nothing_new_to_try() {
        let auth = token("abc-123");
        let used = auth.header().await.unwrap();
        assert_eq!(auth.after_401(used.as_ref()).await.unwrap(), None);
        assert_eq!(Auth::None.after_401(None).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_token_with_a_line_break_is_named_not_shown() {
        let error = token("abc\n123").header().await.unwrap_err().to_string();
        assert!(error.contains("line break") && !error.contains("abc"), "{error}");
    }
}
