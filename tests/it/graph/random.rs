//! Five hundred random changes, read in random slices: in the end the target is what the tenant is.

use super::{FREE, Setup};
use crate::support::dice::Dice;
use crate::support::fake_graph::tenant::{Tenant, group_id, user_id};
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::world::ScimReader;
use serde_json::json;
use std::collections::BTreeSet;

/// One change.
fn change(tenant: &mut Tenant, dice: &mut Dice, next: &mut (usize, usize)) {
    let users: Vec<String> = tenant.users.iter().filter(|(_, u)| !u.deleted).map(|(id, _)| id.clone()).collect();
    let bin: Vec<String> = tenant.users.iter().filter(|(_, u)| u.deleted).map(|(id, _)| id.clone()).collect();
    let groups: Vec<String> = tenant.groups.keys().cloned().collect();
    let user = dice.pick(&users).clone();
    let group = dice.pick(&groups).clone();
    match dice.below(20) {
        0 | 1 => {
            next.0 += 1;
            let id = tenant.add_user(next.0);
            tenant.join(&group, &id);
        }
        2 => {
            next.1 += 1;
            tenant.add_group(next.1);
        }
        3 | 4 => {
            let name = format!("renamed{}-{}@contoso.example", next.0, dice.next() % 1_000_000);
            tenant.set(&user, "mail", name.as_str());
            tenant.set(&user, "userPrincipalName", name);
        }
        5 => tenant.set(&user, "accountEnabled", false),
        6 => tenant.set(&user, "accountEnabled", true),
        7 | 8 if users.len() > 20 => tenant.soft_delete(&user),
        9 | 10 if !bin.is_empty() => tenant.restore(dice.pick(&bin).as_str()),
        11 if !bin.is_empty() => tenant.purge(dice.pick(&bin).as_str()),
        12 if groups.len() > 4 => tenant.delete_group(&group),
        13 => tenant.rename_group(&group, &format!("Group {}", dice.next())),
        14 => tenant.set(&user, "givenName", if dice.one_in(2) { json!(format!("G{}", dice.below(100))) } else { json!(null) }),
        15 => tenant.join(&group, dice.pick(&groups).clone().as_str()),
        16 | 17 => tenant.leave(&group, &user),
        _ => tenant.join(&group, &user),
    }
}

fn five_hundred(s: &Setup, reader: &ScimReader, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut next = (59, 5);
    let mut done = 0;
    let mut kinds = BTreeSet::new();
    while done < 500 {
        let some = (1 + dice.below(45)).min(500 - done);
        done += some;
        {
            let mut tenant = s.fake.tenant();
            for _ in 0..some {
                change(&mut tenant, &mut dice, &mut next);
            }
            tenant.delta_page = 1 + dice.below(30);
            if dice.one_in(8) {
                tenant.expire_links(410, "");
            }
        }
        kinds.insert(s.cycle());
    }
    assert_eq!(kinds.len(), 2, "both kinds of reads: {kinds:?}");
    let (names, groups) = {
        let tenant = s.fake.tenant();
        (tenant.active_names(), tenant.memberships())
    };
    let users = reader.users();
    let active: BTreeSet<String> =
        users.iter().filter(|u| u["active"] != false).map(|u| u["userName"].as_str().unwrap().to_lowercase()).collect();
    assert_eq!(active, names);
    let mut held = reader.memberships();
    for who in held.values_mut() {
        who.retain(|w| active.contains(&w.to_lowercase()));
    }
    assert_eq!(held, groups);
    // What is there is there once.
    let keys: BTreeSet<&str> = users.iter().filter_map(|u| u["externalId"].as_str()).collect();
    assert_eq!(keys.len(), users.len());
    s.fake.expect_no_offence();
    // And then there is nothing more to do.
    assert_eq!(s.sync().expect(0).cycle()["requests"]["write"], 0);
}

fn tenant() -> Tenant {
    let mut tenant = Tenant::populated(60, 6);
    tenant.unruly = true;
    tenant.join(&group_id(0), &group_id(1));
    tenant.set(&user_id(0), "accountEnabled", false);
    tenant
}

#[test]
fn five_hundred_changes_reach_the_sandbox() {
    let s = Setup::new(tenant(), "", "");
    s.cycle();
    five_hundred(&s, &s.reader, 11);
}

#[test]
fn five_hundred_changes_reach_scim2_server() {
    let Some(server) = ScimServer::scim2() else { return };
    let s = Setup::new(tenant(), "", "");
    let source = format!("{}client_secret = {{ file = \"graph-secret\" }}\n", s.fake.source());
    s.world.configure(&source, server.url.as_str(), TOKEN, FREE, "");
    s.cycle();
    five_hundred(&s, &ScimReader::new(server.url.as_str(), TOKEN), 12);
}
