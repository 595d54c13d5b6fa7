//! recover: what an interrupted cycle may have sent is looked up at the target before anything is sent again.

use super::{Cycle, CycleError};
use crate::model::{ObjectKind, TargetId};
use crate::plan::Kind;
use crate::state::Store;
use crate::state::journal::{IntentItem, JournalRow, OpenIntent};
use crate::state::links::Origin;
use crate::state::syncs::SyncRow;
use crate::target::{Remote, TargetReader};
use std::collections::HashSet;

impl Cycle {
    pub(super) async fn recover(&self, store: Store, row: &SyncRow, _cycle: i64) -> (Store, Result<(), CycleError>) {
        let open = match store.open_intents(row.id) {
            Ok(open) => open,
            Err(e) => return (store, Err(e.into())),
        };
        if open.is_empty() {
            return (store, Ok(()));
        }
        let writes: usize = open.iter().map(|o| o.items.len()).sum();
        tracing::info!(sync = self.sync.name, writes, "an earlier cycle was interrupted: looking up what arrived");
        let (store, checked) = self.check_identity(store, row).await;
        if let Err(e) = checked {
            return (store, Err(e));
        }
        let (mut store, dialect) = self.dialect(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        let reader = self.target.reader(&dialect);
        let out = self.settle(&mut store, row, &reader, &open).await;
        (store, out)
    }

    async fn settle(
        &self,
        store: &mut Store,
        row: &SyncRow,
        reader: &TargetReader,
        open: &[OpenIntent],
    ) -> Result<(), CycleError> {
        for batch in open {
            for item in &batch.items {
                store.mark(item.entry_id)?;
                if store.has_result(batch.cycle, item.kind, item.entry_id)? {
                    continue;
                }
                match item.kind {
                    Kind::Create | Kind::GroupCreate => self.settle_create(store, row, reader, batch.cycle, item).await?,
                    Kind::MembersAdd | Kind::MembersRemove => settle_members(store, reader, item).await?,
                    // Sent again, these do no harm: they say what shall be, not what shall be added.
                    _ => {}
                }
            }
            store.intent_close(batch.id)?;
        }
        Ok(())
    }

    async fn settle_create(
        &self,
        store: &mut Store,
        row: &SyncRow,
        reader: &TargetReader,
        cycle: i64,
        item: &IntentItem,
    ) -> Result<(), CycleError> {
        if store.link(item.entry_id)?.is_some_and(|l| !l.gone) {
            return Ok(());
        }
        let kind = item.kind.object();
        let found = reader.find(kind, &criteria(item)).await?;
        let Some(ours) = ours(item, &found) else { return Ok(()) };
        if store.linked_to(row.id, kind, &ours.id, item.entry_id)?.is_some() {
            return Ok(());
        }
        let pushed = item.pushed.clone().unwrap_or_default();
        let now = self.clock();
        store.in_transaction(|store| {
            store.put_link(row.id, kind, item.entry_id, &ours.id, Origin::Created, &pushed, now)?;
            let line = JournalRow {
                kind: item.kind,
                entry_id: item.entry_id,
                who: &item.who,
                target_id: Some(ours.id.as_str()),
                status: "done",
                amount: 1,
                approved: item.approved,
                recreate: false,
                http_status: None,
                error: Some("sent before an interruption; found at the target afterwards"),
                before: None,
                after: None,
            };
            store.journal(row.id, cycle, &line, now)
        })?;
        Ok(())
    }
}

/// What to look a create up by.
fn criteria(item: &IntentItem) -> Vec<(String, String)> {
    let name = if item.kind.object() == ObjectKind::User { "userName" } else { "displayName" };
    let external = item.external_id.iter().map(|e| ("externalId".to_owned(), e.clone()));
    external.chain(item.name.iter().map(|n| (name.to_owned(), n.clone()))).collect()
}

/// The account that our create made: it carries the externalId that we sent; where none was sent, the name alone.
fn ours<'a>(item: &IntentItem, found: &'a [Remote]) -> Option<&'a Remote> {
    let mut hits = found.iter().filter(|r| match &item.external_id {
        Some(e) => r.external_id() == Some(e.as_str()),
        None => true,
    });
    match (hits.next(), hits.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

/// Reads the group's members and notes which of those in question are there.
pub(super) async fn settle_members(store: &mut Store, reader: &TargetReader, item: &IntentItem) -> Result<(), CycleError> {
    let Some(link) = store.link(item.entry_id)?.filter(|l| !l.gone) else { return Ok(()) };
    let Some(group) = reader.get(ObjectKind::Group, &link.target_id).await? else { return Ok(()) };
    let there: HashSet<TargetId> = group.members().into_iter().collect();
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for id in &item.members {
        match store.link(*id)? {
            Some(l) if there.contains(&l.target_id) => inside.push(*id),
            _ => outside.push(*id),
        }
    }
    store.in_transaction(|store| {
        store.set_pushed_members(item.entry_id, &inside, true)?;
        store.set_pushed_members(item.entry_id, &outside, false)
    })?;
    Ok(())
}
