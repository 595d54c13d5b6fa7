//! Values of controls, and of the messages between entries.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| scim_sync::source::ldap::hostile::controls(octets));
