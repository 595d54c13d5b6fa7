//! Replace, in its five ways.

use super::{Args, Bounded, Function, bounded, function, given};
use crate::mapping::expr::{Call, Node};
use crate::mapping::value::{EvalError, Val};
use regex::{Captures, Regex};
use std::borrow::Cow;

const USAGE: &str =
    "Replace(source, oldValue, regexPattern, regexGroupName, replacementValue, replacementAttributeName, template)";
const SOURCE: usize = 0;
const OLD: usize = 1;
const PATTERN: usize = 2;
const GROUP: usize = 3;
const REPLACEMENT: usize = 4;
const ATTRIBUTE: usize = 5;
const TEMPLATE: usize = 6;

const ABOUT: &str = "What is replaced depends on the arguments that are given; letter case matters.

- `oldValue` and `replacementValue`: every occurrence of the one by the other.
- `oldValue` and `template`: the source stands in the template wherever `oldValue` does.
- `regexPattern` and `replacementValue`: every match; `${name}` stands for what that group matched.
- `regexPattern`, `regexGroupName` and `replacementValue`: in every match, what that group matched.
- `regexPattern`, `regexGroupName` and `replacementAttributeName`: the source, or where it has no value, what the group matches in the
  attribute.

A replacement without a value gives no value; to remove something, write `\"\"`. Patterns are those of Rust's `regex` crate: .NET's,
without look-around and back-references, which have no bound in time.";

pub(super) const FUNCTIONS: &[Function] = &[Function {
    pattern: Some(PATTERN),
    check,
    ..function("Replace", USAGE, 2, 7, replace).about(
        ABOUT,
        &[
            ("Replace([mail], \"@corp.example\", , ,\"\", ,)", "Jane.Doe"),
            ("Replace([givenName], \"<username>\", , , , , \"<username>@contoso.com\")", "Jane@contoso.com"),
            (
                "Replace(\"+91 9998887777\", , \"\\\\+(?<isdCode>\\\\d* )(?<phoneNumber>\\\\d{10})\", , \"${phoneNumber}\", , )",
                "9998887777",
            ),
            ("Replace(\"+1 (999) 888-7777\", , \"[+()\\\\s-]+\", , \"\", , )", "19998887777"),
            (
                "Replace(\"545 Tremont Street\", ,\"(?<streetNumber>^\\\\d*)\",\"streetNumber\", \"888\", , )",
                "888 Tremont Street",
            ),
            ("Replace([userPrincipalName], , \"(?<Suffix>@(.)*)\", \"Suffix\", \"\", , )", "jdoe"),
            (
                "Replace([nobody], , \"\\\\+(?<isdCode>\\\\d* )(?<phoneNumber>\\\\d{8})\", \"phoneNumber\" , , [mobile], )",
                "12345678",
            ),
            ("Replace(\"john_doe72\", , \"[a-zA-Z_]*\", , \"\", , )", "72"),
        ],
    )
}];

/// What the given arguments ask for.
enum Way {
    /// oldValue, replacementValue: every occurrence is replaced.
    Old,
    /// oldValue, template: the source stands where oldValue stands in the template.
    Template,
    /// regexPattern, replacementValue: every match is replaced, `${group}` stands for what the group matched.
    Pattern,
    /// regexPattern, regexGroupName, replacementValue: only what the group matched is replaced.
    Group,
    /// regexPattern, regexGroupName, replacementAttributeName: the source, or else the group's match in the attribute.
    Attribute,
}

fn way(call: &Call) -> Option<Way> {
    let has = |i| given(call, i);
    match (has(OLD), has(PATTERN), has(GROUP), has(REPLACEMENT), has(ATTRIBUTE), has(TEMPLATE)) {
        (true, false, false, true, false, false) => Some(Way::Old),
        (true, false, false, false, false, true) => Some(Way::Template),
        (false, true, false, true, false, false) => Some(Way::Pattern),
        (false, true, true, true, false, false) => Some(Way::Group),
        (false, true, true, false, true, false) => Some(Way::Attribute),
        _ => None,
    }
}

fn check(call: &Call) -> Result<(), String> {
    if way(call).is_none() {
        return Err(format!(
            "Replace takes oldValue and replacementValue, oldValue and template, or regexPattern with replacementValue \
             (and regexGroupName) or with regexGroupName and replacementAttributeName: {USAGE}"
        ));
    }
    if let (Some(Node::Text(group)), Some(regex)) = (call.args.get(GROUP), &call.regex)
        && !regex.capture_names().flatten().any(|name| name == group)
    {
        return Err(format!("the regular expression of Replace has no group named {group}: write (?<{group}>...)"));
    }
    Ok(())
}

