//! What Graph answers, as it is decoded: a page of objects, one object, or an error.
//!
//! A page of a change feed may hold a hundred thousand members, and each would take half a kilobyte as a tree of JSON: they are
//! decoded at once into what is kept of them.

use super::entry::Type;
use super::id::Id;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::marker::PhantomData;

/// An answer.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Answer {
    /// The objects of a page.
    pub value: Option<Vec<Object>>,
    /// Everything else: links, counts, an error, the properties of a single object.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One object of a page.
#[derive(Debug, serde::Deserialize)]
pub struct Object {
    /// `members@delta`: a slice of the changes, never the whole list. A group without members has none.
    #[serde(rename = "members@delta")]
    members: Option<Vec<Member>>,
    /// All other properties.
    #[serde(flatten)]
    pub json: Value,
}

impl Object {
    /// Members that came or went.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        self.members.as_deref().unwrap_or_default()
    }
}

/// An element of `members@delta`.
#[derive(Debug, serde::Deserialize)]
pub struct Member {
    /// Its id; every object has one.
    pub id: Option<Id>,
    #[serde(rename = "@odata.type")]
    kind: Option<Type>,
    #[serde(rename = "@removed")]
    removed: Option<IgnoredAny>,
}

impl Member {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Type {
        self.kind.unwrap_or(Type::User)
    }

    /// Whether it left. The reason means nothing: plain removals say `deleted` too.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.removed.is_some()
    }
}

/// A JSON object, or the default for anything else: what comes with an error may have any shape.
#[derive(Debug, Default)]
pub struct OrDefault<T>(pub T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for OrDefault<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyShape(PhantomData))
    }
}

struct AnyShape<T>(PhantomData<T>);

macro_rules! default_for {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(OrDefault::default())
        })*
    };
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for AnyShape<T> {
    type Value = OrDefault<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    default_for!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(OrDefault::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(OrDefault::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OrDefault)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_keeps_properties_as_they_are_and_of_members_what_counts() {
        let page: Answer = serde_json::from_value(json!({
            "@odata.context": "x", "@odata.nextLink": "https://g.example/next",
            "value": [
                {"id": "g-1", "displayName": null, "members@delta": [
                    {"@odata.type": "#microsoft.graph.user", "id": "u-1"},
                    {"@odata.type": "#microsoft.graph.group", "id": "g-2", "@removed": {"reason": "deleted"}},
                    {"@odata.type": "#microsoft.graph.device", "id": "d-1", "@removed": null},
                    {"id": "u-2", "displayName": "not asked for"},
                ]},
                {"id": "g-3", "members@delta": null},
            ],
        }))
        .unwrap();
        assert_eq!(page.rest["@odata.nextLink"], "https://g.example/next");
        let items = page.value.unwrap();
        assert_eq!(items[0].json, json!({"id": "g-1", "displayName": null}));
        let some: Vec<_> = items[0].members().iter().map(|m| (m.id.clone().unwrap().text(), m.kind(), m.is_removed())).collect();
        let expected =
            [("u-1", Type::User, false), ("g-2", Type::Group, true), ("d-1", Type::Other, false), ("u-2", Type::User, false)];
        assert_eq!(some, expected.map(|(id, kind, gone)| (id.to_owned(), kind, gone)));
        assert!(items[1].members().is_empty());
        assert!(std::mem::size_of::<Member>() <= 32, "there are many of them");
    }

    #[test]
    fn whatever_comes_with_an_error_is_taken() {
        for odd in [json!(null), json!("text"), json!([1, {"a": 2}]), json!(7), json!(-7), json!(0.5), json!(true)] {
            let answer: OrDefault<Answer> = serde_json::from_value(odd).unwrap();
            assert!(answer.0.value.is_none() && answer.0.rest.is_empty());
        }
        let answer: OrDefault<Answer> = serde_json::from_value(json!({"error": {"code": "x"}})).unwrap();
        assert_eq!(answer.0.rest["error"]["code"], "x");
    }
}
