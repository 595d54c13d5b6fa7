//! Whole cycles with the real binary: slapd with syncrepl into the sandbox.

use crate::support::directory::{BASE, Directory, GroupKind, Member};
use crate::support::door::{Door, To};
use crate::support::slapd::{Overlays, Slapd};
use crate::support::truth::{Snapshot, Truth};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::Value;
use std::fmt::Write as _;

const SYNC: &str = "[sync.guard]\ndeactivate = \"unlimited\"\nrename = \"unlimited\"\nmembers_remove_per_group = \"unlimited\"\n\
                    group_delete = \"unlimited\"\nsource_shrink = \"unlimited\"\n";

struct Bench {
    directory: Directory,
    slapd: Slapd,
    sandbox: SandboxProcess,
    world: World,
    /// What the target should hold.
    truth: Truth,
}

impl Bench {
    /// The first cycle is done.
    fn start(seed: u64, people: usize, groups: usize, overlays: Overlays) -> Self {
        let mut directory = Directory::generate(seed, people, groups, people * 3);
        for p in &mut directory.people {
            p.mail = Some(format!("{}@example.org", p.uid));
        }
        // Old entries: what was changed within minutes before a read is looked at again.
        let ldif = directory.to_ldif().replace("\nentryUUID:", "\nmodifyTimestamp: 20200101000000Z\nentryUUID:");
        let slapd = Slapd::start_with(&ldif, overlays);
        let sandbox = SandboxProcess::start(&[]);
        let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
        world.configure_slapd(&slapd, &sandbox, SYNC);
        let truth = Snapshot::take(&slapd).expected(true);
        let bench = Self { directory, slapd, sandbox, world, truth };
        let cycle = bench.world.run(&["sync", "--json"]).expect(0).cycle();
        assert_eq!(cycle["read"], "full");
        bench.truth.expect(&bench.held());
        bench
    }

    fn held(&self) -> Truth {
        let reader = ScimReader::new(&self.sandbox.base_url, &self.sandbox.token);
        Truth::held(&reader.users(), &reader.groups())
    }

    /// A cycle, after which the target holds what the directory says.
    #[track_caller]
    fn cycle(&mut self, read: &str) -> Value {
        let cycle = self.world.run(&["sync", "--json"]).expect(0).cycle();
        assert_eq!(cycle["read"], read, "{cycle}");
        self.truth = Snapshot::take(&self.slapd).expected(true).with_leavers_of(&self.truth);
        self.truth.expect(&self.held());
        cycle
    }

    /// A cycle that sends nothing.
    #[track_caller]
    fn quiet(&self, read: &str) {
        self.sandbox.reset_counters();
        let run = self.world.run(&["sync", "--json"]).expect(0);
        let cycle = run.cycle();
        assert_eq!((&cycle["read"], changes(&cycle)), (&Value::from(read), expected(&[])), "{cycle}\n{}", run.stderr);
        assert_eq!(self.sandbox.requests(), 0);
    }

    /// Not even a full read finds anything to do: what was read bit by bit is what is there.
    #[track_caller]
    fn reconciled(&self) {
        self.sandbox.reset_counters();
        let cycle = self.world.run(&["sync", "--full", "--json"]).expect(0).cycle();
        assert_eq!((&cycle["read"], changes(&cycle)), (&Value::from("full"), expected(&[])), "{cycle}");
        assert_eq!(self.sandbox.requests(), 0);
    }

    /// DNs of active people that are named by uid, so that renaming changes the uid alone.
    fn plain(&self) -> Vec<&str> {
        let people = self.directory.people.iter().filter(|p| !p.locked && p.mail.is_some() && p.dn.starts_with("uid="));
        people.map(|p| p.dn.as_str()).collect()
    }

    fn tamper(&self, with: impl Fn(&str) -> String) {
        let c = rusqlite::Connection::open(self.world.path("state.db")).unwrap();
        let cursor: String = c.query_row("SELECT cursor FROM sync", [], |r| r.get(0)).unwrap();
        assert_eq!(c.execute("UPDATE sync SET cursor = ?1", [with(&cursor)]).unwrap(), 1);
    }
}

fn syncing(session_log: u32) -> Overlays {
    Overlays { session_log: Some(session_log), ..Overlays::default() }
}

