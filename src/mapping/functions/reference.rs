//! The reference of all functions, and the person on whom its examples are tried.

use super::FAMILIES;
use std::fmt::Write as _;

/// Attributes of the sample person.
const SAMPLE: &[(&str, &[&str])] = &[
    ("displayName", &["Jane Doe"]),
    ("givenName", &["Jane"]),
    ("surname", &["Doe"]),
    ("mail", &["Jane.Doe@corp.example"]),
    ("proxyAddresses", &["SMTP:Jane.Doe@corp.example", "smtp:jane@corp.example"]),
    ("userPrincipalName", &["jdoe@corp.local"]),
    ("msDS-PrincipalName", &["CORP\\jdoe"]),
    ("uid", &["jdoe"]),
    ("mobile", &["+45 12345678"]),
    ("department", &["Sales"]),
    ("c", &["DK"]),
    ("employeeId", &["00042"]),
    ("userAccountControl", &["514"]),
    ("accountExpires", &["9223372036854775807"]),
    ("whenCreated", &["20150123105347.1Z"]),
    ("hireDate", &["2020-03-16-07:00"]),
    ("appRoleAssignments", &["{\"value\":\"admin\",\"displayName\":\"Administrator\"}", "reader"]),
];

/// Unix second of the sample: 2026-11-22 09:30 UTC.
#[cfg(test)]
const NOW: i64 = 1_795_339_800;

/// The reference page in Markdown: `docs/mapping-functions.md`.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    out.push_str("| attribute | value |\n|---|---|\n");
    for (name, values) in SAMPLE {
        let values: Vec<String> = values.iter().map(|v| code(v)).collect();
        let _ = writeln!(out, "| `[{name}]` | {} |", values.join(", "));
    }
    out.push_str(TAIL);
    for (heading, files) in &FAMILIES {
        let _ = writeln!(out, "\n## {heading}");
        for f in files.iter().copied().flatten() {
            let _ = writeln!(out, "\n### {}\n\n`{}`\n\n{}\n\n| expression | gives |\n|---|---|", f.name, f.usage, f.about);
            for (expr, gives) in f.examples {
                let _ = writeln!(out, "| {} | {} |", code(expr), code(gives));
            }
        }
    }
    out
}

/// As code in a cell of a table.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

const HEAD: &str = "# Functions of the mapping language

Made from the functions' own documentation in `src/mapping/functions/`; every example is a test. How expressions are
written, and what a mapping does with their results, says [mapping.md](mapping.md).

The examples are tried on this person; `null` is no value, `|` stands between several values, `\"\"` is the empty text:

";

const TAIL: &str = "
It is 2026-11-22 09:30 UTC, `domains = { CORP = \"corp.example\", \"corp.local\" = \"corp.example\" }`, and the table `countries` has the
lines `DK,Denmark` and `SE,Sweden`.
";

/// The sample person.
#[cfg(test)]
pub(crate) fn sample() -> crate::model::Entry {
    use crate::model::{Attrs, Entry, ObjectKind, SourceKey, Value};
    let mut attrs = Attrs::new();
    for (name, values) in SAMPLE {
        attrs.add(*name, values.iter().map(|v| Value::from(*v)).collect());
    }
    Entry {
        kind: ObjectKind::User,
        key: SourceKey("00aa00aa-bb11-cc22-dd33-44ee44ee44ee".to_owned()),
        dn: None,
        names: Vec::new(),
        attrs,
        members: Vec::new(),
        disabled: false,
        due: None,
    }
}

/// What the sample person lives in.
#[cfg(test)]
pub(crate) fn world() -> crate::mapping::world::World {
    use crate::mapping::world::{LookupTable, World};
    let domain = |name: &str| (name.to_owned(), "corp.example".to_owned());
    let row = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let countries = LookupTable::new([row("DK", "Denmark"), row("SE", "Sweden")]);
    World {
        now: Some(NOW),
        domains: [domain("corp"), domain("corp.local")].into(),
        tables: [("countries".to_owned(), countries)].into(),
    }
}

/// What an expression gives for an entry, in the notation of the examples.
#[cfg(test)]
pub(crate) fn shown(expr: &str, entry: &crate::model::Entry) -> String {
    use crate::mapping::attr::Context;
    use crate::mapping::value::Val;
    let expr: crate::mapping::Expr = match expr.parse() {
        Ok(expr) => expr,
        Err(e) => return format!("refused: {e}"),
    };
    let world = world();
    let context = Context::new(entry, Some("jane.doe@corp.example"), entry.disabled).within(&world);
    match expr.0.eval(&context) {
        Ok(Val::Null) => "null".to_owned(),
        Ok(Val::One(text)) if text.is_empty() => "\"\"".to_owned(),
        Ok(found) => found.into_all().join(" | "),
        Err(e) => format!("error: {e}"),
    }
}
