//! Groups and their members.

use super::{GROUP, Talk};
use reqwest::Method;
use scim_sync::model::ObjectKind;
use scim_sync::sandbox::{Behaviour, Options};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The ids of a group's members, in order.
async fn members(talk: &Talk, group: &str) -> Vec<String> {
    let group = talk.get(&format!("/Groups/{group}")).await.ok(200);
    let members = group["members"].as_array().cloned().unwrap_or_default();
    members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn members_and_groups_mirror_each_other() {
    let talk = Talk::new();
    let ada = talk.user("ada", json!({"displayName": "Ada L"})).await;
    let inner = talk.group("inner", &[]).await;
    let group = talk.group("math", &[&ada, &inner, &ada]).await;
    let base = &talk.sandbox.base_url;
    let body = talk.get(&format!("/Groups/{group}")).await.ok(200);
    assert_eq!(
        body["members"],
        json!([
            {"value": ada, "$ref": format!("{base}/Users/{ada}"), "display": "Ada L", "type": "User"},
            {"value": inner, "$ref": format!("{base}/Groups/{inner}"), "display": "inner", "type": "Group"},
        ])
    );
    let user = talk.get(&format!("/Users/{ada}")).await.ok(200);
    assert_eq!(
        user["groups"],
        json!([{"value": group, "$ref": format!("{base}/Groups/{group}"), "display": "math", "type": "direct"}])
    );
    // A deleted user leaves its groups, whose version changes; a deleted group leaves its members.
    talk.send(Method::DELETE, &format!("/Users/{ada}"), &Value::Null).await.ok(204);
    let after = talk.get(&format!("/Groups/{group}")).await.ok(200);
    assert_eq!(after["members"].as_array().unwrap().len(), 1);
    assert_ne!(after["meta"]["version"], body["meta"]["version"]);
    let grace = talk.user("grace", json!({})).await;
    talk.patch(&format!("/Groups/{group}"), json!([{"op": "add", "path": "members", "value": [{"value": grace}]}])).await.ok(204);
    talk.send(Method::DELETE, &format!("/Groups/{group}"), &Value::Null).await.ok(204);
    assert!(talk.get(&format!("/Users/{grace}")).await.ok(200).get("groups").is_none());
}

#[tokio::test]
async fn members_are_patched_in_every_form() {
    let talk = Talk::new();
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(talk.user(name, json!({})).await);
    }
    let [a, b, c, d] = [&ids[0], &ids[1], &ids[2], &ids[3]].map(Clone::clone);
    let group = talk.group("g", &[&a]).await;
    let path = format!("/Groups/{group}");
    let patch = async |operations: Value| {
        talk.patch(&path, operations).await.ok(204);
        members(&talk, &group).await
    };
    assert_eq!(
        patch(json!([{"op": "add", "path": "members", "value": [{"value": b}, {"value": a}, {"value": b}]}])).await,
        [&a, &b].map(Clone::clone)
    );
    assert_eq!(patch(json!([{"op": "Add", "path": "members", "value": {"value": c, "type": "User"}}])).await.len(), 3);
    assert_eq!(patch(json!([{"op": "add", "value": {"members": [{"value": d}]}}])).await.len(), 4);
    assert_eq!(
        patch(json!([{"op": "remove", "path": format!("members[value eq \"{a}\"]")}])).await,
        [&b, &c, &d].map(Clone::clone)
    );
    // Removing again what is gone is no error, and changes nothing.
    let before = talk.get(&path).await.ok(200);
    patch(json!([{"op": "remove", "path": format!("members[value eq \"{a}\"]")}])).await;
    assert_eq!(talk.get(&path).await.ok(200), before);
    let both = format!("members[value eq \"{b}\" or value eq \"{c}\"]");
    assert_eq!(patch(json!([{"op": "remove", "path": both}])).await, std::slice::from_ref(&d));
    assert_eq!(
        patch(json!([{"op": "replace", "path": "members", "value": [{"value": a}, {"value": b}]}])).await,
        [&a, &b].map(Clone::clone)
    );
    assert_eq!(patch(json!([{"op": "remove", "path": "members[type eq \"Group\"]"}])).await.len(), 2);
    assert_eq!(
        patch(json!([{"op": "replace", "value": {"displayName": "h", "members": [{"value": c}]}}])).await,
        std::slice::from_ref(&c)
    );
    assert_eq!(talk.get(&path).await.ok(200)["displayName"], "h");
    assert_eq!(patch(json!([{"op": "remove", "path": "members"}])).await.len(), 0);
    let put = json!({"schemas": [GROUP], "displayName": "h", "members": [{"value": d}]});
    assert_eq!(talk.send(Method::PUT, &path, &put).await.ok(200)["members"][0]["value"], d);
    // With attributes asked for, a PATCH answers with them.
    let asked = talk
        .patch(&format!("{path}?attributes=members.value"), json!([{"op": "add", "path": "members", "value": [{"value": a}]}]))
        .await;
    assert_eq!(asked.ok(200)["members"], json!([{"value": d}, {"value": a}]));
}

