//! `assigned_to`: only who is assigned to an enterprise application.

use super::Setup;
use crate::support::fake_graph::http::Fault;
use crate::support::fake_graph::tenant::{APPLICATION, Tenant, group_id, user_id};

const ADMIN: &str = "ad000000-0000-4000-8000-000000000000";
const READER: &str = "4ead0000-0000-4000-8000-000000000000";

fn source(more: &str) -> String {
    format!("assigned_to = \"{APPLICATION}\"\n{more}")
}

/// Ten people; 0 to 4 in group 0, 5 and 6 in group 1, which is in group 0; 7 assigned by herself; 8 and 9 not at all.
fn tenant() -> Tenant {
    let mut tenant = Tenant::populated(10, 0);
    tenant.roles = vec![(ADMIN.to_owned(), "admin".to_owned()), (READER.to_owned(), "reader".to_owned())];
    for n in 0..3 {
        tenant.add_group(n);
    }
    for n in 0..5 {
        tenant.join(&group_id(0), &user_id(n));
    }
    tenant.join(&group_id(1), &user_id(5));
    tenant.join(&group_id(1), &user_id(6));
    tenant.join(&group_id(0), &group_id(1));
    tenant.join(&group_id(2), &user_id(9));
    tenant.devices.insert("d-1".to_owned());
    tenant.join(&group_id(0), "d-1");
    tenant.assign(&group_id(0), READER);
    tenant.assign(&user_id(7), "");
    // Assigned twice over: by the group, and directly with two roles.
    tenant.assign(&user_id(1), ADMIN);
    tenant.assign(&user_id(1), READER);
    tenant
}

fn names(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|n| format!("p{n}@contoso.example")).collect()
}

fn active(s: &Setup) -> Vec<String> {
    s.active().into_iter().collect()
}

#[test]
fn pitfall_15_assignments_count_once_and_take_in_direct_members_only() {
    let s = Setup::new(tenant(), &source(""), "");
    s.cycle();
    assert_eq!(active(&s), names(&[0, 1, 2, 3, 4, 7]));
    let groups = s.memberships();
    assert_eq!(groups.keys().collect::<Vec<_>>(), ["Group 0"], "the group inside is not assigned");
    assert_eq!(groups["Group 0"], names(&[0, 1, 2, 3, 4]));
    // One request for the assignments, one for the members of the group, one for whoever is assigned alone, one for the group.
    assert_eq!(s.paths().len(), 4, "{:?}", s.paths());
    s.fake.expect_no_offence();
}

