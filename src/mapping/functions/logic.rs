//! Choices and conditions. Truth is the text `True` or `False`.

use super::{Args, Function, function};
use crate::mapping::expr::Call;
use crate::mapping::value::{EvalError, Val};

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        check: pairs,
        ..function("Switch", "Switch(source, default, key1, value1, key2, value2, ...)", 4, usize::MAX, switch).about(
            "The value of the key that equals the source, letter case included, else the default, which may be left empty. The \
             key `\"\"` catches a source without a value. It always sees the whole entry: an attribute that did not change is \
             not taken for empty, as Entra does.",
            &[
                ("Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")", "True"),
                (
                    "Switch([c], \"Europe/London\", \"DK\", \"Europe/Copenhagen\", \"SE\", \"Europe/Stockholm\")",
                    "Europe/Copenhagen",
                ),
                ("Switch([c], \"other\", \"dk\", \"Denmark\")", "other"),
                ("Switch([nobody], \"other\", \"\", \"none\")", "none"),
                ("Switch([c], , \"SE\", \"Sweden\")", "null"),
            ],
        )
    },
    function("IIF", "IIF(condition, valueIfTrue, valueIfFalse)", 3, 3, iif).about(
        "One of two values. A condition compares with `=`, `<>`, `>`, `>=`, `<`, `<=`, or is a text that is `True`. Numbers \
         compare as numbers; beside a number that is written out, what is none differs from it and has no order. Without a value on either side a condition does not hold, `<>` neither. For *and* and *or*, nest \
         it. Unlike in Entra, `IsNullOrEmpty` and `IsPresent` work as conditions.",
        &[
            ("IIF([c] = \"DK\", [c], [department])", "DK"),
            ("IIF([employeeId] > 41, \"late\", \"early\")", "late"),
            ("IIF([nobody] <> \"x\", \"yes\", \"no\")", "no"),
            ("IIF([c] = \"DK\", IIF([department] = \"Sales\", \"both\", \"one\"), \"none\")", "both"),
            ("IIF(IsNullOrEmpty([nobody]), \"Other\", [nobody])", "Other"),
        ],
    ),
    function("Not", "Not(source)", 1, 1, not).about(
        "`True` becomes `False`, anything else `True`.",
        &[("Not([IsSoftDeleted])", "True"), ("Not(\"True\")", "False"), ("Not([nobody])", "True")],
    ),
    function("IsNull", "IsNull(source)", 1, 1, is_null).about(
        "Whether there is no value. The empty text is one.",
        &[("IsNull([nobody])", "True"), ("IsNull([mail])", "False"), ("IsNull(\"\")", "False")],
    ),
    function("IsNullOrEmpty", "IsNullOrEmpty(source)", 1, 1, is_null_or_empty).about(
        "Whether there is no value, or the empty text.",
        &[("IsNullOrEmpty([nobody])", "True"), ("IsNullOrEmpty(\"\")", "True"), ("IsNullOrEmpty([mail])", "False")],
    ),
    function("IsPresent", "IsPresent(source)", 1, 1, is_present).about(
        "The opposite of `IsNullOrEmpty`.",
        &[("IsPresent([mail])", "True"), ("IsPresent([nobody])", "False"), ("IsPresent(\"\")", "False")],
    ),
    function("IsString", "IsString(source)", 1, 1, is_string).about(
        "Whether there is a value: all values are text.",
        &[("IsString([mail])", "True"), ("IsString([nobody])", "False")],
    ),
    function("Coalesce", "Coalesce(source1, source2, ..., default)", 1, usize::MAX, coalesce).about(
        "The first source with a value, else the last argument.",
        &[
            ("Coalesce([nobody], [mail])", "Jane.Doe@corp.example"),
            ("Coalesce([nobody], \"none\")", "none"),
            ("Coalesce([nobody], [nothing])", "null"),
        ],
    ),
    function("IgnoreFlowIfNullOrEmpty", "IgnoreFlowIfNullOrEmpty(source)", 1, 1, ignore_flow).about(
        "The source; no value where it is null or the empty text, so that the attribute is not sent, and never cleared, \
         whatever `when_null` says.",
        &[
            ("IgnoreFlowIfNullOrEmpty([department])", "Sales"),
            ("IgnoreFlowIfNullOrEmpty(Switch([c], \"\", \"3443\", \"Dr.\"))", "null"),
        ],
    ),
];

fn pairs(call: &Call) -> std::result::Result<(), String> {
    if call.args.len() % 2 == 1 {
        return Err(format!("Switch has a key without a value: {}", call.function.usage));
    }
    Ok(())
}

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

/// LDAP writes `TRUE` (RFC 4517 section 3.3.3).
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

fn is_string<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::truth(args.value(0)? != Val::Null))
}

fn coalesce<'a>(args: &Args<'a, '_>) -> Result<'a> {
    for i in 0..args.len() {
        let value = args.value(i)?;
        if value != Val::Null {
            return Ok(value);
        }
    }
    Ok(Val::Null)
}

fn ignore_flow<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let value = args.value(0)?;
    Ok(if is_empty(&value) { Val::Null } else { value })
}

fn is_empty(value: &Val<'_>) -> bool {
    value.size() == 0
}
