//! The embedded SCIM 2.0 target: for tests, the demo, rehearsals, and for trying things out.
//!
//! Everything is in memory. A resource is stored as the text in which it is sent, next to indexes over the keys by
//! which clients look things up, so that it answers tens of thousands of requests per second on one core and keeps
//! groups of any size. It is strict: what RFC 7643 and RFC 7644 forbid is refused, with the reason.

mod admin;
mod application;
mod behaviour;
mod counters;
mod discovery;
mod edit;
mod faults;
mod index;
mod limits;
mod matching;
mod members;
mod page;
mod patch;
mod project;
mod query;
mod render;
mod reply;
mod routes;
mod schema;
mod schema_tables;
mod seed;
mod server;
mod store;
mod table;
mod trouble;
mod validate;
mod values;

pub use behaviour::Behaviour;
pub use counters::Counts;
pub use faults::Faults;
pub use trouble::{Off, Trouble, Words};

use crate::model::ObjectKind;
use serde_json::Value;
use server::Shared;
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// How a sandbox is started.
#[derive(Clone)]
pub struct Options {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bearer token; `None` makes a random one.
    pub token: Option<String>,
    /// How it answers where servers differ.
    pub behaviour: Behaviour,
    /// Faults on purpose.
    pub faults: Faults,
    /// Trouble with the application, from the start.
    pub trouble: Trouble,
    /// Threads that answer requests.
    pub workers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: None,
            behaviour: Behaviour::default(),
            faults: Faults::default(),
            trouble: Trouble::default(),
            workers: 2,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("behaviour", &self.behaviour)
            .field("faults", &self.faults)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// Why a sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("sandbox: cannot listen on {listen}: {source}; choose another address with --listen, port 0 takes a free one")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The threads cannot be started.
    #[error("sandbox: cannot start its threads: {0}")]
    Threads(std::io::Error),
}

/// Starts sandboxes.
#[derive(Debug)]
pub struct Sandbox;

impl Sandbox {
    /// Starts a sandbox on threads of its own. It runs until what is returned is dropped, and works from inside and
    /// outside of an async runtime.
    ///
    /// # Errors
    /// When the address is taken, or the system has no more threads.
    pub fn start(options: Options) -> Result<Running, StartError> {
        let listen = options.listen;
        let at = |source| StartError::Listen { listen, source };
        let listener = std::net::TcpListener::bind(listen).map_err(at)?;
        listener.set_nonblocking(true).map_err(at)?;
        let address = listener.local_addr().map_err(at)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.workers.max(1))
            .thread_name("sandbox")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let base_url = format!("http://{address}{}", server::BASE);
        let token = options.token.unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        let shared = Arc::new(Shared::new(&base_url, &token, options.behaviour, options.faults));
        shared.set_trouble(options.trouble);
        let guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(at)?;
        drop(guard);
        runtime.spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Running { base_url, token, address, shared, runtime: Some(runtime) })
    }
}

/// A sandbox that runs. Dropping it stops it and forgets its data.
pub struct Running {
    /// Base URL, such as `http://127.0.0.1:8080/scim/v2`.
    pub base_url: String,
    /// The token with which it was started.
    pub token: String,
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Running {
    /// All users, as a GET returns them, in the order of their creation.
    #[must_use]
    pub fn users(&self) -> Vec<Value> {
        self.all(ObjectKind::User)
    }

    /// All groups, as a GET returns them, in the order of their creation.
    #[must_use]
    pub fn groups(&self) -> Vec<Value> {
        self.all(ObjectKind::Group)
    }

    /// How many resources of a kind there are.
    #[must_use]
    pub fn count(&self, kind: ObjectKind) -> usize {
        self.shared.read().table(kind).len()
    }

    /// How many requests came in.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counters.counts()
    }

    /// Starts counting anew.
    pub fn reset_counters(&self) {
        self.shared.counters.reset();
    }

    /// From now on only this token is accepted.
    pub fn set_token(&self, token: &str) {
        self.shared.set_token(token);
    }

    fn all(&self, kind: ObjectKind) -> Vec<Value> {
        let store = self.shared.read();
        let bodies = store.table(kind).iter().map(|record| store.body(record, true));
        bodies.map(|body| serde_json::from_slice(&body).unwrap_or_default()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Never blocks, so that it may be dropped inside another runtime.
            runtime.shutdown_background();
        }
    }
}
