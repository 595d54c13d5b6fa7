//! &Money: advisors and rooms.

use super::{Known, parked, says};
use crate::support::admin::Admin;
use crate::support::world::{SandboxProcess, ScimReader, World, changes};
use serde_json::json;

/// Both syncs from one directory; every tenth entry is a room, whose sign-in is disabled.
struct Both {
    known: Known,
    rooms: SandboxProcess,
}

const PEOPLE: &str = "[sync.scope]\nusers = 'not (title eq \"Room\")'";
const ROOMS: &str = "[sync.scope]\nusers = 'title eq \"Room\"'";

impl Both {
    fn start(advisors: &str, rooms: &str) -> Self {
        let mut directory = Known::directory();
        for (i, p) in directory.people.iter_mut().enumerate() {
            p.title = if i % 10 == 0 { "Room".to_owned() } else { "Advisor".to_owned() };
            p.locked = i % 10 == 0 || i == 7;
        }
        let both = Self {
            known: Known::with(directory, "andmoney-advisors", &[], advisors),
            rooms: SandboxProcess::start(&["--preset", "andmoney-rooms"]),
        };
        both.configure(advisors, rooms);
        both
    }

    fn configure(&self, advisors: &str, rooms: &str) {
        self.known.configure("andmoney-advisors", advisors);
        let path = self.known.world.path("config.toml");
        self.known.world.write_secret("rooms-token", &self.rooms.token);
        let more = format!(
            "[target.rooms]\npreset = \"andmoney-rooms\"\nurl = \"{}\"\ntoken = {{ file = \"rooms-token\" }}\n\
             [[sync]]\nname = \"rooms\"\nsource = \"dir\"\ntarget = \"rooms\"\n{rooms}\n",
            self.rooms.base_url
        );
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, config + &more).unwrap();
    }

    fn at_rooms(&self) -> ScimReader {
        ScimReader::new(&self.rooms.base_url, &self.rooms.token)
    }
}

#[test]
fn people_and_rooms_each_go_to_their_own() {
    let both = Both::start(PEOPLE, ROOMS);
    for i in [1, 10] {
        both.known.modify(i, "physicalDeliveryOfficeName", Some("Aarhus"));
    }
    let cycles = both.known.sync().expect(0).json();
    assert_eq!(changes(&cycles["cycles"][0]), [("create".to_owned(), 179)].into(), "the disabled advisor is not made");
    assert_eq!(changes(&cycles["cycles"][1]), [("create".to_owned(), 20)].into(), "rooms live with sign-in disabled");

    let person = &both.known.directory.people[1];
    let advisor = both.known.target.user(&both.known.mail(1)).unwrap();
    assert_eq!(advisor["name"], json!({"givenName": person.given_name, "familyName": person.surname}));
    assert_eq!(advisor["addresses"][0]["formatted"], "Aarhus");
    assert_eq!(advisor["externalId"], json!(person.uuid));
    let room = both.at_rooms().user(&both.known.mail(10)).unwrap();
    assert_eq!((&room["active"], room.get("name")), (&json!(true), None));
    assert_eq!(room["addresses"][0]["type"], "work");
    assert!(both.known.target.user(&both.known.mail(10)).is_none() && both.at_rooms().user(&both.known.mail(1)).is_none());
    assert!(cycles.to_string().contains("\"group_create\":0"), "there are no groups");

    // A leaver.
    both.known.modify(1, "pwdAccountLockedTime", Some("000001010000Z"));
    let cycles = both.known.sync().expect(0).json();
    assert_eq!(changes(&cycles["cycles"][0]), [("deactivate".to_owned(), 1)].into());
    assert_eq!(both.known.target.user(&both.known.mail(1)).unwrap()["active"], false);
}

