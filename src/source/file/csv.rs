//! CSV (RFC 4180): one person a row, the header names the attributes, values split at `|`, groups by name.

use super::output::{FileError, Output};
use crate::model::{Attrs, Entry, MemberRef, ObjectKind, SourceKey, Value};
use csv::{ReaderBuilder, StringRecord};
use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;

/// A row after the last one. A quote that is never closed swallows it, and is noticed by that.
const END: &str = "\u{1}end of file\u{1}";

/// Groups by name, in the order in which they first appear.
#[derive(Default)]
struct Groups {
    places: HashMap<String, usize>,
    list: Vec<(String, Vec<SourceKey>)>,
}

/// Parses a whole file.
///
/// # Errors
/// Rows of unequal length, ids missing or there twice, a quote that is not closed, a last row without line end, what is
/// not UTF-8.
pub fn parse(input: impl Read, out: &mut Output<'_>) -> Result<(), FileError> {
    let end = format!("\n{END}\n");
    let ended = Cell::new(true);
    let input = Watched { input, ended: &ended };
    let mut rows = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input.chain(end.as_bytes()));
    let mut row = StringRecord::new();
    let mut last = 0;
    let mut next = |row: &mut StringRecord| -> Result<Option<u64>, FileError> {
        if !rows.read_record(row).map_err(fault)? {
            return Err(FileError::Cut {
                line: last,
                what: "a quote is opened here and never closed; the file was cut off".to_owned(),
            });
        }
        last = row.position().map_or(0, csv::Position::line);
        Ok((row.get(0) != Some(END)).then_some(last))
    };
    next(&mut row)?.ok_or_else(|| FileError::Cut { line: 0, what: "there is no header".to_owned() })?;
    let header = Header::new(&row)?;
    let mut groups = Groups::default();
    let mut whole_until = 1;
    while let Some(line) = next(&mut row)? {
        let entry = header.entry(&row, line, out, &mut groups)?;
        out.take(entry, line)?;
        whole_until = line;
    }
    if !ended.get() {
        let what = "the last row has no line end: the file was cut off; if it is whole, end it with a line break";
        return Err(FileError::Cut { line: whole_until, what: what.to_owned() });
    }
    for (name, members) in groups.list {
        let mut attrs = Attrs::new();
        attrs.add("displayName", vec![Value::Text(name.clone())]);
        let entry = Entry {
            kind: ObjectKind::Group,
            key: SourceKey(format!("group:{name}")),
            dn: None,
            names: Vec::new(),
            attrs,
            members: members.into_iter().map(MemberRef::Key).collect(),
            disabled: false,
            due: None,
        };
        out.take(entry, 0)?;
    }
    Ok(())
}

/// Sees whether what was read so far ends with a line. RFC 4180 lets the last row do without, but then a file that was cut
/// inside its last cell looks like a whole one, with somebody's groups gone or their address shortened.
struct Watched<'a, R> {
    input: R,
    ended: &'a Cell<bool>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.input.read(buffer)?;
        if let Some(last) = buffer[..n].last() {
            self.ended.set(matches!(last, b'\n' | b'\r'));
        }
        Ok(n)
    }
}

struct Header {
    names: Vec<String>,
    id: usize,
    groups: Option<usize>,
}

impl Header {
    fn new(row: &StringRecord) -> Result<Self, FileError> {
        let bad = |what: String| FileError::Bad { line: 1, what };
        let names: Vec<String> = row.iter().map(|n| n.trim().to_owned()).collect();
        for (i, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(bad(format!("column {} has no name", i + 1)));
            }
            if names[..i].iter().any(|n| n.eq_ignore_ascii_case(name)) {
                return Err(bad(format!("the column {name} is there twice")));
            }
        }
        let place = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
        let id = place("id").ok_or_else(|| {
            let hint =
                if names.len() == 1 && names[0].contains(';') { "; separate columns by commas, not semicolons" } else { "" };
            bad(format!("there is no column id{hint}"))
        })?;
        let groups = place("groups");
        Ok(Self { names, id, groups })
    }

    fn entry(&self, row: &StringRecord, line: u64, out: &mut Output<'_>, groups: &mut Groups) -> Result<Entry, FileError> {
        if row.len() != self.names.len() {
            let (has, want) = (row.len(), self.names.len());
            let what = format!(
                "there are {has} fields where the header has {want}; quote fields that hold commas, or the file was cut off"
            );
            return Err(FileError::Cut { line, what });
        }
        let id = row.get(self.id).unwrap_or_default().trim();
        if id.is_empty() {
            return Err(FileError::Bad { line, what: "the id is missing".to_owned() });
        }
        let key = SourceKey(id.to_owned());
        let mut attrs = Attrs::new();
        for (place, (name, cell)) in self.names.iter().zip(row).enumerate() {
            if place == self.id {
                attrs.add(name.clone(), vec![id.into()]);
                continue;
            }
            let values: Vec<Value> = cell.split('|').map(str::trim).filter(|v| !v.is_empty()).map(Value::from).collect();
            if self.groups == Some(place) {
                groups.add(&key, &values);
            }
            attrs.add(name.clone(), values);
        }
        let disabled = out.is_disabled(&attrs, line);
        Ok(Entry { kind: ObjectKind::User, key, dn: None, names: Vec::new(), attrs, members: Vec::new(), disabled, due: None })
    }
}

