#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod golden;
mod kerberos;

use super::*;
use std::time::Duration;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A small right configuration; tests change it.
const SMALL: &str = r#"version = 1
[source.corp]
type = "ldap"
url = "ldaps://dc1.corp.example"
base = "DC=corp,DC=example"
[target.app]
url = "https://app.example/scim/v2"
[[sync]]
name = "corp-app"
source = "corp"
target = "app"
"#;

pub(super) fn read(text: &str) -> Result<Loaded, ConfigErrors> {
    parse(Path::new("/etc/scim-sync/config.toml"), text.to_owned())
}

/// `line:column key: message [hint]` of every mistake.
fn mistakes(text: &str) -> Vec<String> {
    let problems = match read(text) {
        Ok(_) => Vec::new(),
        Err(e) => e.0,
    };
    problems.iter().map(|p| format!("{}:{} {}: {} [{}]", p.line, p.column, p.key, p.message, p.hint)).collect()
}

/// The only mistake of `SMALL` with `with` in the place of `what`.
fn mistake(what: &str, with: &str) -> String {
    assert!(SMALL.contains(what));
    let all = mistakes(&SMALL.replacen(what, with, 1));
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

#[test]
fn the_example_is_right_and_has_the_defaults() {
    let loaded = read(EXAMPLE).unwrap_or_else(|e| panic!("{e}"));
    let sync = &loaded.config.syncs[0];
    let bare = &read(SMALL).unwrap_or_else(|e| panic!("{e}")).config.syncs[0].clone();
    // "Values shown for guard, match, scope and actions are the defaults; lists and names are examples."
    let mut guard = sync.guard.clone();
    guard.canaries.clear();
    guard.protected.clear();
    assert_eq!(format!("{guard:?}"), format!("{:?}", bare.guard));
    assert_eq!(format!("{:?}", sync.actions), format!("{:?}", bare.actions));
    assert_eq!(sync.matching.users, bare.matching.users);
    assert_eq!(sync.matching.groups, bare.matching.groups);
    assert_eq!(sync.user_id.from, bare.user_id.from);
    assert!(bare.scope.disabled_is_inactive && bare.scope.out_of_scope_deactivates && bare.enabled && bare.user_id.lowercase);
    assert_eq!((bare.timezone.as_str(), bare.drift), ("UTC", Drift::Repair));
}

#[test]
fn the_example_shows_every_key() {
    let mut absent = Vec::new();
    for table in [&tables::ROOT, &tables::ROW, &tables::SECRET] {
        table.with_below(&mut |t| {
            for key in t.all() {
                let written = EXAMPLE.lines().any(|line| {
                    line.split(['{', ',', '#', ' ', '[', '.', ']'])
                        .any(|word| word == key.name || word == format!("{}=", key.name))
                });
                if !written {
                    absent.push(format!("{} {}", t.title, key.name));
                }
            }
        });
    }
    assert!(absent.is_empty(), "{absent:#?}");
}

#[test]
fn every_default_is_right_by_its_own_kind() {
    let mut count = 0;
    for table in [&tables::ROOT, &tables::ROW, &tables::SECRET] {
        table.with_below(&mut |t| {
            for key in t.all().filter(|k| !k.default.is_empty()) {
                let text = format!("{} = {}", key.name, key.default);
                let mut reader = read::Reader::new(Path::new("x"), &text);
                let value = toml::de::DeTable::parse(&text).unwrap();
                let node = reader.table("", 0, t, value.get_ref());
                assert!(node.cells.contains_key(key.name), "{text}");
                count += 1;
            }
        });
    }
    assert!(count > 40, "{count}");
}

#[test]
fn everything_lands_where_it_belongs() {
    let config = read(EXAMPLE).unwrap().config;
    let SourceConfig::Ldap(ldap) = &config.sources["corp"] else { panic!() };
    assert_eq!(ldap.urls.len(), 2);
    assert_eq!(ldap.net.ca_file.as_deref(), Some(Path::new("/etc/scim-sync/corp-ca.pem")));
    assert_eq!((ldap.page_size, ldap.max_message, ldap.read_deadline), (1000, 64 * 1024 * 1024, Duration::from_secs(3600)));
    assert_eq!(ldap.net.timeout, Duration::from_secs(60));
    let SourceConfig::Graph(graph) = &config.sources["entra"] else { panic!() };
    assert_eq!(graph.graph_url.as_str(), "https://graph.microsoft.com/");
    assert!(matches!(&graph.auth, GraphAuth::Secret(Secret::Credential(n)) if n == "entra"));
    assert_eq!(graph.nested_groups, NestedGroups::Direct);
    let SourceConfig::Okta(okta) = &config.sources["okta"] else { panic!() };
    assert!(matches!(&okta.auth, OktaAuth::Token(_)));
    let SourceConfig::File(file) = &config.sources["hr"] else { panic!() };
    assert_eq!(file.path, Path::new("/etc/scim-sync/people.ldif"));
    let target = &config.targets["app"];
    assert_eq!((target.rate, target.concurrency, target.patch), (Some(25.0), 8, Some(true)));
    let sync = &config.syncs[0];
    let paths: Vec<&str> = sync.map_user.iter().map(|r| r.path.as_str()).collect();
    assert_eq!(paths, ["userName", "name.givenName", "addresses[type eq \"work\"].formatted", "preferredLanguage", "active"]);
    assert!(sync.map_user[2].clear_when_null && !sync.map_user[2].create_only);
    assert!(sync.map_user[3].create_only);
    assert_eq!(sync.map_user[3].default.as_deref(), Some("en"));
    let line = EXAMPLE.lines().position(|l| l.starts_with("preferredLanguage")).unwrap() + 1;
    assert_eq!(sync.map_user[3].line, line);
    assert_eq!(sync.guard.deactivate, Limit::Percent(5.0));
    assert_eq!(sync.guard.delete, Limit::Count(10));
    assert_eq!(sync.user_id.domains["corp.local"], "corp.example");
    assert_eq!(sync.actions.delete_after, None);
    assert!(config.notify.unwrap().smtp.unwrap().password.is_some());
}

#[test]
fn plaintext_leaves_the_machine_only_when_allowed() {
    let ldap = "url = \"ldaps://dc1.corp.example\"";
    let http = "url = \"https://app.example/scim/v2\"";
    for (what, with) in [
        (ldap, "url = \"ldap://localhost:3389\""),
        (ldap, "url = \"ldap://127.0.0.1\""),
        (ldap, "url = \"ldap://127.8.8.8:389/\""),
        (ldap, "url = \"ldap://[::1]:389\""),
        (ldap, "url = \"ldapi://%2Frun%2Fslapd.sock\""),
        (ldap, "url = \"ldap://dc1.corp.example\"\nstarttls = true"),
        (ldap, "url = \"ldap://dc1.corp.example\"\nallow_plaintext = true"),
        (http, "url = \"http://localhost:8080/scim/v2\""),
        (http, "url = \"http://127.0.0.1:8080\""),
        (http, "url = \"http://[::1]:8080/\""),
        (http, "url = \"http://app.example/\"\nallow_plaintext = true"),
    ] {
        assert_eq!(mistakes(&SMALL.replacen(what, with, 1)), [""; 0], "{with}");
    }
    for (what, with) in [
        (ldap, "url = \"ldap://dc1.corp.example\""),
        (ldap, "url = [\"ldaps://dc1.corp.example\", \"ldap://dc2.corp.example\"]"),
        (ldap, "url = \"ldap://127.0.0.1.evil.example\""),
        (ldap, "url = \"ldap://localhost.evil.example\""),
        (http, "url = \"http://app.example/\""),
        (http, "url = \"http://10.0.0.1/\""),
        (
            http,
            "url = \"https://a.example\"\noauth = { token_url = \"http://b.example\", client_id = \"x\", client_secret = { env = \"X\" } }",
        ),
    ] {
        let mistake = mistake(what, with);
        assert!(mistake.contains(":// is not encrypted"), "{with}: {mistake}");
    }
    // Allowing it on the source says nothing about the target.
    let both = SMALL.replacen(http, "url = \"http://app.example/\"", 1).replacen(
        "type = \"ldap\"",
        "type = \"ldap\"\nallow_plaintext = true",
        1,
    );
    assert_eq!(mistakes(&both).len(), 1);
}

#[test]
fn secrets_stand_elsewhere() {
    let with = |secret: &str| format!("url = \"https://app.example/scim/v2\"\ntoken = {secret}");
    let what = "url = \"https://app.example/scim/v2\"";
    for secret in [
        "{ file = \"t\" }",
        "{ env = \"T\" }",
        "{ credential = \"t\", expires = \"2027-01-31\" }",
        "{ env = \"T\", expires = 2027-01-31 }",
    ] {
        assert_eq!(mistakes(&SMALL.replacen(what, &with(secret), 1)), [""; 0], "{secret}");
    }
    for (secret, expected) in [
        ("\"hunter2\"", "a secret must not stand in this file"),
        ("\"\"", "a secret cannot be empty"),
        ("{}", "does not say where the secret is"),
        ("{ fil = \"t\" }", "unknown key [did you mean `file`?]"),
        ("{ file = \"t\", env = \"T\" }", "a secret is in one place, not in file and env"),
        ("{ credential = \"../t\" }", "is a name, not a path"),
        ("{ env = \"$T\" }", "is not the name of a variable"),
        ("{ env = \"T\", expires = \"soon\" }", "expected a day"),
        ("7", "expected a reference to a secret, found a whole number"),
        ("[\"hunter2\"]", "expected a reference to a secret, found an array"),
    ] {
        let mistake = mistake(what, &with(secret));
        assert!(mistake.contains(expected), "{secret}: {mistake}");
    }
    let plain = SMALL.replacen(what, &with("\"hunter2\""), 1);
    let shown = read(&plain).err().unwrap();
    assert!(!format!("{shown} {shown:?}").contains("hunter2"), "{shown}");
    let allowed = plain.replacen("version = 1", "version = 1\nallow_plaintext_secrets = true", 1);
    let loaded = read(&allowed).unwrap_or_else(|e| panic!("{e}"));
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
}

#[test]
fn one_domain_of_a_forest_stands_for_url_and_base() {
    let forest =
        "domains = [{ url = \"ldaps://a\", base = \"DC=a\" }, { url = [\"ldaps://b\", \"ldaps://c\"], base = \"DC=b\" }]";
    let text = SMALL.replacen("url = \"ldaps://dc1.corp.example\"\nbase = \"DC=corp,DC=example\"", forest, 1);
    let config = read(&text).unwrap_or_else(|e| panic!("{e}")).config;
    let SourceConfig::Ldap(ldap) = &config.sources["corp"] else { panic!() };
    assert_eq!((ldap.urls[0].as_str(), ldap.base.as_str()), ("ldaps://a", "DC=a"));
    assert_eq!((ldap.domains.len(), ldap.domains[0].urls.len(), ldap.domains[0].base.as_str()), (1, 2, "DC=b"));
}

#[test]
fn a_base_is_a_dn() {
    let base = |base: &str| SMALL.replacen("base = \"DC=corp,DC=example\"", &format!("base = \"{base}\""), 1);
    assert!(mistakes(&base("hello"))[0].contains("hello is no DN"));
    assert!(read(&base("o=corp")).is_ok() && read(&base("")).is_ok());
}

#[test]
fn deletion_needs_to_be_allowed_and_gets_its_thirty_days() {
    let sync = "target = \"app\"\n";
    let with = |actions: &str| SMALL.replacen(sync, &format!("{sync}[sync.actions]\n{actions}"), 1);
    let after = |actions: &str| read(&with(actions)).unwrap_or_else(|e| panic!("{e}")).config.syncs[0].actions.delete_after;
    assert_eq!(after("user = [\"deactivate\", \"delete\"]"), Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(after("user = [\"deactivate\", \"delete\"]\ndelete_after = \"7d\""), Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(after("user = []"), None);
    assert!(mistakes(&with("delete_after = \"7d\""))[0].contains("needs \"delete\""));
}

#[test]
fn files_that_are_no_toml_say_where() {
    assert_eq!(mistakes("version = 1\n[state\n"), ["2:7 : not TOML: unclosed table, expected `]` []"]);
    let errors = mistakes("version = 1\nversion = 1\nsink = 2\n");
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors[0].starts_with("2:1 : not TOML: duplicate key"), "{errors:#?}");
    assert!(mistakes("")[0].starts_with("1:1 version: missing [write version = 1"));
    assert!(mistakes("version = 2")[0].starts_with("1:11 version: must be 1"));
    assert!(mistakes("version = \"1\"")[0].contains("write 1 without quotes"));
    let nested = format!("version = 1\nx = {}", "[".repeat(10_000));
    assert!(!mistakes(&nested).is_empty());
}

#[test]
fn unreadable_files_are_one_mistake() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("latin1.toml", &b"version = 1\n# \xe9\n"[..]), ("absent.toml", b"")] {
        let path = dir.path().join(name);
        if !bytes.is_empty() {
            std::fs::write(&path, bytes).unwrap();
        }
        let errors = load(&path).err().unwrap().0;
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].line, if bytes.is_empty() { 0 } else { 2 });
    }
    assert_eq!(load(dir.path()).err().unwrap().0.len(), 1);
    let marked = dir.path().join("bom.toml");
    std::fs::write(&marked, format!("\u{feff}{SMALL}")).unwrap();
    assert!(load(&marked).is_ok());
}

