//! Answers, before they become HTTP.

use super::server::Abort;
use crate::scim::error::ScimError;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

const SCIM: HeaderValue = HeaderValue::from_static("application/scim+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Reply {
    fn new(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, content_type)], body }
    }

    /// SCIM, as text.
    pub(super) fn scim(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, SCIM, body.into())
    }

    /// SCIM, as a value.
    pub(super) fn value(status: StatusCode, value: &Value) -> Self {
        Self::scim(status, value.to_string())
    }

    /// Plain JSON.
    pub(super) fn json(value: &Value) -> Self {
        Self::new(StatusCode::OK, JSON, value.to_string().into())
    }

    /// A page.
    pub(super) fn html(status: StatusCode, page: String) -> Self {
        Self::new(status, HTML, page.into())
    }

    /// No body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// An error with its body; a 401 says how to authenticate (RFC 9110 section 11.6.1).
    pub(super) fn error(error: &ScimError) -> Self {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Self::value(status, &error.to_value());
        if status == StatusCode::UNAUTHORIZED {
            reply.header(WWW_AUTHENTICATE, "Bearer realm=\"scim-sync sandbox\"")
        } else {
            reply
        }
    }

    /// 405 with what is allowed.
    pub(super) fn not_allowed(allowed: &str) -> Self {
        Self::error(&ScimError::new(405, format!("only {allowed} is possible here"))).header(ALLOW, allowed)
    }

    /// Adds a header; a value that cannot stand in a header is left out.
    pub(super) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds `ETag`.
    pub(super) fn etag(self, version: &str) -> Self {
        self.header(ETAG, version)
    }

    /// Adds `Location`.
    pub(super) fn location(self, uri: &str) -> Self {
        self.header(LOCATION, uri)
    }

    /// The answer as it should be.
    pub(super) fn whole(self) -> Response<Answer> {
        let mut response = Response::new(Answer::Whole(Some(self.body).filter(|body| !body.is_empty())));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }

    /// The answer cut in the middle of its body. `None` where there is no body to cut.
    pub(super) fn cut(self) -> Option<Response<Answer>> {
        let length = self.body.len();
        if length < 2 {
            return None;
        }
        let part = self.body.slice(..length / 2);
        let mut response = Response::new(Answer::Cut { part: Some(part), then: None });
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        Some(response)
    }
}

/// A body.
#[derive(Debug)]
pub(super) enum Answer {
    /// All of it.
    Whole(Option<Bytes>),
    /// A part; after a moment, in which it is sent, the connection breaks.
    Cut { part: Option<Bytes>, then: Option<Pin<Box<Sleep>>> },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Abort;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Cut { part, then } => {
                if let Some(part) = part.take() {
                    return Poll::Ready(Some(Ok(Frame::data(part))));
                }
                let sleep = then.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(5))));
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Some(Err(Abort)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Cut { .. } => SizeHint::default(),
        }
    }
}
