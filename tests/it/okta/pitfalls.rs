//! What naive clients of Okta fall for, one test each.

use super::{FREE, Setting, TOKEN};
use crate::support::fake_okta::org::Status;
use crate::support::fake_okta::trouble::{Bucket, Links};
use crate::support::world::{changes, expected};
use std::time::Instant;

#[test]
fn okta_pitfall_1_the_plain_list_leaves_out_who_is_deprovisioned() {
    let s = Setting::new();
    let (ada, _) = s.okta.org(|o| (o.join("ada"), o.join("bob")));
    s.sync(&[]);
    s.okta.org(|o| o.status(&ada, Status::Deprovisioned));
    let plan = s.world.run(&["plan", "--full", "--json"]).expect(0).plan();
    let reason = plan["changes"][0]["reason"].as_str().unwrap().to_lowercase();
    assert!(reason.contains("disabled"), "deprovisioned, not absent: {reason}");
    // And long before anybody looks: the incremental read sees it too.
    assert_eq!(changes(&s.sync(&[])), expected(&[("deactivate", 1)]));
}

#[test]
fn okta_pitfall_2_the_search_index_lags_and_is_not_asked() {
    let s = Setting::new();
    s.okta.org(|o| (o.join("ada"), o.group("All", &[])));
    s.sync(&[]);
    s.sync(&[]);
    for asked in s.okta.take_asked() {
        assert!(asked.param("search").is_none() && asked.param("q").is_none(), "{asked:?}");
    }
}

#[test]
fn okta_pitfall_3_the_clock_here_says_nothing_about_changes_there() {
    for ahead in [-7200, 7200] {
        let s = Setting::new();
        s.okta.org(|o| o.ahead = ahead);
        let ada = s.okta.org(|o| o.join("ada"));
        s.sync(&[]);
        s.okta.org(|o| o.set(&ada, "firstName", "Augusta"));
        let cycle = s.sync(&[]);
        assert_eq!(cycle["read"], "incremental");
        assert_eq!(changes(&cycle), expected(&[("update", 1)]), "{ahead} s ahead");
    }
}

#[test]
fn okta_pitfall_4_whoever_mistypes_the_password_keeps_the_account() {
    let s = Setting::new();
    let ada = s.okta.org(|o| o.join("ada"));
    s.sync(&[]);
    for status in [Status::LockedOut, Status::PasswordExpired, Status::Recovery, Status::Provisioned] {
        s.okta.org(|o| o.status(&ada, status));
        assert_eq!(changes(&s.sync(&[])), expected(&[]), "{status:?}");
    }
}

#[test]
fn okta_pitfall_5_app_groups_come_by_twenty_at_least() {
    let s = Setting::new();
    let app = s.okta.org(|o| o.app());
    s.configure(&format!("assigned_to = \"{app}\""), FREE);
    s.world.run(&["check", "--online", "--json"]).expect(0);
    s.sync(&[]);
    let asked = s.okta.take_asked();
    let limits: Vec<&str> = asked.iter().filter(|a| a.what() == "apps/*/groups").filter_map(|a| a.param("limit")).collect();
    assert!(limits.len() >= 2 && limits.iter().all(|l| (20..=200).contains(&l.parse::<u32>().unwrap())), "{limits:?}");
}

#[test]
fn okta_pitfalls_6_and_7_no_retry_after_and_a_reset_by_the_servers_clock() {
    for ahead in [-3600, 3600] {
        let s = Setting::with("rate_share = 100", FREE);
        let ada = s.okta.org(|o| o.join("ada"));
        s.okta.org(|o| {
            o.ahead = ahead;
            (0..6).for_each(|i| drop(o.group(&format!("Group {i}"), &[&ada])));
        });
        // Others use it up, so that refusals come.
        s.okta.state().trouble.bucket =
            Some(Bucket { used: 2, reset: jiff::Timestamp::now().as_second() + ahead + 2, ..Bucket::new(3, 2) });
        let began = Instant::now();
        s.sync(&[]);
        assert!(began.elapsed().as_secs() < 60, "by the clock here it would be an hour");
        let state = s.okta.state();
        assert_eq!(state.trouble.bucket.as_ref().unwrap().too_early, 0, "nobody came before the reset");
        assert!(!state.asked.iter().any(|a| a.headers.contains_key("retry-after")));
        drop(state);
        s.expect_in_step(None);
    }
}

