//! What packagers and administrators install: units, the install script, the Debian package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_scim-sync");
const SERVICES: [&str; 3] = ["scim-sync.service", "scim-sync@.service", "scim-sync-once.service"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        out.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    out
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

/// The units with the program where it is now, in a folder of their own.
fn units() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for unit in SERVICES.into_iter().chain(["scim-sync-once.timer"]) {
        let contents = fs::read_to_string(repository().join("systemd").join(unit)).unwrap();
        fs::write(folder.path().join(unit), contents.replace("/usr/bin/scim-sync", PROGRAM)).unwrap();
    }
    folder
}

fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("skipped: {program} is not here");
    }
    there
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = units();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).current_dir(folder.path());
    let out =
        run(command.args(["./scim-sync.service", "./scim-sync@.service", "./scim-sync-once.service", "./scim-sync-once.timer"]));
    assert_eq!(text(&out), "");
}

#[test]
fn every_unit_is_locked_down() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = units();
    for unit in SERVICES {
        let path = folder.path().join(unit);
        let out = run(Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(path));
        let text = text(&out);
        let line = text.lines().find(|l| l.contains("Overall exposure level")).unwrap_or_else(|| panic!("{unit}: {text}"));
        let level = line.rsplit(": ").next().unwrap().split_whitespace().next().unwrap();
        assert!(level.parse::<f64>().unwrap() <= 1.5, "{unit}: {line}");
    }
}

/// `check` knows of mistakes that stop one sync only (a secret that others can read): it tells them, and what runs decides.
#[test]
fn every_service_is_checked_and_started_or_reloaded_all_the_same() {
    for unit in SERVICES {
        let contents = fs::read_to_string(repository().join("systemd").join(unit)).unwrap();
        let checks: Vec<&str> = contents.lines().filter(|l| l.contains("scim-sync check")).collect();
        assert!(checks.iter().any(|l| l.starts_with("ExecStartPre=")), "{unit}: {checks:?}");
        assert!(checks.iter().all(|l| l.contains("=-/usr/bin/scim-sync check")), "{unit}: {checks:?}");
    }
}

/// Without it the service grows by a step now and then, for as long as it runs.
#[test]
fn every_service_keeps_its_memory_in_few_arenas() {
    for unit in SERVICES {
        let contents = fs::read_to_string(repository().join("systemd").join(unit)).unwrap();
        assert!(contents.lines().any(|line| line == "Environment=MALLOC_ARENA_MAX=2"), "{unit}");
    }
}

#[test]
fn every_service_has_the_same_hardening() {
    let hardening = |unit: &str| {
        let contents = fs::read_to_string(repository().join("systemd").join(unit)).unwrap();
        let from = contents.find("UMask=").unwrap();
        let lines = contents[from..].lines().take_while(|l| !l.starts_with('[')).filter(|l| !l.trim().is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = hardening(SERVICES[0]);
    assert!(first.len() > 20);
    for unit in SERVICES {
        assert_eq!(hardening(unit), first, "{unit}");
    }
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => out.push(entry.path().strip_prefix(root).unwrap().to_owned()),
            }
        }
    }
    out.sort();
    out
}

#[test]
fn the_installer_says_how_to_call_it_and_nothing_else() {
    let help = std::process::Command::new("sh").arg(repository().join("scripts/install")).arg("--help").output().unwrap();
    let said = String::from_utf8(help.stdout).unwrap();
    assert!(said.starts_with("Installs scim-sync") && said.trim_end().ends_with("is not touched."), "{said}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_install_script_installs_upgrades_and_takes_away() {
    let root = tempfile::tempdir().unwrap();
    let script = repository().join("scripts/install");
    let install = |arguments: &[&str]| run(Command::new(&script).arg("--root").arg(root.path()).args(arguments));
    install(&["--binary", PROGRAM]);
    let installed = files(root.path());
    for file in [
        "usr/bin/scim-sync",
        "usr/bin/scim-sync-as-service",
        "etc/systemd/system/scim-sync.service",
        "etc/systemd/system/scim-sync@.service",
        "etc/systemd/system/scim-sync-once.timer",
        "etc/scim-sync/config.example.toml",
        "usr/local/share/man/man1/scim-sync.1",
        "usr/local/share/man/man1/scim-sync-plan.1",
        "usr/share/bash-completion/completions/scim-sync",
    ] {
        assert!(installed.contains(&PathBuf::from(file)), "{file}: {installed:?}");
    }
    assert_eq!(mode(&root.path().join("usr/bin/scim-sync")), 0o755);
    assert_eq!(mode(&root.path().join("etc/scim-sync")), 0o755);
    let out = run(Command::new(root.path().join("usr/bin/scim-sync")).arg("--version"));
    assert!(text(&out).contains(env!("CARGO_PKG_VERSION")));

    // What was configured outlives an upgrade and the removal.
    fs::write(root.path().join("etc/scim-sync/config.toml"), "version = 1\n").unwrap();
    install(&["--binary", PROGRAM]);
    install(&["--uninstall"]);
    let left = ["etc/scim-sync/config.example.toml", "etc/scim-sync/config.toml"].map(PathBuf::from);
    assert_eq!(files(root.path()), left);
}

#[test]
fn the_install_script_says_what_it_needs() {
    let script = repository().join("scripts/install");
    let root = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str]| {
        let out = Command::new(&script).arg("--root").arg(root.path()).args(arguments).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        text(&out)
    };
    assert!(refused(&["--binary", "/nowhere/scim-sync"]).contains("there is no program at /nowhere/scim-sync"));
    assert!(refused(&["--speed"]).contains("--speed is not known"));
    assert!(files(root.path()).is_empty());
}

