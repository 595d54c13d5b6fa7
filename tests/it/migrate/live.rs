//! A directory in slapd, and applications whose accounts are from before: scim2-server, SCIMMY, the sandbox.
#![allow(clippy::print_stderr)]

use super::{Maker, account, migration, names};
use crate::support::directory::BASE;
use crate::support::recorder::Recorder;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::slapd::Slapd;
use crate::support::world::{SandboxProcess, ScimReader, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

/// A directory, and the accounts that fit it: what is to become of each.
struct Scene {
    ldif: String,
    people: usize,
    /// userName, further attributes, class, new name where it is renamed.
    accounts: Vec<(String, Value, &'static str, Option<String>)>,
}

impl Scene {
    fn new() -> Self {
        let mut ldif = format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n");
        for ou in ["people", "others"] {
            write!(ldif, "dn: ou={ou},{BASE}\nobjectClass: organizationalUnit\nou: {ou}\n\n").unwrap();
        }
        Self { ldif, people: 0, accounts: Vec::new() }
    }

    /// A person; returns the source key.
    fn person(&mut self, ou: &str, uid: &str, mail: &str) -> String {
        self.people += 1;
        let key = format!("00000000-0000-4000-8000-{:012}", self.people);
        write!(
            self.ldif,
            "dn: cn=p{n},ou={ou},{BASE}\nobjectClass: inetOrgPerson\ncn: p{n}\nsn: Family{n}\ngivenName: Given{n}\nuid: {uid}\n\
             mail: {mail}\nemployeeNumber: {n}\nentryUUID: {key}\n\n",
            n = self.people
        )
        .unwrap();
        key
    }

    fn account(&mut self, name: &str, more: Value, class: &'static str, new: Option<&str>) {
        self.accounts.push((name.to_owned(), more, class, new.map(str::to_owned)));
    }

    /// As the migration of an organisation is: mostly plain, with every kind of trouble.
    fn mixed(all: usize) -> Self {
        let mut s = Self::new();
        for i in 0..10 {
            // Two people, one address.
            for twin in ["a", "b"] {
                s.person("people", &format!("shared{i}{twin}"), &format!("shared{i}@corp.example"));
                s.account(&format!("shared{i}{twin}"), json!({}), "collision", None);
            }
            // Two people, one name.
            s.person("people", &format!("same{i}"), &format!("same.one{i}@corp.example"));
            s.person("others", &format!("same{i}"), &format!("same.two{i}@corp.example"));
            s.account(&format!("CORP\\same{i}"), json!({}), "ambiguous", None);
        }
        for i in 0..15 {
            s.account(&format!("nobody{i}"), json!({}), "no_match", None);
        }
        for i in 0..5 {
            s.person("people", &format!("admin{i}"), &format!("admin.of{i}@corp.example"));
            s.account(&format!("admin{i}"), json!({}), "protected", None);
        }
        for i in 0..30 {
            s.person("people", &format!("done{i}"), &format!("Done{i}@corp.example"));
            s.account(&format!("done{i}@Corp.example"), json!({}), "already", None);
        }
        for (old, new) in
            [("swap-a", "swap-b"), ("swap-b", "swap-a"), ("ring-a", "ring-b"), ("ring-b", "ring-c"), ("ring-c", "ring-d")]
        {
            let (old, new) = (format!("{old}@corp.example"), format!("{new}@corp.example"));
            let key = s.person("people", &format!("uid-{old}"), &new);
            s.account(&old, json!({ "externalId": key }), "convert", Some(&new));
        }
        s.person("people", "jdoe", "jane.doe@corp.example");
        let other = json!({"name": {"familyName": "Smith"}, "emails": [{"value": "john.smith@corp.example", "type": "work"}]});
        s.account("jdoe", other, "unproven", None);
        for i in s.accounts.len()..all {
            let new = format!("given.family{i}@corp.example");
            let key = s.person("people", &format!("u{i}"), &new);
            let n = s.people;
            let (name, more) = match i % 5 {
                0 => (format!("u{i}"), json!({"name": {"familyName": format!("Family{n}"), "givenName": format!("Given{n}")}})),
                1 => (format!("CORP\\U{i}"), json!({"emails": [{"value": new, "type": "work", "primary": true}]})),
                2 => (format!("u{i}@corp.local"), json!({})),
                3 => (format!("U{i}@CORP.LOCAL"), json!({"displayName": "somebody"})),
                _ => (format!("anything{i}"), json!({ "externalId": key })),
            };
            s.account(&name, more, "convert", Some(&new));
        }
        s
    }
}

const SYNC: &str = "[sync.user_id]\ndomains = { CORP = \"corp.example\", \"corp.local\" = \"corp.example\" }\n\
     [sync.guard]\nprotected = [\"admin0\", \"admin1\", \"admin2\", \"admin3\", \"admin4\"]\n";

/// What there is of a group: name, members by id.
fn groups(reader: &ScimReader) -> Vec<(String, Vec<String>)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut out: Vec<_> = reader
        .groups()
        .iter()
        .map(|g| {
            let mut members: Vec<String> = g["members"].as_array().into_iter().flatten().map(|m| text(&m["value"])).collect();
            members.sort();
            (text(&g["displayName"]), members)
        })
        .collect();
    out.sort();
    out
}

fn everything(url: &str, token: &str, all: usize) {
    let scene = Scene::mixed(all);
    let slapd = Slapd::start(&scene.ldif);
    let recorder = Recorder::start(url);
    let world = World::new(&recorder.url, token, SYNC, "");
    world.write_secret("bind-password", &slapd.password);
    let source = format!(
        "type = \"ldap\"\nurl = \"{}\"\nbind_dn = \"{}\"\npassword = {{ file = \"bind-password\" }}\nbase = \"{}\"",
        slapd.ldap_url, slapd.bind_dn, slapd.base
    );
    world.configure(&source, &recorder.url, token, SYNC, "");
    let (maker, reader) = (Maker::new(url, token), ScimReader::new(url, token));
    let mut expected = BTreeMap::new();
    for (name, more, class, new) in &scene.accounts {
        expected.insert(maker.account(name, more.clone()), (name.clone(), *class, new.clone()));
    }
    let members: Vec<String> = expected.keys().step_by(7).cloned().collect();
    maker.group("from before", &members);
    let (accounts_before, groups_before) = (names(&reader), groups(&reader));
    let external = |reader: &ScimReader| -> BTreeMap<String, String> {
        let with = |u: &Value| Some((u["id"].as_str()?.to_owned(), u["externalId"].as_str()?.to_owned()));
        reader.users().iter().filter_map(with).collect()
    };
    let external_before = external(&reader);

    recorder.clear();
    let looked = migration(&world.run(&["--migrate-userids", "--dry-run", "--json"]).expect(0));
    assert!(recorder.requests().iter().all(|r| r.kind().starts_with("GET")), "a dry run only reads");
    for (id, (name, class, new)) in &expected {
        let a = account(&looked, id);
        assert_eq!((&a["old"], &a["class"]), (&json!(name), &json!(class)), "{a}");
        assert!(!a["why"].as_str().unwrap().is_empty());
        if let Some(new) = new {
            assert_eq!(a["new"], *new);
        }
    }
    let (began, run) = (Instant::now(), world.run(&["--migrate-userids", "--yes", "--json"]).expect(0));
    let took = began.elapsed();
    let done = migration(&run);
    let converted = expected.values().filter(|(_, class, _)| *class == "convert").count();
    for (class, n) in [("collision", 20), ("ambiguous", 10), ("no_match", 15), ("protected", 5), ("already", 30), ("unproven", 1)]
    {
        assert_eq!(done["counts"][class], n, "{}", done["counts"]);
    }
    assert_eq!(
        (&done["counts"]["convert"], &done["counts"]["renamed"], &done["counts"]["failed"]),
        (&json!(converted), &json!(converted), &json!(0))
    );
    for (id, name) in names(&reader) {
        let (_, _, new) = &expected[&id];
        assert_eq!(name, *new.as_ref().unwrap_or(&accounts_before[&id]), "exactly the convertible are renamed");
    }
    assert_eq!(groups(&reader), groups_before, "memberships stay");
    let external_after = external(&reader);
    assert!(external_before.iter().all(|(id, e)| external_after[id] == *e), "externalIds stay");

    recorder.clear();
    let cycle = world.run(&["sync", "--json"]).expect(7).cycle();
    let writes: Vec<String> =
        recorder.requests().iter().filter(|r| !r.kind().starts_with("GET")).map(|r| format!("{} {}", r.kind(), r.body)).collect();
    assert!(writes.is_empty() && cycle["requests"]["write"] == 0, "{writes:?}");
    assert_eq!(names(&reader).len(), expected.len());
    eprintln!("{all} accounts at {url}: {converted} renamed in {took:?}");
}

#[test]
fn two_thousand_accounts_in_the_sandbox() {
    let sandbox = SandboxProcess::start(&[]);
    everything(&sandbox.base_url, &sandbox.token, 2_000);
}

/// Slower servers, and slower the more they hold: every kind of trouble, and fewer plain ones.
#[test]
fn mixed_accounts_at_scim2_server_and_scimmy() {
    for server in ScimServer::all() {
        everything(server.url.as_str().trim_end_matches('/'), TOKEN, 250);
    }
}
