//! The SCIM client against answers that servers really give: refusals, faults, lies, in every shape.

use crate::support::scim_servers::target_config;
use scim_sync::config::{Secret, TargetAuth, TargetConfig};
use scim_sync::model::{Fault, Flat, ObjectKind, TargetId};
use scim_sync::target::{Dialect, Remote, Target, TargetError, TargetReader, TargetWriter};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use wiremock::matchers::{body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use ObjectKind::{Group, User};
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const WORK: &str = "emails[type eq \"work\"].value";

fn flat(pairs: &[(&str, Value)]) -> Flat {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

fn jdoe() -> Flat {
    flat(&[("userName", json!("jdoe@x.example"))])
}

fn id(text: &str) -> TargetId {
    TargetId(text.to_owned())
}

fn config(server: &MockServer) -> TargetConfig {
    target_config(&format!("{}/scim/v2/", server.uri()), "secret-token-1")
}

fn connect(config: &TargetConfig) -> (Target, TargetReader, TargetWriter) {
    let target = Target::new("app", config).unwrap();
    let dialect = Dialect::default();
    (target.clone(), target.reader(&dialect), target.writer(&dialect))
}

async fn count(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

async fn list(reader: &TargetReader) -> Result<Vec<Remote>, TargetError> {
    let (sink, mut rows) = mpsc::channel(100);
    reader.list(User, &sink).await?;
    drop(sink);
    let mut all = Vec::new();
    while let Some(batch) = rows.recv().await {
        all.extend(batch);
    }
    Ok(all)
}

fn json_body(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/scim+json")
}

/// Answers in order, the last one for ever.
struct Script(Vec<ResponseTemplate>, AtomicUsize);

impl Script {
    fn new(answers: Vec<ResponseTemplate>) -> Self {
        Self(answers, AtomicUsize::new(0))
    }
}

impl Respond for Script {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        self.0[self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1)].clone()
    }
}

/// A responder out of a closure.
struct By<F>(F);

impl<F: Fn(&Request) -> ResponseTemplate + Send + Sync> Respond for By<F> {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        (self.0)(request)
    }
}

fn query(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned())
}

fn people(from: u64, to: u64) -> Vec<Value> {
    (from..=to)
        .map(|n| json!({"id": format!("id-{n}"), "userName": format!("u{n}@x.example"), "externalId": format!("k{n}")}))
        .collect()
}

fn page(total: Option<u64>, rows: Vec<Value>) -> ResponseTemplate {
    let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "Resources": rows});
    if let Some(total) = total {
        body["totalResults"] = json!(total);
    }
    json_body(200, &body)
}

#[tokio::test]
async fn every_refusal_of_a_create_is_the_right_fault() {
    let scim = |status: u16, kind: &str| json_body(status, &json!({"status": status, "scimType": kind, "detail": "no"}));
    let text = |status: u16, body: &str| ResponseTemplate::new(status).set_body_raw(body.to_owned(), "text/plain");
    let cases = vec![
        (scim(409, "uniqueness"), Fault::Conflict, false),
        (scim(400, "uniqueness"), Fault::Conflict, false),
        (scim(400, "invalidValue"), Fault::Invalid, false),
        (text(500, "<html><body>Duplicate entry for key userName</body></html>"), Fault::Conflict, false),
        (text(500, "<html>oops</html>"), Fault::Transient, true),
        (ResponseTemplate::new(502), Fault::Transient, true),
        (ResponseTemplate::new(503), Fault::Transient, true),
        (text(401, "Unauthorized"), Fault::Auth, false),
        (ResponseTemplate::new(403), Fault::Invalid, false),
        (ResponseTemplate::new(404), Fault::Gone, false),
        (ResponseTemplate::new(413), Fault::Invalid, false),
        (ResponseTemplate::new(422), Fault::Invalid, false),
        (ResponseTemplate::new(501), Fault::Permanent, false),
        (ResponseTemplate::new(302).insert_header("Location", "https://elsewhere.example/login?x=1"), Fault::Permanent, false),
        (
            json_body(200, &json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "409"})),
            Fault::Conflict,
            false,
        ),
        (json_body(201, &json!({"userName": "no id"})), Fault::Permanent, true),
        (text(201, "{\"id\": \"cut"), Fault::Transient, true),
        (text(201, "<html>welcome</html>"), Fault::Permanent, true),
        (ResponseTemplate::new(201), Fault::Transient, true),
        (ResponseTemplate::new(429).insert_header("Retry-After", "3600"), Fault::Throttled, false),
        (ResponseTemplate::new(503).insert_header("Retry-After", "3600"), Fault::Throttled, false),
    ];
    for (n, (answer, fault, ambiguous)) in cases.into_iter().enumerate() {
        let server = MockServer::start().await;
        Mock::given(method("POST")).and(path("/scim/v2/Users")).respond_with(answer).mount(&server).await;
        let (target, _, writer) = connect(&config(&server));
        let error = writer.create(User, &jdoe(), &[]).await.unwrap_err();
        assert_eq!((error.fault, error.ambiguous), (fault, ambiguous), "case {n}: {error}");
        assert_eq!(count(&server).await, 1, "case {n}: a create that may have happened is never sent blindly again");
        assert_eq!(target.requests().write, 1);
        assert!(error.to_string().contains("POST /Users"), "{error}");
        assert!(!error.to_string().contains("secret-token"), "{error}");
    }
}

