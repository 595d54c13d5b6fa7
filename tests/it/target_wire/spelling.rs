//! Targets that take a PATCH only in a spelling of their own, or for users only; and effects that prove nothing.

use super::writes::{one_resource, operations};
use super::*;

fn refused(scim_type: &str) -> ResponseTemplate {
    json_body(400, &json!({"status": "400", "scimType": scim_type}))
}

/// Applies operations with a path, as they come.
fn apply(state: &mut Value, body: &Value) -> ResponseTemplate {
    for op in operations(body) {
        state[op["path"].as_str().unwrap()] = op["value"].clone();
    }
    ResponseTemplate::new(204)
}

fn leave() -> (Flat, Flat) {
    (flat(&[("active", json!(true))]), flat(&[("active", json!(false))]))
}

#[tokio::test]
async fn active_is_written_as_the_target_takes_it() {
    for (off, asks) in [("False", 2), ("false", 3)] {
        let (server, state) = one_resource(json!({"id": "1", "active": true}), move |state, body| {
            if operations(body)[0]["value"] != off { refused("invalidValue") } else { apply(state, body) }
        })
        .await;
        let (target, _, writer) = connect(&config(&server));
        let (from, to) = leave();
        writer.update(User, &id("1"), &from, &to).await.unwrap();
        assert_eq!(state.lock().unwrap()["active"], off);
        assert_eq!((target.requests().write, target.requests().read), (asks, 1));
        // The others, and the next run, do not pay.
        state.lock().unwrap()["active"] = json!("True");
        writer.update(User, &id("2"), &from, &to).await.unwrap();
        assert_eq!((target.requests().write, target.requests().read), (asks + 1, 1));
        let (again, _, writer) = connect(&config(&server));
        again.recall(&target.known());
        writer.update(User, &id("3"), &from, &to).await.unwrap();
        assert_eq!((again.requests().write, again.requests().read), (1, 0));
    }
}

#[tokio::test]
async fn active_that_no_patch_changes_goes_by_put() {
    for scim_type in ["invalidValue", "invalidSyntax"] {
        let (server, state) = one_resource(json!({"id": "1", "active": true, "title": "t"}), move |state, body| {
            if operations(body)[0]["path"] == "active" { refused(scim_type) } else { apply(state, body) }
        })
        .await;
        let (_, _, writer) = connect(&config(&server));
        let (from, to) = leave();
        writer.update(User, &id("1"), &from, &to).await.unwrap();
        let there = state.lock().unwrap();
        assert_eq!((&there["active"], &there["title"]), (&json!(false), &json!("t")));
    }
    // Where there is no PUT either, it is said why PATCH was refused.
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(json_body(200, &json!({"id": "1", "active": true}))).mount(&server).await;
    Mock::given(method("PATCH")).respond_with(refused("invalidValue")).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ResponseTemplate::new(405)).mount(&server).await;
    let (_, _, writer) = connect(&config(&server));
    let (from, to) = leave();
    let error = writer.update(User, &id("1"), &from, &to).await.unwrap_err();
    assert_eq!((error.fault, error.scim_type.as_deref()), (Fault::Invalid, Some("invalidValue")));
}

#[tokio::test]
async fn a_boolean_that_arrived_before_is_refused_for_its_record() {
    let (server, _) = one_resource(json!({"id": "1", "active": true}), |state, body| {
        if state["locked"] == true { refused("invalidValue") } else { apply(state, body) }
    })
    .await;
    let (target, _, writer) = connect(&config(&server));
    let (from, to) = leave();
    writer.update(User, &id("1"), &from, &to).await.unwrap();
    let (again, _, writer) = connect(&config(&server));
    again.recall(&target.known());
    Mock::given(method("PATCH")).respond_with(refused("invalidValue")).with_priority(1).mount(&server).await;
    let error = writer.update(User, &id("2"), &from, &to).await.unwrap_err();
    assert_eq!(error.scim_type.as_deref(), Some("invalidValue"));
    assert_eq!((again.requests().write, again.requests().read), (1, 0), "once, and nothing else is tried");
    assert_eq!(again.known(), target.known());
}

