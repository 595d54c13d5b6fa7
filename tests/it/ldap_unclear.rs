//! LDAP answers that are complete by the protocol and leave a doubt: people who show no id, names and members that are no
//! text, one domain of several that shows nobody. Whole cycles by the real binary.

use crate::support::fake_ldap::{Asked, entry, result, start};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Nothing but the doubt itself holds anything.
const NO_LIMITS: &str =
    "[sync.guard]\ndeactivate = \"unlimited\"\nmembers_remove_per_group = \"unlimited\"\nsource_shrink = \"unlimited\"\n";

#[derive(Clone)]
struct Person {
    dn: Vec<u8>,
    id: Option<String>,
    name: String,
    given: String,
}

/// What the server shows.
#[derive(Clone, Default)]
struct Shown {
    people: Vec<Person>,
    /// Names of the members of its only group.
    members: Vec<Vec<u8>>,
}

fn dn(name: &str) -> Vec<u8> {
    format!("uid={name},dc=x").into_bytes()
}

fn person(name: &str) -> Person {
    Person { dn: dn(name), id: Some(format!("id-{name}")), name: name.to_owned(), given: "Given".to_owned() }
}

fn answers(asked: &Asked, shown: &Shown) -> Vec<Vec<u8>> {
    let text = |values: &[&str]| values.iter().map(|v| v.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut out = match asked.base.as_str() {
        "" => vec![entry(b"", &[("supportedControl", text(&["1.2.840.113556.1.4.319"]))])],
        _ if asked.has("groupOfNames") && shown.members.is_empty() => vec![],
        _ if asked.has("groupOfNames") => {
            vec![entry(b"cn=g,dc=x", &[("entryUUID", text(&["id-g"])), ("cn", text(&["g"])), ("member", shown.members.clone())])]
        }
        _ => shown
            .people
            .iter()
            .map(|p| {
                let id: Vec<&str> = p.id.as_deref().into_iter().collect();
                let mail = format!("{}@corp.example", p.name);
                entry(
                    &p.dn,
                    &[("entryUUID", text(&id)), ("mail", text(&[&mail])), ("givenName", text(&[&p.given])), ("sn", text(&["S"]))],
                )
            })
            .collect(),
    };
    out.push(result(0x65, 0));
    out
}

struct Bench {
    shown: Arc<Mutex<Shown>>,
    world: World,
    reader: ScimReader,
    _sandbox: SandboxProcess,
}

impl Bench {
    /// Twelve people, all of them in the group, and the first cycle is done.
    fn start() -> Self {
        let names: Vec<String> = (0..12).map(|i| format!("u{i}")).collect();
        let people = names.iter().map(|n| person(n)).collect();
        let shown = Arc::new(Mutex::new(Shown { people, members: names.iter().map(|n| dn(n)).collect() }));
        let server = shown.clone();
        let port = start(true, move |asked| answers(asked, &server.lock().unwrap()));
        let sandbox = SandboxProcess::start(&[]);
        let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
        let source = format!(
            "type = \"ldap\"\nurl = \"ldap://127.0.0.1:{port}\"\nbase = \"dc=x\"\nflavor = \"openldap\"\nincremental = \"off\""
        );
        world.configure(&source, &sandbox.base_url, &sandbox.token, NO_LIMITS, "");
        let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let bench = Self { shown, world, reader, _sandbox: sandbox };
        bench.sync(0);
        assert_eq!(bench.in_group(), 12);
        bench
    }

    fn show(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock().unwrap());
    }

    #[track_caller]
    fn sync(&self, code: i32) -> serde_json::Value {
        self.world.run(&["sync", "--full", "--json"]).expect(code).cycle()
    }

    fn in_group(&self) -> usize {
        self.reader.memberships()["g"].len()
    }

    fn active(&self) -> usize {
        self.reader.users().iter().filter(|u| u["active"] == true).count()
    }

    /// A cycle that writes nothing, and says so much.
    #[track_caller]
    fn says(&self, code: i32, what: &str) -> serde_json::Value {
        let cycle = self.sync(code);
        assert_eq!(changes(&cycle), expected(&[]), "{cycle}");
        let said = cycle["warnings"].as_array().unwrap().iter().chain(cycle["held"].as_array().unwrap());
        assert!(said.map(ToString::to_string).any(|w| w.contains(what)), "{cycle}");
        assert_eq!((self.active(), self.in_group()), (12, 12));
        cycle
    }
}

