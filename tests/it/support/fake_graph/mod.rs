//! A tenant behind a fake Microsoft Graph, with its token endpoint: people, groups, assignments and their change feeds, as
//! Microsoft's documentation describes them, oddities included. No code under test.

mod answers;
mod batch;
pub mod http;
mod rounds;
pub mod tenant;

use http::{Asked, Fault, Shared};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;
use tenant::Tenant;

/// A running fake. Ends with the value.
pub struct FakeGraph {
    pub url: String,
    port: u16,
    shared: Arc<Shared>,
}

impl FakeGraph {
    pub fn start(tenant: Tenant) -> Self {
        Self::start_behind(tenant, None)
    }

    /// Behind a proxy at `address`, which its links name.
    pub fn start_behind(tenant: Tenant, address: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = address.map_or_else(|| format!("http://127.0.0.1:{port}"), str::to_owned);
        let shared = Arc::new(Shared::new(url.clone(), tenant));
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if all.ended() {
                    return;
                }
                let shared = Arc::clone(&all);
                std::thread::spawn(move || http::serve(client, &shared));
            }
        });
        Self { url, port, shared }
    }

    /// The keys of `[source.NAME]` that lead here, but for the credential.
    pub fn source(&self) -> String {
        format!(
            "type = \"graph\"\ntenant = \"contoso.example\"\nclient_id = \"client-1\"\nlogin_url = \"{}\"\ngraph_url = \"{}\"\n",
            self.direct(),
            self.url
        )
    }

    /// Its own address, whatever stands before it.
    pub fn direct(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The tenant, to look at and to change.
    pub fn tenant(&self) -> MutexGuard<'_, Tenant> {
        self.shared.tenant.lock().unwrap()
    }

    /// Requests since the last `clear`, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.log.lock().unwrap().clone()
    }

    /// Requests to Graph itself (not to the token endpoint), as `GET /users?..`.
    pub fn graph_requests(&self) -> Vec<String> {
        self.asked().iter().filter(|a| !a.is_token()).map(|a| format!("{} {}", a.method, a.target)).collect()
    }

    pub fn clear(&self) {
        self.shared.log.lock().unwrap().clear();
    }

    /// The next requests to Graph whose address contains `part` are answered like this, one after another.
    pub fn fail(&self, part: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.lock().unwrap().extend(faults.into_iter().map(|f| (part.to_owned(), f)));
    }

    /// One in `n` requests is refused in some way; 0: none.
    pub fn refuse_one_in(&self, n: usize) {
        *self.shared.one_in.lock().unwrap() = n;
    }

    /// What the client did that it must not do: unknown parameters, pages too large, requests before their time.
    #[track_caller]
    pub fn expect_no_offence(&self) {
        assert_eq!(*self.shared.offences.lock().unwrap(), [""; 0]);
    }

    /// Keeps bodies from now on.
    pub fn keep_bodies(&self) {
        *self.shared.keep.lock().unwrap() = true;
    }

    /// Bodies of answers with status 200, with the path that was asked for.
    pub fn bodies(&self) -> Vec<(String, Value)> {
        self.shared.bodies.lock().unwrap().clone()
    }

    /// How long answers take.
    pub fn delay(&self, each: Duration) {
        *self.shared.delay.lock().unwrap() = each;
    }
}

impl Drop for FakeGraph {
    fn drop(&mut self) {
        self.shared.end();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}