#[tokio::test]
async fn operations_are_written_in_the_case_that_the_target_takes() {
    let (server, state) = one_resource(json!({"id": "1", "title": "old"}), |state, body| {
        if operations(body)[0]["op"] == "replace" { refused("invalidSyntax") } else { apply(state, body) }
    })
    .await;
    let (target, _, writer) = connect(&config(&server));
    let title = |text: &str| flat(&[("title", json!(text))]);
    writer.update(User, &id("1"), &title("old"), &title("new")).await.unwrap();
    assert_eq!(state.lock().unwrap()["title"], "new");
    assert_eq!(target.requests().write, 2);
    writer.update(User, &id("1"), &title("new"), &title("newer")).await.unwrap();
    assert_eq!((target.requests().write, target.requests().read), (3, 1));
    // A syntax error from here on is about the value, whatever is refused.
    Mock::given(method("PATCH")).respond_with(refused("invalidSyntax")).with_priority(1).mount(&server).await;
    let before = target.requests().write;
    writer.update(User, &id("1"), &title("newer"), &title("bad")).await.unwrap_err();
    assert_eq!(target.requests().write - before, 1);
}

/// Wants `Replace` and `"False"`, as the first provisioning services wrote them.
#[tokio::test]
async fn both_spellings_are_found_together() {
    let (server, state) = one_resource(json!({"id": "1", "active": true}), |state, body| {
        let op = operations(body)[0].clone();
        match (op["op"] == "Replace", op["value"] == "False") {
            (true, true) => apply(state, body),
            (true, false) => refused("invalidValue"),
            _ => refused("invalidSyntax"),
        }
    })
    .await;
    let (_, _, writer) = connect(&config(&server));
    let (from, to) = leave();
    writer.update(User, &id("1"), &from, &to).await.unwrap();
    assert_eq!(state.lock().unwrap()["active"], "False");
}

#[tokio::test]
async fn a_target_that_knows_patch_for_users_only_gets_groups_by_put() {
    let server = MockServer::start().await;
    let groups = Arc::new(Mutex::new(json!({"id": "g", "displayName": "old", "members": [{"value": "u"}]})));
    let users = Arc::new(Mutex::new(json!({"id": "1", "title": "old"})));
    let (a, b, c, d) = (Arc::clone(&groups), Arc::clone(&groups), Arc::clone(&users), Arc::clone(&users));
    Mock::given(method("PATCH")).and(path_regex("/Groups/")).respond_with(ResponseTemplate::new(501)).mount(&server).await;
    Mock::given(method("PATCH"))
        .respond_with(By(move |r: &Request| apply(&mut d.lock().unwrap(), &r.body_json().unwrap())))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path_regex("/Groups/"))
        .respond_with(By(move |_: &Request| json_body(200, &a.lock().unwrap())))
        .mount(&server)
        .await;
    Mock::given(method("GET")).respond_with(By(move |_: &Request| json_body(200, &c.lock().unwrap()))).mount(&server).await;
    Mock::given(method("PUT"))
        .respond_with(By(move |r: &Request| {
            *b.lock().unwrap() = r.body_json().unwrap();
            ResponseTemplate::new(200)
        }))
        .mount(&server)
        .await;
    let (target, _, writer) = connect(&config(&server));
    let title = |text: &str| flat(&[("title", json!(text))]);
    writer.update(User, &id("1"), &title("old"), &title("new")).await.unwrap();
    writer.add_members(&id("g"), &[id("v")]).await.unwrap();
    let name = |text: &str| flat(&[("displayName", json!(text))]);
    writer.update_group(&id("g"), (&name("old"), &name("new")), &[], true).await.unwrap();
    let group = groups.lock().unwrap().clone();
    assert_eq!((&group["displayName"], group["members"].as_array().unwrap().len()), (&json!("new"), 2));
    writer.update(User, &id("1"), &title("new"), &title("newer")).await.unwrap();
    assert_eq!(users.lock().unwrap()["title"], "newer", "users are patched as before");
    // The next run knows it.
    let (again, _, writer) = connect(&config(&server));
    again.recall(&target.known());
    writer.update_group(&id("g"), (&name("new"), &name("newest")), &[], true).await.unwrap();
    assert_eq!(again.requests().write, 1);
}

