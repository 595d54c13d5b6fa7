//! First cycles against targets that hold accounts already: who is whose, and what is never touched.

use crate::support::admin::{Admin, id};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};
use std::collections::BTreeMap;

struct Scene {
    sandbox: SandboxProcess,
    admin: Admin,
    target: ScimReader,
    w: World,
}

/// `n` people at the source, nobody at the target yet; `sync` is TOML below `[[sync]]`.
fn scene(n: usize, sync: &str) -> Scene {
    let sandbox = SandboxProcess::start(&["--workers", "1"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
    w.populate(n);
    let (admin, target) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    Scene { sandbox, admin, target, w }
}

impl Scene {
    fn reconfigure(&self, sync: &str) {
        let source = "type = \"file\"\npath = \"people.json\"";
        self.w.configure(source, &self.sandbox.base_url, &self.sandbox.token, sync, "");
    }

    /// The next cycle sends nothing.
    fn converges(&self) {
        self.sandbox.reset_counters();
        let run = self.w.sync();
        assert!(changes(&run.cycle()).is_empty(), "{}", run.stdout);
        assert_eq!(self.sandbox.writes(), 0, "{}", run.stdout);
    }
}

fn parked(cycle: &Value) -> BTreeMap<String, String> {
    cycle["parked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["source_key"].as_str().unwrap().to_owned(), p["reason"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn accounts_are_adopted_by_external_id_user_name_and_address() {
    let s = scene(4, "");
    let by_id = s.admin.create(&json!({"userName": "jdoe", "externalId": "p00000"}));
    let by_name = s.admin.create(&json!({"userName": "P00001@Corp.Example", "active": false, "title": "Boss"}));
    let by_mail = s.admin.create(&json!({"userName": "pp", "emails": [{"type": "home", "value": "P00002@corp.example"}]}));
    let plan = s.w.plan().expect(0).plan();
    assert_eq!(changes(&plan), expected(&[("adopt", 3), ("create", 1)]));
    let cycle = s.w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("adopt", 3), ("create", 1)]));
    for (n, account) in [&by_id, &by_name, &by_mail].into_iter().enumerate() {
        let user = s.admin.get(account);
        assert_eq!(user["userName"], format!("p0000{n}@corp.example"));
        assert_eq!(user["externalId"], format!("p0000{n}"));
        assert_eq!(user["active"], true);
        assert_eq!(user["name"]["familyName"], format!("Family p0000{n}"));
    }
    assert_eq!(s.admin.get(&by_name)["title"], "Boss", "what is not mapped stays");
    assert_eq!(s.admin.get(&by_mail)["emails"].as_array().unwrap().len(), 2, "so does an address of another type");
    assert_eq!(s.target.users().len(), 4);
    s.converges();
}

#[test]
fn own_only_an_adopted_account_is_written_to_even_where_nothing_differs() {
    let s = scene(1, "");
    let account = s.admin.create(&json!({
        "userName": "p00000@corp.example", "externalId": "p00000", "active": true, "displayName": "Given p00000 Family",
        "name": {"givenName": "Given p00000", "familyName": "Family p00000"},
        "emails": [{"type": "work", "value": "p00000@corp.example", "primary": true}]
    }));
    s.sandbox.reset_counters();
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("adopt", 1)]));
    assert_eq!(s.sandbox.writes(), 1);
    assert_eq!(id(&s.target.user("p00000@corp.example").unwrap()), account);
}

