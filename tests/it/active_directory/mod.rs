//! Active Directory, as far as a real Samba AD DC stands in for it, into real SCIM servers by the real binary.

mod changes;
mod fail_over;
mod full;
mod kerberos;
mod ranges;

use crate::support::samba::{BASE, PASSWORD, Row, Samba};
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::world::{Run, SandboxProcess, ScimReader, World};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Below `[[sync]]`: service accounts and built-in groups take no part.
const SYNC: &str =
    "[sync.scope]\nusers = 'mail pr'\ngroups = 'cn sw \"app-\"'\n[sync.guard]\nmembers_remove_per_group = \"unlimited\"\n";

/// A domain with people and groups.
struct Domain {
    people: usize,
    groups: usize,
}

impl Domain {
    /// Everything that can be loaded at once: people, then groups whose members are there already. `app-000` has everybody;
    /// `app-001` holds `app-002`, and so on for four levels; `app-005` also holds a computer, a contact and a foreign
    /// security principal.
    fn ldif(&self) -> String {
        let mut out = String::new();
        for unit in ["People", "Elsewhere", "Groups"] {
            let _ = write!(out, "dn: OU={unit},{BASE}\nobjectClass: organizationalUnit\n\n");
        }
        for i in 0..self.people {
            // Password not required: 0x20; disabled: 0x2.
            let control = if i % 37 == 0 { 546 } else { 544 };
            let _ = write!(
                out,
                "dn: {}\nobjectClass: user\nsAMAccountName: u{i:05}\nuserPrincipalName: u{i:05}@corp.example\nmail: u{i:05}@corp.example\n\
                 givenName: Given{i}\nsn: Familie{i}\ndisplayName: Given{i} Familie{i}\ntitle: T{}\nuserAccountControl: {control}\n",
                person(i),
                i % 7
            );
            if i % 41 == 1 {
                // 2001-01-01: expired long ago, without a flag.
                out.push_str("accountExpires: 126227808000000000\n");
            }
            out.push('\n');
        }
        let _ = write!(out, "dn: CN=box,CN=Computers,{BASE}\nobjectClass: computer\nsAMAccountName: box$\n\n");
        let _ = write!(out, "dn: CN=partner,OU=Elsewhere,{BASE}\nobjectClass: contact\nmail: partner@other.example\n\n");
        for g in (0..self.groups).rev() {
            let _ = write!(out, "dn: {}\nobjectClass: group\nsAMAccountName: app-{g:03}\n", group(g));
            let members: BTreeSet<usize> = match g {
                0 => (0..self.people).collect(),
                _ => (0..20).map(|k| (g * 101 + k * 13) % self.people).collect(),
            };
            for m in members {
                let _ = writeln!(out, "member: {}", person(m));
            }
            match g {
                1..=4 => out.push_str(&format!("member: {}\n", group(g + 1))),
                5 => out.push_str(&format!("member: CN=box,CN=Computers,{BASE}\nmember: CN=partner,OU=Elsewhere,{BASE}\n")),
                _ => {}
            }
            out.push('\n');
        }
        out
    }

    /// Starts a domain controller with it. `app-005` closes the circle of nested groups; `app-010` becomes the primary group
    /// of ten of its members.
    fn start(&self) -> Option<Samba> {
        self.start_with("")
    }

    fn start_with(&self, more: &str) -> Option<Samba> {
        let samba = Samba::start_with(&self.ldif(), more)?;
        let mut changes = format!("dn: {}\nchangetype: modify\nadd: member\nmember: {}\n\n", group(5), group(1));
        let row = samba.search("(sAMAccountName=app-010)", &["objectSid", "member"]).remove(0);
        let rid = rid(&row);
        for member in row["member"].iter().take(10) {
            let _ = write!(changes, "dn: {member}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {rid}\n\n");
        }
        samba.ldb("ldbmodify", &changes);
        Some(samba)
    }
}

fn person(i: usize) -> String {
    format!("CN=Person {i:05},OU=People,{BASE}")
}

fn group(g: usize) -> String {
    format!("CN=app-{g:03},OU=Groups,{BASE}")
}

fn rid(row: &Row) -> &str {
    row["objectsid"][0].rsplit('-').next().unwrap()
}

/// What the directory holds by ldbsearch, worked out without the code under test.
struct Truth {
    /// userName -> displayName of whoever is active.
    people: BTreeMap<String, String>,
    /// Group -> userNames.
    groups: BTreeMap<String, Vec<String>>,
}

