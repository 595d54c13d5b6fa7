//! The System Log as a hint (`system_log = true`).

use super::{Asked, FREE, Setting};
use crate::support::fake_okta::org::Status;
use crate::support::fake_okta::trouble::{Bucket, GONE, PROXY};
use crate::support::world::{changes, expected};
use serde_json::{Value, json};
use std::time::Instant;

const ON: &str = "system_log = true";

/// What each incremental read asks for first: the lists, and the group that the overlap shows again.
const LISTS: [&str; 3] = ["users", "groups", "groups/*/users"];

/// Ada and Bob, one group of both and one of Ada alone; since then one change each of Zoe and of another group, which the
/// overlap of lists will show again and again.
struct Company {
    s: Setting,
    ada: String,
    bob: String,
    both: String,
    ones: String,
}

fn company(source: &str) -> Company {
    let s = Setting::with(source, FREE);
    let (ada, bob, zoe) = s.okta.org(|o| (o.join("ada"), o.join("bob"), o.join("zoe")));
    let (both, ones, last) = s.okta.org(|o| (o.group("Both", &[&ada, &bob]), o.group("Ones", &[&ada]), o.group("Last", &[&zoe])));
    s.sync(&[]);
    let company = Company { s, ada, bob, both, ones };
    company.later(3600);
    company.s.okta.org(|o| (o.set(&zoe, "firstName", "Zoë"), o.rename_group(&last, "Latest")));
    company.s.sync(&[]);
    company
}

impl Company {
    /// So many seconds later, by the organisation's clock.
    fn later(&self, seconds: i64) {
        self.s.okta.org(|o| o.ahead += seconds);
    }

    /// Nothing of this has a date that any list goes by.
    fn bob_and_a_group_are_deleted(&self) {
        self.s.okta.org(|o| {
            o.users.get_mut(&self.bob).unwrap().status = Status::Deprovisioned;
            o.delete(&self.bob);
            o.delete_group(&self.ones);
        });
    }

    /// An incremental cycle, which asks for the lists and for this.
    #[track_caller]
    fn sync(&self, besides: &[&str]) -> Value {
        self.s.okta.take_asked();
        let cycle = self.s.sync(&[]);
        assert_eq!(cycle["read"], "incremental");
        let asked: Vec<String> = self.s.okta.take_asked().iter().map(Asked::what).collect();
        assert_eq!(asked, [&LISTS, besides].concat());
        cycle
    }
}

#[track_caller]
fn unwarned(cycle: &Value) {
    assert!(!cycle["warnings"].to_string().contains("System Log"), "{}", cycle["warnings"]);
}

#[track_caller]
fn gone(cycle: &Value) {
    let counts = &cycle["counts"];
    assert_eq!((&counts["deactivate"], &counts["group_delete"]), (&json!(1), &json!(1)), "{cycle}");
}

#[test]
fn a_deleted_user_and_a_deleted_group_go_with_the_next_incremental_read() {
    let c = company(ON);
    c.bob_and_a_group_are_deleted();
    let cycle = c.sync(&["logs", "users/*", "groups/*", "groups"]);
    gone(&cycle);
    unwarned(&cycle);
    c.s.expect_in_step(None);
    c.later(3600);
    assert_eq!(
        changes(&c.sync(&["logs", "logs", "users/*", "groups/*", "groups"])),
        expected(&[]),
        "told twice, and gone before"
    );
    c.later(3600);
    assert_eq!(changes(&c.sync(&["logs"])), expected(&[]), "a quiet cycle has one request more");
}

#[test]
fn whoever_the_lists_name_is_not_asked_for_again() {
    let c = company(ON);
    c.s.okta.org(|o| {
        o.set(&c.ada, "firstName", "Augusta");
        o.remove(&c.both, &c.bob);
    });
    let cycle = c.sync(&["groups/*/users", "logs"]);
    assert_eq!(changes(&cycle), expected(&[("update", 1), ("members_remove", 1)]));
    c.s.expect_in_step(None);
}

