//! Undo: what brings an account or group back to where it was before a cycle. Pure.
//!
//! The writes of the cycle are put together to what was there before and after it; that is compared with what the target
//! has now. What is still as the cycle left it goes back; what is back already stays; what became something else since is
//! left alone and said.

use super::undone::{HAS_ACCOUNT, HAS_NO_ACCOUNT, Hold, MEMBER, NO_MEMBER, kind_of};
use super::{Change, Kind, Member, Parked};
use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use serde_json::Value;

/// One write of the cycle, as the journal has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Line of the journal.
    pub line: i64,
    /// What was done.
    pub kind: Kind,
    /// To whom.
    pub who: String,
    /// What was there before.
    pub before: Flat,
    /// What was written.
    pub after: Flat,
    /// Who joined or left; the members that a group had when it was deleted.
    pub members: Vec<(SourceKey, String)>,
}

impl Written {
    /// Reads a line of the journal.
    ///
    /// # Errors
    /// An image that is no object.
    pub fn of(line: i64, kind: Kind, who: String, before: Option<&str>, after: Option<&str>) -> Result<Self, String> {
        let image = |text: Option<&str>| -> Result<Flat, String> {
            text.map_or_else(|| Ok(Flat::new()), |t| serde_json::from_str(t).map_err(|e| e.to_string()))
        };
        let (mut before, mut after) = (image(before)?, image(after)?);
        let members = [before.remove("members"), after.remove("members")].into_iter().flatten().flat_map(|list| match list {
            Value::Array(list) => list,
            _ => Vec::new(),
        });
        let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).map(str::to_owned);
        let members = members.filter_map(|m| Some((SourceKey(text(&m, "source_key")?), text(&m, "who").unwrap_or_default())));
        Ok(Self { line, kind, who, members: members.collect(), before, after })
    }
}

/// What a cycle did to one account or group, all its writes together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Net {
    /// It was made.
    pub made: bool,
    /// It was linked.
    pub adopted: bool,
    /// It was removed: how it was, and who was in it.
    pub deleted: Option<(Flat, Vec<(SourceKey, String)>)>,
    /// Per path that was written, what was there before; null: nothing.
    pub before: Flat,
    /// What was written; null: cleared.
    pub after: Flat,
    /// Who joined.
    pub joined: Vec<(SourceKey, String)>,
    /// Who left.
    pub left: Vec<(SourceKey, String)>,
}

impl Net {
    /// Puts the writes together, in their order.
    #[must_use]
    pub fn of(writes: &[Written]) -> Self {
        let mut net = Self::default();
        for w in writes {
            match w.kind {
                Kind::MembersAdd => net.joined.extend(w.members.iter().cloned()),
                Kind::MembersRemove => net.left.extend(w.members.iter().cloned()),
                Kind::Delete | Kind::GroupDelete => net.deleted = Some((w.before.clone(), w.members.clone())),
                kind => {
                    net.made |= matches!(kind, Kind::Create | Kind::GroupCreate);
                    net.adopted |= matches!(kind, Kind::Adopt | Kind::GroupAdopt);
                    for (path, value) in &w.after {
                        if !net.before.contains_key(path) {
                            net.before.insert(path.clone(), w.before.get(path).cloned().unwrap_or(Value::Null));
                        }
                        net.after.insert(path.clone(), value.clone());
                    }
                }
            }
        }
        net
    }
}

/// The account or group as it is now, and what may be done.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct Facts<'a> {
    /// Handle of the entry; 0 or less: the account has none.
    pub id: i64,
    /// User or group.
    pub object: ObjectKind,
    /// For people to read.
    pub who: &'a str,
    /// Source key, or the target id where there is no entry.
    pub source_key: &'a SourceKey,
    /// The account or group that the cycle wrote to.
    pub target_id: Option<&'a TargetId>,
    /// The cycle.
    pub cycle: i64,
    /// The entry has a live link (to whatever account).
    pub linked: bool,
    /// What the target has now at the paths of the cycle; `None`: it is gone.
    pub there: Option<&'a Flat>,
    /// Members of the group now who are not among those that the cycle added; `None`: the target does not tell.
    pub others: Option<usize>,
    /// Deleting is allowed.
    pub may_delete: bool,
}

/// What is to be done for one account or group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undo {
    /// Changes that bring it back.
    pub changes: Vec<Change>,
    /// What is left as it is, and why.
    pub left: Vec<Parked>,
    /// What must not be done again.
    pub holds: Vec<Hold>,
    /// Paths that are back already (an undo that was interrupted): what the target has there; null: nothing.
    pub back: Flat,
    /// There was no link before.
    pub unlink: bool,
}

impl Facts<'_> {
    fn change(&self, kind: Kind, reason: String, from: Flat, to: Flat) -> Change {
        Change {
            kind,
            id: self.id,
            who: self.who.to_owned(),
            source_key: self.source_key.clone(),
            target_id: self.target_id.cloned().filter(|_| !matches!(kind, Kind::Create | Kind::GroupCreate)),
            reason,
            from,
            pushed: to.clone(),
            to,
            members: Vec::new(),
            recreate: false,
            create_only: std::collections::BTreeSet::new(),
        }
    }

    fn left(&self, reason: String, advice: &str) -> Parked {
        Parked {
            id: self.id,
            object: self.object,
            kind: "undo",
            who: self.who.to_owned(),
            source_key: self.source_key.clone(),
            reason,
            advice: advice.to_owned(),
        }
    }

    fn naming(&self) -> &'static str {
        self.object.name_attribute()
    }
}

