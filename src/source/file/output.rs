//! What the three parsers share: where entries go, duplicate ids, account flags, faults with their line.

use crate::model::{Attrs, Entry, Value};
use crate::source::SourceError;
use std::collections::HashSet;
use std::path::Path;
use uuid::Uuid;

/// Warnings that are given one by one.
const MAX_WARNINGS: usize = 10;

/// Why a file cannot be used. Lines count from 1; 0: the file as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What stands there cannot be understood.
    #[error("line {line}: {what}")]
    Bad {
        /// Line.
        line: u64,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The file ends where it must not.
    #[error("line {line}: {what}")]
    Cut {
        /// Line.
        line: u64,
        /// What is missing.
        what: String,
    },
    /// Nobody wants the entries any more.
    #[error("stopped")]
    Stopped,
}

impl FileError {
    /// As the fault of a source.
    #[must_use]
    pub fn in_source(self, source: &str, path: &Path) -> SourceError {
        let source_name = source.to_owned();
        let file = path.display();
        let at = |line: u64, what: &str| match line {
            0 => format!("file {file}: {what}"),
            _ => format!("file {file}, line {line}: {what}"),
        };
        match self {
            Self::Io(e) => SourceError::Connect { source_name, message: format!("file {file}: {e}") },
            Self::Bad { line, what } => SourceError::Malformed { source_name, message: at(line, &what) },
            Self::Cut { line, what } => SourceError::Incomplete { source_name, message: at(line, &what) },
            Self::Stopped => SourceError::Stopped { source_name },
        }
    }
}

/// Takes entries, each id once.
pub struct Output<'a> {
    emit: &'a mut dyn FnMut(Entry) -> Result<(), FileError>,
    /// Most ids are UUIDs: 16 octets each, so that a million of them do not weigh.
    uuids: HashSet<u128>,
    others: HashSet<String>,
    warnings: Vec<String>,
    unnamed: usize,
}

impl<'a> Output<'a> {
    /// Entries go to `emit`.
    pub fn new(emit: &'a mut dyn FnMut(Entry) -> Result<(), FileError>) -> Self {
        Self { emit, uuids: HashSet::new(), others: HashSet::new(), warnings: Vec::new(), unnamed: 0 }
    }

    /// Takes an entry that begins on this line.
    ///
    /// # Errors
    /// Its id was there before; nobody wants entries any more.
    pub fn take(&mut self, entry: Entry, line: u64) -> Result<(), FileError> {
        let id = entry.key.as_str();
        let new = match Uuid::try_parse(id) {
            Ok(uuid) if uuid.to_string() == id => self.uuids.insert(uuid.as_u128()),
            _ => self.others.insert(id.to_owned()),
        };
        if !new {
            return Err(FileError::Bad { line, what: format!("the id {id} is there twice") });
        }
        (self.emit)(entry)
    }

    /// Tells an administrator something that stops nothing.
    pub fn warn(&mut self, line: u64, what: &str) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(format!("line {line}: {what}"));
        } else {
            self.unnamed += 1;
        }
    }

    /// What was said.
    #[must_use]
    pub fn into_warnings(mut self) -> Vec<String> {
        if self.unnamed > 0 {
            self.warnings.push(format!("and {} more", self.unnamed));
        }
        self.warnings
    }

    /// Whether the account is disabled, by the columns that exports have: `disabled`, `active`, `enabled`, `accountEnabled`.
    pub fn is_disabled(&mut self, attrs: &Attrs, line: u64) -> bool {
        let mut disabled = false;
        for (name, means_disabled) in [("disabled", true), ("active", false), ("enabled", false), ("accountEnabled", false)] {
            let Some(text) = attrs.first(name).and_then(Value::to_text) else { continue };
            match truth(&text) {
                Some(value) => disabled |= value == means_disabled,
                None => self.warn(line, &format!("{name} is {text}, which is neither true nor false; it is not looked at")),
            }
        }
        disabled
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}
