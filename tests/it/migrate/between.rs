//! A long migration beside the service: whoever leaves meanwhile is deactivated between two batches.
#![cfg(unix)]

use super::{Maker, SYNC};
use crate::support::service::{SELDOM, Service, eventually, long_ago};
use crate::support::world::{SandboxProcess, ScimReader, World};
use scim_sync::apply::Stop;
use scim_sync::config::Config;
use scim_sync::exit::Exit;
use scim_sync::migrate::{Accepted, Confirmed, FRESH, Listing, Options, Outcome, Syncs, confirmed};
use scim_sync::observe::Silent;
use scim_sync::state::lock::CycleLock;
use scim_sync::sync::Cycle;
use serde_json::json;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// What the command does, but for giving way after a second already.
fn migrate(config: &Config) -> (Listing, Exit) {
    migrate_by(config, FRESH, &Options::default())
}

fn migrate_by(config: &Config, fresh: Duration, options: &Options) -> (Listing, Exit) {
    scim_sync::http::tls::install_provider();
    let cycle = Cycle::new(config, &config.syncs[0], Arc::new(Silent), Stop::new()).unwrap();
    let syncs = Syncs { main: cycle, others: Vec::new(), lists_strangers: true, migrated_too: Vec::new() };
    let lock = CycleLock::take(&config.state.path, Duration::ZERO).unwrap();
    let how = Confirmed { state: &config.state.path, lock, hold: Duration::from_secs(1), fresh };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(confirmed(&syncs, options, how)).unwrap()
}

#[test]
fn leavers_are_deactivated_between_two_batches_and_nobody_gets_a_second_account() {
    let sandbox = SandboxProcess::start(&["--latency", "30"]);
    let sync = format!("{SELDOM}\n{SYNC}[sync.guard]\nminimum = 1000");
    let mut w = World::new(&sandbox.base_url, &sandbox.token, &sync, "concurrency = 1");
    w.join("leaver");
    w.sync().expect(0);
    let maker = Maker::new(&sandbox.base_url, &sandbox.token);
    let people = 60;
    for i in 0..people {
        let key = format!("k{i:03}");
        w.join(&key);
        w.set(&key, "sAMAccountName", format!("user{i}"));
        maker.account(&format!("CORP\\user{i}"), json!({}));
    }
    w.save();
    let config = scim_sync::config::load(&w.path("config.toml")).unwrap().config;
    long_ago(&w);
    let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let old_names = || reader.users().iter().filter(|u| u["userName"].as_str().unwrap().starts_with("CORP")).count();
    sandbox.reset_counters();
    std::thread::scope(|scope| {
        let migration = scope.spawn(|| migrate(&config));
        eventually("a rename", || sandbox.writes() > 3);
        // Somebody leaves now; one who has the new name already, and one who waits for it, get another address.
        w.leave("leaver");
        w.set("k000", "mail", "first@corp.example");
        w.set("k009", "mail", "another@corp.example");
        w.save();
        let mut service = Service::start(&w);
        eventually("the leaver's account to be inactive", || reader.user("leaver@corp.example").unwrap()["active"] == false);
        assert!(old_names() > 0, "the migration was over before");
        let (listing, exit) = migration.join().unwrap();
        assert_eq!((listing.results(Outcome::Renamed), exit), (people - 1, Exit::Parked), "{:?}", listing.error);
        let on = listing.lines.iter().find(|l| l.row.old == "CORP\\user0").unwrap();
        assert!(on.why().contains("renamed it on to first@corp.example"), "{}", on.why());
        let moved = listing.lines.iter().find(|l| l.row.old == "CORP\\user9").unwrap();
        assert!(moved.why().contains("another@corp.example"), "{}", moved.why());
        assert!(!service.log().contains("ERROR"), "{}", service.log());
        assert_eq!(service.stop("TERM").1, Some(0));
    });
    assert_eq!(old_names(), 1, "but for the one whose address changed");
    assert_eq!(reader.users().len() as u64, people + 1, "nobody got a second account");
    w.run(&["--migrate-userids", "--yes", "--json"]).expect(0);
    assert!(reader.user("another@corp.example").is_some() && reader.user("first@corp.example").is_some());
    assert_eq!(w.run(&["sync", "--json"]).expect(0).cycle()["requests"]["write"], 0);
    assert_eq!(reader.users().len() as u64, people + 1);
}