#[test]
fn advice_looks_at_the_world() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let text = SMALL
        .replacen(
            "base =",
            "ca_file = \"absent.pem\"\nbind_dn = \"CN=x\"\npassword = { file = \"open\", expires = \"2027-01-31\" }\nbase =",
            1,
        )
        .replacen("scim/v2\"", "scim/v2\"\ntoken = { env = \"SCIM_SYNC_TEST_NOT_SET\" }", 1);
    std::fs::write(&path, text).unwrap();
    std::fs::write(dir.path().join("open"), "hunter2").unwrap();
    let loaded = load(&path).unwrap_or_else(|e| panic!("{e}"));
    let advice = |day: &str| -> Vec<String> {
        loaded.advice(day.parse().unwrap()).iter().map(|p| format!("{}:{} {}: {}", p.line, p.column, p.key, p.message)).collect()
    };
    let day = advice("2027-01-11");
    assert_eq!(day.len(), 3, "{day:#?}");
    // Told once, as a mistake.
    let open = loaded.exposed();
    assert_eq!((open.len(), open[0].line, open[0].key.as_str()), (1, 7, "source.corp.password"));
    assert!(open[0].message.contains("can be read or written by others"), "{}", open[0].message);
    assert_eq!(day[0], "7:39 source.corp.password.expires: expires on 2027-01-31, in 20 days");
    assert_eq!(day[1], "11:9 target.app.token: environment variable SCIM_SYNC_TEST_NOT_SET is not set");
    assert!(day[2].starts_with("5:11 source.corp.ca_file: "), "{day:#?}");
    assert!(advice("2027-02-01").iter().any(|a| a.ends_with("expired on 2027-01-31")));
    assert!(advice("2027-01-31").iter().any(|a| a.ends_with("expires today")));
    assert_eq!(advice("2026-12-31").len(), 2);
    assert!(loaded.advice("2027-01-11".parse().unwrap()).iter().all(|p| !p.hint.is_empty()));
    let text = format!("{SMALL}[state]\npath = \"absent/state.db\"\n");
    std::fs::write(&path, text).unwrap();
    let loaded = load(&path).unwrap_or_else(|e| panic!("{e}"));
    let keys: Vec<String> = loaded.advice("2027-01-11".parse().unwrap()).into_iter().map(|p| p.key).collect();
    assert_eq!(keys, ["state.path", "target.app.token"]);
    // A token that is there and wrong is not said to be missing as well; one that is there and empty is a mistake.
    let wrong = SMALL.replacen("scim/v2\"", "scim/v2\"\ntoken = \"plain\"", 1);
    std::fs::write(&path, wrong).unwrap();
    let (loaded, errors) = load_despite_mistakes(&path);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(loaded.unwrap().advice("2027-01-11".parse().unwrap()).is_empty());
    std::fs::write(&path, SMALL.replacen("scim/v2\"", "scim/v2\"\ntoken = { file = \"void\" }", 1)).unwrap();
    std::fs::write(dir.path().join("void"), "\n").unwrap();
    let loaded = load(&path).unwrap_or_else(|e| panic!("{e}"));
    let empty: Vec<(String, bool)> = loaded.empty().into_iter().map(|p| (p.key, p.message.ends_with("void is empty"))).collect();
    assert_eq!(empty, [("target.app.token".to_owned(), true)]);
}

