//! Filters (RFC 7644 section 3.4.2.2).

use super::path::AttrPath;

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

/// A filter expression.
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
