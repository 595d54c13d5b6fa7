//! File source: an export as LDIF, CSV or JSON. Read as a stream, whole or not at all.

mod csv;
mod json;
mod ldif;
mod names;
mod output;

pub use names::attributes;

use super::{BATCH, Completeness, Facts, Item, ReadDone, ReadRequest, Sink, Source, SourceError};
use crate::config::FileConfig;
use crate::model::{Entry, ObjectKind, is_secret};
use async_trait::async_trait;
use output::{FileError, Output};
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

/// Octets read at a time.
const BUFFER: usize = 256 << 10;

/// An export in a file.
pub struct FileSource {
    name: String,
    path: PathBuf,
}

/// What the file holds, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ldif,
    Csv,
    Json,
}

impl FileSource {
    /// Builds the source.
    #[must_use]
    pub fn new(name: &str, config: &FileConfig) -> Self {
        Self { name: name.to_owned(), path: config.path.clone() }
    }

    /// Parses the file on a thread for blocking work; `emit` gets every entry. Warnings come back.
    async fn parse<T>(&self, work: impl FnOnce(&Path) -> Result<T, FileError> + Send + 'static) -> Result<T, SourceError>
    where
        T: Send + 'static,
    {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || work(&path)).await;
        let error = match done {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error,
            Err(_) => FileError::Bad { line: 0, what: "the file cannot be parsed".to_owned() },
        };
        Err(error.in_source(&self.name, &self.path))
    }
}

#[async_trait]
impl Source for FileSource {
    async fn check(&self, _: &ReadRequest) -> Result<Facts, SourceError> {
        self.parse(|path| {
            let (mut people, mut without_mail, mut groups) = (0u64, 0u64, 0u64);
            let warnings = parse(path, &mut |entry| {
                match entry.kind {
                    ObjectKind::User => {
                        people += 1;
                        without_mail += u64::from(!entry.attrs.has("mail"));
                    }
                    ObjectKind::Group => groups += 1,
                }
                Ok(())
            })?;
            let mut facts = vec![
                ("file".to_owned(), path.display().to_string()),
                ("format".to_owned(), format!("{:?}", format_of(path)?).to_lowercase()),
                ("people".to_owned(), people.to_string()),
                ("people_without_mail".to_owned(), without_mail.to_string()),
                ("groups".to_owned(), groups.to_string()),
            ];
            facts.extend(warnings.into_iter().map(|w| ("warning".to_owned(), w)));
            Ok(facts)
        })
        .await
    }

    async fn read(&self, request: &ReadRequest, sink: &Sink) -> Result<ReadDone, SourceError> {
        let (wants_groups, sink) = (request.groups, sink.clone());
        let mut unasked = UnaskedSecrets::of(request);
        // Closed when the caller goes away: then the thread stops at the next batch.
        let (alive, mut dropped) = oneshot::channel::<()>();
        let warnings = self
            .parse(move |path| {
                let mut batch = Vec::with_capacity(BATCH);
                let mut send = |batch: Vec<Item>| match dropped.try_recv() {
                    Err(oneshot::error::TryRecvError::Closed) => Err(FileError::Stopped),
                    _ => sink.blocking_send(batch).map_err(|_| FileError::Stopped),
                };
                let warnings = parse(path, &mut |mut entry: Entry| {
                    if entry.kind == ObjectKind::Group && !wants_groups {
                        return Ok(());
                    }
                    unasked.take_out_of(&mut entry);
                    batch.push(Item::Present(entry));
                    if batch.len() < BATCH {
                        return Ok(());
                    }
                    send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                })?;
                if !batch.is_empty() {
                    send(batch)?;
                }
                Ok(warnings)
            })
            .await;
        drop(alive);
        Ok(ReadDone {
            completeness: Completeness::Full,
            cursor: None,
            references: 0,
            clock_skew_s: None,
            warnings: warnings?,
            parts: Vec::new(),
        })
    }
}

/// Secrets that an export holds (`userPassword`, as slapcat writes it) and nothing asks for: what a directory would not have been
/// asked for is not kept either.
struct UnaskedSecrets {
    asked: BTreeSet<String>,
    /// Names that were judged already; most entries have the same.
    known: HashMap<String, bool>,
}

impl UnaskedSecrets {
    fn of(request: &ReadRequest) -> Self {
        Self { asked: request.attributes.iter().map(|name| name.to_lowercase()).collect(), known: HashMap::new() }
    }

    fn take_out_of(&mut self, entry: &mut Entry) {
        let mut secrets = Vec::new();
        for (name, _) in entry.attrs.iter() {
            let secret = match self.known.get(name) {
                Some(known) => *known,
                None => {
                    let secret = is_secret(name) && !self.asked.contains(&name.to_lowercase());
                    self.known.insert(name.to_owned(), secret);
                    secret
                }
            };
            if secret {
                secrets.push(name.to_owned());
            }
        }
        for name in secrets {
            entry.attrs.remove(&name);
        }
    }
}

fn format_of(path: &Path) -> Result<Format, FileError> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "ldif" => Ok(Format::Ldif),
        "csv" => Ok(Format::Csv),
        "json" => Ok(Format::Json),
        _ => Err(FileError::Bad { line: 0, what: "the name must end in .ldif, .csv or .json".to_owned() }),
    }
}

