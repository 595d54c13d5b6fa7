//! Faults, authorisation, addresses, discovery.

use super::*;

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
async fn a_create_that_is_sent_again_after_a_look_is_one_write() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(json_body(201, &json!({"id": "1"}))).mount(&server).await;
    let (target, _, writer) = connect(&config(&server));
    assert!(writer.create(User, &jdoe(), &[]).await.unwrap_err().ambiguous);
    writer.create(User, &jdoe(), &[]).await.unwrap();
    assert_eq!((target.requests().write, target.requests().retried), (1, 1));
    writer.create(User, &jdoe(), &[]).await.unwrap();
    assert_eq!((target.requests().write, target.requests().retried), (2, 1), "another one is another one");
}

/// An application that answers "operation not permitted" to a look at one account does not thereby refuse everybody.
#[tokio::test]
async fn one_account_that_may_not_be_read_is_not_everybody() {
    for (status, all) in [(403, false), (404, false), (500, false), (403, true)] {
        let server = MockServer::start().await;
        let refused = json_body(status, &json!({"status": status.to_string(), "detail": "Operation not permitted"}));
        let list = if all { refused.clone() } else { page(Some(1), people(1, 1)) };
        Mock::given(path("/scim/v2/Users")).respond_with(list).mount(&server).await;
        Mock::given(path("/scim/v2/Users/1")).respond_with(refused).mount(&server).await;
        let target = Target::new("app", &TargetConfig { preset: "mews".to_owned(), ..config(&server) }).unwrap();
        let error = target.reader(&Dialect::default()).get(User, &id("1")).await.unwrap_err();
        assert_eq!(error.fault == Fault::Auth, all, "{status}: {error}");
    }
}

#[tokio::test]
async fn what_is_refused_because_nothing_changes_is_as_it_should_be() {
    for (words, taken) in [("Nothing to change", true), ("The user belongs to another subscription", false)] {
        let server = MockServer::start().await;
        let there = json!({"id": "1", "externalId": "k1"});
        Mock::given(method("GET")).respond_with(json_body(200, &there)).mount(&server).await;
        let refused = json_body(400, &json!({"status": "400", "detail": words}));
        Mock::given(method("PATCH")).respond_with(refused).mount(&server).await;
        let same = flat(&[("externalId", json!("k1"))]);
        let done = connect(&config(&server)).2.update(User, &id("1"), &same, &same).await;
        assert_eq!(done.is_ok(), taken, "{words}: {done:?}");
    }
}
