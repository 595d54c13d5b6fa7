//! Rules that more than one value of the file takes part in.

use super::kerberos;
use super::node::{Node, Value};
use super::read::Reader;
use super::spec::nearest;
use std::collections::BTreeMap;
use url::{Host, Url};

/// Checks everything that the reader cannot see in a single value.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node) {
    for (_, source) in root.named("source") {
        self::source(reader, source);
    }
    for (_, target) in root.named("target") {
        self::target(reader, target);
    }
    http(reader, &root.table("http"));
    let syncs = root.tables("sync");
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (i, sync) in syncs.iter().enumerate() {
        self::sync(reader, root, sync);
        let Some(name) = sync.text("name") else { continue };
        if let Some(first) = lines.insert(name.to_lowercase(), i) {
            let message = format!("{name:?} is the name of sync[{first}] already");
            reader.error(
                sync.value_place("name"),
                &sync.key("name"),
                message,
                "links and schedules hang on the name: give each sync its own",
            );
        }
    }
    if root.has("notify") {
        notify(reader, &root.table("notify"));
    }
    unused(reader, root, &syncs);
}

/// Who is not on this machine must show that he may ask.
fn http(reader: &mut Reader<'_>, node: &Node) {
    let Some(listen) = node.text("listen").filter(|l| node.bool("enabled") == Some(true) && !listens_on_loopback(l)) else {
        return;
    };
    if !node.has("token") {
        let message = format!("{listen} can be reached from outside this machine, and there is no `token`");
        let hint = "add token = { file = \"..\" }, or listen on 127.0.0.1";
        reader.error(node.value_place("listen"), &node.key("listen"), message, hint);
    } else if node.bool("allow_plaintext") != Some(true) {
        let hint = "put a TLS proxy in front of 127.0.0.1, or write allow_plaintext = true where the network is trusted";
        reader.warn(node.value_place("listen"), &node.key("listen"), "the token crosses the network unencrypted", hint);
    }
}

fn listens_on_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn source(reader: &mut Reader<'_>, node: &Node) {
    not_zero(reader, node, "timeout");
    not_zero(reader, node, "read_deadline");
    match node.variant {
        "ldap" => ldap(reader, node),
        "graph" => graph(reader, node),
        "okta" => okta(reader, node),
        "file" => file(reader, node),
        _ => {}
    }
}

fn ldap(reader: &mut Reader<'_>, node: &Node) {
    let starttls = node.bool("starttls") == Some(true);
    kerberos::check(reader, node);
    // Kerberos wants TLS in any case, and has said so.
    let allowed = node.bool("allow_plaintext") == Some(true) || starttls || kerberos::is_meant(node);
    let urls = node.urls("url");
    for (at, url) in &urls {
        plaintext(reader, node, "url", *at, url, allowed);
    }
    for domain in node.tables("domains") {
        for (at, url) in domain.urls("url") {
            plaintext(reader, &domain.clone(), "url", at, &url, allowed);
        }
    }
    if starttls && urls.iter().any(|(_, u)| u.scheme() == "ldaps") {
        let key = node.key("starttls");
        reader.warn(node.place("starttls"), &key, "has no effect on ldaps://, which is TLS from the start", "");
    }
    if node.has("proxy") {
        reader.warn(node.place("proxy"), &node.key("proxy"), "has no effect on LDAP", "");
    }
    // `domains` alone will do: then its first stands for url and base.
    for key in ["url", "base"] {
        if !node.has(key) && !node.has("domains") {
            let hint = format!("[source.NAME] with type = \"ldap\" needs `{key}`, or `domains` for a forest");
            reader.error(node.at, &node.key(key), "missing", hint);
        }
    }
    if node.has("url") && node.has("domains") && !node.has("base") {
        reader.error(node.place("url"), &node.key("base"), "missing", "`url` needs `base` beside it");
    }
    no_dn(reader, node);
    for domain in node.tables("domains") {
        no_dn(reader, domain);
    }
    for key in ["url", "domains"] {
        empty_list(reader, node, key);
    }
    together(reader, node, "bind_dn", "password", "a bind without a password is anonymous (RFC 4513 section 5.1.2)");
}

