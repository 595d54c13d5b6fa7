//! Which records fulfil a filter, with the help of the indexes.

use super::edit::{ids_in, parse_id};
use super::schema;
use super::store::{Record, Store};
use crate::model::ObjectKind;
use crate::scim::eval::Subject;
use crate::scim::filter::{Filter, Op};
use crate::scim::path::AttrPath;
use serde_json::Value;
use std::cell::OnceCell;

/// The records of a kind that fulfil the filter, in order of creation.
pub(super) fn matching<'a>(
    store: &'a Store,
    kind: ObjectKind,
    filter: Option<&'a Filter>,
) -> Box<dyn Iterator<Item = &'a Record> + 'a> {
    let table = store.table(kind);
    let Some(filter) = filter else { return Box::new(table.iter()) };
    let holds = move |record: &&Record| filter.eval(&Candidate { store, record, json: OnceCell::new() });
    match candidates(store, kind, filter) {
        Some(mut slots) => {
            slots.sort_unstable();
            slots.dedup();
            Box::new(slots.into_iter().filter_map(|slot| table.get(slot)).filter(holds))
        }
        None => Box::new(table.iter().filter(holds)),
    }
}

/// The slots that an index gives for a filter: a superset of what fulfils it. `None`: everything must be looked at.
fn candidates(store: &Store, kind: ObjectKind, filter: &Filter) -> Option<Vec<usize>> {
    let own = |path: &AttrPath| path.urn.as_deref().is_none_or(|urn| urn.eq_ignore_ascii_case(schema::core(kind).id));
    match filter {
        Filter::And(a, b) => candidates(store, kind, a).or_else(|| candidates(store, kind, b)),
        Filter::Or(a, b) => {
            let mut slots = candidates(store, kind, a)?;
            slots.extend(candidates(store, kind, b)?);
            Some(slots)
        }
        Filter::Compare(path, Op::Eq, Value::String(text)) if own(path) => {
            let is = |name: &str, sub: &str| {
                path.name.eq_ignore_ascii_case(name) && path.sub.as_deref().unwrap_or(sub).eq_ignore_ascii_case(sub)
            };
            let index = store.index(kind);
            if is("id", "") {
                Some(parse_id(text).and_then(|id| store.slot(kind, &id)).into_iter().collect())
            } else if is("externalId", "") {
                Some(index.external_id.get(text).to_vec())
            } else if is(kind.name_attribute(), "") {
                Some(index.name.get(&text.to_lowercase()).to_vec())
            } else if is("emails", "value") {
                Some(index.email.get(&text.to_lowercase()).to_vec())
            } else if is("members", "value") {
                Some(groups_with(store, text))
            } else {
                None
            }
        }
        Filter::Complex(path, inner) if own(path) && path.name.eq_ignore_ascii_case("emails") => inner_email(store, kind, inner),
        Filter::Complex(path, inner) if own(path) && path.name.eq_ignore_ascii_case("members") => {
            Some(ids_in(inner)?.into_iter().flat_map(|id| groups_with(store, id)).collect())
        }
        _ => None,
    }
}

fn inner_email(store: &Store, kind: ObjectKind, inner: &Filter) -> Option<Vec<usize>> {
    match inner {
        Filter::And(a, b) => inner_email(store, kind, a).or_else(|| inner_email(store, kind, b)),
        Filter::Compare(path, Op::Eq, Value::String(text)) if path.name.eq_ignore_ascii_case("value") => {
            Some(store.index(kind).email.get(&text.to_lowercase()).to_vec())
        }
        _ => None,
    }
}

fn groups_with(store: &Store, member: &str) -> Vec<usize> {
    let Some(id) = parse_id(member) else { return Vec::new() };
    store.groups_of(&id).iter().filter_map(|group| store.slot(ObjectKind::Group, group)).collect()
}

/// A record under a filter. Its text is read once and only if needed; members by id are looked up, not walked over.
struct Candidate<'a> {
    store: &'a Store,
    record: &'a Record,
    json: OnceCell<Value>,
}

impl Candidate<'_> {
    fn matches(&self, filter: &Filter) -> bool {
        let json = self.json.get_or_init(|| {
            let computed = filter.paths().iter().any(|path| is_computed(path));
            serde_json::from_slice(&self.store.body(self.record, computed)).unwrap_or_default()
        });
        filter.matches(json, &|path| schema::case_exact(self.record.kind, path))
    }

    /// One leaf of the filter. Whether it needs what is computed is decided per leaf.
    fn leaf(&self, leaf: &Filter) -> bool {
        if leaf.paths().iter().any(|path| is_computed(path)) {
            return Candidate { store: self.store, record: self.record, json: OnceCell::new() }.matches(leaf);
        }
        self.matches(leaf)
    }

    fn has_member(&self, id: &str) -> bool {
        parse_id(id).is_some_and(|id| self.record.members.as_deref().is_some_and(|members| members.contains(&id)))
    }
}

impl Subject for Candidate<'_> {
    fn compare(&self, path: &AttrPath, op: Op, value: &Value) -> bool {
        if op == Op::Eq
            && path.name.eq_ignore_ascii_case("members")
            && path.sub.as_deref().is_none_or(|sub| sub.eq_ignore_ascii_case("value"))
            && let Value::String(id) = value
        {
            return self.has_member(id);
        }
        self.leaf(&Filter::Compare(path.clone(), op, value.clone()))
    }

    fn present(&self, path: &AttrPath) -> bool {
        self.leaf(&Filter::Present(path.clone()))
    }

    fn complex(&self, path: &AttrPath, inner: &Filter) -> bool {
        if path.name.eq_ignore_ascii_case("members")
            && let Some(ids) = ids_in(inner)
        {
            return ids.into_iter().any(|id| self.has_member(id));
        }
        self.leaf(&Filter::Complex(path.clone(), Box::new(inner.clone())))
    }
}

/// Whether an attribute is put together on reading.
pub(super) fn is_computed(path: &AttrPath) -> bool {
    path.name.eq_ignore_ascii_case("groups") || path.name.eq_ignore_ascii_case("members")
}
