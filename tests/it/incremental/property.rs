//! Any sequence of directory operations, read incrementally in any slicing, gives the same state as one full read at the end.

use super::{How, Reader, config, of};
use crate::support::directory::{BASE, Directory, Random};
use crate::support::ds389::{self, Ds389};
use crate::support::slapd::{Overlays, Slapd};
use crate::support::truth::{Attributes, one};
use scim_sync::config::LdapConfig;

/// Somebody or something that is there now.
struct There {
    people: Vec<String>,
    groups: Vec<String>,
    ous: Vec<String>,
}

/// A directory that is changed while it is read.
trait Server {
    fn modify(&self, ldif: &str);
    /// DNs of what the filter finds, in order.
    fn find(&self, filter: &str) -> Vec<String>;
    fn restart(&mut self);
}

impl Server for Slapd {
    fn modify(&self, ldif: &str) {
        Self::modify(self, ldif);
    }

    fn find(&self, filter: &str) -> Vec<String> {
        sorted(&self.search(filter))
    }

    fn restart(&mut self) {
        // slapd tells when it was started in whole seconds.
        std::thread::sleep(std::time::Duration::from_secs(1));
        Self::restart(self);
    }
}

impl Server for Ds389 {
    fn modify(&self, ldif: &str) {
        Self::modify(self, ldif);
    }

    fn find(&self, filter: &str) -> Vec<String> {
        sorted(&self.search(filter))
    }

    fn restart(&mut self) {
        Self::restart(self);
    }
}

fn sorted(entries: &[Attributes]) -> Vec<String> {
    let mut dns: Vec<String> = entries.iter().filter_map(|e| one(e, "dn")).collect();
    dns.sort();
    dns
}

impl There {
    fn look(server: &impl Server) -> Self {
        Self {
            people: server.find("(objectClass=inetOrgPerson)"),
            groups: server.find("(objectClass=groupOfNames)"),
            ous: server.find("(&(objectClass=organizationalUnit)(!(ou=groups)))"),
        }
    }
}

fn coded(dn: &str) -> String {
    use base64::Engine as _;
    format!("dn:: {}\n", base64::engine::general_purpose::STANDARD.encode(dn))
}

/// One operation, drawn from what is there, as LDIF; with its name. `None`: nothing to do it with.
fn operation(random: &mut Random, there: &There, n: usize) -> Option<(&'static str, String)> {
    let mut pick = |from: &[String]| (!from.is_empty()).then(|| from[random.below(from.len())].clone());
    let (person, other, group, ou) = (pick(&there.people)?, pick(&there.people)?, pick(&there.groups), pick(&there.ous)?);
    let modify = |dn: &str, what: String| format!("{}changetype: modify\n{what}\n", coded(dn));
    let typed = |value: &str| modify(&person, format!("replace: employeeType\nemployeeType: {value}"));
    Some(match random.below(13) {
        0 | 1 => (
            "join",
            format!(
                "dn: uid=new{n},{ou}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: new{n}\ncn: New {n}\nsn: {n}\n\
                 mail: new{n}@example.org\n"
            ),
        ),
        2 => ("leave", format!("{}changetype: delete\n", coded(&person))),
        3 | 4 => ("change", modify(&person, format!("replace: title\ntitle: number {n}"))),
        5 => ("rename", format!("{}changetype: modrdn\nnewrdn: cn=renamed {n}\ndeleteoldrdn: 0\n", coded(&person))),
        6 => {
            ("move", format!("{}changetype: modrdn\nnewrdn: cn=moved {n}\ndeleteoldrdn: 0\nnewsuperior: {ou}\n", coded(&person)))
        }
        7 => ("hide", typed("hidden")),
        8 => ("become a team", typed("team")),
        9 => ("show", typed("staff")),
        10 => {
            let dn = format!("cn=group {n},ou=groups,{BASE}");
            let member = coded(&other).replacen("dn::", "member::", 1);
            ("found", format!("dn: {dn}\nchangetype: add\nobjectClass: groupOfNames\ncn: group {n}\n{member}"))
        }
        11 => {
            let members: String = [&person, &other].iter().map(|dn| coded(dn).replacen("dn::", "member::", 1)).collect();
            let members = if person == other { coded(&person).replacen("dn::", "member::", 1) } else { members };
            ("members", modify(&group?, format!("replace: member\n{}", members.trim_end())))
        }
        _ if n.is_multiple_of(3) => {
            ("rename a unit", format!("dn: {ou}\nchangetype: modrdn\nnewrdn: ou=o{n}\ndeleteoldrdn: 1\n"))
        }
        _ => ("dissolve", format!("{}changetype: delete\n", coded(&group?))),
    })
}