#[tokio::test]
async fn retry_after_in_seconds_and_as_a_date_is_kept() {
    let in_two_seconds = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    for (status, value, at_least) in [(429, "1".to_owned(), 1000), (503, in_two_seconds, 1000)] {
        let server = MockServer::start().await;
        let refusal = ResponseTemplate::new(status).insert_header("Retry-After", value.as_str());
        let made = json_body(201, &json!({"schemas": [USER], "id": "1", "userName": "jdoe@x.example"}));
        Mock::given(method("POST")).respond_with(Script::new(vec![refusal, made])).mount(&server).await;
        let (target, _, writer) = connect(&config(&server));
        let before = Instant::now();
        let made = writer.create(User, &jdoe(), &[]).await.unwrap();
        assert_eq!(made.id, id("1"));
        assert!(before.elapsed() >= Duration::from_millis(at_least), "{status}: {:?}", before.elapsed());
        let r = target.requests();
        assert_eq!((r.read, r.write, r.retried), (0, 1, 1));
    }
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated() {
    let server = MockServer::start().await;
    let answers = vec![ResponseTemplate::new(502), ResponseTemplate::new(500), ResponseTemplate::new(204)];
    Mock::given(method("PATCH")).and(path("/scim/v2/Users/1")).respond_with(Script::new(answers)).mount(&server).await;
    let now = json!({"id": "1", "active": false});
    Mock::given(method("GET")).and(path("/scim/v2/Users/1")).respond_with(json_body(200, &now)).mount(&server).await;
    let (target, _, writer) = connect(&config(&server));
    writer.update(User, &id("1"), &Flat::new(), &flat(&[("active", json!(false))])).await.unwrap();
    let r = target.requests();
    assert_eq!((r.read, r.write, r.retried), (1, 1, 2), "one write, sent three times, looked at once");
}

#[tokio::test]
async fn a_record_that_always_fails_is_given_up() {
    let server = MockServer::start().await;
    Mock::given(method("PATCH")).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    Mock::given(method("GET")).respond_with(json_body(200, &json!({"id": "1", "title": "old"}))).mount(&server).await;
    let (_, _, writer) = connect(&config(&server));
    let to = flat(&[("title", json!("new"))]);
    let error = writer.update(User, &id("1"), &flat(&[("title", json!("old"))]), &to).await.unwrap_err();
    assert_eq!((error.fault, error.status), (Fault::Transient, Some(500)));
    assert_eq!(count(&server).await, 3 + 1);
}

/// A server that reads one request of each connection and then does `what`.
async fn raw_server(what: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&hits);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                counter.fetch_add(1, Ordering::SeqCst);
                match what {
                    "hang" => tokio::time::sleep(Duration::from_secs(30)).await,
                    "close" => {}
                    answer => {
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                }
            });
        }
    });
    (format!("http://{address}"), hits)
}

