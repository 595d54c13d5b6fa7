//! Values in the types that the application's schema asks for: an expression gives text.

use super::desired::{Desired, Unmapped};
use super::schema::boolean;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// A type of RFC 7643 section 2.3 that JSON does not write as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Decimal,
}

impl Type {
    /// The type of this name in a schema (RFC 7643 section 7); `None`: text, or made of parts.
    #[must_use]
    pub fn of_schema(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "boolean" => Some(Self::Boolean),
            "integer" => Some(Self::Integer),
            "decimal" => Some(Self::Decimal),
            _ => None,
        }
    }

    /// A text in this type, or what it is not.
    pub(crate) fn read(self, text: &str) -> Result<Value, &'static str> {
        let text = text.trim();
        match self {
            Self::Boolean => boolean(text).map(Value::Bool).ok_or("neither True nor False"),
            Self::Integer => text.parse::<i64>().map(Value::from).map_err(|_| "no whole number"),
            Self::Decimal => match text.parse::<i64>() {
                Ok(whole) => Ok(Value::from(whole)),
                Err(_) => text.parse().ok().and_then(Number::from_f64).map(Value::Number).ok_or("no number"),
            },
        }
    }
}

/// How the application's schema describes an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Its type; `None`: text, or not known.
    pub kind: Option<Type>,
    /// It holds several plain values.
    pub many: bool,
}

impl Desired {
    /// The same with every value in the shape that its path has: texts in their types, several values as a list.
    ///
    /// # Errors
    /// A value is not of that type; the rest goes on.
    pub fn typed(mut self, shape_of: &dyn Fn(&str) -> Shape) -> Result<Self, Unmapped> {
        let mut mistake = None;
        let mut gone = Vec::new();
        for (path, value) in &mut self.attrs {
            let Value::String(text) = &*value else { continue };
            let shape = shape_of(path);
            if shape.kind.is_none() && !shape.many {
                continue;
            }
            let one = std::slice::from_ref(text);
            let texts = self.lists.get(path).filter(|_| shape.many).map_or(one, Vec::as_slice);
            let mut all: Vec<Value> = Vec::with_capacity(texts.len());
            for text in texts {
                match shape.kind.map_or_else(|| Ok(Value::from(text.as_str())), |kind| kind.read(text)) {
                    Ok(typed) if all.contains(&typed) => {}
                    Ok(typed) => all.push(typed),
                    Err(what) => {
                        let reason = format!("{path}: `{text}` is {what}, and the application wants one");
                        mistake.get_or_insert((reason, path.clone()));
                        gone.push(path.clone());
                    }
                }
            }
            match (shape.many, all.pop()) {
                (true, last) => *value = Value::Array(all.into_iter().chain(last).collect()),
                (false, Some(typed)) => *value = typed,
                (false, None) => {}
            }
        }
        for path in gone {
            self.attrs.remove(&path);
        }
        match mistake {
            None => Ok(self),
            Some((reason, path)) => {
                let advice = format!("correct the value at the source, or the rule of {path}");
                Err(Unmapped { reason, advice, rest: Box::new(self) })
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn several_values_become_a_list_where_the_application_keeps_one() {
        let desired = Desired {
            attrs: [("tags", "x"), ("nums", "1"), ("title", "a"), ("one", "7")]
                .map(|(path, text)| (path.to_owned(), Value::from(text)))
                .into(),
            lists: [("tags", ["x", "y", "x"]), ("nums", ["1", "2", "02"]), ("title", ["a", "b", "c"])]
                .map(|(path, texts)| (path.to_owned(), texts.map(str::to_owned).to_vec()))
                .into(),
            ..Desired::default()
        };
        let shape_of =
            |path: &str| Shape { kind: ["nums", "one"].contains(&path).then_some(Type::Integer), many: path != "title" };
        let typed = desired.clone().typed(&shape_of).unwrap();
        let attrs = [("tags", json!(["x", "y"])), ("nums", json!([1, 2])), ("title", json!("a")), ("one", json!([7]))];
        assert_eq!(typed.attrs, attrs.map(|(path, value)| (path.to_owned(), value)).into());
        let mut wrong = desired;
        wrong.lists.insert("nums".to_owned(), vec!["1".to_owned(), "two".to_owned()]);
        let unmapped = wrong.typed(&shape_of).unwrap_err();
        assert!(unmapped.reason.contains("`two` is no whole number"), "{}", unmapped.reason);
        assert!(!unmapped.rest.attrs.contains_key("nums") && unmapped.rest.attrs.contains_key("tags"));
    }
}
