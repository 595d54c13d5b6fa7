//! The least that an initial push, or a migration of user IDs, can cost: the same HTTP client, the same bodies, as many at a
//! time, and nothing else. No journal, no links, no answer understood.

use crate::support::measure::cpu_of;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use scim_sync::config::NetConfig;
use scim_sync::http::{body, client};
use std::time::{Duration, Instant};

/// Requests in flight: the program's default.
pub const CONCURRENCY: usize = 8;

/// A write: where to, and what.
pub type Write = (String, Bytes);

/// Posts every body to `url`; wall time and CPU of this process.
pub fn push(url: &str, token: &str, bodies: &[Bytes]) -> (Duration, Duration) {
    let writes: Vec<Write> = bodies.iter().map(|body| (url.to_owned(), body.clone())).collect();
    send(&Method::POST, token, &writes)
}

/// Sends every body where it belongs; wall time and CPU of this process.
pub fn send(method: &Method, token: &str, writes: &[Write]) -> (Duration, Duration) {
    let net = NetConfig { ca_file: None, proxy: None, timeout: Duration::from_secs(60), allow_plaintext: false };
    let http = client::build(&net, CONCURRENCY).unwrap();
    let authorization = format!("Bearer {token}");
    let send = async |(url, body): &Write| {
        let request = http.request(method.clone(), url).header(ACCEPT, "application/scim+json, application/json");
        let request = request.header(AUTHORIZATION, &authorization).header(CONTENT_TYPE, "application/scim+json");
        let answer = request.body(body.clone()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        body::read(answer).await.unwrap();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (began, cpu) = (Instant::now(), cpu_of(std::process::id()));
    runtime.block_on(futures_util::stream::iter(writes).for_each_concurrent(CONCURRENCY, send));
    (began.elapsed(), cpu_of(std::process::id()).saturating_sub(cpu))
}
