//! From one type, or one notation, to another.

use super::{Args, Function, function};
use crate::mapping::value::{EvalError, Val};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::fmt::Write as _;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("CStr", "CStr(source)", 1, 1, |args| args.value(0)),
    function("CBool", "CBool(source)", 1, 1, cbool),
    function("ConvertToBase64", "ConvertToBase64(source)", 1, 1, to_base64),
    function("ConvertToUTF8Hex", "ConvertToUTF8Hex(source)", 1, 1, to_utf8_hex),
    Function { integers: &[(0, i64::MIN), (1, i64::MIN)], ..function("BitAnd", "BitAnd(number1, number2)", 2, 2, bit_and) },
    Function { integers: &[(2, 1)], ..function("InStr", "InStr(source, search, start from 1, compare)", 2, 4, in_str) },
];

/// `True` and `False` in any case; a number is true unless it is zero; null stays null; anything else is an error.
fn cbool<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(text) = args.text(0)? else { return Ok(Val::Null) };
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("true") {
        return Ok(Val::truth(true));
    }
    if trimmed.eq_ignore_ascii_case("false") {
        return Ok(Val::truth(false));
    }
    match trimmed.parse::<i64>() {
        Ok(number) => Ok(Val::truth(number != 0)),
        Err(_) => Err(EvalError(format!("`{text}` is neither true nor false nor a number"))),
    }
}

/// Base64 of the UTF-16 little-endian form, as Entra does.
fn to_base64<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.value(0)?.map(|s| {
        let bytes: Vec<u8> = s.encode_utf16().flat_map(u16::to_le_bytes).collect();
        Cow::Owned(STANDARD.encode(bytes))
    }))
}

fn to_utf8_hex<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.value(0)?.map(|s| {
        let hex = s.bytes().fold(String::with_capacity(s.len() * 2), |mut hex, byte| {
            let _ = write!(hex, "{byte:02X}");
            hex
        });
        Cow::Owned(hex)
    }))
}

fn bit_and<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.integer(0)?.zip(args.integer(1)?).map_or(Val::Null, |(a, b)| Val::text((a & b).to_string())))
}

/// The place of the first hit from `start`, from 1; 0: none. `compare` 1 ignores case.
fn in_str<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let (Some(mut text), Some(mut search)) = (args.text(0)?, args.text(1)?) else { return Ok(Val::Null) };
    let start = usize::try_from(args.integer(2)?.unwrap_or(1).saturating_sub(1)).unwrap_or(0);
    let ignore_case = args.text(3)?.is_some_and(|c| c == "1" || c.eq_ignore_ascii_case("vbTextCompare"));
    if ignore_case {
        text = Cow::Owned(text.to_lowercase());
        search = Cow::Owned(search.to_lowercase());
    }
    let from = text.char_indices().nth(start).map_or(text.len(), |(i, _)| i);
    let behind = text.get(from..).unwrap_or_default();
    let place = behind.find(search.as_ref()).map_or(0, |at| start + behind.get(..at).unwrap_or_default().chars().count() + 1);
    Ok(Val::text(place.to_string()))
}