const BY_HAND: &str = "nothing was written to it; if it is to go back, change it at the application";

/// What undoing the writes to the account or group itself takes; members come apart.
#[must_use]
pub fn account(f: &Facts<'_>, net: &Net) -> Undo {
    match (&net.deleted, f.there) {
        (Some((was, _)), there) => deleted(f, was, there.is_some()),
        (None, None) if net.made => Undo { unlink: true, holds: vec![Hold::account(HAS_ACCOUNT)], ..Undo::default() },
        (None, None) if net.after.is_empty() => Undo::default(),
        (None, None) => {
            let reason = format!("the {} is gone at the target since cycle {}", f.object, f.cycle);
            Undo { left: vec![f.left(reason, "nothing can be brought back to it")], ..Undo::default() }
        }
        (None, Some(there)) if renamed(f, net, there) => {
            let name = |flat: &Flat| flat.get(f.naming()).and_then(Value::as_str).unwrap_or("nothing").to_owned();
            let reason = format!(
                "renamed since cycle {}: it is {} now, that cycle called it {}; left alone",
                f.cycle,
                name(there),
                name(&net.after)
            );
            let advice = "nothing was written to it; where a later cycle renamed it, undo that one first";
            Undo { left: vec![f.left(reason, advice)], ..Undo::default() }
        }
        (None, Some(there)) if net.made => made(f, net, there),
        (None, Some(there)) => restored(f, net, there),
    }
}

fn deleted(f: &Facts<'_>, was: &Flat, there: bool) -> Undo {
    let kind = if f.object == ObjectKind::User { Kind::Create } else { Kind::GroupCreate };
    let mut out = Undo { holds: vec![Hold::account(HAS_NO_ACCOUNT)], ..Undo::default() };
    if there || f.linked {
        // Back already: by an undo that was interrupted, by a later cycle, or it was never gone.
        return out;
    }
    let to: Flat = was.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    if f.id <= 0 || !to.contains_key(f.naming()) {
        let reason = format!("cycle {} deleted it, and what it was is not on record any more", f.cycle);
        return Undo { left: vec![f.left(reason, "make it at the application")], ..Undo::default() };
    }
    out.changes.push(f.change(kind, format!("cycle {} deleted it; a new {} is made", f.cycle, f.object), Flat::new(), to));
    out
}

/// The name is neither what the cycle wrote nor what was there before.
fn renamed(f: &Facts<'_>, net: &Net, there: &Flat) -> bool {
    let Some(ours) = net.after.get(f.naming()) else { return false };
    let now = there.get(f.naming()).unwrap_or(&Value::Null);
    !same(now, ours) && (net.made || net.before.get(f.naming()).is_none_or(|was| !same(now, was)))
}

fn made(f: &Facts<'_>, net: &Net, there: &Flat) -> Undo {
    let mut out = Undo { holds: vec![Hold::account(HAS_ACCOUNT)], ..Undo::default() };
    let touched: Vec<&str> = changed_since(net, there).into_iter().filter(|p| *p != "active").collect();
    let from = || there.clone();
    match f.object {
        ObjectKind::Group if !f.may_delete => {
            let reason = format!("cycle {} made this group, and actions.group does not allow \"delete\"", f.cycle);
            out.left.push(f.left(reason, "its members of that cycle are taken out; remove the group at the application"));
        }
        ObjectKind::Group if f.others.is_none() => {
            let reason =
                format!("cycle {} made this group, and the target does not show who else is in it; it is not deleted", f.cycle);
            out.left.push(f.left(reason, "its members of that cycle are taken out; remove the group at the application"));
        }
        ObjectKind::Group if f.others != Some(0) || !touched.is_empty() => {
            let others = f.others.unwrap_or_default();
            let what = if touched.is_empty() { format!("{others} other members") } else { touched.join(", ") };
            let reason = format!("cycle {} made this group, and it was changed since ({what}); it is not deleted", f.cycle);
            out.left.push(f.left(reason, "remove the group at the application if nobody needs it"));
        }
        ObjectKind::Group => {
            out.changes.push(f.change(Kind::GroupDelete, format!("cycle {} made it", f.cycle), from(), Flat::new()));
        }
        ObjectKind::User if f.may_delete && touched.is_empty() => {
            out.changes.push(f.change(Kind::Delete, format!("cycle {} made it", f.cycle), from(), Flat::new()));
        }
        ObjectKind::User => {
            out.holds.push(Hold::path("active", &Value::Bool(true)));
            if is_false(there.get("active")) {
                out.back.insert("active".to_owned(), Value::Bool(false));
            } else {
                let (from, to) = (active(true), active(false));
                out.changes.push(f.change(Kind::Deactivate, format!("cycle {} made it", f.cycle), from, to));
            }
        }
    }
    out
}

