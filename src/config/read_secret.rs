//! References to secrets in the file.

use super::node::{Node, Value};
use super::read::Reader;
use super::secret::Secret;
use super::tables::SECRET;
use secrecy::SecretString;
use toml::de::DeValue;

const HOW: &str = "write { file = \"path\" }, { env = \"NAME\" } or { credential = \"name\" }";

impl Reader<'_> {
    /// Reads a reference to a secret, or a plain string where the file allows it.
    pub(super) fn secret(&mut self, path: &str, at: usize, value: &DeValue<'_>) -> Option<Value> {
        let (secret, expires) = match value {
            DeValue::String(text) if !self.plain_secrets => {
                let message = if text.is_empty() { "a secret cannot be empty" } else { "a secret must not stand in this file" };
                self.error(at, path, message, format!("{HOW}; for tests only, set allow_plaintext_secrets = true at the top"));
                return None;
            }
            DeValue::String(text) if text.is_empty() => {
                self.error(at, path, "a secret cannot be empty", HOW);
                return None;
            }
            DeValue::String(text) => (Secret::Plain(SecretString::from(text.as_ref())), None),
            DeValue::Table(table) => {
                // A date may stand there as TOML's own date or in quotes; it is read here, the rest by the table.
                let expires = table.get("expires");
                let mut others = table.clone();
                others.remove("expires");
                let node = self.table(path, at, &SECRET, &others);
                if let Some(day) = expires {
                    self.places.insert(format!("{path}.expires"), day.span().start);
                }
                let expires = expires.and_then(|e| self.date(&format!("{path}.expires"), e.span().start, e.get_ref()));
                (self.reference(path, at, &node)?, expires)
            }
            other => {
                let message = format!("expected a reference to a secret, found {}", super::value::found(other));
                self.error(at, path, message, HOW);
                return None;
            }
        };
        self.secrets.push((path.to_owned(), secret.clone(), expires));
        Some(Value::Secret(secret))
    }

    /// Reads the name of a file that is a secret, or a reference to one.
    pub(super) fn secret_file(&mut self, path: &str, at: usize, value: &DeValue<'_>) -> Option<Value> {
        const HOW: &str = "write \"path\", { file = \"path\" } or { credential = \"name\" }";
        let read = match value {
            DeValue::String(text) if text.trim().is_empty() => {
                self.error(at, path, "cannot be empty", HOW);
                return None;
            }
            DeValue::String(text) => {
                let secret = Secret::File(self.folder.join(text.as_ref()));
                self.secrets.push((path.to_owned(), secret.clone(), None));
                return Some(Value::Secret(secret));
            }
            value => self.secret(path, at, value)?,
        };
        if matches!(&read, Value::Secret(Secret::Env(_))) {
            self.error(at, path, "is a file, which no variable of the environment holds", HOW);
            return None;
        }
        Some(read)
    }

    fn reference(&mut self, path: &str, at: usize, node: &Node) -> Option<Secret> {
        let named: Vec<&str> = ["credential", "file", "env"].into_iter().filter(|k| node.has(k)).collect();
        match named[..] {
            [] => {
                // An unknown key has been told already, with the right one beside it.
                if self.errors.last().is_none_or(|p| !p.key.starts_with(path)) {
                    self.error(at, path, "does not say where the secret is", HOW);
                }
                None
            }
            ["credential"] => {
                let name = node.text("credential")?;
                if name.contains('/') || name == ".." || name == "." {
                    let hint = "systemd names it in LoadCredential=NAME:PATH; a path is { file = \"path\" }";
                    self.error(node.value_place("credential"), &node.key("credential"), "is a name, not a path", hint);
                    return None;
                }
                Some(Secret::Credential(name))
            }
            ["file"] => node.path("file").map(Secret::File),
            ["env"] => {
                let name = node.text("env")?;
                if name.contains(['=', '\0', '$']) {
                    self.error(
                        node.value_place("env"),
                        &node.key("env"),
                        format!("{name:?} is not the name of a variable"),
                        "write the name only, without $",
                    );
                    return None;
                }
                Some(Secret::Env(name))
            }
            _ => {
                self.error(at, path, format!("a secret is in one place, not in {}", named.join(" and ")), HOW);
                None
            }
        }
    }

    fn date(&mut self, path: &str, at: usize, value: &DeValue<'_>) -> Option<jiff::civil::Date> {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            _ => String::new(),
        };
        let date = text.parse().ok();
        if date.is_none() {
            self.error(at, path, "expected a day", "write expires = \"2027-01-31\"");
        }
        date
    }
}
