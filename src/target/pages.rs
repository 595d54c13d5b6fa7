//! A collection by pages, as servers really page: whatever the cap, whether `startIndex` is obeyed, ignored or starts
//! over, by index (RFC 7644 section 3.4.2.4) or by cursor (RFC 9865).

use super::Dialect;
use super::client::{Call, Core, Counts, Reply, encode};
use super::error::{About, TargetError};
use super::path::field;
use super::remote::Remote;
use crate::http::body::MAX_BODY;
use crate::model::{Fault, ObjectKind};
use serde_json::Value;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Pages without a new row after which a cursor is taken to lead nowhere.
const EMPTY_PAGES: u32 = 5;

/// How often a list that moves while it is read is begun again.
const AGAIN: u32 = 3;

/// One walk over a collection, or over what a filter finds in it.
pub(super) struct Pages<'a> {
    core: &'a Core,
    endpoint: &'a str,
    filter: Option<String>,
    /// Asked-for rows per page; `None`: the server decides.
    count: Option<u32>,
    at: At,
    /// Hashes of the ids seen: 8 bytes each, so that a million accounts fit.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Rows without an id: they count, but nothing can be done with them.
    nameless: u64,
    total: Option<u64>,
    empty: u32,
    /// How often the list was begun again, and the index up to which it was read before that.
    again: (u32, u64),
}

enum At {
    Index(u64),
    /// The cursor to send; empty for the first page.
    Cursor(String),
    End,
}

/// A list response in parts.
struct Page {
    rows: Vec<Value>,
    total: Option<u64>,
    next: Option<String>,
}

impl<'a> Pages<'a> {
    /// The whole collection.
    pub fn all(core: &'a Core, dialect: &'a Dialect, kind: ObjectKind) -> Self {
        let count = (!core.learned.count_is_off()).then_some(dialect.page_size.max(1));
        let at = if dialect.cursor { At::Cursor(String::new()) } else { At::Index(1) };
        Self::new(core, dialect.endpoint(kind), None, count, at)
    }

    /// What a filter finds; the first page is asked for without paging.
    pub fn filtered(core: &'a Core, dialect: &'a Dialect, kind: ObjectKind, filter: String) -> Self {
        Self::new(core, dialect.endpoint(kind), Some(filter), None, At::Index(1))
    }

    /// At most `count` rows from the start.
    pub fn sample(core: &'a Core, dialect: &'a Dialect, kind: ObjectKind, count: u32) -> Self {
        let count = (!core.learned.count_is_off()).then_some(count);
        Self::new(core, dialect.endpoint(kind), None, count, At::Index(1))
    }

    fn new(core: &'a Core, endpoint: &'a str, filter: Option<String>, count: Option<u32>, at: At) -> Self {
        let (seen, hasher) = (HashSet::new(), RandomState::new());
        Self { core, endpoint, filter, count, at, seen, hasher, nameless: 0, total: None, empty: 0, again: (0, 0) }
    }

    /// Whether the server answers with a list at all; what is in it does not matter.
    pub async fn probe(mut self) -> Result<(), TargetError> {
        self.fetch().await.map(drop)
    }

    /// `totalResults` as the server last gave it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Rows received so far, each id once.
    pub fn received(&self) -> u64 {
        self.seen.len() as u64 + self.nameless
    }

    /// Whether everything the server says it has was received.
    pub fn is_done(&self) -> bool {
        matches!(self.at, At::End)
    }

