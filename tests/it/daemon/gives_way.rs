//! A long cycle of the service makes room for the next one, so that whoever leaves meanwhile does not wait for its end.

use crate::support::settled::{assert_all_created, assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World};
use scim_sync::apply::Stop;
use scim_sync::config;
use scim_sync::observe::Silent;
use scim_sync::state::Store;
use scim_sync::sync::{Cycle, Report, Request};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A cycle whose successor would begin after `room`.
fn cycle(w: &World, room: Option<Duration>) -> Report {
    scim_sync::http::tls::install_provider();
    let config = config::load(&w.path("config.toml")).unwrap().config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cycle = Cycle::new(&config, &config.syncs[0], Arc::new(Silent), Stop::new()).unwrap();
        let store = Store::open(&config.state.path).unwrap();
        let request = Request { until: room.map(|room| Instant::now() + room), ..Request::default() };
        cycle.run(store, &request).await.1
    })
}

#[test]
fn a_leaver_does_not_wait_for_the_end_of_a_long_cycle() {
    for first in [false, true] {
        let sandbox = SandboxProcess::start(&["--latency", "10"]);
        let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "concurrency = 1");
        w.populate(30);
        w.group("all", &["p00001", "p00002"]);
        w.save();
        if !first {
            assert!(cycle(&w, None).error.is_none());
        }
        w.populate(430);
        w.save();
        let long = cycle(&w, Some(Duration::from_millis(300)));
        assert!(long.error.is_none(), "{:?}", long.error);
        let made = sandbox.stats()["users"].as_u64().unwrap();
        assert!((5..400).contains(&made), "not in the middle: {made}");

        w.leave("p00000");
        w.save();
        sandbox.reset_counters();
        let next = cycle(&w, Some(Duration::from_millis(300)));
        assert!(next.error.is_none(), "{:?}", next.error);
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        assert_eq!(target.user("p00000@corp.example").unwrap()["active"], false, "first: {first}");
        let made = sandbox.stats()["users"].as_u64().unwrap();
        assert!(made < 430, "before the last joiner: {made}");

        w.sync().expect(0);
        assert_as_desired(&w, &target);
        assert_all_created(&w.path("state.db"));
        assert_quiet(&w, &sandbox);
    }
}

/// What a verification saw is kept nowhere: it is carried out whole.
#[test]
fn a_verification_makes_no_room() {
    let sandbox = SandboxProcess::start(&["--latency", "10"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "concurrency = 1");
    w.populate(60);
    w.sync().expect(0);
    w.populate(100);
    w.save();
    scim_sync::http::tls::install_provider();
    let config = config::load(&w.path("config.toml")).unwrap().config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cycle = Cycle::new(&config, &config.syncs[0], Arc::new(Silent), Stop::new()).unwrap();
        let request = Request { until: Some(Instant::now()), verify: true, ..Request::default() };
        let report = cycle.run(Store::open(&config.state.path).unwrap(), &request).await.1;
        assert!(report.error.is_none(), "{:?}", report.error);
    });
    assert_eq!(sandbox.stats()["users"], 100);
}
