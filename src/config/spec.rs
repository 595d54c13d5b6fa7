//! The language in which `tables.rs` says what may stand in the file. The reader, the JSON Schema and the test of the
//! annotated example all go by it.

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Text that is not empty.
    Text,
    /// Text that may be empty.
    AnyText,
    /// `true` or `false`.
    Bool,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A length of time, `"15m"`.
    Duration,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A file, relative to the folder of the configuration file.
    Path,
    /// The same; it is only read, so it must be there.
    Input,
    /// `host:port` to listen on.
    Listen,
    /// A crontab line.
    Cron,
    /// An IANA time zone.
    Zone,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An LDAP filter (RFC 4515).
    LdapFilter,
    /// A count, a share such as `"5%"`, or `"unlimited"`.
    Limit,
    /// Requests in a time, `"25/s"`.
    Rate,
    /// A reference to a secret.
    Secret,
    /// A file that is a secret: its name, or a reference to it.
    SecretFile,
    /// An array of these.
    List(&'static Kind),
    /// One of these, or an array of them.
    OneOrMore(&'static Kind),
    /// A table.
    Table(&'static Table),
    /// An array of tables: `[[name]]`, or inline.
    Tables(&'static Table),
    /// Tables under names of the administrator's choice: `[target.NAME]`.
    Named(&'static Table),
    /// The same, where `type` decides which keys a table has.
    Typed(&'static [(&'static str, &'static Table)]),
    /// Names of the administrator's choice, each with a mail domain.
    Pairs,
    /// Names of the administrator's choice, each with another name.
    Names,
    /// Rows of a mapping: SCIM path = expression, or an inline table.
    Rows,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// Name in the file.
    pub(super) name: &'static str,
    /// What its value may be.
    pub(super) kind: Kind,
    /// Whether it must be there.
    pub(super) required: bool,
    /// Default as it would be written in the file; empty: none.
    pub(super) default: &'static str,
    /// Meaning and unit, one sentence.
    pub(super) doc: &'static str,
}

/// The keys of one table.
#[derive(Debug)]
pub(super) struct Table {
    /// How the table is written in the file: `[[sync]]`.
    pub(super) title: &'static str,
    /// Its keys; several slices, so that tables can share some.
    pub(super) keys: &'static [&'static [Key]],
}

impl Key {
    /// A key that may be left out.
    pub(super) const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, required: false, default: "", doc }
    }

    /// A key that must be there.
    pub(super) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, required: true, default: "", doc }
    }

    /// A key with a default.
    pub(super) const fn with_default(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self { name, kind, required: false, default, doc }
    }
}

impl Table {
    /// All keys.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().flat_map(|k| k.iter())
    }

    /// The key of this name.
    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.all().find(|k| k.name == name)
    }

    /// This table and every table below it.
    pub(super) fn with_below(&'static self, visit: &mut dyn FnMut(&'static Table)) {
        visit(self);
        for key in self.all() {
            key.kind.tables(visit);
        }
    }
}

impl Kind {
    fn tables(&self, visit: &mut dyn FnMut(&'static Table)) {
        match self {
            Self::Table(t) | Self::Tables(t) | Self::Named(t) => t.with_below(visit),
            Self::Typed(variants) => variants.iter().for_each(|(_, t)| t.with_below(visit)),
            Self::List(kind) | Self::OneOrMore(kind) => kind.tables(visit),
            _ => {}
        }
    }

    /// What is expected, for a message: "expected …".
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Text | Self::AnyText => "text in quotes".into(),
            Self::Bool => "true or false".into(),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Duration => "a length of time in quotes, such as \"15m\"".into(),
            Self::Url(_) => "a URL in quotes".into(),
            Self::Path | Self::Input => "a file name in quotes".into(),
            Self::Listen => "an address in quotes, such as \"127.0.0.1:9464\"".into(),
            Self::Cron => "a crontab line in quotes, such as \"*/5 * * * *\"".into(),
            Self::Zone => "a time zone in quotes, such as \"Europe/Copenhagen\"".into(),
            Self::Choice(words) => format!("one of {}", quoted(words)),
            Self::LdapFilter => "an LDAP filter in quotes, such as \"(objectClass=person)\"".into(),
            Self::Limit => "a count, a share such as \"5%\", or \"unlimited\"".into(),
            Self::Rate => "a rate in quotes, such as \"25/s\" or \"100/m\"".into(),
            Self::Secret => "a secret: { file = \"path\" }, { env = \"NAME\" } or { credential = \"name\" }".into(),
            Self::SecretFile => "a file name in quotes, { file = \"path\" } or { credential = \"name\" }".into(),
            Self::List(kind) => format!("an array of {}", kind.items()),
            Self::OneOrMore(kind) => format!("{}, or an array of {}", kind.expected(), kind.items()),
            Self::Table(_) | Self::Named(_) | Self::Typed(_) | Self::Pairs | Self::Names | Self::Rows => "a table".into(),
            Self::Tables(t) => format!("an array of tables: write {} with double brackets", t.title),
        }
    }

    fn items(&self) -> String {
        match self {
            Self::Choice(words) => quoted(words),
            Self::Url(_) => "URLs".into(),
            Self::Tables(_) | Self::Table(_) => "tables".into(),
            _ => "texts, such as [\"…\"]".into(),
        }
    }
}

/// Words in quotes with commas between.
pub(super) fn quoted<T: AsRef<str>>(words: &[T]) -> String {
    words.iter().map(|w| format!("\"{}\"", w.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The nearest of `candidates` to what was written, if any is near enough to be meant.
pub(super) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| s.to_lowercase().replace(['-', ' '], "_");
    let written = plain(written);
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&written, &plain(c)), c))
        .filter(|(distance, c)| *distance <= (written.chars().count().max(c.chars().count()).div_ceil(3)).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}
