//! Creating without ever making a second account, and adopting what is there already.

use super::Task;
use super::made;
use super::outcome::{Outcome, Refused};
use super::worker::Worker;
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use crate::plan::matching::{self, Candidate, Match, Person, Sent};
use crate::plan::{Change, user};
use crate::state::StateError;
use crate::state::intents::SentTo;
use crate::state::links::Origin;
use crate::target::{Remote, TargetError};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Attempts after an answer was lost and the account was not found.
const ATTEMPTS: u32 = 5;

/// Waits between looks for what may have been made and is not shown yet.
const LATER: [Duration; 3] = [Duration::from_millis(150), Duration::from_millis(600), Duration::from_millis(1500)];

/// People refused in a row for want of a seat, after whom nobody else is tried.
const SEATLESS: u32 = 3;

/// Tolerance where two clocks are compared, seconds: HTTP dates are whole seconds, and the answer took its time.
pub(super) const CLOCK_SLACK: i64 = 5;
/// The same where the target's clock is not known.
const UNKNOWN_CLOCK_SLACK: i64 = 300;

impl Worker {
    pub(super) async fn create(&self, task: &Task) -> Outcome {
        let of_user = task.change.kind.object() == ObjectKind::User;
        if let Some(full) = self.full.get().filter(|_| of_user) {
            return Outcome::Full(full.clone());
        }
        // Since when something of our own making may be there, or may still come.
        let mut doubt = task.doubt;
        let mut outcome = self.try_create(task, &mut doubt).await;
        if let Outcome::Refused(r) = &mut outcome {
            // Only an answer about this very record settles what an earlier request may have done.
            r.ambiguous |= doubt.is_some() && !matches!(r.fault, Fault::Invalid | Fault::Permanent | Fault::Full);
            if r.fault == Fault::Full && of_user {
                self.refused_a_seat(r);
            }
        } else if matches!(outcome, Outcome::Done { .. }) && of_user {
            self.without_seat.store(0, Ordering::Relaxed);
        }
        outcome
    }

    /// One record does not speak for all, in whatever words it is refused; several in a row do, and so does a 402.
    fn refused_a_seat(&self, r: &Refused) {
        let in_a_row = self.without_seat.fetch_add(1, Ordering::Relaxed) + 1;
        if (in_a_row >= SEATLESS || r.status == Some(402)) && self.full.set(r.clone()).is_ok() {
            tracing::warn!("no further account is made in this cycle: {}", r.reason);
        }
    }

