//! Creating without ever making a second account, and adopting what is there already.

use super::outcome::{Outcome, Refused};
use super::worker::Worker;
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use crate::plan::matching::{self, Candidate, Match, Person};
use crate::plan::{Change, user};
use crate::state::StateError;
use crate::state::links::Origin;
use crate::target::{Remote, TargetError};
use std::time::Duration;

/// Attempts after an answer was lost and the account was not found.
const ATTEMPTS: u32 = 5;

impl Worker {
    /// `look_first`: something of this record was refused or could not be decided before. An account of theirs may be
    /// there that no conflict would show (matched by an address, say), so the target is asked before anything is made.
    pub(super) async fn create(&self, change: &Change, look_first: bool) -> Outcome {
        let kind = change.kind.object();
        if look_first {
            match self.look_up(change, None).await {
                Err(outcome) => return outcome,
                Ok(Found::Made(id)) => return done(id, Origin::Created, change.pushed.clone()),
                Ok(Found::There(there)) => return self.take_over(change, *there).await,
                Ok(Found::Nothing) => {}
            }
        }
        let mut wait = Duration::from_millis(50);
        for attempt in 1..=ATTEMPTS {
            let error = match self.job.writer.create(kind, &change.to, &[]).await {
                Ok(made) => return done(made.id, Origin::Created, change.pushed.clone()),
                Err(e) => e,
            };
            if error.fault == Fault::Auth || !(error.ambiguous || error.fault == Fault::Conflict) {
                return self.failed(kind, error).await;
            }
            match self.look_up(change, Some(&error)).await {
                Err(outcome) => return outcome,
                Ok(Found::Made(id)) => return done(id, Origin::Created, change.pushed.clone()),
                Ok(Found::There(there)) => return self.take_over(change, *there).await,
                Ok(Found::Nothing) if error.ambiguous && attempt < ATTEMPTS => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Ok(Found::Nothing) if error.fault == Fault::Conflict => return Outcome::Refused(taken_but_unseen(error)),
                Ok(Found::Nothing) => return self.failed(kind, error).await,
            }
        }
        Outcome::Refused(Refused {
            fault: Fault::Transient,
            status: None,
            reason: "the target lost the answer every time".to_owned(),
            advice: "nothing to do: it is tried again in the next cycle".to_owned(),
        })
    }

    /// Is the account there, and whose is it? After a conflict or a lost answer (`error`), or before a first request.
    async fn look_up(&self, change: &Change, error: Option<&TargetError>) -> Result<Found, Outcome> {
        let kind = change.kind.object();
        let criteria = match kind {
            ObjectKind::User => &self.job.match_users,
            ObjectKind::Group => &self.job.match_groups,
        };
        let external_id = change.to.get("externalId").and_then(|v| v.as_str());
        // The name comes last where the rules do not list it: a conflict is about the name.
        for criterion in criteria.iter().map(String::as_str).chain([naming(kind)]) {
            let wanted: Vec<(String, String)> = matching::values(criterion, change.source_key.as_str(), &change.to)
                .into_iter()
                .map(|v| (criterion.to_owned(), v))
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let hits = match self.job.reader.find(kind, &wanted).await {
                Ok(hits) => hits,
                Err(e) => return Err(self.failed(kind, e).await),
            };
            if hits.is_empty() {
                continue;
            }
            return self.whose(change, error, criterion, external_id, hits).await;
        }
        Ok(Found::Nothing)
    }

    async fn whose(
        &self,
        change: &Change,
        error: Option<&TargetError>,
        criterion: &str,
        external_id: Option<&str>,
        hits: Vec<Remote>,
    ) -> Result<Found, Outcome> {
        let kind = change.kind.object();
        let (candidates, legacy) = match self.facts(change, &hits).await {
            Some(Ok(facts)) => facts,
            // The ledger is gone or its store broke; it reports that itself.
            Some(Err(_)) | None => return Ok(Found::Nothing),
        };
        let person = Person { object: kind, source_key: change.source_key.as_str(), external_id, legacy: &legacy };
        match matching::judge(&person, criterion, &candidates) {
            Match::None => Ok(Found::Nothing),
            Match::Park { reason, advice } => {
                Err(Outcome::Refused(Refused { fault: Fault::Conflict, status: error.and_then(|e| e.status), reason, advice }))
            }
            Match::One(id) => {
                let Some(hit) = hits.into_iter().find(|h| h.id == id) else { return Ok(Found::Nothing) };
                // Our own request got through and its answer was lost: the account carries the id that only we give.
                let ours = error.is_some_and(|e| e.ambiguous) && external_id.is_some() && hit.external_id() == external_id;
                Ok(if ours { Found::Made(id) } else { Found::There(Box::new(hit)) })
            }
        }
    }

