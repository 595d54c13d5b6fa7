//! Integration tests: real servers, the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod command_line;
mod crash;
mod doubt;
mod faults;
mod first_sync;
mod ldap_source;
mod memberships;
mod properties;
mod sandbox;
mod state_store;
mod stop;
mod support;
mod target_client;
mod target_wire;
