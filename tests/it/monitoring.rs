//! The metrics as Prometheus sees them: a real cycle, a real scrape, promtool; and that documents, alerts and dashboard name
//! metrics that exist.

use crate::support::world::{SandboxProcess, World};
use regex::Regex;
use scim_sync::apply::Stop;
use scim_sync::config::{self, HttpConfig, Secret};
use scim_sync::names::{METRICS, Type};
use scim_sync::observe::board::{self, Board};
use scim_sync::observe::health::Listener;
use scim_sync::observe::{Outcome, Silent, Verdict, metrics};
use scim_sync::state::Store;
use scim_sync::sync::{Cycle, Request};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Runs promtool in `docs/monitoring`; `None` where it is not installed.
#[track_caller]
fn promtool(args: &[&str], input: &str) -> Option<String> {
    let child = Command::new("promtool")
        .args(args)
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: promtool is not installed (Debian package prometheus)");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "promtool {args:?}: {said}");
    Some(said)
}

fn kind(t: Type) -> &'static str {
    match t {
        Type::Counter => "counter",
        Type::Gauge => "gauge",
        Type::Histogram(_) => "histogram",
    }
}

/// The page has every metric, as it is in the code, and no other.
#[test]
fn the_page_of_metrics_is_the_codes() {
    let text = read("metrics.md");
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| `")).collect();
    let expected: Vec<String> = METRICS
        .iter()
        .map(|m| {
            let labels: Vec<String> = m.labels.iter().map(|l| format!("`{l}`")).collect();
            format!("| `{}` | {} | {} | {} |", m.name, kind(m.kind), labels.join(", "), m.help)
        })
        .collect();
    assert_eq!(rows, expected, "docs/monitoring/metrics.md should have these rows:\n{}", expected.join("\n"));
}

#[test]
fn alerts_are_right_and_do_what_they_should() {
    let Some(said) = promtool(&["check", "rules", "alerts.yml"], "") else { return };
    assert!(said.contains("SUCCESS: 11 rules"), "{said}");
    promtool(&["test", "rules", "alerts.test.yml"], "");
    // Every alert is tested, both ways.
    let tests = read("alerts.test.yml");
    let name = Regex::new(r"(?m)^ +- alert: (\w+)$").unwrap();
    let alerts: Vec<String> = name.captures_iter(&read("alerts.yml")).map(|c| c[1].to_owned()).collect();
    assert_eq!(alerts.len(), 11);
    for alert in alerts {
        let cases: Vec<&str> = tests.split("- eval_time:").filter(|t| t.contains(&format!("alertname: {alert}\n"))).collect();
        assert!(cases.iter().any(|c| c.contains("exp_alerts")), "{alert} fires");
        assert!(cases.iter().any(|c| !c.contains("exp_alerts")), "{alert} does not always");
    }
}

/// What alerts and dashboard ask for exists, with the labels that they ask for; the dashboard's expressions are PromQL.
#[test]
fn alerts_and_dashboard_ask_for_what_there_is() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut exprs: Vec<String> = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            exprs.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    assert!(exprs.len() > 15);
    let rules = read("alerts.yml");
    let name = Regex::new(r"\b(?:scim_sync|process)_[a-z_]+").unwrap();
    let known = |asked: &str| {
        METRICS.iter().any(|m| {
            let plain = asked == m.name;
            let part = asked.strip_prefix(m.name).is_some_and(|rest| matches!(rest, "_bucket" | "_sum" | "_count"));
            if matches!(m.kind, Type::Histogram(_)) { part } else { plain }
        })
    };
    // Words in prose name a whole histogram.
    let code: String = rules.lines().filter(|l| !l.contains("(scim_sync_throttled_seconds)")).collect::<Vec<_>>().join("\n");
    for asked in exprs.iter().chain([&code]).flat_map(|text| name.find_iter(text)) {
        assert!(known(asked.as_str()), "{} is no metric", asked.as_str());
    }
    let recorded: Vec<String> = exprs
        .iter()
        .enumerate()
        .map(|(i, e)| {
            let expr = e.replace("$__rate_interval", "5m").replace("$job", "j").replace("$instance", "i").replace("$sync", "s");
            serde_json::json!({"record": format!("x:{i}"), "expr": expr}).to_string()
        })
        .collect();
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    std::fs::write(file.path(), format!("{{\"groups\": [{{\"name\": \"d\", \"rules\": [{}]}}]}}", recorded.join(","))).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()], "");
}

fn outcome(report: &scim_sync::sync::Report, now: i64) -> Outcome {
    Outcome {
        sync: report.sync.clone(),
        cycle: report.cycle,
        at: now,
        verdict: Verdict::Held,
        error: None,
        done: [].into(),
        held: [("deactivate".to_owned(), 3)].into(),
        parked: Vec::new(),
        leavers_waiting: 1,
        leavers_since: Some(now - 60),
        linked_users: 20,
        linked_groups: 0,
        complete_read_at: Some(now),
        next_run: Some(now + 300),
        duration_ms: 120,
    }
}

/// Two real cycles are counted; the page is scraped with a token, and promtool has nothing to say against it.
#[tokio::test]
async fn a_cycle_is_measured_and_scraped() {
    let (sandbox, mut w) = tokio::task::spawn_blocking(|| {
        // The sandbox asks to slow down now and then.
        let sandbox = SandboxProcess::start(&["--fault-seed", "7", "--fault-429", "0.1"]);
        let w = World::new(&sandbox.base_url, &sandbox.token, "schedule = \"*/5 * * * *\"", "");
        (sandbox, w)
    })
    .await
    .unwrap();
    w.populate(40);
    w.save();
    let handle = metrics::install().unwrap();
    let config = config::load(&w.path("config.toml")).unwrap_or_else(|e| panic!("{e}")).config;
    let now = jiff::Timestamp::now();
    let board = Board::new(board::watched(&config, now, |_| None), now.as_second());
    board.secrets([("target.app.token".to_owned(), now.as_second() + 86_400)]);
    let run = async || {
        let cycle = Cycle::new(&config, &config.syncs[0], Arc::new(Silent), Stop::new()).unwrap();
        let store = Store::open(&config.state.path).unwrap();
        board.running("s");
        let (_, report) = cycle.run(store, &Request::default()).await;
        assert_eq!(report.error, None);
        board.cycle(&outcome(&report, jiff::Timestamp::now().as_second()));
    };
    run().await;
    w.set("p00003", "displayName", "Other");
    w.leave("p00001");
    w.save();
    run().await;

    let listen =
        HttpConfig { enabled: true, listen: "127.0.0.1:0".to_owned(), token: Some(Secret::Plain("scrape-me-19c2".into())) };
    let listener = Listener::bind(&listen).await.unwrap();
    let address = listener.address().unwrap();
    let stop = Stop::new();
    let serving = tokio::spawn(listener.serve(Arc::clone(&board), handle, stop.clone()));
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let get = async |path: &str, token: &str| {
        let answer = http.get(format!("http://{address}{path}")).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/metrics", "scrape-you").await.0, 401);
    let (status, page) = get("/metrics", "scrape-me-19c2").await;
    assert_eq!(status, 200);
    let (status, ready) = get("/readyz", "scrape-me-19c2").await;
    assert_eq!(status, 200, "{ready}");
    let (status, html) = get("/", "scrape-me-19c2").await;
    assert!(status == 200 && html.contains("<td>s</td>"), "{html}");
    stop.cancel();
    serving.await.unwrap();
    drop(sandbox);

    let value = |series: &str| -> f64 {
        let line = page.lines().find_map(|l| l.strip_prefix(series)).unwrap_or_else(|| panic!("{series}\n{page}"));
        line.trim().parse().unwrap()
    };
    assert_eq!(value("scim_sync_writes_total{sync=\"s\",kind=\"create\",outcome=\"done\"}"), 40.0);
    assert_eq!(value("scim_sync_writes_total{sync=\"s\",kind=\"deactivate\",outcome=\"done\"}"), 1.0);
    assert_eq!(value("scim_sync_leaver_seconds_count{sync=\"s\"}"), 1.0);
    assert!(value("scim_sync_leaver_seconds_sum{sync=\"s\"}") < 60.0);
    for phase in ["recover", "read", "observe", "plan", "apply", "commit"] {
        let series = format!("scim_sync_cycle_phase_duration_seconds_count{{sync=\"s\",phase=\"{phase}\"}}");
        assert_eq!(value(&series), 2.0, "{phase}");
    }
    let posts = |status: &str| {
        value(&format!("scim_sync_request_duration_seconds_count{{system=\"app\",method=\"POST\",status=\"{status}\"}}"))
    };
    assert_eq!(posts("2xx"), 40.0);
    assert_eq!(value("scim_sync_cycles_total{sync=\"s\",result=\"held\"}"), 2.0);
    assert_eq!(value("scim_sync_cycles_total{sync=\"s\",result=\"failed\"}"), 0.0);
    assert!(value("scim_sync_request_retries_total{system=\"app\",reason=\"throttled\"}") > 0.0);
    assert!(value("scim_sync_throttled_seconds_sum{system=\"app\"}") > 0.0);
    assert!(!page.contains("scrape-me") && !page.contains(&w.people["p00003"]["displayName"].to_string()));

    // Everything on the page is in the table; everything in the table that can be here is.
    let family = Regex::new(r"(?m)^# TYPE (\S+) (\w+)$").unwrap();
    let seen: BTreeSet<(String, String)> = family.captures_iter(&page).map(|c| (c[1].to_owned(), c[2].to_owned())).collect();
    let table: BTreeSet<(String, String)> = METRICS.iter().map(|m| (m.name.to_owned(), kind(m.kind).to_owned())).collect();
    let missing: Vec<_> = table.difference(&seen).map(|(n, _)| n.as_str()).collect();
    assert_eq!(missing, ["scim_sync_notifications_total", "scim_sync_notifications_waiting"]);
    assert_eq!(seen.difference(&table).count(), 0, "{seen:?}");
    if let Some(said) = promtool(&["check", "metrics"], &page) {
        assert_eq!(said.trim(), "");
    }
}
