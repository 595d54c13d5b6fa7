//! The sandbox behaves as the application of its preset does: what each guide says, tried by hand.

use super::{GROUP, Talk, USER};
use reqwest::Method;
use scim_sync::sandbox::{Behaviour, Options};
use scim_sync::target::presets;
use serde_json::{Value, json};

fn application(preset: &str) -> Talk {
    Talk::start(Options { behaviour: Behaviour::from(&presets::find(preset).unwrap()), ..Options::default() })
}

fn person(name: &str) -> Value {
    json!({"schemas": [USER], "userName": name, "displayName": "A B", "active": true, "externalId": name,
        "name": {"givenName": "A", "familyName": "B"}, "emails": [{"type": "work", "value": "a@x.example", "primary": true}]})
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn made(talk: &Talk, path: &str, body: Value) -> String {
    talk.post(path, body).await.ok(201)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn mews() {
    let talk = application("mews");
    let id = made(&talk, "/Users", person("a@x.example")).await;
    let there = talk.get(&format!("/Users/{id}")).await.ok(200);
    assert!(there.get("displayName").is_none() && there.get("emails").is_none(), "others are ignored: {there}");
    assert_eq!(there["externalId"], "a@x.example");
    for missing in ["active", "name"] {
        let mut body = person("b@x.example");
        body.as_object_mut().unwrap().remove(missing);
        talk.post("/Users", body).await.refused(400, "invalidValue");
    }
    talk.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "userName", "value": "c@x.example"}]))
        .await
        .refused(400, "mutability");
    talk.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "active", "value": false}])).await.ok(200);
    assert_eq!(talk.get(&format!("/Users/{id}")).await.ok(200)["active"], false, "the account is kept");
    made(&talk, "/Groups", json!({"schemas": [GROUP], "displayName": "G", "members": [{"value": id}]})).await;
    talk.post("/Groups", json!({"schemas": [GROUP], "displayName": "H", "externalId": "h"})).await.refused(400, "invalidSyntax");
    talk.post("/Groups", json!({"schemas": [GROUP], "displayName": "G"})).await.refused(409, "uniqueness");
}

#[tokio::test]
async fn mezmo() {
    let talk = application("mezmo");
    let id = made(&talk, "/Users?aadOptscim062020", person("a@x.example")).await;
    talk.post("/Users", person("no-address")).await.refused(400, "invalidValue");
    talk.post("/Groups", json!({"schemas": [GROUP], "displayName": "New"})).await.refused(501, "");
    for old_form in [
        json!([{"op": "Replace", "path": "active", "value": false}]),
        json!([{"op": "replace", "path": "active", "value": "False"}]),
    ] {
        assert_eq!(talk.patch(&format!("/Users/{id}"), old_form.clone()).await.status, 400, "{old_form}");
    }
}

#[tokio::test]
async fn andmoney() {
    for preset in ["andmoney-advisors", "andmoney-rooms"] {
        let talk = application(preset);
        let office = json!({"addresses": [{"type": "work", "formatted": "Building 4"}]});
        made(&talk, "/Users", with(person("a@x.example"), office)).await;
        assert_eq!(talk.get("/Groups").await.status, 404, "{preset} has no groups");
    }
}

