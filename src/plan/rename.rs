//! A rename that is held: the user ID waits, whatever else changed of the person does not.

use super::user::{changed_words, is_identifier};
use super::{Change, Kind};
use crate::model::Flat;
use std::collections::BTreeSet;

/// Parts a rename into what goes with the user ID (names and mail addresses, which say who somebody is) and an update of the
/// rest. `None`: it is no rename, or there is no rest.
#[must_use]
pub fn part(change: &Change, remapped: &BTreeSet<String>) -> Option<(Change, Change)> {
    if change.kind != Kind::Rename || change.to.keys().all(|path| is_identifier(path)) {
        return None;
    }
    let (name, rest): (Flat, Flat) = change.to.clone().into_iter().partition(|(path, _)| is_identifier(path));
    let words = changed_words(&rest, remapped);
    Some((of(change, Kind::Rename, name, change.reason.clone()), of(change, Kind::Update, rest, words)))
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
}
