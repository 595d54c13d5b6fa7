//! The store over the years: what is too old goes, what is needed stays, schemas are brought up to date.

use crate::support::settled::assert_quiet;
use crate::support::switch::Switch;
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use rusqlite::{Connection, params};
use std::io::Read;
use std::path::{Path, PathBuf};

const DAY: i64 = 86_400;

fn open(w: &World) -> Connection {
    Connection::open(w.path("state.db")).unwrap()
}

fn one(c: &Connection, sql: &str) -> i64 {
    c.query_row(sql, [], |r| r.get(0)).unwrap()
}

/// Makes everything that happened so far happen so many days earlier.
fn age(w: &World, days: i64) {
    let c = open(w);
    for sql in [
        "UPDATE cycle SET started = started - ?1, ended = ended - ?1",
        "UPDATE journal SET at = at - ?1",
        "UPDATE entry SET gone = gone - ?1 WHERE gone IS NOT NULL",
        "DELETE FROM meta WHERE key = 'pruned_at' AND ?1 > 0",
    ] {
        c.execute(sql, [days * DAY]).unwrap();
    }
}

/// Cycles go on until nothing more is removed (each one takes a bounded time). They ask the target, whose clock is compared.
fn tidy(w: &World) {
    w.save();
    for _ in 0..50 {
        w.run(&["sync", "--verify"]);
        if one(&open(w), "SELECT count(*) FROM meta WHERE key = 'pruned_at'") == 1 {
            return;
        }
    }
    panic!("it never comes to an end");
}

fn world(sandbox: &SandboxProcess, people: usize, sync: &str) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(people);
    w
}

#[test]
fn what_is_too_old_goes_and_what_is_needed_stays() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 30, "");
    // Never linked: it goes when it has been gone for long.
    w.join("p-odd");
    w.set("p-odd", "mail", "no address");
    w.sync().expect(7);
    w.leave("p-odd");
    w.leave("p00003");
    w.sync().expect(0);
    age(&w, 300);
    // Recent on the first day: a year later it is not.
    w.set("p00004", "displayName", "Changed");
    w.sync().expect(0);
    tidy(&w);
    let c = open(&w);
    assert_eq!(one(&c, "SELECT count(*) FROM journal WHERE kind = 'create'"), 30, "300 days are not 400");
    drop(c);
    age(&w, 150);
    w.sync().expect(0);
    tidy(&w);
    let c = open(&w);
    assert_eq!(one(&c, "SELECT count(*) FROM journal WHERE kind = 'create'"), 0);
    assert_eq!(one(&c, "SELECT count(*) FROM journal WHERE kind = 'update' AND before IS NOT NULL"), 1, "a kept cycle is whole");
    assert_eq!(one(&c, "SELECT count(*) FROM entry WHERE key = 'p-odd'"), 0, "gone, without a link");
    assert_eq!(one(&c, "SELECT count(*) FROM entry WHERE key = 'p00003' AND gone IS NOT NULL"), 1, "gone, with a link");
    assert_eq!(one(&c, "SELECT count(*) FROM link"), 30);
    for (table, column) in [("entry_data", "entry_id"), ("entry_name", "entry_id"), ("member", "group_id")] {
        assert_eq!(one(&c, &format!("SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM entry)")), 0, "{table}");
    }
    assert_eq!(one(&c, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    drop(c);
    assert_quiet(&w, &sandbox);
    // The account of the one who left years ago is known: back again, it is the same one.
    w.join("p00003");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("reactivate", 1)]));
}

