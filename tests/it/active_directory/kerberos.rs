//! Binds by Kerberos tickets, by a binary that has the feature `kerberos`. `scripts/test` builds one, and names it in
//! `SCIM_SYNC_TEST_KERBEROS`; where tests are built with the feature, it is the one under test.

use super::changes::sixty_changes;
use super::{Ad, Domain, SYNC};
use crate::support::samba::{BASE, Samba};
use crate::support::slapd::{certificates, free_port};
use crate::support::world::{Run, binary};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The domain controller is its own KDC, and lets tickets into TLS, which Samba before 4.21 does not by itself.
const WITH_KDC: &str = "server services = ldap, kdc\nldap server require strong auth = allow_sasl_over_tls\n";
const REALM: &str = "CORP.EXAMPLE";

fn program() -> Option<PathBuf> {
    if cfg!(feature = "kerberos") {
        return Some(binary().into());
    }
    let named = std::env::var_os("SCIM_SYNC_TEST_KERBEROS").map(PathBuf::from);
    if named.is_none() {
        println!("skipped: no binary with the feature kerberos; SCIM_SYNC_TEST_KERBEROS names one");
    }
    named
}

/// A domain whose controller is known to Kerberos by the name that the tests call it.
fn domain(people: usize, groups: usize) -> Option<(PathBuf, Samba)> {
    let program = program()?;
    let samba = Domain { people, groups }.start_with(WITH_KDC)?;
    service(&samba, "add");
    Some((program, samba))
}

/// Adds or deletes `ldap/localhost` at the controller's account.
fn service(samba: &Samba, how: &str) {
    let dn = format!("CN=DC1,OU=Domain Controllers,{BASE}");
    let change = format!("dn: {dn}\nchangetype: modify\n{how}: servicePrincipalName\nservicePrincipalName: ldap/localhost\n");
    samba.ldb("ldbmodify", &change);
}

