//! The file source on the same made-up directory that slapd serves.

use crate::support::directory::{Directory, GroupKind, Member};
use scim_sync::config::{FileConfig, NestedGroups};
use scim_sync::model::{Entry, MemberRef, ObjectKind};
use scim_sync::source::file::FileSource;
use scim_sync::source::{Item, ReadRequest, Source as _};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

#[tokio::test]
async fn an_ldif_gives_what_is_there() {
    let directory = Directory::generate(11, 500, 30, 2000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.ldif");
    std::fs::write(&path, directory.to_ldif()).unwrap();
    let source = FileSource::new("hr", &FileConfig { path, nested_groups: NestedGroups::Flatten });
    let (sink, mut items) = mpsc::channel::<Vec<Item>>(1);
    let reading = tokio::spawn(async move {
        let request = ReadRequest { groups: true, ..ReadRequest::default() };
        source.read(&request, &sink).await
    });
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    while let Some(batch) = items.recv().await {
        for item in batch {
            let Item::Present(entry) = item else { panic!("deleted") };
            assert!(entries.insert(entry.key.0.clone(), entry).is_none());
        }
    }
    reading.await.unwrap().unwrap();
    assert_eq!(entries.len(), 530);
    for person in &directory.people {
        let entry = &entries[&person.uuid];
        assert_eq!(entry.kind, ObjectKind::User);
        assert_eq!(entry.dn.as_deref(), Some(person.dn.as_str()));
        assert_eq!(entry.attrs.text("displayName"), Some(person.display_name.as_str()));
        assert_eq!(entry.attrs.text("mail"), person.mail.as_deref());
        assert_eq!(entry.disabled, person.locked);
    }
    for group in &directory.groups {
        let entry = &entries[&group.uuid];
        let name = |member: &Member| {
            let uuid = match member {
                Member::Person(i) => &directory.people[*i].uuid,
                Member::Group(i) => &directory.groups[*i].uuid,
            };
            MemberRef::Name(entries[uuid].names[usize::from(group.kind == GroupKind::Posix)].clone())
        };
        let expected: Vec<MemberRef> = group.members.iter().map(name).collect();
        assert_eq!(entry.members, expected, "{}", group.cn);
    }
}
