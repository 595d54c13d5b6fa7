//! Groups of many members: one PATCH per chunk, in and out.

use super::{Live, Server, directory};
use crate::support::directory::Member;
use crate::support::world::{changes, expected};
use base64::Engine as _;

const PEOPLE: usize = 530;

fn many_members(server: Server) {
    let mut directory = directory(83, PEOPLE, 1, 0);
    directory.people.iter_mut().for_each(|p| p.locked = false);
    directory.groups[0].members = (0..PEOPLE - 10).map(Member::Person).collect();
    let live = Live::start(&directory, server, "", "");
    let cycle = live.sync().expect(0).cycle();
    let members = PEOPLE as u64 - 10;
    assert_eq!(changes(&cycle), expected(&[("create", PEOPLE as u64), ("group_create", 1), ("members_add", members)]));
    assert_eq!(live.recorder.written()["PATCH Groups"], 6, "520 members by the hundred");
    live.snapshot().expected(true).expect(&live.held());
    live.expect_quiet();

    // 130 out, 10 in. Taking one out costs scim2-server some 70 ms in a group of this size.
    let coded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let group = &directory.groups[0].dn;
    let mut ldif = format!("dn:: {}\nchangetype: modify\n", coded(group));
    for (verb, range) in [("delete", 100..230), ("add", PEOPLE - 10..PEOPLE)] {
        ldif += &format!("{verb}: member\n");
        ldif.extend(directory.people[range].iter().map(|p| format!("member:: {}\n", coded(&p.dn))));
        ldif += "-\n";
    }
    live.slapd.modify(&ldif);
    let cycle = live.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("members_add", 10), ("members_remove", 130)]));
    assert_eq!(live.recorder.written(), [("PATCH Groups".to_owned(), 3)].into(), "one to add, two to remove");
    live.snapshot().expected(true).expect(&live.held());
    live.expect_quiet();

    // The group goes, its people stay.
    live.slapd.modify(&format!("dn:: {}\nchangetype: delete\n", coded(group)));
    let cycle = live.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("group_delete", 1)]));
    live.snapshot().expected(true).expect(&live.held());
    live.expect_quiet();
}

#[test]
fn many_members_at_scim2_server() {
    if let Some(server) = Server::scim2() {
        many_members(server);
    }
}

#[test]
fn many_members_at_scimmy() {
    if let Some(server) = Server::scimmy() {
        many_members(server);
    }
}

#[test]
fn many_members_at_the_sandbox() {
    many_members(Server::sandbox());
}
