//! Mews.

use super::{Known, account, parked, says};
use crate::support::admin::Admin;
use crate::support::switch::{Asked, Switch};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

#[test]
fn a_first_cycle_takes_over_creates_and_explains_every_refusal() {
    let directory = Known::directory();
    let (foreign, elsewhere) = (directory.people[3].mail.clone().unwrap(), directory.people[4].mail.clone().unwrap());
    let known = Known::with(directory, "mews", &["--foreign", &foreign, "--elsewhere", &elsewhere], "");
    // Two who are there already: one as Entra ID left it, one without an owner; nothing else differs in either.
    let admin = Admin::of(&known.sandbox);
    let same = |i: usize| account(&known.mail(i), &known.directory.people[i].given_name, &known.directory.people[i].surname);
    let mut entra = same(0);
    entra["externalId"] = json!(known.directory.people[0].uid);
    admin.create(&entra);
    let bare = admin.create(&same(1));
    known.modify(2, "givenName", None);

    let cycle = known.sync().expect(7).cycle();
    assert_eq!(changes(&cycle)["adopt"], 2);
    assert_eq!(changes(&cycle)["create"], 195, "200 without two adopted, one incomplete, one foreign, one managed elsewhere");
    let last = known.sandbox.stats()["writes"].as_u64().unwrap();
    assert!(last >= 197, "the first adoption writes even where nothing differs");
    assert_eq!(admin.get(&bare)["externalId"], json!(known.directory.people[1].uid), "externalId comes from mailNickname");

    let incomplete = parked(&cycle, &known.mail(2));
    says(&incomplete["reason"], &["Mews makes no account without name.givenName"]);
    let p = parked(&cycle, &foreign);
    says(&p["reason"], &["Mews does not let this account be managed", "portfolio", "Operation not permitted"]);
    says(&p["advice"], &["either", "or"]);
    let p = parked(&cycle, &elsewhere);
    says(&p["reason"], &["managed elsewhere", "already exists"]);
    says(&p["advice"], &["either", "or"]);
    assert_eq!(cycle["parked"].as_array().unwrap().len(), 3);

    // Only what Mews has; groups by their names alone.
    for user in known.target.users() {
        let mut keys: Vec<&str> = user.as_object().unwrap().keys().map(String::as_str).collect();
        keys.retain(|k| !["schemas", "id", "meta", "groups"].contains(k));
        keys.sort_unstable();
        assert_eq!(keys, ["active", "externalId", "name", "userName"], "{user}");
    }
    assert!(!known.target.groups().is_empty());
    assert!(known.target.groups().iter().all(|g| g.get("externalId").is_none()));

    // Whoever is in no group gets no mail.
    let memberless = known.target.users().iter().filter(|u| u.get("groups").is_none()).count();
    assert!(memberless > 0);
    says(&cycle["warnings"][0], &[&format!("{memberless} people"), "in no group", "sign-up mail"]);

    // Quiet, but for those who wait; nobody foreign is tried again and again within the hour by the schedule, but by hand.
    let again = known.sync().expect(7).cycle();
    assert!(changes(&again).is_empty(), "{again}");
    assert_eq!(again["parked"].as_array().unwrap().len(), 3);
}

#[test]
fn an_email_is_never_changed() {
    let known = Known::start("mews", &[], "");
    known.sync().expect(0);
    let old = known.mail(7);
    known.modify(7, "mail", Some("somebody.new@example.org"));
    known.modify(7, "sn", Some("Newname"));
    let cycle = known.sync().expect(7).cycle();
    let p = parked(&cycle, "somebody.new@example.org");
    says(&p["reason"], &["Mews cannot change an email: ", &old, "somebody.new@example.org"]);
    assert!(p["reason"].as_str().unwrap().starts_with("Mews cannot change an email"));
    says(&p["advice"], &["scim-sync sync SYNC --verify", "scim-sync approve SYNC", "guard.recreate"]);
    assert_eq!(changes(&cycle), [("update".to_owned(), 1)].into(), "everything else goes on");
    let user = known.target.user(&old).expect("the account keeps its email");
    assert_eq!(user["name"]["familyName"], "Newname");
    // A leaver leaves all the same, and the account stays, inactive.
    known.modify(7, "pwdAccountLockedTime", Some("000001010000Z"));
    known.sync();
    assert_eq!(known.target.user(&old).unwrap()["active"], false);
}

