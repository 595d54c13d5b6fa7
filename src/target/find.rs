//! Look-ups that never believe a filter.
//!
//! A filter can be refused (400, 501), ignored (every row comes), unsupported for one attribute (200 with no rows), or
//! sensitive to case where the attribute is not. So every row is compared, and "nothing" counts only where a filter on that
//! attribute is known to find things at this target; else the whole list is read.

use super::error::TargetError;
use super::learned::Trust;
use super::pages::Pages;
use super::path::{FlatPath, same_text};
use super::read::TargetReader;
use super::remote::Remote;
use crate::mapping::Type;
use crate::model::{Fault, ObjectKind};
use serde_json::Value;

/// Rows looked at to find a value for a control query.
const SAMPLE: u32 = 20;

/// What one filter query said.
enum Answer {
    /// Rows that really match; at least one.
    Hits(Vec<Remote>),
    /// No row at all.
    Nothing,
    /// Rows that do not match, a refusal, or fewer rows than promised.
    Useless,
}

impl TargetReader {
    /// Resources whose attribute equals a value, by the first criterion that yields any. `criteria` are attribute paths
    /// (`externalId`, `userName`, `emails.value`, `displayName`) with the value each. Compared without case, `externalId` and
    /// `id` exactly (RFC 7643 section 3.1).
    ///
    /// Costs one read per criterion; where the target's filters cannot be believed for one of them, the whole list.
    ///
    /// # Errors
    /// Any fault that leaves open whether something matches.
    pub async fn find(&self, kind: ObjectKind, criteria: &[(String, String)]) -> Result<Vec<Remote>, TargetError> {
        if criteria.iter().all(|(_, value)| value.trim().is_empty()) {
            return Ok(Vec::new());
        }
        let mut believed = self.dialect.filter;
        if self.dialect.filter {
            for (attribute, value) in criteria {
                if value.trim().is_empty() {
                    continue;
                }
                if !self.dialect.filters_by(attribute) || self.core.learned.trust(kind, attribute) == Some(Trust::Broken) {
                    believed = false;
                    continue;
                }
                match self.ask(kind, attribute, value).await? {
                    Answer::Hits(rows) => {
                        if self.core.learned.trust(kind, attribute).is_none() {
                            self.core.learned.set_trust(kind, attribute, Trust::Works);
                        }
                        return Ok(rows);
                    }
                    Answer::Nothing => believed &= self.is_believed(kind, attribute).await?,
                    Answer::Useless => {
                        believed = false;
                        // A filter that found things before may have met one odd value; others were never any good.
                        if self.core.learned.trust(kind, attribute).is_none() {
                            self.core.learned.set_trust(kind, attribute, Trust::Broken);
                        }
                    }
                }
            }
        }
        if believed { Ok(Vec::new()) } else { self.scan(kind, criteria).await }
    }

    /// One filter query, all its pages, every row compared.
    async fn ask(&self, kind: ObjectKind, attribute: &str, value: &str) -> Result<Answer, TargetError> {
        let Some(filter) = filter(attribute, value, self.kind_of(kind, attribute)) else { return Ok(Answer::Useless) };
        let mut pages = Pages::filtered(&self.core, &self.dialect, kind, filter);
        let mut hits = Vec::new();
        loop {
            match pages.next().await {
                Ok(Some(rows)) => {
                    let before = rows.len();
                    hits.extend(rows.into_iter().filter(|r| matches(r, attribute, value)));
                    // Ignored or loose: whatever else it says is worth nothing.
                    if hits.len() as u64 != pages.received() {
                        tracing::debug!(target_name = %self.core.name, attribute, rows = before, "the filter returned rows that do not match");
                        return Ok(Answer::Useless);
                    }
                }
                Ok(None) if hits.is_empty() => return Ok(Answer::Nothing),
                Ok(None) => return Ok(Answer::Hits(hits)),
                Err(e) if is_refusal(&e) => return Ok(Answer::Useless),
                Err(e) => return Err(e),
            }
        }
    }

    /// The type that the target's schema gives an attribute of users; `None`: text, or not known.
    fn kind_of(&self, kind: ObjectKind, attribute: &str) -> Option<Type> {
        (kind == ObjectKind::User).then(|| self.dialect.shape_of(attribute).kind)?
    }

