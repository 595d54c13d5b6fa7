//! Real SCIM servers as child processes: scim2-server (Python) and SCIMMY (Node). `scripts/test-tools` installs them.
#![allow(clippy::print_stderr)]

use scim_sync::config::{NetConfig, Secret, TargetAuth, TargetConfig};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use url::Url;

/// The token that the servers accept.
pub const TOKEN: &str = "test-token-4711";

/// A running server; it ends when this is dropped.
pub struct ScimServer {
    child: Child,
    /// Base URL.
    pub url: Url,
    /// For messages.
    pub name: &'static str,
}

impl Drop for ScimServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ScimServer {
    /// scim2-server with every feature but cursors; `None` where it is not installed.
    pub fn scim2() -> Option<Self> {
        Self::scim2_with(None)
    }

    /// scim2-server that announces and enforces this service provider configuration.
    pub fn scim2_with(provider: Option<serde_json::Value>) -> Option<Self> {
        let python = PathBuf::from(variable("SCIM_SYNC_TEST_PYTHON")?);
        let program = python.parent().unwrap().join("scim2-server");
        let file = provider.map(|p| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(p.to_string().as_bytes()).unwrap();
            file
        });
        Some(start("scim2-server", "/v2", |port| {
            let mut c = Command::new(&program);
            c.args(["--hostname", "127.0.0.1", "--port", &port.to_string(), "--bearer-token", TOKEN]);
            if let Some(file) = &file {
                c.arg("--service-provider-config").arg(file.path());
            }
            c
        }))
    }

    /// SCIMMY on Express 4 with the storage of `tools/scimmy-server.mjs`; `None` where it is not installed.
    pub fn scimmy() -> Option<Self> {
        let modules = variable("SCIM_SYNC_TEST_NODE_MODULES")?;
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools/scimmy-server.mjs");
        Some(start("SCIMMY", "/scim", |port| {
            let mut c = Command::new("node");
            c.arg(&script).arg(port.to_string()).arg(TOKEN).env("NODE_MODULES", &modules);
            c
        }))
    }

    /// Both servers, as far as they are installed.
    pub fn all() -> Vec<Self> {
        [Self::scim2(), Self::scimmy()].into_iter().flatten().collect()
    }

    /// The `[target.NAME]` that speaks to it.
    pub fn config(&self) -> TargetConfig {
        target_config(self.url.as_str(), TOKEN)
    }
}

/// A `[target.NAME]` with defaults.
pub fn target_config(url: &str, token: &str) -> TargetConfig {
    TargetConfig {
        preset: "generic".to_owned(),
        url: Url::parse(url).unwrap(),
        auth: Some(TargetAuth::Token(Secret::Plain(token.into()))),
        concurrency: 8,
        rate: None,
        members_per_patch: None,
        patch: None,
        dialect: scim_sync::config::DialectConfig::default(),
        net: NetConfig { ca_file: None, proxy: None, timeout: Duration::from_secs(60), allow_plaintext: false },
    }
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|v| !v.is_empty());
    if value.is_none() {
        eprintln!("skipped: {name} is not set (eval \"$(scripts/test-tools)\")");
    }
    value
}

fn start(name: &'static str, base: &str, command: impl Fn(u16) -> Command) -> ScimServer {
    // A port may be taken between choosing and using it.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = command(port).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| panic!("{name} does not start: {e}; run scripts/test-tools"));
        let url = Url::parse(&format!("http://127.0.0.1:{port}{base}")).unwrap();
        let mut server = ScimServer { child, url, name };
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if answers(port, base) {
                return server;
            }
            if server.child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    panic!("{name} did not answer; run scripts/test-tools");
}

fn answers(port: u16, base: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let ask = format!(
        "GET {base}/ServiceProviderConfig HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    let mut head = [0; 12];
    stream.write_all(ask.as_bytes()).is_ok() && stream.read_exact(&mut head).is_ok() && head.ends_with(b"200")
}
