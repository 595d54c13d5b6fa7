//! How a PATCH is written down: the same operations, spelt as the dialect says.

use super::dialect::{Booleans, Dialect};
use super::error::TargetError;
use super::patch::Op;
use crate::scim;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A PATCH body (RFC 7644 section 3.5.2).
#[derive(Serialize)]
struct Body<'a> {
    schemas: [&'static str; 1],
    #[serde(rename = "Operations")]
    operations: &'a [Op],
}

/// How operations, true and false are spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spelling {
    pub booleans: Booleans,
    pub op_capital: bool,
}

impl Spelling {
    /// As the dialect says.
    pub fn of(dialect: &Dialect) -> Self {
        Self { booleans: dialect.booleans, op_capital: dialect.op_capital }
    }
}

/// The search for the spelling that a target takes, where none was seen to work there: what worked before is right, and the
/// value is wrong.
pub(super) struct Trial {
    begun: Spelling,
    /// What is to be sent.
    pub now: Spelling,
    /// Spellings of true and false not tried yet.
    booleans: Vec<Booleans>,
    op_open: bool,
}

impl Trial {
    /// `op_open`, `booleans_open`: whether the fault may lie there.
    pub fn new(begun: Spelling, op_open: bool, booleans_open: bool) -> Self {
        let others = [Booleans::Text, Booleans::Capital, Booleans::Json].into_iter().filter(|b| *b != begun.booleans);
        Self { begun, now: begun, booleans: if booleans_open { others.collect() } else { Vec::new() }, op_open }
    }

    /// Whether the refusal may be about the spelling, and another one is left to be tried.
    pub fn goes_on(&mut self, refused: &TargetError) -> bool {
        let about_syntax = refused.says("invalidSyntax") || refused.scim_type.is_none();
        // What an application is known to mean by it is no matter of spelling.
        if refused.status != Some(400) || refused.known.is_some() || !(about_syntax || refused.says("invalidValue")) {
            return false;
        }
        if about_syntax && std::mem::take(&mut self.op_open) {
            self.now.op_capital = !self.now.op_capital;
            return true;
        }
        if about_syntax {
            // The operation was no better in the other case.
            self.now.op_capital = self.begun.op_capital;
        }
        self.op_open = false;
        self.booleans.pop().map(|b| self.now.booleans = b).is_some()
    }

    /// What was found, where it is not what was known.
    pub fn found(&self) -> Option<Spelling> {
        Some(self.now).filter(|now| *now != self.begun)
    }
}

/// The body that carries `operations`.
pub(super) fn message(operations: &[Op], spelling: Spelling) -> Result<Vec<u8>, serde_json::Error> {
    let usual = spelling.booleans == Booleans::Json && !spelling.op_capital;
    let operations: Cow<'_, [Op]> =
        if usual { operations.into() } else { operations.iter().map(|op| spelt(op, spelling)).collect::<Vec<_>>().into() };
    serde_json::to_vec(&Body { schemas: [scim::PATCH_OP], operations: &operations })
}

fn spelt(op: &Op, spelling: Spelling) -> Op {
    let mut op = op.clone();
    if spelling.op_capital {
        op.op = match op.op {
            "add" => "Add",
            "remove" => "Remove",
            "replace" => "Replace",
            other => other,
        };
    }
    op.value = op.value.map(|v| truth(v, spelling.booleans));
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
        let body: Value = serde_json::from_slice(&message(&ops, Spelling::of(dialect)).unwrap()).unwrap();
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

    /// What a preset knows an application to mean is no matter of spelling, in whatever status it comes.
    #[test]
    fn a_known_refusal_is_not_tried_in_other_spellings() {
        let mews = crate::target::presets::find("mews").unwrap();
        let plain = TargetError { status: Some(400), ..TargetError::new("app", crate::model::Fault::Invalid, "no") };
        let known = TargetError { known: mews.refusals.first(), ..plain.clone() };
        let trial = || Trial::new(Spelling::of(&Dialect::default()), true, true);
        assert!(trial().goes_on(&plain) && !trial().goes_on(&known));
    }
}
