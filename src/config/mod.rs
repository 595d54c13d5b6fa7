//! The configuration: typed, validated as a whole, every mistake named at once.
//!
//! [`load`] reads the file into the types of [`types`]; nothing else in the crate looks at TOML.

mod duration;
mod error;
pub mod schedule;
pub mod secret;
pub mod types;

pub use duration::parse_duration;
pub use error::{ConfigErrors, Problem};
pub use schedule::{Schedule, ScheduleError};
pub use secret::{Secret, SecretCell, SecretError};
pub use types::*;

use std::path::Path;

/// A configuration that holds together, and what an administrator should look at all the same.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings.
    pub warnings: Vec<Problem>,
}

/// Reads and validates a configuration file.
///
/// # Errors
/// Every mistake of the file.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    Err(ConfigErrors(vec![Problem {
        file: path.to_owned(),
        line: 0,
        column: 0,
        key: String::new(),
        message: "cannot be read yet".to_owned(),
        hint: String::new(),
        source_line: None,
    }]))
}
