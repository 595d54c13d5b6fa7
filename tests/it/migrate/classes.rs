//! Each account in its class, and why.

use super::{Old, SYNC, account, classes, migration};
use serde_json::json;

#[test]
fn every_form_of_name_is_found_and_every_doubt_is_named() {
    let mut old = Old::start(&format!("{SYNC}[sync.guard]\nprotected = [\"svc-backup\"]\n"), &[]);
    old.person("k1", "jdoe", "jane.doe@corp.example");
    old.person("k2", "bob", "bob.brown@corp.example");
    old.person("k3", "carl", "carl.cook@corp.example");
    old.world.set("k3", "proxyAddresses", json!(["SMTP:carl.cook@corp.example", "smtp:cc@old.example"]));
    old.person("k4", "dora", "dora@corp.example");
    old.world.set("k4", "userPrincipalName", "dora@corp.local");
    old.person("k5", "twin", "twin.a@corp.example");
    old.person("k6", "twin", "twin.b@corp.example");
    old.person("k7", "reissued", "new.owner@corp.example");
    old.person("k8", "share1", "shared@corp.example");
    old.person("k9", "share2", "Shared@corp.example");
    old.person("ka", "taken", "held@corp.example");
    old.person("kb", "done", "done@corp.example");
    old.person("kc", "nomail", "x@corp.local");
    old.world.set("kc", "mail", "x@corp.internal");
    old.person("kd", "foreign", "foreign@corp.example");
    old.person("ke", "byid", "by.id@corp.example");
    old.person("kf", "chief", "chief@corp.example");
    old.person("kg", "private", "private@corp.example");
    let m = &old.maker;
    let expected = [
        (m.account("jdoe", json!({})), "convert"),
        (m.account("CORP\\bob", json!({"emails": [{"value": "bob.brown@corp.example", "type": "work"}]})), "convert"),
        (m.account("cc@old.example", json!({"name": {"familyName": "Family K3"}})), "convert"),
        (m.account("DORA@corp.local", json!({})), "convert"),
        (m.account("twin", json!({})), "ambiguous"),
        (
            m.account("reissued", json!({"name": {"familyName": "Gone"}, "emails": [{"value": "old.owner@corp.example"}]})),
            "unproven",
        ),
        (m.account("share1", json!({})), "collision"),
        (m.account("share2", json!({})), "collision"),
        (m.account("taken", json!({})), "collision"),
        (m.account("HELD@corp.example", json!({"externalId": "somebody"})), "unproven"),
        (m.account("Done@corp.example", json!({})), "already"),
        (m.account("nomail", json!({})), "no_match"),
        (m.account("nobody", json!({})), "no_match"),
        (m.account("svc-backup", json!({})), "protected"),
        (m.account("robot", json!({"userType": "Service"})), "protected"),
        (m.account("chief", json!({"roles": [{"value": "Admin"}]})), "protected"),
        (m.account("private", json!({"emails": [{"value": "me@home.example", "type": "home"}]})), "convert"),
        (m.account("OTHER\\bob", json!({})), "no_match"),
        (m.account("foreign", json!({"externalId": "other-system"})), "unproven"),
        (m.account("whatever", json!({"externalId": "ke"})), "convert"),
    ];
    let before = old.names();
    old.sandbox.reset_counters();
    let run = old.migrate(&["--dry-run"]).expect(0);
    let found = migration(&run);
    for (id, class) in &expected {
        let a = account(&found, id);
        assert_eq!(a["class"], *class, "{a}");
        assert!(!a["why"].as_str().unwrap().is_empty() && a["result"] == "not_attempted", "{a}");
    }
    assert_eq!(classes(&found).len(), expected.len());
    assert_eq!((old.sandbox.writes(), old.names()), (0, before), "nothing is written");
    assert_eq!(found["cycle"], json!(null));
    let c = &found["counts"];
    assert_eq!((&c["convert"], &c["collision"], &c["renamed"]), (&json!(6), &json!(3), &json!(0)), "{c}");
    assert!(!old.world.path("state.db").exists(), "nothing is stored either");
    // Asked twice, the same is said.
    assert_eq!(migration(&old.migrate(&["--dry-run"])), found);
    // Nobody said yes.
    assert_eq!(migration(&old.migrate(&[]).expect(0)), found);
    assert_eq!(old.sandbox.writes(), 0);
}

