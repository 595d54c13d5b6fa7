//! The configuration after validation: what the rest of the crate works with.

pub use super::dialect::{DialectConfig, GroupPush, GroupsConfig, PRESETS};
pub use super::http_notify::{HttpConfig, NotifyConfig, SmtpConfig, WebhookConfig};

use super::directory::{Incremental, LdapBind, LdapFlavor};
use super::secret::Secret;
use crate::model::ObjectKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The whole configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    /// File it was read from.
    pub file: PathBuf,
    /// `[state]`.
    pub state: StateConfig,
    /// `[http]`.
    pub http: HttpConfig,
    /// `[source.NAME]`.
    pub sources: BTreeMap<String, SourceConfig>,
    /// `[target.NAME]`.
    pub targets: BTreeMap<String, TargetConfig>,
    /// `[[sync]]` in the order of the file.
    pub syncs: Vec<SyncConfig>,
    /// `[notify]`.
    pub notify: Option<NotifyConfig>,
    /// Key of each secret that says on which day it stops working.
    pub expiries: Vec<(String, jiff::civil::Date)>,
}

/// `[state]`: where the state store is.
#[derive(Debug, Clone)]
pub struct StateConfig {
    /// SQLite file.
    pub path: PathBuf,
    /// For how long journal, cycles and gone entries are kept.
    pub keep: std::time::Duration,
}

/// Settings every source and target has.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// PEM file with the CAs to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// HTTP proxy (`http://host:port`); not for LDAP.
    pub proxy: Option<Url>,
    /// Timeout of one request or one LDAP message (default 60 s; connecting never takes more than 10 s).
    pub timeout: Duration,
    /// Plain `http://` or `ldap://` beyond loopback allowed.
    pub allow_plaintext: bool,
}

/// `[source.NAME]` by `type`.
// A process has a handful of these: boxing would gain nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum SourceConfig {
    /// `type = "ldap"`.
    Ldap(LdapConfig),
    /// `type = "file"`.
    File(FileConfig),
    /// `type = "graph"`.
    Graph(GraphConfig),
    /// `type = "okta"`.
    Okta(OktaConfig),
}

impl SourceConfig {
    /// Members of nested groups become members of the groups around them.
    #[must_use]
    pub fn flattens(&self) -> bool {
        let nested = match self {
            Self::Ldap(c) => c.nested_groups,
            Self::File(c) => c.nested_groups,
            Self::Graph(c) => c.nested_groups,
            Self::Okta(c) => c.nested_groups,
        };
        nested == NestedGroups::Flatten
    }
}

/// Flat or direct memberships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NestedGroups {
    /// Members of nested groups become members (visited set; cycles end).
    Flatten,
    /// Direct members only.
    Direct,
}

/// `[source.NAME] type = "ldap"`.
#[derive(Debug, Clone)]
pub struct LdapConfig {
    /// `ldaps://`, `ldap://` or `ldapi://`; more than one fails over.
    pub urls: Vec<Url>,
    /// Upgrade `ldap://` by StartTLS before the bind.
    pub starttls: bool,
    /// Server flavour.
    pub flavor: LdapFlavor,
    /// What the bind goes by.
    pub bind: LdapBind,
    /// Bind DN; `None` binds anonymously.
    pub bind_dn: Option<String>,
    /// Password of the bind DN.
    pub password: Option<Secret>,
    /// Search base.
    pub base: String,
    /// Filter for people; `None`: the flavour's default.
    pub user_filter: Option<String>,
    /// Filter for groups; `None`: the flavour's default.
    pub group_filter: Option<String>,
    /// Flat or direct memberships (default flatten).
    pub nested_groups: NestedGroups,
    /// Further domains of the forest, besides `urls` and `base`; memberships resolve across.
    pub domains: Vec<LdapDomain>,
    /// What passes by itself and makes a person inactive all the same (default: nothing).
    pub also_inactive: Vec<Passing>,
    /// How reads between full ones find out what changed (default `auto`).
    pub incremental: Incremental,
    /// Entries per page (default 1000; Active Directory cuts to 1000 anyway).
    pub page_size: u32,
    /// Deadline of a whole read (default 1 h).
    pub read_deadline: Duration,
    /// Largest LDAP message accepted, bytes (default 64 MiB).
    pub max_message: usize,
    /// Common network settings.
    pub net: NetConfig,
}