#[test]
fn shell_scripts_parse() {
    for script in [
        "scripts/install",
        "scripts/package",
        "systemd/scim-sync-as-service",
        "systemd/debian/postinst",
        "systemd/debian/prerm",
        "systemd/debian/postrm",
        "tests/units/boot",
    ] {
        let path = repository().join(script);
        run(Command::new("sh").arg("-n").arg(&path));
        assert_eq!(mode(&path), 0o755, "{script}");
    }
}

/// Stubs stand in for systemd: what would be run with the unit's identity?
#[test]
fn commands_run_as_the_service_with_its_credentials() {
    let stubs = tempfile::tempdir().unwrap();
    let stub = |name: &str, script: &str| {
        let path = stubs.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    stub("id", "echo 0");
    // As systemd 252 prints them.
    stub(
        "systemctl",
        r#"case "$*" in
            *LoadState*) echo loaded ;;
            *"--property User "*) echo scim-sync-sales ;;
            *"--property StateDirectory "*) echo scim-sync-sales ;;
            *"--property Environment "*) echo SCIM_SYNC_CONFIG=/etc/scim-sync/sales.toml ;;
            *EnvironmentFiles*) echo "/etc/default/scim-sync (ignore_errors=yes)" ;;
            *) echo "[unprintable]" ;;
        esac"#,
    );
    stub(
        "busctl",
        r#"case "$*" in
            *LoadUnit*sales*) echo 'o "/org/freedesktop/systemd1/unit/scim_2dsync_40sales_2eservice"' ;;
            *scim_2dsync_40sales*Service\ LoadCredential) echo 'a(ss) 2 "app" "/etc/scim-sync/app.secret" "corp-ldap" "/etc/scim-sync/ldap.secret"' ;;
            *LoadCredentialEncrypted) echo 'a(ss) 0' ;;
            *) exit 1 ;;
        esac"#,
    );
    stub("systemd-run", r#"printf '%s\n' "$@""#);
    let path = format!("{}:{}", stubs.path().display(), std::env::var("PATH").unwrap());
    let script = repository().join("systemd/scim-sync-as-service");
    let mut command = Command::new(&script);
    let out = run(command.env("PATH", path).args(["--unit", "scim-sync@sales", "approve", "s", "--reason", "the office closes"]));
    let said = text(&out);
    let words: Vec<&str> = said.lines().collect();
    for expected in [
        "--property=DynamicUser=yes",
        "--property=User=scim-sync-sales",
        "--property=StateDirectory=scim-sync-sales",
        "--property=StateDirectoryMode=0700",
        "--property=Environment=SCIM_SYNC_CONFIG=/etc/scim-sync/sales.toml",
        "--property=EnvironmentFile=-/etc/default/scim-sync",
        "--property=LoadCredential=app:/etc/scim-sync/app.secret",
        "--property=LoadCredential=corp-ldap:/etc/scim-sync/ldap.secret",
    ] {
        assert!(words.contains(&expected), "{expected}: {words:?}");
    }
    assert!(!said.contains("unprintable") && !said.contains("Encrypted"), "{said}");
    let command = words.iter().position(|w| *w == "--").unwrap();
    assert_eq!(words[command + 1..], ["/usr/bin/scim-sync", "approve", "s", "--reason", "the office closes"]);
}

/// In release mode: what is packed is what is shipped.
#[test]
fn scale_the_debian_package_installs_and_goes() {
    if crate::support::measure::too_slow() {
        return;
    }
    if Command::new("cargo").args(["deb", "--version"]).output().is_ok_and(|o| !o.status.success()) || !has("dpkg") {
        println!("skipped: cargo-deb is not here (cargo install cargo-deb --locked)");
        return;
    }
    let out = run(Command::new(repository().join("scripts/package")).arg("--no-build").current_dir(repository()));
    let package = repository().join(String::from_utf8_lossy(&out.stdout).lines().last().unwrap());
    let size = fs::metadata(&package).unwrap().len();
    let root = tempfile::tempdir().unwrap();
    let admin = root.path().join("var/lib/dpkg");
    fs::create_dir_all(admin.join("updates")).unwrap();
    fs::create_dir_all(admin.join("info")).unwrap();
    fs::write(admin.join("status"), "").unwrap();
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", root.path().display())).args([
            "--force-script-chrootless",
            "--force-depends",
            "--force-not-root",
        ]);
        run(command.args(["--force-unsafe-io", "--log=/dev/null"]).args(arguments))
    };
    dpkg(&["--install", package.to_str().unwrap()]);
    let installed = files(root.path());
    for file in [
        "usr/bin/scim-sync",
        "usr/lib/systemd/system/scim-sync.service",
        "usr/share/man/man1/scim-sync.1.gz",
        "usr/share/man/man1/scim-sync-approve.1.gz",
        "usr/share/bash-completion/completions/scim-sync",
        "usr/share/doc/scim-sync/examples/config.example.toml",
    ] {
        assert!(installed.contains(&PathBuf::from(file)), "{file}: {installed:?}");
    }
    assert!(root.path().join("etc/scim-sync").is_dir());
    let program = root.path().join("usr/bin/scim-sync");
    run(Command::new(&program).args(["demo"]).env("HOME", root.path()));
    let stripped = fs::metadata(&program).unwrap().len();
    println!("the package has {} KiB, the program {} KiB", size >> 10, stripped >> 10);
    assert!(stripped <= 25 << 20, "the program has {stripped} octets");

    let state = root.path().join("var/lib/scim-sync/state.db");
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::write(&state, "").unwrap();
    dpkg(&["--remove", "scim-sync"]);
    assert!(!program.exists() && state.exists(), "the state store outlives the package");
    dpkg(&["--purge", "scim-sync"]);
    assert!(!state.exists());
}
