//! Targets that take a change only of the version that it names, and those that know only plain JSON.

use super::*;
use std::sync::atomic::AtomicBool;

/// A server with users `1` to `9` that answers `status` to changes without the right If-Match. `shown`: the version stands in the resource; else only in
/// the header.
async fn versioned(status: u16, shown: bool) -> (MockServer, Arc<AtomicUsize>) {
    let server = MockServer::start().await;
    let version = Arc::new(AtomicUsize::new(1));
    let (a, b) = (Arc::clone(&version), Arc::clone(&version));
    Mock::given(method("GET"))
        .respond_with(By(move |r: &Request| {
            let tag = format!("W/\"{}\"", a.load(Ordering::SeqCst));
            let id = r.url.path().rsplit('/').next().unwrap().to_owned();
            let mut user = json!({"schemas": [USER], "id": id, "title": "new", "active": false});
            if shown {
                user["meta"] = json!({"version": tag});
            }
            json_body(200, &user).insert_header("ETag", tag.as_str())
        }))
        .mount(&server)
        .await;
    Mock::given(wiremock::matchers::any())
        .respond_with(By(move |r: &Request| {
            let now = format!("W/\"{}\"", b.load(Ordering::SeqCst));
            if r.headers.get("If-Match").is_none_or(|v| v.to_str().unwrap() != now) {
                return json_body(status, &json!({"status": status.to_string()}));
            }
            b.fetch_add(1, Ordering::SeqCst);
            ResponseTemplate::new(204)
        }))
        .mount(&server)
        .await;
    (server, version)
}

async fn methods(server: &MockServer) -> Vec<String> {
    server.received_requests().await.unwrap().iter().map(|r| r.method.to_string()).collect()
}

#[tokio::test]
async fn a_change_that_is_refused_for_want_of_a_version_is_sent_with_it() {
    for (status, shown) in [(428, true), (412, true), (428, false)] {
        let (server, _) = versioned(status, shown).await;
        let (target, _, writer) = connect(&config(&server));
        let (from, to) = (flat(&[("active", json!(true))]), flat(&[("active", json!(false))]));
        writer.update(User, &id("1"), &from, &to).await.unwrap();
        // The refused one, the version, the change, and the look at its effect.
        assert_eq!(methods(&server).await, ["PATCH", "GET", "PATCH", "GET"], "{status}");
        assert_eq!((target.requests().write, target.requests().retried), (1, 1));
        let begun = count(&server).await;
        writer.update(User, &id("2"), &from, &to).await.unwrap();
        assert_eq!(methods(&server).await[begun..], ["GET", "PATCH"], "from then on the version is asked for first");
        writer.delete(User, &id("3")).await.unwrap();
        writer.delete(Group, &id("g")).await.unwrap();
        assert_eq!(methods(&server).await[begun + 2..], ["GET", "DELETE", "GET", "DELETE"]);
        // The next run knows it.
        let (again, _, writer) = connect(&config(&server));
        again.recall(&target.known());
        let begun = count(&server).await;
        writer.delete(User, &id("4")).await.unwrap();
        assert_eq!(methods(&server).await[begun..], ["GET", "DELETE"]);
    }
}

#[tokio::test]
async fn members_and_whole_resources_go_with_their_version_too() {
    let (server, _) = versioned(428, true).await;
    let (_, _, writer) = connect(&config(&server));
    writer.remove_members(&id("g"), &[id("1")]).await.unwrap();
    let dialect = Dialect { patch: false, ..Dialect::default() };
    let target = Target::new("app", &config(&server)).unwrap();
    let writer = target.writer(&dialect);
    writer.update(User, &id("1"), &flat(&[("title", json!("old"))]), &flat(&[("title", json!("new"))])).await.unwrap();
    assert!(methods(&server).await.contains(&"PUT".to_owned()));
}

#[tokio::test]
async fn what_is_refused_with_a_version_as_well_is_not_about_versions() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(json_body(200, &json!({"id": "1"}))).mount(&server).await;
    Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(412)).mount(&server).await;
    let (target, _, writer) = connect(&config(&server));
    assert_eq!(writer.delete(User, &id("1")).await.unwrap_err().status, Some(412));
    assert_eq!(methods(&server).await, ["DELETE", "GET", "DELETE"]);
    assert_eq!(target.known(), scim_sync::target::Known::default());
}

/// A version that changes between the look and the write is looked at once more.
#[tokio::test]
async fn a_version_that_is_stale_is_read_again() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(json_body(200, &json!({"id": "1", "meta": {"version": "W/\"1\""}})))
        .mount(&server)
        .await;
    let raced = AtomicBool::new(false);
    Mock::given(method("DELETE"))
        .respond_with(By(move |r: &Request| match r.headers.get("If-Match") {
            None => ResponseTemplate::new(428),
            Some(_) if r.url.path().ends_with('2') && !raced.swap(true, Ordering::SeqCst) => ResponseTemplate::new(412),
            Some(_) => ResponseTemplate::new(204),
        }))
        .mount(&server)
        .await;
    let (_, _, writer) = connect(&config(&server));
    writer.delete(User, &id("1")).await.unwrap();
    writer.delete(User, &id("2")).await.unwrap();
    assert_eq!(methods(&server).await, ["DELETE", "GET", "DELETE", "GET", "DELETE", "GET", "DELETE"]);
}

#[tokio::test]
async fn every_request_under_way_is_sent_again_as_plain_json() {
    let server = MockServer::start().await;
    let arrived = Arc::new(AtomicUsize::new(0));
    let all = Arc::clone(&arrived);
    Mock::given(method("POST"))
        .respond_with(By(move |r: &Request| {
            let n = all.fetch_add(1, Ordering::SeqCst);
            if r.headers.get("content-type").is_some_and(|t| t == "application/json") {
                json_body(201, &json!({"schemas": [USER], "id": format!("{n}")}))
            } else {
                // All of them are under way before the first is answered.
                ResponseTemplate::new(415).set_delay(Duration::from_millis(300))
            }
        }))
        .mount(&server)
        .await;
    let (target, _, writer) = connect(&config(&server));
    let user = jdoe();
    let made = futures_join(&writer, &user).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(arrived.load(Ordering::SeqCst), 12);
    let (again, _, writer) = connect(&config(&server));
    again.recall(&target.known());
    writer.create(User, &jdoe(), &[]).await.unwrap();
    assert_eq!(arrived.load(Ordering::SeqCst), 13, "the next run knows it");
}

async fn futures_join(writer: &TargetWriter, user: &Flat) -> Vec<Result<Remote, TargetError>> {
    let one = || writer.create(User, user, &[]);
    let (a, b, c, d, e, f) = tokio::join!(one(), one(), one(), one(), one(), one());
    vec![a, b, c, d, e, f]
}