#[test]
fn no_guess_foreign_and_ambiguous_matches_are_parked_and_stay_parked() {
    let mut s = scene(6, "");
    s.admin.create(&json!({"userName": "p00000@corp.example", "externalId": "somebody-else"}));
    s.admin
        .create(&json!({"userName": "x", "externalId": "foreign", "emails": [{"type": "work", "value": "p00001@corp.example"}]}));
    for name in ["a", "b"] {
        s.admin.create(&json!({"userName": name, "emails": [{"type": "work", "value": "p00002@corp.example"}]}));
    }
    // Two people who match one account, by different criteria.
    s.admin.create(&json!({"userName": "p00003@corp.example", "emails": [{"type": "work", "value": "p00004@corp.example"}]}));
    let before = s.target.users();
    for round in 0..3 {
        let run = s.w.sync().expect(7);
        let parked = parked(&run.cycle());
        assert_eq!(parked.keys().collect::<Vec<_>>(), ["p00000", "p00001", "p00002", "p00003", "p00004"], "round {round}");
        assert!(parked["p00000"].contains("somebody-else"), "{parked:?}");
        assert!(parked["p00001"].contains("foreign"), "{parked:?}");
        assert!(parked["p00002"].contains("2 accounts"), "{parked:?}");
        for p in run.cycle()["parked"].as_array().unwrap() {
            assert!(p["advice"].as_str().is_some_and(|a| a.len() > 10), "{p}");
        }
        assert_eq!(changes(&run.cycle()), if round == 0 { expected(&[("create", 1)]) } else { expected(&[]) });
        let mut after = s.target.users();
        after.retain(|u| u["externalId"] != "p00005");
        assert_eq!(before, after, "own_only, one_account_per_person; round {round}");
        // Another attribute of theirs changes: still nobody gets a second account.
        for i in 0..5 {
            s.w.set(&format!("p{i:05}"), "displayName", format!("Round {round}"));
        }
    }
    // Mended at the target: adopted in the next cycle by hand.
    let of = |name: &str| id(&s.target.user(name).unwrap());
    s.admin.set(&of("p00000@corp.example"), &json!({"externalId": "p00000"}));
    s.admin.delete(&of("b"));
    let run = s.w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("adopt", 2)]));
    assert_eq!(parked(&run.cycle()).len(), 3);
    assert_eq!(s.target.users().len(), 5);
}

#[test]
fn no_guess_one_person_whose_addresses_belong_to_two_accounts_is_parked() {
    let mut s = scene(1, "[sync.map.user]\n\"emails[type eq \\\"home\\\"].value\" = \"[privateMail]\"");
    s.w.set("p00000", "privateMail", "jane@home.example");
    s.admin.create(&json!({"userName": "a", "emails": [{"type": "work", "value": "p00000@corp.example"}]}));
    s.admin.create(&json!({"userName": "b", "emails": [{"type": "work", "value": "jane@home.example"}]}));
    let run = s.w.sync().expect(7);
    assert_eq!(parked(&run.cycle()).len(), 1, "{}", run.stdout);
    assert_eq!(s.target.users().len(), 2);
}

#[test]
fn what_earlier_provisioning_wrote_is_not_foreign() {
    let mut s = scene(3, "[sync.match]\nlegacy_external_id = [\"mailNickname\", \"objectId\"]");
    s.w.set("p00000", "mailNickname", "jdoe");
    s.w.set("p00001", "objectId", "guid-1");
    s.admin.create(&json!({"userName": "p00000@corp.example", "externalId": "jdoe"}));
    s.admin.create(&json!({"userName": "p00001@corp.example", "externalId": "guid-1"}));
    s.admin.create(&json!({"userName": "p00002@corp.example", "externalId": "guid-1x"}));
    let run = s.w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("adopt", 2)]));
    assert_eq!(s.target.user("p00000@corp.example").unwrap()["externalId"], "p00000");
}

