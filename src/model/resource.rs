//! A resource in flat form: SCIM attribute path -> value.

use serde_json::{Number, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A resource as a map from canonical SCIM path to JSON value, sorted by path.
///
/// Paths are written as RFC 7644 section 3.5.2 writes them: `userName`, `name.givenName`,
/// `emails[type eq "work"].value`, `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
/// `members` never stands in a flat resource: memberships are changed by their own changes.
/// A `null` value means "clear this attribute".
pub type Flat = BTreeMap<String, Value>;

/// The texts by which a value is sought and compared, whatever type an application gives it: each of several, numbers as
/// their digits, true and false as words. What is made of parts has none.
#[must_use]
pub fn texts(value: &Value) -> Vec<Cow<'_, str>> {
    match value {
        Value::String(text) => vec![Cow::Borrowed(text.as_str())],
        Value::Number(number) => vec![Cow::Owned(digits(number))],
        Value::Bool(yes) => vec![Cow::Borrowed(if *yes { "true" } else { "false" })],
        Value::Array(several) => several.iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

/// A whole number is written alike whether it came as 417 or as 417.0.
fn digits(number: &Number) -> String {
    /// Up to here every whole number has a floating-point form of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(n) if number.is_f64() && n.fract() == 0.0 && n.abs() <= EXACT => format!("{n:.0}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_plain_value_has_texts() {
        for (value, expected) in [
            (json!("417"), vec!["417"]),
            (json!(417), vec!["417"]),
            (json!(417.0), vec!["417"]),
            (json!(0.5), vec!["0.5"]),
            (json!(true), vec!["true"]),
            (json!(["Jane", 7, null, ["J"]]), vec!["Jane", "7", "J"]),
            (json!({"value": "x"}), vec![]),
            (json!(null), vec![]),
        ] {
            assert_eq!(texts(&value), expected, "{value}");
        }
    }
}
