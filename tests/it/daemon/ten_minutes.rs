//! The service between a real directory and a real application, on a real clock: slapd, scim2-server, a schedule of every
//! minute.

use crate::support::directory::{BASE, Directory, Member};
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::service::{Service, results};
use crate::support::slapd::Slapd;
use crate::support::world::{ScimReader, World};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// From one change to the next.
const APART: Duration = Duration::from_secs(60);
/// The schedule's minute and a minute.
const WITHIN: Duration = Duration::from_secs(120);

/// A change of the directory, and how the application shows that it arrived.
struct Change {
    what: &'static str,
    ldif: String,
    arrived: Box<dyn Fn(&ScimReader) -> bool>,
}

/// Ten minutes of changes: each arrives within the schedule and a minute. Then ten thousand join and one leaves, all at once:
/// who leaves is out before the five hundredth is in.
#[test]
fn scale_every_change_arrives_within_its_minute() {
    if crate::support::measure::too_slow() {
        return;
    }
    let Some(server) = ScimServer::scim2() else { return };
    let mut directory = Directory::generate(11, 80, 3, 30);
    for p in &mut directory.people {
        p.mail = Some(format!("{}@example.org", p.uid));
        p.locked = false;
    }
    let slapd = Slapd::start(&directory.to_ldif());
    let w = World::new(server.url.as_str(), TOKEN, "", "");
    w.configure(&w.slapd_source(&slapd), server.url.as_str(), TOKEN, "schedule = \"* * * * *\"", "");
    w.run(&["sync"]).expect(0);
    let target = ScimReader::new(server.url.as_str(), TOKEN);
    assert_eq!(target.users().len(), 80);
    let mut service = Service::start(&w);
    let began = Instant::now();
    for (n, change) in (0..).zip(changes(&directory)) {
        // At another second of the minute each time.
        std::thread::sleep((APART * n + Duration::from_secs(u64::from(n) * 7 % 50)).saturating_sub(began.elapsed()));
        slapd.modify(&change.ldif);
        let changed = Instant::now();
        while !(change.arrived)(&target) {
            assert!(changed.elapsed() < WITHIN, "{}: not within schedule and a minute\n{}", change.what, service.log());
            std::thread::sleep(Duration::from_millis(500));
        }
        println!("{}: after {:.0?}", change.what, changed.elapsed());
    }
    assert!(began.elapsed() >= APART * 9);
    assert!(results(&w, "s").iter().all(|r| r == "ok"), "{:?}", results(&w, "s"));

    // All at once: the service does not see the half of it.
    service.signal("STOP");
    let mut ldif = format!("dn: {}\nchangetype: delete\n", directory.people[79].dn);
    for i in 0..10_000 {
        write!(
            ldif,
            "\ndn: uid=j{i:05},ou=people,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: j{i:05}\ncn: Joiner {i}\nsn: Joiner\nmail: j{i:05}@example.org\n"
        )
        .unwrap();
    }
    slapd.modify(&ldif);
    service.signal("CONT");
    let leaver = directory.people[79].mail.clone().unwrap();
    let asked = Instant::now();
    let out = loop {
        let user = target.user(&leaver).expect("it was linked");
        if user["active"] == false {
            break user;
        }
        assert!(asked.elapsed() < WITHIN, "{leaver} is active still\n{}", service.log());
        std::thread::sleep(Duration::from_millis(200));
    };
    // Some joiners come before the count, at the least as long as it takes to stop.
    while target.users().len() < 600 {
        assert!(asked.elapsed() < WITHIN + WITHIN, "nobody joins\n{}", service.log());
        std::thread::sleep(Duration::from_millis(500));
    }
    service.stop("TERM");
    let time = |user: &serde_json::Value, of: &str| user["meta"][of].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let left = time(&out, "lastModified");
    let joined = target
        .users()
        .iter()
        .filter(|u| u["userName"].as_str().unwrap().starts_with('j'))
        .map(|u| time(u, "created"))
        .filter(|at| *at <= left)
        .count();
    assert!(joined < 500, "{joined} joined before {leaver} was out");
}

