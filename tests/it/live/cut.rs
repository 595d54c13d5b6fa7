//! complete_or_nothing, from the outside: a read that ends early in any way writes nothing and changes nothing.

use super::{Live, Server, directory};
use crate::support::cutter::{Cutter, How, Where};
use crate::support::world::{Run, SandboxProcess, World};
use std::time::{Duration, Instant};

/// 6 pages of people, then 2 of groups.
const PEOPLE: usize = 600;
const SOURCE: &str = "page_size = 100\ntimeout = \"1s\"";

/// Exit 4 with words, and everything is as it was.
#[track_caller]
fn expect_nothing_happened(live: &Live, before: &[String], run: Run, words: &str, case: &str) {
    assert_eq!(run.code, 4, "{case}: {}{}", run.stdout, run.stderr);
    let cycle = run.cycle();
    assert_eq!(cycle["result"], "failed", "{case}");
    assert_eq!(cycle["error"]["kind"], "source", "{case}");
    let message = cycle["error"]["message"].as_str().unwrap();
    assert!(message.contains(words), "{case}: {message}");
    assert!(!message.contains(&live.slapd.password) && !run.stderr.contains(&live.slapd.password));
    live.recorder.expect_silence();
    assert_eq!(live.rows(), before, "{case}: the state store changed");
}

fn synced() -> Live {
    let live = Live::start(&directory(5, PEOPLE, 150, 900), Server::sandbox(), SOURCE, "");
    live.sync().expect(0);
    live.expect_quiet();
    live
}

#[test]
fn complete_or_nothing_however_the_connection_ends() {
    let live = synced();
    let before = live.rows();
    let held = live.held();
    for page in [1, 4, 7] {
        for entries in [Some(0), Some(40), None] {
            for how in [How::Close, How::Inside, How::Reset, How::Notice] {
                // What would follow after page 8 is the end.
                let cutter = Cutter::start(live.slapd.port, Where { page, entries }, how);
                live.configure(&format!("ldap://127.0.0.1:{}", cutter.port), SOURCE, "");
                let case = format!("page {page}, after {entries:?}, {how:?}");
                let words = if how == How::Notice { "going down" } else { "page" };
                expect_nothing_happened(&live, &before, live.sync(), words, &case);
            }
        }
    }
    live.configure(&live.slapd.ldaps_url, SOURCE, "");
    live.expect_quiet();
    held.expect(&live.held());
}

#[test]
fn complete_or_nothing_when_the_directory_falls_silent() {
    let live = synced();
    let before = live.rows();
    for place in [Where { page: 1, entries: Some(7) }, Where { page: 5, entries: None }, Where { page: 7, entries: Some(3) }] {
        let cutter = Cutter::start(live.slapd.port, place, How::Hang);
        live.configure(&format!("ldap://127.0.0.1:{}", cutter.port), SOURCE, "");
        let began = Instant::now();
        expect_nothing_happened(&live, &before, live.sync(), "no answer for 1 s", &format!("{place:?}"));
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    live.configure(&live.slapd.ldaps_url, SOURCE, "");
    live.expect_quiet();
}

#[test]
fn complete_or_nothing_at_a_size_limit() {
    let live = synced();
    let before = live.rows();
    // slapd's usual limit of 500 counts over all pages.
    for page_size in [100, 1000] {
        let source = format!("page_size = {page_size}\nbind_dn = \"{}\"", live.slapd.limited_dn);
        live.configure(&live.slapd.ldaps_url, &source, "");
        expect_nothing_happened(&live, &before, live.sync(), "sizeLimitExceeded", &format!("pages of {page_size}"));
    }
    live.configure(&live.slapd.ldaps_url, SOURCE, "");
    live.expect_quiet();
}

#[test]
fn complete_or_nothing_when_the_first_read_of_all_is_cut() {
    let live = Live::start(&directory(5, PEOPLE, 150, 900), Server::sandbox(), SOURCE, "");
    for (page, how) in [(1, How::Close), (3, How::Inside), (8, How::Reset)] {
        let cutter = Cutter::start(live.slapd.port, Where { page, entries: Some(5) }, how);
        live.configure(&format!("ldap://127.0.0.1:{}", cutter.port), SOURCE, "");
        live.sync().expect(4);
        live.recorder.expect_silence();
        assert!(!live.rows().iter().any(|r| r.starts_with("entry ") || r.starts_with("member ")), "half a read was kept");
    }
    live.configure(&live.slapd.ldaps_url, SOURCE, "");
    live.sync().expect(0);
    live.snapshot().expected(true).expect(&live.held());
}

/// A file of each kind, cut at many places: whatever is left, nothing is written from it.
fn cut_file(name: &str, whole: &str) {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.configure(&format!("type = \"file\"\npath = \"{name}\""), &sandbox.base_url, &sandbox.token, "", "");
    std::fs::write(w.path(name), whole).unwrap();
    w.run(&["sync", "--json"]).expect(0);
    sandbox.reset_counters();
    let last_cell = whole.rfind("everybody").map(|at| at + 4);
    for at in [5, 35, 60, 90].map(|percent| whole.len() * percent / 100).into_iter().chain(last_cell) {
        // Never on a boundary of rows or records: such a file is a whole one of fewer people, which the guard judges.
        let mut at = at;
        while !whole.is_char_boundary(at) || !whole.as_bytes()[at - 3..at + 3].iter().all(u8::is_ascii_alphanumeric) {
            at += 1;
        }
        std::fs::write(w.path(name), &whole[..at]).unwrap();
        let run = w.run(&["sync", "--json"]);
        assert_eq!(run.code, 4, "{name} cut at {at} of {}: {}{}", whole.len(), run.stdout, run.stderr);
        let message = run.cycle()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(name) && message.contains("cut off"), "{message}");
        assert_eq!(sandbox.requests(), 0);
    }
    std::fs::remove_file(w.path(name)).unwrap();
    w.run(&["sync", "--json"]).expect(4);
    std::fs::write(w.path(name), "").unwrap();
    w.run(&["sync", "--json"]).expect(4);
    std::fs::write(w.path(name), whole).unwrap();
    w.run(&["sync", "--json"]).expect(0);
    assert_eq!(sandbox.requests(), 0, "the good file changes nothing");
}

#[test]
fn complete_or_nothing_with_a_file_cut_short() {
    let people = directory(2, 60, 6, 60);
    cut_file("people.ldif", &people.to_ldif());
    let mut csv = "id,givenName,sn,mail,groups\n".to_owned();
    let mut users = Vec::new();
    for p in &people.people {
        csv += &format!("{},{:?},\"Family\",{},team|everybody\n", p.uuid, "Given", p.mail.as_ref().unwrap());
        users.push(serde_json::json!({"id": p.uuid, "mail": p.mail, "sn": p.surname, "givenName": p.given_name}));
    }
    cut_file("people.csv", &csv);
    cut_file("people.json", &serde_json::json!({"users": users, "groups": []}).to_string());
}