#[tokio::test]
async fn lost_answers_are_ambiguous_and_lost_connections_are_not() {
    let cut = "HTTP/1.1 201 Created\r\nContent-Type: application/scim+json\r\nContent-Length: 100\r\n\r\n{\"id\": \"1\"";
    for what in ["close", "hang", cut] {
        let (url, hits) = raw_server(what).await;
        let mut config = target_config(&url, "t-1234");
        config.net.timeout = Duration::from_millis(500);
        let (_, _, writer) = connect(&config);
        let error = writer.create(User, &jdoe(), &[]).await.unwrap_err();
        assert_eq!((error.fault, error.ambiguous), (Fault::Transient, true), "{what}: {error}");
        assert_eq!(hits.load(Ordering::SeqCst), 1, "{what}");
    }
    // Nobody listens: nothing was sent.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (target, _, writer) = connect(&target_config(&format!("http://{free}"), "t-1234"));
    let error = writer.create(User, &jdoe(), &[]).await.unwrap_err();
    assert_eq!((error.fault, error.ambiguous, error.status), (Fault::Transient, false, None), "{error}");
    assert_eq!(target.requests().retried, 4);
    assert!(target.discover().await.is_err(), "no connection is no discovery");
}

#[tokio::test]
async fn an_endless_answer_is_refused() {
    let (url, _) = raw_server("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99000000\r\n\r\n{").await;
    let (_, reader, _) = connect(&target_config(&url, "t-1234"));
    let error = reader.get(User, &id("1")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Permanent, "{error}");
    assert!(error.to_string().contains("64 MiB"), "{error}");
}

#[tokio::test]
async fn a_token_that_changed_is_read_again_after_a_401() {
    let server = MockServer::start().await;
    Mock::given(header("Authorization", "Bearer new-token"))
        .respond_with(json_body(200, &json!({"id": "1"})))
        .mount(&server)
        .await;
    Mock::given(header("Authorization", "Bearer old-token"))
        .respond_with(ResponseTemplate::new(401).set_body_string("expired: old-token"))
        .mount(&server)
        .await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let put = |text: &str| {
        std::fs::write(&file, text).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    put("old-token\n");
    let mut config = config(&server);
    config.auth = Some(TargetAuth::Token(Secret::File(file.clone())));
    let (target, reader, _) = connect(&config);
    let before = target.identity().unwrap();
    let error = reader.get(User, &id("1")).await.unwrap_err();
    assert_eq!((error.fault, count(&server).await), (Fault::Auth, 1), "the same token is not tried twice");
    assert!(!error.to_string().contains("old-token"), "{error}");
    put("new-token\n");
    assert!(reader.get(User, &id("1")).await.unwrap().is_some());
    assert_eq!(target.requests().retried, 1);
    assert_ne!(target.identity().unwrap(), before, "another credential is another identity");
}

#[tokio::test]
async fn client_credentials_are_fetched_once_and_renewed_after_a_401() {
    let server = MockServer::start().await;
    let issued = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&issued);
    // Wants the credentials in the body, as some do.
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(body_string_contains("client_secret=cs-98765"))
        .and(body_string_contains("scope=scim"))
        .respond_with(By(move |_: &Request| {
            let n = counter.fetch_add(1, Ordering::SeqCst);
            json_body(200, &json!({"access_token": format!("at-{n}-xyz"), "token_type": "Bearer", "expires_in": 3600}))
        }))
        .mount(&server)
        .await;
    Mock::given(path("/token"))
        .respond_with(json_body(401, &json!({"error": "invalid_client"})))
        .with_priority(9)
        .mount(&server)
        .await;
    for token in ["Bearer at-0-xyz", "Bearer at-1-xyz"] {
        let answers = if token.contains("-0-") {
            vec![json_body(200, &json!({"id": "1"})), json_body(200, &json!({"id": "1"})), ResponseTemplate::new(401)]
        } else {
            vec![json_body(200, &json!({"id": "1"}))]
        };
        Mock::given(path("/scim/v2/Users/1"))
            .and(header("Authorization", token))
            .respond_with(Script::new(answers))
            .mount(&server)
            .await;
    }
    let mut config = config(&server);
    let oauth = |url: String, secret: &str| {
        Some(TargetAuth::OAuth {
            token_url: url::Url::parse(&url).unwrap(),
            client_id: "client".to_owned(),
            client_secret: Secret::Plain(secret.into()),
            scope: Some("scim".to_owned()),
        })
    };
    config.auth = oauth(format!("{}/token", server.uri()), "cs-98765");
    let (_, reader, _) = connect(&config);
    for _ in 0..2 {
        reader.get(User, &id("1")).await.unwrap().unwrap();
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1, "kept until it ends");
    reader.get(User, &id("1")).await.unwrap().unwrap();
    assert_eq!(issued.load(Ordering::SeqCst), 2, "renewed after the 401");

    config.auth = oauth(format!("{}/token", server.uri()), "wrong-secret");
    let error = connect(&config).1.get(User, &id("1")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Auth, "{error}");
    assert!(error.to_string().contains("invalid_client") && !error.to_string().contains("wrong-secret"), "{error}");
    config.auth = oauth("http://127.0.0.1:9/token".to_owned(), "cs-98765");
    let error = connect(&config).1.get(User, &id("1")).await.unwrap_err();
    assert_eq!((error.fault, error.ambiguous), (Fault::Transient, false), "{error}");
}

