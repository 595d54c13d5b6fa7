//! Notifications by real servers: mail in the clear, by STARTTLS and by TLS; a webhook that checks its signature.

use crate::support::mail_server::{MailServer, PASSWORD, Speaks, USER, header, text};
use crate::support::world::{SandboxProcess, World};
use hmac::{Hmac, Mac};
use scim_sync::config::{self, Config};
use scim_sync::observe::notify::{self, Notifier};
use scim_sync::observe::{Outcome, Verdict};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

fn outcome(sync: &str, verdict: Verdict) -> Outcome {
    let now = jiff::Timestamp::now().as_second();
    Outcome {
        sync: sync.to_owned(),
        cycle: 4711,
        at: now,
        verdict,
        error: (verdict == Verdict::Failed).then(|| ("source".to_owned(), "ldaps://dc1: Zeitüberschreitung".to_owned())),
        done: std::collections::BTreeMap::new(),
        held: if verdict == Verdict::Held { [("deactivate".to_owned(), 12)].into() } else { [].into() },
        parked: Vec::new(),
        leavers_waiting: 2,
        leavers_since: Some(now - 3600),
        linked_users: 10,
        linked_groups: 0,
        complete_read_at: Some(now - 60),
        next_run: Some(now + 300),
        duration_ms: 10,
    }
}

/// A configuration with these lines in `[notify]`; the syncs are `a`, whose recipients are the default ones, and `b` with its own.
fn configured(notify: &str) -> Config {
    let sync = |name: &str, more: &str| format!("[[sync]]\nname = \"{name}\"\nsource = \"s\"\ntarget = \"t\"\n{more}\n");
    let text = format!(
        "version = 1\nallow_plaintext_secrets = true\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n[target.t]\n\
         url = \"https://x.example\"\n{}{}[notify]\n{notify}\n",
        sync("a", ""),
        sync("b", "notify = [\"Owner of B <b@corp.example>\"]"),
    );
    config::parse(Path::new("/nowhere/config.toml"), text).unwrap_or_else(|e| panic!("{e}")).config
}

fn smtp(server: &MailServer, speaks: Speaks, more: &str) -> String {
    let (scheme, starttls) = match speaks {
        Speaks::Plain => ("smtp", "starttls = false,"),
        Speaks::StartTls => ("smtp", ""),
        Speaks::Tls => ("smtps", ""),
    };
    let tls = if speaks == Speaks::Plain {
        String::new()
    } else {
        format!("ca_file = {:?}, user = \"{USER}\", password = \"{PASSWORD}\",", server.ca_file())
    };
    format!(
        "smtp = {{ url = \"{scheme}://127.0.0.1:{}\", {starttls} {tls} from = \"scim-sync <scim@corp.example>\", \
         to = [\"it@corp.example\"], timeout = \"5s\" {more} }}",
        server.port
    )
}

/// The rest of the test waits on another thread's server: one thread is not enough.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn mail_is_written_once_on_failure_and_once_when_well_again() {
    for speaks in [Speaks::Plain, Speaks::StartTls, Speaks::Tls] {
        let Some(server) = MailServer::start(speaks) else { return };
        let runtime = runtime();
        let _inside = runtime.enter();
        let notifier = Notifier::new(&configured(&smtp(&server, speaks, "")), None).unwrap();
        for verdict in [Verdict::Ok, Verdict::Failed, Verdict::Failed, Verdict::Failed] {
            notifier.cycle(&outcome("a", verdict));
        }
        let mails = server.wait_for(1);
        let mail = &mails[0];
        assert_eq!(mail["from"], "scim@corp.example");
        assert_eq!(mail["to"], serde_json::json!(["it@corp.example"]));
        assert_eq!(mail["tls"], speaks != Speaks::Plain, "{speaks:?}");
        assert_eq!(mail["authenticated"], speaks != Speaks::Plain, "{speaks:?}");
        assert_eq!(header(mail, "Subject").unwrap(), "scim-sync: a failed (source); 2 leavers wait");
        assert_eq!(header(mail, "To").unwrap(), "it@corp.example");
        assert_eq!(header(mail, "Auto-Submitted").unwrap(), "auto-generated");
        assert!(header(mail, "Message-ID").unwrap().ends_with("@corp.example>"));
        assert!(header(mail, "Date").unwrap().contains("20"));
        assert!(header(mail, "Content-Type").unwrap().starts_with("text/plain"));
        let said = text(mail);
        for part in ["ldaps://dc1: Zeitüberschreitung", "2 people have left and can still sign in", "scim-sync log --cycle 4711"]
        {
            assert!(said.contains(part), "{part}\n{said}");
        }
        notifier.cycle(&outcome("b", Verdict::Held));
        let mails = server.wait_for(2);
        assert_eq!(mails[1]["to"], serde_json::json!(["b@corp.example"]), "b has recipients of its own");
        // A restart knows what was told, once the server's answer has come.
        crate::support::service::eventually("it is told", || notifier.memory().contains("\"pending\":{}"));
        let memory = notifier.memory();
        drop(notifier);
        let notifier = Notifier::new(&configured(&smtp(&server, speaks, "")), Some(&memory)).unwrap();
        notifier.cycle(&outcome("a", Verdict::Failed));
        notifier.cycle(&outcome("b", Verdict::Held));
        notifier.cycle(&outcome("a", Verdict::Ok));
        let mails = server.wait_for(3);
        assert_eq!(header(&mails[2], "Subject").unwrap(), "scim-sync: a is well again");
    }
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing() {
    let Some(server) = MailServer::start(Speaks::StartTls) else { return };
    let runtime = runtime();
    let tried = |notify: &str| {
        let config = configured(notify);
        let mut tried = runtime.block_on(notify::test(&config)).unwrap();
        assert_eq!(tried.len(), 1);
        tried.remove(0).1
    };
    let good = smtp(&server, Speaks::StartTls, "");
    let ca = format!("ca_file = {:?},", server.ca_file());
    let error = tried(&good.replace(&ca, "")).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    let error = tried(&good.replace(PASSWORD, "wrong-password-77e1")).unwrap_err();
    assert!(error.contains("535") && !error.contains("wrong-password"), "{error}");
    // No STARTTLS on offer: nothing is sent in the clear instead.
    let plain = MailServer::start(Speaks::Plain).unwrap();
    let there = good.replace(&server.port.to_string(), &plain.port.to_string());
    let error = tried(&there).unwrap_err();
    assert!(error.to_lowercase().contains("starttls"), "{error}");
    assert_eq!((server.mails().len(), plain.mails().len()), (0, 0));
    let facts = tried(&good).unwrap();
    assert!(facts.contains(&("encryption".to_owned(), "STARTTLS".to_owned())), "{facts:?}");
    assert!(facts.contains(&("test message to".to_owned(), "b@corp.example, it@corp.example".to_owned())), "{facts:?}");
    server.wait_for(2);
}

