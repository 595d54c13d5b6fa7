//! The functions of the mapping language, one file per family. Names, arguments and results are Entra's
//! ("Reference for writing expressions for attribute mappings"); where Entra's own words leave a gap, null stays null.

mod convert;
mod logic;
mod multi;
mod replace;
mod text;

use super::attr::Context;
use super::expr::{Call, Node};
use super::value::{EvalError, MAX_RESULT, Val};
use std::borrow::Cow;

/// Evaluates one call.
pub(super) type Run = for<'a, 'c> fn(&Args<'a, 'c>) -> Result<Val<'a>, EvalError>;

/// One function.
#[derive(Debug)]
pub(super) struct Function {
    /// Name; case matters.
    pub name: &'static str,
    /// How it is called, for messages.
    pub usage: &'static str,
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// Arguments that must be whole numbers, with the least number allowed: checked before any entry is seen when they
    /// are written out.
    pub integers: &'static [(usize, i64)],
    /// The argument that is a regular expression; it must be written out and is compiled once.
    pub pattern: Option<usize>,
    /// What else can be wrong with the call as written.
    pub check: fn(&Call) -> Result<(), String>,
    /// Evaluates it.
    pub run: Run,
}

/// A function without special arguments.
const fn function(name: &'static str, usage: &'static str, min: usize, max: usize, run: Run) -> Function {
    Function { name, usage, min, max, integers: &[], pattern: None, check: fine, run }
}

fn fine(_: &Call) -> Result<(), String> {
    Ok(())
}

const FAMILIES: [&[Function]; 5] = [text::FUNCTIONS, replace::FUNCTIONS, logic::FUNCTIONS, multi::FUNCTIONS, convert::FUNCTIONS];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FAMILIES.into_iter().flatten().find(|f| f.name == name)
}

/// Names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.into_iter().flatten().map(|f| f.name)
}

/// The arguments of one call, evaluated when asked for.
pub(super) struct Args<'a, 'c> {
    /// The call.
    pub call: &'a Call,
    /// For what it is evaluated.
    pub context: &'c Context<'a>,
}

impl<'a> Args<'a, '_> {
    fn len(&self) -> usize {
        self.call.args.len()
    }

    /// Whether argument `i` was written at all.
    fn given(&self, i: usize) -> bool {
        given(self.call, i)
    }

    /// Argument `i`; one left out is null.
    fn value(&self, i: usize) -> Result<Val<'a>, EvalError> {
        self.call.args.get(i).map_or(Ok(Val::Null), |arg| arg.eval(self.context))
    }

    /// The first text of argument `i`.
    fn text(&self, i: usize) -> Result<Option<Cow<'a, str>>, EvalError> {
        Ok(self.value(i)?.into_first())
    }

    /// Argument `i` as a whole number; null is `None`.
    fn integer(&self, i: usize) -> Result<Option<i64>, EvalError> {
        let Some(text) = self.text(i)? else { return Ok(None) };
        let number = text.trim().parse().map_err(|_| EvalError(format!("`{text}` is not a whole number")))?;
        Ok(Some(number))
    }
}

/// Whether argument `i` of `call` was written at all.
fn given(call: &Call, i: usize) -> bool {
    call.args.get(i).is_some_and(|arg| *arg != Node::Empty)
}

/// Refuses a result of so many bytes if that is too many.
fn bounded(size: usize) -> Result<(), EvalError> {
    if size > MAX_RESULT {
        return Err(EvalError(format!("the result is longer than {MAX_RESULT} bytes")));
    }
    Ok(())
}

/// A text that refuses to grow beyond the limit of results.
#[derive(Default)]
struct Bounded(String);

impl Bounded {
    fn push(&mut self, text: &str) -> Result<(), EvalError> {
        bounded(self.0.len() + text.len())?;
        self.0.push_str(text);
        Ok(())
    }
}