#[test]
fn a_name_alone_is_not_enough_where_proof_is_required() {
    let mut old = Old::start(&format!("{SYNC}[sync.match]\nrequire_proof = true\n"), &[]);
    old.person("k1", "a", "a.a@corp.example");
    old.person("k2", "b", "b.b@corp.example");
    let a = old.maker.account("a", json!({}));
    let b = old.maker.account("b", json!({"name": {"familyName": "FAMILY K2"}}));
    let found = migration(&old.migrate(&["--dry-run"]).expect(0));
    assert_eq!(account(&found, &a)["class"], "unproven");
    assert_eq!(account(&found, &b)["class"], "convert");
}

/// A bare name is also the mailbox of an alias: whoever has one may be meant.
#[test]
fn an_alias_of_somebody_else_makes_a_bare_name_ambiguous() {
    let mut old = Old::start(SYNC, &[]);
    old.person("k1", "amb", "a.a@corp.example");
    old.person("k2", "other", "b.b@corp.example");
    old.world.set("k2", "proxyAddresses", json!(["SMTP:b.b@corp.example", "smtp:amb@corp.example"]));
    old.person("k3", "third", "c.c@corp.example");
    old.world.set("k3", "proxyAddresses", json!(["smtp:formerly@corp.example"]));
    let amb = old.maker.account("amb", json!({}));
    let formerly = old.maker.account("formerly", json!({}));
    let found = migration(&old.migrate(&["--dry-run"]).expect(0));
    assert_eq!(account(&found, &amb)["class"], "ambiguous");
    assert_eq!(account(&found, &formerly)["class"], "unproven", "an alias says too little alone");
}

/// A shared account bears the name of a mailbox that is an alias of somebody's; its email is that alias.
#[test]
fn no_guess_an_alias_makes_a_shared_account_nobodys() {
    for proof in [false, true] {
        let mut old = Old::start(&format!("{SYNC}[sync.match]\nrequire_proof = {proof}\n"), &[]);
        old.person("k1", "ada", "ada.a@corp.example");
        old.world.set("k1", "proxyAddresses", json!(["SMTP:ada.a@corp.example", "smtp:hr@corp.example"]));
        old.person("k2", "bob", "bob@corp.example");
        old.world.set("k2", "proxyAddresses", json!(["smtp:helpdesk@corp.example"]));
        old.person("k3", "carl", "carl@corp.example");
        old.world.set("k3", "proxyAddresses", json!(["smtp:formerly@corp.example", "smtp:post@corp.example"]));
        old.person("k4", "dora", "dora.d@corp.example");
        old.world.set("k4", "proxyAddresses", json!(["smtp:desk@corp.example"]));
        let m = &old.maker;
        let mail =
            |address: &str, family: &str| json!({"emails": [{"value": address, "type": "work"}], "name": {"familyName": family}});
        let expected = [
            (m.account("helpdesk", json!({"emails": [{"value": "helpdesk@corp.example", "type": "work"}]})), "unproven"),
            (m.account("ada", mail("ada.a@corp.example", "Family K1")), "convert"),
            (m.account("hr", json!({"emails": [{"value": "hr@corp.example", "type": "work"}]})), "unproven"),
            // The family name is another fact.
            (m.account("formerly", mail("formerly@corp.example", "Family K3")), "convert"),
            // The account name goes before the alias, also where the other fact agrees for both.
            (m.account("dora", mail("dora.d@corp.example", "Family K4")), "convert"),
            (m.account("desk", mail("desk@corp.example", "Family K4")), "collision"),
        ];
        let found = migration(&old.migrate(&["--dry-run"]).expect(0));
        for (id, class) in &expected {
            assert_eq!(account(&found, id)["class"], *class, "{proof}: {}", account(&found, id));
        }
        let found = migration(&old.migrate(&["--yes"]).expect(0));
        assert_eq!(account(&found, &expected[0].0)["result"], "not_attempted");
        let names = old.names();
        assert!(names.values().any(|n| n == "helpdesk") && names.values().any(|n| n == "hr"), "{names:?}");
    }
}

#[test]
fn of_two_accounts_of_one_person_the_row_of_the_surplus_one_says_which_gets_the_name() {
    let mut old = Old::start(SYNC, &[]);
    old.person("k1", "first", "first.last@corp.example");
    let mine = old.maker.account("fe", json!({"externalId": "k1"}));
    let surplus = old.maker.account("CORP\\first", json!({}));
    let found = migration(&old.migrate(&["--dry-run"]).expect(0));
    assert_eq!(account(&found, &mine)["class"], "convert");
    let row = account(&found, &surplus);
    assert_eq!(row["class"], "collision");
    let why = row["why"].as_str().unwrap();
    assert!(why.contains(&mine) && why.contains("gets the name") && !why.contains("guess"), "{why}");
}