#[test]
fn absence_confirmed_only_of_whoever_is_not_there_without_an_id() {
    let bench = Bench::start();
    // An ACL hides three ids: their names tell who they are.
    bench.show(|s| s.people.iter_mut().take(3).for_each(|p| p.id = None));
    let cycle = bench.says(0, "uid=u0,dc=x: shows no stable id");
    assert_eq!((&cycle["result"], cycle["held"].as_array().unwrap().len()), (&"ok".into(), 0), "{cycle}");
    // One is renamed besides: nobody can say who that is, nor who is missing.
    bench.show(|s| s.people[0].dn = dn("other"));
    let cycle = bench.says(6, "no stable id");
    assert!(cycle["held"].as_array().unwrap().iter().any(|h| h["kind"] == "deactivate"), "{cycle}");
    bench.says(6, "no stable id");
    // The ids are back, and the group follows the name.
    bench.show(|s| {
        s.people.iter_mut().take(3).enumerate().for_each(|(i, p)| p.id = Some(format!("id-u{i}")));
        s.members[0] = dn("other");
    });
    assert_eq!(changes(&bench.sync(0)), expected(&[]));
    assert_eq!((bench.active(), bench.in_group()), (12, 12));

    // Somebody without an id who was there when nobody was missing is nobody whom we know: whoever leaves then has left.
    bench.show(|s| s.people.push(Person { id: None, ..person("shelf") }));
    assert_eq!(changes(&bench.sync(0)), expected(&[]));
    bench.show(|s| drop(s.people.remove(5)));
    assert_eq!(changes(&bench.sync(0))["deactivate"], 1);
    // And one more without an id, in the very read in which somebody is missing: held until somebody looks.
    bench.show(|s| {
        s.people.remove(5);
        s.people.push(Person { id: None, ..person("box") });
    });
    assert_eq!(changes(&bench.sync(6)), expected(&[]));
    bench.world.run(&["approve", "s", "--reason", "they left"]).expect(0);
    assert_eq!(changes(&bench.sync(0))["deactivate"], 1);
    bench.show(|s| drop(s.people.remove(5)));
    assert_eq!(changes(&bench.sync(0))["deactivate"], 1, "what was accepted is the measure");
}

#[test]
fn a_member_or_a_name_that_is_no_text_takes_nobody_out_of_a_group() {
    let bench = Bench::start();
    // The group stays as it was, and is named, in the report as well.
    bench.show(|s| s.members[3] = b"uid=\xff\xfe,dc=x".to_vec());
    let cycle = bench.says(0, "cn=g,dc=x: skipped in this cycle and left as it was");
    assert_eq!(cycle["result"], "ok");
    bench.show(|s| s.members[3] = dn("u3"));
    // A person stays in the groups; what else is said of them is taken.
    for bad in [&b"uid=\xff\xfe,dc=x"[..], b"this is no DN \\zz"] {
        bench.show(|s| s.people[3].dn = bad.to_vec());
        bench.says(0, "the name is not UTF-8, or no DN");
    }
    bench.show(|s| s.people[3].given = "Other".to_owned());
    assert_eq!(changes(&bench.sync(0)), expected(&[("update", 1)]));
    assert_eq!(bench.in_group(), 12);
    // Whoever leaves the group does leave it.
    bench.show(|s| drop(s.members.remove(3)));
    assert_eq!(changes(&bench.sync(0))["members_remove"], 1);
}