/// The memory with everything that waits due now.
fn impatient(memory: &str) -> String {
    let mut memory: Value = serde_json::from_str(memory).unwrap();
    for channel in memory["pending"].as_object_mut().unwrap().values_mut() {
        for pending in channel.as_array_mut().unwrap() {
            assert!(pending["next_try"].as_i64() > Some(0));
            pending["next_try"] = 0.into();
        }
    }
    memory.to_string()
}

fn waiting(notifier: &Notifier) -> usize {
    let memory: Value = serde_json::from_str(&notifier.memory()).unwrap();
    memory["pending"].as_object().unwrap().values().map(|c| c.as_array().unwrap().len()).sum()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_dead_mail_server_stops_nothing_and_gets_its_mail_later() {
    let Some(server) = MailServer::start(Speaks::Plain) else { return };
    let alive = smtp(&server, Speaks::Plain, "");
    // Nobody listens on port 1; a server that says nothing is worse.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [1, silent.local_addr().unwrap().port()] {
        let dead = alive.replace(&server.port.to_string(), &port.to_string());
        let before = server.mails().len();
        let runtime = runtime();
        let _inside = runtime.enter();
        let notifier = Notifier::new(&configured(&dead), None).unwrap();
        let began = Instant::now();
        for _ in 0..1000 {
            notifier.cycle(&outcome("a", Verdict::Failed));
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        runtime.block_on(notifier.flush(Duration::from_millis(300)));
        assert_eq!(waiting(&notifier), 1);
        until("an attempt was made", || notifier.memory().contains("\"attempts\":1"));
        let memory = impatient(&notifier.memory());
        drop(notifier);
        let notifier = Notifier::new(&configured(&alive), Some(&memory)).unwrap();
        let mails = server.wait_for(before + 1);
        assert!(header(&mails[before], "Subject").unwrap().contains("a failed"));
        until("nothing waits any more", || waiting(&notifier) == 0);
    }
}

#[test]
fn one_address_that_is_refused_does_not_keep_the_mail_from_others() {
    let Some(server) = MailServer::start(Speaks::Plain) else { return };
    let runtime = runtime();
    let _inside = runtime.enter();
    let to = "to = [\"refused@corp.example\", \"it@corp.example\"]";
    let config = configured(&smtp(&server, Speaks::Plain, "").replace("to = [\"it@corp.example\"]", to));
    let notifier = Notifier::new(&config, None).unwrap();
    notifier.cycle(&outcome("a", Verdict::Failed));
    server.wait_for(1);
    until("the attempt is over", || notifier.memory().contains("\"attempts\":1"));
    let memory = impatient(&notifier.memory());
    drop(notifier);
    let notifier = Notifier::new(&config, Some(&memory)).unwrap();
    until("it was tried again", || notifier.memory().contains("\"attempts\":2"));
    server.wait_for(1);
}

#[test]
fn what_waits_is_bounded() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let config = configured("webhook = { url = \"http://127.0.0.1:1/hook\" }");
    let notifier = Notifier::new(&config, None).unwrap();
    for i in 0..300 {
        notifier.cycle(&outcome(&format!("s{i}"), Verdict::Failed));
    }
    assert_eq!(waiting(&notifier), 64);
    for broken in ["", "{}", "[1]", "{\"version\":2}", "{\"version\":1,\"syncs\":{\"a\":{\"told\":7}}}", "\u{0}"] {
        drop(Notifier::new(&config, Some(broken)).unwrap());
    }
}

