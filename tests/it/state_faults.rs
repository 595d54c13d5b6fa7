//! The disk is full, the folder is somebody else's, the file is not what it was: what is said, what is not done, and who does
//! not wait for it.
#![cfg(unix)]
#![allow(clippy::print_stderr)]

use crate::support::mount::Mount;
use crate::support::settled::{assert_all_created, assert_as_desired, assert_quiet};
use crate::support::world::{Run, SandboxProcess, ScimReader, World, binary, changes, expected};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn world(sandbox: &SandboxProcess, people: usize) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\ndeactivate = \"unlimited\"", "");
    w.populate(people);
    w
}

/// Puts the state store on a small file system of its own.
fn small(w: &World, size: &str) -> Option<(Mount, PathBuf)> {
    let dir = w.path("small");
    let mount = Mount::tmpfs(&dir, &format!("size={size}"))?;
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config.replace("path = \"state.db\"", "path = \"small/state.db\"")).unwrap();
    Some((mount, dir.join("state.db")))
}

#[track_caller]
fn assert_says(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}\n{}", run.stdout, run.stderr);
    for w in words {
        assert!(run.stderr.contains(w), "{w:?} is not said: {}", run.stderr);
    }
}

/// Not one octet is free: said, and nothing is written at the target but who left.
#[test]
fn a_full_disk_is_told_and_only_who_left_is_written() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 50);
    let Some((mount, state)) = small(&w, "16m") else { return };
    w.sync().expect(0);
    mount.fill();
    w.join("new");
    w.leave("p00001");
    w.save();
    sandbox.reset_counters();
    for command in [vec!["sync", "--json"], vec!["sync", "--full", "--verify"]] {
        assert_says(&w.run(&command), 9, &["disk is full", "make room", "nothing was lost", "state.db"]);
    }
    assert_eq!(sandbox.writes(), 1);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("p00001@corp.example").unwrap()["active"], false);
    for (command, code) in [("status", 0), ("log", 0), ("plan", 0), ("approve", 0)] {
        let command = if command == "approve" { vec![command, "s"] } else { vec![command] };
        let run = w.run(&command);
        assert_eq!(run.code, code, "{command:?}: {}\n{}", run.stdout, run.stderr);
    }
    mount.fill();
    assert_says(&w.run(&["state", "backup", "small/b.db"]), 9, &["small/b.db", "full"]);
    assert!(!w.path("small/b.db").exists());
    std::fs::remove_file(w.path("small/in-the-way")).unwrap();
    let done = w.sync().expect(0).cycle();
    assert_eq!(changes(&done), expected(&[("create", 1)]));
    assert_as_desired(&w, &target);
    assert_all_created(&state);
}

/// The disk is small and joiners take all that is free, day after day: whoever leaves is out in the cycle that sees it.
#[test]
fn leavers_do_not_wait_behind_a_disk_that_joiners_fill() {
    for (size, free) in [(2500, 0), (2500, 100), (8000, 2000)] {
        let sandbox = SandboxProcess::start(&[]);
        let mut w = world(&sandbox, 50);
        let Some((mount, state)) = small(&w, &format!("{size}k")) else { return };
        w.sync().expect(0);
        let reserve = std::fs::metadata(w.path("small/state.db.reserve")).unwrap();
        assert_eq!((reserve.permissions().mode() & 0o777, reserve.len()), (0o600, (size << 10) / 4));
        mount.fill();
        let filler = std::fs::File::options().write(true).open(w.path("small/in-the-way")).unwrap();
        filler.set_len(filler.metadata().unwrap().len().saturating_sub(free << 10)).unwrap();
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let leaves = |w: &mut World, who: &str| {
            w.leave(who);
            w.save();
            let run = w.run(&["sync"]);
            let there = target.user(&format!("{who}@corp.example")).unwrap();
            assert_eq!(there["active"], false, "{size} {free}: {}\n{}", run.stdout, run.stderr);
            run.code
        };
        leaves(&mut w, "p00001");
        for i in 0..3000 {
            w.join(&format!("joiner{i:05}"));
        }
        for (who, code) in [("p00002", 9), ("p00003", 9), ("p00004", 9)] {
            assert_eq!(leaves(&mut w, who), code, "{size} {free} {who}");
            w.run(&["status"]).expect(0);
        }
        mount.remount("size=64m");
        w.sync().expect(0);
        assert_as_desired(&w, &target);
        assert_eq!(assert_all_created(&state).0, 3050);
        assert_quiet(&w, &sandbox);
    }
}

