//! What keeps a cycle from beginning, with words that help; ways around it; `check --online`.

use super::{Live, Server, directory};
use crate::support::slapd::free_port;
use crate::support::world::{World, changes};
use serde_json::Value;

fn live(server: Server) -> Live {
    Live::start(&directory(3, 60, 6, 90), server, "", "")
}

/// Exit 4 with all of these words, nothing sent to the target.
#[track_caller]
fn expect_source_failed(live: &Live, words: &[&str]) {
    let run = live.sync().expect(4);
    let cycle = run.cycle();
    assert_eq!(cycle["error"]["kind"], "source");
    let message = cycle["error"]["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "{word:?} is not said: {message}");
    }
    assert!(!(run.stdout + &run.stderr).contains(&live.slapd.password), "no_secret_leaks");
    live.recorder.expect_silence();
}

#[test]
fn refusals_of_the_directory_are_told_in_words() {
    let mut live = live(Server::sandbox());
    let good = live.slapd.ldaps_url.clone();
    live.world.write_secret("bind-password", "wrong horse");
    expect_source_failed(&live, &["wrong bind_dn or password", &live.slapd.bind_dn]);
    live.world.write_secret("bind-password", &live.slapd.password);

    // The system's CAs do not know this one.
    live.configure_source(&format!("url = \"{good}\""), "");
    expect_source_failed(&live, &["ca_file", &good]);
    let other = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap();
    std::fs::write(live.world.path("other.pem"), other.cert.pem()).unwrap();
    live.configure_source(&format!("url = \"{good}\"\nca_file = \"other.pem\""), "");
    expect_source_failed(&live, &["ca_file", &good]);
    // A name that the certificate does not have. slapd answers on all of loopback's addresses only if told to.
    let elsewhere = good.replace("localhost", "localhost.localdomain");
    live.configure(&elsewhere, "timeout = \"2s\"", "");
    live.sync().expect(4);
    live.recorder.expect_silence();

    live.slapd.kill();
    live.configure(&good, "timeout = \"2s\"", "");
    expect_source_failed(&live, &[&good]);
    live.slapd.restart();
    live.sync().expect(0);
    live.expect_quiet();
}

#[test]
fn starttls_and_a_second_server_get_through() {
    let live = live(Server::sandbox());
    let wanted = live.snapshot().expected(true);
    live.configure(&live.slapd.ldap_url, "starttls = true", "");
    live.sync().expect(0);
    wanted.expect(&live.held());
    // The first server is dead, the second one is well.
    let (dead, ca) = (free_port(), live.slapd.ca_file.display().to_string());
    let urls = format!("url = [\"ldaps://localhost:{dead}\", \"{}\"]\nca_file = \"{ca}\"", live.slapd.ldaps_url);
    live.configure_source(&urls, "");
    live.expect_quiet();
    // Both are dead: both are named.
    let other = free_port();
    let urls = format!("url = [\"ldaps://localhost:{dead}\", \"ldaps://localhost:{other}\"]\nca_file = \"{ca}\"");
    live.configure_source(&urls, "");
    expect_source_failed(&live, &[&dead.to_string(), &other.to_string()]);
}

fn online(world: &World, code: i32) -> Vec<Value> {
    let run = world.run(&["check", "--online", "--json"]).expect(code);
    run.json()["online"].as_array().unwrap().clone()
}

fn check_online(server: Server) {
    let live = live(server);
    let probes = online(&live.world, 0);
    assert_eq!(probes.len(), 3);
    assert_eq!((&probes[2]["name"], &probes[2]["ok"]), (&"s".into(), &true.into()));
    let counted = serde_json::json!({
        "in scope": "66", "people in scope": "60", "groups in scope": "6", "out of scope": "0", "active people without a user ID": "0"
    });
    assert_eq!(probes[2]["facts"], counted);
    let facts = &probes[0]["facts"];
    assert_eq!((&probes[0]["name"], &probes[0]["ok"], &probes[0]["error"]), (&"dir".into(), &true.into(), &Value::Null));
    assert_eq!(facts["flavor"], "openldap");
    assert_eq!(facts["people"], "60");
    assert_eq!(facts["groups"], "6");
    assert!(facts["tls"].as_str().unwrap().starts_with("TLS"), "{facts}");
    assert_eq!((&probes[1]["name"], &probes[1]["ok"]), (&"app".into(), &true.into()));
    assert_eq!(probes[1]["facts"]["users"], "0");
    assert!(live.recorder.writes().is_empty(), "a check writes nothing");
    assert!(!live.world.path("state.db").exists(), "nor stores anything");

    // A wrong token; the directory is well all the same.
    live.world.write_secret("token", "wrong-token-0815");
    live.recorder.clear();
    let probes = online(&live.world, 5);
    assert_eq!(probes[0]["ok"], true);
    assert_eq!((&probes[1]["ok"], &probes[1]["facts"]), (&false.into(), &serde_json::json!({})));
    let error = probes[1]["error"].as_str().unwrap();
    assert!(error.contains("401") || error.contains("token"), "{error}");
    assert!(!error.contains("wrong-token-0815"), "no_secret_leaks");
    assert!(live.recorder.writes().is_empty());
    // A cycle says the same, and marks nobody as bad.
    let cycle = live.sync().expect(5).cycle();
    assert_eq!(cycle["error"]["kind"], "target");
    assert_eq!(cycle["parked"], serde_json::json!([]));
    assert!(changes(&cycle).is_empty());
    assert!(live.recorder.writes().is_empty());

    // Of both, the source's fault is the exit code.
    live.world.write_secret("bind-password", "wrong horse");
    let probes = online(&live.world, 4);
    assert_eq!((&probes[0]["ok"], &probes[1]["ok"]), (&false.into(), &false.into()));
}

#[test]
fn check_online_writes_nothing() {
    for server in [Server::scim2(), Server::scimmy(), Some(Server::sandbox())].into_iter().flatten() {
        check_online(server);
    }
}
