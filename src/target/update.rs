//! Changing a resource: PATCH in the form that this target carries out, PUT where it must be.
//!
//! A 2xx is not yet an applied change, and its answer may be an echo: the effect is looked at by one GET per attribute, until
//! the target is discovered anew. A form without effect is replaced by the next one, and the form that works is remembered.

use super::body;
use super::client::Call;
use super::error::TargetError;
use super::forms::{Forms, Step, Way};
use super::members::Seats;
use super::patch::{self, Form, Op};
use super::path::FlatPath;
use super::remote::Remote;
use super::spelling::{Spelling, Trial};
use super::write::TargetWriter;
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use serde_json::Value;
use std::time::Duration;

/// Rounds of one update: each moves at least one path to its next form, or starts from a fresh look.
const ROUNDS: usize = 8;

/// Versions in a row that were stale when they were sent, after which they are taken not to be real.
const STALE: u32 = 3;

/// Waits before each further look for what was taken and is not to be seen yet.
pub(super) const LATER: [Duration; 2] = [Duration::from_millis(150), Duration::from_millis(600)];

/// One more wait before something is sent that carries on what was read: a whole resource, a whole list.
pub(super) const LAST: Duration = Duration::from_millis(1500);

impl TargetWriter {
    /// Changes what `to` holds and nothing else; `null` clears. `from` is what was last known at these paths (and at others
    /// of the same attributes); what is not in it is taken as absent. Safe to repeat; passing faults are retried inside.
    ///
    /// Returns the resource where the target sent it, or where it had to be read.
    ///
    /// # Errors
    /// `Gone` (confirm by a read), `Conflict` (another has the name), `Invalid` with the paths that the target accepted and did
    /// not apply in any form; `wants_members` for a group that the target takes as a whole only: [`Self::update_group`].
    pub async fn update(&self, kind: ObjectKind, id: &TargetId, from: &Flat, to: &Flat) -> Result<Option<Remote>, TargetError> {
        self.update_all(kind, id, (from, to), None).await
    }

    /// The same of a group whose members have to go along: `members` are those that we put there, `ours` says that we made it.
    ///
    /// # Errors
    /// As [`Self::update`]; `Invalid` where others made the group and the target does not show who is in it.
    pub async fn update_group(
        &self,
        id: &TargetId,
        (from, to): (&Flat, &Flat),
        members: &[TargetId],
        ours: bool,
    ) -> Result<Option<Remote>, TargetError> {
        self.update_all(ObjectKind::Group, id, (from, to), Some(Seats { known: members, ours })).await
    }

    async fn update_all(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        (from, to): (&Flat, &Flat),
        seats: Option<Seats<'_>>,
    ) -> Result<Option<Remote>, TargetError> {
        let learned = &self.core().learned;
        // Only what changes is known to be left as it is; and leavers and names are tried whatever became of others.
        let lost = |(path, want): &(&String, &Value)| {
            !matches!(path.as_str(), "active" | "userName") && from.get(*path) != Some(want) && learned.is_not_kept(kind, path)
        };
        let left: Vec<String> = to.iter().filter(lost).map(|(path, _)| path.clone()).collect();
        if left.is_empty() {
            return self.write(kind, id, (from, to), seats).await;
        }
        let rest: Flat = to.iter().filter(|(path, _)| !left.contains(path)).map(|(p, v)| (p.clone(), v.clone())).collect();
        match self.write(kind, id, (from, &rest), seats).await {
            Err(e) if e.unapplied.is_empty() => Err(e),
            Err(e) => Err(self.not_applied(id, &[left.as_slice(), &e.unapplied].concat())),
            Ok(_) => Err(self.not_sent(id, &left)),
        }
    }

