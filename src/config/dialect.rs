//! `[target.NAME]`, as far as it says how the application speaks, and `[sync.groups]`: keys and types.

use super::node::Node;
use super::spec::{Key, Kind, Table};
use std::collections::BTreeMap;
use std::time::Duration;

/// Names of the presets that `[target.NAME] preset` may name. `target::presets` has one file for each; a test there
/// compares.
pub const PRESETS: &[&str] = &[
    "generic",
    "mews",
    "mezmo",
    "andmoney-advisors",
    "andmoney-rooms",
    "email-userid",
    "aws-identity-center",
    "slack",
    "github-enterprise",
    "gitlab",
    "atlassian",
    "zoom",
    "snowflake",
    "databricks",
    "1password",
    "grafana",
    "sentry",
    "datadog",
    "figma",
    "notion",
    "miro",
];

/// Keys of `[target.NAME]` that stand above preset and discovery. Each is a field of `target::Dialect`.
pub(super) const KEYS: &[Key] = &[
    Key::optional("filter", Kind::Bool, "false: nothing is looked up by filter; the list is read instead."),
    Key::optional("filters", TEXTS, "Attributes that can be looked up by filter, such as userName; without it all of them."),
    Key::optional("page_size", Kind::Integer(1, 1000), "Resources asked for in one page."),
    Key::optional("paging", Kind::Choice(&["index", "cursor"]), "How lists are paged: by startIndex or by cursor (RFC 9865)."),
    Key::optional(
        "bulk",
        Kind::Integer(0, 100_000),
        "Operations that one request to /Bulk may hold, for the record: every change is a request of its own.",
    ),
    Key::optional("etag", Kind::Bool, "Whether versions (ETag) are real there."),
    Key::optional(
        "booleans",
        Kind::Choice(&["json", "True", "true"]),
        "How a PATCH writes true and false: as JSON, or as a text with or without a capital.",
    ),
    Key::optional("op_case", Kind::Choice(&["lower", "capital"]), "How a PATCH writes op: replace or Replace."),
    Key::optional("patch_path", Kind::Bool, "false: a PATCH names plain attributes in its value, without a path."),
    Key::optional(
        "remove_members",
        Kind::Choice(&["one-by-one", "list", "replace"]),
        "How members are removed: by a filter each, by a list as value, or by writing those who stay.",
    ),
    Key::optional(
        "members_shown",
        Kind::Bool,
        "false: a group never shows its members there; that they arrived is believed unseen.",
    ),
    Key::optional("media_type", Kind::Choice(&["application/scim+json", "application/json"]), "Content-Type of what is sent."),
    Key::optional("user_name_immutable", Kind::Bool, "true: a userName cannot be changed there; it is never sent again."),
    Key::optional("user_attributes", TEXTS, "The only attributes of users that are sent; others are left out."),
    Key::optional("required", TEXTS, "Attributes without which no account is made."),
    Key::optional("groups", Kind::Bool, "false: there are no groups there."),
    Key::optional("group_attributes", TEXTS, "The only attributes of groups that are sent, besides members."),
    Key::optional("group_create", Kind::Bool, "false: groups cannot be made there; existing ones are linked by name."),
    Key::optional("group_update", Kind::Bool, "false: groups cannot be renamed there."),
    Key::optional("group_delete", Kind::Bool, "false: groups cannot be deleted there."),
    Key::optional("delete_removes", Kind::Bool, "false: DELETE of an account only deactivates it; it is not sent."),
];

const TEXTS: Kind = Kind::List(&Kind::Text);

/// What `[target.NAME]` says about how the application speaks; `None`: nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DialectConfig {
    /// `filter`.
    pub filter: Option<bool>,
    /// `filters`.
    pub filters: Option<Vec<String>>,
    /// `page_size`.
    pub page_size: Option<u32>,
    /// `paging`: whether it is "cursor".
    pub cursor: Option<bool>,
    /// `bulk`.
    pub bulk: Option<u32>,
    /// `etag`.
    pub etag: Option<bool>,
    /// `booleans`.
    pub booleans: Option<String>,
    /// `op_case`: whether it is "capital".
    pub op_capital: Option<bool>,
    /// `patch_path`.
    pub patch_path: Option<bool>,
    /// `remove_members`.
    pub remove_members: Option<String>,
    /// `members_shown`.
    pub members_shown: Option<bool>,
    /// `media_type`: whether it is "application/json".
    pub plain_json: Option<bool>,
    /// `user_name_immutable`.
    pub user_name_immutable: Option<bool>,
    /// `user_attributes`.
    pub user_attributes: Option<Vec<String>>,
    /// `required`.
    pub required: Option<Vec<String>>,
    /// `groups`.
    pub groups: Option<bool>,
    /// `group_attributes`.
    pub group_attributes: Option<Vec<String>>,
    /// `group_create`.
    pub group_create: Option<bool>,
    /// `group_update`.
    pub group_update: Option<bool>,
    /// `group_delete`.
    pub group_delete: Option<bool>,
    /// `delete_removes`.
    pub delete_removes: Option<bool>,
}

