//! A private Samba AD DC, which stands in for Active Directory: own folder, own network namespace, gone with the value.
//!
//! Its ports are fixed, so it runs where nobody else listens; a relay in there hands connections over socket files. Needs root,
//! Debian's samba-ad-dc and friends (`scripts/test` installs them) and network namespaces; where they are not to be had, the
//! tests say so and skip.
#![allow(clippy::print_stderr)]

use super::door::{Door, To};
use super::slapd::certificates;
use base64::Engine as _;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The domain.
pub const BASE: &str = "DC=corp,DC=example";
/// Password of all service accounts.
pub const PASSWORD: &str = "Passw0rd!svc";

const RELAY: &str = r"
import socket, sys, threading
def copy(a, b):
    try:
        while (d := a.recv(65536)): b.sendall(d)
    except OSError: pass
    finally:
        for s in (a, b):
            try: s.shutdown(socket.SHUT_RDWR)
            except OSError: pass
def serve(path, port):
    l = socket.socket(socket.AF_UNIX); l.bind(path); l.listen(64)
    while True:
        a, _ = l.accept()
        b = socket.socket()
        try: b.connect(('127.0.0.1', port))
        except OSError: a.close(); continue
        for x, y in ((a, b), (b, a)): threading.Thread(target=copy, args=(x, y), daemon=True).start()
for port in (88, 389): threading.Thread(target=serve, args=(sys.argv[1] + '/%d' % port, port), daemon=True).start()
serve(sys.argv[1] + '/636', 636)
";

/// An entry as ldbsearch shows it.
pub type Row = BTreeMap<String, Vec<String>>;

