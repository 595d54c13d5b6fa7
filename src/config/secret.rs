//! Secrets by reference: systemd credential, file, environment variable.

use secrecy::SecretString;
use std::path::PathBuf;

/// Where a secret is. The value is read when it is needed, and again when the file changed.
#[derive(Clone)]
pub enum Secret {
    /// `{ credential = "name" }`: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `{ file = "path" }`: refused when others can read it.
    File(PathBuf),
    /// `{ env = "NAME" }`.
    Env(String),
    /// A literal, only with `allow_plaintext_secrets = true`.
    Plain(SecretString),
}

/// Why a secret cannot be had. Never contains the secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

impl Secret {
    /// Reads the secret as it is now; one trailing newline is dropped.
    ///
    /// # Errors
    /// The credential, file or variable is missing, empty, or readable by others.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Plain(secret) => Ok(secret.clone()),
            _ => Err(SecretError(format!("{self:?}: not implemented"))),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Credential(n) => write!(f, "credential {n}"),
            Self::File(p) => write!(f, "file {}", p.display()),
            Self::Env(n) => write!(f, "environment variable {n}"),
            Self::Plain(_) => f.write_str("plain text"),
        }
    }
}
