//! Text in, text out. Each works on every value of a multi-valued argument.

use super::{Args, Function, bounded, function};
use crate::mapping::value::{EvalError, Val};
use std::borrow::Cow;
use unicode_normalization::char::is_combining_mark;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("ToLower", "ToLower(source, culture)", 1, 2, to_lower).about(
        "Lower case. Without `culture`, or with one that has no rules of its own, letters change one by one, whatever the \
         language; `tr` and `az` know the dotless i.",
        &[("ToLower([mail])", "jane.doe@corp.example"), ("ToLower(\"DIŞ\", \"tr-TR\")", "dış"), ("ToLower([nobody])", "null")],
    ),
    function("ToUpper", "ToUpper(source, culture)", 1, 2, to_upper).about(
        "Upper case, as `ToLower`. A letter without an upper case of its own stays: `ß`.",
        &[("ToUpper([givenName])", "JANE"), ("ToUpper(\"straße\")", "STRAßE"), ("ToUpper(\"diş\", \"tr\")", "DİŞ")],
    ),
    function("PCase", "PCase(source, wordSeparators)", 1, 2, p_case).about(
        "The first letter of each word in upper case, all others in lower case. Words end at every space, punctuation mark or \
         symbol but the apostrophe; with `wordSeparators`, at these characters only.",
        &[
            ("PCase(\"PABLO GONSALVES (SECOND)\")", "Pablo Gonsalves (Second)"),
            ("PCase(\"PINTO-DE'SILVA\", \" '-\")", "Pinto-De'Silva"),
            ("PCase(\"PINTO-DE'SILVA\")", "Pinto-De'silva"),
            ("PCase(Join(\" \", \"GREGORY\", \"JAMES\"))", "Gregory James"),
        ],
    ),
    function("Append", "Append(source, suffix)", 2, 2, append).about(
        "The suffix after the source. Nothing with a suffix is nothing, and so is something with no suffix.",
        &[
            ("Append([userPrincipalName], \".test\")", "jdoe@corp.local.test"),
            ("Append(Mid([givenName], 1, 3), Mid([surname], 1, 5))", "JanDoe"),
            ("Append([nobody], \".test\")", "null"),
        ],
    ),
    function("StripSpaces", "StripSpaces(source)", 1, 1, strip_spaces)
        .about("Without any space (U+0020); tabs and others stay.", &[("StripSpaces(\" a b c \")", "abc")]),
    function("Trim", "Trim(source)", 1, 1, trim)
        .about("Without white space at both ends.", &[("Trim(\"  Jane Doe \")", "Jane Doe"), ("Trim([nobody])", "null")]),
    function("Len", "Len(source)", 1, 1, len)
        .about("The number of characters; of nothing, 0.", &[("Len([givenName])", "4"), ("Len([nobody])", "0")]),
];

/// Turkish and Azeri have a dotted and a dotless i; every other culture is taken as the invariant one.
fn is_turkic(args: &Args<'_, '_>) -> std::result::Result<bool, EvalError> {
    let culture = args.text(1)?.unwrap_or_default().to_ascii_lowercase();
    Ok(["tr", "az"].iter().any(|c| culture == *c || culture.starts_with(&format!("{c}-"))))
}

/// .NET's invariant culture changes letters one by one and leaves the Turkish ones and the long s alone.
fn lower(c: char) -> char {
    let mut all = c.to_lowercase();
    match (all.next(), all.next()) {
        (Some(one), None) if !matches!(c, 'İ' | 'ı' | 'ſ') => one,
        _ => c,
    }
}

/// See [`lower`].
fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(one), None) if !matches!(c, 'İ' | 'ı' | 'ſ') => one,
        _ => c,
    }
}

fn to_lower<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let turkic = args.given(1) && is_turkic(args)?;
    Ok(args.value(0)?.map(|s| {
        if turkic {
            s.replace('I', "ı").replace('İ', "i").chars().map(lower).collect()
        } else if s.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
            s
        } else if s.is_ascii() {
            s.to_ascii_lowercase().into()
        } else {
            s.chars().map(lower).collect()
        }
    }))
}

fn to_upper<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let turkic = args.given(1) && is_turkic(args)?;
    let one = |c| match c {
        'i' if turkic => 'İ',
        'ı' if turkic => 'I',
        c => upper(c),
    };
    Ok(args.value(0)?.map(|s| s.chars().map(one).collect()))
}

fn p_case<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let separators = args.text(1)?.filter(|_| args.given(1));
    Ok(args.value(0)?.map(|s| match &separators {
        Some(separators) => words_between(&s, separators).into(),
        None => title_case(&s).into(),
    }))
}

fn words_between(text: &str, separators: &str) -> String {
    let mut within = false;
    let one = |c: char| {
        let first = !within;
        within = !separators.contains(c);
        if first { upper(c) } else { lower(c) }
    };
    text.chars().map(one).collect()
}

/// As .NET's `ToTitleCase` on a text in lower case: a word begins with a letter, and goes on over digits, marks and
/// apostrophes.
fn title_case(text: &str) -> String {
    let mut within = false;
    let one = |c: char| {
        if c.is_alphabetic() && !is_combining_mark(c) {
            let first = !within;
            within = true;
            return if first { upper(c) } else { lower(c) };
        }
        within &= c == '\'' || c.is_numeric() || is_combining_mark(c);
        c
    };
    text.chars().map(one).collect()
}

fn append<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(suffix) = args.text(1)? else { return Ok(Val::Null) };
    let source = args.value(0)?;
    if let Val::Many(texts) = &source {
        bounded(source.size().saturating_add(texts.len().saturating_mul(suffix.len())))?;
    }
    Ok(source.map(|s| {
        let mut s = s.into_owned();
        s.push_str(&suffix);
        Cow::Owned(s)
    }))
}

fn strip_spaces<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.value(0)?.map(|s| if s.contains(' ') { Cow::Owned(s.replace(' ', "")) } else { s }))
}

fn trim<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.value(0)?.map(|s| match s {
        Cow::Borrowed(s) => Cow::Borrowed(s.trim()),
        Cow::Owned(s) => Cow::Owned(s.trim().to_owned()),
    }))
}

fn len<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::text(args.text(0)?.map_or(0, |s| s.chars().count()).to_string()))
}
