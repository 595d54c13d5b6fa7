#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn flat(v: Value) -> Flat {
    serde_json::from_value(v).unwrap()
}

fn written(kind: Kind, before: Value, after: Value) -> Written {
    Written::of(1, kind, "jane".into(), Some(&before.to_string()), Some(&after.to_string())).unwrap()
}

fn undo(writes: &[Written], there: Option<Value>, may_delete: bool) -> Undo {
    let (key, target) = (SourceKey("k1".into()), TargetId("t1".into()));
    let there = there.map(flat);
    let facts = Facts {
        id: 7,
        object: writes[0].kind.object(),
        who: "jane",
        source_key: &key,
        target_id: Some(&target),
        cycle: 3,
        linked: false,
        there: there.as_ref(),
        others: Some(0),
        may_delete,
    };
    account(&facts, &Net::of(writes))
}

fn kinds(u: &Undo) -> Vec<Kind> {
    u.changes.iter().map(|c| c.kind).collect()
}

#[test]
fn an_update_goes_back_path_by_path_and_what_changed_since_stays() {
    let w = [
        written(Kind::Update, json!({"title": "A"}), json!({"title": "B", "nickName": "N"})),
        written(Kind::Update, json!({"title": "B", "x": 1}), json!({"title": "C", "x": 2})),
    ];
    let u = undo(&w, Some(json!({"title": "C", "nickName": "N", "x": 2})), false);
    assert_eq!(kinds(&u), [Kind::Update]);
    assert_eq!(u.changes[0].to, flat(json!({"title": "A", "nickName": null, "x": 1})));
    assert_eq!(u.changes[0].from, flat(json!({"title": "C", "nickName": "N", "x": 2})));
    assert!(u.holds.contains(&Hold::path("title", &json!("C"))) && u.left.is_empty());
    let u = undo(&w, Some(json!({"title": "by hand", "x": 2})), false);
    assert_eq!(u.changes[0].to, flat(json!({"x": 1})), "nickName is back already, title is somebody else's");
    assert!(u.left[0].reason.contains("title") && !u.holds.iter().any(|h| h.what == "title"));
    assert_eq!(u.back, flat(json!({"nickName": null})));
}

#[test]
fn who_was_renamed_by_hand_since_is_left_whole() {
    let w =
        [written(Kind::Rename, json!({"userName": "jdoe", "title": "A"}), json!({"userName": "jane@x.example", "title": "B"}))];
    let u = undo(&w, Some(json!({"userName": "Jane@X.example", "title": "B"})), false);
    assert_eq!(kinds(&u), [Kind::Rename], "letter case is the server's");
    let u = undo(&w, Some(json!({"userName": "jane.doe@x.example", "title": "B"})), false);
    assert!(u.changes.is_empty() && u.holds.is_empty() && u.left[0].reason.contains("jane.doe@x.example"));
    let u = undo(&w, Some(json!({"userName": "jdoe", "title": "A"})), false);
    assert!(u.changes.is_empty() && u.left.is_empty() && u.back.len() == 2);
}

#[test]
fn what_was_made_is_deactivated_and_deleted_only_where_that_is_allowed() {
    let w = [written(Kind::Create, json!({}), json!({"userName": "jane", "title": "A", "active": true}))];
    let there = json!({"userName": "jane", "title": "A", "active": true});
    assert_eq!(kinds(&undo(&w, Some(there.clone()), false)), [Kind::Deactivate]);
    assert_eq!(kinds(&undo(&w, Some(there), true)), [Kind::Delete]);
    let edited = json!({"userName": "jane", "title": "by hand", "active": true});
    assert_eq!(kinds(&undo(&w, Some(edited), true)), [Kind::Deactivate], "what somebody works on is not removed");
    let off = undo(&w, Some(json!({"userName": "jane", "title": "A", "active": false})), false);
    assert!(off.changes.is_empty() && off.left.is_empty());
    let gone = undo(&w, None, false);
    assert!(gone.changes.is_empty() && gone.left.is_empty() && gone.unlink);
    let other = undo(&w, Some(json!({"userName": "joan", "active": true})), true);
    assert!(other.changes.is_empty() && !other.left.is_empty());
}

#[test]
fn what_was_deleted_is_made_anew_as_it_was() {
    let was = json!({"userName": "jane", "active": false, "title": null});
    let u = undo(&[written(Kind::Delete, was, json!({}))], None, false);
    assert_eq!(kinds(&u), [Kind::Create]);
    assert_eq!(u.changes[0].to, flat(json!({"userName": "jane", "active": false})));
    assert_eq!((u.changes[0].target_id.clone(), &u.holds[..]), (None, &[Hold::account(HAS_NO_ACCOUNT)][..]));
}

#[test]
fn a_leaver_comes_back_and_an_adopted_account_loses_its_link() {
    let off = [written(Kind::Deactivate, json!({"active": true}), json!({"active": false}))];
    assert_eq!(kinds(&undo(&off, Some(json!({"active": false})), false)), [Kind::Reactivate]);
    assert!(undo(&off, Some(json!({"active": true})), false).changes.is_empty());
    let gone = undo(&off, None, false);
    assert!(gone.left[0].reason.contains("gone"));
    let adopt = [written(Kind::Adopt, json!({"title": "A"}), json!({"title": "B", "externalId": "k1"}))];
    let u = undo(&adopt, Some(json!({"title": "B", "externalId": "k1"})), true);
    assert!(u.unlink && u.holds.contains(&Hold::adopted()));
    assert_eq!(u.changes[0].to, flat(json!({"title": "A", "externalId": null})));
}

#[test]
fn a_reactivation_with_a_new_name_goes_back_in_two_steps() {
    let w = [written(Kind::Reactivate, json!({"active": false, "userName": "old"}), json!({"active": true, "userName": "new"}))];
    let u = undo(&w, Some(json!({"active": true, "userName": "new"})), false);
    assert_eq!(kinds(&u), [Kind::Deactivate, Kind::Rename]);
}

#[test]
fn a_line_that_is_no_object_is_an_error_and_odd_members_are_none() {
    assert!(Written::of(1, Kind::Update, String::new(), Some("[1]"), None).is_err());
    let w = Written::of(1, Kind::MembersAdd, String::new(), None, Some(r#"{"members": [{"source_key": "a"}, 3, {}]}"#)).unwrap();
    assert_eq!(w.members, [(SourceKey("a".into()), String::new())]);
}
