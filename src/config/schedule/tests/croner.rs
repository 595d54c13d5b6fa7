//! The same crontab lines, asked of an independent implementation: croner.
//!
//! Croner means the same by a crontab line, but for two kinds of line at a change of clocks; those are listed by hand.

use super::{Schedule, ts};
use croner::Cron;
use jiff::{SignedDuration, Timestamp, Zoned};
use std::collections::BTreeSet;

const ZONES: [&str; 4] = ["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];

/// Two years with four changes of clocks in three of the zones, and a leap day.
const BEGIN: &str = "2027-01-10T00:00:00Z";
const END: &str = "2029-01-10T00:00:00Z";

/// Compared over the whole two years.
const LINES: [&str; 40] = [
    "0 * * * *",
    "30 * * * *",
    "7 */2 * * *",
    "15 */6 * * *",
    "0 0 * * *",
    "59 23 * * *",
    "0 1 * * *",
    "30 1 * * *",
    "45 1 * * *",
    "0 2 * * *",
    "5 2 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "30 3 * * *",
    "0 4 * * 1-5",
    "30 2 * * 0",
    "30 2 * * 7",
    "30 2 * * sun",
    "0 2 * 3,10,11 sun",
    "0 12 * * mon,wed,fri",
    "0 12 * * MON-FRI",
    "0 6 1 * *",
    "0 6 31 * *",
    "30 1 28-31 * *",
    "0 0 29 2 *",
    "59 23 28 2 *",
    "0 0 1 1 *",
    "59 23 31 12 *",
    "0 3 1,15 * *",
    "0 3 13 * 5",
    "0 3 1-7 * mon",
    "0 3 */10 * *",
    "0 3 * */3 *",
    "0 3 * jan-mar *",
    "0 8-18 * * 1-5",
    "0,30 9 * * *",
    "*/20 12 * * *",
    "@daily",
    "@weekly",
];

/// So frequent that only the days around each change of clocks and the ends of February are compared.
const FREQUENT: [&str; 6] = ["* * * * *", "*/5 * * * *", "*/7 * * * *", "*/15 * * * *", "*/30 */3 * * *", "3-59/10 * * * *"];

/// Days on which a zone changes its clocks, and where months end.
const WINDOWS: [&str; 10] = [
    "2027-02-27T12:00:00Z",
    "2027-03-13T12:00:00Z",
    "2027-03-27T12:00:00Z",
    "2027-04-03T00:00:00Z",
    "2027-10-02T00:00:00Z",
    "2027-10-30T12:00:00Z",
    "2027-11-06T12:00:00Z",
    "2027-12-31T00:00:00Z",
    "2028-02-28T12:00:00Z",
    "2028-03-25T12:00:00Z",
];

fn ours(line: &str, tz: &str, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    let schedule = Schedule::parse(line, tz).unwrap();
    let next = |t: Timestamp| schedule.next_after(t).map(|z| z.timestamp()).filter(|t| *t < to);
    std::iter::successors(next(from), |t| next(*t)).collect()
}

fn theirs(line: &str, tz: &str, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    let cron: Cron = line.parse().unwrap();
    let start: Zoned = from.in_tz(tz).unwrap();
    cron.iter_after(start).map(|z| z.timestamp()).take_while(|t| *t < to).collect()
}

#[track_caller]
fn compare(line: &str, tz: &str, from: Timestamp, to: Timestamp) {
    let (ours, theirs) = (ours(line, tz, from, to), theirs(line, tz, from, to));
    let odd: Vec<String> = ours.symmetric_difference(&theirs).map(|t| t.in_tz(tz).unwrap().to_string()).collect();
    assert!(odd.is_empty(), "{line} in {tz}: {odd:?}");
}

#[test]
fn two_years_as_croner_has_them() {
    for tz in ZONES {
        for line in LINES {
            compare(line, tz, ts(BEGIN), ts(END));
        }
    }
}

#[test]
fn frequent_lines_as_croner_has_them() {
    for tz in ZONES {
        for line in FREQUENT {
            for from in WINDOWS.map(ts) {
                compare(line, tz, from, from + SignedDuration::from_hours(36));
            }
        }
    }
}

/// What only one of the two runs within two years, as `+` ours or `-` theirs.
fn differences(line: &str, tz: &str) -> Vec<String> {
    let (ours, theirs) = (ours(line, tz, ts(BEGIN), ts(END)), theirs(line, tz, ts(BEGIN), ts(END)));
    let odd = ours.symmetric_difference(&theirs);
    odd.map(|t| {
        let sign = if ours.contains(t) { '+' } else { '-' };
        format!("{sign}{}", t.in_tz(tz).unwrap().strftime("%Y-%m-%dT%H:%M%:z"))
    })
    .collect()
}

/// For croner only a line with one minute and one hour is a fixed time. For Vixie cron, cronie and us it is every line without a
/// star in either: what the change skips is made up for once, and what it repeats runs once.
#[test]
fn lists_of_fixed_times_differ_from_croner() {
    assert_eq!(
        differences("0,30 2,4 * * *", "Europe/Copenhagen"),
        [
            "+2027-03-28T03:00+02:00",
            "-2027-10-31T02:00+01:00",
            "-2027-10-31T02:30+01:00",
            "+2028-03-26T03:00+02:00",
            "-2028-10-29T02:00+01:00",
            "-2028-10-29T02:30+01:00",
        ]
    );
    assert_eq!(
        differences("10 1-2 * * *", "America/New_York"),
        ["+2027-03-14T03:00-04:00", "-2027-11-07T01:10-05:00", "+2028-03-12T03:00-04:00", "-2028-11-05T01:10-05:00"]
    );
    assert_eq!(
        differences("40,50 1 * * *", "Australia/Lord_Howe"),
        ["-2027-04-04T01:40+10:30", "-2027-04-04T01:50+10:30", "-2028-04-02T01:40+10:30", "-2028-04-02T01:50+10:30"]
    );
    assert_eq!(differences("0,30 2,4 * * *", "Asia/Kolkata"), [""; 0]);
}

/// Where the hour is fixed and skipped as a whole, croner (and cronie) leave the day out. We run once after the gap: a full
/// read that is due in that hour must not be lost for a day.
#[test]
fn a_skipped_hour_differs_from_croner() {
    assert_eq!(differences("*/20 2 * * *", "Europe/Copenhagen"), ["+2027-03-28T03:00+02:00", "+2028-03-26T03:00+02:00"]);
    assert_eq!(differences("*/20 2 * * *", "Asia/Kolkata"), [""; 0]);
}
