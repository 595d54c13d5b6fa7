//! LDAP source: any LDAPv3 directory, Active Directory, OpenLDAP, 389 Directory Server, FreeIPA.
//!
//! `connect` (streams) -> `pump` and `wire` (messages) -> `sent`, `entry`, `groups` (values) -> `search` (pages, each proven complete)
//! -> `read`. `flavor` is the only place that knows what differs between servers.

pub mod ber;
mod check;
mod connect;
pub mod entry;
pub mod flavor;
pub mod groups;
mod incremental;
mod pump;
mod read;
mod result;
mod rootdse;
mod search;
mod sent;
pub mod sync;
pub mod wire;

use super::{Facts, ReadDone, ReadRequest, Sink, Source, SourceError};
use crate::config::LdapConfig;
use crate::http::tls;
use async_trait::async_trait;
use rootdse::RootDse;
use rustls::ClientConfig;
use search::Session;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A directory behind LDAP.
pub struct LdapSource {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    config: LdapConfig,
    tls: Arc<ClientConfig>,
}

impl LdapSource {
    /// Builds the source.
    ///
    /// # Errors
    /// The CA file cannot be read, a filter is none, a URL is not LDAP's.
    pub fn new(name: &str, config: &LdapConfig) -> Result<Self, SourceError> {
        let bad = |message: String| SourceError::Malformed { source_name: name.to_owned(), message };
        // Reading one domain of a forest and calling it the directory would make everybody else look absent.
        if !config.domains.is_empty() {
            let one = "make one source and one sync for each domain".to_owned();
            return Err(bad(format!("one source over several `domains` is not part of this version: {one}")));
        }
        for (key, filter) in [("user_filter", &config.user_filter), ("group_filter", &config.group_filter)] {
            if let Some(filter) = filter
                && ldap3::parse_filter(filter).is_err()
            {
                return Err(bad(format!("{key} {filter} is not an LDAP filter (RFC 4515): check brackets and escapes")));
            }
        }
        if let Some(url) = config.urls.iter().find(|u| !matches!(u.scheme(), "ldap" | "ldaps" | "ldapi")) {
            return Err(bad(format!("url {url} is not ldaps://, ldap:// or ldapi://")));
        }
        let tls = tls::client_config(config.net.ca_file.as_deref()).map_err(|e| bad(e.to_string()))?;
        Ok(Self { inner: Arc::new(Inner { name: name.to_owned(), config: config.clone(), tls }) })
    }

    /// Runs `work` with a session on a thread and a current-thread runtime of its own: messages that cross threads cost
    /// twice the CPU, and what panics in a library ends there. If the caller goes away, so does the work.
    async fn with_session<T, W>(&self, work: W) -> Result<T, SourceError>
    where
        T: Send + 'static,
        W: AsyncFnOnce(&mut Session<'_>, &Inner) -> Result<T, SourceError> + Send + 'static,
    {
        let (alive, dropped) = oneshot::channel::<()>();
        let inner = self.inner.clone();
        let name = inner.name.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
                SourceError::Connect { source_name: inner.name.clone(), message: format!("no runtime for the read: {e}") }
            })?;
            let done = runtime.block_on(async {
                tokio::select! {
                    done = inner.run(work) => done,
                    _ = dropped => Err(SourceError::Stopped { source_name: inner.name.clone() }),
                }
            });
            // A name resolution that hangs must not hold us.
            runtime.shutdown_background();
            done
        });
        let done = thread.await;
        drop(alive);
        done.unwrap_or_else(|_| {
            let message = "the server sent an answer that cannot be decoded".to_owned();
            Err(SourceError::Incomplete { source_name: name, message })
        })
    }
}

impl Inner {
    async fn run<T, W>(&self, work: W) -> Result<T, SourceError>
    where
        W: AsyncFnOnce(&mut Session<'_>, &Self) -> Result<T, SourceError>,
    {
        let deadline = self.config.read_deadline;
        let whole = async {
            let connection = connect::connect(&self.name, &self.config, &self.tls).await?;
            let mut session = Session {
                source: &self.name,
                who: self.config.bind_dn.as_deref().unwrap_or("anonymous"),
                connection,
                root: RootDse::default(),
                timeout: self.config.net.timeout,
                page_size: i32::try_from(self.config.page_size).unwrap_or(i32::MAX),
            };
            session.read_root().await?;
            let done = work(&mut session, self).await?;
            session.connection.close().await;
            Ok(done)
        };
        tokio::time::timeout(deadline, whole).await.unwrap_or_else(|_| {
            let message = format!("not done after {} s; read_deadline sets how long a read may take", deadline.as_secs());
            Err(SourceError::Incomplete { source_name: self.name.clone(), message })
        })
    }
}

#[async_trait]
impl Source for LdapSource {
    async fn check(&self) -> Result<Facts, SourceError> {
        self.with_session(async |session, inner| check::facts(session, &inner.config, now()).await).await
    }

    async fn read(&self, request: &ReadRequest, sink: &Sink) -> Result<ReadDone, SourceError> {
        let (request, sink) = (request.clone(), sink.clone());
        self.with_session(async move |session, inner| incremental::read(session, &inner.config, &request, &sink, now()).await)
            .await
    }
}

/// Unix seconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