    /// What seldom happens is boxed: each of a hundred thousand creates is as large as the largest thing that may happen to it.
    async fn try_create(&self, task: &Task, doubt: &mut Option<i64>) -> Outcome {
        let change = &task.change;
        let kind = change.kind.object();
        // Nothing keeps a target from making a second group of one name; of people the name is unique there, but where no
        // answer tells whether they were there before.
        let unseen = match kind {
            ObjectKind::Group => !self.job.groups_listed,
            ObjectKind::User => !self.job.users_listed && self.job.writer.says_nothing(kind),
        };
        let looked = doubt.is_some() || task.look_first || unseen;
        if looked {
            let why = Why { doubt: *doubt, before: doubt.is_none() && !task.look_first, ..Why::default() };
            match Box::pin(self.look_up(change, why)).await {
                Err(outcome) => return outcome,
                Ok(Found::Nothing) => {}
                Ok(found) => return Box::pin(self.take(task, found)).await,
            }
        }
        let mut wait = Duration::from_millis(50);
        for attempt in 1..=ATTEMPTS {
            let now = jiff::Timestamp::now().as_second();
            let error = match self.job.writer.create_id(kind, &change.to).await {
                Ok(made) => {
                    // The earliest request of ours that may have made it.
                    let since = doubt.unwrap_or(now);
                    if !made::was_there(&self.sent(change, since), &made) {
                        return done(made.id, Origin::Created);
                    }
                    // While nobody can say whose it is, it may be ours.
                    *doubt = Some(since);
                    return Box::pin(self.answered(task, since, made, looked)).await;
                }
                Err(e) => e,
            };
            if error.fault == Fault::Auth || !(error.ambiguous || error.fault == Fault::Conflict) {
                return Box::pin(self.failed(kind, error)).await;
            }
            if error.ambiguous {
                doubt.get_or_insert(self.began);
            }
            let why = Why { doubt: *doubt, status: error.status, before: false };
            // What was taken is there, and what is under way may come, also where it is not shown yet. Nothing keeps a target
            // from making a second group of one name, and few say that they keep people apart: a second request is not sent
            // then. The next cycle looks again.
            let taken = error.status.is_some_and(|status| (200..300).contains(&status));
            let only = taken || (is_lost(&error) && !self.job.writer.keeps_unique(kind));
            let found =
                if only { Box::pin(self.look_up_later(change, why)).await } else { Box::pin(self.look_up(change, why)).await };
            match found {
                Err(outcome) => return outcome,
                Ok(Found::Nothing) if error.ambiguous && !only && attempt < ATTEMPTS => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Ok(Found::Nothing) if error.fault == Fault::Conflict => return Outcome::Refused(taken_but_unseen(error)),
                Ok(Found::Nothing) => return Box::pin(self.failed(kind, error)).await,
                Ok(found) => return Box::pin(self.take(task, found)).await,
            }
        }
        Outcome::Refused(Refused {
            fault: Fault::Transient,
            status: None,
            reason: "the target lost the answer every time".to_owned(),
            advice: "nothing to do: it is tried again in the next cycle".to_owned(),
            ambiguous: true,
            everyone: None,
        })
    }

    pub(super) async fn take(&self, task: &Task, found: Found) -> Outcome {
        match found {
            Found::Made(id) => done(id, Origin::Created),
            Found::There(there) if task.change.kind.object() == ObjectKind::Group && self.job.groups_made_once => {
                Outcome::LeftAlone(there.id)
            }
            Found::There(there) => self.take_over(task, *there).await,
            Found::Nothing => Outcome::NotSent,
        }
    }

    /// Whether the account is of our own making, where something was sent after `doubt` and its answer is not known.
    fn is_ours(&self, change: &Change, doubt: Option<i64>, there: &Remote) -> bool {
        let Some(since) = doubt else { return false };
        let name = there.name(change.kind.object());
        matching::is_our_making(
            &self.sent(change, since),
            there.external_id(),
            name,
            there.created(),
            there.differs(change.known()),
        )
    }

