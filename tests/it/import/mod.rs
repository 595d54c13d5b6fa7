//! `scim-sync import`: a mapping export becomes a sync that plans what the hand-written one plans.

use crate::support::world::{Run, SandboxProcess, World, binary};
use serde_json::{Value, json};
use std::process::Command;

/// An Entra provisioning schema as it is downloaded, with the mappings of the SCIM template.
const SCHEMA: &str = include_str!("entra_schema.json");

/// The same by hand.
const BY_HAND: &str = r#"
[sync.scope]
users = '(department eq "Sales" and employeeId pr) or (companyName sw "Acme")'
groups = 'displayName sw "app-"'

[sync.match]
users = ["userName", "externalId"]
groups = ["displayName"]
legacy_external_id = ["mailNickname"]

[sync.map.user]
userName = "[userPrincipalName]"
active = 'Switch([IsSoftDeleted], , "False", "True", "True", "False")'
displayName = "[displayName]"
title = { expr = "[jobTitle]", default = "Employee" }
'emails[type eq "work"].value' = "[mail]"
preferredLanguage = { expr = 'Replace([preferredLanguage], "-", , , "_", , )', apply = "create" }
"name.givenName" = "[givenName]"
"name.familyName" = "[surname]"
"name.formatted" = 'Join(" ", [givenName], [surname])'
'addresses[type eq "work"].formatted' = "[physicalDeliveryOfficeName]"
'phoneNumbers[type eq "mobile"].value' = "[mobile]"
externalId = "[mailNickname]"
userType = '"Person"'
timezone = { expr = '"Europe/Copenhagen"', apply = "create" }
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" = "[department]"

[sync.map.group]
displayName = "[displayName]"
externalId = "[objectId]"

[sync.actions]
user = ["create", "update", "deactivate"]
group = ["create", "update", "delete", "members"]
"#;

fn import(file: &std::path::Path, args: &[&str]) -> Run {
    Command::new(binary()).args(["import"]).arg(file).args(args).output().unwrap().into()
}

/// A world with people for every branch of the mapping and the filters; the sync is what stands in `sync`.
fn world(sandbox: &SandboxProcess, sync: &str) -> World {
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    let head = std::fs::read_to_string(w.path("config.toml")).unwrap();
    let head = head.split("[[sync]]").next().unwrap().to_owned();
    std::fs::write(w.path("config.toml"), format!("{head}{sync}")).unwrap();
    w.populate(8);
    for (i, id) in w.people.keys().cloned().collect::<Vec<_>>().iter().enumerate() {
        let person = w.people.get_mut(id).unwrap();
        let surname = person.remove("sn").unwrap();
        person.insert("surname".to_owned(), surname);
        w.set(id, "userPrincipalName", format!("{id}@contoso.example"));
        w.set(id, "mailNickname", id.as_str());
        w.set(id, "preferredLanguage", "da-DK");
        w.set(id, "mobile", format!("+45 {i}"));
        w.set(id, "physicalDeliveryOfficeName", "Oslo");
        if i % 2 == 0 {
            w.set(id, "employeeId", format!("{i}"));
        } else {
            w.set(id, "companyName", if i % 3 == 0 { "Acme ApS" } else { "Other" });
        }
        if i % 4 == 0 {
            w.set(id, "jobTitle", "Boss \"of\" all");
        }
    }
    w.group("g1", &["p00000", "p00002"]);
    w.groups.get_mut("g1").unwrap().0 = "app-users".to_owned();
    w.group("g2", &["p00004"]);
    w.save();
    w
}

#[test]
fn an_imported_schema_plans_what_the_hand_written_sync_plans() {
    let sandbox = SandboxProcess::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.json");
    std::fs::write(&file, SCHEMA).unwrap();
    let run = import(&file, &[]).expect(0);
    assert_eq!(run.stderr, "", "everything is carried over");
    assert!(run.stdout.contains("name = \"customappsso\""));
    let imported = run.stdout.replace("source = \"entra\"", "source = \"dir\"");
    let by_hand = format!("[[sync]]\nname = \"customappsso\"\nsource = \"dir\"\ntarget = \"app\"\n{BY_HAND}");
    let (imported, by_hand) = (world(&sandbox, &imported), world(&sandbox, &by_hand));
    imported.run(&["check"]).expect(0);
    let (a, b) = (imported.plan().expect(0).plan(), by_hand.plan().expect(0).plan());
    assert!(a["changes"].as_array().unwrap().len() >= 6, "{a}");
    assert_eq!(a, b, "to the last letter, digest included");
    let created = a["changes"].as_array().unwrap().iter().find(|c| c["to"]["userName"] == "p00002@contoso.example").unwrap();
    assert_eq!(created["to"]["preferredLanguage"], "da_DK");
    assert_eq!(created["to"]["title"], "Employee");
    imported.run(&["sync", "--json"]).expect(0);
}

#[test]
fn what_is_left_out_is_on_stderr_in_the_comments_and_in_the_document() {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mappings = &mut schema["synchronizationRules"][0]["objectMappings"][0]["attributeMappings"];
    mappings.as_array_mut().unwrap().push(json!({"targetAttributeName": "IsActive", "flowType": "Always",
        "source": {"type": "Attribute", "name": "accountEnabled", "expression": "[accountEnabled]"}}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.json");
    std::fs::write(&file, schema.to_string()).unwrap();
    let text = import(&file, &[]).expect(0);
    assert!(text.stderr.contains("IsActive") && text.stdout.contains("# - user mapping of IsActive"), "{}", text.stderr);
    let document = import(&file, &["--json"]).expect(0).json();
    assert_eq!((&document["version"], document["toml"].as_str()), (&json!(1), Some(text.stdout.as_str())));
    assert_eq!(document["not_carried"].as_array().unwrap().len(), 1);
    assert!(document["not_carried"][0]["what"].as_str().unwrap().contains("IsActive"));
    assert!(!document["not_carried"][0]["reason"].as_str().unwrap().is_empty());
}

#[test]
fn what_is_no_export_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.json", &b"{}"[..]), ("b.json", b"{"), ("c.json", b"\xff\xfe"), ("d.json", b"")] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let run = import(&file, &["--json"]).expect(2);
        assert_eq!(run.json()["error"]["kind"], "usage");
        assert!(run.stderr.contains(name));
    }
    import(&folder.path().join("not-there.json"), &[]).expect(2);
}
