//! The state store on a bad day: damaged, too new, not writable, full, in use.
#![cfg(unix)]
#![allow(clippy::print_stderr)]

use crate::support::settled::{assert_all_created, assert_as_desired, assert_quiet};
use crate::support::world::{Run, SandboxProcess, ScimReader, World};
use scim_sync::state::lock::CycleLock;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn world(sandbox: &SandboxProcess, people: usize) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(people);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    w.group("all", &members);
    w
}

/// Puts the state store elsewhere.
fn move_state(w: &World, to: &Path) {
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config.replace("path = \"state.db\"", &format!("path = {to:?}"))).unwrap();
}

/// Exit code 9, these words on stderr, and the error in the document.
#[track_caller]
fn assert_state_fault(run: &Run, words: &str) {
    assert_eq!(run.code, 9, "{}\n{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(words), "{words:?} is not said: {}", run.stderr);
    assert!(run.stderr.contains("state.db"), "which file? {}", run.stderr);
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 12);
    w.sync().expect(0);
    rusqlite::Connection::open(w.path("state.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    w.join("new");
    sandbox.reset_counters();
    for command in ["sync", "plan", "status"] {
        w.save();
        assert_state_fault(&w.run(&[command, "--json"]), "newer version");
    }
    assert_eq!(sandbox.requests(), 0);
}

#[test]
fn a_damaged_store_is_told_and_nothing_is_written() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 150);
    w.sync().expect(0);
    let whole = std::fs::read(w.path("state.db")).unwrap();
    w.join("new");
    w.leave("p00003");
    let noise = |n: usize| (0..n).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect::<Vec<u8>>();
    let damage: [(&str, Vec<u8>); 4] = [
        ("no database at all", b"version = 1\n".repeat(400)),
        ("everything but the header", [&whole[..4096], &noise(whole.len() - 4096)].concat()),
        ("its second half", [&whole[..whole.len() / 2], &noise(whole.len() - whole.len() / 2)].concat()),
        ("cut off", whole[..whole.len() / 3].to_vec()),
    ];
    for (what, bytes) in damage {
        std::fs::write(w.path("state.db"), bytes).unwrap();
        sandbox.reset_counters();
        let run = w.sync();
        assert_eq!(run.code, 9, "{what}: {}\n{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("restore a backup"), "{what}: {}", run.stderr);
        assert_eq!(sandbox.writes(), 0, "{what}");
        for left in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(w.path(left));
        }
    }
    std::fs::write(w.path("state.db"), whole).unwrap();
    w.sync().expect(0);
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
}

/// One page is noise: whatever is in it, either it is not needed, or it is said; never is somebody made twice.
#[test]
fn one_account_per_person_with_one_damaged_page() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 150);
    w.sync().expect(0);
    let whole = std::fs::read(w.path("state.db")).unwrap();
    let pages = whole.len() / 4096;
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut told = 0;
    for (i, page) in (1..pages).step_by((pages / 10).max(1)).enumerate() {
        std::fs::write(w.path("state.db"), &whole).unwrap();
        let file = std::fs::File::options().write(true).open(w.path("state.db")).unwrap();
        file.write_all_at(&[0xa5; 4096], page as u64 * 4096).unwrap();
        w.join(&format!("new{i}"));
        let run = w.sync();
        assert!([0, 7, 9].contains(&run.code), "page {page}: {}\n{}", run.stdout, run.stderr);
        told += usize::from(run.code == 9);
        let users = target.users_by_name();
        assert!(users.len() <= w.people.len(), "page {page}");
        for left in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(w.path(left));
        }
    }
    assert!(told > 3, "only {told} of about 10 were noticed");
    std::fs::write(w.path("state.db"), &whole).unwrap();
    // Those made meanwhile are met again, and adopted by their externalId.
    w.sync().expect(0);
    assert_as_desired(&w, &target);
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 12);
    let missing = w.path("nowhere/state.db");
    move_state(&w, &missing);
    w.save();
    assert_state_fault(&w.run(&["sync", "--json"]), "check that the folder exists");

    let w = world(&sandbox, 12);
    let dir = w.path("locked");
    std::fs::create_dir(&dir).unwrap();
    move_state(&w, &dir.join("state.db"));
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mounted = if std::fs::write(dir.join("x"), "").is_ok() { Mount::tmpfs(&dir, "ro,size=1m") } else { None };
    if std::fs::write(dir.join("y"), "").is_ok() {
        eprintln!("skipped: root writes everywhere, and no file system can be mounted here");
        return;
    }
    w.save();
    assert_state_fault(&w.run(&["sync", "--json"]), "may write there");
    assert_eq!(sandbox.writes(), 0);
    drop(mounted);
}

