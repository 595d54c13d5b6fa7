//! Expressions: no text makes the parser or an evaluation panic, and what was read prints as what it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scim_sync::mapping::Expr;
use scim_sync::model::{Attrs, Entry, ObjectKind, SourceKey, Value};

fuzz_target!(|data: (&str, &str)| {
    let (text, value) = data;
    let Ok(expr) = text.parse::<Expr>() else { return };
    let printed = expr.to_string();
    // Printing adds blanks: what was as long as may be is longer now.
    if printed.chars().count() <= 10_000 {
        let again: Expr = printed.parse().unwrap_or_else(|e| panic!("{printed}: {e}"));
        assert_eq!(again, expr, "{printed}");
    }
    let mut attrs = Attrs::new();
    attrs.add("a", vec![Value::from(value), Value::from("b")]);
    attrs.add("n", vec![Value::from("42")]);
    let entry = Entry {
        kind: ObjectKind::User,
        key: SourceKey("key".to_owned()),
        dn: None,
        names: Vec::new(),
        attrs,
        members: Vec::new(),
        disabled: false,
        due: None,
    };
    let _ = expr.text_of(&entry);
});