/// Sixty changes: 20 titles, 10 leave, 10 join, 10 are renamed, 10 groups get another member.
fn sixty(bench: &Bench) -> String {
    let plain = bench.plain();
    let mut ldif = String::new();
    for (i, dn) in plain.iter().take(40).enumerate() {
        let change = match i % 4 {
            0 | 1 => format!("changetype: modify\nreplace: displayName\ndisplayName: Changed {i}\n"),
            2 => "changetype: delete\n".to_owned(),
            _ => format!("changetype: modrdn\nnewrdn: uid=renamed{i}\ndeleteoldrdn: 1\n"),
        };
        write!(ldif, "dn: {dn}\n{change}\n").unwrap();
        if i % 4 == 3 {
            ldif += &references(&bench.directory, dn, &format!("renamed{i}"));
        }
    }
    for i in 0..10 {
        write!(
            ldif,
            "dn: uid=new{i},ou=people,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: new{i}\ncn: New {i}\nsn: {i}\n\
             mail: new{i}@example.org\n\n"
        )
        .unwrap();
    }
    let groups = bench.directory.groups.iter().filter(|g| g.kind == GroupKind::Names && g.dn.is_ascii());
    for (i, group) in groups.take(10).enumerate() {
        write!(ldif, "dn: {}\nchangetype: modify\nadd: member\nmember: uid=new{i},ou=people,{BASE}\n\n", group.dn).unwrap();
    }
    ldif
}

/// What an administrator does to the groups of whoever is renamed.
fn references(directory: &Directory, dn: &str, new: &str) -> String {
    let place = directory.people.iter().position(|p| p.dn == dn).unwrap();
    let uid = &directory.people[place].uid;
    let mut ldif = String::new();
    for group in directory.groups.iter().filter(|g| g.members.contains(&Member::Person(place))) {
        let (attribute, old, new) = match group.kind {
            GroupKind::Names => ("member", dn.to_owned(), format!("uid={new},ou=people,{BASE}")),
            GroupKind::UniqueNames => ("uniqueMember", dn.to_owned(), format!("uid={new},ou=people,{BASE}")),
            GroupKind::Posix => ("memberUid", uid.clone(), new.to_owned()),
        };
        writeln!(
            ldif,
            "{}changetype: modify\nadd: {attribute}\n{attribute}: {new}\n-\ndelete: {attribute}\n{attribute}: {old}\n",
            coded(&group.dn)
        )
        .unwrap();
    }
    ldif
}

fn coded(dn: &str) -> String {
    use base64::Engine as _;
    format!("dn:: {}\n", base64::engine::general_purpose::STANDARD.encode(dn))
}

#[test]
fn sixty_changes_are_exactly_those_writes() {
    let mut bench = Bench::start(31, 400, 40, syncing(1000));
    bench.quiet("incremental");
    bench.slapd.modify(&sixty(&bench));
    let cycle = bench.cycle("incremental");
    let counts = changes(&cycle);
    let of = |kind: &str| counts.get(kind).copied().unwrap_or(0);
    assert_eq!((of("create"), of("update"), of("deactivate"), of("rename")), (10, 20, 10, 0), "{counts:?}");
    assert!(of("members_add") >= 10 && of("members_remove") > 0, "{counts:?}");
    assert!(["delete", "group_create", "group_delete", "adopt"].iter().all(|k| of(k) == 0), "{counts:?}");
    bench.quiet("incremental");
}

#[test]
fn a_restarted_server_names_who_is_still_there() {
    let mut bench = Bench::start(37, 300, 20, syncing(1000));
    bench.slapd.restart_in_peace();
    bench.quiet("incremental");
    bench.slapd.modify(&sixty(&bench));
    bench.slapd.restart_in_peace();
    let cycle = bench.cycle("incremental");
    assert_eq!(changes(&cycle)["deactivate"], 10);
    bench.quiet("incremental");
}

#[test]
fn a_server_that_crashed_does_not_hide_who_left() {
    let mut bench = Bench::start(39, 300, 20, syncing(1000));
    // What slapd knew of the deletion is lost with it: contextCSN is what it was before, or older.
    bench.slapd.modify(&format!("dn: {}\nchangetype: delete\n", bench.plain()[0]));
    bench.slapd.restart();
    let cycle = bench.world.run(&["sync", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle)["deactivate"], 1, "{cycle}");
    bench.slapd.modify(&sixty(&bench).replacen(
        &format!("dn: {}\nchangetype: modify", bench.plain()[0]),
        &format!("dn: {}\nchangetype: modify", bench.plain()[50]),
        1,
    ));
    bench.slapd.restart();
    let cycle = bench.world.run(&["sync", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle)["deactivate"], 10, "{cycle}");
    bench.reconciled();
}

#[test]
fn a_log_that_is_too_short_removes_nobody_who_is_there() {
    let mut bench = Bench::start(41, 300, 20, syncing(5));
    bench.slapd.modify(&sixty(&bench));
    let cycle = bench.cycle("incremental");
    assert_eq!(changes(&cycle)["deactivate"], 10);
    bench.quiet("incremental");
}

