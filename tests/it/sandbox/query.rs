//! Lists: filter, pages, order, attributes.

use super::{ENTERPRISE, Talk, USER};
use reqwest::Method;
use serde_json::{Value, json};

async fn people() -> Talk {
    let talk = Talk::new();
    for (name, more) in [
        (
            "Ada@x.org",
            json!({"externalId": "E1", "displayName": "Ada", "active": true,
            "emails": [{"value": "ada@work.org", "type": "work"}, {"value": "ada@home.org", "type": "home"}]}),
        ),
        ("bob@x.org", json!({"externalId": "E2", "displayName": "bob", "active": false, (ENTERPRISE): {"department": "Sales"}})),
        ("cy@y.org", json!({"externalId": "e1", "name": {"familyName": "Ørsted \"Ø\""}, "emails": [{"value": "ADA@work.org"}]})),
    ] {
        talk.user(name, more).await;
    }
    talk
}

/// The userNames that a filter finds.
async fn found(talk: &Talk, filter: &str) -> Vec<String> {
    let list = talk.ask("/Users", &[("filter", filter)]).await.ok(200);
    let names: Vec<String> =
        list["Resources"].as_array().unwrap().iter().map(|user| user["userName"].as_str().unwrap().into()).collect();
    assert_eq!(list["totalResults"], names.len(), "{filter}");
    names
}

#[tokio::test]
async fn filters_find_what_they_should() {
    let talk = people().await;
    let (ada, bob, cy) = ("Ada@x.org", "bob@x.org", "cy@y.org");
    let id = talk.sandbox.users()[1]["id"].as_str().unwrap().to_owned();
    for (filter, expected) in [
        ("userName eq \"ada@X.ORG\"", vec![ada]),
        ("USERNAME Eq \"nobody\"", vec![]),
        ("externalId eq \"E1\"", vec![ada]),
        ("externalId eq \"e2\"", vec![]),
        (&format!("id eq \"{id}\""), vec![bob]),
        ("id eq \"x\"", vec![]),
        ("emails.value eq \"ada@work.org\"", vec![ada, cy]),
        ("emails eq \"ada@work.org\"", vec![ada, cy]),
        ("emails[type eq \"work\" and value eq \"ada@work.org\"]", vec![ada]),
        ("emails[type eq \"home\" and value co \"work\"]", vec![]),
        ("userName sw \"B\" or externalId eq \"e1\"", vec![bob, cy]),
        ("userName eq \"bob@x.org\" and active eq false", vec![bob]),
        ("active eq true", vec![ada]),
        ("not (userName ew \"x.org\")", vec![cy]),
        ("displayName pr", vec![ada, bob]),
        ("name.familyName eq \"ørsted \\\"ø\\\"\"", vec![cy]),
        ("name.familyName sw \"\\u00d8rsted\"", vec![cy]),
        (&format!("{USER}:userName eq \"bob@x.org\""), vec![bob]),
        (&format!("{ENTERPRISE}:department eq \"sales\""), vec![bob]),
        ("meta.created gt \"2020-01-01T00:00:00Z\"", vec![ada, bob, cy]),
        ("groups pr", vec![]),
    ] {
        assert_eq!(found(&talk, filter).await, expected, "{filter}");
    }
    for wrong in [
        "userName",
        "userName eq",
        "colour eq \"red\"",
        "name.colour pr",
        "emails[colour pr]",
        "userName matches \"a\"",
        "userName eq \"a",
    ] {
        talk.ask("/Users", &[("filter", wrong)]).await.refused(400, "invalidFilter");
    }
}

#[tokio::test]
async fn filters_over_memberships() {
    let talk = people().await;
    let ids: Vec<String> = talk.sandbox.users().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect();
    let one = talk.group("One", &[&ids[0], &ids[1]]).await;
    talk.group("Two", &[&ids[1]]).await;
    let count = async |filter: &str| talk.ask("/Groups", &[("filter", filter)]).await.ok(200)["totalResults"].as_u64().unwrap();
    assert_eq!(count(&format!("members eq \"{}\"", ids[1])).await, 2);
    assert_eq!(count(&format!("members.value eq \"{}\"", ids[0])).await, 1);
    assert_eq!(count(&format!("members[value eq \"{}\"]", ids[0])).await, 1);
    assert_eq!(count(&format!("members[value eq \"{}\" and type eq \"User\"]", ids[0])).await, 1);
    assert_eq!(count(&format!("id eq \"{one}\" and members eq \"{}\"", ids[2])).await, 0);
    assert_eq!(count("displayName eq \"two\"").await, 1);
    assert_eq!(count("members.display eq \"bob\"").await, 2);
    assert_eq!(found(&talk, &format!("groups.value eq \"{one}\"")).await, ["Ada@x.org", "bob@x.org"]);
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let talk = Talk::new();
    let mut ids = Vec::new();
    for n in 0..25 {
        ids.push(talk.user(&format!("u{n:02}"), json!({})).await);
    }
    for n in [0, 7, 8, 24] {
        talk.send(Method::DELETE, &format!("/Users/{}", ids[n]), &Value::Null).await.ok(204);
    }
    let page = async |query: &str| {
        let list = talk.get(&format!("/Users?{query}")).await.ok(200);
        let names: Vec<String> =
            list["Resources"].as_array().unwrap().iter().map(|user| user["userName"].as_str().unwrap().into()).collect();
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(21), &json!(names.len())));
        (list["startIndex"].as_u64().unwrap(), names)
    };
    let mut seen = Vec::new();
    while let (_, names) = page(&format!("startIndex={}&count=4", seen.len() + 1)).await
        && !names.is_empty()
    {
        seen.extend(names);
    }
    assert_eq!(seen.len(), 21);
    assert!(seen.is_sorted() && !seen.contains(&"u07".to_owned()));
    // RFC 7644 section 3.4.2.4
    assert_eq!(page("startIndex=-3&count=1").await, (1, vec!["u01".to_owned()]));
    assert_eq!(page("startIndex=0&count=1").await, (1, vec!["u01".to_owned()]));
    assert_eq!(page("count=0").await.1.len(), 0);
    assert_eq!(page("count=-5").await.1.len(), 0);
    assert_eq!(page("startIndex=22").await.1.len(), 0);
    let (_, names) = page("startIndex=2&count=3&filter=userName%20sw%20%22u%22&sortBy=userName&sortOrder=descending").await;
    assert_eq!(names, ["u22", "u21", "u20"]);
    talk.get("/Users?count=many").await.refused(400, "invalidValue");
    talk.get("/Users?sortOrder=sideways").await.refused(400, "invalidValue");
    talk.get("/Users?sortBy=colour").await.refused(400, "invalidPath");
}