#[tokio::test]
async fn addresses_are_joined_and_ids_encoded() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(json_body(200, &json!({"id": "x"}))).mount(&server).await;
    Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let (_, reader, writer) = connect(&target_config(&format!("{}/scim/v2/?api-version=3&k=v#frag", server.uri()), "t"));
    reader.get(User, &id("a/b c@x.example?&#%+ä\"..")).await.unwrap();
    for bad in ["", ".", ".."] {
        let error = writer.delete(User, &id(bad)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Invalid, "{bad:?} would address the collection");
    }
    let seen = server.received_requests().await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].url.path(), "/scim/v2/Users/a%2Fb%20c%40x.example%3F%26%23%25%2B%C3%A4%22..");
    assert_eq!(seen[0].url.query(), Some("api-version=3&k=v"));
    assert_eq!(seen[0].headers["user-agent"], concat!("scim-sync/", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen[0].headers["authorization"], "Bearer t");
    assert!(seen[0].headers["accept-encoding"].to_str().unwrap().contains("gzip"));
}

/// How a list server pages.
async fn lister(
    answer: impl Fn(u64, Option<u64>) -> ResponseTemplate + Send + Sync + 'static,
) -> (MockServer, TargetReader, Target) {
    let server = MockServer::start().await;
    let respond = By(move |r: &Request| {
        let start = query(r, "startIndex").and_then(|s| s.parse().ok()).unwrap_or(1);
        answer(start, query(r, "count").and_then(|s| s.parse().ok()))
    });
    Mock::given(method("GET")).and(path("/scim/v2/Users")).respond_with(respond).mount(&server).await;
    let (target, reader, _) = connect(&config(&server));
    (server, reader, target)
}

