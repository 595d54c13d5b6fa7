//! `drift = "report"`: what somebody changed at the application is told and left alone.

use crate::support::admin::{Admin, id};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

/// (who, object, path, from, to) of each line.
fn drift(document: &Value) -> Vec<(String, String, String, Value, Value)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let lines = document["drift"].as_array().unwrap().iter();
    lines.map(|d| (text(&d["who"]), text(&d["object"]), text(&d["path"]), d["from"].clone(), d["to"].clone())).collect()
}

#[test]
fn what_was_changed_by_hand_is_listed_and_left_alone() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "drift = \"report\"", "");
    w.populate(12);
    w.group("g", &["p00001", "p00002"]);
    w.sync().expect(0);
    assert_eq!(drift(&w.run(&["sync", "--verify", "--json"]).expect(0).cycle()), []);
    let (admin, reader) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    let account = |n: usize| id(&reader.user(&format!("p{n:05}@corp.example")).unwrap());
    admin.set(&account(1), &json!({"displayName": "By Hand"}));
    admin.set(&account(6), &json!({"active": false}));
    admin.set_group(&id(&reader.groups()[0]), &json!({"members": [{"value": account(2)}, {"value": account(3)}]}));
    // What the directory changes is written, and is no drift.
    w.set("p00007", "displayName", "From Directory");
    w.save();

    let of = |n: usize| format!("p{n:05}@corp.example");
    let (user, group) = ("user".to_owned(), "group".to_owned());
    let told = vec![
        ("Group g".to_owned(), group, "members".to_owned(), json!([of(3)]), json!([of(1)])),
        (of(1), user.clone(), "displayName".to_owned(), json!("By Hand"), json!("Given p00001 Family")),
        (of(6), user, "active".to_owned(), json!(false), json!(true)),
    ];
    let plan = w.run(&["plan", "--verify", "--json"]).expect(0).plan();
    assert_eq!(drift(&plan), told);
    assert_eq!(changes(&plan), expected(&[("update", 1)]));
    let text = w.run(&["plan", "--verify"]).expect(0).stdout;
    assert!(text.contains("displayName: \"By Hand\" instead of \"Given p00001 Family\""), "{text}");
    assert!(text.contains("Group g  members: 1 put in and 1 taken out"), "{text}");
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(drift(&cycle), told);
    assert_eq!(changes(&cycle), expected(&[("update", 1)]));
    assert!(cycle["warnings"][0].as_str().unwrap().starts_with("3 attributes of 3 accounts and groups"), "{cycle}");
    assert!(w.run(&["sync", "--verify"]).expect(0).stdout.contains("By Hand"));
    assert_eq!(reader.user(&of(1)).unwrap()["displayName"], "By Hand");
    assert_eq!(reader.memberships()["Group g"].len(), 2);
    // Without a look at the target nothing is known of it.
    assert_eq!(drift(&w.sync().expect(0).cycle()), []);
}

#[test]
fn leavers_who_are_active_again_are_deactivated_again() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "drift = \"report\"\n[sync.guard]\ndeactivate = \"unlimited\"", "");
    w.populate(12);
    w.sync().expect(0);
    w.set("p00001", "active", false);
    w.leave("p00002");
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 2)]));
    let (admin, reader) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
    for name in ["p00001@corp.example", "p00002@corp.example"] {
        admin.set(&id(&reader.user(name).unwrap()), &json!({"active": true, "displayName": "By Hand"}));
    }
    let cycle = w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 2)]));
    // Who is gone from the directory has no attributes to compare with.
    let told: Vec<(String, String)> = drift(&cycle).into_iter().map(|d| (d.0, d.2)).collect();
    assert_eq!(told, [("p00001@corp.example".to_owned(), "displayName".to_owned())]);
    assert_eq!(reader.user("p00001@corp.example").unwrap()["displayName"], "By Hand");
}

struct Scene {
    w: World,
    admin: Admin,
    reader: ScimReader,
    _sandbox: SandboxProcess,
}

impl Scene {
    fn new(sync: &str) -> Self {
        let sandbox = SandboxProcess::start(&[]);
        let mut w = World::new(&sandbox.base_url, &sandbox.token, sync, "");
        w.populate(12);
        w.sync().expect(0);
        let (admin, reader) = (Admin::of(&sandbox), ScimReader::new(&sandbox.base_url, &sandbox.token));
        Self { w, admin, reader, _sandbox: sandbox }
    }

    fn by_hand(&self, n: usize, active: bool) {
        let account = self.reader.user(&format!("p{n:05}@corp.example")).unwrap();
        self.admin.set(&id(&account), &json!({ "active": active }));
    }

    fn is_active(&self, n: usize) -> bool {
        self.reader.user(&format!("p{n:05}@corp.example")).unwrap()["active"] == true
    }

    #[track_caller]
    fn verify(&self, code: i32) -> Value {
        self.w.save();
        self.w.run(&["sync", "--verify", "--json"]).expect(code).cycle()
    }

