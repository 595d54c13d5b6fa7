//! What may stand in the configuration file: every table, every key, its default and its meaning. The one source for the
//! reader (`read.rs`), the JSON Schema (`schema.rs`) and the test of `config.example.toml`.

mod notify;

use super::dialect;
use super::spec::{Key, Kind, Table};
use super::types::PRESETS;
use notify::NOTIFY;

/// The whole file.
pub(super) const ROOT: Table = Table {
    title: "the top of the file",
    keys: &[&[
        Key::required("version", Kind::Integer(1, 1), "Version of the configuration format: 1."),
        Key::with_default(
            "allow_plaintext_secrets",
            Kind::Bool,
            "false",
            "Whether secrets may stand in this file as plain strings. For tests only.",
        ),
        Key::optional("state", Kind::Table(&STATE), "Where the state store is."),
        Key::optional("http", Kind::Table(&HTTP), "Health, metrics and the status page."),
        Key::optional("source", Kind::Typed(SOURCES), "The directories that are read, each under a name."),
        Key::optional("target", Kind::Named(&TARGET), "The applications' SCIM endpoints, each under a name."),
        Key::optional("lookup", Kind::Named(&LOOKUP), "Tables for Lookup in expressions, each under a name."),
        Key::optional("sync", Kind::Tables(&SYNC), "One source paired with one target."),
        Key::optional("notify", Kind::Table(&NOTIFY), "Who is told of failed, held, parked, and well again."),
    ]],
};

const STATE: Table = Table {
    title: "[state]",
    keys: &[&[
        Key::with_default("path", Kind::Path, "\"/var/lib/scim-sync/state.db\"", "SQLite file of the state store."),
        Key::with_default(
            "keep",
            Kind::Duration,
            "\"400d\"",
            "For how long journal, cycles and entries that are gone are kept; never less than two days.",
        ),
    ]],
};

const HTTP: Table = Table {
    title: "[http]",
    keys: &[&[
        Key::with_default("enabled", Kind::Bool, "true", "false: the daemon does not listen."),
        Key::with_default(
            "listen",
            Kind::Listen,
            "\"127.0.0.1:9464\"",
            "Address and port to listen on; loopback unless told otherwise. Port 0: the system chooses.",
        ),
        Key::optional("token", Kind::Secret, "Bearer token for metrics and the status page; needed beyond loopback."),
        Key::with_default(
            "allow_plaintext",
            Kind::Bool,
            "false",
            "true: no warning that beyond loopback the token crosses the network unencrypted.",
        ),
    ]],
};

const SOURCES: &[(&str, &Table)] = &[("ldap", &LDAP), ("graph", &GRAPH), ("okta", &OKTA), ("file", &FILE)];

const WEB: &[&str] = &["https", "http"];
const DIRECTORY: &[&str] = &["ldaps", "ldap", "ldapi"];
const NESTED: Kind = Kind::Choice(&["flatten", "direct"]);
const TYPE: Key =
    Key::required("type", Kind::Choice(&["ldap", "graph", "okta", "file"]), "Kind of source: ldap, graph, okta or file.");

/// What every source and target has.
const NET: &[Key] = &[
    Key::optional("ca_file", Kind::Input, "PEM file with the CAs to trust instead of the system's."),
    Key::optional("proxy", Kind::Url(WEB), "HTTP proxy for this conversation, http://host:port; not for LDAP."),
    Key::with_default(
        "timeout",
        Kind::Duration,
        "\"60s\"",
        "Longest wait for one answer; connecting never takes more than 10 s.",
    ),
    Key::with_default("allow_plaintext", Kind::Bool, "false", "Whether http:// or ldap:// may leave this machine unencrypted."),
];