#[test]
fn okta_pitfall_10_the_next_link_is_one_of_several_headers() {
    for links in [Links::Several, Links::NextFirst, Links::Folded] {
        let s = Setting::new();
        s.okta.state().trouble.links = links;
        s.okta.org(|o| {
            (0..7).for_each(|i| drop(o.join(&format!("p{i}"))));
            o.page = Some(2);
        });
        assert_eq!(changes(&s.sync(&[])), expected(&[("create", 7)]), "{links:?}");
    }
}

#[test]
fn a_list_of_nobody_need_not_say_that_it_is_whole() {
    let s = Setting::new();
    s.okta.org(|o| {
        let ada = o.join("ada");
        o.group("A", &[&ada]);
        o.group("B", &[]);
        o.group("C", &[&ada]);
    });
    s.okta.state().trouble.links_lost_of_none = true;
    let cycle = s.sync(&[]);
    assert_eq!(changes(&cycle), expected(&[("create", 1), ("group_create", 3), ("members_add", 2)]), "{cycle}");
}

#[test]
fn okta_pitfall_11_pages_that_go_round_in_circles_end() {
    let s = Setting::new();
    s.okta.org(|o| {
        (0..3).for_each(|i| drop(o.join(&format!("p{i}"))));
        o.page = Some(2);
    });
    s.okta.state().trouble.circle = true;
    let run = s.world.run(&["sync", "--json"]).expect(4);
    assert!(run.stdout.contains("circles"), "{}", run.stdout);
    assert!(s.okta.take_asked().len() < 5);
}

#[test]
fn okta_pitfall_12_half_of_the_bucket_is_left_to_others() {
    let s = Setting::new();
    let ada = s.okta.org(|o| o.join("ada"));
    s.okta.org(|o| (0..9).for_each(|i| drop(o.group(&format!("Group {i}"), &[&ada]))));
    s.okta.state().trouble.bucket = Some(Bucket::new(10, 2));
    s.sync(&[]);
    let state = s.okta.state();
    let bucket = state.trouble.bucket.as_ref().unwrap();
    assert_eq!((bucket.least, bucket.too_early), (5, 0), "never below half, so never refused");
    assert!(state.asked.iter().all(|a| a.status == 200));
}

#[test]
fn okta_pitfall_12_of_each_bucket_half_is_left_also_where_lists_take_turns() {
    let s = Setting::new();
    let ada = s.okta.org(|o| o.join("ada"));
    s.okta.org(|o| {
        (0..14).for_each(|i| drop(o.group(&format!("Group {i}"), &[&ada])));
        // A page of groups, the members of one group, a page of groups, ..
        o.page = Some(1);
    });
    s.okta.state().trouble.bucket_per_kind = Some(Bucket::new(10, 2));
    s.sync(&[]);
    let state = s.okta.state();
    for (kind, bucket) in &state.trouble.buckets {
        assert!(bucket.least >= bucket.limit / 2, "{kind}: {bucket:?}");
    }
    assert!(state.trouble.buckets.len() >= 3 && state.asked.iter().all(|a| a.status == 200));
}

#[test]
fn okta_pitfall_13_a_token_that_died_removes_nobody() {
    let s = Setting::new();
    let ada = s.okta.org(|o| o.join("ada"));
    s.sync(&[]);
    s.okta.state().sign_in.token = None;
    let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
    for word in ["E0000011", "30 days", "Security > API > Tokens"] {
        assert!(run.stdout.contains(word), "{word}: {}", run.stdout);
    }
    assert!(!run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN));
    assert!(s.is_active(&ada));
    // Another token in the file is found without a restart of anything.
    s.okta.state().sign_in.token = Some("00another".to_owned());
    s.world.write_secret("okta-token", "00another");
    s.sync(&[]);
}

