//! The wall clock, as something that a test can turn.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What time it is, and waiting. The wall clock may be set, forward and back, and goes on while the machine is suspended;
/// a wait does neither.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock's time.
    fn now(&self) -> Timestamp;

    /// Waits for so long.
    async fn sleep(&self, time: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A clock for tests: waiting takes a moment, and then it is so much later. Clones show the same time.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<Mutex<Timestamp>>);

/// How long a wait on a [`FakeClock`] really takes.
const MOMENT: Duration = Duration::from_millis(1);

impl FakeClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Sets it, forward or back.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves it on; at the end of time it stays.
    pub fn advance(&self, time: Duration) {
        let later = self.now().saturating_add(SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX));
        self.set(later.unwrap_or(Timestamp::MAX));
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(MOMENT).await;
        self.advance(time);
    }
}
