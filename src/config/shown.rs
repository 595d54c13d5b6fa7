//! The line of the file that is shown with a mistake: without anything that may be a secret.

use super::spec::Kind;
use super::tables::{ROOT, ROW, SECRET};

/// The line as far as it may be shown. A value is shown only where its key is one that never holds a secret; `key` is the
/// dotted path of the mistake and counts for lines without a key of their own (the later lines of an array).
pub(super) fn shown(line: &str, key: &str) -> String {
    let line = without_comment(line);
    // The address of a webhook is its secret; a name and a password in front of a host are one.
    // Where it is not TOML nobody knows whose address it is.
    let anybodys = key.is_empty() && line.contains("://");
    if key.contains("webhook") || line.contains("webhook") || has_userinfo(line) || anybodys {
        return "…".to_owned();
    }
    // Expressions and domains have names of the administrator's choice, and no secrets.
    if key.contains(".map.") || key.contains(".domains.") {
        return line.to_owned();
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let mut safe = line.trim_start().starts_with('[') && !line.contains('=') || harmless(last.trim_end_matches(']'));
    for (at, owner) in owners(line) {
        if harmless(owner) {
            safe = true;
            continue;
        }
        // A table: its own keys decide.
        if line[at + 1..].trim_start().starts_with('{') {
            continue;
        }
        // The name of a secret may be shown, and a name that the message shows anyway.
        let known = holds_secret(owner) || owner == last;
        return if known { format!("{} …", &line[..=at]) } else { "…".to_owned() };
    }
    if safe { line.to_owned() } else { "…".to_owned() }
}

/// Every `=` outside of quotes, with the name in front of it.
fn owners(line: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in outside_quotes(line) {
        match c {
            '=' => {
                found.push((at, line[start..at].trim().trim_matches(['"', '\''])));
                start = at + 1;
            }
            '{' | '}' | ',' | '[' | ']' => start = at + 1,
            _ => {}
        }
    }
    found
}

fn without_comment(line: &str) -> &str {
    let end = outside_quotes(line).find(|(_, c)| *c == '#').map_or(line.len(), |(at, _)| at);
    line[..end].trim_end()
}

/// The characters of a line that are not inside of quotes.
fn outside_quotes(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    line.char_indices().filter(move |(_, c)| match quote {
        None => {
            if *c == '"' || *c == '\'' {
                quote = Some(*c);
                return false;
            }
            true
        }
        Some(q) => {
            if *c == q && !escaped {
                quote = None;
            }
            escaped = q == '"' && *c == '\\' && !escaped;
            false
        }
    })
}

fn holds_secret(name: &str) -> bool {
    kinds(name).iter().any(|k| matches!(k, Kind::Secret))
}

/// `https://user:password@host` anywhere in the line.
fn has_userinfo(line: &str) -> bool {
    line.split("://")
        .skip(1)
        .any(|rest| rest.split(['"', '\'', '/', ' ']).next().is_some_and(|authority| authority.contains('@')))
}

/// A key that is known and never holds a secret.
fn harmless(name: &str) -> bool {
    let kinds = kinds(name.split('[').next().unwrap_or(name));
    !kinds.is_empty() && !kinds.iter().any(|k| matches!(k, Kind::Secret))
}

/// Every kind that a key of this name has anywhere.
fn kinds(name: &str) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for table in [&ROOT, &ROW, &SECRET] {
        table.with_below(&mut |t| kinds.extend(t.find(name).map(|k| k.kind)));
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn secrets_are_never_shown() {
        for (line, key, expected) in [
            ("password = \"hunter2\"", "source.corp.password", "password = …"),
            ("passwrod = \"hunter2\"", "source.corp.passwrod", "passwrod = …"),
            ("passwrod = \"hunter2\"", "", "…"),
            ("token = hunter2", "", "token = …"),
            ("  hunter2", "", "…"),
            ("MIIhunter2==", "", "…"),
            ("\"hunter2\" = 1", "", "…"),
            (
                "oauth = { client_id = \"a\", client_secret = \"hunter2\" }",
                "target.a.oauth.scpe",
                "oauth = { client_id = \"a\", client_secret = …",
            ),
            ("url = \"x\" # hunter2", "source.corp.url", "url = \"x\""),
            (
                "password = { file = \"a#b\", value = \"hunter2\" }",
                "source.corp.password.value",
                "password = { file = \"a#b\", value = …",
            ),
            ("password = { \"hunter2\" }", "", "…"),
            ("url = \"https://user:hunter2@app.example/\"", "target.app.url", "…"),
            ("webhook = { url = \"http://hooks.example/hunter2\" }", "notify.webhook.url", "…"),
            ("url = \"http://hooks.example/hunter2\"", "notify.webhook.url", "…"),
            ("url = \"http://hooks.example/hunter2", "", "…"),
        ] {
            assert_eq!(shown(line, key), expected, "{line}");
        }
    }

    #[test]
    fn everything_else_is() {
        for (line, key) in [
            ("[source.corp]", "source.corp.url"),
            ("[[sync]]", "sync[0].name"),
            ("flavor = \"#1\"", "source.corp.flavor"),
            ("  \"updaet\",", "sync[0].actions.user[1]"),
            ("\"name.x\" = '[a] = \"b'", "sync[0].map.user.\"name.x\""),
            ("users = 'title eq \"x\"'", "sync[0].scope.users"),
            ("concurrency = x", ""),
        ] {
            assert_eq!(shown(line, key), line, "{line}");
        }
    }
}
