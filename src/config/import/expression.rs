//! Okta's expression language, as far as profile mappings use it: attributes, texts, `+`, comparisons with `? :`, and the
//! functions of `String` that ours have too.

use super::entra::quoted;

/// Deepest nesting.
const MAX_DEPTH: usize = 40;
/// Longest expression, bytes.
const MAX_LENGTH: usize = 10_000;

/// What an expression is while it is read: how it is written here.
type Written = Result<String, String>;

/// Our expression for one of Okta's.
///
/// # Errors
/// What of it is not known here, in words.
pub(super) fn translate(text: &str) -> Written {
    if text.len() > MAX_LENGTH {
        return Err("the expression is too long".to_owned());
    }
    let mut parser = Parser { rest: text.trim(), depth: 0 };
    let out = parser.choice()?;
    if parser.rest.is_empty() { Ok(out) } else { Err(format!("`{}` is not understood", head(parser.rest))) }
}

fn head(text: &str) -> String {
    text.chars().take(20).collect()
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("expected `{token}` before `{}`", head(self.rest))) }
    }

    /// `condition ? a : b`, or a sum.
    fn choice(&mut self) -> Written {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let left = self.sum()?;
        if self.eat("?:") {
            let otherwise = self.choice()?;
            self.depth -= 1;
            return Ok(format!("Switch(IsNullOrEmpty({left}), {left}, \"True\", {otherwise})"));
        }
        let out = match ["==", "!="].into_iter().find(|op| self.eat(op)) {
            None if self.rest.starts_with('?') => Err("a condition of one value".to_owned()),
            None => Ok(left),
            Some(op) => {
                let right = self.sum()?;
                self.expect("?")?;
                let yes = self.choice()?;
                self.expect(":")?;
                let no = self.choice()?;
                Ok(condition(&left, op == "==", &right, &yes, &no))
            }
        };
        self.depth -= 1;
        out
    }

    fn sum(&mut self) -> Written {
        let mut parts = vec![self.operand()?];
        while self.eat("+") {
            parts.push(self.operand()?);
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        Ok(match spaced(&parts) {
            Some(separator) => format!("Join({separator}, {})", every_other(&parts, 0).join(", ")),
            None => format!("Join(\"\", {})", parts.join(", ")),
        })
    }

    fn operand(&mut self) -> Written {
        if self.eat("(") {
            let inner = self.choice()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.text(quote);
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '$')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        if word.is_empty() {
            return Err(format!("`{}` is not understood", head(self.rest)));
        }
        if self.eat("(") {
            let mut arguments = Vec::new();
            while !self.eat(")") {
                if !arguments.is_empty() {
                    self.expect(",")?;
                }
                arguments.push(self.choice()?);
            }
            return function(word, &arguments);
        }
        match word {
            "null" => Ok("\"\"".to_owned()),
            "true" => Ok("\"True\"".to_owned()),
            "false" => Ok("\"False\"".to_owned()),
            number if number.bytes().all(|b| b.is_ascii_digit()) => Ok(number.to_owned()),
            _ => attribute(word),
        }
    }

    fn text(&mut self, quote: char) -> Written {
        let body = self.rest.get(1..).unwrap_or_default();
        let mut out = String::new();
        let mut chars = body.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = body.get(i + 1..).unwrap_or_default().trim_start();
                    return Ok(quoted(&out));
                }
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                c => out.push(c),
            }
        }
        Err("a text has no end".to_owned())
    }
}

fn every_other(parts: &[String], from: usize) -> Vec<&str> {
    parts.iter().skip(from).step_by(2).map(String::as_str).collect()
}

/// What stands between all parts of a sum (`a + " " + b`), where it is nothing but a space and signs: then who lacks a part
/// gets no stray one. With letters in it, or an `@`, it is a part of its own.
fn spaced(parts: &[String]) -> Option<&str> {
    let (values, between) = (every_other(parts, 0), every_other(parts, 1));
    let separator = between.first().copied().filter(|s| s.starts_with('"') && s.contains(' '))?;
    let plain = !separator.contains(|c: char| c.is_alphanumeric() || c == '@' || c == '\\');
    let fits = values.len() == between.len() + 1 && values.iter().all(|v| !v.starts_with('"'));
    (plain && fits && between.iter().all(|s| *s == separator)).then_some(separator)
}

/// `user.email` is `[email]`; `appuser.x` keeps its name.
fn attribute(word: &str) -> Written {
    match word.split_once('.') {
        Some(("user", name)) if !name.is_empty() && !name.contains('.') => Ok(format!("[{name}]")),
        Some(("appuser", name)) if !name.is_empty() && !name.contains('.') => Ok(format!("[appuser.{name}]")),
        _ => Err(format!("`{word}` is not an attribute of the user")),
    }
}

/// A missing value equals the empty text here, so that `x == null` and `x == ""` are one.
fn condition(left: &str, equal: bool, right: &str, yes: &str, no: &str) -> String {
    let (then, otherwise) = if equal { (yes, no) } else { (no, yes) };
    if right == "\"\"" || left == "\"\"" {
        let value = if right == "\"\"" { left } else { right };
        return format!("Switch(IsNullOrEmpty({value}), {otherwise}, \"True\", {then})");
    }
    format!("Switch({left}, {otherwise}, {right}, {then})")
}

fn function(name: &str, arguments: &[String]) -> Written {
    let constant = |a: &String| a.starts_with('"');
    match (name, arguments) {
        ("String.toLowerCase", [a]) => Ok(format!("ToLower({a})")),
        ("String.toUpperCase", [a]) => Ok(format!("ToUpper({a})")),
        ("String.removeSpaces", [a]) => Ok(format!("StripSpaces({a})")),
        ("String.len", [a]) => Ok(format!("Len({a})")),
        ("String.append", [a, b]) => Ok(format!("Join(\"\", {a}, {b})")),
        ("String.join", [separator, rest @ ..]) if !rest.is_empty() => Ok(format!("Join({separator}, {})", rest.join(", "))),
        ("String.replace", [a, old, new]) if constant(old) => Ok(format!("Replace({a}, {old}, , , {new}, , )")),
        ("String.substring", [a, from, to]) => match (from.parse::<u32>(), to.parse::<u32>()) {
            (Ok(from), Ok(to)) if to >= from => Ok(format!("Mid({a}, {}, {})", u64::from(from) + 1, to - from)),
            _ => Err("String.substring with bounds that are not written out".to_owned()),
        },
        ("String.substringBefore", [a, mark]) if constant(mark) => Ok(format!("Item(Split({a}, {mark}), 1)")),
        ("String.substringAfter", [a, mark]) if constant(mark) => {
            let mark = mark.trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\");
            let pattern = format!("^.*?{}", regex::escape(&mark));
            Ok(format!("Replace({a}, , {}, , \"\", , )", quoted(&pattern)))
        }
        ("Arrays.toCsvString", [a]) => Ok(format!("Join(\",\", {a})")),
        _ => Err(format!("the function {name} with {} arguments has no counterpart", arguments.len())),
    }
}
