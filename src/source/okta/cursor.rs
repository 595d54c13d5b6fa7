//! Where the next incremental read starts: the latest change seen, in the directory's own time, less an overlap.

use crate::config::OktaConfig;
use crate::model::ObjectKind;
use crate::source::{Cursor, ReadRequest};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A change may become visible later than others with a later date.
pub(super) const OVERLAP: SignedDuration = SignedDuration::from_mins(5);

/// Where so many were named by one incremental read, the latest change is no good start: an import would be read again and
/// again. The server's date is one then.
const MANY: u64 = 1000;

/// Text of the cursor. Version 2 has a position in the System Log, version 1 none; both hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Since {
    v: u32,
    /// Hash over what the entries were made by: organisation, application, attributes, whether groups were read.
    bound: String,
    /// Changes of users after this instant.
    pub users: Timestamp,
    /// Changes of groups and memberships after this instant.
    pub groups: Timestamp,
    /// What the System Log was told after this instant has not been looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Timestamp>,
    /// Whom the System Log names as deleted, and who could not be asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub open: BTreeSet<(ObjectKind, String)>,
}

/// What a cursor must have been made by to be of use.
pub(super) fn bound(config: &OktaConfig, request: &ReadRequest) -> String {
    let made_by = (
        config.url.as_str(),
        config.assigned_to.as_deref(),
        &config.inactive,
        request.groups,
        request.attributes.iter().map(|a| a.to_lowercase()).collect::<Vec<_>>(),
    );
    blake3::hash(format!("{made_by:?}").as_bytes()).to_hex()[..16].to_owned()
}

impl Since {
    /// Reads a cursor; the error says why it does not fit.
    pub(super) fn read(cursor: &Cursor, bound: &str) -> Result<Self, &'static str> {
        let since: Self = serde_json::from_str(&cursor.0).map_err(|_| "it is of another version")?;
        match &since {
            s if !(1..=2).contains(&s.v) => Err("it is of another version"),
            s if s.bound != bound => Err("it was made with other settings"),
            _ => Ok(since),
        }
    }

    pub(super) fn write(
        bound: &str,
        users: Timestamp,
        groups: Timestamp,
        log: Option<Timestamp>,
        open: BTreeSet<(ObjectKind, String)>,
    ) -> Option<Cursor> {
        let since = Self { v: if log.is_some() { 2 } else { 1 }, bound: bound.to_owned(), users, groups, log, open };
        serde_json::to_string(&since).ok().map(Cursor)
    }
}

/// The latest change among the objects of one list.
#[derive(Debug, Default)]
pub(super) struct Latest {
    change: Option<Timestamp>,
    seen: u64,
}

impl Latest {
    /// One more object, with its dates as written.
    pub(super) fn see<'a>(&mut self, dates: impl IntoIterator<Item = &'a str>) {
        self.seen += 1;
        self.change = dates.into_iter().filter_map(|d| d.parse().ok()).chain(self.change).max();
    }

    /// Where the next read of this list starts: never later than the latest change that was seen, and never later than the
    /// server's clock when the list was begun (`date`, Unix second). Nothing seen and no clock: where this one did.
    pub(super) fn next(&self, before: Option<Timestamp>, date: Option<i64>) -> Option<Timestamp> {
        let date = date.and_then(|d| Timestamp::from_second(d).ok());
        let start = match (self.change, date) {
            (Some(_), Some(date)) if before.is_some() && self.seen > MANY => Some(date),
            (Some(change), Some(date)) => Some(change.min(date)),
            (Some(change), None) => Some(change),
            (None, _) if before.is_some() => return before,
            (None, date) => date,
        };
        start?.checked_sub(OVERLAP).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_directory_says_what_time_it_is() {
        let mut latest = Latest::default();
        latest.see(["2026-01-01T10:00:00.000Z"]);
        latest.see(["2026-01-02T10:00:00.000Z", "no date"]);
        latest.see(["2026-01-01T11:00:00.000Z"]);
        let date = Some(at("2026-03-01T00:00:00Z").as_second());
        assert_eq!(latest.next(None, date), Some(at("2026-01-02T09:55:00Z")), "less the overlap");
        let date = Some(at("2025-01-01T00:00:00Z").as_second());
        assert_eq!(latest.next(None, date), Some(at("2024-12-31T23:55:00Z")), "a date in the future is not believed");
    }

    #[test]
    fn nothing_seen_moves_nothing() {
        let (before, date) = (at("2026-01-01T10:00:00Z"), Some(at("2026-03-01T00:00:00Z").as_second()));
        assert_eq!(Latest::default().next(Some(before), date), Some(before));
        assert_eq!(Latest::default().next(None, date), Some(at("2026-02-28T23:55:00Z")));
        assert_eq!(Latest::default().next(None, None), None);
    }

    #[test]
    fn an_import_is_not_read_again_for_ever() {
        let mut latest = Latest::default();
        (0..=MANY).for_each(|_| latest.see(["2026-01-01T10:00:00.000Z"]));
        let date = Some(at("2026-03-01T00:00:00Z").as_second());
        assert_eq!(latest.next(Some(at("2026-01-01T00:00:00Z")), date), Some(at("2026-02-28T23:55:00Z")));
        assert_eq!(
            latest.next(None, date),
            Some(at("2026-01-01T09:55:00Z")),
            "the first read after a full one reads it once more"
        );
    }

    #[test]
    fn a_cursor_of_other_settings_does_not_fit() {
        let t = at("2026-01-01T10:00:00Z");
        let cursor = Since::write("abc", t, t, None, BTreeSet::new()).unwrap();
        assert_eq!(Since::read(&cursor, "abc").unwrap().users, t);
        assert!(Since::read(&cursor, "xyz").is_err());
        assert!(Since::read(&Cursor("nonsense".to_owned()), "abc").is_err());
        assert!(Since::read(&Cursor(cursor.0.replace("\"v\":1", "\"v\":3")), "abc").is_err());
    }

    #[test]
    fn a_cursor_with_and_one_without_a_position_in_the_log_both_hold() {
        let t = at("2026-01-01T10:00:00Z");
        let without = Since::write("abc", t, t, None, BTreeSet::new()).unwrap();
        assert_eq!(without.0, r#"{"v":1,"bound":"abc","users":"2026-01-01T10:00:00Z","groups":"2026-01-01T10:00:00Z"}"#);
        assert_eq!(Since::read(&without, "abc").unwrap().log, None);
        let log = at("2026-01-02T09:55:00Z");
        let with = Since::write("abc", t, t, Some(log), BTreeSet::new()).unwrap();
        assert!(with.0.starts_with(r#"{"v":2,"#), "{}", with.0);
        assert_eq!(Since::read(&with, "abc").unwrap().log, Some(log));
    }
}
