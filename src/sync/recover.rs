//! recover: what an interrupted cycle may have sent is looked up at the target before anything is sent again.

use super::singly::{Seen, Singly};
use super::{Cycle, CycleError};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use crate::plan::Kind;
use crate::plan::matching::{self, Sent};
use crate::plan::user::after;
use crate::state::intents::{IntentItem, OpenIntent, SentTo};
use crate::state::journal::JournalRow;
use crate::state::links::Origin;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::{Remote, TargetError, TargetReader};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// For how long a create that was not found is looked up again, seconds: no server works on one request for longer.
const CREATE_UNDER_WAY: i64 = 15 * 60;
/// For how long an update without a result is remembered, seconds.
const UPDATE_IN_DOUBT: i64 = 24 * 3600;
/// What the log says.
const FOUND_AFTERWARDS: &str = "sent before an interruption; found at the target afterwards";

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
        tracing::info!(
            sync = self.sync.name,
            writes,
            "of some writes of an earlier cycle it is not known whether they arrived: looking them up"
        );
        let (store, checked) = self.check_identity(store, row).await;
        if let Err(e) = checked {
            return (store, Err(e));
        }
        let (mut store, dialect) = self.dialect(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        self.recall(&store);
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
        let mut singly = Singly::new(reader);
        let writes = open.iter().map(|batch| batch.items.len() as u64).sum();
        self.progress.begin("looking up what was sent before", Some(writes));
        // Whose account was there: what bears our externalId now says nothing of who made it.
        let adopting = open.iter().flat_map(|batch| &batch.items).filter(|item| item.adopts.is_some());
        let met: HashSet<i64> = adopting.map(|item| item.entry_id).collect();
        for batch in open {
            let age = self.now.saturating_sub(batch.began);
            let mut left = Vec::new();
            let mut found = self.find_made(store, reader, batch).await?;
            for (at, item) in batch.items.iter().enumerate() {
                store.mark(item.entry_id)?;
                if is_known(store, batch.cycle, item)? {
                    continue;
                }
                let there = match found.remove(&at) {
                    None => Vec::new(),
                    Some(answer) => match singly.heard(item.kind.object(), &item.who, answer).await? {
                        Ok(there) => there,
                        // Whether it is there is asked again before it is sent again, and in the next cycle.
                        Err(_) if age <= UPDATE_IN_DOUBT => {
                            left.push(item.clone());
                            continue;
                        }
                        Err(_) => continue,
                    },
                };
                let settled = match item.kind {
                    Kind::Create | Kind::GroupCreate if item.adopts.is_none() => {
                        let made =
                            !met.contains(&item.entry_id) && self.settle_create(store, row, reader, batch, item, &there)?;
                        made || age > CREATE_UNDER_WAY
                    }
                    _ if let Some(sent) = &item.adopts => {
                        let doubt = if item.pushed.is_some() { CREATE_UNDER_WAY } else { UPDATE_IN_DOUBT };
                        self.settle_adoption(store, row, batch, item, sent, there.first())? || age > doubt
                    }
                    Kind::MembersAdd | Kind::MembersRemove => {
                        self.settle_members(store, row, reader, &mut singly, batch.cycle, item).await? || age > UPDATE_IN_DOUBT
                    }
                    Kind::Rename if self.settle_rename(store, row, &mut singly, batch, item).await? => true,
                    // Sent again, these do no harm: they say what shall be, not what shall be added.
                    Kind::Delete | Kind::GroupDelete | Kind::Deactivate => true,
                    // These may add: what is there is looked at when they are sent again.
                    _ => age > UPDATE_IN_DOUBT,
                };
                if !settled {
                    left.push(item.clone());
                }
            }
            if left.is_empty() {
                store.intent_close(batch.id)?;
            } else if left.len() < batch.items.len() {
                store.intent_keep(batch.id, &left)?;
            }
        }
        self.progress.end();
        Ok(())
    }

    /// Looks up what the creates of a batch may have made and what its adoptions may have written, as many at a time as the target
    /// is asked: by place in the batch, with the fault where that one cannot be had. Leavers wait for it.
    async fn find_made(
        &self,
        store: &Store,
        reader: &TargetReader,
        batch: &OpenIntent,
    ) -> Result<HashMap<usize, Result<Vec<Remote>, TargetError>>, StateError> {
        let mut wanted = Vec::new();
        for (at, item) in batch.items.iter().enumerate() {
            if (item.adopts.is_some() || matches!(item.kind, Kind::Create | Kind::GroupCreate))
                && !store.has_result(batch.cycle, item.kind, item.entry_id)?
                && store.link(item.entry_id)?.is_none_or(|l| l.gone)
            {
                wanted.push((at, item));
            }
        }
        let look = async |(at, item): (usize, &IntentItem<'_>)| {
            let kind = item.kind.object();
            let found = match &item.adopts {
                Some(sent) => reader.get(kind, &sent.target_id).await.map(|there| there.into_iter().collect()),
                None => reader.find(kind, &criteria(item)).await,
            };
            self.progress.step(1);
            (at, found)
        };
        let looks = futures_util::stream::iter(wanted).map(look);
        Ok(looks.buffer_unordered(self.target.concurrency().max(1)).collect().await)
    }

    /// `true` where the account that the create made was found, or another way to one. Where nothing is there the request
    /// may still be under way: it stays on record, so that what comes late is known as ours, even if its person left.
    fn settle_create(
        &self,
        store: &mut Store,
        row: &SyncRow,
        reader: &TargetReader,
        batch: &OpenIntent,
        item: &IntentItem<'_>,
        found: &[Remote],
    ) -> Result<bool, CycleError> {
        if store.link(item.entry_id)?.is_some_and(|l| !l.gone) {
            return Ok(true);
        }
        let kind = item.kind.object();
        let sent = Sent {
            external_id: item.external_id.as_deref(),
            name: item.name.as_deref(),
            not_before: crate::apply::not_before(batch.began, reader.clock_skew_s()),
        };
        let pushed = item.pushed.clone().unwrap_or_default();
        let Some(ours) = ours(kind, &sent, &pushed, found) else { return Ok(false) };
        if store.linked_to(row.id, kind, &ours.id, item.entry_id)?.is_some() {
            return Ok(true);
        }
        let image = json!(pushed).to_string();
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
                error: Some(FOUND_AFTERWARDS),
                before: Some("{}"),
                after: Some(&image),
            };
            store.journal(row.id, batch.cycle, &line, now)?;
            note_approval(store, row.id, item, true, now)
        })?;
        Ok(true)
    }

    /// An account that was taken over is linked as such, with what it has now, where something of what was written arrived.
    /// `false` where nothing did, or not yet: it may be taken over again, and nobody else's making is linked without it.
    fn settle_adoption(
        &self,
        store: &mut Store,
        row: &SyncRow,
        batch: &OpenIntent,
        item: &IntentItem<'_>,
        sent: &SentTo,
        there: Option<&Remote>,
    ) -> Result<bool, CycleError> {
        let kind = item.kind.object();
        let linked = store.link(item.entry_id)?.is_some_and(|l| !l.gone);
        if linked || store.linked_to(row.id, kind, &sent.target_id, item.entry_id)?.is_some() {
            return Ok(true);
        }
        let Some(there) = there else { return Ok(false) };
        let written: Flat = sent.to.iter().filter(|(p, v)| there.shows(p, v)).map(|(p, v)| (p.clone(), v.clone())).collect();
        // What was there before says nothing.
        if written.iter().all(|(path, value)| sent.from.get(path).unwrap_or(&Value::Null) == value) {
            return Ok(false);
        }
        let known = after(&there.flat(sent.pushed.keys().chain(sent.to.keys()).map(String::as_str)), &written);
        let (before, image) = (json!(sent.from).to_string(), json!(written).to_string());
        let now = self.clock();
        store.in_transaction(|store| {
            store.put_link(row.id, kind, item.entry_id, &sent.target_id, Origin::Adopted, &known, now)?;
            let line = JournalRow {
                // A create that met an account that was there is an adoption, and is called so.
                kind: if kind == ObjectKind::User { Kind::Adopt } else { Kind::GroupAdopt },
                entry_id: item.entry_id,
                who: &item.who,
                target_id: Some(sent.target_id.as_str()),
                status: "done",
                amount: 1,
                approved: item.approved,
                recreate: false,
                http_status: None,
                error: Some(FOUND_AFTERWARDS),
                before: Some(&before),
                after: Some(&image),
            };
            store.journal(row.id, batch.cycle, &line, now)?;
            note_approval(store, row.id, item, true, now)
        })?;
        Ok(true)
    }

    /// A rename that arrived is booked with its before-image. `false` where it did not, or not yet, or the account cannot be read.
    async fn settle_rename(
        &self,
        store: &mut Store,
        row: &SyncRow,
        singly: &mut Singly<'_>,
        batch: &OpenIntent,
        item: &IntentItem<'_>,
    ) -> Result<bool, CycleError> {
        let Some(sent) = &item.rename else { return Ok(false) };
        let link = store.link(item.entry_id)?;
        if link.as_ref().is_some_and(|l| l.target_id != sent.target_id || l.gone) {
            return Ok(true);
        }
        let there = match singly.get(ObjectKind::User, &sent.target_id).await? {
            Seen::There(there) => there,
            Seen::Nowhere => return Ok(true),
            Seen::Unknown(_) => return Ok(false),
        };
        let now_there = there.flat(sent.to.keys().map(String::as_str));
        if now_there.get("userName") != sent.to.get("userName") || !sent.to.contains_key("userName") {
            return Ok(false);
        }
        let arrived = |path: &str| now_there.get(path).unwrap_or(&Value::Null) == sent.to.get(path).unwrap_or(&Value::Null);
        let written: Flat = sent.to.iter().filter(|(p, _)| arrived(p)).map(|(p, v)| (p.clone(), v.clone())).collect();
        let mut known = after(link.as_ref().map_or(&sent.pushed, |l| &l.pushed), &written);
        for path in sent.to.keys().filter(|p| !written.contains_key(*p)) {
            match sent.from.get(path) {
                Some(old) => known.insert(path.clone(), old.clone()),
                None => known.remove(path),
            };
        }
        let (before, after) = (json!(sent.from).to_string(), json!(written).to_string());
        let now = self.clock();
        store.in_transaction(|store| {
            if link.is_some() {
                store.set_pushed(ObjectKind::User, item.entry_id, &known, now)?;
            } else {
                store.put_link(row.id, ObjectKind::User, item.entry_id, &sent.target_id, Origin::Adopted, &known, now)?;
            }
            let line = JournalRow {
                kind: item.kind,
                entry_id: item.entry_id,
                who: &item.who,
                target_id: Some(sent.target_id.as_str()),
                status: "done",
                amount: 1,
                approved: item.approved,
                recreate: false,
                http_status: None,
                error: Some(FOUND_AFTERWARDS),
                before: Some(&before),
                after: Some(&after),
            };
            store.journal(row.id, batch.cycle, &line, now)?;
            note_approval(store, row.id, item, written.len() == sent.to.len(), now)
        })?;
        Ok(true)
    }

    /// Reads the group's members and notes which of those in question are there, in links and journal. Where the target
    /// does not tell, what is noted stands: whoever was not booked is added or removed again. `false`: the group cannot be read.
    async fn settle_members(
        &self,
        store: &mut Store,
        row: &SyncRow,
        reader: &TargetReader,
        singly: &mut Singly<'_>,
        cycle: i64,
        item: &IntentItem<'_>,
    ) -> Result<bool, CycleError> {
        let Some(link) = store.link(item.entry_id)?.filter(|l| !l.gone) else { return Ok(true) };
        let group = match singly.get(ObjectKind::Group, &link.target_id).await? {
            Seen::There(group) => group,
            Seen::Nowhere => return Ok(true),
            Seen::Unknown(_) => return Ok(false),
        };
        let adding = item.kind == Kind::MembersAdd;
        let now = self.clock();
        if !reader.tells_members(&group) {
            store.in_transaction(|store| pass_approval_on(store, row.id, item, &link.target_id, now))?;
            return Ok(true);
        }
        let there: HashSet<TargetId> = group.members().into_iter().collect();
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for id in item.members.iter().filter(|id| !item.unsent.contains(id)) {
            match store.link(*id)? {
                Some(l) if there.contains(&l.target_id) => inside.push(*id),
                _ => outside.push(*id),
            }
        }
        store.in_transaction(|store| {
            let arrived = if adding { &inside } else { &outside };
            let members = store.members_noted(item.entry_id, arrived, !adding)?;
            store.set_pushed_members(item.entry_id, &inside, true)?;
            store.set_pushed_members(item.entry_id, &outside, false)?;
            if members.is_empty() {
                return pass_approval_on(store, row.id, item, &link.target_id, now);
            }
            let (with, without) = (json!({ "members": members }).to_string(), if adding { "{}" } else { r#"{"members":[]}"# });
            let line = JournalRow {
                kind: item.kind,
                entry_id: item.entry_id,
                who: &item.who,
                target_id: Some(link.target_id.as_str()),
                status: "done",
                amount: members.len() as u64,
                approved: item.approved,
                recreate: false,
                http_status: None,
                error: Some(FOUND_AFTERWARDS),
                before: Some(if adding { without } else { &with }),
                after: Some(if adding { &with } else { without }),
            };
            store.journal(row.id, cycle, &line, now)?;
            note_approval(store, row.id, item, false, now)?;
            pass_approval_on(store, row.id, item, &link.target_id, now)
        })?;
        Ok(true)
    }
}

/// Whether the journal says what became of it.
fn is_known(store: &Store, cycle: i64, item: &IntentItem<'_>) -> Result<bool, StateError> {
    let name = item.rename.as_ref().and_then(|sent| sent.to.get("userName")?.as_str());
    match (item.kind, name) {
        // Of members a part may have a result; who is there is seen by a look.
        (Kind::MembersAdd | Kind::MembersRemove, _) => Ok(false),
        // Of a circle one is renamed twice: the step aside says nothing of the name after it.
        (Kind::Rename, Some(name)) => store.has_rename(cycle, item.entry_id, name),
        _ => store.has_result(cycle, item.kind, item.entry_id),
    }
}

/// Where some of the members are where they should be by now, whoever approved the change approved the rest, also where nobody
/// came or went since the last result was booked.
fn pass_approval_on(store: &Store, sync: i64, item: &IntentItem<'_>, group: &TargetId, now: i64) -> Result<(), StateError> {
    let Some(approval) = item.approval.as_deref() else { return Ok(()) };
    let left = store.members_noted(item.entry_id, &item.members, item.kind == Kind::MembersRemove)?;
    if left.len() == item.members.len() {
        return Ok(());
    }
    let whose = (item.kind, &SourceKey(item.key.clone()), group);
    crate::apply::approve_rest(store, sync, approval, whose, left, now)
}

/// Who approved what the journal's last line says, and whether that is used up.
fn note_approval(store: &Store, sync: i64, item: &IntentItem<'_>, whole: bool, now: i64) -> Result<(), StateError> {
    let Some(approval) = &item.approval else { return Ok(()) };
    store.journal_approval(sync, approval)?;
    if whole { store.approval_used(sync, approval, now) } else { Ok(()) }
}

/// What to look a create up by.
fn criteria(item: &IntentItem<'_>) -> Vec<(String, String)> {
    let name = item.kind.object().name_attribute();
    let external = item.external_id.iter().map(|e| ("externalId".to_owned(), e.clone()));
    external.chain(item.name.iter().map(|n| (name.to_owned(), n.clone()))).collect()
}

/// The account that our create made; none where several could be it.
fn ours<'a>(kind: ObjectKind, sent: &Sent<'_>, pushed: &Flat, found: &'a [Remote]) -> Option<&'a Remote> {
    let mut hits =
        found.iter().filter(|r| matching::is_our_making(sent, r.external_id(), r.name(kind), r.created(), r.differs(pushed)));
    match (hits.next(), hits.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}
