//! A message in words, for mail, and as a document, for a webhook.

use super::decide::{Standing, Told, Why};
use crate::observe::said::{length, moment};
use crate::observe::{Outcome, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Parked people who are named in a mail.
const NAMED: usize = 20;

/// Parked people who are in a document.
const LISTED: usize = 200;

/// Longest error or reason that is quoted, in characters.
const QUOTED: usize = 2000;

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Source, target or state store failed as a whole.
    Failed,
    /// It has failed for a day or longer.
    Quarantined,
    /// The guard holds changes.
    Held,
    /// Records are parked.
    Parked,
    /// It is over.
    Well,
    /// Somebody tries whether messages arrive.
    Test,
}

impl Event {
    /// The word in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Held => "held",
            Self::Parked => "parked",
            Self::Well => "well",
            Self::Test => "test",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The same however often it is sent.
    pub id: String,
    /// The sync that it is about; empty in a test.
    pub sync: String,
    /// What it tells.
    pub event: Event,
    /// When it was written, Unix seconds.
    pub at: i64,
    /// One line: sync, what, how many.
    pub subject: String,
    /// In words.
    pub text: String,
    /// As the webhook sends it.
    pub document: Value,
}

/// Writes the message about a cycle. `standing` is from after it, `told` is what was told before.
pub(super) fn compose(standing: &Standing, told: Option<&Told>, outcome: &Outcome, event: Event, why: Why, now: i64) -> Message {
    let since = match (event, told) {
        (Event::Well, Some(told)) => told.since,
        _ => standing.trouble.as_ref().map_or(now, |t| t.since),
    };
    let subject = subject(outcome, event, why);
    let commands = commands(outcome, event);
    let text = words(standing, told, outcome, event, since, &commands, now);
    let id = id(&[&outcome.sync, event.as_str(), &outcome.cycle.to_string(), &now.to_string()]);
    let document = json!({
        "version": 1,
        "id": id,
        "event": event.as_str(),
        "sync": outcome.sync,
        "cycle": outcome.cycle,
        "at": rfc3339(Some(now)),
        "since": rfc3339(Some(since)),
        "repeated": why == Why::Repeated,
        "summary": subject,
        "text": text,
        "error": outcome.error.as_ref().map(|(kind, message)| json!({"kind": kind, "message": quoted(message)})),
        "held": outcome.held,
        "parked": outcome.parked.iter().take(LISTED)
            .map(|(who, reason, advice)| json!({"who": who, "reason": quoted(reason), "advice": advice})).collect::<Vec<_>>(),
        "parked_total": outcome.parked.len(),
        "leavers_waiting": outcome.leavers_waiting,
        "leavers_since": rfc3339(outcome.leavers_since),
        "last_complete_read": rfc3339(outcome.complete_read_at),
        "next_run": rfc3339(outcome.next_run),
        "commands": commands,
    });
    Message { id, sync: outcome.sync.clone(), event, at: now, subject, text, document }
}

/// A message that says only that messages arrive.
#[must_use]
pub fn test(now: i64) -> Message {
    let subject = "scim-sync: a test, messages arrive".to_owned();
    let text =
        "This is what `scim-sync check --online --notify` sends. Nothing has happened, and nothing is to be done.\n".to_owned();
    let id = id(&["test", &now.to_string(), &std::process::id().to_string()]);
    // Every key that a message has, so that whoever takes it finds out here what is missing there.
    let document = json!({
        "version": 1, "id": id, "event": Event::Test.as_str(), "sync": null, "cycle": null, "at": rfc3339(Some(now)),
        "since": null, "repeated": false, "summary": subject, "text": text, "error": null, "held": {}, "parked": [],
        "parked_total": 0, "leavers_waiting": 0, "leavers_since": null, "last_complete_read": null, "next_run": null,
        "commands": [],
    });
    Message { id, sync: String::new(), event: Event::Test, at: now, subject, text, document }
}

fn subject(outcome: &Outcome, event: Event, why: Why) -> String {
    let sync = &outcome.sync;
    let still = if why == Why::Repeated { "still " } else { "" };
    let leavers = match outcome.leavers_waiting {
        0 => String::new(),
        1 => "; 1 leaver waits".to_owned(),
        n => format!("; {n} leavers wait"),
    };
    match event {
        Event::Failed | Event::Quarantined => {
            let (kind, _) = outcome.error.clone().unwrap_or_else(|| ("error".to_owned(), String::new()));
            let verb = if event == Event::Quarantined { "still fails" } else { "failed" };
            format!("scim-sync: {sync} {verb} ({kind}){leavers}")
        }
        Event::Held => {
            let kinds: Vec<String> = outcome.held.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
            let total: u64 = outcome.held.values().sum();
            let noun = if total == 1 { "change" } else { "changes" };
            format!("scim-sync: {sync} {still}holds {total} {noun} ({}){leavers}", kinds.join(", "))
        }
        Event::Parked => {
            let n = outcome.parked.len();
            let noun = if n == 1 { "record is" } else { "records are" };
            format!("scim-sync: {sync}: {n} {noun} {still}parked{leavers}")
        }
        Event::Well | Event::Test => format!("scim-sync: {sync} is well again"),
    }
}

/// What to run next.
fn commands(outcome: &Outcome, event: Event) -> Vec<String> {
    let (sync, cycle) = (&outcome.sync, outcome.cycle);
    let log = (cycle > 0).then(|| format!("scim-sync log --cycle {cycle}"));
    let mut all = match event {
        Event::Failed | Event::Quarantined => vec!["scim-sync status".to_owned(), "scim-sync check --online".to_owned()],
        Event::Held => vec!["scim-sync status".to_owned(), format!("scim-sync plan {sync}")],
        Event::Parked | Event::Well | Event::Test => vec!["scim-sync status".to_owned()],
    };
    all.extend(log);
    if event == Event::Held {
        all.push(format!("scim-sync approve {sync} --reason \"...\""));
    }
    all
}

