//! `--migrate-userids` against real servers: who is renamed, who is not and why, and that nothing else changes.

mod adopted;
mod between;
mod circles;
mod classes;
mod feeds;
mod kills;
mod live;
mod only;
mod policy;
mod ways;

use crate::support::world::{Run, SandboxProcess, ScimReader, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Nothing about groups; what the mapping gives to people is the preset's.
const SYNC: &str =
    "[sync.user_id]\nfrom = [\"mail\"]\ndomains = { CORP = \"corp.example\", \"corp.local\" = \"corp.example\" }\n";

/// Accounts made by somebody else, by plain requests.
struct Maker {
    base: String,
    token: String,
    http: reqwest::blocking::Client,
}

impl Maker {
    fn new(base: &str, token: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), token: token.to_owned(), http: reqwest::blocking::Client::new() }
    }

    /// Makes an account; returns its id.
    fn account(&self, name: &str, more: Value) -> String {
        let mut body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "active": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let url = format!("{}/Users", self.base);
        let sent = self.http.post(url).bearer_auth(&self.token).header("Content-Type", "application/scim+json");
        let Ok(made) = sent.body(body.to_string()).send() else { return self.made_after_all(name) };
        let status = made.status();
        let made: Value = made.json().unwrap();
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// The answer was lost: the account is there all the same.
    fn made_after_all(&self, name: &str) -> String {
        let user = ScimReader::new(&self.base, &self.token).user(name).unwrap();
        user["id"].as_str().unwrap().to_owned()
    }

    fn group(&self, name: &str, members: &[String]) {
        let members: Vec<Value> = members.iter().map(|m| json!({ "value": m })).collect();
        let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members});
        let sent = self.http.post(format!("{}/Groups", self.base)).bearer_auth(&self.token);
        let made = sent.header("Content-Type", "application/scim+json").body(body.to_string()).send().unwrap();
        assert_eq!(made.status(), 201);
    }

    fn rename(&self, id: &str, name: &str) {
        self.replace(id, "userName", name);
    }

    fn replace(&self, id: &str, path: &str, value: &str) {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": path, "value": value}]});
        let sent = self.http.patch(format!("{}/Users/{id}", self.base)).bearer_auth(&self.token);
        let done = sent.header("Content-Type", "application/scim+json").body(body.to_string()).send().unwrap();
        assert!(done.status().is_success(), "{}", done.status());
    }
}

/// A directory file, the sandbox, and accounts from before.
struct Old {
    world: World,
    sandbox: SandboxProcess,
    maker: Maker,
    reader: ScimReader,
}

impl Old {
    fn start(sync: &str, sandbox: &[&str]) -> Self {
        let sandbox = SandboxProcess::start(sandbox);
        let world = World::new(&sandbox.base_url, &sandbox.token, sync, "");
        let maker = Maker::new(&sandbox.base_url, &sandbox.token);
        let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
        Self { world, sandbox, maker, reader }
    }

    /// A person with an account name.
    fn person(&mut self, id: &str, account: &str, mail: &str) {
        self.world.join(id);
        self.world.set(id, "sAMAccountName", account);
        self.world.set(id, "mail", mail);
    }

    fn migrate(&self, args: &[&str]) -> Run {
        self.world.save();
        let mut all = vec!["--migrate-userids", "--json"];
        all.extend(args);
        self.world.run(&all)
    }

    /// id -> userName.
    fn names(&self) -> BTreeMap<String, String> {
        names(&self.reader)
    }
}

fn names(reader: &ScimReader) -> BTreeMap<String, String> {
    let text = |u: &Value, k: &str| u[k].as_str().unwrap().to_owned();
    reader.users().iter().map(|u| (text(u, "id"), text(u, "userName"))).collect()
}

/// The one migration of the document.
fn migration(run: &Run) -> Value {
    let document = run.json();
    assert_eq!(document["version"], 1);
    document["migrations"][0].clone()
}

/// target id -> class.
fn classes(migration: &Value) -> BTreeMap<String, String> {
    let accounts = migration["accounts"].as_array().unwrap();
    accounts.iter().map(|a| (a["target_id"].as_str().unwrap().to_owned(), a["class"].as_str().unwrap().to_owned())).collect()
}

/// The account with this id in the document.
fn account(migration: &Value, id: &str) -> Value {
    migration["accounts"].as_array().unwrap().iter().find(|a| a["target_id"] == id).unwrap().clone()
}
