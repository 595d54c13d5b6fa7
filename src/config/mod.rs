//! The configuration: typed, validated as a whole, every mistake named at once.
//!
//! [`load`] reads the file into the types of [`types`]; nothing else in the crate looks at TOML. `tables.rs` says what may
//! stand in the file, `read.rs` walks the file by it, `rules.rs` looks at what several values say together, `build.rs`
//! makes the types.

mod build;
mod dialect;
mod directory;
mod duration;
mod error;
mod expiry;
mod exposed;
mod http_notify;
pub mod import;
mod inside;
mod kerberos;
mod mapping_spec;
mod node;
mod read;
mod read_secret;
mod rules;
pub mod schedule;
mod schema;
pub mod secret;
mod shown;
mod spec;
mod tables;
pub mod types;
mod value;

pub use directory::{Incremental, LdapBind, LdapFlavor};
pub use duration::parse_duration;
pub use error::{ConfigErrors, Problem};
pub use schedule::{Schedule, ScheduleError};
pub use schema::schema;
pub use secret::{Secret, SecretCell, SecretError};
pub use types::*;

use jiff::civil::Date;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest configuration file: far more than anybody writes, far less than would hurt.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A configuration that holds together, and what an administrator should look at all the same.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings.
    pub warnings: Vec<Problem>,
    text: String,
    places: BTreeMap<String, usize>,
    secrets: Vec<(String, Secret, Option<Date>)>,
    files: Vec<(String, PathBuf)>,
}

/// Reads and validates a configuration file. Secrets are not read.
///
/// # Errors
/// Every mistake of the file, in its order.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    parse(path, text(path)?)
}

/// Reads a configuration file as far as it can be understood, with all its mistakes: so that others can look for more of them.
#[must_use]
pub fn load_despite_mistakes(path: &Path) -> (Option<Loaded>, Vec<Problem>) {
    match text(path) {
        Ok(text) => understand(path, text),
        Err(ConfigErrors(errors)) => (None, errors),
    }
}

/// Validates a configuration that is read already; `path` names it and gives relative paths their folder.
///
/// # Errors
/// Every mistake of the file, in its order.
pub fn parse(path: &Path, text: String) -> Result<Loaded, ConfigErrors> {
    match understand(path, text) {
        (Some(loaded), errors) if errors.is_empty() => Ok(loaded),
        (_, errors) => Err(ConfigErrors(errors)),
    }
}

fn understand(path: &Path, text: String) -> (Option<Loaded>, Vec<Problem>) {
    let mut reader = read::Reader::new(path, &text);
    let root = reader.read();
    if let Some(root) = &root {
        rules::check(&mut reader, root);
    }
    let by_place = |p: &Problem| (p.line, p.column);
    reader.errors.sort_by_key(by_place);
    reader.warnings.sort_by_key(by_place);
    let mut errors = std::mem::take(&mut reader.errors);
    let in_part = !errors.is_empty();
    let Some(mut config) = root.and_then(|root| build::config(path, &root, in_part)) else {
        if errors.is_empty() {
            let message = "the configuration was read without a mistake and still cannot be used: this is a bug".to_owned();
            errors.push(whole_file(path, message, ""));
        }
        return (None, errors);
    };
    config.expiries = reader.secrets.iter().filter_map(|(key, _, day)| Some((key.clone(), (*day)?))).collect();
    let (warnings, places, secrets, files) = (reader.warnings, reader.places, reader.secrets, reader.files);
    (Some(Loaded { config, warnings, places, secrets, files, text }), errors)
}

impl Loaded {
    /// A problem with the value of this key, for what can only be judged elsewhere (mapping expressions, filters). The
    /// place is that of the key, else of the nearest table above it.
    #[must_use]
    pub fn problem(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        self.problem_within(key, None, message, hint)
    }

    /// The same, at this byte of the text that the key holds (of a row in its long form: of its expression).
    #[must_use]
    pub fn problem_within(
        &self,
        key: &str,
        offset: Option<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        if let Some(offset) = offset
            && let Some(at) = self.places.get(&format!("{key}.expr")).or_else(|| self.places.get(key))
        {
            let at = inside::place(&self.text, *at, offset);
            return read::problem(&self.config.file, &self.text, at, key, message.into(), hint.into());
        }
        let mut above = key;
        let at = loop {
            match (self.places.get(above), above.rfind('.')) {
                (Some(at), _) => break *at,
                (None, Some(dot)) => above = &above[..dot],
                (None, None) => break 0,
            }
        };
        read::problem(&self.config.file, &self.text, at, key, message.into(), hint.into())
    }