    async fn write(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        (from, to): (&Flat, &Flat),
        seats: Option<Seats<'_>>,
    ) -> Result<Option<Remote>, TargetError> {
        let (forms, now) = (Forms::new(), from.clone());
        let mut step = Step { kind, id, from: now, known: from, seats, to: to.clone(), forms, odd: false, remote: None };
        let (mut added_again, mut stale) = (false, 0);
        let mut refused: Option<TargetError> = None;
        for _ in 0..ROUNDS {
            if step.to.is_empty() {
                return Ok(step.remote);
            }
            let without_patch = !self.reader.may_patch(kind);
            let (mut seen, error) = match self.round(&step).await {
                Ok(Round::Done(seen)) => return Ok(seen.or(step.remote)),
                Ok(Round::Unapplied(seen)) => (seen, None),
                Ok(Round::NoPatch(e)) => {
                    refused.get_or_insert(e);
                    continue;
                }
                // PUT is refused as such too: what PATCH did may have passed.
                Err(e) if without_patch && e.is_unsupported() && self.reader.may_patch(kind) && refused.is_none() => {
                    refused = Some(e);
                    continue;
                }
                // An added element may be there or not: only a look decides (a second copy would stay).
                Err(e)
                    if e.ambiguous
                        || e.is_about_form()
                        || e.is_unsupported()
                        || e.status == Some(412)
                        || self.is_about_spelling(&step, &e) =>
                {
                    match self.reader.get(kind, id).await {
                        Ok(Some(seen)) => (seen, Some(e)),
                        Ok(None) => return Err(TargetError { fault: Fault::Gone, ..e }),
                        Err(_) => return Err(e),
                    }
                }
                Err(e) => return Err(e),
            };
            let mut left = patch::unapplied(&seen, &Flat::new(), &step.to);
            let put_is_next = |p: &String| self.form_of(&step, p).next() == Some(Form::Put);
            if error.is_none() && left.iter().any(put_is_next) {
                // A target that reads from a copy may show it by now: a PUT would carry on what is old.
                tokio::time::sleep(LAST).await;
                if let Ok(Some(later)) = self.reader.get(kind, id).await {
                    left = patch::unapplied(&later, &Flat::new(), &step.to);
                    seen = later;
                }
            }
            if left.is_empty() {
                // That it is as it was before says nothing of a write that was refused.
                let unchanged = step.to.iter().all(|(path, want)| step.from.get(path) == Some(want));
                return match error {
                    Some(e) if e.status == Some(400) && !e.ambiguous && unchanged && !e.says_unchanged() => Err(e),
                    _ => Ok(Some(seen)),
                };
            }
            let before = self.operations(&step)?;
            step.to.retain(|path, _| left.contains(path));
            step.from = snapshot(&seen, &step.from, &step.to);
            step.remote = Some(seen);
            // Somebody else changed it meanwhile: once more, from what is there now.
            if let Some(e) = error.as_ref().filter(|e| e.status == Some(412)) {
                if self.is_stale(e, &mut stale) {
                    continue;
                }
                return Err(e.clone());
            }
            if let Some(e) = error.as_ref().filter(|e| e.ambiguous) {
                // Whatever may be repeated was, inside; an `add` gets one more try now that it is known not to be there.
                if std::mem::replace(&mut added_again, true) || before.iter().all(Op::is_repeatable) {
                    return Err(e.clone());
                }
                continue;
            }
            // The same operations again only where the target's own state makes them different.
            if self.operations(&step)? == before
                && !self.next_forms(&mut step, error.as_ref())
                && !self.to_put_once(&mut step, error.as_ref())
            {
                let error = error.unwrap_or_else(|| self.not_kept(kind, id, &left));
                // That there is no PUT either says less than why PATCH was refused.
                return Err(refused.filter(|_| error.is_unsupported()).unwrap_or(error));
            }
            refused = refused.or(error);
        }
        let left: Vec<String> = step.to.into_keys().collect();
        Err(self.not_kept(kind, id, &left))
    }

    /// One attempt at everything in `step.to`.
    async fn round(&self, step: &Step<'_>) -> Result<Round, TargetError> {
        let by_put = |path: &String| self.form_of(step, path) == Form::Put;
        let (put, patch): (Flat, Flat) = step.to.clone().into_iter().partition(|(path, _)| by_put(path));
        let mut seen = None;
        if !patch.is_empty() {
            let (ops, version) = self.patch_operations(step, &patch).await?;
            let found;
            (seen, found) = match self.patch(step.kind, step.id, &ops, version.as_deref()).await {
                Ok(answer) => answer,
                Err(e)
                    if e.is_unsupported() && !self.core().learned.patch_works(step.kind) && !ops.iter().any(Op::is_filtered) =>
                {
                    self.give_up_patch(step.kind, &e);
                    return Ok(Round::NoPatch(e));
                }
                Err(e) => return Err(e),
            };
            self.core().learned.recent.note(step.kind, step.id, &patch);
            if patch.iter().any(|(p, want)| self.is_open(step, p, want)) {
                seen = Some(self.look(step, &patch, seen.as_ref()).await?);
            }
            if let Some(now) = &seen
                && !self.note_effect(step, &patch, now, Way::Patch(found))
            {
                return Ok(Round::Unapplied(now.clone()));
            }
        }
        if !put.is_empty() {
            let answer = self.put(step, &put).await;
            if answer.as_ref().is_err_and(TargetError::is_unsupported) {
                self.core().learned.turn_patch_on(step.kind);
            }
            let mut now = answer?;
            self.core().learned.recent.note(step.kind, step.id, &put);
            if put.iter().any(|(p, want)| self.is_open(step, p, want)) {
                now = Some(self.look(step, &put, now.as_ref()).await?);
            }
            if let Some(now) = &now
                && !self.note_effect(step, &put, now, Way::Put)
            {
                return Ok(Round::Unapplied(now.clone()));
            }
            seen = now.or(seen);
        }
        Ok(Round::Done(seen))
    }

