//! A large organisation is streamed, and read by the fewest requests that the API allows.

use super::Setting;
use crate::support::measure::{Usage, too_slow};
use serde_json::Value;

/// Resident memory that the program may take.
const MAX_MIB: f64 = 64.0;

fn organisation(people: usize, groups: usize, each: usize) -> Setting {
    let s = Setting::new();
    s.okta.org(|o| {
        let people: Vec<String> = (0..people).map(|i| o.join(&format!("p{i:06}"))).collect();
        for i in 0..groups {
            let members = (0..each).map(|n| &people[(i * each + n) % people.len()]);
            o.group(&format!("Group {i}"), &members.collect::<Vec<_>>());
        }
    });
    s
}

#[track_caller]
fn modest(s: &Setting, arguments: &[&str], requests: usize, most_mib: f64) -> Value {
    s.okta.take_asked();
    let (usage, out, err) = Usage::and_output(&mut s.world.command(arguments));
    assert!(usage.status.success(), "{}\n{err}", out.chars().take(2000).collect::<String>());
    let asked = s.okta.take_asked().len();
    println!("{}: {:.1} s, {:.1} MiB, {asked} requests", arguments[0], usage.wall.as_secs_f64(), usage.peak_mib());
    assert_eq!(asked, requests);
    assert!(usage.peak_mib() <= most_mib, "{:.0} MiB", usage.peak_mib());
    serde_json::from_str(&out).unwrap()
}

#[test]
fn ten_thousand_people_fit_into_64_mib() {
    let s = organisation(10_000, 100, 100);
    // 10,000 / 200 pages of users, one of groups, one of members for each group.
    modest(&s, &["plan", "--json"], 50 + 1 + 100, MAX_MIB);
}

/// Only in release builds.
#[test]
fn scale_a_hundred_thousand_people_of_an_organisation_in_64_mib() {
    if too_slow() {
        return;
    }
    let s = organisation(100_000, 1000, 150);
    let first = 100_000 / 200 + 1000 / 200 + 1000;
    println!("100000/200 + 1000/200 + 1000 = {first} requests");
    let cycle = modest(&s, &["sync", "--json"], first, MAX_MIB);
    assert_eq!(cycle["cycles"][0]["counts"]["create"], 100_000);
    assert_eq!(s.accounts().len(), 100_000);
    // Everything is as new as the last change: the overlap shows all of it, as after an import.
    let again = modest(&s, &["sync", "--json"], first, MAX_MIB);
    assert_eq!(again["cycles"][0]["counts"]["update"], 0);
}
