//! Integration tests: real servers, the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod file_source;
mod ldap_odd;
mod ldap_source;
mod support;
