//! What was taken back is not done again until somebody approves it; everything else passes.

use super::{Change, Kind};
use crate::model::{Flat, ObjectKind};

/// That there is an account or group: creating and adopting.
pub const HAS_ACCOUNT: &str = "+account";
/// That there is none: deleting.
pub const HAS_NO_ACCOUNT: &str = "-account";
/// Who joined a group.
pub const MEMBER: &str = "+member";
/// Who left it.
pub const NO_MEMBER: &str = "-member";

/// Value of [`HAS_ACCOUNT`] where the account was there and was adopted.
pub const ADOPTED: &str = "adopted";

/// Something that must not be done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// A SCIM path, or one of the words of this module.
    pub what: String,
    /// The value (JSON) that must not be written at the path; the member's handle; else empty.
    pub value: String,
}

impl Hold {
    /// Holds a path at a value.
    #[must_use]
    pub fn path(path: &str, value: &serde_json::Value) -> Self {
        Self { what: path.to_owned(), value: value.to_string() }
    }

    /// Holds the account as such ([`HAS_ACCOUNT`], [`HAS_NO_ACCOUNT`]).
    #[must_use]
    pub fn account(what: &str) -> Self {
        Self { what: what.to_owned(), value: String::new() }
    }

    /// Holds an account that was adopted, and that a look at the target would find again.
    #[must_use]
    pub fn adopted() -> Self {
        Self { what: HAS_ACCOUNT.to_owned(), value: ADOPTED.to_owned() }
    }

    /// Holds a membership ([`MEMBER`], [`NO_MEMBER`]).
    #[must_use]
    pub fn member(what: &str, id: i64) -> Self {
        Self { what: what.to_owned(), value: id.to_string() }
    }
}

/// The part of a change that was taken back before, and the rest; either may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// Waits for approval.
    pub held: Option<Change>,
    /// Passes.
    pub free: Option<Change>,
}

/// Whether this is among what holds the part of a change that [`split`] gives.
#[must_use]
pub fn holds(held: &Change, hold: &Hold) -> bool {
    match held.kind {
        Kind::Create | Kind::Adopt | Kind::GroupCreate | Kind::GroupAdopt => hold.what == HAS_ACCOUNT,
        Kind::Delete | Kind::GroupDelete => hold.what == HAS_NO_ACCOUNT,
        Kind::MembersAdd => held.members.iter().any(|m| *hold == Hold::member(MEMBER, m.id)),
        Kind::MembersRemove => held.members.iter().any(|m| *hold == Hold::member(NO_MEMBER, m.id)),
        Kind::Update | Kind::Rename | Kind::Deactivate | Kind::Reactivate | Kind::GroupUpdate => {
            held.to.iter().any(|(path, value)| *hold == Hold::path(path, value))
        }
    }
}

/// Parts a change by what was taken back of its entry.
#[must_use]
pub fn split(change: &Change, undone: &[Hold]) -> Split {
    let has = |what: &str| undone.iter().any(|h| h.what == what);
    let whole = |held: bool| {
        let c = Some(change.clone());
        if held { Split { held: c, free: None } } else { Split { held: None, free: c } }
    };
    match change.kind {
        Kind::Create | Kind::Adopt | Kind::GroupCreate | Kind::GroupAdopt => whole(has(HAS_ACCOUNT)),
        Kind::Delete | Kind::GroupDelete => whole(has(HAS_NO_ACCOUNT)),
        Kind::MembersAdd => members(change, undone, MEMBER),
        Kind::MembersRemove => members(change, undone, NO_MEMBER),
        Kind::Update | Kind::Rename | Kind::Deactivate | Kind::Reactivate | Kind::GroupUpdate => attributes(change, undone),
    }
}

fn members(change: &Change, undone: &[Hold], what: &str) -> Split {
    let (held, free): (Vec<_>, Vec<_>) = change.members.iter().cloned().partition(|m| undone.contains(&Hold::member(what, m.id)));
    let part = |members: Vec<_>| (!members.is_empty()).then(|| Change { members, ..change.clone() });
    Split { held: part(held), free: part(free) }
}

fn attributes(change: &Change, undone: &[Hold]) -> Split {
    let (held, free): (Flat, Flat) =
        change.to.clone().into_iter().partition(|(path, value)| undone.contains(&Hold::path(path, value)));
    if held.is_empty() || free.is_empty() {
        let c = Some(change.clone());
        return if free.is_empty() { Split { held: c, free: None } } else { Split { held: None, free: c } };
    }
    Split { held: Some(part(change, held)), free: Some(part(change, free)) }
}

