#![allow(clippy::unwrap_used)]
use super::*;
use crate::config::Secret;
use crate::observe::board::Watched;
use crate::observe::metrics;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const NOW: i64 = 1_795_576_500;

fn site(token: Option<&str>) -> Site {
    let watched = Watched { name: "corp-<app>".to_owned(), age_limit: Some(900), complete_read_at: None };
    Site {
        token: token.map(|t| SecretCell::new(Secret::Plain(t.into()))),
        board: Board::new([watched], NOW),
        metrics: metrics::recorder().unwrap().1,
        said: AtomicBool::new(false),
    }
}

async fn ask(site: &Site, path: &str, authorization: Option<&str>, now: i64) -> (u16, HeaderMap, String) {
    let mut headers = HeaderMap::new();
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value.parse().unwrap());
    }
    let (head, body) = site.answer(&Method::GET, path, &headers, now).into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (head.status.as_u16(), head.headers, text)
}

#[tokio::test]
async fn without_a_token_everything_is_shown() {
    let site = site(None);
    assert_eq!(ask(&site, "/healthz", None, NOW).await.2, "ok\n");
    let (status, _, text) = ask(&site, "/readyz", None, NOW).await;
    assert_eq!((status, text.as_str()), (200, "ready\ncorp-<app>: ok: no complete read yet; it has 900 s left\n"));
    let (status, _, text) = ask(&site, "/readyz", None, NOW + 901).await;
    assert_eq!(status, 503);
    assert!(text.starts_with("not ready\ncorp-<app>: too old: "), "{text}");
    let (status, headers, text) = ask(&site, "/metrics", None, NOW).await;
    assert_eq!((status, headers[CONTENT_TYPE].to_str().unwrap()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.contains("scim_sync_build_info"), "{text}");
    let (status, headers, text) = ask(&site, "/", None, NOW).await;
    assert_eq!(status, 200);
    assert!(text.contains("corp-&lt;app&gt;") && !text.contains("<script") && !text.contains("corp-<app>"), "{text}");
    assert!(headers[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(ask(&site, "/nowhere", None, NOW).await.0, 404);
    for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
        let answer = site.answer(&method, "/metrics", &HeaderMap::new(), NOW);
        assert_eq!((answer.status().as_u16(), answer.headers()[ALLOW].to_str().unwrap()), (405, "GET, HEAD"));
    }
}

#[tokio::test]
async fn with_a_token_strangers_learn_only_whether_it_works() {
    let site = site(Some("t0ken-of-mine"));
    assert_eq!(ask(&site, "/healthz", None, NOW).await.0, 200);
    let (status, _, text) = ask(&site, "/readyz", None, NOW).await;
    assert_eq!((status, text.as_str()), (200, "ready\n"), "no names");
    for path in ["/metrics", "/"] {
        let (status, headers, _) = ask(&site, path, None, NOW).await;
        assert_eq!((status, headers[WWW_AUTHENTICATE].to_str().unwrap()), (401, "Bearer realm=\"scim-sync\""));
        for wrong in ["Bearer t0ken-of-min", "Bearer t0ken-of-mine2", "Bearer", "Basic t0ken-of-mine", "Bearer \u{7f}", ""] {
            let Ok(value) = HeaderValue::from_bytes(wrong.as_bytes()) else { continue };
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert_eq!(site.answer(&Method::GET, path, &headers, NOW).status(), 401, "{wrong:?}");
        }
        for right in ["Bearer t0ken-of-mine", "bearer t0ken-of-mine", "BEARER  t0ken-of-mine "] {
            assert_eq!(ask(&site, path, Some(right), NOW).await.0, 200, "{right:?}");
        }
    }
    assert_eq!(ask(&site, "/healthz", Some("Bearer wrong"), NOW).await.0, 401, "a wrong one is told so everywhere");
    assert!(ask(&site, "/readyz", Some("Bearer t0ken-of-mine"), NOW).await.2.contains("corp-<app>"));
}

#[tokio::test]
async fn a_token_that_cannot_be_read_lets_nobody_in() {
    let mut site = site(None);
    site.token = Some(SecretCell::new(Secret::File("/nonexistent/token".into())));
    let (status, _, text) = ask(&site, "/metrics", Some("Bearer "), NOW).await;
    assert_eq!((status, text.contains("/nonexistent")), (503, false));
    assert_eq!(ask(&site, "/healthz", None, NOW).await.0, 200);
}

async fn listening() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let config = HttpConfig { enabled: true, listen: "127.0.0.1:0".to_owned(), token: None };
    let listener = Listener::bind(&config).await.unwrap();
    let address = listener.address().unwrap();
    let stop = CancellationToken::new();
    let site = site(None);
    let serving = tokio::spawn(listener.serve(site.board, site.metrics, stop.clone()));
    (address, stop, serving)
}

async fn get(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn it_answers_over_a_socket_and_closes() {
    let (address, stop, serving) = listening().await;
    let text = get(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nok\n"), "{text}");
    let text = get(address, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    let text = get(address, &format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(HEAD))).await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    assert!(get(address, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let second = HttpConfig { enabled: true, listen: address.to_string(), token: None };
    let error = Listener::bind(&second).await.err().unwrap();
    assert!(error.to_string().contains("choose another port"), "{error}");
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn whoever_says_nothing_is_sent_away() {
    let (address, stop, _serving) = listening().await;
    // All places are taken by clients that begin a request and stop.
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTT").await.unwrap();
        idle.push(stream);
    }
    let text = get(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    stop.cancel();
}
