//! Flat differences to PATCH operations (RFC 7644 section 3.5.2), in the forms that most servers carry out:
//! lower-case `op`, booleans as booleans, one member per removal. Pure.

use super::body;
use super::path::{BadPath, FlatPath, boolean, same, same_text};
use super::remote::Remote;
use crate::model::{Flat, TargetId};
use serde::Serialize;
use serde_json::{Map, Value};

/// How the value of one path is written, from the most portable form to the last resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// At its own path, with the value filter where there is one.
    #[default]
    Path,
    /// The whole attribute: an array for multi-valued ones, else an object without a path.
    Whole,
    /// GET, merge, PUT.
    Put,
}

impl Form {
    /// The next form to try.
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Path => Some(Self::Whole),
            Self::Whole => Some(Self::Put),
            Self::Put => None,
        }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Op {
    pub op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl Op {
    /// Whether carrying it out twice may differ from once: an `add` to an array makes two elements on some servers.
    pub fn is_repeatable(&self) -> bool {
        !self.op.eq_ignore_ascii_case("add")
    }

    /// Whether it says nothing but true or false.
    pub fn is_boolean(&self) -> bool {
        match &self.value {
            Some(Value::Bool(_)) => true,
            Some(Value::Object(o)) => !o.is_empty() && o.values().all(Value::is_boolean),
            _ => false,
        }
    }

    /// Whether its path holds a value filter, which some servers do not know.
    pub fn is_filtered(&self) -> bool {
        self.path.as_deref().is_some_and(|p| p.contains('['))
    }
}

/// Operations that bring `to` about. `from` is what the target is known to have: at the paths of `to`, and at the others of
/// the same attributes, which decide whether an element is there and which one is primary; what is not in it is taken as
/// absent. Paths whose form is [`Form::Put`] are left out. [`Form::Whole`] of a multi-valued attribute
/// needs `remote`, so that foreign elements are kept; without it the path form is used.
pub(super) fn operations(
    from: &Flat,
    to: &Flat,
    form: impl Fn(&str) -> Form,
    remote: Option<&Remote>,
) -> Result<Vec<Op>, BadPath> {
    let mut ops: Vec<Op> = Vec::with_capacity(to.len());
    // Elements that are new: several paths may fill one, and it is added once.
    let mut added: Vec<(FlatPath<'_>, Map<String, Value>)> = Vec::new();
    let mut whole: Vec<FlatPath<'_>> = Vec::new();
    let mut removed: Vec<FlatPath<'_>> = Vec::new();
    for (text, value) in to {
        let path = FlatPath::parse(text)?;
        let form = form(text);
        match (form, remote) {
            (Form::Put, _) => {}
            (Form::Whole, Some(remote)) if !path.element.is_empty() => {
                if !whole.iter().any(|w| w.same_attribute(&path)) {
                    ops.push(whole_array(&path, to, remote)?);
                    whole.push(path);
                }
            }
            (Form::Whole, _) if path.element.is_empty() => ops.push(without_path(&path, value)),
            _ if path.element.is_empty() => ops.push(simple(&path, value)),
            _ if value.is_null() => {
                if let Some(op) = remove_element(&path, from, to, &mut removed) {
                    ops.push(op);
                }
            }
            _ if has_element(from, &path) => {
                let value = if path.is_boolean() { boolean(value) } else { value.clone() };
                ops.push(Op { op: "replace", path: Some(written(&path)), value: Some(value) });
            }
            _ => {
                let value = if path.is_boolean() { boolean(value) } else { value.clone() };
                let sub = path.sub;
                let at = added.iter().position(|(p, _)| p.same_element(&path)).unwrap_or_else(|| {
                    added.push((path.clone(), body::element(&path)));
                    added.len() - 1
                });
                body::put_sub(&mut added[at].1, sub, value);
            }
        }
    }
    add_elements(&mut ops, added, from, remote);
    Ok(ops)
}

/// One operation that adds members.
pub(super) fn add_members(members: &[TargetId], form: Form) -> Op {
    let value = body::references(members);
    match form {
        Form::Path => Op { op: "add", path: Some("members".to_owned()), value: Some(value) },
        _ => {
            let mut object = Map::new();
            object.insert("members".to_owned(), value);
            Op { op: "add", path: None, value: Some(Value::Object(object)) }
        }
    }
}

/// One operation per member to remove. A `remove` of `members` with a value array is read as "all members" by strict
/// servers (RFC 7644 section 3.5.2.2 knows no value there): [`remove_listed`] is for those that are known not to.
pub(super) fn remove_members(members: &[TargetId]) -> Vec<Op> {
    members
        .iter()
        .map(|m| Op {
            op: "remove",
            path: Some(format!("members[value eq {}]", Value::String(m.as_str().to_owned()))),
            value: None,
        })
        .collect()
}

/// One operation that removes the members listed in its value, as Entra ID writes it.
pub(super) fn remove_listed(members: &[TargetId]) -> Vec<Op> {
    vec![Op { op: "remove", path: Some("members".to_owned()), value: Some(body::references(members)) }]
}

/// One operation that sets the whole membership.
pub(super) fn replace_members(members: &[TargetId]) -> Op {
    Op { op: "replace", path: Some("members".to_owned()), value: Some(body::references(members)) }
}

/// Paths of `to` whose effect cannot be seen in `remote`. A value counts as applied when it is equal as servers normalise
/// (case, blanks), when it stands in an element whose `type` the server dropped, or when it is no longer what it was.
pub(super) fn unapplied(remote: &Remote, from: &Flat, to: &Flat) -> Vec<String> {
    to.iter().filter(|(path, want)| !is_applied(remote, path, from.get(*path), want)).map(|(path, _)| path.clone()).collect()
}

/// Whether an applied value shows that the form works. One that differs from what was there before in nothing but letter
/// case or blanks, which servers normalise, does so only where it stands there exactly as it was sent.
pub(super) fn is_proof(remote: &Remote, text: &str, before: Option<&Value>, want: &Value) -> bool {
    let Some(before) = before.filter(|b| equal(b, want)) else { return true };
    before != want && remote.get(text).as_ref() == Some(want)
}

fn is_applied(remote: &Remote, text: &str, before: Option<&Value>, want: &Value) -> bool {
    let Ok(path) = FlatPath::parse(text) else { return true };
    if path.attr.eq_ignore_ascii_case("password") {
        return true; // never returned (RFC 7643 section 4.1.1)
    }
    let have = remote.values(&path);
    if want.is_null() || want.as_str().is_some_and(str::is_empty) {
        return have.is_empty();
    }
    if have.iter().any(|h| equal(h, want)) {
        return true;
    }
    if have.is_empty() {
        let anywhere = FlatPath { element: Vec::new(), sub: Some(path.sub.unwrap_or("value")), ..path.clone() };
        return !path.element.is_empty() && remote.values(&anywhere).iter().any(|h| equal(h, want));
    }
    before.is_some_and(|b| !b.is_null() && !have.iter().any(|h| equal(h, b)))
}

/// Equal, objects by the members we sent (servers add `$ref`, `display`).
fn equal(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::Object(h), Value::Object(w)) => {
            w.iter().all(|(k, v)| v.is_null() || super::path::field(h, k).is_some_and(|x| equal(x, v)))
        }
        (Value::Array(h), Value::Array(w)) => {
            w.iter().all(|v| h.iter().any(|x| equal(x, v))) && h.iter().all(|x| w.iter().any(|v| equal(x, v)))
        }
        _ => same(have, want),
    }
}

