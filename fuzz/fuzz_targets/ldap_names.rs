//! Distinguished names, and references to them.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| scim_sync::source::ldap::hostile::names(octets));
