//! The rules that hold the code together, read from the code itself: what may know what, and where what may stand.
//!
//! The order of the modules is the one at the top of `src/lib.rs`: groups between blank lines, from above to below.

mod code;

use code::{Code, Path};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;

/// Modules of one group that may know each other: who, whom.
const SIDEWAYS: [(&str, &str); 5] = [
    ("apply", "observe"), // tells its progress
    ("apply", "state"),   // books results
    ("apply", "target"),  // writes
    ("migrate", "sync"),  // reads both sides as a cycle does
    ("plan", "mapping"),  // compares what the mapping desires
];

/// Modules that decide: no input or output, no clock, no surroundings.
const PURE: [&str; 6] = ["model", "mapping", "plan", "scim", "exit", "names"];

/// What pure modules may not name.
const IMPURE: [&str; 11] = [
    "tokio",
    "reqwest",
    "rusqlite",
    "ldap3",
    "std::fs",
    "std::net",
    "std::env",
    "std::process::Command",
    "std::process::exit",
    "std::time::SystemTime",
    "std::time::Instant",
];

/// Lines that a file may have.
const LONGEST: usize = 500;

/// A file of `src/`.
struct File {
    /// Relative to the package, with forward slashes.
    name: String,
    text: String,
}

impl File {
    /// Names of the module that the file is, from the top: `src/plan/guard.rs` is `plan`, `guard`.
    fn module(&self) -> Vec<&str> {
        let path = self.name.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').collect() }
    }

    fn top(&self) -> &str {
        self.module().first().copied().unwrap_or_default()
    }

    /// Files that are there for tests only: `tests.rs`, `x_tests.rs`, whatever is below `tests/`.
    fn is_test(&self) -> bool {
        self.module().iter().any(|m| *m == "tests" || m.ends_with("_tests"))
    }

    fn code(&self) -> Code {
        if self.is_test() { Code::default() } else { code::read(&self.text) }
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.name)
    }
}

/// Rank of each top module: 0 is the lowest group.
struct Order(BTreeMap<String, usize>);

impl Order {
    fn read(lib: &str) -> Self {
        let mut groups: Vec<Vec<String>> = vec![Vec::new()];
        for line in lib.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("pub mod ").and_then(|l| l.strip_suffix(';')) {
                groups.last_mut().unwrap().push(name.to_owned());
            } else if line.is_empty() && !groups.last().unwrap().is_empty() {
                groups.push(Vec::new());
            }
        }
        let ranked = groups.into_iter().filter(|g| !g.is_empty()).rev().enumerate();
        Self(ranked.flat_map(|(rank, names)| names.into_iter().map(move |n| (n, rank))).collect())
    }

    fn allows(&self, from: &str, to: &str) -> Result<(), String> {
        let rank = |name: &str| self.0.get(name).copied().ok_or_else(|| format!("src/lib.rs gives {name} no place in the order"));
        match rank(from)?.cmp(&rank(to)?) {
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Equal if from == to || SIDEWAYS.contains(&(from, to)) => Ok(()),
            std::cmp::Ordering::Equal => Err(format!("{from} and {to} stand side by side and may not know each other")),
            std::cmp::Ordering::Less => Err(format!("{from} stands below {to} and may not know it")),
        }
    }
}

/// The top module that a path of this file leads to, if it leads to one of ours.
fn leads_to<'a>(file: &File, path: &'a Path) -> Option<&'a str> {
    let mut rest = path.segments.iter().map(String::as_str).peekable();
    match *rest.peek()? {
        "crate" | "scim_sync" => {
            rest.next();
        }
        "self" | "super" => {
            let mut climb = 0;
            while let Some(word) = rest.next_if(|s| matches!(*s, "self" | "super")) {
                climb += usize::from(word == "super");
            }
            // Only who climbs to the crate's root comes out of its own module.
            if climb < file.module().len() + path.depth || file.module().is_empty() {
                return None;
            }
        }
        _ => return None,
    }
    rest.next()
}

fn order_breaches(order: &Order, file: &File) -> Vec<String> {
    let from = file.top();
    let paths = file.code().paths;
    let ours = paths.iter().filter_map(|p| Some((p.line, leads_to(file, p)?)));
    // Macros and items at the crate's root have no module.
    let modules = ours.filter(|(_, to)| !from.is_empty() && to.chars().all(|c| c.is_lowercase() || c == '_'));
    modules.filter_map(|(line, to)| Some(file.at(line, order.allows(from, to).err()?))).collect()
}

