//! Rate limits (Okta, "Rate limits"): every answer says how large its bucket is, what is left of it and when it is full again.
//!
//! The time is the server's: `X-Rate-Limit-Reset` is compared with the same answer's `Date`, never with the clock here.
//! One API token may use half of a bucket by default, and other clients of the organisation live from the same one, so this
//! source stops at its share.

use http::HeaderMap;
use http::header::DATE;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Buckets are full again within about a minute; an answer that asks for more than this ends the read.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Where a refusal does not say when the bucket is full again.
const UNTOLD: Duration = Duration::from_secs(1);

/// What is left to others in any case, of a hundred.
const RESERVE: u64 = 10;

/// Windows that are remembered: more than Okta has buckets for what is read here.
const MOST_WINDOWS: usize = 16;

/// Keeps requests back until the server wants them.
#[derive(Debug)]
pub(super) struct Limits {
    /// Of a hundred.
    share: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    /// Windows that our requests are counted in. Each kind of list has a bucket of its own, or shares one with others, and
    /// only the window says which.
    windows: Vec<Window>,
    /// Requests that were answered.
    answered: u64,
}

/// One bucket until it is full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    limit: u64,
    /// Its end, Unix second by the server's clock.
    reset: i64,
    /// Our requests in it.
    sent: u64,
}

/// What one answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<i64>,
    date: Option<i64>,
}

impl Said {
    fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        let number = |name: &str| text(name).and_then(|t| t.parse().ok());
        Self {
            limit: number("x-rate-limit-limit"),
            remaining: number("x-rate-limit-remaining"),
            reset: text("x-rate-limit-reset").and_then(|t| t.parse().ok()),
            date: date(headers),
        }
    }

    /// Time until the bucket is full again. Without a `Date` nothing is known; then a whole window.
    fn wait(self) -> Option<Duration> {
        let reset = self.reset?;
        let seconds = self.date.map_or(60, |date| reset.saturating_sub(date)).max(1);
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }
}