#[test]
fn a_next_link_to_a_foreign_host_gets_no_token() {
    let s = Setting::new();
    let ada = s.okta.org(|o| o.join("ada"));
    s.sync(&[]);
    let thief = crate::support::fake_okta::FakeOkta::start("whatever");
    s.okta.org(|o| {
        o.join("bob");
        o.page = Some(1);
    });
    s.okta.state().trouble.foreign = Some(thief.url.clone());
    let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
    assert!(run.stdout.contains("127.0.0.1") && run.stdout.contains("`url`"), "{}", run.stdout);
    assert!(thief.take_asked().is_empty(), "not even a connection");
    assert!(s.is_active(&ada));
}

#[test]
fn complete_or_nothing_a_full_page_without_links_is_not_the_end() {
    let s = Setting::new();
    s.okta.org(|o| {
        let people: Vec<String> = (0..205).map(|i| o.join(&format!("p{i}"))).collect();
        o.group("All", &people.iter().collect::<Vec<_>>());
    });
    s.sync(&[]);
    for what in ["users", "groups/*/users"] {
        for left in [None, Some("</style.css>; rel=preload"), Some("<https://acme.okta.com/api/v1/users?after")] {
            s.okta.state().trouble.links_lost = Some((what, left));
            let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
            assert!(run.stdout.contains("Link header") && run.stdout.contains("proxy"), "{what} {left:?}: {}", run.stdout);
        }
    }
    s.okta.state().trouble.links_lost = None;
    assert_eq!(changes(&s.sync(&["--full"])), expected(&[]), "nobody is gone");
    // Exactly as many as a page holds, and it says that it was the last.
    let s = Setting::new();
    s.okta.org(|o| (0..200).for_each(|i| drop(o.join(&format!("p{i}")))));
    assert_eq!(changes(&s.sync(&[])), expected(&[("create", 200)]));
}

#[test]
fn a_short_page_need_not_say_that_it_is_the_last() {
    let s = Setting::new();
    s.okta.org(|o| (0..3).for_each(|i| drop(o.join(&format!("p{i}")))));
    s.okta.state().trouble.links_lost = Some(("users", None));
    assert_eq!(changes(&s.sync(&[])), expected(&[("create", 3)]));
}

#[test]
fn complete_or_nothing_a_short_page_must_say_that_it_is_the_last_where_others_of_its_list_did() {
    let s = Setting::new();
    s.okta.org(|o| {
        let people: Vec<String> = (0..7).map(|i| o.join(&format!("p{i}"))).collect();
        o.group("All", &people.iter().collect::<Vec<_>>());
    });
    s.sync(&[]);
    // Fewer rows than were asked for, as Okta may give them.
    s.okta.org(|o| o.page = Some(3));
    for what in ["users", "groups/*/users"] {
        let mut state = s.okta.state();
        (state.trouble.links_lost, state.trouble.links_lost_late) = (Some((what, None)), true);
        drop(state);
        let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
        assert!(run.stdout.contains("Link header") && run.stdout.contains("proxy"), "{what}: {}", run.stdout);
    }
    s.okta.state().trouble.links_lost = None;
    assert_eq!(changes(&s.sync(&["--full"])), expected(&[]), "nobody is gone");
}

#[test]
fn okta_pitfall_11_pages_without_news_under_ever_new_cursors_end() {
    let s = Setting::new();
    s.okta.org(|o| (0..6).for_each(|i| drop(o.join(&format!("p{i}")))));
    s.sync(&[]);
    // Behind everybody: empty pages. Before everybody: the same six for ever.
    for place in ["z", "0"] {
        s.okta.take_asked();
        s.okta.state().trouble.endless = Some(place);
        let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
        assert!(run.stdout.contains("nothing new"), "{place}: {}", run.stdout);
        assert!(s.okta.take_asked().len() < 100);
    }
    s.okta.state().trouble.endless = None;
    assert_eq!(changes(&s.sync(&["--full"])), expected(&[]));
}