/// What changes at the application after it was listed, and before its turn, is left alone: renamed by hand, given to
/// somebody else.
#[test]
fn own_only_who_changed_since_the_listing_is_left_and_said() {
    for reviewed in [false, true] {
        let sandbox = SandboxProcess::start(&["--latency", "100"]);
        let mut w = World::new(&sandbox.base_url, &sandbox.token, SYNC, "concurrency = 4");
        let maker = Maker::new(&sandbox.base_url, &sandbox.token);
        let people = 30;
        let mut ids = Vec::new();
        for i in 0..people {
            let key = format!("k{i:03}");
            w.join(&key);
            w.set(&key, "sAMAccountName", format!("user{i:02}"));
            ids.push(maker.account(&format!("CORP\\user{i:02}"), json!({})));
        }
        w.save();
        let config = scim_sync::config::load(&w.path("config.toml")).unwrap().config;
        let mut options = Options::default();
        if reviewed {
            let report = w.run(&["--migrate-userids", "--dry-run", "--json"]).expect(0);
            options.accepted = Some(Accepted::read(report.stdout.as_bytes(), false, "s").unwrap());
        }
        sandbox.reset_counters();
        let (listing, exit) = std::thread::scope(|scope| {
            let migration = scope.spawn(|| migrate_by(&config, Duration::ZERO, &options));
            eventually("a rename", || sandbox.writes() > 0);
            maker.rename(&ids[29], "byhand");
            maker.replace(&ids[28], "externalId", "somebody-else");
            migration.join().unwrap()
        });
        assert_eq!(exit, if reviewed { Exit::Moved } else { Exit::Parked }, "{:?}", listing.error);
        assert_eq!(listing.results(Outcome::Renamed), people - 2);
        assert_eq!((listing.moved, listing.results(Outcome::Failed)), if reviewed { (2, 0) } else { (0, 2) });
        for (i, said) in [(29, "byhand"), (28, "somebody-else")] {
            let line = listing.lines.iter().find(|l| l.row.id.as_str() == ids[i]).unwrap();
            assert!(line.why().contains(said) && line.why().contains("changed"), "{}", line.why());
        }
        let users = ScimReader::new(&sandbox.base_url, &sandbox.token).users();
        let of = |id: &str| users.iter().find(|u| u["id"] == id).unwrap();
        assert_eq!((&of(&ids[29])["userName"], &of(&ids[28])["userName"]), (&json!("byhand"), &json!("CORP\\user28")));
        assert_eq!(of(&ids[28])["externalId"], "somebody-else");
    }
}

/// A run that ends within seconds of its listing asks for no account again.
#[test]
fn a_short_run_looks_at_nothing_again() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SYNC, "");
    let maker = Maker::new(&sandbox.base_url, &sandbox.token);
    for i in 0..40 {
        w.join(&format!("k{i:03}"));
        w.set(&format!("k{i:03}"), "sAMAccountName", format!("user{i:02}"));
        maker.account(&format!("user{i:02}"), json!({}));
    }
    w.save();
    sandbox.reset_counters();
    w.run(&["--migrate-userids", "--yes", "--json"]).expect(0);
    // Discovery, one list before and one after, /Me, and a look at the effect of the first write.
    assert!(sandbox.requests() - sandbox.writes() < 20, "{}", sandbox.stats());
}

#[test]
fn a_run_that_is_stopped_says_that_it_was_interrupted() {
    let sandbox = SandboxProcess::start(&["--latency", "50"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SYNC, "concurrency = 1");
    let maker = Maker::new(&sandbox.base_url, &sandbox.token);
    for i in 0..30 {
        w.join(&format!("k{i:03}"));
        w.set(&format!("k{i:03}"), "sAMAccountName", format!("user{i:02}"));
        maker.account(&format!("user{i:02}"), json!({}));
    }
    w.save();
    sandbox.reset_counters();
    let out = std::fs::File::create(w.path("out")).unwrap();
    let mut child = w.command(&["--migrate-userids", "--yes", "--json"]).stdout(out).stderr(Stdio::null()).spawn().unwrap();
    eventually("a rename", || sandbox.writes() > 2);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(5));
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(w.path("out")).unwrap()).unwrap();
    assert_eq!(document["migrations"][0]["error"]["kind"], "interrupted", "{document}");
}
