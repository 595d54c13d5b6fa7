//! How a target really speaks SCIM: plain flags and limits. Preset < discovery < probe < configuration: what stands later
//! in this order wins, and of each value it is known where it came from.
//!
//! What every target gets alike is no flag: ids are percent-encoded whatever they hold, the base address keeps its query
//! string, every request names its User-Agent, and error bodies are read in any shape.

use super::Remote;
use super::presets::Preset;
use crate::config::TargetConfig;
use crate::mapping::{Shape, Type};
use crate::model::ObjectKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a PATCH writes true and false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Booleans {
    /// As JSON (RFC 7643 section 2.3.2).
    #[default]
    #[serde(rename = "json")]
    Json,
    /// `"True"`, `"False"`: as Entra ID writes them unless told otherwise.
    #[serde(rename = "True")]
    Capital,
    /// `"true"`, `"false"`.
    #[serde(rename = "true")]
    Text,
}

/// How members are removed from a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoveMembers {
    /// One `members[value eq "x"]` for each: understood nearly everywhere.
    #[default]
    OneByOne,
    /// Path `members` and the list as value. Strict servers read that as "all members": only where it is known to be right.
    List,
    /// The whole list of those who stay.
    Replace,
}

/// Plain flags and limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Dialect {
    /// PATCH is supported; otherwise GET, merge, PUT.
    pub patch: bool,
    /// How a PATCH writes true and false.
    pub booleans: Booleans,
    /// `op` with a capital: `Replace`.
    pub op_capital: bool,
    /// Plain attributes have a path of their own in a PATCH; otherwise they stand in an object without a path.
    pub patch_path: bool,
    /// How members are removed.
    pub remove_members: RemoveMembers,
    /// Members per group PATCH (and per group create).
    pub members_per_patch: usize,
    /// A group that is read shows who is in it; otherwise what becomes of members is believed unseen.
    pub members_shown: bool,
    /// Resources asked for per page.
    pub page_size: u32,
    /// Filters are supported at all.
    pub filter: bool,
    /// Attributes that can be filtered by; empty: all that there are.
    pub filters: Vec<String>,
    /// Pages by cursor (RFC 9865) instead of `startIndex`.
    pub cursor: bool,
    /// Operations in one request to `/Bulk` (RFC 7644 section 3.7); 0: not offered.
    pub bulk: u32,
    /// Versions are kept (RFC 7644 section 3.14).
    pub etag: bool,
    /// What is sent calls itself `application/json` instead of `application/scim+json`.
    pub plain_json: bool,
    /// `userName` cannot be changed after creation: never sent then.
    pub user_name_immutable: bool,
    /// `userName` has to be an email address.
    pub user_name_email: bool,
    /// Groups exist at this target.
    pub groups: bool,
    /// Groups can be made.
    pub group_create: bool,
    /// Groups can be renamed.
    pub group_update: bool,
    /// Groups can be deleted.
    pub group_delete: bool,
    /// Groups are linked by exactly this name, letter case included.
    pub group_name_exact: bool,
    /// DELETE of an account removes it; otherwise it only deactivates, and is not sent.
    pub delete_removes: bool,
    /// Core and extension attributes that may be sent for users, lower-case canonical paths without value filters;
    /// empty: all.
    pub user_attributes: Vec<String>,
    /// The same for groups; `members` need not be named.
    pub group_attributes: Vec<String>,
    /// Paths without which no account is made.
    pub required: Vec<String>,
    /// Attributes of users that are no text, as the target's schema says: path as in `user_attributes` -> type.
    #[serde(default)]
    pub types: BTreeMap<String, Type>,
    /// Attributes of users that hold several plain values, as the target's schema says: paths as in `user_attributes`.
    pub lists: Vec<String>,
    /// Where users are, relative to the base URL.
    pub users_endpoint: String,
    /// Where groups are, relative to the base URL.
    pub groups_endpoint: String,
    /// Requests per second; `None`: not paced.
    pub rate: Option<f64>,
}

