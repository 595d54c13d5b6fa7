//! `check --online`.

use super::Setup;
use crate::support::fake_graph::tenant::{APPLICATION, Tenant, group_id};
use serde_json::Value;

fn source(s: &Setup, code: i32) -> Value {
    s.fake.clear();
    let document = s.world.run(&["check", "--online", "--json"]).expect(code).json();
    let online = document["online"].as_array().unwrap().clone();
    online.into_iter().find(|p| p["name"] == "dir").unwrap_or_else(|| panic!("{document}"))
}

#[test]
fn the_facts_say_what_the_application_may_and_what_it_sees() {
    let mut tenant = Tenant::populated(120, 3);
    tenant.assign(&group_id(0), "");
    let s = Setup::new(tenant, &format!("assigned_to = \"{APPLICATION}\"\n"), "");
    let found = source(&s, 0);
    let fact = |name: &str| found["facts"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(found["ok"], true);
    assert_eq!(
        (fact("people"), fact("groups"), fact("assigned_people"), fact("assigned_groups")),
        ("120".into(), "3".into(), "0".into(), "1".into())
    );
    assert!(fact("permissions").contains("User.Read.All"), "{found}");
    assert_eq!(fact("missing_permissions"), "none");
    assert_eq!(s.sandbox.writes(), 0);
    s.fake.expect_no_offence();
}

#[test]
fn a_missing_permission_is_named() {
    let s = Setup::new(Tenant::populated(5, 1), "", "");
    s.fake.tenant().permissions.remove("GroupMember.Read.All");
    let found = source(&s, 4);
    assert_eq!(found["facts"]["missing_permissions"], "GroupMember.Read.All", "{found}");
    assert!(found["ok"] == false && found["error"].as_str().unwrap().contains("GroupMember.Read.All"), "{found}");
    // Nobody needs groups: nothing is missing but a fact.
    s.configure("", "[sync.actions]\ngroup = []\n");
    let found = source(&s, 0);
    assert!(found["facts"]["missing_permissions"] == "none" && found["facts"].get("warning").is_none(), "{found}");
    assert!(found["ok"] == true && found["facts"]["groups"] == "cannot be read", "{found}");
    s.configure("", "");
    s.fake.tenant().permissions.clear();
    let found = source(&s, 4);
    assert!(found["ok"] == false && found["error"].as_str().unwrap().contains("User.Read.All"), "{found}");
}

#[test]
fn without_its_permission_the_day_of_leaving_is_not_read_as_empty() {
    let (asked, permission) = ("[sync.map.user]\nnickName = \"[employeeLeaveDateTime]\"\n", "User-LifeCycleInfo.Read.All");
    let s = Setup::new(Tenant::populated(5, 1), "", "");
    s.cycle();
    for sync in [asked, "[sync.scope]\nusers = 'not (employeeLeaveDateTime pr)'\n"] {
        s.configure("", sync);
        let failed = s.sync().expect(4).cycle();
        assert!(failed["error"]["message"].as_str().unwrap().contains(permission), "{failed}");
        let found = source(&s, 4);
        assert_eq!(found["facts"]["missing_permissions"], permission, "{found}");
    }
    // A token that says nothing of itself proves nothing.
    s.fake.tenant().opaque = true;
    s.cycle();
    s.fake.tenant().opaque = false;
    for enough in [permission, "User-LifeCycleInfo.ReadWrite.All"] {
        s.fake.tenant().permissions.insert(enough.to_owned());
        s.cycle();
        assert_eq!(source(&s, 0)["facts"]["missing_permissions"], "none");
        s.fake.tenant().permissions.remove(enough);
    }
}

#[test]
fn whoever_cannot_sign_in_learns_why() {
    let s = Setup::new(Tenant::populated(5, 1), "", "");
    s.fake.tenant().secrets.clear();
    let found = source(&s, 4);
    let error = found["error"].as_str().unwrap();
    assert!(error.contains("AADSTS7000215") && error.contains("the secret's Value"), "{error}");
}
