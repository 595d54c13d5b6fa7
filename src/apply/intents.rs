//! The intents of this apply: which are settled, and which writes may or may not have been carried out.

use super::Task;
use crate::plan::{Change, Kind};
use crate::state::intents::{IntentItem, SentTo};
use crate::state::plan_rows::PlanRow;
use crate::state::{StateError, Store};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// By batch (row of the store).
#[derive(Debug, Default)]
pub(super) struct Intents {
    /// Tasks without a result that is known for certain.
    left: HashMap<i64, usize>,
    /// Those of them that were answered, and it is not known what the answer means: their entries.
    unsure: HashMap<i64, Vec<i64>>,
}

impl Intents {
    /// The intents of so many tasks are on disk.
    pub(super) fn begun(&mut self, batch: i64, tasks: usize) {
        self.left.insert(batch, tasks);
    }

    /// What became of a task is booked; with the last one of a batch its intents go.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(super) fn booked(&mut self, store: &Store, batch: i64) -> Result<(), StateError> {
        if let Some(left) = self.left.get_mut(&batch) {
            *left -= 1;
            if *left == 0 {
                self.left.remove(&batch);
                store.intent_close(batch)?;
            }
        }
        Ok(())
    }

    /// Whether a write to this entry was carried out is not known: its intent stays.
    pub(super) fn unsure(&mut self, batch: i64, entry: i64) {
        self.unsure.entry(batch).or_default().push(entry);
    }

    /// At the end: of batches that were answered whole only what is not known stays, so that the next cycle looks up nobody
    /// else. Where an answer is missing everything stays.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub(super) fn narrow(&self, store: &Store, sync: i64) -> Result<(), StateError> {
        if self.unsure.is_empty() {
            return Ok(());
        }
        for open in store.open_intents(sync)? {
            let Some(unsure) = self.unsure.get(&open.id).filter(|u| self.left.get(&open.id) == Some(&u.len())) else { continue };
            let kept: Vec<_> = open.items.into_iter().filter(|item| unsure.contains(&item.entry_id)).collect();
            store.intent_keep(open.id, &kept)?;
        }
        Ok(())
    }
}

/// The intent of a task: what is enough to find out after a crash what became of it.
pub(super) fn intent<'a>(row: &'a PlanRow, task: &Task) -> IntentItem<'a> {
    let c = &row.change;
    let creates = matches!(c.kind, Kind::Create | Kind::GroupCreate);
    let text = |path: &str| c.to.get(path).and_then(|v| v.as_str()).map(str::to_owned).filter(|_| creates);
    let name = c.kind.object().name_attribute();
    let sends_members = matches!(c.kind, Kind::MembersAdd | Kind::MembersRemove);
    let sent: HashSet<i64> = task.members.iter().map(|(id, _)| *id).collect();
    let to_account = |is_it: bool| {
        let id = c.target_id.as_ref().filter(|_| is_it)?;
        let Change { from, to, .. } = &*task.change;
        let (target_id, pushed) = (id.clone(), task.change.known().clone());
        Some(Box::new(SentTo { target_id, from: from.clone(), to: to.clone(), pushed }))
    };
    IntentItem {
        kind: c.kind,
        entry_id: c.id,
        key: c.source_key.0.clone(),
        who: c.who.clone(),
        name: text(name),
        external_id: text("externalId"),
        pushed: creates.then(|| Cow::Borrowed(c.known())),
        members: c.members.iter().map(|m| m.id).filter(|_| sends_members).collect(),
        unsent: c.members.iter().map(|m| m.id).filter(|id| sends_members && !sent.contains(id)).collect(),
        approved: row.approved,
        approval: row.approval().map(<[u8]>::to_vec),
        rename: to_account(c.kind == Kind::Rename),
        adopts: to_account(matches!(c.kind, Kind::Adopt | Kind::GroupAdopt)),
    }
}