/// Thousands join and there is no room for them: who leaves on that day is out all the same.
#[test]
fn a_leaver_does_not_wait_for_room_for_joiners() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 100);
    w.group("g", &["p00001", "p00002", "p00003", "p00050"]);
    let Some((mount, state)) = small(&w, "64m") else { return };
    w.sync().expect(0);
    for i in 0..3000 {
        w.join(&format!("joiner{i:05}"));
        w.groups.get_mut("g").unwrap().1.push(format!("joiner{i:05}"));
    }
    w.leave("p00001");
    w.set("p00002", "active", false);
    w.set("p00003", "displayName", "Changed");
    mount.leave_free(400 << 10);
    sandbox.reset_counters();
    let run = w.sync();
    assert_says(&run, 9, &["disk is full", "whoever leaves does not"]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    for gone in ["p00001@corp.example", "p00002@corp.example"] {
        assert_eq!(target.user(gone).unwrap()["active"], false, "{gone}");
    }
    assert_eq!(target.user("p00050@corp.example").unwrap()["active"], true);
    assert_eq!(target.users().len(), 100, "nobody was created");
    assert_eq!(target.memberships()["Group g"].iter().filter(|m| *m == "p00050@corp.example").count(), 1);
    mount.remount("size=64m");
    w.set("p00002", "active", true);
    let done = w.sync().expect(0).cycle();
    assert_eq!((&done["counts"]["create"], &done["counts"]["reactivate"]), (&json!(3000), &json!(1)), "{done}");
    assert_as_desired(&w, &target);
    assert_eq!(assert_all_created(&state).0, 3100);
    assert_quiet(&w, &sandbox);
}

/// The disk becomes full while joiners are written: leavers are out already, the writes stop, nothing is doubled afterwards.
#[test]
fn one_account_per_person_a_disk_that_fills_up_in_the_middle() {
    let sandbox = SandboxProcess::start(&["--latency", "5"]);
    let mut w = world(&sandbox, 60);
    let Some((mount, state)) = small(&w, "64m") else { return };
    w.sync().expect(0);
    let before = sandbox.stats()["users"].as_u64().unwrap();
    for i in 0..2500 {
        w.join(&format!("joiner{i:05}"));
    }
    w.leave("p00001");
    w.save();
    let child = w.command(&["sync", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while sandbox.stats()["users"].as_u64().unwrap() < before + 50 {
        std::thread::sleep(Duration::from_millis(2));
    }
    mount.fill();
    let began = Instant::now();
    let run: Run = child.wait_with_output().unwrap().into();
    assert_says(&run, 9, &["disk is full"]);
    assert!(began.elapsed() < Duration::from_secs(30));
    let made = sandbox.stats()["users"].as_u64().unwrap();
    assert!(made < before + 2500, "the writes stop: {made}");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("p00001@corp.example").unwrap()["active"], false, "leavers first");
    // Still full: still told, and still nobody twice.
    w.run(&["sync"]).expect(9);
    std::fs::remove_file(w.path("small/in-the-way")).unwrap();
    w.sync().expect(0);
    assert_as_desired(&w, &target);
    assert_eq!(assert_all_created(&state).0, 2560);
    assert_quiet(&w, &sandbox);
}

#[test]
fn a_folder_that_became_read_only_is_told() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 12);
    let Some((mount, _)) = small(&w, "16m") else { return };
    w.sync().expect(0);
    mount.remount("ro");
    w.join("new");
    w.save();
    sandbox.reset_counters();
    assert_says(&w.run(&["sync", "--json"]), 9, &["state.db", "may write there"]);
    assert_eq!(sandbox.requests(), 0);
    mount.remount("rw");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 1)]));
}

