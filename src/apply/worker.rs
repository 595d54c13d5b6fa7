//! Talks to the target: one change after another, each to an outcome. Has no store; asks the ledger.

use super::halt::Halt;
use super::outcome::{Outcome, Refused};
use super::rename;
use super::{Job, Message, Task};
use crate::http::retry::LONGEST_WAIT;
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use crate::plan::{Change, Kind};
use crate::state::links::Origin;
use crate::state::{StateError, Store};
use crate::target::{Remote, TargetError};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc, oneshot};

/// How long a write in flight may take when we are asked to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Accounts of ours that are written to see whether the application refuses everybody.
const OURS: u32 = 3;

/// How long something that was made may stay unshown where what is written to it is taken, seconds.
const LATELY: i64 = 300;

pub(super) struct Worker {
    pub job: Job,
    pub messages: mpsc::UnboundedSender<Message>,
    /// The whole target failed: what is handed out already is not sent either.
    pub halt: Arc<Halt>,
    /// Unix second before which this apply sent nothing.
    pub began: i64,
    /// Why no further account can be had in this apply: no seat is left.
    pub full: OnceLock<Refused>,
    /// People refused one after another for want of a seat, and nobody let in between.
    pub without_seat: AtomicU32,
    /// Whether a refusal that may be everybody's is, once that was looked at.
    pub everyone: OnceCell<Option<bool>>,
    /// Accounts in a row that were looked for under another id and are not there.
    pub absent: AtomicU32,
    /// Entries that the next cycle looks at: groups in which the new id of a member could not be put in the place of the old
    /// one, people whose account bears another name.
    pub look_again: Mutex<Vec<i64>>,
    /// Records that were told to wait for longer than one request may.
    pub long_waits: AtomicU32,
    /// See [`super::Applied::names_fixed`].
    pub names_fixed: AtomicUsize,
}

