//! What tests share: real servers as child processes.
#![allow(dead_code)]

pub mod cutter;
pub mod dice;
pub mod directory;
pub mod scim_servers;
pub mod settled;
pub mod slapd;
pub mod world;
