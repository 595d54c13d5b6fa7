//! The mapping language: what an expression is, how it is printed and evaluated.

use super::attr::{Context, SourceAttr};
use super::functions::{Args, Function};
use super::number::Number;
use super::value::{EvalError, MAX_RESULT, Val};
use regex::Regex;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A parsed expression: `FromStr` reads it, `Display` writes it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr(pub(super) Node);

/// One node of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// `[attribute]`
    Attr(SourceAttr),
    /// `"text"`
    Text(String),
    /// A number, or a constant such as `vbTextCompare`.
    Number(String),
    /// An argument left out: null.
    Empty,
    /// `a = b`: the condition of IIF and CBool.
    Compare(Box<Node>, Cmp, Box<Node>),
    /// `Function(...)`
    Call(Call),
}

/// A function with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub function: &'static Function,
    pub args: Vec<Node>,
    /// The regular expression argument, compiled once.
    pub regex: Option<Regex>,
    /// Which one of the calls of this expression that depend on chance; 0 where it does not.
    pub chance: u32,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name && self.args == other.args && self.chance == other.chance
    }
}

/// Operators of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cmp {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Cmp {
    /// Operators with their signs; the longer first, so that `<=` is not read as `<`.
    pub(super) const ALL: [(&'static str, Self); 6] =
        [("<>", Self::Ne), (">=", Self::Ge), ("<=", Self::Le), ("=", Self::Eq), (">", Self::Gt), ("<", Self::Lt)];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("=", |(sign, _)| sign)
    }

    /// Whether it asks for no more than whether two values are the same.
    fn is_equality(self) -> bool {
        matches!(self, Self::Eq | Self::Ne)
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
        }
    }
}

impl Node {
    /// Evaluates for one entry.
    pub(super) fn eval<'a>(&'a self, context: &Context<'a>) -> Result<Val<'a>, EvalError> {
        match self {
            Self::Attr(attr) => Ok(attr.mapped(context)),
            Self::Text(text) | Self::Number(text) => Ok(Val::text(text.as_str())),
            Self::Empty => Ok(Val::Null),
            Self::Compare(left, op, right) => {
                // Whether two texts are equal is a matter of texts: cost centre "007" is not "7".
                let as_numbers = [left, right].iter().any(|side| side.is_number());
                let as_texts = op.is_equality() && !as_numbers;
                let (left, right) = (left.eval(context)?.into_first(), right.eval(context)?.into_first());
                // A condition on no value does not hold, whatever the operator (as in Entra).
                let holds = |(a, b): (Cow<'_, str>, Cow<'_, str>)| match numbers(&a, &b).filter(|_| !as_texts) {
                    Some(order) => op.holds(order),
                    // Beside a number that is written out, what is none differs from it and has no order (as in a scope).
                    None if as_numbers => op == &Cmp::Ne,
                    None => op.holds(a.cmp(&b)),
                };
                Ok(Val::truth(left.zip(right).is_some_and(holds)))
            }
            Self::Call(call) => {
                let found = (call.function.run)(&Args { call, context })
                    .map_err(|EvalError(message)| EvalError(format!("{}: {message}", call.function.name)))?;
                context.spend(found.size().saturating_add(1))?;
                if found.size() > MAX_RESULT {
                    return Err(EvalError(format!("{}: the result is longer than {MAX_RESULT} bytes", call.function.name)));
                }
                Ok(found)
            }
        }
    }

    /// Every call in the expression, the outer before the inner.
    pub(super) fn calls<'a>(&'a self, found: &mut Vec<&'a Call>) {
        match self {
            Self::Attr(_) | Self::Text(_) | Self::Number(_) | Self::Empty => {}
            Self::Compare(left, _, right) => {
                left.calls(found);
                right.calls(found);
            }
            Self::Call(call) => {
                found.push(call);
                call.args.iter().for_each(|arg| arg.calls(found));
            }
        }
    }

    /// Whether it is a number that is written out; a constant such as `vbTextCompare` is none.
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(text) if Number::read(text).is_some())
    }

    /// The call at the top, if it is one of these functions.
    pub(super) fn top(&self, names: &[&str]) -> Option<&Call> {
        match self {
            Self::Call(call) if names.contains(&call.function.name) => Some(call),
            _ => None,
        }
    }

    /// Every attribute in the expression, in order.
    pub(super) fn attributes<'a>(&'a self, found: &mut Vec<&'a SourceAttr>) {
        match self {
            Self::Attr(attr) => found.push(attr),
            Self::Text(_) | Self::Number(_) | Self::Empty => {}
            Self::Compare(left, _, right) => {
                left.attributes(found);
                right.attributes(found);
            }
            Self::Call(call) => call.args.iter().for_each(|arg| arg.attributes(found)),
        }
    }
}

/// How two texts order as numbers, where both are some.
fn numbers(a: &str, b: &str) -> Option<Ordering> {
    Number::read(a).zip(Number::read(b)).and_then(|(a, b)| a.order(b))
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attr(attr) => write!(f, "[{}]", attr.written()),
            Self::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Number(number) => f.write_str(number),
            Self::Empty => Ok(()),
            Self::Compare(left, op, right) => write!(f, "{left} {} {right}", op.sign()),
            Self::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (i, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
