//! Okta's own description of its API judges both sides: what we ask, and what our organisation answers.

use super::{FREE, Setting};
use crate::support::fake_okta::Asked;
use crate::support::judges::spec;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everything that full and incremental cycles ask, with and without an application.
fn conversation() -> Vec<Asked> {
    let s = Setting::new();
    let app = s.okta.org(|o| {
        o.page = Some(2);
        let people: Vec<String> = (0..5).map(|i| o.join(&format!("p{i}"))).collect();
        let groups: Vec<String> =
            (0..3).map(|i| o.group(&format!("Group {i}"), &[&people[i], &people[i + 1], &people[i + 2]])).collect();
        let app = o.app();
        let a = o.apps.get_mut(&app).unwrap();
        a.users.insert(people[0].clone(), json!({"role": "editor"}));
        a.groups.extend(groups);
        app
    });
    s.world.run(&["check", "--online", "--json"]).expect(0);
    s.sync(&[]);
    s.sync(&[]);
    s.configure("system_log = true", FREE);
    s.world.run(&["check", "--online", "--json"]).expect(0);
    s.sync(&[]);
    s.okta.org(|o| {
        let group = o.groups.keys().next().unwrap().clone();
        o.lagging.extend(o.users.keys().cloned().collect::<Vec<_>>());
        o.delete_group(&group);
        o.log.page = Some(3);
        // None of the last minutes: there is more than one page.
        o.ahead += 3600;
    });
    s.sync(&[]);
    s.configure(&format!("assigned_to = \"{app}\""), FREE);
    s.world.run(&["check", "--online", "--json"]).expect(0);
    s.sync(&[]);
    s.okta.org(|o| o.apps.get_mut(&app).unwrap().embeds_nothing = true);
    s.sync(&["--full"]);
    let asked = s.okta.take_asked();
    assert!(asked.len() > 30);
    asked
}

#[test]
fn requests_have_only_what_the_api_knows() {
    let Some(api) = spec("okta-management-subset.json") else { return };
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for asked in conversation() {
        let (template, operations) = find(&api, &asked.path).unwrap_or_else(|| panic!("{} is not in the API", asked.path));
        *kinds.entry(template.to_owned()).or_default() += 1;
        let declared: Vec<Value> = [&operations["parameters"], &operations["get"]["parameters"]]
            .into_iter()
            .flat_map(|list| list.as_array().cloned().unwrap_or_default())
            .map(|p| p["$ref"].as_str().map_or(p.clone(), |r| api.pointer(r.trim_start_matches('#')).unwrap().clone()))
            .collect();
        for (name, value) in &asked.query {
            let parameter = declared.iter().find(|p| p["in"] == "query" && p["name"] == name.as_str());
            let parameter = parameter.unwrap_or_else(|| panic!("{template} knows no {name}"));
            let schema = &parameter["schema"];
            if schema["type"] == "integer" {
                let n: i64 = value.parse().unwrap();
                let (least, most) = bounds(schema);
                assert!(least.is_none_or(|m| n >= m) && most.is_none_or(|m| n <= m), "{template} {name}={n}");
                if template == "/api/v1/logs" {
                    assert_eq!((least, most), (Some(0), Some(1000)), "they are told in words");
                }
            }
            if let Some(words) = schema["enum"].as_array() {
                assert!(words.contains(&json!(value)), "{template} {name}={value}");
            }
            if schema["format"].as_str().is_some_and(|f| f.contains("timestamp")) {
                assert!(value.parse::<jiff::Timestamp>().is_ok(), "{template} {name}={value}");
            }
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

/// The least and the most of an integer: as keywords, or in the words of its format.
fn bounds(schema: &Value) -> (Option<i64>, Option<i64>) {
    let words = schema["format"].as_str().and_then(|f| f.strip_prefix("Integer between ")?.split_once(" and "));
    let (least, most) = words.map_or((None, None), |(least, most)| (least.parse().ok(), most.parse().ok()));
    (schema["minimum"].as_i64().or(least), schema["maximum"].as_i64().or(most))
}

#[test]
fn our_organisation_answers_as_okta_does() {
    let (Some(schemas), Some(api)) = (spec("okta-management-subset.schema.json"), spec("okta-management-subset.json")) else {
        return;
    };
    let mut validators: BTreeMap<String, Validator> = BTreeMap::new();
    for asked in conversation().iter().filter(|a| a.status == 200) {
        let (_, operations) = find(&api, &asked.path).unwrap();
        let root = format!("response.{}", operations["get"]["operationId"].as_str().unwrap());
        let validator = validators.entry(root.clone()).or_insert_with(|| {
            let mut schema = schemas.clone();
            schema["$ref"] = json!(format!("#/$defs/{root}"));
            jsonschema::validator_for(&schema).unwrap()
        });
        let answer: Value = serde_json::from_str(&asked.answer).unwrap();
        let faults: Vec<String> = validator.iter_errors(&answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert_eq!(faults, [""; 0], "{root}: {answer}");
    }
    assert_eq!(validators.len(), 9);
}

/// The path template and its operations.
fn find<'a>(api: &'a Value, path: &str) -> Option<(&'a str, &'a Value)> {
    let fits = |template: &str| {
        let (t, p): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        t.len() == p.len() && t.iter().zip(&p).all(|(t, p)| t.starts_with('{') || t == p)
    };
    let all = api["paths"].as_object()?.iter();
    all.filter(|(t, _)| fits(t)).min_by_key(|(t, _)| t.matches('{').count()).map(|(t, o)| (t.as_str(), o))
}
