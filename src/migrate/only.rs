//! `--only`: the accounts that a filter leaves, by what the account says and else by what the person's entry does.
//!
//! The entry's part is asked of the source for this run, whatever the mapping uses: what was never read would look like what
//! nobody has, and `not (..)` of it would mean everybody.

use super::analysis::Analysis;
use super::aside::is_aside;
use super::report::Line;
use crate::mapping::Sought;
use crate::model::{Entry, ObjectKind, TargetId};
use crate::scim::eval::{case_exact_by_rfc, field};
use crate::scim::filter::Filter;
use crate::scim::path::AttrPath;
use crate::state::{StateError, Store};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Attributes that accounts may have by RFC 7643 (sections 3.1 and 4.1): an account without one is no slip of the pen.
const OF_ACCOUNTS: &str = "id externalId meta schemas userName name displayName nickName profileUrl title userType \
    preferredLanguage locale timezone active password emails phoneNumbers ims photos addresses groups entitlements roles \
    x509Certificates";

/// A filter, and whether what it goes by was met.
pub(super) struct Only<'a> {
    filter: &'a Filter,
    sought: Vec<(Sought, bool)>,
    /// There was an account to judge.
    judged: bool,
}

impl<'a> Only<'a> {
    pub(super) fn new(filter: &'a Filter) -> Self {
        let mut found = Vec::new();
        plain(filter, &mut found);
        let of_accounts = |name: &str| OF_ACCOUNTS.split_whitespace().any(|known| known.eq_ignore_ascii_case(name));
        let sought = found.into_iter().map(|path| {
            let attribute = Sought::new(&path.name);
            let known = attribute.is_known_everywhere() || of_accounts(&path.name);
            (attribute, known)
        });
        Self { filter, sought: sought.collect(), judged: false }
    }

    /// What the source is asked for besides.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.sought.iter().flat_map(|(attribute, _)| attribute.names()).map(String::as_str)
    }

    /// Somebody in the directory.
    pub(super) fn see(&mut self, entry: &Entry) {
        for (attribute, met) in self.sought.iter_mut().filter(|(_, met)| !met) {
            *met = !attribute.values(entry, None).is_empty();
        }
    }

    /// An attribute of the filter that neither an account nor an entry has.
    pub(super) fn unknown(&self) -> Option<&str> {
        let unmet = self.sought.iter().find(|(_, met)| !met && self.judged);
        unmet.map(|(attribute, _)| attribute.written())
    }

    /// Leaves only lines for which the filter holds, and whoever stands aside, to be given the old name back; returns the
    /// accounts for which it does not hold.
    pub(super) fn narrow(
        &mut self,
        store: &Store,
        analysis: &Analysis,
        lines: &mut Vec<Line>,
    ) -> Result<HashSet<TargetId>, StateError> {
        let (mut kept, mut outside) = (Vec::with_capacity(lines.len()), HashSet::new());
        for line in lines.drain(..) {
            let subject = self.subject(store, analysis, &line)?;
            self.judged = true;
            for (attribute, met) in self.sought.iter_mut().filter(|(_, met)| !met) {
                *met = field(&subject, attribute.written()).is_some();
            }
            let holds = self.filter.matches(&Value::Object(subject), &case_exact_by_rfc);
            if !holds {
                outside.insert(line.row.id.clone());
            }
            if holds || is_aside(&line.current) {
                kept.push(line);
            }
        }
        *lines = kept;
        Ok(outside)
    }

    /// The account, and what only the person's entry has.
    fn subject(&self, store: &Store, analysis: &Analysis, line: &Line) -> Result<Map<String, Value>, StateError> {
        let json = store.remote_json(ObjectKind::User, &line.row.id)?.unwrap_or_default();
        let mut subject = match serde_json::from_str(&json) {
            Ok(Value::Object(account)) => account,
            _ => Map::new(),
        };
        let Some(person) = line.row.person.and_then(|i| analysis.people.get(i)) else { return Ok(subject) };
        let Some(entry) = store.entry(person.entry_id)? else { return Ok(subject) };
        for (attribute, _) in &self.sought {
            let values = attribute.values(&entry, person.user_id.as_deref().ok());
            if !values.is_empty() && field(&subject, attribute.written()).is_none() {
                subject.insert(attribute.written().to_owned(), values.into());
            }
        }
        Ok(subject)
    }
}

/// The attributes that a filter names without a schema and without parts: those that an entry can have.
fn plain<'a>(filter: &'a Filter, found: &mut Vec<&'a AttrPath>) {
    match filter {
        Filter::And(a, b) | Filter::Or(a, b) => {
            plain(a, found);
            plain(b, found);
        }
        Filter::Not(inner) => plain(inner, found),
        Filter::Compare(path, ..) | Filter::Present(path) if path.urn.is_none() && path.sub.is_none() => found.push(path),
        Filter::Compare(..) | Filter::Present(_) | Filter::Complex(..) => {}
    }
}
