//! The status page: one table, no scripts, numbers only. Names of people are not for a page that a whole machine can read.

use super::board::{Board, Line};
use std::fmt::Write as _;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid #ccc}td.n,th.n{text-align:right}\
.failed,.held{font-weight:bold}.failed{color:#a00}.held{color:#850}footer{color:#666;margin-top:2em}\
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}th,td{border-color:#444}.failed{color:#f88}.held{color:#fc6}}";

/// The page, as it is at `now` (Unix seconds).
pub(super) fn render(board: &Board, now: i64) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>scim-sync</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n<body><h1>scim-sync</h1>\n<p>{}</p>\n\
         <table><thead><tr><th>Sync</th><th>Last cycle</th><th>Result</th><th>Last complete read</th><th class=\"n\">Users</th>\
         <th class=\"n\">Groups</th><th class=\"n\">Held</th><th class=\"n\">Parked</th><th class=\"n\">Leavers waiting</th>\
         <th>Next run</th></tr></thead><tbody>\n",
        if board.readiness(now).ready { "Every sync is up to date." } else { "A sync is behind: see /readyz." }
    );
    for (name, line) in board.lines() {
        row(&mut out, &name, &line, now);
    }
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "</tbody></table>\n<p>Who is held or parked, and why: <code>scim-sync status</code>, <code>scim-sync log</code>.</p>\n\
         <footer>scim-sync {}; {}</footer></body></html>\n",
        env!("CARGO_PKG_VERSION"),
        at(Some(now)),
    );
    out
}

fn row(out: &mut String, name: &str, line: &Line, now: i64) {
    let ago = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", length((now - at).max(0))));
    let last = line.last.as_ref();
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let result = match (last, line.running) {
        (_, true) => "running",
        (Some(last), false) => last.verdict.as_str(),
        (None, false) => "-",
    };
    let cycle = last.map_or_else(|| "-".to_owned(), |l| format!("{}, {}", l.cycle, ago(Some(l.at))));
    let held = last.map(|l| l.held.values().sum());
    let parked = last.map(|_| line.parked);
    let waiting = last.map(|l| l.leavers_waiting);
    let _ = writeln!(
        out,
        "<tr><td>{}</td><td>{cycle}</td><td class=\"{result}\">{result}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
        escaped(name),
        ago(line.complete_read_at),
        number(last.map(|l| l.linked_users)),
        number(last.map(|l| l.linked_groups)),
        number(held),
        number(parked),
        number(waiting),
        at(line.next_run),
    );
}

fn at(second: Option<i64>) -> String {
    super::said::moment(second).unwrap_or_else(|| "-".to_owned())
}

fn length(seconds: i64) -> String {
    super::said::length(seconds)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
