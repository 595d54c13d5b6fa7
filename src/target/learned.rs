//! What speaking to a target teaches about it, kept for the life of the [`Target`](super::Target): which PATCH forms it
//! carries out, which filters it understands, what it refuses altogether.

use super::patch::Form;
use super::path::FlatPath;
use super::recent::Recent;
use super::spelling::Spelling;
use crate::model::ObjectKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

const KINDS: [ObjectKind; 2] = [ObjectKind::User, ObjectKind::Group];

/// Records that take a path in no form, after which the target is taken not to keep it.
const NOT_KEPT: u32 = 3;

/// How far a filter on one attribute can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Found a known value; whether case matters is not known.
    Works,
    /// Found a known value in other case: zero rows mean that nothing is there.
    IgnoresCase,
    /// Found a known value only in its stored case.
    MindsCase,
    /// Refused, ignored, or did not find a known value.
    Broken,
}

/// What of all that is worth keeping from one run to the next: with it, a write need not be looked at again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// By path of users, the form whose effect was seen.
    users: BTreeMap<String, Form>,
    /// The same for groups.
    groups: BTreeMap<String, Form>,
    /// Some group was seen with members.
    members_shown: bool,
    /// More members than this in one request were refused as too large (413).
    most_members: Option<usize>,
    /// `application/scim+json` was refused as a content type (415).
    plain_json: bool,
    /// Changes without If-Match were refused, and taken with it.
    wants_versions: bool,
    /// Kinds of which PATCH was refused as such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without_patch: Vec<ObjectKind>,
    /// Kinds of which a create was answered with the externalId that was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    with_echo: Vec<ObjectKind>,
    /// Kinds of which a create was answered with nothing that tells what is new from what was there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without_a_word: Vec<ObjectKind>,
    /// How a PATCH has to be spelt, where the dialect's spelling was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    spelling: Option<Spelling>,
    /// A create of a user that exists was refused: a second account of one name cannot be made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    users_unique: bool,
}

/// Whether PATCH is known to be refused, or to work.
#[derive(Default)]
struct Patch {
    off: AtomicBool,
    on: AtomicBool,
}

fn of_kind<T>([users, groups]: &[T; 2], kind: ObjectKind) -> &T {
    match kind {
        ObjectKind::User => users,
        ObjectKind::Group => groups,
    }
}

/// Records of one path that the target did not keep.
#[derive(Default)]
struct NotKept {
    /// Tried, in every form.
    refused: u32,
    /// That came after several such.
    asked: u32,
}

/// What was learned.
#[derive(Default)]
pub(super) struct Learned {
    members_shown: AtomicBool,
    /// 0: no limit was met.
    most_members: AtomicUsize,
    plain_json: AtomicBool,
    wants_versions: AtomicBool,
    versions_off: AtomicBool,
    count_off: AtomicBool,
    patch: [Patch; 2],
    echo: [AtomicBool; 2],
    says_nothing: [AtomicBool; 2],
    /// What was written was not there afterwards, however long it was looked for.
    vanished: [AtomicBool; 2],
    spelling: Mutex<Option<Spelling>>,
    /// Held while the first members are added; true afterwards.
    adding: tokio::sync::Mutex<bool>,
    /// By path, records that took a change of it in no form.
    not_kept: Mutex<HashMap<(ObjectKind, String), NotKept>>,
    /// By path, the form whose effect was seen.
    forms: Mutex<HashMap<ObjectKind, HashMap<String, Form>>>,
    filters: Mutex<HashMap<(ObjectKind, String), Trust>>,
    /// A create of somebody whose name is taken was refused.
    users_unique: AtomicBool,
    /// What this run wrote lately.
    pub recent: Recent,
}

impl Learned {
    /// PATCH was refused as such: for users and groups each, because some applications know it for the ones only.
    pub fn patch_is_off(&self, kind: ObjectKind) -> bool {
        self.patch_of(kind).off.load(Ordering::Relaxed)
    }

    pub fn turn_patch_off(&self, kind: ObjectKind) {
        self.patch_of(kind).off.store(true, Ordering::Relaxed);
    }

    /// PUT was refused as such too: then the refusal of PATCH may have been a passing one. What went by PUT for want of PATCH is
    /// tried by PATCH again.
    pub fn turn_patch_on(&self, kind: ObjectKind) {
        if self.patch_of(kind).off.swap(false, Ordering::Relaxed) {
            let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
            forms.entry(kind).or_default().retain(|_, form| *form != Form::Put);
        }
    }

    fn patch_of(&self, kind: ObjectKind) -> &Patch {
        of_kind(&self.patch, kind)
    }

    /// Whether creates of this kind are answered with the externalId that was sent.
    pub fn has_echo(&self, kind: ObjectKind) -> bool {
        of_kind(&self.echo, kind).load(Ordering::Relaxed)
    }

    pub fn note_echo(&self, kind: ObjectKind) {
        of_kind(&self.echo, kind).store(true, Ordering::Relaxed);
    }

    /// Whether a create of this kind was answered with nothing that tells what is new from what was there.
    pub fn says_nothing(&self, kind: ObjectKind) -> bool {
        of_kind(&self.says_nothing, kind).load(Ordering::Relaxed)
    }

