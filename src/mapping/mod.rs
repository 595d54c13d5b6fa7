//! From a source entry to the resource as it should be: scope, user ID, and the mapping language (Entra's expressions).
//! Pure: no I/O, no clock.
//!
//! A new function: one row in the table of its family's file under `functions/`. A new alias: one row in `alias.rs`.

mod address;
mod alias;
mod attr;
mod expr;
mod functions;
mod lone;
mod mapper;
mod parse;
mod rows;
mod schema;
mod scope;
mod spec;
pub mod trace;
mod user_id;
mod value;

pub use expr::Expr;
pub use functions::names as function_names;
pub use mapper::{Desired, Explained, Mapped, Mapper, Unmapped};
pub use scope::{Clause, ScopeResult};
pub use spec::{MappingError, Row, Spec, UserIdPolicy, toml_key};
pub use user_id::UserId;

#[cfg(test)]
mod tests;
