//! No secret leaks: every output, the state store and plan files are searched for the secrets that were configured.

use crate::support::service::{SELDOM, Service, eventually};
use crate::support::switch::{Answer, Asked, Switch};
use crate::support::world::{SandboxProcess, World};
use std::process::Command;

/// Runs every command that may talk of the configuration, and returns all that they said, with every file they left
/// (the configuration and the secrets' own files left out).
fn everything_said(w: &World, prepare: &dyn Fn(&mut Command)) -> Vec<u8> {
    let mut said = Vec::new();
    for args in [
        &["check", "-vvv"][..],
        &["check", "--json"],
        &["check", "--online", "-vvv"],
        &["check", "--online", "--json"],
        &["plan", "-vvv"],
        &["plan", "--verify", "--json", "-vvv"],
        &["plan", "--out", "plan.json", "-vvv"],
        &["sync", "-vvv"],
        &["sync", "--json", "-vvv"],
        &["sync", "--verify", "--json", "-vvv"],
        &["log"],
        &["log", "--json"],
        &["status", "--json"],
        &["approve", "s", "--json"],
    ] {
        let mut command = w.command(args);
        prepare(&mut command);
        let out = command.output().unwrap();
        assert!(!String::from_utf8_lossy(&out.stderr).contains("this is a bug"), "{}", String::from_utf8_lossy(&out.stderr));
        said.extend(out.stdout);
        said.extend(out.stderr);
    }
    for (path, bytes) in w.files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != "config.toml" && !name.starts_with("token") && !name.starts_with("secret") {
            said.extend(name.as_bytes());
            said.extend(bytes);
        }
    }
    said
}

#[track_caller]
fn assert_silent(said: &[u8], secrets: &[&str], must_say: &str) {
    for secret in secrets {
        for (i, w) in said.windows(secret.len()).enumerate() {
            if w == secret.as_bytes() {
                let around = &said[i.saturating_sub(300)..(i + 100).min(said.len())];
                panic!("no_secret_leaks: {secret} in ...{}...", String::from_utf8_lossy(around));
            }
        }
    }
    let text = String::from_utf8_lossy(said);
    assert!(text.contains(must_say), "the test did not provoke what it meant to ({must_say}): {}", &text[..text.len().min(3000)]);
}

/// Everything that was in `Authorization`, in every shape in which servers quote it.
fn echo(asked: &Asked, n: usize) -> Answer {
    let auth = asked.authorization.clone();
    let token = auth.trim_start_matches("Bearer ").to_owned();
    Some(match n % 7 {
        0 => (401, format!("{{\"status\": \"401\", \"detail\": \"bad token {token}\"}}")),
        1 => (401, format!("<html><body>Authorization: {auth}</body></html>")),
        2 => (400, format!("{{\"reason\": {{\"header\": \"{auth}\"}}}}")),
        3 => (500, format!("trace: {token} {token}")),
        4 => (403, format!("{{\"Errors\": [{{\"description\": \"{token} may not\"}}]}}")),
        5 => (200, format!("<p>{token}")),
        _ => (409, format!("{{\"error\": {{\"message\": [\"{auth}\"]}}}}")),
    })
}

/// A world against a server that passes everything on first, then echoes the credential in ever other shapes.
fn echoing(sandbox: &SandboxProcess, token: &str) -> (World, Switch) {
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "timeout = \"3s\"");
    w.populate(12);
    w.sync().expect(0);
    w.join("new");
    w.leave("p00001");
    w.set("p00002", "displayName", "Other");
    w.save();
    let (mut n, token) = (0, token.to_owned());
    switch.rule(move |asked| {
        assert!(asked.authorization.contains(&token), "the secret is in use: {}", asked.authorization);
        n += 1;
        echo(asked, n)
    });
    (w, switch)
}

fn with_token(w: &World, line: &str, top: &str) {
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    let config = config.replace("token = { file = \"token\" }", line).replace("version = 1\n", &format!("version = 1\n{top}"));
    std::fs::write(w.path("config.toml"), config).unwrap();
}

#[test]
fn no_secret_leaks_from_a_token_in_a_file() {
    let sandbox = SandboxProcess::start(&[]);
    let (w, _switch) = echoing(&sandbox, "tok-file-5e3c9a");
    w.write_secret("token", "tok-file-5e3c9a\n");
    assert_silent(&everything_said(&w, &|_| ()), &["tok-file-5e3c9a", "5e3c9a"], "[secret]");
}