fn words(
    standing: &Standing,
    told: Option<&Told>,
    outcome: &Outcome,
    event: Event,
    since: i64,
    commands: &[String],
    now: i64,
) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}\n", headline(standing, told, outcome, event, since, now));
    details(&mut out, outcome);
    if outcome.leavers_waiting > 0 {
        let since = outcome.leavers_since;
        let first = since.and_then(|at| Some(format!("; the first left at {}, {} ago", moment(Some(at))?, length(now - at))));
        let who = if outcome.leavers_waiting == 1 { "person has" } else { "people have" };
        let _ = writeln!(out, "{} {who} left and can still sign in{}.\n", outcome.leavers_waiting, first.unwrap_or_default());
    }
    match outcome.complete_read_at.and_then(|at| Some((at, moment(Some(at))?))) {
        Some((at, said)) => drop(writeln!(out, "Last complete read: {said}, {} ago.", length(now - at))),
        None => out.push_str("There has been no complete read yet.\n"),
    }
    if let Some(next) = moment(outcome.next_run) {
        let _ = writeln!(out, "Next run: {next}.");
    }
    if standing.unsaid > 1 {
        let _ = writeln!(out, "It went back and forth {} times since the last message.", standing.unsaid);
    }
    if event == Event::Well {
        return out;
    }
    out.push_str("\nWhat to run next, where scim-sync runs:\n\n");
    for command in commands {
        let _ = writeln!(out, "    {command}");
    }
    out.push_str("\nThis is said again once a day while it lasts, and once when it is over.\n");
    out
}

fn headline(standing: &Standing, told: Option<&Told>, outcome: &Outcome, event: Event, since: i64, now: i64) -> String {
    let sync = &outcome.sync;
    let from = moment(Some(since)).unwrap_or_default();
    let cycles = standing.trouble.as_ref().map_or(1, |t| t.cycles);
    let lasts = if cycles > 1 { format!(", since {from} ({}, {cycles} cycles)", length(now - since)) } else { String::new() };
    match event {
        Event::Failed => {
            format!("The sync {sync} failed{lasts}. It is tried again by itself, ever more rarely, at least once an hour.")
        }
        Event::Quarantined => format!(
            "The sync {sync} has failed since {from} ({}, {cycles} cycles). It is tried again by itself about once an hour.",
            length(now - since)
        ),
        Event::Held => format!(
            "The guard holds changes of the sync {sync} back{lasts}: too many at once, or after a read that cannot be trusted. \
             Everything else goes on. These are made when somebody approves them."
        ),
        Event::Parked => format!(
            "The sync {sync} goes on, but for records that cannot be written now{lasts}. Each is tried again by itself, at once \
             when it has changed."
        ),
        Event::Well | Event::Test => {
            let was = told.map_or("in trouble", |t| match t.kind.as_str() {
                "failed" => "failing",
                "held" => "holding changes back",
                _ => "parking records",
            });
            format!("The sync {sync} is well again. It had been {was} since {from}, for {}.", length(now - since))
        }
    }
}

fn details(out: &mut String, outcome: &Outcome) {
    if let Some((kind, message)) = &outcome.error {
        let _ = writeln!(out, "    {kind}: {}\n", quoted(message).replace('\n', "\n    "));
    }
    if outcome.verdict == Verdict::Held || !outcome.held.is_empty() {
        for (kind, n) in &outcome.held {
            let _ = writeln!(out, "    {n:>6}  {kind}");
        }
        out.push('\n');
    }
    if !outcome.parked.is_empty() {
        let _ = writeln!(out, "Parked ({}):\n", outcome.parked.len());
        for (who, reason, advice) in outcome.parked.iter().take(NAMED) {
            let _ = writeln!(out, "    {}: {}", one_line(who), one_line(reason));
            if !advice.is_empty() {
                let _ = writeln!(out, "        -> {}", one_line(advice));
            }
        }
        if outcome.parked.len() > NAMED {
            let _ = writeln!(out, "    and {} more: scim-sync status, scim-sync log", outcome.parked.len() - NAMED);
        }
        out.push('\n');
    }
}

/// Text from elsewhere: bounded, without control characters but line feeds.
fn quoted(text: &str) -> String {
    let clean: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).take(QUOTED).collect();
    if clean.len() < text.len() && text.chars().count() > QUOTED { format!("{clean}…") } else { clean }
}

fn one_line(text: &str) -> String {
    quoted(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rfc3339(second: Option<i64>) -> Option<String> {
    Some(jiff::Timestamp::from_second(second?).ok()?.to_string())
}

fn id(parts: &[&str]) -> String {
    let text = blake3::hash(parts.join("\0").as_bytes()).to_hex();
    text.as_str()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    /// As the documentation's table names them.
    #[test]
    fn a_test_has_every_key_that_a_message_has() {
        let docs = include_str!("../../../docs/notifications.md");
        let rows = docs.lines().skip_while(|l| !l.starts_with("| key | value |")).skip(2).take_while(|l| l.starts_with('|'));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        let mut named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let message = super::test(0);
        let mut keys: Vec<&str> = message.document.as_object().into_iter().flat_map(|d| d.keys().map(String::as_str)).collect();
        named.sort_unstable();
        keys.sort_unstable();
        assert_eq!(keys, named);
    }
}