const LDAP: Table = Table {
    title: "[source.NAME] with type = \"ldap\"",
    keys: &[
        &[
            TYPE,
            Key::optional(
                "url",
                Kind::OneOrMore(&Kind::Url(DIRECTORY)),
                "ldaps://host, or ldap://host with starttls; a list fails over.",
            ),
            Key::with_default("starttls", Kind::Bool, "false", "Whether ldap:// is upgraded by StartTLS before the bind."),
            Key::with_default(
                "flavor",
                Kind::Choice(&["auto", "active-directory", "openldap", "389ds", "freeipa"]),
                "\"auto\"",
                "Kind of server; auto asks the server.",
            ),
            Key::with_default(
                "bind",
                Kind::Choice(&["auto", "kerberos"]),
                "\"auto\"",
                "auto: by bind_dn and password, without them anonymous (SASL EXTERNAL at ldapi://); kerberos: by a Kerberos ticket, \
                 inside TLS, in builds with the feature `kerberos`.",
            ),
            Key::optional("bind_dn", Kind::Text, "DN to bind as; without it the bind is anonymous."),
            Key::optional("password", Kind::Secret, "Password of bind_dn."),
            Key::optional(
                "keytab",
                Kind::SecretFile,
                "With bind = \"kerberos\": keytab that tickets are got by; without it those of the ticket cache.",
            ),
            Key::optional(
                "principal",
                Kind::Text,
                "With bind = \"kerberos\": account, name@REALM; without it the keytab's first, or the ticket cache's.",
            ),
            Key::optional("base", Kind::AnyText, "DN of the subtree to read."),
            Key::optional("user_filter", Kind::LdapFilter, "Filter for people (RFC 4515); without it the flavor's."),
            Key::optional("group_filter", Kind::LdapFilter, "Filter for groups (RFC 4515); without it the flavor's."),
            Key::with_default(
                "nested_groups",
                NESTED,
                "\"flatten\"",
                "flatten: members of nested groups are members too; direct: they are not.",
            ),
            Key::with_default(
                "incremental",
                Kind::Choice(&["auto", "modify-timestamp", "off"]),
                "\"auto\"",
                "How reads between full ones find out what changed: auto takes what the server offers and reads in full where it offers \
                 nothing; modify-timestamp compares times, and misses what the server changes without a new one until the next \
                 full read; off reads in full always.",
            ),
            Key::with_default(
                "also_inactive",
                Kind::List(&Kind::Choice(&["locked", "password-expired"])),
                "[]",
                "What passes by itself and deactivates all the same: locked (after wrong passwords), password-expired. Directories do not \
                 say when it begins or ends, so every read is a full one then.",
            ),
            Key::with_default("page_size", Kind::Integer(1, 100_000), "1000", "Entries asked for per page."),
            Key::with_default("read_deadline", Kind::Duration, "\"1h\"", "Longest time for a whole read."),
            Key::with_default("max_message", Kind::Integer(1, 1024), "64", "Largest LDAP message accepted, in MiB."),
            Key::optional(
                "domains",
                Kind::List(&Kind::Table(&DOMAIN)),
                "Further domains of the forest; memberships resolve across.",
            ),
        ],
        NET,
    ],
};

const DOMAIN: Table = Table {
    title: "domains = [{ … }]",
    keys: &[&[
        Key::required("url", Kind::OneOrMore(&Kind::Url(DIRECTORY)), "Address of a server of this domain; a list fails over."),
        Key::required("base", Kind::AnyText, "DN of the subtree to read."),
    ]],
};

const GRAPH: Table = Table {
    title: "[source.NAME] with type = \"graph\"",
    keys: &[
        &[
            TYPE,
            Key::required("tenant", Kind::Text, "Tenant: a verified domain or the tenant id."),
            Key::required("client_id", Kind::Text, "Application (client) id of the app registration."),
            Key::optional("client_secret", Kind::Secret, "Client secret; or certificate and private_key."),
            Key::optional("certificate", Kind::Input, "PEM file of the certificate that the app registration has."),
            Key::optional("private_key", Kind::Secret, "PEM private key of the certificate."),
            Key::optional(
                "assigned_to",
                Kind::Text,
                "Only users and groups assigned to this enterprise application (object id of its service principal).",
            ),
            Key::with_default(
                "nested_groups",
                NESTED,
                "\"direct\"",
                "flatten: members of nested groups are members too; direct: they are not.",
            ),
            Key::with_default("cloud", Kind::Choice(&["global", "us-gov", "us-dod", "china"]), "\"global\"", "National cloud."),
            Key::optional("login_url", Kind::Url(WEB), "Sign-in address without a path, instead of the cloud's."),
            Key::optional("graph_url", Kind::Url(WEB), "Graph address without a path, instead of the cloud's."),
        ],
        NET,
    ],
};