#[tokio::test]
async fn aws_identity_center() {
    let talk = application("aws-identity-center");
    let id = made(&talk, "/Users", person("a@x.example")).await;
    for more in [
        json!({"userName": "b", "displayName": "A <B>"}),
        json!({"userName": "b", "name": {"givenName": "A;", "familyName": "B"}}),
        json!({"userName": "b", "emails": [{"type": "work", "value": "b@x.example"}, {"type": "home", "value": "c@x.example"}]}),
        json!({"userName": "b", "photos": [{"value": "https://x.example/p.png"}]}),
        json!({"userName": "b", "name": {"givenName": "A"}}),
    ] {
        assert_eq!(talk.post("/Users", with(person("b"), more.clone())).await.status, 400, "{more}");
    }
    for filter in ["userName co \"a\"", "userName eq \"a\" or userName eq \"b\"", "userName pr"] {
        talk.ask("/Users", &[("filter", filter)]).await.refused(400, "invalidFilter");
    }
    let both = "userName eq \"a@x.example\" and displayName eq \"A B\"";
    assert_eq!(talk.ask("/Users", &[("filter", both)]).await.ok(200)["totalResults"], 1);
    assert_eq!(talk.ask("/Users", &[("count", "1000")]).await.ok(200)["itemsPerPage"].as_u64().unwrap_or(1).min(50), 1);

    let group = format!("/Groups/{}", talk.group("G", &[&id]).await);
    assert!(talk.get(&group).await.ok(200).get("members").is_none(), "members are never shown");
    assert!(talk.get("/Groups").await.ok(200)["Resources"][0].get("members").is_none());
    for all in
        [json!([{"op": "replace", "path": "members", "value": [{"value": id}]}]), json!([{"op": "remove", "path": "members"}])]
    {
        talk.patch(&group, all).await.refused(400, "invalidValue");
    }
    assert_eq!(talk.get(&format!("/Users/{id}")).await.ok(200)["groups"].as_array().unwrap().len(), 1);
    assert!(talk.patch(&group, json!([{"op": "remove", "path": "members", "value": [{"value": id}]}])).await.status < 300);
    assert!(talk.get(&format!("/Users/{id}")).await.ok(200).get("groups").is_none());
    let many: Vec<Value> = (0..101).map(|n| json!({"value": format!("{id}{n}")})).collect();
    assert_eq!(talk.patch(&group, json!([{"op": "add", "path": "members", "value": many}])).await.status, 400);
    let twice = json!([{"op": "replace", "path": "active", "value": false}, {"op": "replace", "path": "active", "value": true}]);
    talk.patch(&format!("/Users/{id}"), twice).await.refused(400, "invalidValue");
}

#[tokio::test]
async fn limits_of_others() {
    let figma = application("figma");
    figma.post("/Users", person(&format!("{}@x.example", "a".repeat(100)))).await.refused(400, "invalidValue");
    figma.post("/Groups", json!({"schemas": [GROUP], "displayName": "g".repeat(256)})).await.refused(400, "invalidValue");
    let github = application("github-enterprise");
    github.post("/Users", person(&format!("{}@x.example", "a".repeat(40)))).await.refused(400, "invalidValue");
    made(&github, "/Users", person(&format!("{}@x.example", "a".repeat(39)))).await;
    let miro = application("miro");
    let members: Vec<Value> = (0..8001).map(|n| json!({"value": n.to_string()})).collect();
    let id = miro.group("G", &[]).await;
    let add = json!([{"op": "add", "path": "members", "value": members}]);
    assert_eq!(miro.patch(&format!("/Groups/{id}"), add).await.status, 413);
    let gitlab = application("gitlab");
    gitlab.ask("/Users", &[("filter", "userName sw \"a\"")]).await.refused(400, "invalidFilter");
    let id = made(&gitlab, "/Users", person("a@x.example")).await;
    gitlab.patch(&format!("/Users/{id}"), json!([{"op": "Replace", "path": "active", "value": "false"}])).await.ok(200);
    assert_eq!(gitlab.send(Method::DELETE, &format!("/Users/{id}"), &Value::Null).await.status, 204);
    assert_eq!(gitlab.get(&format!("/Users/{id}")).await.ok(200)["active"], false, "DELETE blocks");
    let slack = application("slack");
    slack.ask("/Users", &[("filter", "externalId eq \"a\"")]).await.refused(400, "invalidFilter");
    let atlassian = application("atlassian");
    let id = atlassian.group("G", &[]).await;
    let renamed = json!([{"op": "replace", "path": "displayName", "value": "H"}]);
    atlassian.patch(&format!("/Groups/{id}"), renamed).await.refused(400, "mutability");
}