#[test]
fn nothing_is_deleted_that_may_not_be_deactivated() {
    let actions = |user: &str| format!("{SMALL}[sync.actions]\nuser = {user}\n");
    assert!(read(&actions("[\"create\", \"deactivate\", \"delete\"]")).is_ok());
    let errors = read(&actions("[\"create\", \"update\", \"delete\"]")).err().unwrap().0;
    assert_eq!((errors.len(), errors[0].key.as_str()), (1, "sync[0].actions.user"));
    assert!(errors[0].hint.contains("add \"deactivate\""), "{errors:?}");
}

#[test]
fn judgements_from_elsewhere_find_their_place() {
    let text =
        SMALL.replacen("target = \"app\"\n", "target = \"app\"\n[sync.map.user]\n\"name.givenName\" = \"[giveName]\"\n", 1);
    let loaded = read(&text).unwrap();
    let key = Loaded::row_key(0, crate::model::ObjectKind::User, "name.givenName");
    let problem = loaded.problem(&key, "unknown attribute", "");
    assert_eq!((problem.line, problem.column), (13, 20));
    assert_eq!(problem.key, "sync[0].map.user.\"name.givenName\"");
    // A key that is not there: the nearest table above.
    assert_eq!(loaded.problem("sync[0].scope.users", "x", "").line, 8);
}

