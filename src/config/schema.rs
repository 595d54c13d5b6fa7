//! JSON Schema (2020-12) of the configuration file, from the same tables that drive the reader. For editors.

use super::spec::{Key, Kind, Table};
use super::tables::{ROOT, ROW, SECRET};
use serde_json::{Map, Value, json};

/// The schema of the whole file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(&ROOT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("scim-sync configuration");
    let mut secret = table(&SECRET);
    secret["oneOf"] = json!([{"required": ["credential"]}, {"required": ["file"]}, {"required": ["env"]}]);
    schema["$defs"] = json!({
        "secret": {"anyOf": [secret, {"type": "string", "minLength": 1, "description": "Only with allow_plaintext_secrets = true."}]},
        "row": {"anyOf": [{"type": "string"}, table(&ROW)]},
    });
    schema
}

fn table(spec: &Table) -> Value {
    let properties: Map<String, Value> = spec.all().map(|k| (k.name.to_owned(), property(k))).collect();
    let required: Vec<&str> = spec.all().filter(|k| k.required).map(|k| k.name).collect();
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = kind(&key.kind);
    schema["description"] = json!(key.doc);
    if let Some(default) = default(key.default) {
        schema["default"] = default;
    }
    schema
}

/// A default as JSON: TOML's texts, numbers, booleans and arrays of texts are written alike.
fn default(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn kind(kind: &Kind) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    match kind {
        Kind::AnyText => json!({"type": "string"}),
        Kind::Text | Kind::Path | Kind::Input | Kind::Zone | Kind::LdapFilter => json!({"type": "string", "minLength": 1}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Integer(min, max) if min == max => json!({"const": min}),
        Kind::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Duration => text(r"^\s*(0|(\d+(ms|[smhdw])\s*)+)\s*$"),
        Kind::Url(schemes) => text(&format!("^\\s*({})://", schemes.join("|"))),
        Kind::Listen => text(r"^.+:\d{1,5}$"),
        Kind::Cron => text(r"^\s*(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|\S+(\s+\S+){4})\s*$"),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Limit => json!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"const": "unlimited"},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%$"},
        ]}),
        Kind::Rate => text(r"^\s*\d+\s*/\s*(s|sec|second|m|min|minute|h|hour)\s*$"),
        Kind::Secret => json!({"$ref": "#/$defs/secret"}),
        Kind::SecretFile => json!({"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/secret"}]}),
        Kind::List(item) => json!({"type": "array", "items": self::kind(item)}),
        Kind::OneOrMore(item) => {
            json!({"anyOf": [self::kind(item), {"type": "array", "items": self::kind(item), "minItems": 1}]})
        }
        Kind::Table(spec) => table(spec),
        Kind::Tables(spec) => json!({"type": "array", "items": table(spec)}),
        Kind::Named(spec) => json!({"type": "object", "additionalProperties": table(spec)}),
        Kind::Typed(variants) => {
            let one_of: Vec<Value> = variants
                .iter()
                .map(|(name, spec)| {
                    let mut schema = table(spec);
                    schema["properties"]["type"]["enum"] = json!([name]);
                    schema
                })
                .collect();
            json!({"type": "object", "additionalProperties": {"oneOf": one_of}})
        }
        Kind::Pairs => json!({"type": "object", "additionalProperties": {"type": "string", "minLength": 3}}),
        Kind::Names => json!({"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}),
        Kind::Rows => json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/row"}}),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::schema;
    use serde_json::Value;

    /// Every object in the schema that says what a table is names only keys with a meaning.
    #[test]
    fn every_key_has_a_meaning() {
        fn walk(value: &Value, seen: &mut usize) {
            if let Some(properties) = value.get("properties").and_then(Value::as_object) {
                for (name, property) in properties {
                    assert!(property["description"].as_str().is_some_and(|d| d.ends_with('.')), "{name}");
                    *seen += 1;
                }
            }
            match value {
                Value::Object(map) => map.values().for_each(|v| walk(v, seen)),
                Value::Array(list) => list.iter().for_each(|v| walk(v, seen)),
                _ => {}
            }
        }
        let mut seen = 0;
        walk(&schema(), &mut seen);
        assert!(seen > 100, "{seen}");
    }

    #[test]
    fn defaults_and_choices_are_there() {
        let schema = schema();
        let sync = &schema["properties"]["sync"]["items"]["properties"];
        assert_eq!(sync["guard"]["properties"]["deactivate"]["default"], "5%");
        assert_eq!(sync["guard"]["properties"]["recreate"]["default"], 0);
        assert_eq!(sync["match"]["properties"]["groups"]["default"][1], "displayName");
        let sources = schema["properties"]["source"]["additionalProperties"]["oneOf"].as_array().unwrap();
        assert_eq!(sources.len(), 4);
        assert_eq!(sources[0]["properties"]["type"]["enum"][0], "ldap");
        assert_eq!(schema["$defs"]["row"]["anyOf"][1]["required"][0], "expr");
    }
}
