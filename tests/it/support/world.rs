//! A world for scenarios: a folder with configuration, source file and state store; the sandbox and the real binary as
//! child processes.

use super::slapd::Slapd;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_scim-sync")
}

/// The sandbox as a child process; killed when dropped.
pub struct SandboxProcess {
    child: Child,
    /// SCIM base URL.
    pub base_url: String,
    pub token: String,
    http: reqwest::blocking::Client,
}

impl SandboxProcess {
    pub fn start(extra: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["sandbox", "--listen", "127.0.0.1:0", "--token", "sandbox-token"])
            .args(extra)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (base_url, token) = line.trim().split_once(' ').unwrap();
        Self { child, base_url: base_url.to_owned(), token: token.to_owned(), http: reqwest::blocking::Client::new() }
    }

    fn root(&self) -> String {
        self.base_url.trim_end_matches("/scim/v2").to_owned()
    }

    /// Counters: users, groups, requests, writes, last.
    pub fn stats(&self) -> Value {
        self.http.get(format!("{}/_sandbox", self.root())).send().unwrap().json().unwrap()
    }

    pub fn reset_counters(&self) {
        self.http.post(format!("{}/_sandbox/reset-counters", self.root())).send().unwrap().error_for_status().unwrap();
    }

    /// Requests since the last reset.
    pub fn requests(&self) -> u64 {
        self.stats()["requests"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum()
    }

    pub fn writes(&self) -> u64 {
        self.stats()["writes"].as_u64().unwrap()
    }

    /// From now on only this token is accepted.
    pub fn set_token(&mut self, token: &str) {
        let url = format!("{}/_sandbox/token", self.root());
        self.http.put(url).json(&json!({ "token": token })).send().unwrap().error_for_status().unwrap();
        self.token = token.to_owned();
    }
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An independent reader of a SCIM server: plain requests, no code of the client under test.
pub struct ScimReader {
    base: String,
    token: String,
    http: reqwest::blocking::Client,
}

impl ScimReader {
    pub fn new(base: &str, token: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), token: token.to_owned(), http: reqwest::blocking::Client::new() }
    }

    /// The whole collection, page by page.
    pub fn all(&self, collection: &str) -> Vec<Value> {
        let mut out: Vec<Value> = Vec::new();
        loop {
            let url = format!("{}/{collection}?startIndex={}&count=200", self.base, out.len() + 1);
            // The sandbox may refuse on purpose: an independent reader is patient.
            let page = (0..200).find_map(|_| {
                let answer = self.http.get(&url).bearer_auth(&self.token).send().ok();
                let page = answer.filter(|a| a.status().is_success()).and_then(|a| a.json::<Value>().ok());
                if page.is_none() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                page
            });
            let page = page.expect("the server does not answer");
            let rows = page["Resources"].as_array().cloned().unwrap_or_default();
            let total = usize::try_from(page["totalResults"].as_u64().unwrap()).unwrap();
            let got = rows.len();
            out.extend(rows);
            if out.len() >= total || got == 0 {
                assert_eq!(out.len(), total, "rows of {collection}");
                return out;
            }
        }
    }

    pub fn users(&self) -> Vec<Value> {
        self.all("Users")
    }

    pub fn groups(&self) -> Vec<Value> {
        self.all("Groups")
    }

    /// userName (lower case) -> user. Panics where two have one name.
    pub fn users_by_name(&self) -> BTreeMap<String, Value> {
        let mut out = BTreeMap::new();
        for u in self.users() {
            let name = u["userName"].as_str().unwrap().to_lowercase();
            assert!(out.insert(name.clone(), u).is_none(), "two accounts named {name}");
        }
        out
    }

    pub fn user(&self, name: &str) -> Option<Value> {
        self.users_by_name().remove(&name.to_lowercase())
    }

    /// displayName -> sorted userNames of its members.
    pub fn memberships(&self) -> BTreeMap<String, Vec<String>> {
        let names: BTreeMap<String, String> = self
            .users()
            .into_iter()
            .map(|u| (u["id"].as_str().unwrap().to_owned(), u["userName"].as_str().unwrap().to_owned()))
            .collect();
        self.groups()
            .into_iter()
            .map(|g| {
                let members = g["members"].as_array().cloned().unwrap_or_default();
                let mut who: Vec<String> =
                    members.iter().map(|m| names.get(m["value"].as_str().unwrap()).cloned().unwrap_or_default()).collect();
                who.sort();
                (g["displayName"].as_str().unwrap().to_owned(), who)
            })
            .collect()
    }
}

/// Exit code and output of one run.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The JSON document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The one cycle of `sync --json`.
    pub fn cycle(&self) -> Value {
        self.json()["cycles"][0].clone()
    }

    /// The one plan of `plan --json`.
    pub fn plan(&self) -> Value {
        self.json()["plans"][0].clone()
    }
}

impl From<Output> for Run {
    fn from(o: Output) -> Self {
        Self {
            code: o.status.code().unwrap_or(-1),
            stdout: String::from_utf8(o.stdout).unwrap(),
            stderr: String::from_utf8(o.stderr).unwrap(),
        }
    }
}

