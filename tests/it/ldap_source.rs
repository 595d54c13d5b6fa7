//! The LDAP source against a real slapd, through a proxy that cuts, and against servers that mean harm.

use crate::support::cutter::{Cutter, How, Where};
use crate::support::directory::{Directory, Group, GroupKind, Member, Person};
use crate::support::slapd::Slapd;
use scim_sync::config::{Incremental, LdapBind, LdapConfig, LdapFlavor, NestedGroups, NetConfig, Secret};
use scim_sync::model::{Entry, MemberRef, ObjectKind};
use scim_sync::source::ldap::LdapSource;
use scim_sync::source::{Completeness, Item, ReadDone, ReadRequest, Source, SourceError};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const PEOPLE: usize = 700;

fn directory() -> Directory {
    Directory::generate(7, PEOPLE, 40, 3000)
}

fn config(slapd: &Slapd, url: &str) -> LdapConfig {
    LdapConfig {
        urls: vec![url.parse().unwrap()],
        starttls: false,
        flavor: LdapFlavor::Auto,
        bind: LdapBind::Auto,
        bind_dn: Some(slapd.bind_dn.clone()),
        password: Some(Secret::Plain(slapd.password.clone().into())),
        base: slapd.base.clone(),
        user_filter: None,
        group_filter: None,
        nested_groups: NestedGroups::Flatten,
        also_inactive: Vec::new(),
        incremental: Incremental::Auto,
        page_size: 100,
        read_deadline: Duration::from_secs(60),
        max_message: 64 << 20,
        domains: Vec::new(),
        net: NetConfig {
            ca_file: Some(slapd.ca_file.clone()),
            proxy: None,
            timeout: Duration::from_secs(10),
            allow_plaintext: true,
        },
    }
}

async fn read(config: &LdapConfig) -> Result<(Vec<Entry>, ReadDone), SourceError> {
    let source = LdapSource::new("corp", config)?;
    let (sink, mut items) = mpsc::channel::<Vec<Item>>(2);
    let collect = tokio::spawn(async move {
        let mut entries = Vec::new();
        while let Some(batch) = items.recv().await {
            for item in batch {
                match item {
                    Item::Present(entry) => entries.push(entry),
                    other => panic!("{other:?} in a full read without seals"),
                }
            }
        }
        entries
    });
    let request = ReadRequest {
        since: None,
        attributes: ["employeeNumber", "departmentNumber", "title", "telephoneNumber", "l", "sourceKey", "not a name"]
            .map(str::to_owned)
            .into(),
        groups: true,
        seals: None,
    };
    let done = source.read(&request, &sink).await;
    drop(sink);
    let entries = collect.await.unwrap();
    done.map(|done| (entries, done))
}

fn same_person(entry: &Entry, person: &Person) {
    let text = |name| entry.attrs.text(name);
    assert_eq!(entry.kind, ObjectKind::User);
    assert_eq!(text("uid"), Some(person.uid.as_str()));
    assert_eq!(text("cn"), Some(person.cn.as_str()));
    assert_eq!(text("sn"), Some(person.surname.as_str()));
    assert_eq!(text("givenName"), Some(person.given_name.as_str()));
    assert_eq!(text("displayName"), Some(person.display_name.as_str()));
    assert_eq!(text("mail"), person.mail.as_deref());
    assert_eq!(text("employeeNumber"), Some(person.employee_number.as_str()));
    assert_eq!(text("departmentNumber"), Some(person.department.as_str()));
    assert_eq!(text("title"), Some(person.title.as_str()));
    assert_eq!(text("l"), Some(person.city.as_str()));
    assert_eq!(entry.disabled, person.locked, "{}", person.uid);
    assert_eq!(entry.names.len(), 2);
    assert_eq!(entry.names[1], format!("uid:{}", person.uid));
}

fn same_group(entry: &Entry, group: &Group, directory: &Directory, by_key: &BTreeMap<&str, &Entry>) {
    assert_eq!(entry.kind, ObjectKind::Group);
    assert_eq!(entry.attrs.text("cn"), Some(group.cn.as_str()));
    let mut expected: Vec<MemberRef> = group
        .members
        .iter()
        .map(|member| {
            let uuid = match member {
                Member::Person(i) => &directory.people[*i].uuid,
                Member::Group(i) => &directory.groups[*i].uuid,
            };
            // A reference is right if it equals a name of the entry that is meant.
            let names = &by_key[uuid.as_str()].names;
            MemberRef::Name(names[usize::from(group.kind == GroupKind::Posix)].clone())
        })
        .collect();
    let mut members = entry.members.clone();
    let order = |m: &MemberRef| format!("{m:?}");
    expected.sort_by_key(order);
    members.sort_by_key(order);
    assert_eq!(members, expected, "{}", group.cn);
}