/// A base of one word is no DN (RFC 4514), and no server would find it. The empty one is the root.
fn no_dn(reader: &mut Reader<'_>, node: &Node) {
    if let Some(base) = node.text("base").filter(|base| !base.trim().is_empty() && !base.contains('=')) {
        let hint = "write the DN of the subtree to read, such as \"DC=corp,DC=example\"";
        reader.error(node.value_place("base"), &node.key("base"), format!("{base} is no DN"), hint);
    }
}

fn graph(reader: &mut Reader<'_>, node: &Node) {
    either(reader, node, "client_secret", "private_key", "`client_secret`, or `certificate` and `private_key`");
    together(reader, node, "certificate", "private_key", "Entra ID finds the key by the certificate's thumbprint");
    let is_name = |t: &str| t.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '.');
    if node.text("tenant").is_some_and(|t| !is_name(&t)) {
        let hint = "write a verified domain of it (contoso.onmicrosoft.com), or its id";
        reader.error(node.value_place("tenant"), &node.key("tenant"), "is neither a domain nor an id", hint);
    }
    let allowed = node.bool("allow_plaintext") == Some(true);
    for key in ["login_url", "graph_url"] {
        let Some(url) = node.url(key) else { continue };
        let at = node.value_place(key);
        plaintext(reader, node, key, at, &url, allowed);
        if url.path() != "/" || url.query().is_some() {
            let hint = format!("write \"{}\"", url.origin().ascii_serialization());
            reader.error(at, &node.key(key), "must not have a path", hint);
        }
    }
}

fn okta(reader: &mut Reader<'_>, node: &Node) {
    either(reader, node, "token", "private_key", "`token`, or `client_id` and `private_key`");
    together(reader, node, "client_id", "private_key", "a service app signs with its key");
    if node.has("private_key") && !node.has("key_id") {
        let hint = "add key_id: the KID that the app's public key has (General > Client Credentials)";
        reader.warn(node.place("private_key"), &node.key("key_id"), "Okta finds a key by its id, and none is named", hint);
    }
    if node.bool("system_log") == Some(true) && node.has("assigned_to") {
        let message = "has no effect beside assigned_to: every read lists all assignments, so whoever is deleted shows at once";
        let hint = "leave it out, and the right to read the log with it";
        reader.warn(node.place("system_log"), &node.key("system_log"), message, hint);
    }
    if node.texts("inactive").is_some_and(|list| !list.iter().any(|s| s == "DEPROVISIONED")) {
        let message = "replaces the whole list, and DEPROVISIONED is not in it: who has left gets an active account, or keeps it";
        let hint = "add \"DEPROVISIONED\"";
        reader.warn(node.value_place("inactive"), &node.key("inactive"), message, hint);
    }
    if let Some(url) = node.url("url") {
        let at = node.value_place("url");
        plaintext(reader, node, "url", at, &url, node.bool("allow_plaintext") == Some(true));
        if url.host_str().is_some_and(|h| h.contains("-admin.okta")) {
            reader.error(at, &node.key("url"), "is the address of the admin console", "leave out -admin: https://acme.okta.com");
        }
    }
}

fn file(reader: &mut Reader<'_>, node: &Node) {
    let known = ["ldif", "json", "csv"];
    if let Some(path) = node.path("path") {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        if !known.contains(&extension.as_str()) {
            let message = "the name of the file does not say what it is";
            reader.error(node.value_place("path"), &node.key("path"), message, "it must end in .ldif, .json or .csv");
        }
    }
    for key in ["ca_file", "proxy", "timeout", "allow_plaintext"].into_iter().filter(|k| node.has(k)) {
        reader.warn(node.place(key), &node.key(key), "has no effect on a file", "");
    }
}

fn target(reader: &mut Reader<'_>, node: &Node) {
    not_zero(reader, node, "timeout");
    let allowed = node.bool("allow_plaintext") == Some(true);
    if let Some(url) = node.url("url") {
        plaintext(reader, node, "url", node.value_place("url"), &url, allowed);
    }
    if node.has("oauth") {
        let oauth = node.table("oauth");
        if let Some(url) = oauth.url("token_url") {
            plaintext(reader, &oauth, "token_url", oauth.value_place("token_url"), &url, allowed);
        }
        if node.has("token") {
            reader.error(node.place("oauth"), &node.key("oauth"), "stands beside `token`", "keep one of them");
        }
    }
}