fn simple(path: &FlatPath<'_>, value: &Value) -> Op {
    if path.is_manager() {
        let at = Some(path.attribute());
        return match value {
            Value::Null => Op { op: "remove", path: at, value: None },
            Value::Object(_) => Op { op: "replace", path: at, value: Some(value.clone()) },
            id => Op { op: "replace", path: at, value: Some(serde_json::json!({ "value": id })) },
        };
    }
    match value {
        Value::Null => Op { op: "remove", path: Some(written(path)), value: None },
        v if path.is_boolean() => Op { op: "replace", path: Some(written(path)), value: Some(boolean(v)) },
        v => Op { op: "replace", path: Some(written(path)), value: Some(v.clone()) },
    }
}

/// `{"op": "replace", "value": {attribute: value}}`.
fn without_path(path: &FlatPath<'_>, value: &Value) -> Op {
    let mut object = Map::new();
    body::set(&mut object, path, value);
    object.shift_remove("schemas");
    Op { op: "replace", path: None, value: Some(Value::Object(object)) }
}

/// The whole array of a multi-valued attribute: what the target has, with every change of `to` to that attribute.
fn whole_array(path: &FlatPath<'_>, to: &Flat, remote: &Remote) -> Result<Op, BadPath> {
    let mut mine = Flat::new();
    for (text, value) in to {
        if FlatPath::parse(text)?.same_attribute(path) {
            mine.insert(text.clone(), value.clone());
        }
    }
    let raw = remote.raw.as_object().cloned().unwrap_or_default();
    let merged = Remote::of(remote.id.clone(), Value::Object(body::merge(raw, &mine)?));
    let attribute = FlatPath { element: Vec::new(), sub: None, ..path.clone() };
    let array = merged.values(&attribute).into_iter().next().cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    Ok(Op { op: "replace", path: Some(path.attribute()), value: Some(array) })
}

