//! Five hundred random operations, read in random slices.

use super::{FREE, Setting};
use crate::support::dice::Dice;
use crate::support::fake_okta::org::{Org, Status};
use crate::support::scim_servers::{ScimServer, TOKEN};
use serde_json::json;

const OPERATIONS: usize = 500;

/// One operation on the organisation.
fn operation(o: &mut Org, dice: &mut Dice, n: usize, app: Option<&str>) {
    let people: Vec<String> = o.users.keys().cloned().collect();
    let groups: Vec<String> = o.groups.keys().cloned().collect();
    if people.len() < 5 || dice.one_in(8) {
        o.join(&format!("p{n}"));
        return;
    }
    let who = dice.pick(&people).clone();
    if groups.is_empty() {
        o.group(&format!("Group {n}"), &[&who]);
        return;
    }
    let group = dice.pick(&groups).clone();
    match dice.below(14) {
        0 => o.rename(&who, &format!("renamed{n}")),
        1 => o.set(&who, "firstName", format!("Given {n}")),
        2 => o.status(&who, Status::Suspended),
        3 | 4 => o.status(&who, Status::Active),
        5 => o.status(&who, *dice.pick(&[Status::LockedOut, Status::Staged, Status::Recovery])),
        6 => o.status(&who, Status::Deprovisioned),
        7 if o.users[&who].status == Status::Deprovisioned => o.delete(&who),
        8 => drop(o.group(&format!("Group {n}"), &[&who])),
        9 => o.rename_group(&group, &format!("Group renamed {n}")),
        10 => o.remove(&group, &who),
        11 if groups.len() > 6 => o.delete_group(&group),
        12 if app.is_some() => {
            let a = o.apps.get_mut(app.unwrap()).unwrap();
            if a.users.remove(&who).is_none() && o.users[&who].status != Status::Deprovisioned {
                a.users.insert(who, json!({"role": n}));
            }
        }
        13 if app.is_some() => {
            let a = o.apps.get_mut(app.unwrap()).unwrap();
            if !a.groups.remove(&group) {
                a.groups.insert(group);
            }
        }
        _ => o.add(&group, &who),
    }
}

/// `log`: the System Log finds what is deleted, and nobody reads in full.
fn run(seed: u64, assigned: bool, log: bool) {
    run_into(Setting::behind(None), seed, assigned, log);
}

fn run_into(s: Setting, seed: u64, assigned: bool, log: bool) {
    let mut dice = Dice::new(seed);
    s.configure(if log { "system_log = true" } else { "" }, FREE);
    let app = assigned.then(|| s.okta.org(Org::app));
    if let Some(app) = &app {
        s.configure(&format!("assigned_to = \"{app}\""), FREE);
    }
    s.okta.org(|o| o.page = Some(7));
    let (mut done, mut cycles) = (0, 0);
    while done < OPERATIONS {
        let slice = 1 + dice.below(60).min(OPERATIONS - done - 1);
        s.okta.org(|o| (0..slice).for_each(|i| operation(o, &mut dice, done + i, app.as_deref())));
        done += slice;
        // Collisions of one slice (a name moved from one to another) are for the next cycle: 7 is no failure.
        let args: &[&str] = if !log && dice.one_in(5) { &["sync", "--json", "--full"] } else { &["sync", "--json"] };
        let run = s.world.run(args);
        assert!(run.code == 0 || run.code == 7, "{}: {}\n{}", run.code, run.stdout, run.stderr);
        assert!(!log || cycles == 0 || run.cycle()["read"] == "incremental", "{}", run.stdout);
        cycles += 1;
    }
    s.sync(if log { &[] } else { &["--full"] });
    s.expect_in_step(app.as_deref());
    assert!(cycles > 8, "{cycles} slices only");
}

#[test]
fn converges_after_500_random_operations() {
    run(17, false, false);
}

#[test]
fn converges_after_500_random_operations_in_scim2_server() {
    let Some(server) = ScimServer::scim2() else { return };
    let target = (server.url.to_string(), TOKEN.to_owned());
    run_into(Setting { target, ..Setting::behind(None) }, 20, false, false);
}

#[test]
fn converges_after_500_random_operations_by_the_system_log() {
    run(19, false, true);
}

#[test]
fn converges_after_500_random_operations_among_the_assigned() {
    run(18, true, false);
}
