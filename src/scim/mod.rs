//! RFC 7643 / RFC 7644 vocabulary: filters, attribute paths, patch operations, errors. Used by target, scope and sandbox.

pub mod error;
pub mod eval;
pub mod filter;
mod parse;
pub mod patch;
pub mod path;

pub use parse::{MAX_DEPTH, MAX_LENGTH, MAX_TERMS, ParseError};

#[cfg(test)]
mod tests;

/// Schema URN of the core User (RFC 7643 section 4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Schema URN of the core Group (RFC 7643 section 4.2).
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// Schema URN of the enterprise extension (RFC 7643 section 4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Schema URN of a list response (RFC 7644 section 3.4.2).
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Schema URN of a PATCH body (RFC 7644 section 3.5.2).
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Schema URN of an error body (RFC 7644 section 3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
