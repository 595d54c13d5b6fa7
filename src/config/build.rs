//! From what was read to the types that the rest of the crate works with. Everything was checked before: a `None` here
//! means that a mistake was noted already.

use super::directory::{Incremental, LdapBind, LdapFlavor};
use super::node::{Node, Value};
use super::types::*;
use crate::mapping::criterion;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// The configuration. `in_part`: mistakes were found, and what they concern is left out, so that others can be looked for in
/// the rest; it is good for nothing else then.
pub(super) fn config(file: &Path, root: &Node, in_part: bool) -> Option<Config> {
    let sources = all(root.named("source"), in_part, source)?;
    let targets = all(root.named("target"), in_part, target)?;
    let lookups = all(root.named("lookup"), in_part, lookup)?;
    Some(Config {
        file: file.to_owned(),
        state: StateConfig { path: root.table("state").path("path")?, keep: root.table("state").duration("keep")? },
        http: http(&root.table("http"))?,
        sources,
        targets,
        syncs: root.tables("sync").into_iter().map(|node| sync(node, &lookups, in_part)).collect::<Option<_>>()?,
        notify: match root.has("notify").then(|| notify(&root.table("notify"))) {
            Some(None) if !in_part => return None,
            notify => notify.flatten(),
        },
        expiries: Vec::new(),
    })
}

/// Named tables by what `build` makes of them.
fn all<T>(nodes: &[(String, Node)], in_part: bool, build: impl Fn(&Node) -> Option<T>) -> Option<BTreeMap<String, T>> {
    let built = nodes.iter().map(|(name, node)| Some((name.clone(), build(node)?)));
    if in_part { Some(built.flatten().collect()) } else { built.collect() }
}

fn http(node: &Node) -> Option<HttpConfig> {
    Some(HttpConfig { enabled: node.bool("enabled")?, listen: node.text("listen")?, token: node.secret("token") })
}

fn net(node: &Node) -> Option<NetConfig> {
    Some(NetConfig {
        ca_file: node.path("ca_file"),
        proxy: node.url("proxy"),
        timeout: node.duration("timeout")?,
        allow_plaintext: node.bool("allow_plaintext")?,
    })
}

fn source(node: &Node) -> Option<SourceConfig> {
    Some(match node.variant {
        "ldap" => SourceConfig::Ldap(ldap(node)?),
        "graph" => SourceConfig::Graph(graph(node)?),
        "okta" => SourceConfig::Okta(okta(node)?),
        "file" => SourceConfig::File(FileConfig { path: node.path("path")?, nested_groups: nested(node)? }),
        _ => return None,
    })
}

fn nested(node: &Node) -> Option<NestedGroups> {
    Some(if node.text("nested_groups")? == "direct" { NestedGroups::Direct } else { NestedGroups::Flatten })
}

fn passing(text: &str) -> Passing {
    if text == "locked" { Passing::Locked } else { Passing::PasswordExpired }
}

fn incremental(node: &Node) -> Option<Incremental> {
    Some(match node.text("incremental")?.as_str() {
        "off" => Incremental::Off,
        "modify-timestamp" => Incremental::ModifyTimestamp,
        _ => Incremental::Auto,
    })
}

fn ldap(node: &Node) -> Option<LdapConfig> {
    let all = |node: &Node| node.urls("url").into_iter().map(|(_, url)| url).collect::<Vec<_>>();
    let mut domains: Vec<LdapDomain> = node
        .tables("domains")
        .into_iter()
        .map(|d| Some(LdapDomain { urls: all(d), base: d.text("base")? }))
        .collect::<Option<_>>()?;
    // Without url and base of its own, the source's first domain stands for them.
    let first = if node.has("url") {
        LdapDomain { urls: all(node), base: node.text("base")? }
    } else {
        let mut first = if domains.is_empty() { return None } else { domains.remove(0) };
        first.base = node.text("base").unwrap_or(first.base);
        first
    };
    Some(LdapConfig {
        urls: first.urls,
        starttls: node.bool("starttls")?,
        flavor: match node.text("flavor")?.as_str() {
            "active-directory" => LdapFlavor::ActiveDirectory,
            "openldap" => LdapFlavor::OpenLdap,
            "389ds" => LdapFlavor::Ds389,
            "freeipa" => LdapFlavor::FreeIpa,
            _ => LdapFlavor::Auto,
        },
        bind: match node.text("bind")?.as_str() {
            "kerberos" => LdapBind::Kerberos { keytab: node.secret("keytab"), principal: node.text("principal") },
            _ => LdapBind::Auto,
        },
        bind_dn: node.text("bind_dn"),
        password: node.secret("password"),
        base: first.base,
        user_filter: node.text("user_filter"),
        group_filter: node.text("group_filter"),
        nested_groups: nested(node)?,
        domains,
        also_inactive: node.texts("also_inactive")?.iter().map(|t| passing(t)).collect(),
        incremental: incremental(node)?,
        page_size: u32::try_from(node.integer("page_size")?).ok()?,
        read_deadline: node.duration("read_deadline")?,
        max_message: usize::try_from(node.integer("max_message")?).ok()?.checked_mul(1024 * 1024)?,
        net: net(node)?,
    })
}