#[test]
fn a_second_process_is_sent_away_and_may_look() {
    let sandbox = SandboxProcess::start(&["--latency", "30"]);
    let w = world(&sandbox, 200);
    w.save();
    let mut first = w.command(&["sync", "--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while sandbox.stats()["users"].as_u64().unwrap() < 5 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = w.run(&["sync", "--json"]);
    assert_eq!(second.code, 8, "{}\n{}", second.stdout, second.stderr);
    assert!(second.stderr.contains("--wait"), "{}", second.stderr);
    let third = w.run(&["sync", "--json", "--wait", "60s"]).expect(0);
    assert!(crate::support::world::changes(&third.cycle()).is_empty(), "{}", third.stdout);
    assert!(first.wait().unwrap().success());
    // However long a cycle takes, one may look.
    let lock = CycleLock::take(&w.path("state.db"), Duration::ZERO).unwrap();
    for command in ["plan", "status", "log"] {
        assert_eq!(w.run(&[command, "--json"]).code, 0, "{command} beside a cycle");
    }
    assert_eq!(w.run(&["sync"]).code, 8);
    drop(lock);
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
}

/// A process that was killed leaves its write-ahead log and its lock file.
#[test]
fn what_a_killed_process_leaves_is_no_obstacle() {
    let sandbox = SandboxProcess::start(&["--latency", "10"]);
    let w = world(&sandbox, 120);
    w.save();
    let mut child = w.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while sandbox.stats()["users"].as_u64().unwrap() < 40 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(std::fs::metadata(w.path("state.db-wal")).unwrap().len() > 0, "it was killed while it had a log");
    w.run(&["status", "--json"]).expect(0);
    w.plan().expect(0);
    w.sync().expect(0);
    assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
    assert_all_created(&w.path("state.db"));
    assert_quiet(&w, &sandbox);
}

/// A file system of its own; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        mount.is_ok_and(|s| s.success()).then(|| Self(at.to_owned()))
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn converges_after_the_disk_was_full() {
    let mut stopped_while_writing = 0;
    for size in ["200k", "700k", "900k", "1100k", "1400k"] {
        let sandbox = SandboxProcess::start(&[]);
        let w = world(&sandbox, 500);
        let dir = w.path("small");
        std::fs::create_dir(&dir).unwrap();
        let Some(mount) = Mount::tmpfs(&dir, &format!("size={size}")) else {
            eprintln!("skipped: no small file system can be mounted here");
            return;
        };
        let state = dir.join("state.db");
        move_state(&w, &state);
        w.save();
        let run = w.run(&["sync", "--json"]);
        if run.code != 0 {
            assert_state_fault(&run, "full");
            stopped_while_writing += usize::from(sandbox.stats()["users"].as_u64().unwrap() > 0);
        }
        mount.resize("64m");
        w.sync().expect(0);
        assert_as_desired(&w, &ScimReader::new(&sandbox.base_url, &sandbox.token));
        assert_eq!(assert_all_created(&state), (500, 1), "{size}");
        assert_quiet(&w, &sandbox);
    }
    assert!(stopped_while_writing > 0, "no size hit the disk while accounts were made");
}
