//! Queries: sort, page (RFC 7644 section 3.4.2), from the URL or from a `/.search` body.

use super::Behaviour;
use super::matching::{is_computed, matching};
use super::patch::{check_inner, check_operators, invalid_filter};
use super::project::Projection;
use super::schema;
use super::store::{Record, Store};
use super::validate::{invalid_syntax, invalid_value};
use crate::model::ObjectKind;
use crate::scim::LIST;
use crate::scim::error::{ScimError, ScimType};
use crate::scim::eval;
use crate::scim::filter::Filter;
use crate::scim::path::{AttrPath, Path};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::io::Write as _;

/// A query as it was asked.
#[derive(Debug, Default)]
pub(super) struct Query {
    filter: Option<Filter>,
    /// 1-based; never 0.
    start: usize,
    count: Option<usize>,
    sort_by: Option<AttrPath>,
    descending: bool,
    pub(super) projection: Projection,
}

impl Query {
    /// From the query part of a URL. Parameters that SCIM does not know are passed over.
    pub(super) fn from_url(query: &str) -> Result<Self, ScimError> {
        let mut object = Map::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            object.insert(name.into_owned(), Value::String(value.into_owned()));
        }
        Self::read(&object)
    }

    /// From the body of a POST to `/.search` (RFC 7644 section 3.4.3).
    pub(super) fn from_body(body: &Value) -> Result<Self, ScimError> {
        match body {
            Value::Object(object) => Self::read(object),
            _ => Err(invalid_syntax("a search request is a JSON object".into())),
        }
    }

    fn read(object: &Map<String, Value>) -> Result<Self, ScimError> {
        let get = |name: &str| eval::field(object, name).filter(|value| !value.is_null());
        let text = |name: &str| match get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(invalid_value(format!("`{name}` is a string"))),
        };
        let filter = match text("filter")? {
            None => None,
            Some(text) => Some(text.parse::<Filter>().map_err(|error| invalid_filter(format!("`filter`: {error}")))?),
        };
        let sort_by = match text("sortBy")? {
            None => None,
            Some(text) => Some(text.parse().map_err(|error| invalid_value(format!("`sortBy`: {error}")))?),
        };
        let descending = match text("sortOrder")? {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(order) => return Err(invalid_value(format!("`sortOrder` is ascending or descending, not {order:?}"))),
        };
        Ok(Self {
            filter,
            start: number("startIndex", get("startIndex"))?.map_or(1, |n| n.max(1)),
            count: number("count", get("count"))?,
            sort_by,
            descending,
            projection: Projection::read(get("attributes"), get("excludedAttributes"))?,
        })
    }
}

/// A number of a query; below zero is zero (RFC 7644 section 3.4.2.4).
fn number(name: &str, value: Option<&Value>) -> Result<Option<usize>, ScimError> {
    let number = match value {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    match number {
        Some(number) => Ok(Some(usize::try_from(number).unwrap_or_default())),
        None => Err(invalid_value(format!("`{name}` is an integer"))),
    }
}

/// Answers a query over these kinds of resources as the text of a ListResponse.
pub(super) fn list(store: &Store, kinds: &[ObjectKind], query: &Query, behaviour: &Behaviour) -> Result<Vec<u8>, ScimError> {
    if let Some(filter) = &query.filter {
        if !behaviour.filter {
            return Err(ScimError::new(501, "filters are not supported here"));
        }
        check(kinds, filter)?;
        if kinds.contains(&ObjectKind::User) {
            behaviour.takes_filter(filter)?;
        }
    }
    let count = query.count.unwrap_or(behaviour.default_page).min(behaviour.max_page);
    let skip = query.start - 1;
    if query.filter.is_none() && query.sort_by.is_none() {
        let total = kinds.iter().map(|kind| store.table(*kind).len()).sum();
        let mut skip = skip;
        let mut page = Vec::new();
        for kind in kinds {
            let table = store.table(*kind);
            page.extend(table.iter_from(skip).take(count - page.len()));
            skip = skip.saturating_sub(table.len());
        }
        return Ok(render(store, &page, total, query));
    }
    let mut found: Vec<&Record> = kinds.iter().flat_map(|kind| matching(store, *kind, query.filter.as_ref())).collect();
    if let Some(sort_by) = &query.sort_by {
        sort(store, &mut found, sort_by, query.descending)?;
    }
    let page: Vec<&Record> = found.iter().skip(skip).take(count).copied().collect();
    Ok(render(store, &page, found.len(), query))
}

fn render(store: &Store, page: &[&Record], total: usize, query: &Query) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + page.len() * 768);
    // Writing to a Vec does not fail.
    let _ = write!(
        out,
        "{{\"schemas\":[\"{LIST}\"],\"totalResults\":{total},\"startIndex\":{},\"itemsPerPage\":{},\"Resources\":[",
        query.start,
        page.len()
    );
    for (i, record) in page.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&query.projection.body(store, record));
    }
    out.extend_from_slice(b"]}");
    out
}

/// Refuses what the RFC does not know, and attributes that none of the kinds has.
fn check(kinds: &[ObjectKind], filter: &Filter) -> Result<(), ScimError> {
    check_operators(filter)?;
    let known = |path: &AttrPath| kinds.iter().find_map(|kind| schema::resolve(*kind, path)).map(|(attr, _)| attr);
    let unknown = |path: &AttrPath| invalid_filter(format!("there is no attribute `{path}`"));
    match filter {
        Filter::And(a, b) | Filter::Or(a, b) => check(kinds, a).and_then(|()| check(kinds, b)),
        Filter::Not(inner) => check(kinds, inner),
        Filter::Compare(path, ..) | Filter::Present(path) => known(path).map(|_| ()).ok_or_else(|| unknown(path)),
        Filter::Complex(path, inner) => check_inner(known(path).ok_or_else(|| unknown(path))?, inner),
    }
}

/// Sorts by an attribute; resources without it come last, in descending order first (RFC 7644 section 3.4.2.3).
fn sort(store: &Store, found: &mut Vec<&Record>, by: &AttrPath, descending: bool) -> Result<(), ScimError> {
    let Some(known) = found.first().map(|record| schema::resolve(record.kind, by)) else { return Ok(()) };
    if known.is_none() && found.iter().all(|record| schema::resolve(record.kind, by).is_none()) {
        return Err(ScimError::bad_request(ScimType::InvalidPath, format!("`sortBy`: there is no attribute `{by}`")));
    }
    let path = Path { attr: by.clone(), filter: None, sub: None };
    let mut keyed: Vec<(Option<String>, &Record)> = found
        .iter()
        .map(|record| {
            let json: Value = serde_json::from_slice(&store.body(record, is_computed(by))).unwrap_or_default();
            let text = eval::get(&json, &path).as_ref().and_then(sort_key);
            (text.map(|text| if schema::case_exact(record.kind, by) { text } else { text.to_lowercase() }), *record)
        })
        .collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let order = match (a, b) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if descending { order.reverse() } else { order }
    });
    *found = keyed.into_iter().map(|(_, record)| record).collect();
    Ok(())
}

/// The text to sort by: of several values the primary one, else the first.
fn sort_key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) => {
            let primary = all.iter().find(|value| super::validate::is_primary(value));
            primary.or_else(|| all.first()).and_then(sort_key)
        }
        Value::Object(object) => object.get("value").and_then(sort_key),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}
