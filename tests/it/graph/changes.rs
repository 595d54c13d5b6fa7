//! Change feeds.

use super::Setup;
use crate::support::fake_graph::tenant::{Tenant, group_id, user_id};
use serde_json::json;

#[test]
fn what_changes_is_all_that_is_read() {
    let s = Setup::new(Tenant::populated(60, 5), "", "");
    s.cycle();
    {
        let mut tenant = s.fake.tenant();
        tenant.add_user(60);
        tenant.set(&user_id(1), "givenName", "Other");
        tenant.set(&user_id(2), "accountEnabled", false);
        tenant.soft_delete(&user_id(3));
        tenant.join(&group_id(0), &user_id(60));
        tenant.leave(&group_id(4), &user_id(4));
        tenant.rename_group(&group_id(2), "Renamed");
        tenant.add_group(5);
        tenant.join(&group_id(5), &user_id(10));
        tenant.delete_group(&group_id(3));
    }
    assert_eq!(s.cycle(), "incremental");
    s.expect_as_tenant();
    assert_eq!(s.paths(), ["GET /users/delta", "GET /groups/delta"]);
    assert_eq!(s.reader.user("p1@contoso.example").unwrap()["name"]["givenName"], "Other");
}

#[test]
fn pitfall_3_absent_properties_stay_and_null_ones_go() {
    let sync = "[sync.map.user]\ntitle = { expr = \"[jobTitle]\", when_null = \"clear\" }\n\
                nickName = { expr = \"[mailNickname]\", when_null = \"clear\" }\n";
    let mut tenant = Tenant::populated(30, 0);
    for n in 0..30 {
        tenant.set(&user_id(n), "jobTitle", "Clerk");
    }
    let s = Setup::new(tenant, "", sync);
    s.cycle();
    // Whole or only what changed: the fake sends both.
    for n in 0..30 {
        s.fake.tenant().set(&user_id(n), "jobTitle", json!(null));
    }
    assert_eq!(s.cycle(), "incremental");
    for user in s.reader.users() {
        assert!(user["title"].is_null() && user["nickName"].is_string() && user["name"]["givenName"].is_string(), "{user}");
    }
}

#[test]
fn pitfall_5_soft_deleted_people_leave_the_groups_and_come_back_into_them() {
    let s = Setup::new(Tenant::populated(12, 2), "", "");
    s.cycle();
    s.fake.tenant().soft_delete(&user_id(3));
    assert_eq!(s.cycle(), "incremental");
    assert!(!s.reader.memberships()["Group 1"].contains(&"p3@contoso.example".to_owned()));
    assert_eq!(s.reader.user("p3@contoso.example").unwrap()["active"], false);
    // No group says a word when they come back.
    s.fake.tenant().restore(&user_id(3));
    assert_eq!(s.cycle(), "incremental");
    s.expect_as_tenant();
    assert!(s.reader.memberships()["Group 1"].contains(&"p3@contoso.example".to_owned()));
}

#[test]
fn pitfall_5_also_when_everything_was_read_anew_meanwhile() {
    let s = Setup::new(Tenant::populated(12, 2), "", "");
    s.cycle();
    s.fake.tenant().soft_delete(&user_id(3));
    s.world.run(&["sync", "--full", "--json"]).expect(0);
    s.fake.tenant().restore(&user_id(3));
    assert_eq!(s.cycle(), "full", "the memberships that came back are in no change");
    s.expect_as_tenant();
    assert_eq!(s.cycle(), "incremental");
}

#[test]
fn pitfall_6_changed_and_deleted_both_mean_gone() {
    let s = Setup::new(Tenant::populated(10, 1), "", "");
    s.cycle();
    {
        let mut tenant = s.fake.tenant();
        tenant.soft_delete(&user_id(1));
        tenant.purge(&user_id(2));
    }
    s.cycle();
    s.expect_as_tenant();
    s.fake.tenant().purge(&user_id(1));
    s.cycle();
    s.expect_as_tenant();
    assert_eq!(s.reader.users().len(), 10, "deactivated, not deleted");
}