/// A state of an account that passes by itself, or by what the person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// Locked after wrong passwords.
    Locked,
    /// The password has expired.
    PasswordExpired,
}

/// One further domain of a forest.
#[derive(Debug, Clone)]
pub struct LdapDomain {
    /// Servers of this domain; more than one fails over.
    pub urls: Vec<Url>,
    /// Search base.
    pub base: String,
}

/// `[source.NAME] type = "file"`.
#[derive(Debug, Clone)]
pub struct FileConfig {
    /// `.ldif`, `.json` or `.csv`.
    pub path: PathBuf,
    /// Flat or direct memberships (default flatten).
    pub nested_groups: NestedGroups,
}

/// `[source.NAME] type = "graph"`.
#[derive(Debug, Clone)]
pub struct GraphConfig {
    /// Tenant name or id.
    pub tenant: String,
    /// Application (client) id.
    pub client_id: String,
    /// How the application proves that it is itself.
    pub auth: GraphAuth,
    /// Object id of the service principal whose assigned users and groups alone are read.
    pub assigned_to: Option<String>,
    /// Flat or direct memberships (default direct, as Entra provisions).
    pub nested_groups: NestedGroups,
    /// Sign-in address of the cloud, without a path.
    pub login_url: Url,
    /// Graph address of the cloud, without a path.
    pub graph_url: Url,
    /// Common network settings.
    pub net: NetConfig,
}

/// How an application proves to Entra ID that it is itself.
#[derive(Debug, Clone)]
pub enum GraphAuth {
    /// A client secret.
    Secret(Secret),
    /// A certificate (`private_key_jwt`, RFC 7523).
    Certificate {
        /// PEM file of the certificate; its thumbprint names the key.
        certificate: PathBuf,
        /// PEM private key.
        private_key: Secret,
    },
}

/// `[source.NAME] type = "okta"`.
#[derive(Debug, Clone)]
pub struct OktaConfig {
    /// Organisation URL.
    pub url: Url,
    /// How we sign in.
    pub auth: OktaAuth,
    /// Id of the application whose assigned users and groups alone are read.
    pub assigned_to: Option<String>,
    /// Statuses of people who count as disabled (default STAGED, SUSPENDED, DEPROVISIONED).
    pub inactive: Vec<String>,
    /// How much of each rate limit is used, of a hundred (default 50); the rest is left to others.
    pub rate_share: u64,
    /// Whether incremental reads ask the System Log who was deleted or changed (default not: it takes a right of its own).
    pub system_log: bool,
    /// Flat or direct memberships (Okta groups do not nest).
    pub nested_groups: NestedGroups,
    /// Common network settings.
    pub net: NetConfig,
}

/// How we sign in to Okta.
#[derive(Debug, Clone)]
pub enum OktaAuth {
    /// An API token (SSWS).
    Token(Secret),
    /// A service app (`private_key_jwt`, RFC 7523).
    PrivateKey {
        /// Client id of the service app.
        client_id: String,
        /// PEM private key.
        private_key: Secret,
        /// Key id (`kid`).
        key_id: Option<String>,
    },
}

/// How requests to the target are authorised.
#[derive(Debug, Clone)]
pub enum TargetAuth {
    /// A bearer token.
    Token(Secret),
    /// OAuth 2.0 client credentials (RFC 6749 section 4.4).
    OAuth {
        /// Token endpoint.
        token_url: Url,
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: Secret,
        /// Scope, if the server wants one.
        scope: Option<String>,
    },
}

