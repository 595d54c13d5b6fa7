//! PATCH that is refused as such: at once, from some day on, or for once.

use super::*;

/// One account whose PATCH and PUT are answered as these say; `true`: refused with 405. What was asked for, in order.
async fn refusing(
    patch: impl Fn(usize) -> bool + Send + Sync + 'static,
    put: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> (MockServer, Arc<Mutex<Value>>) {
    let server = MockServer::start().await;
    let state = Arc::new(Mutex::new(json!({"schemas": [USER], "id": "1", "userName": "j@x.example", "active": true})));
    let (here, patches, puts) = (Arc::clone(&state), AtomicUsize::new(0), AtomicUsize::new(0));
    let respond = By(move |r: &Request| {
        let mut state = here.lock().unwrap();
        match r.method.as_str() {
            "PATCH" if patch(patches.fetch_add(1, Ordering::SeqCst)) => return ResponseTemplate::new(405),
            "PUT" if put(puts.fetch_add(1, Ordering::SeqCst)) => return ResponseTemplate::new(405),
            "PATCH" => {
                let body: Value = r.body_json().unwrap();
                for op in writes::operations(&body) {
                    state[op["path"].as_str().unwrap()] = op["value"].clone();
                }
            }
            "PUT" => *state = r.body_json().unwrap(),
            _ => {}
        }
        json_body(200, &state)
    });
    Mock::given(path("/scim/v2/Users/1")).respond_with(respond).mount(&server).await;
    (server, state)
}

fn active(is: bool) -> Flat {
    flat(&[("active", json!(is))])
}

fn title(text: &str) -> Flat {
    flat(&[("title", json!(text))])
}

async fn methods(server: &MockServer) -> Vec<String> {
    let all = server.received_requests().await.unwrap();
    all.iter().map(|r| r.method.to_string()).filter(|m| m != "GET").collect()
}

#[tokio::test]
async fn what_went_by_put_is_remembered_so_in_the_next_run() {
    let (server, state) = refusing(|_| true, |_| false).await;
    let (first, _, writer) = connect(&config(&server));
    writer.update(User, &id("1"), &Flat::new(), &title("a")).await.unwrap();
    writer.update(User, &id("1"), &active(true), &active(false)).await.unwrap();
    // As the state store keeps it.
    let known = serde_json::from_value(serde_json::to_value(first.known()).unwrap()).unwrap();
    let (second, _, writer) = connect(&config(&server));
    second.recall(&known);
    let before = methods(&server).await.len();
    writer.update(User, &id("1"), &title("a"), &title("b")).await.unwrap();
    writer.update(User, &id("1"), &active(false), &active(true)).await.unwrap();
    let now = state.lock().unwrap().clone();
    assert_eq!((&now["title"], &now["active"]), (&json!("b"), &json!(true)));
    assert_eq!(methods(&server).await[before..], ["PUT", "PUT"]);
}

/// A gateway on the way refuses one PUT: whoever comes after it does not pay for that.
#[tokio::test]
async fn one_put_that_is_refused_for_once_leaves_no_one_active() {
    let (server, state) = refusing(|_| true, |n| n == 1).await;
    let (_, _, writer) = connect(&config(&server));
    writer.update(User, &id("1"), &Flat::new(), &title("a")).await.unwrap();
    writer.update(User, &id("1"), &active(true), &active(false)).await.unwrap();
    assert_eq!(state.lock().unwrap()["active"], false, "the PUT that was refused was sent again");
    writer.update(User, &id("1"), &title("a"), &title("b")).await.unwrap();
    writer.update(User, &id("1"), &title("b"), &title("c")).await.unwrap();
    assert_eq!(state.lock().unwrap()["title"], "c");
}

/// PATCH worked, and is refused from some day on.
#[tokio::test]
async fn nobody_stays_active_because_patch_is_gone() {
    let (server, state) = refusing(|n| n > 1, |_| false).await;
    let (target, _, writer) = connect(&config(&server));
    writer.update(User, &id("1"), &active(true), &active(false)).await.unwrap();
    writer.update(User, &id("1"), &active(false), &active(true)).await.unwrap();
    let known = target.known();
    writer.update(User, &id("1"), &active(true), &active(false)).await.unwrap();
    assert_eq!(state.lock().unwrap()["active"], false);
    assert_eq!(target.known(), known, "one refusal teaches nothing");
    assert_eq!(methods(&server).await, ["PATCH", "PATCH", "PATCH", "PUT"]);
    let error = writer.update(User, &id("1"), &title("a"), &title("b")).await.unwrap_err();
    assert_eq!(error.status, Some(405), "{error}");
}
