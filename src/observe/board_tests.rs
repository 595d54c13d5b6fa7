#![allow(clippy::unwrap_used)]
use super::*;
use crate::observe::metrics;

/// A quarter past three on a Wednesday.
const NOW: i64 = 1_795_576_500;

fn watch(name: &str, limit: Option<i64>, read: Option<i64>) -> Watched {
    Watched { name: name.to_owned(), age_limit: limit, complete_read_at: read }
}

pub(in crate::observe) fn outcome(sync: &str, verdict: Verdict, at: i64) -> Outcome {
    Outcome {
        sync: sync.to_owned(),
        cycle: 7,
        at,
        verdict,
        error: None,
        done: BTreeMap::new(),
        held: BTreeMap::new(),
        parked: Vec::new(),
        leavers_waiting: 0,
        leavers_since: None,
        linked_users: 12,
        linked_groups: 3,
        complete_read_at: Some(at - 10),
        next_run: Some(at + 300),
        duration_ms: 1500,
    }
}

#[test]
fn limits_follow_the_schedule() {
    let now = Timestamp::from_second(NOW).unwrap();
    let limit = |line: &str, zone: &str| age_limit(&Schedule::parse(line, zone).unwrap(), now);
    assert_eq!(limit("* * * * *", "UTC"), 900, "at least 15 minutes");
    assert_eq!(limit("*/5 * * * *", "UTC"), 900);
    assert_eq!(limit("*/10 * * * *", "Europe/Copenhagen"), 1800);
    assert_eq!(limit("30 * * * *", "UTC"), 3 * 3600, "also where no sample falls on the hour");
    assert_eq!(limit("0 3 * * *", "UTC"), 3 * 86_400);
    // Rests from Friday 17:55 to Monday 8:00.
    let weekend = limit("*/5 8-17 * * 1-5", "UTC");
    assert!((3 * 61 * 3600..=3 * 63 * 3600).contains(&weekend), "{weekend}");
    let month = limit("0 0 1 * *", "UTC");
    assert!(month >= 3 * 30 * 86_400, "{month}");
}

#[test]
fn ready_while_reads_are_young() {
    let board = Board::new([watch("a", Some(900), Some(NOW - 100)), watch("hand", None, None)], NOW);
    assert!(board.readiness(NOW + 900).ready, "the daemon has just started");
    assert!(!board.readiness(NOW + 901).ready, "and never began");
    board.cycle(&outcome("a", Verdict::Ok, NOW + 60));
    assert!(board.readiness(NOW + 950).ready);
    let late = board.readiness(NOW + 951);
    assert!(!late.ready);
    assert_eq!(late.lines, ["a: too old: last complete read 901 s ago, limit 900 s", "hand: ok: it has no schedule"]);
    // A failed cycle reads nothing new.
    let failed = Outcome { complete_read_at: None, ..outcome("a", Verdict::Failed, NOW + 960) };
    board.cycle(&failed);
    assert!(!board.readiness(NOW + 961).ready);
}

#[test]
fn a_first_cycle_may_take_its_time_and_no_other() {
    let board = Board::new([watch("a", Some(900), None)], NOW);
    board.running("a");
    assert!(board.readiness(NOW + 100_000).ready);
    board.cycle(&Outcome { complete_read_at: None, ..outcome("a", Verdict::Failed, NOW + 100_000) });
    assert!(!board.readiness(NOW + 100_001).ready);
    board.running("a");
    assert!(!board.readiness(NOW + 100_002).ready);
}

#[test]
fn a_weekend_off_is_forgiven() {
    let board = Board::new([watch("a", Some(900), Some(NOW - 200_000))], NOW);
    assert!(board.readiness(NOW + 5).ready);
    assert!(!board.readiness(NOW + 1000).ready);
}

#[test]
fn a_reload_keeps_what_is_known() {
    let board = Board::new([watch("a", Some(900), None), watch("b", Some(900), None)], NOW);
    board.cycle(&outcome("a", Verdict::Held, NOW));
    board.cycle(&outcome("b", Verdict::Ok, NOW));
    board.watch([watch("a", Some(1800), None), watch("c", Some(900), None)]);
    board.cycle(&outcome("b", Verdict::Ok, NOW));
    let lines = board.lines();
    assert_eq!(lines.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(lines[0].1.last.as_ref().unwrap().verdict, Verdict::Held);
    assert_eq!(lines[0].1.age_limit, Some(1800));
}

#[test]
fn gauges_say_what_is_the_case() {
    let board = Board::new([watch("a", Some(900), None), watch("b", Some(900), None)], NOW);
    board.secrets([("target.app.token".to_owned(), NOW + 86_400)]);
    let (recorder, handle) = metrics::recorder().unwrap();
    let text = ::metrics::with_local_recorder(&recorder, || {
        metrics::describe();
        board.cycle(&Outcome {
            held: [("deactivate".to_owned(), 3)].into(),
            parked: vec![("x".into(), "y".into(), "z".into()); 4],
            leavers_waiting: 2,
            leavers_since: Some(NOW - 50),
            ..outcome("a", Verdict::Held, NOW)
        });
        handle.render(&board, NOW + 10)
    });
    for line in [
        "scim_sync_last_cycle_result{sync=\"a\",result=\"held\"} 1",
        "scim_sync_last_cycle_result{sync=\"a\",result=\"ok\"} 0",
        "scim_sync_held_changes{sync=\"a\",kind=\"deactivate\"} 3",
        "scim_sync_parked_records{sync=\"a\"} 4",
        "scim_sync_leavers_waiting{sync=\"a\"} 2",
        "scim_sync_leavers_waiting_seconds{sync=\"a\"} 60",
        "scim_sync_linked{sync=\"a\",object=\"user\"} 12",
        "scim_sync_last_cycle_duration_seconds{sync=\"a\"} 1.5",
        "scim_sync_cycles_total{sync=\"a\",result=\"held\"} 1",
        "scim_sync_last_complete_read_age_limit_seconds{sync=\"b\"} 900",
        "scim_sync_cycle_running{sync=\"b\"} 0",
        "scim_sync_secret_expiry_timestamp_seconds{key=\"target.app.token\"} 1795662900",
        concat!("scim_sync_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(!text.contains("parked_records{sync=\"b\"}"), "what is not known is not said: {text}");
    // What is not held any more is gone, not 0 under its old kind for ever.
    board.cycle(&outcome("a", Verdict::Ok, NOW + 20));
    assert!(!handle.render(&board, NOW + 20).contains("held_changes"));
}
