//! A private 389 Directory Server, gone with the value. Its tools write to fixed folders (`/etc/dirsrv/slapd-NAME`), so that it
//! takes root.

use super::directory::BASE;
use super::slapd::free_port;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The directory's own administrator.
pub const ROOT_DN: &str = "cn=Directory Manager";
/// Its password, and what is kept of it: salted SHA-1.
pub const ROOT_PASSWORD: &str = "root-secret-389";
const ROOT_HASH: &str = "{SSHA}NxO6y+txwqVAROM4xC0q8aEbfN1zY2ltc3luYw==";

/// A running server with a changelog.
pub struct Ds389 {
    pub port: u16,
    name: String,
    folder: tempfile::TempDir,
}

impl Ds389 {
    /// Starts one with the suffix entry; `content_sync`: with content synchronisation. `None`, and why, where that cannot be.
    pub fn start(content_sync: bool) -> Option<Self> {
        let here = Path::new("/usr/sbin/ns-slapd").exists() && Path::new("/usr/sbin/dscreate").exists();
        let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"));
        if !here || !root {
            println!("skipped: no 389 Directory Server here (apt-get install 389-ds-base), or not root");
            return None;
        }
        let port = free_port();
        let server = Self { port, name: format!("scimsync{port}"), folder: tempfile::tempdir().unwrap() };
        server.make(content_sync);
        server.run();
        server.modify(&format!(
            "dn: cn=userRoot,cn=ldbm database,cn=plugins,cn=config\nchangetype: add\nobjectClass: nsBackendInstance\n\
             objectClass: extensibleObject\ncn: userRoot\nnsslapd-suffix: {BASE}\n\n\
             dn: cn=dc\\3Dexample\\2Cdc\\3Dorg,cn=mapping tree,cn=config\nchangetype: add\nobjectClass: nsMappingTree\n\
             objectClass: extensibleObject\ncn: {BASE}\nnsslapd-state: backend\nnsslapd-backend: userRoot\n"
        ));
        Some(server)
    }

    fn configuration(&self) -> PathBuf {
        PathBuf::from(format!("/etc/dirsrv/slapd-{}", self.name))
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    /// Lets dscreate write everything and start nothing: there may be no systemd, and it shall not know of this server.
    fn make(&self, content_sync: bool) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::set_permissions(self.folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        std::fs::write(path("systemctl"), "#!/bin/sh\nexit 1\n").unwrap();
        std::fs::set_permissions(path("systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let name = &self.name;
        std::fs::write(
            path("new.inf"),
            format!(
                "[general]\nconfig_version = 2\nfull_machine_name = localhost\nstrict_host_checking = False\nselinux = False\n\
                 [slapd]\ninstance_name = {name}\nport = {}\nsecure_port = 0\nroot_password = {ROOT_PASSWORD}\nself_sign_cert = False\n\
                 db_lib = bdb\n",
                self.port
            ),
        )
        .unwrap();
        let tools = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.folder.path().display());
        let made = Command::new("/usr/sbin/dscreate").arg("from-file").arg(path("new.inf")).env("PATH", tools).output().unwrap();
        let file = self.configuration().join("dse.ldif");
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|e| panic!("dscreate: {e}\n{}", String::from_utf8_lossy(&made.stdout)))
            .replace("\n ", "");
        let mut wanted = vec!["cn=retro changelog plugin"];
        wanted.extend(content_sync.then_some("cn=content synchronization"));
        let entries: Vec<String> = text
            .split("\n\n")
            .map(|entry| {
                let plugin = wanted.iter().any(|w| entry.to_lowercase().starts_with(&format!("dn: {w},")));
                let line = |l: &str| match l.to_lowercase() {
                    l if l.starts_with("nsslapd-rootpw:") => format!("nsslapd-rootpw: {ROOT_HASH}"),
                    l if plugin && l.starts_with("nsslapd-pluginenabled:") => "nsslapd-pluginEnabled: on".to_owned(),
                    _ => l.to_owned(),
                };
                let mut lines: Vec<String> = entry.lines().map(line).collect();
                if plugin && entry.to_lowercase().contains("retrocl") && !entry.contains("targetUniqueId") {
                    lines.push("nsslapd-attribute: nsuniqueid:targetUniqueId".to_owned());
                }
                lines.join("\n")
            })
            .collect();
        std::fs::write(&file, entries.join("\n\n") + "\n").unwrap();
        for folder in ["/run/dirsrv".to_owned(), format!("/run/lock/dirsrv/slapd-{name}")] {
            std::fs::create_dir_all(&folder).unwrap();
            let owned = Command::new("chown").args(["-R", "dirsrv:dirsrv", &folder]).status().unwrap();
            assert!(owned.success());
        }
    }

    fn run(&self) {
        let started = Command::new("/usr/sbin/ns-slapd")
            .arg("-D")
            .arg(self.configuration())
            .arg("-i")
            .arg(self.pid_file())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(started.success());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.ldap("ldapsearch").args(["-b", "", "-s", "base"]).output().unwrap().status.success() {
            assert!(Instant::now() < deadline, "389 Directory Server does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn ldap(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        command.args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.port), "-D", ROOT_DN, "-w", ROOT_PASSWORD]);
        command
    }

    /// Applies LDIF change records; entries without a change are added.
    pub fn modify(&self, ldif: &str) {
        let mut child = self.ldap("ldapmodify");
        let mut child = child.arg("-a").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "ldapmodify: {}\n{ldif}", String::from_utf8_lossy(&done.stderr));
    }

    /// Entries that the filter finds.
    pub fn search(&self, filter: &str) -> Vec<super::truth::Attributes> {
        let done = self.ldap("ldapsearch").args(["-LLL", "-o", "ldif-wrap=no", "-b", BASE, filter]).output().unwrap();
        assert!(done.status.success(), "ldapsearch: {}", String::from_utf8_lossy(&done.stderr));
        super::truth::parse(&String::from_utf8(done.stdout).unwrap())
    }

    /// From now on changes are removed from the changelog after a few seconds.
    pub fn forget_changes(&self) {
        self.modify(
            "dn: cn=Retro Changelog Plugin,cn=plugins,cn=config\nchangetype: modify\nreplace: nsslapd-changelogmaxage\n\
             nsslapd-changelogmaxage: 2s\n-\nreplace: nsslapd-changelog-trim-interval\nnsslapd-changelog-trim-interval: 1s\n",
        );
        self.restart();
    }

    /// Number of the oldest change that is kept.
    pub fn first_change(&self) -> u64 {
        let done = self.ldap("ldapsearch").args(["-LLL", "-b", "", "-s", "base", "firstChangeNumber"]).output().unwrap();
        let text = String::from_utf8(done.stdout).unwrap().to_lowercase();
        text.split("firstchangenumber: ").nth(1).and_then(|t| t.split_whitespace().next()).unwrap().parse().unwrap()
    }

    /// Stops the server and waits until it has gone.
    fn stop(&self) {
        let Ok(pid) = std::fs::read_to_string(self.pid_file()) else { return };
        let pid = pid.trim();
        let _ = Command::new("kill").arg(pid).status();
        let deadline = Instant::now() + Duration::from_secs(30);
        while Path::new("/proc").join(pid).exists() {
            if Instant::now() > deadline {
                let _ = Command::new("kill").args(["-9", pid]).status();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = std::fs::remove_file(self.pid_file());
    }

    /// Stops it and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.run();
    }
}

impl Drop for Ds389 {
    fn drop(&mut self) {
        self.stop();
        let _ = Command::new("/usr/sbin/dsctl").args([&self.name, "remove", "--do-it"]).output();
    }
}
