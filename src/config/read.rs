//! The reader: walks the TOML by the tables, keeps what is right, notes every mistake, and goes on.

use super::error::Problem;
use super::node::{Cell, Node, Value};
use super::secret::Secret;
use super::shown::shown;
use super::spec::{Key, Kind, Table, nearest, quoted};
use super::tables::{ROOT, ROW};
use super::types::MapRow;
use super::value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file while it is read, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) file: &'a Path,
    text: &'a str,
    /// Folder that relative paths are relative to.
    pub(super) folder: PathBuf,
    /// Whether secrets may be plain strings.
    pub(super) plain_secrets: bool,
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Where each key's value stands, by dotted path.
    pub(super) places: BTreeMap<String, usize>,
    /// Every secret: key, and the day on which it expires.
    pub(super) secrets: Vec<(String, Secret, Option<jiff::civil::Date>)>,
    /// Every file that is only read: key and path.
    pub(super) files: Vec<(String, PathBuf)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            folder: file.parent().unwrap_or_else(|| Path::new("")).to_owned(),
            plain_secrets: false,
            errors: Vec::new(),
            warnings: Vec::new(),
            places: BTreeMap::new(),
            secrets: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Reads the whole file. `None` where it is not TOML.
    pub(super) fn read(&mut self) -> Option<Node> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let hint = syntax_hint(error.message());
            self.error(error.span().map_or(0, |s| s.start), "", format!("not TOML: {}", error.message()), hint);
        }
        // A key that stands there twice leaves a table that can be read; anything else leaves guesses.
        if errors.iter().any(|e| !e.message().starts_with("duplicate key")) {
            return None;
        }
        let table = table.get_ref();
        self.plain_secrets = table.get("allow_plaintext_secrets").and_then(|v| v.get_ref().as_bool()) == Some(true);
        Some(self.table("", 0, &ROOT, table))
    }

    /// A mistake.
    pub(super) fn error(&mut self, at: usize, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let problem = self.problem(at, key, message.into(), hint.into());
        self.errors.push(problem);
    }

    /// Something that is allowed and surprising.
    pub(super) fn warn(&mut self, at: usize, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let problem = self.problem(at, key, message.into(), hint.into());
        self.warnings.push(problem);
    }

    fn problem(&self, at: usize, key: &str, message: String, hint: String) -> Problem {
        problem(self.file, self.text, at, key, message, hint)
    }

    /// Reads one table by its keys.
    pub(super) fn table(&mut self, path: &str, at: usize, spec: &Table, table: &DeTable<'_>) -> Node {
        let mut node = Node { path: path.to_owned(), at, ..Node::default() };
        for (name, found) in in_order(table) {
            let key_at = name.span().start;
            let written = name.get_ref().as_ref();
            let Some(key) = spec.find(written) else {
                if let Some(meant) = self.unknown(path, key_at, spec, written) {
                    // It stands there, misspelt: not missing as well.
                    node.present.entry(meant).or_insert(key_at);
                }
                continue;
            };
            let key_path = join(path, written);
            node.present.insert(key.name, key_at);
            self.places.insert(key_path.clone(), found.span().start);
            if let Some(value) = self.value(&key_path, &key.kind, found) {
                node.cells.insert(key.name, Cell { at: found.span().start, value });
            }
        }
        for key in spec.all().filter(|k| k.required && !node.present.contains_key(k.name)) {
            self.error(at, &join(path, key.name), "missing", missing_hint(spec, key));
        }
        // What is left out; and what is wrong, so that the rest of the file can still be looked through for mistakes.
        for key in spec.all().filter(|k| !k.required) {
            if node.cells.contains_key(key.name) {
                continue;
            }
            let at = node.present.get(key.name).copied().unwrap_or(at);
            if let Some(value) = self.default(&join(path, key.name), at, key) {
                node.cells.insert(key.name, Cell { at, value });
            }
        }
        node
    }

    /// What a key that is left out means. A table that is left out means the defaults of its keys.
    fn default(&mut self, path: &str, at: usize, key: &Key) -> Option<Value> {
        if let Kind::Table(spec) = key.kind {
            return spec.all().all(|k| !k.required).then(|| Value::Table(self.table(path, at, spec, &DeTable::new())));
        }
        if key.default.is_empty() {
            return None;
        }
        let value = DeValue::parse(key.default).ok()?;
        self.unplaced(|reader| reader.value(path, &key.kind, &value))
    }

    /// Runs `read` without remembering places: a default stands nowhere.
    fn unplaced<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let places = std::mem::take(&mut self.places);
        let result = read(self);
        self.places = places;
        result
    }

    /// Notes an unknown key. Gives the one that was meant, where it is near enough.
    fn unknown(&mut self, path: &str, at: usize, spec: &Table, written: &str) -> Option<&'static str> {
        let meant = nearest(written, spec.all().map(|k| k.name));
        let hint = match meant {
            Some(name) => format!("did you mean `{name}`?"),
            None => match elsewhere(written) {
                Some(title) => format!("`{written}` belongs to {title}"),
                None => format!("{} knows {}", spec.title, list(spec.all().map(|k| k.name))),
            },
        };
        self.error(at, &join(path, written), "unknown key", hint);
        meant
    }

    /// Reads one value by its kind. `None` where it is wrong, and noted.
    fn value(&mut self, path: &str, kind: &Kind, found: &Spanned<DeValue<'_>>) -> Option<Value> {
        let at = found.span().start;
        match (kind, found.get_ref()) {
            (Kind::Secret, value) => self.secret(path, at, value),
            (Kind::SecretFile, value) => self.secret_file(path, at, value),
            (Kind::Table(spec), DeValue::Table(table)) => Some(Value::Table(self.table(path, at, spec, table))),
            (Kind::Named(spec), DeValue::Table(table)) => {
                Some(self.named(path, table, |reader, path, at, table| Some(reader.table(path, at, spec, table))))
            }
            (Kind::Typed(variants), DeValue::Table(table)) => {
                Some(self.named(path, table, |reader, path, at, table| reader.variant(path, at, variants, table)))
            }
            (Kind::Pairs, DeValue::Table(table)) => Some(Value::Pairs(self.pairs(path, table))),
            (Kind::Names, DeValue::Table(table)) => Some(Value::Pairs(self.names(path, table))),
            (Kind::Rows, DeValue::Table(table)) => Some(Value::Rows(self.rows(path, table))),
            (Kind::Tables(spec), DeValue::Array(array)) => Some(self.list(path, &Kind::Table(spec), array.iter())),
            (Kind::List(item) | Kind::OneOrMore(item), DeValue::Array(array)) => Some(self.list(path, item, array.iter())),
            (Kind::OneOrMore(item), _) => {
                let value = self.value(path, item, found)?;
                Some(Value::List(vec![Cell { at, value }]))
            }
            (kind, value) => match value::leaf(kind, value, &self.folder) {
                Ok(value) => {
                    if let (Kind::Input, Value::Path(file)) = (kind, &value) {
                        self.files.push((path.to_owned(), file.clone()));
                    }
                    Some(value)
                }
                Err(mistake) => {
                    self.error(at, path, mistake.message, mistake.hint);
                    None
                }
            },
        }
    }

    fn list<'v>(&mut self, path: &str, item: &Kind, values: impl Iterator<Item = &'v Spanned<DeValue<'v>>>) -> Value {
        let mut cells = Vec::new();
        for (i, value) in values.enumerate() {
            let item_path = format!("{path}[{i}]");
            self.places.insert(item_path.clone(), value.span().start);
            if let Some(v) = self.value(&item_path, item, value) {
                cells.push(Cell { at: value.span().start, value: v });
            }
        }
        Value::List(cells)
    }

    fn named(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        mut read: impl FnMut(&mut Self, &str, usize, &DeTable<'_>) -> Option<Node>,
    ) -> Value {
        let mut nodes = Vec::new();
        for (name, found) in in_order(table) {
            let name_path = join(path, name.get_ref());
            let at = found.span().start;
            self.places.insert(name_path.clone(), at);
            match found.get_ref() {
                DeValue::Table(inner) => {
                    if let Some(node) = read(self, &name_path, at, inner) {
                        nodes.push((name.get_ref().to_string(), node));
                    }
                }
                other => {
                    let hint = format!("write [{path}.NAME] and the keys below it");
                    self.error(name.span().start, &name_path, format!("expected a table, found {}", value::found(other)), hint);
                }
            }
        }
        Value::Named(nodes)
    }

    /// A table whose keys depend on its `type`.
    fn variant(
        &mut self,
        path: &str,
        at: usize,
        variants: &[(&'static str, &'static Table)],
        table: &DeTable<'_>,
    ) -> Option<Node> {
        let names: Vec<&str> = variants.iter().map(|(n, _)| *n).collect();
        let key = join(path, "type");
        let written = table.get("type");
        let chosen = written.and_then(|t| t.get_ref().as_str());
        if let Some((name, spec)) = variants.iter().find(|(n, _)| Some(*n) == chosen) {
            let mut node = self.table(path, at, spec, table);
            node.variant = name;
            return Some(node);
        }
        match (written, chosen) {
            (None, _) => self.error(at, &key, "missing", format!("write type = one of {}", quoted(&names))),
            (Some(v), None) => {
                let message = format!("expected one of {}, found {}", quoted(&names), value::found(v.get_ref()));
                self.error(v.span().start, &key, message, "");
            }
            (Some(v), Some(text)) => {
                self.error(v.span().start, &key, format!("{text:?} is not known"), value::choice_hint(text, &names))
            }
        }
        // It stands there, under a name that syncs may use: a node without values keeps them from being told off for it.
        Some(Node { path: path.to_owned(), at, ..Node::default() })
    }

    fn pairs(&mut self, path: &str, table: &DeTable<'_>) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        for (name, found) in in_order(table) {
            let key = join(path, name.get_ref());
            self.places.insert(key.clone(), found.span().start);
            match (found.get_ref(), name.get_ref().as_ref()) {
                (DeValue::String(text), name) => match value::mail_domain(text) {
                    Ok(domain) => drop(pairs.insert(name.to_owned(), domain)),
                    Err(mistake) => self.error(found.span().start, &key, mistake.message, mistake.hint),
                },
                (DeValue::Table(_), name) => {
                    let hint = format!("a name with a dot stands in quotes: \"{name}.…\" = \"corp.example\"");
                    self.error(found.span().start, &key, "expected a mail domain in quotes, found a table", hint);
                }
                (other, _) => {
                    let message = format!("expected a mail domain in quotes, found {}", value::found(other));
                    self.error(found.span().start, &key, message, "");
                }
            }
        }
        pairs
    }

    fn names(&mut self, path: &str, table: &DeTable<'_>) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for (name, found) in in_order(table) {
            let key = join(path, name.get_ref());
            self.places.insert(key.clone(), found.span().start);
            match found.get_ref() {
                DeValue::String(text) if !text.trim().is_empty() => {
                    names.insert(name.get_ref().to_string(), text.trim().to_owned());
                }
                other => {
                    let message = format!("expected a name in quotes, found {}", value::found(other));
                    self.error(found.span().start, &key, message, "a name with a dot or a blank stands in quotes, on both sides");
                }
            }
        }
        names
    }

    fn rows(&mut self, path: &str, table: &DeTable<'_>) -> Vec<MapRow> {
        let mut rows: Vec<MapRow> = Vec::new();
        for (name, found) in in_order(table) {
            let at = name.span().start;
            let written = name.get_ref().as_ref();
            let key = join(path, written);
            self.places.insert(key.clone(), found.span().start);
            if written.trim().is_empty() {
                self.error(at, &key, "a SCIM path cannot be empty", "write \"userName\" = \"[userId]\"");
                continue;
            }
            if let Some(twin) = rows.iter().find(|r| r.path.eq_ignore_ascii_case(written)) {
                let message = format!("the same path stands in line {} already", twin.line);
                self.error(at, &key, message, "SCIM paths compare without case (RFC 7643 section 2.1): keep one of them");
                continue;
            }
            let line = Place::of(self.text, at).line;
            let row = |expr: String| MapRow {
                path: written.to_owned(),
                expr,
                clear_when_null: false,
                create_only: false,
                default: None,
                case_exact: None,
                matching: None,
                line,
            };
            match found.get_ref() {
                DeValue::String(expr) => rows.push(row(expr.to_string())),
                DeValue::Table(inner) if !inner.contains_key("expr") && looks_dotted(inner) => {
                    let sub = inner.keys().next().map_or("…", |k| k.get_ref().as_ref());
                    let hint = format!("a path with a dot stands in quotes: \"{written}.{sub}\" = …");
                    self.error(at, &key, "expected an expression, found a table", hint);
                }
                DeValue::Table(inner) => {
                    let node = self.table(&key, found.span().start, &ROW, inner);
                    if let Some(expr) = node.text("expr") {
                        rows.push(MapRow {
                            clear_when_null: node.text("when_null").as_deref() == Some("clear"),
                            create_only: node.text("apply").as_deref() == Some("create"),
                            default: node.text("default"),
                            case_exact: node.bool("case_exact"),
                            matching: node.integer("match"),
                            ..row(expr)
                        });
                    }
                }
                other => {
                    let hint = "write the expression in quotes: \"[givenName]\" for an attribute, '\"text\"' for a constant";
                    self.error(found.span().start, &key, format!("expected an expression, found {}", value::found(other)), hint);
                }
            }
        }
        rows
    }
}