#[test]
fn switched_off_for_everyone_is_no_fault_of_anybody() {
    let known = Known::start("mews", &[], "");
    // Before anything is linked, where Mews still answers reads; and where it answers nothing.
    for off in ["writes", "all"] {
        known.trouble(&json!({ "off": off }));
        let cycle = known.sync().expect(5).cycle();
        says(&cycle["error"]["message"], &["SCIM is switched off in Mews"]);
        assert_eq!(cycle["parked"], json!([]), "{off}");
        assert_eq!(known.world.run(&["status", "--json"]).json()["syncs"][0]["parked"], 0);
    }
    known.trouble(&json!({}));
    let cycle = known.sync().expect(0).cycle();
    assert_eq!(changes(&cycle)["create"], 200);

    // Later: one change, and it is not that one person's.
    known.modify(9, "sn", Some("Changed"));
    known.trouble(&json!({"off": "writes"}));
    let cycle = known.sync().expect(5).cycle();
    says(&cycle["error"]["message"], &["SCIM is switched off in Mews", "token"]);
    assert_eq!(cycle["parked"], json!([]));
    // One account alone: that person's, also where everything else is well.
    known.trouble(&json!({"foreign": [known.mail(9)]}));
    let cycle = known.sync().expect(7).cycle();
    says(&parked(&cycle, &known.mail(9))["reason"], &["Mews does not let this account be managed"]);
    // Nine at once, and nobody else to be written: still theirs, because an account of ours can be written.
    let foreign: Vec<String> = (20..32).map(|i| known.mail(i)).collect();
    (20..32).for_each(|i| known.modify(i, "sn", Some("Changed")));
    known.trouble(&json!({ "foreign": foreign }));
    let cycle = known.sync().expect(7).cycle();
    assert_eq!(cycle["parked"].as_array().unwrap().len(), 12, "{}", cycle["parked"]);
    known.trouble(&json!({}));
    known.sync().expect(0);
}

/// The guide names the text of the refusal and no status.
#[test]
fn switched_off_is_known_by_its_words_under_any_status() {
    let known = Known::start("mews", &[], "");
    known.sync().expect(0);
    let switch = Switch::before(&known.sandbox.base_url);
    let config = std::fs::read_to_string(known.world.path("config.toml")).unwrap();
    std::fs::write(known.world.path("config.toml"), config.replace(&known.sandbox.base_url, &switch.url)).unwrap();
    known.sync().expect(0);
    known.modify(9, "sn", Some("Changed"));
    let refusal = |status: u16| (status, json!({"status": status.to_string(), "detail": "Operation not permitted"}).to_string());
    for status in [400, 403, 404, 422, 500] {
        switch.rule(move |asked: &Asked| asked.writes().then(|| refusal(status)));
        let cycle = known.sync().expect(5).cycle();
        says(&cycle["error"]["message"], &["SCIM is switched off in Mews"]);
        assert_eq!(cycle["parked"], json!([]), "{status}");
    }
    // That one account alone.
    let id = known.target.user(&known.mail(9)).unwrap()["id"].as_str().unwrap().to_owned();
    for status in [400, 500] {
        let id = id.clone();
        switch.rule(move |asked: &Asked| (asked.writes() && asked.path.contains(&id)).then(|| refusal(status)));
        let cycle = known.sync().expect(7).cycle();
        says(&parked(&cycle, &known.mail(9))["reason"], &["Mews does not let this account be managed"]);
    }
    switch.pass();
    known.sync().expect(0);
}

#[test]
fn a_regenerated_token_is_picked_up_and_an_old_one_is_said() {
    let mut known = Known::start("mews", &[], "");
    known.sync().expect(0);
    known.sandbox.set_token("regenerated");
    known.modify(5, "sn", Some("Changed"));
    known.sync().expect(5);
    known.world.write_secret("token", "regenerated");
    assert_eq!(changes(&known.sync().expect(0).cycle())["update"], 1);

    let warnings = |known: &Known| -> Vec<Value> {
        known.world.run(&["check", "--json"]).expect(0).json()["warnings"].as_array().unwrap().clone()
    };
    assert!(warnings(&known).is_empty());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(400 * 86_400);
    std::fs::File::options().write(true).open(known.world.path("token")).unwrap().set_modified(old).unwrap();
    let said = warnings(&known);
    assert_eq!(said.len(), 1, "{said:?}");
    says(&said[0]["message"], &["400 days", "Mews"]);
    assert_eq!(said[0]["key"], "target.app.token");
}

/// Whether everybody is refused is seen by a write to accounts of ours, and never to one that is being taken away.
#[test]
fn who_leaves_is_not_made_active_by_a_look_at_who_may_be_written() {
    let sandbox = SandboxProcess::start(&["--preset", "mews"]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "preset = \"mews\"\nconcurrency = 1");
    w.populate(12);
    w.sync().expect(0);
    let root = sandbox.base_url.trim_end_matches("/scim/v2").to_owned();
    let trouble = reqwest::blocking::Client::new().put(format!("{root}/_sandbox/trouble"));
    let answer = trouble.json(&json!({"foreign": ["p00001@corp.example"]})).send().unwrap();
    assert!(answer.status().is_success());
    // One after the other: the first is inactive at the target and not yet on the books when the second is refused.
    w.leave("p00000");
    w.leave("p00001");
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 1)]), "{cycle}");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.user("p00000@corp.example").unwrap()["active"], false);
}
