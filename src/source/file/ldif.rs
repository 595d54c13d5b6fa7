//! LDIF content records (RFC 2849), as `slapcat`, `ldapsearch -LLL`, `ldifde` and `db2ldif` write them.

use super::output::{FileError, Output};
use crate::model::{Attrs, ObjectKind, SourceKey, Value};
use crate::source::dn;
use crate::source::ldap::entry::{RawAttribute, RawEntry};
use crate::source::ldap::flavor::key_text;
use crate::source::ldap::groups;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, Read as _};

/// Longest line, folds undone: a photo in base64 fits many times over.
const MAX_LINE: usize = 64 << 20;

/// Parses a whole file.
///
/// # Errors
/// What is no LDIF, change records other than additions, values in other files, a file cut off.
pub fn parse(input: &mut impl BufRead, out: &mut Output<'_>) -> Result<(), FileError> {
    let mut lines = Lines { input, number: 0, ahead: None };
    let mut first = true;
    while let Some(record) = record(&mut lines, std::mem::take(&mut first))? {
        let line = record.line;
        let Some(kind) = kind(&record.entry) else { continue };
        let key = key(&record.entry, line)?;
        out.take(record.entry.into_entry(kind, key), line)?;
    }
    Ok(())
}

struct Record {
    line: u64,
    entry: RawEntry,
}

/// A line with folds undone, and the number of its first part.
struct Line {
    number: u64,
    octets: Vec<u8>,
}

struct Lines<'a, R> {
    input: &'a mut R,
    number: u64,
    ahead: Option<Vec<u8>>,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line as it stands, without its end.
    fn physical(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        if let Some(line) = self.ahead.take() {
            return Ok(Some(line));
        }
        let mut octets = Vec::new();
        let n = (&mut *self.input).take(MAX_LINE as u64).read_until(b'\n', &mut octets)?;
        if n == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = self.number;
        if octets.pop_if(|last| *last == b'\n').is_none() {
            return Err(match n {
                MAX_LINE => too_long(line),
                _ => FileError::Cut { line, what: "the last line does not end; the file was cut off".to_owned() },
            });
        }
        octets.pop_if(|last| *last == b'\r');
        Ok(Some(octets))
    }

    /// The next line with its continuations; comments are left out. An empty one separates records.
    fn logical(&mut self) -> Result<Option<Line>, FileError> {
        loop {
            let Some(mut octets) = self.physical()? else { return Ok(None) };
            let number = self.number;
            if !octets.is_empty() {
                while let Some(next) = self.physical()? {
                    let Some(continued) = next.strip_prefix(b" ") else {
                        // Counted again when it is taken.
                        self.ahead = Some(next);
                        break;
                    };
                    octets.extend_from_slice(continued);
                    if octets.len() > MAX_LINE {
                        return Err(too_long(number));
                    }
                }
            }
            if !octets.starts_with(b"#") {
                return Ok(Some(Line { number, octets }));
            }
        }
    }
}

fn too_long(line: u64) -> FileError {
    FileError::Bad { line, what: format!("a line of more than {} MiB", MAX_LINE >> 20) }
}

/// The next record. `None` at the end of the file.
fn record<R: BufRead>(lines: &mut Lines<'_, R>, mut first: bool) -> Result<Option<Record>, FileError> {
    let start = loop {
        let Some(line) = lines.logical()? else { return Ok(None) };
        if line.octets.is_empty() {
            continue;
        }
        let (name, value) = pair(&line)?;
        if std::mem::take(&mut first) && name.eq_ignore_ascii_case("version") {
            if value != b"1" {
                return Err(bad(&line, "only LDIF version 1 is known"));
            }
            continue;
        }
        if !name.eq_ignore_ascii_case("dn") {
            return Err(bad(&line, &format!("a record that begins with {name} instead of dn")));
        }
        break Record { line: line.number, entry: RawEntry { dn: value, attributes: Vec::new() } };
    };
    let Record { line: number, mut entry } = start;
    while let Some(line) = lines.logical()?.filter(|l| !l.octets.is_empty()) {
        let (name, value) = pair(&line)?;
        match name.to_ascii_lowercase().as_str() {
            "changetype" if value.eq_ignore_ascii_case(b"add") => {}
            "changetype" => {
                let change = String::from_utf8_lossy(&value);
                return Err(bad(&line, &format!("changetype {change}: a full export is needed, not a list of changes")));
            }
            "control" => {}
            "dn" => return Err(bad(&line, "a second dn in one record; the empty line between records is missing")),
            _ => add(&mut entry.attributes, name, value).map_err(|what| bad(&line, what))?,
        }
    }
    if entry.attributes.is_empty() {
        return Err(FileError::Cut { line: number, what: "a record without attributes; the file was cut off".to_owned() });
    }
    Ok(Some(Record { line: number, entry }))
}

