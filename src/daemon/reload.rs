//! A new configuration: validated whole, and then used by every cycle that begins; or the old one stays.

use super::Daemon;
use super::lane::{Lane, configured};
use crate::config::Config;
use crate::state::service::Past;
use std::sync::Arc;
use std::time::Duration;

impl Daemon {
    pub(super) fn reload(&mut self) {
        self.manager.reloading();
        match (self.load)() {
            Ok(new) if new.state.path != self.config.state.path => tracing::error!(
                "the new configuration names another state store ({}): that needs a restart; the old configuration stays",
                new.state.path.display()
            ),
            Ok(new) => self.swap(new),
            Err(message) => tracing::error!("the new configuration cannot be used, the old one stays:\n{message}"),
        }
        self.manager.ready();
    }

    /// Cycles that run keep what they began with.
    fn swap(&mut self, new: Config) {
        let now = self.clock.now();
        let new = Arc::new(new);
        let (mut added, mut changed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for sync in &new.syncs {
            let past = || self.store.past(&sync.name).unwrap_or_else(|_| Past::default());
            let Some(lane) = self.lanes.iter_mut().find(|l| l.name == sync.name) else {
                if let Some(lane) = Lane::new(&new, sync, past(), now, Duration::ZERO) {
                    added.push(lane.name.clone());
                    self.lanes.push(lane);
                }
                continue;
            };
            let now_configured = configured(&new, sync);
            let Some(fresh) = Lane::new(&new, sync, past(), now, Duration::ZERO) else { continue };
            lane.retired = false;
            lane.told = None;
            if lane.configured != now_configured {
                changed.push(lane.name.clone());
                // A new schedule counts from now on: what it would have run before was not missed.
                lane.record.since = now;
                lane.table = fresh.table;
                lane.configured = now_configured;
            }
            // What is failing may be mended: it is tried now, and not when its turn would come.
            lane.deaf = false;
            lane.knows(fresh.past, now);
            lane.set(lane.record.try_now(now));
        }
        let stays = |name: &str| new.sync(name).is_some_and(|s| s.enabled && s.schedule.is_some());
        for lane in self.lanes.iter_mut().filter(|l| !stays(&l.name)) {
            lane.retired = true;
            gone.push(lane.name.clone());
            for watch in &self.watches {
                watch.next_run(&lane.name, None);
            }
        }
        self.lanes.retain(|l| !l.retired || l.running.is_some());
        if format!("{:?}", new.http) != format!("{:?}", self.config.http) {
            tracing::warn!("[http] changed: that takes a restart; until then it listens as before");
        }
        self.config = new;
        // Who asked before the sync was there is heard now.
        (self.seen, self.trace) = (None, None);
        self.news = true;
        for watch in &self.watches {
            watch.configured(&self.config);
        }
        self.lanes.iter().filter(|l| added.contains(&l.name)).for_each(|l| self.known(l));
        let part = |what: &str, names: &[String]| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if names.is_empty() { String::new() } else { format!("; {what}: {}", list(&names)) }
        };
        let parts = [part("new", &added), part("changed", &changed), part("removed or paused", &gone)].concat();
        tracing::info!("the new configuration counts{}", if parts.is_empty() { "; no sync changed" } else { &parts });
    }
}

/// Names, for a line of the log.
pub(super) fn list(names: &[&str]) -> String {
    if names.is_empty() { "no sync".to_owned() } else { names.join(", ") }
}
