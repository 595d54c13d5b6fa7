//! Searches on one connection, page by page, each proven complete.
//!
//! Pages are asked for by hand and not through `ldap3`'s adapter: after a broken page the adapter hands out the result of
//! the first page, so that a truncated read looks complete. Here a page counts only if every message came, the result is
//! success, and (paged) the server's control says where the next page is or that there is none.

use super::ber;
use super::connect::Connection;
use super::entry::{RawAttribute, RawEntry};
use super::pump::Batch;
use super::result::{self, Place};
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
    /// Controls besides those for pages.
    pub controls: Vec<RawControl>,
}

/// Why not all values of an attribute can be had, as far as only this entry is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotWhole(pub String);

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

impl<'a> Search<'a> {
    /// One entry, by its name.
    #[must_use]
    pub fn base(base: &'a str, attributes: Vec<String>) -> Self {
        Self { what: "an entry", base, scope: Scope::Base, filter: "(objectClass=*)", attributes, controls: Vec::new() }
    }
}

impl Session<'_> {
    /// Reads the rootDSE. A server that hides it is not at fault.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read_root(&mut self) -> Result<(), SourceError> {
        let attributes = rootdse::ATTRIBUTES.iter().map(|a| (*a).to_owned()).collect();
        let search = Search { what: "the rootDSE", ..Search::base("", attributes) };
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
    ///
    /// # Errors
    /// The connection broke, or the server refuses.
    pub async fn base(&mut self, search: &Search<'_>) -> Result<Option<RawEntry>, Failed> {
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
        let search = Search { what: "the base", ..Search::base(base, vec!["1.1".to_owned()]) };
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
        let mut controls = search.controls.clone();
        if page_size > 0 {
            let control = PagedResults { size: page_size, cookie: std::mem::take(&mut progress.cookie) };
            controls.push(control.critical().into());
        }
        let answered = self.exchange(search, progress, controls, each).await?;
        if page_size == 0 {
            return Ok(false);
        }
        let control = answered.into_iter().find(|c| c.ctype == rootdse::PAGED_RESULTS);
        let cookie = control.and_then(|c| ber::paged_cookie(&c.val.unwrap_or_default())).ok_or_else(|| {
            self.place(search, progress).incomplete("the server ended a page without saying whether there are more")
        })?;
        progress.cookie = cookie;
        Ok(!progress.cookie.is_empty())
    }

    /// One search, with these controls: entries to `each`, the answer's controls back.
    ///
    /// # Errors
    /// The connection broke, or the result is no success.
    pub async fn exchange(
        &mut self,
        search: &Search<'_>,
        progress: &mut Progress,
        controls: Vec<RawControl>,
        each: &mut impl AsyncFnMut(SentEntry) -> Result<(), SourceError>,
    ) -> Result<Vec<RawControl>, Failed> {
        let ldap = &mut self.connection.ldap;
        ldap.with_search_options(SearchOptions::new());
        if !controls.is_empty() {
            ldap.with_controls(controls);
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
        Ok(answer.ctrls.into_iter().map(|c| c.1).collect())
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
    /// read atomically: if the entry changed meanwhile, it is read again. Whatever the server refuses concerns this entry only, and
    /// so does an answer with fewer values than the `shown` ones of the first part.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn all_values(
        &mut self,
        dn: &str,
        attribute: &str,
        shown: usize,
        controls: &[RawControl],
    ) -> Result<Result<RawAttribute, NotWhole>, SourceError> {
        for _ in 0..RANGE_ATTEMPTS {
            match self.values_once(dn, attribute, controls).await? {
                Ok(Some(whole)) if whole.values.len() < shown => {
                    let n = whole.values.len();
                    return Ok(Err(NotWhole(format!("{shown} values of {attribute} were shown at first, and {n} in all then"))));
                }
                Ok(Some(whole)) => return Ok(Ok(whole)),
                Ok(None) => {}
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Err(NotWhole("it changed each time that it was read".to_owned())))
    }

    /// Reads all parts once; `None` where the entry changed meanwhile.
    async fn values_once(
        &mut self,
        dn: &str,
        attribute: &str,
        controls: &[RawControl],
    ) -> Result<Result<Option<RawAttribute>, NotWhole>, SourceError> {
        let not_whole = |why: String| Ok(Err(NotWhole(why)));
        let mut whole = RawAttribute::without_values(attribute);
        let mut version: Option<Option<Vec<u8>>> = None;
        loop {
            let known = whole.values.len();
            let attributes = vec![format!("{attribute};range={known}-*"), "uSNChanged".to_owned()];
            let search =
                Search { what: "the values of a large group", controls: controls.to_vec(), ..Search::base(dn, attributes) };
            let entry = match self.base(&search).await {
                Ok(Some(entry)) => entry,
                Ok(None) => return not_whole("it vanished while it was read".to_owned()),
                Err(Failed::Broken(e)) => return Err(e),
                Err(Failed::Refused(code, text, _)) => return not_whole(result::describe(code, &text)),
            };
            let now = entry.first("uSNChanged").map(<[u8]>::to_vec);
            if version.replace(now.clone()).is_some_and(|before| before != now) {
                return Ok(Ok(None));
            }
            let mut found = entry.attributes.into_iter().filter(|a| a.name.eq_ignore_ascii_case(attribute));
            let Some((part, range)) = found.find_map(|a| a.range.map(|r| (a, r))) else {
                return not_whole(format!("{attribute} came without its range"));
            };
            let last = (known + part.values.len()) as u64;
            let is_next = range.to.is_none_or(|to| !part.values.is_empty() && to == last - 1);
            if range.from != known as u64 || !is_next {
                return not_whole(format!("a part of {attribute} is missing"));
            }
            whole.values.extend(part.values);
            if range.to.is_none() {
                return Ok(Ok(Some(whole)));
            }
        }
    }
}

/// Why a search gave no complete answer.
#[derive(Debug)]
pub enum Failed {
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
