//! `state backup` and `state restore`, and what a store that was put back, lost or moved does next.
#![cfg(unix)]

use crate::support::admin::{Admin, id};
use crate::support::settled::{assert_as_desired, assert_quiet};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use scim_sync::state::lock::CycleLock;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

struct Scene {
    sandbox: SandboxProcess,
    admin: Admin,
    target: ScimReader,
    w: World,
}

/// `n` people and a group, in step already.
fn scene(n: usize, sandbox: &[&str]) -> Scene {
    let sandbox = SandboxProcess::start(sandbox);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(n);
    let ids: Vec<String> = w.people.keys().cloned().collect();
    w.group("all", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    w.sync().expect(0);
    let (admin, target) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    Scene { sandbox, admin, target, w }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn lose(w: &World) {
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(w.path(name));
    }
}

fn cycle(document: &Value) -> i64 {
    document["cycle"].as_i64().unwrap()
}

#[test]
fn a_backup_beside_a_running_cycle_is_whole_and_private() {
    let s = scene(0, &["--latency", "20"]);
    let mut w = s.w;
    w.populate(150);
    w.save();
    let mut child = w.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while s.sandbox.stats()["users"].as_u64().unwrap() < 20 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut sizes = Vec::new();
    for i in 0..3 {
        let name = format!("backup{i}.db");
        let run = w.run(&["state", "backup", &name, "--json"]).expect(0).json();
        assert_eq!(run["version"], 1);
        assert!(child.try_wait().unwrap().is_none(), "the cycle still runs");
        assert_eq!(mode(&w.path(&name)), 0o600);
        let c = rusqlite::Connection::open(w.path(&name)).unwrap();
        assert_eq!(c.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
        assert_eq!(c.query_row("PRAGMA journal_mode", [], |r| r.get::<_, String>(0)).unwrap(), "delete", "one file");
        let links: u64 = c.query_row("SELECT count(*) FROM link", [], |r| r.get(0)).unwrap();
        assert_eq!(run["backup"]["links"].as_u64(), Some(links));
        sizes.push(links);
        for left in ["-wal", "-shm", "-journal"] {
            assert!(!w.path(&format!("{name}{left}")).exists(), "{left}");
        }
    }
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert!(child.wait().unwrap().success(), "the cycle did not mind");
    assert_as_desired(&w, &s.target);
    let drafts = std::fs::read_dir(w.dir.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".scim-sync-"));
    assert_eq!(drafts.count(), 0, "no draft is left");
}

#[test]
fn a_backup_replaces_nothing_unasked() {
    let s = scene(3, &[]);
    std::fs::write(s.w.path("precious"), "precious").unwrap();
    let run = s.w.run(&["state", "backup", "precious"]).expect(2);
    assert!(run.stderr.contains("--force"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(s.w.path("precious")).unwrap(), "precious");
    s.w.run(&["state", "backup", "precious", "--force"]).expect(0);
    assert_eq!(mode(&s.w.path("precious")), 0o600);
    // Never over the store itself, whatever it is called.
    let before = std::fs::read(s.w.path("state.db")).unwrap();
    std::os::unix::fs::symlink(s.w.path("state.db"), s.w.path("alias")).unwrap();
    for own in ["state.db", "./state.db", "alias"] {
        s.w.run(&["state", "backup", own, "--force"]).expect(9);
    }
    assert!(std::fs::read(s.w.path("state.db")).unwrap() == before);
    s.w.run(&["state", "backup", "nowhere/b.db"]).expect(9);
    lose(&s.w);
    let run = s.w.run(&["state", "backup", "none.db"]).expect(9);
    assert!(run.stderr.contains("no cycle has run"), "{}", run.stderr);
    assert!(!s.w.path("none.db").exists() && !s.w.path("state.db").exists());
}

#[test]
fn a_damaged_store_is_not_backed_up() {
    let s = scene(120, &[]);
    let mut bytes = std::fs::read(s.w.path("state.db")).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 40_960].fill(0xa5);
    std::fs::write(s.w.path("state.db"), &bytes).unwrap();
    let run = s.w.run(&["state", "backup", "b.db"]).expect(9);
    assert!(run.stderr.contains("damaged"), "{}", run.stderr);
    assert!(!s.w.path("b.db").exists());
}

/// Restored from last week: who came since is met again, who left since stays out, nobody gets a second account.
#[test]
fn one_account_per_person_after_a_restore() {
    let s = scene(40, &[]);
    let mut w = s.w;
    w.run(&["state", "backup", "week.db"]).expect(0);
    let mut last = 0;
    for i in 0..5 {
        w.join(&format!("new{i}"));
        w.groups.get_mut("all").unwrap().1.push(format!("new{i}"));
        last = cycle(&w.sync().cycle());
    }
    w.leave("p00007");
    w.set("p00008", "displayName", "Renamed Since");
    w.set("p00009", "mail", "new-name@corp.example");
    last = cycle(&w.sync().cycle()).max(last);
    let users = s.target.users().len();
    let restored = w.run(&["state", "restore", "week.db", "--json"]).expect(0).json();
    assert_eq!(restored["cycles_above"].as_i64(), Some(last));
    let kept = restored["replaced"].as_str().unwrap();
    assert!(kept.contains("state.db.replaced-20"), "{kept}");
    assert_eq!(mode(Path::new(kept)), 0o600);
    let c = rusqlite::Connection::open(kept).unwrap();
    assert_eq!(c.query_row("SELECT max(id) FROM cycle", [], |r| r.get::<_, i64>(0)).unwrap(), last, "the replaced one is whole");
    drop(c);
    w.join("after");
    let plan = w.plan().plan();
    assert_eq!((&plan["read"], &plan["target_read"]), (&json!("full"), &json!(true)));
    let run = w.sync();
    let done = run.cycle();
    assert!(cycle(&done) > last, "{} after {last}", done["cycle"]);
    assert_eq!(done["read"], "full");
    assert_eq!(done["counts"]["create"], 1, "{done}");
    assert_eq!(done["counts"]["adopt"], 5, "{done}");
    assert_eq!(s.target.users().len(), users + 1);
    w.run(&["sync", "--json"]).expect(0);
    assert_as_desired(&w, &s.target);
    assert_quiet(&w, &s.sandbox);
}

#[test]
fn a_restore_is_refused_while_a_cycle_runs_and_when_the_file_is_no_good() {
    let s = scene(30, &[]);
    let w = s.w;
    w.run(&["state", "backup", "good.db"]).expect(0);
    let before = std::fs::read(w.path("state.db")).unwrap();
    let good = std::fs::read(w.path("good.db")).unwrap();
    let lock = CycleLock::take(&w.path("state.db"), Duration::ZERO).unwrap();
    let run = w.run(&["state", "restore", "good.db"]).expect(8);
    assert!(run.stderr.contains("at work"), "{}", run.stderr);
    w.run(&["state", "backup", "beside.db"]).expect(0);
    drop(lock);
    w.run(&["state", "restore", "nowhere.db"]).expect(2);

    std::fs::write(w.path("newer.db"), &good).unwrap();
    rusqlite::Connection::open(w.path("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let other = rusqlite::Connection::open(w.path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE cycle (id); PRAGMA user_version = 1").unwrap();
    drop(other);
    let mut noise = good.clone();
    let half = noise.len() / 2;
    noise[half..half + 20_480].fill(0xa5);
    for (name, bytes, words) in [
        ("newer.db", None, "newer version"),
        ("other.db", None, "no state store"),
        ("text.db", Some(b"version = 1\n".repeat(500)), "no state store"),
        ("empty.db", Some(Vec::new()), "no state store"),
        ("noise.db", Some(noise), "damaged"),
        ("cut.db", Some(good[..good.len() / 3].to_vec()), "damaged"),
    ] {
        if let Some(bytes) = bytes {
            std::fs::write(w.path(name), bytes).unwrap();
        }
        let run = w.run(&["state", "restore", name]);
        assert_eq!(run.code, 9, "{name}: {}", run.stderr);
        assert!(run.stderr.contains(words) && run.stderr.contains(name), "{name}: {}", run.stderr);
    }
    assert!(std::fs::read(w.path("state.db")).unwrap() == before, "nothing was touched");
    let kept = std::fs::read_dir(w.dir.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("replaced"));
    assert_eq!(kept.count(), 0);
    w.run(&["sync"]).expect(0);
}

#[test]
fn a_restore_mends_what_is_damaged_or_lost_and_numbers_go_on() {
    let s = scene(60, &[]);
    let mut w = s.w;
    w.run(&["state", "backup", "b.db"]).expect(0);
    w.join("new");
    let last = cycle(&w.sync().cycle());
    std::fs::write(w.path("state.db"), b"noise".repeat(5000)).unwrap();
    w.run(&["sync"]).expect(9);
    let restored = w.run(&["state", "restore", "b.db", "--json"]).expect(0).json();
    let kept = restored["replaced"].as_str().unwrap();
    assert!(std::fs::read(kept).unwrap().starts_with(b"noise"), "as it was");
    let next = cycle(&w.sync().expect(0).cycle());
    assert!(next > last, "{next} after {last}");
    assert_as_desired(&w, &s.target);
    // Neither store nor note: nobody knows what ran, and still no number comes twice.
    lose(&w);
    std::fs::remove_file(w.path("state.db.cycle")).unwrap();
    let aged = rusqlite::Connection::open(w.path("b.db")).unwrap();
    aged.execute("UPDATE cycle SET started = started - 600000", []).unwrap();
    drop(aged);
    let restored = w.run(&["state", "restore", "b.db", "--json"]).expect(0).json();
    assert!(restored["replaced"].is_null());
    assert!(restored["cycles_above"].as_i64().unwrap() >= 600_000);
    w.sync().expect(0);
    assert_as_desired(&w, &s.target);
    assert_quiet(&w, &s.sandbox);
}

/// Somebody copies last week's file back by hand, without telling anybody.
#[test]
fn one_account_per_person_after_a_backup_was_copied_back_by_hand() {
    let s = scene(30, &[]);
    let mut w = s.w;
    w.run(&["state", "backup", "week.db"]).expect(0);
    w.join("since");
    let last = cycle(&w.sync().expect(0).cycle());
    lose(&w);
    std::fs::copy(w.path("week.db"), w.path("state.db")).unwrap();
    let plan = w.plan().expect(0).plan();
    assert_eq!(plan["target_read"], true, "{plan}");
    assert_eq!(changes(&plan), expected(&[("adopt", 1)]));
    let done = w.sync().expect(0).cycle();
    assert!(cycle(&done) > last, "{} after {last}", done["cycle"]);
    assert_eq!(changes(&done), expected(&[("adopt", 1)]));
    assert_quiet(&w, &s.sandbox);
}

#[test]
fn one_account_per_person_after_the_store_was_lost() {
    let s = scene(40, &[]);
    let mut w = s.w;
    let accounts: Vec<String> = s.target.users().iter().map(id).collect();
    let last = cycle(&w.sync().expect(0).cycle());
    lose(&w);
    w.set("p00001", "displayName", "Changed Meanwhile");
    let plan = w.plan().expect(0).plan();
    assert_eq!(changes(&plan), expected(&[("adopt", 40), ("group_adopt", 1)]));
    let run = w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("adopt", 40), ("group_adopt", 1)]));
    assert!(cycle(&run.cycle()) > last, "numbers go on");
    let mut now: Vec<String> = s.target.users().iter().map(id).collect();
    let mut before = accounts;
    now.sort();
    before.sort();
    assert_eq!(now, before, "the very accounts");
    assert_as_desired(&w, &s.target);
    assert_quiet(&w, &s.sandbox);
}