#[test]
fn lists_that_lag_are_made_up_for() {
    let c = company(ON);
    c.s.okta.org(|o| {
        let eve = o.join("eve");
        o.status(&c.ada, Status::Suspended);
        o.add(&c.ones, &c.bob);
        o.remove(&c.both, &c.bob);
        o.lagging.extend([eve, c.ada.clone(), c.ones.clone(), c.both.clone()]);
    });
    let by_id = ["users/*", "users/*", "groups/*", "groups/*/users", "groups/*", "groups/*/users"];
    let cycle = c.sync(&[&["logs"][..], &by_id].concat());
    assert_eq!(changes(&cycle), expected(&[("create", 1), ("deactivate", 1), ("members_add", 1), ("members_remove", 1)]));
    c.s.expect_in_step(None);
    // What was asked for by id says nothing about lists: they start where they did, and catch up.
    c.s.okta.org(|o| o.lagging.clear());
    c.later(3600);
    assert_eq!(changes(&c.s.sync(&[])), expected(&[]));
    assert!(c.s.okta.take_asked().iter().any(|a| a.what() == "users" && a.answer.contains("eve")));
}

#[test]
fn an_event_that_is_stored_late_is_found_when_it_is_there() {
    let c = company(ON);
    c.s.okta.org(|o| o.log.lag = 1200);
    c.bob_and_a_group_are_deleted();
    assert_eq!(changes(&c.sync(&["logs"])), expected(&[]));
    c.later(1000);
    assert_eq!(changes(&c.sync(&["logs", "logs"])), expected(&[]));
    c.later(300);
    // Published long before the position, and stored after it.
    gone(&c.sync(&["logs", "logs", "users/*", "groups/*", "groups"]));
}

#[test]
fn without_the_key_nobody_asks_for_the_log() {
    let c = company("");
    c.bob_and_a_group_are_deleted();
    assert_eq!(changes(&c.sync(&[])), expected(&[]));
    // Switched on, the log counts from a full read on.
    c.s.configure(ON, FREE);
    let cycle = c.s.sync(&[]);
    assert_eq!(cycle["read"], "full");
    gone(&cycle);
    assert!(c.s.okta.take_asked().iter().all(|a| a.what() != "logs"), "everybody was listed");
    c.later(3600);
    assert_eq!(c.s.sync(&[])["read"], "incremental");
    assert!(c.s.okta.take_asked().iter().any(|a| a.what() == "logs"));
    // And off again, what was read holds.
    c.s.configure("", FREE);
    c.later(3600);
    c.sync(&[]);
}

#[test]
fn a_log_that_may_not_be_read_costs_a_warning_and_nothing_is_lost() {
    let c = company(ON);
    c.s.okta.state().trouble.forbidden = Some("logs");
    c.bob_and_a_group_are_deleted();
    for _ in 0..3 {
        c.s.okta.org(|o| o.set(&c.ada, "department", "Ops"));
        let cycle = c.sync(&["logs"]);
        assert_eq!(cycle["result"], "ok");
        let warnings = cycle["warnings"].to_string();
        for words in ["the System Log", "E0000006", "Read-Only Administrator", "next full read"] {
            assert!(warnings.contains(words), "{words}: {warnings}");
        }
        assert!(c.s.is_active(&c.bob));
        c.later(86_400);
    }
    c.s.okta.state().trouble.forbidden = None;
    let cycle = c.s.sync(&[]);
    assert_eq!(cycle["read"], "incremental");
    gone(&cycle);
    unwarned(&cycle);
    c.s.expect_in_step(None);
}

#[test]
fn a_group_that_an_import_deletes_goes_too() {
    let c = company(ON);
    c.s.okta.org(|o| o.delete_imported_group(&c.ones));
    let cycle = c.sync(&["logs", "groups/*", "groups"]);
    assert_eq!(changes(&cycle), expected(&[("group_delete", 1)]));
    unwarned(&cycle);
}

