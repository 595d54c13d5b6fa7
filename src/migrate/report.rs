//! What a migration comes to, as people and programs look at it, and as they give it back: JSON, CSV, counts.

use crate::mapping::folded_address;
use crate::model::TargetId;
use crate::plan::userids::{Class, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};

/// What became of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It bears its new name.
    Renamed,
    /// It was tried, and did not work.
    Failed,
    /// It was left as it was.
    NotAttempted,
}

impl Outcome {
    /// The word in JSON and CSV.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renamed => "renamed",
            Self::Failed => "failed",
            Self::NotAttempted => "not_attempted",
        }
    }
}

/// An account in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its class, with its name as it was.
    pub row: Row,
    /// Its name as it is now.
    pub current: String,
    /// What became of it.
    pub result: Outcome,
    /// What is to be said of that.
    pub note: Option<String>,
    /// Person and source key.
    pub who: Option<(String, String)>,
}

impl Line {
    /// Why it is in its class, what became of it, and what to do.
    #[must_use]
    pub fn why(&self) -> String {
        let parts = [self.row.why.as_str(), self.note.as_deref().unwrap_or_default(), self.row.advice.as_str()];
        parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("; ")
    }

    fn document(&self) -> Value {
        let (who, key) = self.who.clone().unzip();
        json!({
            "target_id": self.row.id, "old": self.row.old, "new": self.row.new, "class": self.row.class.as_str(),
            "why": self.why(), "result": self.result.as_str(), "who": who, "source_key": key,
        })
    }
}

/// One sync's migration: looked at, or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The sync.
    pub sync: String,
    /// The cycle, where something was done.
    pub cycle: Option<i64>,
    /// Every account, by name.
    pub lines: Vec<Line>,
    /// Rows of a reviewed report that were refused because something changed since.
    pub moved: u64,
    /// Accounts that were to be renamed, and were not.
    pub left: u64,
    /// Those of a named pilot whom nobody knows: nothing was done then.
    pub unknown: Vec<String>,
    /// Why it ended before everything was done: the kind of fault, and what happened.
    pub error: Option<(&'static str, String)>,
}

/// Columns of the CSV form.
const COLUMNS: [&str; 9] = ["target_id", "old", "new", "class", "why", "result", "who", "source_key", "sync"];

impl Listing {
    /// Accounts in a class.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        self.lines.iter().filter(|l| l.row.class == class).count() as u64
    }

    /// Accounts with a result.
    #[must_use]
    pub fn results(&self, result: Outcome) -> u64 {
        self.lines.iter().filter(|l| l.result == result).count() as u64
    }

    /// `counts` of the document.
    #[must_use]
    pub fn counts(&self) -> Value {
        let mut counts: Map<String, Value> = Class::ALL.iter().map(|c| (c.as_str().to_owned(), self.count(*c).into())).collect();
        counts.insert("renamed".to_owned(), self.results(Outcome::Renamed).into());
        counts.insert("failed".to_owned(), self.results(Outcome::Failed).into());
        Value::Object(counts)
    }

    /// The element of `migrations`, written account by account.
    ///
    /// # Errors
    /// `w` takes no more.
    pub fn write_json(&self, w: &mut dyn Write) -> std::io::Result<()> {
        let error = self.error.as_ref().map(|(kind, message)| json!({"kind": kind, "message": message}));
        let head = json!({
            "sync": self.sync, "cycle": self.cycle, "counts": self.counts(), "changed_since_report": self.moved, "error": error,
        });
        let head = head.to_string();
        write!(w, "{}, \"accounts\": [", head.strip_suffix('}').unwrap_or(&head))?;
        for (i, line) in self.lines.iter().enumerate() {
            write!(w, "{}\n  {}", if i > 0 { "," } else { "" }, line.document())?;
        }
        write!(w, "]}}")
    }
}

/// The whole document.
///
/// # Errors
/// `w` takes no more.
pub fn write_document(w: &mut dyn Write, listings: &[Listing], errors: &[Value]) -> std::io::Result<()> {
    write!(w, "{{\"version\": 1, \"migrations\": [")?;
    for (i, listing) in listings.iter().enumerate() {
        writeln!(w, "{}", if i > 0 { "," } else { "" })?;
        listing.write_json(w)?;
    }
    let tail = if errors.is_empty() { String::new() } else { format!(", \"errors\": {}", Value::from(errors.to_vec())) };
    writeln!(w, "]{tail}}}")
}