impl Truth {
    fn of(samba: &Samba) -> Self {
        let wanted = ["mail", "displayName", "userAccountControl", "accountExpires", "primaryGroupID"];
        let rows = samba.search("(&(objectCategory=person)(objectClass=user)(mail=*))", &wanted);
        let active = |row: &&Row| {
            row["useraccountcontrol"][0].parse::<u32>().unwrap() & 2 == 0 && row["accountexpires"][0] != "126227808000000000"
        };
        let active: Vec<&Row> = rows.iter().filter(active).collect();
        let by_dn: BTreeMap<String, &str> = active.iter().map(|r| (r["dn"][0].to_lowercase(), r["mail"][0].as_str())).collect();
        let groups = samba.search("(&(objectClass=group)(cn=*))", &["cn", "member", "objectSid"]);
        let groups: BTreeMap<String, &Row> = groups.iter().map(|r| (r["dn"][0].to_lowercase(), r)).collect();
        let mut memberships = BTreeMap::new();
        for (dn, row) in groups.iter().filter(|(_, r)| r["cn"][0].starts_with("app-")) {
            let (mut members, mut visited, mut stack) = (BTreeSet::new(), BTreeSet::from([dn.clone()]), vec![dn.clone()]);
            while let Some(next) = stack.pop() {
                let row = groups[&next];
                let primary = active.iter().filter(|p| p["primarygroupid"][0] == rid(row)).map(|p| p["mail"][0].clone());
                members.extend(primary);
                for member in row.get("member").into_iter().flatten().map(|m| m.to_lowercase()) {
                    members.extend(by_dn.get(&member).map(|mail| (*mail).to_owned()));
                    if groups.contains_key(&member) && visited.insert(member.clone()) {
                        stack.push(member);
                    }
                }
            }
            memberships.insert(row["cn"][0].clone(), members.into_iter().collect());
        }
        let people = active.iter().map(|r| (r["mail"][0].clone(), r["displayname"][0].clone())).collect();
        Self { people, groups: memberships }
    }

    /// Asserts that the target holds this.
    #[track_caller]
    fn expect(&self, reader: &ScimReader) {
        let users = reader.users_by_name();
        let active = users.iter().filter(|(_, u)| u["active"] == true);
        let people: BTreeMap<String, String> =
            active.map(|(name, u)| (name.clone(), u["displayName"].as_str().unwrap_or_default().to_owned())).collect();
        assert_eq!(people, self.people);
        let active = |names: Vec<String>| names.into_iter().filter(|n| people.contains_key(n)).collect::<Vec<_>>();
        let groups: BTreeMap<String, Vec<String>> = reader.memberships().into_iter().map(|(g, m)| (g, active(m))).collect();
        assert_eq!(groups, self.groups);
    }
}

/// Samba -> scim-sync -> target.
struct Ad {
    samba: Samba,
    world: World,
    reader: ScimReader,
    _real: Option<ScimServer>,
    sandbox: Option<SandboxProcess>,
}

impl Ad {
    /// Into scim2-server where it is installed and `real`, else into the sandbox.
    fn new(samba: Samba, account: &str, real: bool) -> Self {
        let source = samba.source(account);
        Self::by(samba, &source, real)
    }

    /// The same by a `[source.NAME]` of its own.
    fn by(samba: Samba, source: &str, real: bool) -> Self {
        let scim2 = if real { ScimServer::scim2() } else { None };
        let sandbox = scim2.is_none().then(|| SandboxProcess::start(&[]));
        let (url, token) = match (&scim2, &sandbox) {
            (Some(s), _) => (s.url.as_str().trim_end_matches('/').to_owned(), TOKEN.to_owned()),
            (None, Some(s)) => (s.base_url.clone(), s.token.clone()),
            (None, None) => unreachable!(),
        };
        let world = World::new(&url, &token, "", "");
        world.write_secret("bind-password", PASSWORD);
        world.configure(source, &url, &token, SYNC, "");
        Self { samba, world, reader: ScimReader::new(&url, &token), _real: scim2, sandbox }
    }

    fn sync(&self) -> Run {
        self.world.run(&["sync", "--json"])
    }

    #[track_caller]
    fn expect_truth(&self) {
        Truth::of(&self.samba).expect(&self.reader);
    }
}
