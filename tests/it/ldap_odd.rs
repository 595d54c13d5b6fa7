//! The LDAP source against scripted servers: Active Directory's value ranges, no paging, entries without ids.

use crate::support::fake_ldap::{Asked, entry, result, start, start_refusing};
use scim_sync::config::{Incremental, LdapBind, LdapConfig, LdapFlavor, NestedGroups, NetConfig};
use scim_sync::model::{Entry, ObjectKind};
use scim_sync::source::ldap::LdapSource;
use scim_sync::source::{Item, ReadDone, ReadRequest, Source, SourceError};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;

async fn read(port: u16, page_size: u32) -> Result<(Vec<Entry>, ReadDone), SourceError> {
    read_of(&[port], page_size).await
}

async fn read_of(ports: &[u16], page_size: u32) -> Result<(Vec<Entry>, ReadDone), SourceError> {
    let config = LdapConfig {
        domains: Vec::new(),
        urls: ports.iter().map(|port| format!("ldap://127.0.0.1:{port}").parse().unwrap()).collect(),
        starttls: false,
        flavor: LdapFlavor::Auto,
        bind: LdapBind::Auto,
        bind_dn: None,
        password: None,
        base: "dc=x".to_owned(),
        user_filter: None,
        group_filter: None,
        nested_groups: NestedGroups::Flatten,
        also_inactive: Vec::new(),
        incremental: Incremental::Auto,
        page_size,
        read_deadline: Duration::from_secs(20),
        max_message: 1 << 20,
        net: NetConfig { ca_file: None, proxy: None, timeout: Duration::from_secs(5), allow_plaintext: true },
    };
    let (sink, mut items) = mpsc::channel::<Vec<Item>>(1);
    let collect = tokio::spawn(async move {
        let mut entries = Vec::new();
        while let Some(batch) = items.recv().await {
            entries.extend(batch.into_iter().filter_map(|i| if let Item::Present(e) = i { Some(e) } else { None }));
        }
        entries
    });
    let request = ReadRequest { groups: true, ..ReadRequest::default() };
    let done = LdapSource::new("corp", &config)?.read(&request, &sink).await;
    drop(sink);
    let entries = collect.await.unwrap();
    done.map(|done| (entries, done))
}

fn text(values: &[&str]) -> Vec<Vec<u8>> {
    values.iter().map(|v| v.as_bytes().to_vec()).collect()
}

const PAGED: &str = "1.2.840.113556.1.4.319";
const GUID: [u8; 16] = [0xf2, 0x23, 0x39, 0x95, 0xfc, 0xf7, 0xff, 0x41, 0x9d, 0xfb, 0x74, 0x4f, 0x51, 0x60, 0x9e, 0xc4];

fn active_directory() -> Vec<u8> {
    entry(b"", &[("supportedCapabilities", text(&["1.2.840.113556.1.4.800"])), ("supportedControl", text(&[PAGED]))])
}

fn members(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    range.map(|i| format!("CN=u{i},DC=x").into_bytes()).collect()
}

/// A group of 2,500 members in parts of 1,000, and what the script makes of the parts.
fn large_group(asked: &Asked, part: impl Fn(usize) -> Vec<(&'static str, Vec<Vec<u8>>)>) -> Vec<Vec<u8>> {
    let mut answers = match asked.base.as_str() {
        "" => vec![active_directory()],
        "CN=all,DC=x" => {
            let from = [2000, 1000].into_iter().find(|n| asked.has(&format!("range={n}-"))).unwrap_or(0);
            vec![entry(b"CN=all,DC=x", &part(from))]
        }
        _ if asked.has("group") => vec![entry(
            b"CN=all,DC=x",
            &[("objectGUID", vec![GUID.to_vec()]), ("member", vec![]), ("member;range=0-999", members(0..1000))],
        )],
        _ => vec![],
    };
    answers.push(result(0x65, 0));
    answers
}

fn honest(from: usize) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    match from {
        0 => vec![("member;range=0-999", members(0..1000)), ("uSNChanged", text(&["7"]))],
        1000 => vec![("member;range=1000-1999", members(1000..2000)), ("uSNChanged", text(&["7"]))],
        _ => vec![("member;range=2000-*", members(2000..2500)), ("uSNChanged", text(&["7"]))],
    }
}

