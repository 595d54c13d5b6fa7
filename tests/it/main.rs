//! Integration tests: real servers, the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod sandbox;
mod support;