/// Lifecycle of a user (Okta, "User status").
const OKTA_STATUSES: &[&str] =
    &["STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"];

const OKTA: Table = Table {
    title: "[source.NAME] with type = \"okta\"",
    keys: &[
        &[
            TYPE,
            Key::required("url", Kind::Url(WEB), "Address of the organisation, https://acme.okta.com."),
            Key::optional("token", Kind::Secret, "API token; or client_id and private_key."),
            Key::optional("client_id", Kind::Text, "Client id of the service app."),
            Key::optional("private_key", Kind::Secret, "PEM private key of the service app (private_key_jwt)."),
            Key::optional("key_id", Kind::Text, "Key id (kid) of the private key."),
            Key::optional("assigned_to", Kind::Text, "Only users and groups assigned to this application (its id, 0oa…)."),
            Key::with_default(
                "inactive",
                Kind::List(&Kind::Choice(OKTA_STATUSES)),
                "[\"STAGED\", \"SUSPENDED\", \"DEPROVISIONED\"]",
                "Statuses of people who count as disabled.",
            ),
            Key::with_default(
                "rate_share",
                Kind::Integer(1, 100),
                "50",
                "How much of each rate limit is used, of a hundred; the rest is left to others.",
            ),
            Key::with_default(
                "system_log",
                Kind::Bool,
                "false",
                "true: incremental reads ask the System Log who was deleted or changed; needs okta.logs.read.",
            ),
            Key::with_default("nested_groups", NESTED, "\"direct\"", "Okta has no nested groups; flatten changes nothing."),
        ],
        NET,
    ],
};

const FILE: Table = Table {
    title: "[source.NAME] with type = \"file\"",
    keys: &[
        &[
            TYPE,
            Key::required("path", Kind::Input, "Export to read: .ldif, .json or .csv."),
            Key::with_default(
                "nested_groups",
                NESTED,
                "\"flatten\"",
                "flatten: members of nested groups are members too; direct: they are not.",
            ),
        ],
        NET,
    ],
};

const TARGET: Table = Table {
    title: "[target.NAME]",
    keys: &[
        &[
            Key::with_default("preset", Kind::Choice(PRESETS), "\"generic\"", "The application's settings and limits, by name."),
            Key::required("url", Kind::Url(WEB), "Base address of the SCIM endpoint; a query string is sent with every request."),
            Key::optional("token", Kind::Secret, "Bearer token; or oauth."),
            Key::optional("oauth", Kind::Table(&OAUTH), "OAuth 2.0 client credentials instead of a token."),
            Key::with_default("concurrency", Kind::Integer(1, 256), "8", "Requests in flight at once."),
            Key::optional("rate", Kind::Rate, "Most requests in a time, such as \"25/s\"; without it the preset's."),
            Key::optional("members_per_patch", Kind::Integer(1, 100_000), "Members per group PATCH; without it the preset's."),
            Key::optional("patch", Kind::Bool, "false: PUT instead of PATCH; without it what the preset and the server say."),
        ],
        dialect::KEYS,
        NET,
    ],
};

const OAUTH: Table = Table {
    title: "oauth = { … }",
    keys: &[&[
        Key::required("token_url", Kind::Url(WEB), "Token endpoint."),
        Key::required("client_id", Kind::Text, "Client id."),
        Key::required("client_secret", Kind::Secret, "Client secret."),
        Key::optional("scope", Kind::Text, "Scope, if the server wants one."),
    ]],
};

const LOOKUP: Table = Table {
    title: "[lookup.NAME]",
    keys: &[&[
        Key::required("path", Kind::Input, "CSV file; read anew in every cycle."),
        Key::optional(
            "key_column",
            Kind::Text,
            "Column with the keys; then the first line names the columns. Without it the first column.",
        ),
        Key::optional(
            "value_column",
            Kind::Text,
            "Column with the values; then the first line names the columns. Without it the second.",
        ),
    ]],
};

