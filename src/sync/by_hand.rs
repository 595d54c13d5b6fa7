//! Links that somebody sets or drops by hand. Nothing is written at the target: the next cycle does what follows.

use super::{Cycle, CycleError};
use crate::model::{Flat, ObjectKind, TargetId};
use crate::state::link_list::{HandRow, Named};
use crate::state::links::Origin;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::Remote;
use serde_json::json;

/// Why a link cannot be set or dropped.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// What was asked for cannot be: nobody of this name, no such account, linked already.
    #[error("{0}")]
    Refused(String),
    /// Target or state store failed.
    #[error(transparent)]
    Failed(#[from] CycleError),
}

impl From<StateError> for HandError {
    fn from(e: StateError) -> Self {
        Self::Failed(e.into())
    }
}

/// A link that was set or dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// User or group.
    pub object: ObjectKind,
    /// For people to read.
    pub who: String,
    /// Source key.
    pub key: String,
    /// The account.
    pub target_id: String,
    /// Its name at the target.
    pub name: Option<String>,
    /// The account that was linked before, if it was another one.
    pub before: Option<String>,
    /// externalId that the account carries and that is not this person's.
    pub foreign: Option<String>,
}

/// Who did it, and why.
#[derive(Debug, Clone, Copy)]
pub struct Hand<'a> {
    /// The user.
    pub by: &'a str,
    /// The reason given.
    pub reason: Option<&'a str>,
}

impl Cycle {
    /// Links an entry to an account that exists at the target; recorded as adopted. The caller holds the cycle lock.
    ///
    /// # Errors
    /// Nobody or several of that name; no such account; it is linked to somebody else; target or state store failed.
    pub async fn link_set(&self, mut store: Store, who: &str, account: &str, hand: Hand<'_>) -> Result<Linked, HandError> {
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let entry = one(&store, &row, &self.sync.name, who)?;
        let id = TargetId(account.to_owned());
        let (store, recognised) = self.check_identity(store, &row).await;
        recognised?;
        let (mut store, dialect) = self.dialect(store, &row).await;
        let reader = self.target.reader(&dialect?);
        let noun = noun(entry.object);
        let Some(there) = reader.get(entry.object, &id).await.map_err(CycleError::from)? else {
            return Err(HandError::Refused(format!(
                "target {}: there is no {noun} with the id {account:?}; `scim-sync accounts {}` lists what there is",
                self.sync.target, self.sync.name
            )));
        };
        if let Some(other) = store.linked_to(row.id, entry.object, &there.id, entry.id)? {
            let left = if store.holder_left(row.id, entry.object, &there.id)? { ", who left the directory" } else { "" };
            return Err(HandError::Refused(format!(
                "the {noun} {account} is linked to {other} already{left}; drop that link first: `scim-sync link drop`"
            )));
        }
        let linked = self.note_link(&mut store, &row, &entry, &there, hand)?;
        Ok(linked)
    }

    fn note_link(
        &self,
        store: &mut Store,
        row: &SyncRow,
        entry: &Named,
        there: &Remote,
        hand: Hand<'_>,
    ) -> Result<Linked, StateError> {
        let (pushed, own) = self.as_pushed(store, entry, there)?;
        let before = store.link(entry.id)?.filter(|l| l.target_id != there.id);
        let foreign = there.external_id().filter(|e| !own.iter().any(|o| o == e)).map(str::to_owned);
        let now = self.clock();
        let image = before.as_ref().map(|l| json!({"target_id": l.target_id, "pushed": l.pushed}).to_string());
        let after = json!({"target_id": there.id, "name": there.name(entry.object)}).to_string();
        store.in_transaction(|store| {
            if before.is_some() {
                store.drop_link(entry.id)?;
            }
            store.put_link(row.id, entry.object, entry.id, &there.id, Origin::Adopted, &pushed, now)?;
            store.unpark_account(entry.id)?;
            store.mark(entry.id)?;
            // Not after `link drop`: who drops a link may be about to set another.
            store.ask_for_cycle(row.id)?;
            let line = HandRow {
                kind: "link",
                entry,
                target_id: Some(there.id.as_str()),
                before: image.as_deref(),
                after: Some(&after),
                by: hand.by,
                reason: hand.reason,
            };
            store.journal_by_hand(row.id, &line, now)
        })?;
        Ok(Linked {
            object: entry.object,
            who: entry.who.clone(),
            key: entry.key.clone(),
            target_id: there.id.0.clone(),
            name: there.name(entry.object).map(str::to_owned),
            before: before.map(|l| l.target_id.0),
            foreign,
        })
    }

