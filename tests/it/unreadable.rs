//! One record that cannot be read is one record: nobody else waits for it.

use crate::support::admin::id;
use crate::support::switch::Switch;
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::{Value, json};

struct Scene {
    sandbox: SandboxProcess,
    switch: Switch,
    target: ScimReader,
    w: World,
    /// The account that is not to be read.
    bad: String,
}

/// Six people, synced.
fn scene() -> Scene {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "[sync.guard]\nminimum = 100", "");
    w.populate(6);
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let bad = id(&target.user("p00002@corp.example").unwrap());
    Scene { sandbox, switch, target, w, bad }
}

impl Scene {
    /// The list of accounts as it is now, but for the one.
    fn list_without_it(&self) -> String {
        let mut users = self.target.users();
        users.retain(|u| u["id"] != self.bad.as_str());
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": users.len(),
            "startIndex": 1, "itemsPerPage": users.len(), "Resources": users})
        .to_string()
    }

    fn active(&self, name: &str) -> Value {
        self.target.user(name).unwrap()["active"].clone()
    }
}

#[test]
fn one_bad_record_that_is_listed_no_more_and_cannot_be_read_keeps_its_link() {
    let mut s = scene();
    let one = format!("/Users/{}", s.bad);
    for status in [403, 500] {
        let (one, list) = (one.clone(), s.list_without_it());
        s.switch.rule(move |asked| match asked.path.as_str() {
            path if path.contains(&one) => Some((status, "{}".to_owned())),
            path if path.contains("/Users?") && !path.contains("filter=") && !asked.writes() => Some((200, list.clone())),
            _ => None,
        });
        s.w.leave(if status == 403 { "p00003" } else { "p00004" });
        s.w.save();
        let cycle = s.w.run(&["sync", "--verify", "--json"]).expect(0).cycle();
        assert_eq!(changes(&cycle), expected(&[("deactivate", 1)]), "{status}: {cycle}");
    }
    assert_eq!((s.active("p00003@corp.example"), s.active("p00004@corp.example")), (json!(false), json!(false)));
    s.switch.pass();
    s.w.leave("p00002");
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]), "the link stood");
    assert_eq!(s.sandbox.stats()["users"], 6);
}

#[test]
fn one_bad_record_whose_rename_was_not_answered_stops_nobody() {
    let mut s = scene();
    let one = format!("/Users/{}", s.bad);
    s.switch.rule(move |asked| asked.path.contains(&one).then(|| (500, "{}".to_owned())));
    s.w.set("p00002", "mail", "two@corp.example");
    s.w.sync().expect(7);
    s.w.leave("p00003");
    let cycle = s.w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("deactivate", 1)]), "{cycle}");
    assert_eq!(s.active("p00003@corp.example"), json!(false));
    s.switch.pass();
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("rename", 1)]));
}

/// An account that is taken over, and one that is made: neither can be looked up afterwards.
#[test]
fn one_bad_record_whose_adoption_or_create_was_not_answered_stops_nobody() {
    let mut s = scene();
    let post = |name: &str| {
        let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "active": true});
        let url = format!("{}/Users", s.sandbox.base_url);
        let made = reqwest::blocking::Client::new().post(url).bearer_auth(&s.sandbox.token).json(&body).send().unwrap();
        made.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned()
    };
    let one = format!("/Users/{}", post("p00007@corp.example"));
    s.switch.rule(move |asked| {
        let about = |text: &str| asked.path.contains(text) || asked.body.contains(text);
        let make = asked.path.ends_with("/Users") && asked.writes();
        (asked.path.contains(&one) || about("p00008") && (make || asked.path.contains("filter="))).then(|| (500, "{}".to_owned()))
    });
    s.w.join("p00007");
    s.w.join("p00008");
    s.w.sync().expect(7);
    for leaver in ["p00003", "p00004"] {
        s.w.leave(leaver);
        let cycle = s.w.sync().expect(7).cycle();
        assert_eq!(changes(&cycle), expected(&[("deactivate", 1)]), "{cycle}");
    }
    assert_eq!(s.active("p00003@corp.example"), json!(false));
    s.switch.pass();
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("adopt", 1), ("create", 1)]));
    assert_eq!(s.sandbox.stats()["users"], 8);
}

#[test]
fn one_bad_record_is_left_by_an_undo_and_the_others_go_back() {
    let mut s = scene();
    for i in 0..6 {
        s.w.set(&format!("p{i:05}"), "displayName", "Other");
    }
    s.w.sync().expect(0);
    let one = format!("/Users/{}", s.bad);
    s.switch.rule(move |asked| asked.path.contains(&one).then(|| (403, "{}".to_owned())));
    let cycle = s.w.run(&["undo", "2", "--json"]).expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("update", 5)]), "{cycle}");
    let parked = &cycle["parked"][0];
    assert_eq!(parked["source_key"], "p00002");
    assert!(parked["reason"].as_str().unwrap().contains("cannot be read"), "{parked}");
    s.switch.pass();
    let cycle = s.w.run(&["undo", "2", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle), expected(&[("update", 1)]), "{cycle}");
}

#[test]
fn one_bad_record_does_not_make_another_target_of_it() {
    let mut s = scene();
    let one = format!("/Users/{}", s.bad);
    s.switch.rule(move |asked| asked.path.contains(&one).then(|| (500, "{}".to_owned())));
    s.sandbox.set_token("another-token");
    let source = "type = \"file\"\npath = \"people.json\"";
    s.w.configure(source, &s.switch.url, "another-token", "[sync.guard]\nminimum = 100", "");
    s.w.leave("p00003");
    assert_eq!(changes(&s.w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
}
