//! Others' code as judges: vendors' API descriptions and SDKs, prism, oidc-provider. None of them is part of the package: a test
//! that finds its judge absent says so and ends.
#![allow(clippy::print_stdout)]

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process that ends with the value.
pub struct Judge {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A vendor's description of an API (`SCIM_SYNC_TEST_SPECS`, else beside the project).
pub fn spec(name: &str) -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/specs");
    let folder = std::env::var_os("SCIM_SYNC_TEST_SPECS").map_or_else(beside, PathBuf::from);
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            println!("skipped: {} is not there", folder.join(name).display());
            None
        }
    }
}

fn modules(package: &str) -> Option<PathBuf> {
    let found = std::env::var_os("SCIM_SYNC_TEST_NODE_MODULES").map(PathBuf::from).filter(|m| m.join(package).exists());
    if found.is_none() {
        println!("skipped: {package} is not among the Node modules (eval \"$(scripts/test-tools)\")");
    }
    found
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools").join(name)
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// oidc-provider with one client, as `tools/oidc-provider.mjs` describes it.
pub fn oidc_provider(configuration: &Value) -> Option<Judge> {
    let modules = modules("oidc-provider")?;
    let mut child = Command::new("node")
        .arg(script("oidc-provider.mjs"))
        .arg(configuration.to_string())
        .env("NODE_MODULES", modules)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().expect("oidc-provider starts");
    Some(Judge { child, url: format!("http://127.0.0.1:{port}") })
}

/// prism as validating proxy in front of `upstream`: what does not fit the description is answered with an error. Not installed
/// by `scripts/test-tools` (74 MB): `npm install @stoplight/prism-cli@5.16.0` where SCIM_SYNC_TEST_NODE_MODULES points to.
pub fn prism(spec: &Path, upstream: &str, port: u16) -> Option<Judge> {
    let program = modules("@stoplight/prism-cli")?.join(".bin/prism");
    let child = Command::new("node")
        .arg(program)
        .arg("proxy")
        .arg(spec)
        .args([upstream, "-p", &port.to_string(), "--errors"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let judge = Judge { child, url: format!("http://127.0.0.1:{port}") };
    let until = Instant::now() + Duration::from_secs(90);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "prism does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    Some(judge)
}

/// What a Python script prints, as JSON; `None` where the module that it needs is not installed. SDKs are large, so
/// `scripts/test-tools` leaves them out: `pip install msgraph-sdk==1.65.0 okta==3.4.6` into SCIM_SYNC_TEST_PYTHON's environment.
pub fn sdk(module: &str, name: &str, arguments: &[&str]) -> Option<Value> {
    let python = std::env::var_os("SCIM_SYNC_TEST_PYTHON");
    let has = |p: &std::ffi::OsString| {
        let find = format!("import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)");
        Command::new(p).args(["-c", &find]).status().is_ok_and(|s| s.success())
    };
    let Some(python) = python.filter(has) else {
        println!("skipped: the Python module {module} is not installed where SCIM_SYNC_TEST_PYTHON points to");
        return None;
    };
    let output = Command::new(python).arg(script(name)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout))))
}