pub(super) fn dialect(node: &Node) -> DialectConfig {
    let count = |key: &str| node.integer(key).and_then(|n| u32::try_from(n).ok());
    DialectConfig {
        filter: node.bool("filter"),
        filters: node.texts("filters"),
        page_size: count("page_size"),
        cursor: node.text("paging").map(|p| p == "cursor"),
        bulk: count("bulk"),
        etag: node.bool("etag"),
        booleans: node.text("booleans"),
        op_capital: node.text("op_case").map(|c| c == "capital"),
        patch_path: node.bool("patch_path"),
        remove_members: node.text("remove_members"),
        members_shown: node.bool("members_shown"),
        plain_json: node.text("media_type").map(|m| m == "application/json"),
        user_name_immutable: node.bool("user_name_immutable"),
        user_attributes: node.texts("user_attributes"),
        required: node.texts("required"),
        groups: node.bool("groups"),
        group_attributes: node.texts("group_attributes"),
        group_create: node.bool("group_create"),
        group_update: node.bool("group_update"),
        group_delete: node.bool("group_delete"),
        delete_removes: node.bool("delete_removes"),
    }
}

/// `[sync.groups]`.
pub(super) const GROUPS: Table = Table {
    title: "[sync.groups]",
    keys: &[&[
        Key::optional("name_prefix", Kind::AnyText, "Stands before the name of every group at the target."),
        Key::optional("name_suffix", Kind::AnyText, "Stands behind the name of every group at the target."),
        Key::optional(
            "link",
            Kind::Names,
            "Group of the directory (DN, source key or display name) = name or id of the group at the target that it is linked to.",
        ),
        Key::with_default(
            "push",
            Kind::Choice(&["full", "create-only", "members-only"]),
            "\"full\"",
            "create-only: made once and then left alone; members-only: linked to what is there, only members are written.",
        ),
        Key::with_default(
            "members_after",
            Kind::Duration,
            "\"0s\"",
            "How long after a group was made or linked its members are first written.",
        ),
        Key::with_default(
            "when_gone",
            Kind::Choice(&["delete", "keep"]),
            "\"delete\"",
            "keep: a group that leaves the directory or the scope stays as it is, with its members.",
        ),
    ]],
};

/// How far groups are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupPush {
    /// Made, changed, members.
    #[default]
    Full,
    /// Made once, with its members, and left alone from then on.
    CreateOnly,
    /// Groups that are there are linked, and only their members are written.
    MembersOnly,
}

/// `[sync.groups]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupsConfig {
    /// Before every name at the target.
    pub name_prefix: String,
    /// Behind every name at the target.
    pub name_suffix: String,
    /// Group of the directory -> name or id of the group at the target.
    pub link: BTreeMap<String, String>,
    /// How far groups are written.
    pub push: GroupPush,
    /// How long after a group was made or linked its members are first written.
    pub members_after: Duration,
    /// A group that left stays as it is.
    pub keeps_gone: bool,
}

pub(super) fn groups(node: &Node) -> Option<GroupsConfig> {
    Some(GroupsConfig {
        name_prefix: node.text("name_prefix").unwrap_or_default(),
        name_suffix: node.text("name_suffix").unwrap_or_default(),
        link: node.pairs("link").unwrap_or_default(),
        push: match node.text("push")?.as_str() {
            "create-only" => GroupPush::CreateOnly,
            "members-only" => GroupPush::MembersOnly,
            _ => GroupPush::Full,
        },
        members_after: node.duration("members_after")?,
        keeps_gone: node.text("when_gone")? == "keep",
    })
}