#[test]
fn one_object_that_cannot_be_had_does_not_stop_the_log() {
    for (forbidden, faceless) in [(Some("groups/*/users"), false), (None, true)] {
        let c = company(ON);
        c.s.okta.org(|o| {
            if faceless {
                o.status(&c.ada, Status::Suspended);
                o.faceless.insert(c.ada.clone());
            } else {
                o.remove(&c.both, &c.ada);
            }
            o.lagging.extend([c.ada.clone(), c.both.clone()]);
            // Else the overlap shows a group whose members are asked for.
            o.groups.values_mut().for_each(|g| (g.updated, g.membership_updated) = (1, 1));
            o.users.get_mut(&c.bob).unwrap().status = Status::Deprovisioned;
            o.delete(&c.bob);
        });
        c.s.okta.state().trouble.forbidden = forbidden;
        let cycle = c.s.sync(&[]);
        assert_eq!((&cycle["read"], &cycle["counts"]["deactivate"]), (&json!("incremental"), &json!(1)), "{cycle}");
        let warnings = cycle["warnings"].to_string();
        // The group that was renamed is in the log as well.
        let many = if faceless { 1 } else { 2 };
        assert!(warnings.contains(&format!("{many} users or groups that the System Log names")), "{warnings}");
        assert!(warnings.contains(if faceless { &c.ada } else { &c.both }), "who: {warnings}");
        // Told twice, because of the overlap; behind it the log goes on.
        c.later(3600);
        c.s.sync(&[]);
        c.later(3600);
        unwarned(&c.s.sync(&[]));
        c.s.okta.state().trouble.forbidden = None;
        c.s.okta.org(|o| o.faceless.clear());
        c.s.sync(&["--full"]);
        c.s.expect_in_step(None);
    }
}

#[test]
fn what_is_not_oktas_own_word_removes_nobody() {
    let c = company(ON);
    c.bob_and_a_group_are_deleted();
    c.s.okta.state().trouble.astray = Some(("users/", PROXY));
    let cycle = c.s.sync(&[]);
    assert_eq!(changes(&cycle), expected(&[("group_delete", 1)]), "a proxy's 404 is no deletion");
    assert!(cycle["warnings"].to_string().contains("1 users or groups that the System Log names"), "{}", cycle["warnings"]);
    assert!(c.s.is_active(&c.bob));
    c.s.okta.state().trouble.astray = None;
    assert_eq!(c.s.sync(&["--full"])["counts"]["deactivate"], 1);
    // Nobody's business where nobody knows them: an administrator of some groups sees all of the log.
    c.later(3600);
    c.s.sync(&[]);
    let eve = c.s.okta.org(|o| o.join("eve"));
    assert!(c.s.okta.org(|o| o.lagging.insert(eve)));
    c.s.okta.state().trouble.forbidden = Some("users/");
    unwarned(&c.s.sync(&[]));
}

/// Whoever may not see somebody is told that there is nobody; the lists show them all the same.
#[test]
fn complete_or_nothing_a_404_counts_where_the_log_tells_of_the_deletion() {
    for (hidden, deletion) in [("users/*", false), ("groups/*", false), ("groups/*", true)] {
        let c = company(ON);
        c.s.okta.org(|o| {
            o.set(&c.ada, "department", "Ops");
            o.add(&c.ones, &c.bob);
            if deletion {
                let at = o.moment();
                o.log.note("group.lifecycle.delete", at, vec![("UserGroup", c.both.clone())]);
            } else {
                o.lagging.extend([c.ada.clone(), c.ones.clone()]);
            }
        });
        c.s.okta.state().trouble.astray = Some((hidden, GONE));
        let cycle = c.s.sync(&[]);
        assert_eq!(cycle["read"], "incremental");
        assert_eq!(
            (&cycle["counts"]["deactivate"], &cycle["counts"]["group_delete"]),
            (&json!(0), &json!(0)),
            "{hidden}: {cycle}"
        );
        let warnings = cycle["warnings"].to_string();
        let why = if deletion { "the list shows it" } else { "tells of no deletion" };
        assert!(warnings.contains(why) && warnings.contains("Read-Only Administrator"), "{hidden}: {warnings}");
        assert!(c.s.is_active(&c.ada));
    }
}

/// Who is deleted, and could not be asked for once, is asked for again by the next read, however late it comes.
#[test]
fn a_deletion_that_was_refused_once_is_not_forgotten() {
    let c = company(ON);
    c.s.okta.org(|o| {
        o.users.get_mut(&c.bob).unwrap().status = Status::Deprovisioned;
        o.delete(&c.bob);
    });
    c.s.okta.state().trouble.forbidden = Some("users/*");
    for _ in 0..2 {
        let cycle = c.s.sync(&[]);
        assert_eq!(cycle["read"], "incremental");
        let warnings = cycle["warnings"].to_string();
        assert!(warnings.contains("the next read asks for them again"), "{warnings}");
        assert!(c.s.is_active(&c.bob));
        c.later(86_400);
    }
    // Nor where the log itself is of no use for once.
    c.s.okta.state().trouble.forbidden = Some("logs");
    c.s.sync(&[]);
    c.later(86_400);
    c.s.okta.state().trouble.forbidden = None;
    let cycle = c.s.sync(&[]);
    assert_eq!((&cycle["read"], &cycle["counts"]["deactivate"]), (&json!("incremental"), &json!(1)), "{cycle}");
    unwarned(&cycle);
    c.s.okta.take_asked();
    c.later(3600);
    c.s.sync(&[]);
    assert!(c.s.okta.take_asked().iter().all(|a| a.what() != "users/*"), "once is enough");
}