    /// What was sent, not before `since`.
    fn sent<'a>(&self, change: &'a Change, since: i64) -> Sent<'a> {
        let text = |path: &str| change.known().get(path).and_then(|v| v.as_str());
        Sent {
            external_id: text("externalId"),
            name: text(change.kind.object().name_attribute()),
            not_before: not_before(since, self.job.reader.clock_skew_s()),
        }
    }

    /// The same for a while: reads may lag behind writes.
    async fn look_up_later(&self, change: &Change, why: Why) -> Result<Found, Outcome> {
        for wait in LATER {
            match self.look_up(change, why).await {
                Ok(Found::Nothing) => tokio::time::sleep(wait).await,
                found => return found,
            }
        }
        self.look_up(change, why).await
    }

    /// Is the account there, and whose is it?
    pub(super) async fn look_up(&self, change: &Change, why: Why) -> Result<Found, Outcome> {
        let kind = change.kind.object();
        let criteria = match kind {
            ObjectKind::User => &self.job.match_users,
            ObjectKind::Group => &self.job.match_groups,
        };
        // The name comes last where the rules do not list it: a conflict is about the name, and whoever has it is told of.
        let asks = !why.before || kind == ObjectKind::User;
        let name = Some(kind.name_attribute()).filter(|name| asks && !criteria.iter().any(|c| c.eq_ignore_ascii_case(name)));
        let by_rules = criteria.iter().map(|c| (c.as_str(), true));
        for (criterion, by_rule) in by_rules.chain(name.map(|name| (name, false))) {
            let wanted: Vec<(String, String)> = matching::values(criterion, change.source_key.as_str(), &change.to)
                .into_iter()
                .map(|v| (criterion.to_owned(), v))
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let mut hits = match self.job.reader.find(kind, &wanted).await {
                Ok(hits) => hits,
                Err(e) => return Err(self.failed(kind, e).await),
            };
            if kind == ObjectKind::Group && self.job.group_name_exact {
                let name = change.to.get("displayName").and_then(|v| v.as_str());
                hits.retain(|h| name.is_none() || h.display_name() == name);
            }
            if hits.is_empty() {
                continue;
            }
            match self.whose(change, why, criterion, hits).await? {
                Found::Nothing if why.before => {}
                Found::There(there) if !by_rule && !is_own(&change.to, &there) => {
                    return Err(Outcome::Refused(not_by_the_rules(kind, why.status, &there)));
                }
                found => return Ok(found),
            }
        }
        Ok(Found::Nothing)
    }

    pub(super) async fn whose(&self, change: &Change, why: Why, criterion: &str, hits: Vec<Remote>) -> Result<Found, Outcome> {
        let kind = change.kind.object();
        let external_id = change.to.get("externalId").and_then(|v| v.as_str());
        let (mut candidates, legacy) = match self.facts(change, &hits).await {
            Some(Ok(facts)) => facts,
            // The ledger is gone or its store broke; it reports that itself.
            Some(Err(_)) | None => return Ok(Found::Nothing),
        };
        if why.before {
            // Another entry's group may bear the same name, where the target lets it.
            candidates.retain(|c| c.linked_to.is_none());
        }
        let person = Person { object: kind, source_key: change.source_key.as_str(), external_id, legacy: &legacy };
        match matching::judge(&person, criterion, &candidates) {
            Match::None => Ok(Found::Nothing),
            Match::Park { reason, advice } => Err(Outcome::Refused(Refused {
                fault: Fault::Conflict,
                status: why.status,
                reason,
                advice,
                ambiguous: false,
                everyone: None,
            })),
            Match::One(id) => {
                let Some(hit) = hits.into_iter().find(|h| h.id == id) else { return Ok(Found::Nothing) };
                Ok(if self.is_ours(change, why.doubt, &hit) { Found::Made(id) } else { Found::There(Box::new(hit)) })
            }
        }
    }

    pub(super) async fn facts(
        &self,
        change: &Change,
        hits: &[Remote],
    ) -> Option<Result<(Vec<Candidate>, Vec<String>), StateError>> {
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

    async fn take_over(&self, task: &Task, there: Remote) -> Outcome {
        let change = &task.change;
        let kind = change.kind.object();
        let seen = there.flat(change.to.keys().map(String::as_str));
        let desired = crate::mapping::Desired {
            attrs: change.to.clone(),
            create_only: change.create_only.clone(),
            ..crate::mapping::Desired::default()
        };
        // Another name is given by the next cycle, as a rename that the guard judges; addresses go with it.
        let renames = kind == ObjectKind::User && bears_another_name(&there, change);
        let fixed = |path: &str| {
            kind == ObjectKind::User && path == "userName" && (renames || self.job.user_name_immutable)
                || renames && path.starts_with("emails")
        };
        let update = kind == ObjectKind::Group || self.job.users_updated;
        let mut taken = user::take_over(&seen, &desired, update, &fixed);
        if renames && let Ok(mut again) = self.look_again.lock() {
            again.push(change.id);
        }
        if kind == ObjectKind::Group && !self.job.groups_updated {
            taken.to.clear();
            taken.pushed = seen;
        }
        let user::Taken { from, to, pushed } = taken;
        let known = there.flat(change.to.keys().map(String::as_str).chain([EMAILS]));
        let sent = SentTo { target_id: there.id.clone(), from: from.clone(), to: to.clone(), pushed: pushed.clone() };
        if let Err(unsent) = self.note_met(task, sent).await {
            return unsent;
        }
        let adopted = Change { pushed, ..Change::clone(change) };
        match self.write_adopted(&adopted, &there.id, Origin::Adopted, &known, &to).await {
            Outcome::Done { link, written, refused, .. } => Outcome::Done {
                link,
                // What is there, and not what would have been given to a new one.
                written: Some(written.unwrap_or(adopted.pushed)),
                refused,
                instead: Some(Box::new((from, to))),
            },
            other => other,
        }
    }

    pub(super) async fn adopt(&self, task: &Task, id: &TargetId) -> Outcome {
        let change = &task.change;
        let mut origin = Origin::Adopted;
        if task.doubt.is_some() {
            match self.job.reader.get(change.kind.object(), id).await {
                Ok(Some(there)) if self.is_ours(change, task.doubt, &there) => origin = Origin::Created,
                Ok(_) => {}
                Err(e) => return self.failed(change.kind.object(), e).await,
            }
        }
        let mut known = change.before();
        // Which email is primary only the whole account tells: what was compared is what the mapping writes.
        if change.to.keys().any(|path| path.starts_with("emails")) && !known.keys().any(|path| path.starts_with("emails")) {
            match self.job.reader.get(change.kind.object(), id).await {
                Ok(Some(there)) => known.extend(there.flat([EMAILS].into_iter())),
                // The write says it.
                Ok(None) => {}
                Err(e) => return self.failed(change.kind.object(), e).await,
            }
        }
        self.write_adopted(change, id, origin, &known, &change.to).await
    }

    async fn write_adopted(&self, change: &Change, id: &TargetId, origin: Origin, from: &Flat, to: &Flat) -> Outcome {
        let kind = change.kind.object();
        if to.is_empty() {
            return done(id.clone(), origin);
        }
        if kind == ObjectKind::Group
            && origin == Origin::Adopted
            && let Err(e) = self.job.writer.can_carry_on(id).await
        {
            return self.gone_or(kind, id, e).await;
        }
        match self.write(change, id, from, to).await {
            Ok(_) => done(id.clone(), origin),
            // Whoever has the name, the account is this person's by the rules: unlinked, it would outlive them.
            Err(e) if e.fault == Fault::Invalid || (e.fault == Fault::Conflict && change.renames()) => {
                self.link_all_the_same(change, id, origin, (from, to), e).await
            }
            Err(e) => match self.gone_or(kind, id, e).await {
                // It vanished between the look and the write: there is no link yet to be dropped.
                Outcome::Gone => Outcome::Refused(Refused {
                    fault: Fault::Transient,
                    status: Some(404),
                    reason: format!("the {kind} that matched is gone at the target"),
                    advice: "nothing to do: it is tried again in the next cycle".to_owned(),
                    ambiguous: false,
                    everyone: None,
                }),
                other => other,
            },
        }
    }

    /// An account that is somebody's by the match rules stays so where it does not take every value: it is linked, and what
    /// was refused is parked. A target that keeps no externalId is no reason to park anybody.
    async fn link_all_the_same(
        &self,
        change: &Change,
        id: &TargetId,
        origin: Origin,
        (from, to): (&Flat, &Flat),
        first: TargetError,
    ) -> Outcome {
        let (written, refused) = match self.one_by_one(change, id, (from, to), first).await {
            Outcome::Done { written, refused, .. } => (written.unwrap_or_else(|| to.clone()), refused),
            Outcome::Refused(r) if matches!(r.fault, Fault::Invalid | Fault::Conflict) => (Flat::new(), Some(r)),
            other => return other,
        };
        // That the target keeps no externalId is no reason to park anybody; that it does not let the account be taken over is.
        let keeps_none = refused.as_ref().is_some_and(Refused::is_about_external_id);
        let left_out =
            |path: &String| (path != "externalId" || !keeps_none) && to.contains_key(path) && !written.contains_key(path);
        let refused = refused.filter(|_| to.keys().any(left_out));
        let mut pushed: Flat =
            change.known().iter().filter(|(path, _)| !left_out(path)).map(|(k, v)| (k.clone(), v.clone())).collect();
        // By what is there it is known from now on.
        let stays = |path: &String| left_out(path) && (path == "userName" || path.starts_with("emails"));
        pushed.extend(from.iter().filter(|(path, _)| stays(path)).map(|(k, v)| (k.clone(), v.clone())));
        Outcome::Done { link: Some((id.clone(), origin)), written: Some(pushed), refused, instead: None }
    }
}

