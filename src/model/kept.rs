//! How attributes are kept as JSON: `{"mail": "a@x", "proxyAddresses": ["SMTP:a@x", "smtp:b@x"]}`. A text is a text, several values
//! are a list, and what is no text says what it is: `{"Bytes": [..]}`, `{"Json": ..}`.

use super::entry::{Attrs, Value};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A value that is no text.
#[derive(Deserialize)]
enum Other {
    Bytes(Vec<u8>),
    Json(serde_json::Value),
}

impl From<Other> for Value {
    fn from(other: Other) -> Self {
        match other {
            Other::Bytes(octets) => Self::Bytes(octets),
            Other::Json(json) => Self::Json(json),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => s.serialize_str(text),
            Self::Bytes(octets) => s.serialize_newtype_variant("Other", 0, "Bytes", octets),
            Self::Json(json) => s.serialize_newtype_variant("Other", 1, "Json", json),
        }
    }
}

struct OfValue;

impl<'de> Visitor<'de> for OfValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or an object that says what it is")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        Other::deserialize(MapAccessDeserializer::new(map)).map(Value::from)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(OfValue)
    }
}

/// All values of one name.
struct Values(Vec<Value>);

struct OfValues;

impl<'de> Visitor<'de> for OfValues {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Values, E> {
        Ok(Values(vec![OfValue.visit_str(text)?]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Values, A::Error> {
        Ok(Values(vec![OfValue.visit_map(map)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Values(values))
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(OfValues)
    }
}

impl Serialize for Attrs {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        for (name, values) in self.iter() {
            match values {
                [one] => map.serialize_entry(name, one)?,
                all => map.serialize_entry(name, all)?,
            }
        }
        map.end()
    }
}

struct OfAttrs;

impl<'de> Visitor<'de> for OfAttrs {
    type Value = Attrs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attrs, A::Error> {
        let mut attrs = Attrs::with_capacity(16);
        while let Some((name, Values(values))) = map.next_entry()? {
            attrs.push_new(name, values);
        }
        Ok(attrs)
    }
}

impl<'de> Deserialize<'de> for Attrs {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(OfAttrs)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn attributes_come_back_as_they_were() {
        let text = |t: &str| Value::Text(t.to_owned());
        let mut attrs = Attrs::new();
        attrs.set("mail", vec![text("a@x")]);
        attrs.set("proxyAddresses", vec![text("SMTP:a@x"), text(r#"{"Json":1}"#)]);
        attrs.set("objectSid", vec![Value::Bytes(vec![0, 255])]);
        attrs.set("enabled", vec![Value::Json(json!(true))]);
        attrs.set("mixed", vec![Value::Json(json!({"Text": ["x"]})), text(""), Value::Json(json!([1]))]);
        attrs.set("one list", vec![Value::Json(json!(["a", "b"]))]);
        let kept = serde_json::to_string(&attrs).unwrap();
        assert!(kept.starts_with(r#"{"mail":"a@x","proxyAddresses":["SMTP:a@x","#), "{kept}");
        assert_eq!(serde_json::from_str::<Attrs>(&kept).unwrap(), attrs);
    }
}
