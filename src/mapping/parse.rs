//! Reads expressions: `Function(arg, arg)`, `[attribute]`, `"text"`, numbers; arguments may be left empty.

use super::attr::SourceAttr;
use super::expr::{Call, Cmp, Expr, Node};
use super::functions;
use super::spec::nearest;
use crate::scim::ParseError;
use regex::RegexBuilder;
use std::str::FromStr;

/// Longest expression, characters (Entra's own limit).
const MAX_LENGTH: usize = 10_000;
/// Deepest nesting of calls.
const MAX_DEPTH: usize = 50;
/// Longest attribute name, bytes.
const MAX_NAME: usize = 256;

type Result<T> = std::result::Result<T, ParseError>;

impl FromStr for Expr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self> {
        if text.chars().nth(MAX_LENGTH).is_some() {
            return Err(ParseError { message: format!("longer than {MAX_LENGTH} characters"), offset: MAX_LENGTH, hint: None });
        }
        let mut parser = Parser { text, at: 0, depth: 0, chance: 0 };
        parser.space();
        let node = parser.expression()?;
        parser.space();
        if !parser.rest().is_empty() {
            return parser.expected("the end of the expression");
        }
        if let Node::Compare(..) = &node {
            let mut calls = Vec::new();
            node.calls(&mut calls);
            if let Some(call) = calls.iter().find(|call| call.function.top_level) {
                return error(0, format!("{} must stand alone", call.function.name));
            }
        }
        Ok(Self(node))
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Calls so far that depend on chance.
    chance: u32,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let hit = self.rest().starts_with(token);
        if hit {
            self.at += token.len();
        }
        hit
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        let found: String = self.rest().chars().take(20).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
        error(self.at, format!("expected {what}, found {found}"))
    }

    /// An operand, or a condition of two.
    fn expression(&mut self) -> Result<Node> {
        let left = self.operand()?;
        let end = self.at;
        self.space();
        for (sign, op) in Cmp::ALL {
            if self.eat(sign) {
                self.space();
                let right = self.operand()?;
                return Ok(Node::Compare(Box::new(left), op, Box::new(right)));
            }
        }
        self.at = end;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node> {
        match self.rest().chars().next() {
            Some('[') => self.attribute(),
            Some('"') => self.string(),
            Some('&') => self.hexadecimal(),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.call(),
            _ => self.expected("a function, an [attribute], a \"text\" or a number"),
        }
    }

    fn attribute(&mut self) -> Result<Node> {
        let start = self.at;
        let Some(end) = self.rest().find(']') else {
            return error(start, "this `[` has no closing `]`");
        };
        let name = self.take(end + 1).get(1..end).unwrap_or_default().trim();
        if name.is_empty() || name.len() > MAX_NAME || name.contains(['[', '"', '(', ')', ',', '=', '<', '>']) {
            return error(start, format!("`[{name}]` is not an attribute name"));
        }
        Ok(Node::Attr(SourceAttr::new(name)))
    }

    /// `\"` and `\\` are escapes; a backslash before anything else stands for itself, so that `"\d+"` is a pattern.
    fn string(&mut self) -> Result<Node> {
        let start = self.at;
        let rest = self.rest();
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(Node::Text(text));
                }
                '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, escaped)) => text.push(escaped),
                    None => text.push('\\'),
                },
                c => text.push(c),
            }
        }
        error(start, "this text has no closing double quote")
    }

    /// `&HF7`, as Visual Basic writes it; kept in decimal.
    fn hexadecimal(&mut self) -> Result<Node> {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '&')).unwrap_or(rest.len());
        let number = self.take(end);
        let digits = number.strip_prefix("&H").or_else(|| number.strip_prefix("&h")).unwrap_or_default();
        match i64::from_str_radix(digits, 16) {
            Ok(value) if !digits.starts_with(['+', '-']) => Ok(Node::Number(value.to_string())),
            _ => error(start, format!("`{number}` is not a hexadecimal number such as &HF7")),
        }
    }

    fn number(&mut self) -> Result<Node> {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(rest.len());
        let number = self.take(end);
        let digits = number.strip_prefix('-').unwrap_or(number);
        let is_number =
            digits.split('.').count() <= 2 && digits.split('.').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
        if is_number { Ok(Node::Number(number.to_owned())) } else { error(start, format!("`{number}` is not a number")) }
    }

    fn call(&mut self) -> Result<Node> {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = self.take(end);
        self.space();
        if !self.eat("(") {
            if functions::CONSTANTS.contains(&name) {
                self.at = start + name.len();
                return Ok(Node::Number(name.to_owned()));
            }
            let hint = format!("write [{name}] for the attribute, \"{name}\" for the text");
            return hinted(start, format!("`{name}` is neither a call nor a value"), Some(hint));
        }
        let Some(function) = functions::find(name) else {
            let lower = name.to_lowercase();
            let hint = nearest(name, functions::names())
                .or_else(|| functions::names().find(|n| lower.len() > 2 && n.to_lowercase().contains(&lower)))
                .map(|n| format!("is {n} meant?"));
            return hinted(start, format!("function {name} is not available"), hint);
        };
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return error(start, format!("nested more than {MAX_DEPTH} deep"));
        }
        let args = self.arguments()?;
        self.depth -= 1;
        if function.chance {
            self.chance += 1;
        }
        let chance = if function.chance { self.chance } else { 0 };
        let mut call = Call { function, args, regex: None, chance };
        if let Err((message, hint)) = check(&mut call) {
            return hinted(start, message, hint);
        }
        Ok(Node::Call(call))
    }

    /// Arguments up to and with the closing parenthesis.
    fn arguments(&mut self) -> Result<Vec<Node>> {
        let mut args = Vec::new();
        self.space();
        if self.eat(")") {
            return Ok(args);
        }
        loop {
            self.space();
            let empty = matches!(self.rest().chars().next(), Some(',' | ')'));
            args.push(if empty { Node::Empty } else { self.expression()? });
            self.space();
            if self.eat(")") {
                return Ok(args);
            }
            if !self.eat(",") {
                return self.expected("`,` or `)`");
            }
        }
    }
}

