//! What the mapping needs of a sync.

use super::types::{LookupConfig, MapRow, SyncConfig};
use crate::mapping::{LookupTable, Row, Spec, UserIdPolicy};
use std::io::Read as _;

/// Largest lookup table, in bytes: it is held in memory.
const MAX_TABLE: u64 = 16 * 1024 * 1024;

impl SyncConfig {
    /// The part of this sync that a [`crate::mapping::Mapper`] is compiled from. Keys in its errors stand below this
    /// `[[sync]]`. Lookup tables are read from their files; one that cannot be is a mistake of the rows that name it.
    #[must_use]
    pub fn mapping_spec(&self) -> Spec {
        Spec {
            users: self.map_user.iter().map(row).collect(),
            groups: self.map_group.iter().map(row).collect(),
            scope_users: self.scope.users.clone(),
            scope_groups: self.scope.groups.clone(),
            user_id: UserIdPolicy {
                from: self.user_id.from.clone(),
                domains: self.user_id.domains.clone(),
                lowercase: self.user_id.lowercase,
                transliterate: self.user_id.transliterate.clone(),
            },
            legacy_external_id: self.matching.legacy_external_id.clone(),
            rehire: self.matching.rehire.clone(),
            disabled_is_inactive: self.scope.disabled_is_inactive,
            matched_by: self.matching.users.clone(),
            groups_matched_by: self.matching.groups.clone(),
            tables: self.lookups.iter().map(|(name, table)| (name.clone(), table.read())).collect(),
            now: None,
        }
    }
}

fn row(row: &MapRow) -> Row {
    Row {
        path: row.path.clone(),
        expr: row.expr.clone(),
        clear_when_null: row.clear_when_null,
        create_only: row.create_only,
        default: row.default.clone(),
        case_exact: row.case_exact,
        matched: row.matching.is_some(),
        line: row.line,
    }
}

impl LookupConfig {
    /// Reads the table.
    ///
    /// # Errors
    /// Why it cannot be used, with the file's name.
    pub fn read(&self) -> Result<LookupTable, String> {
        let why = |e: &dyn std::fmt::Display| format!("{}: {e}", self.path.display());
        let file = std::fs::File::open(&self.path).map_err(|e| why(&e))?;
        let mut bytes = Vec::new();
        file.take(MAX_TABLE + 1).read_to_end(&mut bytes).map_err(|e| why(&e))?;
        if bytes.len() as u64 > MAX_TABLE {
            return Err(why(&format!("is larger than {} MiB", MAX_TABLE / 1024 / 1024)));
        }
        // Spreadsheets put a byte order mark in front.
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let named = self.key.is_some() || self.value.is_some();
        let mut lines = csv::ReaderBuilder::new().has_headers(named).flexible(true).from_reader(bytes);
        let names = if named { Some(lines.headers().map_err(|e| why(&e))?.clone()) } else { None };
        let column = |name: &Option<String>, default: usize| match (name, &names) {
            (Some(name), Some(names)) => names
                .iter()
                .position(|n| n.trim().eq_ignore_ascii_case(name.trim()))
                .ok_or_else(|| why(&format!("there is no column {name:?}"))),
            _ => Ok(default),
        };
        let (key, value) = (column(&self.key, 0)?, column(&self.value, 1)?);
        let mut rows = Vec::new();
        for line in lines.records() {
            let line = line.map_err(|e| why(&e))?;
            let cell = |i| line.get(i).map(|cell: &str| cell.trim().to_owned());
            if let (Some(key), Some(value)) = (cell(key).filter(|k| !k.is_empty()), cell(value)) {
                rows.push((key, value));
            }
        }
        LookupTable::new(rows).map_err(|e| why(&e))
    }
}
