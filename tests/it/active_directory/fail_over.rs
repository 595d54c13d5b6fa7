//! Domain controllers without DirSync, and several addresses of one domain.

use super::changes::sixty_changes;
use super::{Ad, Domain, person};
use crate::support::door::Door;
use crate::support::samba::BASE;
use crate::support::world::changes;

/// LDAP_SERVER_DIRSYNC_OID.
const DIRSYNC: &str = "1.2.840.113556.1.4.841";
/// The conversation goes through doors that are no ends of TLS.
const PLAIN: &str = "ldap server require strong auth = no\n";

fn source(doors: &[&Door], account: &str) -> String {
    let urls: Vec<String> = doors.iter().map(|d| format!("\"{}\"", d.url)).collect();
    format!(
        "type = \"ldap\"\nurl = [{}]\nbind_dn = \"{account}@corp.example\"\npassword = {{ file = \"bind-password\" }}\nbase = \"{BASE}\"",
        urls.join(", ")
    )
}

fn cursor(ad: &Ad) -> String {
    let c = rusqlite::Connection::open(ad.world.path("state.db")).unwrap();
    c.query_row("SELECT cursor FROM sync", [], |r| r.get(0)).unwrap()
}

fn title(n: usize, name: &str) -> String {
    format!("dn: {}\nchangetype: modify\nreplace: displayName\ndisplayName: {name}\n\n", person(n))
}

#[test]
fn sixty_changes_are_picked_up_by_update_numbers() {
    let Some(samba) = (Domain { people: 400, groups: 40 }).start_with(PLAIN) else { return };
    let door = samba.door(Some(DIRSYNC));
    let source = source(&[&door], "svc-repl");
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

/// Update numbers are one controller's own; a DirSync cookie is good at all of them.
#[test]
fn another_controller_goes_on_where_the_cursor_allows_it() {
    let Some(samba) = (Domain { people: 60, groups: 10 }).start_with(PLAIN) else { return };
    let mut ad = None;
    let mut samba = Some(samba);
    for (hides, read) in [(None, "incremental"), (Some(DIRSYNC), "full")] {
        let dc = samba.take().or_else(|| ad.take().map(|ad: Ad| ad.samba)).unwrap();
        let (one, other) = (dc.door(hides), dc.door(hides));
        let source = source(&[&one, &other], "svc-repl");
        let now = Ad::by(dc, &source, false);
        now.sync().expect(0);
        now.samba.ldb("ldbmodify", &title(3, "Before"));
        let cycle = now.sync().expect(0).cycle();
        assert_eq!((cycle["read"].as_str(), changes(&cycle)["update"]), (Some("incremental"), 1), "{cycle}");
        one.shut();
        now.samba.ldb("ldbmodify", &title(4, "Behind"));
        let cycle = now.sync().expect(0).cycle();
        assert_eq!((cycle["read"].as_str(), changes(&cycle)["update"]), (Some(read), 1), "{hides:?} {cycle}");
        now.expect_truth();
        let cycle = now.sync().expect(0).cycle();
        assert_eq!(cycle["read"], "incremental", "{hides:?} {cycle}");
        other.shut();
        let run = now.sync().expect(4);
        assert!(run.stderr.contains("none of the 2 servers can be used"), "{}", run.stderr);
        ad = Some(now);
    }
}