#[test]
fn no_secret_leaks_from_a_token_in_the_environment() {
    let sandbox = SandboxProcess::start(&[]);
    let (w, _switch) = echoing(&sandbox, "tok-env-5e3c9a");
    with_token(&w, "token = { env = \"APP_TOKEN\" }", "");
    let said = everything_said(&w, &|c| {
        c.env("APP_TOKEN", "tok-env-5e3c9a");
    });
    assert_silent(&said, &["5e3c9a"], "[secret]");
    // Missing: named, and nothing else of the environment is told.
    let said = everything_said(&w, &|c| {
        c.env("ANOTHER_TOKEN", "tok-env-5e3c9a");
    });
    assert_silent(&said, &["5e3c9a"], "APP_TOKEN");
}

#[test]
fn no_secret_leaks_from_a_token_in_plain_text() {
    let sandbox = SandboxProcess::start(&[]);
    let (w, _switch) = echoing(&sandbox, "tok-plain-5e3c9a");
    with_token(&w, "token = \"tok-plain-5e3c9a\"", "allow_plaintext_secrets = true\n");
    assert_silent(&everything_said(&w, &|_| ()), &["5e3c9a"], "[secret]");
}

#[test]
fn no_secret_leaks_from_a_systemd_credential() {
    let sandbox = SandboxProcess::start(&[]);
    let (w, _switch) = echoing(&sandbox, "tok-cred-5e3c9a");
    w.write_secret("secret-app", "tok-cred-5e3c9a");
    with_token(&w, "token = { credential = \"secret-app\" }", "");
    let dir = w.dir.path().to_owned();
    let said = everything_said(&w, &|c| {
        c.env("CREDENTIALS_DIRECTORY", &dir);
    });
    assert_silent(&said, &["5e3c9a"], "[secret]");
}

#[test]
fn no_secret_leaks_from_oauth() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let mut w = World::new(&switch.url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    w.write_secret("secret-client", "cs-7781f0aa");
    let oauth = format!(
        "oauth = {{ token_url = \"{}/token\", client_id = \"me\", client_secret = {{ file = \"secret-client\" }} }}",
        switch.url
    );
    with_token(&w, &oauth, "");
    let mut n = 0;
    switch.rule(move |asked| {
        n += 1;
        if !asked.path.ends_with("/token") {
            return echo(asked, n);
        }
        // The client's credentials come back in every other answer; a token in the rest.
        let given = format!("{} {}", asked.body, asked.authorization);
        Some(match n % 3 {
            0 => (400, format!("{{\"error\": \"invalid_client\", \"error_description\": \"no: cs-7781f0aa {given}\"}}")),
            1 => (500, format!("<h1>{given}</h1>")),
            _ => (200, "{\"access_token\": \"at-99c1d2e3\", \"token_type\": \"Bearer\", \"expires_in\": 60}".to_owned()),
        })
    });
    // base64 of "me:cs-7781f0aa", as HTTP Basic carries it.
    let secrets = ["cs-7781f0aa", "7781f0aa", "at-99c1d2e3", "bWU6Y3MtNzc4MWYwYWE"];
    assert_silent(&everything_said(&w, &|_| ()), &secrets, "[secret]");
}

#[test]
fn no_secret_leaks_from_addresses() {
    // Credentials have no place in an address, and are not repeated where they stand there all the same.
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    let base = sandbox.base_url.clone();
    let host = base.trim_start_matches("http://");
    for url in [
        format!("http://user:pw-4417ab@{host}"),
        format!("{base}?key=pw-4417ab"),
        "http://user:pw-4417ab@127.0.0.1:1/scim".to_owned(),
        "http://127.0.0.1:1/scim?key=pw-4417ab".to_owned(),
        "https://user:pw-4417ab@127.0.0.1:1/scim".to_owned(),
        "ftp://user:pw-4417ab@host/scim".to_owned(),
        "http://user:pw-4417ab@example.com/scim".to_owned(),
        "http://user:pw-4417ab@:70000/".to_owned(),
    ] {
        let source = "type = \"file\"\npath = \"people.json\"";
        for (target, proxy) in [(url.as_str(), String::new()), (base.as_str(), format!("proxy = \"{url}\""))] {
            w.configure(source, target, &sandbox.token, "", &format!("timeout = \"2s\"\n{proxy}"));
            let mut said = Vec::new();
            for args in [&["check"][..], &["check", "--online", "--json"], &["plan", "-vvv"], &["sync", "--json", "-vvv"]] {
                let out = w.command(args).output().unwrap();
                said.extend(out.stdout);
                said.extend(out.stderr);
            }
            for (path, bytes) in w.files() {
                if path.file_name().unwrap() != "config.toml" {
                    said.extend(bytes);
                }
            }
            assert_silent(&said, &["pw-4417ab", "4417ab"], "");
        }
    }
}

