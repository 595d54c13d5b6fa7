//! A large organisation is streamed, and read by the fewest requests that the API allows.

use super::Setting;
use crate::support::measure::Usage;

#[test]
fn thirty_thousand_people_fit_into_64_mib() {
    let s = Setting::new();
    s.okta.org(|o| {
        let people: Vec<String> = (0..30_000).map(|i| o.join(&format!("p{i:05}"))).collect();
        for i in 0..300 {
            o.group(&format!("Group {i}"), &people[i * 100..(i + 1) * 100].iter().collect::<Vec<_>>());
        }
    });
    let (usage, out, err) = Usage::and_output(&mut s.world.command(&["plan", "--json", "--out", "plan.json"]));
    assert!(usage.status.success(), "{out}\n{err}");
    let asked = s.okta.take_asked();
    // 30,000 / 200 pages of users, 300 / 200 pages of groups, one page of members for each group.
    println!("{} requests = 150 + 2 + 300; peak {:.0} MiB", asked.len(), usage.peak_mib());
    assert_eq!(asked.len(), 150 + 2 + 300);
    assert!(usage.peak_mib() < 64.0, "{:.0} MiB", usage.peak_mib());
}
