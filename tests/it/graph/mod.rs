//! Microsoft Graph as a source: a fake tenant, the real binary, the sandbox or a real SCIM server.

mod assigned;
mod changes;
mod check;
mod faults;
mod first;
mod judges;
mod random;
mod scale;
mod sign_in;
mod specs;

use crate::support::fake_graph::{FakeGraph, tenant::Tenant};
use crate::support::world::{Run, SandboxProcess, ScimReader, World};
use std::collections::{BTreeMap, BTreeSet};

/// Nothing is held: what these tests change at once is more than anybody should.
const FREE: &str = "[sync.guard]\ndeactivate = \"unlimited\"\ndelete = \"unlimited\"\ngroup_delete = \"unlimited\"\n\
                    members_remove_per_group = \"unlimited\"\nrename = \"unlimited\"\nrecreate = \"unlimited\"\nsource_shrink = \"unlimited\"\n";

/// Tenant -> scim-sync -> sandbox.
struct Setup {
    fake: FakeGraph,
    sandbox: SandboxProcess,
    reader: ScimReader,
    world: World,
}

impl Setup {
    /// `source` and `sync` are TOML below `[source.dir]` and `[[sync]]`.
    fn new(tenant: Tenant, source: &str, sync: &str) -> Self {
        Self::of(FakeGraph::start(tenant), source, sync)
    }

    /// The same through a proxy at `address`.
    fn behind(tenant: Tenant, address: &str, source: &str, sync: &str) -> Self {
        Self::of(FakeGraph::start_behind(tenant, Some(address)), source, sync)
    }

    fn of(fake: FakeGraph, source: &str, sync: &str) -> Self {
        let sandbox = SandboxProcess::start(&[]);
        let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
        world.write_secret("graph-secret", "s3cret-of-client-1");
        let setup = Self { fake, sandbox, reader, world };
        setup.configure(source, sync);
        setup
    }

    fn configure(&self, source: &str, sync: &str) {
        let source = format!("{}client_secret = {{ file = \"graph-secret\" }}\n{source}", self.fake.source());
        let sync = if sync.contains("[sync.guard]") { sync.to_owned() } else { format!("{sync}\n{FREE}") };
        self.world.configure(&source, &self.sandbox.base_url, &self.sandbox.token, &sync, "");
    }

    /// `sync --json`; requests before are forgotten.
    fn sync(&self) -> Run {
        self.fake.clear();
        self.world.run(&["sync", "--json"])
    }

    /// A cycle that ends well; which kind of read it made.
    #[track_caller]
    fn cycle(&self) -> String {
        let cycle = self.sync().expect(0).cycle();
        cycle["read"].as_str().unwrap().to_owned()
    }

    /// userNames of the active accounts.
    fn active(&self) -> BTreeSet<String> {
        self.reader
            .users()
            .iter()
            .filter(|u| u["active"] != false)
            .map(|u| u["userName"].as_str().unwrap().to_lowercase())
            .collect()
    }

    /// The members that are active, by displayName of their group.
    fn memberships(&self) -> BTreeMap<String, Vec<String>> {
        let active = self.active();
        let mut all = self.reader.memberships();
        for who in all.values_mut() {
            who.retain(|w| active.contains(&w.to_lowercase()));
        }
        all
    }

    /// The target holds what the tenant says.
    #[track_caller]
    fn expect_as_tenant(&self) {
        let (names, groups) = {
            let tenant = self.fake.tenant();
            (tenant.active_names(), tenant.memberships())
        };
        assert_eq!(self.active(), names);
        assert_eq!(self.memberships(), groups);
        self.fake.expect_no_offence();
    }

    /// Requests to Graph of the last cycle, without their queries.
    fn paths(&self) -> Vec<String> {
        self.fake.graph_requests().iter().map(|r| r.split('?').next().unwrap().to_owned()).collect()
    }
}