#[test]
fn own_only_accounts_without_a_link_are_never_touched() {
    let mut s = scene(12, "");
    for name in ["admin@corp.example", "service", "guest@other.example"] {
        s.admin.create(&json!({"userName": name, "externalId": name, "title": "untouched"}));
    }
    let outsider = s.admin.create(&json!({"userName": "outsider"}));
    let group = s.admin.create_group("Admins", &[&outsider]);
    let (users, groups) = (s.target.users(), s.target.groups());
    let untouched = |s: &Scene| {
        let now = s.target.users();
        assert!(users.iter().all(|u| now.contains(u)), "byte for byte, versions included");
        assert_eq!(s.target.groups().into_iter().filter(|g| id(g) == group).collect::<Vec<_>>(), groups);
    };
    s.w.sync().expect(0);
    untouched(&s);
    s.w.leave("p00001");
    s.w.set("p00002", "mail", "other@corp.example");
    s.w.sync().expect(0);
    untouched(&s);
    s.w.run(&["sync", "--verify", "--full"]).expect(0);
    untouched(&s);
}

#[test]
fn own_only_an_adopted_account_is_never_deleted() {
    let actions = "[sync.guard]\ndelete = \"unlimited\"\n[sync.actions]\n\
        user = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndelete_after = \"1s\"";
    let mut s = scene(20, actions);
    let adopted = s.admin.create(&json!({"userName": "p00000@corp.example"}));
    s.w.sync().expect(0);
    s.w.leave("p00000");
    s.w.leave("p00001");
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("deactivate", 2)]));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("delete", 1)]));
    assert_eq!(s.admin.get(&adopted)["active"], false);
    assert!(s.target.user("p00001@corp.example").is_none());
    s.converges();
}

#[test]
fn who_is_inactive_from_the_start_is_not_created_but_found() {
    let mut s = scene(3, "");
    for gone in ["p00000", "p00001"] {
        s.w.set(gone, "active", json!(false));
    }
    let account = s.admin.create(&json!({"userName": "p00000@corp.example", "displayName": "Old"}));
    let cycle = s.w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 1), ("adopt", 1), ("deactivate", 1)]));
    assert_eq!(s.admin.get(&account)["active"], false);
    assert_eq!(s.admin.get(&account)["externalId"], "p00000");
    assert_eq!(s.target.users().len(), 2);
    s.converges();
    s.w.set("p00000", "active", json!(true));
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("reactivate", 1)]));
    assert_eq!(s.admin.get(&account)["active"], true);
}

#[test]
fn an_inactive_entry_does_not_compete_for_an_account() {
    // The old, disabled directory account and the new one of the same person: the account is the active one's.
    let mut s = scene(3, "");
    s.w.set("p00000", "active", json!(false));
    s.w.set("p00000", "mail", "jane@corp.example");
    s.w.set("p00001", "mail", "jane@corp.example");
    let account = s.admin.create(&json!({"userName": "jane@corp.example"}));
    let cycle = s.w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 1), ("adopt", 1)]));
    assert_eq!(s.admin.get(&account)["externalId"], "p00001");
    assert_eq!(s.admin.get(&account)["active"], true);
    s.converges();
}

#[test]
fn groups_are_adopted_with_the_members_they_have() {
    let mut s = scene(6, "");
    s.w.group("g", &["p00000", "p00001", "p00002"]);
    let there = s.admin.create(&json!({"userName": "p00000@corp.example"}));
    let also = s.admin.create(&json!({"userName": "p00001@corp.example"}));
    let foreign = s.admin.create(&json!({"userName": "foreign"}));
    let group = s.admin.create_group("group G", &[&there, &also, &foreign]);
    s.sandbox.reset_counters();
    let cycle = s.w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("adopt", 2), ("create", 4), ("group_adopt", 1), ("members_add", 1)]));
    assert_eq!(s.sandbox.writes(), 2 + 4 + 1 + 1, "no request for members who are there");
    let members = s.target.memberships()["Group g"].clone();
    assert_eq!(members, ["foreign", "p00000@corp.example", "p00001@corp.example", "p00002@corp.example"]);
    s.converges();
    // What was there and is ours by now leaves with the directory; the foreign one never does.
    s.w.group("g", &["p00002"]);
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("members_remove", 2)]));
    assert_eq!(s.target.memberships()["Group g"], ["foreign", "p00002@corp.example"]);
    // An adopted group is never deleted; what we put into it is taken out.
    s.w.groups.clear();
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("members_remove", 1)]));
    assert_eq!(s.target.memberships()["Group g"], ["foreign"]);
    assert_eq!(id(&s.target.groups()[0]), group);
    s.converges();
}