/// Parses the file whole, and proves that it stayed the same meanwhile.
fn parse(path: &Path, emit: &mut dyn FnMut(Entry) -> Result<(), FileError>) -> Result<Vec<String>, FileError> {
    let format = format_of(path)?;
    let file = File::open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(FileError::Bad { line: 0, what: "is not a regular file".to_owned() });
    }
    if before.len() == 0 {
        return Err(FileError::Cut {
            line: 0,
            what: "is empty; a file without anybody has a header or an empty list".to_owned(),
        });
    }
    let mut input = BufReader::with_capacity(BUFFER, file);
    // Windows programs begin a UTF-8 file with a byte order mark.
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    let mut out = Output::new(emit);
    match format {
        Format::Ldif => ldif::parse(&mut input, &mut out)?,
        Format::Csv => csv::parse(&mut input, &mut out)?,
        Format::Json => json::parse(&mut input, &mut out)?,
    }
    let after = std::fs::metadata(path)?;
    if !same(&before, &after) || !same(&before, &input.get_ref().metadata()?) {
        let what = "changed while it was read; write a new file beside it and rename it into place".to_owned();
        return Err(FileError::Cut { line: 0, what });
    }
    Ok(out.into_warnings())
}

/// The same file with the same contents, as far as the file system can tell.
fn same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    a.len() == b.len() && a.ino() == b.ino() && (a.mtime(), a.mtime_nsec()) == (b.mtime(), b.mtime_nsec())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    async fn read(name: &str, contents: &str, groups: bool) -> Result<(Vec<Entry>, ReadDone), SourceError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        let config = FileConfig { path, nested_groups: crate::config::NestedGroups::Flatten };
        let (sink, mut items) = mpsc::channel::<Vec<Item>>(1);
        let collect = tokio::spawn(async move {
            let mut entries = Vec::new();
            while let Some(batch) = items.recv().await {
                entries.extend(batch.into_iter().map(|item| match item {
                    Item::Present(entry) => entry,
                    other => panic!("{other:?}"),
                }));
            }
            entries
        });
        let done = FileSource::new("hr", &config).read(&ReadRequest { groups, ..ReadRequest::default() }, &sink).await;
        drop(sink);
        let entries = collect.await.unwrap();
        done.map(|done| (entries, done))
    }

    #[tokio::test]
    async fn batches_come_whole() {
        let rows: String = (0..1000).map(|i| format!("{i},u{i}@example.org,staff\n")).collect();
        let (entries, done) = read("people.csv", &format!("id,mail,groups\n{rows}"), true).await.unwrap();
        assert_eq!(entries.len(), 1001);
        assert_eq!(entries[1000].members.len(), 1000);
        assert_eq!(done.completeness, Completeness::Full);
        assert_eq!(read("people.CSV", &format!("\u{feff}id,mail,groups\n{rows}"), false).await.unwrap().0.len(), 1000);
    }

    #[test]
    fn secrets_that_nothing_asks_for_are_not_kept() {
        let request = ReadRequest { attributes: ["SambaNTPassword".to_owned()].into(), ..ReadRequest::default() };
        let mut unasked = UnaskedSecrets::of(&request);
        for _ in 0..2 {
            let mut entry = Entry {
                kind: ObjectKind::User,
                key: crate::model::SourceKey("1".to_owned()),
                dn: None,
                names: Vec::new(),
                attrs: crate::model::Attrs::new(),
                members: Vec::new(),
                disabled: false,
                due: None,
            };
            for name in ["mail", "userPassword", "unicodePwd", "sambaNTPassword"] {
                entry.attrs.add(name, vec![crate::model::Value::Text("x".to_owned())]);
            }
            unasked.take_out_of(&mut entry);
            let left: BTreeSet<&str> = entry.attrs.iter().map(|(name, _)| name).collect();
            assert_eq!(left, ["mail", "sambaNTPassword"].into());
        }
    }

    #[tokio::test]
    async fn an_empty_file_is_an_error_and_an_empty_list_is_not() {
        for name in ["a.csv", "a.ldif", "a.json"] {
            let error = read(name, "", true).await.unwrap_err();
            assert!(matches!(&error, SourceError::Incomplete { message, .. } if message.contains("empty")), "{error}");
        }
        assert!(read("a.csv", "id,mail\n", true).await.unwrap().0.is_empty());
        assert!(read("a.json", "{\"users\": []}", true).await.unwrap().0.is_empty());
        assert!(read("a.txt", "id\n", true).await.unwrap_err().to_string().contains(".ldif, .csv or .json"));
    }

    #[tokio::test]
    async fn a_missing_file_says_which() {
        let config = FileConfig { path: "/nowhere/a.csv".into(), nested_groups: crate::config::NestedGroups::Flatten };
        let error = FileSource::new("hr", &config).check(&ReadRequest::default()).await.unwrap_err();
        assert!(matches!(&error, SourceError::Connect { message, .. } if message.contains("/nowhere/a.csv")), "{error}");
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "id,mail\n1,a\n2,b\n").unwrap();
        let mut writes = 0;
        let mut emit = |_| {
            if writes == 0 {
                std::fs::write(&path, "id,mail\n1,a\n2,b\n3,c\n").unwrap();
            }
            writes += 1;
            Ok(())
        };
        let error = parse(&path, &mut emit).unwrap_err();
        assert!(matches!(&error, FileError::Cut { what, .. } if what.contains("changed")), "{error:?}");
    }

    #[tokio::test]
    async fn check_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "id,mail,groups,active\n1,a@b.c,x,maybe\n2,,x|y,no\n").unwrap();
        let config = FileConfig { path, nested_groups: crate::config::NestedGroups::Flatten };
        let facts = FileSource::new("hr", &config).check(&ReadRequest::default()).await.unwrap();
        let fact = |name: &str| facts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!((fact("format"), fact("people"), fact("groups")), (Some("csv"), Some("2"), Some("2")));
        assert_eq!(fact("people_without_mail"), Some("1"));
        assert!(fact("warning").unwrap().contains("maybe"), "{facts:?}");
    }
}
