//! Times on the command line: `2h`, `2026-05-01`, `2026-05-01T08:00`, RFC 3339.

use crate::config::parse_duration;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A time in the past: a length of time means so long ago.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    when(text, Timestamp::now(), &TimeZone::system(), -1)
}

/// A time to come: a length of time means so long from now.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    when(text, Timestamp::now(), &TimeZone::system(), 1)
}

fn when(text: &str, now: Timestamp, zone: &TimeZone, sign: i32) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(length) = parse_duration(text) {
        let length = SignedDuration::try_from(length).map_err(|e| e.to_string())?;
        return now.checked_add(length * sign).map_err(|_| format!("{text:?} is too far away"));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|d| d.at(0, 0, 0, 0)));
    civil.and_then(|c| zone.to_timestamp(c)).map_err(|_| {
        format!("{text:?} is not a time: write a length such as \"2h\" or \"7d\", a date such as 2026-05-01, or 2026-05-01T08:00")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::when;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    #[test]
    fn lengths_dates_and_instants() {
        let now: Timestamp = "2026-05-02T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        for (text, sign, expected) in [
            ("2h", -1, "2026-05-02T10:00:00Z"),
            ("2h", 1, "2026-05-02T14:00:00Z"),
            ("7d", -1, "2026-04-25T12:00:00Z"),
            ("2026-05-01", -1, "2026-04-30T22:00:00Z"),
            ("2026-05-01T08:00", -1, "2026-05-01T06:00:00Z"),
            ("2026-05-01T08:00:00Z", 1, "2026-05-01T08:00:00Z"),
        ] {
            assert_eq!(when(text, now, &zone, sign).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "9999999w"] {
            assert!(when(text, now, &zone, -1).is_err(), "{text}");
        }
    }
}
