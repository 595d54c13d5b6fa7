//! Whose account is whose by the rules of the sync, among what was read at the target: for cycles, and for whoever adopts what a
//! cycle would.

use crate::model::{Flat, ObjectKind, TargetId};
use crate::plan::matching::{self, Candidate};
use crate::state::{StateError, Store};
use crate::target::Remote;
use std::borrow::Cow;

/// What the first of the rules that hits anything hits, and which rule that is. `whose`: sync, kind, entry and its source key;
/// `desired`: what the mapping gives it; `exactly` takes out of the hits what is none.
pub(super) fn first_hits(
    store: &Store,
    whose: (i64, ObjectKind, i64, &str),
    criteria: &[String],
    desired: &Flat,
    legacy: &[String],
    exactly: &dyn Fn(&mut Vec<Candidate>) -> Result<(), StateError>,
) -> Result<Option<(String, Vec<Candidate>)>, StateError> {
    let (sync, kind, id, key) = whose;
    let rules = criteria.iter().map(|c| (c.clone(), matching::values(c, key, desired)));
    for (criterion, values) in rules.chain(matching::legacy(criteria, legacy.to_vec())) {
        let mut hits = candidates(store, sync, kind, id, &criterion, values)?;
        exactly(&mut hits)?;
        if !hits.is_empty() {
            return Ok(Some((criterion, hits)));
        }
    }
    Ok(None)
}

/// What was read at the target and has one of these values; not what a link gives to anybody but this entry.
pub(super) fn candidates(
    store: &Store,
    sync: i64,
    kind: ObjectKind,
    id: i64,
    criterion: &str,
    values: Vec<String>,
) -> Result<Vec<Candidate>, StateError> {
    let mut hits: Vec<Candidate> = Vec::new();
    if !values.is_empty() {
        let texts = |there: &Remote| there.texts(criterion).into_iter().map(Cow::into_owned).collect();
        store.remote_list_by(kind, criterion, &|id, json| Ok(texts(&resource(store, id, json)?)))?;
    }
    for value in values {
        for hit in store.remote_find(sync, kind, criterion, &value, id)? {
            if hits.iter().all(|h| h.id != hit.id) {
                hits.push(hit);
            }
        }
    }
    Ok(hits)
}

/// The values of a resource at these paths.
pub(super) fn flatten<'a>(
    store: &Store,
    id: &TargetId,
    json: &str,
    paths: impl Iterator<Item = &'a String>,
) -> Result<Flat, StateError> {
    Ok(resource(store, id, json)?.flat(paths.map(String::as_str)))
}

/// A resource as it was read in this cycle; of a group that has members without them.
pub(super) fn resource(store: &Store, id: &TargetId, json: &str) -> Result<Remote, StateError> {
    let raw = serde_json::from_str(json).map_err(|e| store.damaged(format!("resource {id}: {e}")))?;
    Ok(Remote::of(id.clone(), raw))
}
