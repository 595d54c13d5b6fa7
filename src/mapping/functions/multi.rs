//! Several values into one, and one into several.

use super::{Args, Bounded, Function, function};
use crate::mapping::value::{EvalError, Val};
use std::borrow::Cow;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("Join", "Join(separator, source1, source2, ...)", 2, usize::MAX, join).about(
        "All values of all sources in one text, with the separator between them. What is null or empty is passed over; where \
         nothing is left, there is no value.",
        &[
            ("Join(\", \", \"\", [surname], [givenName])", "Doe, Jane"),
            ("Join(\" \", [givenName], [nobody], [surname])", "Jane Doe"),
            ("Join(\";\", [proxyAddresses])", "SMTP:Jane.Doe@corp.example;smtp:jane@corp.example"),
            ("Join(\" \", [nobody], [nothing])", "null"),
        ],
    ),
    Function {
        integers: &[(1, 1)],
        ..function("Item", "Item(source, number from 1)", 2, 2, item).about(
            "The n-th of several values, counted from 1; null where there are fewer.",
            &[
                ("Item([proxyAddresses], 2)", "smtp:jane@corp.example"),
                ("Item(Split([mail], \"@\"), 1)", "Jane.Doe"),
                ("Item([mail], 2)", "null"),
            ],
        )
    },
    function("Split", "Split(source, delimiter)", 2, 2, split).about(
        "The parts of a text between delimiters, without blanks around them. Empty parts keep their place.",
        &[
            ("Split(\"PermissionSetOne, PermissionSetTwo\", \",\")", "PermissionSetOne | PermissionSetTwo"),
            ("Split([mail], \"@\")", "Jane.Doe | corp.example"),
            ("Split([nobody], \",\")", "null"),
        ],
    ),
    function("Count", "Count(source)", 1, 1, count)
        .about("The number of values.", &[("Count([proxyAddresses])", "2"), ("Count([nobody])", "0")]),
    function("RemoveDuplicates", "RemoveDuplicates(source)", 1, 1, remove_duplicates).about(
        "Each value once; letter case does not tell two apart, and the first spelling stays.",
        &[("RemoveDuplicates(Split(\"a,B,A,b,c\", \",\"))", "a | B | c")],
    ),
];

fn join<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let separator = args.text(0)?.unwrap_or_default();
    let mut out = Bounded::default();
    let mut any = false;
    for i in 1..args.len() {
        for text in args.value(i)?.into_all() {
            if text.is_empty() {
                continue;
            }
            if any {
                out.push(&separator)?;
            }
            out.push(&text)?;
            any = true;
        }
    }
    Ok(if any { Val::text(out.0) } else { Val::Null })
}

/// Counts from 1; beyond the end there is nothing.
fn item<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(number) = args.integer(1)? else { return Ok(Val::Null) };
    let Some(index) = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)) else {
        return Err(EvalError(format!("the number is {number}, items count from 1")));
    };
    Ok(args.value(0)?.into_all().into_iter().nth(index).map_or(Val::Null, Val::One))
}

fn split<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let delimiter = args.text(1)?.unwrap_or_default();
    let mut parts: Vec<Cow<'a, str>> = Vec::new();
    for text in args.value(0)?.into_all() {
        if delimiter.is_empty() {
            parts.push(text);
            continue;
        }
        match text {
            Cow::Borrowed(s) => parts.extend(s.split(delimiter.as_ref()).map(|p| Cow::Borrowed(p.trim()))),
            Cow::Owned(s) => parts.extend(s.split(delimiter.as_ref()).map(|p| Cow::Owned(p.trim().to_owned()))),
        }
    }
    Ok(Val::many(parts))
}

fn count<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(Val::text(args.value(0)?.into_all().len().to_string()))
}

fn remove_duplicates<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let mut seen = std::collections::HashSet::new();
    let texts = args.value(0)?.into_all();
    Ok(Val::many(texts.into_iter().filter(|t| seen.insert(t.to_lowercase())).collect()))
}
