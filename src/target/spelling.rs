//! How a PATCH is written down: the same operations, spelt as the dialect says.

use super::dialect::{Booleans, Dialect};
use super::patch::Op;
use crate::scim;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// A PATCH body (RFC 7644 section 3.5.2).
#[derive(Serialize)]
struct Body<'a> {
    schemas: [&'static str; 1],
    #[serde(rename = "Operations")]
    operations: &'a [Op],
}

/// The body that carries `operations`.
pub(super) fn message(operations: &[Op], dialect: &Dialect) -> Result<Vec<u8>, serde_json::Error> {
    let usual = dialect.booleans == Booleans::Json && !dialect.op_capital;
    let operations: Cow<'_, [Op]> =
        if usual { operations.into() } else { operations.iter().map(|op| spelt(op, dialect)).collect::<Vec<_>>().into() };
    serde_json::to_vec(&Body { schemas: [scim::PATCH_OP], operations: &operations })
}

fn spelt(op: &Op, dialect: &Dialect) -> Op {
    let mut op = op.clone();
    if dialect.op_capital {
        op.op = match op.op {
            "add" => "Add",
            "remove" => "Remove",
            "replace" => "Replace",
            other => other,
        };
    }
    op.value = op.value.map(|v| truth(v, dialect.booleans));
    op
}

/// Booleans as texts, where they are the value or stand in an object without a path.
fn truth(value: Value, form: Booleans) -> Value {
    match (value, form) {
        (Value::Bool(b), Booleans::Capital) => Value::from(if b { "True" } else { "False" }),
        (Value::Bool(b), Booleans::Text) => Value::from(if b { "true" } else { "false" }),
        (Value::Object(o), _) => Value::Object(o.into_iter().map(|(k, v)| (k, truth(v, form))).collect()),
        (other, _) => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Flat;
    use crate::target::patch::{self, Form};
    use serde_json::json;

    fn sent(dialect: &Dialect, form: Form) -> Value {
        let to = Flat::from([("active".to_owned(), json!(false))]);
        let ops = patch::operations(&Flat::new(), &to, |_| form, None).unwrap();
        let body: Value = serde_json::from_slice(&message(&ops, dialect).unwrap()).unwrap();
        body["Operations"].clone()
    }

    #[test]
    fn each_dialect_has_its_spelling() {
        let usual = Dialect::default();
        assert_eq!(sent(&usual, Form::Path), json!([{"op": "replace", "path": "active", "value": false}]));
        let entra = Dialect { booleans: Booleans::Capital, op_capital: true, ..Dialect::default() };
        assert_eq!(sent(&entra, Form::Path), json!([{"op": "Replace", "path": "active", "value": "False"}]));
        assert_eq!(sent(&entra, Form::Whole), json!([{"op": "Replace", "value": {"active": "False"}}]));
        let text = Dialect { booleans: Booleans::Text, ..Dialect::default() };
        assert_eq!(sent(&text, Form::Path), json!([{"op": "replace", "path": "active", "value": "false"}]));
    }
}