impl Dialect {
    /// Whether it can be told from this group who is in it. One that is shown without anybody says so only where it comes
    /// with its members, if none, or where others were seen with somebody (`somebody_seen`).
    #[must_use]
    pub fn tells_members(&self, group: &Remote, somebody_seen: bool) -> bool {
        self.members_shown && (group.has_members() || somebody_seen)
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            patch: true,
            booleans: Booleans::Json,
            op_capital: false,
            patch_path: true,
            remove_members: RemoveMembers::OneByOne,
            members_per_patch: 100,
            members_shown: true,
            page_size: 100,
            filter: true,
            filters: Vec::new(),
            cursor: false,
            bulk: 0,
            etag: false,
            plain_json: false,
            user_name_immutable: false,
            user_name_email: false,
            groups: true,
            group_create: true,
            group_update: true,
            group_delete: true,
            group_name_exact: false,
            delete_removes: true,
            user_attributes: Vec::new(),
            group_attributes: Vec::new(),
            required: Vec::new(),
            types: BTreeMap::new(),
            lists: Vec::new(),
            users_endpoint: "/Users".to_owned(),
            groups_endpoint: "/Groups".to_owned(),
            rate: None,
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything: what RFC 7644 lets expect.
    Default,
    /// The preset's file.
    Preset,
    /// The target said so (RFC 7644 section 4).
    Discovery,
    /// The target was seen to do so.
    Probe,
    /// The configuration.
    Config,
}

impl Origin {
    /// For people to read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Preset => "preset",
            Self::Discovery => "discovery",
            Self::Probe => "probe",
            Self::Config => "configuration",
        }
    }
}

/// A dialect, and where each of its values came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layered {
    /// The values.
    pub dialect: Dialect,
    origins: BTreeMap<String, Origin>,
}

impl Layered {
    /// What a preset says: whatever differs from the default.
    #[must_use]
    pub fn of_preset(preset: &Preset) -> Self {
        let defaults = fields(&Dialect::default());
        let differs = fields(&preset.dialect).into_iter().filter(|(name, value)| defaults.get(name) != Some(value));
        let origins = differs.map(|(name, _)| (name, Origin::Preset)).collect();
        Self { dialect: preset.dialect.clone(), origins }
    }

    /// Notes that `field` is said by `origin`, and changes it.
    pub fn set(&mut self, field: &str, origin: Origin, change: impl FnOnce(&mut Dialect)) {
        change(&mut self.dialect);
        self.origins.insert(field.to_owned(), origin);
    }

    /// Who said the value of a field.
    #[must_use]
    pub fn origin(&self, field: &str) -> Origin {
        self.origins.get(field).copied().unwrap_or(Origin::Default)
    }

    /// Every value with who said it, in the order of their names.
    #[must_use]
    pub fn values(&self) -> Vec<(String, Value, Origin)> {
        fields(&self.dialect).into_iter().map(|(name, value)| (name.clone(), value, self.origin(&name))).collect()
    }

    /// Every value with where it came from, for people to read: `dialect.patch`, `true (discovery)`.
    #[must_use]
    pub fn facts(&self) -> Vec<(String, String)> {
        let all = fields(&self.dialect).into_iter();
        let told = all.map(|(field, value)| {
            let origin = self.origin(&field).as_str();
            let (key, value) = line(&field, value);
            (format!("dialect.{key}"), format!("{} ({origin})", shown(&key, &value, true)))
        });
        let mut facts: Vec<(String, String)> = told.collect();
        facts.sort();
        facts
    }