#[test]
fn the_same_entry_never_goes_to_both() {
    // Both scopes hold everybody who is a person; rooms are not alive for the advisors' sync.
    let both = Both::start("", "");
    let run = both.known.sync().expect(7).json();
    let (advisors, rooms) = (&run["cycles"][0], &run["cycles"][1]);
    assert!(changes(advisors).is_empty(), "in the scope of both: none is picked");
    let p = parked(advisors, &both.known.mail(1));
    says(&p["reason"], &["is in the scope of &Money rooms (sync rooms) too", "never goes to both"]);
    says(&p["advice"], &["scope.users"]);
    assert_eq!(changes(rooms)["create"], 21, "the twenty rooms, and one whose sign-in is disabled");

    // Linked in one: it stays there, whatever the other's scope says.
    both.configure(PEOPLE, ROOMS);
    both.known.sync().expect(0);
    both.configure(PEOPLE, "[sync.scope]\nusers = 'title pr'");
    let run = both.known.sync().json();
    let rooms = &run["cycles"][1];
    says(&parked(rooms, &both.known.mail(1))["reason"], &["has an account at &Money advisors (sync s)", "never goes to both"]);
    let (here, there) = (both.known.target.users_by_name(), both.at_rooms().users_by_name());
    let twice: Vec<_> = here.keys().filter(|n| there.get(*n).is_some_and(|u| u["active"] == true)).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// Advisors and rooms by two groups of one directory file; people 1 and 3 are in both.
fn by_groups() -> (SandboxProcess, SandboxProcess, World) {
    let (advisors, rooms) =
        (SandboxProcess::start(&["--preset", "andmoney-advisors"]), SandboxProcess::start(&["--preset", "andmoney-rooms"]));
    let mut w = World::new(
        &advisors.base_url,
        &advisors.token,
        "[sync.scope]\nmembers_of = [\"Group adv\"]",
        "preset = \"andmoney-advisors\"",
    );
    w.write_secret("rooms-token", &rooms.token);
    let more = format!(
        "[target.rooms]\npreset = \"andmoney-rooms\"\nurl = \"{}\"\ntoken = {{ file = \"rooms-token\" }}\n\
         [[sync]]\nname = \"rooms\"\nsource = \"dir\"\ntarget = \"rooms\"\n[sync.scope]\nmembers_of = [\"Group rooms\"]\n",
        rooms.base_url
    );
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config + &more).unwrap();
    w.populate(6);
    w.group("adv", &["p00000", "p00001", "p00003", "p00004"]);
    w.group("rooms", &["p00001", "p00002", "p00003"]);
    (advisors, rooms, w)
}

/// In a first run too, where neither sync can know the other's people from a cycle before.
#[test]
fn one_account_per_person_who_is_in_both_scopes_waits_in_both_from_the_first_run() {
    let (advisors, rooms, w) = by_groups();
    let plans = w.plan().expect(7).json();
    for (plan, made) in plans["plans"].as_array().unwrap().iter().zip([2, 1]) {
        assert_eq!(changes(plan), [("create".to_owned(), made)].into(), "{plan}");
        says(&parked(plan, "p00001@corp.example")["reason"], &["is in the scope of &Money", "none is picked"]);
    }
    let run = w.sync().expect(7).json();
    for (cycle, made) in run["cycles"].as_array().unwrap().iter().zip([2, 1]) {
        assert_eq!(changes(cycle), [("create".to_owned(), made)].into(), "{cycle}");
    }
    let at = |s: &SandboxProcess| ScimReader::new(&s.base_url, &s.token).users_by_name().into_keys().collect::<Vec<_>>();
    let mail = |i: usize| format!("p{i:05}@corp.example");
    assert_eq!((at(&advisors), at(&rooms)), (vec![mail(0), mail(4)], vec![mail(2)]));
}

#[test]
fn one_account_per_person_a_migration_gives_none_to_whoever_both_claim() {
    let (advisors, _rooms, mut w) = by_groups();
    let admin = Admin::of(&advisors);
    for (i, account) in [(3, "old3"), (4, "old4")] {
        w.set(&format!("p{i:05}"), "sAMAccountName", account);
    }
    let names = ["p00000@corp.example", "p00001@corp.example", "old3", "old4"];
    let ids = names.map(|name| admin.create(&json!({"userName": name, "active": true})));
    w.save();
    for args in [&["--migrate-userids", "s", "--json", "--dry-run"], &["--migrate-userids", "s", "--json", "--yes"]] {
        let found = w.run(args).expect(0).json()["migrations"][0].clone();
        let of = |id: &str| found["accounts"].as_array().unwrap().iter().find(|a| a["target_id"] == *id).unwrap().clone();
        let classes: Vec<_> = ids.iter().map(|id| of(id)["class"].as_str().unwrap().to_owned()).collect();
        assert_eq!(classes, ["already", "already", "no_match", "convert"], "{found}");
        says(&of(&ids[1])["why"], &["not adopted", "is in the scope of &Money rooms (sync rooms) too", "none is picked"]);
        says(&of(&ids[2])["why"], &["is in the scope of &Money rooms (sync rooms) too", "scope.users"]);
    }
    let external = |id: &str| admin.get(id)["externalId"].clone();
    assert_eq!((external(&ids[0]), external(&ids[1])), (json!("p00000"), json!(null)));
    assert_eq!(
        (&admin.get(&ids[2])["userName"], &admin.get(&ids[3])["userName"]),
        (&json!("old3"), &json!("p00004@corp.example"))
    );
    let linked = w.run(&["link", "list", "s", "--json"]).expect(0).stdout;
    assert!(!linked.contains(&ids[1]) && !linked.contains(&ids[2]) && linked.contains(&ids[3]), "{linked}");
}