#[test]
fn pitfall_1_and_2_members_come_in_slices_and_are_changes_only() {
    let mut tenant = Tenant::populated(100, 1);
    tenant.unruly = true;
    let s = Setup::new(tenant, "", "");
    s.cycle();
    for round in 0..4 {
        {
            let mut tenant = s.fake.tenant();
            for n in 0..25 {
                tenant.leave(&group_id(0), &user_id((n * 3 + round * 7) % 100));
                tenant.join(&group_id(0), &user_id((n * 5 + round) % 100));
            }
            tenant.rename_group(&group_id(0), &format!("Group {round}"));
        }
        assert_eq!(s.cycle(), "incremental");
        s.expect_as_tenant();
    }
}

/// The link belongs to what was merged: a cycle that dies half-way reads the same changes again.
#[test]
fn pitfall_7_the_link_is_stored_with_its_changes_and_an_aborted_round_leaves_the_old_one() {
    use crate::support::fake_graph::http::Fault;
    let s = Setup::new(Tenant::populated(40, 2), "", "");
    s.cycle();
    s.fake.tenant().delta_page = 2;
    for n in 0..10 {
        s.fake.tenant().set(&user_id(n), "givenName", "New");
    }
    // The third page of people cannot be had.
    s.fake.fail("skiptoken", [Fault::None, Fault::Status(403, "Authorization_RequestDenied")]);
    let failed = s.sync().expect(4).cycle();
    assert_eq!(failed["error"]["kind"], "source");
    assert_eq!(s.sandbox.stats()["users"], 40);
    assert_eq!(s.reader.user("p0@contoso.example").unwrap()["name"]["givenName"], "Given0");
    assert_eq!(s.cycle(), "incremental");
    for n in 0..10 {
        assert_eq!(s.reader.user(&format!("p{n}@contoso.example")).unwrap()["name"]["givenName"], "New");
    }
}

#[test]
fn pitfall_10_an_expired_link_is_a_full_read_and_takes_nobody_away() {
    for (status, code) in [(410, ""), (400, "SyncStateNotFound"), (404, "resyncRequired"), (400, "Request_BadRequest")] {
        let s = Setup::new(Tenant::populated(30, 3), "", "");
        s.cycle();
        {
            let mut tenant = s.fake.tenant();
            tenant.set(&user_id(1), "givenName", "New");
            tenant.purge(&user_id(2));
            tenant.expire_links(status, code);
        }
        assert_eq!(s.cycle(), "full", "{status} {code}");
        s.expect_as_tenant();
        assert_eq!(s.cycle(), "incremental");
    }
}

#[test]
fn pitfall_8_no_page_size_is_asked_of_a_change_feed() {
    let s = Setup::new(Tenant::populated(10, 2), "", "");
    s.cycle();
    s.fake.tenant().add_user(11);
    s.cycle();
    assert!(!s.fake.graph_requests().iter().any(|r| r.contains("delta") && r.contains("$top")));
    s.fake.expect_no_offence();
}

#[test]
fn nested_groups_are_left_out_or_flattened_and_circles_end() {
    let build = || {
        let mut tenant = Tenant::populated(6, 0);
        for n in 0..3 {
            tenant.add_group(n);
            tenant.join(&group_id(n), &user_id(n));
            tenant.join(&group_id(n), &group_id((n + 1) % 3));
        }
        tenant
    };
    let s = Setup::new(build(), "", "");
    s.cycle();
    s.expect_as_tenant();
    let s = Setup::new(build(), "nested_groups = \"flatten\"\n", "");
    s.cycle();
    let everybody = ["p0@contoso.example", "p1@contoso.example", "p2@contoso.example"];
    for n in 0..3 {
        assert_eq!(s.reader.memberships()[&format!("Group {n}")], everybody);
    }
    s.fake.tenant().leave(&group_id(2), &user_id(2));
    assert_eq!(s.cycle(), "incremental");
    assert_eq!(s.reader.memberships()["Group 0"], everybody[..2]);
}
