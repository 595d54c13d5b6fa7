//! Flat resources to JSON bodies: a new resource for POST, a merged one for PUT. Pure.

use super::path::{BadPath, FlatPath, boolean, field, key_of};
use super::remote::is_unassigned;
use crate::model::{Flat, ObjectKind, TargetId};
use crate::scim;
use serde_json::{Map, Value, json};

/// Multi-valued attributes of RFC 7643 section 4.1.2: a path without a value filter still makes an array.
const MULTI_VALUED: &[&str] =
    &["emails", "phonenumbers", "ims", "photos", "addresses", "entitlements", "roles", "x509certificates"];

/// The body of a POST: nested objects, `schemas` with the URNs that are used, members with their ids, no `meta`.
/// `null`s are left out: what is not there is not sent.
pub(super) fn create(kind: ObjectKind, attrs: &Flat, members: &[TargetId]) -> Result<Value, BadPath> {
    let mut body = Map::with_capacity(attrs.len() + 2);
    body.insert("schemas".to_owned(), json!([core(kind)]));
    for (path, value) in attrs.iter().filter(|(_, v)| !v.is_null()) {
        set(&mut body, &FlatPath::parse(path)?, value);
    }
    mark_primary(&mut body);
    if !members.is_empty() {
        body.insert("members".to_owned(), references(members));
    }
    Ok(Value::Object(body))
}

/// The body of a PUT: what the target has, with the changes in `to`. Attributes that we do not know stay; `meta` and
/// `groups` (read-only, RFC 7643 sections 3.1 and 4.1.2) are dropped.
pub(super) fn merge(mut raw: Map<String, Value>, to: &Flat) -> Result<Map<String, Value>, BadPath> {
    for read_only in ["meta", "groups"] {
        take(&mut raw, read_only);
    }
    let had_emails = field(&raw, "emails").is_some_and(|e| !is_unassigned(e));
    for (path, value) in to {
        let parsed = FlatPath::parse(path)?;
        if value.is_null() {
            clear(&mut raw, &parsed);
        } else {
            set(&mut raw, &parsed, value);
        }
    }
    if !had_emails {
        mark_primary(&mut raw);
    }
    Ok(raw)
}

/// The body of a PUT as [`merge`] makes it, where what was read may be old or lack something: what this run wrote
/// (`written`) stands over it, whoever is known to be inactive stays so, and what is known to be there (`known`) goes along
/// where the target does not show the attribute at all. A PUT clears what it leaves out (RFC 7644 section 3.5.1).
pub(super) fn carry(raw: Map<String, Value>, known: &Flat, written: &Flat, to: &Flat) -> Result<Map<String, Value>, BadPath> {
    let mut all = written.clone();
    for (path, value) in known.iter().filter(|(path, value)| !value.is_null() && !written.contains_key(*path)) {
        let goes_along = match path.as_str() {
            // Who was made inactive by hand is not made active by the way.
            "active" => boolean(value) == Value::Bool(false),
            _ => is_left_out(&raw, &FlatPath::parse(path)?),
        };
        if goes_along {
            all.insert(path.clone(), value.clone());
        }
    }
    all.extend(to.iter().map(|(path, value)| (path.clone(), value.clone())));
    merge(raw, &all)
}

/// Whether the attribute is not shown. A password never is (RFC 7643 section 4.1.1), and is not set again by the way.
fn is_left_out(raw: &Map<String, Value>, path: &FlatPath<'_>) -> bool {
    let base = match path.urn {
        None => raw,
        Some(urn) => match field(raw, urn) {
            Some(Value::Object(extension)) => extension,
            other => return other.is_none(),
        },
    };
    match (field(base, path.attr), path.sub) {
        (None, _) => !path.attr.eq_ignore_ascii_case("password"),
        (Some(Value::Object(shown)), Some(sub)) => field(shown, sub).is_none(),
        _ => false,
    }
}

/// `[{"value": id}, ..]`.
pub(super) fn references(members: &[TargetId]) -> Value {
    Value::Array(members.iter().map(|m| json!({ "value": m.as_str() })).collect())
}

