use super::{Expr, eval, user};
use crate::mapping::functions;
use proptest::prelude::*;

#[test]
fn mistakes_are_named_with_their_place() {
    for (expr, offset, words) in [
        ("", 0, "expected a function"),
        ("[mail", 0, "no closing `]`"),
        ("[]", 0, "not an attribute name"),
        ("\"abc", 0, "no closing double quote"),
        ("mail", 0, "write [mail] for the attribute"),
        ("Tolower([mail])", 0, "is ToLower meant?"),
        ("Lower([mail])", 0, "is ToLower meant?"),
        ("Frobnicate([mail])", 0, "function Frobnicate is not available"),
        ("Append([mail], Tolower([x]))", 15, "is ToLower meant?"),
        ("Append([mail])", 0, "takes 2 arguments, here are 1"),
        ("ToLower()", 0, "takes 1 to 2 arguments, here are 0"),
        ("Join(\",\")", 0, "at least 2 arguments"),
        ("Switch([a], , \"k\")", 0, "at least 4"),
        ("Switch([a], , \"k\", \"v\", \"k2\")", 0, "a key without a value"),
        ("Left([a], \"x\")", 0, "must be a whole number"),
        ("Item([a], 0)", 0, "at least 1"),
        ("Mid([a], 0, 3)", 0, "at least 1"),
        ("Replace([a], \"x\")", 0, "Replace takes oldValue and replacementValue"),
        ("Replace([a], , \"(\", , \"x\", , )", 0, "regular expression of Replace cannot be used"),
        ("Replace([a], , [b], , \"x\", , )", 0, "in double quotes"),
        ("Replace([a], , \"x\", \"g\", \"y\", , )", 0, "no group named g"),
        ("[a] [b]", 4, "the end of the expression"),
        ("Not([a]", 7, "`,` or `)`"),
        ("Not([a];)", 7, "`,` or `)`"),
        ("1.2.3", 0, "is not a number"),
        ("1x", 0, "is not a number"),
        ("IIF([a] = , 1, 2)", 10, "expected a function"),
    ] {
        let e = expr.parse::<Expr>().unwrap_err();
        assert!(e.to_string().contains(words), "{expr}: {e}");
        assert_eq!(e.offset, offset, "{expr}: {e}");
    }
}

#[test]
fn hostile_expressions_are_refused_without_overflow() {
    for expr in ["Not(".repeat(2_000), "Not(".repeat(51) + "[a]" + &")".repeat(51), "x".repeat(10_001), "[".repeat(5_000)] {
        assert!(expr.parse::<Expr>().is_err());
    }
    let deep = "Not(".repeat(50) + "[a]" + &")".repeat(50);
    assert_eq!(deep.parse::<Expr>().unwrap().to_string(), deep);
}

#[test]
fn results_are_bounded() {
    let entry = user(&[("a", &"x,".repeat(30_000))]);
    for expr in [
        "Join(\"\", [a], [a])",
        "Append(Split([a], \",\"), Left([a], 9000))",
        "Replace(Split([a], \",\"), \"x\", , , Left([a], 9000))",
        "Replace([a], \"x\", , , Left([a], 9000))",
        "Replace([a], , \"x\", , \"${0}${0}${0}${0}\")",
        "Replace(\"%\", \"%\", , , , , [a])",
        "ConvertToBase64([a])",
    ] {
        let got = eval(expr, &entry);
        if expr.starts_with("Replace(\"%\"") {
            assert!(got.is_ok(), "{expr}");
        } else {
            assert!(got.unwrap_err().contains("longer than"), "{expr}");
        }
    }
}

#[test]
fn spaces_do_not_matter() {
    let spaced: Expr = " Switch ( [ IsSoftDeleted ] ,, \"False\" , \"True\" ,\"True\",\"False\" ) ".parse().unwrap();
    assert_eq!(spaced.to_string(), r#"Switch([IsSoftDeleted], , "False", "True", "True", "False")"#);
}

fn any_plain() -> impl Strategy<Value = String> + Clone {
    let leaf = prop_oneof![
        "[A-Za-z][A-Za-z0-9_.-]{0,12}".prop_map(|n| format!("[{n}]")),
        "[^\"\\\\]{0,12}".prop_map(|t| format!("\"{t}\"")),
        "(\\\\\"|\\\\\\\\|a|\\\\d){0,6}".prop_map(|t| format!("\"{t}\"")),
        (-99i32..99).prop_map(|n| n.to_string()),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("ToLower({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("Append({a},{b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("IIF({a} >= {b}, {c}, )")),
            prop::collection::vec(inner, 4).prop_map(|v| format!("Switch({})", v.join(" , "))),
        ]
    })
}

fn any_expr() -> impl Strategy<Value = String> {
    prop_oneof![any_plain(), any_call(any_plain())]
}

/// Any function with as many arguments as it takes, some left out.
fn any_call(arg: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    let number = (0..functions::names().count(), prop::collection::vec(prop_oneof![4 => arg, 1 => Just(String::new())], 7));
    number.prop_map(|(at, args)| {
        let function = functions::all().nth(at).unwrap();
        let n = function.min.max(function.max.min(args.len())).min(args.len());
        format!("{}({})", function.name, args[..n].join(","))
    })
}

proptest! {
    #[test]
    fn expressions_print_and_read_back(text in any_expr()) {
        // A function may refuse such arguments; what it takes it prints.
        let Ok(expr) = text.parse::<Expr>() else { return Ok(()) };
        let again: Expr = expr.to_string().parse().unwrap();
        prop_assert_eq!(&again, &expr);
        prop_assert_eq!(again.to_string(), expr.to_string());
        let entry = user(&[("a", "one"), ("a", "two"), ("b", "3")]);
        prop_assert_eq!(eval(&text, &entry), eval(&expr.to_string(), &entry));
    }

    #[test]
    fn plain_expressions_are_all_taken(text in any_plain()) {
        prop_assert!(text.parse::<Expr>().is_ok(), "{}", text);
    }

    #[test]
    fn no_expression_panics(
        text in ".{0,60}",
        near in "(Switch|Left|Mid|Item|Word|Replace|Split|Join|\\(|\\)|,|\"x\"|\"|\\[a\\]|\\[|=|<>| |-1|0|9|é){0,16}",
        attr in ".{0,12}",
        number in any::<i64>(),
    ) {
        let entry = user(&[("a", &attr), ("n", &number.to_string())]);
        for t in [&text, &near] {
            if t.parse::<Expr>().is_ok() {
                let _ = eval(t, &entry);
            }
        }
        for t in ["Left([a], [n])", "Mid([a], [n], [n])", "Item(Split([a], \"x\"), [n])", "Word([a], [n], [a])", "InStr([a], [a], [n], 1)",
            "NormalizeDiacritics([a])", "Replace([a], [n], , , [a])", "ToLower([a], [a])", "CBool([a])", "BitAnd([n], [n])"] {
            let _ = eval(t, &entry);
        }
    }
}
