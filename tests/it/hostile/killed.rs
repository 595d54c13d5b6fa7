//! Killed while an account that was there is taken over, at a target that does not say when it was made: whatever of it arrived,
//! it is not of our making, and in the end it has all that is ours.

use crate::support::admin::Admin;
use crate::support::switch::{Asked, Switch};
use crate::support::world::{SandboxProcess, ScimReader, World};
use serde_json::{Value, json};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// When the program is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    /// The create is refused, and nobody was looked for.
    Look,
    /// The write is sent, and never carried out.
    Write,
    /// It is carried out, and its answer is not heard.
    Answer,
}

struct Scene {
    sandbox: SandboxProcess,
    switch: Switch,
    child: Arc<Mutex<Option<Child>>>,
    w: World,
}

/// Leaves out what says when it was made.
fn strip(value: &mut Value) {
    match value {
        Value::Object(o) => {
            o.remove("meta");
            o.values_mut().for_each(strip);
        }
        Value::Array(all) => all.iter_mut().for_each(strip),
        _ => {}
    }
}

impl Scene {
    fn new() -> Self {
        let sandbox = SandboxProcess::start(&[]);
        let switch = Switch::before(&sandbox.base_url);
        let mut w = World::new(&switch.url, &sandbox.token, "[sync.guard]\nrename = \"unlimited\"", "");
        w.populate(3);
        let s = Self { sandbox, switch, child: Arc::default(), w };
        s.kill(None, "nothing");
        s.w.sync().expect(0);
        s
    }

    fn admin(&self) -> Admin {
        Admin::of(&self.sandbox)
    }

    /// From now on a create of p00099 is refused, and the program is killed when it comes to this of a path.
    fn kill(&self, at: Option<At>, path: &str) {
        let (origin, token) = (self.sandbox.base_url.replace("/scim/v2", ""), self.sandbox.token.clone());
        let (child, path, mut refused) = (Arc::clone(&self.child), path.to_owned(), false);
        let http = reqwest::blocking::Client::new();
        self.switch.rule(move |asked: &Asked| {
            let kill = || child.lock().unwrap().as_mut().into_iter().for_each(|c| c.kill().unwrap());
            if asked.method == "POST" && asked.body.contains("p00099@") {
                refused = true;
                return Some((409, json!({"scimType": "uniqueness", "detail": "that address is taken"}).to_string()));
            }
            let written = asked.writes() && asked.path.contains(&path);
            if at == Some(At::Write) && written || at == Some(At::Look) && refused {
                kill();
                return Some((500, String::new()));
            }
            let method = reqwest::Method::from_bytes(asked.method.as_bytes()).unwrap();
            let sent = http.request(method, format!("{origin}{}", asked.path)).bearer_auth(&token);
            let got = sent.header("content-type", "application/scim+json").body(asked.body.clone()).send().unwrap();
            let (status, mut body) = (got.status().as_u16(), got.json::<Value>().unwrap_or_default());
            if at == Some(At::Answer) && written {
                kill();
            }
            strip(&mut body);
            Some((status, if body.is_null() { String::new() } else { body.to_string() }))
        });
    }