fn sync(reader: &mut Reader<'_>, root: &Node, node: &Node) {
    if let Some(name) = node.text("name") {
        let right = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.chars().all(right) || name.starts_with(['-', '.']) || name.chars().count() > 64 {
            let hint = "letters, digits, -, _ and ., at most 64, beginning with a letter or digit: it is typed on command lines";
            reader.error(node.value_place("name"), &node.key("name"), format!("{name:?} cannot be a name"), hint);
        }
    }
    for kind in ["source", "target"] {
        let (Some(name), names) = (node.text(kind), root.names(kind)) else { continue };
        if !names.contains(name.as_str()) {
            let hint = match nearest(&name, names.iter().copied()) {
                Some(right) => format!("did you mean \"{right}\"?"),
                None if names.is_empty() => format!("there is no [{kind}.NAME] in this file"),
                None => format!("there is {}", super::spec::quoted(&names.iter().collect::<Vec<_>>())),
            };
            reader.error(node.value_place(kind), &node.key(kind), format!("there is no {kind} named {name:?}"), hint);
        }
    }
    empty_list(reader, &node.table("user_id"), "from");
    let (map, matching) = (node.table("map"), node.table("match"));
    for (rows, list) in [("user", "users"), ("group", "groups")] {
        if matching.has(list) && map.rows(rows).unwrap_or_default().iter().any(|row| row.matching.is_some()) {
            let hint = "keep one of them: the list, or `match = 1` at the rows";
            let message = format!("stands beside rows of map.{rows} with `match`");
            reader.error(matching.place(list), &matching.key(list), message, hint);
        }
    }
    recipients(reader, root, node);
    let actions = node.table("actions");
    let may = |what: &str| actions.texts("user").is_some_and(|a| a.iter().any(|a| a == what));
    let may_delete = may("delete");
    if may_delete && !may("deactivate") {
        let message =
            "only what was deactivated is deleted, and \"deactivate\" is not among the actions: nobody would be deleted";
        reader.error(actions.value_place("user"), &actions.key("user"), message, "add \"deactivate\", or take \"delete\" out");
    }
    if actions.has("delete_after") && !may_delete {
        let hint = "add \"delete\" to `user`, or leave `delete_after` out";
        reader.error(
            actions.place("delete_after"),
            &actions.key("delete_after"),
            "needs \"delete\" among the actions for users",
            hint,
        );
    }
}

fn recipients(reader: &mut Reader<'_>, root: &Node, node: &Node) {
    empty_list(reader, node, "notify");
    for cell in node.list("notify") {
        if let Value::Text(text) = &cell.value {
            mail_address(reader, cell.at, &node.key("notify"), text);
        }
    }
    if node.has("notify") && !root.table("notify").has("smtp") {
        reader.warn(node.place("notify"), &node.key("notify"), "has no effect without notify.smtp", "add smtp to [notify]");
    }
}

fn notify(reader: &mut Reader<'_>, node: &Node) {
    if node.has("smtp") {
        let smtp = node.table("smtp");
        empty_list(reader, &smtp, "to");
        together(reader, &smtp, "user", "password", "the mail server wants both");
        not_zero(reader, &smtp, "timeout");
        self::smtp(reader, &smtp);
    }
    if node.has("webhook") {
        let webhook = node.table("webhook");
        if let Some(url) = webhook.url("url") {
            let allowed = webhook.bool("allow_plaintext") == Some(true);
            plaintext(reader, &webhook, "url", webhook.value_place("url"), &url, allowed);
        }
        not_zero(reader, &webhook, "timeout");
    }
}