/// The folder is carried to another machine: nothing is asked, nothing is done.
#[test]
fn a_store_that_moved_with_its_configuration_goes_on() {
    let s = scene(20, &[]);
    let moved = tempfile::tempdir().unwrap();
    for name in ["config.toml", "token", "people.json", "state.db"] {
        std::fs::copy(s.w.path(name), moved.path().join(name)).unwrap();
    }
    let w = World {
        dir: moved,
        people: s.w.people.clone(),
        groups: s.w.groups.clone(),
        program: s.w.program.clone(),
        environment: s.w.environment.clone(),
    };
    assert_quiet(&w, &s.sandbox);
    let mut w = w;
    w.join("new");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 1)]));
}

/// A restored store at a target that was exchanged meanwhile is not believed.
#[test]
fn own_only_a_restored_store_looks_at_its_accounts_first() {
    let s = scene(20, &[]);
    s.w.run(&["state", "backup", "b.db"]).expect(0);
    for user in s.target.users() {
        s.admin.delete(&id(&user));
    }
    for i in 0..20 {
        s.admin.create(&json!({"userName": format!("p{i:05}@corp.example")}));
    }
    s.w.run(&["state", "restore", "b.db"]).expect(0);
    s.sandbox.reset_counters();
    let run = s.w.sync().expect(5);
    assert!(run.stderr.contains("put back from a backup"), "{}", run.stderr);
    assert_eq!(s.sandbox.writes(), 0);
}

