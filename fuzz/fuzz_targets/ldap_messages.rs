//! The decoder: messages as they come from the wire, and the entries in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| scim_sync::source::ldap::hostile::messages(octets));