    pub fn note_says_nothing(&self, kind: ObjectKind) {
        of_kind(&self.says_nothing, kind).store(true, Ordering::Relaxed);
    }

    /// Whether the target was seen to refuse a second user of one name.
    pub fn users_are_unique(&self) -> bool {
        self.users_unique.load(Ordering::Relaxed)
    }

    pub fn note_users_unique(&self) {
        self.users_unique.store(true, Ordering::Relaxed);
    }

    /// Whether one of this kind was nowhere to be seen after an accepted write: who is inactive is hidden in some places.
    pub fn has_vanished(&self, kind: ObjectKind) -> bool {
        of_kind(&self.vanished, kind).load(Ordering::Relaxed)
    }

    pub fn note_vanished(&self, kind: ObjectKind) {
        of_kind(&self.vanished, kind).store(true, Ordering::Relaxed);
    }

    /// What is worth keeping.
    pub fn known(&self) -> Known {
        let forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |kind| forms.get(&kind).into_iter().flatten().map(|(p, f)| (p.clone(), *f)).collect();
        Known {
            users: of(ObjectKind::User),
            groups: of(ObjectKind::Group),
            members_shown: self.shows_members(),
            most_members: self.most_members(),
            plain_json: self.wants_plain_json(),
            wants_versions: self.wants_versions(),
            // Refused once may be refused for once: kept where PUT was seen to do it.
            without_patch: KINDS
                .into_iter()
                .filter(|k| self.patch_is_off(*k) && forms.get(k).is_some_and(|known| known.values().any(|f| *f == Form::Put)))
                .collect(),
            without_a_word: KINDS.into_iter().filter(|kind| self.says_nothing(*kind)).collect(),
            with_echo: KINDS.into_iter().filter(|kind| self.has_echo(*kind)).collect(),
            spelling: self.spelling(),
            users_unique: self.users_are_unique(),
        }
    }

    /// Takes up what an earlier run learned. What this one saw itself stands.
    pub fn recall(&self, known: &Known) {
        {
            let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
            for (kind, old) in [(ObjectKind::User, &known.users), (ObjectKind::Group, &known.groups)] {
                let now = forms.entry(kind).or_default();
                for (path, form) in old {
                    now.entry(path.clone()).or_insert(*form);
                }
            }
        }
        if known.members_shown {
            self.note_members_shown();
        }
        for kind in &known.without_patch {
            self.turn_patch_off(*kind);
        }
        for kind in &known.without_a_word {
            self.note_says_nothing(*kind);
        }
        for kind in &known.with_echo {
            self.note_echo(*kind);
        }
        if let Some(spelling) = known.spelling {
            self.note_spelling(spelling);
        }
        if known.users_unique {
            self.note_users_unique();
        }
        if known.plain_json {
            self.note_plain_json();
        }
        if known.wants_versions {
            self.note_wants_versions();
        }
        if let Some(most) = known.most_members {
            self.limit_members(most);
        }
    }

    /// Whether some group of this target was seen with members: then one without them has none.
    pub fn shows_members(&self) -> bool {
        self.members_shown.load(Ordering::Relaxed)
    }

    pub fn note_members_shown(&self) {
        self.members_shown.store(true, Ordering::Relaxed);
    }

    /// Whether `application/scim+json` was refused as a content type.
    pub fn wants_plain_json(&self) -> bool {
        self.plain_json.load(Ordering::Relaxed)
    }

    pub fn note_plain_json(&self) {
        self.plain_json.store(true, Ordering::Relaxed);
    }

    /// Most members in one request, where a larger one was refused.
    pub fn most_members(&self) -> Option<usize> {
        Some(self.most_members.load(Ordering::Relaxed)).filter(|m| *m > 0)
    }

    /// A request with so many members was too large (413): half of them from here on.
    pub fn note_too_large(&self, members: usize) {
        self.limit_members((members / 2).max(1));
    }

