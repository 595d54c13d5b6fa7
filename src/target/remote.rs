//! A resource as the target returned it, and reading it whatever the case of its names.

use super::path::{FlatPath, boolean, field, same};
use crate::model::{Flat, ObjectKind, TargetId, texts};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A resource as the target returned it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// SCIM `id`.
    pub id: TargetId,
    /// The JSON as it came.
    pub raw: Value,
    /// An externalId that is a number, as its digits.
    digits: Option<String>,
}

impl Remote {
    /// The values at these paths; paths without a value are left out.
    #[must_use]
    pub fn flat<'a>(&self, paths: impl Iterator<Item = &'a str>) -> Flat {
        // Some answer "True": the same value, spelled otherwise.
        let typed = |p: &str, v: Value| if FlatPath::parse(p).is_ok_and(|p| p.is_boolean()) { boolean(&v) } else { v };
        paths.filter_map(|p| self.get(p).filter(|v| !v.is_null()).map(|v| (p.to_owned(), typed(p, v)))).collect()
    }

    /// A resource out of JSON; `None` where it is no object or has no id. A number as id is taken as its digits; so is one
    /// as externalId, which tells whose an account is.
    #[must_use]
    pub fn new(raw: Value) -> Option<Self> {
        let object = raw.as_object()?;
        let id = match field(object, "id")? {
            Value::String(s) if !s.is_empty() => s.clone(),
            Value::Number(n) => n.to_string(),
            _ => return None,
        };
        Some(Self::of(TargetId(id), raw))
    }

    /// A resource whose id is known.
    #[must_use]
    pub fn of(id: TargetId, raw: Value) -> Self {
        let digits = match raw.as_object().and_then(|o| field(o, "externalId")) {
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Self { id, raw, digits }
    }

    /// `userName`.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.text("userName")
    }

    /// `externalId`; an empty one is none.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        self.digits.as_deref().or_else(|| self.text("externalId"))
    }

    /// `displayName`.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.text("displayName")
    }

    /// `userName` of a user, `displayName` of a group.
    #[must_use]
    pub fn name(&self, kind: ObjectKind) -> Option<&str> {
        match kind {
            ObjectKind::User => self.user_name(),
            ObjectKind::Group => self.display_name(),
        }
    }

    /// `active`, also where it came as text; `None` where the target does not say.
    #[must_use]
    pub fn active(&self) -> Option<bool> {
        boolean(self.top("active")?).as_bool()
    }

    /// `meta.created` (RFC 7643 section 3.1) as a Unix second; `None` where the target does not say.
    #[must_use]
    pub fn created(&self) -> Option<i64> {
        instant(field(self.top("meta")?.as_object()?, "created")?.as_str()?)
    }

    /// `meta.version` (RFC 7643 section 3.1): the entity tag as it is sent in If-Match; `None` where the target keeps none.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        field(self.top("meta")?.as_object()?, "version")?.as_str().map(str::trim).filter(|v| !v.is_empty())
    }

    /// Ids of the groups that a user says to be in (`groups`, RFC 7643 section 4.1.2).
    #[must_use]
    pub fn groups(&self) -> Vec<&str> {
        let Some(Value::Array(a)) = self.top("groups") else { return Vec::new() };
        a.iter().filter_map(value_of).collect()
    }

    /// Values of `emails`, in the order of the target.
    #[must_use]
    pub fn emails(&self) -> Vec<&str> {
        match self.top("emails") {
            Some(Value::Array(a)) => a.iter().filter_map(value_of).collect(),
            Some(one) => value_of(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Ids of the members of a group, each once.
    #[must_use]
    pub fn members(&self) -> Vec<TargetId> {
        let Some(Value::Array(a)) = self.top("members") else { return Vec::new() };
        let mut seen = std::collections::HashSet::with_capacity(a.len());
        a.iter().filter_map(value_of).filter(|id| seen.insert(*id)).map(|id| TargetId(id.to_owned())).collect()
    }

    /// Whether the answer says anything about members (some targets leave them out).
    #[must_use]
    pub fn has_members(&self) -> bool {
        self.top("members").is_some()
    }

    /// Whether it is shown with somebody in it.
    pub(super) fn shows_members(&self) -> bool {
        matches!(self.top("members"), Some(Value::Array(a)) if !a.is_empty())
    }

    /// The value at a flat path; `None` where it is absent, `null`, or empty (RFC 7643 section 2.5: all the same).
    /// `emails.value` without a filter is the first element's.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Value> {
        if let Some(digits) = self.digits.as_deref().filter(|_| path.eq_ignore_ascii_case("externalId")) {
            return Some(Value::from(digits));
        }
        self.values(&FlatPath::parse(path).ok()?).into_iter().next().cloned()
    }

    /// Whether this value is what it has at a path, letter case and blanks around aside; `null`: nothing is there.
    #[must_use]
    pub fn shows(&self, path: &str, want: &Value) -> bool {
        self.get(path).map_or(want.is_null(), |there| same(&there, want))
    }

    /// Whether it shows something else than was sent. What it does not show at all says nothing, and neither does what is no
    /// single value: servers add to that.
    #[must_use]
    pub fn differs(&self, sent: &Flat) -> bool {
        let single = |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
        sent.iter().filter(|(_, value)| single(value)).any(|(path, value)| {
            let there = FlatPath::parse(path).map(|path| self.values(&path)).unwrap_or_default();
            !there.is_empty() && !there.iter().any(|theirs| same(theirs, value))
        })
    }

    /// What stands at a path as texts ([`texts`]): of all elements where it names a part of several.
    #[must_use]
    pub fn texts(&self, path: &str) -> Vec<Cow<'_, str>> {
        let Ok(path) = FlatPath::parse(path) else { return Vec::new() };
        self.values(&path).into_iter().flat_map(texts).collect()
    }

    /// Every value at a path: one for single-valued attributes, one of each matching element for multi-valued ones.
    pub(super) fn values(&self, path: &FlatPath<'_>) -> Vec<&Value> {
        let Some(base) = self.base(path) else { return Vec::new() };
        let Some(found) = field(base, path.attr) else { return Vec::new() };
        let elements: &[Value] = match found {
            Value::Array(a) if path.sub.is_some() || !path.element.is_empty() => a,
            one => std::slice::from_ref(one),
        };
        elements
            .iter()
            .filter(|e| path.element.is_empty() || path.selects(e))
            .filter_map(|e| match path.sub {
                None if path.is_manager() => e.as_object().map_or(Some(e), |o| field(o, "value")),
                None => Some(e),
                Some(sub) => match e {
                    Value::Object(o) => field(o, sub),
                    // Elements that are plain strings are their own value.
                    Value::String(_) if sub.eq_ignore_ascii_case("value") => Some(e),
                    _ => None,
                },
            })
            .filter(|v| !is_unassigned(v))
            .collect()
    }

    /// The object in which an attribute of this path stands.
    fn base(&self, path: &FlatPath<'_>) -> Option<&Map<String, Value>> {
        let top = self.raw.as_object()?;
        match path.urn {
            None => Some(top),
            Some(urn) => field(top, urn)?.as_object(),
        }
    }

    fn top(&self, name: &str) -> Option<&Value> {
        field(self.raw.as_object()?, name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.top(name)?.as_str().filter(|s| !s.is_empty())
    }
}

/// The first second of 1990: no account of any application is older.
const OLDEST: i64 = 631_152_000;

/// A time as a Unix second; the beginning of time (0001, 1970) is a server's word for "not known".
pub(super) fn instant(text: &str) -> Option<i64> {
    text.trim().parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second).filter(|s| *s >= OLDEST)
}