#[tokio::test]
async fn a_refused_patch_leaves_the_members_as_they_were() {
    let talk = Talk::new();
    let (a, b) = (talk.user("a", json!({})).await, talk.user("b", json!({})).await);
    let group = talk.group("g", &[&a]).await;
    let path = format!("/Groups/{group}");
    let before = talk.get(&path).await.ok(200);
    let refused = async |operation: Value, scim_type: &str| {
        let operations = json!([
            {"op": "remove", "path": "members"},
            {"op": "add", "path": "members", "value": [{"value": b}]},
            {"op": "replace", "path": "displayName", "value": "other"},
            operation,
        ]);
        talk.patch(&path, operations).await.refused(400, scim_type);
        assert_eq!(talk.get(&path).await.ok(200), before);
        assert!(talk.get(&format!("/Users/{b}")).await.ok(200).get("groups").is_none());
        assert!(talk.get(&format!("/Users/{a}")).await.ok(200).get("groups").is_some());
    };
    refused(json!({"op": "add", "path": "members", "value": [{"value": "nobody"}]}), "invalidValue").await;
    refused(json!({"op": "add", "path": "members", "value": [{"value": group}]}), "invalidValue").await;
    refused(json!({"op": "add", "path": "members", "value": [{"value": a, "type": "Group"}]}), "invalidValue").await;
    refused(json!({"op": "add", "path": "members", "value": [{"display": "x"}]}), "invalidValue").await;
    refused(json!({"op": "add", "path": "members", "value": [b]}), "invalidValue").await;
    refused(json!({"op": "remove", "path": "members", "value": [{"value": a}]}), "invalidValue").await;
    refused(json!({"op": "replace", "path": format!("members[value eq \"{b}\"].value"), "value": a}), "mutability").await;
    refused(json!({"op": "remove", "path": "members[shoe eq 1]"}), "invalidFilter").await;
    refused(json!({"op": "remove", "path": "displayName"}), "mutability").await;
}

#[tokio::test]
async fn dialects_of_member_removal() {
    let behaviour =
        Behaviour { remove_with_value: true, remove_must_match: true, members_per_patch: Some(2), ..Behaviour::default() };
    let talk = Talk::start(Options { behaviour, ..Options::default() });
    let (a, b, c) = (talk.user("a", json!({})).await, talk.user("b", json!({})).await, talk.user("c", json!({})).await);
    let group = talk.group("g", &[&a, &b]).await;
    let path = format!("/Groups/{group}");
    talk.patch(&path, json!([{"op": "Remove", "path": "members", "value": [{"value": a}]}])).await.ok(204);
    assert_eq!(members(&talk, &group).await, std::slice::from_ref(&b));
    talk.patch(&path, json!([{"op": "remove", "path": format!("members[value eq \"{a}\"]")}])).await.refused(400, "noTarget");
    let three = json!([{"op": "add", "path": "members", "value": [{"value": a}, {"value": b}, {"value": c}]}]);
    talk.patch(&path, three).await.refused(400, "invalidValue");
    assert_eq!(members(&talk, &group).await, std::slice::from_ref(&b));
}

#[tokio::test]
async fn one_more_member_costs_the_same_in_a_large_group() {
    const SIZE: usize = 3_000;
    let talk = Talk::new();
    let mut ids = Vec::with_capacity(SIZE);
    for n in 0..SIZE {
        ids.push(talk.user(&format!("u{n}"), json!({})).await);
    }
    assert_eq!(talk.sandbox.count(ObjectKind::User), SIZE);
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (small, large) = (talk.group("small", &all[..1]).await, talk.group("large", &all[..SIZE - 1]).await);
    let last = &ids[SIZE - 1];
    let time = async |group: &str| {
        let start = Instant::now();
        for _ in 0..50 {
            let add = json!([{"op": "add", "path": "members", "value": [{"value": last}]}]);
            talk.patch(&format!("/Groups/{group}"), add).await.ok(204);
            let remove = json!([{"op": "remove", "path": format!("members[value eq \"{last}\"]")}]);
            talk.patch(&format!("/Groups/{group}"), remove).await.ok(204);
        }
        start.elapsed()
    };
    let (few, many) = (time(&small).await, time(&large).await);
    assert!(many < few * 5 + Duration::from_millis(200), "{few:?} with one member, {many:?} with {SIZE}");
    assert_eq!(members(&talk, &large).await.len(), SIZE - 1);
}
