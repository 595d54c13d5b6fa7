//! The fake's answers by Microsoft's metadata, and our requests by the parameters that it knows. Skipped where the
//! specifications are not there: they are not part of the package.

use super::Setup;
use crate::support::fake_graph::tenant::{APPLICATION, Tenant, group_id, user_id};
use crate::support::judges::spec;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Full and incremental cycles, of everybody and of those assigned, with everything that can be selected.
fn cycles() -> Vec<Setup> {
    let mut tenant = Tenant::populated(130, 25);
    tenant.unruly = true;
    tenant.delta_page = 5;
    tenant.set_manager(&user_id(1), Some(&user_id(2)));
    tenant.join(&group_id(0), &group_id(1));
    tenant.roles = vec![("ad000000-0000-4000-8000-000000000000".to_owned(), "admin".to_owned())];
    for n in 0..25 {
        tenant.assign(&group_id(n), "ad000000-0000-4000-8000-000000000000");
    }
    tenant.soft_delete(&user_id(5));
    let mut second = Tenant::populated(30, 25);
    second.assignments = tenant.assignments.clone();
    second.assign(&user_id(29), "");
    let mut third = Tenant::populated(30, 25);
    third.has_delta = false;
    let sync = "[sync.map.user]\nnickName = \"[manager]\"\ntitle = \"[appRoleAssignments]\"\n";
    let all = vec![
        Setup::new(tenant, "", sync),
        Setup::new(second, &format!("assigned_to = \"{APPLICATION}\"\nnested_groups = \"flatten\"\n"), sync),
        Setup::new(third, "", ""),
    ];
    for s in &all {
        s.fake.keep_bodies();
        s.world.run(&["check", "--online", "--json"]).expect(0);
        s.sync().expect(0);
        {
            let mut tenant = s.fake.tenant();
            tenant.purge(&user_id(7));
            tenant.set(&user_id(8), "givenName", json!(null));
            tenant.leave(&group_id(9), &user_id(9));
            tenant.delete_group(&group_id(3));
        }
    }
    all
}

#[test]
fn every_answer_of_the_fake_is_one_that_graph_could_give() {
    let Some(schema) = spec("graph-v1.0-subset.schema.json") else { return };
    let mut judged = BTreeSet::new();
    for s in cycles() {
        s.world.run(&["sync", "--json"]).expect(0);
        for (target, body) in s.fake.bodies() {
            let path = target.split('?').next().unwrap();
            let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
            let name = match parts.as_slice() {
                ["users", "delta"] => "userDelta",
                ["groups", "delta"] => "groupDelta",
                ["users"] | ["directory", ..] => "userCollection",
                ["users", _] => "user",
                ["groups"] => "groupCollection",
                ["groups", _] => "group",
                ["groups", _, "members"] => "directoryObjectCollection",
                ["servicePrincipals"] => "servicePrincipalCollection",
                ["servicePrincipals", ..] => "appRoleAssignmentCollection",
                ["$batch"] => "batchResponse",
                _ => panic!("{target}"),
            };
            judged.insert(name);
            let judge = json!({"$schema": schema["$schema"], "$ref": format!("#/$defs/{name}"), "$defs": schema["$defs"]});
            let validator = jsonschema::validator_for(&judge).unwrap();
            let faults: Vec<String> = validator.iter_errors(&body).map(|e| format!("{} at {}", e, e.instance_path())).collect();
            assert_eq!(faults, [""; 0], "{target}");
        }
    }
    assert!(judged.len() >= 9, "{judged:?}");
}

#[test]
fn every_request_has_parameters_that_graph_knows() {
    let Some(spec) = spec("graph-v1.0-subset.openapi.json") else { return };
    let mut asked = 0;
    for s in cycles() {
        for again in 0..2 {
            if again == 1 {
                s.sync().expect(0);
            }
            for request in s.fake.asked().iter().filter(|a| !a.is_token()) {
                let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
                judge(&spec, &request.method, path, query);
                asked += 1;
                if path == "/$batch" {
                    let body: Value = serde_json::from_str(&request.body).unwrap();
                    for inner in body["requests"].as_array().unwrap() {
                        let url = inner["url"].as_str().unwrap();
                        let (path, query) = url.split_once('?').unwrap_or((url, ""));
                        judge(&spec, "GET", path, query);
                    }
                }
            }
        }
    }
    assert!(asked > 40, "{asked}");
}

#[track_caller]
fn judge(spec: &Value, method: &str, path: &str, query: &str) {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let theirs: Vec<&str> = template.split('/').collect();
        theirs.len() == parts.len() && theirs.iter().zip(&parts).all(|(t, p)| t == p || t.starts_with('{'))
    };
    let paths = spec["paths"].as_object().unwrap();
    let exact = paths.get(path);
    let found = exact.or_else(|| paths.iter().find(|(t, _)| fits(t)).map(|(_, e)| e));
    let entry = found.unwrap_or_else(|| panic!("{method} {path}"));
    let operation = &entry[method.to_lowercase()];
    assert!(operation.is_object(), "{method} {path}");
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    for option in query.split('&').filter(|o| !o.is_empty()) {
        let (name, value) = option.split_once('=').unwrap();
        let known = parameters.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("{path}: {name}"));
        if name == "$top" {
            let number: u64 = value.parse().unwrap();
            let schema = &known["schema"];
            assert!(
                number >= schema["minimum"].as_u64().unwrap_or(1) && number <= schema["maximum"].as_u64().unwrap(),
                "{path}: {number}"
            );
        }
    }
}
