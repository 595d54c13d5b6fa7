//! The functions of the mapping language, one file per family. Names, arguments and results are Entra's
//! ("Reference for writing expressions for attribute mappings"), and a few of our own; where Entra's own words leave a
//! gap, null stays null. The examples of each function are its tests, and stand in docs/mapping-functions.md.

mod chance;
mod convert;
mod dates;
mod letters;
mod logic;
mod multi;
mod net_time;
mod own;
mod place;
mod reference;
mod replace;
mod roles;
mod text;
mod unique;

pub use reference::reference;
#[cfg(test)]
pub(super) use reference::{sample, shown};
pub(super) use roles::{ADDING, ASSERTING};
pub(super) use unique::{REDACT, UNIQUE};

use super::attr::Context;
use super::expr::{Call, Node};
use super::value::{EvalError, MAX_RESULT, Val};
use super::world::World;
use std::borrow::Cow;

/// Evaluates one call.
pub(super) type Run = for<'a, 'c> fn(&Args<'a, 'c>) -> Result<Val<'a>, EvalError>;

/// What is wrong, and what to write instead.
type Mistake = (String, Option<String>);

/// Words that stand for themselves, without quotes: how `InStr` compares.
pub(super) const CONSTANTS: [&str; 2] = ["vbTextCompare", "vbBinaryCompare"];

/// One function.
#[derive(Debug)]
pub(super) struct Function {
    /// Name; case matters.
    pub name: &'static str,
    /// How it is called, for messages.
    pub usage: &'static str,
    /// What it does, for the reference.
    pub about: &'static str,
    /// Expressions and their results on the sample entry, in the notation of [`reference::shown`].
    pub examples: &'static [(&'static str, &'static str)],
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// Arguments that must be whole numbers, with the least number allowed: checked before any entry is seen when they
    /// are written out.
    pub integers: &'static [(usize, i64)],
    /// The argument that is a regular expression; it must be written out and is compiled once.
    pub pattern: Option<usize>,
    /// It cannot be an argument of another function.
    pub top_level: bool,
    /// Its result depends on chance (here: on the source key).
    pub chance: bool,
    /// What else can be wrong with the call as written.
    pub check: fn(&Call) -> Result<(), String>,
    /// What can be wrong with it in this configuration.
    pub settled: fn(&Call, &World) -> Result<(), Mistake>,
    /// Evaluates it.
    pub run: Run,
}

/// A function without special arguments.
const fn function(name: &'static str, usage: &'static str, min: usize, max: usize, run: Run) -> Function {
    Function {
        name,
        usage,
        about: "",
        examples: &[],
        min,
        max,
        integers: &[],
        pattern: None,
        top_level: false,
        chance: false,
        check: fine,
        settled: |_, _| Ok(()),
        run,
    }
}

impl Function {
    /// What it does, with examples.
    const fn about(self, about: &'static str, examples: &'static [(&'static str, &'static str)]) -> Self {
        Self { about, examples, ..self }
    }
}

fn fine(_: &Call) -> Result<(), String> {
    Ok(())
}

/// Functions that stand under one heading in the reference, file by file.
type Family = (&'static str, &'static [&'static [Function]]);

const FAMILIES: [Family; 10] = [
    ("Text", &[text::FUNCTIONS]),
    ("Places in a text", &[place::FUNCTIONS]),
    ("Letters", &[letters::FUNCTIONS]),
    ("Replace", &[replace::FUNCTIONS]),
    ("Choices and conditions", &[logic::FUNCTIONS]),
    ("Several values", &[multi::FUNCTIONS]),
    ("Types and bits", &[convert::FUNCTIONS]),
    ("Dates", &[dates::FUNCTIONS]),
    ("Roles, unique values, chance", &[roles::FUNCTIONS, unique::FUNCTIONS, chance::FUNCTIONS]),
    ("Addresses and tables", &[own::FUNCTIONS]),
];

/// Every function, in the order of the reference.
pub(super) fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().flat_map(|(_, files)| files.iter()).flat_map(|file| file.iter())
}

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    all().find(|f| f.name == name)
}

/// Names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|f| f.name)
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

/// Argument `i` where it is a text as written.
fn literal(call: &Call, i: usize) -> Option<&str> {
    match call.args.get(i) {
        Some(Node::Text(text) | Node::Number(text)) => Some(text),
        _ => None,
    }
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
