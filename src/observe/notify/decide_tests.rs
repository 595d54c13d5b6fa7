#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_795_576_500;
const STEP: i64 = 300;

fn outcome(verdict: Verdict, at: i64) -> Outcome {
    let error = (verdict == Verdict::Failed).then(|| ("source".to_owned(), "ldaps://dc1: no route".to_owned()));
    let held = if verdict == Verdict::Held { [("deactivate".to_owned(), 30)].into() } else { BTreeMap::new() };
    let parked = if verdict == Verdict::Parked { people(&["ada"]) } else { Vec::new() };
    Outcome {
        sync: "corp-app".to_owned(),
        cycle: 11,
        at,
        verdict,
        error,
        done: BTreeMap::new(),
        held,
        parked,
        leavers_waiting: 0,
        leavers_since: None,
        linked_users: 1,
        linked_groups: 0,
        complete_read_at: Some(at),
        next_run: None,
        duration_ms: 1,
    }
}

fn people(names: &[&str]) -> Vec<(String, String, String)> {
    names.iter().map(|n| ((*n).to_owned(), "the name is taken".to_owned(), "rename".to_owned())).collect()
}

/// Runs cycles one after another; gives what was told and when.
#[derive(Default)]
struct Story {
    standing: Standing,
    told: Vec<(i64, Message)>,
}

impl Story {
    fn cycle(&mut self, outcome: &Outcome, now: i64) -> Option<Event> {
        // What is remembered survives a restart at any point.
        let json = serde_json::to_string(&self.standing).unwrap();
        let (standing, message) = decide(&serde_json::from_str(&json).unwrap(), outcome, now);
        self.standing = standing;
        let event = message.as_ref().map(|m| m.event);
        self.told.extend(message.map(|m| (now, m)));
        event
    }

    fn run(&mut self, verdict: Verdict, now: i64) -> Option<Event> {
        self.cycle(&outcome(verdict, now), now)
    }
}

#[test]
fn one_on_failure_one_a_day_one_when_well_again() {
    let mut story = Story::default();
    assert_eq!(story.run(Verdict::Ok, NOW), None);
    let mut told = Vec::new();
    for i in 1..=(50 * 12) {
        let event = story.run(Verdict::Failed, NOW + i * STEP);
        told.extend(event.map(|e| (i, e)));
    }
    assert_eq!(told, [(1, Event::Failed), (289, Event::Quarantined), (577, Event::Quarantined)]);
    assert_eq!(story.run(Verdict::Ok, NOW + 601 * STEP), Some(Event::Well));
    assert_eq!(story.run(Verdict::Ok, NOW + 602 * STEP), None);
    let repeat = &story.told[1].1;
    assert_eq!(repeat.document["repeated"], true);
    assert!(repeat.text.contains("(1 d, 289 cycles)"), "{}", repeat.text);
    let well = &story.told[3].1;
    assert!(well.text.contains("failing since") && well.text.contains("2 d 2 h"), "{}", well.text);
}

#[test]
fn another_kind_is_told_at_once() {
    let mut story = Story::default();
    assert_eq!(story.run(Verdict::Parked, NOW), Some(Event::Parked));
    assert_eq!(story.run(Verdict::Failed, NOW + STEP), Some(Event::Failed));
    assert_eq!(story.run(Verdict::Held, NOW + 2 * STEP), Some(Event::Held));
    assert_eq!(story.run(Verdict::Held, NOW + 3 * STEP), None);
    assert_eq!(story.run(Verdict::Ok, NOW + 4 * STEP), Some(Event::Well));
    // A source that comes and goes all day does not keep a hold from being told.
    for i in 5..100 {
        story.run(if i % 2 == 0 { Verdict::Failed } else { Verdict::Ok }, NOW + i * STEP);
    }
    assert_eq!(story.run(Verdict::Held, NOW + 101 * STEP), Some(Event::Held));
}