#[tokio::test]
async fn lists_come_whole_however_the_server_pages() {
    // Caps pages at 7.
    let (server, reader, _) = lister(|start, _| page(Some(20), people(start, (start + 6).min(20)))).await;
    assert_eq!(list(&reader).await.unwrap().len(), 20);
    assert_eq!(count(&server).await, 3);
    // Starts over past the end, and never says how many there are.
    let (_s, reader, _) =
        lister(|start, _| page(None, if start > 20 { people(1, 10) } else { people(start, (start + 9).min(20)) })).await;
    assert_eq!(list(&reader).await.unwrap().len(), 20);
    // Ignores paging: everything every time.
    let (server, reader, _) = lister(|_, _| page(Some(250), people(1, 250))).await;
    assert_eq!((list(&reader).await.unwrap().len(), count(&server).await), (250, 1));
    // Says the length of the page instead of the whole.
    let (_s, reader, _) = lister(|start, _| {
        let rows = people(start, (start + 99).min(250));
        page(Some(rows.len() as u64), rows)
    })
    .await;
    assert_eq!(list(&reader).await.unwrap().len(), 250);
    // Fails on any count.
    let (_s, reader, _) = lister(|start, count| match count {
        Some(_) => ResponseTemplate::new(500),
        None => page(Some(30), people(start, (start + 9).min(30))),
    })
    .await;
    assert_eq!(list(&reader).await.unwrap().len(), 30);
    // Other spellings.
    let odd = json!({"totalresults": "2", "resources": [{"ID": 7}, {"Id": "8"}], "itemsPerPage": "2"});
    let (_s, reader, _) = lister(move |_, _| json_body(200, &odd)).await;
    assert_eq!(list(&reader).await.unwrap().len(), 2);
    let (_s, reader, _) = lister(|_, _| json_body(200, &json!({"totalResults": 0}))).await;
    assert!(list(&reader).await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_that_are_not_whole_are_errors() {
    let (_s, reader, _) = lister(|start, _| page(Some(20), if start > 10 { vec![] } else { people(1, 10) })).await;
    let error = list(&reader).await.unwrap_err();
    assert_eq!(error.fault, Fault::Transient);
    assert!(error.to_string().contains("incomplete"), "{error}");
    // Starts over before the end.
    let (_s, reader, _) = lister(|_, _| page(Some(20), people(1, 10))).await;
    assert!(list(&reader).await.unwrap_err().to_string().contains("20 and gave 10"));
    for (body, fault) in [
        ("{\"totalResults\": 1, \"Resources\": [{\"id\"", Fault::Transient),
        ("<html>login</html>", Fault::Permanent),
        ("7", Fault::Permanent),
        ("{}", Fault::Permanent),
    ] {
        let (_s, reader, _) = lister(move |_, _| ResponseTemplate::new(200).set_body_string(body)).await;
        let error = list(&reader).await.unwrap_err();
        assert_eq!(error.fault, fault, "{body}: {error}");
    }
    for (status, fault) in [(401, Fault::Auth), (403, Fault::Auth), (404, Fault::Permanent)] {
        let (_s, reader, _) = lister(move |_, _| ResponseTemplate::new(status)).await;
        assert_eq!(list(&reader).await.unwrap_err().fault, fault, "{status}");
    }
}

#[tokio::test]
async fn cursors_are_followed_and_loops_are_seen() {
    let server = MockServer::start().await;
    let answer = |r: &Request| {
        let at: u64 = query(r, "cursor").unwrap().strip_prefix("c/").map_or(1, |c| c.parse().unwrap());
        let mut body = json!({"Resources": people(at, (at + 9).min(25))});
        if at + 10 <= 25 {
            body["nextCursor"] = json!(format!("c/{}", at + 10));
        }
        json_body(200, &body)
    };
    Mock::given(method("GET")).respond_with(By(answer)).mount(&server).await;
    let target = Target::new("app", &config(&server)).unwrap();
    let reader = target.reader(&Dialect { cursor: true, ..Dialect::default() });
    assert_eq!((list(&reader).await.unwrap().len(), count(&server).await), (25, 3));
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(json_body(200, &json!({"Resources": people(1, 3), "nextCursor": "same"})))
        .mount(&server)
        .await;
    let reader = Target::new("app", &config(&server)).unwrap().reader(&Dialect { cursor: true, ..Dialect::default() });
    assert!(list(&reader).await.unwrap_err().to_string().contains("leads nowhere"));
    // Announced and not done: index paging takes over.
    let server = MockServer::start().await;
    let answer = |r: &Request| {
        let start = query(r, "startIndex").and_then(|s| s.parse().ok()).unwrap_or(1);
        page(Some(25), people(start, (start + 9).min(25)))
    };
    Mock::given(method("GET")).respond_with(By(answer)).mount(&server).await;
    let reader = Target::new("app", &config(&server)).unwrap().reader(&Dialect { cursor: true, ..Dialect::default() });
    assert_eq!(list(&reader).await.unwrap().len(), 25);
}

#[tokio::test]
async fn no_filter_is_believed() {
    let criteria = |name: &str| vec![("externalId".to_owned(), "none".to_owned()), ("userName".to_owned(), name.to_owned())];
    let filters: Vec<(&str, fn() -> ResponseTemplate)> = vec![
        ("ignored", || page(Some(30), people(1, 30))),
        ("unsupported, says nothing is there", || page(Some(0), vec![])),
        ("refused", || ResponseTemplate::new(400)),
        ("not implemented", || ResponseTemplate::new(501)),
        ("fails", || ResponseTemplate::new(500)),
        ("forbidden", || ResponseTemplate::new(403)),
        ("promises more", || page(Some(3), vec![])),
    ];
    for (what, answer) in filters {
        let server = MockServer::start().await;
        let respond = By(move |r: &Request| match query(r, "filter") {
            Some(_) => answer(),
            None => page(Some(30), people(1, 30)),
        });
        Mock::given(method("GET")).respond_with(respond).mount(&server).await;
        let (_, reader, _) = connect(&config(&server));
        let found = reader.find(User, &criteria("U17@X.example")).await.unwrap();
        assert_eq!(found.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["id-17"], "{what}");
        assert!(reader.find(User, &criteria("nobody")).await.unwrap().is_empty(), "{what}");
    }
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(401)).mount(&server).await;
    let error = connect(&config(&server)).1.find(User, &criteria("x")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Auth, "a fault of the target is no answer");
}

#[tokio::test]
async fn a_filter_that_works_is_believed_and_asked_once() {
    let server = MockServer::start().await;
    let respond = By(|r: &Request| {
        let all = people(1, 30);
        let Some(filter) = query(r, "filter") else { return page(Some(30), all[..20].to_vec()) };
        let value = filter.split('"').nth(1).unwrap().to_lowercase();
        let hits: Vec<Value> =
            all.into_iter().filter(|p| p["userName"] == json!(value) || p["externalId"] == json!(value)).collect();
        page(Some(hits.len() as u64), hits)
    });
    Mock::given(method("GET")).respond_with(respond).mount(&server).await;
    let (target, reader, _) = connect(&config(&server));
    let by = |name: &str| vec![("userName".to_owned(), name.to_owned())];
    assert!(reader.find(User, &by("nobody@x.example")).await.unwrap().is_empty());
    assert_eq!(target.requests().read, 3, "the query, a known row, and the control query in other case");
    assert!(reader.find(User, &by("no.one@x.example")).await.unwrap().is_empty());
    assert_eq!(reader.find(User, &by("U9@x.example")).await.unwrap().len(), 1);
    assert_eq!(target.requests().read, 5, "one query each from then on");
}

/// A server with one resource, whose PATCH does what `patch` says.
async fn one_resource(
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

fn operations(body: &Value) -> Vec<Value> {
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
        let read = if there { json_body(200, &json!({"id": "1"})) } else { ResponseTemplate::new(404) };
        Mock::given(method("GET")).respond_with(read).mount(&server).await;
        let result = connect(&config(&server)).2.delete(User, &id("1")).await;
        assert_eq!(result.as_ref().err().map(TargetError::fault), fault, "{status} {there}: {result:?}");
    }
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

#[tokio::test]
async fn discovery_takes_what_it_can_get() {
    let server = MockServer::start().await;
    Mock::given(path("/scim/v2/ServiceProviderConfigs"))
        .respond_with(json_body(200, &json!({"patch": {"supported": false}, "filter": {"supported": true, "maxResults": 50}})))
        .mount(&server)
        .await;
    Mock::given(path("/scim/v2/Schemas")).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    Mock::given(path("/scim/v2/ResourceTypes"))
        .respond_with(ResponseTemplate::new(200).set_body_string("<html>"))
        .mount(&server)
        .await;
    let mut config = config(&server);
    config.members_per_patch = Some(7);
    let found = Target::new("app", &config).unwrap().discover().await.unwrap();
    assert_eq!(found.dialect, Dialect { patch: false, page_size: 50, members_per_patch: 7, ..Dialect::default() });
    config.patch = Some(true);
    assert!(Target::new("app", &config).unwrap().discover().await.unwrap().dialect.patch, "the configuration has the last word");
    for status in [401, 403] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let error = Target::new("app", &self::config(&server)).unwrap().discover().await.unwrap_err();
        assert_eq!(error.fault, Fault::Auth, "{status}");
    }
    config.preset = "nosuch".to_owned();
    assert!(Target::new("app", &config).is_err());
}

#[tokio::test]
async fn a_server_that_knows_only_plain_json_is_spoken_to_so() {
    let server = MockServer::start().await;
    Mock::given(header("Content-Type", "application/json"))
        .respond_with(json_body(201, &json!({"id": "1"})))
        .mount(&server)
        .await;
    Mock::given(header("Content-Type", "application/scim+json")).respond_with(ResponseTemplate::new(415)).mount(&server).await;
    let (target, _, writer) = connect(&config(&server));
    writer.create(User, &jdoe(), &[]).await.unwrap();
    writer.create(User, &jdoe(), &[]).await.unwrap();
    assert_eq!((target.requests().write, target.requests().retried), (2, 1));
}

#[tokio::test]
async fn filters_ask_for_what_they_mean() {
    let server = MockServer::start().await;
    Mock::given(query_param("filter", "userName eq \"a \\\"b\\\" \\\\c\""))
        .respond_with(page(Some(1), vec![json!({"id": "1", "userName": "A \"b\" \\c"})]))
        .mount(&server)
        .await;
    Mock::given(query_param("filter", "emails[type eq \"work\" and value eq \"w\"]"))
        .respond_with(page(Some(1), vec![json!({"id": "2", "emails": [{"type": "work", "value": "W"}]})]))
        .mount(&server)
        .await;
    let (target, reader, _) = connect(&config(&server));
    for (attribute, value, found) in [("userName", "a \"b\" \\c", "1"), (WORK, "w", "2")] {
        let rows = reader.find(User, &[(attribute.to_owned(), value.to_owned())]).await.unwrap();
        assert_eq!(rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), [found]);
    }
    assert_eq!(target.requests().read, 2);
}
