//! The real binary: exit codes, documents on stdout, complaints on stderr.

use crate::support::service::Service;
use crate::support::world::{SandboxProcess, World};
use assert_cmd::Command;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const RIGHT: &str = r#"version = 1
[source.hr]
type = "file"
path = "people.csv"
[target.app]
url = "http://127.0.0.1:9/scim/v2"
token = { file = "token" }
[[sync]]
name = "hr-app"
source = "hr"
target = "app"
schedule = "30 2 * * 1-5"
timezone = "Europe/Copenhagen"
"#;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-sync"));
    command.env_remove("SCIM_SYNC_CONFIG").env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn folder(config: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, config).unwrap();
    std::fs::write(dir.path().join("people.csv"), "id,mail\n1,a@corp.example\n").unwrap();
    (dir, path)
}

/// Exit code, stdout, stderr.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = command().args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn check(path: &Path, more: &[&str]) -> (i32, Value, String) {
    let path = path.to_str().unwrap();
    let (code, stdout, stderr) = run(&[&["--json", "--config", path, "check"], more].concat());
    (code, serde_json::from_str(&stdout).unwrap(), stderr)
}

#[test]
fn a_right_configuration_is_summed_up() {
    let (_dir, path) = folder(RIGHT);
    let (code, stdout, _) = run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(code, 0);
    for expected in ["config.toml: OK", "source hr", "target app", "sync hr-app", "hr -> app", "02:30 CE"] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    let (code, document, _) = check(&path, &[]);
    assert_eq!(code, 0);
    assert_eq!(
        (&document["version"], &document["errors"], &document["online"]),
        (&1.into(), &Value::Array(vec![]), &Value::Array(vec![]))
    );
    assert_eq!(document["syncs"][0]["next_runs"]["schedule"].as_array().unwrap().len(), 3);
    // The token's file is not there: said, and no mistake.
    let warning = &document["warnings"][0];
    assert_eq!((&warning["key"], &warning["line"], &warning["column"]), (&"target.app.token".into(), &7.into(), &9.into()));
    assert_eq!(document["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn a_wrong_expression_is_found_where_it_stands() {
    let rows = "[sync.map.user]\n\"name.givenName\" = \"[givenName\"\nlocale = \"da\"\n";
    let (_dir, path) = folder(&format!("{RIGHT}{rows}"));
    let (code, document, _) = check(&path, &[]);
    assert_eq!(code, 3);
    let last = RIGHT.lines().count() as u64;
    let places: Vec<(Option<u64>, bool)> =
        document["errors"].as_array().unwrap().iter().map(|e| (e["line"].as_u64(), e["column"].as_u64() > Some(1))).collect();
    assert_eq!(places, [(Some(last + 2), true), (Some(last + 3), true)], "{document}");
}

#[test]
fn every_mistake_is_in_the_document() {
    let (_dir, path) =
        folder(&RIGHT.replace("source = \"hr\"", "source = \"hx\"").replace("path =", "pth =").replace("1-5", "1-9"));
    let (code, document, stderr) = check(&path, &[]);
    assert_eq!((code, stderr.as_str()), (3, ""));
    let errors: Vec<(u64, &str, &str)> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["line"].as_u64().unwrap(), e["key"].as_str().unwrap(), e["hint"].as_str().unwrap()))
        .collect();
    assert_eq!(errors.len(), 3, "{document:#}");
    assert_eq!(errors[0], (4, "source.hr.pth", "did you mean `path`?"));
    assert_eq!((errors[1].0, errors[1].1), (10, "sync[0].source"));
    assert_eq!((errors[2].0, errors[2].1), (12, "sync[0].schedule"));
    assert_eq!(
        document["errors"][0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["file", "line", "column", "key", "message", "hint"]
    );
    // For people: on stderr, with the line and a caret.
    let (code, stdout, stderr) = run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.contains(&format!("{}:4:1: source.hr.pth: unknown key", path.display())), "{stderr}");
    assert!(stderr.contains("\n   | ^\n") && stderr.contains("3 mistakes"), "{stderr}");
}