#[test]
fn no_secret_leaks_from_an_ldap_password() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.write_secret("secret-ldap", "ldap-pw-90ab12");
    for url in ["ldap://127.0.0.1:1", "ldaps://127.0.0.1:1", "ldap://ldap-user:ldap-pw-90ab12@127.0.0.1:1"] {
        let source = format!(
            "type = \"ldap\"\nurl = \"{url}\"\nbind_dn = \"cn=x\"\npassword = {{ file = \"secret-ldap\" }}\nbase = \"dc=x\"\ntimeout = \"2s\""
        );
        w.configure(&source, &sandbox.base_url, &sandbox.token, "", "");
        let said = everything_said(&w, &|_| ());
        assert_silent(&said, &["ldap-pw-90ab12", "90ab12", "sandbox-token"], "127.0.0.1");
    }
}

#[test]
fn no_secret_leaks_from_a_mistyped_configuration() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    let good = std::fs::read_to_string(w.path("config.toml")).unwrap();
    for line in [
        "token = \"plain-31337cafe\"",
        "tokn = \"plain-31337cafe\"",
        "token = [\"plain-31337cafe\"]",
        "token = { value = \"plain-31337cafe\" }",
        "token = { fil = \"plain-31337cafe\" }",
        "token = \"plain-31337cafe",
        "token = plain-31337cafe",
        "token = 'plain-31337cafe' 'x'",
        "token = \"plain-31337cafe\\q\"",
        "token = \"\"\"plain-31337cafe",
        "oauth = { token_url = \"https://x.example\", client_id = \"a\", client_secret = \"plain-31337cafe\" }",
        "password = \"plain-31337cafe\"",
        "token = { file = \"token\" }\ntoken = \"plain-31337cafe\"",
    ] {
        std::fs::write(w.path("config.toml"), good.replace("token = { file = \"token\" }", line)).unwrap();
        let mut said = Vec::new();
        for args in [&["check"][..], &["check", "--json"], &["sync", "--json", "-vvv"], &["plan"]] {
            let out = w.command(args).output().unwrap();
            assert_eq!(out.status.code(), Some(3), "{line}: {}", String::from_utf8_lossy(&out.stderr));
            said.extend(out.stdout);
            said.extend(out.stderr);
        }
        assert_silent(&said, &["plain-31337cafe", "31337cafe"], "config.toml");
    }
}

#[test]
fn no_secret_leaks_when_a_token_was_replaced_meanwhile() {
    let sandbox = SandboxProcess::start(&[]);
    let (w, switch) = echoing(&sandbox, "");
    w.write_secret("token", "old-token-c0ffee11");
    let path = w.path("token");
    let mut n = 0;
    switch.rule(move |asked| {
        n += 1;
        // After the first look the file holds another token, and the answers talk of both.
        std::fs::write(&path, "new-token-c0ffee22").unwrap();
        let both = format!("old-token-c0ffee11 new-token-c0ffee22 {}", asked.authorization);
        Some((if n % 2 == 0 { 401 } else { 400 }, format!("{{\"detail\": \"{both}\"}}")))
    });
    for args in [&["sync", "--verify", "--json", "-vvv"][..], &["sync", "--json", "-vvv"], &["check", "--online", "--json"]] {
        w.write_secret("token", "old-token-c0ffee11");
        let out = w.command(args).output().unwrap();
        let said = [out.stdout, out.stderr].concat();
        // Before the file was read again nobody can know the new one.
        assert_silent(&said, &["old-token-c0ffee11"], "");
    }
}

