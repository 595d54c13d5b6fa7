//! What expressions see besides the entry: the time, the mail domains, lookup tables. All of it is handed in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A table of `Lookup`: key -> value. Keys compare without case and without blanks around them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LookupTable {
    rows: Arc<BTreeMap<String, String>>,
}

impl LookupTable {
    /// From the lines of a file, the column names left out.
    ///
    /// # Errors
    /// A key is there twice with different values: nobody could say which one counts.
    pub fn new(rows: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        for (key, value) in rows {
            let folded = fold(&key);
            if let Some(old) = found.insert(folded, value.clone())
                && old != value
            {
                return Err(format!("{:?} is there twice: {old:?} and {value:?}", key.trim()));
            }
        }
        Ok(Self { rows: Arc::new(found) })
    }

    /// The value of a key; an empty one is none.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.rows.get(&fold(key)).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Changes whenever the table does.
    fn print(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for (key, value) in self.rows.iter() {
            for text in [key, value] {
                hash.update(&text.len().to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        hash.finalize().to_hex().to_string()
    }
}

/// Tables can be long: only their size is shown.
impl fmt::Debug for LookupTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupTable({} rows)", self.len())
    }
}

fn fold(key: &str) -> String {
    key.trim().to_lowercase()
}

/// What expressions see besides the entry.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    /// Unix second that `Now` tells.
    pub now: Option<i64>,
    /// NETBIOS name or suffix, folded -> mail domain.
    pub domains: BTreeMap<String, String>,
    /// Tables of `Lookup`, by name; or why one cannot be used.
    pub tables: BTreeMap<String, Result<LookupTable, String>>,
}

/// No time, no domains, no tables.
pub(super) static NOWHERE: World = World { now: None, domains: BTreeMap::new(), tables: BTreeMap::new() };

impl World {
    /// The one mail domain there is.
    pub(super) fn only_domain(&self) -> Option<&str> {
        let mut all = self.domains.values();
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// A text that changes whenever a table does.
    pub(super) fn print(&self) -> String {
        let print = |table: &Result<LookupTable, String>| table.as_ref().map_or_else(Clone::clone, LookupTable::print);
        self.tables.iter().map(|(name, table)| format!("table {name} {}\n", print(table))).collect()
    }
}

/// What is wrong with a call of a function that needs its surroundings, as written.
pub(super) fn check(expr: &super::Expr, world: &World, mut wrong: impl FnMut(String, Option<String>)) {
    let mut calls = Vec::new();
    expr.0.calls(&mut calls);
    for call in calls {
        if let Err((message, hint)) = (call.function.settled)(call, world) {
            wrong(message, hint);
        }
    }
}

/// The policy's domains as keys that compare: folded, without a leading `@`.
pub(super) fn domains(written: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    written.iter().map(|(key, domain)| (domain_key(key), domain.trim().to_lowercase())).collect()
}

/// See [`domains`].
pub(super) fn domain_key(written: &str) -> String {
    written.trim().trim_start_matches('@').to_lowercase()
}