#[test]
fn a_cursor_that_cannot_be_used_means_a_full_read() {
    let mut bench = Bench::start(43, 300, 20, syncing(1000));
    let leave = |bench: &Bench, n: usize| bench.slapd.modify(&format!("dn: {}\nchangetype: delete\n", bench.plain()[n]));
    // Who left is noticed each time: what slapd takes for no cookie at all would name nobody as gone.
    leave(&bench, 0);
    bench.tamper(|_| "garbage".to_owned());
    bench.cycle("full");
    leave(&bench, 1);
    bench.tamper(|c| c.replace("\"csn\":[\"", "\"csn\":[\"x"));
    bench.cycle("full");
    leave(&bench, 2);
    bench.tamper(|c| c.replace("\"csn\":[\"20", "\"csn\":[\"29"));
    bench.cycle("full");
    leave(&bench, 3);
    bench.tamper(|c| c.replace("#000#", "#001#"));
    bench.cycle("full");
    leave(&bench, 4);
    bench.tamper(|c| c.replace("\"database\":\"", "\"database\":\"0"));
    bench.cycle("full");
    leave(&bench, 5);
    bench.cycle("incremental");
    bench.reconciled();
    bench.quiet("incremental");
}

#[test]
fn a_cursor_is_not_taken_to_another_server() {
    let mut bench = Bench::start(49, 300, 20, syncing(1000));
    let doors = [0, 1].map(|_| Door::open(To::Port(bench.slapd.port), None));
    let file = bench.world.path("config.toml");
    let url = format!("url = \"{}\"", bench.slapd.ldap_url);
    let both = format!("url = [\"{}\", \"{}\"]", doors[0].url, doors[1].url);
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(before.contains(&url));
    std::fs::write(&file, before.replace(&url, &both)).unwrap();
    bench.quiet("full");
    bench.quiet("incremental");
    doors[0].shut();
    bench.slapd.modify(&format!("dn: {}\nchangetype: delete\n", bench.plain()[0]));
    let cycle = bench.cycle("full");
    assert_eq!(changes(&cycle)["deactivate"], 1);
    bench.quiet("incremental");
}

/// A lockout passes; who wants it to deactivate says so, and everything is read then.
#[test]
fn a_lockout_deactivates_where_that_is_asked_for() {
    let bench = Bench::start(51, 60, 4, syncing(1000));
    let who = bench.plain()[0].to_owned();
    let lock = |change: &str| bench.slapd.modify(&format!("dn: {who}\nchangetype: modify\n{change}\n"));
    let cycle = || {
        let cycle = bench.world.run(&["sync", "--json"]).expect(0).cycle();
        (cycle["read"].as_str().unwrap().to_owned(), changes(&cycle))
    };
    lock("replace: pwdAccountLockedTime\npwdAccountLockedTime: 20240101000000Z");
    assert_eq!(cycle(), ("incremental".to_owned(), expected(&[])));
    let file = bench.world.path("config.toml");
    let base = format!("base = \"{BASE}\"");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, before.replace(&base, &format!("{base}\nalso_inactive = [\"locked\"]"))).unwrap();
    assert_eq!(cycle(), ("full".to_owned(), expected(&[("deactivate", 1)])));
    assert_eq!(cycle(), ("full".to_owned(), expected(&[])), "nobody says when a lockout ends");
    lock("delete: pwdAccountLockedTime");
    assert_eq!(cycle(), ("full".to_owned(), expected(&[("reactivate", 1)])));
    std::fs::write(&file, before).unwrap();
    assert_eq!(cycle().0, "full", "there is no cursor");
    assert_eq!(cycle(), ("incremental".to_owned(), expected(&[])));
}

#[test]
fn a_cursor_is_not_taken_to_another_filter_or_account() {
    let mut bench = Bench::start(47, 300, 20, syncing(1000));
    bench.quiet("incremental");
    let file = bench.world.path("config.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let base = format!("base = \"{BASE}\"");
    std::fs::write(
        &file,
        before.replace(&base, &format!("{base}\nuser_filter = \"(&(objectClass=inetOrgPerson)(!(title=none)))\"")),
    )
    .unwrap();
    bench.quiet("full");
    bench.quiet("incremental");
    std::fs::write(&file, before.replace("cn=sync,", "cn=root,").replace("bind-password", "root-password")).unwrap();
    bench.world.write_secret("root-password", "root-secret");
    bench.quiet("full");
    bench.cycle("incremental");
}

