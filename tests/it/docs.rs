//! What the documents say, as far as a test can know: links lead somewhere, configurations parse, commands and options exist,
//! exit codes and limits are the code's.

use clap::CommandFactory as _;
use regex::Regex;
use scim_sync::cli::Cli;
use scim_sync::config;
use scim_sync::exit::Exit;
use scim_sync::target::presets;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the project, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    for folder in ["", "docs", "docs/monitoring", "docs/sources", "docs/targets"] {
        for found in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = found.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                out.push((path, text));
            }
        }
    }
    assert!(out.len() >= 12);
    out
}

/// Code blocks of a language: after three backticks, or indented in a list.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == format!("```{language}") {
            let body: Vec<&str> = lines.by_ref().take_while(|l| l.trim() != "```").collect();
            out.push(body.join("\n"));
        }
    }
    out
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#]+)(#[^)]*)?\)").unwrap();
    for (path, text) in documents() {
        for found in link.captures_iter(&text) {
            let to = &found[1];
            if !to.contains("://") {
                assert!(path.parent().unwrap().join(to).exists(), "{}: {to}", path.display());
            }
        }
    }
}

/// Whole configurations parse as they are; parts get what they need around them.
#[test]
fn configurations_parse() {
    let mut seen = 0;
    for (path, text) in documents() {
        for block in blocks(&text, "toml") {
            let mut whole = block.clone();
            if !block.contains("version = 1") {
                whole.insert_str(0, "version = 1\n");
            }
            let of_a_sync = block.lines().any(|l| l.starts_with("[sync."));
            if of_a_sync && !block.contains("[[sync]]") {
                let frame = "version = 1\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n[target.t]\nurl = \"https://x.example\"\n\
                             [[sync]]\nname = \"n\"\nsource = \"s\"\ntarget = \"t\"\n";
                whole = format!("{frame}{block}");
            }
            let mut mistakes = config::parse(&path, whole).err().map(|e| e.0).unwrap_or_default();
            // What another build can do is described as well.
            mistakes.retain(|m| !m.message.ends_with("has no Kerberos"));
            assert!(mistakes.is_empty(), "{}:\n{block}\n{mistakes:#?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

/// `scim-sync COMMAND --option ..` exists, wherever it is written as code.
#[test]
fn commands_exist() {
    let cli = Cli::command();
    let call = Regex::new(r"(?m)(?:^ {4,}(?:sudo )?|[`$] ?(?:sudo )?)scim-sync ([^`#\n]*)").unwrap();
    let globals: Vec<String> = cli.get_arguments().filter_map(|a| a.get_long().map(str::to_owned)).collect();
    let mut seen = 0;
    for (path, text) in documents() {
        for found in call.captures_iter(&text) {
            let all: Vec<&str> = found[1].split_whitespace().collect();
            let migrates = all.contains(&"--migrate-userids");
            let words: Vec<&str> = if migrates { all } else { all.into_iter().skip_while(|w| w.starts_with('-')).collect() };
            let Some(name) = words.first().filter(|w| migrates || w.chars().all(char::is_lowercase)) else { continue };
            if *name == "help" {
                continue;
            }
            let at = format!("{}: scim-sync {}", path.display(), found[1].trim());
            let mut command = if migrates { &cli } else { cli.find_subcommand(name).unwrap_or_else(|| panic!("{at}")) };
            if command.has_subcommands() && !migrates {
                let word = words.get(1).and_then(|w| w.split('|').next()).unwrap_or_else(|| panic!("{at}: which one?"));
                command = command.find_subcommand(word).unwrap_or_else(|| panic!("{at}"));
            }
            for option in words.iter().filter_map(|w| w.strip_prefix("--")) {
                let option = option.split('=').next().unwrap();
                let known = command.get_arguments().any(|a| a.get_long() == Some(option)) || globals.iter().any(|g| g == option);
                assert!(known, "{at}: --{option}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn exit_codes_are_all_there() {
    let text = std::fs::read_to_string(root().join("docs/exit-codes.md")).unwrap();
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(text.contains(&row), "{row}");
    }
    let rows = text.lines().filter(|l| l.starts_with("| ") && l.chars().nth(2).is_some_and(|c| c.is_ascii_digit())).count();
    assert_eq!(rows, Exit::ALL.len());
}

/// The guard's page shows the defaults: leaving them out means the same.
#[test]
fn guard_defaults_are_the_codes() {
    let text = std::fs::read_to_string(root().join("docs/guard.md")).unwrap();
    let frame = "version = 1\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n[target.t]\nurl = \"https://x.example\"\n\
                 [[sync]]\nname = \"n\"\nsource = \"s\"\ntarget = \"t\"\n";
    let guard = |text: String| format!("{:?}", config::parse(Path::new("c.toml"), text).unwrap().config.syncs[0].guard);
    assert_eq!(guard(format!("{frame}{}", blocks(&text, "toml")[0])), guard(frame.to_owned()));
}

/// Every preset has a row that says of it what its file says.
#[test]
fn presets_are_all_there() {
    let text = std::fs::read_to_string(root().join("docs/targets/presets.md")).unwrap();
    let named = text.lines().filter(|l| l.starts_with("| `")).count();
    assert_eq!(named, presets::NAMES.len(), "rows");
    for name in presets::NAMES {
        let preset = presets::find(name).unwrap();
        let row = text.lines().find(|l| l.starts_with(&format!("| `{name}` |"))).unwrap_or_else(|| panic!("{name}"));
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, _, people, groups, requests, delete, facts] = cells[..] else { panic!("{row}") };
        let d = &preset.dialect;
        assert_eq!(people.contains("never changed"), d.user_name_immutable, "{name}: {people}");
        assert_eq!(groups.starts_with("none"), !d.groups, "{name}: {groups}");
        assert_eq!(delete.starts_with("removes"), d.delete_removes, "{name}: {delete}");
        assert_eq!(requests.contains("a second"), d.rate.is_some(), "{name}: {requests}");
        assert!(facts.ends_with(preset.checked), "{name}: {facts}");
    }
    let example = std::fs::read_to_string(root().join("config.example.toml")).unwrap();
    for place in [example, std::fs::read_to_string(root().join("README.md")).unwrap()] {
        assert!(place.contains("docs/targets/presets.md"));
    }
}

/// Every invariant whose cell names tests has tests of its name; where the cell is empty there are none yet.
#[test]
fn invariants_have_tests_of_their_name() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let row = Regex::new(r"(?m)^\| `(\w+)` \| [^|]+\|([^|]*)\|$").unwrap();
    let code: String = ["src", "tests"].iter().map(|f| all_code(&root().join(f))).collect();
    let mut seen = 0;
    for found in row.captures_iter(table) {
        let (name, tests) = (&found[1], found[2].trim());
        let is_tested = Regex::new(&format!(r"fn (\w+_)?{name}(_\w+)?\(")).unwrap().is_match(&code);
        assert_eq!(is_tested, !tests.is_empty(), "{name}: {tests}");
        seen += 1;
    }
    assert_eq!(seen, 13);
}

fn all_code(folder: &Path) -> String {
    let mut out = String::new();
    for found in std::fs::read_dir(folder).unwrap() {
        let path = found.unwrap().path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            out += &all_code(&path);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out += &std::fs::read_to_string(&path).unwrap();
        }
    }
    out
}