    fn killed(&self, at: At, path: &str, args: &[&str]) {
        self.w.save();
        self.kill(Some(at), path);
        let mut child = self.child.lock().unwrap();
        *child = Some(self.w.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        drop(child);
        // Polled, so that whoever kills it can have it meanwhile.
        let ended = || self.child.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
        let status = std::iter::repeat_with(ended)
            .inspect(|_| std::thread::sleep(std::time::Duration::from_millis(5)))
            .find_map(|status| status)
            .unwrap();
        assert_eq!(status.code(), None, "{at:?}: it was not killed");
        self.kill(None, path);
    }

    /// Origin of a link (0: ours), and what is noted as its name.
    fn link(&self, key: &str) -> (i64, String) {
        let state = rusqlite::Connection::open(self.w.path("state.db")).unwrap();
        let sql = "SELECT l.origin, l.name FROM link l JOIN entry e ON e.id = l.entry_id WHERE e.key = ?1";
        state.query_row(sql, [key], |r| Ok((r.get(0)?, r.get(1)?))).unwrap()
    }
}

/// An account of theirs under an old name.
fn old_account() -> Value {
    json!({"userName": "old.name", "displayName": "By hand", "active": true, "emails": [{"type": "work", "value": "p00099@corp.example"}]})
}

#[test]
fn own_only_a_killed_take_over_is_no_making_of_ours_and_the_account_gets_its_name() {
    let mut bears_it = old_account();
    bears_it["externalId"] = json!("p00099");
    for (what, account) in [("by address", old_account()), ("by externalId", bears_it)] {
        for at in [At::Look, At::Write, At::Answer] {
            let mut s = Scene::new();
            let id = s.admin().create(&account);
            s.w.join("p00099");
            s.killed(at, &format!("/Users/{id}"), &["sync"]);
            // What is taken over, and what it is called: a rename for the guard to judge.
            for _ in 0..2 {
                s.w.sync().expect(0);
            }
            let user = s.admin().get(&id);
            let name = "p00099@corp.example";
            assert_eq!((&user["userName"], &user["externalId"]), (&json!(name), &json!("p00099")), "{what}, {at:?}: {user}");
            assert_eq!(s.link("p00099"), (1, name.to_owned()), "{what}, {at:?}: adopted");
            assert_eq!(ScimReader::new(&s.sandbox.base_url, &s.sandbox.token).users().len(), 4, "{what}, {at:?}");
            s.sandbox.reset_counters();
            s.w.sync().expect(0);
            assert_eq!(s.sandbox.writes(), 0, "{what}, {at:?}");
        }
    }
}

#[test]
fn own_only_a_killed_take_over_is_known_when_its_person_left() {
    let mut s = Scene::new();
    let id = s.admin().create(&old_account());
    s.w.join("p00099");
    s.killed(At::Answer, &format!("/Users/{id}"), &["sync"]);
    s.w.set("p00099", "accountEnabled", false);
    s.w.sync().expect(0);
    let user = s.admin().get(&id);
    assert_eq!((&user["userName"], &user["active"]), (&json!("old.name"), &json!(false)), "{user}");
    assert_eq!(s.link("p00099"), (1, "old.name".to_owned()));
}

#[test]
fn one_account_per_person_a_killed_adoption_of_a_verifying_cycle_is_found_by_the_next() {
    for at in [At::Write, At::Answer] {
        let mut s = Scene::new();
        let id = s.admin().create(&old_account());
        s.w.join("p00099");
        s.killed(at, &format!("/Users/{id}"), &["sync", "--verify"]);
        for _ in 0..2 {
            s.w.sync().expect(0);
        }
        let user = s.admin().get(&id);
        assert_eq!((&user["userName"], &user["externalId"]), (&json!("p00099@corp.example"), &json!("p00099")), "{at:?}");
        assert_eq!(s.link("p00099"), (1, "p00099@corp.example".to_owned()), "{at:?}");
        assert_eq!(ScimReader::new(&s.sandbox.base_url, &s.sandbox.token).users().len(), 4, "{at:?}");
    }
}

#[test]
fn own_only_a_group_that_was_there_is_not_ours_after_a_kill() {
    for at in [At::Write, At::Answer] {
        let mut s = Scene::new();
        let id = s.admin().create_group("Group g", &[]);
        s.w.group("g", &["p00001"]);
        s.killed(at, &format!("/Groups/{id}"), &["sync"]);
        s.w.sync().expect(0);
        assert_eq!(s.link("g"), (1, "group g".to_owned()), "{at:?}");
        assert_eq!(ScimReader::new(&s.sandbox.base_url, &s.sandbox.token).memberships()["Group g"], ["p00001@corp.example"]);
    }
}
