//! Messages on their way: a bounded queue and a task for each channel. A server that is down makes nobody wait; what it did not
//! take is tried ever more rarely for a day.

use super::message::Message;
use super::smtp::Mail;
use super::webhook::Webhook;
use crate::names;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Messages that wait at a time; of more the oldest is dropped.
pub(super) const LONGEST: usize = 64;

/// A message that nobody took for so long is dropped: seconds.
const OLDEST: i64 = 24 * 3600;

/// Seconds before the second attempt; each further wait is twice the one before.
const FIRST_WAIT: i64 = 30;

/// Seconds between attempts, at most.
const LONGEST_WAIT: i64 = 3600;

/// No attempt takes longer.
const ATTEMPT: Duration = Duration::from_secs(120);

/// The clock is looked at as often as this while something waits, so that it may be set.
const LOOK: u64 = 30;

/// A message that was not delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) message: Message,
    pub(super) attempts: u32,
    pub(super) next_try: i64,
    /// Recipients who have it already.
    #[serde(default)]
    pub(super) done: BTreeSet<String>,
}

/// Where messages go.
pub(super) enum Sender {
    Mail(Box<Mail>),
    Webhook(Webhook),
}

impl Sender {
    /// Delivers to everybody who is not in `done`, and puts those who took it there.
    pub(super) async fn send(&self, message: &Message, done: &mut BTreeSet<String>) -> Result<(), String> {
        match self {
            Self::Mail(mail) => mail.send(message, done).await,
            Self::Webhook(webhook) => webhook.send(message).await,
        }
    }
}

/// A channel with what waits for it.
pub(super) struct Channel {
    pub(super) name: &'static str,
    sender: Sender,
    queue: Mutex<VecDeque<Pending>>,
    wake: Notify,
}

impl Channel {
    pub(super) fn new(name: &'static str, sender: Sender, waiting: Vec<Pending>) -> Arc<Self> {
        let channel = Self { name, sender, queue: Mutex::new(waiting.into()), wake: Notify::new() };
        channel.lock().truncate(LONGEST);
        channel.gauge();
        // A counter that begins with 1 never rises for Prometheus.
        ["sent", "failed", "dropped"].into_iter().for_each(|result| channel.count(result, 0));
        Arc::new(channel)
    }

    /// Takes a message in. Never waits.
    pub(super) fn push(&self, message: Message) {
        let mut queue = self.lock();
        if queue.len() >= LONGEST
            && let Some(oldest) = queue.pop_front()
        {
            self.dropped(&oldest, "too many messages wait");
        }
        let next_try = message.at;
        queue.push_back(Pending { message, attempts: 0, next_try, done: BTreeSet::new() });
        drop(queue);
        self.gauge();
        self.wake.notify_one();
    }

    /// What waits.
    pub(super) fn waiting(&self) -> Vec<Pending> {
        self.lock().iter().cloned().collect()
    }

    /// Whether everything that waits has been tried.
    pub(super) fn is_tried(&self) -> bool {
        self.lock().iter().all(|p| p.attempts > 0)
    }

    /// Delivers for ever.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let now = clock();
            self.expire(now);
            match self.soonest() {
                None => self.wake.notified().await,
                Some(pending) if pending.next_try > now => {
                    // The time to wait is not trusted: the clock may be set, or the machine sleep.
                    let wait = u64::try_from(pending.next_try - now).unwrap_or(0).min(LOOK);
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep(Duration::from_secs(wait)) => {}
                    }
                }
                Some(pending) => self.deliver(pending).await,
            }
        }
    }

    async fn deliver(&self, mut pending: Pending) {
        let sending = self.sender.send(&pending.message, &mut pending.done);
        let result = match tokio::time::timeout(ATTEMPT, sending).await {
            Ok(result) => result,
            Err(_) => Err(format!("no end within {} s", ATTEMPT.as_secs())),
        };
        let mut queue = self.lock();
        let Some(at) = queue.iter().position(|p| p.message.id == pending.message.id) else { return };
        match result {
            Ok(()) => {
                queue.remove(at);
                self.count("sent", 1);
                tracing::info!(sync = pending.message.sync, event = pending.message.event.as_str(), "told by {}", self.name);
            }
            Err(error) => {
                let wait = wait(pending.attempts);
                pending.attempts = pending.attempts.saturating_add(1);
                pending.next_try = clock() + wait;
                let sync = pending.message.sync.clone();
                queue[at] = pending;
                self.count("failed", 1);
                tracing::warn!(sync, "notify.{} takes no message: {error}; tried again in {wait} s", self.name);
            }
        }
        drop(queue);
        self.gauge();
    }

    fn soonest(&self) -> Option<Pending> {
        self.lock().iter().min_by_key(|p| p.next_try).cloned()
    }

    /// Drops what nobody took for a day. A message from the future comes from a clock that was set back.
    fn expire(&self, now: i64) {
        let mut queue = self.lock();
        queue.retain_mut(|p| {
            p.next_try = p.next_try.min(now.saturating_add(LONGEST_WAIT));
            p.message.at = p.message.at.min(now);
            let keep = now - p.message.at < OLDEST;
            if !keep {
                self.dropped(p, "nobody took it for a day");
            }
            keep
        });
        drop(queue);
        self.gauge();
    }

    fn dropped(&self, pending: &Pending, why: &str) {
        self.count("dropped", 1);
        tracing::error!(
            sync = pending.message.sync,
            "notify.{}: a message is dropped, {why}: {}",
            self.name,
            pending.message.subject
        );
    }

    fn count(&self, result: &'static str, n: u64) {
        metrics::counter!(names::NOTIFICATIONS, "channel" => self.name, "result" => result).increment(n);
    }

    fn gauge(&self) {
        #[allow(clippy::cast_precision_loss)] // at most LONGEST
        metrics::gauge!(names::NOTIFICATIONS_WAITING, "channel" => self.name).set(self.lock().len() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Pending>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds after so many failed attempts.
fn wait(before: u32) -> i64 {
    FIRST_WAIT.saturating_mul(1_i64.checked_shl(before.min(20)).unwrap_or(i64::MAX)).min(LONGEST_WAIT)
}

pub(super) fn clock() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::wait;

    #[test]
    fn attempts_come_ever_more_rarely() {
        assert_eq!([0, 1, 2, 6, 7, 20, u32::MAX].map(wait), [30, 60, 120, 1920, 3600, 3600, 3600]);
        let mut seconds = 0;
        let attempts = (0..)
            .take_while(|n| {
                seconds += wait(*n);
                seconds < 24 * 3600
            })
            .count();
        assert!(attempts < 40, "{attempts} attempts in a day");
    }
}
