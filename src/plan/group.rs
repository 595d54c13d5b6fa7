//! What is to be done for one group and its members.

use super::matching::Match;
use super::user::{after, changed_words, diff};
use super::{Change, Kind, Member, Parked};
use crate::mapping::{Desired, Unmapped};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use std::collections::BTreeSet;

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
    /// Attributes of groups are written at all (otherwise only members).
    pub touches: bool,
    /// A group that left the directory or the scope stays as it is, with its members.
    pub keeps_gone: bool,
    /// Only groups that we make are written, and only once: existing ones and later changes are left alone.
    pub once: bool,
    /// What the application itself does not do with groups, whatever is allowed.
    pub target: Target,
    /// Paths whose mapping changed since the last cycle.
    pub remapped: BTreeSet<String>,
    /// The scope changed since the last cycle.
    pub rescoped: bool,
}

impl Default for Policy {
    /// Everything may be done, at an application that does everything.
    fn default() -> Self {
        let target = Target {
            application: "the application".to_owned(),
            noun: "group".to_owned(),
            creates: true,
            updates: true,
            deletes: true,
        };
        Self {
            create: true,
            update: true,
            delete: true,
            members: true,
            touches: true,
            keeps_gone: false,
            once: false,
            target,
            remapped: BTreeSet::new(),
            rescoped: false,
        }
    }
}

/// What the application does with groups.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, for messages.
    pub application: String,
    /// What a group is called there.
    pub noun: String,
    /// They can be made there.
    pub creates: bool,
    /// They can be renamed there.
    pub updates: bool,
    /// They can be deleted there.
    pub deletes: bool,
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
    /// An earlier cycle made it, with its members.
    pub settled: bool,
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
    /// The configuration links it to a group of the target, whose name stays as it is there.
    pub linked_by_config: bool,
    /// Members are not written before this unix second.
    pub members_from: Option<i64>,
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
        if (f.present && f.keep_out_of_scope) || p.keeps_gone || p.once {
            return out;
        }
        let why = match f.present {
            true if p.rescoped => "no longer in scope; the scope changed",
            true => "no longer in scope",
            false => "not in the directory any more",
        };
        if p.delete && p.target.deletes && link.created {
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
            let (from, to) = diff(have, desired, false, &|path| f.linked_by_config && path == "displayName");
            if let Some(parked) = f.renamed(have, &to, p) {
                out.parked.push(parked);
            }
            if !to.is_empty() && p.may_update() {
                let pushed = after(&link.pushed, &to);
                let words = changed_words(&to, &p.remapped);
                out.changes.push(f.change(Kind::GroupUpdate, Some(&link.target_id), words, from, to, pushed));
            }
            Some(link.target_id.clone())
        }
        None => match &f.found {
            Some((Match::Park { reason, advice }, _)) => {
                out.parked.push(f.park("group_adopt", reason.clone(), advice.clone()));
                return out;
            }
            // What is there already is nobody's making here.
            Some((Match::One(_), _)) if p.once => return out,
            Some((Match::One(id), seen)) => {
                let empty = Flat::new();
                let seen = seen.as_ref().unwrap_or(&empty);
                let keep_name = |path: &str| f.linked_by_config && path == "displayName";
                let (mut from, mut to) =
                    if p.may_update() { diff(seen, desired, false, &keep_name) } else { (Flat::new(), Flat::new()) };
                // Some applications pass ownership only where something is written; others refuse whatever is written.
                if to.is_empty() && p.touches && p.target.updates && !f.linked_by_config {
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
            Some((Match::None, _)) | None if f.linked_by_config => {
                out.parked.push(f.no_such_link());
                return out;
            }
            Some((Match::None, _)) | None if !p.target.creates || !p.touches => {
                out.parked.push(f.not_at_target(p));
                return out;
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
    // Made once and then left alone: members belong to the making.
    let settled = p.once && link.is_some_and(|l| l.settled);
    if p.members && f.members_from.is_none() && !settled {
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

impl Policy {
    /// Groups may be renamed, by us and by the application.
    fn may_update(&self) -> bool {
        self.update && self.target.updates && !self.once
    }
}

impl Facts<'_> {
    /// The group has another name in the directory, and the application cannot rename.
    fn renamed(&self, have: &Flat, to: &Flat, p: &Policy) -> Option<Parked> {
        if p.target.updates || self.linked_by_config {
            return None;
        }
        let name = |flat: &Flat| flat.get("displayName").and_then(serde_json::Value::as_str).map(str::to_owned);
        let (old, new) = (name(have)?, name(to)?);
        let (application, noun) = (&p.target.application, &p.target.noun);
        Some(self.park(
            "group_update",
            format!("{application} cannot rename a {noun}: it is called {new:?} in the directory and {old:?} there"),
            format!("rename the group back to {old:?}, or name the {noun} in sync.groups.link"),
        ))
    }

    /// Groups cannot be made there, and there is none of this name.
    fn not_at_target(&self, p: &Policy) -> Parked {
        let (application, noun) = (&p.target.application, &p.target.noun);
        let name = self.desired.and_then(|d| d.ok()).and_then(|d| d.attrs.get("displayName")?.as_str()).unwrap_or(self.who);
        let why = if p.target.creates { "groups.push = \"members-only\" makes none" } else { "none can be made by SCIM there" };
        self.park(
            "group_adopt",
            format!("there is no {noun} named {name:?} at {application}, and {why}"),
            format!("make the {noun} at {application} with exactly this name, or take the group out of scope.groups"),
        )
    }

    fn no_such_link(&self) -> Parked {
        let reason = "the group that sync.groups.link names for it is not at the target".to_owned();
        self.park("group_adopt", reason, "correct the name or id in sync.groups.link".to_owned())
    }

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
            create_only: BTreeSet::new(),
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