/// An element of a multi-valued attribute out of its selectors and the given sub-attributes.
pub(super) fn element(path: &FlatPath<'_>) -> Map<String, Value> {
    path.element.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

/// Puts `value` where `path` says, making what is missing on the way.
pub(super) fn set(top: &mut Map<String, Value>, path: &FlatPath<'_>, value: &Value) {
    if let Some(urn) = path.urn {
        let schemas = entry(top, "schemas", || json!([]));
        if let Value::Array(a) = schemas
            && !a.iter().any(|s| s.as_str().is_some_and(|s| s.eq_ignore_ascii_case(urn)))
        {
            a.push(Value::String(urn.to_owned()));
        }
    }
    let base = match path.urn {
        None => top,
        Some(urn) => object(entry(top, urn, || json!({}))),
    };
    let value = if path.is_boolean() { boolean(value) } else { value.clone() };
    if path.is_manager() {
        let manager = if value.is_object() { value } else { json!({ "value": value }) };
        *entry(base, path.attr, || Value::Null) = manager;
        return;
    }
    let multi =
        !path.element.is_empty() || (path.sub.is_some() && MULTI_VALUED.contains(&path.attr.to_ascii_lowercase().as_str()));
    if !multi {
        match path.sub {
            None => *entry(base, path.attr, || Value::Null) = value,
            Some(sub) => *entry(object(entry(base, path.attr, || json!({}))), sub, || Value::Null) = value,
        }
        return;
    }
    let array = entry(base, path.attr, || json!([]));
    if !array.is_array() {
        *array = Value::Array(if array.is_object() { vec![array.take()] } else { Vec::new() });
    }
    let Value::Array(elements) = array else { return };
    let at = elements.iter().position(|e| path.selects(e)).unwrap_or_else(|| {
        elements.push(Value::Object(element(path)));
        elements.len() - 1
    });
    put_sub(object(&mut elements[at]), path.sub, value);
}

/// Puts a value into an element: at its sub-attribute, or, where the path ends at the element, its members or `value`.
pub(super) fn put_sub(element: &mut Map<String, Value>, sub: Option<&str>, value: Value) {
    match (sub, value) {
        (None, Value::Object(members)) => element.extend(members),
        (sub, value) => *entry(element, sub.unwrap_or("value"), || Value::Null) = value,
    }
}

/// Takes out what `path` says.
fn clear(top: &mut Map<String, Value>, path: &FlatPath<'_>) {
    let base = match path.urn {
        None => top,
        Some(urn) => match key_of(top, urn).cloned().and_then(|k| top.get_mut(&k)) {
            Some(Value::Object(o)) => o,
            _ => return,
        },
    };
    if path.sub.is_none() && path.element.is_empty() || path.is_manager() {
        take(base, path.attr);
        return;
    }
    let Some(found) = key_of(base, path.attr).cloned().and_then(|k| base.get_mut(&k)) else { return };
    match (found, path.sub) {
        (Value::Object(o), Some(sub)) => take(o, sub),
        // An element without its value says nothing.
        (Value::Array(a), None) => a.retain(|e| !path.selects(e)),
        (Value::Array(a), Some(sub)) if sub.eq_ignore_ascii_case("value") => a.retain(|e| !path.selects(e)),
        (Value::Array(a), Some(sub)) => {
            for e in a.iter_mut().filter(|e| path.selects(e)) {
                take(object(e), sub);
            }
        }
        _ => {}
    }
}

/// Marks one email as primary where none is: the work address, else the first (RFC 7643 section 2.4: at most one).
pub(super) fn mark_primary(top: &mut Map<String, Value>) {
    let Some(Value::Array(emails)) = key_of(top, "emails").cloned().and_then(|k| top.get_mut(&k)) else { return };
    let has = |e: &Value, name: &str| e.as_object().is_some_and(|o| field(o, name).is_some());
    if emails.iter().any(|e| has(e, "primary")) {
        return;
    }
    let is_work = |e: &Value| {
        e.as_object().and_then(|o| field(o, "type")).and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case("work"))
    };
    let at = emails.iter().position(is_work).unwrap_or(0);
    if let Some(Value::Object(o)) = emails.get_mut(at) {
        o.insert("primary".to_owned(), Value::Bool(true));
    }
}

