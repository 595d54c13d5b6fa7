//! Reads entries that are known to have changed, by nsUniqueId (389 Directory Server, FreeIPA), in whatever way that became known.

use super::control::SyncId;
use super::{Delta, MOST, Taken};
use crate::model::{ObjectKind, SourceKey};
use crate::source::ldap::flavor::Flavor;
use crate::source::ldap::search::{Progress, Search};
use crate::source::ldap::sent::SentEntry;
use crate::source::{Completeness, Item, SourceError};
use ldap3::Scope;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Entries asked for at a time.
const CHUNK: usize = 100;

/// The id that 389 DS gives every entry.
const ID: &str = "nsUniqueId";

/// What became of entries, by id.
#[derive(Debug, Default)]
pub struct Touched {
    /// New, changed, moved: to be looked at.
    pub changed: BTreeSet<SyncId>,
    /// Gone.
    pub deleted: BTreeSet<SyncId>,
}

impl Touched {
    /// Whether there is more than is worth looking at one by one.
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        self.changed.len() + self.deleted.len() > MOST
    }
}

/// Says of every touched entry what it is now.
///
/// # Errors
/// [`SourceError::CursorExpired`] where entries may have moved along with another; whatever keeps a read from being complete.
pub async fn follow(delta: &mut Delta<'_, '_>, suffix: &str, touched: &Touched) -> Result<Completeness, SourceError> {
    let all: BTreeSet<SyncId> = touched.changed.union(&touched.deleted).copied().collect();
    if all.is_empty() {
        return Ok(Completeness::Incremental);
    }
    // Of no kind at all.
    let mut lost = all.clone();
    let mut taken = Taken::new();
    for kind in delta.job.kinds() {
        let found = read_changed(delta, *kind, touched, &mut taken).await?;
        for id in all.difference(&found) {
            if let Some(key) = key(delta.job.flavor, id) {
                delta.out.push(Item::Left(*kind, key)).await?;
            }
        }
        lost = lost.difference(&found).copied().collect();
    }
    nothing_below(delta, suffix, &lost).await?;
    if lost.is_empty() || delta.job.flavor != Flavor::FreeIpa {
        return Ok(Completeness::Incremental);
    }
    // FreeIPA's people are known by another id, which whoever is gone does not show any more: who is left is counted.
    for kind in delta.job.kinds() {
        delta.enumerate(*kind, &taken).await?;
    }
    Ok(Completeness::Full)
}

/// Reads those of the changed entries that are of this kind, whole. Returns which were.
async fn read_changed(
    delta: &mut Delta<'_, '_>,
    kind: ObjectKind,
    touched: &Touched,
    taken: &mut Taken,
) -> Result<BTreeSet<SyncId>, SourceError> {
    let Delta { session, job, out } = delta;
    let (source, flavor) = (session.source, job.flavor);
    out.begin(kind);
    let mut found = BTreeSet::new();
    let changed: Vec<SyncId> = touched.changed.difference(&touched.deleted).copied().collect();
    for chunk in changed.chunks(CHUNK) {
        let search = job.search(kind);
        let filter = format!("(&{}{})", super::bracketed(search.filter), any_of(chunk));
        let search = Search { filter: &filter, ..search };
        let mut each = async |sent: SentEntry| {
            let entry = sent.decode(source)?;
            let id = entry.first(ID).and_then(parse);
            let (Some(id), Some(key)) = (id, entry.key(flavor)) else {
                return Err(super::expired(source, format!("{} shows no id", entry.label())));
            };
            found.insert(id);
            taken.insert((kind, key));
            out.take(entry, None).await
        };
        let mut progress = Progress::default();
        while session.page(&search, &mut progress, &mut each).await? {}
    }
    Ok(found)
}

/// Whoever is neither person nor group any more, or never was, must not have anybody below: they would have moved too, and
/// the server calls only the one changed.
async fn nothing_below(delta: &mut Delta<'_, '_>, suffix: &str, lost: &BTreeSet<SyncId>) -> Result<(), SourceError> {
    let lost: Vec<SyncId> = lost.iter().copied().collect();
    let source = delta.session.source;
    for chunk in lost.chunks(CHUNK) {
        let filter = any_of(chunk);
        let search = Search {
            what: "containers",
            // Not the base: one that was moved out of it would be seen by nobody.
            base: suffix,
            scope: Scope::Subtree,
            filter: &filter,
            attributes: vec!["numSubordinates".to_owned()],
        };
        let mut each = async |sent: SentEntry| {
            let entry = sent.decode(source)?;
            match entry.first("numSubordinates") {
                None | Some(b"0") => Ok(()),
                Some(_) => {
                    let why = format!("{} changed, and what is below it may have moved", entry.label());
                    Err(super::expired(source, why))
                }
            }
        };
        let mut progress = Progress::default();
        while delta.session.page(&search, &mut progress, &mut each).await? {}
    }
    Ok(())
}

fn any_of(ids: &[SyncId]) -> String {
    let mut out = String::from("(|");
    for id in ids {
        // Writing to a string cannot fail.
        let _ = write!(out, "({ID}={})", text(id));
    }
    out + ")"
}

/// nsUniqueId as entries show it: four groups of eight digits.
fn text(id: &SyncId) -> String {
    let mut out = String::with_capacity(35);
    for (i, octet) in id.iter().enumerate() {
        let separator = if i > 0 && i % 4 == 0 { "-" } else { "" };
        let _ = write!(out, "{separator}{octet:02x}");
    }
    out
}

/// Reads [`text`].
#[must_use]
pub fn parse(text: &[u8]) -> Option<SyncId> {
    let digits: Vec<u8> = text.iter().filter(|b| **b != b'-').copied().collect();
    if digits.len() != 32 {
        return None;
    }
    let mut id = SyncId::default();
    for (octet, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(id)
}

/// The key under which the entry is known, where that follows from the id.
fn key(flavor: Flavor, id: &SyncId) -> Option<SourceKey> {
    (flavor == Flavor::Ds389).then(|| SourceKey(text(id)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_the_server_writes_them() {
        let shown = "e1976004-e5ed11f1-9286b6c1-8d6af9af";
        let id = parse(shown.as_bytes()).unwrap();
        assert_eq!((id[0], id[15]), (0xe1, 0xaf));
        assert_eq!(text(&id), shown);
        assert_eq!(any_of(&[id]), format!("(|(nsUniqueId={shown}))"));
        assert!(ldap3::parse_filter(any_of(&[id, id])).is_ok());
        for bad in ["", "e1976004", "zz976004-e5ed11f1-9286b6c1-8d6af9af", "é1976004-e5ed11f1-9286b6c1-8d6af9a"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
