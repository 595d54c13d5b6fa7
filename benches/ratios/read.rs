//! A read that finds no changes, beside `ldapsearch` dumping the same attributes of the same people and groups.

use crate::Size;
use crate::support::directory::Directory;
use crate::support::measure::{Usage, load};
use crate::support::slapd::Slapd;
use crate::support::world::{SandboxProcess, World};
use crate::turns::{Ratio, each, heads, median, row, seconds};
use scim_sync::mapping::Mapper;
use scim_sync::model::ObjectKind;
use scim_sync::source::ldap::flavor::Flavor;
use std::process::{Command, Stdio};

pub fn run(size: &Size) {
    let mut directory = Directory::generate(7, size.people, size.groups, size.memberships);
    for p in &mut directory.people {
        p.mail = Some(format!("{}@example.org", p.uid));
    }
    let ldif = directory.to_ldif();
    drop(directory);
    let slapd = Slapd::start(&ldif);
    drop(ldif);
    let sandbox = SandboxProcess::start(&[]);
    let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
    world.configure_slapd(&slapd, &sandbox, "");

    println!(
        "\nread: slapd with {} people and {} groups of {} memberships; {} turns; load {}",
        size.people,
        size.groups,
        size.memberships,
        size.reads,
        load()
    );
    heads("", &["wall s", "CPU s", "peak MiB"]);
    let (plan, ..) = cycle(&world, &["plan", "--json"]);
    one("first plan", &plan);
    let (first, out, _) = cycle(&world, &["sync", "--json"]);
    one("first cycle, into the sandbox", &first);
    let counts: serde_json::Value = serde_json::from_str(&out).unwrap();

    let searches = searches(&world, &slapd);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    sandbox.reset_counters();
    for turn in 0..size.reads {
        let quiet = || cycle(&world, &["sync", "--json"]).0;
        // Who comes first changes from turn to turn.
        let (a, b) = if turn % 2 == 0 {
            let a = quiet();
            (a, dump(&searches))
        } else {
            let b = dump(&searches);
            (quiet(), b)
        };
        ours.push(a);
        theirs.push(b);
    }
    let sent = sandbox.requests();
    several("quiet cycle", &ours);
    several("ldapsearch", &theirs);
    println!("  quiet cycle / ldapsearch");
    let of = |f: &dyn Fn(&Usage) -> f64| Ratio::new(ours.iter().map(f).collect(), theirs.iter().map(f).collect());
    of(&|u| u.wall.as_secs_f64()).print("wall");
    of(&|u| u.cpu.as_secs_f64()).print("CPU");
    println!("  requests of the quiet cycles: {sent}; first cycle: {}; load {}", counts["cycles"][0]["counts"], load());
}

fn cycle(world: &World, arguments: &[&str]) -> (Usage, String, String) {
    let (usage, out, err) = Usage::and_output(&mut world.command(arguments));
    assert!(usage.status.success(), "{arguments:?}: {err}{}", &out[..out.len().min(2000)]);
    (usage, out, err)
}

/// What `ldapsearch` is asked for: the program's own filters and attributes, people and groups.
fn searches(world: &World, slapd: &Slapd) -> Vec<Vec<String>> {
    let config = scim_sync::config::load(&world.path("config.toml")).unwrap().config;
    let preset = scim_sync::target::presets::find("generic").unwrap();
    let mapper = Mapper::compile(&config.syncs[0].mapping_spec(), preset.map_user, preset.map_group).unwrap();
    let flavor = Flavor::OpenLdap;
    let kinds = [(ObjectKind::User, flavor.user_filter()), (ObjectKind::Group, flavor.group_filter())];
    kinds
        .into_iter()
        .map(|(kind, filter)| {
            let fixed = ["-x", "-LLL", "-E", "pr=1000/noprompt", "-H", &slapd.ldap_url, "-D", &slapd.bind_dn];
            let fixed = fixed.into_iter().chain(["-w", &slapd.password, "-b", &slapd.base, filter]).map(str::to_owned);
            let attributes = flavor.attributes(kind, &mapper.attributes());
            println!("  attributes of each {kind}: {}", attributes.join(" "));
            fixed.chain(attributes).collect()
        })
        .collect()
}

/// Both searches, one after the other, as one run.
fn dump(searches: &[Vec<String>]) -> Usage {
    let runs = searches.iter().map(|arguments| {
        let usage = Usage::of(Command::new("ldapsearch").args(arguments).stdin(Stdio::null()).stdout(Stdio::null()));
        assert!(usage.status.success(), "ldapsearch: {}", usage.status);
        usage
    });
    let sum = |a: Usage, b: Usage| Usage {
        wall: a.wall + b.wall,
        cpu: a.cpu + b.cpu,
        peak_kib: a.peak_kib.max(b.peak_kib),
        status: b.status,
    };
    runs.reduce(sum).unwrap()
}

fn one(name: &str, usage: &Usage) {
    several(name, std::slice::from_ref(usage));
}

/// Medians; of memory the highest.
fn several(name: &str, of: &[Usage]) {
    let wall = each(&of.iter().map(|u| u.wall).collect::<Vec<_>>());
    let cpu = each(&of.iter().map(|u| u.cpu).collect::<Vec<_>>());
    let peak = of.iter().map(Usage::peak_mib).fold(0.0, f64::max);
    row(name, &[seconds(median(&wall)), seconds(median(&cpu)), format!("{peak:.1}")]);
}