/// A copy is worked on, and the original is what somebody can do something about.
#[test]
fn errors_of_a_copy_name_the_store() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 50);
    w.sync().expect(0);
    let whole = std::fs::read(w.path("state.db")).unwrap();
    let newer = rusqlite::Connection::open(w.path("state.db")).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let said = w.path("state.db").display().to_string();
    let names_the_store = |run: &Run, words: &str| {
        assert_says(run, 9, &[&said, words]);
        assert!(!run.stderr.contains("scim-sync-plan-") && !run.stderr.contains("bb.db"), "{}", run.stderr);
    };
    for command in [vec!["plan"], vec!["accounts", "s"], vec!["state", "backup", "bb.db"]] {
        names_the_store(&w.run(&command), "newer version");
    }
    let mut torn = whole;
    let end = torn.len() - 8192;
    torn[12288..end].fill(0x5a);
    std::fs::write(w.path("state.db"), torn).unwrap();
    for command in [vec!["plan"], vec!["accounts", "s"], vec!["state", "backup", "bb.db"]] {
        names_the_store(&w.run(&command), "restore a backup");
    }
    assert!(!w.path("bb.db").exists());
}

/// What may stand beside the file, or in its place, after a bad night.
#[test]
fn one_account_per_person_whatever_is_left_of_the_files() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 150);
    w.sync().expect(0);
    let whole = std::fs::read(w.path("state.db")).unwrap();
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let put = |w: &mut World, db: &[u8], wal: Option<&[u8]>| {
        for left in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(w.path(left));
        }
        std::fs::write(w.path("state.db"), db).unwrap();
        if let Some(wal) = wal {
            std::fs::write(w.path("state.db-wal"), wal).unwrap();
        }
        w.leave(w.people.keys().next().unwrap().clone().as_str());
    };
    // A log without content, and one that is noise: SQLite knows by its checksums that it was never committed.
    for wal in [Vec::new(), b"noise".repeat(4000)] {
        put(&mut w, &whole, Some(&wal));
        let run = w.sync();
        assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
        assert_as_desired(&w, &target);
    }
    // Some octets in the middle, and the end missing.
    let mut scratched = whole.clone();
    for at in (whole.len() / 4..whole.len() * 3 / 4).step_by(509) {
        scratched[at] ^= 0x5a;
    }
    for (what, bytes) in [
        ("scratched", scratched),
        ("cut by an octet", whole[..whole.len() - 1].to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
    ] {
        put(&mut w, &bytes, None);
        sandbox.reset_counters();
        let run = w.sync();
        if what != "cut by an octet" || run.code != 0 {
            assert_says(&run, 9, &["restore a backup"]);
            assert_eq!(sandbox.writes(), 0, "{what}");
        }
        assert_eq!(target.users().len(), 150, "{what}");
    }
    // Nothing at all in the file: lost, and said so; everybody is met again.
    put(&mut w, b"", None);
    let run = w.sync();
    assert_says(&run, 0, &["the state store is new, though cycle"]);
    assert_eq!(run.cycle()["counts"]["create"], 0, "{}", run.stdout);
    assert_eq!(target.users().len(), 150);
    // Another program's database, named by mistake.
    std::fs::remove_file(w.path("state.db")).unwrap();
    rusqlite::Connection::open(w.path("state.db"))
        .unwrap()
        .execute_batch("CREATE TABLE precious (x); PRAGMA user_version = 1")
        .unwrap();
    let theirs = std::fs::read(w.path("state.db")).unwrap();
    sandbox.reset_counters();
    for command in ["sync", "plan", "status", "log"] {
        assert_says(&w.run(&[command]), 9, &["no state store of scim-sync"]);
    }
    assert!(std::fs::read(w.path("state.db")).unwrap() == theirs, "not an octet of it changed");
    assert_eq!(sandbox.requests(), 0);
}

