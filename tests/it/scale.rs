//! A hundred thousand people from a real directory: everything arrives, memory stays flat, a quiet cycle is silent. Only in
//! release builds (`cargo test --release --test it scale_`): elsewhere it would take many times as long.

use crate::support::directory::{BASE, Directory};
use crate::support::measure::{Usage, too_slow};
use crate::support::slapd::{Overlays, Slapd};
use crate::support::truth::{Snapshot, Truth};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

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

/// A million people with five million memberships, of whom nobody takes part (a million accounts at the sandbox would measure
/// the sandbox), unless `SCIM_SYNC_SCALE_PEOPLE` says how many; with it the test runs in any build.
#[test]
fn scale_a_hundred_changes_in_a_million_entries_cost_under_a_second() {
    let asked = std::env::var("SCIM_SYNC_SCALE_PEOPLE").ok().and_then(|n| n.parse::<usize>().ok());
    if asked.is_none() && too_slow() {
        return;
    }
    let people = asked.unwrap_or(1_000_000);
    let overlays = Overlays { session_log: Some(10_000), ..Overlays::default() };
    let slapd = Slapd::start_written(overlays, |out| {
        writeln!(out, "{}", Directory::default().to_ldif())?;
        for i in 0..people {
            writeln!(
                out,
                "dn: uid=u{i},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: u{i}\ncn: Person {i}\nsn: {i}\n\
                 mail: u{i}@example.org\ntitle: Engineer\n"
            )?;
        }
        for group in 0..people / 200 {
            writeln!(out, "dn: cn=g{group},ou=groups,{BASE}\nobjectClass: groupOfNames\ncn: g{group}")?;
            for m in 0..1000 {
                writeln!(out, "member: uid=u{},ou=people,{BASE}", (group * 200 + m * 7) % people)?;
            }
            writeln!(out)?;
        }
        Ok(())
    });
    let sandbox = SandboxProcess::start(&[]);
    let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
    world.configure_slapd(&slapd, &sandbox, "[sync.scope]\nusers = 'title eq \"Nobody\"'\ngroups = 'cn eq \"nothing\"'\n");
    let first = modest(&world, &["sync", "--json"], 150.0)["cycles"][0].clone();
    assert_eq!(first["read"], "full");

    let mut ldif = String::new();
    for i in 0..100 {
        let dn = format!("uid=u{},ou=people,{BASE}", i * (people / 100));
        let change = if i % 10 == 0 { "changetype: delete\n" } else { "changetype: modify\nreplace: title\ntitle: Changed\n" };
        write!(ldif, "dn: {dn}\n{change}\n").unwrap();
    }
    slapd.modify(&ldif);
    let (usage, out, err) = Usage::and_output(&mut world.command(&["sync", "--json"]));
    println!("a hundred changes: {:?} wall, {:?} CPU, {:.1} MiB", usage.wall, usage.cpu, usage.peak_mib());
    assert!(usage.status.success(), "{err}");
    let cycle = serde_json::from_str::<Value>(&out).unwrap()["cycles"][0].clone();
    assert_eq!(cycle["read"], "incremental", "{cycle}\n{err}");
    assert!(usage.cpu < Duration::from_secs(1), "{:?} of CPU", usage.cpu);
    assert!(usage.peak_mib() <= 150.0, "{:.1} MiB resident", usage.peak_mib());
    let full = modest(&world, &["sync", "--full", "--json"], 150.0)["cycles"][0].clone();
    assert_eq!((full["read"].as_str(), changes(&full)), (Some("full"), expected(&[])));
}

/// A group of 50,000: by the hundred at first, and then what changed, each in one request; the look that the first removal
/// needs is the only read.
#[test]
fn scale_one_in_and_one_out_of_fifty_thousand_members() {
    if too_slow() {
        return;
    }
    let sandbox = SandboxProcess::start(&[]);
    let mut world = World::new(&sandbox.base_url, &sandbox.token, "", "");
    world.populate(50_001);
    let ids: Vec<String> = world.people.keys().cloned().collect();
    let team = |ids: &[String]| ("Everybody".to_owned(), ids.to_vec());
    world.groups.insert("g".to_owned(), team(&ids[..50_000]));
    world.save();
    let cycle = modest(&world, &["sync", "--json"], 3.0 * MAX_MIB)["cycles"][0].clone();
    assert_eq!(changes(&cycle), expected(&[("create", 50_001), ("group_create", 1), ("members_add", 50_000)]));
    for members in [&ids[1..], &[&ids[2..], &ids[..1]].concat()[..]] {
        let members = members.to_vec();
        world.groups.insert("g".to_owned(), team(&members));
        world.save();
        sandbox.reset_counters();
        let cycle = modest(&world, &["sync", "--json"], 3.0 * MAX_MIB)["cycles"][0].clone();
        assert_eq!(changes(&cycle), expected(&[("members_add", 1), ("members_remove", 1)]));
        assert_eq!((sandbox.writes(), sandbox.requests()), (2, 2), "{}", sandbox.stats());
    }
}
