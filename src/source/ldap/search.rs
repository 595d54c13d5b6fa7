//! Searches on one connection, page by page, each proven complete.
//!
//! Pages are asked for by hand and not through `ldap3`'s adapter: after a broken page the adapter hands out the result of
//! the first page, so that a truncated read looks complete. Here a page counts only if every message came, the result is
//! success, and (paged) the server's control says where the next page is or that there is none.

use super::ber;
use super::connect::Connection;
use super::entry::{RawAttribute, RawEntry};
use super::pump::Batch;
use super::result::Place;
use super::rootdse::{self, RootDse};
use super::sent::SentEntry;
use crate::source::SourceError;
use ldap3::controls::{MakeCritical, PagedResults, RawControl};
use ldap3::{LdapError, Scope, SearchOptions};
use std::time::Duration;

/// Times a group's values are read again because the group changed meanwhile.
const RANGE_ATTEMPTS: u32 = 4;

/// What to search for.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// In messages: people, groups.
    pub what: &'a str,
    /// Base DN.
    pub base: &'a str,
    /// Base or subtree.
    pub scope: Scope,
    /// Filter (RFC 4515).
    pub filter: &'a str,
    /// Attributes to ask for.
    pub attributes: Vec<String>,
}

/// How far a search has come.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Pages that are complete.
    pub pages: u64,
    /// Entries.
    pub entries: u64,
    /// Continuation references, not followed.
    pub references: u64,
    /// Where the next page is; opaque, good on this connection only.
    cookie: Vec<u8>,
}

/// A bound connection with what is known of its server.
pub struct Session<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Who is bound, for messages.
    pub who: &'a str,
    /// The connection.
    pub connection: Connection,
    /// What the server says of itself.
    pub root: RootDse,
    /// Longest silence.
    pub timeout: Duration,
    /// Entries per page; 0: unpaged, because the server cannot.
    pub page_size: i32,
}