fn replace<'a>(args: &Args<'a, '_>) -> Result<Val<'a>, EvalError> {
    let Some(way) = way(args.call) else { return Ok(Val::Null) };
    let source = args.value(SOURCE)?;
    if let Way::Attribute = way {
        return if source == Val::Null { from_attribute(args) } else { Ok(source) };
    }
    let with = args.text(if matches!(way, Way::Template) { TEMPLATE } else { REPLACEMENT })?;
    // A replacement without a value is no value: it is not the same as replacing by nothing, which is written "".
    let Some(with) = with else { return Ok(Val::Null) };
    let old = args.text(OLD)?.unwrap_or_default();
    let group = args.text(GROUP)?.unwrap_or_default();
    let mut replaced = Vec::new();
    let mut size = 0;
    for text in source.into_all() {
        args.context.spend(text.len())?;
        replaced.push(match (&way, &args.call.regex) {
            (Way::Old, _) => plain(text, &old, &with)?,
            (Way::Template, _) => plain(with.clone(), &old, &text)?,
            (Way::Pattern, Some(regex)) => matches(text, regex, |found, out| expand(&with, found, regex, out))?,
            (Way::Group, Some(regex)) => matches(text, regex, |found, out| match (found.get(0), found.name(&group)) {
                (Some(whole), Some(part)) => {
                    let (text, start) = (whole.as_str(), whole.start());
                    out.push(text.get(..part.start() - start).unwrap_or_default())?;
                    out.push(&with)?;
                    out.push(text.get(part.end() - start..).unwrap_or_default())
                }
                (whole, _) => out.push(whole.map_or("", |m| m.as_str())),
            })?,
            _ => text,
        });
        size += replaced.last().map_or(0, |text: &Cow<'_, str>| text.len());
        bounded(size)?;
    }
    Ok(Val::many(replaced))
}

/// Puts a replacement together as .NET does (Microsoft, "Substitutions in regular expressions"): `$1` and `${1}` by number,
/// `${name}`, `$$`, and `$&` for all of the match. What names no group stands as it is written.
fn expand(with: &str, found: &Captures<'_>, regex: &Regex, out: &mut Bounded) -> Result<(), EvalError> {
    let mut rest = with;
    while let Some((before, after)) = rest.split_once('$') {
        out.push(before)?;
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (name, behind) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, behind)) => (name, behind),
            None => after.split_at(digits),
        };
        rest = if let Some(behind) = after.strip_prefix('$') {
            out.push("$")?;
            behind
        } else if let Some(behind) = after.strip_prefix('&') {
            out.push(found.get(0).map_or("", |m| m.as_str()))?;
            behind
        } else if let Some(group) = group_of(regex, name) {
            out.push(found.get(group).map_or("", |m| m.as_str()))?;
            behind
        } else {
            out.push("$")?;
            after
        };
    }
    out.push(rest)
}

/// The group of a name or a number. .NET numbers the groups without a name first, and those with one behind them.
fn group_of(regex: &Regex, name: &str) -> Option<usize> {
    if let Some(named) = regex.capture_names().position(|n| n == Some(name)) {
        return Some(named);
    }
    let number: usize = name.parse().ok()?;
    let groups = || regex.capture_names().enumerate();
    let unnamed = groups().filter(|(_, name)| name.is_none());
    unnamed.chain(groups().filter(|(_, name)| name.is_some())).nth(number).map(|(group, _)| group)
}

fn from_attribute<'a>(args: &Args<'a, '_>) -> Result<Val<'a>, EvalError> {
    let (Some(regex), Some(text)) = (&args.call.regex, args.text(ATTRIBUTE)?) else { return Ok(Val::Null) };
    let group = args.text(GROUP)?.unwrap_or_default();
    let found = regex.captures(&text).and_then(|found| found.name(&group).map(|m| m.as_str().to_owned()));
    Ok(found.map_or(Val::Null, Val::text))
}

fn plain<'a>(text: Cow<'a, str>, old: &str, new: &str) -> Result<Cow<'a, str>, EvalError> {
    if old.is_empty() || !text.contains(old) {
        return Ok(text);
    }
    let mut out = Bounded::default();
    for (i, part) in text.split(old).enumerate() {
        if i > 0 {
            out.push(new)?;
        }
        out.push(part)?;
    }
    Ok(Cow::Owned(out.0))
}

fn matches<'a>(
    text: Cow<'a, str>,
    regex: &Regex,
    mut replace: impl FnMut(&Captures<'_>, &mut Bounded) -> Result<(), EvalError>,
) -> Result<Cow<'a, str>, EvalError> {
    let mut out = Bounded::default();
    let mut end = 0;
    for found in regex.captures_iter(&text) {
        let Some(whole) = found.get(0) else { continue };
        out.push(text.get(end..whole.start()).unwrap_or_default())?;
        replace(&found, &mut out)?;
        end = whole.end();
    }
    if end == 0 && out.0.is_empty() && !regex.is_match(&text) {
        return Ok(text);
    }
    out.push(text.get(end..).unwrap_or_default())?;
    Ok(Cow::Owned(out.0))
}