fn changes(directory: &Directory) -> Vec<Change> {
    let person = |n: usize| directory.people[n].clone();
    let modify = |dn: &str, what: &str| format!("dn: {dn}\nchangetype: modify\n{what}\n");
    let mail = |n: usize| person(n).mail.unwrap();
    let group = &directory.groups[0];
    let (team, dn) = (group.cn.clone(), group.dn.clone());
    // In no other group, so that he is out of this one when he leaves it.
    let alone = |i: &usize| directory.groups.iter().filter(|g| g.members.contains(&Member::Person(*i))).count() == 1;
    let people = group.members.iter().filter_map(|m| if let Member::Person(i) = m { Some(*i) } else { None });
    let member = people.into_iter().find(alone).unwrap();
    let outsider = (2..79).find(|i| directory.groups.iter().all(|g| !g.members.contains(&Member::Person(*i)))).unwrap();
    let of = |what, ldif, arrived: Box<dyn Fn(&ScimReader) -> bool>| Change { what, ldif, arrived };
    let in_team = |who: String, there: bool| -> Box<dyn Fn(&ScimReader) -> bool> {
        let team = team.clone();
        Box::new(move |t| t.memberships()[&team].contains(&who) == there)
    };
    vec![
        of("a surname", modify(&person(0).dn, "replace: sn\nsn: Renamed"), {
            let who = mail(0);
            Box::new(move |t| t.user(&who).unwrap()["name"]["familyName"] == "Renamed")
        }),
        of("a mail address", modify(&person(1).dn, "replace: mail\nmail: other@example.org"), {
            let before = mail(1);
            Box::new(move |t| t.user("other@example.org").is_some() && t.user(&before).is_none())
        }),
        of(
            "a joiner",
            format!(
                "dn: uid=late,ou=people,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: late\ncn: Late\nsn: Late\nmail: late@example.org\n"
            ),
            Box::new(|t| t.user("late@example.org").is_some_and(|u| u["active"] == true)),
        ),
        of("a leaver", format!("dn: {}\nchangetype: delete\n", person(outsider).dn), {
            let who = mail(outsider);
            Box::new(move |t| t.user(&who).unwrap()["active"] == false)
        }),
        of(
            "a member",
            modify(&dn, &format!("add: member\nmember: uid=late,ou=people,{BASE}")),
            in_team("late@example.org".to_owned(), true),
        ),
        of("a member less", modify(&dn, &format!("delete: member\nmember: {}", person(member).dn)), in_team(mail(member), false)),
        of(
            "a group",
            format!(
                "dn: cn=Fresh,ou=groups,{BASE}\nchangetype: add\nobjectClass: groupOfNames\ncn: Fresh\nmember: uid=late,ou=people,{BASE}\n"
            ),
            Box::new(|t| t.memberships().get("Fresh").is_some_and(|m| m == &["late@example.org"])),
        ),
        of(
            "a group's name",
            format!("dn: cn=Fresh,ou=groups,{BASE}\nchangetype: modrdn\nnewrdn: cn=Fresher\ndeleteoldrdn: 1\n"),
            Box::new(|t| {
                let groups = t.memberships();
                groups.contains_key("Fresher") && !groups.contains_key("Fresh")
            }),
        ),
        of(
            "a place in the tree, and a title",
            format!(
                "dn: uid=late,ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid=later\ndeleteoldrdn: 1\n\n\
                 dn: uid=later,ou=people,{BASE}\nchangetype: modify\nreplace: givenName\ngivenName: Later\n"
            ),
            Box::new(|t| t.user("late@example.org").unwrap()["name"]["givenName"] == "Later"),
        ),
        of(
            "a group less",
            format!("dn: cn=Fresher,ou=groups,{BASE}\nchangetype: delete\n"),
            Box::new(|t| !t.memberships().contains_key("Fresher")),
        ),
    ]
}
