//! Faults on purpose: what a client meets, and that the same seed does the same again.

use super::{Talk, USER};
use reqwest::Method;
use scim_sync::sandbox::{Faults, Options};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn with(faults: Faults) -> Talk {
    Talk::start(Options { faults, ..Options::default() })
}

fn create(talk: &Talk, name: &str) -> reqwest::RequestBuilder {
    let body = json!({"schemas": [USER], "userName": name}).to_string();
    talk.request(Method::POST, "/Users").header("content-type", "application/scim+json").body(body)
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_and_a_reset_was_not() {
    let lost = with(Faults { lost: 1.0, ..Faults::default() });
    assert!(create(&lost, "a").send().await.is_err());
    assert_eq!(lost.sandbox.users().len(), 1);
    let reset = with(Faults { reset: 1.0, ..Faults::default() });
    assert!(create(&reset, "a").send().await.is_err());
    assert_eq!(reset.sandbox.users().len(), 0);
    assert_eq!(reset.sandbox.counts().writes, reset.sandbox.counts().of("POST"));
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_brings() {
    let talk = with(Faults { truncated: 1.0, ..Faults::default() });
    let response = create(&talk, "a").send().await.unwrap();
    assert_eq!(response.status(), 201);
    let promised = response.content_length().unwrap();
    assert!(promised > 100, "{promised}");
    let error = response.bytes().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(talk.sandbox.users().len(), 1);
}

#[tokio::test]
async fn throttling_says_when_to_come_back() {
    let talk = with(Faults { seed: 3, throttled: 1.0, ..Faults::default() });
    let (mut numbers, mut dates) = (0, 0);
    for n in 0..40 {
        let said = super::said(create(&talk, &format!("u{n}"))).await;
        let after = said.header("retry-after").to_owned();
        match after.parse::<u64>() {
            Ok(seconds) => {
                assert!(seconds <= 1);
                numbers += 1;
            }
            Err(_) => {
                httpdate::parse_http_date(&after).unwrap();
                dates += 1;
            }
        }
        said.refused(429, "");
    }
    assert!(numbers > 5 && dates > 5, "{numbers} numbers, {dates} dates");
    assert_eq!(talk.sandbox.users().len(), 0);
}

#[tokio::test]
async fn server_errors_pages_and_late_answers() {
    let broken = with(Faults { server_error: 1.0, ..Faults::default() });
    assert!(matches!(create(&broken, "a").send().await.unwrap().status().as_u16(), 500 | 502..=504));
    let page = with(Faults { html: 1.0, ..Faults::default() });
    let response = create(&page, "a").send().await.unwrap();
    assert_eq!(response.status(), 500);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let late =
        with(Faults { slow: Some((1.0, Duration::from_millis(60))), latency: Duration::from_millis(40), ..Faults::default() });
    let start = Instant::now();
    assert_eq!(create(&late, "a").send().await.unwrap().status(), 201);
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert_eq!((broken.sandbox.users().len(), page.sandbox.users().len()), (0, 0));
}

#[tokio::test]
async fn the_same_seed_does_the_same_again() {
    let run = async |seed| {
        let faults = Faults { seed, throttled: 0.2, server_error: 0.2, html: 0.1, ..Faults::default() };
        let talk = with(faults);
        let mut statuses = Vec::new();
        for n in 0..60 {
            statuses.push(create(&talk, &format!("u{n}")).send().await.unwrap().status().as_u16());
        }
        assert_eq!(talk.sandbox.users().len(), statuses.iter().filter(|status| **status == 201).count());
        statuses
    };
    let first = run(11).await;
    assert_eq!(first, run(11).await);
    assert_ne!(first, run(12).await);
    // Counters and the page are never hit.
    let all = with(Faults { html: 1.0, ..Faults::default() });
    let state: Value = all.outside(Method::GET, "/_sandbox").send().await.unwrap().json().await.unwrap();
    assert_eq!(state["users"], 0);
}
