//! LDAP source: any LDAPv3 directory, Active Directory, OpenLDAP, 389 Directory Server, FreeIPA.
//!
//! `connect` (streams) -> `pump` and `wire` (messages) -> `sent`, `entry`, `groups` (values) -> `search` (pages, each proven complete)
//! -> `read`. `flavor` is the only place that knows what differs between servers.

mod ber;
mod check;
mod collect;
mod connect;
pub mod entry;
mod extended;
pub mod flavor;
mod forest;
pub mod groups;
pub mod hostile;
mod incremental;
mod kerberos;
mod primary;
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
    /// One for each domain of a forest; mostly there is one.
    domains: Vec<Domain>,
}

/// Servers that hold one part of the directory.
struct Domain {
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
        for (key, filter) in [("user_filter", &config.user_filter), ("group_filter", &config.group_filter)] {
            if let Some(filter) = filter
                && ldap3::parse_filter(filter).is_err()
            {
                return Err(bad(format!("{key} {filter} is not an LDAP filter (RFC 4515): check brackets and escapes")));
            }
        }
        let tls = tls::client_config(config.net.ca_file.as_deref()).map_err(|e| bad(e.to_string()))?;
        let further = config.domains.iter().map(|d| (&d.urls, &d.base));
        let mut domains = Vec::with_capacity(1 + config.domains.len());
        for (urls, base) in std::iter::once((&config.urls, &config.base)).chain(further) {
            if let Some(url) = urls.iter().find(|u| !matches!(u.scheme(), "ldap" | "ldaps" | "ldapi")) {
                return Err(bad(format!("url {url} is not ldaps://, ldap:// or ldapi://")));
            }
            let config = LdapConfig { urls: urls.clone(), base: base.clone(), ..config.clone() };
            domains.push(Domain { inner: Arc::new(Inner { name: name.to_owned(), config, tls: tls.clone() }) });
        }
        Ok(Self { domains })
    }
}

impl Domain {
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
            let who = connection.who.clone();
            let mut session = Session {
                source: &self.name,
                who: &who,
                connection,
                root: RootDse::default(),
                timeout: self.config.net.timeout,
                page_size: i32::try_from(self.config.page_size).unwrap_or(i32::MAX),
            };
            session.read_root().await?;
            self.refuse_global_catalog(&session)?;
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

impl Inner {
    /// The global catalog has only a part of the attributes, and of most groups no members (MS-ADTS section 3.1.1.1.10): read
    /// from it, groups would come out empty.
    fn refuse_global_catalog(&self, session: &Session<'_>) -> Result<(), SourceError> {
        let url = &session.connection.url;
        let is_catalog = matches!(url.port(), Some(3268 | 3269)) && session.root.has("dsServiceName");
        if !is_catalog {
            return Ok(());
        }
        let message = format!(
            "{url} is the global catalog, which shows most groups without members; use port 636 or 389, and `domains` for a forest"
        );
        Err(SourceError::Connect { source_name: self.name.clone(), message })
    }
}

#[async_trait]
impl Source for LdapSource {
    async fn check(&self, wanted: &ReadRequest) -> Result<Facts, SourceError> {
        let mut facts = Facts::new();
        self.look(wanted, &mut facts).await.map(|()| facts)
    }

    async fn look(&self, wanted: &ReadRequest, all: &mut Facts) -> Result<(), SourceError> {
        for domain in &self.domains {
            let wanted = wanted.clone();
            let look = async move |session: &mut Session<'_>, inner: &Inner| {
                Ok(check::facts(session, &inner.config, &wanted, now()).await)
            };
            let (facts, looked) = domain.with_session(look).await?;
            // Of further domains each fact says which.
            let base = &domain.inner.config.base;
            let is_first = all.is_empty();
            all.extend(
                facts.into_iter().map(|(name, value)| if is_first { (name, value) } else { (format!("{base}: {name}"), value) }),
            );
            looked?;
        }
        Ok(())
    }

    async fn read(&self, request: &ReadRequest, sink: &Sink) -> Result<ReadDone, SourceError> {
        forest::read(&self.domains, request, sink).await
    }
}

/// Unix seconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
