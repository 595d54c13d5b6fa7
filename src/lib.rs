//! scim-sync keeps an application in step with the directory an organisation already runs.
//!
//! Read, decide, write are three places: [`source`] gives entries, [`plan`] decides (pure), [`apply`] writes.
//! [`sync`] is the cycle that joins them. Imports point down this list only, group by group; `tests/it/architecture.rs` checks it.

// But for one call into the system's Kerberos library, which has no safe binding (src/source/ldap/kerberos/keytab.rs).
#![cfg_attr(not(feature = "kerberos"), forbid(unsafe_code))]

pub mod cli;

pub mod daemon;

pub mod migrate;
pub mod sandbox;
pub mod sync;

pub mod apply;
pub mod observe;
pub mod source;
pub mod state;
pub mod target;

pub mod http;

pub mod config;

pub mod mapping;
pub mod plan;

pub mod scim;

pub mod exit;
pub mod model;
pub mod names;
