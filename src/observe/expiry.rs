//! Tells of secrets that end soon: when the service starts, when the configuration changed, and once a day.

use super::Watch;
use crate::config::Config;
use jiff::Zoned;
use jiff::civil::Date;
use std::sync::{Mutex, PoisonError};

/// Watches the days go by.
#[derive(Default)]
pub struct Expiry(Mutex<Told>);

#[derive(Default)]
struct Told {
    config: Option<Config>,
    on: Option<Date>,
}

impl Expiry {
    /// What is told today; nothing where it was told already.
    fn due(&self, today: Date) -> Vec<String> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = told.on.replace(today) == Some(today);
        told.config.as_ref().filter(|_| !again).map(|c| c.expiring(today)).unwrap_or_default()
    }

    fn look(&self, today: Date) {
        for line in self.due(today) {
            tracing::warn!("{line}");
        }
    }
}

impl Watch for Expiry {
    fn configured(&self, config: &Config) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Told { config: Some(config.clone()), on: None };
        self.look(Zoned::now().date());
    }

    fn begun(&self, _sync: &str) {
        self.look(Zoned::now().date());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config;
    use jiff::civil::date;
    use std::path::Path;

    #[test]
    fn told_once_a_day_from_thirty_days_before_and_after_the_end() {
        let text = "version = 1\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n[target.t]\nurl = \"https://x.example\"\n\
                    token = { env = \"T\", expires = \"2027-01-31\" }\n[target.other]\nurl = \"https://y.example\"\n\
                    token = { env = \"O\", expires = \"2027-01-31\" }\n[[sync]]\nname = \"a\"\nsource = \"s\"\ntarget = \"t\"\n";
        let config = config::parse(Path::new("c.toml"), text.to_owned()).unwrap().config;
        let expiry = Expiry(Mutex::new(Told { config: Some(config.clone()), on: None }));
        assert!(expiry.due(date(2026, 12, 31)).is_empty());
        assert_eq!(expiry.due(date(2027, 1, 1)).len(), 2);
        assert!(expiry.due(date(2027, 1, 1)).is_empty());
        let said = expiry.due(date(2027, 1, 30));
        assert_eq!(said[0], "target.t.token expires on 2027-01-31, in 1 days: make a new one, and write its day here");
        assert_eq!(
            expiry.due(date(2027, 2, 1))[0],
            "target.t.token expired on 2027-01-31: make a new one, and write its day here"
        );
        let own = config.expiring_of(config.sync("a").unwrap(), date(2027, 1, 31));
        assert_eq!(own, ["target.t.token expires today: make a new one, and write its day here"]);
    }
}
