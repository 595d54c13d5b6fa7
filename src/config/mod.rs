//! The configuration: typed, validated as a whole, every mistake named at once.
//!
//! [`load`] reads the file into the types of [`types`]; nothing else in the crate looks at TOML.

pub mod secret;
pub mod types;

pub use secret::{Secret, SecretCell, SecretError};
pub use types::*;