/// A place in the file, counted from 1; columns in characters.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn of(text: &str, at: usize) -> Self {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

/// A problem with its place and its line.
pub(super) fn problem(file: &Path, text: &str, at: usize, key: &str, message: String, hint: String) -> Problem {
    let place = Place::of(text, at);
    let line = text.lines().nth(place.line - 1).map(|l| shown(l, key)).filter(|l| !l.is_empty() && l != "…");
    Problem {
        file: file.to_owned(),
        line: place.line,
        column: place.column,
        key: key.to_owned(),
        message,
        hint,
        source_line: line,
    }
}

/// A table's keys in the order of the file (the parser sorts them by name).
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    let mut keys: Vec<_> = table.iter().collect();
    keys.sort_by_key(|(k, _)| k.span().start);
    keys
}

/// `path.name`, with the name in quotes where TOML wants it so.
pub(super) fn join(path: &str, name: &str) -> String {
    let name = crate::mapping::toml_key(name);
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// Whether a table under a mapping is a path that was written without quotes, rather than the long form of a row.
fn looks_dotted(table: &DeTable<'_>) -> bool {
    table.keys().all(|k| ROW.find(k.get_ref()).is_none())
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

fn missing_hint(spec: &Table, key: &Key) -> String {
    let example = match key.kind {
        Kind::Integer(n, m) if n == m => format!("write {} = {n}", key.name),
        _ => format!("{} needs `{}`", spec.title, key.name),
    };
    format!("{example}: {}", key.doc)
}

/// The table that a key belongs to, where it stands in another one.
fn elsewhere(name: &str) -> Option<&'static str> {
    let mut title = None;
    ROOT.with_below(&mut |t| {
        if title.is_none() && t.find(name).is_some() {
            title = Some(t.title);
        }
    });
    title
}

fn syntax_hint(message: &str) -> &'static str {
    if message.starts_with("duplicate key") {
        "each key stands once; several syncs are several [[sync]]"
    } else if message.contains("must be quoted") {
        "write text in quotes: \"…\""
    } else if message.contains("escape") {
        "in \"…\" a backslash is written \\\\; in '…' it stands as it is"
    } else if message.contains("expected `\"`") || message.contains("expected `'`") {
        "the closing quote is missing"
    } else {
        ""
    }
}