#[test]
fn no_guess_groups_with_one_name_are_parked() {
    let mut s = scene(3, "");
    s.w.group("g", &["p00000"]);
    s.admin.create_group("Group g", &[]);
    s.admin.create_group("GROUP G", &[]);
    for _ in 0..2 {
        let run = s.w.sync().expect(7);
        assert_eq!(parked(&run.cycle()).keys().collect::<Vec<_>>(), ["g"]);
        assert_eq!(s.target.groups().len(), 2);
    }
}

#[test]
fn verify_repairs_drift() {
    let mut s = scene(20, "");
    s.w.group("g", &["p00000", "p00001"]);
    s.w.sync().expect(0);
    let of = |name: &str| id(&s.target.user(name).unwrap());
    let group = id(&s.target.groups()[0]);
    s.w.leave("p00009");
    s.w.sync().expect(0);
    s.admin.set(&of("p00002@corp.example"), &json!({"displayName": "By Hand", "title": "Kept"}));
    s.admin.set(&of("p00003@corp.example"), &json!({"active": false}));
    s.admin.set(&of("p00004@corp.example"), &json!({"userName": "by-hand@corp.example"}));
    s.admin.set(&of("p00009@corp.example"), &json!({"active": true}));
    let foreign = s.admin.create(&json!({"userName": "foreign"}));
    s.admin.set_group(&group, &json!({"displayName": "Group g", "members": [{"value": foreign}]}));
    s.converges();
    let plan = s.w.run(&["plan", "--verify", "--json"]).expect(0).plan();
    let want = [("update", 1), ("reactivate", 1), ("rename", 1), ("deactivate", 1), ("members_add", 2)];
    assert_eq!(changes(&plan), expected(&want));
    let run = s.w.run(&["sync", "--verify", "--json"]).expect(0);
    assert_eq!(changes(&run.cycle()), expected(&want));
    let user = s.target.user("p00002@corp.example").unwrap();
    assert_eq!((&user["displayName"], &user["title"]), (&json!("Given p00002 Family"), &json!("Kept")));
    assert_eq!(s.target.user("p00009@corp.example").unwrap()["active"], false);
    assert_eq!(s.target.memberships()["Group g"], ["foreign", "p00000@corp.example", "p00001@corp.example"]);
    let run = s.w.run(&["sync", "--verify", "--json"]).expect(0);
    assert!(changes(&run.cycle()).is_empty(), "{}", run.stdout);
}

#[test]
fn verify_with_report_only_leaves_drift_but_not_leavers() {
    let mut s = scene(20, "drift = \"report\"");
    s.w.sync().expect(0);
    let of = |name: &str| id(&s.target.user(name).unwrap());
    s.w.leave("p00009");
    s.w.sync().expect(0);
    s.admin.set(&of("p00002@corp.example"), &json!({"displayName": "By Hand"}));
    s.admin.set(&of("p00003@corp.example"), &json!({"active": false}));
    s.admin.set(&of("p00009@corp.example"), &json!({"active": true}));
    let run = s.w.run(&["sync", "--verify", "--json"]).expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
    assert_eq!(s.target.user("p00002@corp.example").unwrap()["displayName"], "By Hand");
    assert_eq!(s.target.user("p00003@corp.example").unwrap()["active"], false);
    assert_eq!(s.target.user("p00009@corp.example").unwrap()["active"], false);
}