fn restored(f: &Facts<'_>, net: &Net, there: &Flat) -> Undo {
    let mut out = Undo { unlink: net.adopted, ..Undo::default() };
    if net.adopted {
        out.holds.push(Hold::adopted());
    }
    let (mut from, mut to) = (Flat::new(), Flat::new());
    let mut touched: Vec<String> = Vec::new();
    for (path, ours) in &net.after {
        let was = net.before.get(path).unwrap_or(&Value::Null);
        let now = there.get(path).unwrap_or(&Value::Null);
        // These are never taken away: an account has a name, and is active or not.
        if was.is_null() && (path == f.naming() || path == "active") {
            continue;
        }
        if now == ours || (now != was && same(now, ours)) {
            if now != was {
                if !now.is_null() {
                    from.insert(path.clone(), now.clone());
                }
                to.insert(path.clone(), was.clone());
            }
            out.holds.push(Hold::path(path, ours));
        } else if same(now, was) {
            out.back.insert(path.clone(), was.clone());
            out.holds.push(Hold::path(path, ours));
        } else {
            touched.push(format!("{path} is {} now", show(now)));
        }
    }
    if !touched.is_empty() {
        let reason = format!("changed since cycle {}: {}; left alone", f.cycle, touched.join(", "));
        out.left.push(f.left(reason, BY_HAND));
    }
    let reason = format!("as it was before cycle {}", f.cycle);
    if let Some(value) = to.remove("active") {
        let kind = if value == Value::Bool(false) { Kind::Deactivate } else { Kind::Reactivate };
        let was = from.remove("active").map(|v| ("active".to_owned(), v)).into_iter().collect();
        out.changes.push(f.change(kind, reason.clone(), was, Flat::from([("active".to_owned(), value)])));
    }
    if !to.is_empty() {
        let kind = kind_of(f.object, &to);
        out.changes.push(f.change(kind, reason, from, to));
    }
    out
}

/// A member of the group, now.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberNow {
    /// Who.
    pub member: Member,
    /// Has an account, or gets one in this undo.
    pub reachable: bool,
    /// The target does not show the account, which is not made active again either: nobody is added so.
    pub hidden: bool,
    /// Is in the group.
    pub inside: bool,
}

/// What undoing the membership changes of a cycle takes. `joined` and `left` of the cycle, as they are now; `again`: who was
/// in the group when it was deleted.
#[must_use]
pub fn members(f: &Facts<'_>, joined: Vec<MemberNow>, left: Vec<MemberNow>, again: Vec<MemberNow>) -> Undo {
    let mut out = Undo::default();
    let change = |kind: Kind, list: Vec<Member>| {
        let mut c = f.change(kind, format!("as it was before cycle {}", f.cycle), Flat::new(), Flat::new());
        c.members = list;
        c.members.sort();
        c
    };
    out.holds.extend(joined.iter().map(|m| Hold::member(MEMBER, m.member.id)));
    out.holds.extend(left.iter().map(|m| Hold::member(NO_MEMBER, m.member.id)));
    let leaving: Vec<Member> = joined.into_iter().filter(|m| m.inside && m.reachable).map(|m| m.member).collect();
    let missing: Vec<MemberNow> = left.into_iter().chain(again).filter(|m| !m.inside).collect();
    let joins = |m: &MemberNow| m.reachable && !m.hidden;
    let lost: Vec<&str> = missing.iter().filter(|m| !joins(m)).map(|m| m.member.who.as_str()).collect();
    if !lost.is_empty() {
        let reason = format!(
            "{} members of before cycle {} have no account any more that is shown: {}",
            lost.len(),
            f.cycle,
            lost.join(", ")
        );
        out.left.push(f.left(reason, "nothing to do, unless they are to get an account again"));
    }
    let joining: Vec<Member> = missing.into_iter().filter(joins).map(|m| m.member).collect();
    if !leaving.is_empty() {
        out.changes.push(change(Kind::MembersRemove, leaving));
    }
    if !joining.is_empty() {
        out.changes.push(change(Kind::MembersAdd, joining));
    }
    out
}

/// Paths that are neither as written nor cleared as written.
fn changed_since<'a>(net: &'a Net, there: &Flat) -> Vec<&'a str> {
    let now = |path: &str| there.get(path).unwrap_or(&Value::Null).clone();
    net.after.iter().filter(|(path, ours)| !same(&now(path), ours)).map(|(path, _)| path.as_str()).collect()
}

/// The same value; text in another letter case, or trimmed, is the same: servers keep it so.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.trim().to_lowercase() == b.trim().to_lowercase(),
        _ => a == b,
    }
}

fn is_false(v: Option<&Value>) -> bool {
    v == Some(&Value::Bool(false))
}

fn active(is: bool) -> Flat {
    Flat::from([("active".to_owned(), Value::Bool(is))])
}

fn show(v: &Value) -> String {
    if v.is_null() { "empty".to_owned() } else { v.to_string() }
}

#[cfg(test)]
#[path = "undo_tests.rs"]
mod tests;
