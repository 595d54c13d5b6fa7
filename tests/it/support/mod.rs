//! What tests share: real servers as child processes.
#![allow(dead_code)]

pub mod scim_servers;
