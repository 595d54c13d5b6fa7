//! Integration tests: real servers, the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod anything;
mod approval;
mod architecture;
mod command_line;
mod crash;
mod daemon;
mod docs;
mod doubt;
mod faults;
mod file_source;
mod first_sync;
mod guard;
mod ldap_odd;
mod ldap_source;
mod live;
mod matching;
mod memberships;
mod parked;
mod plan_file;
mod properties;
mod reports;
mod sandbox;
mod scale;
mod secrets;
mod state_store;
mod stop;
mod support;
mod target_client;
mod target_faults;
mod target_wire;
