//! Pages of a list or of a change feed, each link followed once, until the service itself says that it was the last.

use super::answer::{Answer, Object};
use super::connect::Client;
use super::fault::{Call, GraphError};
use crate::source::news::{News, mark, short};
use std::collections::HashSet;
use url::Url;

/// Pages in a row that bring nothing new before the service is taken to go round in circles. Pages without anything are
/// normal in change feeds, so many are not.
const IDLE: u32 = 200;

/// What ends a sequence of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A page without a link: a list.
    NoLink,
    /// A page with a delta link: a change feed.
    DeltaLink,
}

/// A sequence of pages on the way.
pub struct Pages<'a> {
    client: &'a Client,
    call: Call,
    end: End,
    next: Option<Url>,
    /// Links that were followed.
    followed: HashSet<u64>,
    news: News,
    /// The link for the next round, when the last page has come.
    delta_link: Option<String>,
}

impl<'a> Pages<'a> {
    /// From this address on.
    #[must_use]
    pub fn new(client: &'a Client, call: Call, end: End, from: Url) -> Self {
        Self { client, call, end, next: Some(from), followed: HashSet::new(), news: News::new(IDLE), delta_link: None }
    }

    /// After a page that comes in another way: give it to [`Pages::take`].
    #[must_use]
    pub fn begun(client: &'a Client, call: Call, end: End) -> Self {
        Self { client, call, end, next: None, followed: HashSet::new(), news: News::new(IDLE), delta_link: None }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// The request failed, a link leads elsewhere or in a circle, the last page does not say that it is the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Object>>, GraphError> {
        let Some(url) = self.next.take() else { return Ok(None) };
        let answer = self.client.get(self.call, &url, &[]).await?;
        self.take(answer).map(Some)
    }

    /// A page that came in another way (in a batch).
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub fn take(&mut self, answer: Answer) -> Result<Vec<Object>, GraphError> {
        let Some(items) = answer.value else {
            return Err(GraphError::Malformed("a page of Graph has no array `value`".to_owned()));
        };
        let link = |name: &str| answer.rest.get(name).and_then(serde_json::Value::as_str);
        match (link("@odata.nextLink"), link("@odata.deltaLink"), self.end) {
            (Some(next), ..) => {
                let url = self.client.link(next)?;
                if !self.followed.insert(mark(next.as_bytes())) {
                    return Err(GraphError::Incomplete("the service links to a page that it has given before".to_owned()));
                }
                self.next = Some(url);
            }
            (None, Some(delta), End::DeltaLink) => {
                self.client.link(delta)?;
                self.delta_link = Some(delta.to_owned());
            }
            (None, None, End::DeltaLink) => {
                let why = "the last page of changes has no delta link: some may be missing";
                return Err(GraphError::Incomplete(why.to_owned()));
            }
            (None, _, End::NoLink) => {}
        }
        self.look_for_news(&items)?;
        Ok(items)
    }

    /// Where page after page repeats what is known, under ever new links, the service goes round in circles.
    fn look_for_news(&mut self, items: &[Object]) -> Result<(), GraphError> {
        // An object may come several times in a change feed, each time with another part.
        let news = self.news.page(items.iter().map(|item| match (self.end, item.json["id"].as_str()) {
            (End::NoLink, Some(id)) => mark(id.as_bytes()),
            _ => mark_of_all(item),
        }));
        if news || self.next.is_none() {
            return Ok(());
        }
        Err(GraphError::Incomplete(format!("{IDLE} pages in a row brought nothing new, and the service promises more")))
    }

    /// Whether the last page has come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// The link for the next round of a change feed that has come to its end.
    #[must_use]
    pub fn into_delta_link(self) -> Option<String> {
        self.delta_link
    }
}

fn mark_of_all(item: &Object) -> u64 {
    let mut hasher = blake3::Hasher::new();
    // Writing into a hasher cannot fail.
    let _ = serde_json::to_writer(&mut hasher, &item.json);
    for member in item.members() {
        hasher.update(&[u8::from(member.is_removed())]);
        if let Some(id) = &member.id {
            hasher.update(id.octets());
        }
    }
    short(&hasher.finalize())
}
