//! Measures the requests to one system. Costs next to nothing where no recorder is installed; a series is looked up once and
//! then kept.

use crate::names;
use http::Method;
use metrics::Histogram;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Status classes; the last one is for requests without an answer.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "error"];

/// Why a request was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The server asked to slow down.
    Throttled,
    /// It answered 5xx.
    ServerError,
    /// No connection, or it broke, or no answer in time.
    Connection,
    /// 401, and there is a newer credential.
    Unauthorized,
    /// 415: it wants another content type.
    ContentType,
    /// 412 or 428: it wants the version that the change starts from.
    Version,
}

impl Retry {
    fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Connection => "connection",
            Self::Unauthorized => "unauthorized",
            Self::ContentType => "content_type",
            Self::Version => "version",
        }
    }
}

/// Measures the requests to one system.
pub struct Meter {
    system: String,
    durations: [[OnceLock<Histogram>; CLASSES.len()]; METHODS.len()],
    throttled: OnceLock<Histogram>,
}

impl Meter {
    /// `system` is the name of the source or target in the configuration.
    #[must_use]
    pub fn new(system: &str) -> Self {
        Self {
            system: system.to_owned(),
            durations: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            throttled: OnceLock::new(),
        }
    }

    /// One request was answered with `status`, or not at all.
    pub fn request(&self, method: &Method, status: Option<u16>, began: Instant) {
        let Some(row) = METHODS.iter().position(|m| m == method) else { return };
        let class = status.map_or(CLASSES.len() - 1, |s| usize::from(s / 100).clamp(1, 5) - 1);
        let histogram = self.durations[row][class].get_or_init(|| {
            metrics::histogram!(
                names::REQUEST_DURATION, "system" => self.system.clone(), "method" => METHODS[row].to_string(),
                "status" => CLASSES[class],
            )
        });
        histogram.record(began.elapsed());
    }

    /// A request is sent again.
    pub fn retry(&self, reason: Retry) {
        metrics::counter!(names::RETRIES, "system" => self.system.clone(), "reason" => reason.as_str()).increment(1);
    }

    /// A request waited because the server had asked to slow down.
    pub fn throttled(&self, waited: Duration) {
        if !waited.is_zero() {
            let histogram = self.throttled.get_or_init(|| metrics::histogram!(names::THROTTLED, "system" => self.system.clone()));
            histogram.record(waited);
        }
    }
}
