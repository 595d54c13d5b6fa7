//! Filters (RFC 7644 section 3.4.2.2).
//!
//! `Filter::from_str` reads, `Display` writes back what reads to the same filter, [`super::eval`] evaluates.

use super::parse::{self, ParseError};
use super::path::AttrPath;
use std::fmt;
use std::str::FromStr;

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// equal
    Eq,
    /// not equal
    Ne,
    /// contains
    Co,
    /// starts with
    Sw,
    /// ends with
    Ew,
    /// greater than
    Gt,
    /// greater than or equal
    Ge,
    /// less than
    Lt,
    /// less than or equal
    Le,
    /// matches a regular expression: our extension, in scope filters only
    Matches,
}

impl Op {
    /// The operator as written in a filter, lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Matches => "matches",
        }
    }

    /// The operator of this name; case does not matter.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        const ALL: [Op; 10] = [Op::Eq, Op::Ne, Op::Co, Op::Sw, Op::Ew, Op::Gt, Op::Ge, Op::Lt, Op::Le, Op::Matches];
        ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(name))
    }
}

/// A filter expression.
///
/// A parsed filter nests at most [`super::MAX_DEPTH`] parentheses deep and has at most [`super::MAX_TERMS`] terms, so that
/// walking it recursively is safe.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Both hold.
    And(Box<Filter>, Box<Filter>),
    /// Either holds.
    Or(Box<Filter>, Box<Filter>),
    /// Does not hold.
    Not(Box<Filter>),
    /// `attr op value`.
    Compare(AttrPath, Op, serde_json::Value),
    /// `attr pr`.
    Present(AttrPath),
    /// `attr[filter]`: one value of the attribute fulfils the whole inner filter.
    Complex(AttrPath, Box<Filter>),
}

impl Filter {
    /// Every attribute path in the filter, in order; inside `attr[...]` the inner paths as they stand there.
    #[must_use]
    pub fn paths(&self) -> Vec<&AttrPath> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a AttrPath>) {
        match self {
            Self::And(a, b) | Self::Or(a, b) => {
                a.collect(found);
                b.collect(found);
            }
            Self::Not(inner) => inner.collect(found),
            Self::Compare(path, ..) | Self::Present(path) => found.push(path),
            Self::Complex(path, inner) => {
                found.push(path);
                inner.collect(found);
            }
        }
    }

    /// Binding strength for printing: `or` binds weakest.
    fn strength(&self) -> u8 {
        match self {
            Self::Or(..) => 0,
            Self::And(..) => 1,
            _ => 2,
        }
    }

    /// Prints with parentheses where `self` binds weaker than its place demands.
    fn print(&self, f: &mut fmt::Formatter<'_>, at_least: u8) -> fmt::Result {
        if self.strength() < at_least { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        parse::filter(s)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // `and` and `or` group to the left, so a chain needs no parentheses on its left side only.
            Self::Or(a, b) => {
                a.print(f, 0)?;
                f.write_str(" or ")?;
                b.print(f, 1)
            }
            Self::And(a, b) => {
                a.print(f, 1)?;
                f.write_str(" and ")?;
                b.print(f, 2)
            }
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Compare(path, op, value) => write!(f, "{path} {} {value}", op.as_str()),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Complex(path, inner) => write!(f, "{path}[{inner}]"),
        }
    }
}