    /// The configuration's say on top of everything.
    pub fn configure(&mut self, config: &TargetConfig) {
        let c = &config.dialect;
        macro_rules! say {
            ($($field:ident = $value:expr;)*) => {$(
                if let Some(value) = $value {
                    self.set(stringify!($field), Origin::Config, |d| d.$field = value);
                }
            )*};
        }
        let lower = |list: &Vec<String>| list.iter().map(|a| a.to_ascii_lowercase()).collect::<Vec<_>>();
        say! {
            patch = config.patch;
            members_per_patch = config.members_per_patch.map(|m| m.max(1));
            rate = config.rate.map(Some);
            filter = c.filter;
            filters = c.filters.as_ref().map(lower);
            page_size = c.page_size;
            cursor = c.cursor;
            bulk = c.bulk;
            etag = c.etag;
            booleans = c.booleans.as_deref().map(|b| match b {
                "True" => Booleans::Capital,
                "true" => Booleans::Text,
                _ => Booleans::Json,
            });
            op_capital = c.op_capital;
            patch_path = c.patch_path;
            remove_members = c.remove_members.as_deref().map(|r| match r {
                "list" => RemoveMembers::List,
                "replace" => RemoveMembers::Replace,
                _ => RemoveMembers::OneByOne,
            });
            members_shown = c.members_shown;
            plain_json = c.plain_json;
            user_name_immutable = c.user_name_immutable;
            user_attributes = c.user_attributes.as_ref().map(lower);
            required = c.required.clone();
            groups = c.groups;
            group_attributes = c.group_attributes.as_ref().map(lower);
            group_create = c.group_create;
            group_update = c.group_update;
            group_delete = c.group_delete;
            delete_removes = c.delete_removes;
        }
    }
}

/// A field of the dialect as `[target.NAME]` writes it.
#[must_use]
pub fn line(field: &str, value: Value) -> (String, Value) {
    let word = |on: &str, off: &str| Value::from(if value == Value::Bool(true) { on } else { off });
    match field {
        "op_capital" => ("op_case".to_owned(), word("capital", "lower")),
        "cursor" => ("paging".to_owned(), word("cursor", "index")),
        "plain_json" => ("media_type".to_owned(), word("application/json", "application/scim+json")),
        "rate" if value.is_number() => ("rate".to_owned(), format!("{}/s", value.as_f64().unwrap_or_default()).into()),
        _ => (field.to_owned(), value),
    }
}

/// Most characters of a list that is shown; of a longer one its length.
const LONGEST: usize = 60;

