#![allow(clippy::unwrap_used)]

use super::{Due, Owed, RAREST_RETRY, Record, Run, Timetable, due, kind, retry_after};
use crate::config::{Config, parse};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

fn ts(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn config(lines: &str) -> Config {
    let text = format!(
        "version = 1\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n[target.t]\nurl = \"https://x.example\"\n\
         [[sync]]\nname = \"n\"\nsource = \"s\"\ntarget = \"t\"\n{lines}"
    );
    parse(Path::new("c.toml"), text).unwrap().config
}

fn table(lines: &str) -> Timetable {
    Timetable::of(&config(lines).syncs[0]).unwrap()
}

fn plain(crontab: &str) -> Timetable {
    table(&format!("schedule = \"{crontab}\"\ntimezone = \"Europe/Copenhagen\""))
}

fn fresh(now: Timestamp) -> Record {
    Record { since: now, read_full: None, verified: None, unverified: None, owed: None, failures: 0 }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn only_enabled_syncs_with_a_schedule_run_by_themselves() {
    assert!(Timetable::of(&config("").syncs[0]).is_none());
    assert!(Timetable::of(&config("full_read = \"0 3 * * *\"").syncs[0]).is_none());
    assert!(Timetable::of(&config("enabled = false\nschedule = \"* * * * *\"").syncs[0]).is_none());
    assert!(Timetable::of(&config("schedule = \"* * * * *\"").syncs[0]).is_some());
}

#[test]
fn full_and_verify_are_runs_of_their_own_and_make_the_cycle_one() {
    let table = table("schedule = \"0 8 * * *\"\nfull_read = \"0 3 * * *\"\nverify = \"30 3 * * 0\"");
    // 2026-06-06 is a Saturday.
    let record = Record {
        read_full: Some(ts("2026-06-06T03:00:00Z")),
        verified: Some(ts("2026-05-31T03:30:00Z")),
        ..fresh(ts("2026-06-06T08:00:00Z"))
    };
    assert_eq!(due(&table, &record, ts("2026-06-06T09:00:00Z")), Due::At(ts("2026-06-07T03:00:00Z")));
    let night = ts("2026-06-07T03:00:00Z");
    assert_eq!(due(&table, &record, night), Due::Now);
    assert_eq!(kind(&table, &record, night), Run { full: true, verify: false });
    let record = record.begun(night).done(&table, Run { full: true, verify: false }, true, night + MINUTE);
    assert_eq!(due(&table, &record, night + MINUTE), Due::At(ts("2026-06-07T03:30:00Z")));
    let later = ts("2026-06-07T03:30:00Z");
    assert_eq!(kind(&table, &record, later), Run { full: false, verify: true });
    // Not done when it failed: still owed, but not by every cycle that comes next. Leavers wait for none of it.
    let failed = record.begun(later).failed(&table, Run { full: false, verify: true }, later + MINUTE);
    assert_eq!(kind(&table, &failed, later + 5 * MINUTE), Run::default());
    assert_eq!(kind(&table, &failed, later + 60 * MINUTE), Run { full: false, verify: true });
    let between = failed.begun(later + 5 * MINUTE).done(&table, Run::default(), false, later + 6 * MINUTE);
    assert_eq!(kind(&table, &between, later + 60 * MINUTE), Run { full: false, verify: true });
    let well = between.begun(later + 60 * MINUTE).done(&table, Run { full: false, verify: true }, false, later + 61 * MINUTE);
    assert_eq!((well.unverified, kind(&table, &well, later + 120 * MINUTE)), (None, Run::default()));
    // Both slept through: one cycle is both.
    assert_eq!(kind(&table, &record, ts("2026-06-15T08:00:00Z")), Run { full: true, verify: true });
    // What was never read or verified as a whole will be anyway.
    assert_eq!(kind(&table, &fresh(night), ts("2027-01-01T00:00:00Z")), Run::default());
}

#[test]
fn missed_runs_are_one_run_after_the_jitter() {
    let table = plain("*/5 * * * *");
    let now = ts("2026-06-06T10:02:00Z");
    let jitter = Duration::from_secs(7);
    let start = |began: Option<&str>, unfinished| Record::at_start(&table, began.map(ts), unfinished, now, jitter);
    assert_eq!(due(&table, &start(Some("2026-06-01T00:00:00Z"), false), now), Due::At(now + jitter));
    assert_eq!(due(&table, &start(Some("2026-06-01T00:00:00Z"), false), now + jitter), Due::Now);
    // Nothing was missed.
    assert_eq!(due(&table, &start(Some("2026-06-06T10:00:00Z"), false), now), Due::At(ts("2026-06-06T10:05:00Z")));
    // Nothing was missed, but the last one was killed, or failed.
    assert_eq!(due(&table, &start(Some("2026-06-06T10:00:00Z"), true), now), Due::At(now + jitter));
    // Never ran: by its schedule.
    assert_eq!(due(&table, &start(None, false), now), Due::At(ts("2026-06-06T10:05:00Z")));
    // Last seen in the future: the clock was wrong then.
    assert_eq!(due(&table, &start(Some("2031-01-01T00:00:00Z"), false), now), Due::At(ts("2026-06-06T10:05:00Z")));
    // Once: after it, the schedule.
    let record = start(Some("2026-06-01T00:00:00Z"), false).begun(now + jitter).done(&table, Run::default(), true, now + MINUTE);
    assert_eq!(due(&table, &record, now + MINUTE), Due::At(ts("2026-06-06T10:05:00Z")));
}

#[test]
fn a_suspended_machine_makes_up_for_one_run() {
    let table = plain("*/5 * * * *");
    let record = fresh(ts("2026-06-06T10:00:00Z"));
    let awake = ts("2026-06-08T07:31:00Z");
    assert_eq!(due(&table, &record, awake), Due::Now);
    let record = record.begun(awake).done(&table, Run::default(), true, awake + MINUTE);
    assert_eq!(due(&table, &record, awake + MINUTE), Due::At(ts("2026-06-08T07:35:00Z")));
}

#[test]
fn a_clock_that_is_set_back_starts_anew() {
    let table = plain("*/5 * * * *");
    let wrong = ts("2036-01-01T00:00:00Z");
    let right = ts("2026-06-06T10:01:00Z");
    let record = fresh(wrong).corrected(right);
    assert_eq!(due(&table, &record, right), Due::At(ts("2026-06-06T10:05:00Z")));
    assert_eq!(due(&table, &record.corrected(right + 4 * MINUTE), right + 4 * MINUTE), Due::Now);
    // Also where a retry was to come in ten years.
    let failing = fresh(wrong).failed(&table, Run::default(), wrong).corrected(right);
    assert_eq!(due(&table, &failing, right), Due::At(right + 5 * MINUTE));
}

#[test]
fn a_cycle_longer_than_its_interval_is_followed_by_the_next_after_a_breath() {
    let table = plain("* * * * *");
    let begun = ts("2026-06-06T10:00:00Z");
    let over = begun + 7 * MINUTE + Duration::from_secs(30);
    let record = fresh(begun).begun(begun).done(&table, Run::default(), true, over);
    assert_eq!(due(&table, &record, over), Due::At(over + Duration::from_secs(1)));
}

#[test]
fn retries_double_up_to_hourly() {
    let minutes: Vec<u64> = (1..8).map(|n| retry_after(5 * MINUTE, n).as_secs() / 60).collect();
    assert_eq!(minutes, [5, 10, 20, 40, 60, 60, 60]);
    assert_eq!(retry_after(Duration::from_secs(86_400), 1), RAREST_RETRY, "a daily sync does not wait for tomorrow");
    assert_eq!(retry_after(MINUTE, u32::MAX), RAREST_RETRY);
    let table = plain("*/5 * * * *");
    let (mut record, mut now) = (fresh(ts("2026-06-06T10:00:00Z")), ts("2026-06-06T10:05:00Z"));
    for minutes in [5, 10, 20, 40, 60, 60] {
        record = record.begun(now).failed(&table, Run::default(), now);
        assert_eq!(due(&table, &record, now), Due::At(now + minutes * MINUTE));
        now += minutes * MINUTE;
        assert_eq!(due(&table, &record, now), Due::Now);
    }
    // A reload may have mended it.
    assert_eq!(due(&table, &record.begun(now).failed(&table, Run::default(), now).try_now(now), now), Due::Now);
    // Well again: by the schedule.
    let record = record.begun(now).done(&table, Run::default(), true, now);
    assert_eq!((record.failures, record.owed), (0, None));
    assert_eq!(due(&table, &record, now), Due::At(table.next_after(now).unwrap()));
    assert_eq!(due(&table, &record.try_now(now), now), Due::At(table.next_after(now).unwrap()), "nothing to mend");
}

/// A day of judgements, one a minute, of ten syncs.
#[test]
fn a_day_of_wake_ups_costs_next_to_nothing() {
    let table =
        table("schedule = \"*/5 * * * *\"\nfull_read = \"0 3 * * *\"\nverify = \"0 4 * * *\"\ntimezone = \"Europe/Copenhagen\"");
    let began = Instant::now();
    let mut runs = 0;
    for _ in 0..10 {
        let mut now = ts("2026-10-24T12:00:00Z");
        let mut record = fresh(now);
        // The service judges a sync anew once a minute.
        for _ in 0..1440 {
            now += MINUTE;
            if due(&table, &record, now) == Due::Now {
                let run = kind(&table, &record, now);
                record = record.begun(now).done(&table, run, true, now);
                runs += 1;
            }
        }
    }
    assert_eq!(runs, 10 * 288, "every five minutes, through the repeated hour too");
    // Unoptimised, on a machine that is busy; optimised it is a twentieth of that.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// What may happen to a service.
#[derive(Debug, Clone)]
enum Event {
    /// So much time passes, in seconds.
    Pass(u32),
    /// The clock is set, forward or back.
    Set(i32),
    /// The cycle that is due takes so long, and fails or not.
    Work(u16, bool),
    Mended,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u32..4000).prop_map(Event::Pass),
        1 => (-200_000_i32..200_000).prop_map(Event::Set),
        4 => ((0_u16..2000), any::<bool>()).prop_map(|(s, ok)| Event::Work(s, ok)),
        1 => Just(Event::Mended),
    ]
}

proptest! {
    #[test]
    fn whatever_happens(events in prop::collection::vec(event(), 1..60), crontab in prop::sample::select(vec![
        "* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *", "0 3 * * 1-5", "15,45 8-18 * * *",
    ])) {
        let table = plain(crontab);
        // The night in which Copenhagen sets its clocks back.
        let mut now = ts("2026-10-24T20:00:00Z");
        let mut record = fresh(now);
        for event in events {
            match event {
                Event::Pass(s) => now += Duration::from_secs(u64::from(s)),
                Event::Set(s) => now += SignedDuration::from_secs(i64::from(s)),
                Event::Work(s, ok) => if due(&table, &record.corrected(now), now) == Due::Now {
                    record = record.begun(now);
                    // Begun is begun: it is not due again in the same instant.
                    prop_assert_ne!(due(&table, &record, now), Due::Now);
                    now += Duration::from_secs(u64::from(s));
                    record = if ok { record.done(&table, Run::default(), true, now) } else { record.failed(&table, Run::default(), now) };
                    prop_assert_ne!(due(&table, &record, now), Due::Now, "there is always a breath");
                },
                Event::Mended => record = record.try_now(now),
            }
            record = record.corrected(now);
            match due(&table, &record, now) {
                Due::Now => {}
                // Never in the past, never given up, and never later than the schedule or the rarest retry say.
                Due::At(at) => {
                    prop_assert!(at > now);
                    let latest = table.next_after(now).unwrap().max(now + RAREST_RETRY);
                    prop_assert!(at <= latest, "{at} > {latest}");
                    if record.owed.is_none() {
                        prop_assert!(at <= table.next_after(now).unwrap());
                    }
                    prop_assert_eq!(due(&table, &record.corrected(at), at), Due::Now, "what is said is kept");
                }
                Due::Never => prop_assert!(false, "given up"),
            }
        }
    }

    #[test]
    fn retries_grow_and_end_at_an_hour(seconds in 0_u64..200_000, n in 1_u32..100) {
        let interval = Duration::from_secs(seconds);
        let (this, next) = (retry_after(interval, n), retry_after(interval, n + 1));
        prop_assert!(this <= next && next <= RAREST_RETRY && this >= MINUTE);
    }

    #[test]
    fn a_run_out_of_turn_is_made_once(jitter in 0_u64..600) {
        let table = plain("0 3 * * *");
        let now = ts("2026-06-06T10:00:00Z");
        let owed = Some(Owed { from: now, delay: Duration::from_secs(jitter) });
        let record = Record { owed, ..fresh(now) };
        let at = now + Duration::from_secs(jitter);
        prop_assert_eq!(due(&table, &record, at), Due::Now);
        prop_assert_eq!(due(&table, &record.begun(at), at), Due::At(ts("2026-06-07T01:00:00Z")));
    }
}