/// `[target.NAME]`.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    /// Name of the preset.
    pub preset: String,
    /// Base URL; a query string is kept and sent with every request.
    pub url: Url,
    /// Authorisation; `None`: none is sent.
    pub auth: Option<TargetAuth>,
    /// Requests in flight (default 8).
    pub concurrency: usize,
    /// Requests per second, `None` = not paced (default: the preset's).
    pub rate: Option<f64>,
    /// Members per group PATCH (default: the preset's).
    pub members_per_patch: Option<usize>,
    /// `false`: PUT instead of PATCH (default: the preset's, else discovery's).
    pub patch: Option<bool>,
    /// What else it says about how the application speaks.
    pub dialect: DialectConfig,
    /// Common network settings.
    pub net: NetConfig,
}

/// `[[sync]]`.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// Name, unique.
    pub name: String,
    /// Name of the source.
    pub source: String,
    /// Name of the target.
    pub target: String,
    /// `false`: paused.
    pub enabled: bool,
    /// Cron schedule (five fields), as written.
    pub schedule: Option<String>,
    /// IANA time zone (default UTC).
    pub timezone: String,
    /// Longest delay of a run that was missed while the service did not run (default 10 s).
    pub jitter: Duration,
    /// Cron schedule of full reads.
    pub full_read: Option<String>,
    /// Cron schedule of verifying cycles.
    pub verify: Option<String>,
    /// What a verifying cycle does with differences (default repair).
    pub drift: Drift,
    /// `[sync.scope]`.
    pub scope: ScopeConfig,
    /// `[sync.user_id]`.
    pub user_id: UserIdConfig,
    /// `[sync.match]`.
    pub matching: MatchConfig,
    /// `[sync.map.user]`: what stands in the file, in order of the file.
    pub map_user: Vec<MapRow>,
    /// `[sync.map.group]`.
    pub map_group: Vec<MapRow>,
    /// `[sync.groups]`.
    pub groups: GroupsConfig,
    /// `[sync.actions]`.
    pub actions: ActionsConfig,
    /// `[sync.guard]`.
    pub guard: GuardConfig,
    /// Recipients of mail about this sync, instead of those of `[notify]`.
    pub notify: Option<Vec<String>>,
    /// `[lookup.NAME]`: the tables that expressions may name.
    pub lookups: BTreeMap<String, LookupConfig>,
    /// Which of the keys for which a preset has a default of its own stand in the file, such as `match.users`.
    pub stated: BTreeSet<&'static str>,
}

impl SyncConfig {
    /// Groups are read where they are pushed, or where they decide who takes part.
    #[must_use]
    pub fn wants_groups(&self) -> bool {
        let a = &self.actions;
        a.group_create || a.group_update || a.group_delete || a.group_members || !self.scope.members_of.is_empty()
    }
}

/// `[lookup.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupConfig {
    /// CSV file.
    pub path: PathBuf,
    /// Column with the keys (default: the first of a file without column names).
    pub key: Option<String>,
    /// Column with the values (default: the second).
    pub value: Option<String>,
}

/// `drift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Put right.
    Repair,
    /// Reported only (leavers are deactivated again all the same).
    Report,
}

/// `[sync.scope]`.
#[derive(Debug, Clone)]
pub struct ScopeConfig {
    /// RFC 7644 filter over source attributes, people.
    pub users: Option<String>,
    /// RFC 7644 filter over source attributes, groups.
    pub groups: Option<String>,
    /// Only members (nested included) of these groups, by DN, source key, or display name.
    pub members_of: Vec<String>,
    /// `true` = "inactive" (default): entries disabled at the source are inactive; `false` = "ignore".
    pub disabled_is_inactive: bool,
    /// `true` = "deactivate" (default), `false` = "keep".
    pub out_of_scope_deactivates: bool,
}

