//! A private OpenLDAP server: own folder, own ports, own CA, gone with the value.

use super::directory::BASE;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROOT_DN: &str = "cn=root,dc=example,dc=org";
const ROOT_PASSWORD: &str = "root-secret";

/// A running slapd.
pub struct Slapd {
    /// `ldap://localhost:PORT`, also for StartTLS.
    pub ldap_url: String,
    /// `ldaps://localhost:PORT`.
    pub ldaps_url: String,
    /// The CA that signed the server's certificate.
    pub ca_file: PathBuf,
    /// An account without limits that may read everything.
    pub bind_dn: String,
    /// Its password.
    pub password: String,
    /// An account with the server's usual limit of 500 entries; same password.
    pub limited_dn: String,
    /// Search base.
    pub base: String,
    /// Port of `ldap_url`.
    pub port: u16,
    folder: tempfile::TempDir,
    listen: String,
    child: Option<Child>,
}

/// What the server does beyond holding entries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overlays {
    /// Content synchronisation, with a log of so many changes.
    pub session_log: Option<u32>,
    /// References in groups follow renames and deletions, without a trace in the groups.
    pub refint: bool,
    /// `memberOf`, and references in groups as with `refint`.
    pub memberof: bool,
}

impl Slapd {
    /// Loads `ldif` and starts; returns when the server answers.
    pub fn start(ldif: &str) -> Self {
        Self::start_with(ldif, Overlays::default())
    }

    /// The same with overlays.
    pub fn start_with(ldif: &str, overlays: Overlays) -> Self {
        Self::start_written(overlays, |out| out.write_all(ldif.as_bytes()))
    }

    /// The same with LDIF that is written where it is needed: for what is too large to be held.
    pub fn start_written(overlays: Overlays, write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("db")).unwrap();
        certificates(folder.path());
        let bind_dn = format!("cn=sync,{BASE}");
        let limited_dn = format!("cn=limited,{BASE}");
        let password = "correct horse".to_owned();
        std::fs::write(path("slapd.conf"), configuration(&path, &bind_dn, overlays)).unwrap();
        let mut data = std::io::BufWriter::new(std::fs::File::create(path("data.ldif")).unwrap());
        write(&mut data).unwrap();
        for dn in [&bind_dn, &limited_dn] {
            write!(
                data,
                "dn: {dn}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\nuserPassword: {password}\n\n"
            )
            .unwrap();
        }
        data.into_inner().unwrap();
        let loaded = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-w", "-f", &path("slapd.conf"), "-l", &path("data.ldif")])
            .output()
            .expect("slapadd; apt-get install slapd ldap-utils");
        assert!(loaded.status.success(), "slapadd: {}", String::from_utf8_lossy(&loaded.stderr));
        std::fs::remove_file(path("data.ldif")).unwrap();

        let (port, tls_port) = (free_port(), free_port());
        let mut slapd = Self {
            ldap_url: format!("ldap://localhost:{port}"),
            ldaps_url: format!("ldaps://localhost:{tls_port}"),
            ca_file: folder.path().join("ca.pem"),
            bind_dn,
            password,
            limited_dn,
            base: BASE.to_owned(),
            port,
            listen: format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"),
            folder,
            child: None,
        };
        slapd.run();
        slapd
    }

    fn run(&mut self) {
        let config = self.folder.path().join("slapd.conf");
        let child = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-h", &self.listen, "-f"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("slapd; apt-get install slapd");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.answers() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "slapd ended: {ended:?}");
            assert!(Instant::now() < deadline, "slapd does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether an anonymous bind is answered at all.
    fn answers(&self) -> bool {
        let bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00";
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        stream.write_all(bind).is_ok() && stream.read_exact(&mut [0; 1]).is_ok()
    }

    /// Applies LDIF change records as the root account.
    pub fn modify(&self, ldif: &str) {
        let mut child = Command::new("ldapmodify")
            .args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.port), "-D", ROOT_DN, "-w", ROOT_PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ldapmodify; apt-get install ldap-utils");
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "ldapmodify: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Entries that the filter finds, with all attributes and the operational ones that matter here; read by `ldapsearch`.
    pub fn search(&self, filter: &str) -> Vec<super::truth::Attributes> {
        let done = Command::new("ldapsearch")
            .args(["-x", "-LLL", "-o", "ldif-wrap=no", "-H", &format!("ldap://127.0.0.1:{}", self.port)])
            .args(["-D", ROOT_DN, "-w", ROOT_PASSWORD, "-b", BASE, filter, "*", "entryUUID", "pwdAccountLockedTime"])
            .output()
            .expect("ldapsearch; apt-get install ldap-utils");
        assert!(done.status.success(), "ldapsearch: {}", String::from_utf8_lossy(&done.stderr));
        super::truth::parse(&String::from_utf8(done.stdout).unwrap())
    }

    /// Stops the server by SIGKILL, without starting it again.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Kills the server and starts it again on the same data and ports.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Stops the server by SIGTERM, so that it writes down what it knows, and starts it again.
    pub fn restart_in_peace(&mut self) {
        if let Some(mut child) = self.child.take() {
            let asked = Command::new("kill").arg(child.id().to_string()).status().unwrap();
            assert!(asked.success());
            child.wait().unwrap();
        }
        self.run();
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn configuration(path: &impl Fn(&str) -> String, bind_dn: &str, overlays: Overlays) -> String {
    let mut modules = vec!["back_mdb", "ppolicy"];
    let mut more = String::new();
    if let Some(changes) = overlays.session_log {
        modules.push("syncprov");
        more += &format!("overlay syncprov\nsyncprov-checkpoint 1000 60\nsyncprov-sessionlog {changes}\n");
    }
    if overlays.refint {
        modules.push("refint");
        more += "overlay refint\nrefint_attributes member uniqueMember\nrefint_nothing cn=nobody\n";
    }
    if overlays.memberof {
        modules.push("memberof");
        more += "overlay memberof\nmemberof-refint TRUE\n";
    }
    let modules = modules.iter().map(|m| format!("moduleload {m}\n")).collect::<String>();
    let schema = ["core", "cosine", "inetorgperson", "nis"].map(|s| format!("include /etc/ldap/schema/{s}.schema\n")).concat();
    format!(
        "{schema}modulepath /usr/lib/ldap\n{modules}\
         pidfile {pid}\nloglevel none\nthreads 4\n\
         TLSCACertificateFile {ca}\nTLSCertificateFile {cert}\nTLSCertificateKeyFile {key}\n\
         database mdb\nsuffix {BASE}\nrootdn {ROOT_DN}\nrootpw {ROOT_PASSWORD}\ndirectory {db}\nmaxsize 4294967296\n\
         envflags nosync\nindex objectClass,uid,member,entryUUID,entryCSN eq\n\
         limits dn.exact=\"{bind_dn}\" size=unlimited size.prtotal=unlimited time=unlimited\n\
         access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none\n\
         overlay ppolicy\n{more}",
        pid = path("slapd.pid"),
        ca = path("ca.pem"),
        cert = path("cert.pem"),
        key = path("key.pem"),
        db = path("db"),
    )
}

/// A CA, and a certificate for this host under the names by which tests reach it.
pub fn certificates(folder: &std::path::Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "Test CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(Some(host.trim().to_owned()).filter(|h| !h.is_empty()));
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    std::fs::write(folder.join("ca.pem"), ca_certificate.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