/// The `Date` of an answer, as a Unix second.
pub(super) fn date(headers: &HeaderMap) -> Option<i64> {
    let at = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    i64::try_from(at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}

impl Limits {
    /// `share`: how much of each bucket is used, of a hundred.
    pub(super) fn new(share: u64) -> Self {
        Self { share: share.clamp(1, 100), state: Mutex::default() }
    }

    /// Waits until a request may leave; returns for how long that was.
    pub(super) async fn wait(&self) -> Duration {
        let began = Instant::now();
        loop {
            let until = self.lock().until;
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return began.elapsed(),
            }
        }
    }

    /// How long nothing will be sent from now.
    pub(super) fn held(&self) -> Duration {
        self.lock().until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Takes note of an answer that was not refused.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let said = Said::read(headers);
        let (Some(limit), Some(remaining), Some(reset)) = (said.limit, said.remaining, said.reset) else { return };
        // Concurrency limits are told as 0 of 0.
        if limit == 0 {
            return;
        }
        let mut state = self.lock();
        let sent = state.sent_in(limit, reset, said.date);
        let ours = (limit * self.share / 100).max(1);
        let others = limit - ours.min(limit);
        let used_up = remaining <= limit * RESERVE.min(100 - self.share) / 100 || (sent >= ours && remaining <= others);
        if used_up && let Some(wait) = said.wait() {
            state.hold(wait.min(LONGEST));
        }
    }

    /// Takes note of a 429 (or whatever carries `retry_after`); returns how long nothing will be sent, `None` where that is too long.
    pub(super) fn refused(&self, headers: &HeaderMap, retry_after: Option<Duration>) -> Option<Duration> {
        let wait = Said::read(headers).wait().max(retry_after).unwrap_or(UNTOLD);
        if wait > LONGEST {
            return None;
        }
        self.lock().hold(wait);
        Some(wait)
    }

    /// Nothing is sent for so long; at most [`LONGEST`], which is for the caller to see to.
    pub(super) fn hold(&self, wait: Duration) {
        self.lock().hold(wait);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One more request in the window that ends then; how many that makes.
    fn sent_in(&mut self, limit: u64, reset: i64, date: Option<i64>) -> u64 {
        self.answered += 1;
        match self.windows.iter_mut().find(|w| (w.limit, w.reset) == (limit, reset)) {
            Some(window) => {
                window.sent += 1;
                window.sent
            }
            None => {
                // What is over is over; without a date the oldest ones go.
                self.windows.retain(|w| date.is_none_or(|date| w.reset > date));
                if self.windows.len() >= MOST_WINDOWS {
                    self.windows.remove(0);
                }
                self.windows.push(Window { limit, reset, sent: 1 });
                1
            }
        }
    }

    /// A little over what was asked, so that not all clients come back in the same instant.
    fn hold(&mut self, wait: Duration) {
        let until = Instant::now() + wait + Duration::from_millis(50 + self.answered % 200);
        if self.until.is_none_or(|u| u < until) {
            self.until = Some(until);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// An answer of a server whose clock is an hour ahead.
    fn answer(limit: u64, remaining: u64, in_seconds: i64) -> HeaderMap {
        let now = jiff::Timestamp::now().as_second() + 3600;
        let at = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap());
        let mut map = HeaderMap::new();
        map.insert("x-rate-limit-limit", limit.into());
        map.insert("x-rate-limit-remaining", remaining.into());
        map.insert("x-rate-limit-reset", (now + in_seconds).into());
        map.insert(DATE, httpdate::fmt_http_date(at).parse().unwrap());
        map
    }

    fn held(limits: &Limits) -> u64 {
        let until = limits.lock().until;
        until.map_or(0, |u| u.saturating_duration_since(Instant::now()).as_millis().div_ceil(1000).try_into().unwrap())
    }

    #[tokio::test]
    async fn okta_pitfall_6_and_7_without_retry_after_the_reset_counts_by_the_servers_date() {
        let limits = Limits::new(50);
        assert_eq!(limits.refused(&answer(600, 0, 7), None), Some(Duration::from_secs(7)));
        assert_eq!(held(&limits), 8, "seven seconds and a little, on whatever the clock here says");
    }

    #[tokio::test]
    async fn a_reset_that_is_past_or_untold_is_a_second() {
        assert_eq!(Limits::new(50).refused(&answer(600, 0, -5), None), Some(Duration::from_secs(1)));
        assert_eq!(Limits::new(50).refused(&HeaderMap::new(), None), Some(UNTOLD));
        assert_eq!(Limits::new(50).refused(&HeaderMap::new(), Some(Duration::from_secs(4))), Some(Duration::from_secs(4)));
        assert_eq!(Limits::new(50).refused(&answer(600, 0, 3600), None), None, "nobody waits for an hour");
    }

    #[tokio::test]
    async fn a_share_is_left_to_others() {
        let limits = Limits::new(50);
        for i in 1..5 {
            limits.note(&answer(10, 10 - i, 30));
            assert_eq!(held(&limits), 0, "after {i}");
        }
        limits.note(&answer(10, 5, 30));
        assert!(held(&limits) >= 30, "half is used");
    }

    #[tokio::test]
    async fn a_share_is_left_of_each_bucket_where_two_report_in_turns() {
        let limits = Limits::new(50);
        for i in 1..5 {
            limits.note(&answer(10, 10 - i, 30));
            limits.note(&answer(20, 20 - i, 40));
            assert_eq!(held(&limits), 0, "after {i} of each");
        }
        limits.note(&answer(10, 5, 30));
        assert!(held(&limits) >= 30, "half of one is used");
    }

    #[tokio::test]
    async fn windows_that_are_over_are_forgotten() {
        let limits = Limits::new(50);
        (0..100).for_each(|i| limits.note(&answer(600 + i, 599, 30)));
        assert!(limits.lock().windows.len() <= MOST_WINDOWS);
        let mut later = answer(600, 599, 30);
        let now = jiff::Timestamp::now().as_second() + 7200;
        later.insert(
            DATE,
            httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap())).parse().unwrap(),
        );
        limits.note(&later);
        assert_eq!(limits.lock().windows.len(), 1);
    }

    #[tokio::test]
    async fn what_others_used_counts_only_where_little_is_left() {
        let limits = Limits::new(50);
        limits.note(&answer(100, 30, 30));
        assert_eq!(held(&limits), 0, "others have used 69, we one");
        limits.note(&answer(100, 10, 30));
        assert!(held(&limits) >= 30, "a tenth is left");
    }

    #[tokio::test]
    async fn all_of_it_may_be_used_where_the_configuration_says_so() {
        let limits = Limits::new(100);
        limits.note(&answer(10, 1, 30));
        assert_eq!(held(&limits), 0);
        limits.note(&answer(10, 0, 30));
        assert!(held(&limits) >= 30, "but the next request would be refused");
    }

    #[tokio::test]
    async fn a_concurrency_limit_is_no_bucket() {
        let limits = Limits::new(50);
        limits.note(&answer(0, 0, 30));
        assert_eq!(held(&limits), 0);
    }
}