#[test]
fn verify_finds_accounts_that_are_gone() {
    let s = scene(20, "");
    s.w.sync().expect(0);
    s.admin.delete(&id(&s.target.user("p00001@corp.example").unwrap()));
    let run = s.w.run(&["sync", "--verify", "--json"]).expect(6);
    assert_eq!(run.cycle()["held"][0]["kind"], "create");
    assert!(run.cycle()["held"][0]["reason"].as_str().unwrap().contains("recreate"));
    // Somebody makes it anew by hand: it is found and adopted, nothing is created.
    let by_hand = s.admin.create(&json!({"userName": "P00001@corp.example"}));
    let run = s.w.run(&["sync", "--verify", "--json"]).expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("adopt", 1)]));
    assert_eq!(s.admin.get(&by_hand)["externalId"], "p00001");
    s.converges();
}

#[test]
fn one_account_per_person_a_newcomer_who_is_there_already_is_adopted() {
    let mut s = scene(12, "");
    s.w.sync().expect(0);
    let account = s.admin.create(&json!({"userName": "new@corp.example", "title": "Kept"}));
    s.admin.create(&json!({"userName": "other@corp.example", "externalId": "foreign"}));
    s.w.join("new");
    s.w.join("other");
    let run = s.w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("adopt", 1)]), "counts call it what it was");
    assert_eq!(parked(&run.cycle()).keys().collect::<Vec<_>>(), ["other"]);
    let user = s.admin.get(&account);
    assert_eq!((&user["externalId"], &user["title"]), (&json!("new"), &json!("Kept")));
    assert_eq!(s.target.users().len(), 14);
}

#[test]
fn one_bad_record_a_refused_value_does_not_leave_a_matching_account_unlinked() {
    let sandbox = SandboxProcess::start(&["--refuse", "Beelzebub"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(12);
    let (admin, target) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    let account = admin.create(&json!({"userName": "P00000@corp.example"}));
    w.set("p00000", "displayName", "Beelzebub");
    let run = w.sync().expect(7);
    assert_eq!(changes(&run.cycle()), expected(&[("adopt", 1), ("create", 11)]));
    assert_eq!(admin.get(&account)["name"]["familyName"], "Family p00000");
    // Linked, and so deactivated when the person leaves.
    w.leave("p00000");
    w.sync().expect(0);
    assert_eq!(target.user("p00000@corp.example").unwrap()["active"], false);
}

#[test]
fn only_the_actions_that_are_allowed_are_taken() {
    let mut s = scene(20, "[sync.actions]\nuser = [\"create\"]\ngroup = []");
    s.w.group("g", &["p00000"]);
    s.admin.create_group("Group g", &[]);
    let groups = s.target.groups();
    s.sandbox.reset_counters();
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("create", 20)]));
    let stats = s.sandbox.stats();
    assert!(!stats["requests"].to_string().contains("Groups"), "{stats}");
    assert_eq!(s.target.groups(), groups);
    s.w.set("p00001", "displayName", "Changed");
    s.w.set("p00002", "mail", "renamed@corp.example");
    s.w.leave("p00003");
    s.w.set("p00004", "active", json!(false));
    s.w.join("new");
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("create", 1)]));
    // More is allowed now: what was left undone is done.
    s.reconfigure("[sync.actions]\nuser = [\"create\", \"update\"]\ngroup = [\"create\"]");
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("update", 1), ("rename", 1), ("group_adopt", 1)]));
    assert_eq!(s.target.groups().len(), 1, "a group that is there already gets no twin");
    s.reconfigure("[sync.actions]\nuser = [\"create\", \"update\", \"deactivate\"]\ngroup = []");
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 2)]));
    s.converges();
}

#[test]
fn groups_that_are_not_read_any_more_are_not_gone() {
    let mut s = scene(40, "");
    for g in 0..20 {
        s.w.group(&format!("g{g}"), &["p00000"]);
    }
    s.w.sync().expect(0);
    s.reconfigure("[sync.actions]\ngroup = []");
    s.w.leave("p00001");
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1)]));
    s.reconfigure("");
    s.w.group("g3", &["p00002"]);
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("members_add", 1), ("members_remove", 1)]));
    assert_eq!(s.target.groups().len(), 20);
}