fn graph(node: &Node) -> Option<GraphConfig> {
    // National clouds: Microsoft, "National cloud deployments".
    let (login, graph) = match node.text("cloud")?.as_str() {
        "us-gov" => ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
        "us-dod" => ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
        "china" => ("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
        _ => ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    };
    let or = |key: &str, default: &str| node.url(key).or_else(|| Url::parse(default).ok());
    Some(GraphConfig {
        tenant: node.text("tenant")?,
        client_id: node.text("client_id")?,
        auth: match node.secret("client_secret") {
            Some(secret) => GraphAuth::Secret(secret),
            None => GraphAuth::Certificate { certificate: node.path("certificate")?, private_key: node.secret("private_key")? },
        },
        assigned_to: node.text("assigned_to"),
        nested_groups: nested(node)?,
        login_url: or("login_url", login)?,
        graph_url: or("graph_url", graph)?,
        net: net(node)?,
    })
}

fn okta(node: &Node) -> Option<OktaConfig> {
    Some(OktaConfig {
        url: node.url("url")?,
        auth: match node.secret("token") {
            Some(token) => OktaAuth::Token(token),
            None => OktaAuth::PrivateKey {
                client_id: node.text("client_id")?,
                private_key: node.secret("private_key")?,
                key_id: node.text("key_id"),
            },
        },
        assigned_to: node.text("assigned_to"),
        inactive: node.texts("inactive")?,
        rate_share: u64::try_from(node.integer("rate_share")?).ok()?,
        system_log: node.bool("system_log")?,
        nested_groups: nested(node)?,
        net: net(node)?,
    })
}

fn target(node: &Node) -> Option<TargetConfig> {
    let count = |key: &str| node.integer(key).and_then(|n| usize::try_from(n).ok());
    let auth = if node.has("oauth") {
        let oauth = node.table("oauth");
        Some(TargetAuth::OAuth {
            token_url: oauth.url("token_url")?,
            client_id: oauth.text("client_id")?,
            client_secret: oauth.secret("client_secret")?,
            scope: oauth.text("scope"),
        })
    } else {
        node.secret("token").map(TargetAuth::Token)
    };
    Some(TargetConfig {
        preset: node.text("preset")?,
        url: node.url("url")?,
        auth,
        concurrency: count("concurrency")?,
        rate: node.rate("rate"),
        members_per_patch: count("members_per_patch"),
        patch: node.bool("patch"),
        dialect: super::dialect::dialect(node),
        net: net(node)?,
    })
}

fn lookup(node: &Node) -> Option<LookupConfig> {
    Some(LookupConfig { path: node.path("path")?, key: node.text("key_column"), value: node.text("value_column") })
}

/// What accounts are matched by: rows with a precedence instead of the list, where there are some.
fn matched_by(list: Vec<String>, rows: &[MapRow]) -> Vec<String> {
    let mut by: Vec<(i64, &str)> = rows.iter().filter_map(|row| Some((row.matching?, row.path.as_str()))).collect();
    by.sort_unstable();
    let by: Vec<String> = if by.is_empty() {
        list.iter().map(|path| criterion(path)).collect()
    } else {
        by.into_iter().map(|(_, path)| criterion(path)).collect()
    };
    // Two values of one attribute are looked for together.
    let is_first = |(i, path): (usize, &String)| by.iter().take(i).all(|b| !b.eq_ignore_ascii_case(path));
    by.iter().enumerate().filter(|at| is_first(*at)).map(|(_, path)| path.clone()).collect()
}

fn sync(node: &Node, lookups: &BTreeMap<String, LookupConfig>, in_part: bool) -> Option<SyncConfig> {
    let named = |key: &str| node.text(key).or_else(|| in_part.then(String::new));
    let scope = node.table("scope");
    let user_id = node.table("user_id");
    let matching = node.table("match");
    let map = node.table("map");
    let (map_user, map_group) = (map.rows("user").unwrap_or_default(), map.rows("group").unwrap_or_default());
    Some(SyncConfig {
        name: named("name")?,
        source: named("source")?,
        target: named("target")?,
        enabled: node.bool("enabled")?,
        schedule: node.text("schedule"),
        timezone: node.text("timezone")?,
        jitter: node.duration("jitter")?,
        full_read: node.text("full_read"),
        verify: node.text("verify"),
        drift: if node.text("drift")? == "report" { Drift::Report } else { Drift::Repair },
        scope: ScopeConfig {
            users: scope.text("users"),
            groups: scope.text("groups"),
            members_of: scope.texts("members_of").unwrap_or_default(),
            disabled_is_inactive: scope.text("disabled")? == "inactive",
            out_of_scope_deactivates: scope.text("out_of_scope")? == "deactivate",
        },
        user_id: UserIdConfig {
            from: user_id.texts("from")?,
            domains: user_id.pairs("domains").unwrap_or_default(),
            lowercase: user_id.bool("lowercase")?,
            transliterate: user_id.text("transliterate"),
        },
        matching: MatchConfig {
            users: matched_by(matching.texts("users")?, &map_user),
            groups: matched_by(matching.texts("groups")?, &map_group),
            legacy_external_id: matching.texts("legacy_external_id").unwrap_or_default(),
            rehire: matching.text("rehire"),
            require_proof: matching.bool("require_proof")?,
        },
        map_user,
        map_group,
        groups: super::dialect::groups(&node.table("groups"))?,
        actions: actions(&node.table("actions"))?,
        guard: guard(&node.table("guard"))?,
        notify: node.texts("notify"),
        lookups: lookups.clone(),
        stated: stated(node),
    })
}

/// The keys that a preset has an opinion on and that stand in the file: those, no preset changes.
fn stated(node: &Node) -> BTreeSet<&'static str> {
    const KEYS: [(&str, &str, &str); 5] = [
        ("match", "users", "match.users"),
        ("match", "groups", "match.groups"),
        ("match", "legacy_external_id", "match.legacy_external_id"),
        ("scope", "disabled", "scope.disabled"),
        ("user_id", "from", "user_id.from"),
    ];
    let map = node.table("map");
    let by_row = |kind: &str| map.rows(kind).unwrap_or_default().iter().any(|row| row.matching.is_some());
    let is_stated =
        |table: &str, key: &str| node.table(table).has(key) || (table == "match" && by_row(key.trim_end_matches('s')));
    KEYS.into_iter().filter(|(table, key, _)| is_stated(table, key)).map(|(_, _, name)| name).collect()
}