#[test]
fn more_of_the_same_is_told_once_an_hour_at_most() {
    let mut story = Story::default();
    let parked = |names: &[&str]| Outcome { parked: people(names), ..outcome(Verdict::Parked, NOW) };
    assert_eq!(story.cycle(&parked(&["a", "b"]), NOW), Some(Event::Parked));
    assert_eq!(story.cycle(&parked(&["b"]), NOW + STEP), None, "fewer");
    assert_eq!(story.cycle(&parked(&["a", "b"]), NOW + 2 * STEP), None, "the same again");
    assert_eq!(story.cycle(&parked(&["a", "c"]), NOW + 3 * STEP), None, "grown, and too early");
    assert_eq!(story.cycle(&parked(&["a", "c"]), NOW + 3600), Some(Event::Parked), "told all the same");
    assert_eq!(story.cycle(&parked(&["a", "c"]), NOW + 7300), None);

    let mut story = Story::default();
    let held = |kind: &str, n| Outcome { held: [(kind.to_owned(), n)].into(), ..outcome(Verdict::Held, NOW) };
    assert_eq!(story.cycle(&held("deactivate", 30), NOW), Some(Event::Held));
    assert_eq!(story.cycle(&held("deactivate", 31), NOW + 3600), None, "about as many");
    assert_eq!(story.cycle(&held("delete", 1), NOW + 3600), Some(Event::Held), "another kind of change");

    let mut story = Story::default();
    assert_eq!(story.run(Verdict::Failed, NOW), Some(Event::Failed));
    let waiting = Outcome { leavers_waiting: 1, leavers_since: Some(NOW), ..outcome(Verdict::Failed, NOW) };
    assert_eq!(story.cycle(&waiting, NOW + 3600), Some(Event::Failed), "somebody has left meanwhile");
    assert!(story.told[1].1.subject.ends_with("; 1 leaver waits"), "{}", story.told[1].1.subject);
    assert_eq!(story.cycle(&Outcome { leavers_waiting: 9, ..waiting }, NOW + 7300), None);
}

#[test]
fn being_stopped_or_locked_out_is_no_trouble() {
    for kind in ["interrupted", "locked"] {
        let mut story = Story::default();
        let stopped = Outcome { error: Some((kind.to_owned(), "x".to_owned())), ..outcome(Verdict::Failed, NOW) };
        assert_eq!(story.cycle(&stopped, NOW), None);
        assert_eq!(story.run(Verdict::Ok, NOW + STEP), None);
        assert_eq!(story.standing, Standing::default());
    }
}

#[test]
fn a_clock_set_back_does_not_silence() {
    let mut story = Story::default();
    let years = 10 * 365 * DAY;
    for i in 0..10 {
        story.run(if i % 2 == 0 { Verdict::Failed } else { Verdict::Ok }, NOW + years + i * STEP);
    }
    let before = story.told.len();
    for i in 0..(26 * 12) {
        story.run(Verdict::Failed, NOW + i * STEP);
    }
    assert!(story.told.len() > before, "told within a day and a bit");
}

#[test]
fn the_words_say_who_what_and_what_to_do() {
    let mut story = Story::default();
    let held = Outcome {
        held: [("deactivate".to_owned(), 300), ("delete".to_owned(), 12)].into(),
        leavers_waiting: 2,
        leavers_since: Some(NOW - 7800),
        complete_read_at: Some(NOW - 900),
        ..outcome(Verdict::Held, NOW)
    };
    story.cycle(&held, NOW);
    let message = &story.told[0].1;
    assert_eq!(message.subject, "scim-sync: corp-app holds 312 changes (300 deactivate, 12 delete); 2 leavers wait");
    for part in [
        "       300  deactivate\n",
        "2 people have left and can still sign in; the first left at ",
        ", 2 h 10 min ago.",
        "Last complete read: ",
        ", 15 min ago.",
        "    scim-sync plan corp-app\n",
        "    scim-sync log --cycle 11\n",
        "    scim-sync approve corp-app --reason \"...\"\n",
    ] {
        assert!(message.text.contains(part), "{part}\n{}", message.text);
    }
    let document = &message.document;
    assert_eq!((&document["version"], &document["event"]), (&1.into(), &"held".into()));
    assert_eq!(document["held"]["deactivate"], 300);
    assert_eq!(document["leavers_waiting"], 2);

    // What servers and directories say is bounded and cannot forge lines.
    let many: Vec<_> = (0..500).map(|i| (format!("p{i}\r\nBcc: x"), "why\u{7}\n".repeat(3000), String::new())).collect();
    let parked = Outcome { parked: many, ..outcome(Verdict::Parked, NOW) };
    let (_, message) = decide(&Standing::default(), &parked, NOW);
    let message = message.unwrap();
    assert_eq!(message.subject, "scim-sync: corp-app: 500 records are parked");
    assert!(message.text.contains("and 480 more") && message.text.len() < 200_000);
    assert!(!message.text.contains("\nBcc") && !message.text.contains(['\r', '\u{7}']));
    assert_eq!(message.document["parked"].as_array().unwrap().len(), 200);
    assert_eq!(message.document["parked_total"], 500);
    // A first cycle that never began has no number to look up.
    let (_, message) = decide(&Standing::default(), &Outcome { cycle: 0, ..outcome(Verdict::Failed, NOW) }, NOW);
    assert!(!message.unwrap().text.contains("--cycle"));
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    let one = prop::sample::select(Verdict::ALL.to_vec());
    // Stretches of the same, and quick changes.
    prop::collection::vec((one, 1_usize..40), 1..40)
        .prop_map(|parts| parts.into_iter().flat_map(|(v, n)| std::iter::repeat_n(v, n)).collect())
}

