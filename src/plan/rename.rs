//! A change that gives an account another name and is held: the name waits, whatever else there is to do for the person does
//! not. An account that matches is linked and whoever comes back is active again, under the name that is there.

use super::user::{changed_words, is_identifier};
use super::{Change, Kind};
use crate::model::Flat;
use serde_json::Value;
use std::collections::BTreeSet;

/// Kinds of change that may give an account another name.
pub const KINDS: [Kind; 3] = [Kind::Rename, Kind::Reactivate, Kind::Adopt];

/// Whether a path waits with the name: mail addresses are the user ID under other names, and so is the externalId, but for an
/// account that is adopted, which is somebody's by it from then on.
pub(super) fn waits(kind: Kind, path: &str) -> bool {
    is_identifier(path) && !(kind == Kind::Adopt && path == "externalId")
}

/// Parts a change that renames into the rename (the user ID with what says who somebody is as well) and the rest: an update, or
/// the adoption or reactivation under the name that is there. `None`: it gives no other name, or there is no rest.
#[must_use]
pub fn part(change: &Change, remapped: &BTreeSet<String>) -> Option<(Change, Change)> {
    let kind = change.kind;
    let is_whole = match kind {
        Kind::Rename => change.to.keys().all(|path| waits(kind, path)),
        // With nothing else to write there is still the account to be linked, or to be made active.
        Kind::Adopt | Kind::Reactivate => !change.renames(),
        _ => true,
    };
    if is_whole {
        return None;
    }
    let (name, rest): (Flat, Flat) = change.to.clone().into_iter().partition(|(path, _)| waits(kind, path));
    if kind == Kind::Rename {
        let words = changed_words(&rest, remapped);
        return Some((of(change, kind, name, change.reason.clone()), of(change, Kind::Update, rest, words)));
    }
    let text = |flat: &Flat| flat.get("userName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let words = format!("user ID {} -> {}", text(&change.from), text(&name));
    Some((of(change, Kind::Rename, name, words), of(change, kind, rest, change.reason.clone())))
}

/// The change of these paths only.
fn of(change: &Change, kind: Kind, to: Flat, reason: String) -> Change {
    let (from, not_made): (Flat, Flat) = change.from.clone().into_iter().partition(|(path, _)| to.contains_key(path));
    let mut pushed = change.pushed.clone();
    pushed.retain(|path, _| to.contains_key(path) || !change.to.contains_key(path));
    pushed.extend(not_made);
    Change { kind, from, to, reason, pushed, ..change.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{SourceKey, TargetId};
    use serde_json::{Value, json};

    fn flat(of: &[(&str, Value)]) -> Flat {
        of.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn the_name_waits_and_the_rest_does_not() {
        let whole = Change {
            kind: Kind::Rename,
            id: 1,
            who: "jane".into(),
            source_key: SourceKey("k".into()),
            target_id: Some(TargetId("t".into())),
            reason: "user ID a -> b".into(),
            from: flat(&[("userName", json!("a@x")), ("emails[type eq \"work\"].value", json!("a@x")), ("title", json!("old"))]),
            to: flat(&[
                ("userName", json!("b@x")),
                ("emails[type eq \"work\"].value", json!("b@x")),
                ("title", json!("new")),
                ("displayName", json!("Jane")),
            ]),
            pushed: flat(&[
                ("userName", json!("b@x")),
                ("title", json!("new")),
                ("displayName", json!("Jane")),
                ("active", json!(true)),
            ]),
            members: Vec::new(),
            recreate: false,
            create_only: BTreeSet::new(),
        };
        let (name, rest) = part(&whole, &BTreeSet::new()).unwrap();
        assert_eq!((name.kind, name.to.len(), name.from.len()), (Kind::Rename, 2, 2));
        assert_eq!(name.pushed["title"], "old");
        assert!(!name.pushed.contains_key("displayName"));
        assert_eq!((rest.kind, rest.reason.as_str()), (Kind::Update, "changed: displayName, title"));
        assert_eq!(rest.pushed["userName"], "a@x");
        assert_eq!((rest.pushed.len(), &rest.pushed["active"]), (5, &json!(true)));
        assert_eq!(part(&name, &BTreeSet::new()), None);
        assert_eq!(part(&rest, &BTreeSet::new()), None);
    }

    #[test]
    fn an_account_is_linked_and_active_again_under_the_name_that_is_there() {
        let whole = |kind| Change {
            kind,
            id: 1,
            who: "jane".into(),
            source_key: SourceKey("k".into()),
            target_id: Some(TargetId("t".into())),
            reason: "why".into(),
            from: flat(&[("userName", json!("a@x")), ("active", json!(false))]),
            to: flat(&[
                ("userName", json!("b@x")),
                ("emails[type eq \"work\"].value", json!("b@x")),
                ("externalId", json!("k")),
                ("active", json!(true)),
            ]),
            pushed: flat(&[("userName", json!("b@x")), ("externalId", json!("k")), ("active", json!(true))]),
            members: Vec::new(),
            recreate: false,
            create_only: BTreeSet::new(),
        };
        let parts = |kind| part(&whole(kind), &BTreeSet::new()).unwrap();
        let (name, rest) = parts(Kind::Adopt);
        assert_eq!((name.kind, name.to.len(), name.reason.as_str()), (Kind::Rename, 2, "user ID a@x -> b@x"));
        assert_eq!((rest.kind, &rest.to), (Kind::Adopt, &flat(&[("externalId", json!("k")), ("active", json!(true))])));
        assert_eq!((&rest.pushed["userName"], rest.pushed.len()), (&json!("a@x"), 3));
        assert!(!rest.renames() && part(&rest, &BTreeSet::new()).is_none());
        let (name, rest) = parts(Kind::Reactivate);
        assert_eq!((name.kind, name.to.len()), (Kind::Rename, 3));
        assert_eq!((rest.kind, rest.to), (Kind::Reactivate, flat(&[("active", json!(true))])));
        assert_eq!(name.pushed["active"], false);
        // Linked it has to be, whatever else there is to write.
        let mut only_name = whole(Kind::Adopt);
        only_name.to.retain(|path, _| path == "userName");
        assert!(part(&only_name, &BTreeSet::new()).unwrap().1.to.is_empty());
        let mut same_name = whole(Kind::Adopt);
        same_name.to.insert("userName".into(), json!("A@X"));
        assert_eq!(part(&same_name, &BTreeSet::new()), None);
    }
}