#[tokio::test]
async fn a_group_that_comes_in_parts_is_read_whole() {
    let port = start(true, |asked| large_group(asked, honest));
    let (entries, _) = read(port, 1000).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].key.as_str(), "953923f2-f7fc-41ff-9dfb-744f51609ec4");
    assert_eq!(entries[0].members.len(), 2500);
}

#[tokio::test]
async fn complete_or_nothing_when_a_part_of_a_group_is_missing() {
    type Part = fn(usize) -> Vec<(&'static str, Vec<Vec<u8>>)>;
    let broken: [(&str, Part); 6] = [
        ("no values", |from| if from == 1000 { vec![] } else { honest(from) }),
        ("the same part again", |from| honest(if from == 1000 { 0 } else { from })),
        ("fewer values than announced", |from| match from {
            1000 => vec![("member;range=1000-1999", members(1000..1500)), ("uSNChanged", text(&["7"]))],
            _ => honest(from),
        }),
        // The first part showed a thousand values, and the version is the same.
        ("all of none", |_| vec![("member;range=0-*", vec![]), ("uSNChanged", text(&["7"]))]),
        ("fewer in all than in the first part", |_| vec![("member;range=0-*", members(0..999)), ("uSNChanged", text(&["7"]))]),
        ("an empty part", |from| match from {
            1000 => vec![("member;range=1000-999", vec![]), ("uSNChanged", text(&["7"]))],
            _ => honest(from),
        }),
    ];
    for (what, part) in broken {
        let port = start(true, move |asked| large_group(asked, part));
        // Nothing of this group, and everything of the rest.
        let (entries, done) = read(port, 1000).await.unwrap();
        assert_eq!(entries, [], "{what}");
        let named = |w: &&String| w.contains("CN=all,DC=x") && w.contains("left as it was");
        assert_eq!(done.warnings.iter().filter(named).count(), 1, "{what}: {:?}", done.warnings);
    }
}

#[tokio::test]
async fn a_group_that_changes_between_its_parts_is_read_again() {
    // The version moves once, then stays; and then one that never stays.
    for (steady_after, ends_well) in [(2u32, true), (u32::MAX, false)] {
        let reads = Mutex::new(0u32);
        let port = start(true, move |asked| {
            large_group(asked, |from| {
                let mut reads = reads.lock().unwrap();
                *reads += 1;
                let mut part = honest(from);
                part[1].1 = vec![(*reads).min(steady_after).to_string().into_bytes()];
                part
            })
        });
        let (entries, done) = read(port, 1000).await.unwrap();
        match ends_well {
            true => assert_eq!(entries[0].members.len(), 2500),
            false => assert!(entries.is_empty() && done.warnings[0].contains("changed each time"), "{:?}", done.warnings),
        }
    }
}

#[tokio::test]
async fn a_server_without_paging_is_read_unpaged_and_one_that_forgets_it_is_not_believed() {
    let script = |control: bool| {
        move |asked: &Asked| {
            let answers = match asked.base.as_str() {
                "" if control => entry(b"", &[("supportedControl", text(&[PAGED]))]),
                "" => entry(b"", &[("vendorName", text(&["Other"]))]),
                _ if asked.has("groupOfNames") => entry(b"cn=g", &[("entryUUID", text(&["g"])), ("member", text(&["cn=a"]))]),
                _ => entry(b"cn=a", &[("entryUUID", text(&["a"])), ("cn", text(&["a"]))]),
            };
            vec![answers, result(0x65, 0)]
        }
    };
    let (entries, _) = read(start(false, script(false)), 100).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.kind).collect::<Vec<_>>(), [ObjectKind::User, ObjectKind::Group]);
    let error = read(start(false, script(true)), 100).await.unwrap_err();
    assert!(matches!(&error, SourceError::Incomplete { message, .. } if message.contains("without saying")), "{error}");
}