fn smtp(reader: &mut Reader<'_>, node: &Node) {
    for key in ["from", "to"] {
        let one = node.text(key).map(|text| (node.value_place(key), text));
        let many =
            node.list(key).iter().filter_map(|c| if let Value::Text(t) = &c.value { Some((c.at, t.clone())) } else { None });
        for (at, text) in one.into_iter().chain(many).collect::<Vec<_>>() {
            mail_address(reader, at, &node.key(key), &text);
        }
    }
    let Some(url) = node.url("url") else { return };
    let plain = url.scheme() == "smtp" && node.bool("starttls") == Some(false);
    if plain && node.bool("allow_plaintext") != Some(true) && !is_loopback(&url) {
        let hint = "leave starttls out, or use smtps://; allow_plaintext = true would send the mail in the clear";
        reader.error(node.place("starttls"), &node.key("starttls"), "the mail would not be encrypted", hint);
    }
    if url.scheme() == "smtps" && node.has("starttls") {
        reader.warn(node.place("starttls"), &node.key("starttls"), "has no effect on smtps://, which is TLS from the start", "");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        reader.error(
            node.value_place("url"),
            &node.key("url"),
            "names more than a server",
            "write smtps://host or smtp://host:port",
        );
    }
}

fn mail_address(reader: &mut Reader<'_>, at: usize, key: &str, text: &str) {
    if text.parse::<lettre::message::Mailbox>().is_err() {
        let message = format!("{text:?} is not a mail address");
        reader.error(at, key, message, "write \"it@corp.example\" or \"IT <it@corp.example>\"");
    }
}

fn unused(reader: &mut Reader<'_>, root: &Node, syncs: &[&Node]) {
    if syncs.is_empty() {
        reader.warn(
            root.place("sync"),
            "sync",
            "there is no sync: nothing will be done",
            "a [[sync]] pairs a source with a target",
        );
        return;
    }
    for kind in ["source", "target"] {
        for (name, node) in root.named(kind) {
            if !syncs.iter().any(|s| s.text(kind).as_deref() == Some(name)) {
                reader.warn(node.at, &node.path, format!("no sync uses this {kind}"), "");
            }
        }
    }
}

/// Credentials and people's data leave this machine encrypted, or the administrator has said that they need not.
fn plaintext(reader: &mut Reader<'_>, node: &Node, key: &str, at: usize, url: &Url, allowed: bool) {
    if allowed || !matches!(url.scheme(), "http" | "ldap") || is_loopback(url) {
        return;
    }
    let hint = match url.scheme() {
        "ldap" => "use ldaps://, or starttls = true; allow_plaintext = true would send the password in the clear",
        _ if node.path.starts_with("notify") => "use https://",
        _ => "use https://; allow_plaintext = true would send the credentials in the clear",
    };
    reader.error(at, &node.key(key), format!("{}:// is not encrypted", url.scheme()), hint);
}

fn is_loopback(url: &Url) -> bool {
    // For schemes it does not know, such as ldap, the URL parser keeps the host as text.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        _ => host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn not_zero(reader: &mut Reader<'_>, node: &Node, key: &str) {
    if node.duration(key).is_some_and(|d| d.is_zero()) {
        reader.error(node.value_place(key), &node.key(key), "cannot be 0: nothing answers at once", "");
    }
}

fn empty_list(reader: &mut Reader<'_>, node: &Node, key: &str) {
    if node.cells.contains_key(key)
        && node.list(key).is_empty()
        && !reader.errors.iter().any(|p| p.key.starts_with(&node.key(key)))
    {
        reader.error(node.value_place(key), &node.key(key), "is empty", "leave it out, or name at least one");
    }
}

/// Two keys that mean something only together.
fn together(reader: &mut Reader<'_>, node: &Node, one: &str, other: &str, why: &str) {
    for (there, missing) in [(one, other), (other, one)] {
        if node.has(there) && !node.has(missing) {
            reader.error(node.place(there), &node.key(there), format!("needs `{missing}` beside it"), why);
        }
    }
}

/// Two keys of which exactly one must be there.
fn either(reader: &mut Reader<'_>, node: &Node, one: &str, other: &str, what: &str) {
    match (node.has(one), node.has(other)) {
        (true, true) => {
            reader.error(node.place(other), &node.key(other), format!("stands beside `{one}`"), format!("keep one: {what}"))
        }
        (false, false) => reader.error(node.at, &node.key(one), "missing", format!("it needs {what}")),
        _ => {}
    }
}
