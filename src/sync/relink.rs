//! `relink`: the source was exchanged (AD for Entra, say). All links move to the new source's entries, one to one. Nobody is
//! created or deactivated by it; the next cycle does what follows, under the guard.

use super::{Cycle, CycleError, Hand, blocking};
use crate::mapping::{Expr, Mapper};
use crate::model::{Entry, ObjectKind};
use crate::source::{Completeness, ReadRequest};
use crate::state::Store;
use crate::state::known::Known;
use crate::state::relink::{Left, Move};
use base64::Engine as _;
use sha2::Digest as _;
use std::sync::Arc;

/// What was found, and done if it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relinked {
    /// Links that move.
    pub moves: Vec<Move>,
    /// Linked entries that nobody of the new source takes over.
    pub left_links: Vec<Left>,
    /// Entries of the new source without a link.
    pub left_entries: Vec<Left>,
    /// Name of exactly these moves.
    pub digest: String,
    /// It was done.
    pub applied: bool,
}

/// Whether to do it, and under which condition.
#[derive(Debug, Clone, Copy)]
pub struct Apply<'a> {
    /// Who does it, and why.
    pub hand: Hand<'a>,
    /// Only if the moves are those of this digest.
    pub expect: Option<&'a str>,
}

impl Cycle {
    /// Reads the new source in full, evaluates `by` for each of its entries, and pairs it with the linked entry whose source
    /// key, or whose own value of `by`, that is. With `apply` the links move; else the store should be a private copy.
    ///
    /// # Errors
    /// The source or the state store failed; the moves are not the expected ones.
    pub async fn relink(&self, mut store: Store, by: &Expr, apply: Option<Apply<'_>>) -> Result<Relinked, CycleError> {
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let mut attributes = self.mapper.attributes();
        attributes.extend(by.source_attributes());
        let request = ReadRequest { since: None, attributes, groups: self.wants_groups(), seals: None };
        // Nothing counts as known: every entry is staged, whoever read this source before.
        let (store, read) = self.stage_read(store, row.id, &request, |_| Ok(Known::default())).await;
        let (_, done) = read?;
        if done.completeness != Completeness::Full {
            return Err(CycleError::Config(format!("sync {}: its source gave no complete read", self.sync.name)));
        }
        let (sync, by, mapper) = (row.id, by.clone(), Arc::clone(&self.mapper));
        let (mut store, found) = blocking(store, move |store| {
            store.stage_end()?;
            store.in_transaction(|store| {
                store.relink_clear()?;
                store.relink_staged(|e| (value(&by, e), group_name(&mapper, e)))?;
                store.relink_linked(sync, |key, entry| {
                    let same = entry.and_then(|e| value(&by, e)).map(|v| (v, "value"));
                    [Some((normal(key), "key")), same].into_iter().flatten().collect()
                })?;
                store.relink_pair(sync)
            })?;
            let mut moves = Vec::new();
            store.relink_moves(|m| {
                moves.push(m);
                Ok::<(), crate::state::StateError>(())
            })?;
            let digest = digest(&moves);
            let (left_links, left_entries) = (store.relink_left_links(sync)?, store.relink_left_entries(sync)?);
            Ok(Relinked { moves, left_links, left_entries, digest, applied: false })
        })
        .await;
        let mut found = found?;
        let Some(apply) = apply.filter(|_| !found.moves.is_empty()) else { return Ok(found) };
        if let Some(reviewed) = apply.expect.filter(|e| *e != found.digest) {
            return Err(CycleError::Moved { reviewed: reviewed.to_owned(), now: found.digest, meanwhile: "" });
        }
        store.relink_apply(sync, request.groups, &self.source_identity, (apply.hand.by, apply.hand.reason), self.clock())?;
        // Who is left out would lose the account at once: the cycle waits until somebody has looked.
        if found.left_links.is_empty() {
            store.ask_for_cycle(sync)?;
        }
        found.applied = true;
        Ok(found)
    }
}

/// The expression's value in its normal form; a value that cannot be worked out is none.
fn value(by: &Expr, entry: &Entry) -> Option<String> {
    by.text_of(entry).ok().flatten().map(|v| normal(&v))
}

fn group_name(mapper: &Mapper, entry: &Entry) -> String {
    if entry.kind == ObjectKind::User {
        return String::new();
    }
    let desired = mapper.group(entry).unwrap_or_else(|unmapped| *unmapped.rest);
    desired.attrs.get("displayName").and_then(|v| v.as_str()).unwrap_or_default().to_owned()
}

/// A GUID in one form: as text in any letter case, or as the base64 of its 16 octets in the order of Active Directory
/// (MS-DTYP section 2.3.4.2: the first three fields little-endian), which is what Entra keeps as onPremisesImmutableId. Anything
/// else without regard to letter case, as a rehire compares; two that differ in nothing else are two candidates.
fn normal(text: &str) -> String {
    let text = text.trim();
    if let Ok(guid) = uuid::Uuid::try_parse(text) {
        return guid.hyphenated().to_string();
    }
    let octets = base64::engine::general_purpose::STANDARD.decode(text).ok();
    match octets.and_then(|o| <[u8; 16]>::try_from(o).ok()) {
        Some(octets) => uuid::Uuid::from_bytes_le(octets).hyphenated().to_string(),
        None => text.to_lowercase(),
    }
}

fn digest(moves: &[Move]) -> String {
    let mut h = sha2::Sha256::new();
    for m in moves {
        for part in [m.object.as_str(), &m.old_key, &m.new_key, &m.target_id] {
            h.update((part.len() as u64).to_le_bytes());
            h.update(part.as_bytes());
        }
    }
    format!("sha256:{}", h.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn a_guid_is_the_same_as_text_and_as_the_base64_of_its_octets() {
        // objectGUID 12345678-9abc-def0-1122-334455667788, as AD stores it.
        let text = "12345678-9abc-def0-1122-334455667788";
        for form in
            [text, "12345678-9ABC-DEF0-1122-334455667788", "{12345678-9abc-def0-1122-334455667788}", " eFY0EryA8N4RIjNEVWZ3iA=="]
        {
            let wrong_octets = form.trim() == "eFY0EryA8N4RIjNEVWZ3iA==";
            assert_eq!(normal(form) == text, !wrong_octets, "{form}");
        }
        assert_eq!(normal("eFY0Erya8N4RIjNEVWZ3iA=="), text);
        for plain in ["1047", "jdoe", "p00001", "", "not base64!", "E1047", "YWJj"] {
            assert_eq!(normal(plain), plain.to_lowercase());
        }
    }
}
