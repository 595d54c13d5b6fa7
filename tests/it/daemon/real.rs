//! The service on a real journal socket, beside many joiners, and seen from outside.

use crate::support::service::{SELDOM, Service, eventually, long_ago, results};
use crate::support::world::{SandboxProcess, ScimReader, World};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A journal that listens where systemd's does, seen by the service only. Where the machine allows no mount namespace there
/// is nothing to see.
#[test]
fn the_journal_gets_fields() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.populate(2);
    w.sync().expect(0);
    w.join("late");
    w.join("odd");
    w.set("odd", "mail", "nobody");
    w.save();
    long_ago(&w);
    let run = w.path("run");
    std::fs::create_dir_all(run.join("systemd/journal")).unwrap();
    let journal = UnixDatagram::bind(run.join("systemd/journal/socket")).unwrap();
    journal.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let log = std::fs::File::create(w.path("stderr")).unwrap();
    let mount = format!("mount --bind '{}' /run", run.display());
    if !Command::new("unshare").args(["-m", "sh", "-c", &mount]).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
        println!("no mount namespace here: skipped");
        return;
    }
    let script = format!("{mount} && JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$@\"");
    let service = w.command(&["run"]);
    let mut child = Command::new("unshare")
        .args(["-m", "sh", "-c", &script, "sh"])
        .arg(service.get_program())
        .args(service.get_args())
        .current_dir(w.dir.path())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut all: Vec<String> = Vec::new();
    let mut buffer = [0; 65536];
    while !all.iter().any(|m| m.contains("SCIM_SYNC_RESULT")) {
        let n = journal.recv(&mut buffer).expect("the journal hears of the cycle");
        all.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let person = all.iter().find(|m| m.contains("SCIM_SYNC_WHO")).expect("somebody is named");
    for field in ["SCIM_SYNC_SYNC\n", "SCIM_SYNC_CYCLE\n", "SCIM_SYNC_STATUS\n", "MESSAGE\n", "nobody", "parked"] {
        assert!(person.contains(field), "{field}: {person}");
    }
    assert_eq!(std::fs::read_to_string(w.path("stderr")).unwrap(), "", "not said twice");
    eventually("two cycles", || results(&w, "s").len() == 2);
}

/// Ten thousand join and one leaves, all at once: who leaves is out before the five hundredth is in.
#[test]
fn a_leaver_does_not_wait_behind_ten_thousand_joiners() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, SELDOM, "");
    w.populate(20);
    w.sync().expect(0);
    w.populate(10_020);
    w.leave("p00007");
    w.save();
    long_ago(&w);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let service = Service::start(&w);
    eventually("the leaver is inactive", || {
        assert!(service.running(), "{}", service.log());
        target.user("p00007@corp.example").unwrap()["active"] == false
    });
    let made = sandbox.stats()["users"].as_u64().unwrap() - 20;
    assert!(made < 500, "{made} joiners came first");
}

/// Health, metrics and a webhook of the service itself, from outside.
#[test]
fn the_service_is_seen_from_outside() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hook = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let told = hook.local_addr().unwrap();
    let sandbox = SandboxProcess::start(&[]);
    let outside =
        format!("{SELDOM}\n[http]\nlisten = \"127.0.0.1:{port}\"\n[notify]\nwebhook = {{ url = \"http://{told}/hook\" }}");
    let mut w = World::new(&sandbox.base_url, &sandbox.token, &outside, "");
    w.populate(100);
    w.sync().expect(0);
    // Half of them leave: held, and told.
    (0..50).for_each(|i| w.leave(&format!("p{i:05}")));
    w.save();
    long_ago(&w);
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = hook.accept().unwrap();
        let body = read_request(&mut stream);
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        said.send(body).unwrap();
    });
    let mut service = Service::start(&w);
    let message = heard.recv_timeout(Duration::from_secs(30)).expect("nobody was told");
    assert!(message.contains("\"held\"") && message.contains("scim-sync approve s"), "{message}");
    let get = |path: &str| {
        let answer = reqwest::blocking::get(format!("http://127.0.0.1:{port}{path}")).unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    assert_eq!(get("/healthz").0, 200);
    assert_eq!(get("/readyz").0, 200);
    let (status, metrics) = get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("scim_sync_held_changes{sync=\"s\",kind=\"deactivate\"} 50"), "{metrics}");
    assert!(metrics.contains("scim_sync_leavers_waiting{sync=\"s\"} 50"), "{metrics}");
    assert_eq!(service.stop("TERM").1, Some(0));

    // What was told outlives the process: the next one does not tell it again.
    let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
    let memory: String = c.query_row("SELECT CAST(value AS TEXT) FROM meta WHERE key = 'told'", [], |r| r.get(0)).unwrap();
    assert!(memory.contains("\"held\""), "{memory}");

    // It says where the sync stands before its own first cycle, and after one by hand.
    let mut again = Service::start(&w);
    let shows = |line: &str| {
        eventually(line, || {
            reqwest::blocking::get(format!("http://127.0.0.1:{port}/metrics")).is_ok_and(|a| a.text().unwrap().contains(line))
        });
    };
    shows("scim_sync_held_changes{sync=\"s\",kind=\"deactivate\"} 50");
    shows("scim_sync_linked{sync=\"s\",object=\"user\"} 100");
    shows("scim_sync_cycles_total{sync=\"s\",result=\"held\"} 0");
    w.join("late");
    w.save();
    w.run(&["sync"]).expect(6);
    shows("scim_sync_linked{sync=\"s\",object=\"user\"} 101");
    shows("scim_sync_cycles_total{sync=\"s\",result=\"held\"} 0");
    assert_eq!(again.stop("TERM").1, Some(0));
}

fn read_request(stream: &mut std::net::TcpStream) -> String {
    use std::io::{BufRead, BufReader, Read};
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}