#[test]
fn every_command_refuses_a_wrong_configuration() {
    let (_dir, path) = folder("version = 1\npassword = \"hunter2\"\n");
    let (code, stdout, stderr) = run(&["--json", "check", "--config", path.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(!format!("{stdout}{stderr}").contains("hunter2"));
    let absent = path.with_file_name("absent.toml");
    let (code, document, _) = check(&absent, &[]);
    assert_eq!(code, 3);
    assert!(document["errors"][0]["message"].as_str().unwrap().starts_with("cannot be read"));
}

#[test]
fn a_source_that_fails_is_exit_code_4() {
    let ldap =
        RIGHT.replace("type = \"file\"\npath = \"people.csv\"", "type = \"ldap\"\nurl = \"ldap://127.0.0.1:9\"\nbase = \"\"");
    let (_dir, path) = folder(&ldap.replace("token = { file = \"token\" }\n", ""));
    let (code, document, _) = check(&path, &["--online"]);
    assert_eq!(code, 4, "{document:#}");
    let source = &document["online"][0];
    assert_eq!((&source["name"], &source["kind"], &source["ok"]), (&"hr".into(), &"source".into(), &false.into()));
    assert!(source["error"].as_str().is_some_and(|e| e.contains("hr")));
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in
        [&["frobnicate"][..], &[], &["sync", "--wait", "5x"], &["log", "--since", "yesterday"], &["approve", "--until", "2h"]]
    {
        let (code, stdout, stderr) = run(args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}");
        assert!(!stderr.is_empty());
    }
    let (code, stdout, _) = run(&["--json", "frobnicate"]);
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &document["error"]["kind"]), (2, &"usage".into()));
    assert_eq!(run(&["--version"]), (0, format!("scim-sync {}\n", env!("CARGO_PKG_VERSION")), String::new()));
    assert_eq!(run(&["--help"]).0, 0);
}

#[test]
fn the_configuration_file_may_stand_in_the_environment() {
    let (_dir, path) = folder("version = 1\n");
    command().env("SCIM_SYNC_CONFIG", &path).arg("check").assert().code(0);
    command().env("SCIM_SYNC_CONFIG", "/absent").args(["check", "--config", path.to_str().unwrap()]).assert().code(0);
    command().env("SCIM_SYNC_CONFIG", "/absent").arg("check").assert().code(3);
}

#[test]
fn packagers_get_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("man1");
    assert_eq!(run(&["generate", "man", man.to_str().unwrap()]).0, 0);
    let page = std::fs::read_to_string(man.join("scim-sync-check.1")).unwrap();
    assert!(page.contains("online"));
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["generate", "completions", shell]);
        assert!(code == 0 && script.contains("scim-sync"), "{shell}");
    }
    let (code, schema, _) = run(&["generate", "schema"]);
    assert_eq!(code, 0);
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["properties"]["version"]["const"], 1);
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_a_full_disk_is() {
    let spawn = |stdout: Stdio| {
        std::process::Command::new(env!("CARGO_BIN_EXE_scim-sync"))
            .args(["generate", "schema"])
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut child = spawn(Stdio::piped());
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = spawn(full()).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot write the output"));
    // What the work came to is told nobody: that outranks it. A failure of the work itself does not.
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    let into_full = |args: &[&str], code: i32| {
        let output = w.command(args).stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("cannot write the output"), "{said}");
    };
    into_full(&["plan", "--json", "--exit-code"], 1);
    std::fs::remove_file(w.path("token")).unwrap();
    into_full(&["sync", "--json"], 3);
}

