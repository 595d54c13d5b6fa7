//! An Okta organisation of our own: stateful, with Okta's paging, filters, limits, errors and ways to sign in. Written from
//! Okta's documentation, by no code of the client under test.

mod http;
mod list;
mod log;
pub mod org;
mod serve;
pub mod sign_in;
pub mod trouble;

use org::Org;
use sign_in::SignIn;
use trouble::Trouble;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// One request as it came, and how it was answered.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Instant,
    pub status: u16,
    /// Answer to it, where it was JSON.
    pub answer: String,
}

impl Asked {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `users`, `groups/*/users`, `apps/*/users`, ..: the path without ids.
    pub fn what(&self) -> String {
        let path = self.path.trim_start_matches("/api/v1/").trim_start_matches('/');
        let parts: Vec<&str> =
            path.split('/').enumerate().map(|(i, p)| if i % 2 == 1 && !path.starts_with("oauth2") { "*" } else { p }).collect();
        parts.join("/")
    }
}

/// Everything that requests look at.
pub struct State {
    pub org: Org,
    pub sign_in: SignIn,
    pub trouble: Trouble,
    pub asked: Vec<Asked>,
}

/// A running organisation. Ends with the value.
pub struct FakeOkta {
    /// Its address.
    pub url: String,
    port: u16,
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
}

impl FakeOkta {
    /// An empty one that takes this API token.
    pub fn start(token: &str) -> Self {
        Self::start_behind(token, None)
    }

    /// The same behind something at this address, which its links name.
    pub fn start_behind(token: &str, address: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = address.unwrap_or_else(|| format!("http://127.0.0.1:{port}"));
        let sign_in = SignIn::with_token(token, &url);
        let state = State { org: Org::default(), sign_in, trouble: Trouble::default(), asked: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let ended = Arc::new(AtomicBool::new(false));
        let (shared, over, base) = (Arc::clone(&state), Arc::clone(&ended), url.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (state, base) = (Arc::clone(&shared), base.clone());
                std::thread::spawn(move || http::carry(client, &state, &base));
            }
        });
        Self { url, port, state, ended }
    }

    /// Where it listens itself.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes the organisation.
    pub fn org<T>(&self, change: impl FnOnce(&mut Org) -> T) -> T {
        change(&mut self.state().org)
    }

    /// Requests since the last time this was called.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }
}

impl Drop for FakeOkta {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}