#[test]
fn a_domain_that_shows_nobody_is_not_believed() {
    let shown: Vec<Arc<Mutex<Shown>>> = ["a", "b"]
        .iter()
        .map(|domain| {
            let people = (0..if *domain == "a" { 60 } else { 3 }).map(|i| person(&format!("{domain}{i}"))).collect();
            Arc::new(Mutex::new(Shown { people, members: Vec::new() }))
        })
        .collect();
    let ports: Vec<u16> = shown
        .iter()
        .map(|shown| {
            let shown = shown.clone();
            start(true, move |asked| answers(asked, &shown.lock().unwrap()))
        })
        .collect();
    let sandbox = SandboxProcess::start(&[]);
    let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
    let domains: Vec<String> = ports
        .iter()
        .zip(["x", "y"])
        .map(|(port, dc)| format!("{{ url = \"ldap://127.0.0.1:{port}\", base = \"dc={dc}\" }}"))
        .collect();
    let source = format!("type = \"ldap\"\nflavor = \"openldap\"\nincremental = \"off\"\ndomains = [{}]", domains.join(", "));
    world.configure(&source, &sandbox.base_url, &sandbox.token, "", "");
    let sync = |code| world.run(&["sync", "--full", "--json"]).expect(code).cycle();
    assert_eq!(changes(&sync(0))["create"], 63);
    let all = std::mem::take(&mut shown[1].lock().unwrap().people);
    // However often it is asked; what is said of the others is taken.
    for _ in 0..2 {
        let cycle = sync(6);
        assert_eq!(changes(&cycle), expected(&[]), "{cycle}");
        assert!(cycle["held"][0]["reason"].as_str().unwrap().contains("dc=y shows nobody"), "{cycle}");
    }
    shown[0].lock().unwrap().people[7].given = "Other".to_owned();
    assert_eq!(changes(&sync(6)), expected(&[("update", 1)]));
    // It is back: there is nothing to do.
    shown[1].lock().unwrap().people = all;
    assert_eq!(changes(&sync(0)), expected(&[]));
    // It is to be empty: that is approved, and then nothing more is held for it.
    shown[1].lock().unwrap().people.clear();
    sync(6);
    world.run(&["approve", "s", "--reason", "dissolved"]).expect(0);
    assert_eq!(changes(&sync(0)), expected(&[("deactivate", 3)]));
    shown[0].lock().unwrap().people.remove(7);
    assert_eq!(changes(&sync(0)), expected(&[("deactivate", 1)]));
    let reader: BTreeMap<String, bool> = ScimReader::new(&sandbox.base_url, &sandbox.token)
        .users_by_name()
        .into_iter()
        .map(|(name, user)| (name, user["active"] == true))
        .collect();
    assert_eq!(reader.values().filter(|active| **active).count(), 59);
}

/// A size limit: what the server said before it is told, and a read that was asked for in full is called so.
#[test]
fn what_was_learnt_before_a_fault_is_told() {
    let port = start(true, |asked| {
        let paged = ("supportedControl", vec![b"1.2.840.113556.1.4.319".to_vec()]);
        let vendor = ("vendorName", vec![b"Example".to_vec()]);
        match asked.base.as_str() {
            "" => vec![entry(b"", &[paged, vendor]), result(0x65, 0)],
            _ if asked.has("inetOrgPerson") => vec![result(0x65, 4)],
            _ => vec![entry(b"dc=x", &[]), result(0x65, 0)],
        }
    });
    let sandbox = SandboxProcess::start(&[]);
    let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
    let source = format!(
        "type = \"ldap\"\nurl = \"ldap://127.0.0.1:{port}\"\nbase = \"dc=x\"\nflavor = \"openldap\"\nincremental = \"off\""
    );
    world.configure(&source, &sandbox.base_url, &sandbox.token, "", "");
    let said = world.run(&["check", "--online", "--json"]).expect(4).json();
    let looked = &said["online"][0];
    assert_eq!((&looked["facts"]["server"], &looked["facts"]["flavor"]), (&"Example".into(), &"openldap".into()), "{looked}");
    assert_eq!((&looked["ok"], looked["error"].is_string()), (&false.into(), true), "{looked}");
    for args in [&["sync", "--json"][..], &["sync", "--full", "--json"]] {
        assert_eq!(world.run(args).expect(4).cycle()["read"], "full");
    }
    // A variable that is not set is a mistake of whoever starts the program.
    let with = format!("{source}\nbind_dn = \"cn=a\"\npassword = {{ env = \"SCIM_SYNC_TEST_NOT_SET\" }}");
    world.configure(&with, &sandbox.base_url, &sandbox.token, "", "");
    let run = world.run(&["sync", "--json"]).expect(3);
    assert!(run.cycle()["error"]["message"].as_str().unwrap().contains("is not set"), "{}", run.stdout);
}