/// A secret that others can read is a mistake of the configuration, whoever would use it; one that is missing may be there
/// for the user of the service.
#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_refused_by_every_command_that_would_use_it() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(1);
    w.save();
    std::fs::set_permissions(w.path("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [
        &["check", "--json"][..],
        &["sync", "--json"],
        &["plan"],
        &["run"],
        &["explain", "p00000"],
        &["accounts", "s"],
        &["probe", "s", "--yes"],
        &["rehearse", "s"],
    ] {
        let run = w.run(command).expect(3);
        assert!(
            format!("{}{}", run.stdout, run.stderr).contains("can be read or written by others"),
            "{command:?}: {}",
            run.stdout
        );
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(&sandbox.token));
    }
    let error = w.run(&["check", "--json"]).json()["errors"][0].clone();
    assert_eq!(error["key"], "target.app.token", "{error}");
    assert!(error["line"].as_u64().unwrap() > 0, "{error}");
    assert_eq!(sandbox.requests(), 0);
    std::fs::remove_file(w.path("token")).unwrap();
    let missing = w.run(&["check", "--json"]).expect(0).json();
    assert_eq!(missing["warnings"].as_array().unwrap().len(), 1, "{missing}");
}

/// `s` as ever, and `open`, whose target's token others can read.
#[cfg(unix)]
fn with_an_open_token(sandbox: &SandboxProcess, sync: &str) -> World {
    use std::os::unix::fs::PermissionsExt;
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"*/5 * * * *\"", "");
    w.populate(2);
    w.save();
    w.write_secret("open", "somebody-elses-token");
    std::fs::set_permissions(w.path("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    let other = format!(
        "[target.other]\nurl = \"http://127.0.0.1:9/scim\"\ntoken = {{ file = \"open\" }}\n\
         [[sync]]\nname = \"open\"\nsource = \"dir\"\ntarget = \"other\"\n{sync}\n"
    );
    std::fs::write(w.path("config.toml"), format!("{config}{other}")).unwrap();
    w
}

#[cfg(unix)]
#[test]
fn one_bad_record_a_secret_that_others_can_read_stops_nothing_that_does_without_it() {
    let sandbox = SandboxProcess::start(&[]);
    let w = with_an_open_token(&sandbox, "enabled = false");
    for command in [
        &["sync"][..],
        &["plan", "s"],
        &["accounts", "s"],
        &["explain", "p00000"],
        &["status"],
        &["log"],
        &["link", "list", "s"],
        &["state", "backup", "b.db"],
    ] {
        let run = w.run(command).expect(0);
        assert!(run.stderr.contains("target.other.token"), "{command:?}: it is told all the same: {}", run.stderr);
    }
    w.run(&["sync", "open"]).expect(3);
    w.run(&["check"]).expect(3);
    // Of several that are to run, the others do.
    let w = with_an_open_token(&sandbox, "");
    let run = w.run(&["sync", "--json"]).expect(3);
    let results: Vec<Value> = run.json()["cycles"].as_array().unwrap().iter().map(|c| c["result"].clone()).collect();
    assert_eq!(results, ["ok", "failed"], "{}", run.stdout);
    let told = w.run(&["explain", "p00000", "--json"]).expect(3).json();
    assert_eq!(told["found"].as_array().unwrap().len(), 1, "{told}");
    let service = Service::start(&w);
    assert!(service.log().contains("target.other.token"), "{}", service.log());
    assert!(service.running());
}

