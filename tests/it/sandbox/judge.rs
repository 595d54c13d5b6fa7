//! An independent judge: scim2-tester.

use super::Talk;
use std::process::Command;

/// Set `SCIM_SYNC_TEST_PYTHON` to a Python that has `scim2-tester==0.5.2` and `scim2-client[httpx2]`.
#[test]
fn scim2_tester_finds_no_error() {
    let Ok(python) = std::env::var("SCIM_SYNC_TEST_PYTHON") else {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: SCIM_SYNC_TEST_PYTHON names no Python with scim2-tester and scim2-client[httpx2]");
        }
        return;
    };
    let talk = Talk::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tools/scim2_tester.py");
    let output = Command::new(python).args([script, &talk.sandbox.base_url, &talk.sandbox.token]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("failed 0"), "{said}");
}
