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
    /// The window that our requests are counted in: its end, by the server's clock.
    window: Option<(u64, i64)>,
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
        if state.window != Some((limit, reset)) {
            state.window = Some((limit, reset));
            state.sent = 0;
        }
        state.sent += 1;
        let ours = (limit * self.share / 100).max(1);
        let others = limit - ours.min(limit);
        let used_up = remaining <= limit * RESERVE.min(100 - self.share) / 100 || (state.sent >= ours && remaining <= others);
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

    /// Nothing is sent for so long.
    pub(super) fn hold(&self, wait: Duration) {
        self.lock().hold(wait.min(LONGEST));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A little over what was asked, so that not all clients come back in the same instant.
    fn hold(&mut self, wait: Duration) {
        let until = Instant::now() + wait + Duration::from_millis(50 + self.sent % 200);
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