fn actions(node: &Node) -> Option<ActionsConfig> {
    let (user, group) = (node.texts("user")?, node.texts("group")?);
    let has = |list: &[String], action: &str| list.iter().any(|a| a == action);
    let user_delete = has(&user, "delete");
    Some(ActionsConfig {
        user_create: has(&user, "create"),
        user_update: has(&user, "update"),
        user_deactivate: has(&user, "deactivate"),
        user_delete,
        group_create: has(&group, "create"),
        group_update: has(&group, "update"),
        group_delete: has(&group, "delete"),
        group_members: has(&group, "members"),
        deactivate_after: node.duration("deactivate_after")?,
        // Deleting is allowed, and nobody said when: late enough to notice a mistake.
        delete_after: user_delete.then(|| node.duration("delete_after").unwrap_or(DELETE_AFTER)),
    })
}

/// `delete_after` where "delete" is allowed and nothing else is said: 30 days.
const DELETE_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn guard(node: &Node) -> Option<GuardConfig> {
    Some(GuardConfig {
        create: node.limit("create")?,
        deactivate: node.limit("deactivate")?,
        delete: node.limit("delete")?,
        group_delete: node.limit("group_delete")?,
        members_remove_per_group: node.limit("members_remove_per_group")?,
        rename: node.limit("rename")?,
        recreate: node.limit("recreate")?,
        source_shrink: node.limit("source_shrink")?,
        minimum: u64::try_from(node.integer("minimum")?).ok()?,
        canaries: node.texts("canaries").unwrap_or_default(),
        protected: node.texts("protected").unwrap_or_default(),
    })
}

fn notify(node: &Node) -> Option<NotifyConfig> {
    let smtp = match node.cells.get("smtp").map(|c| &c.value) {
        Some(Value::Table(smtp)) => Some(SmtpConfig {
            url: smtp.url("url")?,
            starttls: smtp.bool("starttls")?,
            from: smtp.text("from")?,
            to: smtp.texts("to")?,
            user: smtp.text("user"),
            password: smtp.secret("password"),
            ca_file: smtp.path("ca_file"),
            timeout: smtp.duration("timeout")?,
        }),
        _ => None,
    };
    let webhook = match node.cells.get("webhook").map(|c| &c.value) {
        Some(Value::Table(webhook)) => {
            Some(WebhookConfig { url: webhook.url("url")?, secret: webhook.secret("secret"), net: net(webhook)? })
        }
        _ => None,
    };
    Some(NotifyConfig { smtp, webhook })
}
