//! The SCIM client against real servers of two makes.

use crate::support::scim_servers::ScimServer;
use scim_sync::model::{Fault, Flat, ObjectKind, TargetId};
use scim_sync::target::{Dialect, Remote, Target, TargetReader, TargetWriter};
use serde_json::{Value, json};
use std::collections::HashSet;
use tokio::sync::mpsc;

const ENT: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const WORK: &str = "emails[type eq \"work\"].value";
use ObjectKind::{Group, User};

fn flat(pairs: &[(&str, Value)]) -> Flat {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

fn person(n: usize) -> Flat {
    flat(&[
        ("userName", json!(format!("Person{n}@x.example"))),
        ("externalId", json!(format!("Key-{n}"))),
        ("active", json!(true)),
        ("displayName", json!(format!("Person {n}"))),
        ("name.givenName", json!("Per")),
        ("name.familyName", json!(format!("Son{n}"))),
        (WORK, json!(format!("Person{n}@x.example"))),
    ])
}

async fn connect(server: &ScimServer) -> (Target, TargetReader, TargetWriter, Dialect) {
    let target = Target::new("app", &server.config()).unwrap();
    let dialect = target.discover().await.unwrap().dialect;
    (target.clone(), target.reader(&dialect), target.writer(&dialect), dialect)
}

async fn list(reader: &TargetReader, kind: ObjectKind) -> Vec<Remote> {
    let (sink, mut rows) = mpsc::channel(4);
    let all = async {
        let mut all = Vec::new();
        while let Some(batch) = rows.recv().await {
            all.extend(batch);
        }
        all
    };
    let read = async move { reader.list(kind, &sink).await };
    let (count, all) = tokio::join!(read, all);
    assert_eq!(count.unwrap(), all.len() as u64);
    all
}

#[tokio::test]
async fn discovery_says_how_they_speak() {
    for server in ScimServer::all() {
        let target = Target::new("app", &server.config()).unwrap();
        let found = target.discover().await.unwrap();
        let d = &found.dialect;
        assert!(d.patch && d.filter && d.groups && !d.cursor, "{}: {d:?}", server.name);
        assert!(d.page_size >= 100, "{}: {}", server.name, d.page_size);
        for path in ["userName", "externalId", "active", "name.givenName", WORK, &format!("{ENT}:department")] {
            assert!(d.allows(ObjectKind::User, path), "{}: {path}", server.name);
        }
        assert!(!d.allows(ObjectKind::User, "favouriteColour"), "{}", server.name);
        assert!(found.facts.iter().any(|(k, v)| k == "patch" && v == "supported"), "{:?}", found.facts);
        assert_eq!(target.requests().read, 0, "discovery is not counted");
        assert!(target.clock_skew_s().unwrap().abs() < 5);
        let access = target.check_access(d).await.unwrap();
        assert!(access.contains(&("users".to_owned(), "0".to_owned())), "{access:?}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_an_auth_fault() {
    for server in ScimServer::all() {
        let config = crate::support::scim_servers::target_config(server.url.as_str(), "wrong-token-0815");
        let target = Target::new("app", &config).unwrap();
        let reader = target.reader(&Dialect::default());
        let (sink, _rows) = mpsc::channel(1);
        let error = reader.list(User, &sink).await.unwrap_err();
        assert_eq!((error.fault, error.status), (Fault::Auth, Some(401)), "{}: {error}", server.name);
        assert!(!error.to_string().contains("wrong-token"), "{error}");
    }
}

#[tokio::test]
async fn a_user_from_creation_to_deletion() {
    for server in ScimServer::all() {
        let (target, reader, writer, _) = connect(&server).await;
        let made = writer.create(User, &person(1), &[]).await.unwrap();
        assert_eq!(made.user_name(), Some("Person1@x.example"), "{}", server.name);
        assert_eq!(made.external_id(), Some("Key-1"));
        assert_eq!(made.active(), Some(true));
        assert_eq!(made.emails(), ["Person1@x.example"]);

        let mut again = person(1);
        again.insert("userName".to_owned(), json!("PERSON1@X.example"));
        let error = writer.create(User, &again, &[]).await.unwrap_err();
        assert_eq!((error.fault, error.ambiguous), (Fault::Conflict, false), "{}: {error}", server.name);

        // Every mapped attribute by its own change, then several in one, then cleared.
        let mut have = person(1);
        let department = format!("{ENT}:department");
        let manager = format!("{ENT}:manager");
        let changes: Vec<Flat> = vec![
            flat(&[("displayName", json!("Renamed Ä 漢"))]),
            flat(&[("name.givenName", json!("O'Neil"))]),
            flat(&[("name.familyName", json!("x \"y\" \\z"))]),
            flat(&[("externalId", json!("Key-1b"))]),
            flat(&[(WORK, json!("new1@x.example"))]),
            flat(&[("emails[type eq \"home\"].value", json!("home1@x.example"))]),
            flat(&[("phoneNumbers[type eq \"work\"].value", json!("+45 12 34"))]),
            flat(&[
                ("addresses[type eq \"work\"].formatted", json!("Street 1")),
                ("addresses[type eq \"work\"].locality", json!("Aarhus")),
            ]),
            flat(&[("addresses[type eq \"work\"].locality", json!("Odense"))]),
            flat(&[("title", json!("Engineer"))]),
            flat(&[(&department, json!("Sales"))]),
            flat(&[(&manager, json!(made.id.as_str()))]),
            flat(&[("userName", json!("renamed1@x.example"))]),
            flat(&[("active", json!("False"))]),
            flat(&[
                ("active", json!(true)),
                ("title", json!("Boss")),
                (&department, json!("Ops")),
                (WORK, json!("n2@x.example")),
            ]),
            flat(&[("title", Value::Null)]),
            flat(&[("addresses[type eq \"work\"].formatted", Value::Null)]),
            flat(&[("addresses[type eq \"work\"].locality", Value::Null)]),
            flat(&[(&department, Value::Null), (&manager, Value::Null)]),
            flat(&[("emails[type eq \"home\"].value", Value::Null)]),
        ];
        for to in changes {
            let before = target.requests();
            writer.update(User, &made.id, &have, &to).await.unwrap_or_else(|e| panic!("{}: {to:?}: {e}", server.name));
            assert_eq!(target.requests().write - before.write, 1, "{}: one write for {to:?}", server.name);
            assert!(target.requests().read - before.read <= 1, "{}: at most one look for {to:?}", server.name);
            let now = reader.get(User, &made.id).await.unwrap().unwrap();
            for (path, want) in &to {
                let want = if path == "active" { json!(want != "False") } else { want.clone() };
                assert_eq!(now.get(path).unwrap_or(Value::Null), want, "{}: {path}", server.name);
                have.insert(path.clone(), want);
            }
        }
        let before = target.requests().read;
        writer
            .update(User, &made.id, &have, &flat(&[("displayName", json!("Once more")), (WORK, json!("n3@x.example"))]))
            .await
            .unwrap();
        assert_eq!(target.requests().read, before, "{}: what was seen to work is not looked at again", server.name);

        let gone = TargetId("no-such-id".to_owned());
        let error = writer.update(User, &gone, &Flat::new(), &flat(&[("displayName", json!("x"))])).await.unwrap_err();
        assert_eq!(error.fault, Fault::Gone, "{}: {error}", server.name);
        assert_eq!(reader.get(User, &gone).await.unwrap(), None);
        writer.delete(User, &made.id).await.unwrap();
        writer.delete(User, &made.id).await.unwrap();
        assert_eq!(reader.get(User, &made.id).await.unwrap(), None, "{}", server.name);
        assert_eq!(target.requests().retried, 0);
    }
}

#[tokio::test]
async fn a_rename_to_a_taken_name_is_a_conflict() {
    for server in ScimServer::all() {
        let (_, reader, writer, _) = connect(&server).await;
        writer.create(User, &person(1), &[]).await.unwrap();
        let two = writer.create(User, &person(2), &[]).await.unwrap();
        let error =
            writer.update(User, &two.id, &person(2), &flat(&[("userName", json!("person1@x.example"))])).await.unwrap_err();
        assert_eq!((error.fault, error.status), (Fault::Conflict, Some(409)), "{}: {error}", server.name);
        assert_eq!(reader.get(User, &two.id).await.unwrap().unwrap().user_name(), Some("Person2@x.example"));
    }
}

#[tokio::test]
async fn wrong_knowledge_is_put_right() {
    for server in ScimServer::all() {
        let (_, reader, writer, _) = connect(&server).await;
        let mut bare = person(1);
        bare.remove(WORK);
        let made = writer.create(User, &bare, &[]).await.unwrap();
        // We believe that an address is there; it is not: replace finds no target.
        let to = flat(&[(WORK, json!("w@x.example")), ("displayName", json!("D"))]);
        writer.update(User, &made.id, &person(1), &to).await.unwrap_or_else(|e| panic!("{}: {e}", server.name));
        let now = reader.get(User, &made.id).await.unwrap().unwrap();
        assert_eq!((now.emails(), now.display_name()), (vec!["w@x.example"], Some("D")), "{}", server.name);
        // Clearing what is gone already is done.
        let nothing = flat(&[("phoneNumbers[type eq \"work\"].value", Value::Null), ("title", Value::Null)]);
        let thought = flat(&[("phoneNumbers[type eq \"work\"].value", json!("1")), ("title", json!("t"))]);
        writer.update(User, &made.id, &thought, &nothing).await.unwrap_or_else(|e| panic!("{}: {e}", server.name));
        // A foreign address of another type stays.
        writer
            .update(User, &made.id, &Flat::new(), &flat(&[("emails[type eq \"home\"].value", json!("h@x.example"))]))
            .await
            .unwrap();
        writer.update(User, &made.id, &to, &flat(&[(WORK, json!("w2@x.example"))])).await.unwrap();
        let mut emails =
            reader.get(User, &made.id).await.unwrap().unwrap().emails().into_iter().map(str::to_owned).collect::<Vec<_>>();
        emails.sort();
        assert_eq!(emails, ["h@x.example", "w2@x.example"], "{}", server.name);
    }
}

#[tokio::test]
async fn put_does_what_patch_does() {
    for server in ScimServer::all() {
        let (target, reader, _, mut dialect) = connect(&server).await;
        dialect.patch = false;
        let writer = target.writer(&dialect);
        let mut attrs = person(1);
        attrs.insert("nickName".to_owned(), json!("kept"));
        let made = writer.create(User, &attrs, &[]).await.unwrap();
        let to = flat(&[
            (WORK, json!("put@x.example")),
            ("active", json!(false)),
            ("name.familyName", Value::Null),
            (&format!("{ENT}:department"), json!("Sales")),
        ]);
        writer.update(User, &made.id, &attrs, &to).await.unwrap_or_else(|e| panic!("{}: {e}", server.name));
        let now = reader.get(User, &made.id).await.unwrap().unwrap();
        assert_eq!((now.emails(), now.active()), (vec!["put@x.example"], Some(false)), "{}", server.name);
        assert_eq!(now.get("nickName"), Some(json!("kept")), "{}: what we do not map stays", server.name);
        assert_eq!(now.get("name.familyName"), None);
        let group = writer.create(Group, &flat(&[("displayName", json!("G"))]), &[]).await.unwrap();
        writer.add_members(&group.id, std::slice::from_ref(&made.id)).await.unwrap();
        writer
            .update_group(&group.id, (&flat(&[("displayName", json!("G"))]), &flat(&[("displayName", json!("H"))])), &[], true)
            .await
            .unwrap();
        let now = reader.get(Group, &group.id).await.unwrap().unwrap();
        assert_eq!((now.display_name(), now.members()), (Some("H"), vec![made.id.clone()]), "{}", server.name);
        writer.remove_members(&group.id, std::slice::from_ref(&made.id)).await.unwrap();
        assert!(reader.get(Group, &group.id).await.unwrap().unwrap().members().is_empty(), "{}", server.name);
    }
}

#[tokio::test]
async fn patch_switched_off_is_found_out() {
    let off = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": false}, "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": false, "maxResults": 200}, "changePassword": {"supported": false}, "sort": {"supported": false},
        "etag": {"supported": false}, "authenticationSchemes": []
    });
    let Some(server) = ScimServer::scim2_with(Some(off)) else { return };
    let (target, reader, writer, dialect) = connect(&server).await;
    assert!(!dialect.patch && !dialect.filter);
    let made = writer.create(User, &person(1), &[]).await.unwrap();
    // Somebody insists on PATCH and filters: both are found to be refused.
    let insisting = target.writer(&Dialect { patch: true, ..dialect.clone() });
    insisting.update(User, &made.id, &person(1), &flat(&[("title", json!("T")), (WORK, json!("t@x.example"))])).await.unwrap();
    let now = reader.get(User, &made.id).await.unwrap().unwrap();
    assert_eq!((now.get("title"), now.emails()), (Some(json!("T")), vec!["t@x.example"]));
    let before = target.requests().write;
    insisting.update(User, &made.id, &person(1), &flat(&[("title", json!("U"))])).await.unwrap();
    assert_eq!(target.requests().write - before, 1, "PATCH is not tried again");
    for filter in [true, false] {
        let reader = target.reader(&Dialect { filter, ..dialect.clone() });
        let found = reader.find(User, &[("userName".into(), "PERSON1@x.example".into())]).await.unwrap();
        assert_eq!(found.len(), 1);
        assert!(reader.find(User, &[("userName".into(), "nobody".into())]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn members_in_chunks() {
    for server in ScimServer::all() {
        let (target, reader, writer, _) = connect(&server).await;
        let mut ids = Vec::new();
        for n in 0..25 {
            ids.push(writer.create(User, &person(n), &[]).await.unwrap().id);
        }
        let group = writer
            .create(Group, &flat(&[("displayName", json!("Team")), ("externalId", json!("g-1"))]), &ids[..3])
            .await
            .unwrap();
        assert_eq!(group.members().len(), 3, "{}: members at creation", server.name);
        for chunk in ids[3..].chunks(10) {
            writer.add_members(&group.id, chunk).await.unwrap_or_else(|e| panic!("{}: {e}", server.name));
        }
        let members = |r: Remote| r.members().into_iter().collect::<HashSet<_>>();
        let now = members(reader.get(Group, &group.id).await.unwrap().unwrap());
        assert_eq!(now, ids.iter().cloned().collect(), "{}", server.name);
        let before = target.requests();
        writer.remove_members(&group.id, &ids[..10]).await.unwrap();
        assert_eq!(target.requests().write - before.write, 1);
        // Some gone already, some still there.
        writer.remove_members(&group.id, &ids[5..15]).await.unwrap_or_else(|e| panic!("{}: {e}", server.name));
        writer.remove_members(&group.id, &ids[..15]).await.unwrap_or_else(|e| panic!("{}: {e}", server.name));
        let now = members(reader.get(Group, &group.id).await.unwrap().unwrap());
        assert_eq!(now, ids[15..].iter().cloned().collect(), "{}: only those asked for are gone", server.name);
        let listed = list(&reader, Group).await;
        assert_eq!(listed[0].members().len(), 10, "{}: lists bring members", server.name);
        writer.delete(Group, &group.id).await.unwrap();
        let error = writer.add_members(&group.id, &ids[..1]).await.unwrap_err();
        assert_eq!(error.fault, Fault::Gone, "{}: {error}", server.name);
    }
}

#[tokio::test]
async fn find_by_each_attribute() {
    for server in ScimServer::all() {
        let (_, reader, writer, _) = connect(&server).await;
        let find = |attribute: &str, value: &str| {
            let (reader, criteria) = (reader.clone(), vec![(attribute.to_owned(), value.to_owned())]);
            async move { reader.find(User, &criteria).await.unwrap() }
        };
        assert!(find("userName", "nobody@x.example").await.is_empty(), "{}: an empty target", server.name);
        let mut id = TargetId(String::new());
        for n in 0..30 {
            let mut p = person(n);
            // One without an address: some servers fail every filter on addresses then.
            if n == 7 {
                p.remove(WORK);
            }
            let made = writer.create(User, &p, &[]).await.unwrap();
            if n == 12 {
                id = made.id;
            }
        }
        for (attribute, value) in [
            ("externalId", "Key-12"),
            ("userName", "person12@X.EXAMPLE"),
            ("emails.value", "PERSON12@x.example"),
            (WORK, "person12@x.example"),
            ("displayName", "person 12"),
            ("id", id.as_str()),
        ] {
            let found = find(attribute, value).await;
            assert_eq!(found.iter().map(|r| &r.id).collect::<Vec<_>>(), [&id], "{}: {attribute}", server.name);
        }
        for (attribute, value) in [
            ("externalId", "key-12"),
            ("externalId", "Key-\"12"),
            ("userName", "nobody@x.example"),
            ("emails.value", "nobody@x.example"),
            ("displayName", "Nobody \\ \"quoted\" 漢"),
            ("favouriteColour", "blue"),
            ("userName", ""),
        ] {
            assert!(find(attribute, value).await.is_empty(), "{}: {attribute} {value}", server.name);
        }
        let several = [("externalId", "nothing"), ("userName", "PERSON3@x.example"), ("emails.value", "Person4@x.example")];
        let several = several.map(|(a, v)| (a.to_owned(), v.to_owned()));
        let found = reader.find(User, &several).await.unwrap();
        assert_eq!(found.len(), 1, "{}: the first criterion that hits decides", server.name);
        assert_eq!(found[0].external_id(), Some("Key-3"));
        let all: Vec<(String, String)> = vec![("name.givenName".into(), "per".into())];
        assert_eq!(reader.find(User, &all).await.unwrap().len(), 30, "{}: every hit, over pages", server.name);
    }
}

#[tokio::test]
async fn lists_of_2500_come_whole_by_pages() {
    let cursor = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true}, "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": 300}, "changePassword": {"supported": false}, "sort": {"supported": false},
        "etag": {"supported": false}, "authenticationSchemes": [],
        "pagination": {"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 100, "maxPageSize": 300}
    });
    let servers = ScimServer::all().into_iter().map(|s| (s, 2500));
    // Slower to fill; a few pages show the same.
    let by_cursor = ScimServer::scim2_with(Some(cursor)).map(|s| (s, 700));
    for (server, people) in servers.chain(by_cursor) {
        let (target, _, writer, dialect) = connect(&server).await;
        let mut jobs = tokio::task::JoinSet::new();
        for lane in 0..4 {
            let writer = writer.clone();
            jobs.spawn(async move {
                for n in (lane..people).step_by(4) {
                    writer.create(User, &person(n), &[]).await.unwrap();
                }
            });
        }
        while let Some(done) = jobs.join_next().await {
            done.unwrap();
        }
        // SCIMMY sorts out everybody anew for each page: its own page size has to do.
        let sizes = if server.name == "SCIMMY" { vec![dialect.page_size] } else { vec![dialect.page_size, 97] };
        for page_size in sizes {
            let before = target.requests().read;
            let reader = target.reader(&Dialect { page_size, ..dialect.clone() });
            let all = list(&reader, User).await;
            let ids: HashSet<_> = all.iter().map(|r| r.id.as_str()).collect();
            assert_eq!((all.len(), ids.len()), (people, people), "{} by {page_size}", server.name);
            let pages = people.div_ceil(page_size as usize) as u64;
            assert_eq!(
                target.requests().read - before,
                pages,
                "{}: one read per page of {page_size}, cursor {}",
                server.name,
                dialect.cursor
            );
        }
    }
}
