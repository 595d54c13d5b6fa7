//! Functions about the attribute as a whole: a value nobody has, a value nobody sees.

use super::{Args, Function, function};
use crate::mapping::value::{EvalError, Val};

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

/// The first value that nobody at the target has.
pub(crate) const UNIQUE: &str = "SelectUniqueValue";
/// Not shown anywhere.
pub(crate) const REDACT: &str = "Redact";

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        top_level: true,
        ..function(UNIQUE, "SelectUniqueValue(rule1, rule2, ...)", 2, usize::MAX, select).about(
            "The first of these values that no account known at the target has, letter case aside; who finds all of them taken is \
             parked. It counts at creation only, stands alone in its row, and is not for an attribute that accounts are matched \
             by. Shown here are all candidates, in order.",
            &[
                ("SelectUniqueValue(ToLower([givenName]), ToLower(Append([givenName], Left([surname], 1))))", "jane | janed"),
                ("SelectUniqueValue([nobody], \"x\")", "x"),
            ],
        )
    },
    function(REDACT, "Redact(source)", 1, 1, |args| args.value(0)).about(
        "The value itself. Wherever the row is shown (plans, `explain`, messages), `[Redact]` stands for it.",
        &[("Redact([userPrincipalName])", "jdoe@corp.local")],
    ),
];

/// The candidates; which one is free, only the state store can say.
fn select<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let mut found = Vec::new();
    for i in 0..args.len() {
        if let Some(text) = args.text(i)?.filter(|text| !text.is_empty())
            && !found.contains(&text)
        {
            found.push(text);
        }
    }
    Ok(Val::many(found))
}