#[test]
fn what_waits_is_never_too_old() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 40, "");
    w.group("g", &["p00001", "p00002"]);
    w.join("p-odd");
    w.set("p-odd", "mail", "no address");
    w.sync().expect(7);
    // Twenty of forty leave: held.
    for i in 10..30 {
        w.leave(&format!("p{i:05}"));
    }
    w.sync().expect(6);
    let c = open(&w);
    let cycle = one(&c, "SELECT max(cycle) FROM journal WHERE kind = 'create'");
    // A write of the first cycle whose result nobody knows.
    let item = r#"[{"kind":"update","entry_id":1,"key":"p00000","who":"p00000@corp.example"}]"#;
    c.execute("INSERT INTO intent (sync_id, cycle, items) VALUES (999, ?1, ?2)", params![cycle, item]).unwrap();
    drop(c);
    age(&w, 900);
    tidy(&w);
    let c = open(&w);
    assert_eq!(one(&c, "SELECT count(*) FROM held"), 20);
    assert_eq!(one(&c, "SELECT count(*) FROM parked"), 1);
    assert_eq!(one(&c, "SELECT count(*) FROM entry WHERE gone IS NOT NULL"), 20, "held ones, with their links");
    assert_eq!(one(&c, &format!("SELECT count(*) FROM journal WHERE cycle = {cycle} AND kind = 'create'")), 40, "unsettled");
    assert_eq!(one(&c, "SELECT count(*) FROM pushed_member"), 2);
    c.execute("DELETE FROM intent", []).unwrap();
    drop(c);
    age(&w, 1);
    tidy(&w);
    assert_eq!(one(&open(&w), "SELECT count(*) FROM journal WHERE kind = 'create'"), 0);
    w.run(&["approve", "s"]).expect(0);
    assert_eq!(w.sync().expect(7).cycle()["counts"]["deactivate"], 20);
}

#[test]
fn never_less_than_two_days_are_kept_and_the_last_cycle_is() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 3, "");
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config.replace("[state]\n", "[state]\nkeep = \"1s\"\n")).unwrap();
    w.sync().expect(0);
    age(&w, 1);
    tidy(&w);
    assert_eq!(one(&open(&w), "SELECT count(*) FROM journal"), 3, "the guard counts over a day");
    age(&w, 3);
    let last = one(&open(&w), "SELECT max(id) FROM cycle");
    tidy(&w);
    let c = open(&w);
    assert_eq!(one(&c, "SELECT count(*) FROM journal"), 0);
    assert_eq!(one(&c, &format!("SELECT count(*) FROM cycle WHERE id <= {last}")), 0);
    drop(c);
    age(&w, 900);
    let status = w.run(&["status", "--json"]).expect(0).json();
    assert!(status["syncs"][0]["last_cycle"].as_i64().unwrap() > last);
}

/// A clock that runs ahead calls everything old: nothing goes unless another clock agrees.
#[test]
fn nothing_is_removed_by_a_clock_that_nobody_confirms() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 3, "");
    w.sync().expect(0);
    age(&w, 900);
    w.sync().expect(0);
    assert_eq!(one(&open(&w), "SELECT count(*) FROM journal"), 3, "a quiet cycle sees no other clock");
    let skewed = Switch::before(&sandbox.base_url);
    skewed.date("Mon, 03 Jan 2033 00:00:00 GMT");
    w.configure("type = \"file\"\npath = \"people.json\"", &skewed.url, &sandbox.token, "", "");
    w.run(&["sync", "--verify"]).expect(0);
    assert_eq!(one(&open(&w), "SELECT count(*) FROM journal"), 3, "theirs says otherwise");
    skewed.date("");
    tidy(&w);
    assert_eq!(one(&open(&w), "SELECT count(*) FROM journal"), 0);
}