#[test]
fn pitfall_14_flattened_the_people_of_the_groups_inside_count_too() {
    let mut some = tenant();
    some.join(&group_id(1), &group_id(0));
    let s = Setup::new(some, &source("nested_groups = \"flatten\"\n"), "");
    s.cycle();
    assert_eq!(active(&s), names(&[0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(s.memberships()["Group 0"], names(&[0, 1, 2, 3, 4, 5, 6]));
}

#[test]
fn whoever_is_not_assigned_any_more_is_deactivated() {
    let s = Setup::new(tenant(), &source(""), "");
    s.cycle();
    {
        let mut tenant = s.fake.tenant();
        tenant.unassign(&user_id(1));
        tenant.unassign(&user_id(7));
        tenant.leave(&group_id(0), &user_id(2));
        tenant.soft_delete(&user_id(3));
        tenant.set(&user_id(4), "accountEnabled", false);
    }
    s.cycle();
    assert_eq!(active(&s), names(&[0, 1]), "1 is a member of the group all the same");
    assert_eq!(s.memberships()["Group 0"], names(&[0, 1]));
    assert_eq!(s.reader.user("p7@contoso.example").unwrap()["active"], false);
    {
        let mut tenant = s.fake.tenant();
        tenant.restore(&user_id(3));
        tenant.assign(&user_id(7), "");
        tenant.unassign(&group_id(0));
        // That no group at all is left would be held.
        tenant.assign(&group_id(2), "");
    }
    s.cycle();
    assert_eq!(active(&s), names(&[7, 9]));
    assert_eq!(s.memberships().keys().collect::<Vec<_>>(), ["Group 2"]);
    s.fake.expect_no_offence();
}

#[test]
fn roles_come_along_where_the_mapping_wants_them() {
    for manager in ["", "displayName = \"[displayName]\"\nnickName = \"[manager]\"\n"] {
        let mut some = tenant();
        some.set_manager(&user_id(1), Some(&user_id(0)));
        let sync = format!("[sync.map.user]\ntitle = 'Join(\",\", [appRoleAssignments])'\n{manager}");
        let s = Setup::new(some, &source(""), &sync);
        s.cycle();
        let title = |n: usize| s.reader.user(&format!("p{n}@contoso.example")).unwrap()["title"].clone();
        assert_eq!((title(0).as_str(), title(7).as_str()), (Some("reader"), None));
        let both = title(1);
        assert!(both == "admin,reader" || both == "reader,admin", "{both}");
        if !manager.is_empty() {
            assert_eq!(s.reader.user("p1@contoso.example").unwrap()["nickName"], user_id(0).as_str());
        }
        s.fake.tenant().unassign(&user_id(1));
        s.cycle();
        assert_eq!(title(1), "reader");
    }
}

#[test]
fn many_groups_are_read_in_batches_and_large_ones_by_large_pages() {
    let mut some = Tenant::populated(1300, 45);
    for n in 0..1250 {
        some.join(&group_id(0), &user_id(n));
    }
    for n in 0..45 {
        some.assign(&group_id(n), "");
    }
    let s = Setup::new(some, &source(""), "");
    s.cycle();
    s.expect_as_tenant();
    let batches = s.paths().iter().filter(|p| *p == "POST /$batch").count();
    assert_eq!(batches, 6, "three for the members of 45 groups, three for the groups themselves");
    // The large group: two pages of its own.
    assert_eq!(s.paths().len(), 1 + 6 + 2, "{:?}", s.paths());
}

#[test]
fn pitfall_12_parts_of_a_batch_that_are_refused_are_asked_again() {
    let mut some = Tenant::populated(200, 12);
    for n in 0..12 {
        some.assign(&group_id(n), "");
    }
    let s = Setup::new(some, &source(""), "");
    s.fake.refuse_one_in(6);
    s.cycle();
    s.fake.refuse_one_in(0);
    s.expect_as_tenant();
}

#[test]
fn without_batches_it_goes_one_by_one() {
    let mut some = tenant();
    some.has_batch = false;
    some.assign(&group_id(2), "");
    let s = Setup::new(some, &source(""), "");
    s.cycle();
    assert_eq!(active(&s), names(&[0, 1, 2, 3, 4, 7, 9]));
}

#[test]
fn pitfall_11_members_whose_properties_are_null_for_lack_of_rights_take_nobody_away() {
    let s = Setup::new(tenant(), &source(""), "");
    s.cycle();
    let before = s.reader.users();
    for (permission, says) in [
        ("User.Read.All", "User.Read.All"),
        ("GroupMember.Read.All", "GroupMember.Read.All"),
        ("Application.Read.All", "assigned_to"),
    ] {
        s.fake.tenant().permissions.remove(permission);
        let failed = s.sync().expect(4).cycle();
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains(permission) && message.contains(says), "{message}");
        assert_eq!(s.reader.users(), before);
        s.fake.tenant().permissions.insert(permission.to_owned());
    }
}

#[test]
fn complete_or_nothing_a_404_that_is_not_the_directorys_own_word_takes_nobody_away() {
    // Person 8 makes two of them who are asked for one by one: in a batch. Group 2 the same of groups.
    for together in [false, true] {
        let mut some = tenant();
        if together {
            some.assign(&user_id(8), "");
            some.assign(&group_id(2), "");
        }
        let s = Setup::new(some, &source(""), "");
        s.cycle();
        let before = (s.reader.users(), s.reader.groups());
        let whom =
            [format!("/users/{}?", user_id(7)), format!("/groups/{}?", group_id(0)), format!("/groups/{}/members", group_id(0))];
        for part in whom {
            for fault in [Fault::Page(404), Fault::Status(404, ""), Fault::Status(404, "UnknownError")] {
                s.fake.fail(&part, [fault.clone()]);
                let failed = s.sync().expect(4).cycle();
                let message = failed["error"]["message"].as_str().unwrap();
                assert!(message.contains("Request_ResourceNotFound") && message.contains("proxy"), "{part} {fault:?}: {message}");
                assert!(part.contains(message.split(": ").nth(2).unwrap().trim_start_matches("group ")), "who: {message}");
                assert_eq!((s.reader.users(), s.reader.groups()), before, "{part} {fault:?}");
            }
        }
        // Its members are gone, and it is not.
        s.fake.fail(&format!("/groups/{}/members", group_id(0)), [Fault::Status(404, "Request_ResourceNotFound")]);
        let failed = s.sync().expect(4).cycle();
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains(&group_id(0)) && message.contains("is there"), "{message}");
        assert_eq!((s.reader.users(), s.reader.groups()), before);
        s.cycle();
        assert_eq!((s.reader.users(), s.reader.groups()), before);
    }
}

#[test]
fn an_application_that_is_none_is_explained() {
    let s = Setup::new(tenant(), "assigned_to = \"11111111-2222-3333-4444-555555555555\"\n", "");
    let failed = s.sync().expect(4).cycle();
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("object id of the enterprise application"), "{message}");
}

#[test]
fn role_names_come_by_another_way_where_the_list_does_not_show_them_and_say_so_where_none_does() {
    let s = Setup::new(tenant(), &source(""), "[sync.map.user]\ntitle = 'Join(\",\", [appRoleAssignments])'\n");
    s.fake.fail("/servicePrincipals?", [Fault::Status(400, "Request_UnsupportedQuery")]);
    s.cycle();
    assert_eq!(s.reader.user("p0@contoso.example").unwrap()["title"], "reader");
    let single = format!("/servicePrincipals/{APPLICATION}?");
    s.fake.fail("/servicePrincipals?", [Fault::Status(404, "Request_ResourceNotFound")]);
    s.fake.fail(&single, [Fault::Status(404, "Request_ResourceNotFound")]);
    let failed = s.sync().expect(4).cycle();
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("[appRoleAssignments]") && !message.contains("assigned_to"), "{message}");
}

#[test]
fn complete_or_nothing_an_answer_about_somebody_else_is_none() {
    // Alone, and in a batch.
    for more in [None, Some(user_id(8))] {
        let s = Setup::new(tenant(), &source(""), "");
        if let Some(id) = &more {
            s.fake.tenant().assign(id, "");
        }
        s.cycle();
        let before = s.reader.users();
        s.fake.tenant().impostor = Some((user_id(7), user_id(9)));
        let failed = s.sync().expect(4).cycle();
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains(&user_id(7)) && message.contains("another object"), "{message}");
        assert_eq!(s.reader.users(), before);
    }
}
