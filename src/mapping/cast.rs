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
    fn read(self, text: &str) -> Result<Value, &'static str> {
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

impl Desired {
    /// The same with every text in the type that its path has.
    ///
    /// # Errors
    /// A value is not of that type; the rest goes on.
    pub fn typed(mut self, type_of: &dyn Fn(&str) -> Option<Type>) -> Result<Self, Unmapped> {
        let mut mistake = None;
        let mut gone = Vec::new();
        for (path, value) in &mut self.attrs {
            let (Value::String(text), Some(kind)) = (&*value, type_of(path)) else { continue };
            match kind.read(text) {
                Ok(typed) => *value = typed,
                Err(what) => {
                    let reason = format!("{path}: `{text}` is {what}, and the application wants one");
                    mistake.get_or_insert((reason, path.clone()));
                    gone.push(path.clone());
                }
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