    /// Key of a mapping row, as [`Self::problem`] wants it: sync by its place in the file, `user` or `group`, SCIM path.
    #[must_use]
    pub fn row_key(sync: usize, kind: crate::model::ObjectKind, path: &str) -> String {
        read::join(&format!("sync[{sync}].map.{kind}"), path)
    }

    /// Every secret in a file that others can read: none is used, whoever runs this ([`Config::exposed`]).
    #[must_use]
    pub fn exposed(&self) -> Vec<Problem> {
        let open = self.secrets.iter().filter_map(|(key, secret, _)| Some((key, secret.exposed()?)));
        open.map(|(key, message)| self.problem(key, message, "let only the user of the service read it")).collect()
    }

    /// Every secret that is there and has nothing in it: nobody is signed in to anything with that, whoever runs this.
    #[must_use]
    pub fn empty(&self) -> Vec<Problem> {
        let empty = self.secrets.iter().filter_map(|(key, secret, _)| Some((key, secret, secret.emptiness()?)));
        empty.map(|(key, secret, message)| self.problem(key, message, secret.hint())).collect()
    }

    /// What the file says of the world around it and is not so: secrets that are missing or about to expire, files that are
    /// not there. Looks at files, reads none. Secrets that others can read are mistakes ([`Self::exposed`]).
    #[must_use]
    pub fn advice(&self, today: Date) -> Vec<Problem> {
        let mut advice = Vec::new();
        for (key, secret, expires) in &self.secrets {
            if let Err(e) = secret.inspect()
                && secret.exposed().is_none()
            {
                advice.push(self.problem(key, e.to_string(), secret.hint()));
            }
            if let Some(message) = expires.and_then(|day| expiry::ends(day, today)) {
                advice.push(self.problem(&format!("{key}.expires"), message, expiry::HINT));
            }
        }
        let state = self.config.state.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        if let Some(dir) = state.filter(|dir| self.places.contains_key("state.path") && is_missing(dir)) {
            let hint = "make it for the user of the service; a unit makes its own: StateDirectory=";
            advice.push(self.problem("state.path", format!("there is no folder {}", dir.display()), hint));
        }
        for (name, _) in self.config.targets.iter().filter(|(_, target)| target.auth.is_none()) {
            let target = read::join("target", name);
            let key = read::join(&target, "token");
            // What is there and wrong is told as that.
            if [&key, &read::join(&target, "oauth")].iter().any(|key| self.names(key)) {
                continue;
            }
            let hint = "add token = { file = \"..\" } or oauth, unless this application asks nobody who they are";
            advice.push(self.problem(&key, "there is neither `token` nor `oauth`: requests show nobody's right", hint));
        }
        for (key, file) in &self.files {
            if let Err(e) = std::fs::metadata(file) {
                advice.push(self.problem(key, format!("{}: {e}", file.display()), "put the file there, or name another"));
            }
        }
        advice
    }
}

impl Loaded {
    /// Whether the file has this key, or a table of this name.
    fn names(&self, key: &str) -> bool {
        let within = |place: &str| place.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.places.keys().any(|place| within(place))
    }
}

/// Whether nothing is there at all: what may not be looked at may well be.
#[must_use]
pub fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// The text of the file.
fn text(path: &Path) -> Result<String, ConfigErrors> {
    let hint = "name the file with --config FILE or $SCIM_SYNC_CONFIG";
    let unreadable = |e: std::io::Error| ConfigErrors(vec![whole_file(path, format!("cannot be read: {e}"), hint)]);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ConfigErrors(vec![whole_file(path, format!("is larger than {} MiB", MAX_BYTES / 1024 / 1024), "")]));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        let message = "is not UTF-8 from this line on".to_owned();
        ConfigErrors(vec![Problem { line, column: 1, ..whole_file(path, message, "save the file as UTF-8") }])
    })?;
    // Editors on Windows put a byte order mark in front.
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

fn whole_file(path: &Path, message: String, hint: &str) -> Problem {
    Problem { file: path.to_owned(), line: 0, column: 0, key: String::new(), message, hint: hint.to_owned(), source_line: None }
}

#[cfg(test)]
mod tests;
