//! Schedules: the five-field crontab of administrators, in a time zone, safe around daylight-saving changes.
//!
//! The `cron` crate wants a seconds field, counts Sunday as 1 and goes wrong where clocks change. So this file turns a
//! crontab line into the plainest form of that crate's language (lists of numbers, weekdays by name), lets it run on the
//! civil time line, where no clock ever changes, and lets jiff turn each civil time into an instant of the zone:
//!
//! * a time that the spring change skips runs once, at the first instant after the gap;
//! * a time that the autumn change repeats runs once, the first time;
//! * the instants of a schedule always increase.

mod field;

use chrono::{Datelike, NaiveDate, Timelike};
use field::{DAY, HOUR, MINUTE, MONTH, WEEKDAY};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};
use std::str::FromStr;

/// Why a schedule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not five fields.
    #[error("{found} fields instead of five (minute hour day month weekday)")]
    Fields {
        /// Fields found.
        found: usize,
    },
    /// A field is not understood.
    #[error("{field}: {message}")]
    Field {
        /// Which of the five.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// An `@name` that is not known.
    #[error("{0} is not known: @hourly, @daily, @weekly, @monthly and @yearly are")]
    Alias(String),
    /// The time zone is not known.
    #[error("unknown time zone {name:?}")]
    Zone {
        /// As written.
        name: String,
        /// The nearest right one.
        nearest: Option<String>,
    },
    /// No day of the calendar fits.
    #[error("no day ever fits")]
    Never,
}

/// A crontab line in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// One, or two where day and weekday are both restricted: then either may fit.
    lines: Vec<cron::Schedule>,
    zone: TimeZone,
}

impl Schedule {
    /// Reads a crontab line: five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Weekdays are 0 to 7
    /// (0 and 7 Sunday, 1 Monday) or names. Where both day and weekday are restricted either may fit, as in every cron.
    ///
    /// # Errors
    /// The line or the zone is not understood, or the line names a day that never comes.
    pub fn parse(crontab: &str, tz: &str) -> Result<Self, ScheduleError> {
        let zone = zone(tz)?;
        let schedule = Self { lines: translate(crontab)?, zone };
        // Leap days are at most eight years apart, so a fixed start decides this for good.
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    /// The first run after `after`; `None` at the end of the calendar (year 2100).
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Zoned> {
        // Civil times grow with their instants, so the first one that lies after `after` is the answer. Only within the
        // repeated hour of autumn are there some to pass over: they ran the first time.
        let start = civil_to_chrono(self.zone.to_datetime(after))?;
        let mut best: Option<Timestamp> = None;
        for line in &self.lines {
            let next = line.after(&start).filter_map(|c| self.instant(chrono_to_civil(&c)?)).find(|t| *t > after);
            best = match (best, next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        best.map(|t| t.to_zoned(self.zone.clone()))
    }

    /// The next `count` runs after `after`.
    #[must_use]
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Zoned> {
        std::iter::successors(self.next_after(after), |z| self.next_after(z.timestamp())).take(count).collect()
    }

    /// The instant at which a civil time runs.
    fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
            AmbiguousOffset::Gap { .. } => {
                // As if the clock had not been changed: at or after the change. The change itself is the one before that.
                let shifted = ambiguous.later().ok()?;
                let behind = shifted.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
                self.zone.preceding(behind).next().map(|change| change.timestamp())
            }
        }
    }
}

/// The zone of this name.
fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name).map_err(|_| {
        let lower = name.to_ascii_lowercase();
        let score = |n: &str| {
            let city = n.rsplit('/').next().unwrap_or(n);
            strsim::jaro_winkler(n, &lower).max(strsim::jaro_winkler(city, &lower))
        };
        let nearest = jiff::tz::db()
            .available()
            .map(|n| (score(&n.as_str().to_ascii_lowercase()), n.as_str().to_owned()))
            .filter(|(score, _)| *score > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, n)| n);
        ScheduleError::Zone { name: name.to_owned(), nearest }
    })
}

/// A crontab line in the `cron` crate's language.
fn translate(crontab: &str) -> Result<Vec<cron::Schedule>, ScheduleError> {
    let text = crontab.trim();
    let text = match text.to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other if other.starts_with('@') => return Err(ScheduleError::Alias(text.to_owned())),
        _ => text,
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(ScheduleError::Fields { found: fields.len() });
    };
    let minutes = MINUTE.translate(minute)?;
    let hours = HOUR.translate(hour)?;
    let days = DAY.translate(day)?;
    let months = MONTH.translate(month)?;
    let weekdays = WEEKDAY.translate(weekday)?;
    // A field that begins with a star does not restrict, even `*/2`: Vixie cron's rule.
    let either = !day.starts_with('*') && !weekday.starts_with('*');
    let wanted = if either {
        vec![format!("0 {minutes} {hours} {days} {months} *"), format!("0 {minutes} {hours} * {months} {weekdays}")]
    } else {
        vec![format!("0 {minutes} {hours} {days} {months} {weekdays}")]
    };
    wanted
        .iter()
        .map(|line| cron::Schedule::from_str(line).map_err(|e| ScheduleError::Field { field: "line", message: e.to_string() }))
        .collect()
}

/// A civil time as chrono's UTC: the time line on which `cron` makes no mistakes.
fn civil_to_chrono(civil: DateTime) -> Option<chrono::DateTime<chrono::Utc>> {
    let part = |v: i8| u32::try_from(v).ok();
    NaiveDate::from_ymd_opt(i32::from(civil.year()), part(civil.month())?, part(civil.day())?)?
        .and_hms_opt(part(civil.hour())?, part(civil.minute())?, part(civil.second())?)
        .map(|naive| naive.and_utc())
}

fn chrono_to_civil(at: &chrono::DateTime<chrono::Utc>) -> Option<DateTime> {
    let part = |v: u32| i8::try_from(v).ok();
    DateTime::new(
        i16::try_from(at.year()).ok()?,
        part(at.month())?,
        part(at.day())?,
        part(at.hour())?,
        part(at.minute())?,
        part(at.second())?,
        0,
    )
    .ok()
}

#[cfg(test)]
mod tests;
