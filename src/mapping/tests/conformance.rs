use crate::mapping::{Expr, functions};

const FILE: &str = include_str!("conformance.txt");

/// Expression and result of each line.
fn lines() -> Vec<(&'static str, &'static str)> {
    let lines = FILE.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.map(|l| l.rsplit_once(" => ").unwrap_or_else(|| panic!("{l}"))).collect()
}

#[test]
fn expressions_give_what_is_documented() {
    let sample = functions::sample();
    assert!(lines().len() >= 150, "{}", lines().len());
    let mut wrong = Vec::new();
    for (expr, gives) in lines() {
        let got = functions::shown(expr, &sample);
        // Of refusals the beginning counts.
        let same =
            if gives.starts_with("refused: ") || gives.starts_with("error: ") { got.starts_with(gives) } else { got == gives };
        if !same {
            wrong.push(format!("{expr}\n  gives {got}\n  not   {gives}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn expressions_print_as_what_they_are() {
    let sample = functions::sample();
    for (expr, _) in lines().into_iter().filter(|(_, gives)| !gives.starts_with("refused: ")) {
        let parsed: Expr = expr.parse().unwrap();
        let printed = parsed.to_string();
        assert_eq!(printed.parse::<Expr>().unwrap(), parsed, "{printed}");
        assert_eq!(functions::shown(&printed, &sample), functions::shown(expr, &sample), "{printed}");
    }
}

/// Every function has a line here.
#[test]
fn no_function_is_left_out() {
    for name in functions::names() {
        assert!(lines().iter().any(|(expr, _)| expr.contains(&format!("{name}("))), "{name}");
    }
}