/// `value` of an element, or the element itself where it is a string.
fn value_of(element: &Value) -> Option<&str> {
    match element {
        Value::String(s) => Some(s),
        Value::Object(o) => field(o, "value")?.as_str(),
        _ => None,
    }
}

/// `null`, an empty string or an empty array or object.
pub(super) fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn remote() -> Remote {
        Remote::new(json!({
            "ID": 17, "USERNAME": "jdoe@x.example", "externalid": "", "Active": "True",
            "name": {"GivenName": "J", "familyName": null},
            "Emails": [{"type": "home", "value": "h@x.example"}, {"Type": "Work", "Value": "w@x.example", "primary": true}],
            "members": [{"value": "a"}, {"value": "b"}, {"value": "a"}, {"display": "no id"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user": {"department": "Sales", "manager": {"value": "m1"}},
        }))
        .unwrap()
    }

    #[test]
    fn names_compare_without_case() {
        let r = remote();
        assert_eq!(r.id.as_str(), "17");
        assert_eq!(r.user_name(), Some("jdoe@x.example"));
        assert_eq!(r.external_id(), None);
        assert_eq!(r.active(), Some(true));
        assert_eq!(r.emails(), ["h@x.example", "w@x.example"]);
        assert_eq!(r.members(), [TargetId("a".into()), TargetId("b".into())]);
    }

    #[test]
    fn any_flat_path_can_be_read() {
        let r = remote();
        assert_eq!(r.get("name.givenName"), Some(json!("J")));
        assert_eq!(r.get("name.familyName"), None, "null is absent");
        assert_eq!(r.get(r#"emails[type eq "work"].value"#), Some(json!("w@x.example")));
        assert_eq!(r.get(r#"emails[type eq "other"].value"#), None);
        assert_eq!(r.get("emails.value"), Some(json!("h@x.example")));
        let ext = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        assert_eq!(r.get(&format!("{ext}:department")), Some(json!("Sales")));
        assert_eq!(r.get(&format!("{ext}:manager")), Some(json!("m1")));
        assert_eq!(r.get(&format!("{ext}:manager.value")), Some(json!("m1")));
        assert_eq!(r.get("nonsense["), None);
    }

    #[test]
    fn no_guess_a_number_as_external_id_is_somebodys_all_the_same() {
        let account = |raw: Value| Remote::new(raw).unwrap();
        assert_eq!(account(json!({"id": "1", "externalID": 4711})).external_id(), Some("4711"));
        assert_eq!(account(json!({"id": "1", "externalId": 4711})).get("externalId"), Some(json!("4711")));
        assert_eq!(account(json!({"id": "1", "externalId": null})).external_id(), None);
        let number = json!({"id": "1", "externalId": 4711});
        assert_eq!(account(number.clone()).raw, number, "what is put back is what came");
    }

    #[test]
    fn what_has_no_id_is_no_resource() {
        for bad in
            [json!({}), json!({"id": ""}), json!({"id": null}), json!({"id": {"x": 1}}), json!([1]), json!("x"), json!(null)]
        {
            assert_eq!(Remote::new(bad), None);
        }
    }

    #[test]
    fn the_time_of_creation_is_read_where_it_is_said() {
        let created = |meta: Value| Remote::new(json!({"id": "1", "meta": meta})).unwrap().created();
        assert_eq!(created(json!({"created": "2024-05-01T12:00:00.250Z"})), Some(1_714_564_800));
        assert_eq!(created(json!({"Created": "2024-05-01T14:00:00+02:00"})), Some(1_714_564_800));
        let unset = json!({"created": "0001-01-01T00:00:00Z"});
        let local = json!({"created": "1970-01-01T02:00:00Z"});
        for none in [local, json!({}), json!(null), json!({"created": 17}), json!({"created": "yesterday"}), unset] {
            assert_eq!(created(none), None);
        }
    }

    #[test]
    fn odd_shapes_do_not_panic() {
        let r =
            Remote::new(json!({"id": "1", "emails": "plain@x.example", "members": {"value": "x"}, "name": "text", "active": 3}))
                .unwrap();
        assert_eq!(r.emails(), ["plain@x.example"]);
        assert!(r.members().is_empty() && r.active().is_none() && r.get("name.givenName").is_none());
        assert_eq!(r.get("emails.value"), Some(json!("plain@x.example")));
    }
}
