//! Everything that watches the service, in one object: it is told what happens, and tells the board and whoever must know.

use super::board::{Board, watched};
use super::notify::{Notifier, NotifyError};
use super::{Outcome, Watch};
use crate::config::Config;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Board and notifier of a running service.
pub struct Observer {
    board: Arc<Board>,
    notifier: Mutex<Arc<Notifier>>,
}

impl Observer {
    /// Begins to watch, from within a tokio runtime. `memory` is what [`Self::memory`] gave the last time;
    /// `complete_read_at` says of a sync when its last complete read was committed (Unix seconds).
    ///
    /// # Errors
    /// A CA file or proxy of `[notify]` cannot be used.
    pub fn new(
        config: &Config,
        memory: Option<&str>,
        complete_read_at: impl Fn(&str) -> Option<i64>,
    ) -> Result<Self, NotifyError> {
        let notifier = Mutex::new(Arc::new(Notifier::new(config, memory)?));
        let now = Timestamp::now();
        let board = Board::new(watched(config, now, complete_read_at), now.as_second());
        board.secrets(expiries(config));
        Ok(Self { board, notifier })
    }

    /// Where every sync stands: for [`super::health::Listener::serve`].
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// What is to be kept for the next process, after each cycle and at the end: one JSON text.
    #[must_use]
    pub fn memory(&self) -> String {
        self.notifier().memory()
    }

    /// Gives what was just said a chance to go out, at most for `grace`.
    pub async fn flush(&self, grace: Duration) {
        let notifier = self.notifier();
        notifier.flush(grace).await;
    }

    fn notifier(&self) -> Arc<Notifier> {
        Arc::clone(&self.notifier.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watch for Observer {
    /// From now on this configuration counts. What was told and what waits goes on under it; where its `[notify]` cannot be
    /// used, that of before goes on.
    fn configured(&self, config: &Config) {
        self.board.watch(watched(config, Timestamp::now(), |_| None));
        self.board.secrets(expiries(config));
        match Notifier::new(config, Some(&self.memory())) {
            Ok(fresh) => *self.notifier.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh),
            Err(e) => tracing::error!("notifications go on as before the reload: {e}"),
        }
    }

    /// A cycle of this sync begins.
    fn begun(&self, sync: &str) {
        self.board.running(sync);
    }

    /// A cycle ended. Never waits.
    fn cycle(&self, outcome: &Outcome) {
        self.board.cycle(outcome);
        self.notifier().cycle(outcome);
    }

    /// Where a sync stands by the state store. Whoever is to be told was told by the cycle itself, or will be by the next.
    fn known(&self, outcome: &Outcome, parked: u64) {
        self.board.known(outcome, parked);
    }

    /// When this sync runs next (Unix seconds).
    fn next_run(&self, sync: &str, at: Option<i64>) {
        self.board.next_run(sync, at);
    }
}

/// When secrets stop working: with the beginning of the day that `expires` names, in UTC.
fn expiries(config: &Config) -> Vec<(String, i64)> {
    let end = |day: &jiff::civil::Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second());
    config.expiries.iter().filter_map(|(key, day)| Some((key.clone(), end(day)?))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config;
    use crate::observe::board::outcome;
    use crate::observe::{Verdict, metrics};
    use std::path::Path;

    fn configured(name: &str, hook: &str) -> Config {
        let text = format!(
            "version = 1\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n[target.t]\nurl = \"https://x.example\"\n\
             token = {{ file = \"t\", expires = \"2026-12-01\" }}\n[[sync]]\nname = \"{name}\"\nsource = \"s\"\ntarget = \"t\"\n\
             schedule = \"*/5 * * * *\"\n[notify]\nwebhook = {{ url = \"http://127.0.0.1:1/\"{hook} }}\n"
        );
        config::parse(Path::new("/c.toml"), text).map_err(|e| e.to_string()).unwrap().config
    }

    #[tokio::test]
    async fn a_reload_swaps_board_and_notifier_and_forgets_nothing() {
        crate::http::tls::install_provider();
        let now = Timestamp::now().as_second();
        let observer = Observer::new(&configured("a", ""), None, |_| Some(now - 5)).unwrap();
        observer.begun("a");
        observer.cycle(&outcome("a", Verdict::Held, now));
        observer.next_run("a", Some(now + 60));
        let told = observer.memory();
        assert!(told.contains("\"held\"") && told.contains("\"pending\":{\"webhook\""), "{told}");
        observer.configured(&configured("a", ""));
        observer.cycle(&outcome("a", Verdict::Held, now));
        assert_eq!(observer.memory().matches("\"event\":\"held\",\"at\"").count(), 1, "not told again");
        // A configuration whose CA file is not there leaves the old one at work.
        observer.configured(&configured("b", ", ca_file = \"/nowhere/ca.pem\""));
        let page = metrics::recorder().unwrap().1.render(&observer.board(), now);
        assert!(page.contains("scim_sync_last_complete_read_age_limit_seconds{sync=\"b\"} 900"), "{page}");
        assert!(page.contains("scim_sync_secret_expiry_timestamp_seconds{key=\"target.t.token\"} 1796083200"), "{page}");
        assert!(!page.contains("sync=\"a\""), "{page}");
        observer.cycle(&outcome("b", Verdict::Parked, now));
        assert!(observer.memory().contains("\"parked\""));
    }
}
