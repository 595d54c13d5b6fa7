//! Sources that bind by Kerberos.

use super::*;

/// `key: message` of every mistake, but for the one of a build without Kerberos.
fn wrong(source: &str) -> Vec<String> {
    let text = SMALL.replacen("url = \"ldaps://dc1.corp.example\"\n", source, 1);
    let all: Vec<String> = match read(&text) {
        Ok(_) => Vec::new(),
        Err(e) => e.0.iter().map(|p| format!("{}: {}", p.key, p.message)).collect(),
    };
    let (missing, others): (Vec<String>, Vec<String>) = all.into_iter().partition(|m| m.ends_with("has no Kerberos"));
    let meant = source.contains("bind = \"kerberos\"");
    assert_eq!(missing.is_empty(), cfg!(feature = "kerberos") || !meant, "{missing:?}");
    others
}

#[test]
fn a_build_without_kerberos_says_which_has_it() {
    let with = "url = \"ldaps://dc1.corp.example\"\nbind = \"kerberos\"";
    let all = mistakes(&SMALL.replacen("url = \"ldaps://dc1.corp.example\"", with, 1));
    if cfg!(feature = "kerberos") {
        assert!(all.is_empty(), "{all:?}");
    } else {
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].starts_with("5:8 source.corp.bind: this build of scim-sync has no Kerberos"), "{all:?}");
        assert!(all[0].contains("--features kerberos"), "{all:?}");
    }
}

#[test]
fn kerberos_is_spoken_inside_tls_with_a_server_that_has_a_name() {
    for good in [
        "url = \"ldaps://dc1.corp.example\"\nbind = \"kerberos\"\n",
        "url = \"ldap://dc1.corp.example\"\nstarttls = true\nbind = \"kerberos\"\nkeytab = \"corp.keytab\"\nprincipal = \"scim-sync@CORP.EXAMPLE\"\n",
        "url = \"ldaps://dc1.corp.example\"\nbind = \"kerberos\"\nkeytab = { credential = \"corp-keytab\" }\n",
        "url = \"ldaps://dc1.corp.example\"\nbind = \"auto\"\nbind_dn = \"cn=x\"\npassword = { env = \"X\" }\n",
    ] {
        assert_eq!(wrong(good), Vec::<String>::new(), "{good}");
    }
    let of = |rest: &str| wrong(&format!("bind = \"kerberos\"\n{rest}\n"));
    for (rest, expected) in [
        ("url = \"ldap://dc1.corp.example\"", "source.corp.url: Kerberos is spoken inside TLS only"),
        ("url = \"ldap://localhost\"\nallow_plaintext = true", "source.corp.url: Kerberos is spoken inside TLS only"),
        ("url = \"ldapi://%2Frun%2Fldapi\"", "source.corp.url: Kerberos is not spoken over a socket file"),
        ("url = \"ldaps://192.0.2.7\"", "source.corp.url: Kerberos knows servers by name: there is no ldap/192.0.2.7"),
        (
            "url = [\"ldaps://a.example\", \"ldaps://[2001:db8::7]:636\"]",
            "source.corp.url: Kerberos knows servers by name: there is no ldap/2001:db8::7",
        ),
        (
            "url = \"ldaps://a.example\"\ndomains = [{ url = \"ldap://b.example\", base = \"DC=b\" }]",
            "source.corp.domains[0].url: Kerberos is spoken inside TLS only",
        ),
        (
            "url = \"ldaps://a.example\"\nkeytab = { env = \"KEYTAB\" }",
            "source.corp.keytab: is a file, which no variable of the environment holds",
        ),
        ("url = \"ldaps://a.example\"\nkeytab = \"\"", "source.corp.keytab: cannot be empty"),
        ("url = \"ldaps://a.example\"\nprincipal = 'CORP\\svc'", "source.corp.principal: CORP\\svc is no principal"),
        (
            "url = \"ldaps://a.example\"\nbind_dn = \"cn=x\"\npassword = { env = \"X\" }",
            "source.corp.bind_dn: stands beside bind = \"kerberos\"",
        ),
    ] {
        let all = of(rest);
        assert_eq!(all.first().map(String::as_str), Some(expected), "{rest}: {all:?}");
    }
    let without = wrong("url = \"ldaps://a.example\"\nkeytab = \"x\"\nprincipal = \"x@Y\"\n");
    assert_eq!(without.len(), 2, "{without:?}");
    assert!(without[0].starts_with("source.corp.keytab: is of no use without"), "{without:?}");
}

#[test]
fn a_keytab_is_a_secret_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let with =
        "url = \"ldaps://dc1.corp.example\"\nbind = \"kerberos\"\nkeytab = \"corp.keytab\"\nprincipal = \"svc@corp.example\"";
    std::fs::write(&path, SMALL.replacen("url = \"ldaps://dc1.corp.example\"", with, 1)).unwrap();
    std::fs::write(dir.path().join("corp.keytab"), "keys").unwrap();
    let (loaded, problems) = load_despite_mistakes(&path);
    assert_eq!(problems.is_empty(), cfg!(feature = "kerberos"), "{problems:?}");
    let loaded = loaded.unwrap();
    let warned: Vec<&str> = loaded.warnings.iter().map(|p| p.hint.as_str()).collect();
    assert_eq!(warned, ["is it \"svc@CORP.EXAMPLE\"?"]);
    if cfg!(feature = "kerberos") {
        let told = loaded.exposed();
        let says = |p: &Problem| p.key == "source.corp.keytab" && format!("{p}").contains("chmod 600");
        assert!(told.iter().any(says), "{told:?}");
        assert!(loaded.config.exposed(&loaded.config.syncs[0]).unwrap().contains("corp.keytab"));
    }
}