#[test]
fn warnings_do_not_stop() {
    let text = format!("{SMALL}[source.other]\ntype = \"file\"\npath = \"x.csv\"\nproxy = \"http://p.example:3128\"\n");
    let warnings: Vec<String> =
        read(&text).unwrap_or_else(|e| panic!("{e}")).warnings.iter().map(|w| format!("{} {}", w.key, w.message)).collect();
    assert_eq!(warnings, ["source.other no sync uses this source", "source.other.proxy has no effect on a file"]);
    assert_eq!(read("version = 1\n").unwrap().warnings.len(), 1);
}

proptest::proptest! {
    /// Whatever the file holds, it is read or refused, and no line of it is shown with its secret.
    #[test]
    fn no_input_panics(cut in 0usize..EXAMPLE.len(), junk in "\\PC{0,12}") {
        let mut at = cut;
        while !EXAMPLE.is_char_boundary(at) { at -= 1; }
        let text = format!("{}{junk}{}", &EXAMPLE[..at], &EXAMPLE[at..]);
        if let Err(e) = read(&text) {
            proptest::prop_assert!(!e.0.is_empty());
            proptest::prop_assert!(!e.to_string().is_empty());
        }
    }
}

#[test]
fn beyond_loopback_a_token_is_needed() {
    for listen in ["127.0.0.1:9464", "[::1]:9464", "localhost:0", "127.1.2.3:1"] {
        assert!(read(&format!("version = 1\n[http]\nlisten = \"{listen}\"\n")).is_ok(), "{listen}");
    }
    for listen in ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "sync.corp.example:9464"] {
        let file = |more: &str| format!("version = 1\n[http]\nlisten = \"{listen}\"\n{more}\n");
        let errors = read(&file("")).err().unwrap().0;
        assert_eq!((errors.len(), errors[0].key.as_str(), errors[0].line), (1, "http.listen", 3), "{listen}");
        assert!(read(&file("enabled = false")).is_ok());
        let about = |more: &str| {
            let warnings = read(&file(more)).unwrap().warnings;
            warnings.iter().filter(|w| w.key == "http.listen").count()
        };
        assert_eq!(about("token = { file = \"t\" }"), 1, "{listen}");
        assert_eq!(about("token = { file = \"t\" }\nallow_plaintext = true"), 0, "{listen}");
    }
}

