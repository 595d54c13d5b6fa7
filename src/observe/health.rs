//! The listener of `[http]`: `/healthz`, `/readyz`, `/metrics` and the status page.
//!
//! It answers GET and HEAD, one request per connection, and closes what does not get on: nobody can hang it.

use super::board::Board;
use super::metrics::Handle;
use super::page;
use crate::config::{HttpConfig, SecretCell};
use hmac::{Hmac, Mac};
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections at a time; further ones wait to be accepted.
const CONNECTIONS: usize = 64;

/// How long a client may take to ask.
const ASKING: Duration = Duration::from_secs(5);

/// How long a connection may take in all.
const WHOLE: Duration = Duration::from_secs(15);

/// How much of a request is read before it is refused.
const HEAD: usize = 16 * 1024;

/// How often recorded values are summed up where nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(60);

const TEXT: &str = "text/plain; charset=utf-8";
/// Source: prometheus.io, "Exposition formats".
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// Why nobody is listened to.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address is taken, not ours, or not allowed.
    #[error("http.listen: cannot listen on {listen}: {error}; {advice}")]
    Bind {
        /// As it stands in the configuration.
        listen: String,
        /// What the system says.
        error: std::io::Error,
        /// What to do.
        advice: &'static str,
    },
}

/// A listener that is bound and does not answer yet.
pub struct Listener {
    listener: TcpListener,
    token: Option<SecretCell>,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// It cannot be had.
    pub async fn bind(config: &HttpConfig) -> Result<Self, HealthError> {
        let listener = TcpListener::bind(&config.listen).await.map_err(|error| {
            let advice = match error.kind() {
                std::io::ErrorKind::AddrInUse => "something else listens there (another instance?): choose another port",
                std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
                std::io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
                _ => "choose another address",
            };
            HealthError::Bind { listen: config.listen.clone(), error, advice }
        })?;
        Ok(Self { listener, token: config.token.clone().map(SecretCell::new) })
    }

    /// Where it listens: the port that the system chose where the configuration says 0.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`. Requests that are being answered then are cut off.
    pub async fn serve(self, board: Arc<Board>, metrics: Handle, stop: CancellationToken) {
        let site = Arc::new(Site { token: self.token, board, metrics, said: AtomicBool::new(false) });
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => return,
                _ = upkeep.tick() => {
                    site.metrics.upkeep();
                    continue;
                }
                place = accept(&self.listener, &places) => place,
            };
            let Some((stream, place)) = place else { continue };
            let (site, stop) = (Arc::clone(&site), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    // Too slow: closed, and nobody is told.
                    _ = tokio::time::timeout(WHOLE, connection(stream, site)) => {}
                }
                drop(place);
            });
        }
    }
}

/// The next connection, with a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            // Out of file descriptors, say: others may be closed in a moment.
            tracing::warn!(%error, "http: cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (head, _) = request.into_parts();
        let answer = site.answer(&head.method, head.uri.path(), &head.headers, jiff::Timestamp::now().as_second());
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "http: a connection ended");
    }
}

/// What is answered.
struct Site {
    token: Option<SecretCell>,
    board: Arc<Board>,
    metrics: Handle,
    /// That the token cannot be read was said: once, not once for every request of whoever likes.
    said: AtomicBool,
}

/// What a request may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everything.
    Full,
    /// It brings no token: whether we live and are ready, and nothing else.
    Probe,
    /// It brings a wrong one.
    Refused,
    /// The token cannot be read.
    Broken,
}

impl Site {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap, now: i64) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n", &[(ALLOW, "GET, HEAD")]);
        }
        let access = self.access(headers);
        match (path, access) {
            (_, Access::Refused) => unauthorized(),
            ("/healthz", _) => reply(StatusCode::OK, TEXT, "ok\n", &[]),
            ("/readyz", _) => {
                let found = self.board.readiness(now);
                let status = if found.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let mut text = String::from(if found.ready { "ready\n" } else { "not ready\n" });
                if access == Access::Full {
                    text.extend(found.lines.iter().map(|l| format!("{l}\n")));
                }
                reply(status, TEXT, text, &[])
            }
            ("/" | "/metrics", Access::Probe) => unauthorized(),
            ("/" | "/metrics", Access::Broken) => {
                reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "http.token cannot be read; see the log\n", &[])
            }
            ("/metrics", Access::Full) => reply(StatusCode::OK, PROMETHEUS, self.metrics.render(&self.board, now), &[]),
            ("/", Access::Full) => {
                let policy = (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
                reply(StatusCode::OK, HTML, page::render(&self.board, now), &[policy])
            }
            _ => reply(StatusCode::NOT_FOUND, TEXT, "there are /healthz, /readyz, /metrics and /\n", &[]),
        }
    }

    fn access(&self, headers: &HeaderMap) -> Access {
        let Some(cell) = &self.token else { return Access::Full };
        let Some(given) = headers.get(AUTHORIZATION) else { return Access::Probe };
        match cell.get() {
            Ok(token) => {
                let right = bearer(given).is_some_and(|given| same(given, &token));
                if right { Access::Full } else { Access::Refused }
            }
            Err(error) => {
                if !self.said.swap(true, Ordering::Relaxed) {
                    tracing::error!("http.token: {error}");
                }
                Access::Broken
            }
        }
    }
}

/// The token of `Bearer TOKEN` (RFC 6750 section 2.1).
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

/// Whether both are the same, in a time that says nothing of either: their keyed hashes are compared.
fn same(given: &[u8], token: &SecretString) -> bool {
    let hash = |bytes: &[u8]| Hmac::<Sha256>::new_from_slice(b"scim-sync http token").map(|m| m.chain_update(bytes));
    match (hash(given), hash(token.expose_secret().trim().as_bytes())) {
        (Ok(given), Ok(right)) => given.verify_slice(&right.finalize().into_bytes()).is_ok(),
        _ => false,
    }
}

fn unauthorized() -> Response<Full<Bytes>> {
    reply(StatusCode::UNAUTHORIZED, TEXT, "a bearer token is needed\n", &[(WWW_AUTHENTICATE, "Bearer realm=\"scim-sync\"")])
}

fn reply(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
    more: &[(HeaderName, &'static str)],
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(more.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
    response
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
