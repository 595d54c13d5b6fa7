//! Rules of LDAP sources that bind by Kerberos.

use super::node::Node;
use super::read::Reader;
use std::net::IpAddr;

/// Whether this source binds by Kerberos.
pub(super) fn is_meant(node: &Node) -> bool {
    node.text("bind").as_deref() == Some("kerberos")
}

/// Checks what Kerberos needs, and that nothing of it stands where it is not meant.
pub(super) fn check(reader: &mut Reader<'_>, node: &Node) {
    if !is_meant(node) {
        for key in ["keytab", "principal"].into_iter().filter(|key| node.has(key)) {
            let hint = "add bind = \"kerberos\", or leave it out";
            reader.error(node.place(key), &node.key(key), "is of no use without bind = \"kerberos\"", hint);
        }
        return;
    }
    if !cfg!(feature = "kerberos") {
        let hint = "use a build with the cargo feature `kerberos` (cargo build --release --features kerberos; \
                    docs/sources/kerberos.md says what it takes), or bind by bind_dn and password";
        reader.error(node.value_place("bind"), &node.key("bind"), "this build of scim-sync has no Kerberos", hint);
    }
    for key in ["bind_dn", "password"].into_iter().filter(|key| node.has(key)) {
        let hint =
            "leave out bind_dn and password: the account is that of the keytab or the ticket cache (`principal` names one)";
        reader.error(node.place(key), &node.key(key), "stands beside bind = \"kerberos\"", hint);
    }
    principal(reader, node);
    let starttls = node.bool("starttls") == Some(true);
    urls(reader, node, starttls);
    for domain in node.tables("domains") {
        urls(reader, domain, starttls);
    }
}

/// Kerberos is spoken inside TLS, with a server that has a name.
fn urls(reader: &mut Reader<'_>, node: &Node, starttls: bool) {
    for (at, url) in node.urls("url") {
        let key = node.key("url");
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if url.scheme() == "ldapi" {
            let hint = "use ldaps://host; a socket binds by SASL EXTERNAL, with bind = \"auto\"";
            reader.error(at, &key, "Kerberos is not spoken over a socket file", hint);
        } else if url.scheme() == "ldap" && !starttls {
            let hint =
                "use ldaps://, or starttls = true; allow_plaintext does not help, as Kerberos by itself encrypts nothing here";
            reader.error(at, &key, "Kerberos is spoken inside TLS only", hint);
        } else if host.parse::<IpAddr>().is_ok() {
            let message = format!("Kerberos knows servers by name: there is no ldap/{host}");
            reader.error(
                at,
                &key,
                message,
                "write the name of the server as its service principal has it: ldaps://dc1.corp.example",
            );
        }
    }
}

/// `name@REALM`. In principals `\\` quotes, and realms count by case.
fn principal(reader: &mut Reader<'_>, node: &Node) {
    let Some(principal) = node.text("principal") else { return };
    let (at, key) = (node.value_place("principal"), node.key("principal"));
    if principal.contains('\\') {
        let hint = "write name@REALM, such as \"scim-sync@CORP.EXAMPLE\"";
        reader.error(at, &key, format!("{principal} is no principal"), hint);
        return;
    }
    if let Some((name, realm)) = principal.rsplit_once('@')
        && realm.chars().any(char::is_lowercase)
    {
        let hint = format!("is it \"{}\"?", format_args!("{name}@{}", realm.to_uppercase()));
        reader.warn(at, &key, format!("realms are written in capitals as a rule, and {realm} is not"), &hint);
    }
}