/// What can be known of a call before any entry is seen.
fn check(call: &mut Call) -> std::result::Result<(), (String, Option<String>)> {
    let function = call.function;
    let (name, n) = (function.name, call.args.len());
    let usage = || Some(format!("write {}", function.usage));
    if n < function.min || n > function.max {
        let wanted = match (function.min, function.max) {
            (min, max) if min == max => format!("{min}"),
            (min, usize::MAX) => format!("at least {min}"),
            (min, max) => format!("{min} to {max}"),
        };
        return Err((format!("{name} takes {wanted} arguments, here are {n}"), usage()));
    }
    let mut inner = Vec::new();
    call.args.iter().for_each(|arg| arg.calls(&mut inner));
    if let Some(inner) = inner.iter().find(|inner| inner.function.top_level) {
        return Err((format!("{} must stand alone, not within {name}", inner.function.name), None));
    }
    for &(i, least) in function.integers {
        if let Some(Node::Text(text) | Node::Number(text)) = call.args.get(i)
            && text.trim().parse::<i64>().map_or(true, |number| number < least)
        {
            let bound = if least == i64::MIN { String::new() } else { format!(" of at least {least}") };
            return Err((format!("argument {} of {name} must be a whole number{bound}, not `{text}`", i + 1), usage()));
        }
    }
    if let Some(i) = function.pattern {
        match call.args.get(i) {
            None | Some(Node::Empty) => {}
            Some(Node::Text(pattern)) => match RegexBuilder::new(pattern).size_limit(1 << 20).build() {
                Ok(regex) => call.regex = Some(regex),
                Err(e) => return Err((format!("the regular expression of {name} cannot be used: {e}"), None)),
            },
            Some(_) => return Err((format!("argument {} of {name} is a regular expression in double quotes", i + 1), usage())),
        }
    }
    (function.check)(call).map_err(|message| (message, None))
}

fn error<T>(offset: usize, message: impl Into<String>) -> Result<T> {
    hinted(offset, message, None)
}

fn hinted<T>(offset: usize, message: impl Into<String>, hint: Option<String>) -> Result<T> {
    Err(ParseError { message: message.into(), offset, hint })
}