#[test]
fn okta_pitfall_11_the_next_link_that_never_ends_ends() {
    let c = company(ON);
    // Events of hours, some on each page, none of the last minutes.
    for n in 0..6 {
        c.s.okta.org(|o| o.set(&c.ada, "department", format!("Ops {n}")));
        c.later(3600);
    }
    c.bob_and_a_group_are_deleted();
    c.later(3600);
    c.s.okta.org(|o| o.log.page = Some(2));
    c.s.okta.take_asked();
    let cycle = c.s.sync(&[]);
    gone(&cycle);
    unwarned(&cycle);
    let asked = c.s.okta.take_asked();
    let pages: Vec<&Asked> = asked.iter().filter(|a| a.what() == "logs").collect();
    assert_eq!(pages.len(), 6, "ten events, and an empty page");
    assert!(pages[0].param("since").is_some() && pages[1..].iter().all(|p| p.param("after").is_some()));
    assert!(pages.iter().all(|p| p.param("until").is_none() && p.param("sortOrder") == Some("ASCENDING")));
    // Links that name the page itself bring nothing new.
    c.s.okta.state().trouble.circle = true;
    c.s.okta.org(|o| o.set(&c.ada, "department", "Sales"));
    c.later(3600);
    unwarned(&c.s.sync(&[]));
    assert_eq!(c.s.okta.take_asked().iter().filter(|a| a.what() == "logs").count(), 2);
}

#[test]
fn a_log_that_goes_round_in_circles_or_says_too_little_is_no_log() {
    let c = company(ON);
    c.s.okta.org(|o| (0..1000).for_each(|n| o.set(&c.ada, "department", format!("Ops {n}"))));
    c.bob_and_a_group_are_deleted();
    c.s.okta.state().trouble.circle = true;
    let cycle = c.s.sync(&[]);
    assert!(cycle["warnings"].to_string().contains("circles"), "{}", cycle["warnings"]);
    c.s.okta.state().trouble.circle = false;
    c.s.okta.state().trouble.links_lost = Some(("logs", None));
    let cycle = c.s.sync(&[]);
    assert!(cycle["warnings"].to_string().contains("Link header"), "{}", cycle["warnings"]);
    assert!(c.s.is_active(&c.bob));
    c.s.okta.state().trouble.links_lost = None;
    gone(&c.s.sync(&[]));
}

#[test]
fn a_position_that_is_older_than_the_log_means_a_full_read() {
    let c = company(ON);
    c.bob_and_a_group_are_deleted();
    c.later(90 * 86_400);
    c.s.okta.take_asked();
    let cycle = c.s.sync(&[]);
    assert_eq!(cycle["read"], "full");
    gone(&cycle);
    assert!(c.s.okta.take_asked().iter().all(|a| a.what() != "logs"), "of what it does not keep nobody asks");
    c.later(3600);
    assert_eq!(c.s.sync(&[])["read"], "incremental", "from there on again");
}

#[test]
fn a_position_that_okta_refuses_means_a_full_read_once() {
    let c = company(ON);
    c.bob_and_a_group_are_deleted();
    c.later(10 * 86_400);
    c.s.okta.state().trouble.log_reaches = Some(5 * 86_400_000);
    let cycle = c.s.sync(&[]);
    assert_eq!(cycle["read"], "full");
    gone(&cycle);
    // Refused for something else than its age: reading in full would not help.
    c.s.okta.state().trouble.log_reaches = Some(0);
    let cycle = c.s.sync(&[]);
    assert_eq!(cycle["read"], "incremental");
    assert!(cycle["warnings"].to_string().contains("HTTP 400"), "{}", cycle["warnings"]);
}

