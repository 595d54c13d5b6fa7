//! Parts of a text and their places. Positions and lengths count characters, from 1.

use super::{Args, Function, function};
use crate::mapping::value::{EvalError, Val};
use std::borrow::Cow;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        integers: &[(1, i64::MIN)],
        ..function("Left", "Left(source, length)", 2, 2, left).about(
            "The first characters. A length below zero gives the whole text; of nothing, the empty text.",
            &[("Left(\"John Doe\", 3)", "Joh"), ("Left([givenName], -1)", "Jane"), ("Left([nobody], 3)", "\"\"")],
        )
    },
    Function {
        integers: &[(1, i64::MIN)],
        ..function("Right", "Right(source, length)", 2, 2, right).about(
            "The last characters; otherwise as `Left`. Entra has no such function.",
            &[("Right([employeeId], 2)", "42"), ("Right([employeeId], 99)", "00042"), ("Right([nobody], 2)", "\"\"")],
        )
    },
    Function {
        integers: &[(1, 1), (2, 0)],
        ..function("Mid", "Mid(source, start from 1, length)", 3, 3, mid).about(
            "So many characters from `start`, which counts from 1; at most up to the end.",
            &[("Mid([givenName], 2, 2)", "an"), ("Mid([givenName], 3, 99)", "ne"), ("Mid([givenName], 9, 1)", "\"\"")],
        )
    },
    Function {
        integers: &[(1, i64::MIN)],
        ..function("Word", "Word(source, number from 1, delimiters)", 3, 3, word).about(
            "The n-th run of characters between any of the delimiters; the empty text where there is none.",
            &[
                ("Word(\"The quick brown fox\", 3, \" \")", "brown"),
                ("Word(\"This,string!has&many separators\", 3, \",!&#\")", "has"),
                ("Word([givenName], 2, \" \")", "\"\""),
            ],
        )
    },
    Function {
        integers: &[(2, 1)],
        check: in_str_compares,
        ..function("InStr", "InStr(source, search, start from 1, compareType)", 2, 4, in_str).about(
            "The place of the first hit at or behind `start`, counted from 1; 0 where there is none. `vbTextCompare` (or 1) \
             looks without case, `vbBinaryCompare` (or 0, and without it) with case.",
            &[
                ("InStr(\"The quick brown fox\", \"quick\")", "5"),
                ("InStr(\"repEated\", \"e\", 3, vbBinaryCompare)", "7"),
                ("InStr(\"repEated\", \"e\", 3, vbTextCompare)", "4"),
                ("InStr([mail], \"nowhere\")", "0"),
            ],
        )
    },
];

/// A length below zero means everything, null gives the empty text.
fn left<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(length) = args.integer(1)? else { return Ok(Val::Null) };
    Ok(of_text(args.value(0)?, |s| match usize::try_from(length) {
        Ok(length) => slice(s, 0, length),
        Err(_) => s,
    }))
}

fn right<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(length) = args.integer(1)? else { return Ok(Val::Null) };
    Ok(of_text(args.value(0)?, |s| match usize::try_from(length) {
        Ok(length) => {
            let skipped = s.chars().count().saturating_sub(length);
            slice(s, skipped, length)
        }
        Err(_) => s,
    }))
}

/// Null counts as the empty text.
fn of_text<'a>(source: Val<'a>, f: impl FnMut(Cow<'a, str>) -> Cow<'a, str>) -> Val<'a> {
    match source {
        Val::Null => Val::text(""),
        source => source.map(f),
    }
}

fn mid<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let (Some(start), Some(length)) = (args.integer(1)?, args.integer(2)?) else { return Ok(Val::Null) };
    let (Ok(from), Ok(length)) = (usize::try_from(start.saturating_sub(1)), usize::try_from(length)) else {
        return Err(EvalError(format!("start is {start} and length {length}: start counts from 1")));
    };
    Ok(args.value(0)?.map(|s| slice(s, from, length)))
}

/// `length` characters from character `start` (from 0).
fn slice(text: Cow<'_, str>, start: usize, length: usize) -> Cow<'_, str> {
    let (from, to) = if text.is_ascii() {
        (start.min(text.len()), start.saturating_add(length).min(text.len()))
    } else {
        let place = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
        (place(start), place(start.saturating_add(length)))
    };
    match text {
        Cow::Borrowed(s) => Cow::Borrowed(s.get(from..to).unwrap_or_default()),
        Cow::Owned(s) => Cow::Owned(s.get(from..to).unwrap_or_default().to_owned()),
    }
}

fn word<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let number = args.integer(1)?.unwrap_or(0);
    let delimiters = args.text(2)?.unwrap_or_default();
    let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    Ok(of_text(args.value(0)?, |s| {
        let found = index.and_then(|i| s.split(|c| delimiters.contains(c)).filter(|w| !w.is_empty()).nth(i));
        Cow::Owned(found.unwrap_or_default().to_owned())
    }))
}

/// How `InStr` compares: true without case.
fn compares(word: &str) -> Option<bool> {
    match word {
        "1" | "vbTextCompare" => Some(true),
        "" | "0" | "vbBinaryCompare" => Some(false),
        _ => None,
    }
}

fn in_str_compares(call: &crate::mapping::expr::Call) -> std::result::Result<(), String> {
    match super::literal(call, 3) {
        Some(word) if compares(word).is_none() => {
            Err(format!("{word:?} says nothing of how InStr compares: vbTextCompare or vbBinaryCompare"))
        }
        _ => Ok(()),
    }
}

fn in_str<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let (Some(mut text), Some(mut search)) = (args.text(0)?, args.text(1)?) else { return Ok(Val::Null) };
    let start = usize::try_from(args.integer(2)?.unwrap_or(1).saturating_sub(1)).unwrap_or(0);
    let how = args.text(3)?.unwrap_or_default();
    let Some(ignore_case) = compares(&how) else {
        return Err(EvalError(format!("`{how}` is neither vbTextCompare nor vbBinaryCompare")));
    };
    if ignore_case {
        // Letter by letter, so that places stay what they are.
        let fold = |s: &str| s.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect::<String>();
        text = Cow::Owned(fold(&text));
        search = Cow::Owned(fold(&search));
    }
    let from = text.char_indices().nth(start).map_or(text.len(), |(i, _)| i);
    let behind = text.get(from..).unwrap_or_default();
    let place = behind.find(search.as_ref()).map_or(0, |at| start + behind.get(..at).unwrap_or_default().chars().count() + 1);
    Ok(Val::text(place.to_string()))
}