/// `[sync.user_id]`.
#[derive(Debug, Clone)]
pub struct UserIdConfig {
    /// Source attributes, the first that gives a routable address (default mail, proxyAddresses).
    pub from: Vec<String>,
    /// NETBIOS name or non-routable suffix -> domain.
    pub domains: BTreeMap<String, String>,
    /// Lower-case the address (default true).
    pub lowercase: bool,
    /// Language in whose way accents leave local parts that are built from account names.
    pub transliterate: Option<String>,
}

/// `[sync.match]`.
#[derive(Debug, Clone)]
pub struct MatchConfig {
    /// Target attributes for people, in order (default externalId, userName, emails.value).
    pub users: Vec<String>,
    /// Target attributes for groups, in order (default externalId, displayName).
    pub groups: Vec<String>,
    /// Source attributes whose value earlier provisioning wrote to externalId.
    pub legacy_external_id: Vec<String>,
    /// Source attribute that names the person across re-hiring.
    pub rehire: Option<String>,
    /// A migration of user IDs converts an account only where a second fact agrees (default false).
    pub require_proof: bool,
}

/// One row of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRow {
    /// SCIM path as written.
    pub path: String,
    /// Expression; empty: the preset's row for this path is removed.
    pub expr: String,
    /// `true`: a null result clears the attribute at the target (`when_null = "clear"`; default keep).
    pub clear_when_null: bool,
    /// `true`: only at creation (`apply = "create"`; default always).
    pub create_only: bool,
    /// Value for a null result, at creation only.
    pub default: Option<String>,
    /// `false`: a value that differs in letter case only is not written; `true`: also where the target keeps it so.
    pub case_exact: Option<bool>,
    /// Precedence by which accounts are matched by this path.
    pub matching: Option<i64>,
    /// Place in the file, for messages.
    pub line: usize,
}

/// `[sync.actions]`.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct ActionsConfig {
    /// user: "create".
    pub user_create: bool,
    /// user: "update" (renames too).
    pub user_update: bool,
    /// user: "deactivate" (reactivations too).
    pub user_deactivate: bool,
    /// user: "delete".
    pub user_delete: bool,
    /// group: "create".
    pub group_create: bool,
    /// group: "update".
    pub group_update: bool,
    /// group: "delete".
    pub group_delete: bool,
    /// group: "members".
    pub group_members: bool,
    /// Grace before a deactivation (default none).
    pub deactivate_after: Duration,
    /// How long an account stays deactivated before it is deleted; needs "delete".
    pub delete_after: Option<Duration>,
}

pub use crate::plan::guard::Limit;

/// `[sync.guard]`.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// New accounts.
    pub create: Limit,
    /// Deactivations.
    pub deactivate: Limit,
    /// Deletions of accounts.
    pub delete: Limit,
    /// Deletions of groups.
    pub group_delete: Limit,
    /// Members removed from one group.
    pub members_remove_per_group: Limit,
    /// Renames.
    pub rename: Limit,
    /// Accounts that we linked and that are gone at the target.
    pub recreate: Limit,
    /// Fewer entries than the last accepted complete read.
    pub source_shrink: Limit,
    /// Shares are not judged below so many.
    pub minimum: u64,
    /// User IDs, mail addresses or source keys that every read must show.
    pub canaries: Vec<String>,
    /// Accounts never touched: userName, mail, externalId, or target id; compared without case.
    pub protected: Vec<String>,
}

impl Config {
    /// The sync of this name.
    #[must_use]
    pub fn sync(&self, name: &str) -> Option<&SyncConfig> {
        self.syncs.iter().find(|s| s.name == name)
    }
}

impl ActionsConfig {
    /// Whether `delete` is allowed for this kind of object.
    #[must_use]
    pub fn may_delete(&self, kind: ObjectKind) -> bool {
        match kind {
            ObjectKind::User => self.user_delete,
            ObjectKind::Group => self.group_delete,
        }
    }
}