/// Removes an element where nothing of it stays that we know of, else only the sub-attribute.
fn remove_element<'a>(path: &FlatPath<'a>, from: &Flat, to: &Flat, removed: &mut Vec<FlatPath<'a>>) -> Option<Op> {
    if removed.iter().any(|r| r.same_element(path)) {
        return None;
    }
    let stays = from.iter().chain(to).any(|(text, value)| {
        !value.is_null()
            && !to.get(text).is_some_and(Value::is_null)
            && FlatPath::parse(text).is_ok_and(|p| p.same_element(path) && !p.element.is_empty())
    });
    if stays {
        return Some(Op { op: "remove", path: Some(written(path)), value: None });
    }
    removed.push(path.clone());
    let element = FlatPath { sub: None, ..path.clone() };
    Some(Op { op: "remove", path: Some(written(&element)), value: None })
}

/// Whether the target is known to have the element that `path` selects.
fn has_element(from: &Flat, path: &FlatPath<'_>) -> bool {
    from.iter().any(|(text, value)| !value.is_null() && FlatPath::parse(text).is_ok_and(|p| p.same_element(path)))
}

/// One `add` per attribute, with all its new elements.
fn add_elements(ops: &mut Vec<Op>, added: Vec<(FlatPath<'_>, Map<String, Value>)>, from: &Flat, remote: Option<&Remote>) {
    let mut done: Vec<(FlatPath<'_>, Vec<Value>)> = Vec::new();
    for (path, element) in added {
        match done.iter_mut().find(|(p, _)| p.same_attribute(&path)) {
            Some((_, elements)) => elements.push(Value::Object(element)),
            None => done.push((path, vec![Value::Object(element)])),
        }
    }
    for (path, elements) in done {
        let mut elements = Value::Array(elements);
        let known = || from.iter().any(|(t, v)| !v.is_null() && FlatPath::parse(t).is_ok_and(|p| p.same_attribute(&path)));
        let none_yet = || !known() && remote.is_none_or(|r| r.emails().is_empty());
        if path.urn.is_none() && same_text(path.attr, "emails") && none_yet() {
            let mut object = Map::new();
            object.insert("emails".to_owned(), elements);
            body::mark_primary(&mut object);
            elements = object.remove("emails").unwrap_or_default();
        }
        ops.push(Op { op: "add", path: Some(path.attribute()), value: Some(elements) });
    }
}

/// A path as it is sent: without the core URN (not every server takes it), values JSON-escaped.
fn written(path: &FlatPath<'_>) -> String {
    let mut out = path.attribute();
    if !path.element.is_empty() {
        let terms: Vec<String> = path.element.iter().map(|(k, v)| format!("{k} eq {v}")).collect();
        out.push('[');
        out.push_str(&terms.join(" and "));
        out.push(']');
    }
    if let Some(sub) = path.sub {
        out.push('.');
        out.push_str(sub);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Dialect;
    use super::super::spelling::{Spelling, message};
    use super::*;
    use crate::scim;
    use serde_json::json;

    const ENT: &str = scim::ENTERPRISE;
    const WORK: &str = "emails[type eq \"work\"].value";
    const HOME: &str = "emails[type eq \"home\"].value";

    fn flat(pairs: &[(&str, Value)]) -> Flat {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    fn ops(from: &[(&str, Value)], to: &[(&str, Value)]) -> Value {
        json!(operations(&flat(from), &flat(to), |_| Form::Path, None).unwrap())
    }

    #[test]
    fn plain_paths_are_replaced_and_removed() {
        let department = format!("{ENT}:department");
        assert_eq!(
            ops(
                &[],
                &[
                    ("active", json!("False")),
                    ("name.givenName", json!("J")),
                    ("title", Value::Null),
                    (&department, json!("Sales")),
                    ("urn:ietf:params:scim:schemas:core:2.0:User:userName", json!("u")),
                ]
            ),
            json!([
                {"op": "replace", "path": "active", "value": false},
                {"op": "replace", "path": "name.givenName", "value": "J"},
                {"op": "remove", "path": "title"},
                {"op": "replace", "path": "userName", "value": "u"},
                {"op": "replace", "path": department, "value": "Sales"},
            ])
        );
    }

    #[test]
    fn a_manager_is_complex() {
        for path in ["manager", "manager.value"] {
            let path = format!("{ENT}:{path}");
            let at = format!("{ENT}:manager");
            assert_eq!(ops(&[], &[(&path, json!("m"))]), json!([{"op": "replace", "path": at, "value": {"value": "m"}}]));
            assert_eq!(ops(&[], &[(&path, Value::Null)]), json!([{"op": "remove", "path": at}]));
        }
    }

    #[test]
    fn elements_that_are_there_are_replaced_and_new_ones_added() {
        assert_eq!(
            ops(&[(WORK, json!("old"))], &[(WORK, json!("new"))]),
            json!([{"op": "replace", "path": WORK, "value": "new"}])
        );
        assert_eq!(
            ops(&[], &[(WORK, json!("w")), (HOME, json!("h"))]),
            json!([{"op": "add", "path": "emails", "value": [{"type": "home", "value": "h"}, {"type": "work", "value": "w", "primary": true}]}])
        );
        assert_eq!(
            ops(&[(HOME, json!("h"))], &[(WORK, json!("w"))]),
            json!([{"op": "add", "path": "emails", "value": [{"type": "work", "value": "w"}]}]),
            "primary stays with whom it may be"
        );
        let (formatted, locality) = ("addresses[type eq \"work\"].formatted", "addresses[type eq \"work\"].locality");
        assert_eq!(
            ops(&[], &[(formatted, json!("f")), (locality, json!("l"))]),
            json!([{"op": "add", "path": "addresses", "value": [{"type": "work", "formatted": "f", "locality": "l"}]}]),
            "one element, not two"
        );
        assert_eq!(
            ops(&[(formatted, json!("f"))], &[(locality, json!("l"))]),
            json!([{"op": "replace", "path": locality, "value": "l"}])
        );
    }

    #[test]
    fn elements_go_whole_only_where_nothing_of_them_stays() {
        let (formatted, locality) = ("addresses[type eq \"work\"].formatted", "addresses[type eq \"work\"].locality");
        let both = [(formatted, json!("f")), (locality, json!("l"))];
        assert_eq!(ops(&both, &[(formatted, Value::Null)]), json!([{"op": "remove", "path": formatted}]));
        let gone = json!([{"op": "remove", "path": "addresses[type eq \"work\"]"}]);
        assert_eq!(ops(&both, &[(formatted, Value::Null), (locality, Value::Null)]), gone);
    }

    #[test]
    fn whole_arrays_keep_what_is_foreign() {
        let remote =
            Remote::new(json!({"id": "1", "Emails": [{"type": "work", "value": "o"}, {"type": "x", "value": "f"}]})).unwrap();
        let to = flat(&[(WORK, json!("n")), ("title", json!("t"))]);
        let got = operations(&flat(&[(WORK, json!("o"))]), &to, |_| Form::Whole, Some(&remote)).unwrap();
        assert_eq!(
            json!(got),
            json!([
                {"op": "replace", "path": "emails", "value": [{"type": "work", "value": "n"}, {"type": "x", "value": "f"}]},
                {"op": "replace", "value": {"title": "t"}},
            ])
        );
        assert!(operations(&Flat::new(), &to, |_| Form::Put, None).unwrap().is_empty());
    }

    #[test]
    fn member_ids_are_escaped() {
        let ids = [TargetId("a\"b\\".into()), TargetId("c d".into())];
        assert_eq!(
            json!(remove_members(&ids)),
            json!([
                {"op": "remove", "path": "members[value eq \"a\\\"b\\\\\"]"},
                {"op": "remove", "path": "members[value eq \"c d\"]"},
            ])
        );
    }

    #[test]
    fn only_effects_that_are_missing_are_reported() {
        let remote = Remote::new(json!({
            "id": "1", "userName": "J@X.example", "active": "false", "title": "old", "phoneNumbers": [{"type": "work", "value": "+4512"}],
            "emails": [{"value": "w@x.example"}], ENT: {"manager": {"value": "m", "$ref": "r"}},
        }))
        .unwrap();
        let phone = "phoneNumbers[type eq \"work\"].value";
        let from = flat(&[("title", json!("old")), (phone, json!("1"))]);
        let manager = format!("{ENT}:manager");
        let to = flat(&[
            ("userName", json!("j@x.example")),
            ("active", json!(false)),
            ("title", json!("new")),
            ("nickName", json!("n")),
            ("locale", Value::Null),
            ("password", json!("p")),
            (phone, json!("+45 12")),
            (WORK, json!("w@x.example")),
            (&manager, json!("m")),
        ]);
        assert_eq!(unapplied(&remote, &from, &to), ["nickName", "title"]);
        assert_eq!(unapplied(&remote, &from, &flat(&[("title", Value::Null)])), ["title"]);
    }

    #[test]
    fn another_independent_library_reads_what_is_sent() {
        let department = format!("{ENT}:department");
        let from = flat(&[(HOME, json!("h"))]);
        let to = flat(&[
            (WORK, json!("w")),
            (HOME, json!("h2")),
            (&department, json!("d")),
            ("name.givenName", json!("J")),
            ("title", Value::Null),
        ]);
        let mut all = operations(&from, &to, |_| Form::Path, None).unwrap();
        let ids = [TargetId("a\"b".into())];
        all.extend(remove_members(&ids));
        all.push(add_members(&ids, Form::Path));
        let text = message(&all, Spelling::of(&Dialect::default())).unwrap();
        let read: scim_v2::models::others::PatchOp = serde_json::from_slice(&text).unwrap();
        assert_eq!(read.operations.len(), all.len());
    }

    #[test]
    fn bad_paths_are_named() {
        let error =
            operations(&Flat::new(), &flat(&[("emails[type ne \"x\"].value", json!("v"))]), |_| Form::Path, None).unwrap_err();
        assert!(error.to_string().contains("emails[type ne"), "{error}");
    }
}
