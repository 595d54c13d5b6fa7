//! What the service manager is told (sd_notify(3)). Without one (`$NOTIFY_SOCKET`) all of this does nothing.

use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// The conversation with the service manager.
#[derive(Debug)]
pub(super) struct Manager {
    /// How often it wants a sign of life, if at all.
    watchdog: Option<Duration>,
    last_sign: Option<Instant>,
    status: String,
}

impl Manager {
    /// Reads `$WATCHDOG_USEC` (sd_watchdog_enabled(3)).
    pub fn new() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), last_sign: None, status: String::new() }
    }

    /// Start-up or reload is finished.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// A reload begins; [`Self::ready`] ends it. The time lets the manager tell this reload from an earlier one.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(e) => tracing::warn!("the monotonic clock cannot be read: {e}"),
        }
    }

    /// The service ends, which takes at most `within`.
    pub fn stopping(&self, within: Duration) {
        let micros = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// One line for `systemctl status`; sent where it changed.
    pub fn status(&mut self, line: String) {
        if line != self.status {
            tell(&[NotifyState::Status(&line)]);
            self.status = line;
        }
    }

    /// A sign of life, as often as it is wanted. Only for a service that gets on: without it the manager starts it anew.
    pub fn alive(&mut self) {
        let Some(every) = self.watchdog.map(|w| w / 3) else { return };
        if self.last_sign.is_none_or(|last| last.elapsed() >= every) {
            tell(&[NotifyState::Watchdog]);
            self.last_sign = Some(Instant::now());
        }
    }

    /// How long may be waited without missing a sign of life.
    pub fn patience(&self) -> Duration {
        self.watchdog.map_or(Duration::MAX, |w| w / 3)
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // A manager that does not listen is no reason not to serve.
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!("the service manager cannot be told: {e}");
    }
}