impl Groups {
    fn add(&mut self, member: &SourceKey, names: &[Value]) {
        for name in names.iter().filter_map(Value::as_text) {
            let place = *self.places.entry(name.to_owned()).or_insert_with(|| {
                self.list.push((name.to_owned(), Vec::new()));
                self.list.len() - 1
            });
            let members = &mut self.list[place].1;
            // Rows come one after the other: a name that stands twice in a row is the last member already.
            if members.last() != Some(member) {
                members.push(member.clone());
            }
        }
    }
}

fn fault(error: csv::Error) -> FileError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => FileError::Io(e),
        csv::ErrorKind::Utf8 { err, .. } => FileError::Bad { line, what: format!("field {} is not UTF-8", err.field() + 1) },
        kind => FileError::Bad { line, what: format!("{kind:?}") },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<Entry>, Vec<String>), FileError> {
        let mut entries = Vec::new();
        let mut emit = |entry| {
            entries.push(entry);
            Ok(())
        };
        let mut out = Output::new(&mut emit);
        parse(text.as_bytes(), &mut out)?;
        let warnings = out.into_warnings();
        Ok((entries, warnings))
    }

    fn line_of(text: &str) -> (u64, String) {
        match read(text).unwrap_err() {
            FileError::Bad { line, what } | FileError::Cut { line, what } => (line, what),
            e => panic!("{e}"),
        }
    }

    #[test]
    fn rows_are_people_and_names_are_groups() {
        let text = "ID,mail,Groups,active\r\n1,a@x.org|b@x.org,Sales|Beta|Sales,true\r\n2,\"c,d@x.org\",Beta,No\r\n";
        let (entries, warnings) = read(text).unwrap();
        let keys: Vec<&str> = entries.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["1", "2", "group:Sales", "group:Beta"]);
        assert_eq!(entries[0].attrs.all("mail"), ["a@x.org".into(), "b@x.org".into()]);
        assert_eq!(entries[1].attrs.text("mail"), Some("c,d@x.org"));
        assert_eq!([entries[0].disabled, entries[1].disabled], [false, true]);
        assert_eq!(entries[2].members, [MemberRef::Key(SourceKey("1".into()))]);
        assert_eq!(entries[3].members.len(), 2);
        assert_eq!(entries[3].attrs.text("displayName"), Some("Beta"));
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_file_cut_inside_its_last_row_is_noticed_wherever_the_cut_is() {
        let whole = "id,mail,groups\n1,a@x.org,Sales\n2,b@x.org,\"Sales|a \"\"b\"\"\"\n";
        assert_eq!(read(whole).unwrap().0.len(), 4);
        let rows = whole.rfind("\n2").unwrap() + 1;
        for cut in rows + 1..whole.len() {
            let (line, what) = line_of(&whole[..cut]);
            assert!(line == 3 && what.contains("cut off"), "{:?}: {line}, {what}", &whole[..cut]);
        }
        assert!(line_of("id,mai").1.contains("line break"));
        for ended in ["id,x\r1,2\r", "id,x\r\n1,2\r\n", "id,x\n\n1,\"a\"\n\n"] {
            assert_eq!(read(ended).unwrap().0.len(), 1, "{ended:?}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        assert_eq!(line_of("id,x\n1,2\n3\n").0, 3);
        assert_eq!(line_of("id,x\n1,2\n3,4,5\n").0, 3);
        assert_eq!(line_of("id,x\n1,2\n1,4\n"), (3, "the id 1 is there twice".to_owned()));
        assert_eq!(line_of("id,x\n1,2\n ,4\n"), (3, "the id is missing".to_owned()));
        assert_eq!(line_of("mail,x\n1,2\n").0, 1);
        assert!(line_of("id;mail\n1;2\n").1.contains("semicolons"));
        assert_eq!(line_of("id,x,X\n").1, "the column X is there twice");
        assert_eq!(line_of("id,,x\n").1, "column 2 has no name");
    }

    #[test]
    fn a_file_cut_inside_a_quote_is_noticed() {
        for text in ["id,x\n1,2\n2,\"abc", "id,x\n1,2\n2,\"abc\n3,4\n", "id,x\n1,\"2\n"] {
            let what = line_of(text).1;
            assert!(what.contains("cut off"), "{text:?}: {what}");
        }
    }

    #[test]
    fn octets_that_are_not_utf_8_have_their_line() {
        let mut emit = |_| Ok(());
        let error = parse(&b"id,x\n1,2\n2,\xff\n"[..], &mut Output::new(&mut emit)).unwrap_err();
        assert!(matches!(&error, FileError::Bad { line: 3, .. }), "{error}");
    }
}
