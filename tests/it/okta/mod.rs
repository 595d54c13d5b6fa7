//! Okta as a source: the real binary, an organisation of our own, the sandbox.

mod assigned;
mod cycles;
mod judges;
mod memory;
mod pitfalls;
mod random;
mod sign_in;
mod specs;
mod system_log;
mod trouble;

use crate::support::fake_okta::{Asked, FakeOkta};
use crate::support::world::{SandboxProcess, ScimReader, World};
use serde_json::Value;
use std::collections::BTreeMap;

const TOKEN: &str = "00secretToken1";

/// Nothing is held: these tests are not about the guard.
const FREE: &str = "[sync.guard]\ndeactivate = \"unlimited\"\nrename = \"unlimited\"\ngroup_delete = \"unlimited\"\n\
                    members_remove_per_group = \"unlimited\"\nsource_shrink = \"unlimited\"\ndelete = \"unlimited\"\nrecreate = \"unlimited\"\n";

/// An organisation, a sandbox, and the program between them.
struct Setting {
    okta: FakeOkta,
    sandbox: SandboxProcess,
    world: World,
    /// Address and token of the application.
    target: (String, String),
}

impl Setting {
    fn new() -> Self {
        Self::with("", FREE)
    }

    /// `source`: TOML below `[source.dir]`; `sync`: below `[[sync]]`.
    fn with(source: &str, sync: &str) -> Self {
        let setting = Self::behind(None);
        setting.configure(source, sync);
        setting
    }

    /// With something at this address before the organisation; not configured yet.
    fn behind(address: Option<String>) -> Self {
        let (okta, sandbox) = (FakeOkta::start_behind(TOKEN, address), SandboxProcess::start(&[]));
        let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
        let target = (sandbox.base_url.clone(), sandbox.token.clone());
        Self { okta, sandbox, world, target }
    }

    fn configure(&self, source: &str, sync: &str) {
        self.world.write_secret("okta-token", TOKEN);
        let auth = if source.contains("client_id") { "" } else { "token = { file = \"okta-token\" }" };
        let source = format!("type = \"okta\"\nurl = \"{}\"\n{auth}\n{source}", self.okta.url);
        self.world.configure(&source, &self.target.0, &self.target.1, sync, "");
    }

    /// `sync --json`, which must end well; the cycle.
    #[track_caller]
    fn sync(&self, args: &[&str]) -> Value {
        let run = self.world.run(&[&["sync", "--json"], args].concat());
        run.expect(0).cycle()
    }

    fn reader(&self) -> ScimReader {
        ScimReader::new(&self.target.0, &self.target.1)
    }

    /// externalId -> account.
    fn accounts(&self) -> BTreeMap<String, Value> {
        let of = |u: Value| (u["externalId"].as_str().unwrap_or_default().to_owned(), u);
        self.reader().users().into_iter().map(of).collect()
    }

    fn is_active(&self, id: &str) -> bool {
        self.accounts()[id]["active"] == true
    }

    /// Compares what the sandbox holds with what the organisation does: everybody who is active there and whom `assigned`
    /// names (all: `None`) has an active account with these values, nobody else has; groups have these members.
    #[track_caller]
    fn expect_in_step(&self, app: Option<&str>) {
        let state = self.okta.state();
        let org = &state.org;
        let assigned = app.map(|a| org.assigned(a));
        let accounts = self.accounts();
        let takes_part = |id: &String| assigned.as_ref().is_none_or(|a| a.contains(id));
        let mut names: BTreeMap<&String, &str> = BTreeMap::new();
        for (id, user) in &org.users {
            let account = accounts.get(id);
            if !(user.status.is_active() && takes_part(id)) {
                assert!(account.is_none_or(|a| a["active"] == false), "{id} {:?}: {account:?}", user.status);
                continue;
            }
            let account = account.unwrap_or_else(|| panic!("{id} {user:?} has no account"));
            assert_eq!(account["active"], true, "{id} {user:?}");
            assert_eq!(account["userName"], user.profile["email"], "{id}");
            assert_eq!(account["name"]["givenName"], user.profile["firstName"], "{id}");
            names.insert(id, user.profile["email"].as_str().unwrap());
        }
        for (id, account) in &accounts {
            assert!(org.users.contains_key(id) || account["active"] == false, "{id} is deleted: {account}");
        }
        let active: Vec<&str> = names.values().copied().collect();
        let there: BTreeMap<String, Vec<String>> = self.reader().memberships();
        let there =
            there.into_iter().map(|(g, m)| (g, m.into_iter().filter(|n| active.contains(&n.as_str())).collect::<Vec<_>>()));
        let wanted = org.groups.iter().filter(|(id, _)| app.is_none_or(|a| org.apps[a].groups.contains(*id)));
        let wanted = wanted.map(|(_, g)| {
            let mut members: Vec<String> = g.members.iter().filter_map(|m| names.get(m).map(|n| (*n).to_owned())).collect();
            members.sort();
            (g.name.clone(), members)
        });
        assert_eq!(there.collect::<BTreeMap<_, _>>(), wanted.collect::<BTreeMap<_, _>>());
    }
}
