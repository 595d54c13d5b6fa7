//! How fast requests leave: a fixed rate where one is set, and a number in flight that adapts to what the server says.
//!
//! The number in flight halves when the server asks us to slow down and grows by one for each full round of successes,
//! up to the configured concurrency. Requests that are in flight together when the limit is hit halve it once.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Admits requests.
pub struct Pace {
    slots: Semaphore,
    max: usize,
    /// Current limit; the semaphore holds as many permits once `debt` is paid.
    limit: AtomicUsize,
    /// Permits to be taken out as they come back.
    debt: AtomicUsize,
    /// Successes since the limit last changed.
    good: AtomicUsize,
    /// Number of times the limit was halved.
    epoch: AtomicU64,
    rate: Option<(DefaultDirectRateLimiter, DefaultClock)>,
    /// Nothing leaves before this.
    hold: Mutex<Option<Instant>>,
    /// Whether `hold` may be in the future; spares the lock on the common way.
    holding: AtomicUsize,
}

/// The right to have one request in flight; give it back by [`Pace::done`] or by dropping it.
pub struct Slot<'a> {
    pace: &'a Pace,
    permit: Option<SemaphorePermit<'a>>,
    epoch: u64,
    /// How long it waited because the server had asked to slow down.
    pub held: Duration,
}

impl Pace {
    /// At most `concurrency` requests in flight, and `rate` per second where given.
    #[must_use]
    pub fn new(concurrency: usize, rate: Option<f64>) -> Self {
        let max = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Semaphore::new(max),
            max,
            limit: AtomicUsize::new(max),
            debt: AtomicUsize::new(0),
            good: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            rate: rate.and_then(quota).map(|q| (RateLimiter::direct(q), DefaultClock::default())),
            hold: Mutex::new(None),
            holding: AtomicUsize::new(0),
        }
    }

    /// Waits until a request may leave.
    pub async fn slot(&self) -> Slot<'_> {
        // The semaphore is never closed.
        let permit = self.slots.acquire().await.ok();
        let mut held = Duration::ZERO;
        while let Some(until) = self.held() {
            let began = Instant::now();
            tokio::time::sleep_until(until).await;
            held += began.elapsed();
        }
        if let Some((limiter, clock)) = &self.rate {
            while let Err(not_until) = limiter.check() {
                tokio::time::sleep(not_until.wait_time_from(clock.now())).await;
            }
        }
        Slot { pace: self, permit, epoch: self.epoch.load(Ordering::Relaxed), held }
    }

    /// The server asked to slow down: fewer in flight, and nothing leaves for `wait`.
    pub fn throttled(&self, slot: &Slot<'_>, wait: Option<Duration>) {
        if let Some(wait) = wait {
            let until = Instant::now() + wait.min(super::retry::LONGEST_WAIT);
            let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
            if hold.is_none_or(|h| h < until) {
                *hold = Some(until);
            }
            self.holding.store(1, Ordering::Release);
        }
        // Only the first of a round: the others left before we knew.
        if self.epoch.compare_exchange(slot.epoch, slot.epoch + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        let half = |l: usize| (l / 2).max(1);
        let limit = self.limit.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |l| Some(half(l))).unwrap_or(1);
        let new = half(limit);
        self.good.store(0, Ordering::Relaxed);
        let gone = self.slots.forget_permits(limit - new);
        self.debt.fetch_add(limit - new - gone, Ordering::AcqRel);
    }

    /// The request went well.
    pub fn succeeded(&self) {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit >= self.max {
            return;
        }
        if self.good.fetch_add(1, Ordering::Relaxed) + 1 < limit {
            return;
        }
        self.good.store(0, Ordering::Relaxed);
        let grown = self.limit.compare_exchange(limit, limit + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if grown && !self.pay_debt() {
            self.slots.add_permits(1);
        }
    }

    /// How many requests may be in flight now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Takes one off the debt; `false` when there is none.
    fn pay_debt(&self) -> bool {
        self.debt.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |d| d.checked_sub(1)).is_ok()
    }

    fn held(&self) -> Option<Instant> {
        if self.holding.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        match *hold {
            Some(until) if until > Instant::now() => Some(until),
            _ => {
                *hold = None;
                self.holding.store(0, Ordering::Release);
                None
            }
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.pace.debt.load(Ordering::Relaxed) > 0
            && self.pace.pay_debt()
        {
            permit.forget();
        }
    }
}

/// Evenly spread; a small burst only where the rate is finer than the timer (1 ms).
fn quota(rate: f64) -> Option<Quota> {
    if !rate.is_finite() || rate <= 0.0 {
        return None;
    }
    let burst = (rate / 100.0).clamp(1.0, 1000.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped above
    let burst = NonZeroU32::new(burst as u32)?;
    Some(Quota::with_period(Duration::try_from_secs_f64(1.0 / rate).ok()?)?.allow_burst(burst))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn halves_once_per_round_and_grows_back() {
        let pace = Pace::new(8, None);
        let slots = [pace.slot().await, pace.slot().await, pace.slot().await];
        for s in &slots {
            pace.throttled(s, None);
        }
        assert_eq!(pace.limit(), 4, "three refusals of one round halve once");
        drop(slots);
        assert_eq!(pace.slots.available_permits(), 4);
        let s = pace.slot().await;
        pace.throttled(&s, None);
        drop(s);
        assert_eq!((pace.limit(), pace.slots.available_permits()), (2, 2));
        for _ in 0..2 + 3 + 4 + 5 + 6 + 7 + 100 {
            pace.succeeded();
        }
        assert_eq!((pace.limit(), pace.slots.available_permits()), (8, 8), "never above the maximum");
    }

    #[tokio::test]
    async fn a_full_house_pays_as_it_empties() {
        let pace = Pace::new(4, None);
        let all = [pace.slot().await, pace.slot().await, pace.slot().await, pace.slot().await];
        pace.throttled(&all[0], None);
        assert_eq!(pace.slots.available_permits(), 0);
        drop(all);
        assert_eq!(pace.slots.available_permits(), 2);
    }

    #[tokio::test]
    async fn never_below_one() {
        let pace = Pace::new(1, None);
        for _ in 0..3 {
            let s = pace.slot().await;
            pace.throttled(&s, None);
        }
        assert_eq!(pace.limit(), 1);
        drop(pace.slot().await);
    }

    #[tokio::test]
    async fn nothing_leaves_while_held() {
        let pace = Pace::new(4, None);
        let s = pace.slot().await;
        pace.throttled(&s, Some(Duration::from_millis(120)));
        drop(s);
        let before = Instant::now();
        drop(pace.slot().await);
        assert!(before.elapsed() >= Duration::from_millis(110));
        assert_eq!(pace.held(), None, "the hold is over");
    }

    #[tokio::test]
    async fn the_rate_is_kept() {
        let pace = Pace::new(8, Some(100.0));
        let before = std::time::Instant::now();
        for _ in 0..21 {
            drop(pace.slot().await);
        }
        let took = before.elapsed();
        assert!(took >= Duration::from_millis(190), "{took:?}");
    }

    #[test]
    fn senseless_rates_are_no_rates() {
        assert!(quota(0.0).is_none() && quota(-1.0).is_none() && quota(f64::NAN).is_none() && quota(f64::INFINITY).is_none());
        assert!(quota(0.01).is_some() && quota(1e6).is_some());
    }
}
