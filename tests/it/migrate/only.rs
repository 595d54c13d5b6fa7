//! `--only`: a filter over attributes of the directory that no mapping uses.

use super::{Maker, Old, SYNC, migration, names};
use crate::support::directory::BASE;
use crate::support::slapd::Slapd;
use crate::support::world::{SandboxProcess, ScimReader, World};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Six people with a departmentNumber, which the mapping does not read: two of Sales.
fn departments() -> Slapd {
    let mut ldif = format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n");
    for i in 0..6 {
        let department = if i < 2 { "Sales" } else { "Legal" };
        write!(
            ldif,
            "dn: cn=p{i},{BASE}\nobjectClass: inetOrgPerson\ncn: p{i}\nsn: Family{i}\nuid: user{i}\n\
             mail: first{i}@corp.example\ndepartmentNumber: {department}\n\n"
        )
        .unwrap();
    }
    Slapd::start(&ldif)
}

fn olds(found: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        found["accounts"].as_array().unwrap().iter().map(|a| a["old"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

#[test]
fn what_only_the_filter_needs_is_read_from_the_directory() {
    let (slapd, sandbox) = (departments(), SandboxProcess::start(&[]));
    let world = World::new(&sandbox.base_url, &sandbox.token, SYNC, "");
    world.configure_slapd(&slapd, &sandbox, SYNC);
    let maker = Maker::new(&sandbox.base_url, &sandbox.token);
    (0..6).for_each(|i| drop(maker.account(&format!("user{i}"), json!({}))));
    let migrate = |args: &[&str]| world.run(&[&["--migrate-userids", "--json"], args].concat());
    let sales = migration(&migrate(&["--dry-run", "--only", "departmentNumber eq \"Sales\""]).expect(0));
    assert_eq!(olds(&sales), ["user0", "user1"]);
    let others = migration(&migrate(&["--yes", "--only", "not (departmentnumber eq \"Sales\")"]).expect(0));
    assert_eq!(others["counts"]["renamed"], 4, "{others}");
    let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let left: Vec<String> = names(&reader).into_values().filter(|n| !n.contains('@')).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"user0".to_owned()) && left.contains(&"user1".to_owned()), "{left:?}");
}

/// A slip of the pen in the name would leave nobody out.
#[test]
fn an_attribute_that_nobody_has_is_refused() {
    let mut old = Old::start(SYNC, &[]);
    for i in 0..3 {
        old.person(&format!("k{i}"), &format!("user{i}"), &format!("first{i}@corp.example"));
        old.maker.account(&format!("user{i}"), json!({}));
    }
    let before = old.names();
    for filter in ["not (departement eq \"Sales\")", "departement eq \"Sales\"", "userName sw \"u\" and not (costcentre pr)"] {
        for more in ["--yes", "--dry-run"] {
            let run = old.migrate(&[more, "--only", filter]).expect(2);
            assert!(run.stderr.contains("has an attribute departement") || run.stderr.contains("costcentre"), "{}", run.stderr);
        }
    }
    assert_eq!(old.names(), before);
    // What accounts may have by the standard, and these do not, is no mistake; nor is another directory's name for it.
    old.migrate(&["--dry-run", "--only", "not (userType eq \"Guest\")"]).expect(0);
    let found = migration(&old.migrate(&["--dry-run", "--only", "surname eq \"Family k1\""]).expect(0));
    assert_eq!(olds(&found), ["user1"]);
}
