//! Full reads.

use super::Setup;
use crate::support::fake_graph::tenant::{Tenant, group_id, user_id};
use crate::support::world::{changes, expected};
use serde_json::json;

#[test]
fn everybody_arrives_and_the_requests_are_the_fewest() {
    let s = Setup::new(Tenant::populated(2100, 30), "", "");
    assert_eq!(s.cycle(), "full");
    s.expect_as_tenant();
    // 2100 people at 999 a page are 3 pages; 30 groups with their members fit on one page of their change feed here; one
    // request each asks for the link of people and for the recycle bin.
    assert_eq!(
        s.paths(),
        [
            "GET /users/delta",
            "GET /groups/delta",
            "GET /users",
            "GET /users",
            "GET /users",
            "GET /directory/deletedItems/microsoft.graph.user"
        ]
    );
    assert_eq!(s.fake.tenant().token_requests, 1);
    // Nothing changed: two requests.
    assert_eq!(s.cycle(), "incremental");
    assert_eq!(s.paths(), ["GET /users/delta", "GET /groups/delta"]);
}

#[test]
fn pitfall_9_exactly_what_mapping_and_scope_need_is_selected() {
    let sync = "[sync.scope]\nusers = 'not (jobTitle eq \"Robot\")'\n[sync.map.user]\ntitle = \"[jobTitle]\"\n\
                \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division\" = \"[extensionAttribute3]\"\n";
    let mut tenant = Tenant::populated(3, 1);
    tenant.set(&user_id(0), "jobTitle", "Clerk");
    tenant.set(&user_id(1), "jobTitle", "Robot");
    tenant.set(&user_id(2), "onPremisesExtensionAttributes", json!({"extensionAttribute3": "East"}));
    let s = Setup::new(tenant, "", sync);
    s.cycle();
    let all = "accountEnabled,displayName,givenName,id,jobTitle,mail,onPremisesExtensionAttributes,proxyAddresses,surname,userPrincipalName";
    let asked = s.fake.graph_requests();
    assert_eq!(asked[0], format!("GET /users/delta?$select={all}&$deltatoken=latest"));
    assert_eq!(asked[1], "GET /groups/delta?$select=displayName,id,mail,proxyAddresses,visibility,members");
    assert_eq!(asked[2], format!("GET /users?$select={all}&$top=999"));
    let users = s.reader.users_by_name();
    assert!(!users.contains_key("p1@contoso.example"));
    assert_eq!(users["p0@contoso.example"]["title"], "Clerk");
    assert_eq!(users["p2@contoso.example"]["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["division"], "East");
}

#[test]
fn pitfall_13_the_key_is_the_id_whatever_the_names_do() {
    let s = Setup::new(Tenant::populated(3, 1), "", "");
    s.cycle();
    let before = s.reader.user("p1@contoso.example").unwrap()["id"].clone();
    {
        let mut tenant = s.fake.tenant();
        tenant.set(&user_id(1), "userPrincipalName", "married@contoso.example");
        tenant.set(&user_id(1), "mail", "married@contoso.example");
    }
    s.cycle();
    s.expect_as_tenant();
    let after = s.reader.user("married@contoso.example").unwrap();
    assert_eq!((after["id"].clone(), after["externalId"].as_str()), (before, Some(user_id(1).as_str())));
    assert_eq!(s.reader.users().len(), 3);
}

#[test]
fn groups_arrive_in_slices_on_scattered_pages() {
    let mut tenant = Tenant::populated(120, 4);
    tenant.unruly = true;
    tenant.delta_page = 3;
    tenant.devices.insert("d-1".to_owned());
    tenant.join(&group_id(0), "d-1");
    let s = Setup::new(tenant, "", "");
    s.cycle();
    s.expect_as_tenant();
    assert!(s.paths().iter().filter(|p| *p == "GET /groups/delta").count() > 10, "{:?}", s.paths());
}

#[test]
fn guests_rooms_and_the_disabled() {
    let mut tenant = Tenant::populated(4, 0);
    tenant.set(&user_id(0), "userPrincipalName", "jane_partner.example#EXT#@contoso.example");
    tenant.set(&user_id(0), "mail", json!(null));
    tenant.set(&user_id(1), "accountEnabled", false);
    tenant.set(&user_id(2), "accountEnabled", json!(null));
    let s = Setup::new(tenant, "", "[sync.user_id]\nfrom = [\"mail\", \"userPrincipalName\"]\n");
    s.cycle();
    let names = |s: &Setup| s.active().into_iter().collect::<Vec<_>>();
    assert_eq!(names(&s), ["jane@partner.example", "p2@contoso.example", "p3@contoso.example"]);
    // Rooms and shared mailboxes live with sign-in disabled.
    s.configure("", "[sync.scope]\ndisabled = \"ignore\"\n[sync.user_id]\nfrom = [\"mail\", \"userPrincipalName\"]\n");
    s.cycle();
    assert_eq!(names(&s), ["jane@partner.example", "p1@contoso.example", "p2@contoso.example", "p3@contoso.example"]);
}

#[test]
fn managers_come_along_where_the_mapping_wants_them() {
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let sync = format!("[sync.map.user]\n\"{ENTERPRISE}:manager\" = \"[manager]\"\n");
    let mut tenant = Tenant::populated(3, 0);
    tenant.set_manager(&user_id(0), Some(&user_id(1)));
    let s = Setup::new(tenant, "", &sync);
    s.cycle();
    assert!(s.fake.graph_requests()[0].contains(",manager&"), "{:?}", s.fake.graph_requests());
    assert!(s.fake.graph_requests().iter().any(|r| r.contains("$expand=manager($select=id)")));
    let id = |n: usize| s.reader.user(&format!("p{n}@contoso.example")).unwrap()["id"].clone();
    let manager = || s.reader.user("p0@contoso.example").unwrap()[ENTERPRISE]["manager"]["value"].clone();
    assert_eq!(manager(), id(1));
    s.fake.tenant().set_manager(&user_id(0), Some(&user_id(2)));
    assert_eq!(s.cycle(), "incremental");
    assert_eq!(manager(), id(2));
}

/// A tenant that has no `$deltatoken=latest`, no change feed at all, no batches, no recycle bin.
#[test]
fn a_service_that_lacks_something_is_read_another_way() {
    for (latest, delta, batch) in [(false, true, true), (true, false, true), (false, false, false)] {
        let mut tenant = Tenant::populated(150, 25);
        (tenant.has_latest, tenant.has_delta, tenant.has_batch, tenant.has_deleted_items) = (latest, delta, batch, false);
        tenant.unruly = true;
        let s = Setup::new(tenant, "", "");
        s.cycle();
        s.expect_as_tenant();
        {
            let mut tenant = s.fake.tenant();
            tenant.set(&user_id(7), "displayName", "Another");
            tenant.soft_delete(&user_id(8));
            tenant.leave(&group_id(1), &user_id(1));
        }
        assert_eq!(s.cycle(), if delta { "incremental" } else { "full" });
        s.expect_as_tenant();
        assert_eq!(s.reader.user("p7@contoso.example").unwrap()["displayName"], "Another");
    }
}

#[test]
fn groups_that_hide_their_members_are_left_out_rather_than_emptied() {
    let mut tenant = Tenant::populated(10, 2);
    tenant.groups.get_mut(&group_id(1)).unwrap().props.insert("visibility".to_owned(), json!("HiddenMembership"));
    let s = Setup::new(tenant, "", "");
    let run = s.sync().expect(0);
    assert!(run.stderr.contains("Member.Read.Hidden"), "{}", run.stderr);
    assert_eq!(s.memberships().keys().collect::<Vec<_>>(), ["Group 0"]);
    s.fake.tenant().leave(&group_id(1), &user_id(1));
    s.cycle();
    assert_eq!(s.memberships().keys().collect::<Vec<_>>(), ["Group 0"]);
    s.fake.tenant().permissions.insert("Member.Read.Hidden".to_owned());
    assert_eq!(s.cycle(), "full");
    s.expect_as_tenant();
}

#[test]
fn a_group_that_hides_its_members_from_now_on_stays_as_it_was() {
    let s = Setup::new(Tenant::populated(12, 3), "", "");
    s.cycle();
    s.fake.tenant().groups.get_mut(&group_id(1)).unwrap().props.insert("visibility".to_owned(), json!("HiddenMembership"));
    let cycle = s.world.run(&["sync", "--full", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[]), "nobody said that it is gone");
    assert_eq!(s.reader.memberships()["Group 1"].len(), 4);
}

/// The parts of a group are on any pages of the first round.
#[test]
fn a_first_round_in_slices_is_read_again_without_a_change() {
    let mut tenant = Tenant::populated(120, 4);
    tenant.unruly = true;
    tenant.delta_page = 3;
    let s = Setup::new(tenant, "", "");
    s.cycle();
    s.expect_as_tenant();
    let cycle = s.world.run(&["sync", "--full", "--json"]).expect(0).cycle();
    assert_eq!((cycle["read"].as_str(), changes(&cycle)), (Some("full"), expected(&[])));
    {
        let mut tenant = s.fake.tenant();
        for n in 0..30 {
            tenant.leave(&group_id(n % 4), &user_id(n));
            tenant.join(&group_id((n + 1) % 4), &user_id(n));
        }
        tenant.delete_group(&group_id(3));
    }
    let cycle = s.world.run(&["sync", "--full", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle)["group_delete"], 1);
    s.expect_as_tenant();
}
