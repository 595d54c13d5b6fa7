//! One sync of the service: its timetable, what it did, what it is at.

use super::beat::{self, Beat};
use super::timetable::{Due, Record, Run, Timetable, due, kind};
use crate::config::{Config, SyncConfig};
use crate::state::service::Past;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Lane {
    pub name: String,
    pub table: Timetable,
    pub record: Record,
    pub running: Option<Running>,
    /// Somebody asked for a cycle now.
    pub asked: bool,
    /// The last cycle could not even begin: asking again does not help.
    pub deaf: bool,
    /// Not configured any more: goes when its cycle is over.
    pub retired: bool,
    /// What is known of it.
    pub past: Past,
    /// Since when it fails, and as what; said once.
    pub failing: Option<Failing>,
    /// The last judgement. It follows from the record and the timetable alone: the clock only says whether its time has come.
    judged: Option<Due>,
    /// Everything that is configured for it, to see what a reload changed.
    pub configured: String,
    /// The next run as it was last told.
    pub told: Option<Option<Timestamp>>,
}

/// A cycle that is going on.
pub(super) struct Running {
    pub run: Run,
    pub beat: Arc<Beat>,
    pub patience: Duration,
    /// Said that it hangs.
    pub stalled: bool,
}

/// A sync that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failing {
    pub kind: String,
    pub since: Timestamp,
    pub times: u32,
}

impl Lane {
    /// A sync that runs by itself; `None` for others.
    pub fn new(config: &Config, sync: &SyncConfig, past: Past, now: Timestamp, jitter: Duration) -> Option<Self> {
        let table = Timetable::of(sync)?;
        let at = |t: Option<i64>| t.and_then(|t| Timestamp::from_second(t).ok());
        let record = Record::at_start(&table, at(past.began), past.unfinished, now, jitter);
        let record = Record { read_full: at(past.full_read_at), verified: at(past.verified_at), ..record };
        Some(Self {
            name: sync.name.clone(),
            table,
            record,
            running: None,
            asked: false,
            deaf: false,
            retired: false,
            past,
            failing: None,
            judged: None,
            configured: configured(config, sync),
            told: None,
        })
    }

    /// Whether it runs now, or when next.
    pub fn due(&mut self, now: Timestamp) -> Due {
        if self.asked && !self.deaf {
            return Due::Now;
        }
        // A clock that was set back shows in the record.
        let record = self.record.corrected(now);
        if record != self.record {
            self.set(record);
        }
        match self.judged {
            Some(Due::At(next)) if now < next => Due::At(next),
            Some(Due::Never) => Due::Never,
            _ => {
                let judged = due(&self.table, &self.record, now);
                self.judged = Some(judged);
                judged
            }
        }
    }

    /// What the state store knows of it, read anew; nothing of it happened after `latest`.
    pub fn knows(&mut self, past: Past, latest: Timestamp) {
        let news = past.verified_at.filter(|_| past.verified_at != self.past.verified_at);
        if let Some(at) = news.and_then(|t| Timestamp::from_second(t).ok()) {
            self.set(self.record.looked(at, latest));
        }
        self.past = past;
    }

    /// Changes that the guard holds.
    pub fn held(&self) -> u64 {
        self.past.held.values().sum()
    }

    /// What it did, changed; so when it is due must be judged anew.
    pub fn set(&mut self, record: Record) {
        self.record = record;
        self.judged = None;
    }

    /// A cycle begins.
    pub fn begin(&mut self, config: &Config, now: Timestamp) -> (Run, Arc<Beat>) {
        self.record = self.record.corrected(now);
        let run = kind(&self.table, &self.record, now);
        let beat = Arc::new(Beat::default());
        let patience = config.sync(&self.name).map_or(Duration::MAX, |s| beat::patience(config, s));
        self.running = Some(Running { run, beat: Arc::clone(&beat), patience, stalled: false });
        self.set(self.record.begun(now));
        (run, beat)
    }

    /// When the schedule has it run again, as the clock that waits tells it.
    pub fn until(&self, now: Timestamp) -> Option<Instant> {
        let next = self.table.next_after(now)?;
        Instant::now().checked_add(Duration::try_from(next.duration_since(now)).ok()?)
    }

    /// The next run, for people: `None` while it runs and where there is none.
    pub fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        match self.due(now) {
            _ if self.running.is_some() || self.retired => None,
            Due::Now => Some(now),
            Due::At(at) => Some(at),
            Due::Never => None,
        }
    }
}

/// All that is configured for a sync, its source and its target: what differs from this was changed. Secrets are references.
pub(super) fn configured(config: &Config, sync: &SyncConfig) -> String {
    format!("{sync:?} {:?} {:?}", config.sources.get(&sync.source), config.targets.get(&sync.target))
}
