//! scim-sync
fn main() {}
