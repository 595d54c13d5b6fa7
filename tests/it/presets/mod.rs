//! The named applications, end to end: a real directory, the sandbox behaving as the application does, the real binary.
//! Every refusal of the application's guide is provoked, and the words of the report are checked.

mod andmoney;
mod dialect;
mod email_userid;
mod gitlab;
mod groups;
mod mews;
mod mezmo;
mod rehearse;

use crate::support::directory::Directory;
use crate::support::slapd::Slapd;
use crate::support::world::{Run, SandboxProcess, ScimReader, World};
use serde_json::{Value, json};

/// slapd -> scim-sync -> the sandbox with a preset.
struct Known {
    slapd: Slapd,
    sandbox: SandboxProcess,
    target: ScimReader,
    world: World,
    directory: Directory,
}

impl Known {
    /// 200 people, all with an address and none locked; 12 groups.
    fn directory() -> Directory {
        let mut directory = Directory::generate(11, 200, 12, 300);
        for p in &mut directory.people {
            p.mail = Some(format!("{}@example.org", p.uid));
            p.locked = false;
        }
        directory
    }

    fn start(preset: &str, sandbox: &[&str], sync: &str) -> Self {
        Self::with(Self::directory(), preset, sandbox, sync)
    }

    fn with(directory: Directory, preset: &str, sandbox: &[&str], sync: &str) -> Self {
        let slapd = Slapd::start(&directory.to_ldif());
        let sandbox = SandboxProcess::start(&[&["--preset", preset], sandbox].concat());
        let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
        let known = Self { slapd, sandbox, target, world, directory };
        known.configure(preset, sync);
        known
    }

    fn configure(&self, preset: &str, sync: &str) {
        self.world.write_secret("bind-password", &self.slapd.password);
        let source = format!(
            "type = \"ldap\"\nurl = \"{}\"\nbind_dn = \"{}\"\npassword = {{ file = \"bind-password\" }}\nbase = \"{}\"",
            self.slapd.ldap_url, self.slapd.bind_dn, self.slapd.base
        );
        let url = &self.sandbox.base_url;
        self.world.configure(&source, url, &self.sandbox.token, sync, &format!("preset = \"{preset}\""));
    }

    fn sync(&self) -> Run {
        self.sandbox.reset_counters();
        self.world.run(&["sync", "--json"])
    }

    fn mail(&self, i: usize) -> String {
        self.directory.people[i].mail.clone().unwrap()
    }

    /// Replaces an attribute of a person in the directory; `None` removes it.
    fn modify(&self, i: usize, attribute: &str, value: Option<&str>) {
        use base64::Engine as _;
        let encode = |s: &str| base64::engine::general_purpose::STANDARD.encode(s);
        let dn = encode(&self.directory.people[i].dn);
        let value = value.map(|v| format!("{attribute}:: {}\n", encode(v))).unwrap_or_default();
        self.slapd.modify(&format!("dn:: {dn}\nchangetype: modify\nreplace: {attribute}\n{value}\n"));
    }

    /// Trouble with the application, from now on.
    fn trouble(&self, trouble: &Value) {
        let root = self.sandbox.base_url.trim_end_matches("/scim/v2").to_owned();
        let answer = reqwest::blocking::Client::new().put(format!("{root}/_sandbox/trouble")).json(trouble).send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().unwrap());
    }
}

/// The parked record of somebody.
#[track_caller]
fn parked<'a>(cycle: &'a Value, who: &str) -> &'a Value {
    let all = cycle["parked"].as_array().unwrap();
    all.iter().find(|p| p["who"] == who).unwrap_or_else(|| panic!("{who} is not parked: {}", cycle["parked"]))
}

/// Asserts that a text holds all of these words.
#[track_caller]
fn says(text: &Value, words: &[&str]) {
    let text = text.as_str().unwrap_or_default();
    for word in words {
        assert!(text.contains(word), "{word:?} is not said: {text}");
    }
}

/// A whole account as Mews and others keep it.
fn account(name: &str, given: &str, family: &str) -> Value {
    json!({"userName": name, "active": true, "name": {"givenName": given, "familyName": family}})
}
