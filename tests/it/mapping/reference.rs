//! The reference page of the functions is made from the functions.

use std::path::PathBuf;

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/mapping-functions.md")
}

#[test]
fn the_reference_is_current() {
    let written = std::fs::read_to_string(page()).unwrap_or_default();
    let current = scim_sync::mapping::function_reference();
    assert!(written == current, "run: cargo test --test it write_function_reference -- --ignored");
    for name in scim_sync::mapping::function_names() {
        assert!(current.contains(&format!("\n### {name}\n")), "{name}");
    }
}

#[test]
#[ignore = "writes docs/mapping-functions.md"]
fn write_function_reference() {
    std::fs::write(page(), scim_sync::mapping::function_reference()).unwrap();
}