const SYNC: Table = Table {
    title: "[[sync]]",
    keys: &[&[
        Key::required("name", Kind::Text, "Name, unique."),
        Key::required("source", Kind::Text, "Name of the source."),
        Key::required("target", Kind::Text, "Name of the target."),
        Key::with_default("enabled", Kind::Bool, "true", "false: paused; state is kept."),
        Key::optional("schedule", Kind::Cron, "When a cycle runs: five fields, Monday = 1; without it only by hand."),
        Key::with_default("timezone", Kind::Zone, "\"UTC\"", "Time zone of the schedules (IANA)."),
        Key::with_default(
            "jitter",
            Kind::Duration,
            "\"10s\"",
            "Longest delay of a run that was missed, when the service starts.",
        ),
        Key::optional("full_read", Kind::Cron, "When a cycle reads everything, even where incremental reads work."),
        Key::optional("verify", Kind::Cron, "When a cycle reads the target too."),
        Key::with_default(
            "drift",
            Kind::Choice(&["repair", "report"]),
            "\"repair\"",
            "What a verifying cycle does with what differs at the target.",
        ),
        Key::optional("scope", Kind::Table(&SCOPE), "Which entries take part."),
        Key::optional("user_id", Kind::Table(&USER_ID), "How the email-based user ID is found."),
        Key::optional("match", Kind::Table(&MATCH), "How accounts that exist already are found."),
        Key::optional("map", Kind::Table(&MAP), "How an entry's attributes become the resource's."),
        Key::optional("groups", Kind::Table(&dialect::GROUPS), "How groups are named, linked and written."),
        Key::optional("actions", Kind::Table(&ACTIONS), "What may be done at all."),
        Key::optional("guard", Kind::Table(&GUARD), "Limits that a plan must keep; what breaches one is held."),
        Key::optional("notify", TEXTS, "Recipients of mail about this sync, instead of those of notify.smtp.to."),
    ]],
};

const TEXTS: Kind = Kind::List(&Kind::Text);

const SCOPE: Table = Table {
    title: "[sync.scope]",
    keys: &[&[
        Key::optional("users", Kind::Text, "Filter (RFC 7644) over source attributes; only people for whom it holds."),
        Key::optional("groups", Kind::Text, "Filter (RFC 7644) over source attributes; only groups for which it holds."),
        Key::optional("members_of", TEXTS, "Only members of these groups, nested included: DN, source key or display name."),
        Key::with_default(
            "disabled",
            Kind::Choice(&["inactive", "ignore"]),
            "\"inactive\"",
            "Whether entries disabled at the source are inactive; drives [IsSoftDeleted].",
        ),
        Key::with_default(
            "out_of_scope",
            Kind::Choice(&["deactivate", "keep"]),
            "\"deactivate\"",
            "What happens to accounts whose entry leaves the scope.",
        ),
    ]],
};

const USER_ID: Table = Table {
    title: "[sync.user_id]",
    keys: &[&[
        Key::with_default(
            "from",
            TEXTS,
            "[\"mail\", \"proxyAddresses\"]",
            "Source attributes; the first that gives a routable address is taken.",
        ),
        Key::optional("domains", Kind::Pairs, "NETBIOS name or non-routable suffix = mail domain."),
        Key::with_default("lowercase", Kind::Bool, "true", "Whether the user ID is lower-cased."),
        Key::optional(
            "transliterate",
            Kind::Choice(crate::mapping::LANGUAGES),
            "Language in whose way accents leave local parts that are built from account names; without it they stay.",
        ),
    ]],
};

const MATCH: Table = Table {
    title: "[sync.match]",
    keys: &[&[
        Key::with_default(
            "users",
            TEXTS,
            "[\"externalId\", \"userName\", \"emails.value\"]",
            "Target attributes by which people are found, in order.",
        ),
        Key::with_default(
            "groups",
            TEXTS,
            "[\"externalId\", \"displayName\"]",
            "Target attributes by which groups are found, in order.",
        ),
        Key::optional("legacy_external_id", TEXTS, "Source attributes whose value earlier provisioning wrote to externalId."),
        Key::optional("rehire", Kind::Text, "Source attribute that names a person across re-hiring."),
        Key::with_default(
            "require_proof",
            Kind::Bool,
            "false",
            "Whether --migrate-userids converts an account only where a second fact (email, family name, employee number) agrees.",
        ),
    ]],
};