    /// The next page, only with rows not seen before; `None` at the end, which is reached only with as many rows as
    /// `totalResults` promises.
    pub async fn next(&mut self) -> Result<Option<Vec<Remote>>, TargetError> {
        if self.is_done() {
            return Ok(None);
        }
        let page = self.fetch().await?;
        let received = page.rows.len() as u64;
        let begin_again = self.has_moved(page.total, received);
        self.total = page.total.or(self.total);
        let mut fresh = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            match Remote::new(row) {
                Some(remote) => {
                    if self.seen.insert(self.hasher.hash_one(remote.id.as_str())) {
                        fresh.push(remote);
                    }
                }
                None => self.nameless += 1,
            }
        }
        if let Some(read_to) = begin_again {
            self.again = (self.again.0 + 1, read_to);
            self.at = At::Index(1);
        } else {
            self.advance(received, !fresh.is_empty(), page.next)?;
        }
        Ok((!fresh.is_empty() || !self.is_done()).then_some(fresh))
    }

    /// Something in front of this page is gone since the last one: the list moved up, and somebody was passed over. The index
    /// up to which it was read, where it is to be read once more.
    fn has_moved(&self, total: Option<u64>, received: u64) -> Option<u64> {
        let At::Index(start) = self.at else { return None };
        // A total that is only the length of a page says nothing. One that went down once is none of those.
        let is_total = self.again.0 > 0 || self.total.is_some_and(|t| t > self.received()) && total.is_some_and(|t| t > received);
        (start > 1 && is_total && total < self.total && self.again.0 < AGAIN).then_some(start + received)
    }

    /// Decides where the next page is, if there is one.
    fn advance(&mut self, received: u64, any_new: bool, next: Option<String>) -> Result<(), TargetError> {
        // More than the total: the total is wrong (the length of a page, as a rule), and only an empty page is the end.
        // Of a list that moved, ids count that are in it no more: its end is where the rows end.
        let got = match self.at {
            At::Index(start) if self.again.0 > 0 => start - 1 + received,
            _ => self.received(),
        };
        let have_all = self.total.is_some_and(|total| got == total || (self.again.0 > 0 && got > total));
        match (&self.at, next) {
            (At::Cursor(sent), Some(next)) => {
                self.empty = if any_new { 0 } else { self.empty + 1 };
                if *sent == next || self.empty >= EMPTY_PAGES {
                    return Err(self.incomplete("its cursor leads nowhere"));
                }
                self.at = At::Cursor(next);
            }
            // No cursor came back although there is more: the server pages by index after all.
            (At::Cursor(_), None) if any_new && !have_all && self.total.is_some() => self.at = At::Index(received + 1),
            (At::Cursor(_), None) => self.finish(got)?,
            // Pages by index lead nowhere, and by a cursor there would be one more (RFC 9865): it pages so without saying it.
            // Not while a list is read that was read before.
            (At::Index(start), Some(next)) if !have_all && !any_new && *start >= self.again.1 => self.at = At::Cursor(next),
            (At::Index(start), _) => {
                // A total that equals a page filled to the brim may only be the length of that page.
                let first_brimful = *start == 1 && self.filter.is_none() && self.count.is_some_and(|c| received == u64::from(c));
                let read_before = *start < self.again.1;
                if received == 0 || (!any_new && !read_before) || (have_all && !first_brimful) {
                    self.finish(got)?;
                } else {
                    self.at = At::Index(start + received);
                }
            }
            (At::End, _) => {}
        }
        Ok(())
    }

    fn finish(&mut self, got: u64) -> Result<(), TargetError> {
        self.at = At::End;
        match self.total {
            Some(total) if got < total => Err(self.incomplete(&format!("it says that there are {total} and gave {got}"))),
            _ => Ok(()),
        }
    }

    async fn fetch(&mut self) -> Result<Page, TargetError> {
        loop {
            let call = self.call();
            let first = matches!(self.at, At::Index(1));
            match self.core.send(&call).await {
                Ok(reply) => return self.parse(&call, &reply),
                // Some servers fail on any `count`.
                Err(e) if first && self.count.is_some() && matches!(e.status, Some(400 | 500)) => {
                    self.count = None;
                    let again = self.core.send(&self.call()).await;
                    return match again {
                        Ok(reply) => {
                            self.core.learned.turn_count_off();
                            self.parse(&call, &reply)
                        }
                        Err(_) => Err(e),
                    };
                }
                // Large groups: fewer per page.
                Err(e) if e.status == Some(200) && e.fault == Fault::Permanent && matches!(self.at, At::Index(_)) => {
                    match self.count {
                        Some(count) if count > 1 => self.count = Some((count / 8).max(1)),
                        _ => {
                            return Err(self
                                .core
                                .error(e.fault, format!("{} (answers are read up to {} MiB)", e.message, MAX_BODY >> 20)));
                        }
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn call(&self) -> Call {
        let mut query: Vec<String> = Vec::with_capacity(3);
        if let Some(filter) = &self.filter {
            query.push(format!("filter={}", encode(filter)));
        }
        match &self.at {
            // A plain look-up stays plain: not every server takes a filter and paging together.
            At::Index(1) if self.filter.is_some() => {}
            At::Index(start) => query.push(format!("startIndex={start}")),
            At::Cursor(cursor) => query.push(format!("cursor={}", encode(cursor))),
            At::End => {}
        }
        if let Some(count) = self.count {
            query.push(format!("count={count}"));
        }
        let call = Call::get(self.endpoint, About::Service);
        Call { query: query.join("&"), counts: Counts::Read, ..call }
    }

    fn parse(&self, call: &Call, reply: &Reply) -> Result<Page, TargetError> {
        let raw = self.core.json(call, reply)?;
        if super::client::is_error(&raw) {
            return Err(self.core.refusal(call, 400, &reply.body, None, None));
        }
        let odd = |what: &str| {
            self.core.error(
                Fault::Permanent,
                format!("GET {}: the answer is no SCIM list: {what}; check that url is the SCIM base address", self.endpoint),
            )
        };
        let mut object = match raw {
            Value::Object(o) => o,
            // A bare array is taken as all there is.
            Value::Array(rows) => return Ok(Page { rows, total: None, next: None }),
            _ => return Err(odd("neither an object nor an array")),
        };
        let total = field(&object, "totalResults").and_then(whole);
        let next = field(&object, "nextCursor").and_then(Value::as_str).filter(|c| !c.is_empty()).map(str::to_owned);
        let key = super::path::key_of(&object, "Resources").cloned();
        let rows = match key.and_then(|k| object.shift_remove(&k)) {
            Some(Value::Array(rows)) => rows,
            None | Some(Value::Null) if total.is_some() => Vec::new(),
            _ => return Err(odd("there is no Resources")),
        };
        Ok(Page { rows, total, next })
    }

    fn incomplete(&self, what: &str) -> TargetError {
        self.core.error(Fault::Transient, format!("GET {}: the list is incomplete: {what}; nothing of it is used", self.endpoint))
    }
}

/// A whole number, also as text.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}
