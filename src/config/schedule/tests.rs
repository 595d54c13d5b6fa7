#![allow(clippy::unwrap_used)]

mod croner;

use super::{Schedule, ScheduleError};
use jiff::Timestamp;
use jiff::civil::DateTime;
use std::collections::BTreeSet;

fn ts(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next runs as `2026-03-29T03:00+02:00`, without seconds.
fn runs(crontab: &str, tz: &str, after: &str, count: usize) -> Vec<String> {
    Schedule::parse(crontab, tz)
        .unwrap()
        .upcoming(ts(after), count)
        .iter()
        .map(|z| z.strftime("%Y-%m-%dT%H:%M%:z").to_string())
        .collect()
}

fn days(crontab: &str, count: usize) -> Vec<String> {
    // 2026-06-01 is a Monday.
    let schedule = Schedule::parse(crontab, "UTC").unwrap();
    schedule.upcoming(ts("2026-05-31T23:59:59Z"), count).iter().map(|z| z.strftime("%a %d").to_string()).collect()
}

#[test]
fn weekdays_are_counted_as_crontab_counts_them() {
    assert_eq!(days("0 3 * * 1-5", 6), ["Mon 01", "Tue 02", "Wed 03", "Thu 04", "Fri 05", "Mon 08"]);
    assert_eq!(days("0 3 * * 0", 2), ["Sun 07", "Sun 14"]);
    assert_eq!(days("0 3 * * 7", 2), ["Sun 07", "Sun 14"]);
    assert_eq!(days("0 3 * * 5-7", 4), ["Fri 05", "Sat 06", "Sun 07", "Fri 12"]);
    assert_eq!(days("0 3 * * sat-sun", 3), ["Sat 06", "Sun 07", "Sat 13"]);
    assert_eq!(days("0 3 * * 0-2", 4), ["Mon 01", "Tue 02", "Sun 07", "Mon 08"]);
    assert_eq!(days("0 3 * * Mon,FRI", 3), ["Mon 01", "Fri 05", "Mon 08"]);
    // Every second day of the week, from Sunday on: 0, 2, 4, 6.
    assert_eq!(days("0 3 * * */2", 5), ["Tue 02", "Thu 04", "Sat 06", "Sun 07", "Tue 09"]);
    assert_eq!(days("0 3 * * 1-7/3", 4), ["Mon 01", "Thu 04", "Sun 07", "Mon 08"]);
}

#[test]
fn day_and_weekday_both_restricted_means_either() {
    assert_eq!(days("0 3 10 * fri", 4), ["Fri 05", "Wed 10", "Fri 12", "Fri 19"]);
    // A star with a step does not restrict: both must fit.
    assert_eq!(days("0 3 */2 * fri", 3), ["Fri 05", "Fri 19", "Fri 03"]);
}

#[test]
fn lists_ranges_steps_and_names() {
    assert_eq!(
        runs("10/20 8 1 jan,Jul *", "UTC", "2026-01-31T00:00:00Z", 4),
        ["2026-07-01T08:10+00:00", "2026-07-01T08:30+00:00", "2026-07-01T08:50+00:00", "2027-01-01T08:10+00:00",]
    );
    assert_eq!(runs("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2), ["2028-02-29T00:00+00:00", "2032-02-29T00:00+00:00"]);
    for (alias, line) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@Yearly", "0 0 1 1 *"),
    ] {
        let after = "2026-06-03T12:34:56Z";
        assert_eq!(runs(alias, "Europe/Copenhagen", after, 3), runs(line, "Europe/Copenhagen", after, 3), "{alias}");
    }
}

#[test]
fn next_is_strictly_after() {
    assert_eq!(runs("*/5 * * * *", "UTC", "2026-06-01T10:05:00Z", 1), ["2026-06-01T10:10+00:00"]);
    assert_eq!(runs("*/5 * * * *", "UTC", "2026-06-01T10:04:59.999Z", 1), ["2026-06-01T10:05+00:00"]);
    assert_eq!(runs("*/5 * * * *", "UTC", "2026-06-01T10:05:00.001Z", 1), ["2026-06-01T10:10+00:00"]);
}

#[test]
fn a_time_in_the_spring_gap_runs_once_right_after_it() {
    assert_eq!(
        runs("30 2 * * *", "Europe/Copenhagen", "2026-03-28T12:00:00Z", 3),
        ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00", "2026-03-31T02:30+02:00",]
    );
    // Several times of the gap are one run, and not another one with the run that belongs to 03:00.
    assert_eq!(
        runs("0,30 2,3 * * *", "Europe/Copenhagen", "2026-03-28T23:00:00Z", 3),
        ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00", "2026-03-30T02:00+02:00",]
    );
    assert_eq!(
        runs("30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", 2),
        ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00",]
    );
    // Lord Howe's clocks jump by half an hour: 02:00 becomes 02:30.
    assert_eq!(
        runs("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 2),
        ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00",]
    );
}

#[test]
fn a_fixed_time_in_the_autumn_fold_runs_once() {
    assert_eq!(
        runs("30 2 * * *", "Europe/Copenhagen", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00",]
    );
    assert_eq!(
        runs("30 1 * * *", "America/New_York", "2026-11-01T04:00:00Z", 2),
        ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00",]
    );
    assert_eq!(
        runs("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", 2),
        ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30",]
    );
    // Asked in the repeated hour itself, what ran in the first is over.
    assert_eq!(runs("30 2 * * *", "Europe/Copenhagen", "2026-10-25T01:10:00Z", 1), ["2026-10-26T02:30+01:00"]);
    assert_eq!(runs("0 3 * * *", "Europe/Copenhagen", "2026-10-25T01:10:00Z", 1), ["2026-10-25T03:00+01:00"]);
}

/// Two days before each change of clocks in 2026, in the zones that these tests look at.
const EVES: [&str; 6] = [
    "2026-03-07T00:00:00Z",
    "2026-03-28T00:00:00Z",
    "2026-04-04T00:00:00Z",
    "2026-10-03T00:00:00Z",
    "2026-10-24T00:00:00Z",
    "2026-10-31T00:00:00Z",
];

#[test]
fn runs_increase_and_no_fixed_time_runs_twice() {
    for tz in ["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe"] {
        for crontab in ["0,30 0-23 * * *", "0-55/5 1-3 * * *", "7 0-23 * * *", "15,45 2 * * *"] {
            for start in EVES {
                let runs = Schedule::parse(crontab, tz).unwrap().upcoming(ts(start), 200);
                assert_eq!(runs.len(), 200);
                assert!(runs.windows(2).all(|w| w[0].timestamp() < w[1].timestamp()), "{crontab} {tz} {start}");
                let civil: BTreeSet<DateTime> = runs.iter().map(jiff::Zoned::datetime).collect();
                assert_eq!(civil.len(), 200, "{crontab} {tz} {start}");
            }
        }
    }
}

#[test]
fn every_few_minutes_is_every_few_minutes_of_real_time() {
    for tz in ["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"] {
        for (crontab, minutes) in [("*/5 * * * *", 5), ("*/30 * * * *", 30), ("*/15 * * * *", 15), ("* * * * *", 1)] {
            for start in EVES {
                let runs = Schedule::parse(crontab, tz).unwrap().upcoming(ts(start), 2 * 24 * 60 / minutes);
                for pair in runs.windows(2) {
                    let step = pair[1].timestamp().as_second() - pair[0].timestamp().as_second();
                    assert_eq!(step, i64::try_from(minutes).unwrap() * 60, "{crontab} {tz}: {} -> {}", pair[0], pair[1]);
                }
            }
        }
    }
}

#[test]
fn a_star_goes_through_both_passes_of_the_repeated_hour() {
    assert_eq!(
        runs("*/30 * * * *", "Europe/Copenhagen", "2026-10-24T23:59:00Z", 6),
        [
            "2026-10-25T02:00+02:00",
            "2026-10-25T02:30+02:00",
            "2026-10-25T02:00+01:00",
            "2026-10-25T02:30+01:00",
            "2026-10-25T03:00+01:00",
            "2026-10-25T03:30+01:00",
        ]
    );
    assert_eq!(
        runs("20 * * * *", "Europe/Copenhagen", "2026-10-25T00:00:00Z", 3),
        ["2026-10-25T02:20+02:00", "2026-10-25T02:20+01:00", "2026-10-25T03:20+01:00"]
    );
    assert_eq!(
        runs("*/20 2 * * *", "Europe/Copenhagen", "2026-10-25T00:10:00Z", 6),
        [
            "2026-10-25T02:20+02:00",
            "2026-10-25T02:40+02:00",
            "2026-10-25T02:00+01:00",
            "2026-10-25T02:20+01:00",
            "2026-10-25T02:40+01:00",
            "2026-10-26T02:00+01:00",
        ]
    );
    // Half an hour is repeated at Lord Howe: 01:30 to 02:00.
    assert_eq!(
        runs("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:40:00Z", 4),
        ["2026-04-05T01:45+11:00", "2026-04-05T01:30+10:30", "2026-04-05T01:45+10:30", "2026-04-05T02:00+10:30"]
    );
}

#[test]
fn a_star_skips_the_spring_gap_where_every_hour_has_its_run() {
    assert_eq!(
        runs("7 * * * *", "Europe/Copenhagen", "2026-03-28T23:30:00Z", 3),
        ["2026-03-29T01:07+01:00", "2026-03-29T03:07+02:00", "2026-03-29T04:07+02:00"]
    );
    assert_eq!(
        runs("0 */2 * * *", "Europe/Copenhagen", "2026-03-28T22:30:00Z", 2),
        ["2026-03-29T00:00+01:00", "2026-03-29T04:00+02:00"]
    );
    // That hour is the only one, so its runs are made up for, once.
    assert_eq!(
        runs("*/20 2 * * *", "Europe/Copenhagen", "2026-03-28T22:30:00Z", 2),
        ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]
    );
}

#[test]
fn month_ends_and_leap_days() {
    assert_eq!(
        runs("0 6 31 * *", "Europe/Copenhagen", "2026-01-31T12:00:00Z", 4),
        ["2026-03-31T06:00+02:00", "2026-05-31T06:00+02:00", "2026-07-31T06:00+02:00", "2026-08-31T06:00+02:00"]
    );
    assert_eq!(
        runs("0 6 28-31 2 *", "America/New_York", "2027-01-01T00:00:00Z", 3),
        ["2027-02-28T06:00-05:00", "2028-02-28T06:00-05:00", "2028-02-29T06:00-05:00"]
    );
    // 2100 is no leap year, and where the calendar of the `cron` crate ends.
    assert_eq!(runs("0 0 29 2 *", "Asia/Kolkata", "2096-03-01T00:00:00Z", 1), [""; 0]);
    assert_eq!(runs("59 23 31 12 *", "Asia/Kolkata", "2026-12-31T18:29:00Z", 1), ["2027-12-31T23:59+05:30"]);
}

#[test]
fn impossible_days_are_refused() {
    for line in ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"] {
        assert_eq!(Schedule::parse(line, "UTC").unwrap_err(), ScheduleError::Never, "{line}");
    }
    // Either fits, so this one comes.
    assert!(Schedule::parse("0 0 31 2 mon", "UTC").is_ok());
}

#[test]
fn mistakes_are_named() {
    for (line, expected) in [
        ("", "0 fields instead of five (minute hour day month weekday)"),
        ("0 0 3 * * *", "6 fields instead of five (minute hour day month weekday)"),
        ("60 * * * *", "minute: 60 is not between 0 and 59"),
        ("* 24 * * *", "hour: 24 is not between 0 and 23"),
        ("* * 0 * *", "day of the month: 0 is not between 1 and 31"),
        ("* * * 13 *", "month: 13 is not between 1 and 12"),
        ("* * * * 8", "weekday: 8 is not between 0 and 7"),
        ("* * * * fr", "weekday: \"fr\" is not understood"),
        ("* * L * *", "day of the month: \"L\" is not understood (L, W, # and ? are not part of crontab lines)"),
        ("*/0 * * * *", "minute: a step of 0 never moves"),
        ("*/90 * * * *", "minute: a step of 90 is more than the whole field (at most 60)"),
        ("*/x * * * *", "minute: \"x\" is not a step"),
        ("30-10 * * * *", "minute: 30-10 runs backwards: write 30-59,0-10"),
        ("1,,2 * * * *", "minute: \"\" is not understood"),
        ("1- * * * *", "minute: \"\" is not understood"),
        ("-1 * * * *", "minute: \"\" is not understood"),
        ("99999999999 * * * *", "minute: 99999999999 is not between 0 and 59"),
        ("@reboot", "@reboot is not known: @hourly, @daily, @weekly, @monthly and @yearly are"),
    ] {
        assert_eq!(Schedule::parse(line, "UTC").unwrap_err().to_string(), expected, "{line}");
    }
}

#[test]
fn unknown_zones_get_the_nearest() {
    for (name, nearest) in
        [("Europe/Copenhague", Some("Europe/Copenhagen")), ("copenhagen", Some("Europe/Copenhagen")), ("Nowhere/At_All_x", None)]
    {
        let error = Schedule::parse("* * * * *", name).unwrap_err();
        assert_eq!(error, ScheduleError::Zone { name: name.to_owned(), nearest: nearest.map(str::to_owned) });
    }
}
