//! The service, as its administrator and its service manager see it.
#![cfg(unix)]

mod beside;
mod gives_way;
mod real;
mod reload;
mod stop;
mod ten_minutes;
mod time;
mod told;

use crate::support::service::{Service, long_ago};
use crate::support::world::{SandboxProcess, World};

/// A world whose first person has an account already, `people` more have joined since, and the last cycle was long ago: a
/// service that starts has all of them to make.
fn behind(sandbox: &SandboxProcess, people: usize, sync: &str, target: &str) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, target);
    w.populate(1);
    w.sync().expect(0);
    w.populate(people);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    w.group("all", &members);
    w.save();
    long_ago(&w);
    w
}

/// Waits until the target holds so many people.
#[track_caller]
fn until_people(service: &Service, sandbox: &SandboxProcess, people: u64) {
    crate::support::service::eventually("people at the target", || {
        assert!(service.running(), "{}", service.log());
        sandbox.stats()["users"].as_u64().unwrap() >= people
    });
}
