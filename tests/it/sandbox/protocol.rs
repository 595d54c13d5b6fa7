//! Resources, versions, tokens, media types, discovery.

use super::{ENTERPRISE, GROUP, Talk, USER, said};
use reqwest::Method;
use scim_sync::sandbox::{Behaviour, Options};
use serde_json::{Value, json};

#[tokio::test]
async fn a_created_user_has_id_meta_location_and_etag() {
    let talk = Talk::new();
    let created = talk
        .post(
            "/Users",
            json!({
                "schemas": [USER], "id": "mine", "meta": {"version": "x"}, "USERNAME": "ada@example.org",
                "active": true, "nickName": null, "emails": [], "name": {"givenName": "Ada", "familyName": null},
                "groups": [{"value": "x"}], "password": "s3cret",
            }),
        )
        .await;
    let location = created.header("location").to_owned();
    assert_eq!(created.header("etag"), "W/\"1\"");
    assert_eq!(created.header("content-type"), "application/scim+json");
    let user = created.ok(201);
    assert_eq!(user["schemas"], json!([USER]));
    assert_eq!(user["userName"], "ada@example.org");
    assert_eq!(user["name"], json!({"givenName": "Ada"}));
    for absent in ["USERNAME", "nickName", "emails", "groups", "password"] {
        assert!(user.get(absent).is_none(), "{absent}");
    }
    assert_ne!(user["id"], "mine");
    assert_eq!(user["meta"]["resourceType"], "User");
    assert_eq!(user["meta"]["version"], "W/\"1\"");
    assert_eq!(user["meta"]["created"], user["meta"]["lastModified"]);
    assert_eq!(user["meta"]["location"], location);
    let id = user["id"].as_str().unwrap();
    assert_eq!(location, format!("{}/Users/{id}", talk.sandbox.base_url));
    assert_eq!(talk.get(&format!("/Users/{id}")).await.ok(200), user);
    assert_eq!(talk.sandbox.users(), [user]);
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_refused() {
    let talk = Talk::new();
    let refused = async |more: Value, scim_type: &str| {
        let mut body = json!({"schemas": [USER], "userName": "a"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        talk.post("/Users", body).await.refused(400, scim_type);
    };
    refused(json!({"active": "True"}), "invalidValue").await;
    refused(json!({"userName": ""}), "invalidValue").await;
    refused(json!({"userName": null}), "invalidValue").await;
    refused(json!({"userName": 7}), "invalidValue").await;
    refused(json!({"username": "twice"}), "invalidSyntax").await;
    refused(json!({"favouriteColour": "red"}), "invalidSyntax").await;
    refused(json!({"name": {"nick": "x"}}), "invalidSyntax").await;
    refused(json!({"name": "Ada"}), "invalidValue").await;
    refused(json!({"emails": {"value": "a@b.c"}}), "invalidValue").await;
    refused(json!({"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}), "invalidValue").await;
    refused(json!({"x509Certificates": [{"value": "not base64!"}]}), "invalidValue").await;
    refused(json!({"schemas": ["urn:example:Other"]}), "invalidSyntax").await;
    refused(json!({"schemas": "x"}), "invalidValue").await;
    refused(json!({"schemas": []}), "invalidSyntax").await;
    refused(json!({"urn:example:Other": {"a": 1}}), "invalidSyntax").await;
    refused(json!({(ENTERPRISE): {"department": "Sales"}}), "invalidSyntax").await;
    refused(json!({"schemas": [USER, ENTERPRISE], (ENTERPRISE): {"manager": "42"}}), "invalidValue").await;
    talk.post("/Users", json!({"userName": "a"})).await.refused(400, "invalidSyntax");
    talk.post("/Users", json!([])).await.refused(400, "invalidSyntax");
    talk.post("/Groups", json!({"schemas": [GROUP]})).await.refused(400, "invalidValue");
    assert_eq!(talk.sandbox.users().len(), 0);
}

#[tokio::test]
async fn user_names_are_unique_without_regard_to_case() {
    let talk = Talk::new();
    let first = talk.user("Ada@Example.org", json!({"externalId": "1"})).await;
    let second = talk.user("grace@example.org", json!({"externalId": "1"})).await;
    let body = json!({"schemas": [USER], "userName": "ADA@example.ORG"});
    talk.post("/Users", body.clone()).await.refused(409, "uniqueness");
    let path = format!("/Users/{second}");
    talk.send(Method::PUT, &path, &body).await.refused(409, "uniqueness");
    talk.patch(&path, json!([{"op": "replace", "path": "userName", "value": "ada@example.org"}]))
        .await
        .refused(409, "uniqueness");
    // Its own name in another case is no conflict, and a name that became free can be taken.
    talk.send(Method::PUT, &format!("/Users/{first}"), &body).await.ok(200);
    talk.send(Method::DELETE, &format!("/Users/{first}"), &Value::Null).await.ok(204);
    talk.send(Method::PUT, &path, &body).await.ok(200);
    assert_eq!(talk.ask("/Users", &[("filter", "userName eq \"grace@example.org\"")]).await.ok(200)["totalResults"], 0);
}

#[tokio::test]
async fn put_replaces_everything_and_never_creates() {
    let talk = Talk::new();
    let id = talk.user("ada", json!({"title": "Countess", (ENTERPRISE): {"department": "R&D"}})).await;
    let path = format!("/Users/{id}");
    let body = json!({"schemas": [USER], "userName": "ada", "id": "ignored", "active": false});
    let user = talk.send(Method::PUT, &path, &body).await.ok(200);
    assert_eq!((&user["id"], &user["active"]), (&json!(id), &json!(false)));
    assert!(user.get("title").is_none() && user.get(ENTERPRISE).is_none());
    assert_eq!(user["schemas"], json!([USER]));
    assert_eq!(user["meta"]["version"], "W/\"2\"");
    let unknown = "/Users/00000000-0000-4000-8000-000000000000";
    talk.send(Method::PUT, unknown, &body).await.refused(404, "");
    talk.patch(unknown, json!([{"op": "remove", "path": "title"}])).await.refused(404, "");
    talk.send(Method::DELETE, unknown, &Value::Null).await.refused(404, "");
    talk.get(&format!("/Users/{}", id.to_uppercase())).await.refused(404, "");
    talk.get(&format!("/Groups/{id}")).await.refused(404, "");
}

#[tokio::test]
async fn versions_guard_writes_and_spare_reads() {
    let talk = Talk::new();
    let id = talk.user("ada", json!({})).await;
    let path = format!("/Users/{id}");
    let body = json!({"schemas": [USER], "userName": "ada", "title": "x"});
    let with = |method, tag: &str| {
        let request = talk.request(method, &path).header("if-match", tag).header("content-type", "application/scim+json");
        said(request.body(body.to_string()))
    };
    with(Method::PUT, "W/\"9\"").await.refused(412, "");
    with(Method::DELETE, "W/\"9\"").await.refused(412, "");
    assert_eq!(with(Method::PUT, "W/\"9\", W/\"1\"").await.header("etag"), "W/\"2\"");
    // Writing what is there already changes nothing.
    assert_eq!(with(Method::PUT, "*").await.header("etag"), "W/\"2\"");
    let unchanged = said(talk.request(Method::GET, &path).header("if-none-match", "W/\"2\"")).await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, "W/\"2\""));
    said(talk.request(Method::GET, &path).header("if-none-match", "W/\"1\"")).await.ok(200);
    with(Method::DELETE, "\"2\"").await.ok(204);
}

#[tokio::test]
async fn only_the_token_opens_the_door() {
    let talk = Talk::new();
    let without = said(talk.outside(Method::GET, "/scim/v2/Users")).await;
    assert!(without.header("www-authenticate").starts_with("Bearer"));
    without.refused(401, "");
    said(talk.outside(Method::GET, "/scim/v2/Users").bearer_auth("wrong")).await.refused(401, "");
    // What the server can do may be asked without a token, but not with a wrong one.
    said(talk.outside(Method::GET, "/scim/v2/ServiceProviderConfig")).await.ok(200);
    said(talk.outside(Method::GET, "/scim/v2/ServiceProviderConfig").bearer_auth("wrong")).await.refused(401, "");
    talk.get("/Users").await.ok(200);
    said(talk.outside(Method::PUT, "/_sandbox/token").body("{\"token\": \"new\"}")).await.ok(204);
    talk.get("/Users").await.refused(401, "");
    said(talk.outside(Method::GET, "/scim/v2/Users").header("authorization", "bearer new")).await.ok(200);
    let shown = format!("{:?}", talk.sandbox);
    assert!(!shown.contains(&talk.sandbox.token), "{shown}");
}

#[tokio::test]
async fn places_methods_and_media_types() {
    let talk = Talk::new();
    talk.get("/Nothing").await.refused(404, "");
    talk.get("/Users/a/b").await.refused(404, "");
    talk.get("/Me").await.refused(501, "");
    talk.post("/Bulk", json!({})).await.refused(501, "");
    let not_allowed = talk.send(Method::PATCH, "/Users", &json!({})).await;
    assert_eq!(not_allowed.header("allow"), "GET, POST");
    not_allowed.refused(405, "");
    talk.post("/Schemas", json!({})).await.refused(405, "");
    let body = json!({"schemas": [USER], "userName": "a"}).to_string();
    let as_media = |media: &str| said(talk.request(Method::POST, "/Users").header("content-type", media).body(body.clone()));
    as_media("text/plain").await.refused(415, "");
    as_media("application/json; charset=utf-8").await.ok(201);
    let broken = talk.request(Method::POST, "/Users").header("content-type", "application/scim+json").body("{\"userName\":");
    said(broken).await.refused(400, "invalidSyntax");
    said(talk.outside(Method::GET, "/elsewhere")).await.refused(404, "");
    talk.get("/Users/").await.ok(200);
}

#[tokio::test]
async fn discovery_describes_what_is_served() {
    let talk = Talk::new();
    let schemas = talk.get("/Schemas").await.ok(200);
    assert_eq!(schemas["totalResults"], 3);
    let user = talk.get(&format!("/Schemas/{USER}")).await.ok(200);
    let attr = |name: &str| user["attributes"].as_array().unwrap().iter().find(|attr| attr["name"] == name).unwrap().clone();
    assert_eq!(attr("userName")["uniqueness"], "server");
    assert_eq!((&attr("userName")["caseExact"], &attr("userName")["required"]), (&json!(false), &json!(true)));
    assert_eq!((&attr("password")["mutability"], &attr("password")["returned"]), (&json!("writeOnly"), &json!("never")));
    assert_eq!((&attr("groups")["mutability"], &attr("emails")["multiValued"]), (&json!("readOnly"), &json!(true)));
    let types = talk.get("/ResourceTypes/User").await.ok(200);
    assert_eq!(types["schemaExtensions"], json!([{"schema": ENTERPRISE, "required": false}]));
    assert_eq!(types["endpoint"], "/Users");
    talk.get("/ResourceTypes/Printer").await.refused(404, "");
    talk.get("/Schemas?filter=id%20pr").await.refused(403, "");
    let config = talk.get("/ServiceProviderConfig").await.ok(200);
    assert_eq!((&config["patch"]["supported"], &config["bulk"]["supported"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn an_application_with_limits_has_them() {
    let behaviour = Behaviour {
        patch: false,
        filter: false,
        groups: false,
        user_name_immutable: true,
        default_page: 2,
        max_page: 2,
        user_attributes: vec!["name.givenname".into(), "emails".into(), format!("{}:department", ENTERPRISE.to_lowercase())],
        ..Behaviour::default()
    };
    let talk = Talk::start(Options { behaviour, ..Options::default() });
    let id = talk.user("a", json!({"name": {"givenName": "A"}, (ENTERPRISE): {"department": "x"}, "externalId": "1"})).await;
    let put = json!({"schemas": [USER], "userName": "b"});
    talk.send(Method::PUT, &format!("/Users/{id}"), &put).await.refused(400, "mutability");
    talk.patch(&format!("/Users/{id}"), json!([{"op": "remove", "path": "name"}])).await.refused(501, "");
    talk.ask("/Users", &[("filter", "userName eq \"a\"")]).await.refused(501, "");
    talk.get("/Groups").await.refused(404, "");
    for unknown in [json!({"title": "x"}), json!({"name": {"familyName": "x"}}), json!({(ENTERPRISE): {"division": "x"}})] {
        let mut body = json!({"schemas": [USER, ENTERPRISE], "userName": "c"});
        body.as_object_mut().unwrap().extend(unknown.as_object().unwrap().clone());
        talk.post("/Users", body).await.refused(400, "invalidSyntax");
    }
    for name in ["b", "c"] {
        talk.user(name, json!({})).await;
    }
    let page = talk.get("/Users?count=50").await.ok(200);
    assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(3), &json!(2)));
    let schema = talk.get(&format!("/Schemas/{USER}")).await.ok(200);
    let names: Vec<&str> = schema["attributes"].as_array().unwrap().iter().map(|attr| attr["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["userName", "name", "active", "emails"]);
    assert_eq!(talk.get("/ResourceTypes").await.ok(200)["totalResults"], 1);
}

#[tokio::test]
async fn refused_values_are_refused_anywhere() {
    let behaviour = Behaviour { refuse: vec!["bad".into()], ..Behaviour::default() };
    let talk = Talk::start(Options { behaviour, ..Options::default() });
    let id = talk.user("good", json!({})).await;
    let refused = talk.post("/Users", json!({"schemas": [USER], "userName": "a", "emails": [{"value": "x@bad.example"}]})).await;
    assert_eq!(refused.body["detail"], "value not allowed");
    refused.refused(400, "invalidValue");
    let patch = json!([{"op": "replace", "path": "name.givenName", "value": "notbad"}]);
    talk.patch(&format!("/Users/{id}"), patch).await.refused(400, "invalidValue");
    assert_eq!(talk.sandbox.users()[0].get("name"), None);
}

#[tokio::test]
async fn the_counters_count() {
    let talk = Talk::new();
    let id = talk.user("<b>", json!({})).await;
    talk.get("/Users").await.ok(200);
    talk.post("/Users/.search", json!({})).await.ok(200);
    talk.patch(&format!("/Users/{id}"), json!([{"op": "zap"}])).await.refused(400, "invalidSyntax");
    let state = said(talk.outside(Method::GET, "/_sandbox")).await.ok(200);
    assert_eq!((&state["users"], &state["groups"], &state["writes"]), (&json!(1), &json!(0), &json!(2)));
    assert_eq!(state["requests"], json!({"POST": 2, "GET": 1, "PATCH": 1}));
    let last = state["last"].as_array().unwrap().last().unwrap();
    assert_eq!(last, &json!({"method": "PATCH", "path": format!("/scim/v2/Users/{id}"), "status": 400}));
    assert_eq!(talk.sandbox.counts().of("POST"), 2);
    let page = talk.outside(Method::GET, "/").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("&lt;b&gt;") && !page.contains("<td><b>"), "{page}");
    said(talk.outside(Method::POST, "/_sandbox/reset-counters")).await.ok(204);
    let state = said(talk.outside(Method::GET, "/_sandbox")).await.ok(200);
    assert_eq!((&state["requests"], &state["last"], &state["users"]), (&json!({}), &json!([]), &json!(1)));
}
