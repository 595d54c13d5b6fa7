//! Mistakes in the configuration: all of them at once, each with its place and what to do.

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// One mistake, or one warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The configuration file.
    pub file: PathBuf,
    /// Line, from 1. 0 where no line can be named (the file cannot be read).
    pub line: usize,
    /// Column, from 1, in characters. 0 where no line can be named.
    pub column: usize,
    /// Dotted path of the key, such as `source.corp.url` or `sync[0].guard.deactivate`.
    pub key: String,
    /// What is wrong. Never contains a secret.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// The line of the file, for the caret. Withheld where the line may hold a secret.
    #[serde(skip)]
    pub source_line: Option<String>,
}

/// Every mistake of a configuration file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl std::error::Error for ConfigErrors {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)?;
        if let Some(text) = &self.source_line {
            let number = self.line.to_string();
            let pad = " ".repeat(number.len());
            // What is withheld at the end of a line is not pointed at, but its beginning is.
            let caret = self.column.min(text.chars().count()).saturating_sub(1);
            // Tabs are kept in front of the caret, so that it stands under its character whatever their width.
            let lead: String = text.chars().take(caret).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n {number} | {text}\n {pad} | {lead}^")?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 mistake in the configuration"),
            n => write!(f, "{n} mistakes in the configuration"),
        }
    }
}
