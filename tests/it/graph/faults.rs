//! What goes wrong on the way.

use super::Setup;
use crate::support::fake_graph::{
    FakeGraph,
    http::Fault,
    tenant::{Tenant, group_id, user_id},
};
use serde_json::json;

/// A cycle that fails with the source, and leaves everything as it was; what it says.
#[track_caller]
fn fails(s: &Setup) -> String {
    let (users, groups) = (s.reader.users(), s.reader.groups());
    let failed = s.sync().expect(4).cycle();
    assert_eq!((s.reader.users(), s.reader.groups()), (users, groups));
    failed["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn throttled_and_broken_off_at_random_the_cycle_ends_right_and_nothing_leaves_before_its_time() {
    let mut tenant = Tenant::populated(60, 8);
    tenant.unruly = true;
    tenant.delta_page = 4;
    let s = Setup::new(tenant, "", "");
    s.fake.refuse_one_in(5);
    s.cycle();
    {
        let mut tenant = s.fake.tenant();
        for n in 0..20 {
            tenant.set(&user_id(n), "givenName", "New");
            tenant.leave(&group_id(n % 8), &user_id(n));
        }
    }
    assert_eq!(s.cycle(), "incremental");
    s.fake.refuse_one_in(0);
    s.expect_as_tenant();
}

#[test]
fn retry_after_is_kept_for_each_status_that_asks_for_it() {
    let s = Setup::new(Tenant::populated(5, 1), "", "");
    s.fake.fail(
        "/users?",
        [Fault::RetryAfter(429, 2), Fault::RetryAfter(503, 1), Fault::RetryAfter(509, 1), Fault::RetryAfter(504, 1)],
    );
    let began = std::time::Instant::now();
    s.cycle();
    assert!(began.elapsed().as_secs() >= 5);
    s.expect_as_tenant();
}

#[test]
fn one_401_gets_a_new_token_and_a_second_one_ends_it() {
    let s = Setup::new(Tenant::populated(5, 1), "", "");
    s.fake.fail("/groups/delta", [Fault::Status(401, "InvalidAuthenticationToken")]);
    s.cycle();
    s.expect_as_tenant();
    assert_eq!(s.fake.tenant().token_requests, 2);
    s.fake.fail("/groups/delta", std::iter::repeat_n(Fault::Status(401, "InvalidAuthenticationToken"), 5));
    let message = fails(&s);
    assert!(message.contains("401") && message.contains("conditional access") && message.contains("disabled"), "{message}");
    assert_eq!(s.paths().iter().filter(|p| *p == "GET /groups/delta").count(), 2);
}

#[test]
fn a_missing_permission_is_named_and_takes_nobody_away() {
    let s = Setup::new(Tenant::populated(20, 2), "", "");
    s.cycle();
    for permission in ["User.Read.All", "GroupMember.Read.All"] {
        s.fake.tenant().permissions.remove(permission);
        let message = fails(&s);
        assert!(message.contains(permission) && message.contains("admin consent"), "{message}");
        s.world.run(&["sync", "--full", "--json"]).expect(4);
        s.fake.tenant().permissions.insert(permission.to_owned());
    }
    assert_eq!(s.cycle(), "incremental");
    s.expect_as_tenant();
}

#[test]
fn pitfall_16_links_to_other_hosts_are_not_followed() {
    let elsewhere = FakeGraph::start(Tenant::populated(3, 0));
    for part in ["/users?", "/groups/delta"] {
        let s = Setup::new(Tenant::populated(20, 2), "", "");
        s.fake.fail(part, [Fault::NextLink(format!("{}/v1.0/users?$skiptoken=x", elsewhere.url))]);
        let message = fails(&s);
        assert!(message.contains("another host"), "{message}");
    }
    let s = Setup::new(Tenant::populated(20, 2), "", "");
    s.cycle();
    s.fake.fail(
        "/users/delta",
        [Fault::Body(json!({"value": [], "@odata.deltaLink": format!("{}/v1.0/users/delta", elsewhere.url)}))],
    );
    assert!(fails(&s).contains("another host"));
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn pages_that_never_end_are_stopped() {
    for part in ["/users?", "/groups/delta"] {
        let s = Setup::new(Tenant::populated(20, 2), "", "");
        let again = format!("{}/v1.0{part}again=1", s.fake.url);
        s.fake.fail(part, std::iter::repeat_n(Fault::Body(json!({"value": [], "@odata.nextLink": again})), 5));
        let message = fails(&s);
        assert!(message.contains("given before"), "{message}");
    }
    // Ever new links, nothing new behind them.
    let s = Setup::new(Tenant::populated(20, 2), "", "");
    s.cycle();
    s.fake.fail("/users/delta", (0..1000).map(|n| {
        let link = format!("{}/v1.0/users/delta?$skiptoken={n}", s.fake.url);
        Fault::Body(json!({"value": [{"id": "6e7b768e-07e2-4810-8459-485f84f8f204", "displayName": "Again"}], "@odata.nextLink": link}))
    }));
    let message = fails(&s);
    assert!(message.contains("nothing new"), "{message}");
}

#[test]
fn pitfall_4_what_a_broken_round_did_not_show_is_not_gone() {
    let mut tenant = Tenant::populated(40, 6);
    tenant.delta_page = 2;
    let s = Setup::new(tenant, "", "");
    s.cycle();
    s.fake.tenant().expire_links(410, "");
    s.fake.fail("/groups/delta?$skiptoken", [Fault::None, Fault::Status(403, "Authorization_RequestDenied")]);
    fails(&s);
    s.cycle();
    s.expect_as_tenant();
}

#[test]
fn a_list_whose_place_is_lost_is_begun_again() {
    let mut tenant = Tenant::populated(1100, 5);
    tenant.delta_page = 2;
    let s = Setup::new(tenant, "", "");
    s.fake.fail("/users?", [Fault::None, Fault::Status(400, "Directory_ExpiredPageToken")]);
    s.cycle();
    s.expect_as_tenant();
    // Whoever vanished between the two beginnings is in the changes since before.
    assert_eq!(s.cycle(), "incremental");
    s.fake.tenant().expire_links(410, "");
    s.fake.fail("/groups/delta?$skiptoken", [Fault::Status(410, "resyncRequired")]);
    assert_eq!(s.cycle(), "full");
    s.expect_as_tenant();
}

#[test]
fn answers_that_make_no_sense_are_errors_and_nothing_else() {
    let s = Setup::new(Tenant::populated(20, 2), "", "");
    s.cycle();
    let bodies = [
        json!(null),
        json!([]),
        json!("text"),
        json!({}),
        json!({"value": 7}),
        json!({"value": {}}),
        json!({"value": []}),
        json!({"value": [7], "@odata.deltaLink": "x"}),
        json!({"value": [], "@odata.deltaLink": "no address"}),
        json!({"value": [], "@odata.deltaLink": 7}),
        json!({"value": [], "@odata.nextLink": "/relative"}),
        json!({"value": [{"displayName": "no id"}], "@odata.deltaLink": format!("{}/x", s.fake.url)}),
        json!({"value": [{"id": {}}], "@odata.deltaLink": format!("{}/x", s.fake.url)}),
        json!({"value": [{"id": "g", "members@delta": [{"no": "id"}]}], "@odata.deltaLink": format!("{}/x", s.fake.url)}),
    ];
    for body in bodies {
        s.fake.fail("/groups/delta", [Fault::Body(body.clone())]);
        let message = fails(&s);
        assert!(!message.contains("panic"), "{body}: {message}");
    }
    assert_eq!(s.cycle(), "incremental");
}

#[test]
fn people_whose_properties_are_all_null_are_no_people_without_names() {
    let s = Setup::new(Tenant::populated(20, 2), "", "");
    s.cycle();
    let link = s.fake.url.clone() + "/v1.0/users/delta?$deltatoken=x";
    let blind = json!({"id": user_id(3), "userPrincipalName": null, "displayName": null, "mail": null, "accountEnabled": null});
    s.fake.fail("/users/delta", [Fault::Body(json!({"value": [blind], "@odata.deltaLink": link}))]);
    let message = fails(&s);
    assert!(message.contains("User.Read.All"), "{message}");
}