/// People, groups and units to begin with.
fn beginning(seed: u64) -> String {
    let mut ldif = Directory::generate(seed, 60, 8, 120).to_ldif();
    for ou in ["office", "depot"] {
        ldif += &format!("dn: ou={ou},{BASE}\nobjectClass: organizationalUnit\nou: {ou}\n\n");
    }
    ldif
}

/// Changes, restarts and reads in an order that the seed decides. Returns how often it was read in each way.
async fn sequence(server: &mut impl Server, config: &LdapConfig, seed: u64, length: usize) -> [usize; 3] {
    let mut reader = Reader::new(config);
    assert_eq!(reader.read().await.0, How::Full);
    let mut random = Random(seed);
    let mut done = Vec::new();
    let mut ways = [0; 3];
    for n in 0..length {
        let there = There::look(server);
        if let Some((name, ldif)) = operation(&mut random, &there, n) {
            server.modify(&ldif);
            done.push(name);
        }
        if random.below(12) == 0 {
            server.restart();
            done.push("restart");
        }
        if random.below(3) == 0 {
            let (how, _) = reader.read().await;
            ways[how as usize] += 1;
            done.push("READ");
            if random.below(3) == 0 {
                reader.expect(&reader.truth().await, &format!("seed {seed}: {done:?}"));
            }
        }
    }
    let (how, _) = reader.read().await;
    ways[how as usize] += 1;
    reader.expect(&reader.truth().await, &format!("seed {seed}: {done:?}"));
    assert_eq!(reader.read().await, (How::Changes, 0), "nothing changed since");
    ways
}

#[tokio::test(flavor = "multi_thread")]
async fn any_operations_in_any_slicing_give_what_a_full_read_gives() {
    let mut ways = [0; 3];
    for (seed, session_log) in [(1, 1000), (2, 1000), (3, 8), (4, 8), (5, 1), (6, 1000)] {
        let overlays = Overlays { session_log: Some(session_log), ..Overlays::default() };
        let mut slapd = Slapd::start_with(&beginning(seed), overlays);
        let config = of(&slapd);
        let more = sequence(&mut slapd, &config, seed, 45).await;
        ways.iter_mut().zip(more).for_each(|(n, more)| *n += more);
    }
    println!("by changes, by names, in full: {ways:?}");
    assert!(ways.iter().all(|n| *n > 2), "each way was taken: {ways:?}");
    assert!(ways[How::Changes as usize] > ways[How::Full as usize], "{ways:?}");
}

/// 389 Directory Server, with content synchronisation and by its changelog alone.
#[tokio::test(flavor = "multi_thread")]
async fn any_operations_at_389_directory_server_too() {
    for content_sync in [true, false] {
        let Some(mut server) = Ds389::start(content_sync) else { return };
        let config = filled(&server);
        let ways = sequence(&mut server, &config, 7, 45).await;
        println!("content_sync {content_sync}: by changes, by names, in full: {ways:?}");
        assert!(ways[How::Changes as usize] > ways[How::Full as usize], "{ways:?}");
    }
}

/// Fills it; returns how it is read.
fn filled(server: &Ds389) -> LdapConfig {
    let foreign = |line: &&str| !line.starts_with("entryUUID:") && !line.starts_with("pwdAccountLockedTime:");
    let ldif: Vec<String> = beginning(7).lines().filter(foreign).map(str::to_owned).collect();
    server.modify(&ldif.join("\n"));
    config(&format!("ldap://localhost:{}", server.port), ds389::ROOT_DN, ds389::ROOT_PASSWORD)
}

/// The server answers from what its changelog still holds, and says nothing of what it removed from it.
#[tokio::test(flavor = "multi_thread")]
async fn absence_confirmed_where_the_server_removed_changes_before_they_were_read() {
    for content_sync in [true, false] {
        let Some(server) = Ds389::start(content_sync) else { return };
        let config = filled(&server);
        server.forget_changes();
        let mut reader = Reader::new(&config);
        assert_eq!(reader.read().await.0, How::Full);
        let people = There::look(&server).people;
        let title = |n: u32| format!("{}changetype: modify\nreplace: title\ntitle: number {n}\n", coded(&people[0]));
        server.modify(&title(0));
        assert_ne!(reader.read().await.0, How::Full, "nothing is missing yet");
        server.modify(&format!("{}changetype: delete\n", coded(&people[1])));
        let (before, mut n) = (server.first_change(), 0);
        // The number of the deletion is among the first that come now.
        while server.first_change() < before + 5 || n < 6 {
            assert!(n < 60, "the server forgets nothing");
            n += 1;
            server.modify(&title(n));
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        let (how, _) = reader.read().await;
        reader.expect(&reader.truth().await, &format!("content_sync {content_sync}"));
        assert_eq!(how, How::Full, "content_sync {content_sync}");
    }
}