// ---- whose files they are -------------------------------------------------------------------------------------------------

const SERVICE: u32 = 64_001;
const STRANGER: u32 = 64_002;

/// The binary where anybody may run it, and everything in the folder given to a user; `None` where we are not root.
fn given_to(w: &World, uid: u32) -> Option<PathBuf> {
    let program = w.path("scim-sync");
    if !program.exists() {
        std::fs::copy(binary(), &program).unwrap();
    }
    std::fs::set_permissions(w.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let everything = std::fs::read_dir(w.dir.path()).unwrap().map(|f| f.unwrap().path()).chain([w.dir.path().to_owned()]);
    for path in everything {
        if chown(&path, Some(uid), Some(uid)).is_err() {
            eprintln!("skipped: only root gives files away");
            return None;
        }
    }
    Some(program)
}

fn run_as(w: &World, program: &Path, uid: u32, args: &[&str]) -> Run {
    let mut c = Command::new("setpriv");
    c.args(["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups"]).arg(program);
    c.arg("--config").arg(w.path("config.toml")).args(args).current_dir(w.dir.path()).env("TMPDIR", "/tmp").stdin(Stdio::null());
    c.output().unwrap().into()
}

#[test]
fn a_store_of_somebody_else_is_told_by_whose_it_is() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 12);
    w.save();
    let Some(program) = given_to(&w, SERVICE) else { return };
    let first = run_as(&w, &program, SERVICE, &["sync", "--json"]);
    assert_eq!(first.code, 0, "{}\n{}", first.stdout, first.stderr);
    sandbox.reset_counters();
    // The folder stays the service's; the file belongs to nobody it knows.
    chown(w.path("state.db"), Some(STRANGER), Some(STRANGER)).unwrap();
    let run = run_as(&w, &program, SERVICE, &["sync"]);
    let (file, me) = (format!("belongs to user {STRANGER}"), format!("runs as user {SERVICE}"));
    assert_says(&run, 9, &["state.db", &file, &me, "chown"]);
    assert_eq!(sandbox.requests(), 0);
    // Taken by another user altogether, who may not even make a lock there.
    chown(w.path("state.db"), Some(SERVICE), Some(SERVICE)).unwrap();
    chown(w.path("token"), Some(STRANGER), Some(STRANGER)).unwrap();
    let run = run_as(&w, &program, STRANGER, &["status"]);
    assert_says(&run, 9, &["state.db", &format!("belongs to user {SERVICE}")]);
    assert_eq!(sandbox.requests(), 0);
}

#[test]
fn root_leaves_nothing_that_the_service_cannot_use() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 12);
    w.save();
    let Some(program) = given_to(&w, SERVICE) else { return };
    w.run(&["sync"]).expect(0);
    w.run(&["state", "backup", "b.db"]).expect(0);
    w.run(&["state", "restore", "b.db"]).expect(0);
    for f in std::fs::read_dir(w.dir.path()).unwrap().map(Result::unwrap) {
        if f.file_name().to_string_lossy().starts_with("state.db") {
            assert_eq!(f.metadata().unwrap().uid(), SERVICE, "{}", f.path().display());
        }
    }
    w.join("new");
    w.save();
    for f in ["people.json", "token"] {
        chown(w.path(f), Some(SERVICE), Some(SERVICE)).unwrap();
    }
    let run = run_as(&w, &program, SERVICE, &["sync", "--json"]);
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(run.cycle()["counts"]["create"], json!(1));
}