    fn limit_members(&self, most: usize) {
        // `Err` means that the limit known already is the lower one.
        let _ = self.most_members.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |m| (m == 0 || most < m).then_some(most));
    }

    /// Whether a change has to name the version that it starts from.
    pub fn wants_versions(&self) -> bool {
        self.wants_versions.load(Ordering::Relaxed)
    }

    pub fn note_wants_versions(&self) {
        self.wants_versions.store(true, Ordering::Relaxed);
    }

    /// Versions were refused as stale that had just been read: they are not real.
    pub fn versions_are_off(&self) -> bool {
        self.versions_off.load(Ordering::Relaxed)
    }

    pub fn turn_versions_off(&self) {
        self.versions_off.store(true, Ordering::Relaxed);
    }

    /// `count` was refused.
    pub fn count_is_off(&self) -> bool {
        self.count_off.load(Ordering::Relaxed)
    }

    pub fn turn_count_off(&self) {
        self.count_off.store(true, Ordering::Relaxed);
    }

    /// Some PATCH of this kind took effect, now or in an earlier run.
    pub fn patch_works(&self, kind: ObjectKind) -> bool {
        self.patch_of(kind).on.load(Ordering::Relaxed) || self.has_form(kind, |_| true)
    }

    pub fn note_patch_works(&self, kind: ObjectKind) {
        self.patch_of(kind).on.store(true, Ordering::Relaxed);
    }

    /// The spelling that was taken where the dialect's was refused.
    pub fn spelling(&self) -> Option<Spelling> {
        *self.spelling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note_spelling(&self, spelling: Spelling) {
        *self.spelling.lock().unwrap_or_else(PoisonError::into_inner) = Some(spelling);
    }

    /// Whether any PATCH was ever seen to work, of users or of groups.
    pub fn has_patched(&self) -> bool {
        KINDS.into_iter().any(|kind| self.patch_works(kind))
    }

    /// Whether true or false was ever seen to arrive by PATCH.
    pub fn has_patched_booleans(&self, kind: ObjectKind) -> bool {
        self.has_form(kind, |path| FlatPath::parse(path).is_ok_and(|p| p.is_boolean()))
    }

    fn has_form(&self, kind: ObjectKind, of: impl Fn(&str) -> bool) -> bool {
        let forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = forms.get(&kind).into_iter().flatten();
        !self.patch_is_off(kind) && known.any(|(path, form)| *form != Form::Put && of(path))
    }

    /// Waits while the first request of this run that adds members shows how it is done. Whoever gets something back is the
    /// first, and the others wait until it is dropped.
    pub async fn first_to_add(&self) -> Option<tokio::sync::MutexGuard<'_, bool>> {
        let mut begun = self.adding.lock().await;
        if std::mem::replace(&mut *begun, true) { None } else { Some(begun) }
    }

    /// A record took no change of this path in any form. Returns whether now nobody is taken to: several did not, and none was
    /// ever seen to.
    pub fn note_not_kept(&self, kind: ObjectKind, path: &str) -> bool {
        let mut all = self.not_kept.lock().unwrap_or_else(PoisonError::into_inner);
        let records = all.entry((kind, path.to_owned())).or_default();
        records.refused += 1;
        records.refused == NOT_KEPT && self.get(kind, path).is_none()
    }

    /// Whether the target keeps no value of this path, as far as is known. Ever more rarely one more record is tried: the
    /// first ones may have been odd.
    pub fn is_not_kept(&self, kind: ObjectKind, path: &str) -> bool {
        if self.get(kind, path).is_some() {
            return false;
        }
        let mut all = self.not_kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(records) = all.get_mut(&(kind, path.to_owned())).filter(|r| r.refused >= NOT_KEPT) else { return false };
        records.asked += 1;
        !records.asked.is_power_of_two()
    }

    /// The form to use for a path: the one whose effect was seen, else `first`.
    pub fn form(&self, kind: ObjectKind, path: &str, first: Form) -> Form {
        self.get(kind, path).unwrap_or(first)
    }

    /// Whether the effect of that form was seen at this target.
    pub fn is_verified(&self, kind: ObjectKind, path: &str, form: Form) -> bool {
        self.get(kind, path) == Some(form)
    }

    /// The effect of this form was seen: it is the form for this path from here on.
    pub fn verified(&self, kind: ObjectKind, path: &str, form: Form) {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = forms.entry(kind).or_default();
        match of_kind.get_mut(path) {
            Some(known) => *known = form,
            None => {
                of_kind.insert(path.to_owned(), form);
            }
        }
    }

    /// Trust in filters on an attribute; `None`: not known.
    pub fn trust(&self, kind: ObjectKind, attribute: &str) -> Option<Trust> {
        let filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        filters.get(&(kind, attribute.to_ascii_lowercase())).copied()
    }

    pub fn set_trust(&self, kind: ObjectKind, attribute: &str, trust: Trust) {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, attribute.to_ascii_lowercase()), trust);
    }

    fn get(&self, kind: ObjectKind, path: &str) -> Option<Form> {
        self.forms.lock().unwrap_or_else(PoisonError::into_inner).get(&kind)?.get(path).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_do_not_keep_is_tried_ever_more_rarely() {
        let learned = Learned::default();
        let asked = |path| learned.is_not_kept(ObjectKind::User, path);
        assert!(!asked("title"));
        let last: Vec<bool> = (0..3).map(|_| learned.note_not_kept(ObjectKind::User, "title")).collect();
        assert_eq!(last, [false, false, true]);
        let tried: Vec<u32> = (1..=40).filter(|_| !asked("title")).collect();
        assert_eq!(tried, [1, 2, 4, 8, 16, 32]);
        assert!(!asked("nickName"));
        learned.verified(ObjectKind::User, "title", Form::Path);
        assert!(!asked("title"), "one of them kept it");
    }

    #[test]
    fn patch_is_given_up_for_good_only_where_put_does_it() {
        let learned = Learned::default();
        learned.turn_patch_off(ObjectKind::Group);
        assert!(learned.known().without_patch.is_empty());
        learned.verified(ObjectKind::Group, "displayName", Form::Put);
        assert_eq!(learned.known().without_patch, [ObjectKind::Group]);
    }
}