#[tokio::test]
async fn entries_without_ids_are_named_and_a_directory_without_ids_is_refused() {
    let script = |some: bool| {
        move |asked: &Asked| {
            let mut answers = vec![];
            if asked.base == "dc=x" && !asked.has("groupOfNames") {
                answers.push(entry(b"cn=nameless,dc=x", &[("cn", text(&["nameless"]))]));
                if some {
                    answers.push(entry(b"cn=\xff,dc=x", &[("nsUniqueId", text(&["1-2"]))]));
                }
            }
            // References are counted, not chased.
            answers.push(crate::support::fake_ldap::element(0x73, &[4, 1, b'x']));
            answers.push(result(0x65, 0));
            answers
        }
    };
    let (entries, done) = read(start(true, script(true)), 100).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].key.as_str(), &entries[0].dn), ("1-2", &None));
    assert_eq!(done.references, 2);
    assert!(done.warnings.iter().any(|w| w.contains("cn=nameless,dc=x")), "{:?}", done.warnings);
    assert!(done.warnings.iter().any(|w| w.contains("not UTF-8")), "{:?}", done.warnings);
    let error = read(start(true, script(false)), 100).await.unwrap_err();
    assert!(matches!(&error, SourceError::Malformed { message, .. } if message.contains("stable id")), "{error}");
}

#[tokio::test]
async fn complete_or_nothing_when_the_result_is_not_success() {
    for (code, expected) in [(1, "operationsError"), (3, "limits"), (10, "referral"), (11, "limits"), (51, "busy"), (80, "other")]
    {
        let port = start(true, move |asked| vec![result(0x65, if asked.base == "dc=x" { code } else { 0 })]);
        let error = read(port, 100).await.unwrap_err();
        assert!(matches!(&error, SourceError::Incomplete { message, .. } if message.contains(expected)), "{error}");
    }
    let port = start(true, |asked| vec![result(0x65, if asked.base == "dc=x" { 50 } else { 0 })]);
    assert!(matches!(read(port, 100).await.unwrap_err(), SourceError::Auth { .. }));
}

#[tokio::test]
async fn an_entry_that_nobody_asked_for_is_an_error() {
    let port = start(true, |_| vec![result(0x65, 0), entry(b"cn=late", &[("entryUUID", text(&["a"]))])]);
    assert!(matches!(read(port, 100).await.unwrap_err(), SourceError::Incomplete { .. }));
}

/// Wrong passwords are counted by each server of 389 DS and FreeIPA for itself.
#[tokio::test]
async fn where_the_account_is_locked_the_next_server_is_asked() {
    let locked = || start_refusing(19, "Exceed password retry limit. Please try later.");
    let good = start(true, |_| vec![result(0x65, 0)]);
    let read_all = read_of(&[locked(), good], 100).await;
    assert!(!matches!(read_all, Err(SourceError::Auth { .. } | SourceError::Connect { .. })), "{read_all:?}");
    // One that is down too: both are told.
    let e = read_of(&[locked(), 1], 100).await.unwrap_err();
    assert!(
        matches!(&e, SourceError::Connect { message, .. } if message.contains("account is locked") && message.contains("none of the 2")),
        "{e}"
    );
    let e = read_of(&[locked(), locked()], 100).await.unwrap_err();
    assert!(matches!(&e, SourceError::Auth { message, .. } if message.contains("the account is locked: unlock it")), "{e}");
    // A wrong password is wrong everywhere, and every try brings the account nearer to being locked.
    let e = read_of(&[start_refusing(49, ""), good], 100).await.unwrap_err();
    assert!(matches!(&e, SourceError::Auth { .. }), "{e}");
}