#[test]
fn deactivation_waits_for_its_grace_and_deletion_for_its_time() {
    let actions = "[sync.scope]\nusers = 'department eq \"Sales\"'\n[sync.actions]\n\
        user = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndeactivate_after = \"2s\"\ndelete_after = \"2s\"";
    let mut s = scene(60, actions);
    s.w.group("g", &["p00001", "p00003"]);
    s.w.sync().expect(0);
    s.w.leave("p00000");
    s.w.set("p00001", "department", "Staff");
    s.w.set("p00002", "active", json!(false));
    let run = s.w.sync().expect(0);
    assert!(changes(&run.cycle()).is_empty(), "{}", run.stdout);
    std::thread::sleep(std::time::Duration::from_millis(3100));
    // Back in time: nothing happens to this one.
    s.w.set("p00002", "active", json!(true));
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 2), ("members_remove", 1)]));
    s.converges();
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("delete", 2)]));
    assert_eq!(s.target.users().len(), 58);
    // Back in scope after the deletion: a new account.
    s.w.set("p00001", "department", "Sales");
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("create", 1), ("members_add", 1)]));
    s.converges();
}

#[test]
fn out_of_scope_keep_leaves_account_and_memberships() {
    let mut s = scene(20, "[sync.scope]\nusers = 'department eq \"Sales\"'\nout_of_scope = \"keep\"");
    s.w.group("g", &["p00001", "p00002"]);
    s.w.sync().expect(0);
    s.w.set("p00001", "department", "Staff");
    s.w.set("p00001", "displayName", "Not pushed");
    s.converges();
    assert_eq!(s.target.memberships()["Group g"].len(), 2);
    // Leaving the directory is not leaving the scope.
    s.w.leave("p00001");
    let run = s.w.sync().expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[("deactivate", 1), ("members_remove", 1)]));
}

#[test]
fn one_account_per_person_two_syncs_never_share_one() {
    let s = scene(5, "");
    s.w.sync().expect(0);
    let config = std::fs::read_to_string(s.w.path("config.toml")).unwrap();
    let second = "\n[[sync]]\nname = \"t\"\nsource = \"dir\"\ntarget = \"app\"\n";
    std::fs::write(s.w.path("config.toml"), format!("{config}{second}")).unwrap();
    let before = s.target.users();
    let run = s.w.run(&["sync", "t", "--json"]).expect(7);
    assert_eq!(parked(&run.cycle()).len(), 5);
    assert!(changes(&run.cycle()).is_empty());
    s.w.run(&["sync", "t", "--json"]).expect(7);
    assert_eq!(s.target.users(), before);
}

#[test]
fn no_guess_a_create_that_meets_an_account_takes_it_over_by_the_match_rules_only() {
    for (rules, of_a_later_cycle) in [("[\"externalId\"]", false), ("[\"externalId\"]", true), ("[\"emails.value\"]", true)] {
        let mut s = scene(2, &format!("[sync.match]\nusers = {rules}"));
        if of_a_later_cycle {
            s.w.sync().expect(0);
        }
        let name = if of_a_later_cycle { "p00009@corp.example" } else { "p00001@corp.example" };
        let theirs = s.admin.create(&json!({"userName": name, "active": false, "displayName": "Not Ours"}));
        if of_a_later_cycle {
            s.w.join("p00009");
        }
        let cycle = s.w.sync().expect(7).cycle();
        assert_eq!(cycle["counts"]["adopt"], 0, "{rules}: {cycle}");
        let reason = parked(&cycle).into_values().next().unwrap();
        assert!(reason.contains("has this userName already") && reason.contains("match.users"), "{reason}");
        let user = s.admin.get(&theirs);
        assert_eq!(
            (&user["displayName"], &user["active"], &user["externalId"]),
            (&json!("Not Ours"), &json!(false), &Value::Null)
        );
    }
}