/// A `[source.NAME]`; `bind` is what stands beside `bind = "kerberos"`.
fn source(samba: &Samba, url: &str, bind: &str) -> String {
    format!(
        "type = \"ldap\"\nurl = {url}\nca_file = \"{}\"\nbind = \"kerberos\"\n{bind}\nbase = \"{BASE}\"\ntimeout = \"20s\"",
        samba.ca_file.display()
    )
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

fn ad((program, samba): (PathBuf, Samba), bind: &str) -> Ad {
    let source = source(&samba, &format!("{:?}", samba.ldaps_url), bind);
    let krb5_conf = samba.krb5_conf("krb5.conf", "");
    let mut ad = Ad::by(samba, &source, false);
    ad.world.program = program;
    ad.world.environment.insert("KRB5_CONFIG", krb5_conf);
    // Nobody's own tickets are used.
    ad.world.environment.insert("KRB5CCNAME", ad.world.path("no-ccache"));
    ad
}

impl Ad {
    fn reconfigure(&self, source: &str) {
        let sandbox = self.sandbox.as_ref().unwrap();
        self.world.configure(source, &sandbox.base_url, &sandbox.token, SYNC, "");
    }

    fn check(&self) -> Run {
        self.world.run(&["check", "--online", "--json"])
    }

    /// What `check --online` says of the source, which must fail by these words.
    #[track_caller]
    fn expect_error(&self, words: &str) -> String {
        let check = self.check();
        // A keytab that cannot be read is a mistake of the configuration, as with any secret.
        let code = if words.contains("cannot be read") { 3 } else { 4 };
        let online = check.expect(code).json()["online"][0].clone();
        let error = online["error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{words:?} in {online}");
        error.to_owned()
    }
}

/// In full and by DirSync, by the keys of a service account; then the same over StartTLS.
#[test]
fn a_keytab_reads_the_directory() {
    let Some(domain) = domain(400, 40) else { return };
    let keytab = quoted(&domain.1.keytab("svc-repl@CORP.EXAMPLE", "svc.keytab"));
    let ad = ad(domain, &format!("keytab = {keytab}"));
    sixty_changes(&ad);
    let facts = ad.check().expect(0).json()["online"][0]["facts"].clone();
    assert!(facts["bound_as"].as_str().unwrap().contains("svc-repl") && facts["tls"] == "TLSv1_3", "{facts}");

    let bind = format!("keytab = {{ file = {keytab} }}\nprincipal = \"svc-repl@{REALM}\"\nstarttls = true");
    ad.reconfigure(&source(&ad.samba, &format!("{:?}", ad.samba.ldap_url), &bind));
    // Another address means full reads, until the directory is known to be the same.
    ad.sync().expect(0);
    ad.sync().expect(0);
    ad.samba.ldb(
        "ldbmodify",
        &format!("dn: {}\nchangetype: modify\nreplace: displayName\ndisplayName: By StartTLS\n", super::person(300)),
    );
    let cycle = ad.sync().expect(0).cycle();
    assert_eq!((cycle["read"].as_str(), cycle["counts"]["update"].as_u64()), (Some("incremental"), Some(1)), "{cycle}");
    ad.expect_truth();
}

#[test]
fn kerberos_says_what_is_wrong() {
    let Some(domain) = domain(5, 11) else { return };
    let keytab = domain.1.keytab("svc-plain@CORP.EXAMPLE", "svc.keytab");
    let mut ad = ad(domain, "");
    let ldaps = format!("{:?}", ad.samba.ldaps_url);
    let usual = source(&ad.samba, &ldaps, &format!("keytab = {}", quoted(&keytab)));
    let with = |ad: &Ad, bind: &str| ad.reconfigure(&source(&ad.samba, &ldaps, bind));

    // Nothing to get a ticket by.
    ad.expect_error("there is no ticket");
    with(&ad, "keytab = \"absent.keytab\"");
    ad.expect_error("absent.keytab cannot be read");
    ad.world.write_secret("odd.keytab", "this is no keytab");
    with(&ad, "keytab = \"odd.keytab\"");
    ad.expect_error("no key of this account");
    with(&ad, &format!("keytab = {}\nprincipal = \"svc-repl@{REALM}\"", quoted(&keytab)));
    ad.expect_error("no key of this account");

    // Not by Kerberos alone.
    let plain = source(&ad.samba, &format!("{:?}", ad.samba.ldap_url), "allow_plaintext = true");
    ad.reconfigure(&plain);
    let errors = ad.world.run(&["check", "--json"]).expect(3).json()["errors"].clone();
    assert!(errors[0]["message"].as_str().unwrap().contains("inside TLS only"), "{errors}");

    // The account.
    ad.reconfigure(&usual);
    ad.check().expect(0);
    ad.samba.tool(&["user", "disable", "svc-plain"]);
    ad.expect_error("disabled, locked or has expired");
    ad.samba.tool(&["user", "enable", "svc-plain"]);
    ad.check().expect(0);

    // The service.
    service(&ad.samba, "delete");
    let error = ad.expect_error("the KDC knows no service ldap/localhost");
    assert!(error.contains("servicePrincipalName"), "{error}");
    service(&ad.samba, "add");
    ad.check().expect(0);

    // The keys are not the account's any more.
    ad.samba.tool(&["user", "setpassword", "svc-plain", "--newpassword=Passw0rd!new"]);
    ad.expect_error("export the keytab anew");
    ad.samba.keytab("svc-plain@CORP.EXAMPLE", "svc.keytab");
    ad.check().expect(0);

    // A ticket cache: as long as the ticket is good.
    ad.world.environment.insert("KRB5CCNAME", ad.world.path("ccache"));
    ad.world.environment.insert("KRB5_CLIENT_KTNAME", keytab);
    with(&ad, "");
    let facts = ad.check().expect(0).json()["online"][0]["facts"].clone();
    assert!(facts["bound_as"].as_str().unwrap().contains("svc-plain"), "{facts}");
    std::fs::remove_file(ad.world.path("ccache")).unwrap();
    ad.world.environment.insert("KRB5_CONFIG", ad.samba.krb5_conf("short.conf", "ticket_lifetime = 4s"));
    ad.check();
    ad.world.environment.remove("KRB5_CLIENT_KTNAME");
    std::thread::sleep(Duration::from_secs(5));
    ad.expect_error("has run out");
}

/// A controller that is not there is passed over; one that refuses ends the search; a KDC that is not there is waited for within bounds.
#[test]
fn kerberos_fails_over() {
    let Some(domain) = domain(5, 11) else { return };
    let keytab = domain.1.keytab("svc-plain@CORP.EXAMPLE", "svc.keytab");
    let mut ad = ad(domain, "");
    let urls = format!("[\"ldaps://localhost:1\", {:?}]", ad.samba.ldaps_url);
    ad.reconfigure(&source(&ad.samba, &urls, &format!("keytab = {}", quoted(&keytab))));
    ad.sync().expect(0);

    let urls = format!("[{:?}, \"ldaps://localhost:1\"]", ad.samba.ldaps_url);
    ad.reconfigure(&source(&ad.samba, &urls, &format!("keytab = {}", quoted(&keytab))));
    ad.samba.tool(&["user", "disable", "svc-plain"]);
    let error = ad.expect_error("disabled, locked or has expired");
    assert!(!error.contains("localhost:1:"), "{error}");

    // A KDC that takes the question and gives no answer.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let conf = ad.world.path("silent.conf");
    let text = format!(
        "[libdefaults]\ndefault_realm = {REALM}\nudp_preference_limit = 1\n[realms]\n{REALM} = {{\n kdc = {}\n}}\n",
        silent.local_addr().unwrap()
    );
    std::fs::write(&conf, text).unwrap();
    ad.world.environment.insert("KRB5_CONFIG", conf);
    let source = source(&ad.samba, &format!("{:?}", ad.samba.ldaps_url), &format!("keytab = {}", quoted(&keytab)));
    ad.reconfigure(&source.replace("20s", "2s"));
    let begun = Instant::now();
    ad.expect_error("no Kerberos ticket within 2 s");
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
}

/// A process that ends with the value.
struct Process(Child);

impl Process {
    fn start(command: &mut Command, port: u16) -> Self {
        let process = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nobody listens on {port}");
            std::thread::sleep(Duration::from_millis(50));
        }
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes TLS apart: arguments are certificate, key, own port, port of the server.
const BETWEEN: &str = r"
import socket, ssl, sys, threading
cert, key, port, server = sys.argv[1:]
ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); ours.load_cert_chain(cert, key)
theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); theirs.check_hostname = False; theirs.verify_mode = ssl.CERT_NONE
def copy(a, b):
    try:
        while (d := a.recv(65536)): b.sendall(d)
    except OSError: pass
    finally:
        for s in (a, b):
            try: s.shutdown(socket.SHUT_RDWR)
            except OSError: pass
