//! Incremental reads: sixty changes come as exactly those writes.

use super::{Ad, BASE, Domain, group, person};
use crate::support::world::{changes, expected};
use std::fmt::Write as _;

const PEOPLE: usize = 400;

/// Sixty changes: ten titles, ten display names, ten renamed, ten moved, ten disabled, five deleted, five new ones, and
/// memberships (not counted as changes of people).
fn sixty() -> String {
    let mut out = String::new();
    let mut modify = |dn: &str, change: &str| out.push_str(&format!("dn: {dn}\nchangetype: modify\n{change}\n\n"));
    // Nobody who is disabled, expired, or has a primary group of their own.
    for i in 150..160 {
        modify(&person(i), "replace: title\ntitle: Changed");
    }
    for i in 166..176 {
        modify(&person(i), &format!("replace: displayName\ndisplayName: Changed {i}"));
    }
    for i in 235..245 {
        modify(&person(i), "replace: userAccountControl\nuserAccountControl: 546");
    }
    for g in 20..30 {
        modify(&group(g), &format!("add: member\nmember: {}", person(190 + g - 20)));
    }
    for i in 200..210 {
        let _ = write!(out, "dn: {}\nchangetype: modrdn\nnewrdn: CN=Renamed {i}\ndeleteoldrdn: 1\n\n", person(i));
    }
    for i in 210..220 {
        let _ = write!(
            out,
            "dn: {}\nchangetype: modrdn\nnewrdn: CN=Person {i:05}\ndeleteoldrdn: 1\nnewsuperior: OU=Elsewhere,{BASE}\n\n",
            person(i)
        );
    }
    for i in 223..228 {
        let _ = write!(out, "dn: {}\nchangetype: delete\n\n", person(i));
    }
    out
}

fn newcomers() -> String {
    (0..5).fold(String::new(), |mut out, i| {
        let _ = write!(
            out,
            "dn: CN=New {i},OU=People,{BASE}\nobjectClass: user\nsAMAccountName: new{i}\nmail: new{i}@corp.example\n\
             displayName: New {i}\nuserAccountControl: 544\n\n"
        );
        out
    })
}

fn sixty_changes_are_sixty_changes(account: &str) {
    let Some(samba) = (Domain { people: PEOPLE, groups: 40 }).start() else { return };
    sixty_changes(&Ad::new(samba, account, false));
}

/// Sixty changes, and then some that are harder to see.
pub fn sixty_changes(ad: &Ad) {
    ad.sync().expect(0);
    ad.expect_truth();
    let quiet = ad.sync().expect(0).cycle();
    assert_eq!((quiet["read"].as_str(), changes(&quiet)), (Some("incremental"), expected(&[])), "{quiet}");

    ad.samba.ldb("ldbmodify", &sixty());
    ad.samba.ldb("ldbadd", &newcomers());
    let cycle = ad.sync().expect(0).cycle();
    assert_eq!(cycle["read"], "incremental", "{cycle}");
    let found = changes(&cycle);
    // Titles are not mapped; renamed and moved people are the same people.
    for (kind, n) in [("update", 10), ("deactivate", 15), ("create", 5)] {
        assert_eq!(found.get(kind), Some(&n), "{kind} in {cycle}");
    }
    ad.expect_truth();

    // People and groups one by one, each in a cycle of its own.
    let row = ad.samba.search("(sAMAccountName=app-012)", &["objectSid", "member"]).remove(0);
    let rid = super::rid(&row).to_owned();
    let steps = [
        format!("dn: {}\nchangetype: modify\ndelete: member\nmember: {}\n\n", group(20), person(190)),
        // A renamed member leaves a group.
        format!("dn: {}\nchangetype: modify\ndelete: member\nmember: CN=Renamed 200,OU=People,{BASE}\n\n", group(0)),
        // Another primary group: the old one keeps the person as a member, the new one drops the link and has the person.
        format!("dn: {}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {rid}\n\n", row["member"][0]),
        // A group renamed, with members.
        format!("dn: {}\nchangetype: modrdn\nnewrdn: CN=app-999\ndeleteoldrdn: 1\n\n", group(30)),
        format!("dn: {}\nchangetype: delete\n\n", group(31)),
        // Back to work.
        format!("dn: {}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 544\n\n", person(235)),
        // No address any more: out of scope.
        format!("dn: {}\nchangetype: modify\ndelete: mail\n\n", person(260)),
    ];
    for step in steps {
        ad.samba.ldb("ldbmodify", &step);
        let cycle = ad.sync().expect(0).cycle();
        assert_eq!(cycle["read"], "incremental", "{step}{cycle}");
        // Who changes the primary group was a member before, and stays one.
        assert_eq!(changes(&cycle).is_empty(), step.contains("primaryGroupID"), "{step}{cycle}");
        ad.expect_truth();
    }
    // A new full read finds nothing else.
    let cycle = ad.world.run(&["sync", "--json", "--full"]).expect(0).cycle();
    assert_eq!((cycle["read"].as_str(), changes(&cycle)), (Some("full"), expected(&[])), "{cycle}");
}

#[test]
fn sixty_changes_are_picked_up_with_deletions_by_tombstone() {
    sixty_changes_are_sixty_changes("svc-admin");
}

#[test]
fn sixty_changes_are_picked_up_with_the_replication_right_where_tombstones_are_hidden() {
    sixty_changes_are_sixty_changes("svc-repl");
}

#[test]
fn sixty_changes_are_picked_up_without_the_replication_right() {
    sixty_changes_are_sixty_changes("svc-plain");
}
