//! Throttled, cut off and refused at random: the cycle ends right, or removes nobody.

use super::{FREE, Setting};
use crate::support::dice::Dice;
use crate::support::fake_okta::trouble::Bucket;
use crate::support::world::{changes, expected};

#[test]
fn throttled_and_broken_at_random_a_cycle_ends_right() {
    for seed in 0..3 {
        let s = Setting::with("rate_share = 100", FREE);
        s.okta.org(|o| {
            o.page = Some(3);
            o.ahead = 500;
            let people: Vec<String> = (0..20).map(|i| o.join(&format!("p{i}"))).collect();
            (0..6).for_each(|i| drop(o.group(&format!("Group {i}"), &[&people[i], &people[i + 7], &people[i + 13]])));
        });
        {
            let mut state = s.okta.state();
            state.trouble.fails = Some((5, Dice::new(seed)));
            state.trouble.bucket = Some(Bucket::new(25, 2));
        }
        s.sync(&[]);
        {
            let mut state = s.okta.state();
            assert_eq!(state.trouble.bucket.as_ref().unwrap().too_early, 0, "before the reset");
            assert_eq!(state.trouble.too_early, 0, "before Retry-After");
            assert!(state.asked.iter().any(|a| a.status >= 429), "there was trouble");
            state.trouble.fails = None;
        }
        s.expect_in_step(None);
        assert_eq!(changes(&s.sync(&["--full"])), expected(&[]), "and nothing is left to do");
    }
}

#[test]
fn complete_or_nothing_a_read_that_is_cut_off_removes_nobody() {
    let s = Setting::new();
    s.okta.org(|o| {
        o.page = Some(5);
        let people: Vec<String> = (0..12).map(|i| o.join(&format!("p{i}"))).collect();
        o.group("All", &people.iter().collect::<Vec<_>>());
    });
    s.sync(&[]);
    // 3 pages of users, 1 of groups, 3 of members: each may be the last that arrives.
    for good in [0, 2, 3, 5] {
        s.okta.state().trouble.cut_after = Some(good);
        let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
        assert_eq!(run.cycle()["result"], "failed", "after {good}");
    }
    s.okta.state().trouble.cut_after = None;
    s.expect_in_step(None);
    assert_eq!(changes(&s.sync(&["--full"])), expected(&[]));
}

#[test]
fn without_a_date_header_cycles_are_incremental_all_the_same() {
    let s = Setting::new();
    s.okta.state().trouble.no_date = true;
    let ada = s.okta.org(|o| o.join("ada"));
    s.okta.org(|o| o.group("All", &[&ada]));
    s.sync(&[]);
    s.okta.org(|o| o.set(&ada, "firstName", "Augusta"));
    let cycle = s.sync(&[]);
    assert_eq!((cycle["read"].as_str(), changes(&cycle)), (Some("incremental"), expected(&[("update", 1)])));
}