const MAP: Table = Table {
    title: "[sync.map]",
    keys: &[&[
        Key::optional("user", Kind::Rows, "SCIM path = expression; replaces or adds to the preset's rows, \"\" removes."),
        Key::optional("group", Kind::Rows, "SCIM path = expression; replaces or adds to the preset's rows, \"\" removes."),
    ]],
};

/// A row of a mapping in its long form.
pub(super) const ROW: Table = Table {
    title: "{ expr = … }",
    keys: &[&[
        Key::required("expr", Kind::AnyText, "Expression."),
        Key::with_default(
            "when_null",
            Kind::Choice(&["keep", "clear"]),
            "\"keep\"",
            "What happens at the target where the expression gives nothing.",
        ),
        Key::with_default("apply", Kind::Choice(&["always", "create"]), "\"always\"", "Whether the row counts at creation only."),
        Key::optional(
            "case_exact",
            Kind::Bool,
            "true: what the target keeps in another letter case is put right. false: a value that differs in letter case only is not written.",
        ),
        Key::optional(
            "match",
            Kind::Integer(1, 99),
            "Precedence by which accounts are matched by this path; instead of match.users or match.groups.",
        ),
        Key::optional("default", Kind::Text, "Value where the expression gives nothing, at creation only."),
    ]],
};

/// A secret in its long form. Exactly one of the first three.
pub(super) const SECRET: Table = Table {
    title: "a secret",
    keys: &[&[
        Key::optional("credential", Kind::Text, "Name of a systemd credential."),
        Key::optional("file", Kind::Path, "File that only its owner can read."),
        Key::optional("env", Kind::Text, "Environment variable."),
        Key::optional("expires", Kind::Text, "Day on which the secret stops working (2027-01-31); warned of 30 days ahead."),
    ]],
};

const ACTIONS: Table = Table {
    title: "[sync.actions]",
    keys: &[&[
        Key::with_default(
            "user",
            Kind::List(&Kind::Choice(&["create", "update", "deactivate", "delete"])),
            "[\"create\", \"update\", \"deactivate\"]",
            "What may be done to accounts.",
        ),
        Key::with_default(
            "group",
            Kind::List(&Kind::Choice(&["create", "update", "delete", "members"])),
            "[\"create\", \"update\", \"delete\", \"members\"]",
            "What may be done to groups.",
        ),
        Key::with_default("deactivate_after", Kind::Duration, "\"0s\"", "Grace between leaving and deactivation."),
        Key::optional(
            "delete_after",
            Kind::Duration,
            "How long an account stays deactivated before it is deleted; 30d where \"delete\" is allowed.",
        ),
    ]],
};

const GUARD: Table = Table {
    title: "[sync.guard]",
    keys: &[&[
        Key::with_default("create", Kind::Limit, "\"unlimited\"", "New accounts in a rolling 24 h."),
        Key::with_default("deactivate", Kind::Limit, "\"5%\"", "Deactivations in a rolling 24 h."),
        Key::with_default("delete", Kind::Limit, "10", "Deletions of accounts in a rolling 24 h."),
        Key::with_default("group_delete", Kind::Limit, "2", "Deletions of groups in a rolling 24 h."),
        Key::with_default(
            "members_remove_per_group",
            Kind::Limit,
            "\"30%\"",
            "Members removed from one group in a rolling 24 h; holds only that group.",
        ),
        Key::with_default("rename", Kind::Limit, "\"2%\"", "Renames in a rolling 24 h."),
        Key::with_default("recreate", Kind::Limit, "0", "Accounts that we linked and that are gone at the target."),
        Key::with_default("source_shrink", Kind::Limit, "\"10%\"", "Fewer entries than the last accepted complete read."),
        Key::with_default("minimum", Kind::Integer(0, 1_000_000_000), "10", "Shares are not judged below so many."),
        Key::optional("canaries", TEXTS, "Mail addresses, user IDs or source keys that every read must show."),
        Key::optional(
            "protected",
            TEXTS,
            "Accounts that are never deactivated, renamed or deleted: userName, mail, externalId, source key or target id.",
        ),
    ]],
};