#[test]
fn mail_leaves_the_machine_encrypted_and_goes_to_addresses() {
    let mistakes = |smtp: &str, sync: &str| -> Vec<String> {
        let text = format!(
            "version = 1\n[source.s]\ntype = \"file\"\npath = \"x.csv\"\n[target.t]\nurl = \"https://x.example\"\n[[sync]]\n\
             name = \"n\"\nsource = \"s\"\ntarget = \"t\"\n{sync}\n[notify]\nsmtp = {{ {smtp} }}\n"
        );
        read(&text).err().map_or_else(Vec::new, |e| e.0.into_iter().map(|p| p.key).collect())
    };
    let good = "from = \"scim-sync <a@x.example>\", to = [\"b@x.example\"]";
    for (url, expected) in [
        ("url = \"smtps://mail.example\"", &[][..]),
        ("url = \"smtp://mail.example\"", &[]),
        ("url = \"smtp://mail.example\", starttls = false", &["notify.smtp.starttls"]),
        ("url = \"smtp://mail.example\", starttls = false, allow_plaintext = true", &[]),
        ("url = \"smtp://localhost:25\", starttls = false", &[]),
        ("url = \"smtp://[::1]\", starttls = false", &[]),
        ("url = \"smtp://mail.example/inbox\"", &["notify.smtp.url"]),
        ("url = \"smtp://mail.example\", timeout = \"0s\"", &["notify.smtp.timeout"]),
        ("url = \"smtp://mail.example\", user = \"me\"", &["notify.smtp.user"]),
        ("url = \"http://mail.example\"", &["notify.smtp.url"]),
    ] {
        assert_eq!(mistakes(&format!("{url}, {good}"), ""), expected, "{url}");
    }
    let server = "url = \"smtps://mail.example\"";
    assert_eq!(
        mistakes(&format!("{server}, from = \"nobody\", to = [\"b@x.example\", \"c@\"]"), ""),
        ["notify.smtp.from", "notify.smtp.to"]
    );
    assert_eq!(mistakes(&format!("{server}, {good}"), "notify = [\"d@x.example\", \"e x.example\"]"), ["sync[0].notify"]);
    assert_eq!(mistakes(&format!("{server}, {good}"), "notify = []"), ["sync[0].notify"]);
}