fn same(entries: &[Entry], directory: &Directory) {
    let by_key: BTreeMap<&str, &Entry> = entries.iter().map(|e| (e.key.as_str(), e)).collect();
    assert_eq!(entries.len(), directory.people.len() + directory.groups.len());
    assert_eq!(by_key.len(), entries.len(), "keys are unique");
    let groups_start = entries.iter().position(|e| e.kind == ObjectKind::Group).unwrap();
    assert!(entries[groups_start..].iter().all(|e| e.kind == ObjectKind::Group), "people come first");
    for person in &directory.people {
        same_person(by_key[person.uuid.as_str()], person);
    }
    for group in &directory.groups {
        same_group(by_key[group.uuid.as_str()], group, directory, &by_key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_read_gives_what_is_there_over_every_transport() {
    let directory = directory();
    let slapd = Slapd::start(&directory.to_ldif());
    for (url, starttls) in [(&slapd.ldap_url, false), (&slapd.ldaps_url, false), (&slapd.ldap_url, true)] {
        let mut config = config(&slapd, url);
        config.starttls = starttls;
        let (entries, done) = read(&config).await.unwrap();
        same(&entries, &directory);
        assert_eq!(done.completeness, Completeness::Full);
        assert_eq!(done.warnings, [""; 0]);
    }
    // One page that holds everything, and pages of one.
    for page_size in [5000, 1] {
        let mut config = config(&slapd, &slapd.ldap_url);
        config.page_size = page_size;
        same(&read(&config).await.unwrap().0, &directory);
    }
}

#[tokio::test]
async fn check_says_what_it_sees() {
    let directory = directory();
    let slapd = Slapd::start(&directory.to_ldif());
    let mut config = config(&slapd, &slapd.ldaps_url);
    let facts = LdapSource::new("corp", &config).unwrap().check(&ReadRequest::default()).await.unwrap();
    let fact = |name: &str| facts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(fact("server"), Some("OpenLDAP"));
    assert_eq!(fact("flavor"), Some("openldap"));
    assert_eq!(fact("tls"), Some("TLSv1_3"));
    assert_eq!(fact("bound_as"), Some(slapd.bind_dn.as_str()));
    assert_eq!(fact("paging"), Some("yes"));
    assert_eq!(fact("incremental"), Some("no: every read is a full one"));
    assert_eq!(fact("people"), Some("700"));
    assert_eq!(fact("people_without_mail"), Some("35"));
    assert_eq!(fact("groups"), Some("40"));
    assert_eq!(fact("warning"), None);

    config.base = "dc=nowhere".to_owned();
    let error = LdapSource::new("corp", &config).unwrap().check(&ReadRequest::default()).await.unwrap_err().to_string();
    assert!(error.contains("dc=nowhere") && error.contains("dc=example,dc=org"), "{error}");
}

#[tokio::test]
async fn complete_or_nothing_when_the_connection_is_cut() {
    let slapd = Slapd::start(&directory().to_ldif());
    // 700 people in pages of 100 are pages 1 to 7, 40 groups are page 8.
    for page in [1, 2, 7, 8] {
        for entries in [Some(0), Some(30), None] {
            for how in [How::Close, How::Inside, How::Reset, How::Notice] {
                let cutter = Cutter::start(slapd.port, Where { page, entries }, how);
                let config = config(&slapd, &format!("ldap://127.0.0.1:{}", cutter.port));
                let last = page == 8 && entries.is_none();
                match read(&config).await {
                    Ok((entries, _)) => assert!(last && entries.len() == PEOPLE + 40, "{page} {how:?}"),
                    Err(SourceError::Incomplete { message, .. }) => {
                        assert!(!last, "{message}");
                        let groups = page == 8 || (page == 7 && entries.is_none());
                        assert!(message.contains(if groups { "groups" } else { "people" }), "{message}");
                        if how == How::Notice {
                            assert!(message.contains("going down"), "{message}");
                        }
                    }
                    Err(e) => panic!("{page} {entries:?} {how:?}: {e}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn complete_or_nothing_when_the_server_falls_silent() {
    let slapd = Slapd::start(&directory().to_ldif());
    for place in [Where { page: 0, entries: Some(1) }, Where { page: 1, entries: Some(3) }, Where { page: 3, entries: Some(0) }] {
        let cutter = Cutter::start(slapd.port, place, How::Hang);
        let mut config = config(&slapd, &format!("ldap://127.0.0.1:{}", cutter.port));
        config.net.timeout = Duration::from_secs(1);
        let started = Instant::now();
        let error = read(&config).await.unwrap_err();
        assert!(matches!(&error, SourceError::Incomplete { message, .. } if message.contains("no answer for 1 s")), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn complete_or_nothing_when_the_server_is_killed_or_the_deadline_passes() {
    let mut slapd = Slapd::start(&directory().to_ldif());
    let mut config = config(&slapd, &slapd.ldap_url);
    config.page_size = 50;
    let source = LdapSource::new("corp", &config).unwrap();
    // Nobody takes the second batch: the read stands still in the middle.
    let (sink, mut items) = mpsc::channel::<Vec<Item>>(1);
    let request = ReadRequest { groups: true, ..ReadRequest::default() };
    let reading = tokio::spawn(async move { source.read(&request, &sink).await });
    items.recv().await.unwrap();
    slapd.kill();
    let drain = tokio::spawn(async move { while items.recv().await.is_some() {} });
    let error = reading.await.unwrap().unwrap_err();
    assert!(matches!(&error, SourceError::Incomplete { .. }), "{error}");
    drain.await.unwrap();

    slapd.restart();
    assert_eq!(read(&config).await.unwrap().0.len(), PEOPLE + 40, "well again");
    config.read_deadline = Duration::from_millis(1);
    let error = read(&config).await.unwrap_err();
    assert!(matches!(&error, SourceError::Incomplete { message, .. } if message.contains("read_deadline")), "{error}");
}

#[tokio::test]
async fn a_size_limit_is_no_end() {
    let slapd = Slapd::start(&directory().to_ldif());
    let mut config = config(&slapd, &slapd.ldap_url);
    config.bind_dn = Some(slapd.limited_dn.clone());
    let error = read(&config).await.unwrap_err();
    let expected = format!("limits dn.exact=\"{}\"", slapd.limited_dn);
    assert!(matches!(&error, SourceError::Incomplete { message, .. } if message.contains(&expected)), "{error}");
}

#[tokio::test]
async fn a_password_policy_says_what_is_wrong_with_the_account() {
    let slapd = Slapd::start(&directory().to_ldif());
    let mut config = config(&slapd, &slapd.ldap_url);
    config.bind_dn = Some(slapd.limited_dn.clone());
    let policy = format!("cn=policy,{}", slapd.base);
    slapd.modify(&format!(
        "dn: {policy}\nchangetype: add\nobjectClass: device\nobjectClass: pwdPolicy\npwdAttribute: userPassword\n\
         pwdMustChange: TRUE\n\n\
         dn: {}\nchangetype: modify\nadd: pwdPolicySubentry\npwdPolicySubentry: {policy}\n-\nadd: pwdReset\npwdReset: TRUE\n",
        slapd.limited_dn
    ));
    let error = read(&config).await.unwrap_err();
    assert!(matches!(&error, SourceError::Auth { message, .. } if message.contains("must be changed first")), "{error}");
    slapd.modify(&format!(
        "dn: {policy}\nchangetype: modify\nreplace: pwdMustChange\npwdMustChange: FALSE\n-\nadd: pwdMaxAge\npwdMaxAge: 1\n\n\
         dn: {}\nchangetype: modify\nreplace: userPassword\nuserPassword: {}\n",
        slapd.limited_dn, slapd.password
    ));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let error = read(&config).await.unwrap_err();
    assert!(matches!(&error, SourceError::Auth { message, .. } if message.contains("password has expired")), "{error}");
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let slapd = Slapd::start(&directory().to_ldif());
    let good = config(&slapd, &slapd.ldaps_url);

    let mut config = good.clone();
    config.password = Some(Secret::Plain("wrong".to_owned().into()));
    let error = read(&config).await.unwrap_err();
    assert!(matches!(&error, SourceError::Auth { message, .. } if message.contains("wrong bind_dn or password")), "{error}");
    assert!(!error.to_string().contains("correct horse"));

    config.password = Some(Secret::Plain(String::new().into()));
    assert!(matches!(read(&config).await.unwrap_err(), SourceError::Auth { .. }), "no password is no bind");

    let mut config = good.clone();
    config.net.ca_file = None;
    let error = read(&config).await.unwrap_err();
    assert!(matches!(&error, SourceError::Connect { message, .. } if message.contains("ca_file")), "{error}");

    let mut config = good.clone();
    config.urls = vec![slapd.ldap_url.replace("localhost", "127.0.0.2").parse().unwrap()];
    assert!(matches!(read(&config).await.unwrap_err(), SourceError::Connect { .. }));

    let mut config = good.clone();
    config.base = "ou=gone,dc=example,dc=org".to_owned();
    let error = read(&config).await.unwrap_err();
    assert!(matches!(&error, SourceError::Incomplete { message, .. } if message.contains("ou=gone")), "{error}");

    let mut config = good.clone();
    config.bind_dn = None;
    config.password = None;
    // This server shows nothing to anonymous: nothing is found, and nothing is claimed.
    assert!(read(&config).await.is_err());

    let mut config = good;
    config.user_filter = Some("(uid=*".to_owned());
    assert!(matches!(read(&config).await.unwrap_err(), SourceError::Malformed { .. }));
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_down() {
    let directory = directory();
    let slapd = Slapd::start(&directory.to_ldif());
    let mut config = config(&slapd, &slapd.ldaps_url);
    config.urls.insert(0, format!("ldap://127.0.0.1:{}", crate::support::slapd::free_port()).parse().unwrap());
    same(&read(&config).await.unwrap().0, &directory);
}

#[tokio::test]
async fn changes_are_seen_by_the_next_read() {
    let directory = Directory::generate(3, 20, 4, 20);
    let mut slapd = Slapd::start(&directory.to_ldif());
    let person = &directory.people[0];
    slapd.modify(&format!("dn: {}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n", person.dn));
    slapd.restart();
    let (entries, _) = read(&config(&slapd, &slapd.ldap_url)).await.unwrap();
    let entry = entries.iter().find(|e| e.key.as_str() == person.uuid).unwrap();
    assert_eq!(entry.attrs.text("uid"), Some("renamed"), "the key survives a rename");
}

/// A server that answers the bind, and then with these octets.
fn hostile(answer: Vec<u8>, repeat: usize) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        stream.write_all(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00").unwrap();
        let _ = stream.read(&mut request);
        for _ in 0..repeat {
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
        let _ = stream.read(&mut request);
    });
    port
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn hostile_answers_are_errors() {
    let done_paged = |control: &[u8]| {
        let op = [&[0x65, 7, 10, 1, 0, 4, 0, 4, 0][..], control].concat();
        [&[0x30, u8::try_from(op.len() + 3).unwrap(), 2, 1, 2][..], &op].concat()
    };
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("empty sequence", vec![0x30, 0]),
        ("no LDAP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("two gibibytes", [&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..], &[0; 65536]].concat()),
        ("unknown operation", vec![0x30, 5, 2, 1, 2, 0x63, 0]),
        ("an operation that does not fit", vec![0x30, 12, 2, 1, 2, 0x61, 7, 10, 1, 0, 4, 0, 4, 0]),
        ("entry cut off inside", vec![0x30, 7, 2, 1, 2, 0x64, 2, 4, 0]),
        ("entry with an empty list", vec![0x30, 5, 2, 1, 2, 0x64, 0]),
        ("result without contents", vec![0x30, 5, 2, 1, 2, 0x65, 0]),
        ("controls that are none", done_paged(&[0xa0, 2, 4, 0])),
        ("control without a name", done_paged(&[0xa0, 2, 0x30, 0])),
        ("indefinite length", vec![0x30, 0x80, 2, 1, 2, 0, 0]),
    ];
    let slapd = Slapd::start(&Directory::generate(1, 2, 1, 1).to_ldif());
    // Where backtraces are on, the first panic loads the debug symbols: memory that is not the source's.
    let _ = std::panic::catch_unwind(|| panic!("on purpose"));
    for (what, answer) in answers {
        let port = hostile(answer, 1000);
        let config = config(&slapd, &format!("ldap://127.0.0.1:{port}"));
        let before = resident_kib();
        match read(&config).await {
            Err(SourceError::Incomplete { .. } | SourceError::Connect { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
        assert!(resident_kib() < before + 64 * 1024, "{what}: memory");
    }
}