/// Appends a value; values of one attribute stand in lines of their own.
fn add(attributes: &mut Vec<RawAttribute>, name: &str, value: Vec<u8>) -> Result<(), &'static str> {
    let mut new = RawAttribute::new(name)?;
    new.push(value);
    if new.range.is_some_and(|r| r.from > 0 || r.to.is_some()) {
        return Err("only a part of the values (;range=); export them all");
    }
    let same = |a: &RawAttribute| a.name.eq_ignore_ascii_case(&new.name) && a.has_options == new.has_options;
    match attributes.iter_mut().rev().find(|a| same(a)) {
        Some(known) => known.values.extend(new.values),
        None => attributes.push(new),
    }
    Ok(())
}

/// Name and value of a line.
fn pair(line: &Line) -> Result<(&str, Vec<u8>), FileError> {
    let Some(colon) = line.octets.iter().position(|b| *b == b':') else {
        return Err(FileError::Cut { line: line.number, what: "an attribute without a colon; the file was cut off".to_owned() });
    };
    let (name, value) = line.octets.split_at(colon);
    let name = std::str::from_utf8(name).ok().map(str::trim_end).filter(|n| is_description(n));
    let name = name.ok_or_else(|| bad(line, "an attribute name that is none"))?;
    match value.get(1) {
        Some(b':') => {
            let text: Vec<u8> = value[2..].iter().copied().filter(|b| *b != b' ').collect();
            let what = |_| bad(line, &format!("the base64 value of {name} is damaged or cut off"));
            Ok((name, STANDARD.decode(text).map_err(what)?))
        }
        Some(b'<') => Err(bad(line, &format!("{name} stands in another file ({}); put the value here", text_of(&value[2..])))),
        _ => {
            let value = &value[1..];
            let start = value.iter().position(|b| *b != b' ').unwrap_or(value.len());
            Ok((name, value[start..].to_vec()))
        }
    }
}

fn is_description(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b';' | b'=' | b'*'))
}

fn text_of(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).trim().to_owned()
}

fn bad(line: &Line, what: &str) -> FileError {
    FileError::Bad { line: line.number, what: what.to_owned() }
}

/// Person, group, or neither (a container, a computer).
fn kind(entry: &RawEntry) -> Option<ObjectKind> {
    const PEOPLE: &[&str] = &["person", "organizationalPerson", "inetOrgPerson", "user", "posixAccount"];
    const PERSONAL: &[&str] = &["uid", "mail", "sn", "sAMAccountName", "userPrincipalName"];
    let mut shape = Attrs::new();
    for name in ["objectClass", "member", "uniqueMember", "memberUid"] {
        let values = entry.attributes.iter().filter(|a| a.name.eq_ignore_ascii_case(name)).flat_map(|a| &a.values);
        // Of members the first is enough to know that there are some.
        let some = if name == "objectClass" { usize::MAX } else { 1 };
        shape.add(name, values.take(some).cloned().collect());
    }
    let is = |class: &str| shape.all("objectClass").iter().filter_map(Value::as_text).any(|c| c.eq_ignore_ascii_case(class));
    let is_person = || PEOPLE.iter().any(|class| is(class));
    let looks_personal = || !shape.has("objectClass") && PERSONAL.iter().any(|name| entry.first(name).is_some());
    if is("computer") {
        None
    } else if groups::looks_like_group(&shape) {
        Some(ObjectKind::Group)
    } else {
        (is_person() || looks_personal()).then_some(ObjectKind::User)
    }
}

/// entryUUID, objectGUID, else the DN in normal form.
fn key(entry: &RawEntry, line: u64) -> Result<SourceKey, FileError> {
    let id = ["entryUUID", "objectGUID"].iter().find_map(|name| key_text(name, entry.first(name)?));
    let id = id.or_else(|| std::str::from_utf8(&entry.dn).ok().filter(|dn| !dn.is_empty()).map(dn::normal_form));
    id.map(SourceKey).ok_or_else(|| FileError::Bad { line, what: "the dn is not UTF-8, and there is no id beside it".to_owned() })
}

#[cfg(test)]
#[path = "ldif_tests.rs"]
mod tests;