/// A server that says when its entries were changed: long ago, all of them. Every read names everybody, and reads nobody whole.
fn dated(asked: &Asked, shown: &Shown) -> Vec<Vec<u8>> {
    let time = ("modifyTimestamp", vec![b"20200101000000Z".to_vec()]);
    let mut out = match asked.base.as_str() {
        "" => vec![entry(b"", &[("supportedControl", vec![b"1.2.840.113556.1.4.319".to_vec()])])],
        _ if asked.has("organizationalUnit") || asked.has("groupOfNames") => vec![],
        _ if asked.has("inetOrgPerson") => {
            let one = |p: &Person| {
                let id = p.id.iter().map(|id| id.as_bytes().to_vec()).collect();
                let mail = vec![format!("{}@corp.example", p.name).into_bytes()];
                entry(&p.dn, &[("entryUUID", id), ("mail", mail), ("sn", vec![b"S".to_vec()]), time.clone()])
            };
            shown.people.iter().map(one).collect()
        }
        _ => vec![entry(b"dc=x", &[time])],
    };
    out.push(result(0x65, 0));
    out
}

#[test]
fn a_read_of_keys_that_is_approved_is_the_measure() {
    let names_nobody: fn(&mut Shown) = |s| s.people.push(Person { id: None, ..person("box") });
    for (guard, leavers, besides, why) in [
        ("deactivate = \"unlimited\"\nsource_shrink = \"unlimited\"", 1, Some(names_nobody), "no stable id"),
        ("deactivate = \"unlimited\"", 3, None, "guard.source_shrink"),
    ] {
        let people = (0..12).map(|i| person(&format!("u{i}"))).collect();
        let shown = Arc::new(Mutex::new(Shown { people, members: Vec::new() }));
        let server = shown.clone();
        let port = start(true, move |asked| dated(asked, &server.lock().unwrap()));
        let sandbox = SandboxProcess::start(&[]);
        let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
        let source = format!(
            "type = \"ldap\"\nurl = \"ldap://127.0.0.1:{port}\"\nbase = \"dc=x\"\nflavor = \"openldap\"\nincremental = \"modify-timestamp\""
        );
        world.configure(&source, &sandbox.base_url, &sandbox.token, &format!("[sync.guard]\n{guard}\n"), "");
        let sync = |code| world.run(&["sync", "--json"]).expect(code).cycle();
        let leave = |n| drop(shown.lock().unwrap().people.drain(..n));
        assert_eq!(changes(&sync(0))["create"], 12);
        leave(leavers);
        if let Some(besides) = besides {
            besides(&mut shown.lock().unwrap());
        }
        for _ in 0..2 {
            let cycle = sync(6);
            assert_eq!((&cycle["read"], changes(&cycle)), (&"incremental".into(), expected(&[])), "{cycle}");
            assert!(cycle["held"][0]["reason"].as_str().unwrap().contains(why), "{cycle}");
        }
        world.run(&["approve", "s", "--reason", "they left"]).expect(0);
        assert_eq!(changes(&sync(0)), expected(&[("deactivate", leavers as u64)]), "{guard}");
        leave(1);
        let cycle = sync(0);
        assert_eq!((&cycle["read"], changes(&cycle)), (&"incremental".into(), expected(&[("deactivate", 1)])), "{cycle}");
    }
}
