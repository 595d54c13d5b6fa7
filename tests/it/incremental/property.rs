//! Any sequence of directory operations, read incrementally in any slicing, gives the same state as one full read at the end.

use super::{How, Reader, of};
use crate::support::directory::{BASE, Directory, Random};
use crate::support::slapd::{Overlays, Slapd};
use crate::support::truth::one;

/// Somebody or something that is there now.
struct There {
    people: Vec<String>,
    groups: Vec<String>,
    ous: Vec<String>,
}

impl There {
    fn look(slapd: &Slapd) -> Self {
        let dns = |filter: &str| {
            let mut dns: Vec<String> = slapd.search(filter).iter().filter_map(|e| one(e, "dn")).collect();
            dns.sort();
            dns
        };
        Self {
            people: dns("(objectClass=inetOrgPerson)"),
            groups: dns("(objectClass=groupOfNames)"),
            ous: dns("(&(objectClass=organizationalUnit)(!(ou=groups)))"),
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

async fn sequence(seed: u64, session_log: u32, length: usize) -> [usize; 3] {
    let directory = Directory::generate(seed, 60, 8, 120);
    let mut ldif = directory.to_ldif();
    for ou in ["office", "depot"] {
        ldif += &format!("dn: ou={ou},{BASE}\nobjectClass: organizationalUnit\nou: {ou}\n\n");
    }
    let mut slapd = Slapd::start_with(&ldif, Overlays { session_log: Some(session_log), ..Overlays::default() });
    let mut reader = Reader::new(&of(&slapd));
    assert_eq!(reader.read().await.0, How::Full);
    let mut random = Random(seed);
    let mut done = Vec::new();
    let mut ways = [0; 3];
    for n in 0..length {
        let there = There::look(&slapd);
        if let Some((name, ldif)) = operation(&mut random, &there, n) {
            slapd.modify(&ldif);
            done.push(name);
        }
        if random.below(12) == 0 {
            // slapd tells when it was started in whole seconds.
            std::thread::sleep(std::time::Duration::from_secs(1));
            slapd.restart();
            done.push("restart");
        }
        if random.below(3) == 0 {
            let (how, _) = reader.read().await;
            ways[how as usize] += 1;
            done.push("READ");
            if random.below(3) == 0 {
                reader.expect(&reader.truth().await, &format!("seed {seed}, log {session_log}: {done:?}"));
            }
        }
    }
    let (how, _) = reader.read().await;
    ways[how as usize] += 1;
    reader.expect(&reader.truth().await, &format!("seed {seed}, log {session_log}: {done:?}"));
    assert_eq!(reader.read().await, (How::Changes, 0), "nothing changed since");
    ways
}

#[tokio::test(flavor = "multi_thread")]
async fn any_operations_in_any_slicing_give_what_a_full_read_gives() {
    let mut ways = [0; 3];
    for (seed, session_log) in [(1, 1000), (2, 1000), (3, 8), (4, 8), (5, 1), (6, 1000)] {
        let more = sequence(seed, session_log, 45).await;
        ways.iter_mut().zip(more).for_each(|(n, more)| *n += more);
    }
    println!("by changes, by names, in full: {ways:?}");
    assert!(ways.iter().all(|n| *n > 2), "each way was taken: {ways:?}");
    assert!(ways[How::Changes as usize] > ways[How::Full as usize], "{ways:?}");
}
