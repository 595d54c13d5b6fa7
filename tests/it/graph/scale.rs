//! A hundred thousand people in five thousand groups: memory stays flat, and the requests are the fewest. Only in release
//! builds (`cargo test --release --test it scale_`).

use super::Setup;
use crate::support::fake_graph::tenant::{Tenant, group_id, user_id};
use crate::support::measure::{Usage, too_slow};
use crate::support::world::{changes, expected};
use serde_json::Value;

/// Resident memory that the program may take.
const MAX_MIB: f64 = 64.0;

const PEOPLE: usize = 100_000;
const GROUPS: usize = 5_000;
/// Objects on a page of a change feed: the service chooses.
const DELTA_PAGE: usize = 200;

#[track_caller]
fn modest(s: &Setup, arguments: &[&str], most_mib: f64) -> Value {
    s.fake.clear();
    let (usage, out, err) = Usage::and_output(&mut s.world.command(arguments));
    println!("{}: {:.1} s, {:.1} MiB, {} requests", arguments[0], usage.wall.as_secs_f64(), usage.peak_mib(), s.paths().len());
    assert!(usage.status.success(), "{arguments:?}: {}\n{err}{}", usage.status, out.chars().take(2000).collect::<String>());
    assert!(usage.peak_mib() <= most_mib, "{arguments:?}: {:.1} MiB resident, at most {most_mib}", usage.peak_mib());
    serde_json::from_str(&out).unwrap()
}

#[test]
fn scale_a_hundred_thousand_people_of_a_tenant_in_64_mib() {
    if too_slow() {
        return;
    }
    let mut tenant = Tenant::populated(PEOPLE, GROUPS);
    for n in 0..PEOPLE {
        tenant.join(&group_id(n * 7 % GROUPS), &user_id(n));
        tenant.join(&group_id(n % 50), &user_id(n));
    }
    tenant.delta_page = DELTA_PAGE;
    let memberships: u64 = tenant.groups.values().map(|g| g.members.len() as u64).sum();
    let s = Setup::new(tenant, "", "");
    let plan = modest(&s, &["plan", "--json"], MAX_MIB);
    let counts = expected(&[("create", PEOPLE as u64), ("group_create", GROUPS as u64), ("members_add", memberships)]);
    assert_eq!(changes(&plan["plans"][0]), counts);
    drop(plan);
    // The link of people, people by the largest pages there are, groups by the service's pages, the recycle bin.
    let fewest = 1 + PEOPLE.div_ceil(999) + GROUPS.div_ceil(DELTA_PAGE) + 1;
    println!(
        "1 + {PEOPLE}/999 + {GROUPS}/{DELTA_PAGE} + 1 = {fewest} requests; by change feeds alone {}",
        PEOPLE.div_ceil(DELTA_PAGE) + GROUPS.div_ceil(DELTA_PAGE)
    );
    assert_eq!(s.paths().len(), fewest);
    // Writing to the target takes its own.
    modest(&s, &["sync", "--json"], 2.0 * MAX_MIB);
    s.expect_as_tenant();
    let quiet = modest(&s, &["sync", "--full", "--json"], MAX_MIB)["cycles"][0].clone();
    assert_eq!((quiet["read"].as_str(), changes(&quiet)), (Some("full"), expected(&[])));
    for n in 0..100 {
        s.fake.tenant().set(&user_id(n * 31), "givenName", "New");
    }
    let cycle = modest(&s, &["sync", "--json"], MAX_MIB)["cycles"][0].clone();
    assert_eq!((cycle["read"].as_str(), changes(&cycle)), (Some("incremental"), expected(&[("update", 100)])));
}