#[test]
fn references_that_the_server_changes_unseen_take_nobody_out_of_a_group() {
    for overlays in [Overlays { refint: true, ..syncing(1000) }, Overlays { memberof: true, ..syncing(1000) }, syncing(1000)] {
        let follows = overlays.refint || overlays.memberof;
        let mut bench = Bench::start(53, 300, 20, overlays);
        let team = bench.directory.groups.iter().find(|g| g.kind == GroupKind::Names && g.dn.is_ascii()).unwrap();
        let of_team: Vec<String> = team
            .members
            .iter()
            .filter_map(|m| match m {
                Member::Person(i) => {
                    Some(&bench.directory.people[*i]).filter(|p| !p.locked && p.mail.is_some() && p.dn.starts_with("uid="))
                }
                Member::Group(_) => None,
            })
            .map(|p| p.dn.clone())
            .collect();
        let id = team.uuid.clone();
        let size = |held: &Truth| held.teams[&id].members.len();
        let before = size(&bench.held());
        // memberof does nothing about memberships that were loaded and not made.
        for dn in &of_team[..2] {
            for change in ["delete", "add"] {
                bench.slapd.modify(&format!("dn: {}\nchangetype: modify\n{change}: member\nmember: {dn}\n", team.dn));
            }
        }
        bench.quiet("incremental");
        // One leaves, one is renamed: the group's references change, its time and its entryCSN do not.
        bench.slapd.modify(&format!(
            "dn: {}\nchangetype: delete\n\ndn: {}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n",
            of_team[0], of_team[1]
        ));
        // The refint overlay takes its time.
        let filter = format!("(&(cn={})(|(member={})(member={})))", team.cn, of_team[0], of_team[1]);
        let left_behind = || !bench.slapd.search(&filter).is_empty();
        let patience = std::time::Instant::now();
        while follows && left_behind() {
            assert!(patience.elapsed().as_secs() < 20, "{overlays:?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(left_behind(), !follows);
        let cycle = bench.world.run(&["sync", "--json"]).expect(0).cycle();
        assert_eq!(cycle["read"], "incremental");
        assert_eq!(changes(&cycle)["deactivate"], 1);
        let held = bench.held();
        assert_eq!(size(&held), before - 1, "{overlays:?}: who left is out of the group, who was renamed is in it");
        // The server forgets what changed and names who is there: still nobody goes.
        bench.slapd.restart();
        bench.slapd.modify(&format!("dn: {}\nchangetype: modify\nreplace: title\ntitle: x\n", of_team[2]));
        let cycle = bench.world.run(&["sync", "--json"]).expect(0).cycle();
        assert_eq!((&cycle["read"], changes(&cycle).get("members_remove")), (&Value::from("incremental"), None), "{cycle}");
        // A full read is the truth: where the server left a reference behind, the one renamed is no member any more.
        let cycle = bench.world.run(&["sync", "--full", "--json"]).expect(0).cycle();
        assert_eq!(cycle["read"], "full");
        assert_eq!(size(&bench.held()), before - if follows { 1 } else { 2 }, "{overlays:?}: {cycle}");
        let truth = Snapshot::take(&bench.slapd).expected(true).with_leavers_of(&bench.truth);
        truth.expect(&bench.held());
    }
}

#[test]
fn people_below_a_unit_that_is_renamed_stay_in_their_groups() {
    let mut bench = Bench::start(59, 200, 10, Overlays { refint: true, ..syncing(1000) });
    bench.slapd.modify(&format!("dn: ou=people,{BASE}\nchangetype: modrdn\nnewrdn: ou=staff\ndeleteoldrdn: 1\n"));
    let cycle = bench.cycle("full");
    println!("{}", cycle["counts"]);
    bench.quiet("incremental");
}

#[test]
fn a_server_without_syncrepl_is_read_in_full_unless_times_are_asked_for() {
    let mut bench = Bench::start(61, 200, 10, Overlays::default());
    bench.quiet("full");
    let file = bench.world.path("config.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let base = format!("base = \"{BASE}\"");
    std::fs::write(&file, config.replace(&base, &format!("{base}\nincremental = \"modify-timestamp\""))).unwrap();
    bench.quiet("full");
    bench.quiet("incremental");
    bench.slapd.modify(&sixty(&bench));
    let cycle = bench.cycle("incremental");
    assert_eq!(changes(&cycle)["deactivate"], 10, "who is not named any more is gone");
    bench.slapd.modify(&format!("dn: ou=empty,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: empty\n"));
    bench.quiet("full");
    bench.quiet("incremental");
}
