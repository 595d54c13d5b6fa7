//! One hand-written parser for filters and paths: RFC 7644 section 3.4.2.2 (figure 1) and section 3.5.2 (figure 7).
//!
//! Beyond the RFC it takes: operator and literal names in any case, `matches "regex"`, `$` and letters of any script in
//! attribute names (`$ref`, source attributes), and `attr[filter].sub op value`, which Entra sends and which is read as
//! `attr[(filter) and sub op value]`.

use super::filter::{Filter, Op};
use super::path::{AttrPath, Path};
use serde_json::Value;

/// Longest filter or path, bytes.
pub const MAX_LENGTH: usize = 32_768;
/// Deepest nesting of parentheses, `not` and brackets.
pub const MAX_DEPTH: usize = 50;
/// Most comparisons in one filter.
pub const MAX_TERMS: usize = 1_000;

/// Why a filter or path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{} (at byte {})", hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default(), offset + 1)]
pub struct ParseError {
    /// What was expected and what stands there.
    pub message: String,
    /// Byte offset in the text, from 0.
    pub offset: usize,
    /// What to write instead, where that can be said.
    pub hint: Option<String>,
}

type Result<T> = std::result::Result<T, ParseError>;

/// A whole text as a filter.
pub(super) fn filter(text: &str) -> Result<Filter> {
    let mut p = Parser::new(text)?;
    let found = p.or()?;
    p.end("`and`, `or` or the end of the filter")?;
    Ok(found)
}

/// A whole text as an attribute path.
pub(super) fn attr_path(text: &str) -> Result<AttrPath> {
    let mut p = Parser::new(text)?;
    p.space();
    let found = p.attr()?;
    p.end("the end of the attribute path")?;
    Ok(found)
}

