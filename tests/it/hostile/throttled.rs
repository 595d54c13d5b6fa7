//! A target that tells one record, or everybody, to wait for an hour.

use super::world;
use crate::support::odd::Odd;
use crate::support::world::{changes, expected};
use serde_json::json;
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, ResponseTemplate};

fn in_an_hour() -> ResponseTemplate {
    ResponseTemplate::new(429).insert_header("Retry-After", "3600")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_record_that_is_told_to_wait_for_an_hour_keeps_nobody_else_waiting() {
    let (server, mut w) = world(Odd::No, "").await;
    w.sync().expect(0);
    let one = server.users().into_iter().find(|u| u["userName"] == "p00001@corp.example").unwrap();
    let its = format!("/Users/{}", one["id"].as_str().unwrap());
    server.answer_first(Mock::given(method("PATCH")).and(path(its)).respond_with(in_an_hour())).await;
    for n in 1..5 {
        w.set(&format!("p0000{n}"), "displayName", "New Name");
    }
    for done in [3, 0] {
        let cycle = w.sync().expect(7).cycle();
        assert_eq!(changes(&cycle), if done > 0 { expected(&[("update", done)]) } else { [].into() }, "{cycle}");
        let parked = cycle["parked"].as_array().unwrap();
        assert_eq!((parked.len(), &parked[0]["source_key"]), (1, &json!("p00001")), "{cycle}");
    }
    // Everybody is told so: nobody is to blame.
    server.answer_first(Mock::given(any()).respond_with(in_an_hour())).await;
    w.set("p00007", "displayName", "New Name");
    let cycle = w.sync().expect(5).cycle();
    assert!(cycle["parked"].as_array().unwrap().iter().all(|p| p["source_key"] != "p00007"), "{cycle}");
}
