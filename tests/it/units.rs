//! The units under a systemd that runs: in a container over this system, which goes with the test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What the trial in the container is to find.
const RIGHT: [(&str, &str); 28] = [
    ("installed", "0"),
    ("check", "0"),
    ("plan", "s: 3 create"),
    ("start", "0"),
    ("active", "active"),
    ("user", "its-own"),
    ("state", "700"),
    ("store", "600"),
    ("environ", "0"),
    ("by_schedule", "\"linked_users\":3"),
    ("journal", "s: 3 create"),
    ("ready", "200"),
    ("reload", "0"),
    ("refused", "1"),
    ("still", "active same"),
    ("by_hand", "\"deactivate\":1"),
    ("killed", "1 active"),
    ("fed", "1"),
    ("hung", "2 active"),
    ("stopped", "success soon"),
    ("wrong", "failed 3"),
    ("once", "0 success"),
    ("once_plan", "0"),
    ("timer", "active"),
    ("sales", "0 active"),
    ("sales_check", "0"),
    ("gone", "inactive removed kept"),
    ("end", "yes"),
];

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn the_units_do_under_a_running_systemd_what_the_guide_says() {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !root || !has("systemd-nspawn") || !has("dbus-daemon") {
        println!("skipped: it takes root, systemd-nspawn (Debian: systemd-container) and dbus");
        return;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let mut boot = Command::new("timeout");
    boot.args(["--kill-after=10", "240"]).arg(repository.join("tests/units/boot"));
    let ended = boot.arg(env!("CARGO_BIN_EXE_scim-sync")).arg(repository).arg(out.path()).output().unwrap();
    let text = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap_or_default();
    let said = format!("{}\n{}\n{}", String::from_utf8_lossy(&ended.stderr), text("console"), text("log"));
    let found = text("found");
    if ended.status.code() == Some(77) || found.is_empty() && !text("console").contains("Welcome") {
        println!("skipped: no systemd can be started in a container here: {said}");
        return;
    }
    let found: BTreeMap<&str, &str> = found.lines().filter_map(|line| line.split_once('=')).collect();
    for (name, right) in RIGHT {
        assert_eq!(found.get(name), Some(&right), "{name}: {found:#?}\n{said}");
    }
    assert!(found["status"].starts_with("next s at "), "{found:#?}");
    assert!(found["reloaded"].contains("T03:00"), "{found:#?}");
}
