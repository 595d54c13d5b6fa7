//! What tests share: real servers as child processes.
#![allow(dead_code)]

pub mod admin;
pub mod cutter;
pub mod dice;
pub mod directory;
pub mod door;
pub mod ds389;
pub mod fake_graph;
pub mod fake_ldap;
pub mod fake_okta;
pub mod habits;
pub mod judges;
pub mod mail_server;
pub mod measure;
pub mod mount;
pub mod odd;
pub mod recorder;
pub mod samba;
pub mod scim_servers;
pub mod service;
pub mod settled;
pub mod slapd;
pub mod switch;
pub mod truth;
pub mod world;