/// Why a resource is looked up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Why {
    /// Something was sent since then, and its answer is not known, or not believed.
    pub doubt: Option<i64>,
    /// The status with which a create was refused.
    pub status: Option<u16>,
    /// Nothing was sent: it is about to be.
    pub before: bool,
}

/// The first email of an account, whichever it is.
const EMAILS: &str = "emails.value";

pub(super) enum Found {
    /// Our own create arrived.
    Made(TargetId),
    /// Somebody else made it, and it may be adopted.
    There(Box<Remote>),
    Nothing,
}

/// The second by the target's clock before which nothing that we sent after `since` can have been made.
pub(crate) fn not_before(since: i64, skew: Option<i64>) -> i64 {
    since.saturating_add(skew.unwrap_or(0)).saturating_sub(if skew.is_some() { CLOCK_SLACK } else { UNKNOWN_CLOCK_SLACK })
}

/// Somebody between us and the target, or we ourselves, did not wait for the answer, or the connection broke after the request
/// was sent: it may have been carried out, and may still be under way.
fn is_lost(e: &TargetError) -> bool {
    matches!(e.status, Some(408 | 502 | 504)) || e.timed_out || (e.status.is_none() && e.ambiguous)
}

pub(super) fn done(id: TargetId, origin: Origin) -> Outcome {
    Outcome::Done { link: Some((id, origin)), written: None, refused: None, instead: None }
}