#[test]
fn a_tenant_is_a_domain_or_an_id_and_an_okta_key_has_an_id() {
    let source = |lines: &str| {
        SMALL.replacen("type = \"ldap\"\nurl = \"ldaps://dc1.corp.example\"\nbase = \"DC=corp,DC=example\"\n", lines, 1)
    };
    let graph = |tenant: &str| {
        source(&format!("type = \"graph\"\ntenant = \"{tenant}\"\nclient_id = \"c\"\nclient_secret = {{ env = \"X\" }}\n"))
    };
    for good in ["contoso.onmicrosoft.com", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "münchen.example"] {
        assert_eq!(mistakes(&graph(good)), [""; 0], "{good}");
    }
    for bad in ["a/b", "https://contoso.example", "contoso.example?x", "contoso example", "..\\x"] {
        let all = mistakes(&graph(&bad.replace('\\', "\\\\")));
        assert!(
            all.len() == 1 && all[0].contains("source.corp.tenant") && all[0].contains("neither a domain nor an id"),
            "{bad}: {all:?}"
        );
    }
    let okta = "type = \"okta\"\nurl = \"https://acme.okta.com\"\nclient_id = \"0oa\"\nprivate_key = { env = \"X\" }\n";
    let warned = |lines: &str| read(&source(lines)).unwrap().warnings.iter().any(|w| w.key == "source.corp.key_id");
    assert!(warned(okta) && !warned(&format!("{okta}key_id = \"k\"\n")));
    let log = |lines: &str| {
        let read = read(&source(&format!("{okta}{lines}"))).unwrap();
        let SourceConfig::Okta(c) = &read.config.sources["corp"] else { panic!() };
        (c.system_log, read.warnings.iter().any(|w| w.key == "source.corp.system_log"))
    };
    assert_eq!((log(""), log("system_log = true\n")), ((false, false), (true, false)));
    assert_eq!(log("system_log = true\nassigned_to = \"0oa5\"\n"), (true, true), "every read lists everybody");
    assert_eq!(log("system_log = false\nassigned_to = \"0oa5\"\n"), (false, false));
    let leavers_stay = |lines: &str| {
        let read = read(&source(&format!("{okta}key_id = \"k\"\n{lines}"))).unwrap();
        read.warnings.iter().any(|w| w.key == "source.corp.inactive" && w.message.contains("DEPROVISIONED"))
    };
    assert!(leavers_stay("inactive = [\"SUSPENDED\"]\n") && leavers_stay("inactive = []\n"));
    assert!(!leavers_stay("") && !leavers_stay("inactive = [\"DEPROVISIONED\"]\n"));
}