/// A running domain controller.
pub struct Samba {
    /// `ldap://localhost:PORT`, also for StartTLS.
    pub ldap_url: String,
    /// `ldaps://localhost:PORT`.
    pub ldaps_url: String,
    /// The CA that signed its certificate.
    pub ca_file: PathBuf,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Samba {
    /// Provisions a domain, loads `ldif`, starts; `None` (and says why) where that is not possible.
    pub fn start(ldif: &str) -> Option<Self> {
        Self::start_with(ldif, "")
    }

    /// The same, with more lines in `[global]`.
    pub fn start_with(ldif: &str, more: &str) -> Option<Self> {
        let skip = |why: &str| {
            eprintln!("skipped: {why}");
            None
        };
        let runs = |program: &str, args: &[&str]| Command::new(program).args(args).output().is_ok_and(|o| o.status.success());
        if !runs("samba-tool", &["--version"]) || !Path::new("/usr/sbin/samba").exists() || !runs("ldbsearch", &["--help"]) {
            return skip("no samba-ad-dc, samba-ad-provision and ldb-tools here");
        }
        if !runs("id", &["-u"]) || !Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n") {
            return skip("a domain controller needs root");
        }
        if !runs("unshare", &["--net", "--pid", "--fork", "ip", "link", "set", "lo", "up"]) {
            return skip("no network namespaces here");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let dc = path("dc");
        let provision = [
            "domain",
            "provision",
            "--realm=CORP.EXAMPLE",
            "--domain=CORP",
            "--adminpass=Passw0rd!adm",
            "--server-role=dc",
            "--dns-backend=NONE",
            "--host-name=dc1",
            "--option=interfaces=lo",
            "--option=bind interfaces only=yes",
        ];
        let done = Command::new("samba-tool").args(provision).arg(format!("--targetdir={dc}")).output().unwrap();
        if !done.status.success() {
            return skip(&format!("no domain can be provisioned: {}", String::from_utf8_lossy(&done.stderr)));
        }
        certificates(folder.path());
        // Others must not read it, or there is no TLS.
        std::fs::set_permissions(path("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(path("dc/etc/smb.conf"), configuration(&dc, &path, more)).unwrap();
        std::fs::write(path("relay.py"), RELAY).unwrap();
        let mut samba = Self {
            ldap_url: forward(folder.path().join("389")),
            ldaps_url: forward(folder.path().join("636")).replace("ldap:", "ldaps:"),
            ca_file: folder.path().join("ca.pem"),
            folder,
            child: None,
        };
        samba.ldb("ldbadd", &format!("{}{ldif}", service_accounts()));
        // An administrator, and a tombstone that is there from the beginning.
        samba.ldb(
            "ldbmodify",
            &format!(
                "dn: CN=Domain Admins,CN=Users,{BASE}\nchangetype: modify\nadd: member\nmember: CN=svc-admin,CN=Users,{BASE}\n\n\
                 dn: CN=former,CN=Users,{BASE}\nchangetype: delete\n\n"
            ),
        );
        let right = format!("--sddl={}", replication_right(&samba));
        samba.tool(&["dsacl", "set", &format!("--objectdn={BASE}"), &right]);
        samba.run();
        Some(samba)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&mut self) {
        for name in ["88", "389", "636"] {
            let _ = std::fs::remove_file(self.path(name));
        }
        let script = "ip link set lo up; python3 \"$1/relay.py\" \"$1\" & exec samba -i -M single -s \"$1/dc/etc/smb.conf\"";
        let child = Command::new("unshare")
            .args(["--net", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", script, "sh"])
            .arg(self.folder.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.answers() {
            assert!(Instant::now() < deadline, "samba does not answer");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn answers(&self) -> bool {
        let who = "svc-plain@corp.example";
        Command::new("ldapsearch")
            .args(["-x", "-H", &self.ldaps_url, "-D", who, "-w", PASSWORD, "-s", "base", "-b", "", "1.1"])
            .env("LDAPTLS_REQCERT", "never")
            .output()
            .unwrap()
            .status
            .success()
    }

    /// Stops it, and starts it again after `meanwhile`.
    pub fn restart(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.stop();
        meanwhile(self);
        self.run();
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `samba-tool` on its database; what it prints.
    pub fn tool(&self, args: &[&str]) -> String {
        let config = format!("--configfile={}", self.path("dc/etc/smb.conf").display());
        let database = format!("--URL={}", self.path("dc/private/sam.ldb").display());
        let done = Command::new("samba-tool").args(args).args([config, database]).output().unwrap();
        good(&args.join(" "), &done)
    }

    /// `ldbadd` or `ldbmodify` with this LDIF.
    pub fn ldb(&self, program: &str, ldif: &str) {
        let file = self.path("input.ldif");
        std::fs::write(&file, ldif).unwrap();
        let config = format!("--configfile={}", self.path("dc/etc/smb.conf").display());
        let done = Command::new(program).arg("-H").arg(self.path("dc/private/sam.ldb")).arg(config).arg(&file).output().unwrap();
        good(program, &done);
    }

    /// Entries that match, as ldbsearch shows them.
    pub fn search(&self, filter: &str, attributes: &[&str]) -> Vec<Row> {
        let config = format!("--configfile={}", self.path("dc/etc/smb.conf").display());
        let done = Command::new("ldbsearch")
            .arg("-H")
            .arg(self.path("dc/private/sam.ldb"))
            .args([&config, "-b", BASE, filter])
            .args(attributes)
            .output()
            .unwrap();
        rows(&good("ldbsearch", &done))
    }

    /// A way in that can be shut. Without TLS, for which the domain has to be started so.
    pub fn door(&self, hides: Option<&'static str>) -> Door {
        Door::open(To::Socket(self.path("389")), hides)
    }

    /// A keytab with the keys of this account, or service, as they are now.
    pub fn keytab(&self, principal: &str, name: &str) -> PathBuf {
        let file = self.path(name);
        let _ = std::fs::remove_file(&file);
        let config = format!("--configfile={}", self.path("dc/etc/smb.conf").display());
        let principal = format!("--principal={principal}");
        let done =
            Command::new("samba-tool").args(["domain", "exportkeytab"]).arg(&file).args([principal, config]).output().unwrap();
        good("exportkeytab", &done);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// A `krb5.conf` by which this domain's KDC is found (where `server services` has `kdc`), with more lines in `[libdefaults]`.
    pub fn krb5_conf(&self, name: &str, more: &str) -> PathBuf {
        let kdc = forward(self.path("88")).replace("ldap://localhost", "127.0.0.1");
        let file = self.path(name);
        let text = format!(
            "[libdefaults]\ndefault_realm = CORP.EXAMPLE\ndns_lookup_kdc = false\ndns_lookup_realm = false\n\
             udp_preference_limit = 1\n{more}\n[realms]\nCORP.EXAMPLE = {{\n  kdc = {kdc}\n}}\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// The `[source.NAME]` that reads it as this account.
    pub fn source(&self, account: &str) -> String {
        format!(
            "type = \"ldap\"\nurl = \"{}\"\nca_file = \"{}\"\nbind_dn = \"{account}@corp.example\"\n\
             password = {{ file = \"bind-password\" }}\nbase = \"{BASE}\"",
            self.ldaps_url,
            self.ca_file.display()
        )
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        self.stop();
    }
}

fn good(what: &str, done: &Output) -> String {
    assert!(done.status.success(), "{what}: {}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Accounts that bind: with no right, with the replication right, an administrator; and one that has left.
fn service_accounts() -> String {
    let password: Vec<u8> = format!("\"{PASSWORD}\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let password = base64::engine::general_purpose::STANDARD.encode(password);
    let account = |name: &str| {
        format!(
            "dn: CN={name},CN=Users,{BASE}\nobjectClass: user\nsAMAccountName: {name}\nuserPrincipalName: {name}@corp.example\n\
             unicodePwd:: {password}\nuserAccountControl: 512\n\n"
        )
    };
    ["svc-plain", "svc-repl", "svc-admin", "former"].map(account).concat()
}

/// "Replicating Directory Changes" (DS-Replication-Get-Changes) for `svc-repl`, as an ACE.
fn replication_right(samba: &Samba) -> String {
    let row = samba.search("(sAMAccountName=svc-repl)", &["objectSid"]).remove(0);
    format!("(OA;;CR;1131f6aa-9c07-11d1-f79f-00c04fc2dcd2;;{})", row["objectsid"][0])
}

fn configuration(dc: &str, path: &impl Fn(&str) -> String, more: &str) -> String {
    for folder in ["run", "cache"] {
        std::fs::create_dir_all(path(&format!("dc/{folder}"))).unwrap();
    }
    format!(
        "[global]\nnetbios name = DC1\nrealm = CORP.EXAMPLE\nworkgroup = CORP\nserver role = active directory domain controller\n\
         server services = ldap\nprivate dir = {dc}/private\nlock directory = {dc}\ncache directory = {dc}/cache\n\
         state directory = {dc}/state\nbinddns dir = {dc}/bind-dns\npid directory = {dc}/run\nncalrpc dir = {dc}/ncalrpc\n\
         ntp signd socket directory = {dc}/ntp\nlog file = {dc}/log.samba\ninterfaces = lo\nbind interfaces only = yes\n\
         tls keyfile = {}\ntls certfile = {}\ntls cafile = {}\n{more}[sysvol]\npath = {dc}/state/sysvol\nread only = no\n",
        path("key.pem"),
        path("cert.pem"),
        path("ca.pem")
    )
}

/// A port whose connections go on to a socket file.
fn forward(to: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = UnixStream::connect(&to) else { continue };
            let _ = join(&client, &server);
        }
    });
    format!("ldap://localhost:{port}")
}

fn join(client: &TcpStream, server: &UnixStream) -> std::io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    Ok(())
}

/// LDIF as ldbsearch writes it; names of attributes in lower case.
fn rows(ldif: &str) -> Vec<Row> {
    let unfolded = ldif.replace("\n ", "");
    let mut rows = Vec::new();
    for block in unfolded.split("\n\n") {
        let mut row = Row::new();
        for line in block.lines().filter(|l| !l.starts_with('#')) {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = match value.strip_prefix(':') {
                Some(coded) => {
                    let octets = base64::engine::general_purpose::STANDARD.decode(coded.trim()).unwrap_or_default();
                    String::from_utf8_lossy(&octets).into_owned()
                }
                None => value.trim_start().to_owned(),
            };
            row.entry(name.to_lowercase()).or_default().push(value);
        }
        if row.contains_key("dn") {
            rows.push(row);
        }
    }
    rows
}
