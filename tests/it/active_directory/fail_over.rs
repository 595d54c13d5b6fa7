//! Domain controllers without DirSync.

use super::changes::sixty_changes;
use super::{Ad, Domain};
use crate::support::door::Door;
use crate::support::samba::BASE;

/// LDAP_SERVER_DIRSYNC_OID.
const DIRSYNC: &str = "1.2.840.113556.1.4.841";
/// The conversation goes through doors that are no ends of TLS.
const PLAIN: &str = "ldap server require strong auth = no\n";

fn source(door: &Door, account: &str) -> String {
    format!(
        "type = \"ldap\"\nurl = \"{}\"\nbind_dn = \"{account}@corp.example\"\npassword = {{ file = \"bind-password\" }}\nbase = \"{BASE}\"",
        door.url
    )
}

fn cursor(ad: &Ad) -> String {
    let c = rusqlite::Connection::open(ad.world.path("state.db")).unwrap();
    c.query_row("SELECT cursor FROM sync", [], |r| r.get(0)).unwrap()
}

#[test]
fn sixty_changes_are_picked_up_by_update_numbers() {
    let Some(samba) = (Domain { people: 400, groups: 40 }).start_with(PLAIN) else { return };
    let door = samba.door(Some(DIRSYNC));
    let source = source(&door, "svc-repl");
    let ad = Ad::by(samba, &source, false);
    sixty_changes(&ad);
    assert!(cursor(&ad).contains("\"mechanism\":\"usn\""), "{}", cursor(&ad));
    // Another database (the controller was put back from a backup): its numbers are others.
    let c = rusqlite::Connection::open(ad.world.path("state.db")).unwrap();
    let other = cursor(&ad).replacen("\"invocation\":\"", "\"invocation\":\"0", 1);
    c.execute("UPDATE sync SET cursor = ?1", [other]).unwrap();
    let cycle = ad.sync().expect(0).cycle();
    assert_eq!(cycle["read"], "full", "{cycle}");
    ad.expect_truth();
}

/// DirSync: a cookie is good on every domain controller, but not on one that was put back from a backup since.
#[test]
fn a_controller_that_was_put_back_from_a_backup_is_read_in_full() {
    let Some(samba) = (Domain { people: 40, groups: 12 }).start() else { return };
    let ad = Ad::new(samba, "svc-admin", false);
    ad.sync().expect(0);
    let tamper = |with: &dyn Fn(&str) -> String| {
        let c = rusqlite::Connection::open(ad.world.path("state.db")).unwrap();
        c.execute("UPDATE sync SET cursor = ?1", [with(&cursor(&ad))]).unwrap();
    };
    let reads = || ad.sync().expect(0).cycle()["read"].as_str().unwrap().to_owned();
    assert!(cursor(&ad).contains("\"mechanism\":\"dirsync\""), "{}", cursor(&ad));
    assert_eq!(reads(), "incremental");
    // Another database than that which gave the cookie.
    tamper(&|cursor| cursor.replacen("\"invocation\":\"", "\"invocation\":\"0", 1));
    assert_eq!(reads(), "full");
    assert_eq!(reads(), "incremental");
    // It had come further.
    tamper(&|cursor| cursor.replacen("\"usn\":", "\"usn\":9", 1));
    assert_eq!(reads(), "full");
    // The numbers of another controller say nothing of this one.
    tamper(&|cursor| cursor.replacen("CN=NTDS Settings", "CN=NTDS Settings,CN=DC2", 1).replacen("\"usn\":", "\"usn\":9", 1));
    assert_eq!(reads(), "incremental");
    ad.expect_truth();
}
