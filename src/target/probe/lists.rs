//! Filters, attribute by attribute, and paging.

use super::Prober;
use super::people::EMAIL;
use super::tries::{Listed, refusal};
use crate::model::ObjectKind;
use crate::target::Remote;
use crate::target::error::TargetError;
use crate::target::pages::Pages;
use serde_json::{Value, json};

/// What a filter answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Finds,
    Nothing,
    Others,
    Refused(u16),
}

impl Prober<'_> {
    /// Asks for a resource by each attribute that it has. Works: its row, and no other.
    pub async fn filters(&mut self, kind: ObjectKind, one: &Remote) -> Result<(), TargetError> {
        let (attributes, object) = match kind {
            ObjectKind::User => (["userName", "externalId", "emails.value", "id"].as_slice(), "user"),
            ObjectKind::Group => (["displayName", "externalId", "id"].as_slice(), "group"),
        };
        for attribute in attributes {
            let at = if *attribute == "emails.value" { EMAIL } else { attribute };
            let Some(Value::String(value)) = one.get(at) else { continue };
            let mut answer = self.ask(kind, one, attribute, &value).await?;
            // The only one there is comes whatever is asked for, where the filter is ignored.
            let nobodys = format!("{}-nobody", self.tag);
            if answer == Answer::Finds
                && matches!(self.ask(kind, one, attribute, &nobodys).await?, Answer::Finds | Answer::Others)
            {
                answer = Answer::Others;
            }
            let mut said = match answer {
                Answer::Finds => "works".to_owned(),
                Answer::Nothing => "answers with nothing".to_owned(),
                Answer::Others => "ignored: others come too".to_owned(),
                Answer::Refused(status) => format!("refused ({status})"),
            };
            // RFC 7643 section 3.1: these two are case-exact.
            if answer == Answer::Finds && !matches!(*attribute, "externalId" | "id") {
                let other: String = value.chars().map(swapped).collect();
                let also = self.ask(kind, one, attribute, &other).await? == Answer::Finds;
                said.push_str(if also { ", whatever the letter case" } else { ", only in the stored letter case" });
            }
            self.found.note(&format!("filter.{object}.{attribute}"), said);
            self.found.filter(attribute, answer == Answer::Finds);
        }
        Ok(())
    }

    async fn ask(&self, kind: ObjectKind, one: &Remote, attribute: &str, value: &str) -> Result<Answer, TargetError> {
        let filter = format!("{attribute} eq {}", Value::from(value));
        let mut pages = Pages::filtered(self.core, &self.dialect, kind, filter);
        Ok(match pages.next().await {
            Ok(rows) => {
                let rows = rows.unwrap_or_default();
                match rows.iter().any(|r| r.id == one.id) {
                    true if rows.len() == 1 => Answer::Finds,
                    _ if rows.is_empty() => Answer::Nothing,
                    _ => Answer::Others,
                }
            }
            // Fewer rows than promised.
            Err(e) if e.status.is_none() && e.message.contains("incomplete") => Answer::Nothing,
            Err(e) => refusal(&e).map(Answer::Refused).ok_or(e)?,
        })
    }

    /// How lists are paged, with two users at least in them.
    pub async fn paging(&mut self, two: &Remote) -> Result<(), TargetError> {
        let kind = ObjectKind::User;
        let at = |start: u64, count: u64| [("startIndex", start.to_string()), ("count", count.to_string())];
        let first = match self.listed(kind, &at(1, 1)).await? {
            Ok(first) => first,
            Err(status) => {
                self.found.note("paging.count", format!("refused ({status})"));
                return Ok(());
            }
        };
        self.found.note(
            "paging.count",
            if first.ids.len() == 1 { "obeyed".to_owned() } else { format!("not obeyed: {} rows for 1", first.ids.len()) },
        );
        let second = self.listed(kind, &at(2, 1)).await?;
        let (said, by_index) = match &second {
            Err(status) => (format!("refused ({status})"), false),
            Ok(page) if page.ids.is_empty() => ("the second page is empty".to_owned(), false),
            Ok(page) if page.ids == first.ids => ("ignored: the second page is the first".to_owned(), false),
            Ok(_) => match self.odd_index(&first).await? {
                Some(odd) => (format!("not as RFC 7644 section 3.4.2.4 says: {odd}"), false),
                None => ("works".to_owned(), true),
            },
        };
        if said.starts_with("not as") {
            self.found.warnings.push(format!(
                "paging is {said}. A list of more than one page cannot be read in full, and a sync ends with \"the list is incomplete\": the application has to mend it"
            ));
        }
        self.found.note("paging.index", said);
        if let Some(total) = first.total {
            let said = match self.listed(kind, &at(total.saturating_add(1000), 1)).await? {
                Ok(page) if page.ids.is_empty() => "no rows".to_owned(),
                Ok(page) if page.ids == first.ids => "starts over with the first page".to_owned(),
                Ok(_) => "rows that were there before".to_owned(),
                Err(status) => format!("refused ({status})"),
            };
            self.found.note("paging.past_the_end", said);
        }
        let by_cursor = self.by_cursor(two).await?;
        let known = self.found.dialect().cursor;
        match (by_index, by_cursor) {
            (true, true) => self.found.learnt("cursor", |d| d.cursor = known),
            (true, false) => self.found.learnt("cursor", |d| d.cursor = false),
            (false, true) => self.found.learnt("cursor", |d| d.cursor = true),
            (false, false) => {}
        }
        self.page_size(first.total, first.ids.len() == 1).await
    }

    /// What is wrong with `startIndex`, where second rows come and yet not as they should: it counts rows, the first is 1, and
    /// less than 1 means 1.
    async fn odd_index(&self, first: &Listed) -> Result<Option<&'static str>, TargetError> {
        let at = |start: u64, count: u64| [("startIndex", start.to_string()), ("count", count.to_string())];
        let kind = ObjectKind::User;
        if let Ok(zero) = self.listed(kind, &at(0, 1)).await?
            && zero.ids.len() == 1
            && zero.ids != first.ids
        {
            return Ok(Some("startIndex counts from 0"));
        }
        if let (Ok(two), Ok(next)) = (self.listed(kind, &at(1, 2)).await?, self.listed(kind, &at(2, 2)).await?)
            && two.ids.len() == 2
            && two.ids.get(1) != next.ids.first()
        {
            return Ok(Some("startIndex counts pages"));
        }
        Ok(None)
    }

    /// Pages by cursor (RFC 9865 section 2), as far as the second one.
    async fn by_cursor(&mut self, two: &Remote) -> Result<bool, TargetError> {
        let kind = ObjectKind::User;
        let page = |cursor: &str| [("cursor", cursor.to_owned()), ("count", "1".to_owned())];
        let first = self.listed(kind, &page("")).await?;
        let works = match &first {
            Ok(first) => match &first.next {
                Some(next) => match self.listed(kind, &page(next)).await? {
                    Ok(second) => !second.ids.is_empty() && second.ids != first.ids,
                    Err(_) => false,
                },
                None => false,
            },
            Err(_) => false,
        };
        let said = match first {
            Ok(_) if works => "works".to_owned(),
            Ok(page) if page.next.is_some() => "a cursor comes, and leads nowhere".to_owned(),
            Ok(page) if page.ids.contains(&two.id.0) => "ignored".to_owned(),
            Ok(_) => "no cursor comes back".to_owned(),
            Err(status) => format!("refused ({status})"),
        };
        self.found.note("paging.cursor", said);
        Ok(works)
    }

    /// Rows that come where a whole page is asked for: fewer than there are and than were asked for is the server's limit.
    async fn page_size(&mut self, total: Option<u64>, obeyed: bool) -> Result<(), TargetError> {
        let asked = u64::from(self.dialect.page_size.max(1));
        let Some(total) = total.filter(|_| obeyed) else { return Ok(()) };
        let query = [("startIndex", "1".to_owned()), ("count", asked.to_string())];
        let Ok(page) = self.listed(ObjectKind::User, &query).await? else { return Ok(()) };
        let rows = page.ids.len() as u64;
        if rows > 0 && rows < asked.min(total) {
            self.found.note("paging.most", json!(rows));
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            self.found.learnt("page_size", |d| d.page_size = rows);
        }
        Ok(())
    }
}

fn swapped(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}
