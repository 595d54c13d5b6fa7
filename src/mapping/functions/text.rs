//! Text in, text out. Each works on every value of a multi-valued argument; positions and lengths count characters.

use super::{Args, Function, bounded, function};
use crate::mapping::value::{EvalError, Val};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("ToLower", "ToLower(source, culture)", 1, 2, to_lower),
    function("ToUpper", "ToUpper(source, culture)", 1, 2, to_upper),
    function("Append", "Append(source, suffix)", 2, 2, append),
    function("StripSpaces", "StripSpaces(source)", 1, 1, strip_spaces),
    Function { integers: &[(1, i64::MIN)], ..function("Left", "Left(source, length)", 2, 2, left) },
    Function { integers: &[(1, 1), (2, 0)], ..function("Mid", "Mid(source, start from 1, length)", 3, 3, mid) },
    Function { integers: &[(1, 1)], ..function("Word", "Word(source, number from 1, delimiters)", 3, 3, word) },
    function("NormalizeDiacritics", "NormalizeDiacritics(source)", 1, 1, normalize_diacritics),
];

/// Turkish and Azeri have a dotted and a dotless i; every other culture is taken as the invariant one.
fn is_turkic(args: &Args<'_, '_>) -> std::result::Result<bool, EvalError> {
    let culture = args.text(1)?.unwrap_or_default().to_ascii_lowercase();
    Ok(["tr", "az"].iter().any(|c| culture == *c || culture.starts_with(&format!("{c}-"))))
}

fn to_lower<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let turkic = args.given(1) && is_turkic(args)?;
    Ok(args.value(0)?.map(|s| {
        if turkic {
            s.replace('I', "ı").replace('İ', "i").to_lowercase().into()
        } else if s.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
            s
        } else {
            s.to_lowercase().into()
        }
    }))
}

fn to_upper<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let turkic = args.given(1) && is_turkic(args)?;
    Ok(args.value(0)?.map(|s| if turkic { s.replace('i', "İ").to_uppercase().into() } else { s.to_uppercase().into() }))
}

/// Nothing with a suffix, or something with no suffix, is nothing: `"Sales-" + null` would be a wrong value.
fn append<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(suffix) = args.text(1)? else { return Ok(Val::Null) };
    let source = args.value(0)?;
    if let Val::Many(texts) = &source {
        bounded(source.size().saturating_add(texts.len().saturating_mul(suffix.len())))?;
    }
    Ok(source.map(|s| Cow::Owned(format!("{s}{suffix}"))))
}

fn strip_spaces<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.value(0)?.map(|s| if s.contains(' ') { Cow::Owned(s.replace(' ', "")) } else { s }))
}

/// A length below zero gives the whole text, null gives the empty text.
fn left<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(length) = args.integer(1)? else { return Ok(Val::Null) };
    match args.value(0)? {
        Val::Null => Ok(Val::text("")),
        source => Ok(source.map(|s| match usize::try_from(length) {
            Ok(length) => slice(s, 0, length),
            Err(_) => s,
        })),
    }
}

/// A length beyond the end means up to the end.
fn mid<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let (Some(start), Some(length)) = (args.integer(1)?, args.integer(2)?) else { return Ok(Val::Null) };
    let (Ok(start), Ok(length)) = (usize::try_from(start.saturating_sub(1)), usize::try_from(length)) else {
        return Err(EvalError(format!("start is {start} and length {length}: start counts from 1")));
    };
    Ok(args.value(0)?.map(|s| slice(s, start, length)))
}

/// `length` characters from character `start` (from 0).
fn slice(text: Cow<'_, str>, start: usize, length: usize) -> Cow<'_, str> {
    let place = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let (from, to) = (place(start), place(start.saturating_add(length)));
    match text {
        Cow::Borrowed(s) => Cow::Borrowed(s.get(from..to).unwrap_or_default()),
        Cow::Owned(s) => Cow::Owned(s.get(from..to).unwrap_or_default().to_owned()),
    }
}

/// The n-th run of characters between delimiters; the empty text where there is none.
fn word<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let number = args.integer(1)?.unwrap_or(0);
    let delimiters = args.text(2)?.unwrap_or_default();
    let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    Ok(args.value(0)?.map(|s| {
        let found = index.and_then(|i| s.split(|c| delimiters.contains(c)).filter(|w| !w.is_empty()).nth(i));
        Cow::Owned(found.unwrap_or_default().to_owned())
    }))
}

fn normalize_diacritics<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.value(0)?.map(|s| if s.is_ascii() { s } else { Cow::Owned(plain(&s)) }))
}

/// Letters that do not decompose are spelled out as Entra does; of the others the accents are dropped.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfc() {
        let spelled = match c {
            'ß' => "ss",
            'ẞ' => "SS",
            'æ' => "ae",
            'Æ' => "AE",
            'ø' | 'œ' => "oe",
            'Ø' | 'Œ' => "OE",
            'þ' => "th",
            'Þ' => "TH",
            'đ' | 'ð' => "d",
            'Đ' | 'Ð' => "D",
            'ł' => "l",
            'Ł' => "L",
            'ħ' => "h",
            'Ħ' => "H",
            'ŧ' => "t",
            'Ŧ' => "T",
            'ı' => "i",
            _ => {
                out.extend(std::iter::once(c).nfd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)));
                continue;
            }
        };
        out.push_str(spelled);
    }
    // What had no accent to drop (Hangul) is put together again.
    out.nfc().collect()
}