/// A whole text as a PATCH path.
pub(super) fn path(text: &str) -> Result<Path> {
    let mut p = Parser::new(text)?;
    p.space();
    let attr = p.attr()?;
    let mut found = Path { attr, filter: None, sub: None };
    if p.peek() == Some('[') {
        p.may_have_values(&found.attr)?;
        found.filter = Some(p.brackets()?);
        if p.eat('.') {
            found.sub = Some(p.name("a sub-attribute name")?.to_owned());
        }
    }
    p.end("the end of the path")?;
    Ok(found)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
    inside: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self> {
        if text.len() > MAX_LENGTH {
            return Err(ParseError { message: format!("longer than {MAX_LENGTH} bytes"), offset: MAX_LENGTH, hint: None });
        }
        Ok(Self { text, at: 0, depth: 0, terms: 0, inside: false })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let hit = self.peek() == Some(c);
        if hit {
            self.at += c.len_utf8();
        }
        hit
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        self.error_at(self.at, message)
    }

    fn error_at<T>(&self, offset: usize, message: impl Into<String>) -> Result<T> {
        Err(ParseError { message: message.into(), offset, hint: None })
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        let found: String = self.rest().chars().take(20).collect();
        if found.is_empty() {
            self.error(format!("expected {what}, found the end"))
        } else {
            self.error(format!("expected {what}, found `{found}`"))
        }
    }

    fn end(&mut self, what: &str) -> Result<()> {
        self.space();
        if self.rest().is_empty() { Ok(()) } else { self.expected(what) }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error(format!("nested more than {MAX_DEPTH} deep"));
        }
        let found = inner(self)?;
        self.depth -= 1;
        Ok(found)
    }

    /// Eats `word` if it stands here as a whole word, in any case.
    fn keyword(&mut self, word: &str) -> bool {
        self.space();
        let start = self.at;
        if self.take_while(is_name_char).eq_ignore_ascii_case(word) {
            return true;
        }
        self.at = start;
        false
    }

    fn or(&mut self) -> Result<Filter> {
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter> {
        let mut left = self.term()?;
        while self.keyword("and") {
            left = Filter::And(Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Filter> {
        self.space();
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return self.error(format!("more than {MAX_TERMS} comparisons"));
        }
        if self.peek() == Some('(') {
            return self.parentheses();
        }
        let start = self.at;
        if self.keyword("not") {
            self.space();
            if self.peek() == Some('(') {
                return Ok(Filter::Not(Box::new(self.parentheses()?)));
            }
            self.at = start;
        }
        let path = self.attr()?;
        if self.peek() != Some('[') {
            return self.comparison(path);
        }
        if self.inside {
            return self.error("brackets cannot stand inside brackets");
        }
        self.may_have_values(&path)?;
        let inner = self.brackets()?;
        if !self.eat('.') {
            return Ok(Filter::Complex(path, Box::new(inner)));
        }
        let sub = AttrPath::plain(self.name("a sub-attribute name")?);
        let behind = self.comparison(sub)?;
        Ok(Filter::Complex(path, Box::new(Filter::And(Box::new(inner), Box::new(behind)))))
    }

    fn parentheses(&mut self) -> Result<Filter> {
        self.deeper(|p| {
            p.eat('(');
            let inner = p.or()?;
            p.space();
            if p.eat(')') { Ok(inner) } else { p.expected("`)`, `and` or `or`") }
        })
    }

    fn brackets(&mut self) -> Result<Filter> {
        self.deeper(|p| {
            p.eat('[');
            p.inside = true;
            let inner = p.or()?;
            p.inside = false;
            p.space();
            if p.eat(']') { Ok(inner) } else { p.expected("`]`, `and` or `or`") }
        })
    }

    fn comparison(&mut self, path: AttrPath) -> Result<Filter> {
        self.space();
        let start = self.at;
        let word = self.take_while(is_name_char);
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(path));
        }
        let Some(op) = Op::from_name(word) else {
            self.at = start;
            return self.expected("an operator (eq ne co sw ew gt ge lt le pr matches)");
        };
        self.space();
        let start = self.at;
        let value = self.value()?;
        if op == Op::Matches {
            let Value::String(pattern) = &value else {
                return self.error_at(start, "`matches` takes a regular expression in double quotes");
            };
            if let Err(e) = super::eval::regex(pattern) {
                return self.error_at(start, format!("the regular expression cannot be used: {e}"));
            }
        }
        Ok(Filter::Compare(path, op, value))
    }

    /// A JSON value (RFC 7644 section 3.4.2.2: `compValue`): string, number, true, false, null.
    fn value(&mut self) -> Result<Value> {
        let start = self.at;
        let raw = match self.peek() {
            Some('"') => self.string()?,
            Some(c) if c == '-' || c.is_ascii_digit() => {
                self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            }
            _ => {
                for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
                    if self.keyword(word) {
                        return Ok(value);
                    }
                }
                return self.expected("a value: text in double quotes, a number, true, false or null");
            }
        };
        serde_json::from_str(raw)
            .or_else(|e| self.error_at(start, format!("`{}` is not a JSON value: {e}", raw.chars().take(40).collect::<String>())))
    }

    /// The text of a JSON string with its quotes.
    fn string(&mut self) -> Result<&'a str> {
        let rest = self.rest();
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.at += i + 1;
                    return Ok(rest.get(..=i).unwrap_or_default());
                }
                _ => {}
            }
        }
        self.error("this text has no closing double quote")
    }

    fn name(&mut self, what: &str) -> Result<&'a str> {
        let start = self.at;
        let name = self.take_while(is_name_char);
        if name.is_empty() || name.starts_with('-') {
            self.at = start;
            return self.expected(what);
        }
        Ok(name)
    }

    fn attr(&mut self) -> Result<AttrPath> {
        if self.rest().get(..4).is_some_and(|s| s.eq_ignore_ascii_case("urn:")) {
            return self.urn_attr();
        }
        let name = self.name("an attribute name")?.to_owned();
        let sub = if self.eat('.') { Some(self.name("a sub-attribute name")?.to_owned()) } else { None };
        Ok(AttrPath { urn: None, name, sub })
    }

    fn urn_attr(&mut self) -> Result<AttrPath> {
        let start = self.at;
        let text = self.take_while(|c| !c.is_whitespace() && !matches!(c, '[' | ']' | '(' | ')' | '"' | ','));
        if text.contains("::") || text.ends_with(':') {
            return self.error_at(start, format!("`{text}` has an empty part between colons"));
        }
        let Some(end) = urn_end(text) else {
            return Ok(AttrPath { urn: Some(text.to_owned()), name: String::new(), sub: None });
        };
        let urn = text.get(..end).unwrap_or_default().to_owned();
        let mut behind = Parser { text: self.text, at: start + end + 1, ..*self };
        let name = behind.name("an attribute name")?.to_owned();
        let sub = if behind.eat('.') { Some(behind.name("a sub-attribute name")?.to_owned()) } else { None };
        if behind.at != self.at {
            return behind.expected("the end of the attribute path");
        }
        Ok(AttrPath { urn: Some(urn), name, sub })
    }

    fn may_have_values(&self, attr: &AttrPath) -> Result<()> {
        if attr.sub.is_some() || attr.is_whole_extension() {
            return self.error("brackets stand behind an attribute name only");
        }
        Ok(())
    }
}

/// Where the URN ends and `:attribute` begins; `None`: the URN stands alone. See [`AttrPath`] for the rule.
fn urn_end(text: &str) -> Option<usize> {
    let is_version = |s: &str| s.contains('.') && s.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let segments: Vec<&str> = text.split(':').collect();
    let behind_version = segments.iter().rposition(|s| is_version(s)).map(|i| segments.len() - 1 - i);
    match behind_version {
        Some(0 | 1) => None,
        None if segments.len() < 4 => None,
        _ => text.rfind(':'),
    }
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '$')
}