fn impurities(file: &File) -> Vec<String> {
    if !PURE.contains(&file.top()) {
        return Vec::new();
    }
    let paths = file.code().paths;
    let bad = paths.iter().filter(|p| {
        let full = p.segments.join("::");
        let named = IMPURE.iter().any(|i| full == *i || full.starts_with(&format!("{i}::")));
        let tail = |n: &str| p.segments.iter().any(|s| s == n);
        named || full.ends_with("::now") || tail("SystemTime") || tail("Instant")
    });
    bad.map(|p| file.at(p.line, format!("{} decides and may not use {}", file.top(), p.segments.join("::")))).collect()
}

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > LONGEST).then(|| file.at(LONGEST + 1, format!("{lines} lines; at most {LONGEST}")))
}

fn sql(file: &File) -> Vec<String> {
    if file.top() == "state" {
        return Vec::new();
    }
    let statement = Regex::new(
        r"(?is)^[\s\\n]*(select\s.*\sfrom\s|insert\s+(or\s+\w+\s+)?into\s|update\s+\S+\s+set\s|delete\s+from\s|create\s+(temp\s+)?(table|index)\s|pragma\s)",
    )
    .unwrap();
    let strings = file.code().strings;
    let bad = strings.iter().filter(|(_, s)| statement.is_match(s));
    bad.map(|(line, _)| file.at(*line, "SQL stands in src/state only")).collect()
}

fn output(file: &File) -> Vec<String> {
    if file.top() == "cli" {
        return Vec::new();
    }
    let code = file.code();
    let macros = code.macros.iter().filter(|(_, m)| matches!(m.as_str(), "print" | "println" | "eprint" | "eprintln" | "dbg"));
    let paths = code.paths.iter().filter(|p| {
        let last = p.segments.last().map_or("", String::as_str);
        matches!(last, "stdout" | "stderr") && p.segments.iter().any(|s| s == "io")
    });
    let lines = macros.map(|(line, m)| (*line, format!("{m}!"))).chain(paths.map(|p| (p.line, p.segments.join("::"))));
    lines.map(|(line, what)| file.at(line, format!("{what}: only src/cli talks to the terminal"))).collect()
}

/// Two modules that know each other, directly or through others.
fn circle(edges: &BTreeSet<(String, String)>) -> Option<String> {
    let mut reach = edges.clone();
    loop {
        let more: Vec<(String, String)> = reach
            .iter()
            .flat_map(|(a, b)| reach.iter().filter(move |(c, _)| c == b).map(move |(_, d)| (a.clone(), d.clone())))
            .filter(|e| !reach.contains(e))
            .collect();
        if more.is_empty() {
            return reach.iter().find(|(a, b)| a == b).map(|(a, _)| format!("{a} knows itself through others"));
        }
        reach.extend(more);
    }
}

fn edges(files: &[File]) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for file in files.iter().filter(|f| !f.top().is_empty()) {
        let code = file.code();
        let to = code.paths.iter().filter_map(|p| leads_to(file, p)).filter(|to| *to != file.top());
        all.extend(to.map(|to| (file.top().to_owned(), to.to_owned())));
    }
    all
}