l = socket.create_server(('127.0.0.1', int(port)))
while True:
    a, _ = l.accept()
    try:
        a = ours.wrap_socket(a, server_side=True)
        b = theirs.wrap_socket(socket.create_connection(('127.0.0.1', int(server))))
    except OSError: continue
    for x, y in ((a, b), (b, a)): threading.Thread(target=copy, args=(x, y), daemon=True).start()
";

/// The ticket is bound to the TLS around it: a server that checks the binding, as slapd does (Samba does from 4.21 on), takes it
/// directly, and refuses it where somebody between has another certificate.
#[test]
fn a_ticket_is_good_for_its_own_tls_only() {
    let Some(domain) = domain(5, 11) else { return };
    if !Path::new(&format!("/usr/lib/{}-linux-gnu/sasl2/libgssapiv2.so", std::env::consts::ARCH)).exists() {
        println!("skipped: no libsasl2-modules-gssapi-mit here, by which slapd speaks Kerberos");
        return;
    }
    let client = domain.1.keytab("svc-plain@CORP.EXAMPLE", "svc.keytab");
    let service = domain.1.keytab("ldap/localhost", "service.keytab");
    let ad = ad(domain, "");
    let path = |name: &str| ad.world.path(name).display().to_string();
    for folder in ["db", "server", "between"] {
        std::fs::create_dir(path(folder)).unwrap();
    }
    certificates(&ad.world.path("server"));
    certificates(&ad.world.path("between"));
    let config = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\nsasl-host localhost\nsasl-realm {REALM}\nsasl-cbinding tls-endpoint\n\
         TLSCertificateFile {0}/cert.pem\nTLSCertificateKeyFile {0}/key.pem\nTLSCACertificateFile {0}/ca.pem\n\
         database mdb\nsuffix \"{BASE}\"\ndirectory {1}\naccess to * by users read by * none\n",
        path("server"),
        path("db")
    );
    std::fs::write(path("slapd.conf"), config).unwrap();
    std::fs::write(path("data.ldif"), format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: corp\n"))
        .unwrap();
    let loaded = Command::new("/usr/sbin/slapadd").args(["-f", &path("slapd.conf"), "-l", &path("data.ldif")]).output().unwrap();
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let (direct, broken) = (free_port(), free_port());
    let mut slapd = Command::new("/usr/sbin/slapd");
    slapd.args(["-d", "0", "-h", &format!("ldaps://127.0.0.1:{direct}/"), "-f", &path("slapd.conf")]);
    let slapd = Process::start(slapd.env("KRB5_KTNAME", &service), direct);
    let mut between = Command::new("python3");
    let ports = [broken.to_string(), direct.to_string()];
    let between =
        Process::start(between.args(["-c", BETWEEN, &path("between/cert.pem"), &path("between/key.pem")]).args(ports), broken);

    let through = |port: u16, ca: &str| {
        let source = source(&ad.samba, &format!("\"ldaps://localhost:{port}\""), &format!("keytab = {}", quoted(&client)));
        ad.reconfigure(&source.replace(&ad.samba.ca_file.display().to_string(), &path(ca)));
    };
    through(direct, "server/ca.pem");
    let facts = ad.check().expect(0).json()["online"][0]["facts"].clone();
    assert!(facts["bound_as"].as_str().unwrap().contains("svc-plain"), "{facts}");
    through(broken, "between/ca.pem");
    ad.expect_error("may take TLS apart (channel binding)");
    drop((between, slapd));
}
