//! A real mail server as a child process: aiosmtpd. `scripts/test-tools` installs it.
#![allow(clippy::print_stderr)]

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whom it lets in.
pub const USER: &str = "tester";
pub const PASSWORD: &str = "right-password-81c2";

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Plain,
    StartTls,
    Tls,
}

/// A running server; it ends when this is dropped.
pub struct MailServer {
    child: Child,
    dir: tempfile::TempDir,
    pub port: u16,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MailServer {
    /// `None` where aiosmtpd is not installed.
    pub fn start(speaks: Speaks) -> Option<Self> {
        let Some(python) = std::env::var_os("SCIM_SYNC_TEST_PYTHON").filter(|p| !p.is_empty()) else {
            eprintln!("skipped: SCIM_SYNC_TEST_PYTHON is not set (eval \"$(scripts/test-tools)\")");
            return None;
        };
        if !Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
            eprintln!("skipped: aiosmtpd is not installed (eval \"$(scripts/test-tools)\")");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools/smtp-server.py");
        let mut command = Command::new(python);
        command.arg(script).arg(dir.path().join("mails")).arg(match speaks {
            Speaks::Plain => "plain",
            Speaks::StartTls => "starttls",
            Speaks::Tls => "tls",
        });
        if speaks != Speaks::Plain {
            certificates(dir.path());
            command.arg(dir.path().join("server.pem")).arg(dir.path().join("server.key"));
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("aiosmtpd did not start; run scripts/test-tools"));
        Some(Self { child, dir, port })
    }

    /// The CA that signed its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Every mail so far: from, to, tls, authenticated, data.
    pub fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("mails")).unwrap_or_default();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Waits until there are so many.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Value> {
        let until = Instant::now() + Duration::from_secs(20);
        while self.mails().len() < count && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let mails = self.mails();
        assert_eq!(mails.len(), count, "{mails:#?}");
        mails
    }
}

/// A CA and a certificate for 127.0.0.1.
fn certificates(dir: &std::path::Path) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.join("server.pem"), server.pem()).unwrap();
    std::fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
}

/// Subject, or another header, decoded as far as RFC 2047 words of UTF-8 in quoted-printable go; the text, decoded the same.
pub fn header(mail: &Value, name: &str) -> Option<String> {
    let data = mail["data"].as_str().unwrap();
    let head = data.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let found = head.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)));
    found.map(|(_, value)| value.to_owned())
}

/// The body of a mail that was sent as it is or as quoted-printable.
pub fn text(mail: &Value) -> String {
    let data = mail["data"].as_str().unwrap();
    let body = data.split_once("\r\n\r\n").unwrap().1;
    match header(mail, "Content-Transfer-Encoding").as_deref() {
        Some("quoted-printable") => unquoted(&body.replace("=\r\n", "")),
        _ => body.to_owned(),
    }
}

fn unquoted(text: &str) -> String {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'=').then(|| text.get(i + 1..i + 3)).flatten().and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(code.unwrap_or(bytes[i]));
        i += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap()
}