#[tokio::test]
async fn order_without_regard_to_case_and_the_absent_last() {
    let talk = people().await;
    let sorted = async |query: &str| {
        let list = talk.get(&format!("/Users?{query}")).await.ok(200);
        list["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["userName"].as_str().unwrap()[..2].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(sorted("sortBy=userName").await, ["Ad", "bo", "cy"]);
    assert_eq!(sorted("sortBy=displayName").await, ["Ad", "bo", "cy"]);
    assert_eq!(sorted("sortBy=displayName&sortOrder=descending").await, ["cy", "bo", "Ad"]);
    assert_eq!(sorted("sortBy=externalId").await, ["Ad", "bo", "cy"]);
    assert_eq!(sorted("sortBy=emails.value&sortOrder=descending").await, ["bo", "Ad", "cy"]);
}

#[tokio::test]
async fn attributes_are_chosen() {
    let talk = people().await;
    let id = talk.sandbox.users()[0]["id"].as_str().unwrap().to_owned();
    talk.group("g", &[&id]).await;
    let path = format!("/Users/{id}");
    let keys = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let some = talk.ask(&path, &[("attributes", "USERNAME, emails.value,emails.type,meta.version")]).await.ok(200);
    assert_eq!(keys(&some), ["schemas", "id", "userName", "emails", "meta"]);
    assert_eq!(some["emails"][1], json!({"value": "ada@home.org", "type": "home"}));
    assert_eq!(some["meta"], json!({"version": "W/\"1\""}));
    let groups = talk.ask(&path, &[("attributes", "groups.display")]).await.ok(200);
    assert_eq!(groups["groups"], json!([{"display": "g"}]));
    let less = talk.ask(&path, &[("excludedAttributes", "id,emails.type,groups,meta,schemas")]).await.ok(200);
    assert_eq!(keys(&less), ["schemas", "id", "userName", "externalId", "displayName", "active", "emails"]);
    assert_eq!(less["emails"], json!([{"value": "ada@work.org"}, {"value": "ada@home.org"}]));
    talk.ask(&path, &[("attributes", "id"), ("excludedAttributes", "meta")]).await.refused(400, "invalidValue");
    let list = talk.get("/Groups?excludedAttributes=members").await.ok(200);
    assert!(list["Resources"][0].get("members").is_none());
    let enterprise = talk.get(&format!("/Users?attributes={ENTERPRISE}:department")).await.ok(200);
    assert_eq!(enterprise["Resources"][1][ENTERPRISE], json!({"department": "Sales"}));
}

#[tokio::test]
async fn search_by_post_and_over_all_types() {
    let talk = people().await;
    talk.group("Adamant", &[]).await;
    let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
    let search = json!({"schemas": schemas, "filter": "displayName sw \"ada\"", "attributes": ["displayName"], "count": 10});
    let users = talk.post("/Users/.search", search.clone()).await.ok(200);
    assert_eq!(users["totalResults"], 1);
    let all = talk.post("/.search", search).await.ok(200);
    let names: Vec<&str> = all["Resources"].as_array().unwrap().iter().map(|one| one["displayName"].as_str().unwrap()).collect();
    assert_eq!(names, ["Ada", "Adamant"]);
    let page = talk.post("/.search", json!({"schemas": schemas, "startIndex": 3, "count": 5})).await.ok(200);
    let kinds: Vec<&str> =
        page["Resources"].as_array().unwrap().iter().map(|one| one["meta"]["resourceType"].as_str().unwrap()).collect();
    assert_eq!((&page["totalResults"], kinds), (&json!(4), vec!["User", "Group"]));
    talk.post("/Users/.search", json!([1])).await.refused(400, "invalidSyntax");
    talk.get("/Users/.search").await.refused(405, "");
}