/// A value for people to read, by its key as in [`line`]; `short`: of long lists how much is in them.
#[must_use]
pub fn shown(key: &str, value: &Value, short: bool) -> String {
    let listed = |all: Vec<String>| {
        let text = all.join(", ");
        if short && text.chars().count() > LONGEST { format!("{} of them", all.len()) } else { text }
    };
    match value {
        // Empty they mean that nothing is known, and everything goes.
        Value::Array(a) if a.is_empty() && matches!(key, "filters" | "user_attributes" | "group_attributes") => "any".to_owned(),
        Value::Array(a) if a.is_empty() => "none".to_owned(),
        Value::Array(a) => listed(a.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect()),
        Value::Object(o) if o.is_empty() => "none".to_owned(),
        Value::Object(o) => listed(o.iter().map(|(k, v)| format!("{k}: {}", v.as_str().unwrap_or_default())).collect()),
        Value::String(s) => s.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// A dialect with the configuration's say on top.
#[must_use]
pub fn configured(dialect: Dialect, config: &TargetConfig) -> Dialect {
    let mut layered = Layered { dialect, ..Layered::default() };
    layered.configure(config);
    layered.dialect
}

fn fields(dialect: &Dialect) -> BTreeMap<String, Value> {
    match serde_json::to_value(dialect) {
        Ok(Value::Object(o)) => o.into_iter().collect(),
        // A struct of plain fields is an object.
        _ => BTreeMap::new(),
    }
}

impl Dialect {
    /// Path of the collection, relative to the base URL, with a leading slash.
    #[must_use]
    pub fn endpoint(&self, kind: ObjectKind) -> &str {
        match kind {
            ObjectKind::User => &self.users_endpoint,
            ObjectKind::Group => &self.groups_endpoint,
        }
    }

    /// How the target's schema describes a flat path of users, as far as it does.
    #[must_use]
    pub fn shape_of(&self, path: &str) -> Shape {
        if self.types.is_empty() && self.lists.is_empty() {
            return Shape::default();
        }
        let Ok(p) = super::path::FlatPath::parse(path) else { return Shape::default() };
        let attribute = p.attribute().to_ascii_lowercase();
        let name = p.sub.map_or_else(|| attribute.clone(), |sub| format!("{attribute}.{}", sub.to_ascii_lowercase()));
        Shape { kind: self.types.get(&name).copied(), many: self.lists.contains(&name) }
    }

    /// Whether a flat path may be sent: everything where the target's attributes are not known.
    #[must_use]
    pub fn allows(&self, kind: ObjectKind, path: &str) -> bool {
        let known = match kind {
            ObjectKind::User => &self.user_attributes,
            ObjectKind::Group => &self.group_attributes,
        };
        if known.is_empty() {
            return true;
        }
        let Ok(p) = super::path::FlatPath::parse(path) else { return false };
        let Some(sub) = p.sub else { return known.iter().any(|a| p.rest_of(a) == Some("")) };
        let (mut whole, mut parts) = (false, false);
        for rest in known.iter().filter_map(|a| p.rest_of(a)) {
            match rest.strip_prefix('.') {
                Some(name) if name.eq_ignore_ascii_case(sub) => return true,
                Some(_) => parts = true,
                None => whole |= rest.is_empty(),
            }
        }
        // Where an attribute is named without any of its parts, all of them may be sent.
        whole && !parts
    }

    /// Whether an attribute can be looked up by filter.
    #[must_use]
    pub fn filters_by(&self, attribute: &str) -> bool {
        self.filter && (self.filters.is_empty() || self.filters.iter().any(|f| f.eq_ignore_ascii_case(attribute)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::target::presets;

    #[test]
    fn what_stands_later_wins_and_says_so() {
        let mut layered = Layered::of_preset(&presets::find("mews").unwrap());
        assert_eq!(layered.origin("user_name_immutable"), Origin::Preset);
        assert_eq!(layered.origin("patch"), Origin::Default);
        layered.set("patch", Origin::Discovery, |d| d.patch = false);
        let facts: BTreeMap<String, String> = layered.facts().into_iter().collect();
        assert_eq!(facts["dialect.patch"], "false (discovery)");
        assert_eq!(facts["dialect.user_name_immutable"], "true (preset)");
        assert_eq!(facts["dialect.booleans"], "json (default)");
        // By the names and values of the configuration.
        assert_eq!(facts["dialect.op_case"], "lower (default)");
        assert_eq!(facts["dialect.paging"], "index (default)");
        assert_eq!(facts["dialect.media_type"], "application/scim+json (default)");
        assert_eq!(facts["dialect.filters"], "any (default)");
        assert_eq!(facts["dialect.lists"], "none (default)");
    }

    #[test]
    fn a_stored_dialect_without_newer_flags_is_read() {
        let old: Dialect = serde_json::from_str(r#"{"patch": false, "page_size": 50}"#).unwrap();
        assert_eq!(old, Dialect { patch: false, page_size: 50, ..Dialect::default() });
    }

    #[test]
    fn what_may_be_sent() {
        let allow =
            |list: &[&str]| Dialect { user_attributes: list.iter().map(|a| (*a).to_owned()).collect(), ..Dialect::default() };
        let d = allow(&["name.givenname", "emails"]);
        assert!(d.allows(ObjectKind::User, "name.givenName") && d.allows(ObjectKind::User, "emails[type eq \"work\"].value"));
        assert!(!d.allows(ObjectKind::User, "name.familyName") && !d.allows(ObjectKind::User, "title"));
        assert!(allow(&[]).allows(ObjectKind::User, "title") && d.allows(ObjectKind::Group, "externalId"));
    }
}