/// Schema URN of a kind.
fn core(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::User => scim::USER,
        ObjectKind::Group => scim::GROUP,
    }
}

/// The value under `name` in the object's own spelling, made where it is missing.
fn entry<'m>(map: &'m mut Map<String, Value>, name: &str, make: impl FnOnce() -> Value) -> &'m mut Value {
    let spelt = map.keys().position(|k| k == name).or_else(|| map.keys().position(|k| k.eq_ignore_ascii_case(name)));
    match spelt {
        Some(at) => map.values_mut().nth(at).unwrap_or_else(|| unreachable!("found above")),
        None => map.entry(name).or_insert_with(make),
    }
}

/// `value` as an object; anything else is replaced by an empty one.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(o) => o,
        _ => unreachable!("made an object above"),
    }
}

fn take(map: &mut Map<String, Value>, name: &str) {
    if let Some(key) = key_of(map, name).cloned() {
        map.shift_remove(&key);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ENT: &str = scim::ENTERPRISE;

    fn flat(pairs: &[(&str, Value)]) -> Flat {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn a_new_user_is_nested_and_typed() {
        let attrs = flat(&[
            ("userName", json!("j@x.example")),
            ("active", json!("True")),
            ("name.givenName", json!("J")),
            ("name.familyName", json!("Doe")),
            ("title", Value::Null),
            ("emails[type eq \"home\"].value", json!("h@x.example")),
            ("emails[type eq \"work\"].value", json!("j@x.example")),
            ("addresses[type eq \"work\"].locality", json!("Aarhus")),
            ("addresses[type eq \"work\"].formatted", json!("Street 1")),
            (&format!("{ENT}:department"), json!("Sales")),
            (&format!("{ENT}:manager"), json!("m-1")),
        ]);
        assert_eq!(
            create(ObjectKind::User, &attrs, &[]).unwrap(),
            json!({
                "schemas": [scim::USER, ENT],
                "userName": "j@x.example",
                "active": true,
                "name": {"givenName": "J", "familyName": "Doe"},
                "emails": [
                    {"type": "home", "value": "h@x.example"},
                    {"type": "work", "value": "j@x.example", "primary": true},
                ],
                "addresses": [{"type": "work", "formatted": "Street 1", "locality": "Aarhus"}],
                ENT: {"department": "Sales", "manager": {"value": "m-1"}},
            })
        );
    }

    #[test]
    fn schemas_name_extensions_only_when_used() {
        let body = create(ObjectKind::User, &flat(&[("userName", json!("a")), (&format!("{ENT}:department"), Value::Null)]), &[])
            .unwrap();
        assert_eq!(body, json!({"schemas": [scim::USER], "userName": "a"}));
    }

    #[test]
    fn a_group_carries_its_members() {
        let body = create(ObjectKind::Group, &flat(&[("displayName", json!("G"))]), &[TargetId("a/b".into())]).unwrap();
        assert_eq!(body, json!({"schemas": [scim::GROUP], "displayName": "G", "members": [{"value": "a/b"}]}));
    }

    #[test]
    fn another_independent_library_reads_what_is_sent() {
        let attrs = flat(&[
            ("userName", json!("j@x.example")),
            ("active", json!(true)),
            ("name.givenName", json!("J")),
            ("emails[type eq \"work\"].value", json!("j@x.example")),
            (&format!("{ENT}:department"), json!("Sales")),
        ]);
        let text = create(ObjectKind::User, &attrs, &[]).unwrap().to_string();
        let user: scim_v2::models::user::User = serde_json::from_str(&text).unwrap();
        assert_eq!(user.user_name, "j@x.example");
        assert_eq!(user.active.as_option().copied(), Some(true));
    }

    #[test]
    fn put_keeps_what_is_not_ours() {
        let raw = json!({
            "schemas": [scim::USER], "id": "7", "USERNAME": "old", "nickName": "Jo", "meta": {"x": 1}, "groups": [{"value": "g"}],
            "emails": [{"type": "home", "value": "h@x.example", "primary": true}],
            "name": {"givenName": "J", "middleName": "M"},
        });
        let Value::Object(raw) = raw else { unreachable!() };
        let to = flat(&[
            ("userName", json!("new")),
            ("emails[type eq \"work\"].value", json!("w@x.example")),
            ("name.givenName", Value::Null),
            (&format!("{ENT}:department"), json!("Sales")),
        ]);
        assert_eq!(
            Value::Object(merge(raw, &to).unwrap()),
            json!({
                "schemas": [scim::USER, ENT], "id": "7", "USERNAME": "new", "nickName": "Jo",
                "emails": [{"type": "home", "value": "h@x.example", "primary": true}, {"type": "work", "value": "w@x.example"}],
                "name": {"middleName": "M"},
                ENT: {"department": "Sales"},
            })
        );
    }

    #[test]
    fn put_carries_on_what_is_known_and_not_shown() {
        let Value::Object(raw) = json!({
            "id": "7", "userName": "old", "title": "by hand", "active": true, "name": {"familyName": "D"},
            "emails": [{"value": "j@x.example"}],
        }) else {
            unreachable!()
        };
        let known = flat(&[
            ("title", json!("ours")),
            ("active", json!(false)),
            ("name.givenName", json!("J")),
            ("name.familyName", json!("Doe")),
            ("emails[type eq \"work\"].value", json!("j@x.example")),
            ("nickName", Value::Null),
            ("password", json!("p")),
            (&format!("{ENT}:department"), json!("Sales")),
        ]);
        let (written, to) = (flat(&[("userName", json!("new"))]), flat(&[("displayName", json!("J D"))]));
        let body = carry(raw.clone(), &known, &written, &to).unwrap();
        assert_eq!(
            Value::Object(body),
            json!({
                "id": "7", "userName": "new", "title": "by hand", "active": false,
                "name": {"familyName": "D", "givenName": "J"}, "emails": [{"value": "j@x.example"}],
                ENT: {"department": "Sales"}, "schemas": [ENT], "displayName": "J D",
            })
        );
        // Who was made inactive by hand stays so; who was made active again a moment ago too.
        let inactive = || Map::from_iter([("active".to_owned(), json!(false))]);
        let yes = flat(&[("active", json!(true))]);
        assert_eq!(carry(inactive(), &yes, &Flat::new(), &Flat::new()).unwrap()["active"], false);
        assert_eq!(carry(inactive(), &yes, &yes, &Flat::new()).unwrap()["active"], true);
    }

    #[test]
    fn put_clears() {
        let raw = json!({
            "id": "7", "emails": [{"type": "work", "value": "w"}, {"type": "home", "value": "h"}],
            "addresses": [{"type": "work", "formatted": "f", "locality": "l"}], ENT: {"department": "d", "manager": {"value": "m"}},
        });
        let Value::Object(raw) = raw else { unreachable!() };
        let to = flat(&[
            ("emails[type eq \"work\"].value", Value::Null),
            ("addresses[type eq \"work\"].formatted", Value::Null),
            (&format!("{ENT}:manager"), Value::Null),
            ("title", Value::Null),
            ("urn:example:x:attr", Value::Null),
        ]);
        assert_eq!(
            Value::Object(merge(raw, &to).unwrap()),
            json!({
                "id": "7", "emails": [{"type": "home", "value": "h"}],
                "addresses": [{"type": "work", "locality": "l"}], ENT: {"department": "d"},
            })
        );
    }

    #[test]
    fn odd_remote_shapes_are_replaced_not_followed() {
        let Value::Object(raw) = json!({"id": "7", "name": "text", "emails": {"value": "one"}, "phoneNumbers": 7}) else {
            unreachable!()
        };
        let to = flat(&[
            ("name.givenName", json!("J")),
            ("emails[type eq \"work\"].value", json!("w")),
            ("phoneNumbers[type eq \"work\"].value", json!("1")),
        ]);
        assert_eq!(
            Value::Object(merge(raw, &to).unwrap()),
            json!({
                "id": "7", "name": {"givenName": "J"}, "emails": [{"value": "one"}, {"type": "work", "value": "w"}],
                "phoneNumbers": [{"type": "work", "value": "1"}],
            })
        );
    }
}