    /// The resource as it is after a write whose form is not known to work. An answer that shows the effect may be an echo of
    /// the request, and may run ahead of what is read a moment later.
    async fn look(&self, step: &Step<'_>, sent: &Flat, answer: Option<&Remote>) -> Result<Remote, TargetError> {
        let applied = |r: &Remote| patch::unapplied(r, &step.from, sent).is_empty();
        self.look_until(step.kind, step.id, answer.is_none_or(applied), applied).await
    }

    /// The resource as it is read after a write; read again for a while where the effect is not to be seen although the answer
    /// told of it (`told`), or told of nothing: some targets read from copies that lag behind. That it is not there at all is
    /// believed the first time only when it was looked for as often.
    pub(super) async fn look_until(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        told: bool,
        applied: impl Fn(&Remote) -> bool,
    ) -> Result<Remote, TargetError> {
        let mut later = LATER.iter();
        loop {
            let Some(now) = self.reader.get(kind, id).await? else {
                match later.next().filter(|_| !self.core().learned.has_vanished(kind)) {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => {
                        self.core().learned.note_vanished(kind);
                        return Err(TargetError { accepted: true, ..self.vanished(id) });
                    }
                }
                continue;
            };
            match later.next().filter(|_| told && !applied(&now)) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Ok(now),
            }
        }
    }

    /// Operations for `to`; the resource is read first where a form needs its present state.
    async fn patch_operations(&self, step: &Step<'_>, to: &Flat) -> Result<(Vec<Op>, Option<String>), TargetError> {
        let needs_state = |p: &String| self.form_of(step, p) == Form::Whole && p.contains('[');
        let read = if step.remote.is_none() && to.keys().any(needs_state) {
            Some(self.reader.get(step.kind, step.id).await?.ok_or_else(|| self.vanished(step.id))?)
        } else {
            None
        };
        let remote = read.as_ref().or(step.remote.as_ref());
        let ops = patch::operations(&step.from, to, |p| self.form_of(step, p), remote).map_err(|e| self.bad_path(&e))?;
        let based_on = remote.filter(|_| to.keys().any(needs_state));
        Ok((ops, based_on.and_then(|r| self.version(r)).map(str::to_owned)))
    }

    /// The version to name in If-Match, where what is sent starts from what was read and versions are real there.
    pub(super) fn version<'r>(&self, there: &'r Remote) -> Option<&'r str> {
        let learned = &self.core().learned;
        let real = (self.dialect().etag || learned.wants_versions()) && !learned.versions_are_off();
        there.version().filter(|_| real)
    }

    /// Whether it was refused because somebody else changed the resource since it was read, and is worth another round. A
    /// target that calls every version stale that was just read keeps none.
    pub(super) fn is_stale(&self, e: &TargetError, round: &mut u32) -> bool {
        *round += 1;
        if e.status == Some(412) && *round == STALE {
            tracing::info!(target_name = %self.core().name, "the target refuses versions that were just read; If-Match is not sent any more");
            self.core().learned.turn_versions_off();
        }
        e.status == Some(412) && *round <= STALE
    }

    fn operations(&self, step: &Step<'_>) -> Result<Vec<Op>, TargetError> {
        patch::operations(&step.from, &step.to, |p| self.form_of(step, p), step.remote.as_ref()).map_err(|e| self.bad_path(&e))
    }

    /// Sends operations in one PATCH; the resource where the answer carries it, and the spelling that was taken, where the usual
    /// one was not.
    pub(super) async fn patch(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        ops: &[Op],
        version: Option<&str>,
    ) -> Result<(Option<Remote>, Option<Spelling>), TargetError> {
        if ops.is_empty() {
            return Ok((None, None));
        }
        let learned = &self.core().learned;
        let booleans_open = ops.iter().all(Op::is_boolean) && !learned.has_patched_booleans(kind);
        let mut trial = Trial::new(self.reader.spelling(), !learned.has_patched(), booleans_open);
        let mut refused: Option<TargetError> = None;
        loop {
            match self.patch_once(kind, id, ops, version, trial.now).await {
                Ok(answer) => return Ok((answer, trial.found())),
                Err(e) => {
                    let goes_on = trial.goes_on(&e);
                    // A refusal of another kind is about something that the first did not get to; one of the syntax is about
                    // what was only tried.
                    refused = refused.filter(|first| {
                        e.status == Some(400)
                            && (e.scim_type.is_none() || e.says("invalidSyntax") || e.scim_type == first.scim_type)
                    });
                    let said = refused.get_or_insert(e).clone();
                    if !goes_on {
                        return Err(said);
                    }
                }
            }
        }
    }

    async fn patch_once(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        ops: &[Op],
        version: Option<&str>,
        spelling: Spelling,
    ) -> Result<Option<Remote>, TargetError> {
        let call = Call { if_match: version.map(str::to_owned), ..self.reader.patch_spelt(kind, id, ops, spelling)? };
        let reply = self.core().send(&call).await?;
        if reply.body.is_empty() {
            return Ok(None);
        }
        match self.core().resource(&call, &reply) {
            Ok(remote) => Ok(Some(remote)),
            // The error that a 2xx carries is one; anything else unreadable only says nothing.
            Err(e) if e.status.is_some_and(|s| s >= 300) => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// GET, merge, PUT (RFC 7644 section 3.5.1). Attributes of others stay as they are, and what is known goes along where the
    /// target shows it late or never.
    async fn put(&self, step: &Step<'_>, to: &Flat) -> Result<Option<Remote>, TargetError> {
        let (kind, id) = (step.kind, step.id);
        let mut round = 0;
        loop {
            let current = self.reader.get(kind, id).await?.ok_or_else(|| self.vanished(id))?;
            let version = self.version(&current).map(str::to_owned);
            let members = if kind == ObjectKind::Group { self.members_along(&current, step.seats)? } else { None };
            let raw = match current.raw {
                Value::Object(o) => o,
                _ => return Err(self.vanished(id)),
            };
            let written = self.core().learned.recent.of(kind, id);
            let mut merged = body::carry(raw, step.known, &written, to).map_err(|e| self.bad_path(&e))?;
            if let Some(members) = members {
                merged = self.reader.with_members(merged, &members, &[], &[])?;
            }
            match self.put_raw(kind, id, &Value::Object(merged), version.as_deref()).await {
                Err(e) if version.is_some() && self.is_stale(&e, &mut round) => {}
                other => return other,
            }
        }
    }

    /// PUTs a whole resource.
    pub(super) async fn put_raw(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        raw: &Value,
        version: Option<&str>,
    ) -> Result<Option<Remote>, TargetError> {
        let call = Call { if_match: version.map(str::to_owned), ..self.reader.put_call(kind, id, raw)? };
        let reply = self.core().send(&call).await?;
        if reply.body.is_empty() {
            return Ok(None);
        }
        self.core().resource(&call, &reply).map(Some)
    }

    pub(super) fn vanished(&self, id: &TargetId) -> TargetError {
        TargetError { status: Some(404), ..self.core().error(Fault::Gone, format!("{id} is gone")) }
    }

    /// The same, and counted: what nobody's record takes is not sent again and again.
    fn not_kept(&self, kind: ObjectKind, id: &TargetId, paths: &[String]) -> TargetError {
        for path in paths {
            if path != "active" && self.core().learned.note_not_kept(kind, path) {
                tracing::warn!(target_name = %self.core().name, "the target accepts {path} and never applies it; it is not sent again in this run");
            }
        }
        self.not_applied(id, paths)
    }

    /// What several others were sent in every form, and nobody was seen to keep.
    fn not_sent(&self, id: &TargetId, paths: &[String]) -> TargetError {
        let message = format!(
            "{id}: {} not sent: the target accepted it for others and applied it to none of them; map it differently, or leave it out if the target owns it",
            paths.join(", ")
        );
        TargetError { unapplied: paths.into(), ..self.core().error(Fault::Invalid, message) }
    }

    fn not_applied(&self, id: &TargetId, paths: &[String]) -> TargetError {
        let message = format!(
            "{id}: the target accepted the change and did not apply {} in any form; map it differently, or leave it out if the target owns it",
            paths.join(", ")
        );
        TargetError { unapplied: paths.into(), ..self.core().error(Fault::Invalid, message) }
    }
}

/// How an attempt ended.
enum Round {
    /// PATCH is refused as such; PUT is on now.
    NoPatch(TargetError),
    /// Everything is applied, as far as is known.
    Done(Option<Remote>),
    /// Accepted, but this is what the resource looks like.
    Unapplied(Remote),
}

/// What the target really has at the paths of `known` and `todo`.
fn snapshot(seen: &Remote, known: &Flat, todo: &Flat) -> Flat {
    let mut out = Flat::new();
    for path in known.keys().chain(todo.keys()) {
        if let Some(value) = seen.get(path) {
            out.insert(path.clone(), value);
            continue;
        }
        // The element may be there without this sub-attribute.
        let Ok(parsed) = FlatPath::parse(path) else { continue };
        let element = FlatPath { sub: None, ..parsed.clone() };
        if !parsed.element.is_empty() && parsed.sub.is_some() && !seen.values(&element).is_empty() {
            let (head, _) = path.rsplit_once('.').unwrap_or((path.as_str(), ""));
            out.insert(head.to_owned(), Value::Bool(true));
        }
    }
    out
}
