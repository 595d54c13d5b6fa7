//! The platform whose user IDs are converted to email.

use super::{Known, says};
use crate::support::admin::Admin;
use crate::support::world::{SandboxProcess, changes};
use serde_json::json;

#[test]
fn the_first_cycle_waits_until_user_ids_are_converted() {
    // Accounts from before: named by login, at a server that takes any name.
    let mut known = Known::start("email-userid", &[], "[sync.user_id]\ndomains = { CORP = \"example.org\" }");
    let old = SandboxProcess::start(&[]);
    let admin = Admin::of(&old);
    let uid = |i: usize| known.directory.people[i].uid.clone();
    let first = admin.create(&json!({"userName": uid(0)}));
    let second = admin.create(&json!({"userName": format!("CORP\\{}", uid(1))}));
    admin.create(&json!({"userName": known.mail(2)}));
    admin.create(&json!({"userName": "svc-backup"}));
    known.target = crate::support::world::ScimReader::new(&old.base_url, &old.token);
    known.sandbox = old;
    known.configure("email-userid", "[sync.user_id]\ndomains = { CORP = \"example.org\" }");

    for command in ["sync", "plan"] {
        let run = known.world.run(&[command, "--json"]).expect(5);
        let document = run.json();
        let error =
            if command == "sync" { &document["cycles"][0]["error"]["message"] } else { &document["errors"][0]["message"] };
        says(error, &["2 accounts", "not named by email", "scim-sync --migrate-userids s", "nothing was written"]);
    }
    assert_eq!(known.sandbox.writes(), 4, "only what was there before");

    // Nobody is to delete a colleague's account as an orphan.
    let listed = known.world.run(&["accounts", "s", "--json"]).expect(0).json();
    let of = |name: &str| listed["accounts"].as_array().unwrap().iter().find(|a| a["user_name"] == name).unwrap().clone();
    for name in [uid(0), format!("CORP\\{}", uid(1))] {
        assert_eq!(of(&name)["class"], "matched", "{listed}");
        says(&of(&name)["why"], &["may be theirs", "was not converted"]);
    }
    assert_eq!(of("svc-backup")["class"], "orphan");

    // Converted; a service account of nobody's is no obstacle.
    admin.set(&first, &json!({"userName": known.mail(0)}));
    admin.set(&second, &json!({"userName": known.mail(1)}));
    let cycle = known.sync().expect(0).cycle();
    assert_eq!((changes(&cycle)["adopt"], changes(&cycle)["create"]), (3, 197));
    assert!(changes(&cycle)["group_create"] > 0, "groups too");
    // From then on nothing is asked: somebody makes an account by hand.
    admin.create(&json!({"userName": uid(50)}));
    known.world.run(&["sync", "--verify", "--json"]).expect(0);
}

#[test]
fn a_new_key_voids_the_old_one() {
    let mut known = Known::start("email-userid", &[], "");
    known.sync().expect(0);
    known.sandbox.set_token("second-key");
    known.modify(3, "sn", Some("Changed"));
    let cycle = known.sync().expect(5).cycle();
    says(&cycle["error"]["message"], &["401", "token"]);
    assert_eq!(cycle["parked"], json!([]));
    known.world.write_secret("token", "second-key");
    assert_eq!(changes(&known.sync().expect(0).cycle())["update"], 1);
}

/// Only what a migration would rename is waited for; whoever may have one of the other old accounts gets no second one.
#[test]
fn one_account_per_person_where_a_migration_leaves_old_names() {
    let mut known = Known::start("email-userid", &[], "[sync.user_id]\ndomains = { CORP = \"example.org\" }");
    let old = SandboxProcess::start(&[]);
    let admin = Admin::of(&old);
    let uid = |i: usize| known.directory.people[i].uid.clone();
    // The name was given to somebody new.
    admin.create(&json!({"userName": uid(0), "emails": [{"value": "somebody@else.example", "type": "work"}]}));
    // A service, by its type.
    admin.create(&json!({"userName": uid(1), "userType": "service"}));
    let convert = admin.create(&json!({"userName": uid(2)}));
    known.target = crate::support::world::ScimReader::new(&old.base_url, &old.token);
    known.sandbox = old;
    known.configure("email-userid", "[sync.user_id]\ndomains = { CORP = \"example.org\" }");
    let looked = known.world.run(&["--migrate-userids", "--dry-run", "--json"]).expect(0).json();
    let counts = &looked["migrations"][0]["counts"];
    assert_eq!((&counts["convert"], &counts["unproven"], &counts["protected"]), (&json!(1), &json!(1), &json!(1)), "{counts}");

    let waits = known.sync().expect(5).cycle();
    says(&waits["error"]["message"], &["1 account", &uid(2)]);
    admin.set(&convert, &json!({"userName": known.mail(2)}));
    let cycle = known.sync().expect(7).cycle();
    assert_eq!((changes(&cycle)["adopt"], changes(&cycle)["create"]), (1, 197), "{cycle}");
    let parked = cycle["parked"].as_array().unwrap();
    for i in 0..2 {
        let row = parked.iter().find(|p| p["reason"].as_str().unwrap().contains(&format!("{:?}", uid(i)))).unwrap();
        says(&row["reason"], &["may be theirs"]);
        assert!(known.target.user(&known.mail(i)).is_none());
    }
    // Also in later cycles, which do not read the target.
    assert_eq!(known.sync().expect(7).cycle()["requests"]["write"], 0);
}
