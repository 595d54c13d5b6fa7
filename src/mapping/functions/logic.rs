//! Choices and conditions. Truth is the text `True` or `False`.

use super::{Args, Function, function};
use crate::mapping::expr::Call;
use crate::mapping::value::{EvalError, Val};

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        check: pairs,
        ..function("Switch", "Switch(source, default, key1, value1, key2, value2, ...)", 4, usize::MAX, switch)
    },
    function("IIF", "IIF(condition, value if true, value if false)", 3, 3, iif),
    function("Not", "Not(source)", 1, 1, not),
    function("IsNull", "IsNull(source)", 1, 1, is_null),
    function("IsNullOrEmpty", "IsNullOrEmpty(source)", 1, 1, is_null_or_empty),
    function("IsPresent", "IsPresent(source)", 1, 1, is_present),
    function("IsString", "IsString(source)", 1, 1, is_string),
    function("Coalesce", "Coalesce(source1, source2, ..., default)", 1, usize::MAX, coalesce),
    function("IgnoreFlowIfNullOrEmpty", "IgnoreFlowIfNullOrEmpty(source)", 1, 1, ignore_flow),
];

fn pairs(call: &Call) -> std::result::Result<(), String> {
    if call.args.len() % 2 == 1 {
        return Err(format!("Switch has a key without a value: {}", call.function.usage));
    }
    Ok(())
}

/// Keys compare with case; the key `""` catches null.
fn switch<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let source = args.text(0)?.unwrap_or_default();
    for key in (2..args.len()).step_by(2) {
        if args.text(key)?.is_some_and(|k| k == source) {
            return args.value(key + 1);
        }
    }
    args.value(1)
}

fn iif<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let holds = args.text(0)?.is_some_and(|t| t.eq_ignore_ascii_case("true"));
    args.value(if holds { 1 } else { 2 })
}

/// `True` becomes `False`, anything else `True`. LDAP writes `TRUE` (RFC 4517 section 3.3.3).
fn not<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::truth(!args.text(0)?.is_some_and(|t| t.eq_ignore_ascii_case("true"))))
}

fn is_null<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::truth(args.value(0)? == Val::Null))
}

fn is_null_or_empty<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::truth(is_empty(&args.value(0)?)))
}

fn is_present<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::truth(!is_empty(&args.value(0)?)))
}

/// Source values are text here; only null is not.
fn is_string<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::truth(args.value(0)? != Val::Null))
}

/// The first that is not null, else null.
fn coalesce<'a>(args: &Args<'a, '_>) -> Result<'a> {
    for i in 0..args.len() {
        let value = args.value(i)?;
        if value != Val::Null {
            return Ok(value);
        }
    }
    Ok(Val::Null)
}

/// Null and the empty text are not sent.
fn ignore_flow<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let value = args.value(0)?;
    Ok(if is_empty(&value) { Val::Null } else { value })
}

fn is_empty(value: &Val<'_>) -> bool {
    value.size() == 0
}