fn files() -> Vec<File> {
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR"));
    let mut out = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for found in std::fs::read_dir(folder).unwrap() {
            let path = found.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                out.push(File { name, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(out.len() > 50, "src/ was read");
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

fn order() -> Order {
    let lib = files().into_iter().find(|f| f.name == "src/lib.rs").unwrap();
    let order = Order::read(&lib.text);
    assert!(order.0["cli"] > order.0["sync"] && order.0["sync"] > order.0["state"] && order.0["plan"] > order.0["model"]);
    order
}

fn clean(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn imports_point_down() {
    let order = order();
    clean(files().iter().flat_map(|f| order_breaches(&order, f)).collect());
}

#[test]
fn no_module_knows_itself_through_others() {
    clean(circle(&edges(&files())).into_iter().collect());
}

#[test]
fn what_decides_is_pure() {
    clean(files().iter().flat_map(impurities).collect());
}

#[test]
fn no_file_is_too_long() {
    clean(files().iter().filter_map(too_long).collect());
}

#[test]
fn sql_stands_in_the_state_store_only() {
    clean(files().iter().flat_map(sql).collect());
}

#[test]
fn only_the_command_line_talks_to_the_terminal() {
    clean(files().iter().flat_map(output).collect());
}

/// Each check fails where it should, at the right line, and nowhere else.
mod checks {
    use super::*;

    fn file(name: &str, text: &str) -> File {
        File { name: name.to_owned(), text: text.to_owned() }
    }

    fn order() -> Order {
        Order::read(
            "//! Docs.\n\npub mod cli;\n\npub mod apply;\npub mod source;\npub mod state;\n\npub mod plan;\n\npub mod model;\n",
        )
    }

    #[test]
    fn imports_that_point_up_or_aside_are_found() {
        let breaches = |name, text| order_breaches(&order(), &file(name, text));
        let up = breaches("src/plan/guard.rs", "//! Docs.\n\nuse crate::state::Store;\nuse crate::model::Entry;\n");
        assert_eq!(up, ["src/plan/guard.rs:3: plan stands below state and may not know it"]);
        let aside = breaches("src/source/mod.rs", "fn f() -> crate::state::Store { g() }");
        assert_eq!(aside, ["src/source/mod.rs:1: source and state stand side by side and may not know each other"]);
        assert_eq!(breaches("src/plan/a.rs", "use crate::{model::X, cli::{self, Y}};").len(), 2);
        assert_eq!(breaches("src/state/mod.rs", "use super::cli::Out;").len(), 1, "super climbs to the root");
        assert_eq!(breaches("src/state/a.rs", "use super::super::cli::Out;").len(), 1);
        assert_eq!(breaches("src/model/a.rs", "use crate::nowhere::X;").len(), 1, "every module has its place");
        for (name, fine) in [
            ("src/apply/a.rs", "use crate::state::Store; use super::cli; use crate::model::X;"),
            ("src/state/a.rs", "mod b { use super::super::cli; }"),
            ("src/model/a.rs", "// use crate::cli::X\n#[cfg(test)] mod tests { use crate::cli::X; }"),
            ("src/model/tests/a.rs", "use crate::cli::X;"),
            ("src/model/tests.rs", "use crate::cli::X;"),
            ("src/main.rs", "fn main() { scim_sync::cli::main() }"),
        ] {
            assert_eq!(breaches(name, fine), [""; 0], "{name}");
        }
    }

    #[test]
    fn circles_are_found() {
        let edge = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        assert_eq!(circle(&[("a", "b"), ("a", "c"), ("b", "c")].map(edge).into()), None);
        assert!(circle(&[("a", "b"), ("b", "c"), ("c", "a")].map(edge).into()).is_some());
        let files = [file("src/a/x.rs", "use crate::b::T;"), file("src/b.rs", "use crate::a::U; use crate::b::V;")];
        assert_eq!(edges(&files).len(), 2);
        assert!(circle(&edges(&files)).is_some());
    }

    #[test]
    fn what_is_not_pure_is_found() {
        for (text, what) in [
            ("use std::{fmt, fs};", "std::fs"),
            ("use std::time::{Duration, Instant};", "std::time::Instant"),
            ("fn f() { let t = jiff::Timestamp::now(); }", "jiff::Timestamp::now"),
            ("fn f() { let t = Zoned::now(); }", "Zoned::now"),
            ("async fn f() { tokio::spawn(g()) }", "tokio::spawn"),
            ("fn f() { std::env::var(\"X\") }", "std::env::var"),
            ("use rusqlite::Connection;", "rusqlite::Connection"),
        ] {
            let found = impurities(&file("src/plan/x.rs", &format!("\n{text}")));
            assert_eq!(found, [format!("src/plan/x.rs:2: plan decides and may not use {what}")]);
            assert!(impurities(&file("src/state/x.rs", text)).is_empty());
        }
        assert!(impurities(&file("src/plan/x.rs", "use std::time::Duration; fn now() {} // std::fs")).is_empty());
        assert_eq!(impurities(&file("src/exit.rs", "use std::process::{ExitCode, exit};")).len(), 1);
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(too_long(&file("src/a.rs", &"x\n".repeat(500))), None);
        assert_eq!(too_long(&file("src/a.rs", &"x\n".repeat(501))).unwrap(), "src/a.rs:501: 501 lines; at most 500");
    }

    #[test]
    fn sql_elsewhere_is_found() {
        for statement in [
            "SELECT id\n FROM link",
            "insert or ignore into t values (1)",
            "\n  UPDATE t SET x = 1",
            "DELETE FROM t",
            "PRAGMA x = 1",
        ] {
            let text = format!("fn f() {{\n  g(\"{statement}\") }}");
            assert_eq!(sql(&file("src/sync/a.rs", &text)), ["src/sync/a.rs:2: SQL stands in src/state only"]);
            assert!(sql(&file("src/state/a.rs", &text)).is_empty());
        }
        for words in ["GET, PUT, PATCH, DELETE", "update the address at the source", "delete", "selected from a list"] {
            assert!(sql(&file("src/sync/a.rs", &format!("fn f() {{ g(\"{words}\") }}"))).is_empty(), "{words}");
        }
    }

    #[test]
    fn talking_elsewhere_is_found() {
        let text = "use std::io::{self, Read};\nfn f() {\n  println!(\"x\");\n  let _ = std::io::stdout();\n  io::stderr(); }";
        let lines: Vec<String> = output(&file("src/sync/a.rs", text)).iter().map(|b| b[..16].to_owned()).collect();
        assert_eq!(lines, ["src/sync/a.rs:3:", "src/sync/a.rs:4:", "src/sync/a.rs:5:"]);
        assert!(output(&file("src/cli/a.rs", text)).is_empty());
    }
}
