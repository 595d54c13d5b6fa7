//! The HTTP side: connections, faults on purpose, the token.

use super::behaviour::Behaviour;
use super::counters::{Counters, Seen};
use super::faults::{Fate, Fault, Faults, retry_after};
use super::reply::{Answer, Reply};
use super::store::Store;
use super::trouble::Trouble;
use super::{admin, routes};
use crate::scim::error::ScimError;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Path of the SCIM base.
pub(super) const BASE: &str = "/scim/v2";

/// Largest body accepted, bytes: a group of several hundred thousand members.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Base URL, absolute.
    pub(super) base: Arc<str>,
    pub(super) behaviour: Behaviour,
    faults: Faults,
    pub(super) counters: Counters,
    store: RwLock<Store>,
    authorization: RwLock<Authorization>,
    trouble: RwLock<Arc<Trouble>>,
    number: AtomicU64,
}

/// The accepted `Authorization` header.
struct Authorization(String);

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer (hidden)")
    }
}

/// The connection is closed without (further) answer.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
pub(super) struct Abort;

impl Shared {
    pub(super) fn new(base: &str, token: &str, behaviour: Behaviour, faults: Faults) -> Self {
        let base: Arc<str> = base.into();
        Self {
            store: RwLock::new(Store::new(Arc::clone(&base))),
            base,
            behaviour,
            faults,
            counters: Counters::default(),
            authorization: RwLock::new(Authorization(format!("Bearer {token}"))),
            trouble: RwLock::default(),
            number: AtomicU64::new(0),
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on only this token is accepted.
    pub(super) fn set_token(&self, token: &str) {
        self.authorization.write().unwrap_or_else(PoisonError::into_inner).0 = format!("Bearer {token}");
    }

    /// What goes wrong on purpose.
    pub(super) fn trouble(&self) -> Arc<Trouble> {
        Arc::clone(&self.trouble.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this goes wrong.
    pub(super) fn set_trouble(&self, trouble: Trouble) {
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trouble);
    }

    /// Whether the request may go on. What the server can do may be asked without a token, but not with a wrong one
    /// (RFC 7644 section 4).
    fn authorized(&self, headers: &HeaderMap, path: &str) -> bool {
        match headers.get(AUTHORIZATION) {
            Some(given) => {
                let accepted = self.authorization.read().unwrap_or_else(PoisonError::into_inner);
                let (scheme, token) = accepted.0.split_at(7);
                given.as_bytes().split_at_checked(7).is_some_and(|(given_scheme, given_token)| {
                    given_scheme.eq_ignore_ascii_case(scheme.as_bytes()) && given_token == token.as_bytes()
                })
            }
            None => path.trim_end_matches('/') == "/ServiceProviderConfig",
        }
    }
}

/// A request with its body read.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) method: &'a Method,
    /// Path behind the base.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
}

impl Received<'_> {
    fn text(&self, name: &http::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn if_match(&self) -> Option<&str> {
        self.text(&IF_MATCH)
    }

    pub(super) fn if_none_match(&self) -> Option<&str> {
        self.text(&IF_NONE_MATCH)
    }

    /// The media type without its parameters.
    pub(super) fn media_type(&self) -> Option<&str> {
        self.text(&CONTENT_TYPE).map(|text| text.split(';').next().unwrap_or_default().trim())
    }
}

/// Accepts connections for as long as the runtime lives.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(connection(stream, peer, Arc::clone(&shared)));
            }
            Err(error) => {
                // Out of file descriptors, say: others may be closed in a moment.
                tracing::warn!(%error, "sandbox: cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "sandbox: TCP_NODELAY");
    }
    let service = service_fn(|request| answer(request, peer, &shared));
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "sandbox: connection ended");
    }
}

async fn answer(request: Request<Incoming>, peer: SocketAddr, shared: &Arc<Shared>) -> Result<Response<Answer>, Abort> {
    let (head, body) = request.into_parts();
    let full_path = head.uri.path();
    let inside = full_path.strip_prefix(BASE).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(path) = inside else {
        return Ok(match read(body).await {
            Ok(body) => admin::answer(shared, &head.method, full_path, &body, peer).whole(),
            Err(reply) => reply.whole(),
        });
    };
    shared.counters.came(&head.method, full_path);
    let fate = if shared.faults.any() {
        shared.faults.fate(shared.number.fetch_add(1, Ordering::Relaxed))
    } else {
        Fate { delay: Duration::ZERO, fault: None }
    };
    let over = |status, fault: Option<Fault>| {
        shared.counters.over(Seen {
            method: head.method.clone(),
            path: full_path.to_owned(),
            query: head.uri.query().map(str::to_owned),
            status,
            fault: fault.map(|fault| format!("{fault:?}")),
        });
    };
    if fate.fault == Some(Fault::Reset) {
        over(StatusCode::INTERNAL_SERVER_ERROR, fate.fault);
        return Err(Abort);
    }
    let reply = match (read(body).await, refusal(fate.fault)) {
        (Err(reply), _) | (Ok(_), Some(reply)) => reply,
        (Ok(_), None) if !shared.authorized(&head.headers, path) => {
            Reply::error(&ScimError::new(401, "the bearer token is missing or not valid"))
        }
        (Ok(body), None)
            if let Some(Fault::Late(by)) = fate.fault
                && head.method != Method::GET =>
        {
            carry_out_later(Arc::clone(shared), head.clone(), path.to_owned(), body, by);
            Reply::error(&ScimError::new(504, "nobody behind this gateway answered in time"))
        }
        (Ok(body), None) => {
            let query = head.uri.query().unwrap_or_default();
            routes::answer(shared, &Received { method: &head.method, path, query, headers: &head.headers, body })
        }
    };
    over(reply.status, fate.fault);
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    match fate.fault {
        Some(Fault::Lost) => Err(Abort),
        Some(Fault::Truncated) => reply.cut().ok_or(Abort),
        _ => Ok(reply.whole()),
    }
}

/// Carries a request out after a while, whether or not its client is still there.
fn carry_out_later(shared: Arc<Shared>, head: http::request::Parts, path: String, body: Bytes, by: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(by).await;
        let query = head.uri.query().unwrap_or_default();
        // Nobody waits for this answer.
        let _ = routes::answer(&shared, &Received { method: &head.method, path: &path, query, headers: &head.headers, body });
    });
}

/// The answer of a fault that keeps a request from being carried out.
fn refusal(fault: Option<Fault>) -> Option<Reply> {
    match fault? {
        Fault::Throttled { after, as_date } => {
            let reply = Reply::error(&ScimError::new(429, "too many requests"));
            Some(reply.header(RETRY_AFTER, retry_after(after, as_date)))
        }
        Fault::ServerError(status) => Some(Reply::error(&ScimError::new(status, "the server has a bad moment"))),
        Fault::Html => Some(Reply::html(
            StatusCode::INTERNAL_SERVER_ERROR,
            "<!DOCTYPE html><html><head><title>500</title></head><body><h1>Something went wrong</h1></body></html>".into(),
        )),
        Fault::Lost | Fault::Reset | Fault::Truncated | Fault::Late(_) => None,
    }
}

/// The body, or the answer to one that is too large or breaks off.
async fn read(body: Incoming) -> Result<Bytes, Reply> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Reply::error(&ScimError::new(413, format!("a body has at most {MAX_BODY} bytes"))))
        }
        Err(_) => Err(Reply::error(&ScimError::new(400, "the body broke off"))),
    }
}