#[test]
fn a_webhook_is_signed_and_tried_again() {
    let runtime = runtime();
    let receiver = runtime.block_on(async {
        let receiver = MockServer::start().await;
        let first = ResponseTemplate::new(500).set_body_string("no: hook-secret-5a5a /hook/91f3c0");
        Mock::given(method("POST")).respond_with(first).up_to_n_times(1).mount(&receiver).await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&receiver).await;
        receiver
    });
    let _inside = runtime.enter();
    let config = configured(&format!("webhook = {{ url = \"{}/hook/91f3c0\", secret = \"hook-secret-5a5a\" }}", receiver.uri()));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hook-secret") && !shown.contains("91f3c0"), "{shown}");
    let notifier = Notifier::new(&config, None).unwrap();
    notifier.cycle(&outcome("a", Verdict::Held));
    until("the first attempt", || notifier.memory().contains("\"attempts\":1"));
    let memory = impatient(&notifier.memory());
    assert!(!memory.contains("hook-secret") && !memory.contains("91f3c0"), "{memory}");
    drop(notifier);
    let notifier = Notifier::new(&config, Some(&memory)).unwrap();
    until("delivered", || waiting(&notifier) == 0);
    let requests = runtime.block_on(receiver.received_requests()).unwrap();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        let value = |name: &str| request.headers.get(name).unwrap().to_str().unwrap().to_owned();
        let mac = Hmac::<sha2::Sha256>::new_from_slice(b"hook-secret-5a5a").unwrap().chain_update(&request.body);
        let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(value("x-scim-sync-signature"), format!("sha256={hex}"));
        assert_eq!(value("content-type"), "application/json");
        assert_eq!(value("x-scim-sync-event"), "held");
        let sent: i64 = value("x-scim-sync-timestamp").parse().unwrap();
        assert!((jiff::Timestamp::now().as_second() - sent).abs() < 60);
        let document: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(document["id"], value("x-scim-sync-delivery"));
        assert_eq!(document["version"], 1);
        assert_eq!(document["held"]["deactivate"], 12);
        assert_eq!(document["commands"].as_array().unwrap().last().unwrap(), "scim-sync approve a --reason \"...\"");
        let since: jiff::Timestamp = document["leavers_since"].as_str().unwrap().parse().unwrap();
        assert!(since < jiff::Timestamp::now());
    }
    assert_eq!(requests[0].body, requests[1].body, "the same message, sent again");
    // A server that repeats what it was given is not quoted.
    runtime.block_on(receiver.reset());
    let refusal = ResponseTemplate::new(403).set_body_string("you sent hook-secret-5a5a to /hook/91f3c0, sorry");
    runtime.block_on(Mock::given(method("POST")).respond_with(refusal).mount(&receiver));
    let error = runtime.block_on(notify::test(&config)).unwrap().remove(0).1.unwrap_err();
    assert!(error.contains("403") && error.contains("sorry"), "{error}");
    assert!(!error.contains("hook-secret") && !error.contains("91f3c0"), "{error}");
}

#[test]
fn check_tries_every_channel() {
    let Some(server) = MailServer::start(Speaks::Tls) else { return };
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(3);
    w.save();
    w.write_secret("mail", PASSWORD);
    let good = std::fs::read_to_string(w.path("config.toml")).unwrap();
    let notify = smtp(&server, Speaks::Tls, "").replace(&format!("\"{PASSWORD}\""), "{ file = \"mail\" }");
    let with = |hook: &str| {
        let text = format!("{good}\n[notify]\n{notify}\nwebhook = {{ url = \"{hook}\" }}\n");
        std::fs::write(w.path("config.toml"), text).unwrap();
    };
    with("http://127.0.0.1:1/hook/91f3c0");
    let run = w.run(&["check", "--online", "--notify", "--json"]).expect(3);
    let online = run.json()["online"].as_array().unwrap().clone();
    let row = |name: &str| online.iter().find(|r| r["kind"] == "notify" && r["name"] == name).unwrap().clone();
    assert_eq!(row("smtp")["ok"], true, "{}", row("smtp"));
    assert_eq!(row("smtp")["facts"]["encryption"], "TLS from the start");
    assert_eq!((&row("webhook")["ok"], row("webhook")["error"].is_string()), (&Value::Bool(false), true));
    assert!(!run.stdout.contains("91f3c0") && !run.stdout.contains(PASSWORD) && !run.stderr.contains("91f3c0"));
    let mails = server.wait_for(1);
    assert_eq!(header(&mails[0], "Subject").unwrap(), "scim-sync: a test, messages arrive");
    // Without --notify nobody is written to; without [notify] that is said; without --online it is a wrong command line.
    w.run(&["check", "--online"]).expect(0);
    server.wait_for(1);
    w.run(&["check", "--notify"]).expect(2);
    std::fs::write(w.path("config.toml"), &good).unwrap();
    let run = w.run(&["check", "--online", "--notify"]).expect(3);
    assert!(run.stdout.contains("no [notify]"), "{}", run.stdout);
}
