//! Schedules: the five-field crontab of administrators, in a time zone, safe around daylight-saving changes.
//!
//! The `cron` crate wants a seconds field, counts Sunday as 1 and goes wrong where clocks change. So this file turns a
//! crontab line into the plainest form of that crate's language (lists of numbers, weekdays by name), and lets it run on the
//! civil time line of one stretch of the zone after another, from clock change to clock change, where no clock ever changes.
//! At a change it does what Vixie cron and cronie do:
//!
//! * a fixed time that the change skips runs once, at the first instant after the gap; one that it repeats runs once, the
//!   first time;
//! * where the minute or the hour begins with a star (`*/5 * * * *`, `@hourly`) the schedule goes on by the clock: through
//!   both passes of a repeated hour, and with nothing to make up for where every hour has its run anyway;
//! * the instants of a schedule always increase.

mod field;

use chrono::{Datelike, NaiveDate, Timelike};
use field::{DAY, HOUR, MINUTE, MONTH, WEEKDAY};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};
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
    /// Minute or hour begins with a star: the repeated hour of autumn is gone through twice.
    goes_on: bool,
    /// The hour begins with a star: nothing is made up for after the gap of spring.
    every_hour: bool,
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
        let Translated { lines, minute_star, hour_star } = translate(crontab)?;
        let schedule = Self { lines, goes_on: minute_star || hour_star, every_hour: hour_star, zone };
        // Leap days are at most eight years apart, so a fixed start decides this for good.
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    /// The first run after `after`; `None` at the end of the calendar (year 2100).
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Zoned> {
        let next = self.lines.iter().filter_map(|line| self.next_of(line, after)).min();
        next.map(|t| t.to_zoned(self.zone.clone()))
    }

    /// The first run of one line: looked for on the civil time of one stretch after another, each with one offset.
    fn next_of(&self, line: &cron::Schedule, after: Timestamp) -> Option<Timestamp> {
        let mut here = after;
        let mut offset = self.zone.to_offset(here);
        // Runs are looked for strictly behind this civil time.
        let mut behind = offset.to_datetime(here);
        if !self.goes_on {
            behind = behind.max(self.repeated_until(here, offset)?);
        }
        loop {
            let civil = chrono_to_civil(&line.after(&civil_to_chrono(behind)?).next()?)?;
            let run = offset.to_timestamp(civil).ok()?;
            let Some(change) = self.zone.following(here).next() else { return Some(run) };
            if run < change.timestamp() {
                return Some(run);
            }
            here = change.timestamp();
            let before = offset.to_datetime(here);
            offset = change.offset();
            let now = offset.to_datetime(here);
            if civil < now && !self.every_hour {
                // In the gap.
                return Some(here);
            }
            let first = if self.goes_on { now } else { now.max(before) };
            behind = first.checked_sub(SECOND).ok()?;
        }
    }

    /// Where the stretch of `at` began by setting the clock back: the last second of civil time that ran before the change.
    fn repeated_until(&self, at: Timestamp, offset: Offset) -> Option<DateTime> {
        // The change itself belongs to the stretch that it begins.
        let just_behind = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
        let Some(change) = self.zone.preceding(just_behind).next() else { return Some(DateTime::MIN) };
        let eve = change.timestamp().checked_sub(SignedDuration::from_nanos(1)).ok()?;
        let before = self.zone.to_offset(eve).to_datetime(change.timestamp());
        if before > offset.to_datetime(change.timestamp()) { before.checked_sub(SECOND).ok() } else { Some(DateTime::MIN) }
    }

    /// The next `count` runs after `after`.
    #[must_use]
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Zoned> {
        std::iter::successors(self.next_after(after), |z| self.next_after(z.timestamp())).take(count).collect()
    }
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

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
struct Translated {
    lines: Vec<cron::Schedule>,
    minute_star: bool,
    hour_star: bool,
}

fn translate(crontab: &str) -> Result<Translated, ScheduleError> {
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
    let lines = wanted
        .iter()
        .map(|line| cron::Schedule::from_str(line).map_err(|e| ScheduleError::Field { field: "line", message: e.to_string() }))
        .collect::<Result<_, _>>()?;
    Ok(Translated { lines, minute_star: minute.starts_with('*'), hour_star: hour.starts_with('*') })
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
