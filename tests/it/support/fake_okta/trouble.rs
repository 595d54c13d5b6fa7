//! What may go wrong on purpose.

use super::Asked;
use crate::support::dice::Dice;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How Link headers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// One header for each, `self` first.
    #[default]
    Several,
    /// `next` first.
    NextFirst,
    /// One header with commas.
    Folded,
}

/// A rate limit, for everything together but the System Log.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub limit: u64,
    /// Length of its window, seconds.
    pub window: i64,
    /// End of the present window by the organisation's clock, and requests in it.
    pub reset: i64,
    pub used: u64,
    /// Requests that were refused and came again before the reset.
    pub too_early: u64,
    /// When a refused client may come back.
    pub closed_until: Option<Instant>,
    /// The least that was left.
    pub least: u64,
}

impl Bucket {
    pub fn new(limit: u64, window: i64) -> Self {
        Self { limit, window, reset: 0, used: 0, too_early: 0, closed_until: None, least: limit }
    }

    /// Takes a request; whether it is refused.
    pub fn take(&mut self, clock: i64) -> bool {
        if self.closed_until.is_some_and(|until| Instant::now() < until) {
            self.too_early += 1;
        }
        if clock >= self.reset {
            (self.reset, self.used, self.closed_until) = (clock + self.window, 0, None);
        }
        self.used += 1;
        let refused = self.used > self.limit;
        if refused && self.closed_until.is_none() {
            // The clock has whole seconds: the window ends when it shows the reset.
            let left = u64::try_from(self.reset - clock).unwrap_or(0);
            self.closed_until = Some(Instant::now() + Duration::from_secs(left.saturating_sub(1)));
        }
        self.least = self.least.min(self.remaining());
        refused
    }

    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// How a proxy says that there is no such page.
pub const PROXY: &str = "<html>404 Not Found</html>";

/// How Okta says that there is no such object.
pub const GONE: &str = r#"{"errorCode":"E0000007","errorSummary":"Not found: Resource not found","errorCauses":[]}"#;

/// Everything that is switched on.
#[derive(Default)]
pub struct Trouble {
    pub links: Links,
    pub bucket: Option<Bucket>,
    /// The System Log has one of its own.
    pub log_bucket: Option<Bucket>,
    /// Milliseconds; whoever asks for events of an earlier time is refused.
    pub log_reaches: Option<i64>,
    /// One request in so many fails: 503, 500, a reset, half an answer, or 429 with Retry-After.
    pub fails: Option<(usize, Dice)>,
    /// When a client that was told Retry-After may come back, and how many came too early.
    pub told: Option<Instant>,
    pub too_early: u64,
    /// The next link of these pages names this host.
    pub foreign: Option<String>,
    /// The next link names the page itself.
    pub circle: bool,
    /// Pages of these lists (see [`super::Asked::what`]) have no Link header, or this one alone.
    pub links_lost: Option<(&'static str, Option<&'static str>)>,
    /// But for the first page, which has them.
    pub links_lost_late: bool,
    /// Lists of nobody have no Link header.
    pub links_lost_of_none: bool,
    /// Pages never end: each links to one behind this place and ever new ones.
    pub endless: Option<&'static str>,
    /// After so many good answers every connection is cut in the middle of a body.
    pub cut_after: Option<usize>,
    /// Each kind of path has a bucket of its own, like this one and a little larger than those before it.
    pub bucket_per_kind: Option<Bucket>,
    pub buckets: BTreeMap<String, Bucket>,
    /// Paths that begin so, or are of this kind (see [`super::Asked::what`]), are forbidden.
    pub forbidden: Option<&'static str>,
    /// The same: they are answered with 404 and this body.
    pub astray: Option<(&'static str, &'static str)>,
    /// The next request fails with this status and Retry-After, in seconds.
    pub ailing: Option<(u16, u64)>,
    /// The Date header is left out.
    pub no_date: bool,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Fine,
    Status(u16),
    /// Refused, with Retry-After in seconds.
    RetryAfter(u64),
    /// This status with Retry-After in seconds.
    Ailing(u16, u64),
    /// The connection ends without an answer.
    Reset,
    /// It ends in the middle of the answer.
    Cut,
}

impl Trouble {
    /// The bucket that this request is taken from.
    pub fn bucket_of(&mut self, asked: &Asked) -> Option<&mut Bucket> {
        if asked.path == "/api/v1/logs" {
            return self.log_bucket.as_mut();
        }
        let Some(like) = &self.bucket_per_kind else { return self.bucket.as_mut() };
        let more = 2 * u64::try_from(self.buckets.len()).unwrap();
        Some(self.buckets.entry(asked.what()).or_insert_with(|| Bucket::new(like.limit + more, like.window)))
    }

    pub fn fate(&mut self) -> Fate {
        if let Some((status, seconds)) = self.ailing.take() {
            return Fate::Ailing(status, seconds);
        }
        if let Some(left) = &mut self.cut_after {
            if *left == 0 {
                return Fate::Cut;
            }
            *left -= 1;
        }
        if self.told.take_if(|until| Instant::now() >= *until).is_none() && self.told.is_some() {
            self.too_early += 1;
        }
        let Some((n, dice)) = &mut self.fails else { return Fate::Fine };
        if !dice.one_in(*n) {
            return Fate::Fine;
        }
        match dice.below(6) {
            0 => Fate::Status(503),
            1 => Fate::Status(500),
            2 => Fate::Status(509),
            3 => Fate::Reset,
            4 => Fate::Cut,
            _ => {
                self.told = Some(Instant::now() + Duration::from_secs(1));
                Fate::RetryAfter(1)
            }
        }
    }
}
