//! What the reader found: values that are right by themselves, each with its place.

use super::secret::Secret;
use super::types::{Limit, MapRow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// A value and the byte at which it begins.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) at: usize,
    pub(super) value: Value,
}

/// A value that is right by itself.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Bool(bool),
    Integer(i64),
    Duration(Duration),
    Url(Url),
    Path(PathBuf),
    Limit(Limit),
    Rate(f64),
    Secret(Secret),
    List(Vec<Cell>),
    Table(Node),
    Named(Vec<(String, Node)>),
    Pairs(BTreeMap<String, String>),
    Rows(Vec<MapRow>),
}

/// A table that was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// Dotted path: `source.corp`, `sync[0].guard`.
    pub(super) path: String,
    /// Byte at which its header begins.
    pub(super) at: usize,
    /// Every known key that stands in the file, right or wrong, and the byte at which it begins.
    pub(super) present: BTreeMap<&'static str, usize>,
    /// Those whose value is right.
    pub(super) cells: BTreeMap<&'static str, Cell>,
    /// The value of `type`, where the table has variants.
    pub(super) variant: &'static str,
}

/// Makes a getter: the value of a key if it is there and right, in its type.
macro_rules! getters {
    ($($name:ident -> $type:ty = $variant:ident;)*) => {$(
        pub(super) fn $name(&self, key: &str) -> Option<$type> {
            match &self.cells.get(key)?.value {
                Value::$variant(v) => Some(v.clone()),
                _ => None,
            }
        }
    )*};
}

impl Node {
    getters! {
        text -> String = Text;
        bool -> bool = Bool;
        integer -> i64 = Integer;
        duration -> Duration = Duration;
        url -> Url = Url;
        path -> PathBuf = Path;
        limit -> Limit = Limit;
        rate -> f64 = Rate;
        secret -> Secret = Secret;
        pairs -> BTreeMap<String, String> = Pairs;
        rows -> Vec<MapRow> = Rows;
    }

    /// The tables of an array of tables, or of one array of inline tables.
    pub(super) fn tables(&self, key: &str) -> Vec<&Node> {
        self.list(key).iter().filter_map(|c| if let Value::Table(n) = &c.value { Some(n) } else { None }).collect()
    }

    /// A table; an empty one where there is none, so that its defaults apply.
    pub(super) fn table(&self, key: &str) -> Node {
        match self.cells.get(key).map(|c| &c.value) {
            Some(Value::Table(node)) => node.clone(),
            _ => Node { path: format!("{}.{key}", self.path), at: self.at, ..Node::default() },
        }
    }

    /// Tables under names of the administrator's choice.
    pub(super) fn named(&self, key: &str) -> &[(String, Node)] {
        match self.cells.get(key).map(|c| &c.value) {
            Some(Value::Named(list)) => list,
            _ => &[],
        }
    }

    /// The elements of an array.
    pub(super) fn list(&self, key: &str) -> &[Cell] {
        match self.cells.get(key).map(|c| &c.value) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The texts of an array; `None` where the key is not there.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        self.cells.get(key)?;
        Some(self.list(key).iter().filter_map(|c| if let Value::Text(t) = &c.value { Some(t.clone()) } else { None }).collect())
    }

    /// The URLs of an array.
    pub(super) fn urls(&self, key: &str) -> Vec<(usize, Url)> {
        self.list(key).iter().filter_map(|c| if let Value::Url(u) = &c.value { Some((c.at, u.clone())) } else { None }).collect()
    }

    /// Whether the key stands in the file, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.present.contains_key(key)
    }

    /// Where the key stands, else where the table begins.
    pub(super) fn place(&self, key: &str) -> usize {
        self.present.get(key).copied().unwrap_or(self.at)
    }

    /// Where the value of a key stands, else where the key or the table does.
    pub(super) fn value_place(&self, key: &str) -> usize {
        self.cells.get(key).map_or_else(|| self.place(key), |c| c.at)
    }

    /// Path of one of its keys.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Names of the tables under `key`, as far as they stand in the file.
    pub(super) fn names(&self, key: &str) -> BTreeSet<&str> {
        self.named(key).iter().map(|(n, _)| n.as_str()).collect()
    }
}