    /// Whether "nothing" from a filter on this attribute can be believed, by asking for something that is there: a
    /// value of some listed row, in other case where case must not matter.
    async fn is_believed(&self, kind: ObjectKind, attribute: &str) -> Result<bool, TargetError> {
        // Letter case is no question of numbers.
        let exact = is_exact(attribute) || self.kind_of(kind, attribute).is_some();
        match self.core.learned.trust(kind, attribute) {
            Some(Trust::IgnoresCase) => return Ok(true),
            Some(Trust::Works | Trust::MindsCase) if exact => return Ok(true),
            Some(Trust::MindsCase | Trust::Broken) => return Ok(false),
            Some(Trust::Works) | None => {}
        }
        let mut pages = Pages::sample(&self.core, &self.dialect, kind, SAMPLE);
        let rows = match pages.next().await {
            Ok(rows) => rows.unwrap_or_default(),
            Err(e) if is_refusal(&e) => return Ok(false),
            Err(e) => return Err(e),
        };
        if rows.is_empty() {
            // Nobody is there at all.
            return Ok(pages.is_done());
        }
        let Some(known) = rows.iter().find_map(|r| r.texts(attribute).into_iter().find(|v| usable(v, exact))) else {
            return Ok(false);
        };
        let other = if exact { known.to_string() } else { swap_case(&known) };
        let trust = if let Answer::Hits(_) = self.ask(kind, attribute, &other).await? {
            if exact { Trust::Works } else { Trust::IgnoresCase }
        } else if !exact && let Answer::Hits(_) = self.ask(kind, attribute, &known).await? {
            Trust::MindsCase
        } else {
            Trust::Broken
        };
        tracing::debug!(target_name = %self.core.name, attribute, ?trust, "filter checked with a known value");
        self.core.learned.set_trust(kind, attribute, trust);
        Ok(matches!(trust, Trust::Works | Trust::IgnoresCase))
    }

    /// The whole list, compared here: criteria in order, the first that yields any.
    async fn scan(&self, kind: ObjectKind, criteria: &[(String, String)]) -> Result<Vec<Remote>, TargetError> {
        let mut hits: Vec<Vec<Remote>> = vec![Vec::new(); criteria.len()];
        let mut pages = Pages::all(&self.core, &self.dialect, kind);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let by = criteria.iter().position(|(a, v)| !v.trim().is_empty() && matches(&row, a, v));
                if let Some(found) = by.and_then(|i| hits.get_mut(i)) {
                    found.push(row);
                }
            }
        }
        Ok(hits.into_iter().find(|h| !h.is_empty()).unwrap_or_default())
    }
}

/// Refusals that say something about the filter and nothing about the target.
fn is_refusal(e: &TargetError) -> bool {
    match e.status {
        Some(401 | 407 | 408 | 429 | 502..=504) => false,
        Some(_) => true,
        // Fewer rows than promised.
        None => e.fault == Fault::Transient && e.message.contains("incomplete"),
    }
}

/// `attr eq "value"`, or `attr[type eq "work" and value eq "x"]` for a path with a value filter. Of a number, true and false
/// the value stands without quotes (RFC 7644 section 3.4.2.2: as JSON writes it).
fn filter(attribute: &str, value: &str, kind: Option<Type>) -> Option<String> {
    let path = FlatPath::parse(attribute).ok()?;
    let value = kind.and_then(|kind| kind.read(value).ok()).unwrap_or_else(|| Value::from(value));
    if path.element.is_empty() {
        let sub = path.sub.map_or_else(String::new, |s| format!(".{s}"));
        return Some(format!("{}{sub} eq {value}", path.attribute()));
    }
    let mut terms: Vec<String> = path.element.iter().map(|(k, v)| format!("{k} eq {v}")).collect();
    terms.push(format!("{} eq {value}", path.sub.unwrap_or("value")));
    Some(format!("{}[{}]", path.attribute(), terms.join(" and ")))
}

/// Attributes that compare exactly (RFC 7643 section 3.1: caseExact).
fn is_exact(attribute: &str) -> bool {
    attribute.eq_ignore_ascii_case("externalId") || attribute.eq_ignore_ascii_case("id")
}

fn matches(row: &Remote, attribute: &str, value: &str) -> bool {
    let equal = |have: &str| if is_exact(attribute) { have == value } else { same_text(have, value) };
    row.texts(attribute).iter().any(|have| equal(have))
}

/// A value that makes a fair control query: plain, and with a letter whose case can be swapped where that is the question.
fn usable(value: &str, exact: bool) -> bool {
    !value.trim().is_empty()
        && value.is_ascii()
        && !value.contains(['"', '\\'])
        && (exact || value.contains(|c: char| c.is_ascii_alphabetic()))
}

fn swap_case(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
}
