//! Which attributes a file has, for whoever checks a configuration before anything is read.

use super::{FileError, Format, format_of, parse};
use crate::model::Entry;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Entries that are looked at: enough to see every attribute that is in use.
const LOOKED_AT: usize = 20_000;

/// Names of all attributes, in lower case -> as written, and whether they are columns, so that there are no others. `None`
/// where the file cannot be read: the read itself says why.
pub fn attributes(path: &Path) -> Option<(BTreeMap<String, String>, bool)> {
    let mut names = BTreeMap::new();
    let columns = format_of(path).ok()? == Format::Csv;
    if columns {
        // Columns that nobody has a value in are there all the same.
        let mut line = String::new();
        let mut input = BufReader::new(std::fs::File::open(path).ok()?.take(1 << 20));
        input.read_line(&mut line).ok()?;
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        names.extend(rows.records().next()?.ok()?.iter().map(|name| (name.trim().to_lowercase(), name.trim().to_owned())));
    }
    let mut seen = 0;
    let done = parse(path, &mut |entry: Entry| {
        for (name, _) in entry.attrs.iter() {
            names.entry(name.to_lowercase()).or_insert_with(|| name.to_owned());
        }
        seen += 1;
        if seen < LOOKED_AT { Ok(()) } else { Err(FileError::Stopped) }
    });
    match done {
        Ok(_) | Err(FileError::Stopped) => Some((names, columns)),
        Err(_) => None,
    }
}
