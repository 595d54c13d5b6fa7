//! From one type, or one notation, to another.

use super::{Args, Function, function};
use crate::mapping::value::{EvalError, Val};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::fmt::Write as _;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("CStr", "CStr(source)", 1, 1, |args| args.value(0)).about(
        "The value as text. Values are text here already, so it is the value itself; null stays null.",
        &[("CStr([employeeId])", "00042"), ("CStr([givenName] = \"Jane\")", "True"), ("CStr([nobody])", "null")],
    ),
    function("CBool", "CBool(source)", 1, 1, cbool).about(
        "`True` or `False` of a text in any letter case, of a condition, or of a number, which is true unless it is 0.",
        &[
            ("CBool([givenName] = [surname])", "False"),
            ("CBool(\"TRUE\")", "True"),
            ("CBool(7)", "True"),
            ("CBool([nobody])", "null"),
            ("CBool([givenName])", "error: CBool: `Jane` is neither true nor false nor a number"),
        ],
    ),
    function("ConvertToBase64", "ConvertToBase64(source)", 1, 1, to_base64).about(
        "Base64 of the text in UTF-16, little-endian.",
        &[("ConvertToBase64(\"Hello world!\")", "SABlAGwAbABvACAAdwBvAHIAbABkACEA")],
    ),
    function("ConvertToUTF8Hex", "ConvertToUTF8Hex(source)", 1, 1, to_utf8_hex)
        .about("The UTF-8 octets in hexadecimal.", &[("ConvertToUTF8Hex(\"Hello world!\")", "48656C6C6F20776F726C6421")]),
    Function {
        integers: &[(0, i64::MIN), (1, i64::MIN)],
        ..function("BitAnd", "BitAnd(value1, value2)", 2, 2, bit_and).about(
            "The bits that both whole numbers have. Numbers may be written as `&HF7`.",
            &[
                ("BitAnd(&HF, &HF7)", "7"),
                ("BitAnd([userAccountControl], 2)", "2"),
                ("IIF(BitAnd([userAccountControl], 2) = 2, \"disabled\", \"enabled\")", "disabled"),
                ("BitAnd([nobody], 2)", "null"),
            ],
        )
    },
];

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
