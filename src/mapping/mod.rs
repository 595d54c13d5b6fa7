//! From a source entry to the resource as it should be: scope, user ID, and the mapping language (Entra's expressions).
//! Pure: no I/O, no clock.
//!
//! A new function: one row in the table of its family's file under `functions/`. A new alias: one row in `alias.rs`.

mod address;
mod alias;
mod attr;
mod cast;
mod changed;
mod desired;
mod expr;
mod functions;
mod lone;
mod mapper;
mod matched;
mod named;
mod number;
mod parse;
mod rows;
mod schema;
mod scope;
mod spec;
mod timed;
pub mod trace;
mod transliterate;
mod user_id;
mod value;
mod world;

pub use address::{folded as folded_address, is_routable};
pub use cast::{Shape, Type};
pub use changed::Changed;
pub use desired::{Desired, Unmapped};
pub use expr::Expr;
pub use functions::{names as function_names, reference as function_reference};
pub use mapper::{Explained, Mapped, Mapper};
pub use named::{Named, Sought, named_attributes, nearest_attribute};
pub use scope::{Clause, ScopeResult};
pub use spec::{MappingError, Row, Spec, UserIdPolicy, criterion, toml_key};
pub use timed::restless_rows;
pub use transliterate::LANGUAGES;
pub use user_id::UserId;
pub use world::LookupTable;

#[cfg(test)]
mod tests;