fn most_within_a_day(told: &[(i64, Message)]) -> usize {
    let times: Vec<i64> = told.iter().map(|(at, _)| *at).collect();
    times.iter().map(|from| times.iter().filter(|t| (*from..from + DAY).contains(*t)).count()).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn never_a_flood(verdicts in verdicts(), step in 60_i64..4000) {
        let mut story = Story::default();
        for (i, v) in verdicts.iter().enumerate() {
            story.run(*v, NOW + i64::try_from(i).unwrap() * step);
        }
        prop_assert!(most_within_a_day(&story.told) <= 3 * GAPS.len());
    }

    #[test]
    fn coming_and_going_is_told_a_few_times(bad in prop::sample::select(vec![Verdict::Failed, Verdict::Held, Verdict::Parked]), step in 60_i64..900) {
        let mut story = Story::default();
        for i in 0..2000 {
            story.run(if i % 2 == 0 { bad } else { Verdict::Ok }, NOW + i * step);
        }
        prop_assert!(most_within_a_day(&story.told) <= GAPS.len());
        prop_assert!(story.told.len() >= 2);
    }

    #[test]
    fn trouble_that_stays_the_same_is_told_once_a_day(bad in prop::sample::select(vec![Verdict::Failed, Verdict::Held, Verdict::Parked]), cycles in 1_i64..2000, step in 60_i64..4000) {
        let mut story = Story::default();
        for i in 0..cycles {
            story.run(bad, NOW + i * step);
        }
        let days = (cycles - 1) * step / DAY;
        // Each repeat may come up to one cycle late.
        let told = i64::try_from(story.told.len()).unwrap();
        prop_assert!(told <= 1 + days && told > (days * DAY) / (DAY + step), "{told} in {days} days");
        prop_assert!(story.told.windows(2).all(|w| w[1].0 - w[0].0 >= DAY));
    }

    #[test]
    fn a_daily_cycle_that_ends_a_little_earlier_is_told_all_the_same(early in 0_i64..1800, days in 2_i64..20) {
        let mut story = Story::default();
        for day in 0..days {
            let now = NOW + day * DAY - if day % 2 == 0 { 0 } else { early };
            story.cycle(&Outcome { next_run: Some(now + DAY), ..outcome(Verdict::Held, now) }, now);
        }
        prop_assert_eq!(i64::try_from(story.told.len()).unwrap(), days);
    }

    #[test]
    fn what_stays_so_is_told_in_the_end(verdicts in verdicts(), last in prop::sample::select(Verdict::ALL.to_vec()), step in 60_i64..4000) {
        let mut story = Story::default();
        let mut now = NOW;
        for v in &verdicts {
            story.run(*v, now);
            now += step;
        }
        let end = now + DAY + HOUR;
        while now <= end {
            story.run(last, now);
            now += step;
        }
        prop_assert_eq!(story.standing.told.as_ref().map(|t| t.kind.as_str()), Some(last.as_str()).filter(|_| last != Verdict::Ok));
        // "Well again" ends something that was told, and is not told twice.
        let mut open = false;
        for (_, message) in &story.told {
            prop_assert!(message.event != Event::Well || open);
            open = message.event != Event::Well;
        }
    }
}