/// A change of some of the paths, under the name that it has then.
fn part(change: &Change, to: Flat) -> Change {
    let from = change.from.iter().filter(|(k, _)| to.contains_key(*k)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let kind = if to.contains_key("active") { change.kind } else { kind_of(change.kind.object(), &to) };
    let names: Vec<&str> = to.keys().map(String::as_str).collect();
    let reason = if kind == change.kind { change.reason.clone() } else { format!("changed: {}", names.join(", ")) };
    Change { kind, from, to, reason, ..change.clone() }
}

/// What a change of these paths (`active` aside) is called.
#[must_use]
pub fn kind_of(object: ObjectKind, to: &Flat) -> Kind {
    match object {
        ObjectKind::Group => Kind::GroupUpdate,
        ObjectKind::User if to.contains_key("userName") => Kind::Rename,
        ObjectKind::User => Kind::Update,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{SourceKey, TargetId};
    use crate::plan::Member;
    use serde_json::json;

    fn change(kind: Kind, to: &[(&str, serde_json::Value)]) -> Change {
        Change {
            kind,
            id: 1,
            who: "jane".into(),
            source_key: SourceKey("k1".into()),
            target_id: Some(TargetId("t1".into())),
            reason: "r".into(),
            from: to.iter().map(|(k, _)| ((*k).to_owned(), json!("old"))).collect(),
            to: to.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            pushed: Flat::new(),
            members: Vec::new(),
            recreate: false,
            create_only: std::collections::BTreeSet::new(),
        }
    }

    #[test]
    fn only_the_value_that_was_taken_back_is_held() {
        let c = change(Kind::Rename, &[("userName", json!("b@x.example")), ("title", json!("T"))]);
        let held = [Hold::path("userName", &json!("b@x.example"))];
        let s = split(&c, &held);
        let (h, f) = (s.held.unwrap(), s.free.unwrap());
        assert_eq!((h.kind, h.to.len(), f.kind, f.to.len()), (Kind::Rename, 1, Kind::Update, 1));
        assert!(f.from.contains_key("title") && !f.from.contains_key("userName"));
        // Another new name is another change.
        let c = change(Kind::Rename, &[("userName", json!("c@x.example"))]);
        assert_eq!(split(&c, &held), Split { held: None, free: Some(c) });
    }

    #[test]
    fn what_was_taken_back_of_something_else_does_not_hold_it() {
        let (name, title) = (Hold::path("userName", &json!("b")), Hold::path("title", &json!("T")));
        let c = change(Kind::Rename, &[("userName", json!("b")), ("title", json!("other"))]);
        let held = split(&c, &[name.clone(), title.clone()]).held.unwrap();
        assert_eq!((holds(&held, &name), holds(&held, &title)), (true, false));
        let mut add = change(Kind::MembersAdd, &[]);
        add.members = vec![Member { source_key: SourceKey("k2".into()), who: String::new(), id: 2 }];
        assert!(holds(&add, &Hold::member(MEMBER, 2)) && !holds(&add, &Hold::member(MEMBER, 1)));
        assert!(!holds(&add, &Hold::member(NO_MEMBER, 2)) && holds(&change(Kind::Adopt, &[]), &Hold::adopted()));
    }

    #[test]
    fn accounts_and_members_are_held_one_by_one() {
        let create = change(Kind::Create, &[("userName", json!("a"))]);
        assert!(split(&create, &[Hold::account(HAS_ACCOUNT)]).free.is_none());
        assert!(split(&create, &[Hold::account(HAS_NO_ACCOUNT)]).held.is_none());
        let mut add = change(Kind::MembersAdd, &[]);
        add.members = [1, 2].map(|id| Member { source_key: SourceKey(format!("k{id}")), who: String::new(), id }).to_vec();
        let s = split(&add, &[Hold::member(MEMBER, 2), Hold::member(NO_MEMBER, 1)]);
        assert_eq!((s.held.unwrap().members[0].id, s.free.unwrap().members[0].id), (2, 1));
        let again = change(Kind::Reactivate, &[("active", json!(true)), ("title", json!("T"))]);
        let s = split(&again, &[Hold::path("active", &json!(true))]);
        assert_eq!((s.held.unwrap().kind, s.free.unwrap().kind), (Kind::Reactivate, Kind::Update));
    }
}
