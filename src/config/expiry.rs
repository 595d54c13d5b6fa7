//! Secrets that say when they end: warned of before, so that a new one is there in time.

use super::{Config, SyncConfig};
use jiff::civil::Date;

/// Days before the end of a secret from which it is warned of.
const WARNING_DAYS: i32 = 30;

/// What to do about it.
pub(super) const HINT: &str = "make a new one, and write its day here";

/// What is to be said today of a secret that ends on `day`.
pub(super) fn ends(day: Date, today: Date) -> Option<String> {
    match today.until(day).map_or(i32::MAX, |span| span.get_days()) {
        ..0 => Some(format!("expired on {day}")),
        0 => Some("expires today".to_owned()),
        days @ 1..=WARNING_DAYS => Some(format!("expires on {day}, in {days} days")),
        _ => None,
    }
}

impl Config {
    /// The secrets that end soon or did, one line for each.
    #[must_use]
    pub fn expiring(&self, today: Date) -> Vec<String> {
        self.ending(today).map(|(_, line)| line).collect()
    }

    /// Those of them that this sync needs.
    #[must_use]
    pub fn expiring_of(&self, sync: &SyncConfig, today: Date) -> Vec<String> {
        let own = [super::read::join("source", &sync.source), super::read::join("target", &sync.target)];
        let is_own = |key: &str| own.iter().any(|own| key.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('.')));
        self.ending(today).filter(|(key, _)| is_own(key)).map(|(_, line)| line).collect()
    }

    fn ending(&self, today: Date) -> impl Iterator<Item = (&str, String)> {
        self.expiries.iter().filter_map(move |(key, day)| Some((key.as_str(), format!("{key} {}: {HINT}", ends(*day, today)?))))
    }
}