/// The accounts as CSV with a header.
///
/// # Errors
/// `w` takes no more.
pub fn write_csv(w: &mut dyn Write, listings: &[Listing]) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(w);
    csv.write_record(COLUMNS)?;
    for listing in listings {
        for line in &listing.lines {
            let (who, key) = line.who.as_ref().map_or(("", ""), |(w, k)| (w.as_str(), k.as_str()));
            let new = line.row.new.as_deref().unwrap_or_default();
            let why = line.why();
            csv.write_record([
                line.row.id.as_str(),
                &line.row.old,
                new,
                line.row.class.as_str(),
                &why,
                line.result.as_str(),
                who,
                key,
                &listing.sync,
            ])?;
        }
    }
    csv.flush()
}

/// What a report cannot be used for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ReportError(String);

/// The rows that a reviewed report accepts: those of class `convert` that were left in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// By target id: old name, new name.
    rows: HashMap<String, (String, String)>,
}

impl Accepted {
    /// Reads a report that was written as JSON or CSV (by the ending of its name), for one sync.
    ///
    /// # Errors
    /// It is no such report; it has nothing of this sync; an account is in it twice with different names.
    pub fn read(file: impl Read, is_csv: bool, sync: &str) -> Result<Self, ReportError> {
        let rows = if is_csv { csv_rows(file, sync)? } else { json_rows(file, sync)? };
        let mut out = Self::default();
        for (id, old, new) in rows {
            let new = (old, new);
            if out.rows.get(&id).is_some_and(|have| *have != new) {
                return Err(ReportError(format!("the account {id} is in it twice, with different names")));
            }
            out.rows.insert(id, new);
        }
        Ok(out)
    }

    /// How many rows it accepts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it accepts nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn print(&self) -> String {
        let mut all: Vec<_> = self.rows.iter().collect();
        all.sort();
        format!("{all:?}")
    }

    /// The lines that it accepts and that are as they were, by index, and how many are not: those are noted on their lines.
    /// `outside`: accounts that are not looked at now, whatever became of them.
    pub(super) fn check(&self, lines: &mut Vec<Line>, outside: &HashSet<TargetId>) -> (HashSet<usize>, u64) {
        let (mut unchanged, mut changed) = (HashSet::new(), 0);
        let mut seen: HashSet<String> = outside.iter().map(|id| id.0.clone()).collect();
        for (i, line) in lines.iter_mut().enumerate() {
            let Some((old, new)) = self.rows.get(line.row.id.as_str()) else { continue };
            seen.insert(line.row.id.0.clone());
            // A pilot, or an earlier run of the same report, may have done it.
            let done = line.row.class == Class::Already && folded_address(&line.current) == folded_address(new);
            if done || line.result == Outcome::Renamed || outside.contains(&line.row.id) {
                continue;
            }
            let same = line.row.class == Class::Convert && line.row.old == *old && line.row.new.as_ref() == Some(new);
            if same {
                unchanged.insert(i);
                continue;
            }
            changed += 1;
            let (is, to) = (&line.current, line.row.new.as_deref().unwrap_or("nothing"));
            line.note = Some(format!(
                "refused: the report says {old:?} -> {new:?} (convert), now it is {is:?} -> {to:?} ({})",
                line.row.class
            ));
        }
        let mut gone: Vec<_> = self.rows.iter().filter(|(id, _)| !seen.contains(*id)).collect();
        gone.sort();
        for (id, (old, new)) in gone {
            changed += 1;
            lines.push(Line {
                row: Row {
                    id: TargetId(id.clone()),
                    old: old.clone(),
                    new: Some(new.clone()),
                    class: Class::NoMatch,
                    why: "refused: this account of the report is not at the target, or not this sync's".to_owned(),
                    advice: String::new(),
                    person: None,
                    candidates: Vec::new(),
                    doubts: Vec::new(),
                },
                current: String::new(),
                result: Outcome::NotAttempted,
                note: None,
                who: None,
            });
        }
        (unchanged, changed)
    }
}

#[derive(Deserialize)]
struct File {
    version: u32,
    migrations: Vec<FileMigration>,
}

#[derive(Deserialize)]
struct FileMigration {
    sync: String,
    accounts: Vec<FileRow>,
}

#[derive(Deserialize)]
struct FileRow {
    target_id: String,
    old: String,
    #[serde(default)]
    new: Option<String>,
    class: String,
}

type Accept = (String, String, String);