    /// The account as it is now at the paths of the mapping: the next cycle writes what differs. And what may stand in its
    /// externalId.
    fn as_pushed(&self, store: &Store, entry: &Named, there: &Remote) -> Result<(Flat, Vec<String>), StateError> {
        let stored = store.entry(entry.id)?;
        let mut paths = vec!["userName".to_owned(), "displayName".to_owned(), "externalId".to_owned(), "active".to_owned()];
        let mut own = vec![entry.key.clone()];
        if let Some(e) = &stored {
            let desired = match entry.object {
                ObjectKind::User => self.mapper.user(e, false).attrs,
                ObjectKind::Group => self.mapper.group(e),
            };
            let desired = desired.unwrap_or_else(|unmapped| *unmapped.rest);
            own.extend(self.mapper.legacy_external_ids(e));
            own.extend(desired.attrs.get("externalId").and_then(|v| v.as_str()).map(str::to_owned));
            paths.extend(desired.attrs.keys().chain(&desired.clear).cloned());
        }
        if entry.object == ObjectKind::Group {
            paths.retain(|p| p != "userName" && p != "active");
        }
        Ok((there.flat(paths.iter().map(String::as_str)), own))
    }

    /// Forgets a link. The person is matched anew in the next cycle. The caller holds the cycle lock.
    ///
    /// # Errors
    /// Nobody or several of that name; no link; the state store failed.
    pub fn link_drop(&self, mut store: Store, who: &str, hand: Hand<'_>) -> Result<Linked, HandError> {
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let entry = one(&store, &row, &self.sync.name, who)?;
        let Some(link) = store.link(entry.id)? else {
            return Err(HandError::Refused(format!("{} is not linked to any {}", entry.who, noun(entry.object))));
        };
        let now = self.clock();
        let image = json!({"target_id": link.target_id, "pushed": link.pushed}).to_string();
        store.in_transaction(|store| {
            store.drop_link(entry.id)?;
            store.mark(entry.id)?;
            store.match_anew(row.id)?;
            let line = HandRow {
                kind: "unlink",
                entry: &entry,
                target_id: Some(link.target_id.as_str()),
                before: Some(&image),
                after: None,
                by: hand.by,
                reason: hand.reason,
            };
            store.journal_by_hand(row.id, &line, now)
        })?;
        let name = link.pushed.get("userName").or_else(|| link.pushed.get("displayName"));
        Ok(Linked {
            object: entry.object,
            who: entry.who,
            key: entry.key,
            name: name.and_then(|n| n.as_str()).map(str::to_owned),
            target_id: link.target_id.0,
            before: None,
            foreign: None,
        })
    }
}

fn noun(object: ObjectKind) -> &'static str {
    match object {
        ObjectKind::User => "account",
        ObjectKind::Group => "group",
    }
}

/// The one entry that a text names.
fn one(store: &Store, row: &SyncRow, sync: &str, who: &str) -> Result<Named, HandError> {
    let mut found = store.named(row.id, who)?;
    // A source key names one of a kind, whoever else is called like that.
    if found.iter().filter(|e| e.key == who.trim()).count() == 1 {
        found.retain(|e| e.key == who.trim());
    }
    match found.len() {
        0 => Err(HandError::Refused(format!(
            "{sync}: nobody in the directory is called {who:?}; say a user ID, a source key, or the whole name, as `scim-sync log` and `scim-sync plan` show them"
        ))),
        1 => Ok(found.remove(0)),
        _ => {
            let all: Vec<String> = found.iter().take(5).map(|e| format!("{} ({} {})", e.who, e.object, e.key)).collect();
            Err(HandError::Refused(format!("{sync}: {who:?} names several: {}; say the source key", all.join(", "))))
        }
    }
}
