//! Scope: an RFC 7644 filter over source attributes.
//!
//! Text compares without case; a number compares as a number; text that is ordered (`gt` ...) compares as numbers where
//! both are some. Of several values one that matches is enough. A missing attribute makes every comparison false, `ne`
//! too; `eq null` asks whether it is missing.

use super::attr::{Context, SourceAttr};
use super::number::Number;
use super::value::Val;
use crate::scim::eval::{compare_text, holds, regex};
use crate::scim::filter::{Filter, Op};
use regex::Regex;
use serde_json::Value;

/// One comparison of a scope filter on one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// As written, with the `not` that it stands under.
    pub clause: String,
    /// The source attribute that is compared, as written; empty: it is about none.
    pub attribute: String,
    /// The entry's value; several joined by `, `; empty: none.
    pub value: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Whether an entry is in scope, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeResult {
    /// In scope as far as attributes say.
    pub in_scope: bool,
    /// Every comparison of the filter, in order; none where there is no filter.
    pub clauses: Vec<Clause>,
}

/// A compiled filter.
#[derive(Debug)]
pub(super) struct Scope {
    root: Node,
    printed: String,
}

#[derive(Debug)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Test(Test),
}

#[derive(Debug)]
struct Test {
    attr: SourceAttr,
    what: What,
    printed: String,
}

#[derive(Debug)]
enum What {
    Present,
    Missing,
    Matches(Regex),
    /// Text in lower case already.
    Text(Op, String),
    Number(Op, Number),
}

impl Scope {
    /// Compiles a filter as written.
    ///
    /// # Errors
    /// What is wrong with it, in words; and at which byte, where that is known.
    pub(super) fn compile(text: &str) -> Result<Self, (String, Option<usize>)> {
        let filter: Filter = text.parse().map_err(|e: crate::scim::ParseError| (e.to_string(), Some(e.offset)))?;
        Ok(Self { printed: filter.to_string(), root: node(&filter).map_err(|message| (message, None))? })
    }

    /// The filter in its canonical print.
    pub(super) fn print(&self) -> &str {
        &self.printed
    }

    /// Whether the filter holds.
    pub(super) fn holds(&self, context: &Context<'_>) -> bool {
        eval(&self.root, context)
    }

    /// Every comparison with the entry's value; one under `not` is shown with it, and holds where the comparison does not.
    pub(super) fn explain(&self, context: &Context<'_>) -> Vec<Clause> {
        self.tests()
            .into_iter()
            .map(|(test, negated)| {
                let value = test.attr.read(context);
                let holds = test.holds(&value) != negated;
                let clause = if negated { format!("not ({})", test.printed) } else { test.printed.clone() };
                Clause { clause, attribute: test.attr.written().to_owned(), value: value.into_all().join(", "), holds }
            })
            .collect()
    }

    /// Every attribute that the filter reads.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &SourceAttr> {
        self.tests().into_iter().map(|(test, _)| &test.attr)
    }

    /// The comparisons, in order, and whether each is negated as it stands: a `not` around several is one around each.
    fn tests(&self) -> Vec<(&Test, bool)> {
        fn collect<'a>(node: &'a Node, negated: bool, found: &mut Vec<(&'a Test, bool)>) {
            match node {
                Node::And(a, b) | Node::Or(a, b) => {
                    collect(a, negated, found);
                    collect(b, negated, found);
                }
                Node::Not(inner) => collect(inner, !negated, found),
                Node::Test(test) => found.push((test, negated)),
            }
        }
        let mut found = Vec::new();
        collect(&self.root, false, &mut found);
        found
    }
}

fn eval(node: &Node, context: &Context<'_>) -> bool {
    match node {
        Node::And(a, b) => eval(a, context) && eval(b, context),
        Node::Or(a, b) => eval(a, context) || eval(b, context),
        Node::Not(inner) => !eval(inner, context),
        Node::Test(test) => test.holds(&test.attr.read(context)),
    }
}

impl Test {
    fn holds(&self, value: &Val<'_>) -> bool {
        match value {
            Val::Null => matches!(self.what, What::Missing),
            Val::One(text) => self.what.holds(text),
            Val::Many(texts) => texts.iter().any(|text| self.what.holds(text)),
        }
    }
}

impl What {
    /// Whether it holds for a value that is there.
    fn holds(&self, actual: &str) -> bool {
        match self {
            Self::Present => true,
            Self::Missing => false,
            Self::Matches(regex) => regex.is_match(actual),
            Self::Text(op, expected) => {
                if matches!(op, Op::Gt | Op::Ge | Op::Lt | Op::Le)
                    && let Some(order) = Number::read(actual).zip(Number::read(expected)).and_then(|(a, b)| a.order(b))
                {
                    return holds(*op, order);
                }
                compare_text(actual, *op, expected, false)
            }
            Self::Number(op, expected) => match Number::read(actual).and_then(|n| n.order(*expected)) {
                Some(order) => holds(*op, order),
                None => *op == Op::Ne,
            },
        }
    }
}

fn node(filter: &Filter) -> Result<Node, String> {
    let test = |path: &crate::scim::path::AttrPath, what| {
        if path.urn.is_some() {
            return Err(format!("{path} is a SCIM path: a scope filter names attributes of the source"));
        }
        Ok(Node::Test(Test { attr: SourceAttr::new(&path.to_string()), what, printed: filter.to_string() }))
    };
    match filter {
        Filter::And(a, b) => Ok(Node::And(Box::new(node(a)?), Box::new(node(b)?))),
        Filter::Or(a, b) => Ok(Node::Or(Box::new(node(a)?), Box::new(node(b)?))),
        Filter::Not(inner) => Ok(Node::Not(Box::new(node(inner)?))),
        Filter::Present(path) => test(path, What::Present),
        Filter::Complex(path, _) => Err(format!("{path}[...]: attributes of the source have no parts")),
        Filter::Compare(path, op, value) => test(path, what(*op, value)?),
    }
}

fn what(op: Op, value: &Value) -> Result<What, String> {
    Ok(match (op, value) {
        (Op::Eq, Value::Null) => What::Missing,
        (Op::Ne, Value::Null) => What::Present,
        (op, Value::Null) => return Err(format!("`{} null` never holds: use `eq null` or `pr`", op.as_str())),
        (Op::Gt | Op::Ge | Op::Lt | Op::Le, Value::Bool(_)) => {
            return Err(format!("`{} {value}`: true and false have no order (RFC 7644 section 3.4.2.2); use `eq`", op.as_str()));
        }
        (Op::Matches, Value::String(pattern)) => What::Matches(regex(pattern).map_err(|e| e.to_string())?),
        (Op::Co | Op::Sw | Op::Ew, Value::Number(n)) => What::Text(op, n.to_string()),
        (op, Value::Number(n)) => match Number::read(&n.to_string()) {
            Some(number) => What::Number(op, number),
            None => What::Text(op, n.to_string()),
        },
        (op, Value::String(text)) => What::Text(op, text.to_lowercase()),
        (op, other) => What::Text(op, other.to_string()),
    })
}