#[tokio::test]
async fn a_change_of_letter_case_proves_nothing() {
    // Answers 204 and never changes a name.
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(json_body(200, &json!({"id": "1", "userName": "Ann@x.example"})))
        .mount(&server)
        .await;
    Mock::given(wiremock::matchers::any()).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let (target, _, writer) = connect(&config(&server));
    let name = |text: &str| flat(&[("userName", json!(text))]);
    writer.update(User, &id("1"), &name("Ann@x.example"), &name("ann@x.example")).await.unwrap();
    assert_eq!(target.known(), scim_sync::target::Known::default());
    let error = writer.update(User, &id("1"), &name("ann@x.example"), &name("beth@x.example")).await.unwrap_err();
    assert!(error.to_string().contains("did not apply userName"), "{error}");
}

#[tokio::test]
async fn what_was_there_before_is_not_looked_at_and_proves_nothing() {
    let (server, _) = one_resource(json!({"id": "1", "externalId": "k"}), |_, _| ResponseTemplate::new(204)).await;
    let (target, _, writer) = connect(&config(&server));
    let key = flat(&[("externalId", json!("k"))]);
    writer.update(User, &id("1"), &key, &key).await.unwrap();
    assert_eq!((target.requests().write, target.requests().read), (1, 0));
    assert_eq!(target.known(), scim_sync::target::Known::default());
}

/// What it does not know it skips, and says 200: that is no spelling that it takes.
#[tokio::test]
async fn a_spelling_is_learned_from_its_effect_only() {
    let (server, state) = one_resource(json!({"id": "1", "active": true, "title": "old"}), |state, body| {
        let op = operations(body)[0].clone();
        match (op["op"] == "replace" && op["path"].is_string(), op["value"] == "bad") {
            (true, false) => apply(state, body),
            (true, true) => json_body(400, &json!({"status": "400"})),
            _ => json_body(200, state),
        }
    })
    .await;
    let (target, _, writer) = connect(&config(&server));
    let title = |text: &str| flat(&[("title", json!(text))]);
    // The last way is a PUT, which takes any value.
    writer.update(User, &id("1"), &title("old"), &title("bad")).await.unwrap();
    let (from, to) = leave();
    let before = target.requests().write;
    writer.update(User, &id("1"), &from, &to).await.unwrap();
    assert_eq!(state.lock().unwrap()["active"], false);
    assert_eq!(target.requests().write - before, 1);
}

/// An answer that passes must not change for good how everything is written.
#[tokio::test]
async fn a_patch_that_is_refused_once_is_sent_the_next_time() {
    let (from, to) = leave();
    for has_put in [true, false] {
        let (server, state) = one_resource(json!({"id": "1", "active": true}), apply).await;
        let (target, _, writer) = connect(&config(&server));
        let once = || Mock::given(method("PATCH")).respond_with(json_body(501, &json!({"status": "501"}))).up_to_n_times(1);
        if has_put {
            // Known to work from an earlier run.
            writer.update(User, &id("1"), &from, &to).await.unwrap();
        } else {
            Mock::given(method("PUT")).respond_with(ResponseTemplate::new(405)).with_priority(1).mount(&server).await;
        }
        state.lock().unwrap()["active"] = json!(true);
        once().with_priority(1).mount(&server).await;
        let (again, _, writer) = connect(&config(&server));
        again.recall(&target.known());
        match writer.update(User, &id("1"), &from, &to).await {
            Ok(_) => assert!(has_put, "who leaves leaves by PUT"),
            Err(refused) => assert_eq!((has_put, refused.status), (false, Some(501)), "{refused}"),
        }
        state.lock().unwrap()["active"] = json!(true);
        let (later, _, writer) = connect(&config(&server));
        later.recall(&again.known());
        writer.update(User, &id("1"), &from, &to).await.unwrap();
        assert_eq!((&state.lock().unwrap()["active"], later.requests().write), (&json!(false), 1), "by one PATCH");
    }
}