impl Worker {
    /// Asked to stop, nothing new is sent, and what is in flight gets a while to be answered.
    pub(super) async fn perform_unless_stopped(&self, task: &Task) -> Outcome {
        if self.job.stop.is_cancelled() || self.halt.stopped() {
            return Outcome::NotSent;
        }
        let stopped = async {
            self.job.stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let outcome = tokio::select! {
            outcome = self.perform(task) => outcome,
            () = stopped => Outcome::Abandoned,
        };
        self.halt.note(&outcome);
        outcome
    }

    async fn perform(&self, task: &Task) -> Outcome {
        let change = &task.change;
        match (change.kind, &change.target_id) {
            (Kind::Create | Kind::GroupCreate, _) => self.create(task).await,
            (Kind::MembersAdd | Kind::MembersRemove, Some(group)) => Box::pin(self.members(task, group)).await,
            (Kind::Delete | Kind::GroupDelete, Some(id)) => self.delete(change, id).await,
            (Kind::Adopt | Kind::GroupAdopt, Some(id)) => Box::pin(self.adopt(task, id)).await,
            (_, Some(id)) => match task.doubt {
                None => self.update(change, id).await,
                Some(_) => Box::pin(self.update_in_doubt(change, id)).await,
            },
            // A group that could not be made has no members to add to; the group itself says why.
            (_, None) => Outcome::Refused(Refused {
                fault: Fault::Transient,
                status: None,
                reason: "its group or account does not exist at the target yet".to_owned(),
                advice: "see what is said of the group or account itself".to_owned(),
                ambiguous: false,
                everyone: None,
            }),
        }
    }

    async fn delete(&self, change: &Change, id: &TargetId) -> Outcome {
        let kind = change.kind.object();
        match self.job.writer.delete(kind, id).await {
            Ok(()) => Outcome::Done { link: None, written: None, refused: None, instead: None },
            Err(e) => self.failed(kind, e).await,
        }
    }

    /// An account that is gone under its id may be there under another. One that is hidden was there: its id is another only
    /// where it got another name.
    async fn update(&self, change: &Change, id: &TargetId) -> Outcome {
        let kind = change.kind.object();
        let (outcome, accepted) = self.update_at(change, id).await;
        match outcome {
            Outcome::Hidden if !change.to.contains_key(rename::attribute(change)) => Outcome::Hidden,
            lost @ (Outcome::Gone | Outcome::Hidden) => match self.moved(change, id).await {
                Ok(Some(new)) => self.update_at(change, &new).await.0,
                Ok(None) if matches!(lost, Outcome::Gone) && self.is_awaited(change, id, accepted).await => {
                    Outcome::Refused(not_shown_yet(kind))
                }
                Ok(None) => lost,
                Err(outcome) => outcome,
            },
            outcome => outcome,
        }
    }

    /// What became of it, and whether the target took the write.
    async fn update_at(&self, change: &Change, id: &TargetId) -> (Outcome, bool) {
        let kind = change.kind.object();
        let from = self.before(change).await;
        let sent = self.write(change, id, &from, &change.to).await;
        let accepted = sent.as_ref().map_or_else(|e| e.accepted, |_| true);
        (self.updated(change, id, (kind, &from), sent).await, accepted)
    }

    /// What is known to be there. Whoever is to be inactive may still be active there: the guard holds that, or it was refused.
    async fn before(&self, change: &Change) -> Flat {
        let mut from = change.before();
        let inactive = change.kind == Kind::Update && from.get("active") == Some(&serde_json::Value::Bool(false));
        let entry = change.id;
        if inactive
            && !matches!(self.ask(move |store| store.link(entry)).await, Some(Ok(Some(link))) if link.inactive_since.is_some())
        {
            from.remove("active");
        }
        from
    }

    /// Writes attributes. Of a group that the target takes as a whole only, those go along whom we put there.
    pub(super) async fn write(
        &self,
        change: &Change,
        id: &TargetId,
        from: &Flat,
        to: &Flat,
    ) -> Result<Option<Remote>, TargetError> {
        match self.job.writer.update(change.kind.object(), id, from, to).await {
            Err(e) if e.wants_members => {
                let Some((ours, known)) = self.seated(change.id).await else { return Err(e) };
                self.job.writer.update_group(id, (from, to), &known, ours).await
            }
            other => other,
        }
    }

    /// Whether we made this group, and the accounts that we put into it.
    pub(super) async fn seated(&self, group: i64) -> Option<(bool, Vec<TargetId>)> {
        let known = self
            .ask(move |store| {
                let ours = store.link(group)?.is_some_and(|l| l.origin == Origin::Created);
                Ok::<_, StateError>((ours, store.pushed_accounts(group)?))
            })
            .await;
        // The ledger is gone or its store broke; it reports that itself.
        known?.ok()
    }

    /// Whether a resource that is not found may merely not be shown yet: it was made in this cycle, or a moment before, and
    /// the target took what was written to it now (`accepted`). Reads may lag behind writes.
    pub(super) async fn is_awaited(&self, change: &Change, id: &TargetId, accepted: bool) -> bool {
        if self.job.writer.made_lately(change.kind.object(), id) {
            return true;
        }
        let entry = change.id;
        let link = if accepted { self.ask(move |store| store.link(entry)).await } else { None };
        let Some(Ok(Some(link))) = link else { return false };
        let age = jiff::Timestamp::now().as_second() - link.since;
        // Whoever is inactive may be hidden on purpose.
        link.origin == Origin::Created && link.inactive_since.is_none() && age < LATELY
    }

    async fn updated(
        &self,
        change: &Change,
        id: &TargetId,
        (kind, from): (ObjectKind, &Flat),
        sent: Result<Option<Remote>, TargetError>,
    ) -> Outcome {
        match sent {
            // The answer is about another id: it is believed where the old one leads nowhere.
            Ok(Some(now)) if now.id != *id => {
                if matches!(self.job.reader.get(kind, id).await, Ok(None)) && !self.follow(change, id, &now.id, None).await {
                    return Outcome::Gone;
                }
                Outcome::Done { link: None, written: Some(change.to.clone()), refused: None, instead: None }
            }
            Ok(_) => Outcome::Done { link: None, written: Some(change.to.clone()), refused: None, instead: None },
            Err(e) if keeps_no_external_id(&e, from) => Outcome::Done { link: None, written: None, refused: None, instead: None },
            // A rename whose name is taken waits for others to move first.
            Err(e) if is_about_a_value(&e, change) && change.to.len() > 1 => {
                self.one_by_one(change, id, (from, &change.to), e).await
            }
            Err(e) if e.accepted && stays_inactive(change) => match self.job.reader.serves(kind, &e).await {
                Ok(()) => Outcome::Hidden,
                Err(all) => Outcome::Fatal(all),
            },
            Err(e) => {
                self.note_fixed(change.to.keys(), &e);
                self.gone_or(kind, id, e).await
            }
        }
    }

    /// Counts whoever's name is not changed there, as far as the target says that it is the name.
    fn note_fixed<'a>(&self, mut sent: impl Iterator<Item = &'a String>, e: &TargetError) {
        let refused = e.says("mutability");
        if sent.any(|path| path == "userName") && (refused || e.unapplied.iter().any(|path| path == "userName")) {
            self.names_fixed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An earlier write may have arrived: what is written now starts from what is there, so that nothing is added twice.
    async fn update_in_doubt(&self, change: &Change, id: &TargetId) -> Outcome {
        let kind = change.kind.object();
        match self.job.reader.get(kind, id).await {
            Ok(Some(there)) => {
                let from = there.flat(change.to.keys().chain(change.pushed.keys()).map(String::as_str));
                // It arrived: some refuse what changes nothing.
                if change
                    .to
                    .iter()
                    .all(|(path, want)| from.get(path) == Some(want) || (want.is_null() && !from.contains_key(path)))
                {
                    return Outcome::Done { link: None, written: Some(change.to.clone()), refused: None, instead: None };
                }
                self.update(&Change { from, pushed: Flat::new(), ..change.clone() }, id).await
            }
            Ok(None) => match self.moved(change, id).await {
                Ok(Some(new)) => self.update_at(change, &new).await.0,
                Ok(None) if self.is_awaited(change, id, false).await => Outcome::Refused(not_shown_yet(kind)),
                Ok(None) => Outcome::Gone,
                Err(outcome) => outcome,
            },
            Err(e) => self.failed(kind, e).await,
        }
    }

    /// The target refused several attributes in one request: each goes alone, so that one bad value does not keep the
    /// others back.
    pub(super) async fn one_by_one(
        &self,
        change: &Change,
        id: &TargetId,
        (all_from, all_to): (&Flat, &Flat),
        first: TargetError,
    ) -> Outcome {
        let kind = change.kind.object();
        let mut written = all_to.clone();
        if keeps_no_external_id(&first, all_from) {
            return Outcome::Done { link: None, written: None, refused: None, instead: None };
        }
        if !first.unapplied.is_empty() {
            // It is known which: the others are there.
            self.note_fixed(all_to.keys(), &first);
            written.retain(|path, _| !first.unapplied.contains(path));
            let refused = Refused::from(first);
            return if written.is_empty() {
                Outcome::Refused(refused)
            } else {
                Outcome::Done { link: None, written: Some(written), refused: Some(refused), instead: None }
            };
        }
        let mut refused: Vec<(String, TargetError)> = Vec::new();
        let mut known = all_from.clone();
        // The name first: where somebody else has it, the addresses may be theirs too.
        let name = kind.name_attribute();
        let mut taken = false;
        let in_order = all_to.iter().filter(|(path, _)| *path == name).chain(all_to.iter().filter(|(path, _)| *path != name));
        for (path, value) in in_order {
            if taken && rename::waits_with(name, path) {
                written.remove(path);
                continue;
            }
            let to = Flat::from([(path.clone(), value.clone())]);
            match self.write(change, id, &known, &to).await {
                // An element that is there now is what the next one stands beside.
                Ok(_) => known = crate::plan::user::after(&known, &to),
                Err(e) if matches!(e.fault, Fault::Invalid | Fault::Conflict) => {
                    self.note_fixed(std::iter::once(path), &e);
                    taken |= path == name && e.fault == Fault::Conflict;
                    written.remove(path);
                    refused.push((path.clone(), e));
                }
                Err(e) => return self.gone_or(kind, id, e).await,
            }
        }
        let refused = refused.into_iter().next().map(|(path, e)| {
            let mut r = Refused::from(e);
            r.reason = format!("{path}: {}", r.reason);
            r
        });
        if written.is_empty() {
            // A name that somebody else has may be free in a moment, whatever else is wrong.
            return Outcome::Refused(refused.filter(|_| taken).unwrap_or_else(|| first.into()));
        }
        Outcome::Done { link: None, written: Some(written), refused, instead: None }
    }

    /// A 404 is believed only when a read confirms it.
    pub(super) async fn gone_or(&self, kind: ObjectKind, id: &TargetId, e: TargetError) -> Outcome {
        if e.fault != Fault::Gone {
            return self.failed(kind, e).await;
        }
        match self.job.reader.get(kind, id).await {
            Ok(None) => match self.job.reader.serves(kind, &e).await {
                Ok(()) => Outcome::Gone,
                // It is not this record that is gone.
                Err(all) => Outcome::Fatal(all),
            },
            Ok(Some(_)) => {
                let mut refused = Refused::from(e);
                refused.reason = format!("{} although the {kind} is there", refused.reason);
                Outcome::Refused(refused)
            }
            Err(e) => self.failed(kind, e).await,
        }
    }

    /// One record's fault, or the whole target's? What may be either is decided by a look at something else.
    pub(super) async fn failed(&self, kind: ObjectKind, e: TargetError) -> Outcome {
        if e.fault == Fault::Auth {
            return Outcome::Fatal(e);
        }
        // Who has to wait for longer than one request may is rarely this one record: not at the second one, and not where
        // nothing else is answered either.
        if e.retry_after.is_some_and(|wait| e.fault.is_retryable() && wait > LONGEST_WAIT) {
            let is_first = self.long_waits.fetch_add(1, Ordering::Relaxed) == 0;
            return match self.job.reader.serves(kind, &e).await {
                Ok(()) if is_first => Outcome::Refused(Refused::from(e)),
                _ => Outcome::Fatal(e),
            };
        }
        let mut others_pass = false;
        if let Some(everyone) = e.known.and_then(|known| known.everyone) {
            match self.everyone.get_or_init(|| self.refuses_everyone()).await {
                Some(true) => {
                    return Outcome::Fatal(TargetError {
                        message: format!("{everyone} ({})", e.message),
                        fault: Fault::Auth,
                        ..e
                    });
                }
                Some(false) => others_pass = true,
                None => {}
            }
        }
        let suspicious = e.fault.is_retryable() || matches!(e.fault, Fault::Permanent | Fault::Gone) || e.status == Some(403);
        if suspicious && let Err(all) = self.job.reader.serves(kind, &e).await {
            return Outcome::Fatal(all);
        }
        let refused = Refused::from(e);
        Outcome::Refused(Refused { everyone: refused.everyone.filter(|_| !others_pass), ..refused })
    }

    /// Whether an application that refuses one record refuses every one: shown by a write that changes nothing, to accounts
    /// that are known to be ours. While there are none, nobody can say (`None`); then the ledger counts.
    async fn refuses_everyone(&self) -> Option<bool> {
        let sync = self.job.sync;
        let ours = self.ask(move |store| store.some_active_links(sync, OURS)).await?.ok()?;
        for id in &ours {
            match self.job.writer.write_unchanged(id).await {
                Err(e) if e.known.is_some_and(|known| known.everyone.is_some()) => {}
                // One who may be written, or a fault of another kind, which is judged where it happens.
                _ => return Some(false),
            }
        }
        (!ours.is_empty()).then_some(true)
    }

    /// Has the ledger answer a question on its thread; `None` if it is gone.
    pub(super) async fn ask<T: Send + 'static>(&self, f: impl FnOnce(&Store) -> T + Send + 'static) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let question = Box::new(move |store: &Store| {
            // The asker may be gone; then nobody waits for the answer.
            let _ = reply.send(f(store));
        });
        self.messages.send(Message::Ask(question)).ok()?;
        answer.await.ok()
    }
}

/// The target took what was written, and shows nothing of the resource that was just made.
pub(super) fn not_shown_yet(kind: ObjectKind) -> Refused {
    Refused {
        fault: Fault::Transient,
        status: Some(404),
        reason: format!("the {kind} was made a moment ago, and the target does not show it yet"),
        advice: "nothing to do: it is tried again in the next cycle".to_owned(),
        ambiguous: false,
        everyone: None,
    }
}

/// Whether the account is inactive after the change: some targets show such accounts to nobody, and they are there.
fn stays_inactive(change: &Change) -> bool {
    [&change.to, change.known()].iter().any(|flat| flat.get("active") == Some(&serde_json::Value::Bool(false)))
}

/// Whether all that was not applied is the externalId of an account that had none: a target that keeps no externalId is no reason
/// to park anybody, nor to write it again in the next cycle.
fn keeps_no_external_id(e: &TargetError, from: &Flat) -> bool {
    e.unapplied.iter().eq(["externalId"]) && !from.contains_key("externalId")
}

/// Whether the refusal may be about one of several values: the others can be written all the same.
fn is_about_a_value(e: &TargetError, change: &Change) -> bool {
    e.fault == Fault::Invalid || (e.fault == Fault::Conflict && !rename::is_rename(change))
}