/// SQLite plays a log onto whatever file has its name: that of a lost store must not meet the one that is put back.
#[test]
fn restore_a_log_that_a_lost_store_left_is_put_aside() {
    let s = scene(3, &[]);
    s.w.run(&["state", "backup", "b.db"]).expect(0);
    let c = rusqlite::Connection::open(s.w.path("state.db")).unwrap();
    c.execute("UPDATE link SET name = 'after-the-backup'", []).unwrap();
    // As the power leaves it: what came last stands in the log only.
    std::fs::copy(s.w.path("state.db-wal"), s.w.path("saved-wal")).unwrap();
    drop(c);
    lose(&s.w);
    std::fs::rename(s.w.path("saved-wal"), s.w.path("state.db-wal")).unwrap();
    std::fs::write(s.w.path("state.db-shm"), vec![0; 32768]).unwrap();
    s.w.run(&["state", "restore", "b.db"]).expect(0);
    let c = rusqlite::Connection::open(s.w.path("state.db")).unwrap();
    let count = |sql: &str| c.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM sync WHERE restored_at IS NOT NULL"), 1);
    assert_eq!(count("SELECT count(*) FROM link WHERE name = 'after-the-backup'"), 0);
    assert_eq!(c.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
    drop(c);
    let kept = std::fs::read_dir(s.w.dir.path()).unwrap().filter(|e| {
        let name = e.as_ref().unwrap().file_name().to_string_lossy().into_owned();
        name.starts_with("state.db.replaced-") && name.ends_with("-wal")
    });
    assert_eq!(kept.count(), 1, "the log is kept");
    s.w.sync().expect(0);
    assert_as_desired(&s.w, &s.target);
}

/// A restored store and the target disagree about who is active, and the directory agrees with the target: nothing to write,
/// and from then on that is what is known.
#[test]
fn what_was_active_meanwhile_is_known_after_a_restore() {
    let s = scene(20, &[]);
    let mut w = s.w;
    w.set("p00001", "active", false);
    w.sync().expect(0);
    w.run(&["state", "backup", "week.db"]).expect(0);
    w.set("p00001", "active", true);
    w.set("p00002", "active", false);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1), ("reactivate", 1)]));
    w.run(&["state", "restore", "week.db"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[]), "everything is right");
    w.leave("p00001");
    w.set("p00002", "active", true);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 1), ("reactivate", 1), ("members_remove", 1)]), "{cycle}");
    let active = |n: usize| s.target.user(&format!("p{n:05}@corp.example")).unwrap()["active"].clone();
    assert_eq!((active(1), active(2)), (json!(false), json!(true)));
    assert_quiet(&w, &s.sandbox);
}