    #[track_caller]
    fn sync(&self, code: i32) -> Value {
        self.w.sync().expect(code).cycle()
    }
}

const ANYBODY: &str = "[sync.guard]\ndeactivate = \"unlimited\"";

/// What somebody did by hand is what the directory wants, or comes to want: nothing to write, and it is known from then on.
#[test]
fn who_was_activated_or_deactivated_by_hand_is_known_from_then_on() {
    // A leaver whose deactivation is held.
    let mut s = Scene::new("[sync.guard]\ndeactivate = 0");
    s.w.leave("p00001");
    s.sync(6);
    s.by_hand(1, false);
    assert_eq!(changes(&s.verify(0)), expected(&[]));
    s.w.join("p00001");
    assert_eq!(changes(&s.sync(0)), expected(&[("reactivate", 1)]));

    // Somebody who is back, and was let in before the next cycle; both ways of telling drift.
    for drift in ["repair", "report"] {
        let mut s = Scene::new(&format!("drift = \"{drift}\"\n{ANYBODY}"));
        s.w.set("p00001", "active", false);
        s.sync(0);
        s.w.set("p00001", "active", true);
        s.by_hand(1, true);
        assert_eq!(changes(&s.verify(0)), expected(&[]), "{drift}");
        s.w.leave("p00001");
        assert_eq!(changes(&s.sync(0)), expected(&[("deactivate", 1)]), "{drift}");
        assert!(!s.is_active(1));
        // Who takes part and is deactivated there stays so where that is only reported.
        s.by_hand(2, false);
        let repaired = if drift == "repair" { expected(&[("reactivate", 1)]) } else { expected(&[]) };
        assert_eq!(changes(&s.verify(0)), repaired, "{drift}");
        s.w.set("p00002", "displayName", "Other");
        assert_eq!(changes(&s.sync(0)), expected(&[("update", 1)]), "{drift}");
    }
}

/// A leaver who is active again waits for approval, and not for the next look at the target.
#[test]
fn a_leaver_who_is_active_again_stays_held() {
    let mut s = Scene::new("[sync.guard]\ndeactivate = 0");
    s.w.leave("p00001");
    s.sync(6);
    s.w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&s.sync(0)), expected(&[("deactivate", 1)]));
    s.by_hand(1, true);
    s.verify(6);
    assert_eq!(s.sync(6)["held"][0]["kind"], "deactivate");
    s.w.run(&["approve", "s"]).expect(0);
    assert_eq!(changes(&s.sync(0)), expected(&[("deactivate", 1)]));
    assert!(!s.is_active(1));
}

/// An account that is active is not deleted for having been inactive once.
#[test]
fn who_is_active_again_is_not_deleted() {
    let all = "user = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndelete_after = \"30d\"";
    let mut s = Scene::new(&format!("[sync.actions]\n{all}\n{ANYBODY}"));
    s.w.set("p00001", "active", false);
    s.sync(0);
    let c = rusqlite::Connection::open(s.w.path("state.db")).unwrap();
    c.execute("UPDATE link SET inactive_since = inactive_since - 40 * 86400 WHERE active = 0", []).unwrap();
    drop(c);
    s.by_hand(1, true);
    let config = std::fs::read_to_string(s.w.path("config.toml")).unwrap();
    std::fs::write(s.w.path("config.toml"), config.replace(all, "user = [\"create\", \"update\"]")).unwrap();
    assert_eq!(changes(&s.verify(0)), expected(&[]), "it may not be deactivated");
    s.w.set("p00001", "displayName", "Other");
    assert_eq!(changes(&s.sync(0)), expected(&[("update", 1)]));
    // Once it may be, it is; and then the time begins anew.
    std::fs::write(s.w.path("config.toml"), config).unwrap();
    assert_eq!(changes(&s.sync(0)), expected(&[("deactivate", 1)]));
    s.w.set("p00001", "displayName", "Another");
    assert_eq!(changes(&s.sync(0)), expected(&[("update", 1)]));
}

/// Out of scope and left alone: what becomes of the account there is known all the same.
#[test]
fn whoever_is_kept_out_of_scope_is_known_as_seen() {
    let scope = "[sync.scope]\nusers = 'department eq \"Sales\"'\nout_of_scope = \"keep\"";
    let mut s = Scene::new(&format!("{scope}\n{ANYBODY}"));
    s.w.set("p00001", "active", false);
    s.sync(0);
    s.w.set("p00001", "department", "Other");
    s.w.set("p00002", "department", "Other");
    s.by_hand(1, true);
    s.by_hand(2, false);
    assert_eq!(changes(&s.verify(0)), expected(&[]));
    s.w.leave("p00001");
    s.w.set("p00002", "department", "Sales");
    assert_eq!(changes(&s.sync(0)), expected(&[("deactivate", 1), ("reactivate", 1)]));
    assert!(!s.is_active(1) && s.is_active(2));
}