/// Years of journal: each cycle takes a little of it, and the file becomes smaller.
#[test]
fn the_room_is_given_back_in_small_steps() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 5, "");
    w.sync().expect(0);
    let c = open(&w);
    assert_eq!(one(&c, "PRAGMA auto_vacuum"), 2, "incremental");
    c.execute_batch(
        "BEGIN; INSERT INTO cycle (sync_id, started, result) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
            SELECT 1, unixepoch() - 800 * 86400 + i, 'ok' FROM n;
         INSERT INTO journal (sync_id, cycle, at, kind, object, entry_id, who, status, before)
            SELECT 1, y.id, y.started, 'update', 'user', 1, 'p', 'done', hex(randomblob(200)) FROM cycle y, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) WHERE y.result = 'ok' AND y.started < unixepoch() - 86400;
         DELETE FROM meta WHERE key = 'pruned_at'; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);",
    )
    .unwrap();
    drop(c);
    let before = std::fs::metadata(w.path("state.db")).unwrap().len();
    assert!(before > 8_000_000, "{before}");
    let began = std::time::Instant::now();
    w.run(&["sync", "--verify"]).expect(0);
    assert!(began.elapsed().as_secs() < 5, "one cycle takes a bounded time: {:?}", began.elapsed());
    tidy(&w);
    let c = open(&w);
    assert_eq!(one(&c, "SELECT count(*) FROM journal WHERE kind = 'update'"), 0);
    assert!(one(&c, "SELECT count(*) FROM cycle") < 60);
    c.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(c);
    let after = std::fs::metadata(w.path("state.db")).unwrap().len();
    assert!(after * 3 < before, "{before} -> {after}");
    assert_quiet(&w, &sandbox);
}

// ---- schemas --------------------------------------------------------------------------------------------------------------

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/state")
}

/// The number of every migration.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/state/sql");
    let mut out: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|f| f.unwrap().file_name().into_string().unwrap().split_once('_').map(|(n, _)| n.to_owned()))
        .filter(|n| n.chars().all(|c| c.is_ascii_digit()))
        .collect();
    out.sort();
    out
}

/// A store as the program of that schema left it.
fn fixture(number: &str) -> String {
    let path = fixtures().join(format!("{number}.sql"));
    let mut text = String::new();
    let file = std::fs::File::open(&path).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; a migration needs a store of its schema: `cargo test --test it make_fixture -- --ignored`",
            path.display()
        )
    });
    std::io::BufReader::new(file).read_to_string(&mut text).unwrap();
    text
}

