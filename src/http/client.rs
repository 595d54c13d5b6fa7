//! The one way a [`reqwest::Client`] is built, and what its errors mean.

use super::tls::{self, TlsError};
use crate::config::NetConfig;
use std::error::Error as _;
use std::time::Duration;

/// Connecting never takes longer than this.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Shorter than the 5 s after which common servers (Node) close theirs: a request
/// written into a connection that is being closed fails in a way that leaves open whether it was carried out.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// CA file or TLS set-up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP library refused a setting (the proxy address, as a rule).
    #[error("HTTP client: {0}")]
    Build(String),
}

/// Builds a client: HTTP/1.1 with keep-alive, gzip, no redirects (a redirect would carry the token elsewhere), our TLS.
///
/// # Errors
/// The CA file cannot be read, or the proxy address cannot be used.
pub fn build(net: &NetConfig, connections: usize) -> Result<reqwest::Client, ClientError> {
    let tls = tls::client_config(net.ca_file.as_deref())?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.as_ref().clone())
        .user_agent(super::USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(net.timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(net.timeout))
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(connections.max(1))
        .tcp_nodelay(true);
    if let Some(proxy) = &net.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(|e| ClientError::Build(describe(&e)))?);
    }
    builder.build().map_err(|e| ClientError::Build(describe(&e)))
}

/// What a transport error means for the request that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// No connection was made (name, route, refusal, TLS timeout): nothing was sent.
    NotSent,
    /// The server's certificate or TLS version was refused, by us or by it: nothing was sent, and it will not pass by itself.
    Tls,
    /// Sent, and no complete answer in time.
    TimedOut,
    /// Sent, and the connection broke before the answer was complete.
    Broken,
}

/// Classifies a transport error.
#[must_use]
pub fn classify(error: &reqwest::Error) -> Transport {
    if is_tls(error) {
        Transport::Tls
    } else if error.is_connect() || error.is_builder() {
        Transport::NotSent
    } else if error.is_timeout() {
        Transport::TimedOut
    } else {
        Transport::Broken
    }
}

/// A rustls error (certificate, protocol version) met while connecting.
fn is_tls(error: &reqwest::Error) -> bool {
    if !error.is_connect() {
        return false;
    }
    let mut next = error.source();
    while let Some(e) = next {
        if e.is::<rustls::Error>() {
            return true;
        }
        // The handshake reports through io::Error, which hides its cause from `source`.
        if let Some(inner) = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && inner.is::<rustls::Error>()
        {
            return true;
        }
        next = e.source();
    }
    false
}

/// The innermost causes of an error in one line, without the URL (whose query may hold a secret).
#[must_use]
pub fn describe(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(e) = next {
        let text = e.to_string();
        if parts.last().is_none_or(|last| *last != text) {
            parts.push(text);
        }
        next = e.source();
    }
    if parts.is_empty() {
        return if error.is_timeout() { "timed out".to_owned() } else { "request failed".to_owned() };
    }
    // Wrappers repeat what they wrap; the last two say where and what.
    let from = parts.len().saturating_sub(2);
    parts[from..].join(": ")
}