/// Whether the account has another userName than it would get, letter case aside.
fn bears_another_name(there: &Remote, change: &Change) -> bool {
    let wanted = change.to.get("userName").and_then(|v| v.as_str());
    there.user_name().zip(wanted).is_some_and(|(has, wants)| has.to_lowercase() != wants.to_lowercase())
}

/// Whether the account carries the externalId that is written to it.
fn is_own(to: &Flat, there: &Remote) -> bool {
    let ours = to.get("externalId").and_then(|v| v.as_str());
    ours.is_some() && ours == there.external_id()
}

/// Nothing is taken over by what the match rules leave out.
fn not_by_the_rules(kind: ObjectKind, status: Option<u16>, there: &Remote) -> Refused {
    let (what, rules, attribute) = match kind {
        ObjectKind::User => ("account", "match.users", "userName"),
        ObjectKind::Group => ("group", "match.groups", "displayName"),
    };
    let (name, id) = (there.name(kind).unwrap_or_default(), &there.id);
    Refused {
        fault: Fault::Conflict,
        status,
        reason: format!("the {what} {name:?} ({id}) has this {attribute} already, and by {rules} it is nobody's here"),
        advice: format!(
            "if it is theirs, name {attribute} in {rules}, or link it: scim-sync link set; if not, one of the two needs another {attribute}"
        ),
        ambiguous: false,
        everyone: None,
    }
}

fn taken_but_unseen(e: TargetError) -> Refused {
    if e.known.is_some() {
        return e.into();
    }
    let mut r = Refused::from(e);
    r.reason = format!("{}; yet no account that matches can be found there", r.reason);
    r.advice =
        "an account that this credential may not see has the value: ask the application's administrator who has it".to_owned();
    r
}
