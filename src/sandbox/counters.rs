//! Counts requests and remembers the last ones.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests remembered.
const LAST: usize = 50;

/// How many requests of which method came in under the SCIM base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Method and number, in the order in which the methods first came.
    pub requests: Vec<(String, u64)>,
    /// Requests that write: PUT, PATCH, DELETE, and POST except to `/.search`; also those that failed.
    pub writes: u64,
}

impl Counts {
    /// How many requests came with this method.
    #[must_use]
    pub fn of(&self, method: &str) -> u64 {
        self.requests.iter().find(|(name, _)| name == method).map_or(0, |(_, count)| *count)
    }
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    last: VecDeque<Seen>,
}

/// One request that was answered, or that met a fault.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// Status; what was carried out but not answered keeps the status it would have had.
    pub(super) status: StatusCode,
    /// The fault on purpose that it met.
    pub(super) fault: Option<String>,
}

/// The counters of a running sandbox.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Inner>);

impl Counters {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came in.
    pub(super) fn came(&self, method: &Method, path: &str) {
        let mut inner = self.lock();
        let write = *method == Method::PUT
            || *method == Method::PATCH
            || *method == Method::DELETE
            || (*method == Method::POST && !path.ends_with("/.search"));
        inner.counts.writes += u64::from(write);
        match inner.counts.requests.iter_mut().find(|(name, _)| name == method.as_str()) {
            Some((_, count)) => *count += 1,
            None => inner.counts.requests.push((method.as_str().to_owned(), 1)),
        }
    }

    /// A request is over.
    pub(super) fn over(&self, seen: Seen) {
        let mut inner = self.lock();
        if inner.last.len() == LAST {
            inner.last.pop_front();
        }
        inner.last.push_back(seen);
    }

    /// Forgets everything.
    pub(super) fn reset(&self) {
        *self.lock() = Inner::default();
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// The last requests, the latest last.
    pub(super) fn last(&self) -> Vec<Seen> {
        self.lock().last.iter().cloned().collect()
    }

    /// What `/_sandbox` shows.
    pub(super) fn to_value(&self, users: usize, groups: usize) -> Value {
        let counts = self.counts();
        let requests: Map<String, Value> = counts.requests.into_iter().map(|(method, count)| (method, count.into())).collect();
        let last: Vec<Value> = self
            .last()
            .into_iter()
            .map(|seen| {
                let mut entry = json!({ "method": seen.method.as_str(), "path": seen.path, "status": seen.status.as_u16() });
                for (name, value) in [("query", seen.query), ("fault", seen.fault)] {
                    if let Some(value) = value {
                        entry[name] = value.into();
                    }
                }
                entry
            })
            .collect();
        json!({ "users": users, "groups": groups, "requests": requests, "writes": counts.writes, "last": last })
    }
}
