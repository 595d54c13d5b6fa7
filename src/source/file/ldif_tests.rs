#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::model::{Entry, MemberRef};
use proptest::prelude::*;

fn read(text: impl AsRef<[u8]>) -> Result<Vec<Entry>, FileError> {
    let mut entries = Vec::new();
    let mut emit = |entry| {
        entries.push(entry);
        Ok(())
    };
    parse(&mut text.as_ref(), &mut Output::new(&mut emit))?;
    Ok(entries)
}

fn fault(text: &str) -> (u64, String) {
    match read(text) {
        Err(FileError::Bad { line, what } | FileError::Cut { line, what }) => (line, what),
        other => panic!("{text:?}: {other:?}"),
    }
}

const EXPORT: &str = "\
version: 1

# a comment
 that goes on
dn: dc=example,dc=org
objectClass: domain
dc: example

dn: uid=jdoe,ou=People,
 dc=example,dc=org
changetype: add
objectClass: top
objectClass: inetOrgPerson
uid: jdoe
cn:: SsO2cmc=
description:  two  spaces 
mail;lang-en: j@x.org
entryUUID: 3d7e3ed0-5c56-11ee-8c99-0242ac120002
nsAccountLock: TRUE
empty:

DN:: Y249w4QsZGM9eA==\r
objectClass: user\r
objectGUID:: 8iM5lfz3/0Gd+3RPUWCexA==\r
userAccountControl: 512\r


dn: cn=Sales,dc=x
objectClass: groupOfNames
cn: Sales
member: uid=JDoe, ou=people,dc=example,dc=org
member: cn=\\C3\\84,dc=x
member: cn=Ä,dc=x

dn: cn=PC1,dc=x
objectClass: user
objectClass: computer
";

#[test]
fn an_export_is_read() {
    let entries = read(EXPORT).unwrap();
    let keys: Vec<&str> = entries.iter().map(|e| e.key.as_str()).collect();
    let expected = ["3d7e3ed0-5c56-11ee-8c99-0242ac120002", "953923f2-f7fc-41ff-9dfb-744f51609ec4", "cn=sales,dc=x"];
    assert_eq!(keys, expected);
    let jdoe = &entries[0];
    assert_eq!(jdoe.dn.as_deref(), Some("uid=jdoe,ou=People,dc=example,dc=org"));
    assert_eq!(jdoe.names, ["dn:uid=jdoe,ou=people,dc=example,dc=org", "uid:jdoe"]);
    assert_eq!(jdoe.attrs.text("cn"), Some("Jörg"));
    assert_eq!(jdoe.attrs.text("description"), Some("two  spaces "));
    assert_eq!(jdoe.attrs.text("mail"), Some("j@x.org"));
    assert_eq!(jdoe.attrs.text("empty"), Some(""));
    assert!(jdoe.disabled && !entries[1].disabled);
    let members: Vec<&MemberRef> = entries[2].members.iter().collect();
    assert_eq!(members.len(), 2, "spellings of one name count once");
    assert_eq!(*members[0], MemberRef::Name(jdoe.names[0].clone()));
    assert_eq!(*members[1], MemberRef::Name(entries[1].names[0].clone()));
    assert_eq!(entries[2].kind, ObjectKind::Group);
}

#[test]
fn without_object_classes_attributes_tell() {
    let text = "dn: cn=a\nmail: a@x.org\n\ndn: cn=g\ncn: g\nmemberUid: a\n\ndn: ou=x\nou: x\n";
    let kinds: Vec<ObjectKind> = read(text).unwrap().iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [ObjectKind::User, ObjectKind::Group]);
}

#[test]
fn faults_have_their_line() {
    assert_eq!(fault("dn: cn=a\nuid: a\n\nuid: b\n").0, 4);
    assert_eq!(fault("dn: cn=a\nuid\n").0, 2);
    assert_eq!(fault("dn: cn=a\nuid: a\nchangetype: modify\n").0, 3);
    assert!(fault("dn: cn=a\nuid: a\nchangetype: delete\n").1.contains("full export"));
    assert!(fault("dn: cn=a\njpegPhoto:< file:///etc/passwd\n").1.contains("/etc/passwd"));
    assert!(fault("dn: cn=a\ncn:: SsO2cmc\n").1.contains("base64"));
    assert_eq!(fault("version: 2\n\ndn: cn=a\nuid: a\n"), (1, "only LDIF version 1 is known".to_owned()));
    assert_eq!(fault("dn: cn=a\nuid: a\ndn: cn=b\nuid: b\n").0, 3);
    assert_eq!(fault("dn: cn=a\nuid: a\n\n# x\ndn: CN=A\nuid: b\n"), (5, "the id cn=a is there twice".to_owned()));
    assert!(fault("dn: cn=g\nmember;range=0-1499: cn=a\n").1.contains("range"));
    assert_eq!(fault("dn:: /w==\nuid: a\n").0, 1);
    assert_eq!(fault("dn: cn=a\nb@d: a\n").0, 2);
}

#[test]
fn a_file_cut_off_inside_a_record_is_noticed() {
    let text = "dn: uid=a,dc=x\nuid: a\ncn:: SsO2cmc=\nmail: a@x.org\n";
    // Cut after a whole line an LDIF looks whole; anywhere else it must not.
    for end in (1..text.len()).filter(|end| !text[..*end].ends_with('\n')) {
        assert!(read(&text[..end]).is_err(), "{:?}", &text[..end]);
    }
    assert!(read("dn: uid=a,dc=x\n").is_err(), "a name alone is no record");
    assert!(read("dn: uid=a,dc=x\nuid: a\n ").is_err());
}

#[test]
fn octets_stay_octets() {
    let entries = read(b"dn: uid=a\nuid: a\nblob:: //4=\nraw: \xff\n".as_slice()).unwrap();
    assert_eq!(entries[0].attrs.first("blob"), Some(&Value::Bytes(vec![0xff, 0xfe])));
    assert_eq!(entries[0].attrs.first("raw"), Some(&Value::Bytes(vec![0xff])));
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = read(&octets);
        let _ = read([b"dn: cn=a\nuid: a\n", octets.as_slice(), b"\n"].concat());
    }

    #[test]
    fn any_value_survives_encoding_and_folding(value in "\\PC{1,80}", width in 8usize..40) {
        let line = format!("cn:: {}", STANDARD.encode(&value));
        let mut text = String::from("dn: uid=a\nuid: a\n");
        for (i, c) in line.chars().enumerate() {
            if i > 0 && i % width == 0 {
                text.push_str("\n ");
            }
            text.push(c);
        }
        text.push('\n');
        let entries = read(&text).unwrap();
        prop_assert_eq!(entries[0].attrs.text("cn"), Some(value.as_str()));
    }
}