fn tables(c: &Connection) -> Vec<String> {
    let mut st = c
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%' AND name <> 'sqlite_sequence' ORDER BY name")
        .unwrap();
    st.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_store_of_every_schema_is_brought_up_to_date() {
    let all = migrations();
    assert!(!all.is_empty());
    for number in &all {
        let sandbox = SandboxProcess::start(&[]);
        let mut w = world(&sandbox, 0, "");
        let c = open(&w);
        c.execute_batch(&fixture(number)).unwrap();
        assert_eq!(one(&c, "PRAGMA user_version"), number.parse::<i64>().unwrap());
        for table in tables(&c) {
            assert!(one(&c, &format!("SELECT count(*) FROM \"{table}\"")) > 0, "{number}: no row in {table}");
        }
        let links = one(&c, "SELECT count(*) FROM link");
        drop(c);
        let status = w.run(&["status", "--json"]).expect(0).json();
        let shown = status["syncs"][0]["linked_users"].as_i64().unwrap() + status["syncs"][0]["linked_groups"].as_i64().unwrap();
        assert_eq!(shown, links, "{number}");
        let c = open(&w);
        assert_eq!(one(&c, "PRAGMA user_version"), i64::try_from(all.len()).unwrap());
        assert_eq!(one(&c, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_eq!(one(&c, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
        drop(c);
        let before = w.path(&format!("state.db.before-v{}", all.len()));
        assert_eq!(before.exists(), *number != *all.last().unwrap(), "a copy before each migration, and only then");
        assert!(!w.run(&["log", "--json"]).expect(0).json()["entries"].as_array().unwrap().is_empty());
        // This sandbox never saw those accounts: not the target of this store.
        w.join("new");
        w.sync().expect(5);
        assert_eq!(sandbox.writes(), 0);
    }
}

/// The newest fixture has the tables that the present program makes.
#[test]
fn the_newest_fixture_is_the_present_schema() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, 1, "");
    w.sync().expect(0);
    let of = |c: &Connection| -> Vec<String> {
        let mut st =
            c.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name").unwrap();
        st.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let c = Connection::open_in_memory().unwrap();
    c.execute_batch(&fixture(migrations().last().unwrap())).unwrap();
    assert_eq!(of(&c), of(&open(&w)), "make it anew: `cargo test --test it make_fixture -- --ignored`");
}

/// Writes the fixture of the present schema: a real store after a few eventful cycles, with a row in every table.
#[test]
#[ignore = "writes a fixture; run it when a migration was added (or, before the first release, when the schema changed)"]
fn make_fixture() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = world(&sandbox, 20, "");
    w.group("g", &["p00001", "p00002", "nobody"]);
    w.join("p-odd");
    w.set("p-odd", "mail", "no address");
    w.sync().expect(7);
    for i in 10..18 {
        w.leave(&format!("p{i:05}"));
    }
    w.set("p00001", "displayName", "Changed");
    w.sync().expect(6);
    w.run(&["approve", "s", "--who", "p00010@corp.example", "--reason", "left"]).expect(0);
    w.run(&["undo", "2"]).expect(0);
    let c = open(&w);
    let item = r#"[{"kind":"update","entry_id":1,"key":"p00000","who":"p00000@corp.example"}]"#;
    c.execute("INSERT INTO intent (sync_id, cycle, items) VALUES (1, 1, ?1)", [item]).unwrap();
    let claim = "INSERT INTO claim SELECT id, 'x', sync_id, 'p-odd', 'it may be theirs', 'look whose it is', 1 FROM entry WHERE key = 'p-odd'";
    c.execute(claim, []).unwrap();
    c.execute("INSERT INTO address SELECT sync_id, 'p-odd@corp.example', id FROM entry WHERE key = 'p-odd'", []).unwrap();
    c.execute("INSERT INTO reference (entry_id, path, member_id) VALUES (1, 'manager.value', 2)", []).unwrap();
    c.execute("INSERT INTO reference_sought (name, entry_id) VALUES (x'00', 3)", []).unwrap();
    c.execute("INSERT INTO group_note VALUES (1, 'x', 'Group g', 'Admins')", []).unwrap();
    c.execute("UPDATE sync SET cursor = 'v1:1'", []).unwrap();
    for table in tables(&c) {
        assert!(one(&c, &format!("SELECT count(*) FROM \"{table}\"")) > 0, "no row in {table}");
    }
    let number = migrations().pop().unwrap();
    std::fs::create_dir_all(fixtures()).unwrap();
    std::fs::write(fixtures().join(format!("{number}.sql")), dump(&c)).unwrap();
    drop(ScimReader::new(&sandbox.base_url, &sandbox.token));
}

/// The database as statements.
fn dump(c: &Connection) -> String {
    let mut out = String::from(
        "-- A state store after a few eventful cycles; made by the test `make_fixture`.\nPRAGMA foreign_keys = OFF;\nBEGIN;\n",
    );
    let mut st = c
        .prepare(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND (type = 'trigger') = ?1 ORDER BY type = 'index', rowid",
        )
        .unwrap();
    let mut schema = |triggers: bool| -> String {
        st.query_map([triggers], |r| r.get::<_, String>(0)).unwrap().map(|sql| format!("{};\n", sql.unwrap())).collect()
    };
    out += &schema(false);
    for table in tables(c) {
        let columns: Vec<String> = c
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
            .unwrap()
            .query_map([], |r| r.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let values: Vec<String> = columns.iter().map(|n| format!("quote(\"{n}\")")).collect();
        let mut st = c.prepare(&format!("SELECT {} FROM \"{table}\"", values.join(" || ',' || "))).unwrap();
        let rows: Vec<String> = st.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        for row in rows {
            out += &format!("INSERT INTO \"{table}\" VALUES ({row});\n");
        }
    }
    // Behind the rows: what they count is in the rows already.
    out += &schema(true);
    let seq = one(c, "SELECT max(seq) FROM sqlite_sequence");
    out += &format!(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'cycle', {seq} WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence);\n"
    );
    for pragma in ["application_id", "user_version"] {
        out += &format!("PRAGMA {pragma} = {};\n", one(c, &format!("PRAGMA {pragma}")));
    }
    out + "COMMIT;\n"
}