/// A secret is a part of the configuration: nobody was asked, so neither source nor target failed.
#[test]
fn a_secret_that_cannot_be_had_is_a_mistake_of_the_configuration_for_every_command() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    let as_written = std::fs::read_to_string(w.path("config.toml")).unwrap();
    let oauth = "oauth = { token_url = \"https://id.example/token\", client_id = \"c\", client_secret = { env = \"NOT_SET\" } }";
    for (line, key, what) in [
        ("token = { env = \"NOT_SET\" }", "token: ", "environment variable NOT_SET is not set"),
        ("token = { credential = \"app\" }", "token: ", "$CREDENTIALS_DIRECTORY is not set"),
        ("token = { file = \"nowhere\" }", "token: ", "cannot be read"),
        (oauth, "oauth.client_secret: ", "environment variable NOT_SET is not set"),
    ] {
        std::fs::write(w.path("config.toml"), as_written.replace("token = { file = \"token\" }", line)).unwrap();
        for args in [
            &["sync", "--json"][..],
            &["plan", "--json"],
            &["accounts", "s", "--json"],
            &["explain", "p00001", "--json"],
            &["check", "--online", "--json"],
            &["probe", "s", "--yes", "--json"],
            &["rehearse", "s", "--json"],
            &["--migrate-userids", "--dry-run", "--json"],
        ] {
            let run = w.run(args).expect(3);
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(said.contains(&format!("target app: {key}")) && said.contains(what), "{args:?}: {said}");
        }
        assert_eq!(w.run(&["sync", "--json"]).expect(3).cycle()["error"]["kind"], "configuration");
    }
    assert_eq!(sandbox.requests(), 0);
    std::fs::write(w.path("config.toml"), as_written.replace("token = { file = \"token\" }", "token = { env = \"NOT_SET\" }"))
        .unwrap();
    let check = w.run(&["check", "--json"]).expect(0).json();
    let warning = &check["warnings"][0];
    assert_eq!((&warning["key"], &warning["line"]), (&"target.app.token".into(), &9.into()), "{check}");
    assert!(warning["hint"].as_str().unwrap().contains("set NOT_SET"), "{check}");
}

#[test]
fn one_bad_record_a_secret_that_one_sync_lacks_is_no_matter_of_the_others_and_taken_up_when_it_is_there() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    let more = format!(
        "[target.other]\nurl = \"{}\"\ntoken = {{ file = \"later\" }}\n[[sync]]\nname = \"before\"\nsource = \"dir\"\ntarget = \"other\"\n\
         [sync.scope]\nusers = 'mail eq \"nobody\"'\n[[sync]]\nname = \"s\"",
        sandbox.base_url
    );
    std::fs::write(w.path("config.toml"), config.replacen("[[sync]]\nname = \"s\"", &more, 1)).unwrap();
    let run = w.run(&["sync", "--json"]).expect(3).json();
    let of = |name: &str| run["cycles"].as_array().unwrap().iter().find(|c| c["sync"] == name).unwrap();
    assert_eq!((&of("before")["result"], &of("before")["error"]["kind"]), (&"failed".into(), &"configuration".into()), "{run}");
    assert_eq!((&of("s")["result"], &of("s")["counts"]["create"]), (&"ok".into(), &3.into()), "{run}");
    w.write_secret("later", &sandbox.token);
    w.run(&["sync"]).expect(0);
}

#[test]
fn a_secret_that_ends_soon_is_told_by_sync_and_by_the_service() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.populate(1);
    w.save();
    let day = jiff::Zoned::now().date().checked_add(jiff::Span::new().days(10)).unwrap();
    let config = std::fs::read_to_string(w.path("config.toml")).unwrap();
    let config = config.replace("{ file = \"token\" }", &format!("{{ file = \"token\", expires = \"{day}\" }}"));
    std::fs::write(w.path("config.toml"), config).unwrap();
    let run = w.run(&["sync", "--json"]).expect(0);
    let said = format!("target.app.token expires on {day}, in 10 days");
    assert!(run.cycle()["warnings"][0].as_str().unwrap().starts_with(&said), "{}", run.stdout);
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    let run = w.run(&["sync"]).expect(0);
    let paper = run.stdout + &run.stderr;
    assert_eq!(paper.matches(&said).count(), 1, "{paper}");
    let mut service = Service::start(&w);
    eventually("the warning", || service.log().contains(&said));
    service.stop("TERM");
    assert_eq!(service.log().matches(&said).count(), 1, "once a day: {}", service.log());
}
