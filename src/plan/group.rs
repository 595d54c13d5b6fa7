//! What is to be done for one group and its members.

use super::matching::Match;
use super::user::{after, diff};
use super::{Change, Kind, Member, Parked};
use crate::mapping::{Desired, Unmapped};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};

/// What may be done with groups.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct Policy {
    /// Groups may be created.
    pub create: bool,
    /// Attributes may be changed.
    pub update: bool,
    /// Groups that we created may be deleted.
    pub delete: bool,
    /// Members may be added and removed.
    pub members: bool,
}

/// The group's link.
#[derive(Debug, Clone, PartialEq)]
pub struct Linked {
    /// Group at the target.
    pub target_id: TargetId,
    /// We made it (else adopted).
    pub created: bool,
    /// As last pushed.
    pub pushed: Flat,
    /// Confirmed missing at the target.
    pub gone: bool,
    /// What the target holds now, where it was read in this cycle.
    pub observed: Option<Flat>,
}

/// Everything that deciding looks at.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Handle in the store.
    pub id: i64,
    /// For people to read.
    pub who: &'a str,
    /// The join key.
    pub source_key: &'a SourceKey,
    /// In the directory and in scope.
    pub wanted: bool,
    /// In the directory (out of scope if not wanted).
    pub present: bool,
    /// Leaving the scope leaves the group alone (`out_of_scope = "keep"`).
    pub keep_out_of_scope: bool,
    /// What it should be.
    pub desired: Option<Result<&'a Desired, &'a Unmapped>>,
    /// The link.
    pub link: Option<&'a Linked>,
    /// What matching said, where the target was read and there is no link.
    pub found: Option<(Match, Option<Flat>)>,
    /// Members that should be there and are not (as pushed, or as read).
    pub joining: Vec<Member>,
    /// Members that we pushed and that should not be there.
    pub leaving: Vec<Member>,
}

/// The outcome for one group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Changes.
    pub changes: Vec<Change>,
    /// What cannot be done now.
    pub parked: Vec<Parked>,
}

/// Decides. Pure.
#[must_use]
pub fn decide(f: Facts<'_>, p: &Policy) -> Decision {
    let mut out = Decision::default();
    let link = f.link.filter(|l| !l.gone);
    if !f.wanted {
        let Some(link) = link else { return out };
        if f.present && f.keep_out_of_scope {
            return out;
        }
        let why = if f.present { "no longer in scope" } else { "not in the directory any more" };
        if p.delete && link.created {
            let from = link.pushed.clone();
            out.changes.push(f.change(Kind::GroupDelete, Some(&link.target_id), why.to_owned(), from, Flat::new(), Flat::new()));
        } else if p.members && !f.leaving.is_empty() {
            // An adopted group is never deleted; what we put into it is taken out again.
            out.changes.push(f.members(
                Kind::MembersRemove,
                Some(&link.target_id),
                f.leaving.clone(),
                &format!("the group is {why}"),
            ));
        }
        return out;
    }
    let desired = match f.desired {
        Some(Ok(d)) => d,
        Some(Err(u)) => {
            out.parked.push(f.park("map", u.reason.clone(), u.advice.clone()));
            if link.is_none() {
                return out;
            }
            // What can be mapped, and the members, go on.
            &u.rest
        }
        None => return out,
    };
    let target = match link {
        Some(link) => {
            let have = link.observed.as_ref().unwrap_or(&link.pushed);
            let (from, to) = diff(have, desired, false, &|_| false);
            if !to.is_empty() && p.update {
                let pushed = after(&link.pushed, &to);
                let words = to.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                out.changes.push(f.change(
                    Kind::GroupUpdate,
                    Some(&link.target_id),
                    format!("changed: {words}"),
                    from,
                    to,
                    pushed,
                ));
            }
            Some(link.target_id.clone())
        }
        None => match &f.found {
            Some((Match::Park { reason, advice }, _)) => {
                out.parked.push(f.park("group_adopt", reason.clone(), advice.clone()));
                return out;
            }
            Some((Match::One(id), seen)) => {
                let empty = Flat::new();
                let seen = seen.as_ref().unwrap_or(&empty);
                let (mut from, mut to) =
                    if p.update { diff(seen, desired, false, &|_| false) } else { (Flat::new(), Flat::new()) };
                if to.is_empty() {
                    let owner = if desired.attrs.contains_key("externalId") { "externalId" } else { "displayName" };
                    to.extend(desired.attrs.get_key_value(owner).map(|(k, v)| (k.clone(), v.clone())));
                    from.extend(seen.get_key_value(owner).map(|(k, v)| (k.clone(), v.clone())));
                }
                let mut pushed = after(seen, &to);
                pushed.retain(|k, _| desired.attrs.contains_key(k));
                let reason = "a group that matches exists at the target".to_owned();
                out.changes.push(f.change(Kind::GroupAdopt, Some(id), reason, from, to, pushed));
                Some(id.clone())
            }
            Some((Match::None, _)) | None if p.create => {
                let recreate = f.link.is_some_and(|l| l.gone);
                let reason =
                    if recreate { "the group that we linked is gone at the target" } else { "in scope and not at the target" };
                let attrs = desired.attrs.clone();
                let mut c = f.change(Kind::GroupCreate, None, reason.to_owned(), Flat::new(), attrs.clone(), attrs);
                c.recreate = recreate;
                out.changes.push(c);
                None
            }
            Some((Match::None, _)) | None => return out,
        },
    };
    if p.members {
        if !f.joining.is_empty() {
            out.changes.push(f.members(
                Kind::MembersAdd,
                target.as_ref(),
                f.joining.clone(),
                "members of the group in the directory",
            ));
        }
        if !f.leaving.is_empty() {
            out.changes.push(f.members(
                Kind::MembersRemove,
                target.as_ref(),
                f.leaving.clone(),
                "not members of the group in the directory",
            ));
        }
    }
    out
}

impl Facts<'_> {
    fn change(&self, kind: Kind, target: Option<&TargetId>, reason: String, from: Flat, to: Flat, pushed: Flat) -> Change {
        Change {
            kind,
            id: self.id,
            who: self.who.to_owned(),
            source_key: self.source_key.clone(),
            target_id: target.cloned(),
            reason,
            from,
            to,
            pushed,
            members: Vec::new(),
            recreate: false,
        }
    }

    fn members(&self, kind: Kind, target: Option<&TargetId>, mut members: Vec<Member>, reason: &str) -> Change {
        members.sort();
        let mut c = self.change(kind, target, reason.to_owned(), Flat::new(), Flat::new(), Flat::new());
        c.members = members;
        c
    }

    fn park(&self, kind: &'static str, reason: String, advice: String) -> Parked {
        Parked {
            id: self.id,
            object: ObjectKind::Group,
            kind,
            who: self.who.to_owned(),
            source_key: self.source_key.clone(),
            reason,
            advice,
        }
    }
}