/// A pause is no failure: a timer that runs `sync` meanwhile must not be told so.
#[test]
fn where_every_sync_is_paused_there_is_nothing_to_do() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "enabled = false", "");
    w.populate(3);
    w.save();
    assert_eq!(w.run(&["sync", "--json"]).expect(0).json()["cycles"], serde_json::json!([]));
    assert_eq!(w.run(&["plan", "--json", "--exit-code"]).expect(0).json()["plans"], serde_json::json!([]));
    assert!(w.run(&["sync"]).expect(0).stderr.contains("paused"));
    assert_eq!(sandbox.requests(), 0);
    // Named, it runs, and says so.
    let status = w.run(&["status"]).expect(0).stdout;
    assert!(status.contains("paused"), "{status}");
    assert_eq!(w.run(&["status", "--json"]).expect(0).json()["syncs"][0]["enabled"], false);
    let named = w.run(&["sync", "s", "--json"]).expect(0);
    assert!(named.cycle()["warnings"][0].as_str().unwrap().contains("paused (enabled = false)"), "{}", named.stdout);
    assert!(named.stderr.contains("paused"), "{}", named.stderr);
    // Whoever is about to let it run looks at it first.
    let said = w.run(&["check", "--online"]).expect(0).stdout;
    for words in ["sync s: ok", "paused: enabled = false", "people in scope: 3", "groups in scope: 0"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// What the application's schema does not have is left out, and that is said where it was written.
#[test]
fn rows_that_the_application_does_not_know_are_named() {
    let sandbox = SandboxProcess::start(&[]);
    let rows = "[sync.map.user]\n\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:badge\" = \"[department]\"\n\
        title = \"[department]\"\nnickname = \"\"\n";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, rows, "");
    w.populate(1);
    w.save();
    let unknown = |online: &[&str]| -> Vec<Value> {
        let document = w.run(&[&["check", "--json"], online].concat()).expect(0).json();
        let of_rows = |p: &&Value| p["key"].as_str().unwrap().starts_with("sync[0].map");
        document["warnings"].as_array().unwrap().iter().filter(of_rows).cloned().collect()
    };
    assert_eq!(unknown(&[]), Vec::<Value>::new(), "nobody was asked");
    let said = unknown(&["--online"]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0]["key"].as_str().unwrap().contains("enterprise:2.0:User:badge") && said[0]["line"].as_u64() > Some(0),
        "{said:?}"
    );
    assert!(said[0]["message"].as_str().unwrap().contains("does not know"), "{said:?}");
    // Where the schema says less than the application takes, it is said once.
    let known =
        "user_attributes = [\"userName\", \"title\", \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:badge\"]\n";
    w.configure("type = \"file\"\npath = \"people.json\"", &sandbox.base_url, &sandbox.token, rows, known);
    assert_eq!(unknown(&["--online"]), Vec::<Value>::new());
}

#[test]
fn a_wrong_command_line_says_in_one_line_what_is_wrong_with_it() {
    let message = |args: &[&str]| {
        let (code, stdout, _) = run(&[&["--json"], args].concat());
        let document: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((code, &document["error"]["kind"]), (2, &"usage".into()));
        document["error"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message(&["explain"]), "the following required arguments were not provided: <WHO>");
    assert_eq!(message(&["link", "set", "s", "x"]), "the following required arguments were not provided: <TARGET_ID>");
    let shell = message(&["generate", "completions", "foo"]);
    assert!(shell.starts_with("invalid value 'foo' for '<SHELL>' [possible values: bash,"), "{shell}");
    let near = message(&["snyc"]);
    assert!(near.starts_with("unrecognized subcommand 'snyc'; ") && near.contains("'sync'") && !near.contains('\n'), "{near}");
}

#[test]
fn the_sandbox_says_where_it_is_in_a_document_too() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_scim-sync"))
        .args(["--json", "sandbox", "--listen", "127.0.0.1:0", "--token", "t0k"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let document: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&document["version"], &document["token"]), (&1.into(), &"t0k".into()));
    assert!(document["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
}

/// `plan` and others that only look need no store, and must not pass a mistyped path for a fresh installation.
#[test]
fn a_folder_of_the_state_store_that_is_not_there_is_said() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(1);
    w.save();
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    std::fs::write(w.path("config.toml"), config.replace("state.db", "absent/state.db")).unwrap();
    for command in [&["status"][..], &["log", "--json"], &["plan", "--json"]] {
        assert!(w.run(command).expect(0).stderr.contains("there is no folder "), "{command:?}");
    }
    w.run(&["sync"]).expect(9);
    let check = w.run(&["check", "--json"]).expect(0).json();
    assert_eq!(check["warnings"][0]["key"], "state.path", "{check}");
    assert!(check["warnings"][0]["hint"].as_str().unwrap().contains("StateDirectory"), "{check}");
}