impl Session<'_> {
    /// Reads the rootDSE. A server that hides it is not at fault.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read_root(&mut self) -> Result<(), SourceError> {
        let attributes = rootdse::ATTRIBUTES.iter().map(|a| (*a).to_owned()).collect();
        let search = Search { what: "the rootDSE", base: "", scope: Scope::Base, filter: "(objectClass=*)", attributes };
        match self.base(&search).await {
            Ok(entry) => self.root = RootDse::new(entry),
            Err(Failed::Refused(..)) => {}
            Err(Failed::Broken(e)) => return Err(e),
        }
        if !self.root.paging() {
            self.page_size = 0;
        }
        Ok(())
    }

    /// Where a message about this search is at.
    #[must_use]
    pub fn place<'b>(&'b self, search: &Search<'b>, progress: &Progress) -> Place<'b> {
        Place {
            source: self.source,
            what: search.what,
            base: search.base,
            who: self.who,
            page: progress.pages + 1,
            entries: progress.entries,
        }
    }

    /// Reads the next page and gives each entry to `each`. `true`: there are more pages.
    ///
    /// # Errors
    /// Whatever keeps the page from being complete.
    pub async fn page(
        &mut self,
        search: &Search<'_>,
        progress: &mut Progress,
        mut each: impl AsyncFnMut(SentEntry) -> Result<(), SourceError>,
    ) -> Result<bool, SourceError> {
        match self.run(search, progress, self.page_size, &mut each).await {
            Ok(more) => Ok(more),
            Err(Failed::Broken(e)) => Err(e),
            Err(Failed::Refused(code, text, referrals)) => Err(self.place(search, progress).refused(code, &text, &referrals)),
        }
    }

    /// Reads one entry by its name.
    pub(super) async fn base(&mut self, search: &Search<'_>) -> Result<Option<RawEntry>, Failed> {
        let mut found = None;
        let source = self.source;
        let mut each = async |entry: SentEntry| {
            found = Some(entry.decode(source)?);
            Ok(())
        };
        self.run(search, &mut Progress::default(), 0, &mut each).await?;
        Ok(found)
    }

    /// Whether the base is there, and may be seen.
    ///
    /// # Errors
    /// As [`Session::page`].
    pub async fn base_exists(&mut self, base: &str) -> Result<(), SourceError> {
        let search =
            Search { what: "the base", base, scope: Scope::Base, filter: "(objectClass=*)", attributes: vec!["1.1".to_owned()] };
        match self.base(&search).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(self.place(&search, &Progress::default()).refused(32, "", &[])),
            Err(Failed::Broken(e)) => Err(e),
            Err(Failed::Refused(code, text, referrals)) => {
                Err(self.place(&search, &Progress::default()).refused(code, &text, &referrals))
            }
        }
    }

    async fn run(
        &mut self,
        search: &Search<'_>,
        progress: &mut Progress,
        page_size: i32,
        each: &mut impl AsyncFnMut(SentEntry) -> Result<(), SourceError>,
    ) -> Result<bool, Failed> {
        let ldap = &mut self.connection.ldap;
        ldap.with_search_options(SearchOptions::new());
        if page_size > 0 {
            let control = PagedResults { size: page_size, cookie: std::mem::take(&mut progress.cookie) };
            ldap.with_controls(RawControl::from(control.critical()));
        }
        let attributes: Vec<&str> = search.attributes.iter().map(String::as_str).collect();
        let started = ldap.streaming_search(search.base, search.scope, search.filter, attributes).await;
        let mut stream = match started {
            Ok(stream) => stream,
            Err(e) => return Err(self.broken(search, progress, &e).await),
        };
        let id = u32::try_from(stream.ldap_handle().last_id()).unwrap_or(0);
        // Entries come from the pump, the result from `ldap3`, in this order.
        loop {
            let next = async {
                tokio::select! {
                    biased;
                    Some(batch) = self.connection.results.next() => Ok(Some(batch)),
                    done = stream.next() => done.map(|_| None),
                }
            };
            match tokio::time::timeout(self.timeout, next).await.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                Ok(Some(batch)) => self.take(batch, id, search, progress, each).await?,
                Ok(None) => break,
                Err(e) => return Err(self.broken(search, progress, &e).await),
            }
        }
        while let Some(batch) = self.connection.results.waiting() {
            self.take(batch, id, search, progress, each).await?;
        }
        let answer = stream.finish().await;
        if answer.rc != 0 {
            return Err(Failed::Refused(answer.rc, answer.text, answer.refs));
        }
        progress.pages += 1;
        if page_size == 0 {
            return Ok(false);
        }
        let control = answer.ctrls.into_iter().map(|c| c.1).find(|c| c.ctype == rootdse::PAGED_RESULTS);
        let cookie = control.and_then(|c| ber::paged_cookie(&c.val.unwrap_or_default())).ok_or_else(|| {
            self.place(search, progress).incomplete("the server ended a page without saying whether there are more")
        })?;
        progress.cookie = cookie;
        Ok(!progress.cookie.is_empty())
    }

    /// Takes what came together.
    async fn take(
        &self,
        batch: Batch,
        id: u32,
        search: &Search<'_>,
        progress: &mut Progress,
        each: &mut impl AsyncFnMut(SentEntry) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        progress.references += batch.references;
        for (answers, entry) in batch.entries {
            if answers != id {
                return Err(self.place(search, progress).incomplete("the server sent an entry that nobody asked for"));
            }
            progress.entries += 1;
            each(entry).await?;
        }
        Ok(())
    }

    /// The connection broke, or was too slow.
    pub(super) async fn broken(&mut self, search: &Search<'_>, progress: &Progress, error: &LdapError) -> Failed {
        let why = match error {
            LdapError::Timeout { .. } => {
                format!("no answer for {} s; is the server overloaded? timeout sets how long to wait", self.timeout.as_secs_f32())
            }
            LdapError::FilterParsing => format!("the filter {} is not an LDAP filter (RFC 4515)", search.filter),
            _ => self.connection.why().await,
        };
        Failed::Broken(self.place(search, progress).incomplete(&why))
    }

    /// Reads the values of an attribute that the server gives in parts (`member;range=0-1499`), all of them. Parts are not
    /// read atomically: if the entry changed meanwhile, it is read again.
    ///
    /// # Errors
    /// Not all values came.
    pub async fn all_values(&mut self, dn: &str, attribute: &str) -> Result<RawAttribute, SourceError> {
        let search = |from: usize| Search {
            what: "the values of a large group",
            base: dn,
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: vec![format!("{attribute};range={from}-*"), "uSNChanged".to_owned()],
        };
        let place = Progress::default();
        let mut whole: Option<RawAttribute> = None;
        let mut version: Option<Vec<u8>> = None;
        let mut attempts = 0;
        loop {
            let known = whole.as_ref().map_or(0, |w| w.values.len());
            let search = search(known);
            let answer = self.base(&search).await;
            let missing = |why: &str| self.place(&search, &place).incomplete(&format!("{dn}: {why}"));
            let entry = match answer {
                Ok(Some(entry)) => entry,
                Ok(None) => return Err(missing("vanished while it was read")),
                Err(Failed::Broken(e)) => return Err(e),
                Err(Failed::Refused(code, text, referrals)) => {
                    return Err(self.place(&search, &place).refused(code, &text, &referrals));
                }
            };
            let now = entry.first("uSNChanged").map(<[u8]>::to_vec);
            if whole.is_some() && now != version {
                attempts += 1;
                if attempts == RANGE_ATTEMPTS {
                    return Err(missing("changed each time that it was read; the next cycle tries again"));
                }
                whole = None;
                continue;
            }
            version = now;
            let mut found = entry.attributes.into_iter().filter(|a| a.name.eq_ignore_ascii_case(attribute));
            let Some((part, range)) = found.find_map(|a| a.range.map(|r| (a, r))) else {
                return Err(missing(&format!("{attribute} came without its range")));
            };
            let last = (known + part.values.len()) as u64;
            let is_next = range.to.is_none_or(|to| !part.values.is_empty() && to == last - 1);
            if range.from != known as u64 || !is_next {
                return Err(missing(&format!("a part of {attribute} is missing")));
            }
            match &mut whole {
                Some(whole) => whole.values.extend(part.values),
                None => whole = Some(part),
            }
            if range.to.is_none()
                && let Some(whole) = whole.take()
            {
                return Ok(whole);
            }
        }
    }
}

/// Why a search gave no complete answer.
pub(super) enum Failed {
    /// The connection, or what came over it.
    Broken(SourceError),
    /// Result code, diagnostic message, referrals.
    Refused(u32, String, Vec<String>),
}

impl From<SourceError> for Failed {
    fn from(e: SourceError) -> Self {
        Self::Broken(e)
    }
}