#[test]
fn so_many_that_asking_for_each_takes_longer_mean_a_full_read() {
    let nobody = format!("{FREE}[sync.scope]\nusers = 'department eq \"Nobody\"'\n");
    let s = Setting::with(ON, &nobody);
    let people: Vec<String> = s.okta.org(|o| (0..1001).map(|i| o.join(&format!("p{i}"))).collect());
    s.sync(&[]);
    s.okta.org(|o| o.lagging.extend(people));
    s.okta.take_asked();
    assert_eq!(s.sync(&[])["read"], "full");
    let asked = s.okta.take_asked();
    assert!(asked.iter().filter(|a| a.what() == "logs").count() < 5 && asked.iter().all(|a| a.what() != "users/*"));
}

#[test]
fn a_throttled_log_is_waited_for_a_little() {
    let c = company(&format!("{ON}\nrate_share = 100"));
    c.bob_and_a_group_are_deleted();
    let full = |limit: u64, seconds: i64| {
        let reset = c.s.okta.org(|o| o.clock()) + seconds;
        c.s.okta.state().trouble.log_bucket = Some(Bucket { used: limit, reset, ..Bucket::new(limit, 2) });
    };
    // Longer than a hint is worth: the cycle goes on at once, and nothing is lost.
    full(20, 300);
    let began = Instant::now();
    let cycle = c.sync(&["logs"]);
    assert!(began.elapsed().as_secs() < 60, "nobody waits for minutes");
    assert!(cycle["warnings"].to_string().contains("E0000047"), "{}", cycle["warnings"]);
    full(20, 2);
    let cycle = c.sync(&["logs", "logs", "users/*", "groups/*", "groups"]);
    gone(&cycle);
    unwarned(&cycle);
    assert_eq!(c.s.okta.state().trouble.log_bucket.as_ref().unwrap().too_early, 0, "nobody came before the reset");
}

#[test]
fn beside_assigned_to_it_is_a_mistake_that_is_warned_of() {
    let s = Setting::new();
    let app = s.okta.org(|o| {
        let ada = o.join("ada");
        let app = o.app();
        o.apps.get_mut(&app).unwrap().users.insert(ada, json!({}));
        app
    });
    s.configure(&format!("assigned_to = \"{app}\"\n{ON}"), FREE);
    let document = s.world.run(&["check", "--online", "--json"]).expect(0).json();
    let warned = document["warnings"].as_array().unwrap().iter().find(|w| w["key"] == "source.dir.system_log").unwrap().clone();
    assert!(warned["message"].as_str().unwrap().contains("no effect beside assigned_to"), "{warned}");
    s.sync(&[]);
    s.sync(&[]);
    assert!(s.okta.take_asked().iter().all(|a| a.what() != "logs"));
}

#[test]
fn check_online_says_whether_the_log_can_be_read() {
    let c = company(ON);
    let source = || {
        let document = c.s.world.run(&["check", "--online", "--json"]).expect(0).json();
        document["online"].as_array().unwrap().iter().find(|p| p["kind"] == "source").unwrap().clone()
    };
    assert_eq!(source()["facts"]["system_log"], "can be read");
    c.s.okta.state().trouble.forbidden = Some("logs");
    let found = source();
    assert_eq!((&found["ok"], &found["facts"]["system_log"]), (&json!(true), &json!("cannot be read")));
    assert!(found["facts"]["warning"].as_str().unwrap().contains("may not read the System Log"), "{found}");
    c.s.configure("", FREE);
    assert!(source()["facts"].get("system_log").is_none());
}

#[test]
fn without_a_date_header_the_log_is_asked_all_the_same() {
    let s = Setting::new();
    s.okta.state().trouble.no_date = true;
    s.configure(ON, FREE);
    let (ada, bob) = s.okta.org(|o| (o.join("ada"), o.join("bob")));
    s.okta.org(|o| o.group("All", &[&ada, &bob]));
    s.sync(&[]);
    s.okta.org(|o| {
        o.users.get_mut(&bob).unwrap().status = Status::Deprovisioned;
        o.delete(&bob);
    });
    let cycle = s.sync(&[]);
    assert_eq!((&cycle["read"], &cycle["counts"]["deactivate"]), (&json!("incremental"), &json!(1)));
}