/// One person of a file source (JSON form); attributes by name.
pub type Person = BTreeMap<String, Value>;

/// A folder in which the program runs.
pub struct World {
    pub dir: tempfile::TempDir,
    /// People by id.
    pub people: BTreeMap<String, Person>,
    /// Groups by id: display name, member ids.
    pub groups: BTreeMap<String, (String, Vec<String>)>,
    /// The program that runs here.
    pub program: PathBuf,
    /// What else stands in its environment.
    pub environment: BTreeMap<&'static str, PathBuf>,
}

impl World {
    /// A world whose source is `people.json` and whose target is at `url`. `sync` is TOML below `[[sync]]` (after name,
    /// source, target), `target` TOML below `[target.app]`.
    pub fn new(url: &str, token: &str, sync: &str, target: &str) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            program: binary().into(),
            environment: BTreeMap::new(),
        };
        let source = "type = \"file\"\npath = \"people.json\"";
        world.configure(source, url, token, sync, target);
        world
    }

    /// Writes `config.toml` and the token file.
    pub fn configure(&self, source: &str, url: &str, token: &str, sync: &str, target: &str) {
        self.write_secret("token", token);
        let config = format!(
            "version = 1\n[state]\npath = \"state.db\"\n[source.dir]\n{source}\n[target.app]\nurl = \"{url}\"\n\
             token = {{ file = \"token\" }}\n{target}\n[[sync]]\nname = \"s\"\nsource = \"dir\"\ntarget = \"app\"\n{sync}\n"
        );
        std::fs::write(self.path("config.toml"), config).unwrap();
    }

    /// With a real directory as source.
    pub fn configure_slapd(&self, slapd: &Slapd, sandbox: &SandboxProcess, sync: &str) {
        self.configure(&self.slapd_source(slapd), &sandbox.base_url, &sandbox.token, sync, "");
    }

    /// A real directory as source; its password is in a file.
    pub fn slapd_source(&self, slapd: &Slapd) -> String {
        self.write_secret("bind-password", &slapd.password);
        format!(
            "type = \"ldap\"\nurl = \"{}\"\nbind_dn = \"{}\"\npassword = {{ file = \"bind-password\" }}\nbase = \"{}\"",
            slapd.ldap_url, slapd.bind_dn, slapd.base
        )
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that only its owner reads.
    pub fn write_secret(&self, name: &str, value: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.path(name), value).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// `n` people p0..: mail, names, department.
    pub fn populate(&mut self, n: usize) {
        for i in 0..n {
            self.join(&format!("p{i:05}"));
        }
    }

    /// A new person with this id.
    pub fn join(&mut self, id: &str) {
        let person = [
            ("mail", format!("{id}@corp.example")),
            ("givenName", format!("Given {id}")),
            ("sn", format!("Family {id}")),
            ("displayName", format!("Given {id} Family")),
            ("department", "Sales".to_owned()),
        ];
        self.people.insert(id.to_owned(), person.into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect());
    }

    pub fn set(&mut self, id: &str, attribute: &str, value: impl Into<Value>) {
        self.people.get_mut(id).unwrap().insert(attribute.to_owned(), value.into());
    }

    pub fn leave(&mut self, id: &str) {
        self.people.remove(id).unwrap();
        for (_, members) in self.groups.values_mut() {
            members.retain(|m| m != id);
        }
    }

    pub fn group(&mut self, id: &str, members: &[&str]) {
        self.groups.insert(id.to_owned(), (format!("Group {id}"), members.iter().map(|m| (*m).to_owned()).collect()));
    }

    /// Writes `people.json`.
    pub fn save(&self) {
        let users: Vec<Value> = self
            .people
            .iter()
            .map(|(id, p)| {
                let mut o = json!(p);
                o["id"] = json!(id);
                o
            })
            .collect();
        let groups: Vec<Value> =
            self.groups.iter().map(|(id, (name, members))| json!({"id": id, "displayName": name, "members": members})).collect();
        std::fs::write(self.path("people.json"), json!({"users": users, "groups": groups}).to_string()).unwrap();
    }

    /// A command of the program, in the world's folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(&self.program);
        c.envs(&self.environment)
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        c.env_remove("SCIM_SYNC_CONFIG");
        c
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// Saves the source and runs `sync --json`.
    pub fn sync(&self) -> Run {
        self.save();
        self.run(&["sync", "--json"])
    }

    /// Saves the source and runs `plan --json`.
    pub fn plan(&self) -> Run {
        self.save();
        self.run(&["plan", "--json"])
    }

    /// Every file below the folder, with its bytes: for looking for secrets.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(dir: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, out);
                } else {
                    out.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut out = Vec::new();
        walk(self.dir.path(), &mut out);
        out
    }
}

/// The kinds of `counts` that are not zero, without `unchanged` and `out_of_scope`.
pub fn changes(document: &Value) -> BTreeMap<String, u64> {
    document["counts"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(k, v)| *k != "unchanged" && *k != "out_of_scope" && v.as_u64() != Some(0))
        .map(|(k, v)| (k.clone(), v.as_u64().unwrap()))
        .collect()
}

/// `changes` as a map, for assertions.
pub fn expected(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
}
