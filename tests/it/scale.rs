//! A hundred thousand people from a real directory: everything arrives, memory stays flat, a quiet cycle is silent. Only in
//! release builds (`cargo test --release --test it scale_`): elsewhere it would take many times as long.

use crate::support::directory::Directory;
use crate::support::measure::{Usage, too_slow};
use crate::support::slapd::Slapd;
use crate::support::truth::{Snapshot, Truth};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::Value;

/// Resident memory that the program may take at 100,000 people.
const MAX_MIB: f64 = 64.0;

/// Runs the program; the document on stdout. Fails where it ends otherwise than with 0 or takes more memory than it may.
#[track_caller]
fn modest(world: &World, arguments: &[&str], most_mib: f64) -> Value {
    let (usage, out, err) = Usage::and_output(&mut world.command(arguments));
    println!(
        "{}: {:.1} s, {:.1} s CPU, {:.1} MiB",
        arguments[0],
        usage.wall.as_secs_f64(),
        usage.cpu.as_secs_f64(),
        usage.peak_mib()
    );
    assert!(usage.status.success(), "{arguments:?}: {}\n{err}{}", usage.status, out.chars().take(2000).collect::<String>());
    assert!(usage.peak_kib > 0, "peak not seen");
    assert!(usage.peak_mib() <= most_mib, "{arguments:?}: {:.1} MiB resident, at most {most_mib}", usage.peak_mib());
    serde_json::from_str(&out).unwrap()
}

#[test]
fn scale_a_hundred_thousand_people_arrive_in_64_mib() {
    if too_slow() {
        return;
    }
    let mut directory = Directory::generate(23, 100_000, 5_000, 600_000);
    for p in &mut directory.people {
        p.mail = Some(format!("{}@example.org", p.uid));
    }
    let slapd = Slapd::start(&directory.to_ldif());
    let active = directory.people.iter().filter(|p| !p.locked).count() as u64;
    drop(directory);
    let sandbox = SandboxProcess::start(&[]);
    let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
    world.configure_slapd(&slapd, &sandbox, "");
    let wanted = Snapshot::take(&slapd).expected(true);
    assert_eq!((wanted.accounts.len() as u64, wanted.teams.len()), (active, 5_000));
    let memberships = wanted.memberships() as u64;
    assert!(memberships > 580_000, "{memberships}");
    let counts = expected(&[("create", active), ("group_create", 5_000), ("members_add", memberships)]);

    let plan = modest(&world, &["plan", "--json"], MAX_MIB);
    assert_eq!(changes(&plan["plans"][0]), counts);
    assert_eq!(sandbox.writes(), 0);
    drop(plan);

    // While it writes it may take more; that is bounded, and not by the size of the directory.
    let cycle = modest(&world, &["sync", "--json"], 2.0 * MAX_MIB)["cycles"][0].clone();
    assert_eq!(changes(&cycle), counts);
    let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
    wanted.expect(&Truth::held(&reader.users(), &reader.groups()));

    sandbox.reset_counters();
    let quiet = modest(&world, &["sync", "--json"], MAX_MIB)["cycles"][0].clone();
    assert_eq!(changes(&quiet), expected(&[]));
    assert_eq!(sandbox.requests(), 0, "{}", quiet["requests"]);
    assert_eq!((quiet["requests"]["read"].as_u64(), quiet["requests"]["write"].as_u64()), (Some(0), Some(0)));
}
