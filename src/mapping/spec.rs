//! What a mapper is compiled from, and what can be wrong with it.

use super::world::LookupTable;
use std::collections::BTreeMap;

/// Everything of one sync that mapping, scope and user ID need. Made from the configuration; names no file.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// `[sync.map.user]` in the order of the file.
    pub users: Vec<Row>,
    /// `[sync.map.group]` in the order of the file.
    pub groups: Vec<Row>,
    /// Scope filter for people (RFC 7644 section 3.4.2.2 over source attributes).
    pub scope_users: Option<String>,
    /// Scope filter for groups.
    pub scope_groups: Option<String>,
    /// `[sync.user_id]`.
    pub user_id: UserIdPolicy,
    /// Source attributes whose value earlier provisioning wrote to externalId.
    pub legacy_external_id: Vec<String>,
    /// Source attribute that names the person across re-hiring.
    pub rehire: Option<String>,
    /// Entries disabled at the source are inactive (drives `[IsSoftDeleted]`).
    pub disabled_is_inactive: bool,
    /// Attributes by which accounts are matched, as [`criterion`] spells them.
    pub matched_by: Vec<String>,
    /// The same for groups.
    pub groups_matched_by: Vec<String>,
    /// Tables of `Lookup`, by name; or why one cannot be used.
    pub tables: BTreeMap<String, Result<LookupTable, String>>,
    /// Unix second that `Now` tells; `None`: nobody asks (a check).
    pub now: Option<i64>,
}

/// One row of a mapping as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// SCIM path.
    pub path: String,
    /// Expression; empty: the preset's row for this path is removed.
    pub expr: String,
    /// A null result clears the attribute at the target (`when_null = "clear"`).
    pub clear_when_null: bool,
    /// Written at creation only (`apply = "create"`).
    pub create_only: bool,
    /// Value for a null result, at creation only.
    pub default: Option<String>,
    /// Whether a value that differs in letter case only is another one (`case_exact`); `None`: it is written, but what the
    /// target keeps in another case counts as kept.
    pub case_exact: Option<bool>,
    /// Accounts are matched by this path because the row says so (`match`).
    pub matched: bool,
    /// Place in the file, for messages; 0: none.
    pub line: usize,
}

/// How a person's user ID is found.
#[derive(Debug, Clone)]
pub struct UserIdPolicy {
    /// Source attributes in order; the first that gives a routable address.
    pub from: Vec<String>,
    /// NETBIOS name or non-routable suffix -> domain. Keys compare without case.
    pub domains: BTreeMap<String, String>,
    /// Lower-case the address.
    pub lowercase: bool,
    /// Language in whose way accents leave local parts that are built from account names (one of
    /// [`super::LANGUAGES`]); `None`: they stay.
    pub transliterate: Option<String>,
}

impl Default for UserIdPolicy {
    fn default() -> Self {
        Self {
            from: vec!["mail".to_owned(), "proxyAddresses".to_owned()],
            domains: BTreeMap::new(),
            lowercase: true,
            transliterate: None,
        }
    }
}

/// One mistake in a [`Spec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}{}", hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
pub struct MappingError {
    /// Key below the `[[sync]]`: `map.user."name.givenName"`, `scope.users`, `user_id.domains`.
    pub key: String,
    /// Line in the file; 0 where the key has none of its own.
    pub line: usize,
    /// Byte in the text of the key's value at which it is, where that is known.
    pub offset: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be said.
    pub hint: Option<String>,
}

/// The nearest of `known` to `name`, near enough to be a slip of the pen.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let limit = (name.chars().count() / 3).clamp(1, 3);
    known
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// A path as accounts are matched by it: of several values any one counts, so that `emails[type eq "work"].value` is
/// `emails.value`; the URN of the core schema is left out.
#[must_use]
pub fn criterion(path: &str) -> String {
    let path = path.trim();
    let core = [crate::scim::USER, crate::scim::GROUP].into_iter().find_map(|urn| {
        let (head, rest) = path.split_at_checked(urn.len())?;
        rest.strip_prefix(':').filter(|_| head.eq_ignore_ascii_case(urn))
    });
    let path = core.unwrap_or(path);
    match (path.find('['), path.rfind(']')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &path[..open], &path[close + 1..]),
        _ => path.to_owned(),
    }
}

/// A name as a part of a TOML key: in quotes only where TOML wants it so. Whoever looks a key up spells it the same way.
#[must_use]
pub fn toml_key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { format!("{name:?}") }
}
