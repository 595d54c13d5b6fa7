//! Which form an update uses for a path: the one whose effect was seen at this target, else the most portable one, and after
//! a refusal or a change without effect the next one.

use super::error::TargetError;
use super::members::Seats;
use super::patch::{self, Form};
use super::path::FlatPath;
use super::read::TargetReader;
use super::remote::Remote;
use super::spelling::Spelling;
use super::write::TargetWriter;
use crate::model::{Flat, ObjectKind, TargetId};
use serde_json::Value;
use std::collections::HashMap;
/// Forms that this update uses in place of the learned ones. They are learned only when their effect was seen: one odd
/// record must not change how all others are written.
pub(super) type Forms = HashMap<String, Form>;

/// An update on its way.
pub(super) struct Step<'a> {
    pub kind: ObjectKind,
    pub id: &'a TargetId,
    /// What the target is known to have.
    pub from: Flat,
    /// What was known of it at the beginning.
    pub known: &'a Flat,
    /// Of a group whose members go along with a PUT: who is known to be in it.
    pub seats: Option<Seats<'a>>,
    /// What is still to be done.
    pub to: Flat,
    pub forms: Forms,
    /// It goes another way than all the others: nothing is learned from it.
    pub odd: bool,
    /// The last look at the resource.
    pub remote: Option<Remote>,
}

/// How something was sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Put,
    /// In another spelling than usual, where that was taken.
    Patch(Option<Spelling>),
}

impl TargetReader {
    /// The form for a path, as far as is known: PUT wherever PATCH is refused as such.
    pub(super) fn form(&self, kind: ObjectKind, path: &str) -> Form {
        if !self.may_patch(kind) {
            return Form::Put;
        }
        let first = if self.dialect.patch_path || path.contains('[') { Form::Path } else { Form::Whole };
        self.core.learned.form(kind, path, first)
    }
}

impl TargetWriter {
    /// Learns which paths of `sent` took effect, by PUT or by PATCH and then by which other spelling than usual; `true` where all
    /// that had to be looked at did.
    pub(super) fn note_effect(&self, step: &Step<'_>, sent: &Flat, now: &Remote, way: Way) -> bool {
        let left = patch::unapplied(now, &step.from, sent);
        if step.odd {
            return left.is_empty();
        }
        let learned = &self.core().learned;
        let proven =
            |(path, want): &(&String, &Value)| !left.contains(path) && patch::is_proof(now, path, step.from.get(*path), want);
        // Others may have turned PATCH off or on meanwhile: what went by the one is not noted as the other.
        let form = |path: &str| match way {
            Way::Put => Form::Put,
            Way::Patch(_) => self.form_of(step, path),
        };
        let mut patched = false;
        for (path, _) in sent.iter().filter(proven) {
            let form = form(path);
            if form != Form::Put || matches!(way, Way::Put) {
                learned.verified(step.kind, path, form);
            }
            patched |= form != Form::Put;
        }
        if let (true, Way::Patch(spelling)) = (patched, way) {
            learned.note_patch_works(step.kind);
            self.note_spelling(spelling);
        }
        left.iter().all(|p| self.is_verified(step, p))
    }

    pub(super) fn form_of(&self, step: &Step<'_>, path: &str) -> Form {
        let usual = self.reader.form(step.kind, path);
        // What is sent in the place of a PATCH that is refused is a PUT, and is remembered as one.
        if self.reader.may_patch(step.kind) { step.forms.get(path).copied().unwrap_or(usual) } else { usual }
    }

    fn is_verified(&self, step: &Step<'_>, path: &str) -> bool {
        self.core().learned.is_verified(step.kind, path, self.form_of(step, path))
    }

    /// Whether the effect has to be looked at. Of a value that was there before, nothing can be seen.
    pub(super) fn is_open(&self, step: &Step<'_>, path: &str, want: &Value) -> bool {
        !self.is_verified(step, path) && step.from.get(path) != Some(want)
    }

    /// Moves paths to their next form; `false` where none has one. A refusal moves only what may have caused it: no form
    /// that worked before, and plain attributes only where the path itself is said to be wrong.
    pub(super) fn next_forms(&self, step: &mut Step<'_>, refused: Option<&TargetError>) -> bool {
        let path_is_wrong = refused.is_some_and(|e| e.says("invalidPath") || e.says_no_target());
        let moves: Vec<(String, Form)> = step
            .to
            .keys()
            .filter(|p| refused.is_none() || (!self.is_verified(step, p) && (path_is_wrong || p.contains(['[', ':', '.']))))
            .filter_map(|p| Some((p.clone(), self.form_of(step, p).next()?)))
            .collect();
        if let ([], Some(e)) = (moves.as_slice(), refused) {
            return self.to_put(step, e);
        }
        let moved = !moves.is_empty();
        step.forms.extend(moves);
        moved
    }

    /// A refusal that may be about how a PATCH is written, in whatever spelling, where none was seen to work: the one attribute
    /// that it is about goes by PUT.
    fn to_put(&self, step: &mut Step<'_>, e: &TargetError) -> bool {
        let syntax = e.says("invalidSyntax") && step.to.len() == 1 && !self.core().learned.has_patched();
        if !syntax && !self.is_about_spelling(step, e) {
            return false;
        }
        let open: Vec<String> = step.to.keys().filter(|p| self.form_of(step, p) != Form::Put).cloned().collect();
        let moved = !open.is_empty();
        step.forms.extend(open.into_iter().map(|p| (p, Form::Put)));
        moved
    }

    /// PATCH was refused as such although it worked before: for once, or by now for good. So long as nobody knows, nobody stays
    /// active for it: this one record goes by PUT.
    pub(super) fn to_put_once(&self, step: &mut Step<'_>, refused: Option<&TargetError>) -> bool {
        let is_off = refused.is_some_and(TargetError::is_unsupported) && self.core().learned.patch_works(step.kind);
        if step.odd || !is_off || !step.to.contains_key("active") {
            return false;
        }
        step.odd = true;
        step.forms.extend(step.to.keys().map(|p| (p.clone(), Form::Put)));
        true
    }

    /// Whether true or false may have been refused for its spelling: none was ever seen to arrive.
    pub(super) fn is_about_spelling(&self, step: &Step<'_>, e: &TargetError) -> bool {
        let boolean = |p: &String| FlatPath::parse(p).is_ok_and(|p| p.is_boolean());
        let type_fits = e.scim_type.is_none() || e.says("invalidValue") || e.says("invalidSyntax");
        e.status == Some(400)
            && e.known.is_none()
            && type_fits
            && step.to.keys().all(boolean)
            && !self.core().learned.has_patched_booleans(step.kind)
    }

    /// A PATCH in another spelling than usual took effect: a mere 2xx may be said to what is skipped.
    pub(super) fn note_spelling(&self, found: Option<Spelling>) {
        if let Some(found) = found {
            tracing::info!(target_name = %self.core().name, ?found, "the target takes a PATCH in another spelling; it is used from here on");
            self.core().learned.note_spelling(found);
        }
    }

    /// PATCH of this kind as such was refused, and not one that worked before: PUT from here on.
    pub(super) fn give_up_patch(&self, kind: ObjectKind, e: &TargetError) {
        self.core().learned.turn_patch_off(kind);
        tracing::info!(target_name = %self.core().name, status = e.status, "the target refuses PATCH of {kind}s; PUT is used from here on");
    }
}