    async fn facts(&self, change: &Change, hits: &[Remote]) -> Option<Result<(Vec<Candidate>, Vec<String>), StateError>> {
        let kind = change.kind.object();
        let (sync, entry, legacy) = (self.job.sync, change.id, std::sync::Arc::clone(&self.job.legacy));
        let raw: Vec<Candidate> = hits
            .iter()
            .map(|h| Candidate {
                id: h.id.clone(),
                name: h.user_name().or_else(|| h.display_name()).unwrap_or_default().to_owned(),
                external_id: h.external_id().map(str::to_owned),
                linked_to: None,
            })
            .collect();
        self.ask(move |store| {
            let mut out = Vec::new();
            for c in raw {
                let linked_to = store.linked_to(sync, kind, &c.id, entry)?;
                out.push(Candidate { linked_to, ..c });
            }
            let legacy = store.entry(entry)?.map(|e| legacy(&e)).unwrap_or_default();
            Ok((out, legacy))
        })
        .await
    }

    async fn take_over(&self, change: &Change, there: Remote) -> Outcome {
        let seen = there.flat(change.to.keys().map(String::as_str));
        let desired = crate::mapping::Desired { attrs: change.to.clone(), ..crate::mapping::Desired::default() };
        let (from, mut to) = user::diff(&seen, &desired, false, &|_| false);
        if let Some(ext) = change.to.get("externalId") {
            // Written even where nothing differs: some applications pass ownership only then.
            to.insert("externalId".to_owned(), ext.clone());
        }
        self.write_adopted(change, &there.id, &from, &to).await
    }

    pub(super) async fn adopt(&self, change: &Change, id: &TargetId) -> Outcome {
        self.write_adopted(change, id, &change.from, &change.to).await
    }

    async fn write_adopted(&self, change: &Change, id: &TargetId, from: &Flat, to: &Flat) -> Outcome {
        let kind = change.kind.object();
        if to.is_empty() {
            return done(id.clone(), Origin::Adopted, change.pushed.clone());
        }
        match self.job.writer.update(kind, id, from, to).await {
            Ok(_) => done(id.clone(), Origin::Adopted, change.pushed.clone()),
            // The account is theirs all the same: without a link nobody would deactivate it some day.
            Err(e) if e.fault == Fault::Invalid && to.len() > 1 => match self.one_by_one(kind, id, from, to, e).await {
                Outcome::Done { written, refused, .. } => {
                    let mut known = change.pushed.clone();
                    for path in to.keys().filter(|p| !written.contains_key(*p)) {
                        match from.get(path) {
                            Some(old) => known.insert(path.clone(), old.clone()),
                            None => known.remove(path),
                        };
                    }
                    Outcome::Done { link: Some((id.clone(), Origin::Adopted)), written: known, refused }
                }
                other => other,
            },
            Err(e) => match self.gone_or(kind, id, e).await {
                // It vanished between the look and the write: there is no link yet to be dropped.
                Outcome::Gone => Outcome::Refused(Refused {
                    fault: Fault::Transient,
                    status: Some(404),
                    reason: format!("the {kind} that matched is gone at the target"),
                    advice: "nothing to do: it is tried again in the next cycle".to_owned(),
                }),
                other => other,
            },
        }
    }
}

enum Found {
    /// Our own create arrived.
    Made(TargetId),
    /// Somebody else made it, and it may be adopted.
    There(Box<Remote>),
    Nothing,
}

fn naming(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::User => "userName",
        ObjectKind::Group => "displayName",
    }
}

fn done(id: TargetId, origin: Origin, written: Flat) -> Outcome {
    Outcome::Done { link: Some((id, origin)), written, refused: None }
}

fn taken_but_unseen(e: TargetError) -> Refused {
    let mut r = Refused::from(e);
    r.reason = format!("{}; yet no account that matches can be found there", r.reason);
    r.advice =
        "an account that this credential may not see has the value: ask the application's administrator who has it".to_owned();
    r
}
