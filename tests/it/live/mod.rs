//! Real directory (slapd) to real SCIM servers (scim2-server, SCIMMY) and the sandbox, by the real binary.

mod again;
mod bodies;
mod changes;
mod cut;
mod first;
mod large;
mod refusals;
mod scope;

use crate::support::directory::{Directory, Person};
use crate::support::recorder::Recorder;
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::slapd::Slapd;
use crate::support::truth::{Snapshot, Truth};
use crate::support::world::{SandboxProcess, ScimReader, World};

/// A SCIM server of any make; ends with the value.
enum Server {
    Real(ScimServer),
    Sandbox(SandboxProcess),
}

impl Server {
    /// scim2-server; `None` where it is not installed.
    fn scim2() -> Option<Self> {
        ScimServer::scim2().map(Self::Real)
    }

    /// SCIMMY; `None` where it is not installed.
    fn scimmy() -> Option<Self> {
        ScimServer::scimmy().map(Self::Real)
    }

    fn sandbox() -> Self {
        Self::Sandbox(SandboxProcess::start(&[]))
    }

    fn url(&self) -> String {
        match self {
            Self::Real(s) => s.url.as_str().trim_end_matches('/').to_owned(),
            Self::Sandbox(s) => s.base_url.clone(),
        }
    }

    fn token(&self) -> String {
        match self {
            Self::Real(_) => TOKEN.to_owned(),
            Self::Sandbox(s) => s.token.clone(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Real(s) => s.name,
            Self::Sandbox(_) => "sandbox",
        }
    }
}

/// slapd -> scim-sync -> recorder -> SCIM server.
struct Live {
    slapd: Slapd,
    server: Server,
    recorder: Recorder,
    reader: ScimReader,
    world: World,
}

impl Live {
    /// `sync` and `target` are TOML below `[[sync]]` and `[target.app]`, `source` below the usual keys of `[source.dir]`.
    fn start(directory: &Directory, server: Server, source: &str, sync: &str) -> Self {
        let slapd = Slapd::start(&directory.to_ldif());
        let recorder = Recorder::start(&server.url());
        let reader = ScimReader::new(&server.url(), &server.token());
        let world = World::new(&recorder.url, &server.token(), sync, "");
        world.write_secret("bind-password", &slapd.password);
        let live = Self { slapd, server, recorder, reader, world };
        live.configure(&live.slapd.ldaps_url, source, sync);
        live
    }

    /// Another URL of the directory, further keys of the source and the sync.
    fn configure(&self, url: &str, source: &str, sync: &str) {
        self.configure_source(&format!("url = \"{url}\"\nca_file = \"{}\"\n{source}", self.slapd.ca_file.display()), sync);
    }

    /// All of the source but type, account and base.
    fn configure_source(&self, source: &str, sync: &str) {
        let bind = if source.contains("bind_dn") { String::new() } else { format!("bind_dn = \"{}\"\n", self.slapd.bind_dn) };
        let source =
            format!("type = \"ldap\"\n{bind}password = {{ file = \"bind-password\" }}\nbase = \"{}\"\n{source}", self.slapd.base);
        self.world.configure(&source, &self.recorder.url, &self.server.token(), sync, "");
    }

    /// `sync --json`; what was recorded before is forgotten.
    fn sync(&self) -> crate::support::world::Run {
        self.recorder.clear();
        self.world.run(&["sync", "--json"])
    }

    /// A cycle that has nothing to do: no write, and nothing read at the target either.
    #[track_caller]
    fn expect_quiet(&self) {
        let cycle = self.sync().expect(0).cycle();
        assert!(crate::support::world::changes(&cycle).is_empty(), "{cycle}");
        self.recorder.expect_silence();
    }

    fn held(&self) -> Truth {
        Truth::held(&self.reader.users(), &self.reader.groups())
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.slapd)
    }

    /// Rows of the state store that a failed read must leave as they are.
    fn rows(&self) -> Vec<String> {
        let store = rusqlite::Connection::open(self.world.path("state.db")).unwrap();
        let mut out = Vec::new();
        for table in ["entry", "entry_name", "member", "link", "pushed_member", "sync", "parked", "held"] {
            let mut rows = store.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = rows.column_count();
            let text = |r: &rusqlite::Row<'_>| {
                (0..columns)
                    .map(|i| r.get::<_, rusqlite::types::Value>(i).map(|v| format!("{v:?}")))
                    .collect::<Result<Vec<_>, _>>()
            };
            let mut found: Vec<String> =
                rows.query_map([], text).unwrap().map(|r| format!("{table} {}", r.unwrap().join(" "))).collect();
            found.sort();
            out.extend(found);
        }
        out
    }
}

/// A directory in which everybody has an address; some are locked, some groups are nested, two hold each other.
fn directory(seed: u64, people: usize, groups: usize, memberships: usize) -> Directory {
    let mut directory = Directory::generate(seed, people, groups, memberships);
    for p in &mut directory.people {
        p.mail = Some(address(p));
    }
    directory
}

fn address(p: &Person) -> String {
    format!("{}@example.org", p.uid)
}