fn json_rows(file: impl Read, sync: &str) -> Result<Vec<Accept>, ReportError> {
    let file: File = serde_json::from_reader(std::io::BufReader::new(file))
        .map_err(|e| ReportError(format!("it is not a report that --report wrote: {e}")))?;
    if file.version != 1 {
        return Err(ReportError(format!("version {} is not known", file.version)));
    }
    let mut found = false;
    let mut out = Vec::new();
    for migration in file.migrations.into_iter().filter(|m| m.sync == sync) {
        found = true;
        for row in migration.accounts.into_iter().filter(|r| r.class == Class::Convert.as_str()) {
            let new = row.new.filter(|n| !n.is_empty());
            let new = new.ok_or_else(|| ReportError(format!("the account {} is to be converted to nothing", row.target_id)))?;
            out.push((row.target_id, row.old, new));
        }
    }
    if found { Ok(out) } else { Err(ReportError(format!("it has nothing of the sync {sync}"))) }
}

fn csv_rows(mut file: impl Read, sync: &str) -> Result<Vec<Accept>, ReportError> {
    let bad = |e: &dyn std::fmt::Display| ReportError(format!("it is not a report that --report wrote: {e}"));
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|e| bad(&e))?;
    // A spreadsheet may have put a byte order mark in front, and semicolons between.
    let text = text.trim_start_matches('\u{feff}');
    let head = text.lines().next().unwrap_or_default();
    let delimiter = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
    let mut csv = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let headers = csv.headers().map_err(|e| bad(&e))?.clone();
    let column = |name: &str| headers.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
    let needed = |name: &str| column(name).ok_or_else(|| bad(&format!("there is no column {name}")));
    let (id, old, new, class) = (needed("target_id")?, needed("old")?, needed("new")?, needed("class")?);
    let of_sync = column("sync");
    let mut out = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|e| bad(&e))?;
        let cell = |i: usize| record.get(i).unwrap_or_default();
        if cell(class).trim() != Class::Convert.as_str() || of_sync.is_some_and(|i| cell(i).trim() != sync) {
            continue;
        }
        if cell(id).is_empty() || cell(new).is_empty() {
            return Err(bad(&format!("the row of {:?} has no target_id or no new name", cell(old))));
        }
        out.push((cell(id).to_owned(), cell(old).to_owned(), cell(new).to_owned()));
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn line(id: &str, old: &str, new: &str, class: Class) -> Line {
        Line {
            row: Row {
                id: TargetId(id.into()),
                old: old.into(),
                new: Some(new.into()),
                class,
                why: "because; \"so\"".into(),
                advice: String::new(),
                person: None,
                candidates: vec![],
                doubts: vec![],
            },
            current: old.into(),
            result: Outcome::NotAttempted,
            note: None,
            who: None,
        }
    }

    fn listing() -> Listing {
        let lines = vec![
            line("1", "CORP\\a,b", "a@x.example", Class::Convert),
            line("2", "b", "b@x.example", Class::Convert),
            line("3", "c@x.example", "c@x.example", Class::Already),
        ];
        Listing { sync: "s".into(), cycle: None, lines, moved: 0, left: 0, unknown: vec![], error: None }
    }

    #[test]
    fn what_is_written_reads_back_in_both_forms() {
        let listing = listing();
        let (mut json, mut csv) = (Vec::new(), Vec::new());
        write_document(&mut json, std::slice::from_ref(&listing), &[]).unwrap();
        write_csv(&mut csv, std::slice::from_ref(&listing)).unwrap();
        let excel = format!("\u{feff}{}", String::from_utf8(csv.clone()).unwrap());
        for (octets, is_csv) in [(json, false), (csv, true), (excel.into_bytes(), true)] {
            let accepted = Accepted::read(octets.as_slice(), is_csv, "s").unwrap();
            assert_eq!(accepted.len(), 2);
            let mut lines = listing.lines.clone();
            assert_eq!(accepted.check(&mut lines, &HashSet::new()), ([0, 1].into(), 0));
            lines[1].row.old = "b2".into();
            lines.remove(0);
            let filtered = accepted.check(&mut lines.clone(), &HashSet::from([TargetId("1".into())]));
            assert_eq!(filtered, ([].into(), 1), "who is not looked at now did not change");
            let (unchanged, moved) = accepted.check(&mut lines, &HashSet::new());
            assert!(unchanged.is_empty() && moved == 2, "renamed since, and gone");
            assert!(lines[0].why().contains("refused") && lines[2].why().contains("refused"));
        }
    }

    #[test]
    fn other_files_are_no_reports() {
        for (text, is_csv) in
            [("{}", false), ("{\"version\":1,\"plans\":[]}", false), ("a,b\n1,2\n", true), ("", true), ("[", false)]
        {
            assert!(Accepted::read(text.as_bytes(), is_csv, "s").is_err(), "{text}");
        }
        let twice = "target_id,old,new,class\n1,a,b@x.example,convert\n1,a,c@x.example,convert\n";
        assert!(Accepted::read(twice.as_bytes(), true, "s").unwrap_err().to_string().contains("twice"));
    }
}
