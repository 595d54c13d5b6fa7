//! Errors of commands: what is told to people, to programs, and to the caller's `$?`.

use super::out::Out;
use crate::config::{ConfigErrors, Problem, SecretError};
use crate::exit::Exit;
use crate::source::SourceError;
use crate::target::TargetError;
use serde_json::json;

/// Why a command ended without doing what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    exit: Exit,
    message: String,
    problems: Vec<Problem>,
}

impl CliError {
    /// An error with the exit code that it ends the process with.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), problems: Vec::new() }
    }

    /// The command line asks for something that cannot be (an unknown sync, a file that is not a plan): exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that must not happen: exit code 1.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Exit::Bug, message)
    }

    /// A command that this build does not have.
    pub fn not_available(command: &str) -> Self {
        Self::new(Exit::Bug, format!("{command} is not available yet"))
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells it: one line for people on stderr, and with `--json` one document for programs on stdout.
    pub fn report(&self, out: &Out) {
        if out.is_json() {
            out.json(&self.document());
        }
        out.complain(&self.message);
    }

    /// The document that `--json` prints; mistakes in the configuration are listed in it as `check` lists them.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        let mut document = json!({"version": 1, "error": {"kind": self.exit.kind(), "message": self.message}});
        if !self.problems.is_empty() {
            document["errors"] = json!(self.problems);
        }
        document
    }
}

impl From<ConfigErrors> for CliError {
    fn from(errors: ConfigErrors) -> Self {
        Self { exit: Exit::Config, message: errors.to_string(), problems: errors.0 }
    }
}

impl From<SecretError> for CliError {
    fn from(error: SecretError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

impl From<SourceError> for CliError {
    fn from(error: SourceError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

impl From<TargetError> for CliError {
    fn from(error: TargetError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}
