//! Throttled, cut off and refused at random: the cycle ends right, or removes nobody.

use super::{FREE, Setting};
use crate::support::dice::Dice;
use crate::support::fake_okta::trouble::{Bucket, GONE, PROXY};
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
fn complete_or_nothing_a_404_that_is_not_oktas_own_word_takes_nobody_away() {
    let s = Setting::new();
    let app = s.okta.org(|o| {
        let (ada, bob) = (o.join("ada"), o.join("bob"));
        let group = o.group("All", &[&ada, &bob]);
        o.group("Other", &[&ada]);
        let app = o.app();
        let a = o.apps.get_mut(&app).unwrap();
        a.embeds_nothing = true;
        a.users.insert(ada, serde_json::json!({}));
        a.groups.insert(group);
        app
    });
    for (source, lists) in [
        (String::new(), &["groups/*/users"][..]),
        (format!("assigned_to = \"{app}\""), &["users/*", "groups/*", "groups/*/users"]),
    ] {
        s.configure(&source, FREE);
        s.sync(&[]);
        for list in lists {
            for body in [PROXY, "{}", "", r#"{"errorCode":"E0000022","errorSummary":"no such endpoint"}"#] {
                s.okta.state().trouble.astray = Some((list, body));
                let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
                assert!(run.stdout.contains("E0000007") && run.stdout.contains("proxy"), "{list} {body}: {}", run.stdout);
                // Nothing is lost either: what changed is asked for again.
                s.world.run(&["sync", "--json"]).expect(4);
            }
        }
        s.okta.state().trouble.astray = None;
        assert_eq!(changes(&s.sync(&["--full"])), expected(&[]), "nobody is gone");
    }
}

/// Whoever may not see an object is told the same as of one that is deleted.
#[test]
fn complete_or_nothing_what_a_list_still_shows_is_not_gone() {
    let s = Setting::new();
    let (app, group) = s.okta.org(|o| {
        let (ada, bob) = (o.join("ada"), o.join("bob"));
        let group = o.group("All", &[&ada, &bob]);
        let app = o.app();
        let a = o.apps.get_mut(&app).unwrap();
        a.embeds_nothing = true;
        a.users.insert(ada, serde_json::json!({}));
        a.groups.insert(group.clone());
        (app, group)
    });
    for (source, lists) in [
        (String::new(), &["groups/*/users"][..]),
        (format!("assigned_to = \"{app}\""), &["users/*", "groups/*", "groups/*/users"]),
    ] {
        s.configure(&source, FREE);
        s.sync(&[]);
        for list in lists {
            s.okta.state().trouble.astray = Some((list, GONE));
            let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
            assert!(run.stdout.contains("E0000007") && run.stdout.contains("administrator role"), "{list}: {}", run.stdout);
        }
        s.okta.state().trouble.astray = None;
        assert_eq!(changes(&s.sync(&["--full"])), expected(&[]), "nobody is gone");
    }
    assert!(s.okta.org(|o| o.groups.contains_key(&group)));
}

#[test]
fn whoever_asks_for_a_longer_wait_than_a_read_takes_is_not_asked_again() {
    for (status, seconds) in [(503, 3600), (500, 601)] {
        let s = Setting::new();
        s.okta.org(|o| o.join("ada"));
        s.okta.state().trouble.ailing = Some((status, seconds));
        let began = std::time::Instant::now();
        let run = s.world.run(&["sync", "--json"]).expect(4);
        assert!(run.stdout.contains("Retry-After") && run.stdout.contains(&status.to_string()), "{}", run.stdout);
        assert!(began.elapsed().as_secs() < 60 && s.okta.take_asked().len() == 1);
    }
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
