//! Writes that are refused, ignored or lost.

use super::*;

/// A server with one resource, whose PATCH does what `patch` says.
pub(super) async fn one_resource(
    resource: Value,
    patch: impl Fn(&mut Value, &Value) -> ResponseTemplate + Send + Sync + 'static,
) -> (MockServer, Arc<Mutex<Value>>) {
    let server = MockServer::start().await;
    let state = Arc::new(Mutex::new(resource));
    let (a, b, c) = (Arc::clone(&state), Arc::clone(&state), Arc::clone(&state));
    Mock::given(method("PATCH"))
        .respond_with(By(move |r: &Request| patch(&mut a.lock().unwrap(), &r.body_json().unwrap())))
        .mount(&server)
        .await;
    Mock::given(method("GET")).respond_with(By(move |_: &Request| json_body(200, &b.lock().unwrap()))).mount(&server).await;
    Mock::given(method("PUT"))
        .respond_with(By(move |r: &Request| {
            *c.lock().unwrap() = r.body_json().unwrap();
            ResponseTemplate::new(200)
        }))
        .mount(&server)
        .await;
    (server, state)
}

pub(super) fn operations(body: &Value) -> Vec<Value> {
    body["Operations"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_patch_without_effect_is_tried_in_other_forms_and_remembered() {
    // Understands whole arrays only, answers 204 to everything.
    let resource =
        json!({"schemas": [USER], "id": "1", "emails": [{"type": "work", "value": "old"}, {"type": "home", "value": "h"}]});
    let (server, state) = one_resource(resource, |state, body| {
        for op in operations(body) {
            if op["path"] == "emails" {
                state["emails"] = op["value"].clone();
            }
        }
        ResponseTemplate::new(204)
    })
    .await;
    let (target, _, writer) = connect(&config(&server));
    let from = flat(&[(WORK, json!("old"))]);
    writer.update(User, &id("1"), &from, &flat(&[(WORK, json!("new"))])).await.unwrap();
    assert_eq!(
        state.lock().unwrap()["emails"],
        json!([{"type": "work", "value": "new"}, {"type": "home", "value": "h"}]),
        "foreign elements stay"
    );
    let before = target.requests().write;
    writer.update(User, &id("1"), &flat(&[(WORK, json!("new"))]), &flat(&[(WORK, json!("newer"))])).await.unwrap();
    assert_eq!(target.requests().write - before, 1, "the form that works is remembered");
    assert_eq!(state.lock().unwrap()["emails"][0]["value"], "newer");
}

#[tokio::test]
async fn put_is_the_last_form_and_then_it_is_said() {
    let (server, state) =
        one_resource(json!({"id": "1", "title": "old", "nickName": "kept"}), |_, _| ResponseTemplate::new(202)).await;
    let (_, _, writer) = connect(&config(&server));
    writer.update(User, &id("1"), &flat(&[("title", json!("old"))]), &flat(&[("title", json!("new"))])).await.unwrap();
    let now = state.lock().unwrap().clone();
    assert_eq!((&now["title"], &now["nickName"]), (&json!("new"), &json!("kept")));

    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(json_body(200, &json!({"id": "1", "title": "old"}))).mount(&server).await;
    Mock::given(method("PATCH")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let (_, _, writer) = connect(&config(&server));
    let error =
        writer.update(User, &id("1"), &flat(&[("title", json!("old"))]), &flat(&[("title", json!("new"))])).await.unwrap_err();
    assert_eq!(error.fault, Fault::Invalid);
    assert!(error.to_string().contains("did not apply title"), "{error}");
    // One odd record changes nothing for the others: PATCH by path comes first again.
    let before = count(&server).await;
    let _ = writer.update(User, &id("2"), &Flat::new(), &flat(&[("title", json!("x"))])).await;
    assert_eq!(server.received_requests().await.unwrap()[before].method.as_str(), "PATCH");
}

#[tokio::test]
async fn a_bad_value_is_refused_once() {
    let (server, _) = one_resource(json!({"id": "1", "title": "old"}), |_, _| {
        json_body(400, &json!({"scimType": "invalidValue", "detail": "too long", "status": 400}))
    })
    .await;
    let (target, _, writer) = connect(&config(&server));
    let error =
        writer.update(User, &id("1"), &Flat::new(), &flat(&[("title", json!("x")), (WORK, json!("y"))])).await.unwrap_err();
    assert_eq!((error.fault, error.scim_type.as_deref()), (Fault::Invalid, Some("invalidValue")));
    assert_eq!((target.requests().write, target.requests().read), (1, 0));
}

#[tokio::test]
async fn patch_answered_405_means_put_from_then_on() {
    let (server, state) = one_resource(json!({"id": "1", "title": "old"}), |_, _| ResponseTemplate::new(405)).await;
    let (target, _, writer) = connect(&config(&server));
    for n in 0..3 {
        writer.update(User, &id("1"), &Flat::new(), &flat(&[("title", json!(format!("t{n}")))])).await.unwrap();
    }
    assert_eq!(state.lock().unwrap()["title"], "t2");
    assert_eq!(target.requests().write, 1 + 3);
}

#[tokio::test]
async fn an_added_element_is_looked_for_before_it_is_added_again() {
    // The first PATCH is carried out, its answer is lost.
    let (server, state) = one_resource(json!({"id": "1"}), |state, body| {
        let op = &operations(body)[0];
        assert_eq!((op["op"].as_str(), op["path"].as_str()), (Some("add"), Some("emails")));
        let mut emails = state["emails"].as_array().cloned().unwrap_or_default();
        emails.extend(op["value"].as_array().unwrap().clone());
        state["emails"] = json!(emails);
        ResponseTemplate::new(500)
    })
    .await;
    let (target, _, writer) = connect(&config(&server));
    writer.update(User, &id("1"), &Flat::new(), &flat(&[(WORK, json!("w"))])).await.unwrap();
    assert_eq!(state.lock().unwrap()["emails"], json!([{"type": "work", "value": "w", "primary": true}]));
    assert_eq!((target.requests().write, target.requests().retried), (1, 0));
}

#[tokio::test]
async fn members_are_never_added_blindly_twice() {
    let (server, _) = one_resource(json!({"id": "g", "members": []}), |_, _| ResponseTemplate::new(502)).await;
    let (target, _, writer) = connect(&config(&server));
    let error = writer.add_members(&id("g"), &[id("u")]).await.unwrap_err();
    assert!(error.ambiguous, "{error}");
    assert_eq!((target.requests().write, target.requests().retried), (1, 0));
}

#[tokio::test]
async fn members_dropped_at_creation_are_added() {
    let (server, state) = one_resource(json!({"id": "g", "displayName": "G"}), |state, body| {
        state["members"] = operations(body)[0]["value"].clone();
        ResponseTemplate::new(204)
    })
    .await;
    Mock::given(method("POST")).respond_with(json_body(201, &json!({"id": "g", "displayName": "G"}))).mount(&server).await;
    let (_, _, writer) = connect(&config(&server));
    let made = writer.create(Group, &flat(&[("displayName", json!("G"))]), &[id("a"), id("b")]).await.unwrap();
    assert_eq!(made.members(), [id("a"), id("b")]);
    assert_eq!(state.lock().unwrap()["members"], json!([{"value": "a"}, {"value": "b"}]));
}

#[tokio::test]
async fn members_are_removed_where_value_filters_are_not_known() {
    let group = json!({"id": "g", "members": [{"value": "a"}, {"value": "b"}, {"value": "foreign"}]});
    let (server, state) = one_resource(group, |state, body| {
        let ops = operations(body);
        if ops[0]["op"] == "remove" {
            return ResponseTemplate::new(501);
        }
        state["members"] = ops[0]["value"].clone();
        ResponseTemplate::new(204)
    })
    .await;
    let (target, _, writer) = connect(&config(&server));
    writer.remove_members(&id("g"), &[id("a"), id("gone")]).await.unwrap();
    assert_eq!(state.lock().unwrap()["members"], json!([{"value": "b"}, {"value": "foreign"}]));
    let before = target.requests().write;
    writer.remove_members(&id("g"), &[id("b")]).await.unwrap();
    assert_eq!(state.lock().unwrap()["members"], json!([{"value": "foreign"}]));
    assert_eq!(target.requests().write - before, 1, "the form that works is remembered");
}

#[tokio::test]
async fn deletes_are_decided_by_a_read() {
    for (status, there, fault) in [
        (204, true, None),
        (404, false, None),
        (500, false, None),
        (404, true, Some(Fault::Permanent)),
        (500, true, Some(Fault::Transient)),
        (501, true, Some(Fault::Permanent)),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        // The collection is there: only this record may be gone.
        let list = json_body(200, &json!({"totalResults": 0, "Resources": []}));
        Mock::given(method("GET")).and(path("/scim/v2/Users")).respond_with(list).mount(&server).await;
        let read = if there { json_body(200, &json!({"id": "1"})) } else { ResponseTemplate::new(404) };
        Mock::given(method("GET")).respond_with(read).mount(&server).await;
        let result = connect(&config(&server)).2.delete(User, &id("1")).await;
        assert_eq!(result.as_ref().err().map(TargetError::fault), fault, "{status} {there}: {result:?}");
    }
}

#[tokio::test]
async fn gone_is_checked_nothing_is_deleted_where_nothing_is_served() {
    let server = MockServer::start().await;
    Mock::given(path_regex("/")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    let error = connect(&config(&server)).2.delete(User, &id("1")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Permanent);
    assert!(error.message.contains("SCIM base address"), "{error}");
}

#[tokio::test]
async fn a_created_resource_is_found_by_its_location() {
    let server = MockServer::start().await;
    let created = ResponseTemplate::new(201).insert_header("Location", "https://app.example/scim/v2/Users/a%2Fb?x=1");
    Mock::given(method("POST")).respond_with(created).mount(&server).await;
    Mock::given(method("GET"))
        .and(path("/scim/v2/Users/a%2Fb"))
        .respond_with(json_body(200, &json!({"id": "a/b"})))
        .mount(&server)
        .await;
    assert_eq!(connect(&config(&server)).2.create(User, &jdoe(), &[]).await.unwrap().id, id("a/b"));
}

/// Written although it is there already, so that the application passes the account on: a refusal is one.
#[tokio::test]
async fn a_write_that_changes_nothing_can_be_refused() {
    let (server, _) = one_resource(json!({"id": "1", "externalId": "k"}), |_, _| {
        json_body(400, &json!({"status": "400", "detail": "The user belongs to another subscription"}))
    })
    .await;
    let (_, _, writer) = connect(&config(&server));
    let own = flat(&[("externalId", json!("k"))]);
    let refused = writer.update(User, &id("1"), &own, &own).await.unwrap_err();
    assert!(refused.to_string().contains("another subscription"), "{refused}");
}
